"""Which price is a rig's: what --offer names, what a file of offers has for its GPUs, or what its runs recorded.

    paid = paid_for(group, Terms(book=read_offers("vms.csv")))
    paid.at(hours=3.6, terms).rent_per_hour, paid.notes

An offer of a file is a rig's if it names the rig's platform, or the kind and number of GPUs of one of its machines, as
the runs recorded them. Nothing is guessed: where the runs do not say which of two kinds they had (A100s of 40 or 80 GB,
SXM or PCIe), or fewer GPUs trained than the machine has, the rig has no price, with the reason. A rent of a file takes
the place of the recorded rent, a sum that of the recorded sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import platforms
from benchmark.judge.groups import Group
from benchmark.judge.terms import PriceError, Terms
from benchmark.record import FactsError, Run
from platforms.gpus import Kind, apart, kind
from platforms.offers import FAR_TOO_CHEAP, TOO_CHEAP, Offer, example

PUBLISHED_RIGS = {"Sys1$": "sys1", "Sys2$": "sys2", "Sys10$": "sys10"}
DOUBTFUL = "doubtful:"
TAKEN_IN = "a log that was taken in, which has no price"


@dataclass(frozen=True)
class Machine:
    """The GPUs of one of a rig's machines, and how many machines it has; `why_not` says why they are not known."""

    gpus: int = 0
    kind: Kind | None = None
    machines: int = 1
    why_not: str = ""

    def __str__(self) -> str:
        one = f"{self.gpus} x {self.kind}"
        return f"{self.machines} machines of {one}" if self.machines > 1 else one


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What a rig may be paid by: offers to rent it, offers to buy it, all in one currency; and what to know of them."""

    rents: tuple[Offer, ...] = ()
    purchases: tuple[Offer, ...] = ()
    notes: tuple[str, ...] = ()

    def at(self, rent: Offer | None) -> Offer:
        """Return one offer with this rent and the lowest sum to buy it for, where there are any."""
        bought = min(self.purchases, key=lambda each: each.total, default=None)
        if rent is None or bought is None or rent is bought:
            return rent or bought
        return replace(rent, total=bought.total, storage_included=bought.storage_included)

    @property
    def priced(self) -> str:
        """Return dates and sources, in words."""
        found = dict.fromkeys(f"price of {each.date}, {each.source}" for each in (*self.rents, *self.purchases))
        shown = list(found)[:3]
        return "; ".join([*shown, f"and {len(found) - 3} more"] if len(found) > 3 else shown)


def names_of(group: Group) -> str:
    """Return the name of a group's platform; that of one of the paper's rigs where it is published."""
    return PUBLISHED_RIGS.get(group.platform, group.platform) if group.published else group.platform


def check_offers(terms: Terms, groups: Sequence[Group]) -> None:
    """Raise PriceError if an offer is for a platform that none of these groups is of, or no offer of a file for any."""
    there = sorted({names_of(group) for group in groups})
    for name, _ in terms.offers:
        if name not in there:
            mine = [group.platform for group in groups if group.name == name]
            way = f"; {name} is of platform {mine[0]}" if mine else ""
            raise PriceError(
                f"an offer for {name!r}, which has no runs here; there are {', '.join(there) or 'none'}{way}"
            )
    if terms.book is None or any(any(_of_book(group, terms)) for group in groups):
        return
    rows = "1 row is" if terms.book.skipped == 1 else f"{terms.book.skipped} rows are"
    skipped = f" ({rows} without a price or whole GPUs)" if terms.book.skipped else ""
    machines = {names_of(group): machine_of(group) for group in groups if group.runs}
    found = [f"{name} ({machine.why_not or machine})" for name, machine in machines.items()]
    raise PriceError(
        f"{terms.book.source}: none of its {len(terms.book.offers)} offers{skipped} is for a rig here; expected one of "
        f"{', '.join(found) or 'no rig, as there are no runs'}: by its GPUs and their number, or platform = its name"
    )


def paid_for(group: Group, terms: Terms) -> Paid:
    """Return what a rig may be paid by: what is offered, else what its runs recorded, or one of the paper's prices.

    Raises:
        PriceError: there is nothing, the runs have different prices, or which offer is the rig's is not known.
    """
    if named := [each for name, each in terms.offers if name == names_of(group)]:
        return _paid(named, terms, [])
    offers, why_not, notes = _chosen(group, terms)
    if why_not:
        raise PriceError(why_not)
    try:
        recorded = recorded_price(group)
    except PriceError as error:
        if offers:
            return _paid(offers, terms, notes)
        missing = f", and {terms.book.source} no offer for {_asked_for(group)}" if terms.book else ""
        raise PriceError(f"{error}{missing}") from None
    if terms.book and not offers:
        notes = [*notes, f"{terms.book.source} has no offer for {_asked_for(group)}: it is the recorded price"]
    return _paid([*offers, *_left_over(recorded, offers)], terms, notes)


def _left_over(recorded: Offer, offers: Sequence[Offer]) -> list[Offer]:
    """Return the recorded price without the parts that an offer has; nothing if none is left."""
    rent = None if any(each.rent_per_hour for each in offers) else recorded.rent_per_hour
    total = None if any(each.total for each in offers) else recorded.total
    return [replace(recorded, rent_per_hour=rent, total=total)] if rent or total else []


def _paid(offers: Sequence[Offer], terms: Terms, notes: Sequence[str]) -> Paid:
    offers = [terms.book.converted(each) if terms.book else each for each in offers]
    currencies = sorted({each.currency for each in offers})
    if len(currencies) > 1:
        raise PriceError(
            f"its offers are in {' and '.join(currencies)}, and nothing is converted without a rate; expected one "
            f"currency, or a [[rate]] in a file of offers (.toml)"
        )
    return Paid(
        rents=tuple(each for each in offers if each.rent_per_hour is not None),
        purchases=tuple(each for each in offers if each.total is not None),
        notes=tuple(notes),
    )


# --- the offers of a file --------------------------------------------------------------------------------------------


def _chosen(group: Group, terms: Terms) -> tuple[list[Offer], str, list[str]]:
    """Return the offers of the file that are a rig's and may be taken, why there are none to be taken, and notes."""
    if terms.book is None:
        return [], "", []
    found, why_not = _of_book(group, terms)
    if why_not:
        return [], why_not, []
    machine = machine_of(group)
    sound = [each for each in found if not _refused(each, terms)]
    notes = list(dict.fromkeys(why for each in found if (why := _refused(each, terms))))
    asked = [each for each in sound if _asked(each, terms)]
    if sound and not asked:
        left = " and ".join(dict.fromkeys(_why_not_asked(each, terms) for each in sound))
        return [], f"its offers in {terms.book.source} are {left}", notes
    if found and not sound:
        return [], "; ".join(notes), []
    if len(asked) > 1:
        notes.append(f"the cheapest of {len(asked)} offers of {terms.book.source}")
    return [each.times(1 if each.platform else machine.machines) for each in asked], "", notes


