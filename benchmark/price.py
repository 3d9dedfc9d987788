"""What the time costs: price times time, and the money that one training to a level takes.

    python -m benchmark.price results/*.csv --metric wer --level 22 --years 3 --duty 0.5 --kwh-price 0.30

    costs = rig_costs(groups, Terms(years=3, duty=0.5))
    costs[0].cost, costs[0].dollar_minutes, costs[0].on_front

Three ways to look at it. Dollar-minutes, the paper's: the purchase price times the time to accuracy. The cost of one
training on a rig that is bought: price / (years * 8766 h * duty) an hour, plus energy, over the hours it takes. The
cost on a rig that is rented: rent an hour. Prices come from the platform that the run recorded (results/RUN/run.json);
power is what was measured (results/RUN/utilisation.csv, GPUs only). What is missing is NA, with the reason: never 0.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platforms
from benchmark.judge.groups import PAPER_WORKLOAD, Group, JudgeError, Level, Question, judge, metric_name
from benchmark.options import percent
from benchmark.record.journal import METRICS, JournalError, RunRecord, read
from benchmark.tables import Table, figure, show
from platforms import LARGEST, PlatformError, Price

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
        """Of use in a rig's life."""
        return self.years * HOURS_A_YEAR * self.duty


@dataclass(frozen=True, kw_only=True)
class RigCost:
    """What one group's time to a level costs, in `currency`. None is not known; `reason` then says why.

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

    @property
    def dollar_minutes(self) -> float | None:
        """The paper's comparison: purchase price times time to accuracy."""
        return None if self.total is None or self.minutes is None else self.total * self.minutes


def training_cost(price: Price, hours: float, terms: Terms, power_w: float | None = None) -> dict[str, float | None]:
    """Of one training of so many hours: `owned`, `rented`, `break_even_hours`; None where the price has no such part.

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


def rig_costs(groups: Sequence[Group], terms: Terms, *, level: int = -1) -> list[RigCost]:
    """Cost of every group to one of its levels (by default the last, the hardest), the Pareto front marked.

    On the front is a real rig that no other beats in both cost and time, in one currency.
    """
    found = [_rig_cost(group, group.levels[level], terms) for group in groups]
    return [_with(cost, on_front=_on_front(cost, found)) for cost in found]


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
        return _with(about, reason="emulated: these times are not the rig's")
    try:
        price = price_of(group)
    except PriceError as error:
        return _with(about, reason=str(error))
    about = _with(
        about,
        currency=price.currency,
        priced=f"price of {price.date}, {price.source}",
        total=price.total,
        rent_per_hour=price.rent_per_hour,
    )
    if level.minutes is None:
        return _with(about, reason=f"{metric_name(level.metric)} {level.percent:g} was not reached")
    power_w, note = None, "energy is left out: no --kwh-price is given"
    if terms.kwh_price is not None:
        power_w, note = power_of(group.records)
    notes = [note] if price.total is not None else []
    if price.total is not None and not price.storage_included:
        notes.append("the price is without storage")
    costs = training_cost(price, level.minutes / 60, terms, power_w)
    return _with(about, power_w=power_w, notes=tuple(notes), **costs)


def _with(cost: RigCost, **changes: object) -> RigCost:
    return RigCost(**{**cost.__dict__, **changes})


def price_of(group: Group) -> Price:
    """The price that the runs recorded, or that of one of the paper's rigs.

    Raises:
        PriceError: there is none, or the runs have different ones.
    """
    if group.published:
        return platforms.load(PUBLISHED_RIGS[group.platform]).price
    found = {}
    for record in group.records:
        facts = _facts(record).get("platform")
        if not isinstance(facts, dict):
            raise PriceError(f"{record.source}: no run.json beside it, which would have the price")
        try:
            platform = platforms.Platform.from_dict(facts)
        except (PlatformError, TypeError) as error:
            raise PriceError(f"{record.source}: its run.json has no platform that can be used ({error})") from None
        price = platform.price
        if price is None:
            raise PriceError(f"platform {group.platform} has no [price]")
        if platforms.is_other_gpu(platform.hardware.gpu, record.rows[0].devices):
            raise PriceError(f"it ran on {record.rows[0].devices}, which are not the GPUs that the price is of")
        found[price] = record.source
    if len(found) > 1:
        raise PriceError(f"the runs recorded {len(found)} different prices: {', '.join(found.values())}")
    return next(iter(found))


def _facts(record: RunRecord) -> dict:
    path = Path(record.source).with_suffix("") / "run.json"
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


@cache
def _mean_power_w(path: Path, gpus: int) -> float | None:
    """Of the first so many GPUs together, the machine's others being idle; None where it was not measured."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            columns = [n for n, name in enumerate(next(rows, ())) if name.endswith("_power_w")][:gpus]
            sums, counts = [0.0] * len(columns), [0] * len(columns)
            for row in rows:
                for place, n in enumerate(columns):
                    if n < len(row) and row[n] and 0 <= (watts := float(row[n])) <= LARGEST:  # nor NaN
                        sums[place] += watts
                        counts[place] += 1
    except (OSError, ValueError, csv.Error):
        return None
    return sum(total / count for total, count in zip(sums, counts, strict=True)) if counts and all(counts) else None


