"""The cost of runs: price times time to accuracy, and the money that one training to a level takes.

    costs = rig_costs(judge(runs), Terms(years=3, duty=0.5))
    costs[0].cost, costs[0].low, costs[0].high, costs[0].dollar_minutes, costs[0].on_front, costs.to_frame()

There are three ways to look at it. Dollar-minutes, the paper's: the purchase price times the time to accuracy. The
cost of one training on a rig that is bought: price / (years * 8766 h * duty) an hour, plus energy, over the hours it
takes. The cost on a rig that is rented: rent for the hours that are billed. Prices come from the platform that the run
recorded (run.json), of all its machines; power is what was measured (utilisation.csv, GPUs only), in 90% of a run at
least. What is missing is NA, with the reason: never 0. With a price for energy a bought rig whose power was not
measured has no cost: a training without energy is never compared with one that pays for it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import platforms
from benchmark.judge.circumstances import some
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level
from benchmark.record import FactsError, Run, RunRecord
from benchmark.record.energy import NO_POWER
from benchmark.record.run import GpuPower
from benchmark.tables import Table, cell, money, number
from platforms import LARGEST, Price

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

HOURS_A_YEAR = 365.25 * 24
TENURES = ("cheaper", "owned", "rented")
FAR_APART_DAYS = 366
LONGEST_YEARS = 1000
PUBLISHED_RIGS = {"Sys1$": "sys1", "Sys2$": "sys2", "Sys10$": "sys10"}


class PriceError(ValueError):
    """Terms that make no sense; the message says which and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a rig is paid for.

    A purchase is written off over `years`, of which a share `duty` is used. Energy needs a `kwh_price`; a bought rig
    then also takes `idle_w` watts in the hours in which it is not used. Rent is for every started `billing_minutes`, at
    least one of them, with `setup_minutes` before each training; `down_time` adds the time in which an interrupted run
    stood still. With `failures` the runs that missed the level are paid for by those that reached it. `tenure` is which
    cost ranks rigs: owned, rented, or the cheaper. `offers` are prices by platform, in place of those recorded.
    """

    years: float = 3.0
    duty: float = 0.5
    kwh_price: float | None = None
    idle_w: float = 0.0
    billing_minutes: float = 0.0
    setup_minutes: float = 0.0
    down_time: bool = False
    failures: bool = False
    tenure: str = "cheaper"
    offers: tuple[tuple[str, Price], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.years <= LONGEST_YEARS:
            raise PriceError(f"years is {self.years}; expected more than 0, at most {LONGEST_YEARS}")
        if not 0 < self.duty <= 1:
            raise PriceError(f"duty is {self.duty}; expected more than 0, at most 1: the share of its time in use")
        if self.hours < 1:  # nor a division by 0
            raise PriceError(f"{self.years} years at a duty of {self.duty} are under an hour of use; expected more")
        if self.kwh_price is not None and not 0 <= self.kwh_price <= LARGEST:
            raise PriceError(f"kwh-price is {self.kwh_price}; expected 0 to {LARGEST}")
        for name in ("idle_w", "billing_minutes", "setup_minutes"):
            if not 0 <= getattr(self, name) <= LARGEST:
                raise PriceError(f"{name.replace('_', '-')} is {getattr(self, name)}; expected 0 to {LARGEST}")
        if self.idle_w and self.kwh_price is None:
            raise PriceError("idle-w needs a kwh-price: without it idle energy has no price; give --kwh-price too")
        if self.tenure not in TENURES:
            raise PriceError(f"tenure is {self.tenure!r}; expected {' or '.join(TENURES)}")
        names = [name for name, _ in self.offers]
        if twice := [name for name in names if names.count(name) > 1]:
            raise PriceError(f"two offers for {twice[0]}; expected one for each platform")

    @property
    def hours(self) -> float:
        """Return the hours of use in a rig's life."""
        return self.years * HOURS_A_YEAR * self.duty


