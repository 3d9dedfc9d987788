"""The gate of a pool and the mean of one rig: by hand, against SciPy, and by simulation of rigs as MLPerf's vary."""

import math

import numpy as np
import pytest
from scipy.special import betainc
from scipy.stats import f as f_distribution
from scipy.stats import f_oneway, poisson

from benchmark.judge.pooling import Pool

RUNS = 0.04  # standard deviation of log epochs from run to run: 4.0% within 52 MLPerf rigs of batch 1536
RIGS = 0.006  # from rig to rig, there


def pools(rng, *, count, rigs, runs, epochs=49.0, apart=1.0, between=0.0):
    """Pools of rigs alike, but for the first of each, which takes `apart` times the epochs. Epochs are whole."""
    shifts = rng.normal(0, between, (count, rigs, 1))
    drawn = epochs * np.exp(shifts + rng.normal(0, RUNS, (count, rigs, runs)))
    drawn[:, 0] *= apart
    return np.ceil(drawn), shifts[:, 0, 0]


def test_the_gate_is_the_f_test_of_scipy_on_logarithms():
    rigs = [[47, 49, 50], [48, 49, 51, 52], [47, 50, 51]]
    assert Pool.of(rigs).p == pytest.approx(f_oneway(*map(np.log, rigs)).pvalue)
    assert Pool.of([*rigs, []]).p == Pool.of(rigs).p  # a rig without runs says nothing


def test_the_gate_objects_to_a_rig_ten_times_as_slow_among_rigs_of_three_runs():
    pool = Pool.of([[47, 49, 50], [48, 49, 51], [47, 50, 51], [48, 49, 50], [470, 490, 500]])
    assert not pool.holds and pool.furthest == 4


def test_rigs_whose_runs_do_not_vary_may_be_one_epoch_apart_and_no_more():
    assert Pool.of([[5, 5, 5], [6, 6, 6]]).p == 1.0
    assert Pool.of([[5, 5, 5], [7, 7, 7]]).p == 0.0
    assert Pool.of([[4, 4], [4]]).p == 1.0


def test_one_rig_has_nothing_to_be_tested_against():
    assert Pool.of([[4, 5, 6]]).p is None and Pool.of([[4, 5, 6]]).holds
    assert Pool.of([[4], [5]]).p is None  # single runs have no spread


@pytest.mark.parametrize(("rigs", "runs", "epochs"), [(2, 3, 49), (5, 3, 49), (10, 3, 49), (5, 10, 49), (5, 3, 5.4)])
def test_at_most_5_percent_of_pools_of_equal_rigs_are_refused(rigs, runs, epochs):
    found, _ = pools(np.random.default_rng(1), count=1000, rigs=rigs, runs=runs, epochs=epochs)
    assert np.mean([not Pool.of(pool).holds for pool in found]) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.parametrize("rigs", [2, 5, 10])
def test_all_pools_with_a_rig_twice_as_slow_are_refused(rigs):
    found, _ = pools(np.random.default_rng(2), count=200, rigs=rigs, runs=3, apart=2.0)
    assert not any(Pool.of(pool).holds for pool in found)


@pytest.mark.parametrize(("rigs", "runs"), [(2, 2), (2, 3), (5, 3), (10, 3), (5, 10)])
def test_what_the_gate_would_have_seen_has_the_power_that_is_meant(rigs, runs):
    """The noncentral F is a Poisson mixture of central ones: sum over j of Poisson(j; n / 2) I_x(d1 / 2 + j, d2 / 2).

    n = runs log(visible)^2 (rigs - 1) / rigs / within, d1 = rigs - 1, d2 = freedom, x = d1 f / (d1 f + d2).
    """
    terms = np.arange(2000)
    for drawn in pools(np.random.default_rng(3), count=100, rigs=rigs, runs=runs)[0]:
        pool = Pool.of(drawn)
        beyond = runs * math.log(pool.visible) ** 2 * (rigs - 1) / rigs / pool.within
        critical = f_distribution.isf(0.05, rigs - 1, pool.freedom)
        x = (rigs - 1) * critical / ((rigs - 1) * critical + pool.freedom)
        shares = poisson.pmf(terms, beyond / 2) * betainc((rigs - 1) / 2 + terms, pool.freedom / 2, x)
        assert 1 - shares.sum() == pytest.approx(0.8, abs=1e-6)


def test_what_the_gate_would_have_seen_it_sees_in_four_pools_of_five():
    rng = np.random.default_rng(3)
    usual = np.median([Pool.of(pool).visible for pool in pools(rng, count=600, rigs=5, runs=3)[0]])
    found, _ = pools(rng, count=600, rigs=5, runs=3, apart=usual)
    assert 0.71 < np.mean([not Pool.of(pool).holds for pool in found]) < 0.85


def test_a_rigs_mean_is_the_pools_with_a_little_of_its_own():
    """s^2 within is .0016 by construction; the F is under 1, so between = (.15)^2 * .0016 = .000036.

    A rig of two runs has the weight .000036 / (.000036 + .0008) = .0431 of its own mean.
    """
    step = 0.04 / math.sqrt(2)
    pool = Pool.of([[100 * math.exp(-step), 100 * math.exp(step)]] * 3)
    assert pool.within == pytest.approx(0.0016) and pool.between == pytest.approx(0.15**2 * 0.0016)
    found = pool.mean_of((110, 110))
    own = 0.000036 / (0.000036 + 0.0008)
    assert found.log == pytest.approx(math.log(100) + own * math.log(1.1))
    total = 3 / (0.000036 + 0.0008)
    assert found.variance == pytest.approx(0.000036 * (1 - own) + (1 - own) ** 2 / total)
    assert pool.mean_of().variance == pytest.approx(0.000036 + 1 / total) and found.freedom == 3


def test_runs_of_one_seed_on_several_rigs_are_no_new_evidence():
    alone = Pool.of([[47, 49, 50]]).mean_of()
    twice = Pool.of([[47, 49, 50]] * 2, trainings=3).mean_of()
    new = Pool.of([[47, 49, 50]] * 2).mean_of()
    assert new.variance < twice.variance and twice.freedom == alone.freedom == 2


@pytest.mark.parametrize(("rigs", "runs"), [(2, 3), (3, 3), (5, 3), (10, 3), (5, 5), (10, 10), (2, 10)])
@pytest.mark.parametrize("between", [0.0, RIGS])
def test_the_interval_of_a_rigs_mean_covers_it(rigs, runs, between):
    """95% or a little more: between equal rigs it allows for a spread that is not there."""
    from scipy.special import stdtrit

    found, shifts = pools(np.random.default_rng(4), count=800, rigs=rigs, runs=runs, between=between)
    covered = tested = 0
    for rig_epochs, shift in zip(found, shifts, strict=True):
        if (pool := Pool.of(rig_epochs)).holds:
            mean = pool.mean_of(rig_epochs[0])
            truth = math.log(49) + 0.5 / 49 + shift  # epochs are counted up to whole ones
            covered += abs(mean.log - truth) <= stdtrit(mean.freedom, 0.975) * math.sqrt(mean.variance)
            tested += 1
    assert covered / tested > 0.93 and tested > 600


def test_a_run_is_outside_a_pool_when_no_run_of_it_would_take_as_long():
    pool = Pool.of([[47, 49, 50], [48, 49, 51], [47, 50, 51]])
    assert pool.outside(100) and pool.outside(25) and not pool.outside(50)
    assert pool.outside(100, at_least=True) and not pool.outside(25, at_least=True)
