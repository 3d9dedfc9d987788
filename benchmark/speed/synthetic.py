"""The suite's own training step and batches for it from memory; imports TensorFlow.

step, batches = train_step(SIZES["mini"], devices.single_device("float32"), "float32")
step.segment(batches, tf.constant(0), tf.constant(4))       # Totals of 4 batches
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark.run.prepare.devices import Devices, compute_dtype, tf
from benchmark.run.train import input as inputs
from benchmark.run.train.step import TrainStep
from benchmark.speed.sizes import SIZES, Size
from features.reading.batches import Buckets, EpochOrder, read_batches
from features.shards.manifest import Manifest
from models.learner import Learner
from models.table import learner_of

SEED = 1


def learner(size: Size) -> Learner:
    """Return the suite's model at a size."""
    return learner_of(size.config, frames=size.frames)


def training_flops(size: Size) -> float:
    """Return the floating-point operations of one training step, as the model counts them."""
    return 1e12 * float(learner(size).tflop({"frames": tf.fill([size.batch], size.frames)}))


def train_step(size: Size, devices: Devices, precision: str) -> tuple[TrainStep, Iterator]:
    """Make model, optimiser and step as a run has them, and an endless iterator over one batch."""
    tf.keras.utils.set_random_seed(SEED)
    model, batch = learner(size), size.batch // devices.replicas
    model.choose_kernels(dtype=compute_dtype(precision), batch=batch, frames=size.frames)
    step = TrainStep(model, devices=devices, precision=precision, seed=SEED)
    return step, batches(size, devices)


def batches(size: Size, devices: Devices) -> Iterator:
    """Return an endless dataset of one batch, each replica with its share; two are kept ahead, as in a run."""
    with tf.device("CPU:0"):
        whole = {name: tf.constant(values) for name, values in size.numbers().items()}
        cut = inputs.per_replica(whole, devices.replicas, learner(size).units)
        once = tf.data.Dataset.from_tensor_slices(cut)
    return inputs.parts_of(once.repeat().prefetch(2), devices)


def distributed(
    folder: Path,
    found: Manifest,
    layout: Buckets,
    devices: Devices,
    *,
    readers: int = 2,
    buffer: int = 8,
    epoch: int = 1,
) -> Iterator:
    """Return real input as `benchmark.run.train.input` feeds it, one epoch repeated endlessly."""
    order = EpochOrder(seed=SEED, epoch=epoch)
    read = read_batches(folder, found, "train", layout, readers=readers, buffer=buffer, order=order)
    return inputs.distributed(read.repeat(), devices, learner(SIZES["tiny"]))
