"""The training step: forward, loss, backward, reduction across replicas, optimiser; many steps in one tf.function.

    step = TrainStep(learner, devices=devices, precision="float32", seed=1)
    totals = step.segment(iterator, tf.constant(0), tf.constant(50))        # Totals of 50 batches
    float(totals.loss), float(totals.input_s)

The iterator is one of `benchmark.run.train.input`: every replica gets its part of a global batch. Gradients are summed
over replicas and divided by the units of the global batch, utterances or tokens, so that a batch means the same on any
number of replicas. Dropout depends on seed, step and replica alone.

With `accumulation` k a replica takes its part of a batch in k pieces, one after another, and the optimiser acts once on
their sum: k times less memory for activations, the same step. As batch normalisation sees pieces, R replicas that
accumulate k pieces train as k R replicas do, to rounding: losses, weights and moving averages.

An optimiser may keep an average of the weights, which is what is evaluated and saved: `averaged` and `exchange`.

A step sends two messages between replicas: the gradients, and one vector with its sums and all moving averages. On a
GPU it copies nothing back to the host that the next step would wait for: what is reckoned for the host is reckoned on
the host, and whole numbers that a device needs have 64 bits, as TensorFlow keeps those of 32 in the host's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmark.run.prepare import devices
from benchmark.run.prepare.devices import Devices, tf
from benchmark.run.train import optimisers
from benchmark.run.train.input import take
from models.learner import Learner

SUMS = 5  # of `train_batch`
HOST = "CPU:0"


class Totals(NamedTuple):
    """Sums over the batches of a segment; all are scalars.

    `batches` (int32) is the number asked for, or fewer after `TrainStep.stop`. `loss` (float32) is in nats.
    `utterances`, `frames` and `tflop` (10^12 operations; all float32) leave out padding. `input_s` (float64) is the
    seconds that the host waited for batches: on a GPU, whose work is queued ahead, an upper bound of what training
    lost; in a deterministic run, NaN. `spoilt` (int32) is the first batch with a NaN or infinite loss, counted from 1
    since the run began; -1 if there is none. `own_s` (float64) is the seconds from the arrival of a batch until all
    replicas of this machine have their gradients, before any waits for those of another machine. It is measured on
    CPUs of several machines, and not in a deterministic run; else None.
    """

    batches: tf.Tensor
    loss: tf.Tensor
    utterances: tf.Tensor
    frames: tf.Tensor
    tflop: tf.Tensor
    input_s: tf.Tensor
    spoilt: tf.Tensor
    own_s: tf.Tensor | None = None


class TrainStep:
    """A model and its optimiser, made under the devices' strategy, with the functions that train them.

    `batch` is the global one, in utterances, and `batches` how many a whole training has, for optimisers whose
    learning rate rises or falls.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        devices: Devices,
        precision: str,
        seed: int,
        accumulation: int = 1,
        batch: int = 1,
        batches: int | None = None,
    ) -> None:
        self.learner, self.devices, self.precision, self.seed = learner, devices, precision, seed
        self.accumulation = accumulation
        with tf.device(HOST):
            self._stopping = tf.Variable(False, trainable=False)
        with devices.strategy.scope():
            self.model = learner.build()
            self.optimizer = optimisers.build(learner.optimiser, precision=precision, batch=batch, batches=batches)
            self.optimizer.build(self.model.trainable_variables)
            moving = sum(variable.shape.num_elements() for variable in learner.moving(self.model))
            summed = [[SUMS - 1 + moving], *(variable.shape for variable in self.model.trainable_variables)]
            self._accumulated = [_local(shape) for shape in summed] if accumulation > 1 else []
        self._first = devices.strategy.extended.worker_devices[0]
        with tf.device(self._first):
            self._sums = tf.Variable(tf.zeros([SUMS]), trainable=False)
            self._spoilt = tf.Variable(-1, trainable=False, dtype=tf.int64)
        self.segment = tf.function(self._segment, autograph=False)  # rewriting Python takes longer than tracing it

    def stop(self) -> None:
        """End the segment under way in another thread after its current batch; later segments do nothing."""
        self._stopping.assign(True)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the model has the weights that are evaluated and saved: their averages, where there are any."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def exchange(self) -> None:
        """Put the averages of all weights into the model and the weights in their place, or back; no digit changes."""
        of_replicas = self.devices.strategy.experimental_local_results
        for weights, average in optimisers.averages(self.optimizer):
            for mine, kept in zip(of_replicas(weights.value), of_replicas(average.value), strict=True):
                with tf.device(mine.device):
                    trained = tf.identity(mine.read_value())
                    mine.assign(kept.read_value())
                    kept.assign(trained)

    def _segment(self, batches: Iterator, step: tf.Tensor, count: tf.Tensor) -> Totals:
        """Train on `count` batches; `step` is the number of batches trained before."""
        self._sums.assign(tf.zeros([SUMS]))
        self._spoilt.assign(tf.constant(-1, tf.int64))
        with tf.device(HOST):  # the loop itself; it waits for no GPU, so that work can be queued ahead

            def goes_on(_: tf.Tensor, number: tf.Tensor, stopped: tf.Tensor, *__: tf.Tensor) -> tf.Tensor:
                return (number < count) & ~stopped

            def train_one(
                input_s: tf.Tensor, number: tf.Tensor, _: tf.Tensor, *own_s: tf.Tensor
            ) -> tuple[tf.Tensor, ...]:
                return self._next_batch(batches, step, input_s, number, *own_s)

            nothing = (tf.constant(0.0, tf.float64), tf.constant(0), tf.constant(False))
            if self._timed:
                nothing = (*nothing, tf.constant(0.0, tf.float64))
            input_s, number, _, *own_s = tf.while_loop(goes_on, train_one, nothing)
        loss, utterances, frames, tflop, _ = tf.unstack(self._sums.read_value())
        return Totals(number, loss, utterances, frames, tflop, input_s, self._spoilt.read_value(), *own_s)

    def _next_batch(
        self, batches: Iterator, step: tf.Tensor, input_s: tf.Tensor, number: tf.Tensor, *own_s: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Train on the segment's batch `number`; return what `train_one` is given for the next one.

        That is the seconds waited so far, the next number, whether to stop, and this machine's own seconds if measured.
        """
        with tf.control_dependencies([number]):  # known when the batch before is done
            asked_s = _now_s()
        with tf.control_dependencies([asked_s]):
            part = take(batches, self.devices)
        with tf.control_dependencies(self.devices.strategy.experimental_local_results(part["frames"])):
            arrived_s = _now_s()
            input_s += arrived_s - asked_s
        if self._timed:  # a single core would do all work that is there before it looks at the clock
            part = _after(arrived_s, part)
        if self._agreed:  # by the batches before: this one's sums would be waited for
            with tf.device(self._first):
                stopping = self._sums[-1]
            stopped = stopping > 0
        sums, *ready_s = self._batch(part, step + number, tf.cast(self._stopping, tf.float32))
        own_s = tuple(before + ready - arrived_s for before, ready in zip(own_s, ready_s, strict=True))
        done = self._count(sums, step + number)
        with tf.control_dependencies(done):
            number += 1
            if not self._agreed:
                stopped = tf.identity(self._stopping)
        return input_s, number, stopped, *own_s

    def _count(self, of_batch: tf.Tensor, step: tf.Tensor) -> list[tf.Operation]:
        """Add a batch's sums to those of the segment, on the device that has them."""
        with tf.device(self._first):
            first = (self._spoilt < 0) & ~tf.math.is_finite(of_batch[0])
            spoilt = tf.where(first, tf.cast(step + 1, tf.int64), self._spoilt)
            return [self._sums.assign_add(of_batch).op, self._spoilt.assign(spoilt).op]

    @property
    def _agreed(self) -> bool:
        """Whether machines agree where to stop, by their sums: one that left a segment alone would hang the others."""
        return self.devices.machines > 1

    @property
    def _timed(self) -> bool:
        """Whether this machine's own time is measured. Not on GPUs: the host would have to wait for their work."""
        return self._agreed and self.devices.on_cpu and not devices.deterministic

    def _batch(self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor) -> list[tf.Tensor]:
        """Train all replicas on a batch; return the sums of `train_batch`, float32 [SUMS].

        If this machine's own time is measured, then also the time of day at which the last replica had its gradients.
        """
        strategy = self.devices.strategy
        if self.accumulation == 1:
            found = strategy.run(self.train_batch, args=(part, step, stopping))
        else:

            def accumulate(number: tf.Tensor) -> tuple[tf.Tensor]:
                strategy.run(self._accumulate, args=(part, step, number))
                return (number + 1,)

            tf.while_loop(lambda number: number < self.accumulation, accumulate, [tf.constant(0)])
            found = strategy.run(self._apply_accumulated, args=(stopping,))
        sums, *ready_s = (strategy.experimental_local_results(each) for each in found)
        return [sums[0], *(tf.reduce_max(tf.stack(each)) for each in ready_s)]

    def train_batch(
        self, part: dict[str, tf.Tensor], step: tf.Tensor, stopping: tf.Tensor | float = 0.0
    ) -> tuple[tf.Tensor, ...]:
        """Train one replica on its part of a batch.

        Returns:
            Sums over all replicas of loss, utterances, frames and operations, and how many machines want to stop:
            float32 [SUMS]. If this machine's own time is measured, then also the time of day at which the replica had
            its gradients, in seconds, float64 [].
        """
        found, gradients = self._piece(part, step, 0)
        ready_s = self._ready_s(gradients)
        self.apply(gradients)
        return self._share(found, stopping), *ready_s

    def _ready_s(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Return the time of day at which a replica's gradients are there; nothing if it is not measured."""
        if not self._timed:
            return []
        with tf.device(HOST), tf.control_dependencies(tf.nest.flatten(gradients, expand_composites=True)):
            return [tf.timestamp()]

    def _accumulate(self, part: dict[str, tf.Tensor], step: tf.Tensor, number: tf.Tensor) -> None:
        """Add the gradients and sums of one piece of a replica's part to those before."""
        utterances = part["frames"].shape[0] // self.accumulation
        piece = {
            name: values if name == "global_units" else _rows(values, number * utterances, utterances)
            for name, values in part.items()
        }
        found, gradients = self._piece(piece, step, number)
        for total, value in zip(self._accumulated, [found, *gradients], strict=True):
            total.assign_add(value)

    def _apply_accumulated(self, stopping: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Update the model with what a replica's pieces add up to, and forget it; return as `train_batch` does."""
        found, *gradients = (total.read_value() for total in self._accumulated)
        ready_s = self._ready_s([found, *gradients])
        self.apply(gradients)
        sums = self._share(found, stopping)
        for total in self._accumulated:
            total.assign(tf.zeros_like(total))
        return sums, *ready_s

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
        moved = [v if v.shape.rank == 1 else tf.reshape(v, [-1]) for v in self.learner.moved(self.model)]
        return tf.concat([tf.stack(sums), *moved], 0), gradients

    def _share(self, found: tf.Tensor, stopping: tf.Tensor | float) -> tf.Tensor:
        """Sum what `_piece` found over replicas, in one message; move the averages; return the sums [SUMS]."""
        context = tf.distribute.get_replica_context()
        shared = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat([[stopping], found], 0))
        moving = self.learner.moving(self.model)
        sizes = [variable.shape.num_elements() for variable in moving]
        stopping, sums, totals = tf.split(shared, [1, SUMS - 1, sum(sizes)])
        means = tf.split(totals / self.devices.replicas / self.accumulation, sizes) if sizes else []
        for variable, mean in zip(moving, means, strict=True):
            variable.assign(mean if variable.shape.rank == 1 else tf.reshape(mean, variable.shape))
        return tf.concat([sums, stopping], 0)

    def seed_of(self, step: tf.Tensor, piece: int | tf.Tensor = 0) -> tf.Tensor:
        """Return the seed of a replica's dropout in a batch, or in a piece of it, int32 [2]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        with tf.device(HOST):  # where random operations of a GPU read their seeds
            return tf.random.fold_in(tf.random.fold_in([self.seed, 0], step), replica * self.accumulation + piece)

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


def _local(shape: tf.TensorShape | list[int]) -> tf.Variable:
    """Return a variable of zeros that every replica has for itself."""
    on_read = tf.VariableSynchronization.ON_READ
    return tf.Variable(
        tf.zeros(shape), trainable=False, synchronization=on_read, aggregation=tf.VariableAggregation.SUM
    )


def _after(moment: tf.Tensor, part: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return a part, of one replica or of several, that is not there before a moment is."""

    def later(values: tf.Tensor) -> tf.Tensor:
        with tf.device(values.device), tf.control_dependencies([moment]):
            return tf.identity(values)

    return tf.nest.map_structure(later, part, expand_composites=True)


def _rows(values: tf.Tensor, first: tf.Tensor, count: int) -> tf.Tensor:
    return tf.ensure_shape(values[first : first + count], [count, *values.shape[1:]])


def _now_s() -> tf.Tensor:
    return tf.constant(float("nan"), tf.float64) if devices.deterministic else tf.timestamp()


def spoilt_together(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Make all gradients NaN on all replicas if any is NaN or infinite: Keras's loss scaling checks one replica."""
    spoilt = tf.add_n([tf.reduce_sum(tf.cast(~tf.math.is_finite(g), tf.float32)) for g in gradients])
    anywhere = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
    return [tf.where(anywhere > 0, tf.constant(float("nan"), g.dtype), g) for g in gradients]
