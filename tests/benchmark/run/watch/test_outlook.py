import math
from dataclasses import replace

import pytest
from journals import make_run

from benchmark.record.phases import Phase, Plan
from benchmark.run.state.progress import Progress
from benchmark.run.watch.outlook import Outlook

PLAN = Plan(batches_per_epoch=10, max_epochs=20, max_seconds=1e6, targets={"wer": (40.0, 20.0)})


def seen(errors, *, plan=PLAN, train_s=60.0):
    """Return the outlook and the state after epochs with these word error rates."""
    rows = list(make_run([float(each) for each in errors], train_s=train_s).rows)
    outlook = Outlook(plan)
    for row in rows:
        outlook.take(row)
    return outlook, replace(Progress.of(rows), step=plan.batches_per_epoch * len(errors))


def test_the_next_target_is_the_easiest_that_no_median_has_reached():
    outlook, progress = seen([60, 50])
    assert outlook.targets(progress) == {"to WER 40": "10.0 to go"}  # no median of 3 yet: the last evaluation, 50
    outlook, progress = seen([60, 50, 38])
    assert outlook.targets(progress) == {"to WER 40": "10.0 to go"}  # the median of 60, 50, 38 is 50
    outlook, progress = seen([60, 39, 38])
    assert outlook.targets(progress) == {"to WER 20": "19.0 to go"}  # the median 39 is under 40
    outlook, progress = seen([20, 20, 20])
    assert outlook.targets(progress) == {"targets": "reached"}
    assert Outlook(replace(PLAN, targets={})).targets(Progress()) == {}
    assert Outlook(PLAN).targets(Progress()) == {"to WER 40": "-"}  # nothing is known yet


def test_the_limit_is_the_first_of_epochs_batches_and_minutes():
    outlook, progress = seen([60, 50, 40])
    pace_s = outlook.pace_s(progress, 300.0)
    ends = [row.ended_s for row in outlook.evaluated]
    assert pace_s == pytest.approx((ends[2] - ends[0]) / 2)
    assert outlook.limit_s(progress, 300.0) == (pytest.approx(17 * pace_s), "20 epochs")  # 3 of 20 are over
    outlook.plan = replace(PLAN, max_steps=35)
    assert outlook.limit_s(progress, 300.0) == (pytest.approx(0.5 * pace_s), "35 batches")  # 5 of 10 in an epoch
    outlook.plan = replace(PLAN, max_seconds=330.0)
    assert outlook.limit_s(progress, 300.0) == (30.0, "5.5 minutes")
    assert outlook.limit_s(progress, 400.0)[0] == 0.0


def test_before_the_second_evaluation_the_pace_is_that_of_the_batches():
    outlook = Outlook(PLAN)
    assert outlook.pace_s(Progress(), 9.0) is None and outlook.limit_s(Progress(), 9.0)[1].endswith("minutes")
    assert outlook.pace_s(Progress(step=5), 30.0) == 60.0  # 10 batches an epoch at 6 s


def test_the_trend_is_a_line_through_the_logarithms_of_the_latest_errors():
    outlook, progress = seen([80, 40, 20, 10], plan=replace(PLAN, targets={"wer": (2.5,)}))
    last_s, pace_s = outlook.evaluated[-1].ended_s, outlook.pace_s(progress, 0.0)
    # halves each epoch: 10 -> 2.5 takes 2 epochs, and the median of 3 is there one later
    assert outlook.trend_s(progress, last_s) == pytest.approx(3 * pace_s)
    assert outlook.trend_s(progress, last_s + 7.0) == pytest.approx(3 * pace_s - 7.0)


@pytest.mark.parametrize("errors", [[50, 40], [40, 50, 60], [50, 50, 50]])
def test_too_few_evaluations_or_errors_that_do_not_fall_have_no_trend(errors):
    outlook, progress = seen(errors)
    assert outlook.trend_s(progress, 300.0) is None


def test_targets_that_are_reached_have_no_trend_and_probes_are_passed_over():
    outlook, progress = seen([19, 18, 17])
    assert outlook.trend_s(progress, 300.0) is None
    before = len(outlook.evaluated)
    outlook.take(replace(outlook.evaluated[-1], phase=Phase.PROBE, epoch=9))
    outlook.take(outlook.evaluated[-1])  # seen before
    assert len(outlook.evaluated) == before and not math.isnan(outlook.evaluated[-1].wer)
