"""The CTC loss (Graves et al. 2006), blank last.

    losses = ctc_loss(labels, label_lengths, logits, frames)      # [B], natural logarithm
    choice = kernel_for(Shape(batch=24, frames=830, labels=200))  # kernel and why

All kernels compute loss and gradient in one pass; `tf.nn.ctc_loss` on dense labels builds a graph that is many times
slower. A CPU has ours by LLVM (models/ctc/on_cpu.py). A GPU has ours by XLA (models/ctc/forward_backward.py), as
cuDNN's takes fewer than 256 labels, and wants them in the host's memory; where a trial finds it right and much faster
all the same, it is used. TensorFlow's own for CPUs is what the others are compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import tensorflow as tf

from models import llvm
from models.ctc import forward_backward, on_cpu
from models.kernels import Choice, apart, reason
from models.masks import within

CUDNN_LABELS = 255  # of an utterance; cuDNN refuses 256
CUDNN_SHARE = 0.7  # of our kernel's time, above which cuDNN's copies from the device cost more than it saves
TRIED_IN_A_ROW = 4


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The largest batch of a replica: utterances, output frames and labels."""

    batch: int
    frames: int
    labels: int


def ctc_loss(
    labels: tf.Tensor, label_lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor, *, kernel: str | None = None
) -> tf.Tensor:
    """Return the negative log-likelihood of each utterance's labels.

    Args:
        labels: int [B, L], no label equal to the blank, padded with anything.
        label_lengths: int [B].
        logits: float [B, T', C]; the blank is class C - 1.
        frames: int [B], valid output frames. An utterance of no frames gives loss 0 and no gradient.
        kernel: "llvm" and "xla" (ours), "cpu" (TensorFlow's) or "cudnn"; None takes ours for the devices here.

    Returns:
        float32 [B]. Finite for every utterance whose labels fit: label_length + repeats <= frames. No kernel reads a
        logit past an utterance's end, and none gives it a gradient.

    Raises:
        tf.errors.InvalidArgumentError: at run time on a CPU, if labels do not fit.
    """
    return _KERNELS[kernel or default_kernel()](labels, label_lengths, tf.cast(logits, tf.float32), frames)


def default_kernel() -> str:
    """Return the kernel that runs well on any device of the kind that TensorFlow may use."""
    return "xla" if tf.config.list_logical_devices("GPU") else "llvm"


def kernel_for(shape: Shape) -> Choice:
    """Choose the kernel that is fastest and right for batches of a shape; a GPU tries them, a CPU's is compiled."""
    if not tf.config.list_logical_devices("GPU"):
        llvm.prepare(on_cpu.code)
        return Choice("llvm", "there is no GPU")
    return apart(_tried, shape)


