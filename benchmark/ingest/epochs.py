"""The rows of a log's epochs: train, evaluate and probe, in the order in which a run would have written them.

rows(timeline, Sizes(batches=4, utterances=1000, evaluated=50), zero_s=0.0, success=True)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmark.ingest.timeline import Evaluation, Timeline
from benchmark.record.clocks import Span
from benchmark.record.columns import Outcome
from benchmark.record.phases import Phase

TOUCHING_S = 1e-3  # the resolution of a log's times
Rows = list[tuple[Phase, Span, Outcome]]


@dataclass(frozen=True)
class Sizes:
    """What an epoch has, as far as the log says: batches and utterances of training, utterances of an evaluation."""

    batches: float
    utterances: int | None
    evaluated: int | None


def rows(timeline: Timeline, sizes: Sizes, *, zero_s: float, success: bool) -> Rows:
    """Return the rows of a run's epochs; times are from `zero_s` on.

    The first epoch begins at run_start, where MLPerf's clock does. If the run was a success its last evaluation lasts
    until run_stop, where that clock ends.
    """
    trained = [piece for place in range(len(timeline.units)) for piece in _trained(timeline, place)]
    if success and timeline.evaluations:
        last = timeline.evaluations[-1]
        trained = [piece for piece in trained if piece.is_known or piece.started_s < last.started_s]
    waiting = sorted(_ended(timeline, success, trained), key=lambda each: each.ended_s)
    found: Rows = []
    for piece in trained:
        while waiting and waiting[0].ended_s <= piece.started_s + TOUCHING_S:
            found.append(_evaluated(waiting.pop(0), sizes, zero_s))
        span = Span(piece.started_s - zero_s, piece.ended_s - piece.started_s)
        found.append((Phase.TRAIN, span, piece.outcome(sizes)))
    return found + [_evaluated(each, sizes, zero_s) for each in waiting]


@dataclass(frozen=True)
class _Piece:
    """Training between two evaluations, or up to the end of a unit: from `low` to `high` epochs trained.

    Of what run_stop cut short it is not known how much was trained.
    """

    started_s: float
    ended_s: float
    low: float
    high: float
    is_known: bool = True

    def outcome(self, sizes: Sizes) -> Outcome:
        if not self.is_known:
            return Outcome(step=_step(self.low, sizes), epoch=math.floor(self.low) + 1)
        utterances = None if sizes.utterances is None else round(sizes.utterances * (self.high - self.low))
        return Outcome(step=_step(self.high, sizes), epoch=math.ceil(self.high), utterances=utterances)


def _trained(timeline: Timeline, place: int) -> Iterator[_Piece]:
    """Yield what was trained of a unit, between the evaluations in it."""
    unit, trained = timeline.units[place], timeline.units[place].low
    begun_s = unit.started_s if place else timeline.started_s
    for each in timeline.evaluations:
        within = each.unit == place and each.started_s < unit.ended_s and each.epochs > unit.low
        if within and each.started_s >= begun_s:
            yield _Piece(begun_s, each.started_s, trained, each.epochs)
            begun_s, trained = each.ended_s, each.epochs
    if trained < unit.high and math.isfinite(unit.ended_s) and unit.ended_s >= begun_s:
        yield _Piece(begun_s, unit.ended_s, trained, unit.high, unit.is_whole)


def _ended(timeline: Timeline, success: bool, trained: Sequence[_Piece]) -> list[Evaluation]:
    """Return the evaluations; the last one of a run that reached its target ends at run_stop."""
    there = list(timeline.evaluations)
    if success and there and all(piece.started_s <= there[-1].started_s for piece in trained):
        there[-1] = replace(there[-1], ended_s=timeline.stopped_s, at_target=True)
    return there


def _evaluated(each: Evaluation, sizes: Sizes, zero_s: float) -> tuple[Phase, Span, Outcome]:
    """Return the row of an evaluation: within an epoch it is a probe, unless it ended the run, as by MLPerf's rules."""
    outcome = Outcome(step=_step(each.epochs, sizes), epoch=math.ceil(each.epochs), utterances=sizes.evaluated)
    phase = Phase.EVALUATE if each.epochs > 0 and (each.is_whole or each.at_target) else Phase.PROBE
    return phase, Span(each.started_s - zero_s, each.ended_s - each.started_s), replace(outcome, **each.errors)  # type: ignore[arg-type]


def _step(epochs: float, sizes: Sizes) -> int:
    return round(epochs * sizes.batches)
