"""The one clock of a run: monotonic seconds since model creation began.

    clock = Clock()
    with clock.span() as span:      # waits for the device at both ends: GPU work is asynchronous
        ...
    span.started_s, span.seconds

`now` and `sync` (the device's barrier) are arguments, so that tests can replace them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


def slept_s() -> float:
    """Return the seconds that the machine has slept since it was started, which a run's clock does not count."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


@dataclass
class Span:
    """A stretch of a run's time; `seconds` is NaN until it ends."""

    started_s: float
    seconds: float = float("nan")

    @property
    def ended_s(self) -> float:
        return self.started_s + self.seconds


class Clock:
    """Counts seconds since its creation; a resumed run continues from `already_s`. `sync` waits for the device."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        sync: Callable[[], None] = lambda: None,
        already_s: float = 0.0,
    ) -> None:
        self._now, self._sync = now, sync
        self.origin = now() - already_s

    def elapsed(self) -> float:
        return self._now() - self.origin

    @contextmanager
    def span(self) -> Iterator[Span]:
        self._sync()
        span = Span(self.elapsed())
        yield span
        self._sync()
        span.seconds = self.elapsed() - span.started_s
