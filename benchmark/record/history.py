"""What follows from a run's rows: clocks, evaluations, the epoch that reached a target, throughput.

    record = journal.read("results/run.csv")
    record.time_to_accuracy_s("wer", 22.0, window=3, clock="wall")
    record.seconds_per_epoch, record.shares["evaluate"], record.rows[0].devices
    record.to_frame()                           # pandas, a row a phase

A RunRecord is a value: the rows of a run that has ended, or of the part that was read. Its figures are computed from
columns by NumPy. What comes next in a run under way is decided by `benchmark.run.progress`, row by row.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmark.record.columns import COLUMNS, POOLED, Identity, Row, Table
from benchmark.record.phases import Phase

if TYPE_CHECKING:
    from pandas import DataFrame

CLOCKS = {
    "wall": frozenset[Phase](),
    "train": frozenset(Phase) - {Phase.TRAIN},
    "mlperf": frozenset({Phase.CREATE}),
}
"""Clock -> phases whose time it leaves out. `wall` is the paper's: everything since model creation."""

CLOCK_STEP_S = 1e-6  # of a journal's times
TOUCHING_S = 1e-5  # a row that begins by less before the one above ended does not overlap it
COMPILING_ROWS = 2  # first train rows of an attempt: its first steps compile. Only throughput leaves them out


