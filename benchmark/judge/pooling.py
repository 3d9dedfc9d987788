"""May rigs' epochs be pooled, and how many epochs does one rig take by the pool?

    pool = Pool.of([[47, 49, 50], [48, 49, 51], [47, 50, 51]])
    pool.p, pool.holds, pool.visible            # 0.86, True, 1.11: it would have seen one rig 11% apart
    pool.mean_of((47, 49, 50))                  # Mean(log, variance, freedom) of one rig's epochs
    pool.outside(70)                            # whether a run of a further rig cannot be of this pool

The model has random effects: log epochs = mean + what is the rig's + what is the run's. The gate is the one-way F test
on logarithms. It is no proof that rigs are equal: `visible` says what it would have found, and the interval of one
rig's mean holds the spread between rigs (DerSimonian and Laird's estimate, unweighted by analysis of variance), which
is taken for at least `LEAST_SPREAD` of the spread between runs, since a few rigs cannot show less. A rig's mean is the
best linear unbiased predictor: its own runs count the more, the more rigs differ.

Sources: R. DerSimonian and N. Laird, Controlled Clinical Trials 7 (1986); G. K. Robinson, Statistical Science 6 (1991);
S. R. Searle, G. Casella, C. E. McCulloch, Variance Components (1992), chapter 3.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.judge.estimates import Mean, student_t

HOMOGENEOUS_P = 0.05
POWER = 0.80
LEAST_SPREAD = 0.15
"""Of rigs over that of runs: 0.6% between 52 rigs, 4.0% within them, in MLPerf's speech results of batch 1536."""
OUTSIDE_P = 0.01  # of a single run against a pool
ROUNDING = 1 / 12  # the variance of a whole number about what it was rounded from, in epochs squared


@dataclass(frozen=True)
class Pool:
    """The epochs to one level of rigs that may be alike; every rig has some. Make it by `Pool.of`.

    `trainings` is how many of the runs are independent: runs of one seed on several rigs are one training.
    """

    logs: tuple[tuple[float, ...], ...]
    trainings: int

    @classmethod
    def of(cls, epochs: Sequence[Sequence[float]], *, trainings: int | None = None) -> Pool:
        """Make a pool from each rig's epochs; without `trainings` all runs are independent. Empty rigs are left out."""
        logs = tuple(tuple(map(math.log, rig)) for rig in epochs if len(rig))
        return cls(logs, sum(map(len, logs)) if trainings is None else trainings)

    @property
    def rigs(self) -> int:
        return len(self.logs)

    @property
    def runs(self) -> int:
        return sum(map(len, self.logs))

    @property
    def freedom(self) -> int:
        """The degrees of freedom of the spread between runs of one rig."""
        return self.runs - self.rigs

    @cached_property
    def _means(self) -> list[float]:
        return [statistics.fmean(rig) for rig in self.logs]

    @cached_property
    def _grand(self) -> float:
        return statistics.fmean(log for rig in self.logs for log in rig)

    @cached_property
    def _alike(self) -> bool:
        """Whether no rig's runs vary at all."""
        return all(max(rig) - min(rig) < 1e-12 for rig in self.logs)

    @cached_property
    def within(self) -> float:
        """The variance of logarithms between runs of one rig; that of rounding to whole epochs if no run varies."""
        if self._alike or not self.freedom:
            return ROUNDING / math.exp(2 * self._grand)
        squares = sum((log - mean) ** 2 for rig, mean in zip(self.logs, self._means, strict=True) for log in rig)
        return squares / self.freedom

    @cached_property
    def _between_square(self) -> float:
        squares = (len(rig) * (mean - self._grand) ** 2 for rig, mean in zip(self.logs, self._means, strict=True))
        return sum(squares) / (self.rigs - 1)

    @cached_property
    def _balanced_runs(self) -> float:
        """The runs a rig, as unequal numbers of them enter the expectation of the square between rigs."""
        return (self.runs - sum(len(rig) ** 2 for rig in self.logs) / self.runs) / (self.rigs - 1)

    @cached_property
    def p(self) -> float | None:
        """The p of the one-way F test that the rigs' means are equal; None if there is nothing to test.

        Where no rig's runs vary there is no F: rigs that are within one epoch of each other then pass, as whole epochs
        cannot tell more, and others do not.
        """
        if self.rigs < 2 or not self.freedom:
            return None
        if self._alike:
            epochs = [math.exp(rig[0]) for rig in self.logs]
            return 1.0 if max(epochs) - min(epochs) < 1 + 1e-6 else 0.0
        from scipy.special import fdtrc

        return float(fdtrc(self.rigs - 1, self.freedom, self._between_square / self.within))

    @property
    def holds(self) -> bool:
        return self.p is None or self.p >= HOMOGENEOUS_P

    @cached_property
    def between(self) -> float:
        """The variance of logarithms between rigs, at least what so few rigs cannot exclude."""
        least = LEAST_SPREAD**2 * self.within
        if self.rigs < 2:
            return least
        return max(least, (self._between_square - self.within) / self._balanced_runs)

    @cached_property
    def visible(self) -> float | None:
        """The ratio by which one rig must differ from all others to be found in four pools of five; None untested."""
        if self.p is None:
            return None
        from scipy.special import fdtri, ncfdtr

        critical = float(fdtri(self.rigs - 1, self.freedom, 1 - HOMOGENEOUS_P))
        runs = self.rigs / sum(1 / len(rig) for rig in self.logs)

        def found(noncentrality: float) -> bool:
            return float(ncfdtr(self.rigs - 1, self.freedom, noncentrality, critical)) < 1 - POWER

        # Doubled until it is found, not halved from afar: SciPy before 1.18 says NaN for a noncentrality of thousands.
        high = 1.0
        while not found(high) and high < 1e9:
            high *= 2
        low = 0.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (low, middle) if found(middle) else (middle, high)
        return math.exp(math.sqrt(high * self.within * self.rigs / (self.rigs - 1) / runs))

    @property
    def furthest(self) -> int:
        """The number of the rig whose mean is furthest from that of the others."""

        def distance(number: int) -> float:
            others = [mean for n, mean in enumerate(self._means) if n != number]
            return abs(self._means[number] - statistics.median(others))

        return max(range(self.rigs), key=distance)

    def mean_of(self, epochs: Sequence[float] = ()) -> Mean:
        """Return the mean log epochs of a rig with these runs; the pool's, and the spread between rigs, without any."""
        within = self.within * self.runs / max(1, self.trainings)
        weights = [1 / (self.between + within / len(rig)) for rig in self.logs]
        total = sum(weights)
        pooled = sum(weight * mean for weight, mean in zip(weights, self._means, strict=True)) / total
        own, mean = 0.0, pooled
        if len(epochs):
            own = self.between / (self.between + within / len(epochs))
            mean = pooled + own * (statistics.fmean(map(math.log, epochs)) - pooled)
        variance = self.between * (1 - own) + (1 - own) ** 2 / total
        return Mean(log=mean, variance=variance, freedom=max(1, min(self.freedom, self.trainings - 1)))

    def outside(self, epochs: float, *, at_least: bool = False) -> bool:
        """Tell whether a single run of a further rig took more epochs than a run of this pool would, or fewer.

        `at_least`: the run had not got there after that many; then only larger numbers speak against it.
        """
        mean = self.mean_of()
        tail = OUTSIDE_P if at_least else OUTSIDE_P / 2
        half = student_t(mean.freedom, 1 - tail) * math.sqrt(mean.variance + self.within)
        distance = math.log(epochs) - mean.log
        return distance > half if at_least else abs(distance) > half
