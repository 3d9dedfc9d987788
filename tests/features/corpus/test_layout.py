import os
from pathlib import Path

import pytest
from tones import write_chapter

from features.corpus import layout as corpus
from features.corpus.layout import CorpusError, read_corpus, role, unused
from features.jobs.streams import one_line


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
    utterances, (problem, *_) = read_corpus(root)
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
    assert len(utterances) == 2
    assert problem.where == f"{folder / '8-1.trans.txt'}:1"
    assert problem.reason == f"utterance 7-1-0000 is in {transcripts(root)}:1 too; expected one"


def test_an_id_given_twice_in_one_file_is_a_problem_that_names_both_lines(root):
    transcripts(root).write_text("7-1-0000 ONE\n7-1-0001 TWO\n\n7-1-0000 ONE\n")
    utterances, (problem,) = read_corpus(root)
    assert len(utterances) == 2
    assert str(problem) == f"{transcripts(root)}:4: utterance 7-1-0000 is in {transcripts(root)}:1 too; expected one"


def test_audio_that_no_line_speaks_of_is_a_problem(root):
    transcripts(root).write_text("7-1-0001 GOOD\n")
    utterances, (problem,) = read_corpus(root)
    assert [u.id for u in utterances] == ["7-1-0001"]
    assert problem.where == str(transcripts(root).parent / "7-1-0000.flac")
    assert problem.reason == "no line in 7-1.trans.txt; expected a line 7-1-0000 THE SENTENCE"


def test_audio_without_any_transcript_is_one_problem_and_a_folder_of_other_things_none(root):
    transcripts(root).unlink()
    (root / "train-a" / "7" / "pictures").mkdir()
    _, (problem,) = read_corpus(root)
    assert str(problem) == f"{transcripts(root).parent}: audio without a transcript; expected a *.trans.txt"


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_transcript_file_without_lines_is_one_problem(root, content):
    transcripts(root).write_bytes(content)
    utterances, (problem,) = read_corpus(root)
    assert not utterances and str(problem).startswith(f"{transcripts(root)}: holds no line; expected")


def test_a_byte_order_mark_is_no_part_of_the_first_id(root):
    transcripts(root).write_bytes(b"\xef\xbb\xbf" + transcripts(root).read_bytes())
    assert len(read_corpus(root)[0]) == 2 and not read_corpus(root)[1]


def test_line_numbers_are_an_editors(root):
    transcripts(root).write_bytes("7-1-0000 ONE\u2028\r\n7-1-0001 5\r\n".encode())  # U+2028: space, no line's end
    (utterance,), (problem,) = read_corpus(root)
    assert utterance.sentence == "one" and problem.where.endswith(":2")


def test_links_are_followed_out_of_the_corpus_and_one_that_leads_to_itself_does_not_hang(root, tmp_path_factory):
    away = tmp_path_factory.mktemp("away") / "7"
    (root / "train-a" / "7").rename(away)
    (root / "train-a" / "7").symlink_to(away)
    (root / "train-a" / "loop").symlink_to(root)
    (away / "up").symlink_to(root / "train-a")
    assert len(read_corpus(root)[0]) == 2 and not read_corpus(root)[1]


@pytest.mark.parametrize("place", ["train-b", "train-a/8", "train-a/7/2", "train-a/7/1/7-1-0000.flac"])
@pytest.mark.parametrize("target", ["/nowhere", "itself"])
def test_a_link_that_leads_nowhere_is_named(root, place, target):
    link = root / place
    link.unlink(missing_ok=True)
    link.symlink_to(link if target == "itself" else target)
    _, (problem,) = read_corpus(root)
    assert str(problem) == f"{link}: a link that leads nowhere; expected its target to be there"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(lambda path: path.mkdir(), "Is a directory"), (lambda path: path.symlink_to("/nowhere"), "No such file")],
)
def test_a_transcript_that_cannot_be_read_is_a_problem_with_the_systems_word(root, spoil, reason):
    transcripts(root).unlink()
    spoil(transcripts(root))
    _, (problem,) = read_corpus(root)
    assert problem.where == str(transcripts(root)) and f"cannot be read ({reason}" in problem.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", ["train-a", "train-a/7", "train-a/7/1", "train-a/7/1/7-1.trans.txt"])
def test_what_may_not_be_read_is_named(root, place):
    (root / place).chmod(0)
    _, (problem,) = read_corpus(root)
    (root / place).chmod(0o755)
    assert str(problem) == f"{root / place}: cannot be read (Permission denied)"


def test_files_where_folders_are_expected_are_left_alone(root):
    for place in ("train-clean-100.tar.gz", "train-a/SPEAKERS.TXT", "train-a/7/notes.txt", "train-a/7/1/.hidden.flac"):
        (root / place).write_bytes(b"x")
    assert len(read_corpus(root)[0]) == 2 and not read_corpus(root)[1]


@pytest.mark.parametrize("name", ["train-\n", "train-\x1b[2J", "train-\udcff"])  # the last is a byte that is not UTF-8
def test_a_subset_whose_name_cannot_be_printed_is_a_problem(root, name):
    (root / "train-a").rename(root / name)
    _, (problem,) = read_corpus(root)
    assert str(problem) == f"{root}: found folder {name!r}; expected a printable name"


def test_quotes_in_names_are_as_good_as_letters(root):
    (root / "train-a").rename(root / "train-'\"$(x)")
    assert {u.subset for u in read_corpus(root)[0]} == {"train-'\"$(x)"}


