"""The CTC loss (Graves et al. 2006), blank last.

    losses = ctc_loss(labels, label_lengths, logits, frames)      # [B], natural logarithm

Uses the CTCLoss kernel, which computes loss and gradient in one pass on the CPU's cores; `tf.nn.ctc_loss` on
dense labels builds a graph that is many times slower.
"""

from __future__ import annotations

import tensorflow as tf


def ctc_loss(labels: tf.Tensor, label_lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of each utterance's labels.

    Args:
        labels: int32 [B, L], no label equal to the blank, padded with anything.
        label_lengths: int32 [B].
        logits: float [B, T', C]; the blank is class C - 1.
        frames: int32 [B], valid output frames. An utterance of no frames gives loss 0 and no gradient.

    Returns:
        float32 [B]. Finite for every utterance whose labels fit: label_length + repeats <= frames.

    Raises:
        tf.errors.InvalidArgumentError: at run time, where labels do not fit.
    """
    real = frames > 0
    lengths = tf.where(real, label_lengths, 1)  # the kernel refuses empty labels
    indices = tf.where(tf.sequence_mask(lengths, tf.shape(labels)[1]))
    logits_TBC = tf.transpose(tf.cast(logits, tf.float32), [1, 0, 2])
    losses = tf.raw_ops.CTCLoss(
        inputs=logits_TBC,
        labels_indices=indices,
        labels_values=tf.gather_nd(labels, indices),
        sequence_length=tf.where(real, frames, 1),
    )[0]
    return tf.where(real, losses, 0.0)
