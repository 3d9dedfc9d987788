"""Plans, sameness, and the rule that may be looked at after every run."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from benchmark.judge.stopping import SETTLED, e_value, plan, same

LOGS = (-0.05, 0.0, 0.05)


def test_a_plan_says_how_many_runs_find_a_difference():
    # s of both logs = .05: spread .005; n = 17: (t(.975, 32) 2.0369 + t(.8, 32) .8530) sqrt(.005 / 17) = .0496 > .0488
    #                                    n = 18: (2.0322 + .8523) sqrt(.005 / 18) = .0481 <= log 1.05 = .0488
    values = [math.exp(x) for x in LOGS]
    found = plan(values, values, ratio=1.05)
    assert found.runs == 18
    # of 4 degrees of freedom the spread is .005 * 4 / 11.143 to .005 * 4 / .4844: .00180 to .0413
    # n = 138: (t(.975, 274) 1.9687 + t(.8, 274) .8427) sqrt(.0413 / 138) = .0486; n = 137: .0488 > .04879
    assert found.low == 8 and found.high == 138
    assert plan([1.0], values, ratio=1.05) is None and plan([1.0, 1.0], [2.0, 2.0], ratio=1.05) is None


def test_a_plan_keeps_what_it_promises():
    """With the spread known, 18 runs find 5% four times in five."""
    rng, found = np.random.default_rng(1), 0
    for _ in range(1000):
        first, second = rng.normal(0, 0.05, 18), rng.normal(math.log(1.05), 0.05, 18)
        found += stats.ttest_ind(first, second, equal_var=False).pvalue < 0.05
    assert 0.77 < found / 1000 < 0.87


def test_two_one_sided_tests_say_that_rigs_are_the_same():
    first, second = ([math.exp(x) for x in np.linspace(-0.01, 0.01, 5) + shift] for shift in (0.0, 0.002))
    bound = math.log(1.05)
    logs = [np.log(first), np.log(second)]
    theirs = max(
        stats.ttest_ind(logs[0] + bound, logs[1], equal_var=False, alternative="greater").pvalue,
        stats.ttest_ind(logs[0] - bound, logs[1], equal_var=False, alternative="less").pvalue,
    )
    assert same(first, second, ratio=1.05) == pytest.approx(theirs, rel=1e-6) and theirs < 0.05
    assert same([1.0], second, ratio=1.05) is None and same([1.0, 1.0], [1.0, 1.0], ratio=1.05) is None


def test_at_most_5_percent_of_rigs_that_are_5_percent_apart_are_called_the_same():
    rng = np.random.default_rng(2)
    wrong = sum(
        same(np.exp(rng.normal(0, 0.03, 6)), np.exp(rng.normal(math.log(1.05), 0.03, 6)), ratio=1.05) < 0.05
        for _ in range(1000)
    )
    assert wrong <= 65


def test_an_e_value_is_the_ratio_of_integrated_likelihoods():
    """The t statistic's density under effects drawn from a normal law, over that under none."""
    first, second = [10.0, 11.0, 12.0], [12.5, 13.0, 14.5, 13.0]
    logs = [np.log(first), np.log(second)]
    t = stats.ttest_ind(*logs).statistic
    size = math.sqrt(3 * 4 / 7)

    def integrand(effect):
        return stats.nct.pdf(t, 5, effect * size) * stats.norm.pdf(effect)

    expected = integrate.quad(integrand, -8, 8)[0] / stats.t.pdf(t, 5)
    assert e_value(first, second) == pytest.approx(expected, rel=1e-4)
    assert e_value([1.0], [2.0]) is None and e_value([1.0, 1.0], [1.0, 1.0]) is None


@pytest.mark.slow
def test_looking_after_every_run_raises_under_5_percent_of_false_alarms_and_finds_differences():
    """From 2 to 20 runs of each, as MLPerf's vary; by p < .05 at every look it would be 19%."""
    rng = np.random.default_rng(3)
    alarms, found, naive = 0, 0, 0
    for _ in range(400):
        equal = np.exp(rng.normal(0, 0.039, (2, 20)))
        apart = equal * np.array([[1.0], [1.08]])
        looks = range(2, 21)
        alarms += any(e_value(*equal[:, :n]) >= SETTLED for n in looks)
        found += any(e_value(*apart[:, :n]) >= SETTLED for n in looks)
        naive += any(stats.ttest_ind(*np.log(equal[:, :n])).pvalue < 0.05 for n in range(3, 21)) if _ < 100 else 0
    assert alarms / 400 < 0.05 and found / 400 > 0.9 and naive > 10


def test_runs_that_all_took_the_same_epochs_are_neither_certainly_the_same_nor_certainly_others():
    """Three runs of eleven epochs beside three of eleven, in steps of 9%: another seed might have taken one more."""
    alike, steps = [11.0, 11.0, 11.0], (1 / 11, 1 / 11)
    # the variance is .03 / 121 = .000248: error sqrt(2 * .000248 / 3) = .01286; t = log(1.02) / .01286 = 1.540
    assert same(alike, alike, ratio=1.02, steps=steps) == pytest.approx(stats.t.sf(1.540, 4), rel=1e-3)
    # n = 3: (2.7764 + .9410) sqrt(2 * .000248 / 3) = .0478 <= log 1.05 = .0488; n = 2: (4.3027 + 1.0607) .01575 = .0845
    assert plan(alike, alike, ratio=1.05, steps=steps).runs == 3
    assert same(alike, alike, ratio=1.02) is None and plan(alike, alike, ratio=1.05) is None
    # five of each, t square without end: (1 + 2.5)^(9 / 2) / 3.5^(1 / 2) = 3.5^4 = 150; with the step 63
    five, more = [11.0] * 5, [12.0] * 4 + [12.00001]
    assert e_value(five, more) == pytest.approx(150, rel=0.01)
    assert e_value(five, more, steps=(1 / 11, 1 / 12)) == pytest.approx(63, rel=0.05)