class RunRecord:
    """All rows of one run, in the order in which they were written, and what follows from them.

    Two records are equal if their rows are; `source` is the file they came from.
    """

    def __init__(self, rows: Iterable[Row] = (), source: str = "", *, table: Table | None = None) -> None:
        self.table = Table.of(rows) if table is None else table
        self.source = source

    def __len__(self) -> int:
        return len(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunRecord) and self.rows == other.rows

    __hash__ = object.__hash__

    @property
    def identity(self) -> Identity | None:
        """Whose run it is; None where there is no row."""
        return self.table.identity

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return self.table.rows()

    def to_frame(self) -> DataFrame:
        """All rows as a pandas DataFrame with the journal's columns; what does not apply is missing."""
        import pandas  # here: it takes longer to import than a judgement

        frame = pandas.DataFrame({**vars(self.identity or _NOBODY), **self.table.columns}, index=range(len(self)))
        return frame[[name for name in COLUMNS if name != "schema"]]

    # --- where the run stands ------------------------------------------------------------------------------------

    @property
    def attempts(self) -> int:
        """How many processes worked on the run, one after the other."""
        return int(self.table.columns["attempt"][-1]) if len(self) else 0

    @property
    def resumed(self) -> bool:
        return self.attempts > 1

    @cached_property
    def ended_s(self) -> float:
        """When the last phase to end did."""
        return float(np.max(self._ends_s, initial=0.0))

    @property
    def created_s(self) -> float:
        """When model creation began: the zero of the wall and train clocks."""
        return float(self.table.columns["started_s"][0]) if len(self) else 0.0

    @cached_property
    def _ends_s(self) -> np.ndarray:
        return self.table.columns["started_s"] + self.table.columns["seconds"]

    def _are(self, *phases: Phase) -> np.ndarray:
        """Which rows are of these phases, bool [rows]."""
        return np.isin(self.table.columns["phase"], [phase.value for phase in phases])

    # --- what still holds ----------------------------------------------------------------------------------------

    @cached_property
    def _stands(self) -> np.ndarray:
        """Which rows still hold, bool [rows]: an attempt undoes what earlier ones did after the step it began from.

        Its first row says where: created (from a checkpoint) at that step, or trained from before it.
        """
        stands = np.ones(len(self), bool)
        attempts, steps = self.table.columns["attempt"], self.table.columns["step"]
        for first in np.flatnonzero(np.diff(attempts)) + 1:
            kept = steps[first] - (self.table.columns["phase"][first] == Phase.TRAIN.value)
            stands[:first] &= steps[:first] <= kept
        return stands

    @cached_property
    def standing(self) -> tuple[Row, ...]:
        """The rows that still hold."""
        return tuple(map(self.table.row, np.flatnonzero(self._stands)))

    @cached_property
    def _evaluated(self) -> np.ndarray:
        """Where the evaluate rows are, one an epoch, in order of epochs; int [epochs]."""
        numbers = np.flatnonzero(self._stands & self._are(Phase.EVALUATE))
        latest = {
            int(self.table.columns["epoch"][n]): n for n in numbers
        }  # a later attempt's replaces an earlier one's
        return np.array([latest[epoch] for epoch in sorted(latest)], dtype=np.int64)

    @cached_property
    def evaluations(self) -> tuple[Row, ...]:
        """One evaluate row an epoch, in order of epochs."""
        return tuple(map(self.table.row, self._evaluated))

    @property
    def evaluated_epoch(self) -> int:
        """The last epoch that has an evaluation."""
        return self.evaluations[-1].epoch if self.evaluations else 0

    # --- time to accuracy ----------------------------------------------------------------------------------------

    def medians(self, metric: str, *, window: int = 3) -> np.ndarray:
        """For every evaluation the median error over the `window` epochs in a row that it ends, float64 [evaluations].

        NaN where there are not so many epochs in a row, or an error is not known.
        """
        errors, epochs = (self.table.columns[name][self._evaluated] for name in (metric, "epoch"))
        medians = np.full(len(errors), math.nan)
        if len(errors) >= window:
            middle = np.median(sliding_window_view(errors, window), axis=1)
            in_a_row = epochs[window - 1 :] - epochs[: len(epochs) - window + 1] == window - 1
            medians[window - 1 :] = np.where(in_a_row, middle, math.nan)
        return medians

    def reached(self, metric: str, level: float, *, window: int = 3) -> Row | None:
        """The evaluation at which time to accuracy is read, or None.

        It is the evaluation of the first epoch i >= window whose median error over epochs i-window+1..i is <= level
        (the paper's TTA(a, e), with a the level and e the window).
        """
        there = np.flatnonzero(self.medians(metric, window=window) <= level)
        return self.evaluations[there[0]] if len(there) else None

    def best_median(self, metric: str, *, window: int = 3) -> float | None:
        """The lowest median error over `window` epochs in a row."""
        medians = self.medians(metric, window=window)
        return float(np.nanmin(medians)) if not np.isnan(medians).all() else None

    def time_to_accuracy_s(self, metric: str, level: float, *, window: int = 3, clock: str = "wall") -> float | None:
        """Seconds by one of CLOCKS until the level was reached, or None."""
        row = self.reached(metric, level, window=window)
        return None if row is None else self.read_s(row, clock)

    # --- clocks --------------------------------------------------------------------------------------------------

    def read_s(self, evaluation: Row, clock: str = "wall") -> float:
        """What a clock shows when an evaluation's figures are known.

        The train clock is read when the evaluation began: no training that went on beside it was needed.
        """
        return self.clock_s(evaluation.started_s if clock == "train" else evaluation.ended_s, clock)

    def clock_s(self, until_s: float, clock: str = "wall") -> float:
        """What a clock shows at a moment of the journal."""
        if clock == "mlperf" and (trained := self._are(Phase.TRAIN)).any():
            return until_s - float(self.table.columns["started_s"][trained].min())
        return until_s - self.created_s - self.alone_s(CLOCKS[clock], until_s=until_s)

    def alone_s(self, phases: Collection[Phase], *, until_s: float = math.inf) -> float:
        """Seconds in which these phases ran and no other: an evaluation may overlap training."""
        if not phases:
            return 0.0
        mine = self._are(*phases)
        if not self._overlaps:
            return self._covered_s(mine, until_s)
        return self._covered_s(np.ones(len(self), bool), until_s) - self._covered_s(~mine, until_s)

    @cached_property
    def _overlaps(self) -> bool:
        """Whether a row began before the one above ended."""
        return bool(np.any(self.table.columns["started_s"][1:] < self._ends_s[:-1] - TOUCHING_S))

    def _covered_s(self, which: np.ndarray, until_s: float) -> float:
        """Seconds before a moment in which at least one of some rows was under way."""
        starts_s, ends_s = self.table.columns["started_s"][which], np.minimum(self._ends_s[which], until_s)
        order = np.argsort(starts_s, kind="stable")
        starts_s, ends_s = starts_s[order], ends_s[order]
        covered_to_s = np.concatenate([[-math.inf], np.maximum.accumulate(ends_s)[:-1]]) if len(ends_s) else ends_s
        return float(np.sum(np.maximum(0.0, ends_s - np.maximum(starts_s, covered_to_s))))

    @cached_property
    def shares(self) -> dict[Phase, float]:
        """Phase -> its part of the wall clock, 0 to 1; of evaluation only what no other phase ran beside."""
        total_s = self.ended_s - self.created_s
        seconds = {p: float(self.table.columns["seconds"][self._are(p)].sum()) for p in Phase if p is not Phase.DONE}
        seconds[Phase.EVALUATE] = self.alone_s({Phase.EVALUATE})
        return {phase: value / total_s if total_s else 0.0 for phase, value in seconds.items()}

    # --- speed ---------------------------------------------------------------------------------------------------

    @cached_property
    def _steady(self) -> np.ndarray:
        """Where the train rows are that took time, without the first ones of an attempt, which compile; int [n]."""
        trained = np.flatnonzero(self._are(Phase.TRAIN))
        attempts = self.table.columns["attempt"][trained]
        number = np.arange(len(trained)) - np.searchsorted(attempts, attempts)  # within its attempt, from 0
        timed = self.table.columns["seconds"][trained] >= CLOCK_STEP_S
        return trained[(number >= COMPILING_ROWS) & timed]

    @cached_property
    def throughputs(self) -> list[float]:
        """Utterances per second of every train row but the first ones of an attempt."""
        rates = self.table.columns["utterances"][self._steady] / self.table.columns["seconds"][self._steady]
        return rates[~np.isnan(rates)].tolist()

    @property
    def utterances_per_s(self) -> float | None:
        """The median over `throughputs`."""
        return statistics.median(self.throughputs) if self.throughputs else None

    @cached_property
    def input_share(self) -> float | None:
        """The part of training, 0 to 1, that waited for input; without the first train rows of an attempt."""
        return self._per_second("input_s")

    @cached_property
    def tflop_per_s(self) -> float | None:
        """10^12 floating-point operations of the model a second of training; without the first rows of an attempt."""
        return self._per_second("tflop")

    def _per_second(self, column: str) -> float | None:
        amounts = self.table.columns[column][self._steady]
        known = ~np.isnan(amounts)
        seconds = self.table.columns["seconds"][self._steady][known].sum()
        return float(amounts[known].sum() / seconds) if known.any() else None

    @cached_property
    def seconds_per_epoch(self) -> float | None:
        """The mean time from one evaluation's end to the next one's; a single epoch counts from model creation."""
        if not self.evaluations:
            return None
        first, last = self.evaluations[0], self.evaluations[-1]
        if first is last:
            return (first.ended_s - self.created_s) / first.epoch
        return (last.ended_s - first.ended_s) / (last.epoch - first.epoch)

    @property
    def startup_s(self) -> float | None:
        """What the first epoch took more than the others: creation and compilation."""
        if self.seconds_per_epoch is None:
            return None
        first = self.evaluations[0]
        return max(0.0, first.ended_s - self.created_s - first.epoch * self.seconds_per_epoch)


_NOBODY = Identity(
    run="", platform="", workload="", recipe="", seed=0, replicas=0, devices="", emulated=False, batch=0, precision="",
    features="", decoder="", evaluation="", code="",
)  # fmt: skip


def differing(records: Iterable[RunRecord], names: Iterable[str] = POOLED) -> list[tuple[str, list[object]]]:
    """The fields among `names` in which runs differ, each with its values; empty if the runs may be pooled."""
    identities = [record.identity for record in records if record.identity]
    values = {name: sorted({getattr(identity, name) for identity in identities}, key=str) for name in names}
    return [(name, found) for name, found in values.items() if len(found) > 1]