def _masked(logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Separate all logits past an utterance's end from the loss.

    TensorFlow hands out cuDNN's gradient without clearing it, and cuDNN writes none there: it is what memory held
    before, NaN for one, which times 0 would stay NaN.
    """
    return tf.where(within(frames, tf.shape(logits)[1])[:, :, None], logits, 0.0)


# --- the kernels: labels, lengths, logits [B, T', C], frames -> losses [B] ------------------------------------------


def _llvm(labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    @tf.custom_gradient
    def losses(logits: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        given = [labels, lengths, frames, logits]
        found, gradient = tf.numpy_function(on_cpu.loss_and_gradient, given, [tf.float32] * 2, stateful=False)
        found.set_shape(logits.shape[:1])
        gradient.set_shape(logits.shape)
        return found, lambda upstream: gradient * upstream[:, None, None]

    return losses(logits)


def _never_empty(kernel: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Make a kernel that takes empty utterances of one that refuses empty labels, and keeps it from padding."""

    def losses(labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        real = frames > 0
        one = tf.ones([], frames.dtype)
        lengths = tf.where(real, lengths, tf.cast(one, lengths.dtype))
        frames = tf.where(real, frames, one)
        return tf.where(real, kernel(labels, lengths, _masked(logits, frames), frames), 0.0)

    return losses


def _cpu(labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    indices = _present(labels, lengths)
    return tf.raw_ops.CTCLoss(
        inputs=tf.transpose(logits, [1, 0, 2]),
        labels_indices=indices,
        labels_values=tf.cast(tf.gather_nd(labels, indices), tf.int32),
        sequence_length=tf.cast(frames, tf.int32),
    )[0]


def _xla(labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    @tf.custom_gradient
    def losses(logits: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        given = tf.stop_gradient(logits)  # the kernel's own steps have no gradients
        found, gradient = forward_backward.loss_and_gradient(labels, lengths, frames, given)
        return found, lambda upstream: gradient * upstream[:, None, None]

    return losses(logits)


def _cudnn(labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Run cuDNN's kernel, whose blank is the first class; ours for a batch that may have more labels than it takes."""

    def fitting() -> tf.Tensor:
        indices = _present(labels, lengths)
        return tf.raw_ops.CTCLossV2(
            inputs=tf.roll(tf.transpose(logits, [1, 0, 2]), 1, axis=2),
            labels_indices=indices,
            labels_values=tf.cast(tf.gather_nd(labels, indices), tf.int32) + 1,
            sequence_length=tf.cast(frames, tf.int32),
        )[0]

    return tf.cond(tf.shape(labels)[1] <= CUDNN_LABELS, fitting, lambda: _xla(labels, lengths, logits, frames))


_KERNELS = {"llvm": _llvm, "cpu": _never_empty(_cpu), "xla": _never_empty(_xla), "cudnn": _never_empty(_cudnn)}


def _present(labels: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Return utterance and place of every label that is no padding, int64 [N, 2]."""
    return tf.where(within(lengths, tf.shape(labels)[1]))


# --- which kernel a GPU is given -------------------------------------------------------------------------------------


def _tried(shape: Shape) -> Choice:
    if why := _cudnn_differs():
        return Choice("xla", why)
    ours_s, cudnn_s = (_seconds(kernel, shape) for kernel in ("xla", "cudnn"))
    kernel = "cudnn" if cudnn_s < CUDNN_SHARE * ours_s else "xla"
    return Choice(kernel, f"cuDNN's takes {cudnn_s / ours_s:.2f} of our time")


def compare() -> dict[str, str]:
    """Return how the kernels that may be used here differ from TensorFlow's for CPUs; "" if they do not."""
    kernels = ("cudnn", "xla") if tf.config.list_logical_devices("GPU") else ("llvm",)
    return {name: apart(_differs, name) for name in kernels}


@cache
def _cudnn_differs() -> str:
    return _differs("cudnn")


def _differs(kernel: str) -> str:
    """Return how a kernel's losses or gradients differ from the CPU's, for utterances of unlike lengths; "" if not."""
    logits = tf.random.stateless_normal([3, 60, 30], [1, 2])
    labels = tf.random.stateless_uniform([3, 20], [1, 3], 0, 29, tf.int32)
    batch = labels, tf.constant([20, 7, 0]), logits, tf.constant([60, 31, 0])
    name = {"cudnn": "cuDNN", "llvm": "LLVM", "xla": "XLA"}[kernel]
    try:
        _dirty_memory(tf.transpose(logits, [1, 0, 2]))
        found = loss_and_gradient(*batch, kernel=kernel)
        with tf.device("CPU:0"):
            expected = loss_and_gradient(*batch, kernel="cpu")
    except tf.errors.OpError as error:
        return f"{name}'s failed: {reason(error)}"
    alike = (bool(tf.reduce_all(tf.abs(a - b) < 1e-3)) for a, b in zip(found, expected, strict=True))
    return "" if all(alike) else f"{name}'s losses or gradients are not the CPU's"


def loss_and_gradient(
    labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, frames: tf.Tensor, *, kernel: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the losses [B] of a kernel and their gradients by the logits [B, T', C]."""
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = ctc_loss(labels, lengths, logits, frames, kernel=kernel)
    return losses, tape.gradient(losses, logits)


def _dirty_memory(like: tf.Tensor) -> None:
    """Fill memory that is handed out next with large numbers."""
    for _ in range(3):
        tf.fill(tf.shape(like), 1e3) + like


def _seconds(kernel: str, shape: Shape) -> float:
    """Time some losses and gradients in a row, each of logits that follow from the one before."""
    labels = tf.random.stateless_uniform([shape.batch, shape.labels], [1, 3], 0, 29, tf.int64)
    lengths = tf.fill([shape.batch], tf.constant(min(shape.labels, shape.frames // 2), tf.int64))
    frames = tf.fill([shape.batch], tf.constant(shape.frames, tf.int64))

    @tf.function
    def row(logits: tf.Tensor) -> tf.Tensor:
        for _ in range(TRIED_IN_A_ROW):
            logits -= loss_and_gradient(labels, lengths, logits, frames, kernel=kernel)[1]
        return tf.reduce_sum(logits)

    logits = tf.random.stateless_normal([shape.batch, shape.frames, 30], [1, 2])
    float(row(logits))
    best_s = float("inf")
    for _ in range(3):
        began_s = time.monotonic()
        float(row(logits))
        best_s = min(best_s, time.monotonic() - began_s)
    return best_s / TRIED_IN_A_ROW
