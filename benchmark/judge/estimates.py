"""Statistics of a few runs: intervals, comparisons and predictions of positive quantities such as seconds.

    log_interval([310.0, 295.0, 330.0])         # Estimate(value=311.3, low=271.6, high=356.9)
    welch([310, 295, 330], [250, 262, 241])     # Ratio(value=1.24, low=..., high=..., p=...)
    factored(epochs_of_all_rigs, seconds_per_epoch_of_this_rig, startup_s=4.0)

Time to accuracy is a product (epochs times seconds per epoch) and never negative, so everything here is done on
logarithms: the mean is the geometric one, an interval is a factor up and down, a comparison is a ratio. 95%
throughout. Sources: Student's and Welch's t, Holm's step-down procedure (Scandinavian Journal of Statistics 6, 1979),
the Olympic mean of the MLPerf training rules. SciPy's distributions are imported where they are needed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
POWER = 0.80
HOMOGENEOUS_P = 0.05
OLYMPIC_FROM = 5  # runs


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and its 95% interval; the bounds are None where a single run says nothing of the spread."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ratio(Estimate):
    """A ratio of two groups' geometric means with its 95% interval; `p` is Welch's, of the hypothesis that it is 1."""

    p: float | None = None

    @property
    def inverse(self) -> Ratio:
        low, high = (None if bound is None else 1 / bound for bound in (self.high, self.low))
        return Ratio(value=1 / self.value, low=low, high=high, p=self.p)


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation over the mean; None for fewer than two values."""
    return statistics.stdev(values) / statistics.fmean(values) if len(values) > 1 else None


def olympic_mean(values: Sequence[float]) -> float | None:
    """Return the mean without the fastest and the slowest run; None for fewer than five runs."""
    return statistics.fmean(sorted(values)[1:-1]) if len(values) >= OLYMPIC_FROM else None


def log_interval(values: Sequence[float]) -> Estimate:
    """Return the geometric mean and interval: exp(mean of logs +- t * s / sqrt(n)), t with n - 1 degrees of freedom."""
    logs = [math.log(value) for value in values]
    middle = statistics.fmean(logs)
    if len(logs) < 2:
        return Estimate(value=math.exp(middle))
    half = _t(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Estimate(value=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half))


def welch(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Compare first with second by Welch's t on logarithms; no interval and no p unless both have two runs.

    Where neither group varies at all there is no spread to judge by, and no interval either.
    """
    a, b = ([math.log(value) for value in values] for values in (first, second))
    difference = statistics.fmean(a) - statistics.fmean(b)
    if min(len(a), len(b)) < 2:
        return Ratio(value=math.exp(difference))
    squares = [statistics.variance(logs) / len(logs) for logs in (a, b)]
    error = math.sqrt(sum(squares))
    if error == 0:
        return Ratio(value=math.exp(difference))
    freedom = error**4 / sum(square**2 / (len(logs) - 1) for square, logs in zip(squares, (a, b), strict=True))
    half = _t(freedom) * error
    return Ratio(
        value=math.exp(difference),
        low=math.exp(difference - half),
        high=math.exp(difference + half),
        p=2 * _upper_tail(abs(difference) / error, freedom),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for the number of comparisons, None left alone: reject if the result is under 0.05."""
    known = sorted((p, n) for n, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for rank, (p, n) in enumerate(known):
        worst = max(worst, min(1.0, (len(known) - rank) * p))
        adjusted[n] = worst
    return adjusted


def runs_to_resolve(
    first: Sequence[float], second: Sequence[float], *, ratio: float = 1.05, alpha: float = 0.05
) -> int | None:
    """Runs each group needs in all so that a true ratio this large is found with 80% power; None of single runs.

    The smallest n with (t(1 - alpha / 2) + t(.80)) * sqrt((s1^2 + s2^2) / n) <= log(ratio), 2n - 2 degrees of freedom.
    """
    if min(len(first), len(second)) < 2:
        return None
    spread = sum(statistics.variance([math.log(value) for value in values]) for values in (first, second))
    for n in range(2, 10_000):
        if (_t(2 * n - 2, 1 - alpha / 2) + _t(2 * n - 2, POWER)) * math.sqrt(spread / n) <= math.log(ratio):
            return n
    return 10_000


@dataclass(frozen=True, kw_only=True)
class Homogeneity:
    """The answer to whether several groups' values may be pooled. `p` is None if there is only one group."""

    p: float | None
    groups: int

    @property
    def holds(self) -> bool:
        return self.p is None or self.p >= HOMOGENEOUS_P


def homogeneity(groups: Sequence[Sequence[float]]) -> Homogeneity:
    """Kruskal-Wallis over the groups that have values."""
    filled = [list(group) for group in groups if group]
    if len(filled) < 2 or len({value for group in filled for value in group}) == 1:
        return Homogeneity(p=None if len(filled) < 2 else 1.0, groups=len(filled))
    from scipy.stats import kruskal

    return Homogeneity(p=float(kruskal(*filled).pvalue), groups=len(filled))


def factored(epochs: Sequence[float], seconds_per_epoch: Sequence[float], *, startup_s: float = 0.0) -> Estimate:
    """Time to accuracy as epochs to target (of many runs) times seconds per epoch (of this rig), plus start-up.

    The variances of the two means' logarithms add up, and their degrees of freedom are Welch-Satterthwaite's. A
    single value of either adds nothing to the interval; two single values give none.
    """
    logs = [[math.log(value) for value in values] for values in (epochs, seconds_per_epoch)]
    middle = sum(map(statistics.fmean, logs))
    spread = [(statistics.variance(part) / len(part), len(part) - 1) for part in logs if len(part) > 1]
    total = sum(square for square, _ in spread)
    if not spread:
        return Estimate(value=startup_s + math.exp(middle))
    half = 0.0
    if total > 0:
        half = _t(total**2 / sum(square**2 / freedom for square, freedom in spread)) * math.sqrt(total)
    return Estimate(
        value=startup_s + math.exp(middle),
        low=startup_s + math.exp(middle - half),
        high=startup_s + math.exp(middle + half),
    )


def _t(freedom: float, below: float = (1 + CONFIDENCE) / 2) -> float:
    """Student's t below which that share lies."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, below))


def _upper_tail(t: float, freedom: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))
