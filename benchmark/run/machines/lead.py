"""The chief's side of a training on several machines: every operation is done by all hosts.

    trainer = Trainer(task, ..., everywhere=lambda host: Everywhere(host, chief))

The chief alone decides which phase comes next and writes the run. Before it does its own part of an operation, it tells
the others to do theirs; an operation is over when all have answered, so that the slowest host counts. Sentences of an
evaluation come back from each host, which decodes the rows that it transcribed. With its answer each host says how long
it took by itself, which `taken` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmark.run.evaluate.evaluation import Diverged, Sentence, Transcription
from benchmark.run.machines.channel import Chief, Message
from benchmark.run.machines.timed import Timed
from benchmark.run.train.host import Host
from benchmark.run.train.step import Totals

OwnTimes = tuple[float | None, ...]
"""The seconds of every host, by its rank; None where they are not known."""


class Everywhere(Timed):
    """All hosts of a training, with the methods of one."""

    def __init__(self, own: Host, chief: Chief) -> None:
        super().__init__(own)
        self._chief = chief
        self._numbers = count(1)
        self._times: dict[str, list[float | None]] = {}

    def taken_everywhere(self, parts: Iterable[str]) -> dict[str, OwnTimes]:
        """Return how long every host took for some parts of the work since it was asked for them, and forget it."""
        return {part: tuple(self._times.pop(part)) for part in parts if part in self._times}

    def make(self) -> None:
        self._chief.tell({"do": "make"})
        super().make()
        self._all_answered()

    def begin_with(self, folder: Path, step: int) -> None:
        self._chief.tell({"do": "begin_with", "folder": str(folder), "step": step})
        super().begin_with(folder, step)
        self._all_answered()

    def restore(self, step: int) -> None:
        super().restore(step)  # first: a checkpoint that is broken does not concern the others
        self._chief.tell({"do": "restore", "step": step})
        self._all_answered()

    def segment(self, *, epoch: int, skip: int, step: int, count: int) -> Totals:
        self._chief.tell({"do": "segment", "epoch": epoch, "skip": skip, "step": step, "count": count})
        totals = super().segment(epoch=epoch, skip=skip, step=step, count=count)
        self._all_answered()
        return totals

    def swap(self, step: int) -> None:
        self._chief.tell({"do": "swap", "step": step})
        super().swap(step)
        self._all_answered()

    def transcribe(self, role_or_subset: str) -> Transcription:
        number = next(self._numbers)
        promised = self._chief.promised(number)
        self._chief.tell({"do": "transcribe", "what": role_or_subset, "number": number})
        transcription = super().transcribe(role_or_subset)
        transcription.join(partial(self._own_are_known, self.decoding()))
        for rank, future in enumerate(promised, start=1):
            transcription.join(partial(self._sentences, rank, future))
        self._all_answered()
        return transcription

    def _all_answered(self) -> None:
        """Wait until all hosts are done; note how long each took."""
        answers = self._chief.answers()
        self._note_of(0, self.taken())
        for rank, message in answers.items():
            self._note_of(rank, message.get("own_s", {}))

    def _note_of(self, rank: int, own_s: Mapping[str, float]) -> None:
        for part, seconds in own_s.items():
            times = self._times.setdefault(part, [None] * self._chief.hosts.count)
            times[rank] = (times[rank] or 0.0) + float(seconds)

    def _own_are_known(self, decoding: Callable[[], Mapping[str, float]]) -> list[Sentence]:
        """Note how long this host decoded; it has no further sentences."""
        self._note_of(0, decoding())
        return []

    def _sentences(self, rank: int, future: Future[Message]) -> list[Sentence]:
        """Wait for the sentences of another host. Raises Diverged if its outputs are not finite."""
        message: dict[str, Any] = future.result()
        if "diverged" in message:
            raise Diverged(message["diverged"])
        self._note_of(rank, message.get("own_s", {}))
        return [Sentence(id=name, reference=said, hypothesis=heard) for name, said, heard in message["sentences"]]
