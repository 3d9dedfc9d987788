"""Offers as they are named on a command line."""

from datetime import date

import pytest

from platforms import PlatformError
from platforms.offers import offer

TODAY = date(2026, 11, 29)


def test_an_offer_is_a_rent_by_the_hour_or_a_sum_in_its_currency_and_dated():
    name, price = offer("h100x8=12.10/h", today=TODAY)
    assert (name, price.rent_per_hour, price.total, price.currency) == ("h100x8", 12.1, None, "USD")
    assert (price.date, price.source) == ("2026-11-29", "--offer")
    name, price = offer("rig=3400 EUR", today=TODAY)
    assert (name, price.rent_per_hour, price.total, price.currency) == ("rig", None, 3400.0, "EUR")


@pytest.mark.parametrize("text", ["rig", "rig=", "rig=0/h", "rig=-1/h", "rig=nan", "rig=3/d", "=3/h", "rig=3 euro"])
def test_what_is_no_offer_is_refused_with_the_way_out(text):
    with pytest.raises(PlatformError, match="expected NAME=12.10/h to rent or NAME=3400 to buy"):
        offer(text)