@dataclass(frozen=True, kw_only=True)
class RigCost:
    """The cost of one group's time to a level, in `currency`. None is not known; `reason` then says why.

    `owned` is a training's share of the purchase and its energy, `rented` its rent; `cost` is the one that ranks, with
    a 95% interval from `low` to `high` that is the time's. `break_even_hours` of use is where buying and renting cost
    the same.
    """

    label: str
    minutes: float | None
    currency: str = ""
    priced: str = ""  # date and source, in words
    date: str = ""
    total: float | None = None
    rent_per_hour: float | None = None
    power_w: float | None = None
    energy_kwh: float | None = None  # of one training, of its GPUs
    owned: float | None = None
    rented: float | None = None
    low: float | None = None
    high: float | None = None
    break_even_hours: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    emulated: bool = False
    on_front: bool = False
    tenure: str = "cheaper"

    @property
    def cost(self) -> float | None:
        return cheapest({"owned": self.owned, "rented": self.rented}, self.tenure)

    def fields(self) -> dict[str, object]:
        """Return the columns of a table."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "notes"}
        derived = {"cost": self.cost, "dollar_minutes": self.dollar_minutes, "notes": "; ".join(self.notes)}
        return {**known, **derived}

    @property
    def dollar_minutes(self) -> float | None:
        """Return the paper's measure: purchase price times time to accuracy."""
        return None if self.total is None or self.minutes is None else self.total * self.minutes


def training_cost(price: Price, hours: float, terms: Terms, power_w: float | None = None) -> dict[str, Any]:
    """Return what `hours` of training cost: `owned`, `rented`, `break_even_hours`; None if the price lacks that part.

    Energy counts where both power and its price are known.
    """
    energy_an_hour = (power_w or 0.0) / 1000 * (terms.kwh_price or 0.0)
    idle_an_hour = terms.idle_w / 1000 * (terms.kwh_price or 0.0) * (1 / terms.duty - 1)
    owned = rented = break_even = None
    if price.total is not None:
        owned = hours * (price.total / terms.hours + energy_an_hour + idle_an_hour)
    if price.rent_per_hour is not None:
        rented = billed_hours(hours, terms) * price.rent_per_hour
    running = energy_an_hour + idle_an_hour
    if price.total is not None and price.rent_per_hour is not None and price.rent_per_hour > running:
        break_even = price.total / (price.rent_per_hour - running)
    return {"owned": owned, "rented": rented, "break_even_hours": break_even}


def billed_hours(hours: float, terms: Terms) -> float:
    """Return the hours that are billed for a training: its set-up too, in whole units, at least one."""
    minutes, unit = hours * 60 + terms.setup_minutes, terms.billing_minutes
    return (max(1, math.ceil(minutes / unit - 1e-9)) * unit if unit else minutes) / 60


def cheapest(costs: Mapping[str, Any], tenure: str = "cheaper") -> float | None:
    """Return the cost by which rigs are ranked: owned, rented, or the lower of the two; None if it is not known."""
    if tenure != "cheaper":
        return costs[tenure]
    return min((costs[name] for name in ("owned", "rented") if costs[name] is not None), default=None)


def rig_costs(groups: Sequence[Group], terms: Terms | None = None, *, level: int = -1) -> Listing[RigCost]:
    """Return every group's cost to one of its levels (by default the last, the hardest), with the Pareto front marked.

    On the front is a real rig that no other beats in both cost and time, among two or more of one currency.

    Raises:
        PriceError: energy has one price, and the rigs have several currencies.
    """
    terms = terms or Terms()
    found = [_rig_cost(group, group.levels[level], terms) for group in groups]
    currencies = sorted({cost.currency for cost in found if cost.currency})
    if terms.kwh_price is not None and len(currencies) > 1:
        raise PriceError(
            f"kwh-price is {terms.kwh_price:g} in one currency, but the rigs' prices are in "
            f"{' and '.join(currencies)}; expected one: judge them apart, or leave --kwh-price out"
        )
    return Listing(replace(cost, on_front=_on_front(cost, found)) for cost in found)


