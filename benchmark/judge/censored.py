"""Statistics of times of which some were not reached: medians, means to a budget, intervals and comparisons.

    times = Times.of([(300.0, True), (310.0, True), (600.0, False)])    # two runs got there, one had not by 600 s
    times.median                                # 310.0, Kaplan and Meier's
    times.restricted_mean(600.0)                # the area under the curve of those still going, to 600 s
    interval(times)                             # Estimate of the geometric mean, of two runs or more that got there
    log_rank(times, others)                     # p

A time that was not reached is censored: it is longer than the time seen, and nobody knows by how much. A run that
diverged never gets there; its time is infinite.

Sources: E. L. Kaplan and P. Meier, JASA 53 (1958), for the curve; R. and J. Peto, JRSS A 135 (1972), for the log-rank
test and its scores; A. K. Gupta, Biometrika 39 (1952), for the linear estimators of a normal sample's mean and standard
deviation from its lowest values; L. G. Johnson, Industrial Mathematics 2 (1951), for the mean order numbers;
N. Balakrishnan and R. A. Sandhu, The American Statistician 49 (1995), for drawing progressively censored samples;
S. Weerahandi, JASA 88 (1993), for generalised intervals.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

from benchmark.judge.estimates import CONFIDENCE, STEP_VARIANCE, Estimate, Ratio

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

DRAWS = 40_000
SEED = 58  # of the draws, so that equal runs give equal figures
LEAST_REACHED = 2
MOST_PERMUTATIONS = 20_000


@dataclass(frozen=True)
class Times:
    """Positive times in order; `reached` says of each whether it was reached, or only lasted longer than that."""

    seen: tuple[float, ...]
    reached: tuple[bool, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, bool]]) -> Times:
        """Make times from pairs of (time, whether it was reached), in any order."""
        ordered = sorted(pairs, key=lambda pair: (pair[0], not pair[1]))
        return cls(tuple(time for time, _ in ordered), tuple(reached for _, reached in ordered))

    @classmethod
    def none(cls) -> Times:
        return cls((), ())

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def reached_times(self) -> tuple[float, ...]:
        return tuple(time for time, reached in zip(self.seen, self.reached, strict=True) if reached)

    @property
    def all_reached(self) -> bool:
        return all(self.reached)

    @cached_property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """Kaplan and Meier's curve: for each time that was reached the share of runs that takes longer."""
        share, found = 1.0, {}
        for place, (time, reached) in enumerate(zip(self.seen, self.reached, strict=True)):
            if reached:
                share *= 1 - 1 / (len(self) - place)
                found[time] = share
        return tuple(found.items())

    @cached_property
    def median(self) -> float | None:
        """The time by which half of the runs are there; None if fewer than half were seen to get there.

        Where the curve lies on one half for a while it is the middle of that stretch: of times that were all reached
        this is the ordinary median.
        """
        for place, (time, share) in enumerate(self.steps):
            if abs(share - 0.5) < 1e-12:
                return (time + self.steps[place + 1][0]) / 2 if place + 1 < len(self.steps) else None
            if share < 0.5:
                return time
        return None

    def restricted_mean(self, budget: float) -> float | None:
        """The mean time of runs that are stopped at `budget`; None if a censored run did not last that long."""
        if not len(self) or any(t < budget and not r for t, r in zip(self.seen, self.reached, strict=True)):
            return None
        return statistics.fmean(min(time, budget) for time in self.seen)


# --- one group -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fit:
    """A line through the logarithms of times against normal scores: `middle` at score 0, `slope` the deviation."""

    middle: float
    slope: float
    pattern: tuple[int, ...]

    @property
    def drawn(self) -> np.ndarray:
        """Draws of the mean of logarithms that fit these times, as Weerahandi's generalised pivots."""
        return self.middle - self.slope * _pivot(self.pattern)


def mean(times: Times) -> float | None:
    """Return the geometric mean alone, without drawing an interval; None if under two were reached."""
    fit = _fit(times)
    return None if fit is None else math.exp(fit.middle)


def interval(times: Times, *, step: float = 0.0) -> Estimate | None:
    """Return the geometric mean and its 95% interval, for logarithms that are normal; None if under 2 were reached.

    The pivot (estimate - mean) / deviation of a normal sample has a law that depends on the pattern of censoring alone;
    its quantiles are drawn, so that the interval is exact for times that are cut at one of the runs' ends. The
    deviation is at least what steps of that share leave open.
    """
    fit = _fit(times, step)
    if fit is None:
        return None
    low, high = np.quantile(fit.drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value=math.exp(fit.middle), low=math.exp(low), high=math.exp(high))


