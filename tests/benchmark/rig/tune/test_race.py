"""Which of a few is fastest, in turns."""

import math
import random

import pytest

from benchmark.rig.tune.race import Raced, race, smallest_within

TRUE = {"8": 60.0, "16": 90.0, "32": 98.0, "64": 100.0}


def turns(noise: float, drift: float = 0.0):
    """Contestants of known speeds, each turn with noise, on a machine that gets slower from turn to turn."""
    rng, done = random.Random(5), []

    def turn(name: str) -> float:
        done.append(name)
        return TRUE[name] * math.exp(rng.gauss(0, noise) - drift * len(done))

    return {name: (lambda name=name: turn(name)) for name in TRUE}, done


def test_the_smallest_within_three_percent_of_the_fastest_is_taken():
    raced = race(turns(0.0005)[0])
    assert raced.fastest == "64" and smallest_within(raced, by=int) == "32"
    assert raced.ratio("32").value == pytest.approx(0.98, abs=0.002)
    assert smallest_within(Raced({"8": (100.0,) * 3, "64": (100.0,) * 3}), by=int) == "8"


def test_a_race_ends_when_it_is_certain_and_not_before():
    quiet, loud = (race(turns(noise)[0]) for noise in (0.0005, 0.02))
    assert len(quiet.speeds["8"]) == 3 and quiet.open < 0.02
    assert len(loud.speeds["8"]) > 3
    assert len(race(turns(0.5)[0]).speeds["8"]) == 12  # it ends


def test_turns_go_forwards_and_backwards_so_that_drift_is_alike_for_all():
    contestants, done = turns(0.0, drift=0.01)
    raced = race(contestants, least=4, most=4)
    assert done[:8] == ["8", "16", "32", "64", "64", "32", "16", "8"]
    # the machine loses 15% meanwhile; in turns the ratio is right
    assert raced.ratio("32").value == pytest.approx(0.98, rel=1e-6)


def test_the_interval_is_students_on_logarithms():
    raced = Raced({"a": (1.0, 1.0, 1.0), "b": (0.9, 1.0, 0.95)})
    ratio = raced.ratio("b")
    logs = [math.log(each) for each in (0.9, 1.0, 0.95)]
    mean = sum(logs) / 3
    half = 4.302653 * math.sqrt(sum((each - mean) ** 2 for each in logs) / 2 / 3)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx(
        (math.exp(mean), math.exp(mean - half), math.exp(mean + half))
    )
    assert raced.open == pytest.approx(math.exp(half) - 1)
