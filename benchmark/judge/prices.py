"""Costs for people: sentences that name what they assume, and the tables of `benchmark.price`.

cost_sentences(rig_costs(groups, terms), terms)   # ["Cheapest: ...", "No cost of ...", "Buying ..."]
cost_parts(groups, terms)                         # a block for each workload: sentences, a table, remarks
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.judge.breakeven import BreakEven, break_evens
from benchmark.judge.circumstances import some
from benchmark.judge.cost import RigCost, cost_interval, far_apart, rig_costs
from benchmark.judge.groups import Group
from benchmark.judge.missed import missed_sentence
from benchmark.judge.offered import DOUBTFUL, TAKEN_IN
from benchmark.judge.prior import TIMES
from benchmark.judge.terms import Terms
from benchmark.tables import Table, cell, duration, money, number

ALPHA = 0.05
NO_PRICE = ("has no [price]", TAKEN_IN)
WAY_OUT = "name one with --offer NAME=PRICE"


def cost_sentences(costs: Sequence[RigCost], terms: Terms, *, level: str = "") -> list[str]:
    """Return what a training costs, on which rig it costs least, why costs are missing, and when buying is cheaper.

    `level` is named where it is not clear from what stands before.
    """
    priced = sorted((each for each in costs if each.cost is not None), key=lambda each: each.cost)
    currencies = sorted({each.currency for each in priced})
    to = f" to {level}" if level else ""
    found = []
    if len(currencies) > 1:
        found = [f"A training{to} costs {_with_basis(each)} on {each.label}." for each in priced]
        found.append(
            f"Costs in {' and '.join(currencies)} are not compared: nothing is converted without a rate; give one as "
            f"[[rate]] in a file of --offers."
        )
    elif len(priced) == 1:
        found = [f"A training{to} costs {_with_basis(priced[0])} on {priced[0].label}."]
    elif priced:
        found = [_cheapest(priced[0], priced[1], to)]
    found += _missing(costs)
    for each in priced:
        found += [f"{each.label}'s price is {note}." for note in each.notes if note.startswith(DOUBTFUL)]
    if unbilled := [each for each in priced if each.rented is not None and each.preparation_to_tell]:
        longest = max(each.preparation_to_tell for each in unbilled)
        names = some([each.label for each in unbilled])
        found.append(
            f"Rents are without preparing features ({duration(longest)}; {names}): --with-preparation adds it."
        )
    pair = _most_telling(costs, terms)
    return [*found, *([pair.sentence] if pair else []), *filter(None, [far_apart(costs)])]


def costs_apart(costs: Sequence[RigCost]) -> list[str]:
    """Return each rig's cost with what it assumes, or why it has none, where ratios of costs stand; [] if none."""
    by_label = {cost.label: cost for cost in costs if cost.minutes is not None and not cost.emulated}
    known = [cost for cost in by_label.values() if cost.cost is not None]
    if not known:
        return _missing(list(by_label.values()))
    found = [f"{cost.label}: {_with_basis(cost)}" for cost in known]
    if len({cost.currency for cost in known}) > 1:
        found.append("sums in several currencies are not compared: give a [[rate]] in a file of --offers")
    return [*found, *_missing(list(by_label.values()))]


def _cheapest(first: RigCost, second: RigCost, to: str) -> str:
    overlap = first.high is not None and second.low is not None and first.high >= second.low
    behind = f"{second.label} follows with {money(second.cost, second.currency)} ({second.basis})"
    said = ", and the intervals overlap" if overlap else ""
    if first.runs == second.runs == 1:
        found = TIMES.ratio([first.cost], [second.cost], steps=[first.step, second.step])
        said = f", {'further' if found.p < ALPHA else 'no further'} apart than single runs are by the spread of others"
    return f"Cheapest{to}: {first.label} with {_with_basis(first, a_training=True)}; {behind}{said}."


