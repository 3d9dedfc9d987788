"""The cost of runs: price times time to accuracy, and the money that one training to a level takes.

    costs = rig_costs(judge(runs), Terms(years=3, duty=0.5))
    costs[0].cost, costs[0].low, costs[0].high, costs[0].dollar_minutes, costs[0].on_front, costs.to_frame()

There are three ways to look at it. Dollar-minutes, the paper's: the purchase price times the time to accuracy. The
cost of one training on a rig that is bought: price / (years * 8766 h * duty) an hour, plus energy, over the hours it
takes. The cost on a rig that is rented: rent for the hours that are billed. Prices are those offered, or those that the
runs recorded (`benchmark.judge.offered`), of all machines; power is what was measured (utilisation.csv, GPUs only), in
90% of a run at least. What is missing is NA, with the reason: never 0. With a price for energy a bought rig whose
power was not measured has no cost: a training without energy is never compared with one that pays for it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from benchmark.judge.circumstances import some
from benchmark.judge.energy import pue_of
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level
from benchmark.judge.offered import doubts, paid_for
from benchmark.judge.terms import PriceError, Terms
from benchmark.record import FactsError, Run, RunRecord
from benchmark.record.energy import NO_POWER
from benchmark.record.run import GpuPower
from benchmark.tables import money, number
from platforms import LARGEST, Price
from platforms.offers import Offer

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record.short import np

FAR_APART_DAYS = 366
HIDDEN = ("runs", "step", "notes", "running", "rents", "preparation_to_tell")  # no columns of a table
TOLD = 0.01  # of the time to a level: a preparation from which on it is told


@dataclass(frozen=True)
class Ends:
    """An amount of money, and its 95% interval, which is the time's; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class RigCost:
    """The cost of one group's time to a level, in `currency`. None is not known; `reason` then says why.

    `owned` is a training's share of the purchase and its energy, `rented` its rent; `cost` is the one that ranks, with
    a 95% interval from `low` to `high` that is the time's. `break_even_hours` of use is where buying and renting cost
    the same.
    """

    label: str
    minutes: float | None
    runs: int = 0  # that the time is of
    step: float = 0.0  # the share of the time that lies between two evaluations
    currency: str = ""
    priced: str = ""  # date and source, in words
    date: str = ""
    offered: str = ""  # what the rent hangs on: the machine's name, region, spot
    total: float | None = None
    rent_per_hour: float | None = None
    owned_per_hour: float | None = None  # the purchase's share, without energy
    power_w: float | None = None
    energy_kwh: float | None = None  # of one training, of its GPUs
    preparation_minutes: float | None = None  # of features, the longest of its runs
    preparation_to_tell: float | None = None  # the same where a rent would be billed for it, and it is not in the cost
    owned: float | None = None
    owned_basis: str = ""
    rented: float | None = None
    rented_basis: str = ""
    low: float | None = None
    high: float | None = None
    running: Ends | None = None  # what a training on the bought rig costs beside the purchase: its energy
    rents: Ends | None = None
    break_even_hours: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    emulated: bool = False
    on_front: bool = False
    tenure: str = "cheaper"

    @property
    def cost(self) -> float | None:
        return cheapest({"owned": self.owned, "rented": self.rented}, self.tenure)

    @property
    def basis(self) -> str:
        """Return what the cost assumes, in words: "bought for 3,400 USD, 3 years, half in use, without energy"."""
        return self.owned_basis if self.owned is not None and self.cost == self.owned else self.rented_basis

    def fields(self) -> dict[str, object]:
        """Return the columns of a table."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in HIDDEN}
        derived = {"cost": self.cost, "dollar_minutes": self.dollar_minutes, "notes": "; ".join(self.notes)}
        return {**known, **derived}

    @property
    def dollar_minutes(self) -> float | None:
        """Return the paper's measure: purchase price times time to accuracy."""
        return None if self.total is None or self.minutes is None else self.total * self.minutes


