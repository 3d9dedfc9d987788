"""Seconds of an epoch, from timed pieces: the arithmetic."""

import math
from dataclasses import replace

import pytest

from benchmark.rig.estimate.measured import Bucket, Evaluation, Measured, Stretch

EVALUATION = Evaluation(utterances=50, share=0.5, forward_s=1.0, decode_s=3.0, sure_s=0.5, cer=60.0, first_s=0.4)
MEASURED = Measured(
    before_s=9.0,
    create_s=2.0,
    buckets=(
        Bucket(frames=100, batches=30, first_s=1.1, seconds=(0.1, 0.1)),
        Bucket(frames=200, batches=10, first_s=2.2, seconds=(0.2, 0.2)),
    ),
    stretches=(
        Stretch(batches={"100": 4}, seconds=0.44),
        Stretch(batches={"100": 2, "200": 2}, seconds=0.66),
    ),
    open_s=(1.2, 0.7, 0.7),
    generate_s=(1.0, 0.2, 0.2),
    checkpoint_s=(0.5, 0.5),
    swap_s=(),
    evaluation=EVALUATION,
    phases={"train": 1.0, "generate": 2.5, "checkpoint": 1.0, "evaluate": 1.0},
    batches_per_epoch=40,
)


def test_an_epoch_is_the_sum_over_buckets_times_what_real_stretches_take_more():
    epoch = MEASURED.epoch()
    # 30 x .1 + 10 x .2 = 5 s; stretches: .44 of .4 s and .66 of .6 s, 1.1 times as much
    assert epoch.train_s == pytest.approx(5.5)
    # generating 2.5 x .2, one checkpoint .5, opening .7
    assert epoch.other_s == pytest.approx(0.5 + 0.5 + 0.7)
    assert epoch.evaluate_s == pytest.approx((1.0 + 3.0) / 0.5)
    assert epoch.total_s == pytest.approx(5.5 + 1.7 + 8.0)


def test_batches_that_are_opened_once_are_so_in_the_first_epoch():
    once = replace(MEASURED, open_s=(1.2,), opened_once=True)
    assert once.epoch().other_s == pytest.approx(0.5 + 0.5)
    assert once.startup_s - MEASURED.startup_s == pytest.approx(1.2 - (1.2 - 0.7))  # of the whole opening, not the more


def test_the_mix_of_lengths_in_the_stretches_does_not_matter():
    short = replace(MEASURED, stretches=(Stretch(batches={"100": 40}, seconds=4.4),))
    long = replace(MEASURED, stretches=(Stretch(batches={"200": 40}, seconds=8.8),))
    assert short.epoch().train_s == pytest.approx(long.epoch().train_s) == pytest.approx(5.5)


def test_decoding_follows_the_error_rate_between_the_probe_and_certainty():
    # at CER 60: 3 s; certain: .5 s; at 30, half of the way: 1.75 s; above 75 no more than at 75: .5 + 2.5 x 75 / 60
    assert EVALUATION.seconds(30.0) == pytest.approx((1.0 + 1.75) / 0.5)
    assert EVALUATION.seconds(0.0) == pytest.approx((1.0 + 0.5) / 0.5)
    assert EVALUATION.seconds(100.0) == EVALUATION.seconds(75.0) == pytest.approx((1.0 + 3.625) / 0.5)
    assert EVALUATION.seconds() == pytest.approx(8.0)
    assert replace(EVALUATION, sure_s=None).seconds(0.0) == pytest.approx(8.0)  # a decoder that does not care


def test_a_model_that_hears_nothing_yet_is_as_unsure_as_one_at_the_limit():
    nothing = replace(EVALUATION, cer=100.0)
    assert nothing.seconds(75.0) == nothing.seconds(90.0) == pytest.approx(8.0)


def test_first_calls_count_once_and_apart():
    # tracing: 1.0 + 2.0; the first generation .8 more, opening .5, the first forward pass .4
    assert MEASURED.first_s == pytest.approx(3.0 + 0.8 + 0.5 + 0.4)
    assert MEASURED.startup_s == pytest.approx(2.0 + 4.7)


def test_a_bucket_that_was_not_met_lies_on_the_line_of_the_others():
    unmet = replace(MEASURED, buckets=(*MEASURED.buckets, Bucket(frames=400, batches=5)))
    assert unmet.seconds_of(unmet.buckets[-1]) == pytest.approx([0.4, 0.4])
    assert unmet.rounds == pytest.approx([7.0, 7.0])
    assert unmet.first_s == pytest.approx(MEASURED.first_s + 1.5)  # the median of what the others took
    alone = replace(MEASURED, buckets=(MEASURED.buckets[0], Bucket(frames=400, batches=5)), stretches=())
    assert alone.seconds_of(alone.buckets[-1]) == pytest.approx([0.4, 0.4])


def test_the_spread_of_the_rounds_counts_by_the_share_that_training_has():
    assert MEASURED.epoch().mean.variance == pytest.approx(0.0, abs=1e-30)
    shaky = replace(
        MEASURED,
        buckets=(Bucket(frames=100, batches=40, seconds=(0.1, 0.121)),),
        stretches=(Stretch(batches={"100": 4}, seconds=0.4),),
    )
    epoch = shaky.epoch()
    # of two values the variance of the mean's logarithm is (ln 1.21)^2 / 4, with 1 degree of freedom
    share = epoch.train_s / epoch.total_s
    assert epoch.mean.variance == pytest.approx(share**2 * math.log(1.21) ** 2 / 4)
    assert epoch.mean.freedom == pytest.approx(1.0)


def test_whole_epochs_stand_for_themselves():
    whole = replace(MEASURED, epochs_s=(6.0, 6.4))
    epoch = whole.epoch()
    assert epoch.train_s == pytest.approx(6.2)
    assert epoch.other_s == pytest.approx(0.5 + 0.5)  # their opening is among their seconds
    assert epoch.total_s == pytest.approx(6.2 + 1.0 + 8.0)
    # stretches took .44 / .4 and .66 / .6 = 1.1 times both: no spread; then 1.1 and 1.21
    assert epoch.mean.variance == pytest.approx(0.0, abs=1e-30)
    shaky = replace(whole, stretches=(MEASURED.stretches[0], Stretch(batches={"100": 4}, seconds=0.484))).epoch()
    assert shaky.mean.variance == pytest.approx((6.2 / 15.2) ** 2 * math.log(1.1) ** 2 / 4)


def test_it_comes_back_from_what_a_child_says():
    import json

    for each in (MEASURED, replace(MEASURED, epochs_s=(6.0, 6.4))):
        assert Measured.from_dict(json.loads(json.dumps(each.to_dict()))).epoch() == each.epoch()
