"""CTC's loss and gradient by forward and backward variables (Graves et al. 2006), compiled by XLA for any device.

    losses, gradient = loss_and_gradient(labels, lengths, frames, logits)       # [B], [B, T, C]

A path is in one of 2 L + 1 states: a blank before each of the L labels, each label, and a blank after the last. Blanks
and labels are two arrays of L + 1, which saves a third of the work, as all blanks have one probability:

    blank[k] at t = p(blank)   (blank[k] + label[k - 1])                     of t - 1
    label[k] at t = p(label k) (label[k] + blank[k] + label[k - 1])          of t - 1

The last term counts only if label k is not label k - 1. Backward variables follow the same paths from the end. Both
are logarithms, as probabilities underflow, and relative to the largest of their frame: of a loss of thousands float32
keeps no more than three decimals. Both are in one loop, whose length XLA knows, so that a GPU need not ask the host
after every frame. The gradient of the logits is the softmax less the probability that a path is in that class.

Shapes in comments: B utterances, T frames, L labels, C classes, K = L + 1.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

NEVER = -1e30  # a logarithm of 0 that stays finite under addition


@tf.function(jit_compile=True)
def loss_and_gradient(
    labels: tf.Tensor, lengths: tf.Tensor, frames: tf.Tensor, logits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the losses in nats, float32 [B], and their gradients by the logits, float32 [B, T, C]; blank last.

    Args:
        labels: whole numbers [B, L], padded with anything; `lengths` [B], how many are real, from 1.
        frames: [B], how many frames are real, from 1.
        logits: float32 [B, T, C].

    The gradient is zero past an utterance's end. A loss is above 1e29 if the labels do not fit into the frames.
    """
    labels, lengths, frames = (tf.cast(each, tf.int32) for each in (labels, lengths, frames))
    most_frames, classes = tf.shape(logits)[1], logits.shape[2]
    log_p = tf.nn.log_softmax(logits)
    one_hot = tf.one_hot(tf.pad(labels, [[0, 0], [0, 1]]), classes)  # [B, K, C]; the last is no label
    p_blank = tf.transpose(log_p[:, :, classes - 1 :], [1, 0, 2])  # [T, B, 1]
    p_label = tf.transpose(_product(log_p, one_hot), [1, 0, 2])  # [T, B, K]
    paths = _paths(labels, lengths)
    (a_blank, a_label, a_scale), (b_blank, b_label) = _variables(p_blank, p_label, paths, frames)

    in_blank, in_label = a_blank + b_blank, a_label + b_label  # [T, B, K]
    every = tf.concat([in_blank, in_label], 2)
    total = tf.reduce_logsumexp(every, 2, keepdims=True)  # [T, B, 1], of all paths, relative to the two scales
    of_class = _product(
        tf.transpose(tf.exp(in_label - total), [1, 0, 2]), tf.transpose(one_hot, [0, 2, 1])
    )  # [B, T, C]
    of_blank = tf.transpose(tf.reduce_sum(tf.exp(in_blank - total), 2))[:, :, None]
    real = tf.sequence_mask(frames, most_frames)  # [B, T]
    gradient = tf.exp(log_p) - of_class - of_blank * tf.one_hot(classes - 1, classes)
    at_end = tf.gather(tf.transpose(total[:, :, 0]), frames - 1, batch_dims=1)  # there backward variables are 0
    scale = tf.reduce_sum(tf.where(real, tf.transpose(a_scale), 0.0), 1)
    return -(scale + at_end), tf.where(real[:, :, None], gradient, 0.0)


