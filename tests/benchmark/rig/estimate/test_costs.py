"""What a training that is not made yet costs: as the judge has it, for a rig by its price or by an offer."""

from dataclasses import replace

import pytest
from journals import IDENTITY

import platforms
from benchmark.judge.terms import PriceError, Terms
from benchmark.record.foretold import Bounds
from benchmark.rig.estimate import page
from benchmark.rig.estimate.costs import Costs
from platforms.offers import offer
from tests.benchmark.rig.estimate.test_measured import MEASURED

SYS1 = platforms.load("sys1")


def test_a_platforms_price_is_written_off_and_an_offer_is_paid_by_the_hour():
    bought = Costs.of(SYS1, IDENTITY, Terms()).of_hours(10.0)
    # 2,605.29 USD over 3 years of 8,766 h, half in use
    assert bought["owned"] == pytest.approx(10 * 2605.29 / (3 * 8766 * 0.5)) and bought["rented"] is None
    costs = Costs.of(SYS1, IDENTITY, Terms(offers=(offer("sys1=1.50/h"),), billing_minutes=60))
    assert costs.of_hours(9.2)["rented"] == pytest.approx(15.0) and costs.currency == "USD"


def test_a_rig_without_a_price_has_no_cost_and_an_offer_for_another_is_refused():
    with pytest.raises(PriceError, match="platform cpu has no"):
        Costs.of(platforms.load("cpu"), {**IDENTITY, "platform": "cpu"}, Terms())
    with pytest.raises(PriceError, match="an offer for 'sys2', which has no runs here"):
        Costs.of(SYS1, IDENTITY, Terms(offers=(offer("sys2=1.50/h"),)))


def test_preparation_counts_where_it_is_billed():
    costs = Costs.of(SYS1, IDENTITY, Terms(offers=(offer("sys1=1.50/h"),)))
    prepared = replace(MEASURED, prepared_s=1800.0)
    assert page.hours_of(60.0, costs, prepared) == 1.0
    billed = replace(costs, terms=replace(costs.terms, with_preparation=True))
    assert page.hours_of(60.0, billed, prepared) == 1.5
    assert page._money("rented", Bounds(value=60.0, low=40.0, high=80.0), costs, prepared) == "1.50 (1.00 to 2.00)"
    assert page._money("owned", Bounds(value=60.0), costs, prepared) == "NA"
