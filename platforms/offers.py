"""Offers: what a rig costs today, by the hour or to buy; named on a command line, or read from a file.

    offer("h100x8=12.10/h")             # ("h100x8", Offer(rent_per_hour=12.1, currency="USD", ...)); of all machines
    offer("rig=3400 EUR")               # to buy
    found = read_offers("offers.toml")  # or .csv, as platforms/catalogues.py reads it
    found.offers, found.rates, found.skipped

An offer is for a platform by its name, all of its machines together, or for one machine with `gpus` GPUs called `gpu`.
Nothing is fetched: prices are what the file says, on its date. `platforms/offers.csv` is an example.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from platforms import (
    _ABOVE_0,
    _COUNT_FROM_1,
    _FROM_0,
    _MONTH_OR_DAY,
    _TEXT,
    _YES_OR_NO,
    LARGEST,
    PlatformError,
    Price,
    _Checked,
    _key,
    _like,
    _made,
)
from platforms.gpus import Kind, kind

SOURCE = "--offer"
EXAMPLE = Path(__file__).with_name("offers.csv")
LARGEST_FILE = 2**27  # bytes
FAR_TOO_CHEAP = 20
"""A GPU hour below this part of its kind's median is no price: some catalogues list a B200 at $0.01."""
TOO_CHEAP = 3
"""Below this part of it the host may be missing: some list a machine's host and its GPUs apart."""


@dataclass(frozen=True, kw_only=True)
class Offer(_Checked):
    """What a rig can be had for: a rent by the hour, a sum to buy it for, or both, in `currency` on a `date`.

    It is for a `platform`, all machines of it, or for one machine with `gpus` GPUs of the kind `gpu`. A rent may be
    `spot`: the machine may be taken away; or `reserved_months`: one pays for so long. It is for every started
    `billing_minutes`, with `storage_per_hour` on top and `network_per_training` for data that a training moves.
    """

    platform: str | None = _key(_TEXT, default=None)  # of a log that was taken in any text
    gpu: str | None = _key(_TEXT, default=None)
    gpus: int | None = _key(_COUNT_FROM_1, default=None)
    gpu_memory_gib: float | None = _key(_ABOVE_0, default=None)  # of one
    name: str | None = _key(_TEXT, default=None)  # the offerer's, of the machine
    rent_per_hour: float | None = _key(_ABOVE_0, default=None)
    total: float | None = _key(_ABOVE_0, default=None)
    currency: str = _key(_like("[A-Z]{3}", 'three capital letters, "USD"'), default="USD")
    date: str = _key(_like(_MONTH_OR_DAY, 'text, a month or a day, "2026-10" or "2026-10-31"'))
    source: str = _key(_TEXT)
    region: str | None = _key(_TEXT, default=None)
    spot: bool = _key(_YES_OR_NO, default=False)
    reserved_months: int | None = _key(_COUNT_FROM_1, default=None)
    billing_minutes: float | None = _key(_FROM_0, default=None)
    storage_per_hour: float | None = _key(_FROM_0, default=None)
    network_per_training: float | None = _key(_FROM_0, default=None)
    storage_included: bool | None = _key(_YES_OR_NO, default=None)  # in the sum to buy it for
    without_host: bool = _key(_YES_OR_NO, default=False)  # the GPUs alone, their host priced apart

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rent_per_hour is None and self.total is None:
            raise PlatformError("[offer] has neither rent_per_hour nor total; expected one of them, or both")
        if self.platform is None and (self.gpu is None or self.gpus is None):
            raise PlatformError(
                '[offer] is for no rig; expected platform, or gpu and gpus, as in gpu = "A100", gpus = 4'
            )

    @classmethod
    def of(cls, price: Price | Offer, platform: str | None = None) -> Offer:
        """Return the offer that a platform's price is."""
        if isinstance(price, Offer):
            return price
        same = ("total", "rent_per_hour", "currency", "date", "source", "storage_included")
        return cls(platform=platform or "rig", **{name: getattr(price, name) for name in same})

    @property
    def kind(self) -> Kind | None:
        """The kind of its GPUs; None where it is for a platform by name alone."""
        return kind(self.gpu, memory_gib=self.gpu_memory_gib, also=self.name or "") if self.gpu else None

    @property
    def gpu_hour(self) -> float | None:
        """What an hour of one GPU costs to rent; None where that is not known."""
        return self.rent_per_hour / self.gpus if self.rent_per_hour and self.gpus else None

    def times(self, factor: float) -> Offer:
        """Return the offer of so many machines; or, of one, in a currency that is worth so much less."""
        names = ("rent_per_hour", "total", "storage_per_hour", "network_per_training")
        sums = {name: getattr(self, name) for name in names}
        return replace(self, **{name: None if each is None else each * factor for name, each in sums.items()})

    def at(self, rate: Rate) -> Offer:
        """Return the offer in the currency of a rate."""
        source = f"{self.source}, at {rate.rate:g} {rate.to} a {rate.currency} of {rate.date}"
        return replace(self.times(rate.rate), currency=rate.to, source=source)

    @property
    def circumstances(self) -> str:
        """Return what the rent hangs on, in words: "gpu_8x_h100_sxm5, us-east-1, spot"."""
        reserved = f"reserved for {self.reserved_months} months" if self.reserved_months else None
        return ", ".join(filter(None, (self.name, self.region, "spot" if self.spot else None, reserved)))


