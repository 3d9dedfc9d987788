"""Rigs over many levels, worked by hand."""

import pytest
from journals import make_run

from benchmark.judge import Question, judge, profile_of
from benchmark.judge.profiles import MOST, Profile, profile_parts, stability

A_AND_B = Profile(
    metric="wer",
    levels=(80.0, 60.0, 40.0, 20.0),
    labels=("a", "b"),
    minutes=((10.0, 20.0, 30.0, 40.0), (11.0, 18.0, 33.0, None)),
)


def test_shares_of_levels_within_a_factor_of_the_best():
    # a: 1, 20/18 = 1.11, 1, 1; b: 1.1, 1, 1.1, never
    assert A_AND_B.within(1.0) == [3 / 4, 1 / 4]
    assert A_AND_B.within(1.1) == [3 / 4, 3 / 4]
    assert A_AND_B.within(1.12) == [1.0, 3 / 4]


def test_the_score_is_the_mean_share_from_1_to_4():
    # each level gives (4 - its ratio) / 3, none where it was not reached
    assert pytest.approx([(3 + 3 - 1 / 9 + 3 + 3) / 3 / 4, (2.9 + 3 + 2.9 + 0) / 3 / 4]) == A_AND_B.score
    assert MOST == 4.0


def test_who_leads_and_how_alike_the_orders_are():
    assert A_AND_B.leaders == ["a", "b", "a", "a"]
    # of two rigs tau is 1 or -1: at 80 and 40 as at 20, at 60 the other way
    assert A_AND_B.agreement == pytest.approx((1 - 1 + 1) / 3)
    text = stability(A_AND_B)
    assert "a is first at 3 of 4, b at 1; it changes at WER 60 (b), WER 40 (a)" in text


def test_one_order_at_all_levels_is_said():
    always = Profile(metric="wer", levels=(80.0, 60.0), labels=("a", "b"), minutes=((1.0, 2.0), (2.0, 3.0)))
    assert stability(always) == "The order does not hang on the level: a is first at all 2."
    assert always.agreement == 1.0


def test_levels_lie_between_what_all_runs_began_and_ended_with():
    errors = [90, 80, 70, 60, 50, 40, 30, 20]
    groups = judge(
        [make_run(errors, platform="a"), make_run(errors, platform="b", train_s=200)], Question(metrics=("wer",))
    ).groups
    found = profile_of(groups, Question(metrics=("wer",)))
    # the first medians of three are 80, the last 30
    assert (found.levels[0], found.levels[-1], len(found.levels)) == (80.0, 30.0, 20)
    assert found.leaders == ["a"] * 20 and found.score[0] == 1.0 > found.score[1]
    assert found.minutes[0][-1] == (30 + 8 * 110) / 60


def test_emulated_rigs_and_a_rig_alone_have_no_profile():
    alone = judge([make_run([90, 80, 70])], Question(metrics=("wer",))).groups
    assert profile_of(alone, Question()) is None and profile_parts(alone, Question()) == []
    emulated = judge([make_run([90, 80, 70], platform=p, emulated=True) for p in "ab"], Question()).groups
    assert profile_of(emulated, Question()) is None
