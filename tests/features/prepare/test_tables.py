from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.prepare.spoken import SourceError
from features.prepare.tables import Columns, Places, is_table, read_tables


def audio(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def read(*tables: Path, **asked) -> list:
    return list(read_tables(tables, columns=Columns(**asked)))


def test_common_voice(tmp_path):
    """Its columns: https://github.com/common-voice/cv-dataset; quotation marks are what they are."""
    audio(tmp_path / "clips", "common_voice_en_1.mp3", "common_voice_en_2.mp3")
    table = tmp_path / "train.tsv"
    table.write_text(
        "client_id\tpath\tsentence\tup_votes\tage\n"
        'abc\tcommon_voice_en_1.mp3\t"Two birds.\t2\t\n'
        "def\tcommon_voice_en_2.mp3\tIt’s one.\t2\ttwenties\n"
    )
    one, two = read(table)
    assert (one.id, one.speaker, one.subset, one.text) == ("common_voice_en_1", "abc", "train", '"Two birds.')
    assert two.audio == tmp_path / "clips/common_voice_en_2.mp3" and two.where == f"{table}:3"


def test_ljspeech_has_no_names_of_columns(tmp_path):
    """https://keithito.com/LJ-Speech-Dataset/: id, transcription, normalised transcription."""
    audio(tmp_path / "wavs", "LJ001-0001.wav")
    (tmp_path / "metadata.csv").write_text('LJ001-0001|Printed in 1455, "say"|Printed in fourteen fifty-five, "say"\n')
    (only,) = read(tmp_path / "metadata.csv")
    assert only.text == 'Printed in fourteen fifty-five, "say"' and only.audio.name == "LJ001-0001.wav"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("semicolons.csv", "Path;Text;Speaker;Split\na.wav;one, two;anna;Validation\n"),
        ("quoted.csv", 'path,text,speaker,split\na.wav,"one, two",anna,dev\n'),
        ("marked.csv", '\ufeffpath,text,speaker,split\r\na.wav,"one, two",anna,valid\r\n'),
    ],
)
def test_what_spreadsheets_save(tmp_path, name, text):
    audio(tmp_path, "a.wav")
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    (only,) = read(tmp_path / name)
    assert (only.text, only.speaker, only.subset) == ("one, two", "anna", "dev")


def test_utf_16_is_known_by_its_mark_and_other_bytes_are_refused(tmp_path):
    audio(tmp_path, "a.wav")
    (tmp_path / "wide.tsv").write_bytes("path\ttext\na.wav\tÜber\n".encode("utf-16"))
    assert read(tmp_path / "wide.tsv")[0].text == "Über"
    (tmp_path / "latin.csv").write_bytes("path,text\na.wav,Über\n".encode("latin-1"))
    with pytest.raises(SourceError, match="not UTF-8 at byte 16; expected text: save it as UTF-8"):
        read(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2\n", "no column for the audio: found 'a', 'b'; expected one of path, audio"),
        ("path,text\na.wav\n", "1 fields; expected 2"),
        ("path,text\n,x\n", "no recording in column 'path'"),
        ("path,text,split\na.wav,x,holdout\n", "subset is 'holdout'; expected train"),
        ("path,text,duration\na.wav,x,long\n", "duration is 'long'; expected seconds"),
        ("path,path\na.wav,x\n", "two columns have one name"),
        ("\n", "its first line is empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, why):
    audio(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match=why):
        read(tmp_path / "a.csv")


def test_a_recording_that_is_not_there_is_a_problem_of_its_row(tmp_path):
    audio(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text("path,text\nb.wav,x\na.wav,y\n~foo.wav,z\n")
    missing, there, home = read(tmp_path / "a.csv")
    assert missing.problem.startswith("no recording 'b.wav' in ") and "with --audio DIR" in missing.problem
    assert there.problem == "" and home.problem.startswith("no recording '~foo.wav'")


@pytest.mark.parametrize("text", ["ID,wav,start,stop,wrd\nu0,a.wav,0,48000,one\n", "path,text,End\na.wav,one,2.5\n"])
def test_parts_of_recordings_are_not_taken_for_whole_ones(tmp_path, text):
    audio(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match="a part of its recording seems to be meant"):
        read(tmp_path / "a.csv")


def test_three_fields_without_names_are_ljspeechs_if_the_last_is_the_sentence_again(tmp_path):
    audio(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text("a|In 1923, Dr. Bell|In nineteen twenty-three, Doctor Bell\n")
    assert read(tmp_path / "a.csv")[0].text == "In nineteen twenty-three, Doctor Bell"
    (tmp_path / "a.csv").write_text("a.wav|Two birds sing.|anna\n")
    with pytest.raises(SourceError, match="expected a first line that names them: path|text|speaker"):
        read(tmp_path / "a.csv")


def test_a_column_that_is_asked_for_is_taken(tmp_path):
    audio(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text("path,text,raw\na.wav,one,ONE!\n")
    assert read(tmp_path / "a.csv", text="RAW")[0].text == "ONE!"
    with pytest.raises(SourceError, match="no column 'said'; there are 'path', 'text', 'raw'"):
        read(tmp_path / "a.csv", text="said")


def test_a_table_of_something_else_is_none(tmp_path):
    (tmp_path / "times.csv").write_text("clip,duration\na.mp3,2\n")
    (tmp_path / "notes.txt").write_text("path,text\n")
    assert not is_table(tmp_path / "times.csv") and not is_table(tmp_path / "notes.txt")


def test_a_name_without_its_ending_is_found(tmp_path):
    audio(tmp_path / "wav", "a.1.flac")
    assert Places(tmp_path)("a.1", "x").name == "a.1.flac"


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_read_or_refused(content):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(content)
        is_table(path)
        try:
            read(path)
        except SourceError as error:
            assert str(path) in str(error)
