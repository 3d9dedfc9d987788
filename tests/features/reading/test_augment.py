"""SpecAugment's masks, against tensorflow-io's where it is installed."""

import numpy as np
import pytest

from features.frames.kinds import FRONT_ENDS, USUAL
from features.reading.augment import FRAMES_MASKED, MEL_BANDS_MASKED, masked, spec_augment

FRAMES = (20, 101, 700, 1670)


def dataset(tf, mask, size=93):
    """Forty utterances of four lengths, all ones, through a mask."""
    lengths = tf.constant(FRAMES * 10, tf.int32)

    def utterance(frames):
        return {"features": tf.ensure_shape(tf.ones([frames, size]), [None, size]), "frames": frames}

    return [each["features"].numpy() for each in tf.data.Dataset.from_tensor_slices(lengths).map(utterance).map(mask)]


def test_masks_are_those_of_tensorflow_io_to_the_digit(tf):
    theirs = pytest.importorskip("tensorflow_io.python.ops.audio_ops")

    def as_before(utterance):
        tf.random.set_seed(5)
        features = utterance["features"]
        bands = theirs.freq_mask(features[:, 13:], MEL_BANDS_MASKED)
        widest = tf.minimum(FRAMES_MASKED, tf.maximum(utterance["frames"] // 5, 1))
        hidden = theirs.time_mask(tf.concat([features[:, :13], bands], 1), widest)
        return utterance | {"features": tf.ensure_shape(hidden, features.shape)}

    ours = dataset(tf, spec_augment(5, spectrum_from=FRONT_ENDS[USUAL].spectrum_from))
    for mine, other in zip(ours, dataset(tf, as_before), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_stretch_of_bands_and_one_of_time_are_hidden_and_mfccs_in_time_only(tf):
    for features in dataset(tf, spec_augment(1, spectrum_from=13)):
        in_time = ~features[:, :13].any(1)
        bands = ~features[~in_time].any(0)
        assert 0 <= in_time.sum() < min(FRAMES_MASKED, max(len(features) // 5, 1)) or not in_time.sum()
        assert 0 <= bands.sum() < MEL_BANDS_MASKED and not bands[:13].any()
        for hidden in (in_time, bands):
            assert np.abs(np.diff(hidden.astype(int))).sum() <= 2, "one stretch"


def test_every_band_of_a_front_end_without_mfccs_may_be_hidden(tf):
    hidden = sum(~features.any(0) for features in dataset(tf, spec_augment(1, spectrum_from=0), size=80))
    assert hidden[:13].any() and hidden[13:].any()


def test_the_widest_stretch_is_drawn_and_none_wider(tf):
    ones = tf.ones([50, 4])
    widths = {int((masked(ones, 4, axis=0).numpy() == 0).all(1).sum()) for _ in range(100)}
    assert widths == {0, 1, 2, 3}
