"""How many runs are enough: a plan fixed beforehand, a rule for checks after each run, and equivalence.

    plan(first, second, ratio=1.05)             # Plan(runs=12, low=5, high=32): runs of each in all
    e_value(first, second)                      # 20 or more settles it, whenever it is checked
    same(first, second, ratio=1.05)             # p of the two one-sided tests: under .05 they are within 5%

Making runs until a test gives p < .05 finds differences between equal rigs in 19 of 100 cases. So either
the number of runs is fixed before the first is looked at, or the test is one that holds at any time. The e-value is the
Bayes factor of two normal samples of logarithms, with Haar's prior on mean and deviation and a normal one on the
difference over the deviation; between equal rigs it is 20 or more at any time in under 5% of cases. Times that are read
at evaluations only come in `steps`, a share of each group's: their variance is at least what a step leaves open.

Sources: D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987), for
the two one-sided tests; M. Gonen and others, The American Statistician 59 (2005), for the Bayes factor; A. Hendriksen,
R. de Heide and P. Grunwald, Bayesian Analysis 16 (2021), for its validity at any time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.estimates import CONFIDENCE, spread, student_t, upper_tail, welch_error

POWER = 0.80
SETTLED = 20.0  # 1 / 5%
PRIOR_VARIANCE = 1.0  # of the difference over the deviation: 4% apart where runs vary by 4%
MOST_RUNS = 10_000
NO_STEPS = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs that each of two rigs needs in all, so that a true ratio is found in four cases of five.

    `low` and `high` are what it could be, as few runs do not tell the spread (95%, by chi-square).
    """

    runs: int
    low: int
    high: int


def plan(
    first: Sequence[float],
    second: Sequence[float],
    *,
    ratio: float,
    alpha: float = 0.05,
    steps: Sequence[float] = NO_STEPS,
) -> Plan | None:
    """Return how many runs of each rig would find this ratio; None of single runs, or of runs that do not vary."""
    if min(len(first), len(second)) < 2:
        return None
    from scipy.special import chdtri

    logs = [[math.log(value) for value in values] for values in (first, second)]
    both = sum(spread(values, step) for values, step in zip(logs, steps, strict=True))
    if both == 0:
        return None
    freedom = len(first) + len(second) - 2
    tails = (1 - CONFIDENCE) / 2
    bounds = [freedom / float(chdtri(freedom, tail)) for tail in (tails, 1 - tails)]
    runs, low, high = (_runs_for(both * factor, ratio, alpha) for factor in (1.0, *bounds))
    return Plan(runs=runs, low=low, high=high)


def _runs_for(both: float, ratio: float, alpha: float) -> int:
    """Return the smallest n with (t(1 - alpha / 2) + t(.80)) * sqrt(spread / n) <= log(ratio), t of 2n - 2 degrees.

    `both` is the sum of the two variances of logarithms, the spread.
    """
    low, high = 2, MOST_RUNS
    while low < high:
        n = (low + high) // 2
        reach = (student_t(2 * n - 2, 1 - alpha / 2) + student_t(2 * n - 2, POWER)) * math.sqrt(both / n)
        low, high = (low, n) if reach <= math.log(ratio) else (n + 1, high)
    return low


def same(
    first: Sequence[float], second: Sequence[float], *, ratio: float, steps: Sequence[float] = NO_STEPS
) -> float | None:
    """Return the p that two rigs differ by more than this ratio, either way; None where Welch's t has no spread."""
    error = welch_error(first, second, steps=steps)
    if error is None:
        return None
    room = math.log(ratio) - abs(error.difference)
    return upper_tail(room / error.error, error.freedom)


def e_value(first: Sequence[float], second: Sequence[float], *, steps: Sequence[float] = NO_STEPS) -> float | None:
    """Return the evidence that two rigs differ, valid at any time; None until there are three runs, or no spread."""
    count, freedom = (len(first), len(second)), len(first) + len(second) - 2
    if min(count) < 1 or freedom < 1:
        return None
    logs = [[math.log(value) for value in values] for values in (first, second)]
    means = [statistics.fmean(values) for values in logs]
    squares = sum(
        (len(values) - 1) * spread(values, step) for values, step in zip(logs, steps, strict=True) if len(values) > 1
    )
    if squares == 0:
        return None
    size = count[0] * count[1] / sum(count)
    t_square = (means[0] - means[1]) ** 2 * size / (squares / freedom)
    shrunk = 1 + size * PRIOR_VARIANCE
    power = (freedom + 1) / 2 * math.log((1 + t_square / freedom) / (1 + t_square / (freedom * shrunk)))
    return math.exp(min(700.0, power - math.log(shrunk) / 2))
