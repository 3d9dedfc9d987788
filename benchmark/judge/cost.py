"""The cost of runs: price times time to accuracy, and the money that one training to a level takes.

    costs = rig_costs(judge(runs), Terms(years=3, duty=0.5))
    costs[0].cost, costs[0].dollar_minutes, costs[0].on_front, costs.to_frame()

There are three ways to look at it. Dollar-minutes, the paper's: the purchase price times the time to accuracy. The
cost of one training on a rig that is bought: price / (years * 8766 h * duty) an hour, plus energy, over the hours it
takes. The cost on a rig that is rented: rent an hour. Prices come from the platform that the run recorded (run.json);
power is what was measured (utilisation.csv, GPUs only). What is missing is NA, with the reason: never 0.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import platforms
from benchmark.judge.circumstances import part_of
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level
from benchmark.record import FactsError, Run, UsageError
from benchmark.tables import Table, money, number
from platforms import LARGEST, Price

HOURS_A_YEAR = 365.25 * 24
LONGEST_YEARS = 1000
PUBLISHED_RIGS = {"Sys1$": "sys1", "Sys2$": "sys2", "Sys10$": "sys10"}


class PriceError(ValueError):
    """Terms that make no sense; the message says which and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a purchase is written off: over `years`, of which a share `duty` is used. Energy needs a `kwh_price`."""

    years: float = 3.0
    duty: float = 0.5
    kwh_price: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.years <= LONGEST_YEARS:
            raise PriceError(f"years is {self.years}; expected more than 0, at most {LONGEST_YEARS}")
        if not 0 < self.duty <= 1:
            raise PriceError(f"duty is {self.duty}; expected more than 0, at most 1: the share of its time in use")
        if self.hours < 1:  # nor a division by 0
            raise PriceError(f"{self.years} years at a duty of {self.duty} are under an hour of use; expected more")
        if self.kwh_price is not None and not 0 <= self.kwh_price <= LARGEST:
            raise PriceError(f"kwh-price is {self.kwh_price}; expected 0 to {LARGEST}")

    @property
    def hours(self) -> float:
        """Return the hours of use in a rig's life."""
        return self.years * HOURS_A_YEAR * self.duty


@dataclass(frozen=True, kw_only=True)
class RigCost:
    """The cost of one group's time to a level, in `currency`. None is not known; `reason` then says why.

    `owned` is a training's share of the purchase and its energy, `rented` its rent; `cost` is the lower of the two.
    `break_even_hours` of use is where buying and renting cost the same.
    """

    label: str
    minutes: float | None
    currency: str = ""
    priced: str = ""  # date and source, in words
    total: float | None = None
    rent_per_hour: float | None = None
    power_w: float | None = None
    owned: float | None = None
    rented: float | None = None
    break_even_hours: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    emulated: bool = False
    on_front: bool = False

    @property
    def cost(self) -> float | None:
        return min((cost for cost in (self.owned, self.rented) if cost is not None), default=None)

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
    owned = rented = break_even = None
    if price.total is not None:
        owned = hours * (price.total / terms.hours + energy_an_hour)
    if price.rent_per_hour is not None:
        rented = hours * price.rent_per_hour
    if price.total is not None and price.rent_per_hour is not None and price.rent_per_hour > energy_an_hour:
        break_even = price.total / (price.rent_per_hour - energy_an_hour)
    return {"owned": owned, "rented": rented, "break_even_hours": break_even}


def rig_costs(groups: Sequence[Group], terms: Terms | None = None, *, level: int = -1) -> Listing[RigCost]:
    """Return every group's cost to one of its levels (by default the last, the hardest), with the Pareto front marked.

    On the front is a real rig that no other beats in both cost and time, in one currency.
    """
    found = [_rig_cost(group, group.levels[level], terms or Terms()) for group in groups]
    return Listing(replace(cost, on_front=_on_front(cost, found)) for cost in found)


def _on_front(cost: RigCost, others: Sequence[RigCost]) -> bool:
    if cost.cost is None or cost.minutes is None or cost.emulated:
        return False
    rivals = [o for o in others if o.cost is not None and o.minutes is not None and not o.emulated]
    return not any(
        o.currency == cost.currency
        and o.cost <= cost.cost
        and o.minutes <= cost.minutes
        and (o.cost, o.minutes) != (cost.cost, cost.minutes)
        for o in rivals
    )


