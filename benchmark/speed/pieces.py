"""The nested pieces of a training step that `breakdown` times, in one process; imports TensorFlow.

Asked for a piece by name, it answers in seconds a batch, less the call of a tf.function, which is a piece itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import platforms
from benchmark.run.prepare import devices
from benchmark.run.prepare.devices import Devices, tf
from benchmark.run.train.input import take
from benchmark.speed import synthetic
from benchmark.speed.reading import write_shards
from benchmark.speed.sizes import SIZES, Size
from features.reading.batches import Buckets
from features.shards import manifest
from platforms import Platform

if TYPE_CHECKING:
    from benchmark.run.train.step import TrainStep

BATCHES_A_ROW = 50
LOOPED = {"paper": 2, "mini": 8, "tiny": 4}  # batches an answer


def pieces(*, platform: str, size: str, batch: int, folder: str) -> Callable[[str], dict]:
    """Prepare all pieces, compiled and warm; return a function of a piece's name."""
    shape, count = SIZES[size].of(batch=batch), LOOPED[size]
    rig = platforms.load(platform).changed(batch=batch)
    machine = devices.prepare(rig)
    step, memory = synthetic.train_step(shape, machine, rig.training.precision)
    shards = _from_shards(Path(folder), shape, machine, rig)
    part = take(memory, machine)
    bodies = {"forward": _forward, "ctc": _ctc, "backward": _backward, "reduction": _reduction, "optimiser": _whole}
    looped = {name: _looped(step, body, machine, count) for name, body in bodies.items()}
    segments = {"memory": memory, "shards": shards}

    def segment_s(batches: Iterator, of_them: int) -> float:
        started_s = time.monotonic()
        float(step.segment(batches, tf.constant(0), tf.constant(of_them)).loss)
        devices.synchronise()
        return time.monotonic() - started_s

    def looped_s(piece: str) -> float:
        started_s = time.monotonic()
        float(looped[piece](part))
        devices.synchronise()
        return time.monotonic() - started_s

    def run(piece: str) -> float:
        call_s = segment_s(memory, 0)
        if piece == "call":
            return call_s / BATCHES_A_ROW
        whole_s = looped_s(piece) if piece in looped else segment_s(segments[piece], count)
        return (whole_s - call_s) / count

    for piece in (*looped, *segments):
        run(piece)
        run(piece)
    flops = synthetic.training_flops(shape)
    facts = {"flops": flops, "devices": machine.describe(), "emulated": machine.emulated}
    return lambda piece: {"seconds": run(piece), **facts}


def _looped(step: TrainStep, body: Callable, machine: Devices, count: int) -> Callable:
    """Return a function that runs `body` on the same part of a batch in every replica, `count` times in one call."""

    @tf.function
    def run(part: dict[str, tf.Tensor]) -> tf.Tensor:
        total = tf.constant(0.0)
        for number in tf.range(count):
            of_replicas = machine.strategy.run(lambda part, n: body(step, part, n), args=(part, number))
            total += machine.strategy.reduce(tf.distribute.ReduceOp.SUM, of_replicas, axis=None)
        return total

    return run


def _forward(step: TrainStep, part: dict[str, tf.Tensor], number: tf.Tensor) -> tf.Tensor:
    logits = step.model(part["features"], part["frames"], training=True, seed=step.seed_of(number))
    return tf.reduce_sum(logits)


def _ctc(step: TrainStep, part: dict[str, tf.Tensor], number: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(step.losses(part, number))


def _backward(step: TrainStep, part: dict[str, tf.Tensor], number: tf.Tensor) -> tf.Tensor:
    return _read(*step.gradients(part, number))


def _reduction(step: TrainStep, part: dict[str, tf.Tensor], number: tf.Tensor) -> tf.Tensor:
    losses, gradients = step.gradients(part, number)
    summed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    return _read(losses, summed)


def _read(losses: tf.Tensor, gradients: list[tf.Tensor]) -> tf.Tensor:
    """Return one number of each gradient: unread ones are not computed, whatever the control dependencies."""
    return tf.reduce_sum(losses) + tf.add_n([tf.reshape(gradient, [-1])[0] for gradient in gradients])


def _whole(step: TrainStep, part: dict[str, tf.Tensor], number: tf.Tensor) -> tf.Tensor:
    return step.train_batch(part, number)[0][0]


def _from_shards(folder: Path, size: Size, machine: Devices, rig: Platform) -> Iterator:
    """Return real input, as `benchmark.run.train.input` feeds it, of utterances of the size's frames and labels."""
    write_shards(folder, utterances=max(512, size.batch), frames=size.frames, labels=size.labels)
    found, layout = manifest.load(folder), Buckets.fixed(size.frames, batch=size.batch)
    knobs = rig.input
    return synthetic.distributed(folder, found, layout, machine, readers=knobs.readers, buffer=knobs.buffer)


CONTENDERS = {"pieces": pieces}
