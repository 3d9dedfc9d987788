"""Epochs to target of all comparable rigs, times seconds per epoch of one."""

import pytest
from journals import make_run

from benchmark.judge import Question, judge
from benchmark.judge.factoring import factor, leave_one_out

AT_30 = Question(metrics=("wer",), levels=(30.0,))


def runs(platform: str, *epochs: int, train_s: float = 100.0, first_seed: int = 1, **identity):
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
        for n, count in enumerate(epochs, start=first_seed)
    ]


def predictions(*groups):
    return {p.group.platform: p for p in factor(judge([run for group in groups for run in group], AT_30))}


def test_the_epochs_of_all_rigs_times_the_seconds_of_this_one():
    found = predictions(runs("slow", 4, 9, 6, train_s=190), runs("fast", 6, 6, 6, train_s=40, first_seed=4))
    # geometric mean of 4, 9, 6, 6, 6, 6 is 6; slow: 190 + 10 s an epoch, fast: 40 + 10; creation 30 s
    assert found["slow"].estimate.value == pytest.approx(30 + 6 * 200)
    assert found["fast"].estimate.value == pytest.approx(30 + 6 * 50)
    assert (found["slow"].pool_runs, found["slow"].pool_rigs) == (6, 2)
    assert found["slow"].estimate.low < 30 + 6 * 200 < found["slow"].estimate.high


def test_runs_of_one_seed_count_as_one():
    own, shared = runs("a", 4, 6, 9), runs("b", 4, 6, 9)
    alone = predictions(own)["a"].estimate
    both = predictions(own, shared)["a"].estimate  # the same seeds, the same epochs: no new evidence
    assert (both.low, both.high) == (alone.low, alone.high)
    other = predictions(own, runs("b", 4, 6, 9, first_seed=4))["a"].estimate
    assert other.high - other.low < alone.high - alone.low


def test_rigs_whose_epochs_differ_share_no_pool():
    found = predictions(runs("a", 4, 4, 5, 4, 5), runs("b", 14, 15, 14, 15, 14))["a"]
    assert found.estimate is None and found.p < 0.05 and "Kruskal-Wallis p = 0.0" in found.reason


def test_too_few_runs_cannot_tell_whether_rigs_differ():
    found = predictions(runs("a", 4, 4), runs("b", 14, 15))["a"]  # two and two: p is at least .12, whatever they are
    assert found.estimate is None and found.reason.startswith("under 3 runs of a rig")


def test_a_missed_level_spoils_the_pool_and_a_single_run_is_none():
    missing = [make_run([90] * 5, platform="b", source="b.csv")]
    assert predictions(runs("a", 4, 5), missing)["a"].reason == "1 of 3 runs of the pool missed it"
    assert predictions(runs("a", 4))["a"].reason == "a single run is no pool"


@pytest.mark.parametrize("other", [{"batch": 300}, {"replicas": 2}, {"emulated": True}, {"precision": "tf32"}])
def test_other_batches_replicas_precisions_and_emulated_runs_are_another_pool(other):
    found = predictions(runs("a", 4, 5, 6), runs("b", 4, 5, 6), runs("c", 8, 9, 9, **other))
    assert (found["a"].pool_runs, found["b"].pool_runs, found["c"].pool_runs) == (6, 6, 3)


def test_leaving_one_out_compares_with_the_rigs_other_runs():
    groups = judge(runs("a", 4, 9, 6) + runs("b", 6, 6, 6, first_seed=4), AT_30)
    (found,) = leave_one_out(groups)
    # Every run is predicted by the other rig's geometric mean of 6 epochs: 30 + 6 * 110 = 690 s.
    # Truths of a: sqrt(1020 * 690), sqrt(470 * 690), sqrt(470 * 1020); of b: 690. Logs of 690 / truth: -.195, .192,
    # -.003, 0, 0, 0: absolute values in order 0 0 0 .003 .192 .195, median .0017
    assert found.factored == pytest.approx(0.0017, abs=1e-3)
    # The run itself over the truth: 470 / 838.9 -.579; 1020 / 569.5 .583; 690 / 692.4 -.003; 0 0 0: median .0017
    assert found.single == pytest.approx(0.0017, abs=1e-3)
    assert found.runs == 6


def test_a_rig_alone_is_not_tested_by_its_own_runs():
    assert leave_one_out(judge(runs("a", 4, 9, 6), AT_30)) == []
