"""Epochs to target of all comparable rigs, times seconds per epoch of one."""

import pytest
from journals import make_run

from benchmark.factoring import factor, leave_one_out
from benchmark.judge import Question, judge

AT_30 = Question(metrics=("wer",), levels=(30.0,))


def runs(platform: str, *epochs: int, train_s: float = 100.0, **identity):
    """A run for each number of epochs, its last three at the level, the median of three reaching it at the last."""
    return [
        make_run(
            [90] * (count - 2) + [30, 30],
            train_s=train_s,
            platform=platform,
            run=f"{platform}{n}",
            seed=n,
            source=f"{platform}{n}.csv",
            **identity,
        )
        for n, count in enumerate(epochs, start=1)
    ]


def predictions(*groups):
    return {p.group.platform: p for p in factor(judge([run for group in groups for run in group], AT_30))}


def test_the_epochs_of_all_rigs_times_the_seconds_of_this_one():
    found = predictions(runs("slow", 4, 9, train_s=190), runs("fast", 6, 6, train_s=40))
    # geometric mean of 4, 9, 6, 6 is 6; slow: 190 + 10 s an epoch, fast: 40 + 10; creation 30 s
    assert found["slow"].estimate.value == pytest.approx(30 + 6 * 200)
    assert found["fast"].estimate.value == pytest.approx(30 + 6 * 50)
    assert (found["slow"].pool_runs, found["slow"].pool_rigs) == (4, 2)
    assert found["slow"].estimate.low < 30 + 6 * 200 < found["slow"].estimate.high


def test_rigs_whose_epochs_differ_share_no_pool():
    found = predictions(runs("a", 4, 4, 5, 4, 5), runs("b", 14, 15, 14, 15, 14))["a"]
    assert found.estimate is None and found.p < 0.05 and "Kruskal-Wallis p = 0.0" in found.reason


def test_a_missed_level_spoils_the_pool_and_a_single_run_is_none():
    missing = [make_run([90] * 5, platform="b", source="b.csv")]
    assert predictions(runs("a", 4, 5), missing)["a"].reason == "1 of 3 runs of the pool missed it"
    assert predictions(runs("a", 4))["a"].reason == "a single run is no pool"


def test_other_batches_are_another_pool_and_emulation_is_not():
    found = predictions(runs("a", 4, 5), runs("b", 8, 9, batch=300), runs("c", 4, 5, emulated=True))
    assert (found["a"].pool_runs, found["b"].pool_runs, found["c"].pool_runs) == (4, 2, 4)


def test_leaving_one_out_compares_with_the_rigs_other_runs():
    groups = judge(runs("a", 4, 9) + runs("b", 6, 6), AT_30)
    (found,) = leave_one_out(groups)
    # a: epochs of b are 6: 30 + 6 * 110 = 690 s, truths 30 + 9 * 110 = 1020 (run of 4) and 470 (run of 9).
    # b: epochs of a, geometric mean 6: 690 against 690, twice. Logs of the ratios: .391, .384, 0, 0: median .192
    assert found.factored == pytest.approx(0.2115, abs=1e-3)
    # One run itself: 470 against 1020 and 1020 against 470 (.775 twice), 0 twice: median .387
    assert found.single == pytest.approx(0.473, abs=1e-3)
    assert found.runs == 4
