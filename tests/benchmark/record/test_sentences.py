"""What a model understood: written for machines and for people, and read back."""

import json
from dataclasses import replace

import pytest

from benchmark.record.confusions import Confusions
from benchmark.record.sentences import Example, Heard, SentenceLog, last_evaluation

WORST = Example(
    rank="worst", id="u-1", reference="one two", hypothesis="on", word_edits=2, words=2, character_edits=5, characters=7
)
CONFUSED = Confusions(substitutions=(("one", "on", 3),), deletions=(("two", 1),))
EVALUATED = Heard(phase="evaluate", epoch=3, step=900, wer=41.25, cer=20.0, examples=(WORST,), confusions=CONFUSED)
GENERATED = Heard(phase="generate", epoch=4, step=950, examples=(Example(id="u-2", reference="a", hypothesis=""),))


def test_the_last_evaluation_is_read_back_whatever_was_generated_since(tmp_path):
    with SentenceLog(tmp_path) as log:
        log.write(Heard(phase="evaluate", epoch=2, step=600, wer=50.0, cer=25.0))
        log.write(EVALUATED)
        log.write(GENERATED)
        assert last_evaluation(tmp_path) == EVALUATED  # flushed: no need to close
    assert EVALUATED.heading == "epoch 3, batch 900, WER 41.25%, CER 20.00%"


def test_people_read_the_same_in_another_file(tmp_path):
    with SentenceLog(tmp_path) as log:
        log.write(EVALUATED)
        log.write(GENERATED)
    assert (tmp_path / "sentences.txt").read_text() == (
        "evaluate epoch 3 batch 900 WER 41.25% CER 20.00%\n"
        "  worst u-1: 2 of 2 words wrong, 5 of 7 characters\n    reference   one two\n    hypothesis  on\n"
        "generate epoch 4 batch 950\n  u-2\n    reference   a\n    hypothesis  \n"
    )


@pytest.mark.parametrize(
    "line",
    ["", "nonsense", "[]", "{}", '{"phase": "evaluate"}', '{"phase": "evaluate", "epoch": 1, "step": 2, "examples": 3}',
     '{"phase": "evaluate", "epoch": 1, "step": 2, "wer": "high", "cer": 1, "examples": []}', "[" * 100_000,
     *(f'{{"phase": "evaluate", "epoch": 1, "step": 2, "examples": [], "confusions": {odd}}}' for odd in (
         "3", "[]", "{}", '{"substitutions": [["a", "b", "often"]], "deletions": [], "insertions": []}',
         '{"substitutions": [], "deletions": [[1, 2]], "insertions": []}',
         '{"substitutions": [], "deletions": [["a", true]], "insertions": []}',
     ))],
)  # fmt: skip
def test_a_damaged_line_is_passed_over(tmp_path, line):
    with SentenceLog(tmp_path) as log:
        log.write(EVALUATED)
    with (tmp_path / "sentences.jsonl").open("a") as file:
        file.write(line)
    assert last_evaluation(tmp_path) == EVALUATED
    (tmp_path / "sentences.jsonl").write_text(line + "\n")
    assert last_evaluation(tmp_path) is None


def test_a_text_of_another_kind_is_no_sentence(tmp_path):
    text = json.dumps(
        {"phase": "evaluate", "epoch": 1, "step": 2, "examples": [{"id": 1, "reference": 2, "hypothesis": 3}]}
    )
    (tmp_path / "sentences.jsonl").write_text(text + "\n")
    assert last_evaluation(tmp_path) is None


def test_an_older_log_has_no_confusions_and_what_a_later_version_says_more_is_passed_over(tmp_path):
    with SentenceLog(tmp_path) as log:
        log.write(EVALUATED)
    said = json.loads((tmp_path / "sentences.jsonl").read_text())
    (tmp_path / "sentences.jsonl").write_text(json.dumps({**said, "loudness": 3}) + "\n")
    assert last_evaluation(tmp_path) == EVALUATED
    del said["confusions"]
    (tmp_path / "sentences.jsonl").write_text(json.dumps(said) + "\n")
    assert last_evaluation(tmp_path) == replace(EVALUATED, confusions=None)


def test_where_there_is_no_file_there_is_no_evaluation(tmp_path):
    assert last_evaluation(tmp_path) is None
