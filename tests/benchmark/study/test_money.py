"""What more would gain: by hand, from curves that are known."""

from dataclasses import replace

import pytest
from studies import study

from benchmark.study.curves import Band, Curve
from benchmark.study.money import money_parts
from benchmark.study.results import observations

CURVE = Curve(form="power", parameters={"b": 320.0, "c": 0.5}, residual=0.0, points=15)  # 8% at 1,600, 5.66% at 3,200


@pytest.fixture
def found(tmp_path):
    """Runs of up to 1,600 utterances, 1.6 hours, whose training of 30 steps took 6 minutes."""
    return observations(study(tmp_path))


def test_further_speech_gains_what_the_curve_says_and_costs_speech_and_training(found):
    priced = [replace(each, cost=2.0, currency="EUR") for each in found]
    table, words = money_parts(priced, CURVE, Band((CURVE,)), metric="wer", speech_price=50.0)
    hour, twice, last = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    # twice: 8 - 8 / sqrt 2 = 2.34 points for 1.6 h x 50 EUR and a second training: 82 / 2.343 = 35.00 EUR a point
    assert twice == {
        "further": "twice the speech", "points": "2.34", "95% interval": "2.34 to 2.34", "hours of speech": "1.60",
        "minutes": twice["minutes"], "cost of speech": "80.00 EUR", "of training": "2.00 EUR",
        "known cost a point": "35.00 EUR",
    }  # fmt: skip
    # an hour: n 1,600 to 2,600: 8 - 8 sqrt(1 / 1.625) = 1.72 points; 50 EUR and 2 / 1.6 of training: 51.25 / 1.724
    assert (hour["points"], hour["cost of speech"], hour["of training"]) == ("1.72", "50.00 EUR", "1.25 EUR")
    assert hour["known cost a point"] == "29.72 EUR"
    assert last["further"] == "training: its last 25%" and last["of training"] == "0.50 EUR"
    assert "worth 2.34 points if 1.60 further hours of speech are there" in words


def test_without_prices_there_are_points_and_no_money(found):
    table, _ = money_parts(found, CURVE, Band((CURVE,)), metric="wer")
    assert [row[1] for row in table.rows] == ["1.72", "2.34", "0.00"]
    assert table.header == ("further", "points", "95% interval", "hours of speech", "minutes")  # nobody asked for money
    assert money_parts([replace(each, hours=0.0) for each in found], CURVE, Band((CURVE,)), metric="wer") == []