def _asked(offer: Offer, terms: Terms) -> bool:
    return not _why_not_asked(offer, terms)


def _why_not_asked(offer: Offer, terms: Terms) -> str:
    """Say why an offer is not taken unless it is asked for; "" if it is taken."""
    if offer.spot and not terms.spot:
        return "spot alone: --spot takes them"
    if offer.reserved_months and not terms.reserved:
        return "reserved for months alone: --reserved takes them"
    if terms.region and offer.rent_per_hour and offer.region != terms.region:
        return f"none in {terms.region}"
    return ""


def _of_book(group: Group, terms: Terms) -> tuple[list[Offer], str]:
    """Return the offers of the file that are a rig's; or why that is not known."""
    name = names_of(group)
    if named := terms.book.by_platform.get(name):
        return named, ""
    machine = machine_of(group)
    if machine.why_not:
        return [], ""  # none can be tied to it but by its name
    alike = terms.book.by_machine.get((machine.kind.model, machine.gpus), [])
    fitting = [each for each in alike if each.kind.fits(machine.kind)]
    if found := apart([each.kind for each in fitting]):
        one, other = found
        return [], (
            f"{terms.book.source} has offers of {machine.gpus} x {one} and of {machine.gpus} x {other}, and the runs "
            f"say {machine.kind}; expected platform = {name!r} with the one that it was"
        )
    return fitting, ""


def machine_of(group: Group) -> Machine:
    """Return the GPUs that a group's runs recorded, all alike, or why they are not known."""
    found = {_machine(run) for run in group.runs}
    if len(found) == 1:
        return next(iter(found))
    return Machine(why_not="its runs had different GPUs" if found else "it has no runs here")