def _on_front(cost: RigCost, others: Sequence[RigCost]) -> bool:
    if cost.cost is None or cost.minutes is None or cost.emulated:
        return False
    rivals = [
        other
        for other in others
        if other is not cost and other.cost is not None and other.minutes is not None
        and not other.emulated and other.currency == cost.currency
    ]  # fmt: skip
    return bool(rivals) and not any(
        o.cost <= cost.cost and o.minutes <= cost.minutes and (o.cost, o.minutes) != (cost.cost, cost.minutes)
        for o in rivals
    )


def _rig_cost(group: Group, level: Level, terms: Terms) -> RigCost:
    about = RigCost(label=group.label, minutes=level.minutes, emulated=group.emulated, tenure=terms.tenure)
    if group.emulated:
        return replace(about, reason="emulated: these times are not the rig's")
    try:
        price = price_of(group, terms)
    except PriceError as error:
        power_w, _ = power_of(group.runs, at_once=terms.kwh_price is None)
        known = power_w is not None and level.minutes is not None
        energy_kwh = power_w / 1000 * level.minutes / 60 if known else None  # needs no price
        return replace(about, reason=str(error), power_w=power_w, energy_kwh=energy_kwh)
    about = replace(
        about,
        currency=price.currency,
        priced=f"price of {price.date}, {price.source}",
        date=str(price.date),
        total=price.total,
        rent_per_hour=price.rent_per_hour,
    )
    if level.minutes is None:
        return replace(about, reason=f"{level.name} was not reached")
    power_w, measured = power_of(group.runs, at_once=terms.kwh_price is None)
    unpaid = terms.kwh_price is not None and price.total is not None and power_w is None
    notes = _on_energy(terms, power_w, measured, bought=price.total is not None)
    if price.total is not None and not price.storage_included:
        notes.append("the price is without storage")
    more = _more_minutes(group, level, terms)
    notes += [f"{words} adds {number(minutes)} min" for words, minutes in more.items() if minutes]
    costs = _costs(price, level.minutes, more, terms, power_w, unpaid=unpaid)
    ends = [
        cheapest(_costs(price, minutes, more, terms, power_w, unpaid=unpaid), terms.tenure)
        for minutes in level.interval_minutes or ()
    ]
    reason = ""
    if unpaid:
        reason = f"what it costs if bought is not known: {measured}; leave --kwh-price out to compare without energy"
    low, high = ends or (None, None)
    return replace(
        about,
        power_w=power_w,
        energy_kwh=None if power_w is None else power_w / 1000 * level.minutes / 60,
        notes=tuple(notes),
        reason=reason,
        low=low,
        high=high,
        **costs,
    )


def _costs(
    price: Price, minutes: float, more: Mapping[str, float], terms: Terms, power_w: float | None, *, unpaid: bool
) -> dict[str, Any]:
    """Return the costs of a training; what is bought has none where its energy is asked for and not known."""
    failed, down = more[FAILED], more[DOWN]
    owned = training_cost(price, (minutes + failed) / 60, terms, power_w)
    rented = training_cost(price, (minutes + failed + down) / 60, terms, power_w)
    return {**owned, "rented": rented["rented"], **({"owned": None, "break_even_hours": None} if unpaid else {})}


TAKEN_IN = "a log that was taken in, which has no price"
FAILED, DOWN = "paying for the runs that missed it", "paying while interrupted runs stood still"


def _more_minutes(group: Group, level: Level, terms: Terms) -> dict[str, float]:
    """Return the minutes that are paid in addition to a training's own, for each one that reached the level."""
    failed = down = 0.0
    if level.reached:
        missed = [
            run.record.ended_s
            for run, seconds in zip(group.runs, level.seconds, strict=False)  # a published rig has no runs
            if seconds is None and not run.is_going
        ]
        failed = sum(missed) / level.reached / 60 * terms.failures
        down = statistics.fmean([_down_s(run.record) for run in group.runs] or [0.0]) / 60 * terms.down_time
    return {FAILED: failed, DOWN: down}


def _down_s(record: RunRecord) -> float:
    """Return the seconds in which a run stood still between attempts."""
    return float(np.nansum(record.table.columns["down_s"])) if len(record) else 0.0