def _with_basis(cost: RigCost, *, a_training: bool = False) -> str:
    """Return a cost with its interval and what it assumes, in words."""
    between = cost_interval(cost)
    about = "; ".join([f"95%: {between}"] * (between != "NA") + [cost.basis])
    return f"{money(cost.cost, cost.currency)}{' a training' * a_training} ({about})"


def _missing(costs: Sequence[RigCost]) -> list[str]:
    """Say why rigs that reached the level have no cost; each reason once."""
    labels: dict[str, list[str]] = {}
    for each in costs:
        if each.cost is None and each.minutes is not None and not each.emulated:
            reason = each.reason or f"it is not {each.tenure}, as --tenure asks"
            labels.setdefault(reason, []).append(each.label)
    return [
        f"No cost of {some(names)}: {reason}{f'; {WAY_OUT}' if reason.endswith(NO_PRICE) else ''}."
        for reason, names in labels.items()
    ]


def _most_telling(costs: Sequence[RigCost], terms: Terms) -> BreakEven | None:
    """Return the rig that is bought against the cheapest that is rented, whichever is the soonest cheaper."""
    real = [each for each in costs if not each.emulated]
    rented = [each for each in real if each.rented is not None]
    if not rented:
        return None
    cheapest = min(rented, key=lambda each: each.rented)
    found = [each for each in break_evens(real, terms) if each.rented == cheapest.label]
    return found[0] if found else None


# --- tables ----------------------------------------------------------------------------------------------------------


def cost_rows(groups: Sequence[Group], terms: Terms) -> list[dict[str, object]]:
    """Return a row for each group and level in full precision; None is not known."""
    rows = []
    for block in _blocks(groups):
        for place, level in enumerate(block[0].levels):
            about = {"workload": block[0].workload, "metric": level.metric, "level_percent": level.percent}
            rows += [{**about, **cost.fields()} for cost in rig_costs(block, terms, level=place)]
    return rows


def cost_answers(groups: Sequence[Group], terms: Terms) -> list[str]:
    """Return the answer alone: what a training costs to the hardest level with a cost, a paragraph for a workload."""
    return [_answer(block, terms)[0] for block in _blocks(groups)]


def _blocks(groups: Sequence[Group]) -> list[list[Group]]:
    names = dict.fromkeys(group.workload for group in groups)
    return [[group for group in groups if group.workload == workload] for workload in names]


def _answer(block: Sequence[Group], terms: Terms) -> tuple[str, int, list[list[RigCost]]]:
    """Return the answer to a workload, the number of the level that it is about, and the costs at every level."""
    by_level = [list(rig_costs(block, terms, level=place)) for place in range(len(block[0].levels))]
    place = _told(by_level)
    level = block[0].levels[place]
    found = cost_sentences(by_level[place], terms, level=level.name) or ["No rig here has a cost."]
    sentences = [missed_sentence(block, level.metric, level.percent), *found]
    return "\n".join([f"{block[0].workload}:", *(f"- {each}" for each in sentences if each)]), place, by_level


def cost_parts(groups: Sequence[Group], terms: Terms) -> list[str | Table]:
    """Return a block for every workload: the answer at its hardest level, a table of all levels, and remarks."""
    parts: list[str | Table] = []
    for block in _blocks(groups):
        workload, names = block[0].workload, [level.name for level in block[0].levels]
        said, place, by_level = _answer(block, terms)
        parts += [said, _table(workload, names, by_level)]
        every = [cost for costs in by_level for cost in costs]
        if table := _break_even_table(f"{workload}, {names[place]}", by_level[place], terms):
            parts.append(table)
        remarks: dict[str, dict[str, None]] = {}
        for cost in every:
            for text in filter(None, (cost.reason, cost.priced, *cost.notes)):
                remarks.setdefault(text, {})[cost.label] = None
        if remarks:
            parts.append("\n".join(f"- {', '.join(labels)}: {text}" for text, labels in remarks.items()))
    return [*parts, _words_of(terms)]