def power_of(records: Sequence[RunRecord]) -> tuple[float | None, str]:
    """Mean power of the GPUs that the runs used, in watts; or None and the reason."""
    found = [
        _mean_power_w(Path(record.source).with_suffix("") / "utilisation.csv", record.rows[0].replicas)
        for record in records
    ]
    if not found or None in found:
        return None, "energy is left out: no power was measured"
    return statistics.fmean(found), "energy is the GPUs' alone"


def report_parts(groups: Sequence[Group], terms: Terms) -> list[str | Table]:
    """A table for every workload and level, and the reasons for what is NA."""
    parts: list[str | Table] = []
    for workload in dict.fromkeys(group.workload for group in groups):
        block = [group for group in groups if group.workload == workload]
        for number, level in enumerate(block[0].levels):
            costs = rig_costs(block, terms, level=number)
            parts.append(_table(f"{workload}, {metric_name(level.metric)} {level.percent:g}", costs))
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
            figure(cost.minutes),
            "NA" if cost.total is None else f"{cost.total:,.0f} {cost.currency}",
            "NA" if cost.dollar_minutes is None else _significant(cost.dollar_minutes / 1e6),
            _money(cost.owned, cost.currency),
            _money(cost.rented, cost.currency),
            "NA" if cost.break_even_hours is None else f"{cost.break_even_hours:,.0f}",
            "yes" if cost.on_front else "",
        )
        for cost in costs
    )
    return Table(title, header, rows)


def _significant(value: float) -> str:
    return f"{value:.3g}"


def _money(value: float | None, currency: str) -> str:
    return "NA" if value is None else f"{value:,.2f} {currency}"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 2 bad input."""
    options = _parser().parse_args(argv)
    try:
        terms = Terms(years=options.years, duty=options.duty, kwh_price=options.kwh_price)
        if not (options.journals or options.published):
            raise JudgeError("no journals given; expected results/*.csv, or --published for the paper's rigs alone")
        question = Question(
            metrics=(options.metric,) if options.metric else ("wer", "cer"),
            levels=tuple(options.level),
            by=tuple(options.by),
            published=options.published,
        )
        groups = judge([read(path) for path in options.journals], question)
        show(report_parts([g for g in groups if g.records or g.workload == PAPER_WORKLOAD], terms))
        sys.stdout.flush()
    except (JournalError, JudgeError, PriceError) as error:
        print(f"benchmark.price: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # | head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python flushes into the pipe once more
    return 0


def _parser() -> argparse.ArgumentParser:
    from benchmark.judge.groups import SPLITS

    usual = Terms()
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.price", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("journals", nargs="*", metavar="results/RUN.csv", help="the runs; make bench makes one")
    add("--metric", choices=METRICS, help="default: wer and cer")
    add("--level", type=percent, action="append", default=[], help="percent; repeatable; default: the runs' targets")
    add("--by", choices=SPLITS, action="append", default=[], metavar="FIELD", help="keep runs apart that differ in it")
    add("--published", action="store_true", help="with the paper's rigs and times")
    add("--years", type=float, default=usual.years, help="a purchase is written off over; default: %(default)g")
    add("--duty", type=float, default=usual.duty, help="share of that time in use; default: %(default)g")
    add("--kwh-price", type=float, metavar="P", help="of energy, in the platform's currency; default: energy left out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
