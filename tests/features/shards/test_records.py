import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from tones import write_chapter, write_tone

from features import __main__ as command
from features.corpus.audio import read_audio
from features.corpus.layout import CorpusError, read_corpus
from features.frames import mfcc as extract
from features.shards import manifest, records
from features.shards.extraction import extract_corpus
from features.shards.manifest import LeftOut, ManifestError, Settings


@pytest.fixture
def corpus(tmp_path):
    write_chapter(tmp_path / "corpus", "train-a", 1, ["one two", "cool", "three"], seconds=0.5)
    return tmp_path / "corpus"


def read_all(folder, settings):
    found = manifest.load(folder)
    examples = [
        records.parse(raw, settings)
        for shard in found.shards
        for raw in records.open_shard(str(folder / shard.file), settings)
    ]
    return {example["id"].numpy().decode(): example for example in examples}


@pytest.mark.parametrize(("dtype", "compression", "tolerance"), [("float32", "none", 0), ("float16", "gzip", 1e-3)])
def test_what_is_read_back_is_what_was_extracted(tf, corpus, tmp_path, dtype, compression, tolerance):
    settings = Settings(dtype=dtype, compression=compression, shard_utterances=2)
    extract_corpus(corpus, tmp_path / "out", settings=settings, jobs=1)
    examples = read_all(tmp_path / "out", settings)
    utterances, _ = read_corpus(corpus)
    assert set(examples) == {u.id for u in utterances}
    for utterance in utterances:
        example = examples[utterance.id]
        expected = extract.features(read_audio(utterance.audio).samples)
        np.testing.assert_allclose(example["features"], expected, rtol=tolerance, atol=tolerance)
        assert example["sentence"].numpy().decode() == utterance.sentence
        assert int(example["frames"]) == len(expected)
    assert examples["1-1-0001"]["labels"].numpy().tolist() == [3, 15, 28, 15, 12]  # c o _ o l


@pytest.mark.parametrize(
    ("frames", "labels", "reason"),
    [
        (1671, 5, "longer than 1670"),
        (10, 1, "shorter"),
        (11, 2, "2 labels for 1 output"),
        (13, 2, None),
        (1670, 830, None),
        (1670, 831, "831 labels for 830"),
    ],
)
def test_an_utterance_that_cannot_be_trained_on_is_left_out_with_a_reason(frames, labels, reason):
    found = records.misfit(frames, labels, 1670, Settings().kind)
    assert found is None if reason is None else reason in found[1]


def test_the_manifest_counts_and_lists_what_was_left_out_and_converted(tf, corpus, tmp_path):
    folder = corpus / "train-a" / "1" / "1"
    write_tone(folder / "1-1-0000.flac", seconds=17)
    write_tone(folder / "1-1-0001.flac", seconds=1, rate_hz=8000)
    found = extract_corpus(corpus, tmp_path / "out", jobs=1)
    (lost,) = found.left_out
    assert lost == LeftOut(
        where="1-1-0000", subset="train-a", kind="too long", reason="1700 frames, longer than 1670", seconds=17.0
    )
    assert found.notes == {"resampled from 8000 Hz": 1}
    assert found.utterances("train") == 2 and found.words == ("cool", "three")
    assert manifest.load(tmp_path / "out") == found


def test_bad_audio_stops_with_its_name_and_the_choice_and_skip_bad_lists_it(corpus, tmp_path):
    bad = corpus / "train-a" / "1" / "1" / "1-1-0002.flac"
    bad.write_bytes(b"broken")
    with pytest.raises(CorpusError, match=r"1-1-0002.flac: cannot be decoded.*--skip-bad"):
        extract_corpus(corpus, tmp_path / "out", jobs=1)
    assert not (tmp_path / "out" / "manifest.json").exists()
    found = extract_corpus(corpus, tmp_path / "out", jobs=1, skip_bad=True)
    assert found.utterances("train") == 2
    (lost,) = found.left_out
    assert (lost.where, lost.kind) == ("1-1-0002", "unusable audio") and "1-1-0002.flac: cannot be" in lost.reason
    assert str(tmp_path) not in found.to_json()


def test_a_missing_audio_file_stops_and_skip_bad_lists_it(corpus, tmp_path):
    (corpus / "train-a" / "1" / "1" / "1-1-0002.flac").unlink()
    with pytest.raises(CorpusError, match=r"audio file missing.*--skip-bad"):
        extract_corpus(corpus, tmp_path / "out", jobs=1)
    found = extract_corpus(corpus, tmp_path / "out", jobs=1, skip_bad=True)
    assert [(each.where, each.subset) for each in found.left_out] == [("train-a/1/1/1-1.trans.txt:3", "train-a")]


def test_finished_shards_are_kept_and_changed_ones_made_again(corpus, tmp_path):
    out = tmp_path / "out"
    settings = Settings(shard_utterances=1)
    first = extract_corpus(corpus, out, settings=settings, jobs=1)
    written = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")}
    assert len(written) == 3
    assert extract_corpus(corpus, out, settings=settings, jobs=1) == first
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")} == written
    write_tone(corpus / "train-a" / "1" / "1" / "1-1-0001.flac", seconds=0.7, seed=99)
    extract_corpus(corpus, out, settings=settings, jobs=1)
    again = {path.name for path in out.glob("*.tfrecord") if path.stat().st_mtime_ns != written[path.name]}
    assert len(again) == 1


def test_shards_of_another_extraction_are_removed(corpus, tmp_path):
    extract_corpus(corpus, tmp_path / "out", settings=Settings(shard_utterances=1), jobs=1)
    extract_corpus(corpus, tmp_path / "out", settings=Settings(shard_utterances=3), jobs=1)
    assert [path.name for path in (tmp_path / "out").glob("*.tfrecord")] == ["train-a-00000.tfrecord"]