@dataclass(frozen=True, kw_only=True)
class Rate(_Checked):
    """What one unit of `currency` is worth in the currency `to`, on a `date`."""

    currency: str = _key(_like("[A-Z]{3}", 'three capital letters, "EUR"'))
    to: str = _key(_like("[A-Z]{3}", 'three capital letters, "USD"'))
    rate: float = _key(_ABOVE_0)
    date: str = _key(_like(_MONTH_OR_DAY, 'text, a month or a day, "2026-10" or "2026-10-31"'))
    source: str = _key(_TEXT)


@dataclass(frozen=True)
class Offers:
    """A file of offers: what it offers, its rates of currencies, and how many lines of it are no offer of GPUs."""

    offers: tuple[Offer, ...]
    rates: tuple[Rate, ...] = ()
    source: str = ""
    skipped: int = 0

    def __post_init__(self) -> None:
        pairs = [rate.currency for rate in self.rates]
        if twice := [name for name in pairs if pairs.count(name) > 1]:
            raise PlatformError(f"{self.source}: two rates of {twice[0]}; expected one")
        if len({rate.to for rate in self.rates}) > 1 or {rate.to for rate in self.rates} & set(pairs):
            raise PlatformError(f'{self.source}: rates into several currencies; expected all into one, as to = "USD"')

    @cached_property
    def by_platform(self) -> dict[str, list[Offer]]:
        """The offers for a platform by its name."""
        found: dict[str, list[Offer]] = {}
        for each in self.offers:
            if each.platform is not None:
                found.setdefault(each.platform, []).append(each)
        return found

    @cached_property
    def by_machine(self) -> dict[tuple[str, int], list[Offer]]:
        """The other offers, by the model and the number of their GPUs."""
        found: dict[tuple[str, int], list[Offer]] = {}
        for each in self.offers:
            if each.platform is None:
                found.setdefault((each.kind.model, each.gpus), []).append(each)
        return found

    @cached_property
    def _usual(self) -> dict[tuple[str, str], float]:
        by_kind: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
        for each in (*self.offers, *example().offers):
            if each.gpu_hour and each.kind and not each.without_host:
                of_kind = by_kind.setdefault((each.kind.model, each.currency), ([], []))
                of_kind[each.spot].append(each.gpu_hour)
        return {key: statistics.median(asked or spot) for key, (asked, spot) in by_kind.items()}

    def usual_gpu_hour(self, model: str, currency: str) -> float | None:
        """Return the median of what an hour of a GPU of this model costs, here and in the example; None if in none.

        Spot offers count only where there are no others.
        """
        return self._usual.get((model, currency))

    def converted(self, found: Offer) -> Offer:
        """Return an offer in the currency of the rates, if there is one of its own."""
        rate = next((rate for rate in self.rates if rate.currency == found.currency), None)
        return found.at(rate) if rate else found


def offer(text: str, *, today: date | None = None) -> tuple[str, Offer]:
    """Return the platform and what all its machines are offered for, dated today; without a currency, USD.

    Raises:
        PlatformError: the text is no offer.
    """
    found = re.fullmatch(r"\s*([^=\s](?:[^=]*[^=\s])?)\s*=\s*(\d+(?:\.\d+)?)\s*(/h)?\s*([A-Z]{3})?\s*", text, re.ASCII)
    amount = float(found[2]) if found else 0.0
    if found is None or not 0 < amount <= LARGEST:
        raise PlatformError(
            f"offer {text[:60]!r}; expected NAME=12.10/h to rent or NAME=3400 to buy, a currency behind it if not USD, "
            f"as in 'rig=3400 EUR'"
        )
    sums: dict[str, Any] = {"rent_per_hour" if found[3] else "total": amount}
    day = str(today or date.today())
    return found[1], Offer(platform=found[1], currency=found[4] or "USD", date=day, source=SOURCE, **sums)


def read_offers(path: str | os.PathLike[str]) -> Offers:
    """Read a file of offers, .toml or .csv.

    Raises:
        PlatformError: it cannot be read, or a line of it is no offer; the message names file and place.
    """
    from platforms.catalogues import rows_of  # it makes Offers

    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise PlatformError(f"it has more than {LARGEST_FILE} bytes; expected the rows of the rigs at hand")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise PlatformError(f"{path}: {error.strerror}; expected a file of offers, .toml or .csv") from None
    except (UnicodeDecodeError, PlatformError) as error:
        raise PlatformError(f"{path}: {error}") from None
    try:
        if path.suffix == ".toml":
            return _of_toml(text, str(path))
        day = str(date.fromtimestamp(path.stat().st_mtime))
        found, skipped = rows_of(text, name=path.name, day=day)
        return Offers(tuple(found), source=str(path), skipped=skipped)
    except PlatformError as error:
        raise PlatformError(f"{path}: {error}") from None


def _of_toml(text: str, source: str) -> Offers:
    import tomllib  # here, not above: few give a file of offers

    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlatformError(f"is not TOML: {error}; expected tables [[offer]] and [[rate]]") from None
    for key, value in content.items():
        if key not in ("offer", "rate") or not (isinstance(value, list) and all(isinstance(v, Mapping) for v in value)):
            raise PlatformError(f"has {key[:40]!r}; expected tables [[offer]] and [[rate]] alone")
    return Offers(
        tuple(_numbered(Offer, content.get("offer", []))), tuple(_numbered(Rate, content.get("rate", []))), source
    )


def _numbered(owner: type, tables: Sequence[Mapping[str, Any]]) -> list[Any]:
    found = []
    for number, table in enumerate(tables, start=1):
        try:
            found.append(_made(owner, table))
        except PlatformError as error:
            raise PlatformError(f"[[{owner.__name__.lower()}]] {number}: {error}") from None
    return found


@cache
def example() -> Offers:
    """Return the offers that come with the suite."""
    return read_offers(EXAMPLE)
