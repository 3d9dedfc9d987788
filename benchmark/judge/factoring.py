"""Predict a rig's time to accuracy: epochs to target, pooled over comparable rigs, times its own seconds per epoch.

    for prediction in factor(groups):
        prediction.estimate.value / 60, prediction.pool_runs, prediction.reason

From seed to seed it is the epochs that vary (3.9% in 117 MLPerf speech result sets), not the time of one (0.2%). How
many epochs a level takes is a matter of workload, recipe, batch and precision, whatever the rig. So the epochs of all
comparable rigs are pooled, and a rig's own runs say how long an epoch takes. `benchmark.judge.pooling` tests whether
the rigs' epochs are alike, and keeps the spread between rigs in the interval.

A pool has the rigs with three error curves or more that all reached the level. A rig with fewer, or with a miss, is
left out of the pool (a guest in the code): its time is estimated from it, and its own epochs add nothing. Runs of one
error curve or one seed are no independent evidence, so they count as one, with their geometric mean. Where a rig's
factored interval and the interval of its own times do not meet, there is no factored time: one of the two is wrong.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.judge.estimates import Estimate, Mean, log_interval, product
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level
from benchmark.judge.pooling import Pool

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

NO_EPOCHS = "a log has no ends of epochs, and evaluations are counted in place of them"
POOLED_FROM = 3  # error curves: with fewer a rig says too little about the spread between its runs


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Factored time to accuracy of one group and level in seconds, or the reason why there is none.

    `visible` is the ratio by which one rig would have to differ for the pool's test to object in four cases of five.
    """

    group: Group
    level: Level
    pool_runs: int
    pool_rigs: int
    p: float | None = None  # of the F test that the pool's rigs are alike
    visible: float | None = None
    estimate: Estimate | None = None
    guest: bool = False
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
            "guest": self.guest,
            "p": self.p,
            "visible_ratio": self.visible,
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

    @property
    def is_worse(self) -> bool:
        """Whether factoring misleads on these runs."""
        return self.factored > self.single


