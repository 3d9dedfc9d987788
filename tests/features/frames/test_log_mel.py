"""Whisper's features against Hugging Face's, and by hand."""

from pathlib import Path

import numpy as np
import pytest

from features.corpus.audio import read_audio
from features.frames.log_mel import EDGE_FRAMES, log_mel, open_ended, windowed
from features.reading.batches import Buckets, EpochOrder, read_batches
from features.reading.recordings import scan
from features.shards import manifest
from features.shards.extraction import extract_corpus
from tests.models.whisper.make_fixture import MEL_FRAMES, waveform

FIXTURE = Path(__file__).parents[2] / "models" / "whisper" / "hugging_face.npz"


def test_frames_are_hugging_faces():
    with np.load(FIXTURE) as file:
        expected = file["mel"]
    found = log_mel(waveform(), seconds=10)
    assert found.shape == (1000, 80) and found.dtype == np.float32
    np.testing.assert_allclose(found[list(MEL_FRAMES)], expected, atol=1e-5)


def test_silence_lies_at_the_floor_two_below_the_loudest():
    """8 powers of ten, divided by 4."""
    found = log_mel(waveform(), seconds=10)
    assert found.max() - found.min() == pytest.approx(2.0) and (found[500:] == found.min()).all()
    np.testing.assert_allclose(log_mel(np.zeros(100, np.float32), seconds=1), (-10 + 4) / 4, atol=1e-6)


def test_a_longer_segment_has_the_same_beginning():
    """The floor hangs on the loudest frame, not on the padding."""
    np.testing.assert_allclose(log_mel(waveform(), seconds=30)[:399], log_mel(waveform(), seconds=10)[:399], atol=1e-6)


def test_what_is_longer_than_the_segment_is_refused():
    assert log_mel(waveform(), seconds=4).shape == (400, 80)
    with pytest.raises(ValueError, match="4.00 s of audio; expected at most a segment of 3.9 s"):
        log_mel(waveform(), seconds=3.9)


@pytest.mark.parametrize("seconds", [4, 5, 30])
def test_what_is_stored_makes_a_segment_of_any_length(tf, seconds):
    """The frames that hear the recording, and silence at the floor after them."""
    spoken = waveform()[:63_000]  # 3.94 s
    stored = open_ended(spoken)
    assert stored.shape == (394 + EDGE_FRAMES, 80)
    found = windowed(tf.constant(stored), 100 * seconds).numpy()
    np.testing.assert_allclose(found, log_mel(spoken, seconds=seconds), atol=1e-6)


def test_a_recording_that_fills_its_segment_is_cut_at_its_end(tf):
    found = windowed(tf.constant(open_ended(waveform())), 400).numpy()
    np.testing.assert_allclose(found[:398], log_mel(waveform(), seconds=4)[:398], atol=1e-6)
    assert found.shape == (400, 80)


def test_whispers_features_go_through_shards_and_batches_and_streams_alike(tf, tone_corpus, tmp_path):
    settings = manifest.Settings(front_end="logmel80-normalised", dtype="float32", max_frames=200, shard_utterances=8)
    extract_corpus(tone_corpus, tmp_path, settings=settings, jobs=1)
    found = manifest.load(tmp_path)
    assert found.seconds("dev") == pytest.approx(sum(1 + 0.13 * (n % 5) for n in range(7)), abs=0.05)
    layout = Buckets.fixed(200, batch=4)
    streamed, recordings = scan(tone_corpus, settings=settings, jobs=1)
    assert streamed.digest == found.digest
    audio = {each.id: each.audio for each in recordings.of("train")}
    order = EpochOrder(seed=1, epoch=1)
    with recordings:
        pairs = zip(
            read_batches(tmp_path, found, "train", layout, readers=1, buffer=1, normalisation="none", order=order),
            read_batches(None, found, "train", layout, readers=1, buffer=1, normalisation="none", order=order,
                         recordings=recordings),
            strict=True,
        )  # fmt: skip
        for one, other in pairs:
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
            for row, name in enumerate(one["id"].numpy()):
                if name:
                    spoken = read_audio(audio[name.decode()]).samples
                    np.testing.assert_allclose(one["features"][row], log_mel(spoken, seconds=2), atol=1e-6)
                    assert one["frames"][row] == -(-len(spoken) // 160)
