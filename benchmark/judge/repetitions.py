"""Which runs are repetitions: n is the number of different error curves.

    curves_of(records)          # (0, 1, 1, 2): the second and third run went the same way; n = 3

Two runs whose errors agree in every epoch that both evaluated, and whose losses agree in all batches that both logged
in one row, are one training that was timed twice: deterministic runs of one seed, a resumed checkpoint, a submission
whose seeds were never used. They tell twice how fast the machine is, and once how many epochs the training takes.
A run that was interrupted before its first evaluation is no other curve where its losses begin another run's, and one
that was interrupted before its first batch where another run has its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.metrics import METRICS
from benchmark.record import Row, RunRecord
from benchmark.record.phases import Phase

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record.short import np

LEAST_EPOCHS = 2  # errors in fewer epochs can agree by chance; losses do not


def curves_of(records: Sequence[RunRecord]) -> tuple[int, ...]:
    """Return each run's number of its error curve, from 0 in the order of runs."""
    curves = [_Curve(record) for record in records]
    kept: dict[tuple, list[int]] = {}  # by the first evaluation: the first run of each curve
    alike: dict[int, int] = {}  # each run's first run of its curve
    for place, curve in enumerate(curves):
        if curve.record.evaluations:
            known = kept.setdefault(_first_errors(curve.record), [])
            alike[place] = next((other for other in known if _same_curve(curve, curves[other])), place)
            known += [place] * (alike[place] == place)
    for place, curve in enumerate(curves):
        if place not in alike:
            alike[place] = next(
                (first for first in sorted(set(alike.values())) if _begins(curve, curves[first])), place
            )
    firsts = list(dict.fromkeys(alike[place] for place in range(len(records))))
    return tuple(firsts.index(alike[place]) for place in range(len(records)))


def _first_errors(record: RunRecord) -> tuple:
    first = record.evaluations[0]
    return first.epoch, first.wer, first.cer


class _Curve:
    """A run's errors by epoch and losses by batches, each looked up once however many runs it is held against."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @cached_property
    def evaluations(self) -> dict[int, Row]:
        return {row.epoch: row for row in self.record.evaluations}

    @cached_property
    def losses(self) -> dict[tuple[int, float], float]:
        return _losses(self.record)


def _same_curve(one: _Curve, other: _Curve) -> bool:
    common = [epoch for epoch in one.evaluations if epoch in other.evaluations]
    if not common or not all(_same_errors(one.evaluations[epoch], other.evaluations[epoch]) for epoch in common):
        return False
    spans = one.losses.keys() & other.losses.keys()
    if not spans and len(common) < LEAST_EPOCHS:
        return False
    return all(one.losses[span] == other.losses[span] for span in spans)


def _begins(unevaluated: _Curve, other: _Curve) -> bool:
    """Return whether a run without an evaluation went the way of another as far as it went."""
    mine, theirs = unevaluated.losses, other.losses
    if not mine:
        one, two = unevaluated.record.identity, other.record.identity
        return one is not None and two is not None and one.seed == two.seed
    spans = mine.keys() & theirs.keys()
    return bool(spans) and all(mine[span] == theirs[span] for span in spans)


def _same_errors(one: Row, other: Row) -> bool:
    """Return whether the errors that both runs measured agree, and there are some: an older version measured fewer."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in METRICS]
    both = [pair for pair in pairs if None not in pair]
    return bool(both) and all(mine == theirs for mine, theirs in both)


def _losses(record: RunRecord) -> dict[tuple[int, float], float]:
    """Map the batches of each train row, as its last and its utterances, to the mean loss over them.

    A row after a resumption, or before an interruption, is of fewer batches than the row of another run that ends at
    the same one.
    """
    columns = record.table.columns
    trained = (columns["phase"] == Phase.TRAIN.value) & ~np.isnan(columns["loss"])
    steps, losses = (columns[name][trained].tolist() for name in ("step", "loss"))
    utterances = np.where(np.isnan(columns["utterances"]), 0.0, columns["utterances"])[trained].tolist()
    return dict(zip(zip(steps, utterances, strict=True), losses, strict=True))
