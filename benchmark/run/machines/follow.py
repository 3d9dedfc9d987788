"""What the hosts other than the chief do: what they are told, until the end.

    status = follow(host, caller)

A follower writes nothing but its samples of utilisation; with every answer it says how long it took by itself. It keeps
signals from its own training and passes them on to the chief, which ends the run everywhere after one and the same
batch.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmark.run.evaluate.evaluation import Diverged, Transcription
from benchmark.run.machines.channel import Caller, Message
from benchmark.run.machines.timed import Timed

PATIENCE_S = 20.0
"""How long after a signal a follower waits for the chief to end the run."""


def follow(host: Timed, caller: Caller) -> int:
    """Do what the chief says until it ends the run; return the exit status that it gives."""
    does = {
        "make": lambda _: host.make(),
        "begin_with": lambda order: host.begin_with(Path(order["folder"]), order["step"]),
        "restore": lambda order: host.restore(order["step"]),
        "segment": lambda order: host.segment(**{name: order[name] for name in ("epoch", "skip", "step", "count")}),
        "swap": lambda order: host.swap(order["step"]),
    }
    with ThreadPoolExecutor(1) as background:
        while (order := caller.hear()) is not None:
            if order["do"] == "transcribe":
                _transcribe(host, caller, order, background.submit)
            else:
                does[order["do"]](order)
            caller.answer({"done": order["do"], "own_s": host.taken()})
        background.shutdown(wait=False, cancel_futures=True)
    return caller.status


def _transcribe(host: Timed, caller: Caller, order: Message, later: Callable[..., object]) -> None:
    """Run the forward pass now; send the sentences when they are decoded, which may be while training goes on."""
    number = order["number"]
    try:
        transcription = host.transcribe(order["what"])
    except Diverged as error:
        caller.promise(number, {"diverged": str(error)})
        return
    later(_send, transcription, host.decoding(), caller, number)


def _send(transcription: Transcription, decoding: Callable[[], object], caller: Caller, number: int) -> None:
    try:
        sentences = [[each.id, each.reference, each.hypothesis] for each in transcription.sentences()]
    except Exception as error:  # whatever it is, nobody would hear of it in this thread
        caller.fail(2, f"decoding failed: {type(error).__name__}: {error}")
        return
    caller.promise(number, {"sentences": sentences, "own_s": decoding()})
