"""Which of a few contestants is fastest: timed in turns until the intervals of their ratios are narrow.

    raced = race({"16": turn, "32": turn}, say=print)       # turn() -> audio seconds a second
    raced.ratio("16")                                       # Estimate(value=0.98, low=0.965, high=0.995) to the fastest
    smallest_within(raced, by=int)                          # "16": the smallest that is within 3% of the fastest

Turns come one after another, forwards and backwards, so that what slows the machine down slows all alike. A ratio is
that of two contestants' turns of the same round; its interval is Student's t on their logarithms.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.judge.estimates import Estimate, log_interval

CERTAIN = 0.02  # the half width, as a share, of every ratio's interval at which a race ends
WITHIN = 0.03
LEAST, MOST = 3, 12  # rounds


@dataclass(frozen=True)
class Raced:
    """Speeds of every contestant, one of each round."""

    speeds: Mapping[str, tuple[float, ...]]

    @property
    def fastest(self) -> str:
        return max(self.speeds, key=self.mean)

    def mean(self, name: str) -> float:
        """Return the geometric mean of a contestant's speeds."""
        return math.exp(statistics.fmean(map(math.log, self.speeds[name])))

    def ratio(self, name: str, to: str | None = None) -> Estimate:
        """Return a contestant's speed over another's, by default over that of the fastest."""
        pairs = zip(self.speeds[name], self.speeds[to or self.fastest], strict=True)
        return log_interval([one / other for one, other in pairs])

    @property
    def open(self) -> float:
        """Return the half width of the widest interval of a ratio to the fastest; infinity after one round."""
        others = [self.ratio(name) for name in self.speeds if name != self.fastest]
        return max((_half(each) for each in others), default=0.0)


def _half(estimate: Estimate) -> float:
    if estimate.low is None or estimate.high is None:
        return math.inf
    return math.sqrt(estimate.high / estimate.low) - 1


def race(
    turns: Mapping[str, Callable[[], float]],
    *,
    certain: float = CERTAIN,
    least: int = LEAST,
    most: int = MOST,
    say: Callable[[str], None] = lambda _: None,
) -> Raced:
    """Let all take turns, at least `least` and at most `most` rounds; a single one has nothing to be certain of."""
    speeds: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(most):
        for name in list(turns)[:: -1 if number % 2 else 1]:
            speeds[name].append(turns[name]())
        raced = Raced({name: tuple(values) for name, values in speeds.items()})
        if number + 1 >= least and raced.open <= certain:
            break
        if number:
            say(f"round {number + 1}: the widest interval is {raced.open:.1%}, wanted {certain:.0%}")
    return raced


def smallest_within(raced: Raced, *, by: Callable[[str], int], within: float = WITHIN) -> str:
    """Return the smallest contestant, by its size, whose speed is within a share of the fastest's."""
    near = [name for name in raced.speeds if raced.ratio(name).value >= 1 - within]
    return min(near, key=by)
