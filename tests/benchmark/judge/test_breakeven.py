"""When buying is cheaper than renting another rig, worked by hand and by simulation."""

import math

from benchmark.judge.breakeven import break_evens
from benchmark.judge.cost import Ends, RigCost
from benchmark.judge.terms import Terms

BOUGHT = RigCost(label="4090", minutes=600.0, currency="USD", total=3400.0, running=Ends(1.0, 0.9, 1.1), owned=3.6)
RENTED = RigCost(label="4 x A100", minutes=200.0, currency="USD", rents=Ends(27.0, 25.0, 29.0), rented=27.0)


def test_buying_is_cheaper_from_where_the_rents_saved_pay_the_sum():
    (found,) = break_evens([BOUGHT, RENTED], Terms())
    assert found.trainings == math.ceil(3400 / (27 - 1)) == 131
    low, high = 26 + math.hypot(2, 0.1), 26 - math.hypot(2, 0.1)  # the ends of the difference
    assert (found.low, found.high) == (math.ceil(3400 / low), math.ceil(3400 / high)) == (122, 142)
    assert found.possible == 1314  # 3 * 8766 * .5 hours of 10 each
    assert found.sentence == ("Buying 4090 is cheaper than renting 4 x A100 from 131 trainings on (95%: 122 to 142).")


def test_a_rigs_own_rent_and_energy_go_with_one_time():
    both = RigCost(
        label="rig", minutes=60.0, currency="USD", total=100.0, running=Ends(1.0, 0.5, 2.0), rents=Ends(3.0, 1.5, 6.0)
    )
    (found,) = break_evens([both], Terms())
    assert (found.trainings, found.low, found.high) == (50, 25, 100)  # 100 / (3 - 1), / (6 - 2), / (1.5 - .5)
    assert "renting it from 50 trainings on" in found.sentence


def test_what_never_pays_or_not_within_the_rigs_life_is_said():
    dear = RigCost(label="dear", minutes=600.0, currency="USD", total=3400.0, running=Ends(28.0))
    (never,) = break_evens([dear, RENTED], Terms())
    assert never.trainings is None and "never cheaper than renting 4 x A100: its energy alone" in never.sentence
    (late,) = break_evens([BOUGHT, RENTED], Terms(years=1, duty=0.1))  # 876.6 hours are 87 trainings
    assert not late.is_within_life and late.sentence.endswith(
        "which it does not come to: 87 fit into 1 year, 10% in use."
    )


def test_an_upper_end_that_is_never_reached_is_open_and_currencies_are_not_mixed():
    wide = RigCost(label="wide", minutes=600.0, currency="USD", total=3400.0, running=Ends(20.0, 10.0, 40.0))
    (found,) = break_evens([wide, RENTED], Terms())
    assert found.high is None and "or more)" in found.sentence
    euros = RigCost(label="eu", minutes=10.0, currency="EUR", rents=Ends(3.0))
    assert not break_evens([BOUGHT, euros], Terms())


def test_the_interval_covers_in_19_of_20_simulated_pairs():
    """Times vary by 4% and 8%; three runs each, whose 95% intervals are Student's on logarithms."""
    import random

    draw, hits, times = random.Random(3), 0, 2000
    t = 4.303  # of 2 degrees of freedom

    def ends(mean: float, cv: float) -> Ends:
        logs = [draw.gauss(math.log(mean), cv) for _ in range(3)]
        middle = sum(logs) / 3
        half = t * math.sqrt(sum((each - middle) ** 2 for each in logs) / 2 / 3)
        return Ends(math.exp(middle), math.exp(middle - half), math.exp(middle + half))

    for _ in range(times):
        bought = RigCost(label="b", minutes=600.0, currency="USD", total=3e6, running=ends(8.0, 0.08))
        rented = RigCost(label="r", minutes=200.0, currency="USD", rents=ends(27.0, 0.04))
        (found,) = break_evens([bought, rented], Terms())
        hits += found.low <= 3e6 / 19 and (found.high is None or found.high >= 3e6 / 19)
    assert 0.94 < hits / times < 0.99
