"""The training step: forward, loss, backward, reduction across replicas, optimiser; many steps in one tf.function.

    step = TrainStep(learner, devices=devices, precision="float32", seed=1)
    totals = step.segment(iterator, tf.constant(0), tf.constant(50))        # Totals of 50 batches
    float(totals.loss), float(totals.input_s)

The iterator is one of `benchmark.run.input`: every replica gets its part of a global batch. Gradients are summed over
replicas and divided by the units of the global batch, utterances or tokens, so that a batch means the same on any
number of replicas. Dropout depends on seed, step and replica alone.

With `accumulation` k a replica takes its part of a batch in k pieces, one after another, and the optimiser acts once on
their sum: k times less memory for activations, the same step. As batch normalisation sees pieces, R replicas that
accumulate k pieces train as k R replicas do, to rounding: losses, weights and moving averages.

A step sends two messages between replicas: the gradients, and one vector with its sums and all moving averages. On a
GPU it copies nothing back to the host that the next step would wait for: what is reckoned for the host is reckoned on
the host, and whole numbers that a device needs have 64 bits, as TensorFlow keeps those of 32 in the host's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmark.run import devices, optimisers
from benchmark.run.devices import Devices, tf
from benchmark.run.input import take
from models.learner import Learner

SUMS = 5  # of `train_batch`
HOST = "CPU:0"


class Totals(NamedTuple):
    """Sums over the batches of a segment; all are scalars.

    `batches` (int32) is the number asked for, or fewer after `TrainStep.stop`. `loss` (float32) is in nats.
    `utterances`, `frames` and `tflop` (10^12 operations; all float32) leave out padding. `input_s` (float64) is the
    seconds that the host waited for batches: on a GPU, whose work is queued ahead, an upper bound of what training
    lost; in a deterministic run, NaN. `spoilt` (int32) is the first batch with a NaN or infinite loss, counted from 1
    since the run began; -1 if there is none.
    """

    batches: tf.Tensor
    loss: tf.Tensor
    utterances: tf.Tensor
    frames: tf.Tensor
    tflop: tf.Tensor
    input_s: tf.Tensor
    spoilt: tf.Tensor


class TrainStep:
    """A model and its optimiser, made under the devices' strategy, with the functions that train them.

    `batches` is how many a whole training has, for optimisers whose learning rate falls.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        devices: Devices,
        precision: str,
        seed: int,
        accumulation: int = 1,
        batches: int | None = None,
    ) -> None:
        self.learner, self.devices, self.precision, self.seed = learner, devices, precision, seed
        self.accumulation = accumulation
        with tf.device(HOST):
            self._stopping = tf.Variable(False, trainable=False)
        with devices.strategy.scope():
            self.model = learner.build()
            self.optimizer = optimisers.build(learner.optimiser, precision=precision, batches=batches)
            self.optimizer.build(self.model.trainable_variables)
        self.segment = tf.function(self._segment)

    def stop(self) -> None:
        """End the segment under way in another thread after its current batch; later segments do nothing."""
        self._stopping.assign(True)

    def _segment(self, batches: Iterator, step: tf.Tensor, count: tf.Tensor) -> Totals:
        """Train on `count` batches; `step` is the number of batches trained before."""
        sums = tf.zeros([SUMS])
        input_s, spoilt = tf.constant(0.0, tf.float64), tf.constant(-1, tf.int64)
        number, stopped = tf.constant(0), tf.constant(False) if self._agreed else tf.identity(self._stopping)
        while number < count and not stopped:
            with tf.control_dependencies([sums]):  # ask for a batch only when the one before is done
                asked_s = _now_s()
            with tf.control_dependencies([asked_s]):
                part = take(batches, self.devices)
            with tf.control_dependencies(self.devices.strategy.experimental_local_results(part["frames"])):
                input_s += _now_s() - asked_s
            of_batch = self._batch(part, step + number, tf.cast(self._stopping, tf.float32))
            sums += of_batch
            number += 1
            first = (spoilt < 0) & ~tf.math.is_finite(of_batch[0])
            spoilt = tf.where(first, tf.cast(step + number, tf.int64), spoilt)
            with tf.control_dependencies([of_batch]):
                stopped = of_batch[-1] > 0 if self._agreed else tf.identity(self._stopping)
        loss, utterances, frames, tflop, _ = tf.unstack(sums)
        return Totals(number, loss, utterances, frames, tflop, input_s, spoilt)

    @property
    def _agreed(self) -> bool:
        """Whether machines agree where to stop, by their sums: one that left a segment alone would hang the others."""
        return self.devices.machines > 1

    def _batch(self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor) -> tf.Tensor:
        """Train all replicas on a batch; return the sums of `train_batch`, float32 [SUMS]."""
        strategy = self.devices.strategy
        return strategy.experimental_local_results(strategy.run(self.train_batch, args=(part, step, stopping)))[0]

    def train_batch(self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor | float = 0.0) -> tf.Tensor:
        """Train one replica on its part of a batch.

        Returns:
            Sums over all replicas of loss, utterances, frames and operations, and how many machines want to stop:
            float32 [SUMS].
        """
        found, gradients = self._piece(part, step, 0) if self.accumulation == 1 else self._in_pieces(part, step)
        self.apply(gradients)
        return self._share(found, stopping)

    def _in_pieces(self, part: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Do `_piece` for all pieces of a part; return the sums of what it returns."""
        utterances = part["frames"].shape[0] // self.accumulation
        moving = sum(variable.shape.num_elements() for variable in self.learner.moving(self.model))
        found = tf.zeros([SUMS - 1 + moving])
        gradients = [tf.zeros(variable.shape) for variable in self.model.trainable_variables]
        for number in tf.range(self.accumulation):
            piece = {
                name: values if name == "global_units" else _rows(values, number * utterances, utterances)
                for name, values in part.items()
            }
            more, of_piece = self._piece(piece, step, number)
            found += more
            gradients = [total + gradient for total, gradient in zip(gradients, of_piece, strict=True)]
        return found, gradients

    def _piece(
        self, part: dict[str, tf.Tensor], step: tf.Tensor, number: int | tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the sums of a part or a piece of it, followed by its moving averages, in one vector; its gradients."""
        losses, gradients = self.gradients(part, step, number)
        sums = [
            tf.reduce_sum(losses),
            tf.math.count_nonzero(part["frames"], dtype=tf.float32),
            tf.reduce_sum(tf.cast(part["frames"], tf.float32)),
            self.learner.tflop(part),
        ]
        moved = [tf.reshape(value, [-1]) for value in self.learner.moved(self.model)]
        return tf.concat([tf.stack(sums), *moved], 0), gradients

    def _share(self, found: tf.Tensor, stopping: tf.Tensor | float) -> tf.Tensor:
        """Sum what `_piece` found over replicas, in one message; move the averages; return the sums [SUMS]."""
        context = tf.distribute.get_replica_context()
        shared = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat([[stopping], found], 0))
        moving = self.learner.moving(self.model)
        sizes = [variable.shape.num_elements() for variable in moving]
        stopping, sums, *moved = tf.split(shared, [1, SUMS - 1, *sizes])
        for variable, total in zip(moving, moved, strict=True):
            mean = total / self.devices.replicas / self.accumulation
            variable.assign(tf.reshape(mean, variable.shape))
        return tf.concat([sums, stopping], 0)

    def seed_of(self, step: tf.Tensor, piece: int | tf.Tensor = 0) -> tf.Tensor:
        """Return the seed of a replica's dropout in a batch, or in a piece of it, int32 [2]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        with tf.device(HOST):  # where random operations of a GPU read their seeds
            return tf.random.fold_in(tf.random.fold_in([self.seed, 0], step), replica * self.accumulation + piece)

    def logits(self, part: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """Return the logits of a replica's part in training, with dropout, [B, T', C]."""
        return self.learner.logits(self.model, part, self.seed_of(step))

    def losses(self, part: dict[str, tf.Tensor], step: tf.Tensor, piece: int | tf.Tensor = 0) -> tf.Tensor:
        """Return the loss in nats of every utterance of a replica's part, [B]."""
        return self.learner.losses(self.model, part, self.seed_of(step, piece))

    def gradients(
        self, part: dict[str, tf.Tensor], step: tf.Tensor, piece: int | tf.Tensor = 0
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the losses [B] and the replica's gradients, which are scaled in mixed_float16."""
        shares = self.devices.replicas * self.accumulation
        with tf.GradientTape() as tape:
            losses = self.losses(part, step, piece)
            loss = tf.reduce_sum(losses) / part["global_units"]
            penalty = tf.add_n(self.model.losses) / shares if self.model.losses else 0.0
            objective = self.optimizer.scale_loss(loss + penalty)
        return losses, tape.gradient(objective, self.model.trainable_variables)

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Sum the gradients over replicas and update the model with the optimiser."""
        if self.precision == "mixed_float16":
            gradients = spoilt_together(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))


def _rows(values: tf.Tensor, first: tf.Tensor, count: int) -> tf.Tensor:
    return tf.ensure_shape(values[first : first + count], [count, *values.shape[1:]])


def _now_s() -> tf.Tensor:
    return tf.constant(float("nan"), tf.float64) if devices.deterministic else tf.timestamp()


def spoilt_together(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Make all gradients NaN on all replicas if any is NaN or infinite: Keras's loss scaling checks one replica."""
    spoilt = tf.add_n([tf.reduce_sum(tf.cast(~tf.math.is_finite(g), tf.float32)) for g in gradients])
    anywhere = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
    return [tf.where(anywhere > 0, tf.constant(float("nan"), g.dtype), g) for g in gradients]
