"""Which rig to take for a level, what to probe or run next, and when to stop.

    found = choose([Candidate(evidence, money=Money(0.0, 12.1)), ...], reference, Wish(goal=CHEAPER, trainings=10))
    found.taken, found.options[0].p_cheapest    # the rig to take, and how probably each is the cheapest
    found.next                                  # the look that is worth most for its cost; None: stop

What is known of a rig's time is `benchmark.judge.beliefs`'. The rig to take has the least expected cost, or time. A
look (a probe of one epoch, a run to the level, or 2, 4 or 8 of them) is worth what it is expected to save: the
expectation of the least cost after it, less the least cost now, for each of the trainings that are to come (the
knowledge gradient). What it costs is the rent of its hours, or, where time is the goal, its hours. The next look is the
one that is worth most for its cost; where none is worth its cost, one stops. Several at once are asked about, as one
alone may be worth nothing and a few together much.

Expectations are sums over POINTS equally probable values of what would be seen, and so the same at every call. A rent
by whole units is taken for what it is on the average, half a unit more than the time, and for one unit at least.

Sources: I. Gupta and W. Miescke, Journal of Statistical Planning and Inference 54 (1996), and P. Frazier, W. Powell,
S. Dayanik, INFORMS Journal on Computing 21 (2009), for the knowledge gradient; P. Frazier and W. Powell, Decision
Analysis 7 (2010), for several looks at once.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from benchmark.judge.beliefs import NORMAL_95, PROBE, RUN, Beliefs, Evidence, Look, believe
from benchmark.judge.question import JudgeError

CHEAPER, SOONER = "cheaper", "sooner"
GOALS = (CHEAPER, SOONER)
DRAWS = 2000
POINTS = {1: 41, 2: 15}
"""Values of each thing that a look shows, by how many things it shows."""
RUNS_AT_ONCE = (1, 2, 4, 8)
NOTHING = 1e-4  # a shift of log time that changes nothing


@dataclass(frozen=True)
class Money:
    """What a training on a rig costs: a sum, and so much an hour; `least` is the smallest bill."""

    fixed: float
    per_hour: float
    currency: str = "USD"
    basis: str = ""
    least: float = 0.0

    def of(self, hours: float) -> float:
        return max(self.least, self.fixed + self.per_hour * hours)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A rig that one could take; without money `no_price` says why.

    `missed` are the epochs that its runs without the level were seen for, `remark` is what else to know.
    """

    evidence: Evidence
    platform: str = ""
    money: Money | None = None
    no_price: str = ""
    missed: tuple[float, ...] = ()
    remark: str = ""

    @property
    def name(self) -> str:
        return self.evidence.name


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted: the goal, for how many trainings one chooses, and the most that they and all looks may cost."""

    goal: str = CHEAPER
    trainings: int = 1
    budget: float | None = None


@dataclass(frozen=True, kw_only=True)
class Option:
    """One rig: its hours, epochs and cost of one training as (value, low, high), and how probably it is the best.

    `p_cheapest` is among the rigs with a price, `p_cheaper` and `p_sooner` against the rig that is taken. `too_dear`
    says that the trainings cost more than the budget.
    """

    name: str
    hours: tuple[float, float, float]
    epochs: tuple[float, float, float]
    pace_s: float
    cost: tuple[float, float, float] | None
    p_cheapest: float | None
    p_soonest: float
    p_cheaper: float | None = None
    p_sooner: float = 0.0
    too_dear: bool = False


@dataclass(frozen=True, kw_only=True)
class Worth:
    """A look: what it takes in money and hours, and what it is expected to save on one training, in the goal's unit."""

    look: Look
    hours: float
    money: float | None
    gain: float

    def price(self, goal: str) -> float:
        """Return what it costs in the goal's unit, money or hours."""
        return self.hours if goal == SOONER else math.inf if self.money is None else self.money

    def pays_from(self, goal: str) -> float:
        """Return the number of trainings from which on it is worth its cost."""
        return self.price(goal) / self.gain if self.gain > 0 else math.inf


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answer: options in the order of rigs given, the number of the one to take, and what looking would bring.

    `next` is None where no look is worth its cost; `nearest` is the look that would be for the fewest trainings.
    """

    wish: Wish
    candidates: tuple[Candidate, ...]
    beliefs: Beliefs
    options: tuple[Option, ...]
    taken: int
    next: Worth | None
    nearest: Worth | None
    currency: str = ""
    reference_runs: int = 0

    @property
    def p_another(self) -> float:
        """Return how probably another rig, among those that could be taken, is better by the goal."""
        mine = self.options[self.taken]
        return 1 - (mine.p_soonest if self.wish.goal == SOONER else mine.p_cheapest or 0.0)


def choose(candidates: Sequence[Candidate], reference: Sequence[Evidence] = (), wish: Wish | None = None) -> Choice:
    """Choose among rigs, by what was seen of them and of reference runs.

    Raises:
        JudgeError: there is no rig with what the goal needs, prices are in several currencies, no training tells how
            many epochs the level takes, or the budget is too small for any rig.
    """
    wish = wish or Wish()
    priced = [n for n, each in enumerate(candidates) if each.money]
    currencies = sorted({candidates[n].money.currency for n in priced})
    _check(candidates, priced, currencies, wish)
    beliefs = believe([each.evidence for each in candidates], reference)
    if not beliefs.epochs_known:
        raise JudgeError(_no_epochs(candidates, wish))
    allowed = priced if wish.goal == CHEAPER else list(range(len(candidates)))
    costs = {n: candidates[n].money.of(beliefs.expected_s(n) / 3600) for n in priced}
    if wish.budget is not None:
        allowed = [n for n in allowed if n in costs and costs[n] * wish.trainings <= wish.budget]
        if not allowed:
            least = min(costs, key=costs.__getitem__)
            raise JudgeError(
                f"{_trainings(wish.trainings)} cost {costs[least] * wish.trainings:.4g} {currencies[0]} at the least "
                f"(on {candidates[least].name}), and the budget is {wish.budget:g}; expected more, or an easier level"
            )
    lines = [candidates[n].money if wish.goal == CHEAPER else Money(0.0, 1.0) for n in allowed]
    values = {n: line.of(beliefs.expected_s(n) / 3600) for n, line in zip(allowed, lines, strict=True)}
    taken = min(values, key=values.__getitem__)
    looks = [] if len(allowed) < 2 else _worths(candidates, beliefs, allowed, lines, taken)
    left = None if wish.budget is None else wish.budget - wish.trainings * costs[taken]
    payable = [each for each in looks if left is None or (each.money is not None and each.money <= left)]
    worth = [each for each in payable if each.gain * wish.trainings > each.price(wish.goal)]
    nearest = min(payable, key=lambda each: each.pays_from(wish.goal), default=None)
    return Choice(
        wish=wish,
        candidates=tuple(candidates),
        beliefs=beliefs,
        options=_options(candidates, beliefs, allowed, taken, wish),
        taken=taken,
        next=min(worth, key=lambda each: each.pays_from(wish.goal), default=None),
        nearest=nearest if nearest and math.isfinite(nearest.pays_from(wish.goal)) else None,
        currency=currencies[0] if currencies else "",
        reference_runs=sum(len(each.epochs) for each in reference),
    )


def _check(candidates: Sequence[Candidate], priced: Sequence[int], currencies: Sequence[str], wish: Wish) -> None:
    if not candidates:
        raise JudgeError("no rig to choose among; expected runs or probes of two rigs or more")
    if not priced and (wish.goal == CHEAPER or wish.budget is not None):
        why = "; ".join(dict.fromkeys(f"{each.name}: {each.no_price}" for each in candidates))[:400]
        raise JudgeError(f"no rig has a price ({why}); expected --offer NAME=12.10/h, --offers FILE, or --goal sooner")
    if len(currencies) > 1:
        raise JudgeError(
            f"prices are in {' and '.join(currencies)}, and nothing is converted without a rate; expected one "
            f"currency, or a [[rate]] in a file of --offers"
        )


def _no_epochs(candidates: Sequence[Candidate], wish: Wish) -> str:
    """Say that nobody knows how many epochs the level takes, and which rig to run first, by its epochs alone."""

    def an_epoch(candidate: Candidate) -> float:
        seconds = statistics.fmean(candidate.evidence.paces_s or (candidate.evidence.guess_s or math.inf,))
        return seconds if wish.goal == SOONER else candidate.money.per_hour * seconds if candidate.money else math.inf

    first, least = min(candidates, key=an_epoch).name, "shortest" if wish.goal == SOONER else "cheapest"
    return (
        f"no run reached the level, and no reference run of this training did: how many epochs it takes is not known; "
        f"expected one run to the level on any rig ({first} has the {least} epoch), or --reference "
        f"FILE"
    )


def _trainings(count: int) -> str:
    return "a training" if count == 1 else f"{count} trainings"


# --- what a look is worth --------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _normal_points(count: int) -> tuple[float, ...]:
    """Return equally probable values of a standard normal law, with its variance of 1."""
    found = [statistics.NormalDist().inv_cdf((n + 0.5) / count) for n in range(count)]
    scale = math.sqrt(statistics.fmean(x * x for x in found))
    return tuple(x / scale for x in found)


def _worths(
    candidates: Sequence[Candidate], beliefs: Beliefs, allowed: Sequence[int], lines: Sequence[Money], taken: int
) -> list[Worth]:
    found = []
    for rig, each in enumerate(candidates):
        run_s = beliefs.expected_s(rig)
        probe_s = each.evidence.start_s + math.exp(beliefs.log_pace(rig)[0])
        looks = [Look(rig, PROBE), *(Look(rig, RUN, times) for times in RUNS_AT_ONCE)]
        for look in looks:
            each_h = (probe_s if look.what == PROBE else run_s) / 3600
            gain = gain_of(beliefs, look, allowed, lines, taken)
            money = each.money.of(each_h) * look.times if each.money else None
            found.append(Worth(look=look, hours=each_h * look.times, money=money, gain=gain))
    return found


def gain_of(beliefs: Beliefs, look: Look, allowed: Sequence[int], lines: Sequence[Money], taken: int) -> float:
    """Return what a look is expected to save on one training: the least expected cost now, less that after it.

    `lines` are what an hour of each of the `allowed` rigs costs, `taken` the one with the least now. What is seen is a
    standard normal value z; a rig's expectation given it is exp(mean + shift z + (variance - shift^2) / 2).
    """
    shifts = [found for found in beliefs.shifts(look) if max(abs(found[n]) for n in allowed) > NOTHING]
    if not shifts:
        return 0.0
    points = _normal_points(POINTS[len(shifts)])
    mine = list(allowed).index(taken)
    about = []
    for n, line in zip(allowed, lines, strict=True):
        mean, variance = beliefs.log_time(n)
        move = [found[n] for found in shifts]
        left = max(0.0, variance - sum(m * m for m in move))
        fixed = line.fixed + line.per_hour * beliefs.starts_s[n] / 3600
        about.append((line.least, fixed, line.per_hour / 3600, mean + left / 2, move))
    saved, count = 0.0, 0
    for z in itertools.product(points, repeat=len(shifts)):
        values = [
            max(least, fixed + factor * math.exp(mean + sum(m * x for m, x in zip(move, z, strict=True))))
            for least, fixed, factor, mean, move in about
        ]
        saved += values[mine] - min(values)
        count += 1
    return saved / count


# --- what is believed of each rig ------------------------------------------------------------------------------------


def _options(
    candidates: Sequence[Candidate], beliefs: Beliefs, allowed: Sequence[int], taken: int, wish: Wish
) -> tuple[Option, ...]:
    draws = beliefs.draws(DRAWS)
    priced = [n for n in (allowed if wish.budget is not None else range(len(candidates))) if candidates[n].money]
    racing = list(allowed) if wish.budget is not None else list(range(len(candidates)))
    count = range(len(candidates))
    cheapest, soonest, cheaper, sooner = [0] * len(count), [0] * len(count), [0] * len(count), [0] * len(count)
    for seconds in draws:
        costs = {n: each.money.of(seconds[n] / 3600) for n, each in enumerate(candidates) if each.money}
        if priced:
            cheapest[min(priced, key=costs.__getitem__)] += 1
        soonest[min(racing, key=seconds.__getitem__)] += 1
        for n in count:
            sooner[n] += seconds[n] < seconds[taken]
            cheaper[n] += n in costs and taken in costs and costs[n] < costs[taken]
    found = []
    for n, each in enumerate(candidates):
        hours = _interval(*beliefs.log_time(n), plus=beliefs.starts_s[n], unit=3600)
        money = each.money
        cost = (money.of(hours[0]), money.of(hours[1]), money.of(hours[2])) if money else None
        both = bool(money and candidates[taken].money)
        found.append(
            Option(
                name=each.name,
                hours=hours,
                epochs=_interval(*beliefs.log_epochs(n)),
                pace_s=math.exp(beliefs.log_pace(n)[0]),
                cost=cost,
                p_cheapest=cheapest[n] / len(draws) if each.money else None,
                p_soonest=soonest[n] / len(draws),
                p_cheaper=cheaper[n] / len(draws) if both else None,
                p_sooner=sooner[n] / len(draws),
                too_dear=wish.budget is not None and n not in allowed,
            )
        )
    return tuple(found)


def _interval(mean: float, variance: float, *, plus: float = 0.0, unit: float = 1.0) -> tuple[float, float, float]:
    """Return the median and the bounds of the 95% interval."""
    half = NORMAL_95 * math.sqrt(variance)
    middle, low, high = ((plus + math.exp(mean + sign * half)) / unit for sign in (0, -1, 1))
    return middle, low, high
