"""From how many trainings on it is cheaper to buy one rig than to rent another.

    found = break_evens(rig_costs(judge(runs), terms), terms)
    found[0].trainings, found[0].low, found[0].high, found[0].sentence

The sum is paid at once and nothing is got back: N trainings cost total + N * energy on the rig that is bought, and
N * rent on the one that is rented, so N = total / (rent - energy). Of two rigs the interval of the difference is
MOVER's (Zou and Donner, Statistics in Medicine 27, 2008), of the ends of both; a rig's own rent and energy go with one
time, and the ends are that time's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.judge.cost import Ends, RigCost
from benchmark.judge.frames import Listing
from benchmark.judge.terms import Terms


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """From how many `trainings` on rig `bought` is cheaper than renting `rented`: None if it never is.

    `low` and `high` are the 95% interval, None where there is none; `possible` trainings fit into the rig's life.
    """

    bought: str
    rented: str
    trainings: int | None
    low: int | None = None
    high: int | None = None
    possible: int = 0
    life: str = ""  # in words

    def fields(self) -> dict[str, object]:
        """Return the columns of a table."""
        return {**vars(self), "within_life": self.is_within_life}

    @property
    def is_within_life(self) -> bool:
        return self.trainings is not None and self.trainings <= self.possible

    @property
    def other(self) -> str:
        return "it" if self.rented == self.bought else self.rented

    @property
    def bounds(self) -> str:
        """Return the interval, in words; "" if there is none."""
        if self.low is None:
            return ""
        return f"95%: {self.low:,} to {self.high:,}" if self.high is not None else f"95%: {self.low:,} or more"

    @property
    def sentence(self) -> str:
        """Return it as a sentence."""
        if self.trainings is None:
            return f"Buying {self.bought} is never cheaper than renting {self.other}: its energy alone costs as much."
        about = f" ({self.bounds})" if self.bounds else ""
        start = f"Buying {self.bought} is cheaper than renting {self.other} from {self.trainings:,} trainings on{about}"
        if self.is_within_life:
            return f"{start}."
        return f"{start}, which it does not come to: {self.possible:,} fit into {self.life}."


def break_evens(costs: Sequence[RigCost], terms: Terms) -> Listing[BreakEven]:
    """Return every rig that is bought against every rig that is rented, of one currency, the soonest cheaper first."""
    found = [
        _break_even(bought, rented, terms)
        for bought in costs
        for rented in costs
        if bought.running is not None and rented.rents is not None and bought.currency == rented.currency
    ]
    return Listing(sorted(found, key=lambda each: math.inf if each.trainings is None else each.trainings))


def _break_even(bought: RigCost, rented: RigCost, terms: Terms) -> BreakEven:
    gain = _difference(rented.rents, bought.running, alike=bought is rented)
    possible = int(terms.hours * 60 / bought.minutes)
    never = BreakEven(bought=bought.label, rented=rented.label, trainings=None, possible=possible, life=terms.use)
    if gain.value <= 0:
        return never
    low, high = (None if not end or end <= 0 else math.ceil(bought.total / end) for end in (gain.high, gain.low))
    return replace(never, trainings=math.ceil(bought.total / gain.value), low=low, high=high)


def _difference(first: Ends, second: Ends, *, alike: bool) -> Ends:
    """Return first - second with its interval; `alike` says that both go with one time."""
    value = first.value - second.value
    if first.low is None or second.low is None:
        return Ends(value)
    if alike:
        return Ends(value, *sorted((first.low - second.low, first.high - second.high)))
    return Ends(
        value,
        value - math.hypot(first.value - first.low, second.high - second.value),
        value + math.hypot(first.high - first.value, second.value - second.low),
    )
