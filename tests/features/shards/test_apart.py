"""Whether training and evaluation are apart is seen from samples and folders, whatever files and ids are called."""

import base64
import shutil
import time

import numpy as np
import pytest
import soundfile
from tones import write_chapter, write_tone

from features.jobs import parts
from features.reading.recordings import scan
from features.shards import account, manifest
from features.shards.apart import Seen, Shared, marks
from features.shards.extraction import extract_corpus, extract_part, merge
from features.shards.manifest import Settings

SETTINGS = Settings(shard_utterances=4)


@pytest.fixture
def corpus(tmp_path):
    """Training of speakers 1 and 2; dev of speaker 3 with two of speaker 1's recordings, one of them three times."""
    root = tmp_path / "corpus"
    train = write_chapter(root, "train-a", 1, ["one", "two", "three"])
    write_chapter(root, "train-b", 2, ["one", "two"])
    dev = write_chapter(root, "dev-a", 3, ["one", "two", "three", "four", "five", "six"])
    shutil.copy(train / "1-1-0000.flac", dev / "3-1-0000.flac")
    for copy in ("3-1-0001", "3-1-0002", "3-1-0003"):
        shutil.copy(train / "1-1-0002.flac", dev / f"{copy}.flac")
    return root


def test_recordings_of_training_and_repeated_ones_are_counted_in_shards_parts_and_streams(corpus, tmp_path):
    expected = {"dev-a": Shared(recordings=4, speakers=0, repeated=2)}
    found = extract_corpus(corpus, tmp_path / "out", settings=SETTINGS, jobs=1)
    assert found.shared == manifest.load(tmp_path / "out").shared == expected
    assert scan(corpus, settings=SETTINGS, jobs=1)[0].shared == expected
    for part in ("1/2", "2/2"):
        extract_part(corpus, tmp_path / "parts", part=parts.parse(part), jobs=1, settings=SETTINGS)
    assert merge(corpus, tmp_path / "parts", settings=SETTINGS).shared == expected
    said = " ".join(account.warnings(found, "dev"))
    assert "4 of the 6 recordings of dev-a are in a training subset too, by their samples" in said
    assert "2 of the 6 recordings of dev-a repeat others of it" in said and "speakers" not in said


def test_a_copy_as_wav_and_a_speaker_of_training_are_seen(corpus, tmp_path):
    folder = corpus / "dev-b" / "2" / "7"
    folder.mkdir(parents=True)
    (folder / "2-7.trans.txt").write_text("2-7-0000 ONE\n2-7-0001 TWO\n")
    samples, rate = soundfile.read(corpus / "train-a" / "1" / "1" / "1-1-0001.flac", dtype="int16")
    soundfile.write(folder / "2-7-0000.wav", samples, rate)
    write_tone(folder / "2-7-0001.flac", seconds=1)
    found = extract_corpus(corpus, tmp_path / "out", settings=SETTINGS, jobs=1)
    assert found.shared["dev-b"] == Shared(recordings=1, speakers=1, repeated=0)
    assert any("1 speakers of dev-b are in a training subset too" in line for line in account.warnings(found, "dev-b"))


def test_a_speakers_folder_that_is_renamed_is_seen_though_shards_are_kept(corpus, tmp_path):
    """As the warning advises; no file is touched by it."""
    folder = corpus / "dev-a" / "3"
    for name, known in (("1", 1), ("4", 0)):
        folder = folder.rename(folder.with_name(name))
        found = extract_corpus(corpus, tmp_path / "out", settings=SETTINGS, jobs=1)
        assert found.shared["dev-a"].speakers == known
        assert found.shared == extract_corpus(corpus, tmp_path / f"fresh{name}", settings=SETTINGS, jobs=1).shared


def test_what_is_apart_is_not_warned_of(tone_features):
    found = manifest.load(tone_features)
    assert set(found.shared.values()) == {Shared()} and not list(account.warnings(found, "dev"))


def test_of_shards_that_an_older_version_wrote_it_is_not_known():
    seen = Seen()
    seen.add("train-a", "", "")
    seen.add("dev-a", marks(["x"]), marks(["3"]))
    assert seen.shared() == {}


def test_several_million_take_seconds():
    rng = np.random.default_rng(1)
    seen = Seen()
    for shard in range(200):
        drawn = rng.integers(0, 1 << 63, 20_000, np.uint64)
        seen.add("train-a" if shard else "dev-a", base64.b64encode(drawn.tobytes()).decode(), marks([str(shard)]))
    began = time.thread_time()  # other threads of this process, as TensorFlow's, do not count
    assert seen.shared() == {"dev-a": Shared()}
    assert time.thread_time() - began < 5  # 0.2 s; with np.unique 8


def test_counts_are_those_of_sets():
    rng = np.random.default_rng(2)
    parts = {name: [rng.integers(0, 40, n, np.uint64) for n in (13, 1, 25)] for name in ("train-a", "train-b", "dev-a")}
    seen = Seen()
    for name, drawn in parts.items():
        for each in drawn:
            seen.add(name, base64.b64encode(each.tobytes()).decode(), base64.b64encode(each[::2].tobytes()).decode())
    train = {int(mark) for name in ("train-a", "train-b") for each in parts[name] for mark in each}
    own = [int(mark) for each in parts["dev-a"] for mark in each]
    speakers = {name: {int(mark) for each in drawn for mark in each[::2]} for name, drawn in parts.items()}
    assert seen.shared()["dev-a"] == Shared(
        recordings=sum(mark in train for mark in own),
        speakers=len(speakers["dev-a"] & (speakers["train-a"] | speakers["train-b"])),
        repeated=len(own) - len(set(own)),
    )


@pytest.mark.parametrize("text", ["?", "AAAA", 5])
def test_what_is_no_mark_is_refused(text):
    with pytest.raises((ValueError, TypeError)):
        Seen().add("dev-a", text, marks(["1"]))
