"""Statistics of a few runs: intervals, comparisons and predictions of positive quantities such as seconds.

    log_interval([310.0, 295.0, 330.0])         # Estimate(value=311.3, low=271.6, high=356.9)
    welch([310, 295, 330], [250, 262, 241])     # Ratio(value=1.24, low=..., high=..., p=...)
    product([epochs, Mean.of(seconds_per_epoch)], plus=4.0)

Time to accuracy is a product (epochs times seconds per epoch) and never negative, so everything here is done on
logarithms: the mean is the geometric one, an interval is a factor up and down, a comparison is a ratio. 95%
throughout. Sources: Student's and Welch's t, Holm's step-down procedure (Scandinavian Journal of Statistics 6, 1979),
Hochberg's step-up procedure, the Olympic mean of the MLPerf training rules.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95
STEP_VARIANCE = 0.03
"""The least variance of times that are read at evaluations only, in steps squared between two of them.

Runs that all took the same number of epochs do not vary, and yet another seed might have taken one more. With this
floor intervals cover as tests/trials/judging.py simulates it, and docs/judging.md says.
"""
OLYMPIC_FROM = 5  # runs


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and its 95% interval; the bounds are None where a single run says nothing of the spread."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> Estimate:
        """Return the estimate in another unit."""
        low, high = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return Estimate(value=self.value * factor, low=low, high=high)


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


def olympic_mean(values: Sequence[float], *, missed: int = 0) -> float | None:
    """Return the mean without the fastest and the slowest run; None for fewer than five runs.

    A run that missed is the slowest, as in MLPerf's rules. With two of them there is no mean.
    """
    if len(values) + missed < OLYMPIC_FROM or missed > 1:
        return None
    return statistics.fmean(sorted(values)[1 : None if missed else -1])


def spread(logs: Sequence[float], step: float = 0.0) -> float:
    """Return the variance of two logarithms or more, at least what steps of that size (a share) leave open."""
    return max(statistics.variance(logs), STEP_VARIANCE * step**2)


def log_interval(values: Sequence[float], *, step: float = 0.0) -> Estimate:
    """Return the geometric mean and interval: exp(mean of logs +- t * s / sqrt(n)), t with n - 1 degrees of freedom.

    `step` is the share of a value between two evaluations, at which alone values are read: s is at least .17 of it.
    """
    logs = [math.log(value) for value in values]
    middle = statistics.fmean(logs)
    if len(logs) < 2:
        return Estimate(value=math.exp(middle))
    half = student_t(len(logs) - 1) * math.sqrt(spread(logs, step) / len(logs))
    return Estimate(value=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of two means of logarithms, its standard error and Welch's degrees of freedom."""

    difference: float
    error: float
    freedom: float


def welch_error(
    first: Sequence[float], second: Sequence[float], *, steps: Sequence[float] = (0.0, 0.0)
) -> Difference | None:
    """Return the difference of the means of logarithms; None unless both have two values, and one of them varies.

    `steps` are the shares of the values that lie between two evaluations: each variance is at least `spread`'s.
    """
    logs = [[math.log(value) for value in values] for values in (first, second)]
    if min(map(len, logs)) < 2:
        return None
    squares = [spread(values, step) / len(values) for values, step in zip(logs, steps, strict=True)]
    if not sum(squares):
        return None
    freedom = sum(squares) ** 2 / sum(sq**2 / (len(values) - 1) for sq, values in zip(squares, logs, strict=True))
    difference = statistics.fmean(logs[0]) - statistics.fmean(logs[1])
    return Difference(difference=difference, error=math.sqrt(sum(squares)), freedom=freedom)


