"""The front ends as graphs: what mfcc.py and log_mel.py compute is the oracle, each utterance by itself."""

import numpy as np
import pytest

LENGTHS = (16_000, 7_321, 160, 1, 0)
SEGMENT = 120


@pytest.fixture(scope="module")
def samples():
    """Noisy tones [5, 16500] of the lengths above, and a hum beyond their ends."""
    rng = np.random.default_rng(5)
    found = np.full((len(LENGTHS), 16_500), 0.7, np.float32)
    for row, length in zip(found, LENGTHS, strict=True):
        row[:length] = 0.3 * np.sin(np.arange(length) / rng.uniform(2, 9)) + 0.01 * rng.standard_normal(length)
    return found


@pytest.fixture(scope="module", params=["mfcc13-logmel80", "logmel80-normalised"])
def kind(request):
    from features.frames.kinds import FRONT_ENDS

    return FRONT_ENDS[request.param]


def test_frames_of_a_batch_are_those_of_each_utterance(tf, kind, samples):
    found, frames = tf.function(kind.graph)(tf.constant(samples), tf.constant(LENGTHS))
    assert list(frames.numpy()) == [100, 46, 1, 1, 0]  # ceil(samples / 160)
    for n, length in enumerate(LENGTHS[:-1]):
        expected = kind.stored(samples[n, :length]).astype(np.float16)
        off = np.abs(found[n, : len(expected)] - expected.astype(np.float32))
        assert np.all(off <= 2**-10 * np.abs(expected.astype(np.float32)) + 1e-4)  # the next number of 16 bits, at most
        assert np.mean(off > 1e-4) < 2e-3  # and hardly ever


def test_a_segment_is_padded_with_silence_as_the_suite_pads_it(tf, samples):
    from features.frames import graph, log_mel

    features, frames = graph.log_mel_graph(tf.constant(samples), tf.constant(LENGTHS))
    for segment in (SEGMENT, 60):  # the second cuts the longest
        found = graph.windowed_graph(features, frames, segment).numpy()
        for n, count in enumerate(frames.numpy()):
            stored = tf.cast(features[n, : count + log_mel.EDGE_FRAMES], tf.float16)
            np.testing.assert_array_equal(found[n], log_mel.windowed(stored, segment).numpy().astype(np.float32))


@pytest.mark.parametrize("normalisation", ["none", "frame-l2", "utterance"])
def test_each_utterance_of_a_batch_is_normalised_as_by_itself(tf, normalisation):
    from features.frames.graph import normalised
    from features.reading.batches import normalise

    features = np.random.default_rng(1).normal(3, 2, (3, 9, 4)).astype(np.float32)
    found = normalised(tf.constant(features), tf.constant([9, 4, 0]), normalisation).numpy()
    for n, frames in enumerate([9, 4]):
        expected = normalise(tf.constant(features[n, :frames]), normalisation).numpy()
        np.testing.assert_allclose(found[n, :frames], expected, atol=2e-6)
        assert normalisation == "none" or not found[n, frames:].any()
    assert np.isfinite(found).all()


def test_an_unknown_normalisation_is_refused(tf):
    from features.frames.graph import normalised

    with pytest.raises(ValueError, match="normalisation is 'whiten'; expected none, frame-l2 or utterance"):
        normalised(tf.zeros([1, 1, 1]), tf.ones([1], tf.int32), "whiten")


def test_what_is_said_of_a_front_end_are_its_own_numbers(kind):
    assert kind.about["step_samples"] == 160 and str(kind.about["mel"]["bands"]) in kind.about["order"]
