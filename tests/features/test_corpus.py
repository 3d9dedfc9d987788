from pathlib import Path

import pytest
from conftest import write_chapter

from features.corpus import CorpusError, read_corpus, role


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_chapter(tmp_path, "train-a", 7, ["hello world", "it's cool"], seconds=0.2)
    return tmp_path


def transcripts(root: Path) -> Path:
    return root / "train-a" / "7" / "1" / "7-1.trans.txt"


def test_utterances_come_sorted_with_subset_speaker_and_tidied_sentence(root):
    write_chapter(root, "dev-b", 9, ["yes"], seconds=0.2)
    utterances, problems = read_corpus(root)
    assert [(u.subset, u.speaker, u.id, u.sentence) for u in utterances] == [
        ("dev-b", "9", "9-1-0000", "yes"),
        ("train-a", "7", "7-1-0000", "hello world"),
        ("train-a", "7", "7-1-0001", "it's cool"),
    ]
    assert problems == [] and all(u.audio.is_file() for u in utterances)


def test_folders_that_are_no_subset_are_left_alone(root):
    write_chapter(root, "extras", 5, ["no"], seconds=0.2)
    assert {u.subset for u in read_corpus(root)[0]} == {"train-a"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7-1-0000", "empty transcript"),
        ("7-1-0009 HELLO", "audio file missing: expected 7-1-0009.flac"),
        ("7-1-0000 PRICE: 5", "found '5'"),
        ("../../x HELLO", "found '../../x'; expected an utterance id"),
    ],
)
def test_a_bad_line_is_a_problem_with_file_line_and_reason(root, line, reason):
    transcripts(root).write_text(f"7-1-0001 GOOD\n{line}\n")
    utterances, (problem,) = read_corpus(root)
    assert [u.id for u in utterances] == ["7-1-0001"]
    assert problem.where == f"{transcripts(root)}:2" and reason in problem.reason


def test_transcripts_that_are_not_utf_8_are_a_problem(root):
    transcripts(root).write_bytes(b"7-1-0000 CAF\xc9\n")
    _, (problem,) = read_corpus(root)
    assert "not UTF-8 at byte 12" in str(problem)


def test_an_id_given_twice_is_a_problem_that_names_the_first_place(root):
    folder = write_chapter(root, "train-z", 8, ["x"], seconds=0.2)
    (folder / "8-1-0000.flac").rename(folder / "7-1-0000.flac")
    (folder / "8-1.trans.txt").write_text("7-1-0000 AGAIN\n")
    utterances, (problem,) = read_corpus(root)
    assert len(utterances) == 2 and "train-a" in problem.reason and "train-z" in problem.where


def test_no_folder_and_no_transcripts_are_errors_that_say_what_was_expected(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        read_corpus(tmp_path / "absent")
    with pytest.raises(CorpusError, match="expected SUBSET/SPEAKER/CHAPTER"):
        read_corpus(tmp_path)


def test_the_role_is_in_the_subsets_name():
    assert [role(name) for name in ("train-clean-100", "dev-clean", "test-other")] == ["train", "dev", "test"]


def test_real_corpora_are_read_without_problems(real_speech):
    utterances, problems = read_corpus(real_speech / "an4")
    assert len(utterances) == 848 + 100 and problems == []