def welch(first: Sequence[float], second: Sequence[float], *, steps: Sequence[float] = (0.0, 0.0)) -> Ratio:
    """Compare first with second by Welch's t on logarithms; no interval and no p unless both have two runs.

    Where neither group varies at all, nor is read in `steps`, there is no spread to judge by, and no interval either.
    """
    found = welch_error(first, second, steps=steps)
    if found is None:
        means = [statistics.fmean(math.log(value) for value in values) for values in (first, second)]
        return Ratio(value=math.exp(means[0] - means[1]))
    half = student_t(found.freedom) * found.error
    return Ratio(
        value=math.exp(found.difference),
        low=math.exp(found.difference - half),
        high=math.exp(found.difference + half),
        p=2 * upper_tail(abs(found.difference) / found.error, found.freedom),
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


def hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust p values of tests that depend on one another positively, as those of several levels of one run do.

    Hochberg's step-up procedure (Biometrika 75, 1988): with k of them the i-th smallest is the least of
    (k - j + 1) p_j over j >= i. Where all are under a limit, so are all adjusted ones: several levels then cost no
    power. It holds the share of families with a false alarm under positive dependence (Sarkar, Annals of Statistics
    26, 1998).
    """
    ordered = sorted(((p, n) for n, p in enumerate(p_values)), reverse=True)
    adjusted, least = [0.0] * len(p_values), 1.0
    for rank, (p, n) in enumerate(ordered, start=1):
        least = min(least, rank * p)
        adjusted[n] = least
    return adjusted


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean of logarithms, its variance, and the degrees of freedom of that variance."""

    log: float
    variance: float
    freedom: float

    @classmethod
    def of(cls, values: Sequence[float], *, variance: float = 0.0, freedom: float = 1.0) -> Mean:
        """Make the mean of positive values; of a single one with a run's variance that is known from elsewhere."""
        logs = [math.log(value) for value in values]
        if len(logs) > 1:
            variance, freedom = statistics.variance(logs), len(logs) - 1
        return cls(log=statistics.fmean(logs), variance=variance / len(logs), freedom=freedom)


def product(parts: Sequence[Mean], *, plus: float = 0.0) -> Estimate:
    """Return the product of means, plus a constant, with its interval.

    The variances of the logarithms add up; their degrees of freedom are Welch's and Satterthwaite's.
    """
    middle, variance = sum(part.log for part in parts), sum(part.variance for part in parts)
    if variance == 0:
        return Estimate(value=plus + math.exp(middle))
    freedom = variance**2 / sum(part.variance**2 / part.freedom for part in parts)
    half = student_t(freedom) * math.sqrt(variance)
    low, high = (plus + math.exp(middle + sign * half) for sign in (-1, 1))
    return Estimate(value=plus + math.exp(middle), low=low, high=high)


# --- Student's t, in the standard library: loading SciPy takes longer than a judgement -------------------------------


@lru_cache(maxsize=1024)
def student_t(freedom: float, below: float = (1 + CONFIDENCE) / 2) -> float:
    """Return Student's t below which that share (0 to 1) lies, by Newton's method on logarithms."""
    if below <= 0.5:
        return -student_t(freedom, 1 - below) if below < 0.5 else 0.0
    wanted, log_t = math.log1p(-below), 0.0
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    for _ in range(60):
        t = math.exp(log_t)
        log_tail = math.log(upper_tail(t, freedom))
        density = math.exp(constant - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        move = (log_tail - wanted) / (t * density * math.exp(-log_tail))
        log_t += max(-1.0, min(1.0, move))
        if abs(move) < 1e-12:
            break
    return math.exp(log_t)


def upper_tail(t: float, freedom: float) -> float:
    """Return the share of Student's t above a value: half the incomplete beta function at freedom / (freedom + t^2)."""
    if t < 0:
        return 1 - upper_tail(-t, freedom)
    if t * t == math.inf:
        return 0.0
    x, rest = freedom / (freedom + t * t), t * t / (freedom + t * t)
    return _beta_share(freedom / 2, 0.5, x, rest) / 2


def _beta_share(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function at x = 1 - rest, by its continued fraction (DLMF 8.17.22)."""
    if x == 0 or rest == 0:
        return float(rest == 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(b, a, rest, x)
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    found = d
    for m in range(1, 100_000):  # Lentz's evaluation, as modified by Thompson and Barnett
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / ((1 + numerator * d) or tiny)
            c = (1 + numerator / c) or tiny
            found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(front) * found / a
