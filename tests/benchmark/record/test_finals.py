"""The final evaluations in a run's folder: those of today's files and of older ones, and which of them counts."""

import csv
from pathlib import Path

import pytest
from journals import make_run

from benchmark.record.finals import FinalsError, name_of, of_checkpoint, read_finals

HEADER = ("checkpoint", "step", "subset", "decoder", "wer", "features", "sample", "batch")


def put(folder: Path, name: str, *rows: tuple, header: tuple = HEADER) -> Path:
    """Write a file of figures."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def called(finals) -> list[str]:
    return [each.path.name for each in finals]


def test_a_folder_has_the_evaluations_of_older_and_of_newer_files(tmp_path):
    old = ("checkpoint", "subset", "decoder", "wer")
    put(tmp_path, "final.csv", ("best", "dev-a", "greedy", 9), ("last", "dev-a", "greedy", 8), header=old)
    put(tmp_path, "final-utterances.csv", ("best", "dev-a", "greedy", "u1", 3), ("last", "dev-a", "greedy", "u1", 2),
        header=(*old[:3], "utterance", "word_edits"))  # fmt: skip
    put(tmp_path, "final/x.csv", ("best", 10, "dev-a", "beam-2", 7, "ab", "", 4))
    put(tmp_path, "final/x.utterances.csv", ("u1", 1), header=("utterance", "word_edits"))
    one, two, new = read_finals(tmp_path)
    assert [(each.old, each.row["wer"], each.step) for each in (one, two, new)] == [
        (True, "9", 0), (True, "8", 0), (False, "7", 10)
    ]  # fmt: skip
    assert [[row["word_edits"] for row in each.utterances()] for each in (one, two, new)] == [["3"], ["2"], ["1"]]
    assert read_finals(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["step,wer\n1,2\n", "checkpoint,subset,decoder\nbest,,greedy\n", "a\n\0", "\xff\n1\n"])
def test_a_file_that_is_no_final_evaluation_is_named(tmp_path, text):
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "x.csv").write_text(text, encoding="latin-1")
    with pytest.raises(FinalsError, match=r"final/x\.csv: cannot be read as a final evaluation"):
        read_finals(tmp_path)


def test_of_a_run_that_went_on_the_checkpoint_of_the_most_batches_counts(tmp_path):
    put(tmp_path, "final/a.csv", ("best and last", 10, "dev-a", "greedy", 9, "ab", "", 4))
    put(tmp_path, "final/b.csv", ("best", 20, "dev-a", "greedy", 8, "ab", "", 4))
    put(tmp_path, "final/c.csv", ("batch 30", 30, "dev-a", "greedy", 8, "ab", "", 4))
    put(tmp_path, "final/d.csv", ("best", 9, "dev-a", "beam-2", 8, "ab", "", 4))
    finals = read_finals(tmp_path)
    assert called(of_checkpoint(finals, "best")) == ["d.csv", "b.csv"]
    assert called(of_checkpoint(finals, "last")) == ["a.csv"]
    assert called(of_checkpoint(finals, "batch 30")) == ["c.csv"]


def test_other_features_samples_and_batches_are_evaluations_of_their_own(tmp_path):
    for n, rest in enumerate([("ab", "", 4), ("cd", "", 4), ("ab", "5-seed1", 4), ("ab", "", 8)]):
        put(tmp_path, f"final/{n}.csv", ("best", 20, "dev-a", "greedy", 8, *rest))
    finals = read_finals(tmp_path)
    assert len(of_checkpoint(finals, "best")) == len({each.key for each in finals}) == 4
    (run,) = {make_run([30], features="ab", batch=8, replicas=2).identity}
    assert [each.not_own(run) for each in finals] == [(), ("on other features (cd)",), (), ("batch 8",)]


def test_an_older_file_counts_unless_a_newer_one_has_the_same(tmp_path):
    old = ("checkpoint", "step", "subset", "decoder", "wer", "features")
    put(tmp_path, "final.csv", ("best", 20, "dev-a", "greedy", 9, "ab"), ("best", 20, "dev-b", "greedy", 9, "ab"),
        ("best", 20, "dev-c", "greedy", 9, "cd"), header=old)  # fmt: skip
    put(
        tmp_path,
        "final/n.csv",
        ("best", 20, "dev-a", "greedy", 8, "ab", "", 4),
    )
    put(tmp_path, "final/o.csv", ("best", 20, "dev-c", "greedy", 8, "ab", "", 4))
    found = {(each.subset, each.features, each.path.name) for each in of_checkpoint(read_finals(tmp_path), "best")}
    assert found == {
        ("dev-a", "ab", "n.csv"), ("dev-b", "ab", "final.csv"), ("dev-c", "cd", "final.csv"), ("dev-c", "ab", "o.csv")
    }  # fmt: skip


def test_files_are_named_by_what_is_evaluated():
    row = {"checkpoint": "best and last", "step": 120, "subset": "dev-a", "decoder": "greedy", "features": "0a1b2c3d"}
    row |= {"sample": "", "batch": 8}
    assert name_of(row, own_features=True, own_batch=True) == "best-and-last-120.dev-a.greedy"
    other = {**row, "checkpoint": "batch 120", "subset": "train", "sample": "5-seed1", "decoder": "lm-a/b"}
    named = name_of(other, own_features=False, own_batch=False, features_name="an4 x")
    assert named == "batch-120.train-5-seed1.lm-a_b.on-an4_x-0a1b2c.batch-8"
