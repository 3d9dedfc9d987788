"""SpecAugment (Park et al. 2019): hide a stretch of mel bands and a stretch of time in every utterance.

    dataset = dataset.map(spec_augment(seed, spectrum_from=13))

The masks are those of tensorflow-io's freq_mask and time_mask, to the digit: the same operations in the same order, as
TensorFlow numbers the seeds of a graph by its operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from features.jobs.process import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

MEL_BANDS_MASKED = 27
FRAMES_MASKED = 100
TIME_SHARE_MASKED = 5
"""At most 27 bands, and at most 100 frames or a fifth of the utterance (the paper's F, T and p)."""


def spec_augment(seed: int, *, spectrum_from: int) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """Return a function for Dataset.map that masks an utterance's normalised "features" [T, F] with zeros.

    Features from `spectrum_from` on are mel bands. Those before it, as MFCCs are functions of all bands, are masked in
    time only. Called in order, not in parallel, the same seed gives the same masks.
    """
    tf = import_tensorflow()

    def mask(utterance: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        tf.random.set_seed(seed)  # of the graph being traced for this map, and no other
        features = utterance["features"]
        bands = masked(features[:, spectrum_from:], MEL_BANDS_MASKED, axis=1)
        widest = tf.minimum(FRAMES_MASKED, tf.maximum(utterance["frames"] // TIME_SHARE_MASKED, 1))
        hidden = masked(tf.concat([features[:, :spectrum_from], bands], 1), widest, axis=0)
        return utterance | {"features": tf.ensure_shape(hidden, features.shape)}

    return mask


def masked(matrix: tf.Tensor, most: int | tf.Tensor, *, axis: int) -> tf.Tensor:
    """Return a matrix with a stretch of rows (axis 0) or columns (axis 1) set to 0.

    The stretch is of fewer than `most`, which like its place is drawn evenly, by the seeds of the graph.
    """
    tf = import_tensorflow()
    size = tf.shape(matrix)[axis]
    width = tf.random.uniform((), 0, most, tf.int32)
    first = tf.random.uniform((), 0, size - width, tf.int32)
    places = tf.reshape(tf.range(size), (-1, 1) if axis == 0 else (1, -1))
    hidden = tf.logical_and(tf.greater_equal(places, first), tf.less(places, first + width))
    return tf.where(hidden, tf.cast(0, matrix.dtype), matrix)
