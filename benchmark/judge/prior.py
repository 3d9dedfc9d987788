"""What is known of a single run beforehand: how runs of one rig vary, by the runs of others.

    TIMES.ratio([632.0], [72.0], steps=(0.02, 0.02))    # Ratio(value=8.78, low=7.46, high=10.3, p=2e-7)
    TIMES.gap                                           # 1.153: single runs of one rig differ by less, 19 times in 20

One run says nothing of its spread, and a second costs what the first did. But rigs are not without likes: of 114 sets
of MLPerf's speech runs (ten runs each, docs/data) the variance of logarithms is known, and from set to set it varies as
a scaled inverse chi-square. A difference of two single runs is then Student's t with that law's degrees of freedom.
This is for rigs with one run. Where one has one run and the other several, the several's own variance counts, but at
least as much of the others' as is left by Smyth's moderation. Where both have several, nobody asks here.

Both times are known to the step between two evaluations, and no spread of others says how long it is here: so a whole
step of the slower one is taken off a difference before it is looked at.

The deviations are as fitted by G. K. Smyth's method of moments on log variances (Statistical Applications in Genetics
and Molecular Biology 3 (2004), section 6.2), .0392, .0380 and .00114, the first two times 1.02: so much it takes that
at most 5% of pairs of runs of one system are called different by the law that is fitted to all other systems. Made and
checked by python -m tests.trials.judging; docs/judging.md has the figures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.estimates import Ratio, spread, student_t, upper_tail


@dataclass(frozen=True)
class Prior:
    """The law of a variance of logarithms: `freedom` * `deviation`^2 / chi-square of so many degrees of freedom."""

    deviation: float
    freedom: float

    @property
    def gap(self) -> float:
        """Return the ratio within which two single runs of one rig are in 95% of cases."""
        return math.exp(student_t(self.freedom) * math.sqrt(2) * self.deviation)

    def ratio(self, first: Sequence[float], second: Sequence[float], *, steps: Sequence[float] = (0.0, 0.0)) -> Ratio:
        """Compare first with second, of which one is a single value; the interval and its p rest on others' spread.

        `steps` are the shares of the values that lie between two evaluations. Bounds are 0 and infinite where a value
        was read at the very first one.

        Raises:
            ValueError: both have several values, which have a spread of their own.
        """
        if min(len(first), len(second)) > 1:
            raise ValueError(f"{len(first)} and {len(second)} values; expected a single one on one side")
        difference = statistics.fmean(map(math.log, first)) - statistics.fmean(map(math.log, second))
        variance, freedom = self._variance(max(((first, steps[0]), (second, steps[1])), key=lambda side: len(side[0])))
        error = math.sqrt(variance * (1 / len(first) + 1 / len(second)))
        half = student_t(freedom) * error
        off = [-math.log1p(-step) if step < 1 else math.inf for step in steps]
        left = abs(difference) - off[difference < 0]
        return Ratio(
            value=math.exp(difference),
            low=math.exp(difference - half - off[0]),
            high=math.exp(difference + half + off[1]),
            p=2 * upper_tail(left / error, freedom) if left > 0 else 1.0,
        )

    def _variance(self, several: tuple[Sequence[float], float]) -> tuple[float, float]:
        """Return the variance of a single value and its degrees of freedom, beside a side and its step."""
        values, step = several
        own = len(values) - 1
        if not own:
            return self.deviation**2, self.freedom
        found = spread([math.log(value) for value in values], step)
        moderated = (self.freedom * self.deviation**2 + own * found) / (self.freedom + own)
        return max(found, moderated), self.freedom + own


TIMES = Prior(0.0400, 5.4)  # of times to accuracy
EPOCHS = Prior(0.0388, 5.7)  # of epochs to a level
PACES = Prior(0.00114, 0.9)  # of seconds an epoch
