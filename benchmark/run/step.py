"""The training step: forward, loss, backward, reduction across replicas, optimiser; many steps in one tf.function.

    step = TrainStep(learner, devices=devices, precision="float32", seed=1)
    totals = step.segment(iterator, tf.constant(0), tf.constant(50))        # Totals of 50 batches
    float(totals.loss), float(totals.input_s)

The iterator is that of a dataset cut by `benchmark.run.input`: every replica gets its part of a global batch. Gradients
are summed over replicas and divided by the units of the global batch, utterances or tokens, so that a batch means the
same on any number of replicas. Dropout depends on seed, step and replica alone.

With `accumulation` k a replica takes its part of a batch in k pieces, one after another, and the optimiser acts once on
their sum: k times less memory for activations, the same step. As batch normalisation sees pieces, R replicas that
accumulate k pieces train as k R replicas do, to rounding: losses, weights and moving averages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmark.run import devices, optimisers
from benchmark.run.devices import Devices, tf
from models.learner import Learner

SUMS = 5  # of `train_batch`


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
        with tf.device("CPU:0"):
            self._stopping = tf.Variable(False, trainable=False)
        with devices.strategy.scope():
            self.model = learner.build()
            self.optimizer = optimisers.build(learner.optimiser, precision=precision, batches=batches)
            self.optimizer.build(self.model.trainable_variables)
            self._accumulated = [_local(v.shape) for v in self.model.trainable_variables] if accumulation > 1 else []
        self.segment = tf.function(self._segment)

    def stop(self) -> None:
        """End the segment under way in another thread after its current batch; later segments do nothing."""
        self._stopping.assign(True)

    def _segment(self, batches: Iterator[dict[str, tf.Tensor]], step: tf.Tensor, count: tf.Tensor) -> Totals:
        """Train on `count` batches; `step` is the number of batches trained before."""
        strategy = self.devices.strategy
        sums = tf.zeros([SUMS])
        input_s, spoilt = tf.constant(0.0, tf.float64), tf.constant(-1)
        number, stopped = tf.constant(0), tf.constant(False) if self._agreed else tf.identity(self._stopping)
        while number < count and not stopped:
            with tf.control_dependencies([sums]):  # ask for a batch only when the one before is done
                asked_s = _now_s()
            with tf.control_dependencies([asked_s]):
                part = next(batches)
            with tf.control_dependencies(strategy.experimental_local_results(part["frames"])):
                input_s += _now_s() - asked_s
            of_batch = self._batch(part, step + number, tf.cast(self._stopping, tf.float32))
            sums += of_batch
            number += 1
            spoilt = tf.where((spoilt < 0) & ~tf.math.is_finite(of_batch[0]), step + number, spoilt)
            with tf.control_dependencies([of_batch]):
                stopped = of_batch[-1] > 0 if self._agreed else tf.identity(self._stopping)
        loss, utterances, frames, tflop, _ = tf.unstack(sums)
        return Totals(number, loss, utterances, frames, tflop, input_s, spoilt)

    @property
    def _agreed(self) -> bool:
        """Whether machines agree where to stop, by their sums: one that left a segment alone would hang the others."""
        return self.devices.machines > 1

    def _batch(self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor) -> tf.Tensor:
        """Train all replicas on a batch; return the sums of `train_batch` over replicas, float32 [SUMS]."""
        strategy = self.devices.strategy
        if self.accumulation == 1:
            return self._summed(strategy.run(self.train_batch, args=(part, step, stopping)))
        moving = [variable.value for variable in self.model.non_trainable_variables]
        before = [tf.identity(variable) for variable in moving]
        after = tuple(tf.zeros_like(value) for value in before)
        sums = tf.zeros([SUMS])
        for number in tf.range(self.accumulation):
            sums += self._summed(strategy.run(self.accumulate, args=(part, step, stopping, number)))
            after = tuple(total + variable for total, variable in zip(after, moving, strict=True))
            for variable, value in zip(moving, before, strict=True):  # every piece moves the averages from one place
                variable.assign(value)
        for variable, total in zip(moving, after, strict=True):
            variable.assign(total / self.accumulation)
        strategy.run(self.apply_accumulated)
        return sums

    def _summed(self, of_replicas: tf.Tensor) -> tf.Tensor:
        return self.devices.strategy.reduce(tf.distribute.ReduceOp.SUM, of_replicas, axis=None)

    def accumulate(
        self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor:
        """Add the gradients of one piece of a replica's part to those before; return its sums, as `train_batch`."""
        utterances = part["frames"].shape[0] // self.accumulation
        first = number * utterances
        piece = {
            name: values if name == "global_units" else _rows(values, first, utterances)
            for name, values in part.items()
        }
        losses, gradients = self.gradients(piece, step, number)
        for total, gradient in zip(self._accumulated, gradients, strict=True):
            total.assign_add(gradient)
        return self._sums(piece, losses, stopping)

    def apply_accumulated(self) -> None:
        """Update the model with the gradients of a replica's pieces, and forget them."""
        self.apply([total.read_value() for total in self._accumulated])
        for total in self._accumulated:
            total.assign(tf.zeros_like(total))

    def train_batch(self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor | float = 0.0) -> tf.Tensor:
        """Train one replica on its part of a batch.

        Returns:
            Sums of loss, utterances, frames and operations, and whether its machine wants to stop: float32 [SUMS].
        """
        losses, gradients = self.gradients(part, step)
        self.apply(gradients)
        return self._sums(part, losses, stopping)

    def _sums(self, part: dict[str, tf.Tensor], losses: tf.Tensor, stopping: tf.Tensor | float) -> tf.Tensor:
        return tf.stack(  # one vector, as summing it over machines takes one message
            [
                tf.reduce_sum(losses),
                tf.math.count_nonzero(part["frames"], dtype=tf.float32),
                tf.reduce_sum(tf.cast(part["frames"], tf.float32)),
                self.learner.tflop(part),
                stopping,
            ]
        )

    def seed_of(self, step: tf.Tensor, piece: int | tf.Tensor = 0) -> tf.Tensor:
        """Return the seed of a replica's dropout in a batch, or in a piece of it, int32 [2]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
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


def _local(shape: tf.TensorShape) -> tf.Variable:
    """Return a variable of zeros that every replica has for itself."""
    on_read = tf.VariableSynchronization.ON_READ
    return tf.Variable(
        tf.zeros(shape), trainable=False, synchronization=on_read, aggregation=tf.VariableAggregation.SUM
    )


def _rows(values: tf.Tensor, first: tf.Tensor, count: int) -> tf.Tensor:
    return tf.ensure_shape(values[first : first + count], [count, *values.shape[1:]])


def _now_s() -> tf.Tensor:
    return tf.constant(float("nan"), tf.float64) if devices.deterministic else tf.timestamp()


def spoilt_together(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Make all gradients NaN on all replicas if any is NaN or infinite: Keras's loss scaling checks one replica."""
    spoilt = tf.add_n([tf.reduce_sum(tf.cast(~tf.math.is_finite(g), tf.float32)) for g in gradients])
    anywhere = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
    return [tf.where(anywhere > 0, tf.constant(float("nan"), g.dtype), g) for g in gradients]
