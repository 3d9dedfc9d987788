"""How a rig is paid for: over how many years, how much in use, with which price of energy, by which offers.

Terms(years=3, duty=0.5, kwh_price=0.30, offers=(offer("h100x8=12.10/h"),), book=read_offers("offers.toml"))
"""

from __future__ import annotations

from dataclasses import dataclass

from platforms import LARGEST
from platforms.offers import Offer, Offers

HOURS_A_YEAR = 365.25 * 24
TENURES = ("cheaper", "owned", "rented")
LONGEST_YEARS = 1000
PARTS = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters", 1.0: "always"}


class PriceError(ValueError):
    """Terms that make no sense, or a price that is not known; the message says which and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a rig is paid for.

    A purchase is written off over `years`, of which a share `duty` is used. Energy needs a `kwh_price`; a bought rig
    then also takes `idle_w` watts in the hours in which it is not used. Rent is for every started `billing_minutes`, at
    least one of them, with `setup_minutes` before each training; `with_preparation` adds what the runs took to prepare
    features, and `down_time` the time in which an interrupted run stood still. With `failures` the runs that missed the
    level are paid for by those that reached it. `tenure` is which cost ranks rigs: owned, rented, or the cheaper.

    `offers` are prices by platform, in place of those recorded. `book` is a file of offers, of which a rig takes the
    cheapest; those that are `spot` or `reserved` only where asked for, and those of one `region` where one is given.
    """

    years: float = 3.0
    duty: float = 0.5
    kwh_price: float | None = None
    idle_w: float = 0.0
    billing_minutes: float = 0.0
    setup_minutes: float = 0.0
    with_preparation: bool = False
    down_time: bool = False
    failures: bool = False
    tenure: str = "cheaper"
    offers: tuple[tuple[str, Offer], ...] = ()
    book: Offers | None = None
    spot: bool = False
    reserved: bool = False
    region: str | None = None

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
        kinds = [(name, each.total is None) for name, each in self.offers]
        if twice := [name for name, kind in kinds if kinds.count((name, kind)) > 1]:
            raise PriceError(
                f"two offers for {twice[0]}; expected one for each platform, or a rent and a sum to buy it"
            )
        for name, given in (("spot", self.spot), ("reserved", self.reserved), ("region", self.region)):
            if given and self.book is None:
                raise PriceError(f"{name} chooses among the offers of a file; give --offers FILE too")

    @property
    def hours(self) -> float:
        """Return the hours of use in a rig's life."""
        return self.years * HOURS_A_YEAR * self.duty

    @property
    def use(self) -> str:
        """Return for how long a bought rig is used, in words: "3 years, half in use"."""
        years = "1 year" if self.years == 1 else f"{self.years:g} years"
        return f"{years}, {PARTS.get(self.duty, f'{100 * self.duty:.3g}%')} in use"
