"""Every statistic worked by hand, against SciPy's own, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.judge.estimates import (
    Mean,
    coefficient_of_variation,
    holm,
    log_interval,
    olympic_mean,
    product,
    student_t,
    upper_tail,
    welch,
)


def test_the_coefficient_of_variation_is_the_sample_deviation_over_the_mean():
    assert coefficient_of_variation([8, 10, 12]) == pytest.approx(2 / 10)  # sqrt((4 + 0 + 4) / 2) = 2
    assert coefficient_of_variation([5]) is None


def test_the_olympic_mean_leaves_out_the_fastest_and_the_slowest_from_five_runs_on():
    assert olympic_mean([9, 1, 2, 3, 4]) == 3  # (2 + 3 + 4) / 3
    assert olympic_mean([1, 2, 3, 4]) is None


def test_in_an_olympic_mean_one_run_that_missed_is_the_slowest():
    assert olympic_mean([9, 1, 2, 3], missed=1) == pytest.approx((2 + 3 + 9) / 3)  # without 1, and without the miss
    assert olympic_mean([9, 1, 2, 3], missed=2) is None
    assert olympic_mean([1, 2, 3], missed=1) is None  # four runs


def test_an_interval_is_a_factor_up_and_down_from_the_geometric_mean():
    found = log_interval([100, 400])
    # logs differ by log 4: s = log(4) / sqrt(2), s / sqrt(2) = log(2); t(.975, 1) = 12.7062
    assert found.value == pytest.approx(200)
    assert found.low == pytest.approx(200 * 2**-12.7062, rel=1e-4)
    assert found.high == pytest.approx(200 * 2**12.7062, rel=1e-4)
    assert log_interval([7]).value == pytest.approx(7) and log_interval([7]).low is None


positive = st.floats(0.1, 1000)


@given(st.lists(positive, min_size=2, max_size=9), st.lists(positive, min_size=2, max_size=9))
def test_welch_is_scipys_on_logarithms(first, second):
    from scipy.stats import ttest_ind

    if len(set(first)) == 1 and len(set(second)) == 1:
        return
    theirs = ttest_ind(np.log(first), np.log(second), equal_var=False)
    ours = welch(first, second)
    if math.isnan(theirs.pvalue):
        return
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-9)
    interval = theirs.confidence_interval(0.95)
    assert math.log(ours.low) == pytest.approx(interval.low, rel=1e-6, abs=1e-9)
    assert math.log(ours.high) == pytest.approx(interval.high, rel=1e-6, abs=1e-9)


def test_groups_that_do_not_vary_and_single_runs_have_no_interval_and_no_p():
    for first, second in (([2, 2], [1, 1]), ([3, 3], [3, 3])):
        found = welch(first, second)
        assert (found.value, found.low, found.high, found.p) == (first[0] / second[0], None, None, None)
    assert welch([2], [1, 1]).low is None and welch([2], [1, 1]).value == 2.0


def test_a_ratio_turned_round_swaps_its_bounds():
    ratio = welch([2, 3, 4], [1, 1.2, 1.1])
    assert ratio.inverse.value == pytest.approx(1 / ratio.value)
    assert (ratio.inverse.low, ratio.inverse.high) == (1 / ratio.high, 1 / ratio.low)


def test_holm_multiplies_the_smallest_by_most_and_never_falls():
    # sorted: .01 * 3 = .03, .03 * 2 = .06, .04 * 1 = .04 -> raised to .06
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([None, 0.9, 0.8]) == [None, 1.0, 1.0]
    assert holm([]) == []


def test_a_product_multiplies_means_and_adds_their_variances():
    epochs, alike = Mean.of([8, 2]), Mean.of([10.0, 10.0])
    found = product([epochs, alike], plus=5.0)
    assert found.value == pytest.approx(5 + 4 * 10)
    # of the epochs' logs: s / sqrt(2) = log(2); the seconds add nothing: t(.975, 1) = 12.7062
    assert found.high == pytest.approx(5 + 40 * 2**12.7062, rel=1e-4)
    assert product([Mean.of([4]), Mean.of([10.0])]).low is None
    # both vary alike: variance twice, degrees of freedom (2v)^2 / (v^2 / 1 + v^2 / 1) = 2, t(.975, 2) = 4.30265
    both = product([epochs, Mean.of([20.0, 5.0])])
    assert both.high / both.value == pytest.approx(2 ** (4.30265 * math.sqrt(2)), rel=1e-4)


def test_the_mean_of_a_single_value_takes_a_runs_variance_that_is_known_from_elsewhere():
    found = Mean.of([10.0], variance=0.04, freedom=6)
    assert (found.log, found.variance, found.freedom) == (math.log(10.0), 0.04, 6)


def simulated_runs(rng: np.random.Generator, runs: int, *, seconds: float) -> np.ndarray:
    """Times to accuracy as MLPerf's vary: epochs by 3.9%, seconds per epoch by 0.2% (coefficients of variation)."""
    return 40 * np.exp(rng.normal(0, 0.039, runs)) * seconds * np.exp(rng.normal(0, 0.002, runs))