def training_cost(price: Price | Offer, hours: float, terms: Terms, power_w: float | None = None) -> dict[str, Any]:
    """Return what `hours` of training cost: `owned`, `rented`, `break_even_hours`; None if the price lacks that part.

    Energy counts where both power and its price are known.
    """
    offer, running = Offer.of(price), running_per_hour(terms, power_w)
    owned = rented = break_even = None
    if offer.total is not None:
        owned = hours * (offer.total / terms.hours + running)
    if offer.rent_per_hour is not None:
        an_hour = offer.rent_per_hour + (offer.storage_per_hour or 0.0)
        rented = billed_hours(hours, terms, offer.billing_minutes) * an_hour + (offer.network_per_training or 0.0)
        if offer.total is not None and an_hour > running:
            break_even = offer.total / (an_hour - running)
    return {"owned": owned, "rented": rented, "break_even_hours": break_even}


def running_per_hour(terms: Terms, power_w: float | None) -> float:
    """Return what an hour of use of a bought rig costs beside its price: energy, that of its idle hours too."""
    kw = (power_w or 0.0) / 1000 + terms.idle_w / 1000 * (1 / terms.duty - 1)
    return kw * (terms.kwh_price or 0.0)


def billed_hours(hours: float, terms: Terms, unit: float | None = None) -> float:
    """Return the hours that are billed for a training: its set-up too, in whole units of minutes, at least one."""
    minutes, unit = hours * 60 + terms.setup_minutes, terms.billing_minutes if unit is None else unit
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
    about = RigCost(
        label=group.label, minutes=level.minutes, runs=level.n, step=level.step, emulated=group.emulated,
        tenure=terms.tenure,
    )  # fmt: skip
    if group.emulated:
        return replace(about, reason="emulated: these times are not the rig's")
    try:
        paid = paid_for(group, terms)
    except PriceError as error:
        power_w, _ = power_of(group.runs, at_once=terms.kwh_price is None)
        return replace(about, reason=str(error), power_w=power_w, energy_kwh=_kwh(power_w, level.minutes))
    more = _more_minutes(group, level, terms)
    hours = ((level.minutes or 0.0) + sum(more.values())) / 60
    rent = min(paid.rents, key=lambda each: training_cost(each, hours, terms)["rented"], default=None)
    offer = paid.at(rent)
    about = replace(
        about,
        currency=offer.currency,
        priced=paid.priced,
        date=offer.date,
        offered=rent.circumstances if rent else "",
        total=offer.total,
        rent_per_hour=offer.rent_per_hour,
        owned_per_hour=None if offer.total is None else offer.total / terms.hours,
        preparation_minutes=preparation_minutes(group.runs),
        preparation_to_tell=_to_tell(preparation_minutes(group.runs), level, terms),
    )
    if level.minutes is None:
        return replace(about, reason=f"{level.name} was not reached")
    power_w, measured = power_of(group.runs, at_once=terms.kwh_price is None)
    unpaid = terms.kwh_price is not None and offer.total is not None and power_w is None
    pue = pue_of(group)
    paid_w = power_w if pue is None or power_w is None else power_w * pue
    costs = _costs(offer, level.minutes, more, terms, paid_w, unpaid=unpaid)
    bounds = level.interval_minutes
    ends = [_costs(offer, minutes, more, terms, paid_w, unpaid=unpaid) for minutes in bounds or ()]
    low, high = [cheapest(each, terms.tenure) for each in ends] or (None, None)
    reason = ""
    if unpaid:
        reason = f"what it costs if bought is not known: {measured}; leave --kwh-price out to compare without energy"
    notes = [
        *doubts(rent, group, terms),
        *paid.notes,
        *_on_energy(terms, power_w, measured, bought=offer.total is not None, pue=pue),
        *["the price is without storage"] * (offer.total is not None and offer.storage_included is False),
        *(f"{words} adds {number(minutes)} min" for words, minutes in more.items() if minutes),
    ]
    return replace(
        about,
        power_w=power_w,
        energy_kwh=_kwh(power_w, level.minutes),
        notes=tuple(notes),
        reason=reason,
        low=low,
        high=high,
        owned_basis=_owned_basis(offer, terms, power_w),
        rented_basis=_rented_basis(offer, terms),
        running=_ends("running", costs, ends),
        rents=_ends("rented", costs, ends),
        **{name: costs[name] for name in ("owned", "rented", "break_even_hours")},
    )


