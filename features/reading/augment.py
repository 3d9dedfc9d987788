"""SpecAugment (Park et al. 2019): hide a stretch of mel bands and a stretch of time in every utterance.

    dataset = dataset.map(spec_augment(seed))

tensorflow-io's freq_mask and time_mask do it; of tensorflow-io only these pure TensorFlow functions are used, so
its native library, which loads on few TensorFlow versions, is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from features.frames.mfcc import MFCCS
from features.jobs.process import import_tensorflow, quiet_standard_error

if TYPE_CHECKING:
    import tensorflow as tf

MEL_BANDS_MASKED = 27
FRAMES_MASKED = 100
TIME_SHARE_MASKED = 5
"""At most 27 bands, and at most 100 frames or a fifth of the utterance (the paper's F, T and p)."""


def spec_augment(seed: int) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """Return a function for Dataset.map that masks an utterance's normalised "features" [T, F] with zeros.

    The MFCCs, a function of all bands, are masked in time only. Called in order, not in parallel, the same seed
    gives the same masks.
    """
    tf = import_tensorflow()
    with quiet_standard_error():
        from tensorflow_io.python.ops.audio_ops import freq_mask, time_mask

    def mask(utterance: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        tf.random.set_seed(seed)  # of the graph being traced for this map, and no other
        features = utterance["features"]
        bands = freq_mask(features[:, MFCCS:], MEL_BANDS_MASKED)
        widest = tf.minimum(FRAMES_MASKED, tf.maximum(utterance["frames"] // TIME_SHARE_MASKED, 1))
        masked = time_mask(tf.concat([features[:, :MFCCS], bands], 1), widest)
        return utterance | {"features": tf.ensure_shape(masked, features.shape)}

    return mask