def _rig_cost(group: Group, level: Level, terms: Terms) -> RigCost:
    about = RigCost(label=group.label, minutes=level.minutes, emulated=group.emulated)
    if group.emulated:
        return replace(about, reason="emulated: these times are not the rig's")
    try:
        price = price_of(group)
    except PriceError as error:
        return replace(about, reason=str(error))
    about = replace(
        about,
        currency=price.currency,
        priced=f"price of {price.date}, {price.source}",
        total=price.total,
        rent_per_hour=price.rent_per_hour,
    )
    if level.minutes is None:
        return replace(about, reason=f"{level.name} was not reached")
    power_w, note = None, "energy is left out: no --kwh-price is given"
    if terms.kwh_price is not None:
        power_w, note = power_of(group.runs)
    notes = [note] if price.total is not None else []
    if price.total is not None and not price.storage_included:
        notes.append("the price is without storage")
    costs = training_cost(price, level.minutes / 60, terms, power_w)
    return replace(about, power_w=power_w, notes=tuple(notes), **costs)


def price_of(group: Group) -> Price:
    """Return the price that the runs recorded, or that of one of the paper's rigs.

    Raises:
        PriceError: there is none, or the runs have different ones.
    """
    if group.published:
        return platforms.load(PUBLISHED_RIGS[group.platform]).price
    found: dict[Price, str] = {}
    for run in group.runs:
        try:
            platform = run.facts.platform if run.facts else None
        except FactsError as error:
            raise PriceError(str(error)) from None
        if platform is None:
            raise PriceError(f"{run.source}: no run.json beside it, which would have the price")
        if platform.price is None:
            raise PriceError(f"platform {group.platform} has no [price]")
        devices = run.identity.devices
        if platforms.is_other_gpu(platform.hardware.gpu, devices):
            raise PriceError(f"it ran on {devices}, which are not the GPUs that the price is of")
        found[platform.price] = run.source
    if len(found) > 1:
        raise PriceError(f"the runs recorded {len(found)} different prices: {', '.join(found.values())}")
    return next(iter(found))


def power_of(runs: Sequence[Run]) -> tuple[float | None, str]:
    """Return the mean power over time of the GPUs that the runs used, in watts, or None; and a note on energy."""
    found = [_mean_power_w(run) for run in runs]
    measured = [power_w for power_w, _ in found if power_w is not None]
    if not found or len(measured) < len(found):
        why = next((why for power_w, why in found if power_w is None), "no power was measured")
        return None, f"energy is left out: {why}"
    return statistics.fmean(measured), "energy is the GPUs' alone"


def _mean_power_w(run: Run) -> tuple[float | None, str]:
    """Return the mean power of the GPUs that a run used, or None and why."""
    devices = part_of(run, lambda facts: facts.devices)
    try:
        usage = run.usage()
    except (UsageError, OSError):
        return None, "no power was measured"
    if usage is None or not usage.gpus:
        return None, "no power was measured"
    if devices and devices.partitioned:
        return None, "the GPU is partitioned (MIG), and its power is that of all its instances"
    sensors = devices.sensors if devices else None
    if sensors is None:  # not known; but there is only one way to use all of them
        if len(usage.gpus) != run.identity.replicas:
            return None, f"which {run.identity.replicas} of the machine's {len(usage.gpus)} GPUs trained is not known"
        sensors = tuple(usage.gpus)
    return usage.mean_power_w(sensors), "no power was measured"


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
            remarks = dict.fromkeys(
                f"{cost.label}: {text}" for cost in costs for text in (cost.reason, cost.priced, *cost.notes) if text
            )
            if remarks:
                parts.append("\n".join(f"- {remark}" for remark in remarks))
    energy = "" if terms.kwh_price is None else f", energy at {terms.kwh_price:g} a kWh"
    parts.append(
        f"Owned: the purchase written off over {terms.years:g} years at a duty of {terms.duty:g} "
        f"({terms.hours:,.0f} hours){energy}. Break-even: hours of use at which buying costs as much as renting. "
        f"Front: no other rig is both cheaper and faster."
    )
    return parts


def _table(title: str, costs: Sequence[RigCost]) -> Table:
    header = (
        "platform", "minutes", "price", "million price-minutes", "owned", "rented", "break-even h", "front"
    )  # fmt: skip
    rows = tuple(
        (
            cost.label,
            number(cost.minutes),
            "NA" if cost.total is None else f"{cost.total:,.0f} {cost.currency}",
            "NA" if cost.dollar_minutes is None else f"{cost.dollar_minutes / 1e6:.3g}",
            money(cost.owned, cost.currency),
            money(cost.rented, cost.currency),
            "NA" if cost.break_even_hours is None else f"{cost.break_even_hours:,.0f}",
            "yes" if cost.on_front else "",
        )
        for cost in costs
    )
    return Table(title, header, rows)
