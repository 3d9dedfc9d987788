"""A choice among rigs for people: which to take, what to look at next, when to stop, and a table; and for machines.

show(choice_parts(found, "WER 20"))
choice_rows(found)                          # a row for each rig, in full precision
"""

from __future__ import annotations

import math

from benchmark.judge.beliefs import PROBE
from benchmark.judge.choice import CHEAPER, SOONER, Choice, Option, Worth
from benchmark.judge.circumstances import some
from benchmark.tables import Table, duration, durations, interval, money, number

AT_LEAST = 0.005  # a probability that is told of another rig
MANY = 1e6  # trainings, from which on a look pays never


def choice_parts(found: Choice, level: str) -> list[str | Table]:
    """Return sentences and a table: the rig to take first."""
    sentences = [_take(found, level), *_others(found), _next(found), *_remarks(found)]
    return ["\n".join(f"- {sentence}" for sentence in sentences), _table(found, level), _basis(found)]


def _take(found: Choice, level: str) -> str:
    mine, candidate = found.options[found.taken], found.candidates[found.taken]
    hours = mine.hours[0]
    low, high = (60 * hour for hour in mine.hours[1:])
    takes = f"takes {duration(60 * hours)} ({durations(low, high, by=60 * hours)})"
    costs = ""
    if mine.cost and candidate.money:
        bounds = f"{money(mine.cost[1], '').strip()} to {money(mine.cost[2], '').strip()}"
        costs = f" and costs {money(mine.cost[0], found.currency)} ({bounds}; {candidate.money.basis or 'as offered'})"
    return f"Take {mine.name} for {level}: a training {takes}{costs}."


def _others(found: Choice) -> list[str]:
    """Say how probably another rig is cheaper, or sooner."""
    said = []
    rivals = [each for n, each in enumerate(found.options) if n != found.taken]
    if not rivals:
        return ["It is the only rig here: a probe or a run of another would tell whether that one is better."]
    p_cheapest, p_soonest = found.options[found.taken].p_cheapest, found.options[found.taken].p_soonest
    for word, mine, of in (
        (CHEAPER, p_cheapest, [(each.p_cheaper, each) for each in rivals]),
        (SOONER, p_soonest, [(each.p_sooner, each) for each in rivals]),
    ):
        if mine is None:
            continue
        named = sorted(((p, each) for p, each in of if p is not None and p >= AT_LEAST), key=lambda pair: -pair[0])
        names = ", ".join(f"{each.name} {_share(p)}" for p, each in named[:3])
        within = " within the budget" if any(each.too_dear for each in rivals) else ""
        said.append(f"Another{within} is {word} with a probability of {_share(1 - mine)}{f': {names}' * bool(names)}.")
    return said


def _share(p: float) -> str:
    """Return a probability in percent, never said to be none or all."""
    return "under 1%" if p < AT_LEAST else "over 99%" if p > 1 - AT_LEAST else f"{100 * p:.0f}%"


def _next(found: Choice) -> str:
    goal, count = found.wish.goal, found.wish.trainings
    trainings = "one training" if count == 1 else f"{count:,} trainings"
    if found.next is not None:
        saves = _amount(found, found.next.gain * count)
        return (
            f"Next {_look(found, found.next)}: it is expected to save {saves} in {trainings}, more than its cost; "
            f"then ask again."
        )
    if len(found.options) < 2:
        return "Stop: there is nothing to choose."
    nearest = found.nearest
    if nearest is None or nearest.pays_from(goal) > MANY:
        return f"Stop: nothing that a further probe or run could tell would change the choice for {trainings}."
    return (
        f"Stop: for {trainings} no further probe or run is worth its cost. The first that would be: "
        f"{_look(found, nearest)}, from {math.ceil(nearest.pays_from(goal)):,} trainings on."
    )


def _look(found: Choice, worth: Worth) -> str:
    look = worth.look
    name = found.options[look.rig].name
    what = f"probe {name} for an epoch" if look.what == PROBE else f"run {name} to the level"
    times = f" {look.times} times" if look.times > 1 else ""
    costs = f", {money(worth.money, found.currency)}" if worth.money is not None else ""
    return f"{what}{times} ({duration(60 * worth.hours)}{costs})"


def _amount(found: Choice, value: float) -> str:
    return duration(60 * value) if found.wish.goal == SOONER else money(value, found.currency)


