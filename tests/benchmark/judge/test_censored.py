"""Times of which some were not reached: against SciPy's survival functions, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.judge import censored
from benchmark.judge.censored import Times
from benchmark.judge.estimates import log_interval

pairs = st.lists(st.tuples(st.integers(1, 30).map(float), st.booleans()), min_size=1, max_size=12)


def split(found):
    return stats.CensoredData(uncensored=[t for t, r in found if r], right=[t for t, r in found if not r])


@given(pairs)
def test_the_curve_is_scipys(found):
    if not any(reached for _, reached in found):
        assert Times.of(found).steps == ()
        return
    theirs = stats.ecdf(split(found)).sf
    for time, share in Times.of(found).steps:
        assert share == pytest.approx(float(theirs.evaluate(time)), abs=1e-12)


@given(st.lists(st.floats(1, 100), min_size=1, max_size=9))
def test_the_median_of_times_that_were_all_reached_is_the_ordinary_one(values):
    assert Times.of([(value, True) for value in values]).median == pytest.approx(float(np.median(values)))


def test_medians_with_misses():
    assert Times.of([(3.0, True), (4.0, True), (5.0, True), (9.0, False), (9.0, False)]).median == 5.0
    assert (
        Times.of([(3.0, True), (4.0, True), (9.0, False), (math.inf, False)]).median is None
    )  # half, and no later one
    assert Times.of([(9.0, False)]).median is None and Times.none().median is None
    # one run was still going at 1: it says nothing, and the median is that of the others
    assert Times.of([(1.0, False), (3.0, True), (4.0, True), (5.0, True)]).median == 4.0


def test_the_restricted_mean_is_the_mean_of_runs_that_are_stopped_at_the_budget():
    times = Times.of([(10.0, True), (20.0, True), (60.0, False)])
    assert times.restricted_mean(40.0) == (10 + 20 + 40) / 3
    assert times.restricted_mean(61.0) is None  # nobody knows what the third did after 60
    assert Times.of([(10.0, True), (math.inf, False)]).restricted_mean(30.0) == 20.0


def test_few_runs_are_permuted_in_all_ways_by_the_log_rank_test():
    """Three against three, wholly apart: 2 of 20 ways are as far apart, so p = .1 and not SciPy's .025."""
    first, second = ([(float(t), True) for t in values] for values in ((1, 2, 3), (4, 5, 6)))
    assert censored.log_rank(Times.of(first), Times.of(second)) == pytest.approx(2 / 20)
    assert stats.logrank([1, 2, 3], [4, 5, 6]).pvalue < 0.05


def test_of_many_runs_the_log_rank_test_is_near_scipys():
    rng = np.random.default_rng(5)
    values = [np.minimum(rng.exponential(scale, 40), 2.0) for scale in (1.0, 1.6)]
    ours = censored.log_rank(*(Times.of([(float(t), bool(t < 2.0)) for t in group]) for group in values))
    theirs = stats.logrank(*(split([(t, t < 2.0) for t in group]) for group in values)).pvalue
    assert stats.norm.isf(ours / 2) == pytest.approx(stats.norm.isf(theirs / 2), rel=0.05)


def test_log_rank_scores_are_the_peto_scores():
    """By hand: hazards 1/4, 1/4 + 1/3, then the censored one keeps 7/12, and the last has 7/12 + 1."""
    found = censored._log_rank_scores([(1.0, True), (2.0, True), (3.0, False), (4.0, True)])
    assert found == pytest.approx([1 - 1 / 4, 1 - 7 / 12, -7 / 12, 1 - 19 / 12])
    assert sum(found) == pytest.approx(0.0)


def test_no_log_rank_without_a_run_that_got_there():
    nobody = Times.of([(5.0, False)])
    assert censored.log_rank(nobody, nobody) is None and censored.log_rank(nobody, Times.none()) is None


def test_an_interval_needs_two_runs_that_got_there():
    assert censored.interval(Times.of([(3.0, True), (9.0, False)])) is None
    found = censored.interval(Times.of([(3.0, True), (3.3, True), (9.0, False)]))
    assert found.low < 3.0 and found.high > 3.3 and found.low < found.value < found.high


def test_without_misses_the_interval_is_nearly_students():
    values = [40.0, 42.0, 45.0, 47.0, 51.0]
    ours, students = censored.interval(Times.of([(v, True) for v in values])), log_interval(values)
    for name in ("value", "low", "high"):
        assert getattr(ours, name) == pytest.approx(getattr(students, name), rel=0.01)


@pytest.mark.parametrize(
    ("runs", "share"),
    [(3, 0.8), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(5, 0.6), (5, 0.8), (10, 0.5), (10, 0.9)])],
)
def test_93_to_97_percent_of_intervals_with_misses_cover_the_truth(runs, share):
    """Every run is stopped where `share` of runs are there; those samples in which one was stopped are counted."""
    rng, budget = np.random.default_rng(6), 50 * math.exp(0.04 * stats.norm.ppf(share))
    covered, tested = 0, 0
    while tested < 1500:
        values = 50 * np.exp(rng.normal(0, 0.04, runs))
        times = Times.of([(float(min(v, budget)), bool(v <= budget)) for v in values])
        if times.all_reached or (found := censored.interval(times)) is None:
            continue
        tested += 1
        covered += found.low <= 50 <= found.high
    assert 0.93 <= covered / tested <= 0.975


@pytest.mark.parametrize("runs", [pytest.param(3, marks=pytest.mark.slow), 5])
def test_at_most_5_percent_of_equal_rigs_with_misses_are_called_different(runs):
    rng, budget = np.random.default_rng(8), 50 * math.exp(0.04)
    wrong = tested = 0
    while tested < 600:
        both = [
            Times.of([(float(min(v, budget)), bool(v <= budget)) for v in 50 * np.exp(rng.normal(0, 0.04, runs))])
            for _ in range(2)
        ]
        found = censored.ratio(*both)
        if found is None or all(times.all_reached for times in both):
            continue
        tested += 1
        wrong += found.p < 0.05
        assert (found.p < 0.05) == (not found.low <= 1 <= found.high) or abs(found.p - 0.05) < 0.002
    assert wrong / tested < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


@settings(max_examples=30)
@given(pairs, pairs)
def test_a_ratio_turned_round_is_its_inverse(first, second):
    one, other = Times.of(first), Times.of(second)
    found = censored.ratio(one, other)
    if found is None or len(set(one.reached_times)) == 1 or len(set(other.reached_times)) == 1:
        return
    assert censored.ratio(other, one).value == pytest.approx(1 / found.value)


def test_a_run_that_never_gets_there_counts_as_slower_than_all():
    some = [(3.0, True), (3.3, True), (3.6, True)]
    ends = [censored.interval(Times.of([*some, (end, False)])) for end in (3.6, 9.0, math.inf)]
    assert ends[0] == ends[1] == ends[2]