def test_files_of_others_in_the_folder_are_left_alone(corpus, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.tfrecord").write_bytes(b"precious")
    extract_corpus(corpus, tmp_path / "out", jobs=1)
    assert (tmp_path / "out" / "mine.tfrecord").read_bytes() == b"precious"


def test_the_digest_is_of_what_was_learnt_and_not_of_the_last_digits_of_its_floats(corpus, tmp_path):
    found = extract_corpus(corpus, tmp_path / "out", jobs=1)
    other_bytes = tuple(replace(shard, sha256="0" * 64) for shard in found.shards)
    assert replace(found, shards=other_bytes).digest == found.digest
    assert replace(found, words=("else",)).digest != found.digest


def test_the_same_corpus_gives_the_same_manifest_whatever_the_jobs_and_place(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "elsewhere")
    settings = Settings(shard_utterances=1)
    one = extract_corpus(corpus, tmp_path / "out1", settings=settings, jobs=1)
    two = extract_corpus(tmp_path / "elsewhere", tmp_path / "out2", settings=settings, jobs=2)
    assert one.digest == two.digest
    assert [shard.sha256 for shard in one.shards] == [shard.sha256 for shard in two.shards]


def test_who_says_what_is_part_of_the_digest_though_frames_and_words_are_the_same(corpus, tmp_path):
    """Two recordings of one length change their transcripts: 50 and 63 frames stay, as do the words."""
    folder = corpus / "train-a" / "1" / "1"
    write_tone(folder / "1-1-0001.flac", seconds=0.5, seed=5)
    before = extract_corpus(corpus, tmp_path / "out1", jobs=1)
    (folder / "1-1.trans.txt").write_text("1-1-0000 COOL\n1-1-0001 ONE TWO\n1-1-0002 THREE\n")
    after = extract_corpus(corpus, tmp_path / "out2", jobs=1)
    assert [s.frames for s in before.shards] == [s.frames for s in after.shards] and before.words == after.words
    assert before.digest != after.digest


def test_audio_that_changed_under_the_same_size_and_time_is_noticed_at_the_next_extraction(corpus, tmp_path):
    first = extract_corpus(corpus, tmp_path / "out", jobs=1)
    path = corpus / "train-a" / "1" / "1" / "1-1-0001.flac"
    status, samples = path.stat(), soundfile.read(path, dtype="int16")[0]
    soundfile.write(path.with_suffix(".wav"), samples[::-1], 16_000)  # another recording, as long
    content = path.with_suffix(".wav").read_bytes()
    path.with_suffix(".wav").unlink()
    wav = path.with_suffix(".wav")
    path.unlink()
    soundfile.write(wav, samples, 16_000)
    kept = extract_corpus(corpus, tmp_path / "out", jobs=1)
    assert kept.digest == first.digest  # the same samples, as WAV
    status = wav.stat()
    assert len(content) == status.st_size
    wav.write_bytes(content)
    os.utime(wav, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert extract_corpus(corpus, tmp_path / "out", jobs=1).digest != first.digest


def test_a_corpus_that_was_copied_is_looked_at_and_its_shards_are_kept(corpus, tmp_path):
    first = extract_corpus(corpus, tmp_path / "out", jobs=1)
    written = (tmp_path / "out" / first.shards[0].file).stat().st_mtime_ns
    shutil.copytree(corpus, tmp_path / "copy", copy_function=shutil.copyfile)
    assert extract_corpus(tmp_path / "copy", tmp_path / "out", jobs=1) == first
    assert (tmp_path / "out" / first.shards[0].file).stat().st_mtime_ns == written


def test_words_that_the_training_words_do_not_hold_are_counted(corpus, tmp_path):
    write_chapter(corpus, "dev-b", 2, ["one cool cat", "cat two"], seconds=0.5)
    found = extract_corpus(corpus, tmp_path / "out", jobs=1)
    assert found.unknown == {"dev-b": (2, 5)}  # "cat", twice, of five words
    assert found.unknown_share("dev") == 0.4 == found.unknown_share("dev-b") and found.unknown_share("train") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not JSON"),
        ("[]", "schema None, expected 5"),
        ('{"schema": 99}', "schema 99, expected 5"),
        ('{"schema": 3, "shards": []}', "settings"),
        ('{"schema": 3, "shards": 3}', ""),
        ('{"schema": 2}', "it does not say which recordings the features are of"),
    ],
)
def test_a_damaged_manifest_is_named_with_the_way_out(tmp_path, text, expected):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ManifestError, match=f"manifest.json.*{expected}.*again"):
        manifest.load(tmp_path)


def test_a_missing_manifest_says_how_to_make_it(tmp_path):
    with pytest.raises(ManifestError, match="python -m features"):
        manifest.load(tmp_path)


def test_a_role_without_shards_names_the_subsets_there_are(tone_features):
    with pytest.raises(ManifestError, match="no shards of 'test'; there are dev-tones, train-tones"):
        manifest.load(tone_features).select("test")


def test_the_command_line_answers_bad_input_with_one_line_and_status_2(tmp_path, capsys):
    assert command.main([str(tmp_path / "absent"), str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "no such folder" in lines[0]


def test_the_command_line_says_what_it_made(corpus, tmp_path, capsys):
    assert command.main([str(corpus), str(tmp_path / "out"), "--dtype", "float32", "--jobs", "1"]) == 0
    assert "train-a: 3 utterances" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]["dtype"] == "float32"
