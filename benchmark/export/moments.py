"""The curves of a run, as those who draw them want them: values by name at moments.

    for moment in moments(run):
        moment.step, moment.unix_s, moment.values       # 1600, 1767225600.5, {"train/loss": 41.2, "clock/minutes": 0.3}

A moment is the end of a row of the journal. `step` is the number of utterances that the model has learnt from since the
run began, which compares runs of other batches. `unix_s` is the time of day, by the clock and the time at which each
attempt began; "clock/minutes" is the run's own clock, which stands still between attempts. What an attempt did after
the checkpoint from which a later one went on is left out, as it is everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmark.metrics import METRICS
from benchmark.record import Run
from benchmark.record.columns import Row
from benchmark.record.phases import EVALUATED, Phase

CLOCK = "clock/minutes"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The end of a row: `clock_s` is the run's clock; `values` are by the names of their curves."""

    step: int
    unix_s: float
    clock_s: float
    values: Mapping[str, float]


def moments(run: Run) -> Iterator[Moment]:
    """Yield the moments of a run, in order. Without run.json times of day are those of a run begun in 1970.

    Raises:
        FactsError: a run.json cannot be used.
    """
    began: dict[int, float] = {}  # an attempt's zero of the clock, in Unix time
    created = {number: facts.created.timestamp() for number, facts in run.attempts.items()}
    utterances = 0
    for row in run.record.standing:
        if row.attempt not in began:
            began[row.attempt] = created.get(row.attempt, 0.0) - row.started_s
        if row.phase is Phase.TRAIN:
            utterances += row.utterances or 0
        if values := _values(row):
            yield Moment(step=utterances, unix_s=began[row.attempt] + row.ended_s, clock_s=row.ended_s, values=values)


def _values(row: Row) -> dict[str, float]:
    if row.phase is Phase.TRAIN:
        found = {
            "train/loss": row.loss,
            "train/utterances_per_second": row.utterances / row.seconds if row.utterances and row.seconds else None,
            "train/tflop_per_second": row.tflop / row.seconds if row.tflop and row.seconds else None,
            "train/input_wait_share": row.input_s / row.seconds if row.input_s is not None and row.seconds else None,
        }
    elif row.phase in EVALUATED:
        found = {f"{row.phase.value}/{name}": getattr(row, name) for name in METRICS}
        found["evaluate/seconds"] = row.seconds
    else:
        found = {f"{row.phase.value}/seconds": row.seconds}
    known = {name: float(value) for name, value in found.items() if value is not None}
    return {**known, CLOCK: row.ended_s / 60, "clock/epoch": float(row.epoch), "clock/batch": float(row.step)}