def factor(groups: Sequence[Group]) -> Listing[Prediction]:
    """Predict the wall-clock time of every measured group to every level."""
    measured = [group for group in groups if group.runs]
    return Listing(
        _predict(group, number, comparable(group, measured))
        for group in measured
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
        errors = [pair for group in measured for pair in _errors(group, number, comparable(group, measured))]
        if errors:
            ours, single = (statistics.median(abs(math.log(pair[n])) for pair in errors) for n in (0, 1))
            result = LeftOut(level=column, runs=len(errors), factored=math.expm1(ours), single=math.expm1(single))
            found.append(result)
    return found


def comparable(group: Group, groups: Sequence[Group]) -> list[Group]:
    """Return the measured groups whose epochs may be pooled with this one's, itself among them."""

    def key(other: Group) -> tuple:
        return tuple(getattr(other.runs[0].identity, name) for name in COMPARABLE)

    return [other for other in groups if other.runs and key(other) == key(group)]


def members_of(groups: Sequence[Group], number: int) -> list[Group]:
    """Return the groups that make a pool at one level: those with enough curves that all reached it."""
    return [g for g in groups if len(epochs := epochs_of_trainings(g, number)) >= POOLED_FROM and None not in epochs]


def pool_of(groups: Sequence[Group], number: int) -> Pool:
    """Return the pool of groups at one of their levels. Runs of one seed on several rigs are one training."""
    seeds = {run.identity.seed for group in groups for run in group.runs}
    epochs = [epochs_of_trainings(group, number) for group in groups]
    return Pool.of(epochs, trainings=min(len(seeds), sum(map(len, epochs))))


def _predict(group: Group, number: int, alike: Sequence[Group]) -> Prediction:
    members = members_of(alike, number)
    pool, level = pool_of(members, number), group.levels[number]
    about: dict[str, Any] = {"group": group, "level": level, "pool_runs": pool.runs, "pool_rigs": pool.rigs}
    guest = group not in members
    if not all(run.knows("epochs") for other in alike for run in other.runs):
        return Prediction(**about, guest=guest, reason=NO_EPOCHS)
    if pool.rigs < (2 if guest or len(alike) > 1 else 1):
        return Prediction(
            **about,
            guest=guest,
            reason=f"{pool.rigs} of {len(alike)} comparable rigs have {POOLED_FROM} error curves or more that all "
            f"reached it; expected two, to see whether rigs differ",
        )
    about |= {"p": pool.p, "visible": pool.visible, "guest": guest}
    if not pool.holds:
        apart = members[pool.furthest].label
        return Prediction(
            **about,
            reason=f"the rigs' epochs differ (F test, p = {pool.p:.2g}), most of all those of {apart}: they share no "
            f"pool; leave it out, if it is another training",
        )
    if reason := _why_no_guest(group, number, pool) if guest else "":
        return Prediction(**about, reason=reason)
    estimate = _estimate(group, number, pool, members)
    if _disjoint(estimate, own := _own(level)):
        return Prediction(
            **about,
            reason=f"the factored interval ({estimate.low / 60:.3g} to {estimate.high / 60:.3g} min) and that of its "
            f"own times ({own.low / 60:.3g} to {own.high / 60:.3g} min) do not meet: this rig's epochs are not the "
            f"pool's, or its seconds an epoch are not steady",
        )
    return Prediction(**about, estimate=estimate)


def _why_no_guest(group: Group, number: int, pool: Pool) -> str:
    """Say why a left-out rig cannot use the pool's epochs; "" if it can."""
    times = group.levels[number].epoch_times
    for epochs, reached in zip(times.seen, times.reached, strict=True):
        if reached and pool.outside(epochs):
            return f"a run of it took {epochs:g} epochs, which a run of the pool would not"
        if not reached and math.isfinite(epochs) and epochs > 0 and pool.outside(epochs, at_least=True):
            return f"a run of it was not there after {epochs:g} epochs, and nearly all of the pool's would have been"
    if any(math.isinf(epochs) for epochs in times.seen):
        return "a run of it never got there, which the pool's epochs cannot tell"
    return "no run of it has an evaluation" if _speed(group, ()) is None else ""


def _estimate(group: Group, number: int, pool: Pool, members: Sequence[Group]) -> Estimate:
    own = [epochs for epochs in epochs_of_trainings(group, number) if epochs is not None]
    whole = len(own) == len(epochs_of_trainings(group, number))  # with a miss the others are the fast ones
    startup_s = statistics.median(r.startup_s for r in group.records if r.startup_s is not None)
    return product([pool.mean_of(own if whole else ()), _speed(group, members)], plus=startup_s)


def _speed(group: Group, members: Sequence[Group]) -> Mean | None:
    """Return the rig's mean seconds per epoch; of a single run with the other rigs' spread; None without a run."""
    seconds = [s for record in group.records if (s := record.seconds_per_epoch)]
    if not seconds:
        return None
    others = [[s for record in other.records if (s := record.seconds_per_epoch)] for other in members]
    spreads = [statistics.variance(map(math.log, values)) for values in others if len(values) > 1]
    return Mean.of(seconds, variance=statistics.median(spreads) if spreads else 0.0, freedom=max(1, len(spreads)))


def _own(level: Level) -> Estimate | None:
    wall = level.by_clock["wall"]
    return (
        log_interval(wall.seen, step=level.step) if wall.all_reached and len(wall) > 1 and min(wall.seen) > 0 else None
    )


def _disjoint(one: Estimate, other: Estimate | None) -> bool:
    if other is None or None in (one.low, other.low):
        return False
    return one.high < other.low or other.high < one.low


def epochs_of_trainings(group: Group, number: int) -> list[float | None]:
    """Return epochs to a level of each different training: those of one error curve, or of one seed, are one.

    It is their geometric mean; None if one of them did not reach the level.
    """
    together: dict[int, int] = {}  # a curve to the training that it is of
    by_seed: dict[int, int] = {}
    found: dict[int, list[float | None]] = {}
    for run, curve, epochs in zip(group.runs, group.curves, group.levels[number].epochs, strict=True):
        training = together.setdefault(curve, by_seed.setdefault(run.identity.seed, curve))
        found.setdefault(training, []).append(epochs)
    return [None if None in epochs else math.exp(statistics.fmean(map(math.log, epochs))) for epochs in found.values()]


def _errors(group: Group, number: int, alike: Sequence[Group]) -> Iterator[tuple[float, float]]:
    """Yield for every run its factored prediction and its own time, both over the truth; nothing without a pool."""
    members = members_of(alike, number)
    others = [other for other in members if other is not group]
    times = group.levels[number].wall_seconds
    if group not in members or not others or _predict(group, number, alike).estimate is None:
        return
    mean = pool_of(others, number).mean_of()
    for n, record in enumerate(group.records):
        rest = [time for m, time in enumerate(times) if m != n]
        truth = math.exp(statistics.fmean(map(math.log, rest)))
        predicted = product([mean, Mean.of([record.seconds_per_epoch])], plus=record.startup_s).value
        yield predicted / truth, times[n] / truth