def _fit(times: Times, step: float = 0.0) -> _Fit | None:
    logs = [math.log(time) for time in times.reached_times]
    if len(logs) < LEAST_REACHED:
        return None
    pattern = _pattern(times)
    scores = _scores(pattern)
    centred = scores - scores.mean()
    slope = float(np.dot(logs, centred) / np.dot(centred, centred))
    middle = statistics.fmean(logs) - slope * float(scores.mean())
    return _Fit(middle, max(slope, math.sqrt(STEP_VARIANCE) * step), pattern)


def _pattern(times: Times) -> tuple[int, ...]:
    """Return how many runs were censored after each that got there. Those censored before the first say nothing."""
    after: list[int] = []
    for reached in times.reached:
        if reached:
            after.append(0)
        elif after:
            after[-1] += 1
    return tuple(after)


def _scores(pattern: tuple[int, ...]) -> np.ndarray:
    """Return Blom's normal scores of the times that were reached, at their mean order numbers."""
    from scipy.special import ndtri

    count = len(pattern) + sum(pattern)
    left, order, orders = count, 0.0, []
    for censored in pattern:
        order += (count + 1 - order) / (1 + left)
        orders.append(order)
        left -= 1 + censored
    return ndtri((np.array(orders) - 0.375) / (count + 0.25))


@lru_cache(maxsize=64)
def _pivot(pattern: tuple[int, ...]) -> np.ndarray:
    """Draw (estimate - mean) / deviation of normal samples that are censored in this pattern; float64 [DRAWS]."""
    from scipy.special import ndtri

    reached, censored = len(pattern), np.array(pattern)
    uniform = np.random.default_rng(SEED).random((DRAWS, reached))
    powers = [1 / (n + censored[reached - n :].sum()) for n in range(1, reached + 1)]
    ordered = 1 - np.cumprod((uniform**powers)[:, ::-1], axis=1)
    samples, scores = ndtri(np.clip(ordered, 1e-300, 1 - 1e-16)), _scores(pattern)
    centred = scores - scores.mean()
    slopes = samples @ centred / (centred @ centred)
    return (samples.mean(axis=1) - slopes * scores.mean()) / slopes


# --- two groups ------------------------------------------------------------------------------------------------------


def ratio(first: Times, second: Times, *, steps: Sequence[float] = (0.0, 0.0)) -> Ratio | None:
    """Compare the geometric means of two groups, with the 95% interval and its p; None if under 2 were reached in one.

    The interval is that of the difference of two generalised pivots, one a group, whose deviations are at least what
    steps of those shares leave open.
    """
    fits = _fit(first, steps[0]), _fit(second, steps[1])
    if fits[0] is None or fits[1] is None:
        return None
    rng = np.random.default_rng(SEED)
    drawn = fits[0].drawn - rng.permutation(fits[1].drawn)  # equal patterns have equal draws: they must not meet
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    below = (np.count_nonzero(drawn < 0) + 0.5) / (len(drawn) + 1)
    return Ratio(
        value=math.exp(fits[0].middle - fits[1].middle),
        low=math.exp(low),
        high=math.exp(high),
        p=2 * min(below, 1 - below),
    )


def log_rank(first: Times, second: Times) -> float | None:
    """Return the p of the log-rank test that two groups take equally long; None if nobody got there, or one is empty.

    Few runs are permuted in all ways; of many the sum of scores is taken for normal.
    """
    pairs = [(t, r, group) for group, times in enumerate((first, second)) for t, r in zip(times.seen, times.reached)]  # noqa: B905
    if not (len(first) and len(second)) or not any(reached for _, reached, _ in pairs):
        return None
    pairs.sort(key=lambda pair: (pair[0], not pair[1]))
    scores = _log_rank_scores([(time, reached) for time, reached, _ in pairs])
    members = np.array([group == 0 for *_, group in pairs])
    found = abs(scores[members].sum())
    if math.comb(len(pairs), len(first)) <= MOST_PERMUTATIONS:
        chosen = np.array(list(combinations(range(len(pairs)), len(first))))
        return float(np.mean(np.abs(scores[chosen].sum(axis=1)) >= found - 1e-9))
    variance = np.sum(scores**2) * len(first) * len(second) / (len(pairs) * (len(pairs) - 1))
    return math.erfc(found / math.sqrt(2 * variance)) if variance > 0 else 1.0


def _log_rank_scores(pairs: Sequence[tuple[float, bool]]) -> np.ndarray:
    """Return each run's score: whether it got there, less the hazard (Nelson and Aalen's) that it had lived through."""
    hazard, scores, start = 0.0, [], 0
    while start < len(pairs):
        end = start
        while end < len(pairs) and pairs[end][0] == pairs[start][0]:
            end += 1
        tied = [reached for _, reached in pairs[start:end]]
        hazard += sum(tied) / (len(pairs) - start)
        scores += [reached - hazard for reached in tied]
        start = end
    return np.array(scores)