def _remarks(found: Choice) -> list[str]:
    said = []
    for option, candidate in zip(found.options, found.candidates, strict=True):
        late = [epochs for epochs in candidate.missed if epochs > option.epochs[2]]
        if late:
            said.append(
                f"A run of {option.name} was not there after {max(late):g} epochs, and {option.epochs[2]:.1f} are "
                f"believed to be enough: it counts for nothing here; look at why."
            )
        if candidate.remark:
            said.append(f"{option.name}: {candidate.remark}.")
    dear = [option.name for option in found.options if option.too_dear and found.wish.budget is not None]
    if dear:
        said.append(
            f"Beyond the budget of {money(found.wish.budget, found.currency)}, or without a price: {some(dear)}."
        )
    without = [(each.name, each.no_price) for each in found.candidates if each.money is None and each.no_price]
    said += [f"{name} has no price: {why}." for name, why in without]
    return said


def _table(found: Choice, level: str) -> Table:
    header = (
        "rig", "batch", "runs", "epochs", "95% interval", "s an epoch", "minutes", "95% interval", "cost",
        "95% interval", "cheapest", "soonest",
    )  # fmt: skip
    order = sorted(range(len(found.options)), key=lambda n: (n != found.taken, _rank(found, found.options[n])))
    rows = []
    for n in order:
        option, evidence = found.options[n], found.candidates[n].evidence
        low, high = (60 * hour for hour in option.hours[1:])
        rows.append(
            (
                option.name,
                str(evidence.batch),
                str(len(evidence.epochs)),
                number(option.epochs[0]),
                interval(*option.epochs[1:]),
                number(option.pace_s),
                number(60 * option.hours[0]),
                interval(low, high),
                money(option.cost[0] if option.cost else None, found.currency),
                interval(*option.cost[1:]) if option.cost else "NA",
                "NA" if option.p_cheapest is None else _share(option.p_cheapest),
                _share(option.p_soonest),
            )
        )
    return Table(f"{level}: what is believed of each rig, and how probably it is the best", header, tuple(rows))


def _rank(found: Choice, option: Option) -> float:
    if found.wish.goal == CHEAPER:
        return option.cost[0] if option.cost else math.inf
    return option.hours[0]


def _basis(found: Choice) -> str:
    own = sum(len(each.evidence.epochs) for each in found.candidates)
    ran = f"{own} run{'s' * (own != 1)} here that reached it" if own else "no run here"
    published = f" and {found.reference_runs} of the reference" if found.reference_runs else ""
    luck = 100 * math.sqrt(found.beliefs.run_variances[0])
    return (
        f"Epochs: by {ran}{published}; from run to run they vary by {luck:.1f}%. Times and costs are those of the "
        f"average over seeds; a single training has that luck beside it. Runs: those to the level; seconds an epoch "
        f"may be a probe's."
    )


def choice_rows(found: Choice) -> list[dict[str, object]]:
    """Return a row for each rig, for csv and json: hours, costs, probabilities, and what to look at next."""
    rows = []
    for n, (option, candidate) in enumerate(zip(found.options, found.candidates, strict=True)):
        after = found.next if found.next and found.next.look.rig == n else None
        cost = option.cost or (None, None, None)
        rows.append(
            {
                "rig": option.name,
                "taken": n == found.taken,
                "goal": found.wish.goal,
                "trainings": found.wish.trainings,
                "batch": candidate.evidence.batch,
                "runs": len(candidate.evidence.epochs),
                "epochs": option.epochs[0],
                "epochs_low": option.epochs[1],
                "epochs_high": option.epochs[2],
                "seconds_per_epoch": option.pace_s,
                "hours": option.hours[0],
                "hours_low": option.hours[1],
                "hours_high": option.hours[2],
                "cost": cost[0],
                "cost_low": cost[1],
                "cost_high": cost[2],
                "currency": found.currency or None,
                "p_cheapest": option.p_cheapest,
                "p_soonest": option.p_soonest,
                "p_cheaper_than_taken": option.p_cheaper,
                "p_sooner_than_taken": option.p_sooner,
                "beyond_budget": option.too_dear,
                "next": f"{after.look.what} x {after.look.times}" if after else None,
                "next_gain": after.gain * found.wish.trainings if after else None,
                "next_cost": after.price(found.wish.goal) if after else None,
                "no_price": candidate.no_price or None,
            }
        )
    return rows
