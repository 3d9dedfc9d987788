"""The report's waterfall of a ratio of times."""

import math

import pytest
from journals import make_run

from benchmark.judge.judgement import judge
from benchmark.judge.question import Question
from benchmark.report.document import _block, block_keys, report
from benchmark.report.merits import merits

QUESTION = Question(metrics=("wer",), levels=(50.0,), window=1)


def block_of(*runs, question=QUESTION):
    judgement = judge(runs, question)
    return _block(0, judgement, block_keys(judgement)[0], question)


def test_each_bar_begins_where_the_one_before_ended_and_the_last_is_the_time():
    soon = make_run([90, 80, 50], platform="soon", run="a")  # 30 steps of 10 s; 360 s
    late = make_run([90, 80, 70, 65, 60, 50], platform="late", run="b", train_s=50.0)  # 60 of 5 s; 390 s
    figure = merits(block_of(soon, late))
    bars = [(t["base"][0], t["y"][0]) for t in figure.traces]
    logs = [math.log10(factor) for factor in (2, 0.5, (390 / 300) / (360 / 300))]
    expected = [(0, logs[0]), (logs[0], logs[1]), (logs[0] + logs[1], logs[2]), (0, math.log10(390 / 360))]
    assert [value for bar in bars for value in bar] == pytest.approx([v for bar in expected for v in bar], abs=1e-5)
    assert figure.table.rows[0][0] == "late / soon" and "soon is 1.083 times sooner than late" in figure.caption
    assert "Whose merit" in report([soon, late], QUESTION)


def test_platforms_are_named_by_what_tells_them_apart():
    runs = [make_run([90, 50], platform="box of 4", run=f"r{n}", recipe=n) for n in ("paper", "authors")]
    question = Question(metrics=("wer",), levels=(50.0,), window=1, by=("recipe",))
    figure = merits(block_of(*runs, question=question))
    assert figure.layout["xaxis"]["ticktext"][0] in ("recipe=paper", "recipe=authors")


def test_one_platform_has_no_waterfall():
    figure = merits(block_of(make_run([90, 50])))
    assert not figure.traces and "two platforms" in figure.caption


def test_emulated_rigs_are_not_compared():
    runs = [make_run([90, 50 + n], platform=f"p{n}", run=f"r{n}", emulated=True) for n in range(2)]
    assert not merits(block_of(*runs)).traces
