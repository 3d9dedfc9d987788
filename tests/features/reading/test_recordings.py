"""Streaming against extraction: the same manifest, the same batches to the last digit; and what goes wrong."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tones import write_chapter, write_tone

from features.corpus.layout import CorpusError
from features.reading.batches import Buckets, EpochOrder, read_batches
from features.reading.recordings import features_of, scan
from features.shards import manifest
from features.shards.extraction import extract_corpus, scan_corpus
from features.shards.manifest import Settings

SETTINGS = Settings(shard_utterances=8, max_frames=200)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """FLAC and WAV, 8 kHz, stereo, one too long, one with too much said."""
    root = tmp_path_factory.mktemp("mixed")
    chapter = write_chapter(root, "train-a", 1, ["one two"] * 12, seconds=0.5)
    write_tone(chapter / "1-1-0001.flac", seconds=0.7, rate_hz=8000)
    write_tone(chapter / "1-1-0002.flac", seconds=0.61234, rate_hz=22_050, channels=2)
    write_tone(chapter / "1-1-0003.flac", seconds=2.5)
    write_tone(chapter / "1-1-0004.flac", seconds=0.12)
    (chapter / "1-1-0005.flac").unlink()
    write_tone(chapter / "1-1-0005.wav", seconds=0.8, rate_hz=44_100)
    write_chapter(root, "dev-a", 2, ["three", "cool"])
    return root


@pytest.fixture(scope="module")
def extracted(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    extract_corpus(corpus, out, settings=SETTINGS, jobs=1)
    return out, manifest.load(out)


@pytest.fixture(scope="module")
def scanned(corpus):
    """The manifest by headers alone, and the recordings, which two processes read."""
    streamed, recordings = scan(corpus, settings=SETTINGS, jobs=2)
    with recordings:
        yield streamed, recordings


def test_headers_say_what_extraction_finds(corpus, extracted):
    found, of_shards = scan_corpus(corpus, settings=SETTINGS)
    out, expected = extracted
    assert found.digest == expected.digest
    nothing_written = [replace(shard, sha256=found.shards[0].sha256, bytes=0) for shard in expected.shards]
    assert found == replace(expected, shards=tuple(nothing_written))
    assert {each.kind for each in found.left_out} == {manifest.TOO_LONG, manifest.TOO_DENSE}
    assert found.notes == {"resampled from 8000 Hz": 1, "resampled from 22050 Hz": 1, "resampled from 44100 Hz": 1,
                           "mixed from 2 channels": 1}  # fmt: skip
    assert {file: len(used) for file, used in of_shards.items()} == {s.file: len(s.frames) for s in found.shards}


def test_nothing_is_decoded_to_look_at_flac_and_what_is_to_be_skipped_is(corpus, monkeypatch):
    from features.corpus import audio
    from features.shards import records

    read, real = [], audio.read_audio
    for module in (audio, records):
        monkeypatch.setattr(
            module, "read_audio", lambda path, **options: (read.append(path.name), real(path, **options))[1]
        )
    scan_corpus(corpus, settings=SETTINGS)
    assert read == ["1-1-0005.wav"]
    scan_corpus(corpus, settings=SETTINGS, skip_bad=True)
    assert len(read) == 1 + 14


@pytest.mark.parametrize("part", [False, True])
def test_batches_are_those_of_the_records_to_the_last_digit_in_the_same_order(tf, scanned, extracted, part):
    out, found = extracted
    streamed, recordings = scanned
    lengths = np.array(found.lengths("train"))
    chosen = np.arange(len(lengths)) % 3 > 0 if part else None
    layout = Buckets.bucketed(lengths, batch=4, buckets=2)
    options = {"readers": 2, "buffer": 2, "augment": "specaugment", "chosen": chosen}
    for order in (None, EpochOrder(seed=1, epoch=1), EpochOrder(seed=1, epoch=2)):
        expected = list(read_batches(out, found, "train", layout, order=order, **options))
        batches = list(read_batches(None, streamed, "train", layout, order=order, recordings=recordings, **options))
        assert len(batches) == len(expected) > 1
        for one, other in zip(batches, expected, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                assert one[name].dtype == other[name].dtype
                np.testing.assert_array_equal(one[name].numpy(), other[name].numpy(), err_msg=name)


def test_a_recording_that_changed_or_broke_after_the_look_ends_the_reading_with_its_name(tf, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "corpus")
    found, recordings = scan(tmp_path / "corpus", settings=SETTINGS, jobs=1)
    utterance = recordings.of("dev")[0]
    flac = utterance.audio
    flac.write_bytes(flac.read_bytes()[:-100])
    layout = Buckets.fixed(200, batch=4)
    with recordings, pytest.raises(tf.errors.OpError, match=flac.name):
        list(read_batches(None, found, "dev", layout, readers=1, buffer=1, recordings=recordings))
    write_tone(flac, seconds=0.9)
    with pytest.raises(ValueError, match="90 frames, and 101 when the corpus was looked at: it changed"):
        features_of(utterance, 101, SETTINGS)


def test_a_corpus_that_cannot_be_streamed_is_refused_as_extraction_refuses_it(tmp_path):
    chapter = write_chapter(tmp_path / "corpus", "train-a", 1, ["one two", "cool"])
    with pytest.raises(CorpusError, match=r"no utterances in a dev\* folder"):
        scan_corpus(tmp_path / "corpus", roles=("train", "dev"))
    (chapter / "1-1-0001.flac").write_bytes(b"fLaC")
    with pytest.raises(CorpusError, match=r"1-1-0001.flac: cannot be decoded .*--skip-bad"):
        scan_corpus(tmp_path / "corpus")
    found, of_shards = scan_corpus(tmp_path / "corpus", skip_bad=True)
    assert found.utterances("train") == 1 and [each.kind for each in found.left_out] == [manifest.BAD_AUDIO]