def far_apart(costs: Sequence[RigCost]) -> str:
    """Say that old prices are compared with newer ones; "" if not."""
    dates = {cost.date: cost.label for cost in costs if cost.cost is not None and cost.date}
    days = {day: label for text, label in dates.items() if (day := _day(text)) is not None}
    if len(days) < 2 or (max(days) - min(days)).days < FAR_APART_DAYS:
        return ""
    old, new = min(days), max(days)
    return (
        f"Prices of {old} ({days[old]}) and of {new} ({days[new]}) stand side by side: hardware gets cheaper; bring "
        f"them to one date in the platform files before you rank by cost"
    )


def _day(text: str) -> date | None:
    """Return the day of a price's date, which may be a year or a month: its first day."""
    parts = text.split("-")
    try:
        return date(*(int(part) for part in (*parts, "1", "1")[:3]))
    except ValueError:
        return None


def check_offers(terms: Terms, groups: Sequence[Group]) -> None:
    """Raise PriceError if an offer is for a platform that none of these groups is of."""
    there = sorted({group.platform for group in groups})
    for name, _ in terms.offers:
        if name not in there:
            raise PriceError(f"an offer for {name!r}, which has no runs here; there are {', '.join(there) or 'none'}")


def price_of(group: Group, terms: Terms | None = None) -> Price:
    """Return the price that is offered, else that the runs recorded, or that of one of the paper's rigs.

    Raises:
        PriceError: there is none, or the runs have different ones.
    """
    offered = dict(terms.offers) if terms else {}
    if group.platform in offered:
        return offered[group.platform]
    if group.published:
        return platforms.load(PUBLISHED_RIGS[group.platform]).price
    found: dict[Price, str] = {}
    for run in group.runs:
        try:
            known = run.facts is not None and not ("log" in run.facts.content and "platform" not in run.facts.content)
            platform = run.facts.platform if known else None
        except FactsError as error:
            raise PriceError(str(error)) from None
        if platform is None:
            without = "no run.json next to it, which would have the price"
            raise PriceError(TAKEN_IN if run.facts else f"{run.source}: {without}")
        price = platform.whole_price
        if price is None:
            raise PriceError(f"platform {group.platform} has no [price]")
        devices = run.identity.devices
        if platforms.is_other_gpu(platform.hardware.gpu, devices):
            raise PriceError(f"it ran on {devices}, which are not the GPUs that the price is of")
        found[price] = run.source
    if len(found) > 1:
        raise PriceError(f"the runs recorded {len(found)} different prices: {', '.join(found.values())}")
    return next(iter(found))


def power_of(runs: Sequence[Run], *, at_once: bool = False) -> tuple[float | None, str]:
    """Return the mean power over time of the GPUs that the runs used, in watts, or None; and how, or why not.

    `at_once` reads what the ends of runs wrote down, and no samples.
    """
    found = [(run.source, run.gpu_power(at_once=at_once)) for run in runs]
    missing = [(source, power) for source, power in found if power.watts is None]
    if not found or missing:
        return None, _by_note(missing, runs=len(found)) or NO_POWER
    return statistics.fmean(power.watts for _, power in found), _by_note(found, runs=len(found))


def _by_note(found: Sequence[tuple[str, GpuPower]], *, runs: int) -> str:
    """Return the notes on power, each with the sources that have it if these are not all."""
    sources: dict[str, list[str]] = {}
    for source, power in found:
        sources.setdefault(power.note, []).append(source)
    return ", ".join(note if len(own) == runs else f"{note} ({some(own)})" for note, own in sources.items())


def _on_energy(terms: Terms, power_w: float | None, measured: str, *, bought: bool) -> list[str]:
    """Return the notes on what energy is in the costs, and how it was measured."""
    if terms.kwh_price is None:
        notes = ["energy is left out: no --kwh-price is given"] if bought else []
        told = power_w is not None or not measured.startswith(NO_POWER)
        return [*notes, f"energy kWh: {measured}"] if told else notes
    if not bought:
        return []
    return [] if power_w is None else [f"energy is the GPUs' alone, {measured}"]


