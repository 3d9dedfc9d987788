"""Epochs to target of all comparable rigs, times seconds per epoch of one."""

import math
import statistics

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
    other = predictions(own, runs("b", 4, 6, 9, first_seed=4))["a"].estimate
    widths = [math.log((e.high - 30) / (e.low - 30)) for e in (alone, both, other)]
    assert widths[1] > 0.98 * widths[0] and widths[2] < 0.5 * widths[0]


def test_runs_of_one_error_curve_count_as_one():
    (group,) = judge(runs("a", 4, 6, 9), AT_30)
    once = make_run([90, 90, 30, 30], platform="a", run="a1", seed=9, source="again.csv")  # the curve of a1
    (again,) = judge([*group.runs, once], AT_30)
    assert (len(again.runs), again.n) == (4, 3)
    assert factor([again])[0].estimate == factor([group])[0].estimate


def test_rigs_whose_epochs_differ_share_no_pool():
    found = predictions(runs("a", 4, 4, 5, 4, 5), runs("b", 14, 15, 14, 15, 14))["a"]
    assert (
        found.estimate is None
        and found.p < 0.05
        and "F test, p = " in found.reason
        and "most of all those of " in found.reason
    )


def test_a_rig_ten_times_as_slow_is_no_member_of_a_pool_of_three_runs_each():
    epochs = {"a": (47, 49, 50), "b": (48, 49, 51), "c": (47, 50, 51), "d": (48, 49, 50), "e": (470, 490, 500)}
    rigs = [runs(name, *its, first_seed=10 * n) for n, (name, its) in enumerate(epochs.items())]
    found = predictions(*rigs)
    assert all(p.estimate is None and "most of all those of e" in p.reason for p in found.values())


def test_too_few_runs_cannot_tell_whether_rigs_differ():
    found = predictions(runs("a", 4, 4), runs("b", 14, 15))["a"]
    assert found.estimate is None
    assert found.reason.startswith("0 of 2 comparable rigs have 3 error curves or more that all reached it")
    assert predictions(runs("a", 4))["a"].estimate is None


def test_a_rig_with_a_single_run_or_a_miss_is_a_guest_of_the_pool_and_does_not_spoil_it():
    members = runs("a", 8, 9, 10), runs("b", 9, 8, 10, first_seed=4)
    alone = predictions(*members)
    single = predictions(*members, runs("c", 9, train_s=40, first_seed=7))
    assert single["a"].estimate == alone["a"].estimate and single["a"].pool_runs == 6
    pooled = math.exp(statistics.fmean(map(math.log, (8, 9, 10, 9, 8, 10))))
    assert single["c"].guest and single["c"].estimate.value == pytest.approx(30 + 50 * pooled, rel=1e-3)
    missing = [make_run([90] * 5, platform="d", source="d.csv", run="d")]  # it has no folder: who knows why it ended
    found = predictions(*members, missing)
    assert found["a"].estimate == alone["a"].estimate
    assert found["d"].estimate is None and "never got there" in found["d"].reason


def test_a_guest_that_took_far_longer_than_the_pool_gets_no_time_from_it():
    found = predictions(runs("a", 8, 9, 10), runs("b", 9, 8, 10, first_seed=4), runs("c", 30, first_seed=7))["c"]
    assert found.estimate is None and "took 30 epochs, which a run of the pool would not" in found.reason


def test_where_a_rigs_own_times_and_its_factored_one_do_not_meet_there_is_none():
    """Among eight rigs that vary by 9% one is steady, 8% above the others: the F test does not see it, its runs do."""
    members = [runs(f"r{n}", 45, 49, 54, first_seed=10 * n) for n in range(8)]
    found = predictions(*members, runs("odd", 53, 53, 53, first_seed=500))
    assert found["odd"].p > 0.05 and found["r0"].estimate is not None
    assert found["odd"].estimate is None and "do not meet" in found["odd"].reason


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
