"""Masks of the real places of a padded batch.

within(lengths, tf.shape(x)[1])         # bool [B, T]
"""

from __future__ import annotations

import tensorflow as tf


def within(lengths: tf.Tensor, most: tf.Tensor | int) -> tf.Tensor:
    """Return which of `most` (int32) places are within each length, [B] -> bool [B, most].

    Equals tf.sequence_mask, which compares whole numbers of 32 bits: a GPU leaves that to the host, and would wait for
    the lengths. Those of 64 bits are compared on the device.
    """
    return tf.cast(tf.range(most), tf.int64) < tf.cast(lengths, tf.int64)[:, None]
