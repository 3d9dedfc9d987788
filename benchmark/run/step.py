"""The training step: forward, CTC loss, backward, reduction across replicas, AdaDelta; many steps in one tf.function.

    step = TrainStep(model_config(workload), devices=devices, precision="float32", seed=1)
    totals = step.segment(iterator, tf.constant(0), tf.constant(50))        # Totals of 50 batches
    float(totals.loss), float(totals.input_s)

The iterator is of a `distributed` dataset: to every replica its share of a batch. Gradients are
summed over replicas and divided by the utterances of the global batch, so that a batch means the same on any number
of replicas. Dropout depends on seed, step and replica alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmark.run import devices
from benchmark.run.devices import Devices, tf
from benchmark.workloads import Workload
from models import deepspeech
from models.ctc import ctc_loss

NUMERIC = ("features", "frames", "labels", "label_lengths")


class Totals(NamedTuple):
    """Sums over the batches of a segment, scalars.

    `batches` int32, as many as were asked for, or fewer after `TrainStep.stop`.
    `loss` float32, nats; `utterances` and `frames` (input frames) and `output_frames` float32, without padding;
    `input_s` float64, seconds that the host waited for batches: on a GPU, whose work is queued ahead, an upper bound
    of what training lost, and NaN in a deterministic run; `spoilt` int32, the first batch whose loss is no finite
    number, -1 if there is none.
    """

    batches: tf.Tensor
    loss: tf.Tensor
    utterances: tf.Tensor
    frames: tf.Tensor
    output_frames: tf.Tensor
    input_s: tf.Tensor
    spoilt: tf.Tensor


class TrainStep:
    """Model and optimiser, made under the devices' strategy, and what trains them."""

    def __init__(self, config: deepspeech.Config, *, devices: Devices, precision: str, seed: int) -> None:
        self.config, self.devices, self.precision, self.seed = config, devices, precision, seed
        with tf.device("CPU:0"):
            self._stopping = tf.Variable(False, trainable=False)
        with devices.strategy.scope():
            self.model = deepspeech.build(config)
            # The paper's: AdaDelta with learning rate 1.0, rho .95, epsilon 1e-8, no clipping.
            self.optimizer = Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-8, name="adadelta")
            if precision == "mixed_float16":
                self.optimizer = tf.keras.mixed_precision.LossScaleOptimizer(self.optimizer, name="loss_scale")
            self.optimizer.build(self.model.trainable_variables)
        self.segment = tf.function(self._segment)

    def stop(self) -> None:
        """End the segment that is under way, in another thread, after its batch; later ones do nothing at all."""
        self._stopping.assign(True)

    def _segment(self, batches: Iterator[dict[str, tf.Tensor]], step: tf.Tensor, count: tf.Tensor) -> Totals:
        """Train on `count` batches, `step` having been trained before."""
        strategy = self.devices.strategy
        sums = (tf.constant(0.0), tf.constant(0.0), tf.constant(0.0), tf.constant(0.0))
        input_s, spoilt = tf.constant(0.0, tf.float64), tf.constant(-1)
        number = tf.constant(0)
        while number < count and not self._stopping:
            with tf.control_dependencies(sums):  # a batch is asked for when the one before is done
                asked_s = _now_s()
            with tf.control_dependencies([asked_s]):
                share = next(batches)
            with tf.control_dependencies(strategy.experimental_local_results(share["frames"])):
                input_s += _now_s() - asked_s
            of_replicas = strategy.run(self.train_batch, args=(share, step + number))
            of_batch = [strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in of_replicas]
            sums = tuple(total + value for total, value in zip(sums, of_batch, strict=True))
            number += 1
            spoilt = tf.where((spoilt < 0) & ~tf.math.is_finite(of_batch[0]), step + number, spoilt)
        return Totals(number, *sums, input_s, spoilt)

    def train_batch(self, share: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """One step of one replica on its share of a batch: sums of loss, utterances, input and output frames."""
        losses, gradients = self.gradients(share, step)
        self.apply(gradients)
        return (
            tf.reduce_sum(losses),
            tf.math.count_nonzero(share["frames"], dtype=tf.float32),
            tf.reduce_sum(tf.cast(share["frames"], tf.float32)),
            tf.reduce_sum(tf.cast(deepspeech.output_frames(share["frames"], self.config), tf.float32)),
        )

    def logits(self, share: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """The forward pass in training: [B, T', 30]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.fold_in(tf.random.fold_in([self.seed, 0], step), replica)
        return self.model(share["features"], share["frames"], training=True, seed=seed)

    def losses(self, share: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """Of every utterance of a replica's share, [B]."""
        frames = deepspeech.output_frames(share["frames"], self.config)
        return ctc_loss(share["labels"], share["label_lengths"], self.logits(share, step), frames)

    def gradients(self, share: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Losses and the replica's gradients; scaled, in mixed_float16."""
        with tf.GradientTape() as tape:
            losses = self.losses(share, step)
            loss = tf.reduce_sum(losses) / share["global_utterances"]
            penalty = tf.add_n(self.model.losses) / self.devices.replicas if self.model.losses else 0.0
            objective = self.optimizer.scale_loss(loss + penalty)
        return losses, tape.gradient(objective, self.model.trainable_variables)

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Sum them over replicas and let the optimiser step."""
        if self.precision == "mixed_float16":
            gradients = spoilt_together(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))


def _now_s() -> tf.Tensor:
    return tf.constant(float("nan"), tf.float64) if devices.deterministic else tf.timestamp()


class Adadelta(tf.keras.optimizers.Adadelta):
    """Keras's formula and variables, updated by TensorFlow's kernel: once through memory, not a dozen times."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        number = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle,
            accum=self._accumulated_grads[number].value.handle,
            accum_update=self._accumulated_delta_vars[number].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            rho=self.rho,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


def distributed(batches: tf.data.Dataset, devices: Devices) -> tf.distribute.DistributedDataset:
    """Batches as TrainStep.segment wants them: cut, if there are several replicas."""
    if devices.replicas == 1:
        shared = batches.map(lambda batch: _numbers(batch) | {"global_utterances": _utterances(batch)})
    else:
        shared = batches.map(lambda batch: shares(batch, devices.replicas)).unbatch()
    return devices.strategy.distribute_datasets_from_function(lambda context: shared)


def shares(batch: dict[str, tf.Tensor], replicas: int) -> dict[str, tf.Tensor]:
    """A batch cut for the replicas, [B, ...] -> [R, B / R, ...], each told the utterances of all."""
    cut = {name: _cut(values, replicas) for name, values in _numbers(batch).items()}
    return cut | {"global_utterances": tf.fill([replicas], _utterances(batch))}


def _numbers(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: batch[name] for name in NUMERIC}


def _utterances(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.math.count_nonzero(batch["frames"], dtype=tf.float32)


def _cut(values: tf.Tensor, replicas: int) -> tf.Tensor:
    shape = tf.shape(values)
    cut = tf.reshape(values, tf.concat([[replicas, shape[0] // replicas], shape[1:]], 0))
    return tf.ensure_shape(cut, [replicas, values.shape[0] // replicas, *values.shape[1:]])


def spoilt_together(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """NaN on all replicas if they are infinite or NaN on any: Keras's loss scaling asks the first replica only."""
    spoilt = tf.add_n([tf.reduce_sum(tf.cast(~tf.math.is_finite(g), tf.float32)) for g in gradients])
    anywhere = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
    return [tf.where(anywhere > 0, tf.constant(float("nan"), g.dtype), g) for g in gradients]


def model_config(workload: Workload) -> deepspeech.Config:
    """The workload's model."""
    return deepspeech.Config(
        recipe=workload.recipe,
        filters=workload.filters,
        units=workload.units,
        layers=workload.layers,
        dropout=workload.dropout,
        norm_momentum=workload.norm_momentum,
    )