def _machine(run: Run) -> Machine:
    about = run.identity
    named = re.fullmatch(r"(?:(\d+) machines of )?(?:(\d+) x )?(.+?)", about.devices)
    machines, name = about.machines, named[3] if named else about.devices
    if " + " in name or "," in name:
        return Machine(why_not=f"GPUs of several kinds: {name}")
    if name.upper().startswith(("CPU", "NOT KNOWN", "UNKNOWN")) or not name.strip():
        return Machine(why_not="no GPUs" if name.upper().startswith("CPU") else "its GPUs are not known")
    gpus = int(named[2]) if named and named[2] else about.replicas // machines
    there, memory = _recorded(run)
    if there is not None and there != gpus:
        return Machine(why_not=f"{gpus} of the machine's {there} GPUs trained, and which of both is paid is not known")
    of = kind(name)
    if not of.model:
        return Machine(why_not=f"its GPUs are called {name!r}, which is no model")
    return Machine(gpus, of if of.memory_gib or not memory else replace(of, memory_gib=memory), machines)


def _recorded(run: Run) -> tuple[int | None, float | None]:
    """Return how many GPUs the machine had, and the memory of one by the platform's file; None is not known."""
    try:
        facts = run.facts
        gpus = facts.host.gpus if facts and "host" in facts.content else None
        hardware = facts.platform.hardware if facts and "platform" in facts.content else None
    except FactsError:
        return None, None
    same = hardware and hardware.gpu and not platforms.is_other_gpu(hardware.gpu, run.identity.devices)
    return (len(gpus) if gpus else None), (hardware.gpu_memory_gib if same else None)


def _asked_for(group: Group) -> str:
    machine = machine_of(group)
    name = f"platform {names_of(group)} ({machine.why_not})"
    return name if machine.why_not else f"{machine.gpus} x {machine.kind}"


# --- doubts ----------------------------------------------------------------------------------------------------------


def _refused(offer: Offer, terms: Terms) -> str:
    """Say why an offer of a file is not taken for a price; "" if it is."""
    about = offer.circumstances or offer.gpu or ""
    if offer.without_host:
        return f"not taken: {offer.gpus} x {offer.gpu} without a host ({_an_hour(offer)}), which is priced apart"
    usual = offer.kind and terms.book.usual_gpu_hour(offer.kind.model, offer.currency)
    if usual and offer.gpu_hour and offer.gpu_hour < usual / FAR_TOO_CHEAP:
        return f"not taken: {about}, {_too_cheap(offer, offer.gpu_hour, usual, offer.gpu)}"
    return ""


def doubts(rent: Offer | None, group: Group, terms: Terms) -> list[str]:
    """Return what to doubt in the rent that a rig is paid by: its GPUs usually cost many times as much."""
    machine = machine_of(group)
    if rent is None or rent.rent_per_hour is None or rent.spot or machine.why_not:
        return []
    an_hour = rent.rent_per_hour / machine.gpus / machine.machines
    usual = (terms.book or example()).usual_gpu_hour(machine.kind.model, rent.currency)
    if not usual or an_hour >= usual / TOO_CHEAP:
        return []
    host = "" if an_hour < usual / FAR_TOO_CHEAP else ": is the host in it?"
    return [f"{DOUBTFUL} {_too_cheap(rent, an_hour, usual, machine.kind.model)}{host}"]


def _an_hour(offer: Offer) -> str:
    return f"{offer.rent_per_hour:g} {offer.currency} an hour"


def _too_cheap(offer: Offer, an_hour: float, usual: float, gpu: str) -> str:
    part = f"{an_hour / usual:.0%}" if an_hour >= usual / 100 else f"{an_hour / usual:.1%}"
    return f"{an_hour:.3g} {offer.currency} an hour of one {gpu} is {part} of what it costs at the median, {usual:.3g}"


# --- what was recorded -----------------------------------------------------------------------------------------------


def recorded_price(group: Group) -> Offer:
    """Return the price that the runs recorded, or that of one of the paper's rigs.

    Raises:
        PriceError: there is none, or the runs have different ones.
    """
    if group.published:
        return Offer.of(platforms.load(PUBLISHED_RIGS[group.platform]).price)
    found = dict(_recorded_prices(group))
    if not found:
        raise PriceError("it has no runs here, which would have recorded one")
    if len(found) > 1:
        raise PriceError(f"the runs recorded {len(found)} different prices: {', '.join(found.values())}")
    return Offer.of(next(iter(found)))


def _recorded_prices(group: Group) -> Iterator[tuple[platforms.Price, str]]:
    """Yield the price of each run of a group, and its source."""
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
        yield price, run.source
