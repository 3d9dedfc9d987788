"""Learning curves: known ones are found again, with intervals that cover, and the right form among rivals."""

import math

import numpy as np
import pytest

from benchmark.study.curves import Point, StudyError, bootstrap, fit

SIZES = (78, 156, 312, 625, 1250, 2500)


def study(rng, curve, *, noise=0.03, seeds=3, sizes=SIZES):
    return [
        Point(size=n, error=float(curve(n) * np.exp(rng.normal(0, noise))), seed=seed)
        for n in sizes
        for seed in range(seeds)
    ]


def power(n):
    return 300 * n**-0.35


def levelling(n):
    return 12 + 600 * n**-0.6


def test_a_power_law_without_noise_is_found_exactly():
    found = fit([Point(size=n, error=power(n), seed=0) for n in SIZES])
    assert found.form == "power" and found.asymptote == 0.0
    assert found.parameters == pytest.approx({"b": 300, "c": 0.35}, rel=1e-6)
    assert found.error_at(10_000) == pytest.approx(power(10_000))


def test_an_asymptote_is_found_and_preferred_where_there_is_one():
    found = fit([Point(size=n, error=levelling(n), seed=0) for n in SIZES])
    assert found.form == "asymptote" and found.weights["asymptote"] > 0.9
    assert found.parameters["a"] == pytest.approx(12, rel=0.02) and found.parameters["c"] == pytest.approx(
        0.6, rel=0.02
    )


def test_a_plateau_is_told_from_both():
    def level(n):
        return 300 * min(n, 500) ** -0.35

    found = fit(study(np.random.default_rng(1), level, noise=0.005, sizes=(*SIZES, 5000, 10_000)))
    assert found.form == "plateau" and found.parameters["from"] == pytest.approx(500, rel=0.2)


def test_errors_over_90_percent_and_points_that_did_not_read_their_data_are_not_fitted():
    whole = [Point(size=n, error=power(n), seed=0) for n in SIZES]
    odd = [Point(size=20, error=99.0, seed=0), Point(size=5000, error=60.0, seed=0, whole=False)]
    assert fit([*whole, *odd]) == fit(whole)
    with pytest.raises(StudyError, match="1 size with an error of at most 90%"):
        fit([whole[0], *odd])


def test_a_size_at_which_one_seed_learnt_nothing_is_left_out_whole():
    """The others of its seeds are the fortunate ones."""
    points = [Point(size=n, error=power(n), seed=seed) for n in SIZES for seed in (1, 2)]
    unlucky = [*points, Point(size=SIZES[0], error=99.0, seed=3)]
    assert fit(unlucky) == fit([point for point in points if point.size != SIZES[0]])


@pytest.mark.parametrize("curve", [power, pytest.param(levelling, marks=pytest.mark.slow)])
def test_intervals_inside_and_outside_the_sizes_cover_the_truth(curve):
    """Of 60 studies; 95% of 60 is 57, and three standard errors are 5. The form is that of the truth."""
    rng, inside, outside = np.random.default_rng(2), 0, 0
    form = ("power",) if curve is power else ("asymptote",)
    for _ in range(60):
        band = bootstrap(study(rng, curve), draws=120, forms=form)
        for size, name in ((625, "inside"), (5000, "outside")):
            low, high = band.of(lambda each, n=size: each.error_at(n))
            hit = low <= curve(size) <= high
            inside, outside = inside + (hit and name == "inside"), outside + (hit and name == "outside")
    assert inside >= 52 and outside >= 52


def counted(edits, sizes=SIZES) -> list[Point]:
    """Points on a power law whose runs make errors in the same test utterances of ten words."""
    counts = np.stack([edits, np.full(len(edits), 10.0)], 1)
    return [Point(size=n, error=power(n), seed=0, counts=counts) for n in sizes]


def test_an_interval_holds_the_choice_of_the_test_utterances():
    """No noise of seeds: the log error has the standard error of a mean of u utterances over its mean."""
    edits = np.random.default_rng(4).binomial(10, 0.3, size=400).astype(float)
    band = bootstrap(counted(edits), draws=800, forms=("power",))
    low, high = (math.log(bound / power(625)) for bound in band.of(lambda each: each.error_at(625)))
    error = edits.std() / math.sqrt(400) / edits.mean()
    assert -low == pytest.approx(1.96 * error, rel=0.12) and high == pytest.approx(1.96 * error, rel=0.12)
    assert {round(each.parameters["c"], 6) for each in band.curves} == {0.35}, "all runs move alike: no tilt"


def test_utterances_that_are_all_alike_and_points_without_counts_add_nothing():
    points = study(np.random.default_rng(3), power)
    counts = np.tile([3.0, 10.0], (50, 1))
    alike = [Point(size=p.size, error=p.error, seed=p.seed, counts=counts) for p in points]
    some = [*alike[:-1], points[-1]]
    bands = [bootstrap(each, draws=50).of(lambda c: c.error_at(625)) for each in (points, alike, some)]
    assert bands[1] == pytest.approx(bands[0]) and bands[2] == bands[0]