def _paths(labels: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return which states there are and which may follow which, as logarithms of 1 and 0, [B, K] each."""
    count, places = tf.shape(labels)[0], tf.shape(labels)[1] + 1
    place, never = tf.range(places)[None], tf.zeros([count, 1], tf.bool)
    unlike = labels[:, 1:] != labels[:, :-1]
    return {
        "blank": _log(place <= lengths[:, None]),
        "label": _log(place < lengths[:, None]),
        "last blank": _log(place == lengths[:, None]),
        "last label": _log(place == lengths[:, None] - 1),
        "from before": _log(tf.concat([never, unlike, never], 1)[:, :places]),  # label k right after label k - 1
        "to next": _log(tf.concat([unlike, never, never], 1)[:, :places]),
        "start": _log(tf.tile(place == 0, [count, 1])),
        "nowhere": tf.fill([count, places], NEVER),
    }


def _variables(
    p_blank: tf.Tensor, p_label: tf.Tensor, paths: dict[str, tf.Tensor], frames: tf.Tensor
) -> tuple[tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
    """Return forward variables of blanks and labels [T, B, K], the logarithm each frame was divided by [T, B], and
    backward variables. The former include the frame's own probability, the latter do not."""
    most_frames = tf.shape(p_label)[0]

    def step(t, a_blank, a_label, b_blank, b_label, *kept):
        before = _shifted(a_label, 1)
        forward = (
            _sum(a_blank, before) + p_blank[t] + paths["blank"],
            _sum(a_label, a_blank, before + paths["from before"]) + p_label[t] + paths["label"],
        )
        u = most_frames - 1 - t
        after = tf.minimum(u + 1, most_frames - 1)
        blank, label = b_blank + p_blank[after], b_label + p_label[after]
        ended = u >= frames[:, None] - 1
        backward = (
            tf.where(ended, paths["last blank"], _sum(blank, label)),
            tf.where(
                ended,
                paths["last label"],
                _sum(label, _shifted(blank, -1), _shifted(label, -1) + paths["to next"]),
            ),
        )
        a, a_scale = _scaled(*forward)
        b, _ = _scaled(*backward)
        given = zip(kept, (t, t, t, u, u), (*a, a_scale, *b), strict=True)
        return (t + 1, *a, *b, *(array.write(at, value) for array, at, value in given))

    shapes = [[None, None], [None, None], [None], [None, None], [None, None]]
    kept = [tf.TensorArray(tf.float32, most_frames, element_shape=shape) for shape in shapes]
    state = (0, paths["start"], paths["nowhere"], paths["last blank"], paths["last label"], *kept)
    # Only `maximum_iterations` ends the loop: XLA then knows how long it is.
    *_, a_blank, a_label, a_scale, b_blank, b_label = tf.while_loop(
        lambda *_: True, step, state, maximum_iterations=most_frames
    )
    return (a_blank.stack(), a_label.stack(), a_scale.stack()), (b_blank.stack(), b_label.stack())


def _scaled(blank: tf.Tensor, label: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Divide variables by the largest of their frame; return its logarithm too, [B]."""
    most = tf.reduce_max(tf.maximum(blank, label), 1, keepdims=True)
    return (tf.maximum(blank - most, NEVER), tf.maximum(label - most, NEVER)), most[:, 0]


def _log(condition: tf.Tensor) -> tf.Tensor:
    return tf.where(condition, 0.0, NEVER)


def _shifted(values: tf.Tensor, by: int) -> tf.Tensor:
    """Shift [B, K] to the next higher places, or to the next lower ones if `by` is negative."""
    edge = tf.fill([tf.shape(values)[0], 1], NEVER)
    return tf.concat([edge, values[:, :-1]] if by > 0 else [values[:, 1:], edge], 1)


def _sum(*logarithms: tf.Tensor) -> tf.Tensor:
    """Return the logarithm of a sum of numbers that are given as logarithms."""
    most = logarithms[0]
    for each in logarithms[1:]:
        most = tf.maximum(most, each)
    return most + tf.math.log(tf.add_n([tf.exp(each - most) for each in logarithms]))


def _product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Multiply [B, M, N] x [B, K, N] -> [B, M, K] in float32 even if TF32 is allowed: it would round probabilities."""
    numbers, precision = xla.xla_data_pb2.DotDimensionNumbers(), xla.xla_data_pb2.PrecisionConfig()
    numbers.lhs_batch_dimensions.append(0)
    numbers.rhs_batch_dimensions.append(0)
    numbers.lhs_contracting_dimensions.append(2)
    numbers.rhs_contracting_dimensions.append(2)
    precision.operand_precision.extend([precision.HIGHEST] * 2)
    return xla.dot_general(a, b, numbers, precision)
