"""hypotheses.jsonl: what is written is read, a kill's half line is left out, anything else is refused by its line."""

import json

import pytest

from benchmark.record.hypotheses import NAME, HypothesesError, HypothesisLog, read_hypotheses

SAID = (("a-1", "one two", "one too"), ("a-2", "three", ""))


def written(folder, *steps, said=SAID):
    with HypothesisLog(folder) as log:
        for step in steps:
            log.write("evaluate", epoch=step // 7, step=step, said=said)


def test_what_was_said_is_written_once_and_read_with_every_evaluation(tmp_path):
    written(tmp_path, 7, 14)
    found = read_hypotheses(tmp_path)
    assert list(found) == [("evaluate", 7), ("evaluate", 14)]
    assert found["evaluate", 14].pairs == [("one two", "one too"), ("three", "")] and found["evaluate", 14].epoch == 2
    assert (tmp_path / NAME).read_text().count("one two") == 1  # and 2 evaluations


def test_two_utterances_of_one_id_stay_two(tmp_path):
    written(tmp_path, 7, said=(("x", "one", "one"), ("x", "two", "too")))
    assert read_hypotheses(tmp_path)["evaluate", 7].pairs == [("one", "one"), ("two", "too")]


def test_an_evaluation_that_was_done_again_counts_as_it_was_done_last(tmp_path):
    written(tmp_path, 7)
    written(tmp_path, 7, said=(("a-1", "one two", "one two"), ("a-2", "three", "three")))
    assert [heard for _, heard in read_hypotheses(tmp_path)["evaluate", 7].pairs] == ["one two", "three"]


def test_half_a_line_of_a_killed_process_is_left_out(tmp_path):
    written(tmp_path, 7)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"phase": "evalu')
    assert list(read_hypotheses(tmp_path)) == [("evaluate", 7)]


def test_a_run_of_an_older_version_has_none(tmp_path):
    assert read_hypotheses(tmp_path) is None


@pytest.mark.parametrize(
    "line",
    ["[]x", "[1]", '{"phase": "evaluate", "epoch": 1, "step": 7, "hypotheses": ["one"]}', '{"references": {"a": 1}}'],
)
def test_a_line_that_no_run_writes_is_named(line, tmp_path):
    written(tmp_path, 7)
    with (tmp_path / NAME).open("a") as file:
        file.write(f"{line}\n{json.dumps({'phase': 'evaluate', 'epoch': 2, 'step': 14, 'hypotheses': ['', '']})}\n")
    with pytest.raises(HypothesesError, match=r"hypotheses.jsonl:3: .*expected"):
        read_hypotheses(tmp_path)
