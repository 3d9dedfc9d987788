"""Manifests, Kaldi's folders, audio beside texts, Arrow; and which of them a folder is."""

import json

import numpy as np
import pytest
import soundfile
from tones import write_tone

from features.prepare.arrow import audio_bytes
from features.prepare.corpus import Split, planned
from features.prepare.normaliser import Normaliser
from features.prepare.sources import recognised
from features.prepare.spoken import SourceError, subset_of
from features.prepare.tables import Columns


def read(place, **asked) -> list:
    return list(recognised(place, **asked).read())


@pytest.mark.parametrize(
    ("name", "ours"),
    [("validation", "dev"), ("valid", "dev"), ("TRAIN", "train"), ("dev_clean", "dev-clean"),
     ("test.other", "test-other"), ("validated", ""), ("trained", ""), ("other", ""), ("", ""),
     ("an4_train", "train"), ("an4_test", "test"), ("cv_train", "train"), ("testset", "test"), ("cv", "dev"),
     ("my_cv", ""), ("train_and_test", ""), ("heldout", "")],
)  # fmt: skip
def test_what_others_call_subsets(name, ours):
    assert subset_of(name) == ours


def test_nemos_manifest_with_an_utterance_cut_out(tmp_path):
    """docs.nvidia.com/nemo-framework: audio_filepath, duration, offset, text."""
    write_tone(tmp_path / "long.wav", seconds=5)
    lines = [
        {"audio_filepath": "long.wav", "duration": 2.0, "offset": 1.5, "text": "one"},
        {"audio_filepath": str(tmp_path / "long.wav"), "duration": 5.0, "text": "two", "speaker": 7},
    ]
    (tmp_path / "dev_manifest.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
    cut, whole = read(tmp_path)
    assert (cut.id, cut.start_s, cut.end_s, cut.is_part) == ("long-1500", 1.5, 3.5, True)
    assert (whole.speaker, whole.subset, whole.seconds, whole.is_part) == ("7", "dev-manifest", 5.0, False)


def test_speechbrains_manifest(tmp_path):
    """speechbrain.readthedocs.io, data loading: an object by id, with {data_root}."""
    write_tone(tmp_path / "a.wav", seconds=1)
    entry = {"wav": "{data_root}/a.wav", "length": 1.0, "words": "TWO BIRDS", "spk_id": "anna"}
    (tmp_path / "train.json").write_text(json.dumps({"utt-1": entry}))
    (only,) = read(tmp_path)
    assert (only.id, only.speaker, only.text, only.subset) == ("utt-1", "anna", "TWO BIRDS", "train")


def test_kaldis_folders_with_segments(tmp_path):
    """kaldi-asr.org/doc/data_prep.html"""
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    write_tone(tmp_path / "call.wav", seconds=4)
    (folder / "wav.scp").write_text(f"call {tmp_path / 'call.wav'}\n")
    (folder / "segments").write_text("anna-1 call 0.50 1.75\nben-1 call 2.0 -1\n")
    (folder / "text").write_text("anna-1 TWO BIRDS\nben-1 ONE\n")
    (folder / "utt2spk").write_text("anna-1 anna\nben-1 ben\n")
    first, second = read(tmp_path / "data")
    assert (first.start_s, first.end_s, first.speaker, first.subset) == (0.5, 1.75, "anna", "train")
    assert (second.start_s, second.end_s) == (2.0, None)


def test_a_command_in_wav_scp_is_refused_and_never_run(tmp_path):
    (tmp_path / "wav.scp").write_text(f"a touch {tmp_path / 'run'} |\n")
    (tmp_path / "text").write_text("a ONE\n")
    with pytest.raises(SourceError, match=r"wav.scp:1: 'touch .*' is a command; expected a path"):
        read(tmp_path)
    assert not (tmp_path / "run").exists()


def test_audio_with_a_text_beside_it(tmp_path):
    for name in ("train/anna/a", "train/ben/a", "valid/cleo/b"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_tone(tmp_path / f"{name}.wav", seconds=0.5)
        (tmp_path / f"{name}.txt").write_text("one\n two\n")
    write_tone(tmp_path / "silent.wav", seconds=0.5)  # without a text: not of the corpus, and told
    assert recognised(tmp_path).unused == (tmp_path / "silent.wav",)
    assert [(each.speaker, each.subset, each.text) for each in read(tmp_path)] == [
        ("anna", "train", "one two"), ("ben", "train", "one two"), ("cleo", "dev", "one two"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_a_folder_of_datasets(tmp_path, kind):
    """What save_to_disk and to_parquet write: a struct of bytes and path for audio; Arrow as a stream."""
    import pyarrow
    from pyarrow import ipc, parquet

    write_tone(tmp_path / "a.flac", seconds=0.7)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").unlink()
    table = pyarrow.table({
        "audio": pyarrow.array([{"bytes": content, "path": "a.flac"}, {"bytes": content, "path": None}]),
        "transcription": ["One", "Two"], "speaker_id": [3, 4],
    })  # fmt: skip
    if kind == "parquet":
        path = tmp_path / "validation-00000-of-00001.parquet"
        parquet.write_table(table, path)
    else:
        path = tmp_path / "validation" / "data-00000-of-00001.arrow"
        path.parent.mkdir()
        with pyarrow.OSFile(str(path), "wb") as file, ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    first, second = read(tmp_path)
    assert (first.id, first.text, first.speaker, first.subset, first.row) == ("a", "One", "3", "dev", 0)
    assert second.id == f"{path.stem}-1" and audio_bytes(path, 1, column=second.column) == content


def test_of_tables_those_of_subsets_are_taken(tmp_path):
    write_tone(tmp_path / "a.wav", seconds=0.5)
    for name in ("train", "test", "validated", "other"):
        (tmp_path / f"{name}.tsv").write_text("path\tsentence\na.wav\tone\n")
    source = recognised(tmp_path)
    assert [each.stem for each in source.files] == ["test", "train"]
    assert [each.stem for each in source.unused] == ["other", "validated"]


def test_what_common_voice_rejected_is_not_read_where_it_has_no_subsets(tmp_path):
    write_tone(tmp_path / "a.wav", seconds=0.5)
    for name in ("validated", "invalidated", "other"):
        (tmp_path / f"{name}.tsv").write_text("path\tsentence\na.wav\tone\n")
    assert [each.stem for each in recognised(tmp_path).files] == ["validated"]


def test_a_subset_that_has_no_known_name_is_not_trained_on(tmp_path):
    """NeMo's field, a folder of Kaldi's, a folder of audio: heldout beside train would be mixed into it."""
    write_tone(tmp_path / "a.wav", seconds=0.5)
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "one", "split": "heldout", "speaker": 0}\n')
    with pytest.raises(SourceError, match=r"m\.jsonl:1: subset is 'heldout'; expected train"):
        read(tmp_path / "m.jsonl")
    for name in ("train", "heldout"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        (folder / "wav.scp").write_text(f"{name}1 {tmp_path / 'a.wav'}\n")
        (folder / "text").write_text(f"{name}1 ONE\n")
    with pytest.raises(SourceError, match="1 of 2 utterances are in no subset .* and others are in train"):
        planned(recognised(tmp_path / "data"), normaliser=Normaliser(), sharing=Split(), skip_bad=False)


def test_speaker_0_is_one_and_parts_are_not_taken_for_whole_recordings(tmp_path):
    write_tone(tmp_path / "a.wav", seconds=0.5)
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "one", "speaker": 0}\n')
    assert read(tmp_path / "m.jsonl")[0].speaker == "0"
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "one", "start": 3.0, "end": 6.0}\n')
    with pytest.raises(SourceError, match="'start' is '3.0': a part of its recording seems to be meant"):
        read(tmp_path / "m.jsonl")


def test_texts_beside_audio_are_found_whatever_the_case_behind_links_and_once(tmp_path):
    source = tmp_path / "corpus"
    (tmp_path / "elsewhere").mkdir()
    (source / "here").mkdir(parents=True)
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    (source / "here" / "again").symlink_to(source)  # holds itself
    for path, text in (("here/a.wav", "a.txt"), ("here/b.WAV", "b.TXT"), ("linked/c.wav", "c.txt")):
        write_tone((source / path).with_suffix(".wav"), seconds=0.5)
        (source / path).with_suffix(".wav").rename(source / path)
        (source / path).with_name(text).write_text("one")
    write_tone(source / "here" / "a.flac", seconds=0.5)
    assert sorted(each.audio.name for each in read(source)) == ["a.flac", "b.WAV", "c.wav"]
    (source / "here" / "a.txt").write_text("")
    assert [each.problem for each in read(source) if each.id == "a"] == ["empty; expected what is said in a.flac"]


def test_of_arrow_the_column_that_holds_audio_is_read(tmp_path):
    """Common Voice on the hub: path is text, and audio beside it the recording."""
    import pyarrow
    from pyarrow import parquet

    rows = [{"bytes": b"sound", "path": "a.mp3"}]
    table = pyarrow.table({"path": ["a.mp3"], "audio": rows, "raw": ["one"]})
    parquet.write_table(table, tmp_path / "d.parquet")
    (only,) = recognised(tmp_path, columns=Columns(text="raw")).read()
    assert (only.text, only.column) == ("one", "audio")
    assert audio_bytes(only.audio, only.row, column=only.column) == b"sound"


def test_what_is_none_of_the_forms_is_said(tmp_path):
    with pytest.raises(SourceError, match="not there"):
        recognised(tmp_path / "none")
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(SourceError, match="found none of the forms that are known; expected a CSV or TSV"):
        recognised(tmp_path)
    with pytest.raises(SourceError, match=r"expected a folder with wav\.scp and text"):
        recognised(tmp_path, form="kaldi")


def test_samples_of_an_arrow_row_are_those_that_went_in(tmp_path):
    import pyarrow
    from pyarrow import parquet

    from features.prepare.spoken import Spoken
    from features.prepare.writing import Copy, write

    rng = np.random.default_rng(1)
    samples = (rng.standard_normal(8000) * 3000).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 16_000)
    rows = [{"bytes": (tmp_path / "a.flac").read_bytes(), "path": "a.flac"}]
    parquet.write_table(pyarrow.table({"audio": rows, "text": ["one"]}), tmp_path / "d.parquet")
    spoken = Spoken(id="a", audio=tmp_path / "d.parquet", row=0, column="audio", text="one", where="x")
    written = write(Copy(spoken=spoken, path=tmp_path / "out" / "a"))
    assert written.problem == "" and written.seconds == 0.5
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out" / "a.flac", dtype="int16")[0], samples)
