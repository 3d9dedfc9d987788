"""Figures computed from a run's rows: clocks, evaluations, the epoch that reached a target, throughput.

    record = journal.read("results/run.csv")
    record.time_to_accuracy_s("wer", 22.0, window=3, clock="wall")
    record.seconds_per_epoch, record.shares["evaluate"], record.rows[0].devices
    record.to_frame()                           # pandas, one row per phase

A RunRecord does not change: it holds the rows that were read, of a run that has ended or is under way. Its figures are
computed from whole columns, by NumPy if there are many rows. `benchmark.run.state.progress`, in contrast, follows a run
row by row to decide what comes next.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from benchmark.record import arrays
from benchmark.record.columns import COLUMNS, POOLED, Identity, Row
from benchmark.record.phases import EVALUATED, Phase
from benchmark.record.table import Rows, Table

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame
else:
    from benchmark.record.short import np

CLOCKS = {
    "wall": frozenset[Phase](),
    "train": frozenset(Phase) - {Phase.TRAIN},
    "mlperf": frozenset({Phase.CREATE}),
}
"""Maps each clock to the phases whose time it leaves out. `wall`, the paper's, counts all since model creation."""

CLOCK_STEP_S = 1e-6  # the resolution of a journal's times
TOUCHING_S = 1e-5  # rows overlap only if one begins at least this much before the one above ended
MANY = 50  # evaluations whose medians NumPy has sooner, where it is loaded
COMPILING_ROWS = 2  # train rows at the start of an attempt, in which TensorFlow compiles; rates leave them out


