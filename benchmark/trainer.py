"""The TensorFlow side of every phase: create, train, generate, checkpoint, evaluate under tf.distribute.

    trainer = Trainer(workload=..., platform=..., data=..., devices=..., seed=1, folder=Path("results/run"))
    outcome = trainer.perform(Phase.TRAIN, record, plan)

The outer loop is plain Python and knows phases and time; here are the tensors. A train segment of up to 50 batches
is one call of one tf.function. Gradients are summed over replicas and divided by the utterances of the global
batch, so that a batch means the same on any number of replicas. Dropout depends on seed, step and replica alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmark.accuracy import error_rates
from benchmark.data import Data
from benchmark.devices import Devices, tf
from benchmark.journal import Outcome, RunRecord
from benchmark.phases import Phase, Plan, segment_batches
from benchmark.workloads import Workload
from features.batches import Layout, Order, read_batches
from features.extract import FRAME_STEP_S
from models import deepspeech
from models.ctc import ctc_loss
from models.decoders import Decode, greedy
from platforms import Platform

GENERATED_SENTENCES = 3
KEPT_CHECKPOINTS = 3
NUMERIC = ("features", "frames", "labels", "label_lengths")


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """What was said and what the model made of it."""

    id: str
    target: str
    output: str


class Diverged(ArithmeticError):
    """The loss is no longer a number; the message says between which batches."""


class Trainer:
    """Performs phases. What it shows (sentences) goes to `show`; what it counts comes back as an Outcome."""

    def __init__(
        self,
        *,
        workload: Workload,
        platform: Platform,
        data: Data,
        devices: Devices,
        seed: int,
        folder: Path,
        decode: Decode,
        show: Callable[[str, list[Sentence]], None] = lambda phase, sentences: None,
    ) -> None:
        self.workload, self.platform, self.data, self.devices = workload, platform, data, devices
        self.seed, self.folder, self.decode, self.show = seed, folder, decode, show
        self.strategy = devices.strategy
        self.layout = data.layout(workload, platform.input.batch)
        self._perform = {
            Phase.CREATE: self.create,
            Phase.TRAIN: self.train,
            Phase.GENERATE: self.generate,
            Phase.CHECKPOINT: self.checkpoint,
            Phase.EVALUATE: self.evaluate,
        }

    @property
    def batches_per_epoch(self) -> int:
        return self.layout.batches(self.data.manifest.lengths("train"))

    def perform(self, phase: Phase, record: RunRecord, plan: Plan) -> Outcome:
        """Do one phase; the record says where the run stands."""
        return self._perform[phase](record, plan)

    def create(self, record: RunRecord, plan: Plan) -> Outcome:
        """Model, optimiser, input pipeline."""
        workload = self.workload
        tf.keras.utils.set_random_seed(self.seed)
        with self.strategy.scope():
            self.model = deepspeech.build(
                deepspeech.Config(
                    recipe=workload.recipe,
                    filters=workload.filters,
                    units=workload.units,
                    layers=workload.layers,
                    dropout=workload.dropout,
                    norm_momentum=workload.norm_momentum,
                )
            )
            # The paper's: AdaDelta with learning rate 1.0, rho .95, epsilon 1e-8, no clipping.
            self.optimizer = tf.keras.optimizers.Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-8)
            if self.platform.training.precision == "mixed_float16":
                self.optimizer = tf.keras.mixed_precision.LossScaleOptimizer(self.optimizer)
            self.optimizer.build(self.model.trainable_variables)
        self._checkpoints = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=_by_path(self.model), optimizer=_by_path(self.optimizer)),
            self.folder / "checkpoints",
            max_to_keep=KEPT_CHECKPOINTS,
        )
        self._samples = list(self._sample_batches())
        return Outcome(step=0, epoch=0)

    def train(self, record: RunRecord, plan: Plan) -> Outcome:
        """The next segment of at most 50 batches, within one epoch."""
        batches = segment_batches(record, plan)
        epoch = record.step // plan.batches_per_epoch + 1
        if record.step % plan.batches_per_epoch == 0:
            self._epoch_batches = iter(
                self._distributed(Order(seed=self.seed, epoch=epoch, files_only=self.workload.recipe == "authors"))
            )
        totals = self._train_segment(self._epoch_batches, tf.constant(record.step), tf.constant(batches))
        loss, utterances, frames = (float(total) for total in totals)
        step = record.step + batches
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} between batches {record.step + 1} and {step} (epoch {epoch})")
        return Outcome(
            step=step,
            epoch=epoch,
            utterances=round(utterances),
            audio_s=round(frames * FRAME_STEP_S, 2),
            loss=loss / utterances,
        )

    def generate(self, record: RunRecord, plan: Plan) -> Outcome:
        """Three sentences of the training data, beam width 1."""
        batch = self._samples[record.step // plan.generate_every % len(self._samples)]
        sentences = self._transcribe([batch], decode=greedy)
        self.show("generate", sentences)
        return Outcome(step=record.step, epoch=record.epoch, utterances=len(sentences))

    def checkpoint(self, record: RunRecord, plan: Plan) -> Outcome:
        """Weights and optimiser, under the number of batches trained."""
        self._checkpoints.save(checkpoint_number=record.step)
        return Outcome(step=record.step, epoch=record.epoch)

    def evaluate(self, record: RunRecord, plan: Plan) -> Outcome:
        """The whole validation set, each utterance once."""
        validation = self.data.validation(self.workload)
        sentences = self._transcribe(self._evaluation_batches(validation), decode=self.decode)
        rates = error_rates([s.target for s in sentences], [s.output for s in sentences])
        self.show("evaluate", sentences)
        seconds = round(self.data.manifest.seconds(validation), 2)
        return Outcome(
            step=record.step,
            epoch=record.epoch,
            utterances=len(sentences),
            audio_s=seconds,
            **{name: round(rate, 6) for name, rate in asdict(rates).items()},
        )

    # --- training ------------------------------------------------------------------------------------------------

    def _distributed(self, order: Order) -> tf.distribute.DistributedDataset:
        """One epoch of batches, each cut into a share for every replica."""
        replicas = self.devices.replicas
        platform = self.platform.input

        def cut(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            total = tf.math.count_nonzero(batch["frames"], dtype=tf.float32)
            shares = {name: _shares(batch[name], replicas) for name in NUMERIC}
            return shares | {"global_utterances": tf.fill([replicas], total)}

        def dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return (
                read_batches(
                    self.data.folder,
                    self.data.manifest,
                    "train",
                    self.layout,
                    readers=platform.readers,
                    buffer=platform.buffer,
                    normalisation=self.workload.normalisation,
                    order=order,
                    augment=self.workload.augment,
                )
                .map(cut)
                .unbatch()
            )

        return self.strategy.distribute_datasets_from_function(dataset)

    @tf.function
    def _train_segment(self, batches: Iterator, step: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Sums over `count` batches: loss, utterances, input frames."""
        totals = (tf.constant(0.0), tf.constant(0.0), tf.constant(0.0))
        for number in tf.range(count):
            of_replicas = self.strategy.run(self._train_batch, args=(next(batches), step + number))
            sums = [self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in of_replicas]
            totals = (totals[0] + sums[0], totals[1] + sums[1], totals[2] + sums[2])
        return totals

    def _train_batch(self, share: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """One step of one replica on its share of a batch."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.fold_in(tf.random.fold_in([self.seed, 0], step), replica)
        with tf.GradientTape() as tape:
            logits = self.model(share["features"], share["frames"], training=True, seed=seed)
            losses = ctc_loss(
                share["labels"], share["label_lengths"], logits, deepspeech.output_frames(share["frames"])
            )
            loss = tf.reduce_sum(losses) / share["global_utterances"]
            penalty = tf.add_n(self.model.losses) / self.devices.replicas if self.model.losses else 0.0
            objective = self.optimizer.scale_loss(loss + penalty)
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(objective, variables), variables, strict=True))
        utterances = tf.math.count_nonzero(share["frames"], dtype=tf.float32)
        return tf.reduce_sum(losses), utterances, tf.reduce_sum(tf.cast(share["frames"], tf.float32))

    # --- transcribing --------------------------------------------------------------------------------------------

    def _evaluation_batches(self, role_or_subset: str) -> tf.data.Dataset:
        """Its utterances in the training set's shapes where they fit, so that little is compiled anew."""
        longest = max(self.data.manifest.lengths(role_or_subset))
        edges = self.layout.edges + ((longest,) if longest > self.layout.edges[-1] else ())
        return self._read(role_or_subset, Layout(self.layout.batch, edges))

    def _read(self, role_or_subset: str, layout: Layout) -> tf.data.Dataset:
        return read_batches(
            self.data.folder,
            self.data.manifest,
            role_or_subset,
            layout,
            readers=self.platform.input.readers,
            buffer=self.platform.input.buffer,
            normalisation=self.workload.normalisation,
        )

    def _sample_batches(self) -> Iterator[dict[str, tf.Tensor]]:
        """Batches of three training utterances to generate from, filled up to the usual size."""
        for batch in self._read("train", self.layout).take(4):
            real = np.arange(self.layout.batch) < GENERATED_SENTENCES
            yield {**batch, "frames": tf.where(real, batch["frames"], 0)}

    def _transcribe(self, batches, *, decode: Decode) -> list[Sentence]:
        """Every utterance of the batches, sorted by id: nothing depends on how they were batched."""
        sentences = []
        for batch in batches:
            frames = batch["frames"].numpy()
            logits = self._logits(batch)[frames > 0]
            outputs = decode(logits, deepspeech.output_frames(frames[frames > 0]))
            for identity, target, output in zip(
                batch["id"].numpy()[frames > 0], batch["sentence"].numpy()[frames > 0], outputs, strict=True
            ):
                sentences.append(Sentence(id=identity.decode(), target=target.decode(), output=output))
        return sorted(sentences, key=lambda sentence: sentence.id)

    def _logits(self, batch: dict[str, tf.Tensor]) -> np.ndarray:
        """[B, T', 30] of a whole batch, computed by all replicas."""
        size = self.layout.batch // self.devices.replicas

        def share(context: tf.distribute.ValueContext) -> tuple[tf.Tensor, tf.Tensor]:
            start = context.replica_id_in_sync_group * size
            return batch["features"][start : start + size], batch["frames"][start : start + size]

        shares = self.strategy.experimental_distribute_values_from_function(share)
        parts = self.strategy.experimental_local_results(self._forward(shares))
        return np.concatenate([part.numpy() for part in parts])

    @tf.function(reduce_retracing=True)
    def _forward(self, shares):
        return self.strategy.run(lambda features, frames: self.model(features, frames, training=False), args=shares)


def _shares(values: tf.Tensor, replicas: int) -> tf.Tensor:
    """[B, ...] -> [R, B / R, ...]"""
    shape = tf.shape(values)
    cut = tf.reshape(values, tf.concat([[replicas, shape[0] // replicas], shape[1:]], 0))
    return tf.ensure_shape(cut, [replicas, values.shape[0] // replicas, *values.shape[1:]])


def _by_path(owner: tf.keras.Model | tf.keras.optimizers.Optimizer) -> dict[str, tf.Variable]:
    """All variables, moving averages and the optimiser's accumulators too, under names that TensorFlow can save."""
    found = {variable.path: variable.value for variable in owner.variables}
    assert len(found) == len(owner.variables), "two variables of one path"
    return found
