"""What software bought: each rig's time and cost with each recipe, and what hardware would have to be to match it.

    found = software(block)         # None where no rig has runs of two recipes
    found.sentences, found.table

All at the hardest level that most reached. Hardware matches a recipe on a rig if it takes no longer with the older
recipe, and for no more money if an hour of it costs no more than an hour of that rig: a training's cost is the price of
an hour times its hours. The older recipe is `paper` where it is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.judge.common import hardest_common_level
from benchmark.judge.cost import RigCost, rig_costs
from benchmark.judge.groups import Group, Level
from benchmark.report.figures import Block
from benchmark.report.rigs import price_of
from benchmark.tables import Table, cell, duration, money, number, without_empty

BASE = "paper"


@dataclass(frozen=True, kw_only=True)
class Software:
    """The answer, in sentences and as a table with a row for each rig and further recipe."""

    sentences: tuple[str, ...]
    table: Table


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """A rig with one recipe: its time and cost to the level."""

    rig: str
    recipe: str
    level: Level
    cost: RigCost

    @property
    def minutes(self) -> float | None:
        return self.level.minutes


def software(block: Block) -> Software | None:
    """Compare recipes rig by rig; None if no rig has runs of two, or the rigs are emulated."""
    trained = list(_trained(block))
    recipes = sorted({each.recipe for each in trained}, key=lambda name: (name != BASE, name))
    pairs = [
        (base, other)
        for recipe in recipes[1:]
        for base in trained
        for other in trained
        if base.rig == other.rig and (base.recipe, other.recipe) == (recipes[0], recipe)
    ]
    if not pairs:
        return None
    level = pairs[0][0].level
    rows = tuple(_row(base, other, trained) for base, other in pairs)
    header = (
        "rig", "recipe", "minutes", f"as {recipes[0]}", "times sooner", "cost", f"cost as {recipes[0]}",
        "hardware so much faster: at most", f"which here does it as {recipes[0]}",
    )  # fmt: skip
    title = f"{block.workload}: what software bought, and hardware that would do the same, to {level.name}"
    sentences = tuple(said for base, other in pairs for said in _sentences(base, other, trained))
    return Software(sentences=sentences, table=without_empty(Table(title, header, rows), header[5:]))


def _trained(block: Block) -> Iterator[_Trained]:
    groups = block.groups
    percent = None if block.emulated else hardest_common_level(groups, metric := block.question.metrics[0])
    if percent is None:
        return
    place = next(n for n, level in enumerate(groups[0].levels) if (level.metric, level.percent) == (metric, percent))
    for group, cost in zip(groups, rig_costs(groups, block.terms, level=place), strict=True):
        yield _Trained(
            rig=_rig(group), recipe=str(group.values("recipe")[0]), level=group.levels[place], cost=cost
        )  # fmt: skip


def _rig(group: Group) -> str:
    """Return a group's label without its recipe."""
    return " ".join([group.rig, *(f"{name}={value}" for name, value in group.split if name != "recipe")])


def _row(base: _Trained, other: _Trained, trained: Sequence[_Trained]) -> tuple[str, ...]:
    ratio = None if base.minutes is None or not other.minutes else base.minutes / other.minutes
    return (
        other.rig,
        other.recipe,
        number(other.minutes),
        number(base.minutes),
        cell(ratio, ".2f"),
        money(other.cost.cost, other.cost.currency),
        money(base.cost.cost, base.cost.currency),
        price_of(base.cost),
        _match(base, other, trained),
    )


def _match(base: _Trained, other: _Trained, trained: Sequence[_Trained]) -> str:
    """Return the rig here that gets there as soon with the older recipe, the cheapest of them; "none"."""
    if other.minutes is None:
        return "NA"
    fast = [
        each for each in trained
        if each.recipe == base.recipe and each.minutes is not None and each.minutes <= other.minutes
    ]  # fmt: skip
    if not fast:
        return "none"
    first = min(fast, key=lambda each: (each.cost.cost is None, each.cost.cost or each.minutes))
    cost = f", {money(first.cost.cost, first.cost.currency)} a training" if first.cost.cost is not None else ""
    return f"{first.rig}{cost}"


def _sentences(base: _Trained, other: _Trained, trained: Sequence[_Trained]) -> Iterator[str]:
    if other.minutes is None:
        yield f"On {other.rig} recipe {other.recipe} did not reach {other.level.name}."
        return
    took = f"{duration(other.minutes)} to {other.level.name}"
    if base.minutes is None:
        yield f"Software: on {other.rig} recipe {other.recipe} takes {took}, which {base.recipe} did not reach."
        return
    ratio, told = base.minutes / other.minutes, f"takes {took}, not {duration(base.minutes)} as {base.recipe}"
    if ratio <= 1:
        yield f"Software: on {other.rig} recipe {other.recipe} {told}: {1 / ratio:.3g} times as long."
        return
    saved = ""
    if base.cost.cost is not None and other.cost.cost is not None and base.cost.currency == other.cost.currency:
        saved = f", and saves {money(base.cost.cost - other.cost.cost, base.cost.currency)} a training"
    yield f"Software: on {other.rig} recipe {other.recipe} {told}: {ratio:.3g} times sooner{saved}."
    price, match = price_of(base.cost), _match(base, other, trained)
    at = f", and cost no more than {other.rig}, {price}" if price != "NA" else ""
    here = "none here is so fast" if match == "none" else f"here {match}, is so fast"
    yield (
        f"Hardware that matches this with {base.recipe} would have to be {ratio:.3g} times as fast as {other.rig}{at}; "
        f"{here}."
    )
