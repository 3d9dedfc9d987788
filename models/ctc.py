"""The CTC loss (Graves et al. 2006), blank last.

    losses = ctc_loss(labels, label_lengths, logits, frames)      # [B], natural logarithm

Uses kernels that compute loss and gradient in one pass: TensorFlow's own on a CPU, cuDNN's on a GPU, which takes up
to 256 labels an utterance; a batch with longer ones goes to the CPU. `tf.nn.ctc_loss` on dense labels builds a graph
that is many times slower.
"""

from __future__ import annotations

from functools import cache

import tensorflow as tf

KERNELS = ("cpu", "cudnn")
CUDNN_LABELS = 256


def ctc_loss(
    labels: tf.Tensor, label_lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor, *, kernel: str | None = None
) -> tf.Tensor:
    """Negative log-likelihood of each utterance's labels.

    Args:
        labels: int32 [B, L], no label equal to the blank, padded with anything.
        label_lengths: int32 [B].
        logits: float [B, T', C]; the blank is class C - 1.
        frames: int32 [B], valid output frames. An utterance of no frames gives loss 0 and no gradient.
        kernel: one of KERNELS, for comparisons; None takes the fastest that works here.

    Returns:
        float32 [B]. Finite for every utterance whose labels fit: label_length + repeats <= frames.

    Raises:
        tf.errors.InvalidArgumentError: at run time, where labels do not fit.
    """
    real = frames > 0
    lengths = tf.where(real, label_lengths, 1)  # the kernels refuse empty labels
    inputs = (labels, lengths, tf.transpose(tf.cast(logits, tf.float32), [1, 0, 2]), tf.where(real, frames, 1))
    if (kernel or kernel_for()) == "cudnn":
        losses = tf.cond(tf.reduce_max(lengths) <= CUDNN_LABELS, lambda: _cudnn(*inputs), lambda: _cpu(*inputs))
    else:
        losses = _cpu(*inputs)
    return tf.where(real, losses, 0.0)


def kernel_for() -> str:
    """Which of KERNELS is fastest on the devices that TensorFlow may use."""
    return "cudnn" if tf.config.list_logical_devices("GPU") and _cudnn_agrees() else "cpu"


def _cpu(labels: tf.Tensor, lengths: tf.Tensor, logits_TBC: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    indices = _present(labels, lengths)
    return tf.raw_ops.CTCLoss(
        inputs=logits_TBC,
        labels_indices=indices,
        labels_values=tf.gather_nd(labels, indices),
        sequence_length=frames,
    )[0]


def _cudnn(labels: tf.Tensor, lengths: tf.Tensor, logits_TBC: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """cuDNN's blank is the first class."""
    indices = _present(labels, lengths)
    return tf.raw_ops.CTCLossV2(
        inputs=tf.roll(logits_TBC, 1, axis=2),
        labels_indices=indices,
        labels_values=tf.gather_nd(labels, indices) + 1,
        sequence_length=frames,
    )[0]


def _present(labels: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """int64 [N, 2]: utterance and place of every label that is no padding."""
    return tf.where(tf.sequence_mask(lengths, tf.shape(labels)[1]))


@cache
def _cudnn_agrees() -> bool:
    """Tell whether cuDNN's kernel runs here and gives the CPU's result on a small batch."""
    with tf.init_scope():
        logits = tf.random.stateless_normal([2, 12, 5], [1, 2])
        batch = tf.constant([[0, 1, 1], [3, 0, 0]]), tf.constant([3, 1]), logits, tf.constant([12, 7])
        try:
            found = ctc_loss(*batch, kernel="cudnn")
        except tf.errors.OpError:
            return False
        return bool(tf.reduce_all(tf.abs(found - ctc_loss(*batch, kernel="cpu")) < 1e-3))
