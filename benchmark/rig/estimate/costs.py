"""What a training that is not made yet would cost, bought and rented, by the judge's own functions.

costs = Costs.of(platform, identity, terms)             # raises PriceError if it has no price
costs.of_hours(3.2)                                     # {"owned": 1.20, "rented": 3.84, "break_even_hours": ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmark.judge.cost import training_cost
from benchmark.judge.groups import Group
from benchmark.judge.offered import Paid, check_offers, paid_for
from benchmark.judge.terms import Terms
from benchmark.record import Run, RunRecord
from benchmark.record.columns import Identity, Row
from benchmark.record.facts import Facts
from benchmark.record.phases import Phase
from platforms import Platform


@dataclass(frozen=True, eq=False)
class Planned(Run):
    """A run that is not made yet: its first row, and what its run.json would say of the platform."""

    platform: Platform

    @cached_property
    def facts(self) -> Facts:
        return Facts({"platform": self.platform.to_dict()})


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The price of a rig, and how it is paid for."""

    paid: Paid
    terms: Terms

    @classmethod
    def of(cls, platform: Platform, identity: Mapping[str, Any], terms: Terms) -> Costs:
        """Find the rig's price. Raises PriceError if there is none, or an offer is for another rig."""
        row = Row(**Identity(**identity).__dict__, phase=Phase.CREATE, step=0, epoch=0, started_s=0.0, seconds=0.0)
        run = Planned(RunRecord((row,)), platform)
        group = Group(platform=platform.name, workload=row.workload_label, runs=(run,), levels=())
        check_offers(terms, [group])
        return cls(paid=paid_for(group, terms), terms=terms)

    @property
    def currency(self) -> str:
        return self.paid.at(self._rent(1.0)).currency

    def of_hours(self, hours: float) -> dict[str, Any]:
        """Return what so many hours cost, without energy, which nobody measured: owned and rented."""
        return training_cost(self.paid.at(self._rent(hours)), hours, self.terms)

    def _rent(self, hours: float) -> Any:
        return min(self.paid.rents, key=lambda each: training_cost(each, hours, self.terms)["rented"], default=None)