def _kwh(power_w: float | None, minutes: float | None) -> float | None:
    return None if power_w is None or minutes is None else power_w / 1000 * minutes / 60


def _costs(
    offer: Offer, minutes: float, more: Mapping[str, float], terms: Terms, power_w: float | None, *, unpaid: bool
) -> dict[str, Any]:
    """Return the costs of a training; what is bought has none where its energy is asked for and not known."""
    hours = (minutes + more[FAILED]) / 60
    owned = training_cost(offer, hours, terms, power_w)
    rented = training_cost(offer, (minutes + sum(more.values())) / 60, terms, power_w)
    running = None if offer.total is None else hours * running_per_hour(terms, power_w)
    without = {"owned": None, "break_even_hours": None, "running": None} if unpaid else {}
    return {**owned, "rented": rented["rented"], "running": running, **without}


def _ends(name: str, costs: Mapping[str, Any], ends: Sequence[Mapping[str, Any]]) -> Ends | None:
    if costs[name] is None:
        return None
    low, high = (ends[0][name], ends[1][name]) if ends else (None, None)
    return Ends(costs[name], low, high)


def _owned_basis(offer: Offer, terms: Terms, power_w: float | None) -> str:
    """Return what the cost of a bought rig assumes, in words."""
    if offer.total is None:
        return ""
    paid = terms.kwh_price is not None and power_w is not None
    energy = f"energy at {terms.kwh_price:g} {offer.currency} a kWh" if paid else "without energy"
    return f"bought for {offer.total:,.0f} {offer.currency}, {terms.use}, {energy}"


def _rented_basis(offer: Offer, terms: Terms) -> str:
    """Return what the cost of a rented rig assumes, in words."""
    if offer.rent_per_hour is None:
        return ""
    unit = terms.billing_minutes if offer.billing_minutes is None else offer.billing_minutes
    words = [
        f"rented at {money(offer.rent_per_hour, offer.currency)} an hour",
        offer.circumstances,
        f"every started {unit:g} minutes are billed" if unit else "",
        f"{terms.setup_minutes:g} minutes of set-up" if terms.setup_minutes else "",
        "with preparation" if terms.with_preparation else "",
        f"storage at {money(offer.storage_per_hour, offer.currency)} an hour" if offer.storage_per_hour else "",
        f"network {money(offer.network_per_training, offer.currency)}" if offer.network_per_training else "",
    ]
    return ", ".join(filter(None, words))


FAILED, DOWN, PREPARED = (
    "paying for the runs that missed it", "paying while interrupted runs stood still", "preparing features"
)  # fmt: skip


def _more_minutes(group: Group, level: Level, terms: Terms) -> dict[str, float]:
    """Return the minutes that are paid in addition to a training's own, for each one that reached the level."""
    failed = down = 0.0
    prepared = (preparation_minutes(group.runs) or 0.0) * terms.with_preparation
    if level.reached:
        missed = [
            run.record.ended_s
            for run, seconds in zip(group.runs, level.seconds, strict=False)  # a published rig has no runs
            if seconds is None and not run.is_going
        ]
        failed = sum(missed) / level.reached / 60 * terms.failures
        waited = [
            0.0 if seconds is None and not terms.failures else _down_s(run.record, until_s=seconds)
            for run, seconds in zip(group.runs, level.wall_seconds, strict=False)
        ]
        down = sum(waited) / level.reached / 60 * terms.down_time
    return {FAILED: failed, DOWN: down, PREPARED: prepared}