def test_of_1000_pairs_of_rigs_93_to_97_percent_of_intervals_cover_the_true_ratio():
    rng = np.random.default_rng(2020)
    covered = 0
    for _ in range(1000):
        ratio = welch(simulated_runs(rng, 5, seconds=110.0), simulated_runs(rng, 4, seconds=100.0))
        covered += ratio.low <= 1.1 <= ratio.high
    assert 930 <= covered <= 970


def test_of_1000_pairs_of_equal_rigs_at_most_5_percent_are_called_different():
    """Of 1,000 true 5% chances 5% is the middle, not the most: 3 standard errors are 2%."""
    rng = np.random.default_rng(7)
    different = sum(
        welch(simulated_runs(rng, 5, seconds=100.0), simulated_runs(rng, 5, seconds=100.0)).p < 0.05
        for _ in range(1000)
    )
    assert different <= 50


def test_of_1000_families_of_4_equal_rigs_at_most_5_percent_call_any_pair_different():
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(1000):
        rigs = [simulated_runs(rng, 5, seconds=100.0) for _ in range(4)]
        pairs = [welch(rigs[a], rigs[b]).p for a in range(4) for b in range(a)]
        wrong += min(holm(pairs)) < 0.05
    assert wrong <= 50


def test_a_comparison_of_times_that_are_read_in_steps_holds_what_a_step_leaves_open():
    # each variance is at least .03 * .1^2 = .0003: error sqrt(2 * .0003 / 3) = .01414, 4 degrees, t(.975) = 2.7764
    found = welch([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], steps=(0.1, 0.1))
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-2.7764 * 0.014142), rel=1e-4)
    varied = [1.0, 1.2, 1.5]
    assert welch(varied, [v * 2 for v in varied], steps=(0.1, 0.1)) == welch(varied, [v * 2 for v in varied])


@pytest.mark.parametrize("freedom", [0.5, 0.9, 1, 1.7, 2, 5.4, 9, 38, 1000, 3e5])
def test_students_t_is_scipys(freedom):
    from scipy.stats import t as students

    for value in (0.0, 1e-9, 0.1, 0.9, 1.0, 2.0, 7.3, 80.0, 1e5, -0.4, -12.0):
        assert upper_tail(value, freedom) == pytest.approx(students.sf(value, freedom), rel=1e-8, abs=1e-250)
    for below in (0.5, 0.501, 0.8, 0.975, 0.9999, 1 - 1e-9, 0.025):
        assert student_t(freedom, below) == pytest.approx(students.ppf(below, freedom), rel=1e-7, abs=1e-12)
    assert upper_tail(math.inf, freedom) == 0.0 and upper_tail(-math.inf, freedom) == 1.0
