"""Which runs are repetitions: n is the number of different error curves.

    curves_of(records)          # (0, 1, 1, 2): the second and third run went the same way; n = 3

Two runs whose errors agree in every epoch that both evaluated, and whose losses agree in every step that both logged,
are one training that was timed twice: deterministic runs of one seed, a resumed checkpoint, a submission whose seeds
were never used. They tell twice how fast the machine is, and once how many epochs the training takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.metrics import METRICS
from benchmark.record import Row, RunRecord
from benchmark.record.phases import Phase

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

LEAST_EPOCHS = 2  # errors in fewer epochs can agree by chance; losses do not


def curves_of(records: Sequence[RunRecord]) -> tuple[int, ...]:
    """Return each run's number of its error curve, from 0 in the order of runs."""
    kept: dict[tuple, list[tuple[int, RunRecord]]] = {}  # by the first evaluation: the first run of each curve
    numbers: list[int] = []
    for record in records:
        known = kept.setdefault(_first_errors(record), [])
        number = next((number for number, other in known if _same_curve(record, other)), None)
        if number is None:
            number = max(numbers, default=-1) + 1
            known.append((number, record))
        numbers.append(number)
    return tuple(numbers)


def _first_errors(record: RunRecord) -> tuple:
    first = record.evaluations[:1]
    return tuple((row.epoch, row.wer, row.cer) for row in first)


def _same_curve(one: RunRecord, other: RunRecord) -> bool:
    evaluations = [{row.epoch: row for row in record.evaluations} for record in (one, other)]
    common = evaluations[0].keys() & evaluations[1].keys()
    if not common or not all(_same_errors(evaluations[0][epoch], evaluations[1][epoch]) for epoch in common):
        return False
    losses = [_losses(record) for record in (one, other)]
    steps = losses[0].keys() & losses[1].keys()
    if not steps and len(common) < LEAST_EPOCHS:
        return False
    return all(losses[0][step] == losses[1][step] for step in steps)


def _same_errors(one: Row, other: Row) -> bool:
    """Return whether the errors that both runs measured agree, and there are some: an older version measured fewer."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in METRICS]
    both = [pair for pair in pairs if None not in pair]
    return bool(both) and all(mine == theirs for mine, theirs in both)


def _losses(record: RunRecord) -> dict[int, float]:
    columns = record.table.columns
    trained = (columns["phase"] == Phase.TRAIN.value) & ~np.isnan(columns["loss"])
    return dict(zip(columns["step"][trained].tolist(), columns["loss"][trained].tolist(), strict=True))
