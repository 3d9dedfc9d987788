"""The training step: forward, CTC loss, backward, reduction across replicas, optimiser; many steps in one tf.function.

    step = TrainStep(config, devices=devices, precision="float32", seed=1)
    totals = step.segment(iterator, tf.constant(0), tf.constant(50))        # Totals of 50 batches
    float(totals.loss), float(totals.input_s)

The iterator is that of a dataset cut by `benchmark.run.input`: every replica gets its part of a global batch. Gradients
are summed over replicas and divided by the utterances of the global batch, so a batch means the same on any number of
replicas. Dropout depends on seed, step and replica alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmark.run import devices, optimisers
from benchmark.run.devices import Devices, tf
from models import deepspeech
from models.ctc import ctc_loss


class Totals(NamedTuple):
    """Sums over the batches of a segment; all are scalars.

    `batches` (int32) is the number asked for, or fewer after `TrainStep.stop`. `loss` (float32) is in nats.
    `utterances`, `frames` (input frames) and `output_frames` (all float32) leave out padding. `input_s` (float64) is
    the seconds that the host waited for batches: on a GPU, whose work is queued ahead, an upper bound of what training
    lost; in a deterministic run, NaN. `spoilt` (int32) is the first batch with a NaN or infinite loss, counted from 1
    since the run began; -1 if there is none.
    """

    batches: tf.Tensor
    loss: tf.Tensor
    utterances: tf.Tensor
    frames: tf.Tensor
    output_frames: tf.Tensor
    input_s: tf.Tensor
    spoilt: tf.Tensor


class TrainStep:
    """A model and its optimiser, made under the devices' strategy, with the functions that train them."""

    def __init__(self, config: deepspeech.Config, *, devices: Devices, precision: str, seed: int) -> None:
        self.config, self.devices, self.precision, self.seed = config, devices, precision, seed
        with tf.device("CPU:0"):
            self._stopping = tf.Variable(False, trainable=False)
        with devices.strategy.scope():
            self.model = deepspeech.build(config)
            self.optimizer = optimisers.build(config.recipe.optimiser, precision=precision)
            self.optimizer.build(self.model.trainable_variables)
        self.segment = tf.function(self._segment)

    def stop(self) -> None:
        """End the segment under way in another thread after its current batch; later segments do nothing."""
        self._stopping.assign(True)

    def _segment(self, batches: Iterator[dict[str, tf.Tensor]], step: tf.Tensor, count: tf.Tensor) -> Totals:
        """Train on `count` batches; `step` is the number of batches trained before."""
        strategy = self.devices.strategy
        sums = (tf.constant(0.0), tf.constant(0.0), tf.constant(0.0), tf.constant(0.0))
        input_s, spoilt = tf.constant(0.0, tf.float64), tf.constant(-1)
        number = tf.constant(0)
        while number < count and not self._stopping:
            with tf.control_dependencies(sums):  # ask for a batch only when the one before is done
                asked_s = _now_s()
            with tf.control_dependencies([asked_s]):
                part = next(batches)
            with tf.control_dependencies(strategy.experimental_local_results(part["frames"])):
                input_s += _now_s() - asked_s
            of_replicas = strategy.run(self.train_batch, args=(part, step + number))
            of_batch = [strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in of_replicas]
            sums = tuple(total + value for total, value in zip(sums, of_batch, strict=True))
            number += 1
            spoilt = tf.where((spoilt < 0) & ~tf.math.is_finite(of_batch[0]), step + number, spoilt)
        return Totals(number, *sums, input_s, spoilt)

    def train_batch(self, part: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Train one replica on its part of a batch; return sums of loss, utterances, input and output frames."""
        losses, gradients = self.gradients(part, step)
        self.apply(gradients)
        return (
            tf.reduce_sum(losses),
            tf.math.count_nonzero(part["frames"], dtype=tf.float32),
            tf.reduce_sum(tf.cast(part["frames"], tf.float32)),
            tf.reduce_sum(tf.cast(deepspeech.output_frames(part["frames"], self.config), tf.float32)),
        )

    def logits(self, part: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """Return the logits of a replica's part in training, with dropout, [B, T', 30]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.fold_in(tf.random.fold_in([self.seed, 0], step), replica)
        return self.model(part["features"], part["frames"], training=True, seed=seed)

    def losses(self, part: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """Return the CTC loss in nats of every utterance of a replica's part, [B]."""
        frames = deepspeech.output_frames(part["frames"], self.config)
        return ctc_loss(part["labels"], part["label_lengths"], self.logits(part, step), frames)

    def gradients(self, part: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the losses [B] and the replica's gradients, which are scaled in mixed_float16."""
        with tf.GradientTape() as tape:
            losses = self.losses(part, step)
            loss = tf.reduce_sum(losses) / part["global_utterances"]
            penalty = tf.add_n(self.model.losses) / self.devices.replicas if self.model.losses else 0.0
            objective = self.optimizer.scale_loss(loss + penalty)
        return losses, tape.gradient(objective, self.model.trainable_variables)

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Sum the gradients over replicas and update the model with the optimiser."""
        if self.precision == "mixed_float16":
            gradients = spoilt_together(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))


def _now_s() -> tf.Tensor:
    return tf.constant(float("nan"), tf.float64) if devices.deterministic else tf.timestamp()


def spoilt_together(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Make all gradients NaN on all replicas if any is NaN or infinite: Keras's loss scaling checks one replica."""
    spoilt = tf.add_n([tf.reduce_sum(tf.cast(~tf.math.is_finite(g), tf.float32)) for g in gradients])
    anywhere = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
    return [tf.where(anywhere > 0, tf.constant(float("nan"), g.dtype), g) for g in gradients]