class RunRecord:
    """All rows of one run, in the order in which they were written, and the figures computed from them.

    Two records are equal if their rows are. `source` is the file that they came from.
    """

    def __init__(self, rows: Iterable[Row] = (), source: str = "", *, table: Table | None = None) -> None:
        self.table = Table.of(rows) if table is None else table
        self.source = source
        self._medians: dict[tuple[str, int], list[float]] = {}
        self._masks: dict[frozenset[Phase], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunRecord) and self.rows == other.rows

    __hash__ = object.__hash__

    @property
    def identity(self) -> Identity | None:
        """The fields that all rows share; None if there are no rows."""
        return self.table.identity

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return self.table.rows()

    def to_frame(self) -> DataFrame:
        """Return all rows as a pandas DataFrame with the journal's columns; a field that does not apply is NaN."""
        import pandas  # here, not above: importing it takes longer than judging runs

        frame = pandas.DataFrame({**vars(self.identity or _NOBODY), **self.table.columns}, index=range(len(self)))
        return frame[[name for name in COLUMNS if name != "schema"]]

    # --- where the run stands ------------------------------------------------------------------------------------

    @property
    def attempts(self) -> int:
        """The number of processes that worked on the run, one after the other."""
        return int(self.table.columns["attempt"][-1]) if len(self) else 0

    @property
    def resumed(self) -> bool:
        return self.attempts > 1

    @cached_property
    def ended_s(self) -> float:
        """The latest end of a phase, in seconds on the run's clock; 0 if there are no rows."""
        return float(self._ends_s.max(initial=0.0))

    @property
    def created_s(self) -> float:
        """The start of model creation, in seconds on the run's clock: the zero of the wall and train clocks."""
        return float(self.table.columns["started_s"][0]) if len(self) else 0.0

    @cached_property
    def spans_s(self) -> tuple[tuple[float, float], ...]:
        """The stretch of the run's clock that each attempt took, from its first row's start to the latest end."""
        starts_s, firsts = (
            self.table.columns["started_s"],
            np.flatnonzero(np.diff(self.table.columns["attempt"], prepend=0)),
        )
        bounds = [*firsts.tolist(), len(self)]
        return tuple(
            (float(starts_s[first:after].min()), float(self._ends_s[first:after].max()))
            for first, after in zip(bounds, bounds[1:], strict=False)
        )

    @cached_property
    def _ends_s(self) -> np.ndarray:
        return self.table.columns["started_s"] + self.table.columns["seconds"]

    def _are(self, *phases: Phase) -> np.ndarray:
        """Return which rows are of these phases, bool [rows]; not to be written to."""
        asked = frozenset(phases)
        if asked not in self._masks:
            self._masks[asked] = np.isin(self.table.columns["phase"], [phase.value for phase in asked])
        return self._masks[asked]

    # --- rows that still hold ------------------------------------------------------------------------------------

    @cached_property
    def _stands(self) -> np.ndarray:
        """Which rows still hold, bool [rows]: an attempt undoes what earlier ones did after the step it resumed from.

        A create row at the start of an attempt has that step. If the attempt starts with a train row, the step is
        before the row's own.
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
        return self.table.rows(np.flatnonzero(self._stands))

    @cached_property
    def _evaluated(self) -> list[int]:
        """The numbers of the evaluate rows that still hold, one per epoch, in order of epochs."""
        return self._latest("epoch", Phase.EVALUATE)

    def _latest(self, column: str, *phases: Phase) -> list[int]:
        """Return the numbers of rows that still hold, in order of a column; of equals the last, of a later attempt."""
        numbers = np.flatnonzero(self._stands & self._are(*phases))
        latest = dict(zip(self.table.columns[column][numbers].tolist(), numbers.tolist(), strict=True))
        return [latest[value] for value in sorted(latest)]

    @cached_property
    def evaluations(self) -> Sequence[Row]:
        """The evaluate rows that still hold, one per epoch, in order of epochs."""
        return Rows(self.table, self._evaluated)

    @cached_property
    def finely(self) -> RunRecord:
        """The same run, with its evaluations within epochs among the others: itself if it has none."""
        return FineRecord(source=self.source, table=self.table) if self._are(Phase.PROBE).any() else self

    def epochs_at(self, evaluation: Row) -> float:
        """Return how many epochs had been trained at an evaluation."""
        return evaluation.epoch

    def evaluated_before(self, evaluation: Row) -> Row | None:
        """Return the evaluation before one of these, which may be of another record; None if there is none."""
        place = bisect_left(self._of_evaluations("step")[0], evaluation.step)
        return self.evaluations[place - 1] if place else None

    @property
    def evaluated_epoch(self) -> int:
        """The last epoch that has an evaluation; 0 if there is none."""
        return self.evaluations[-1].epoch if self.evaluations else 0

    @cached_property
    def utterances_seen(self) -> tuple[int, ...] | None:
        """The utterances trained on until each evaluation; None if the journal does not count them all."""
        trained = self._stands & self._are(Phase.TRAIN)
        steps, utterances = (self.table.columns[name][trained].tolist() for name in ("step", "utterances"))
        if not steps or any(map(math.isnan, utterances)):
            return None
        in_order = sorted(zip(steps, utterances, strict=True), key=lambda row: row[0])
        ends, sums = [step for step, _ in in_order], [0.0, *accumulate(seen for _, seen in in_order)]
        asked = self.table.columns["step"][self._evaluated].tolist()
        return tuple(round(sums[bisect_right(ends, step)]) for step in asked)

    # --- time to accuracy ----------------------------------------------------------------------------------------

    def medians(self, metric: str, *, window: int = 3) -> list[float]:
        """Return the median error in percent over the `window` epochs up to each evaluation.

        A median is NaN unless those epochs are consecutive and all their errors are known.
        """
        if (metric, window) not in self._medians:
            self._medians[metric, window] = self._medians_of(metric, window)
        return self._medians[metric, window]

    def _medians_of(self, metric: str, window: int) -> list[float]:
        errors, epochs = self._of_evaluations(metric, "epoch")
        consecutive = [last - first == window - 1 for first, last in zip(epochs, epochs[window - 1 :], strict=False)]
        return [math.nan] * min(window - 1, len(epochs)) + [
            median if whole else math.nan for median, whole in zip(_medians(errors, window), consecutive, strict=True)
        ]

    def _of_evaluations(self, *names: str) -> list[list]:
        """Return columns of the evaluations that still hold, in their order."""
        return [self.table.columns[name][self._evaluated].tolist() for name in names]

    def reached(self, metric: str, level: float, *, window: int = 3) -> Row | None:
        """Return the evaluation at which time to accuracy is read; None if the level was not reached.

        It is the evaluation of the first epoch i >= window whose median error over epochs i-window+1..i is <= level
        (the paper's TTA(a, e), where a is the level and e the window).
        """
        place = self._there(metric, level, window)
        return None if place is None else self.evaluations[place]

    def _there(self, metric: str, level: float, window: int) -> int | None:
        """Return the place of the first evaluation at a level among all; None if the level was not reached."""
        medians = self.medians(metric, window=window)
        return next((place for place, median in enumerate(medians) if median <= level), None)

    def best_median(self, metric: str, *, window: int = 3) -> float | None:
        """Return the lowest median error in percent over `window` epochs in a row; None if there is no median."""
        return min([m for m in self.medians(metric, window=window) if m == m], default=None)  # NaN differs from itself

    def time_to_accuracy_s(self, metric: str, level: float, *, window: int = 3, clock: str = "wall") -> float | None:
        """Return the seconds by one of CLOCKS until the level was reached; None if it was not reached."""
        row = self.reached(metric, level, window=window)
        return None if row is None else self.read_s(row, clock)

    def crossing_s(self, metric: str, level: float, *, window: int = 3, clock: str = "wall") -> float | None:
        """Return the seconds until the median error crossed a level, by a straight line through its logarithms.

        The line joins the evaluation at which time to accuracy is read to the one before. Without a median there, as at
        the first epoch that has one, it is the time to accuracy itself; None if the level was not reached.
        """
        place, medians = self._there(metric, level, window), self.medians(metric, window=window)
        if place is None:
            return None
        after_s = self.read_s(self.evaluations[place], clock)
        before, after = medians[place - 1] if place else math.nan, medians[place]
        if math.isnan(before) or after <= 0 or level <= 0:
            return after_s
        before_s = self.read_s(self.evaluations[place - 1], clock)
        return before_s + (after_s - before_s) * math.log(before / level) / math.log(before / after)

    # --- clocks --------------------------------------------------------------------------------------------------

    def read_s(self, evaluation: Row, clock: str = "wall") -> float:
        """Return what a clock shows, in seconds, when an evaluation's error rates are known.

        The train clock is read when the evaluation began, as training done during the evaluation did not affect it.
        """
        return self.clock_s(evaluation.started_s if clock == "train" else evaluation.ended_s, clock)

    def clock_s(self, until_s: float, clock: str = "wall") -> float:
        """Return what a clock shows, in seconds, at a moment of the run's clock."""
        if clock == "mlperf" and (trained := self._are(Phase.TRAIN)).any():
            return until_s - float(self.table.columns["started_s"][trained].min())
        return until_s - self.created_s - self.alone_s(CLOCKS[clock], until_s=until_s)

    def alone_s(self, phases: Collection[Phase], *, until_s: float = math.inf) -> float:
        """Return the seconds in which only these phases ran; this matters as an evaluation may overlap training."""
        if not phases:
            return 0.0
        mine = self._are(*phases)
        if not self._overlaps:
            return self._covered_s(mine, until_s)
        return self._covered_s(np.ones(len(self), bool), until_s) - self._covered_s(~mine, until_s)

    @cached_property
    def _overlaps(self) -> bool:
        """Whether some row began before the one above it ended."""
        return bool((self.table.columns["started_s"][1:] < self._ends_s[:-1] - TOUCHING_S).any())

    def _covered_s(self, which: np.ndarray, until_s: float) -> float:
        """Return the seconds before `until_s` in which at least one of the rows in `which` was under way."""
        starts_s, ends_s = self.table.columns["started_s"][which], np.minimum(self._ends_s[which], until_s)
        order = np.lexsort((starts_s,))
        starts_s, ends_s = starts_s[order], ends_s[order]
        covered_to_s = np.concatenate([[-math.inf], np.maximum.accumulate(ends_s)[:-1]]) if len(ends_s) else ends_s
        return float(np.maximum(ends_s - np.maximum(starts_s, covered_to_s), 0.0).sum())

    @cached_property
    def shares(self) -> dict[Phase, float]:
        """The share of the wall clock of each phase, 0 to 1; evaluation counts only while no other phase ran."""
        total_s = self.ended_s - self.created_s
        seconds = {p: float(self.table.columns["seconds"][self._are(p)].sum()) for p in Phase if p is not Phase.DONE}
        for phase in EVALUATED:
            seconds[phase] = self.alone_s({phase})  # type: ignore[index]
        return {phase: value / total_s if total_s else 0.0 for phase, value in seconds.items()}

    # --- speed ---------------------------------------------------------------------------------------------------

    @cached_property
    def _steady(self) -> np.ndarray:
        """The numbers of the train rows with a duration, without COMPILING_ROWS of each attempt; int64 [n]."""
        trained = np.flatnonzero(self._are(Phase.TRAIN))
        attempts = self.table.columns["attempt"][trained]
        number = np.arange(len(trained)) - np.searchsorted(attempts, attempts)  # within its attempt, from 0
        timed = self.table.columns["seconds"][trained] >= CLOCK_STEP_S
        return trained[(number >= COMPILING_ROWS) & timed]

    @cached_property
    def throughputs(self) -> list[float]:
        """The utterances per second of every train row; without the first rows of each attempt."""
        return self._rates.tolist()

    @cached_property
    def _rates(self) -> np.ndarray:
        rates = self.table.columns["utterances"][self._steady] / self.table.columns["seconds"][self._steady]
        return rates[~np.isnan(rates)]

    @cached_property
    def utterances_per_s(self) -> float | None:
        """The median of `throughputs`; None if there are none."""
        return _median(self._rates) if len(self._rates) else None

    @cached_property
    def input_share(self) -> float | None:
        """The share of training time, 0 to 1, spent waiting for input; without the first rows of each attempt."""
        return self._per_second("input_s")

    @cached_property
    def tflop_per_s(self) -> float | None:
        """10^12 floating-point operations per second of training; without the first rows of each attempt."""
        return self._per_second("tflop")

    def _per_second(self, column: str) -> float | None:
        amounts = self.table.columns[column][self._steady]
        known = ~np.isnan(amounts)
        seconds = self.table.columns["seconds"][self._steady][known].sum()
        return float(amounts[known].sum() / seconds) if known.any() else None

    @cached_property
    def seconds_per_epoch(self) -> float | None:
        """The mean seconds per epoch between the first and last evaluation's ends; from model creation if only one."""
        if not self.evaluations:
            return None
        first, last = self.evaluations[0], self.evaluations[-1]
        if first is last:
            return (first.ended_s - self.created_s) / first.epoch
        return (last.ended_s - first.ended_s) / (last.epoch - first.epoch)

    def pace(self, clock: str = "wall") -> tuple[float, float] | None:
        """Return (start-up, seconds per epoch) by a clock; None without evaluations.

        By the wall clock they are `startup_s` and `seconds_per_epoch`.
        """
        if not self.evaluations:
            return None
        first, last = self.evaluations[0], self.evaluations[-1]
        begun_s, ended_s = (self.read_s(row, clock) for row in (first, last))
        if first is last:
            return 0.0, begun_s / first.epoch
        per_epoch_s = (ended_s - begun_s) / (last.epoch - first.epoch)
        return max(0.0, begun_s - first.epoch * per_epoch_s), per_epoch_s

    @property
    def startup_s(self) -> float | None:
        """The extra seconds of the first epoch over the others: creation and compilation; None without evaluations."""
        if self.seconds_per_epoch is None:
            return None
        first = self.evaluations[0]
        return max(0.0, first.ended_s - self.created_s - first.epoch * self.seconds_per_epoch)


class FineRecord(RunRecord):
    """A run whose evaluations within epochs count as well, in order of batches.

    A median error is then that of all evaluations within the last `window` epochs of batches.
    """

    @property
    def finely(self) -> RunRecord:  # type: ignore[override]
        return self

    @cached_property
    def _evaluated(self) -> list[int]:  # type: ignore[override]
        return self._latest("step", *EVALUATED)

    @cached_property
    def _batches_per_epoch(self) -> float:
        """The batches of an epoch, by the first evaluation at the end of one; NaN without one."""
        whole = np.flatnonzero(self._are(Phase.EVALUATE))
        steps, epochs = (self.table.columns[name][whole] for name in ("step", "epoch"))
        return float(steps[0] / epochs[0]) if len(whole) and epochs[0] else math.nan

    def epochs_at(self, evaluation: Row) -> float:
        return evaluation.step / self._batches_per_epoch

    def _medians_of(self, metric: str, window: int) -> list[float]:
        errors, steps = self._of_evaluations(metric, "step")
        reach = window * self._batches_per_epoch
        return [
            _median(errors[bisect_right(steps, step - reach) : after]) if step >= reach else math.nan
            for after, step in enumerate(steps, start=1)
        ]


def _medians(values: list[float], window: int) -> list[float]:
    """Return the median of every `window` values in a row, NaN where one of them is."""
    if "numpy" in sys.modules and len(values) > max(MANY, window):
        from numpy.lib.stride_tricks import sliding_window_view

        return arrays.median(sliding_window_view(values, window), axis=1).tolist()
    return [_median(row) for row in zip(*(values[first:] for first in range(window)), strict=False)]


def _median(values: Sequence[float] | np.ndarray) -> float:
    """Return the median of at least one value; NaN if one of them is."""
    if hasattr(values, "dtype"):
        return float(arrays.median(values))
    if math.isnan(sum(values)):
        return math.nan
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


_NOBODY = Identity(
    run="", platform="", workload="", recipe="", seed=0, replicas=0, devices="", emulated=False, batch=0, precision="",
    features="", decoder="", evaluation="", code="",
)  # fmt: skip


def differing(records: Iterable[RunRecord], names: Iterable[str] = POOLED) -> list[tuple[str, list[object]]]:
    """Return the fields of `names` in which runs differ, each with its values; empty if they agree in all."""
    identities = [record.identity for record in records if record.identity]
    values = {name: sorted({getattr(identity, name) for identity in identities}, key=str) for name in names}
    return [(name, found) for name, found in values.items() if len(found) > 1]
