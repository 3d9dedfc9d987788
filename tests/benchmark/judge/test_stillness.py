"""What the judge says of runs that stood still: the share, the time to accuracy without it next to the one measured."""

import json

import pytest
from journals import make_run, write

from benchmark.judge import Question, judge, read_runs
from benchmark.judge.summary import report

AT_30 = Question(metrics=("wer",), levels=(30.0,), window=1)


def run_of(tmp_path, *, still=None, suspended_s=None):
    """A run of 30 + 3 x 110 = 360 s that reaches WER 30 after epoch 2, at 250 s."""
    path = write(tmp_path / "r1.csv", make_run([60, 30, 20]))
    folder = tmp_path / "r1"
    folder.mkdir()
    end = {"status": "finished", "step": 30, "epoch": 3, "clock_s": 360.0, "still": still, "suspended_s": suspended_s}
    (folder / "end.json").write_text(json.dumps(end))
    return path


def told(tmp_path, word: str) -> list[str]:
    return [text for text in judge(read_runs(f"{tmp_path}/*.csv"), AT_30).warnings if word in text]


def test_more_than_a_percent_is_a_warning_with_the_time_to_accuracy_without_it_next_to_the_other(tmp_path):
    run_of(tmp_path, still=[[200.0, 16.5, 2], [340.0, 2.0, 3]])
    (text,) = told(tmp_path, "stood still")
    assert "18.5 s of 360 stood still (epochs 2, 3)" in text
    # 250 / 60 = 4.17 minutes; 16.5 s of them stood still, and what came after the level is no part of them: 233.5 / 60
    assert "WER 30 took 4.17 minutes, 3.89 minutes without it" in text


def test_of_a_stretch_that_the_level_lies_in_only_the_part_before_it_is_taken_off(tmp_path):
    run_of(tmp_path, still=[[240.0, 30.0, 2]])
    (text,) = told(tmp_path, "stood still")
    assert "WER 30 took 4.17 minutes, 4.00 minutes without it" in text  # 250 - 10 s


def test_less_than_a_percent_is_a_line_of_a_table_and_no_warning(tmp_path):
    run_of(tmp_path, still=[[200.0, 3.0, 2]])  # 0.8%
    assert told(tmp_path, "stood still") == []
    text = report(read_runs(f"{tmp_path}/*.csv"), AT_30)
    assert "runs that stood still" in text
    assert "3.0 s of 360 stood still (epoch 2)" in text


@pytest.mark.parametrize("still", [None, []])
def test_a_run_that_did_not_is_not_mentioned(tmp_path, still):
    run_of(tmp_path, still=still)
    assert "stood still" not in report(read_runs(f"{tmp_path}/*.csv"), AT_30)


@pytest.mark.parametrize("still", [7, [[1.0, 2.0]], [["x", 1.0, 1]], [[-1.0, 2.0, 1]], [[1.0, None, 1]]])
def test_stretches_that_cannot_be_are_not_read(tmp_path, still):
    run_of(tmp_path, still=still)
    assert read_runs(f"{tmp_path}/*.csv")[0].end is None


def test_a_machine_that_slept_is_named_as_the_clock_does_not_count_that(tmp_path):
    run_of(tmp_path, suspended_s=75.0)
    (text,) = told(tmp_path, "slept")
    assert "slept for 75.0 s during the run, which its clock does not count" in text
