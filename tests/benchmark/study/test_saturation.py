"""Saturation is found where it was put, not where there is none; the sources' formulas by hand."""

import math
import re

import numpy as np
import pytest

from benchmark.study.curves import Point, bootstrap, fit
from benchmark.study.saturation import (
    by_asymptote,
    by_gain,
    detectable,
    epochs_of,
    gain,
    knee,
    linear_knee,
    spread_between_seeds,
)

SIZES = (500, 1000, 2000, 4000, 8000, 16_000)


def study(rng, curve, *, noise=0.02, seeds=3, sizes=SIZES):
    return [
        Point(size=n, error=float(curve(n) * np.exp(rng.normal(0, noise))), seed=seed)
        for n in sizes
        for seed in range(seeds)
    ]


def test_equation_6_of_the_whisper_study():
    # 5,000 samples: 3,000 x 8 / 5,000 = 4.8 epochs
    assert epochs_of(5000) == 4.8 and epochs_of(24_000) == 1.0 and epochs_of(50_000) == 0.48
    assert epochs_of(1000) == 6  # the cap


def test_from_4000_samples_on_all_runs_of_that_protocol_take_the_same_batches():
    assert {round(n * epochs_of(n) / 8) for n in range(4000, 50_001, 1000)} == {3000}


def test_what_a_doubling_gains_of_a_power_law_is_the_same_everywhere():
    curve = fit([Point(size=n, error=100 * n**-0.25, seed=0) for n in SIZES])
    assert gain(curve, 700) == pytest.approx(gain(curve, 12_000)) == pytest.approx(1 - 2**-0.25)


def test_the_noise_between_seeds_is_pooled_over_sizes():
    # logs differ by 2 d within each size: the variance is 2 d^2, of 2 degrees of freedom in all
    points = [Point(size=n, error=50 * np.exp(s * 0.03), seed=s) for n in (1, 2) for s in (-1, 1)]
    assert spread_between_seeds(points) == pytest.approx(0.03 * np.sqrt(2))
    three = [Point(size=n, error=50 * np.exp(s * 0.03), seed=s) for n in (1, 2, 3) for s in (-1, 1)]
    assert detectable(three) == pytest.approx(2.8 * 0.03 * np.sqrt(2) * np.sqrt(2 / 2))


def test_a_power_law_does_not_saturate():
    points = study(np.random.default_rng(1), lambda n: 300 * n**-0.35)
    curve, band = fit(points, forms=("power",)), bootstrap(points, draws=80, forms=("power",))
    assert by_gain(points, curve, band).size is None
    assert by_asymptote(curve, band, points).reason == "no asymptote is told from 0"


def test_seeds_that_could_tell_no_gain_are_said_to_be_too_few_and_nothing_is_called_saturated():
    """A doubling of n^-0.35 takes away 21.5%; at 30% between seeds 3 of them tell 2.8 x .3 x sqrt(2/3) = 69%."""
    points = study(np.random.default_rng(4), lambda n: 300 * n**-0.35, noise=0.3)
    curve, band = fit(points, forms=("power",)), bootstrap(points, draws=40, forms=("power",))
    found = by_gain(points, curve, band)
    assert found.size is None and found.low is None
    seeds = int(re.search(r"about (\d+) seeds a size would tell that", found.reason)[1])
    assert seeds == math.ceil(3 * (detectable(points) / gain(curve, 500)) ** 2) and 15 < seeds < 100


def test_saturation_is_found_where_it_was_put():
    """12 + 9000 n^-1: within 10% of 12 from 9000 / 1.2 = 7,500 on."""
    points = study(np.random.default_rng(2), lambda n: 12 + 9000 / n, noise=0.01)
    curve, band = fit(points, forms=("asymptote",)), bootstrap(points, draws=80, forms=("asymptote",))
    found = by_asymptote(curve, band, points)
    assert found.size == pytest.approx(7500, rel=0.15) and found.low < 7500 < found.high
    by_noise = by_gain(points, curve, band)
    assert 2000 < by_noise.size < 16_000  # where 9000 / n / 2 is 3% of it


def test_a_knee_on_log_log_axes_is_found_where_it_is_and_seldom_where_there_is_none():
    rng = np.random.default_rng(3)
    bent = study(rng, lambda n: 300 * min(n, 4000) ** -0.35, noise=0.01)
    found = knee(bent, draws=60)
    assert found.p < 0.05 and 2500 < found.size < 6500 and found.low <= found.size <= found.high
    alarms = sum(knee(study(rng, lambda n: 300 * n**-0.35), draws=60).size is not None for _ in range(40))
    assert alarms <= 6  # 5% of 40 is 2


@pytest.mark.parametrize("exponent", [0.065, 0.2, 0.35, 0.5])
def test_every_power_law_has_a_knee_near_15000_on_linear_axes_from_5000_to_50000(exponent):
    """And at ten times that on an axis ten times as long: it is the axis that bends."""
    sizes = np.arange(5000, 50_001, 5000)
    place = linear_knee(sizes.tolist(), (100 * sizes**-exponent).tolist())
    assert 12_000 < place < 17_500
    assert linear_knee((10 * sizes).tolist(), (100 * (10.0 * sizes) ** -exponent).tolist()) == pytest.approx(
        10 * place, rel=0.02
    )
