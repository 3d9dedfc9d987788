"""The chief's side of a training on several machines: every operation is done by all hosts.

    trainer = Trainer(task, ..., everywhere=lambda host: Everywhere(host, chief))

The chief alone decides which phase comes next and writes the run. Before it does its own part of an operation, it tells
the others to do theirs; an operation is over when all have answered, so that the slowest host counts. Sentences of an
evaluation come back from each host, which decodes the rows that it transcribed.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmark.run.evaluate.evaluation import Diverged, Sentence, Transcription
from benchmark.run.machines.channel import Chief, Message
from benchmark.run.train.host import Host
from benchmark.run.train.step import Totals


class Everywhere(Host):
    """All hosts of a training, with the methods of one."""

    def __init__(self, own: Host, chief: Chief) -> None:
        super().__init__(own.task, own.checkpoints, own.pool)
        self._chief = chief
        self._numbers = count(1)

    def make(self) -> None:
        self._chief.tell({"do": "make"})
        super().make()
        self._chief.answers()

    def begin_with(self, folder: Path, step: int) -> None:
        self._chief.tell({"do": "begin_with", "folder": str(folder), "step": step})
        super().begin_with(folder, step)
        self._chief.answers()

    def restore(self, step: int) -> None:
        super().restore(step)  # first: a checkpoint that is broken does not concern the others
        self._chief.tell({"do": "restore", "step": step})
        self._chief.answers()

    def segment(self, *, epoch: int, skip: int, step: int, count: int) -> Totals:
        self._chief.tell({"do": "segment", "epoch": epoch, "skip": skip, "step": step, "count": count})
        totals = super().segment(epoch=epoch, skip=skip, step=step, count=count)
        self._chief.answers()
        return totals

    def swap(self, step: int) -> None:
        self._chief.tell({"do": "swap", "step": step})
        super().swap(step)
        self._chief.answers()

    def transcribe(self, role_or_subset: str) -> Transcription:
        number = next(self._numbers)
        promised = self._chief.promised(number)
        self._chief.tell({"do": "transcribe", "what": role_or_subset, "number": number})
        transcription = super().transcribe(role_or_subset)
        for future in promised:
            transcription.join(partial(_sentences, future))
        self._chief.answers()
        return transcription


def _sentences(future: Future[Message]) -> list[Sentence]:
    """Wait for the sentences of another host. Raises Diverged if its outputs are not finite."""
    message: dict[str, Any] = future.result()
    if "diverged" in message:
        raise Diverged(message["diverged"])
    return [Sentence(id=name, reference=said, hypothesis=heard) for name, said, heard in message["sentences"]]