def _told(by_level: Sequence[Sequence[RigCost]]) -> int:
    """Return the number of the last level to which most rigs have a cost."""
    return max(range(len(by_level)), key=lambda n: (sum(each.cost is not None for each in by_level[n]), n))


def _table(workload: str, names: Sequence[str], by_level: Sequence[Sequence[RigCost]]) -> Table:
    first = "platform, level" if len(names) > 1 else "platform"
    header = (
        first, "minutes", "price", "owned an hour", "rent an hour", "million price-minutes", "owned", "rented",
        "cost, 95% interval", "energy kWh", "break-even h", "front",
    )  # fmt: skip
    rows = [
        _row(cost, f"{cost.label}, {name}" if len(names) > 1 else cost.label)
        for name, costs in zip(names, by_level, strict=True)
        for cost in costs
    ]
    kept = [n for n, _ in enumerate(header) if n == 0 or any(row[n] not in ("NA", "") for row in rows)]
    return Table(
        f"{workload}: what a training costs" + (f" to {names[0]}" if len(names) == 1 else ""),
        tuple(header[n] for n in kept),
        tuple(tuple(row[n] for n in kept) for row in rows),
    )


def _row(cost: RigCost, label: str) -> tuple[str, ...]:
    return (
        label,
        number(cost.minutes),
        "NA" if cost.total is None else f"{cost.total:,.0f} {cost.currency}",
        money(cost.owned_per_hour, cost.currency),
        money(cost.rent_per_hour, cost.currency),
        "NA" if cost.dollar_minutes is None else f"{cost.dollar_minutes / 1e6:.3g}",
        money(cost.owned, cost.currency),
        money(cost.rented, cost.currency),
        cost_interval(cost),
        cell(cost.energy_kwh, ".3g"),
        "NA" if cost.break_even_hours is None else f"{cost.break_even_hours:,.0f}",
        "yes" if cost.on_front else "",
    )


def _break_even_table(title: str, costs: Sequence[RigCost], terms: Terms) -> Table | None:
    """Return every bought rig against every other that is rented; None if there are no two pairs of them."""
    found = break_evens([cost for cost in costs if not cost.emulated], terms)
    if len(found) < 2:
        return None
    rows = tuple(
        (
            f"{each.bought} / {each.rented}",
            "never" if each.trainings is None else f"{each.trainings:,}",
            each.bounds.removeprefix("95%: ") or "NA",
            f"{each.possible:,}",
        )
        for each in found
    )
    header = ("bought / rented", "from trainings", "95% interval", "fit into its life")
    return Table(f"{title}: from how many trainings on buying is cheaper than renting", header, rows)


def _words_of(terms: Terms) -> str:
    """Say what the terms are, and what the columns mean."""
    energy = "" if terms.kwh_price is None else f", energy at {terms.kwh_price:g} a kWh"
    words = []
    if terms.idle_w:
        words.append(f"a bought rig takes {terms.idle_w:g} W while it is not used")
    if terms.billing_minutes:
        words.append(f"rent is for every started {terms.billing_minutes:g} minutes")
    if terms.setup_minutes:
        words.append(f"rent has {terms.setup_minutes:g} minutes of set-up")
    if terms.with_preparation:
        words.append("rent is for the preparation of features too")
    if terms.down_time:
        words.append("rent goes on while an interrupted run stands still")
    if terms.failures:
        words.append("the runs that reached the level pay for those that missed it")
    if terms.tenure != "cheaper":
        words.append(f"rigs are ranked as {terms.tenure}")
    more = f"{'; '.join(words).capitalize()}. " if words else ""
    return (
        f"Owned: the purchase written off over {terms.years:g} years at a duty of {terms.duty:g} "
        f"({terms.hours:,.0f} hours){energy}. Break-even: hours of use at which buying costs as much as renting. "
        f"{more}Front: no other rig of its currency is both cheaper and faster. Intervals are those of the time, 95%."
    )