def test_an_endless_id_or_sentence_is_shown_in_part(root):
    transcripts(root).write_text("a" * 5000 + " ONE\n7-1-0000 " + "5 " * 5000 + "\n7-1-0001 GOOD\n")
    _, problems = read_corpus(root)
    assert len(problems) == 2 and all(len(problem.reason) < 400 for problem in problems)


def test_a_message_is_one_line_without_a_terminals_escapes():
    assert one_line("a\nb\x1b[2J\udcffé'") == r"a\nb\x1b[2J\udcffé'"


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


# Nothing that looks like speech is passed over silently


@pytest.mark.parametrize("suffix", [".FLAC", ".Wav"])
def test_suffixes_in_capitals_are_as_good_as_any(root, suffix):
    path = transcripts(root).parent / "7-1-0000.flac"
    path.rename(path.with_suffix(suffix))
    utterances, problems = read_corpus(root)
    assert [u.audio.name for u in utterances] == [f"7-1-0000{suffix}", "7-1-0001.flac"] and not problems


def test_a_subset_in_capitals_is_one(root):
    (root / "train-a").rename(root / "Train-Small")
    (transcripts(root.parent / "x").parent).mkdir(parents=True)
    utterances, problems = read_corpus(root)
    assert {u.subset for u in utterances} == {"Train-Small"} and role("Train-Small") == "train" and not problems


@pytest.mark.parametrize("lined", [True, False])
def test_a_recording_in_another_format_is_a_problem_with_the_way_out(root, lined):
    path = transcripts(root).parent / "7-1-0000.flac"
    path.rename(path.with_suffix(".mp3"))
    if not lined:
        transcripts(root).write_text("7-1-0001 GOOD\n")
    utterances, (problem,) = read_corpus(root)
    assert [u.id for u in utterances] == ["7-1-0001"] and problem.where == str(path.with_suffix(".mp3"))
    assert problem.reason == ("expected FLAC or WAV: convert it, for example with ffmpeg" if lined else
                              "no line in 7-1.trans.txt; expected a line 7-1-0000 THE SENTENCE")  # fmt: skip


@pytest.mark.parametrize("place", ["", "7", "7/1/deeper"])
def test_a_transcript_or_recording_at_the_wrong_depth_is_a_problem(root, place):
    folder = root / "train-a" / place
    folder.mkdir(exist_ok=True)
    for name in ("9-1.trans.txt", "9-1-0000.wav"):
        (folder / name).write_text("9-1-0000 HELLO\n")
    (folder / "._9-1-0000.wav").touch()  # what macOS leaves
    utterances, problems = read_corpus(root)
    assert len(utterances) == 2
    assert {(p.where, p.subset, p.utterances) for p in problems} == {
        (str(folder / "9-1.trans.txt"), "train-a", 0),
        (str(folder / "9-1-0000.wav"), "train-a", 1),
    }
    assert {p.reason for p in problems} == {"at the wrong depth; expected it in a folder SUBSET/SPEAKER/CHAPTER"}


def test_speech_in_folders_that_are_no_subset_is_counted_and_named(root):
    write_chapter(root, "validated", 5, ["no", "yes"], seconds=0.2)
    (root / "README.TXT").write_text("words")
    (root / "docs").mkdir()
    (found,) = unused(root)
    assert found.where == str(root / "validated") and found.utterances == 2
    assert found.reason.startswith(
        "holds 2 recordings that are not used; expected a subset's folder, whose name begins"
    )


def test_a_tab_after_the_id_and_typographic_apostrophes_are_accepted(root):
    transcripts(root).write_text("7-1-0000\tIT\u2019S COOL\n7-1-0001 \t DON\u02bcT\n")
    utterances, problems = read_corpus(root)
    assert [u.sentence for u in utterances] == ["it's cool", "don't"] and not problems


def test_other_odd_characters_are_refused_with_line_name_and_what_to_do(root):
    transcripts(root).write_text("7-1-0001 GOOD\n7-1-0000 CAF\u00c9 \u2014 NOW\n")
    _, (problem,) = read_corpus(root)
    assert problem.where == f"{transcripts(root)}:2"
    assert problem.reason.startswith(
        "found '\u00e9' (latin small letter e with acute) in 'CAF\u00c9 \u2014 NOW'; expected"
    )
    assert problem.reason.endswith("write it as it is spoken, in these")


def test_very_many_chapters_are_read_by_several_processes_alike(tmp_path, monkeypatch):
    for speaker in range(1, 8):
        write_chapter(tmp_path, "train-a" if speaker < 6 else "dev-b", speaker, ["x", "y"], seconds=0.2)
    (tmp_path / "train-a" / "3" / "1" / "3-1.trans.txt").write_text("3-1-0000 FINE\n3-1-0001 PRICE: 5\n")
    (tmp_path / "dev-b" / "7" / "1" / "deep").mkdir()
    (tmp_path / "dev-b" / "7" / "1" / "deep" / "a.flac").touch()
    few = read_corpus(tmp_path)
    monkeypatch.setattr(corpus, "MANY_CHAPTERS", 0)
    monkeypatch.setattr(corpus, "GROUP", 2)
    monkeypatch.setattr(corpus, "usable_cores", lambda: 2)
    many = read_corpus(tmp_path)
    assert list(many[0]) == list(few[0]) and many[1] == few[1] and len(many[1]) == 2
    assert not many[0]._kept  # what they say stays where it was read
