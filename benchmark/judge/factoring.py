"""Predict a rig's time to accuracy: epochs to target, pooled over comparable rigs, times its own seconds per epoch.

    for prediction in factor(groups):
        prediction.estimate.value / 60, prediction.pool_runs, prediction.reason

From seed to seed it is the epochs that vary (3.9% in 117 MLPerf speech result sets), not the time of one (0.2%). How
many epochs a level takes is a matter of workload, recipe, batch and precision, whatever the rig. So the epochs of
all comparable runs are pooled, and a rig's own runs say only how long an epoch takes. The pool is used if a
Kruskal-Wallis test over its rigs, three runs or more each, does not find them different; a run that missed the level
spoils it. Runs of one seed are no independent evidence, so they count as one, with their geometric mean.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.judge.estimates import Estimate, factored, homogeneity
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level

COMPARABLE = (
    "workload",
    "variant",
    "recipe",
    "batch",
    "replicas",
    "precision",
    "features",
    "decoder",
    "code",
    "emulated",
)
"""The columns in which runs must agree before their epochs to target are pooled.

Replicas are among them: each normalises by its own share of a batch.
"""

TESTED_FROM = 3  # runs a rig: with fewer Kruskal-Wallis cannot object, whatever it sees


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Factored time to accuracy of one group and level in seconds, or the reason why there is none."""

    group: Group
    level: Level
    pool_runs: int
    pool_rigs: int
    p: float | None = None  # of Kruskal-Wallis
    estimate: Estimate | None = None
    reason: str = ""

    def fields(self) -> dict[str, object]:
        """The columns of a table, in minutes."""
        minutes = [None if value is None else value / 60 for value in _bounds(self.estimate)]
        return {
            "platform": self.group.label,
            "workload": self.group.workload,
            "metric": self.level.metric,
            "level_percent": self.level.percent,
            **dict(zip(("factored_minutes", "interval_low_minutes", "interval_high_minutes"), minutes, strict=True)),
            "pool_runs": self.pool_runs,
            "pool_rigs": self.pool_rigs,
            "p": self.p,
            "reason": self.reason,
        }


def _bounds(estimate: Estimate | None) -> tuple[float | None, ...]:
    return (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Median absolute error, as a share, of two ways to tell a rig's time to accuracy from one run of it."""

    level: Level
    runs: int
    factored: float
    single: float


def factor(groups: Sequence[Group]) -> Listing[Prediction]:
    """Predict the wall-clock time of every measured group to every level."""
    return Listing(
        _predict(group, number, _pool(group, groups))
        for group in groups
        if group.runs
        for number in range(len(group.levels))
    )


def leave_one_out(groups: Sequence[Group]) -> list[LeftOut]:
    """Test the predictions on the runs at hand; a result for every level that can be tested.

    Each run in turn stands for its rig: its seconds per epoch times the epochs of the other rigs' runs, against its
    own time to accuracy; the truth is the geometric mean of the rig's other runs. A rig alone in its pool is left out.
    """
    found = []
    measured = [group for group in groups if group.runs]
    for number, column in enumerate(measured[0].levels if measured else ()):
        errors = [pair for group in measured for pair in _errors(group, number, _pool(group, measured))]
        if errors:
            ours, single = (statistics.median(abs(math.log(pair[n])) for pair in errors) for n in (0, 1))
            result = LeftOut(level=column, runs=len(errors), factored=math.expm1(ours), single=math.expm1(single))
            found.append(result)
    return found


def _pool(group: Group, groups: Sequence[Group]) -> list[Group]:
    """Return the groups whose epochs may be pooled with this one's, itself among them."""

    def key(other: Group) -> tuple:
        return tuple(getattr(other.runs[0].identity, name) for name in COMPARABLE)

    return [other for other in groups if other.runs and key(other) == key(group)]


def _predict(group: Group, number: int, pool: Sequence[Group]) -> Prediction:
    level, columns = group.levels[number], [other.levels[number] for other in pool]
    epochs = [column.epochs for column in columns]
    runs = sum(map(len, epochs))
    about: dict[str, Any] = {"group": group, "level": level, "pool_runs": runs, "pool_rigs": len(pool)}
    if missed := sum(epoch is None for column in epochs for epoch in column):
        return Prediction(**about, reason=f"{missed} of {runs} runs of the pool missed it")
    if runs < 2:
        return Prediction(**about, reason="a single run is no pool")
    if len(pool) > 1 and min(map(len, epochs)) < TESTED_FROM:
        return Prediction(**about, reason=f"under {TESTED_FROM} runs of a rig: too few to tell whether rigs differ")
    test = homogeneity(epochs)
    if not test.holds:
        return Prediction(
            **about, p=test.p, reason=f"the rigs' epochs differ (Kruskal-Wallis p = {test.p:.2g}): they share no pool"
        )
    speeds = [record.seconds_per_epoch for record in group.records]
    startup_s = statistics.median(record.startup_s for record in group.records)
    return Prediction(**about, p=test.p, estimate=factored(_by_seed(pool, number), speeds, startup_s=startup_s))


def _by_seed(groups: Sequence[Group], number: int) -> list[float]:
    """Return epochs to a level, the geometric mean for every seed."""
    logs: dict[int, list[float]] = {}
    for group in groups:
        for run, epoch in zip(group.runs, group.levels[number].epochs, strict=True):
            logs.setdefault(run.identity.seed, []).append(math.log(epoch))
    return [math.exp(statistics.fmean(found)) for found in logs.values()]


def _errors(group: Group, number: int, pool: Sequence[Group]) -> Iterator[tuple[float, float]]:
    """Yield for every run its factored prediction and its own time, both over the truth; nothing without a pool."""
    level, others = group.levels[number], [other for other in pool if other is not group]
    if _predict(group, number, pool).estimate is None or len(group.records) < 2 or not others:
        return
    times = level.by_clock["wall"]
    for n, record in enumerate(group.records):
        rest = [time for m, time in enumerate(times) if m != n]
        truth = math.exp(statistics.fmean(map(math.log, rest)))
        predicted = factored(_by_seed(others, number), [record.seconds_per_epoch], startup_s=record.startup_s).value
        yield predicted / truth, times[n] / truth