def cost_rows(groups: Sequence[Group], terms: Terms) -> list[dict[str, object]]:
    """Return a row for each group and level in full precision; None is not known."""
    rows = []
    for workload in dict.fromkeys(group.workload for group in groups):
        block = [group for group in groups if group.workload == workload]
        for place, level in enumerate(block[0].levels):
            about = {"workload": workload, "metric": level.metric, "level_percent": level.percent}
            rows += [{**about, **cost.fields()} for cost in rig_costs(block, terms, level=place)]
    return rows


def cost_parts(groups: Sequence[Group], terms: Terms) -> list[str | Table]:
    """Return a table for every workload and level, and the reasons for each NA."""
    parts: list[str | Table] = []
    for workload in dict.fromkeys(group.workload for group in groups):
        block = [group for group in groups if group.workload == workload]
        for place, level in enumerate(block[0].levels):
            costs = rig_costs(block, terms, level=place)
            parts.append(_table(f"{workload}, {level.name}", costs))
            currencies = sorted({cost.currency for cost in costs if cost.cost is not None and not cost.emulated})
            if len(currencies) > 1:
                parts.append(
                    f"Prices in {' and '.join(currencies)}: nothing is converted, and the front is among rigs of one "
                    f"currency; to compare all, give them prices in one, in their platform files"
                )
            if warning := far_apart(costs):
                parts.append(warning)
            remarks = dict.fromkeys(
                f"{cost.label}: {text}" for cost in costs for text in (cost.reason, cost.priced, *cost.notes) if text
            )
            if remarks:
                parts.append("\n".join(f"- {remark}" for remark in remarks))
    energy = "" if terms.kwh_price is None else f", energy at {terms.kwh_price:g} a kWh"
    parts.append(
        f"Owned: the purchase written off over {terms.years:g} years at a duty of {terms.duty:g} "
        f"({terms.hours:,.0f} hours){energy}. Break-even: hours of use at which buying costs as much as renting. "
        f"{_words_of(terms)}Front: no other rig is both cheaper and faster. Intervals are those of the time, 95%."
    )
    return parts


def _words_of(terms: Terms) -> str:
    """Say what else the terms ask for."""
    words = []
    if terms.idle_w:
        words.append(f"a bought rig takes {terms.idle_w:g} W while it is not used")
    if terms.billing_minutes:
        words.append(f"rent is for every started {terms.billing_minutes:g} minutes")
    if terms.setup_minutes:
        words.append(f"rent has {terms.setup_minutes:g} minutes of set-up")
    if terms.down_time:
        words.append("rent goes on while an interrupted run stands still")
    if terms.failures:
        words.append("the runs that reached the level pay for those that missed it")
    if terms.tenure != "cheaper":
        words.append(f"rigs are ranked as {terms.tenure}")
    return f"{'; '.join(words).capitalize()}. " if words else ""


def _table(title: str, costs: Sequence[RigCost]) -> Table:
    header = (
        "platform", "minutes", "price", "million price-minutes", "owned", "rented", "cost, 95% interval", "energy kWh",
        "break-even h", "front",
    )  # fmt: skip
    rows = tuple(
        (
            cost.label,
            number(cost.minutes),
            "NA" if cost.total is None else f"{cost.total:,.0f} {cost.currency}",
            "NA" if cost.dollar_minutes is None else f"{cost.dollar_minutes / 1e6:.3g}",
            money(cost.owned, cost.currency),
            money(cost.rented, cost.currency),
            cost_interval(cost),
            cell(cost.energy_kwh, ".3g"),
            "NA" if cost.break_even_hours is None else f"{cost.break_even_hours:,.0f}",
            "yes" if cost.on_front else "",
        )
        for cost in costs
    )
    return Table(title, header, rows)


def cost_interval(cost: RigCost) -> str:
    """Format the bounds of a cost; "NA" if they are not known."""
    if cost.low is None or cost.high is None:
        return "NA"
    return f"{money(cost.low, '').strip()} to {money(cost.high, cost.currency)}"
