"""What is known of single runs beforehand, against SciPy, by hand and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.judge.prior import EPOCHS, PACES, TIMES, Prior


def test_the_gap_of_single_runs_is_students_t_of_their_spread():
    # exp(t(.975, 5.4) 2.5144 * sqrt(2) * .04) = 1.153; exp(2.4785 * sqrt(2) * .0388); exp(16.580 * sqrt(2) * .00114)
    assert TIMES.gap == pytest.approx(1.153, abs=5e-4)
    assert (EPOCHS.gap, PACES.gap) == pytest.approx((1.1457, 1.0271), abs=1e-4)


def test_two_single_values_differ_by_students_t_of_the_prior():
    found = TIMES.ratio([120.0], [100.0])
    t = math.log(1.2) / (math.sqrt(2) * 0.04)  # 3.223
    assert found.value == pytest.approx(1.2) and found.p == pytest.approx(2 * stats.t.sf(t, 5.4))
    assert (found.low, found.high) == pytest.approx((1.2 / TIMES.gap, 1.2 * TIMES.gap), rel=1e-4)
    assert TIMES.ratio([100.0], [120.0]).inverse.low == pytest.approx(found.low)


def test_differences_of_rigs_whose_variance_is_of_that_law_are_called_so_in_5_percent():
    rng, law = np.random.default_rng(5), Prior(0.04, 5.4)
    deviations = law.deviation * np.sqrt(law.freedom / rng.chisquare(law.freedom, 4000))
    pairs = np.exp(rng.normal(0, 1, (2, 4000)) * deviations)
    alarms = sum(law.ratio([a], [b]).p < 0.05 for a, b in pairs.T)
    assert 0.04 < alarms / 4000 < 0.06


def test_a_whole_step_of_the_slower_one_is_taken_off():
    """Eleven epochs beside twelve: the twelfth may have been needed for a moment only."""
    assert TIMES.ratio([12.0], [11.0], steps=(1 / 12, 1 / 11)).p == 1.0  # 12 * (1 - 1 / 12) = 11
    stepped = TIMES.ratio([12.0], [8.0], steps=(1 / 12, 1 / 8))
    assert stepped.p == pytest.approx(TIMES.ratio([11.0], [8.0]).p)
    assert stepped.low == pytest.approx(TIMES.ratio([11.0], [8.0]).low)
    assert stepped.high == pytest.approx(TIMES.ratio([12.0], [7.0]).high)
    first = TIMES.ratio([100.0], [1.0], steps=(1.0, 1.0))  # read at the very first evaluation
    assert (first.p, first.low, first.high) == (1.0, 0.0, math.inf)


def test_beside_several_runs_their_spread_counts_and_at_least_others():
    # logs -.1, 0, .1: variance .01, moderated (5.4 * .0016 + 2 * .01) / 7.4 = .00387; the larger, with 7.4 degrees
    several = [math.exp(x) for x in (-0.1, 0.0, 0.1)]
    found = TIMES.ratio([1.5], several)
    assert found.p == pytest.approx(2 * stats.t.sf(math.log(1.5) / math.sqrt(0.01 * 4 / 3), 7.4))
    alike = TIMES.ratio([1.5], [1.0, 1.0, 1.0])
    assert alike.p == pytest.approx(2 * stats.t.sf(math.log(1.5) / math.sqrt(5.4 * 0.0016 / 7.4 * 4 / 3), 7.4))
    assert TIMES.ratio(several, [1.5]).value == pytest.approx(1 / found.value)


def test_runs_with_a_spread_of_their_own_are_refused():
    with pytest.raises(ValueError, match="2 and 3 values; expected a single one on one side"):
        TIMES.ratio([1.0, 2.0], [1.0, 2.0, 3.0])
