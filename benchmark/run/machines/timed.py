"""What one machine does of a training on several, with the seconds that it took by itself.

    host = Timed(Host(task, checkpoints, pool))
    host.segment(...)
    host.taken()                            # {"input": 0.2, "gradients": 9.1}, since it was asked the last time

As all machines wait for the slowest in every step, the time that a segment takes is the same on each. What is noted
here is the time before it waits. `benchmark.record.host_times` says what the parts are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmark.run.evaluate.evaluation import Transcription
from benchmark.run.train.host import Host
from benchmark.run.train.step import Totals


class Timed(Host):
    """A host that notes how long it took. `now` is its clock, in seconds."""

    def __init__(self, own: Host, *, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(own.task, own.checkpoints, own.pool)
        self.now = now
        self._took: dict[str, float] = {}
        self._decoding = Decoding(now, 0.0)

    def taken(self) -> dict[str, float]:
        """Return the seconds of every part since it was asked the last time, and forget them."""
        found, self._took = self._took, {}
        return found

    def make(self) -> None:
        with self._timed("make"):
            super().make()

    def restore(self, step: int) -> None:
        with self._timed("restore"):
            super().restore(step)

    def segment(self, *, epoch: int, skip: int, step: int, count: int) -> Totals:
        totals = super().segment(epoch=epoch, skip=skip, step=step, count=count)
        known = {"input": totals.input_s, "gradients": totals.own_s}
        for part, seconds in known.items():
            if seconds is not None and not math.isnan(seconds := float(seconds)):
                self._note(part, seconds)
        return totals

    def open(self, epoch: int, skip: int) -> Iterator:
        with self._timed("input"):
            return super().open(epoch, skip)

    def swap(self, step: int) -> None:
        with self._timed("swap"):
            super().swap(step)

    def transcribe(self, role_or_subset: str) -> Transcription:
        begun_s, decodes = self.now(), self.task.learner.decode is not None
        transcription = super().transcribe(role_or_subset)
        forward_s = self.now()
        if not decodes:
            self._note("forward", forward_s - begun_s)
        self._decoding = decoding = Decoding(self.now, begun_s if decodes else forward_s)
        decoding.utterances = transcription.when_decoded(decoding.decoded)
        return transcription

    def decoding(self) -> Callable[[], dict[str, float]]:
        """Return what tells, once all sentences of the last transcription are known, how long that took and how many.

        On GPUs it is not known: sentences are decoded beside the forward pass.
        """
        if not self.task.devices.on_cpu:
            return dict
        return self._decoding.taken

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun_s = self.now()
        try:
            yield
        finally:
            self._note(part, self.now() - begun_s)

    def _note(self, part: str, seconds: float) -> None:
        self._took[part] = self._took.get(part, 0.0) + seconds


class Decoding:
    """When the `utterances` of one transcription were decoded, told by whatever thread decodes them."""

    def __init__(self, now: Callable[[], float], begun_s: float) -> None:
        self._now, self._begun_s, self._last_s = now, begun_s, begun_s
        self.utterances = 0

    def decoded(self) -> None:
        self._last_s = max(self._last_s, self._now())

    def taken(self) -> dict[str, float]:
        """Return what is known once the last sentence is there."""
        return {"decoding": self._last_s - self._begun_s, "utterances": float(self.utterances)}
