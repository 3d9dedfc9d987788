"""The report's tiles: which rig is soonest, what a training costs on it, which is cheapest, how certain that is.

    for tile in tiles(block, ranking): tile     # (figure, what it is, whose)

Of one rig there is none to be sooner than: its times to the hardest levels stand there instead. All figures are the
ranking's, at its one level.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.judge.circumstances import some
from benchmark.judge.cost import rig_costs
from benchmark.judge.groups import Group
from benchmark.judge.ranking import Place, Ranking, certainty, telling
from benchmark.report.figures import Block, level_name
from benchmark.tables import HOURS_FROM, duration, durations, money

Tile = tuple[str, str, str]


def tiles(block: Block, found: Ranking | str) -> Iterator[Tile]:
    """Yield (figure, what it is, whose); nothing for emulated rigs, nor where nothing was reached."""
    if block.emulated:
        return
    if isinstance(found, str) or len(block.groups) == 1:
        for group in block.groups[:1] if len(block.groups) == 1 else ():
            yield from _of_one(block, group)
        return
    if not found.ranked:
        return
    first = found.ranked[0]
    open_ = len(found.ranked) > 1 and len(found.tied) == len(found.ranked) - 1
    yield _short(first.level.minutes), f"to {found.level}%, {'the least' if open_ else 'the soonest'}", first.label
    yield from _money(found, first)
    yield _certainty(found, first)


def _of_one(block: Block, group: Group) -> Iterator[Tile]:
    """Yield the hardest level of each metric that the only rig reached, what that costs, and how sure it is."""
    hardest = [
        max((n for n, level in enumerate(group.levels) if level.metric == metric and level.minutes), default=None)
        for metric in block.question.metrics
    ]
    reached = [n for n in hardest if n is not None]
    for number in reached:
        level = group.levels[number]
        yield _short(level.minutes), f"to {level_name(level)}", group.label
    if not reached:
        return
    level = group.levels[reached[0]]
    (cost,) = rig_costs([group], block.terms, level=reached[0])
    if cost.cost is not None:
        yield money(cost.cost, cost.currency), f"a training to {level_name(level)}", cost.basis
    if bounds := level.interval_minutes:
        yield _between(bounds, level.minutes), f"95% interval to {level_name(level)}", f"of {level.n} runs"
    else:
        yield "1 run" if level.n == 1 else f"{level.n} runs", "so no interval", "three seeds would give one"


def _money(found: Ranking, first: Place) -> Iterator[Tile]:
    """Yield what a training costs on the soonest rig, and on the cheapest where that is another."""
    priced = [place for place in found.ranked if place.cost.cost is not None]
    if not priced:
        yield "NA", "the cost of a training", "no price is known: --offer NAME=PRICE"
        return
    one = len({place.cost.currency for place in priced}) == 1
    cheapest = min(priced, key=lambda place: place.cost.cost)
    alone = one and cheapest is first and len(priced) > 1
    if first.cost.cost is None:
        yield "NA", f"a training on {first.label}", "no price is known"
    else:
        said = f"a training on {first.label}" + ", the cheapest too" * alone
        yield money(first.cost.cost, first.cost.currency), said, first.cost.basis
    if one and cheapest is not first:
        said = "a training, the cheapest" if len(priced) == len(found.ranked) else "a training, the cheapest known"
        about = f"{cheapest.label}, in {_short(cheapest.level.minutes)}; {cheapest.cost.basis}"
        yield money(cheapest.cost.cost, cheapest.cost.currency), said, about


def _certainty(found: Ranking, first: Place) -> Tile:
    """Return how sure it is that the first is the soonest: the ranking's verdicts, and the interval of its time."""
    others, bounds = found.ranked[1:], first.level.interval_minutes
    between = f"; 95% interval {_between(bounds, first.level.minutes)}" if bounds else ""
    runs = f"{first.level.n} {'run' if first.level.n == 1 else 'runs'}"
    if not others:
        return "1 rig", f"reached {found.level}%", f"{first.label}, {runs}{between}"
    told = [(place, answer) for place in others if (answer := telling(place)) is not None]
    left = [place.label for place in others if telling(place) is None]
    if not told:
        return "open", "whether it is the soonest", f"not told from {some(left)}; {runs}{between}"
    as_machine = any(answer is place.pair.hardware for place, answer in told if place.pair)
    ps = [answer.p for _, answer in told if answer.p is not None]
    words, share = certainty(max(ps)) if ps else ("told apart", "")
    sure = f"over {share}; " if share else ""
    about = f"{sure}{runs} of {first.label}{between}"
    if left:
        what = f"{'faster' if as_machine else 'sooner'} than {len(told)} of {len(others)} other rigs"
        return words, what, f"not told from {some(left)}; {about}"
    if len(others) == 1:
        return words, f"{'a faster machine' if as_machine else 'sooner'} than {others[0].label}", about
    return words, f"the {'fastest machine' if as_machine else 'soonest'} of {len(found.ranked)} rigs", about


def _short(minutes: float | None) -> str:
    return "NA" if minutes is None else duration(minutes).replace("minutes", "min").replace("hours", "h")


def _between(bounds: tuple[float, float], minutes: float | None) -> str:
    by = minutes or bounds[1]
    return f"{durations(*bounds, by=by)} {'min' if by <= HOURS_FROM else 'h'}"
