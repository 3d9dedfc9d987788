"""What was trained and what was evaluated in an MLPerf log, from when to when.

    timeline = follow(source, events, errors)
    timeline.units, timeline.evaluations        # in the order of their times

Only what lies between run_start and run_stop counts, as by MLPerf's rules: an evaluation that began before run_stop
ends there at the latest, and one that began after it is no part of the run. Logs count epochs from 0 or from 1; the
first epoch_start tells (where there is none, the first block_start).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmark.ingest.events import Event, IngestError

STARTS = {"epoch_start": "epoch_stop", "block_start": "block_stop"}
NEAR = 0.01  # epochs: logs round fractions


@dataclass(frozen=True)
class Unit:
    """A stretch of training, an epoch or a block of epochs: from `low` to `high` epochs trained since the run began."""

    low: float
    high: float
    started_s: float
    ended_s: float  # infinite while the log does not say
    line: int
    is_whole: bool = True  # False if run_stop cut it short


@dataclass(frozen=True)
class Evaluation:
    """One evaluation. `epochs` is its number as logged, or after `numbered` the epochs trained; None if not known.

    `unit` says during or after which unit it began, -1 before the first; `errors` are in percent.
    """

    epochs: float | None
    started_s: float
    ended_s: float
    errors: Mapping[str, float]
    line: int
    unit: int
    at_target: bool = False  # whether it ended the run

    @property
    def is_whole(self) -> bool:
        """Whether a whole number of epochs was trained."""
        return self.epochs == int(self.epochs)


@dataclass(frozen=True)
class Timeline:
    """The trained and evaluated stretches of a log between run_start and run_stop, in the order of their times."""

    source: str
    units: tuple[Unit, ...]
    evaluations: tuple[Evaluation, ...]
    base: int  # the number of the first epoch
    started_s: float  # run_start
    stopped_s: float  # run_stop; infinite without one
    notes: tuple[str, ...] = ()


def follow(source: str, events: Sequence[Event], errors: Mapping[int, Mapping[str, float]]) -> Timeline:
    """Collect the trained and evaluated stretches of a log; `errors` are those of each line with an eval_accuracy.

    Raises:
        IngestError: the epochs of the log cannot be followed; the message names the lines.
    """
    places = {event.key: place for place, event in enumerate(events) if event.key in ("run_start", "run_stop")}
    start, stop = places["run_start"], places.get("run_stop", len(events))
    for event in events[:start]:
        if event.key in (*STARTS, "eval_start", "eval_accuracy"):
            raise IngestError(
                f"{source}:{event.line}: {event.key} before run_start (line {events[start].line}); expected a whole "
                f"log, in which nothing is trained or evaluated before it"
            )
    key = next((key for key in STARTS if any(event.key == key for event in events[start:stop])), None)
    if key is None:
        raise IngestError(f"{source}: no epoch_start and no block_start; expected one for each epoch or block")
    stopped_s = events[stop].at_s if stop < len(events) else math.inf
    units, base = _units(source, [e for e in events[start:stop] if e.key in (key, STARTS[key])], stopped_s, key)
    found = _Evaluations(source, units, stopped_s, errors)
    for event in events[start:stop]:
        found.take(event)
    for event in events[stop:]:
        found.take_after_stop(event)
    late = found.after_stop
    notes = ("evaluations after run_stop, which are no part of the run, left out",) if late else ()
    return Timeline(source, tuple(units), tuple(found.whole()), base, events[start].at_s, stopped_s, notes)


def _units(source: str, events: Iterable[Event], stopped_s: float, start_key: str) -> tuple[list[Unit], int]:
    """Return the units of training and the number of the first; several ranks may say the same start."""
    starts: list[tuple[Event, float | None, float]] = []  # with its number, and the end: its last stop
    for event in events:
        number = event.number(source)
        if event.key != start_key:
            if starts:
                starts[-1] = (*starts[-1][:2], event.at_s)
        elif not (starts and number is not None and number == starts[-1][1]):
            starts.append((event, number, math.inf))
    base = _base(source, starts)
    units: list[Unit] = []
    high = 0.0
    for event, number, ended_s in starts:
        low = high if number is None else number - base
        if low < high - NEAR and units:
            raise IngestError(
                f"{source}:{event.line}: {event.key} of epoch {number:g} after one of epoch {units[-1].low + base:g} "
                f"(line {units[-1].line}); expected epochs in order, and one run a file"
            )
        high = low + _count(source, event)
        if units:
            units[-1] = replace(units[-1], ended_s=min(units[-1].ended_s, event.at_s))
        units.append(Unit(low, high, event.at_s, ended_s, event.line))
    if math.isinf(units[-1].ended_s):
        units[-1] = replace(units[-1], ended_s=stopped_s, is_whole=False)
    return units, base


def _base(source: str, starts: Sequence[tuple[Event, float | None, float]]) -> int:
    """Return from which number epochs are counted, 0 or 1."""
    first, number, _ = starts[0]
    for event, other, _ in starts:
        if (other is None) != (number is None):
            raise IngestError(f"{source}:{event.line}: only some {event.key} have an epoch number; expected it in all")
    if number is None:
        return 1
    if number not in (0, 1):
        raise IngestError(
            f"{source}:{first.line}: the first {first.key} is of epoch {number:g}; expected 0 or 1: a log of the whole "
            f"training, from its first epoch on"
        )
    return int(number)


def _count(source: str, event: Event) -> float:
    """Return the number of epochs in a unit."""
    found = event.metadata.get("epoch_count", 1) if event.key == "block_start" else 1
    if not isinstance(found, int | float) or not 0 < found < 2**53:
        raise IngestError(f"{source}:{event.line}: epoch_count is {found!r:.40}; expected a number above 0")
    return found


@dataclass
class _Evaluations:
    """Collects the evaluations of a log, event by event."""

    source: str
    units: Sequence[Unit]
    stopped_s: float
    errors: Mapping[int, Mapping[str, float]]
    found: list[Evaluation] = field(default_factory=list)
    after_stop: int = 0

    def take(self, event: Event) -> None:
        if event.key == "eval_start":
            self._start(event)
        elif event.key == "eval_accuracy":
            self._accuracy(event)
        elif event.key == "eval_stop" and self.found:
            self._change(ended_s=min(self.stopped_s, max(event.at_s, self.found[-1].ended_s)))

    def take_after_stop(self, event: Event) -> None:
        """Take the error rate of an evaluation that was under way at run_stop; what begins after it does not count."""
        under_way = bool(self.found) and not self.found[-1].errors and not self.after_stop
        if event.key == "eval_accuracy" and under_way:
            self._change(errors=self.errors[event.line], ended_s=self.stopped_s)
        elif event.key in ("eval_start", "eval_accuracy"):
            self.after_stop += 1

    def whole(self) -> Iterator[Evaluation]:
        """Yield the evaluations that have an error rate; only the last may have none, where the run was cut short."""
        for place, evaluation in enumerate(self.found):
            if evaluation.errors:
                yield evaluation
            elif place < len(self.found) - 1:
                raise IngestError(
                    f"{self.source}:{evaluation.line}: eval_start without an eval_accuracy; expected one for each"
                )

    def _start(self, event: Event) -> None:
        number = event.number(self.source)
        if self._is_another_ranks(number):
            return
        unit = sum((each.started_s, each.line) < (event.at_s, event.line) for each in self.units) - 1
        self.found.append(Evaluation(number, event.at_s, event.at_s, {}, event.line, unit))

    def _accuracy(self, event: Event) -> None:
        number, errors = event.number(self.source), self.errors[event.line]
        last = self.found[-1] if self.found else None
        if last is None or (last.errors and not self._is_another_ranks(number)):
            self._start(event)
            last = self.found[-1]
        if last.errors and last.errors != errors:
            raise IngestError(
                f"{self.source}:{event.line}: eval_accuracy is {event.value!r:.40}, and another one on line "
                f"{last.line} for the same evaluation; expected one for each, with its eval_start or epoch_num"
            )
        if last.epochs is not None and number is not None and number != last.epochs:
            raise IngestError(
                f"{self.source}:{event.line}: eval_accuracy of epoch {number:g} in an evaluation of epoch "
                f"{last.epochs:g} (line {last.line}); expected the same number"
            )
        self._change(
            errors=errors,
            epochs=number if last.epochs is None else last.epochs,
            ended_s=max(event.at_s, last.ended_s),
            line=last.line if last.errors else event.line,
        )

    def _is_another_ranks(self, number: float | None) -> bool:
        """Whether a line belongs to the evaluation that was collected last: several ranks may log it."""
        return bool(self.found) and number is not None and number == self.found[-1].epochs

    def _change(self, **changes: object) -> None:
        self.found[-1] = replace(self.found[-1], **changes)  # type: ignore[arg-type]
