import tracemalloc
from math import ceil

import numpy as np
import pytest

from features.corpus.audio import frame_count, read_audio
from features.frames import mfcc as extract


def oracle(tf, samples: np.ndarray) -> np.ndarray:
    """tf.signal in float64; in float32 its own rounding shows in near-silent bands."""
    spectrum = tf.abs(
        tf.signal.stft(tf.constant(samples, tf.float64), 512, 160, 512, window_fn=tf.signal.hann_window, pad_end=True)
    )
    weights = tf.signal.linear_to_mel_weight_matrix(80, 257, 16_000, 80.0, 8000.0, dtype=tf.float64)
    log_mel = tf.math.log(tf.matmul(spectrum, weights) + 1e-6)
    mfcc = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[..., :13]
    return np.concatenate([mfcc, log_mel], axis=1)


def test_features_are_tf_signals_on_real_speech(tf, real_speech):
    files = sorted(real_speech.glob("*/*/*/*/*.flac"))[::40]
    assert len(files) > 40
    for path in files:
        samples = read_audio(path).samples
        np.testing.assert_allclose(extract.features(samples), oracle(tf, samples), atol=1e-4, rtol=0, err_msg=path.name)


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 512, 513, 16_000, 40_960, 40_961, 100_000])
def test_there_is_a_frame_for_every_160_samples_begun(tf, samples):
    waveform = np.random.default_rng(samples).standard_normal(samples).astype(np.float32) * 0.1
    frames = extract.features(waveform)
    assert frames.shape == (ceil(samples / 160), 93) == (frame_count(samples), 93)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, oracle(tf, waveform), atol=1e-4, rtol=0)


def test_a_long_recording_takes_little_more_memory_than_its_samples_and_features():
    samples = np.random.default_rng(0).standard_normal(300 * 16_000).astype(np.float32)
    extract.features(samples[:1600])  # what is made once
    tracemalloc.start()
    frames = extract.features(samples)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A padded copy, 19.2 MB, and 30,000 frames of 93 float32, 11.2 MB. All spectra at once would be 62 MB more.
    assert most - samples.nbytes - frames.nbytes < 10e6


def test_silence_is_finite():
    # log(0 + 1e-6) = -13.8155; its first MFCC is 2 * 80 * -13.8155 / sqrt(160) = -174.754
    frames = extract.features(np.zeros(1600, np.float32))
    np.testing.assert_allclose(frames[:, 13:], -13.8155, atol=1e-3)
    np.testing.assert_allclose(frames[:, 0], -174.754, atol=1e-2)