def preparation_minutes(runs: Sequence[Run]) -> float | None:
    """Return what the preparation of features took before a training, the longest of some runs; None if not known.

    Runs that found their features ready say how long looking for them took, which a rig that is rented anew does not.
    """
    found = []
    for run in runs:
        try:
            seconds = run.facts.content.get("preparation_s") if run.facts else None
        except FactsError:
            seconds = None
        if isinstance(seconds, int | float) and 0 <= seconds <= LARGEST:
            found.append(seconds / 60)
    return max(found, default=None)


def _to_tell(minutes: float | None, level: Level, terms: Terms) -> float | None:
    """Return the minutes of a preparation that is worth telling and not in the cost; None if there is none."""
    if terms.with_preparation or not minutes or level.minutes is None or minutes < TOLD * level.minutes:
        return None
    return minutes


def _down_s(record: RunRecord, *, until_s: float | None = None) -> float:
    """Return the seconds in which a run stood still between attempts, until so many after model creation began."""
    columns = record.table.columns
    counts = ~np.isnan(columns["down_s"])
    if until_s is not None:
        counts &= columns["started_s"] < record.created_s + until_s
    return float(columns["down_s"][counts].sum())


def far_apart(costs: Sequence[RigCost]) -> str:
    """Say that old prices are compared with newer ones; "" if not."""
    dates = {cost.date: cost.label for cost in costs if cost.cost is not None and cost.date}
    days = {day: label for text, label in dates.items() if (day := _day(text)) is not None}
    if len(days) < 2 or (max(days) - min(days)).days < FAR_APART_DAYS:
        return ""
    old, new = min(days), max(days)
    return (
        f"Prices of {old} ({days[old]}) and of {new} ({days[new]}) stand side by side: hardware gets cheaper; bring "
        f"them to one date, by --offer or --offers, before you rank by cost."
    )


def _day(text: str) -> date | None:
    """Return the day of a price's date, which may be a year or a month: its first day."""
    parts = text.split("-")
    try:
        return date(*(int(part) for part in (*parts, "1", "1")[:3]))
    except ValueError:
        return None


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


def _on_energy(
    terms: Terms, power_w: float | None, measured: str, *, bought: bool, pue: float | None = None
) -> list[str]:
    """Return the notes on what energy is in the costs, and how it was measured."""
    if terms.kwh_price is None:
        notes = ["energy is left out: no --kwh-price is given"] if bought else []
        told = power_w is not None or not measured.startswith(NO_POWER)
        return [*notes, f"energy kWh: {measured}"] if told else notes
    if not bought:
        return []
    times = "" if pue is None else f", times the PUE of the place, {pue:g}"
    return [] if power_w is None else [f"energy is the GPUs' alone{times}, {measured}"]


def cost_of_hours(group: Group, hours: float, terms: Terms) -> tuple[float, str, str] | None:
    """Return what so many hours on a rig cost without energy, the currency, and what that assumes; None: not known."""
    try:
        paid = paid_for(group, terms)
    except PriceError:
        return None
    rent = min(paid.rents, key=lambda each: training_cost(each, hours, terms)["rented"], default=None)
    offer = paid.at(rent)
    costs = training_cost(offer, hours, terms)
    cost = cheapest(costs, terms.tenure)
    if not cost:
        return None
    basis = _owned_basis(offer, terms, None) if cost == costs["owned"] else _rented_basis(offer, terms)
    return cost, offer.currency, basis


def cost_interval(cost: RigCost) -> str:
    """Format the bounds of a cost; "NA" if they are not known."""
    if cost.low is None or cost.high is None:
        return "NA"
    return f"{money(cost.low, '').strip()} to {money(cost.high, cost.currency)}"
