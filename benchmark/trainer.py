"""The TensorFlow side of every phase: create, train, generate, checkpoint, swap, evaluate under tf.distribute.

    trainer = Trainer(workload=..., platform=..., data=..., devices=..., seed=1, folder=..., pool=...)
    outcome = trainer.perform(Phase.TRAIN, record, plan)
    known = trainer.begin_evaluation(record)        # overlapping: the forward pass now,
    outcome = known()                               # the figures when they are called for

The outer loop is plain Python and knows phases and time; here are the tensors. A train segment of up to 50 batches
is one call of one tf.function. Gradients are summed over replicas and divided by the utterances of the global
batch, so that a batch means the same on any number of replicas. Dropout depends on seed, step and replica alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmark.checkpoints import Checkpoints, kept
from benchmark.data import Data
from benchmark.decoding import DecodingPool
from benchmark.devices import Devices, tf
from benchmark.evaluation import Evaluated, Transcriber
from benchmark.journal import Outcome, RunRecord
from benchmark.phases import Phase, Plan, segment_batches
from benchmark.workloads import Workload
from features.batches import Order, read_batches
from features.extract import FRAME_STEP_S
from models import deepspeech
from models.ctc import ctc_loss
from models.decoders import Decoder
from platforms import Platform

GENERATED_SENTENCES = 3
SAMPLE_BATCHES = 4
NUMERIC = ("features", "frames", "labels", "label_lengths")


class Diverged(ArithmeticError):
    """The loss is no longer a number; the message says between which batches."""


class Trainer:
    """Performs phases. What it shows (sentences) goes to `show`; what it counts comes back as an Outcome.

    `progress(done, total)` is told how many utterances of an evaluation are decoded; not of an overlapping one.
    """

    def __init__(
        self,
        *,
        workload: Workload,
        platform: Platform,
        data: Data,
        devices: Devices,
        seed: int,
        folder: Path,
        pool: DecodingPool,
        show: Callable[[str, int, int, Evaluated], None] = lambda phase, epoch, step, evaluated: None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.workload, self.platform, self.data, self.devices = workload, platform, data, devices
        self.seed, self.pool, self.show, self.progress = seed, pool, show, progress
        self.strategy = devices.strategy
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.layout = data.layout(workload, platform.input.batch)
        self._greedy = DecodingPool(Decoder(name="greedy"), jobs=1)
        self._perform = {
            Phase.CREATE: self.create,
            Phase.TRAIN: self.train,
            Phase.GENERATE: self.generate,
            Phase.CHECKPOINT: self.checkpoint,
            Phase.SWAP: self.swap,
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
        self.pool.start()
        tf.keras.utils.set_random_seed(self.seed)
        self._build_training_model()
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
        evaluated = self.transcriber.transcribe_batches([batch], self._greedy).result()
        self.show("generate", record.epoch, record.step, evaluated)
        return Outcome(step=record.step, epoch=record.epoch, utterances=len(evaluated.sentences))

    def checkpoint(self, record: RunRecord, plan: Plan) -> Outcome:
        """Weights and optimiser, under the number of batches trained; those no longer wanted are deleted."""
        self.checkpoints.save(record.step, self.model, self.optimizer)
        self.checkpoints.prune(kept(self.checkpoints.steps(), record, plan.batches_per_epoch))
        return Outcome(step=record.step, epoch=record.epoch)

    def swap(self, record: RunRecord, plan: Plan) -> Outcome:
        """From the training model to the evaluation model or back, by way of the checkpoint saved just now.

        The one that goes frees the memory of its variables, the optimiser's too; what was compiled for it stays.
        """
        if self.transcriber.model is self.model:
            _release(self.model.variables + self.optimizer.variables, self.strategy)
            if self._evaluation is None:
                self._evaluation = self._transcriber_of(self._new_model())
            else:
                _reserve(self._evaluation.model.variables, self.strategy)
            self.checkpoints.restore(record.step, self._evaluation.model)
            self.transcriber = self._evaluation
        else:
            _release(self._evaluation.model.variables, self.strategy)
            _reserve(self.model.variables + self.optimizer.variables, self.strategy)
            self.checkpoints.restore(record.step, self.model, self.optimizer)
            self.transcriber = self._training
        return Outcome(step=record.step, epoch=record.epoch)

    def evaluate(self, record: RunRecord, plan: Plan) -> Outcome:
        """The whole validation set, each utterance once."""
        total, done = self.data.manifest.utterances(self.data.validation(self.workload)), 0

        def advance(utterances: int) -> None:
            nonlocal done
            done += utterances
            self.progress(done, total)

        return self.begin_evaluation(record)(advance)

    def begin_evaluation(self, record: RunRecord) -> Callable[..., Outcome]:
        """Forward pass of the validation set; returns what waits for the decoding and gives the outcome."""
        validation = self.data.validation(self.workload)
        step, epoch = record.step, record.epoch
        transcription = self.transcriber.transcribe(validation, self.pool)

        def known(progress: Callable[[int], None] = lambda utterances: None) -> Outcome:
            evaluated = transcription.result(progress)
            self.show("evaluate", epoch, step, evaluated)
            return Outcome(
                step=step,
                epoch=epoch,
                utterances=len(evaluated.sentences),
                audio_s=round(self.data.manifest.seconds(validation), 2),
                **{name: round(rate, 6) for name, rate in asdict(evaluated.rates).items()},
            )

        return known

    # --- models --------------------------------------------------------------------------------------------------

    def _new_model(self) -> deepspeech.DeepSpeech:
        with self.strategy.scope():
            return deepspeech.build(model_config(self.workload))

    def _transcriber_of(self, model: deepspeech.DeepSpeech) -> Transcriber:
        return Transcriber(model, workload=self.workload, platform=self.platform, data=self.data, devices=self.devices)

    def _build_training_model(self) -> None:
        self.model = self._new_model()
        with self.strategy.scope():
            # The paper's: AdaDelta with learning rate 1.0, rho .95, epsilon 1e-8, no clipping.
            self.optimizer = tf.keras.optimizers.Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-8, name="adadelta")
            if self.platform.training.precision == "mixed_float16":
                self.optimizer = tf.keras.mixed_precision.LossScaleOptimizer(self.optimizer, name="loss_scale")
            self.optimizer.build(self.model.trainable_variables)
        self._train_segment = tf.function(self._train_batches)
        self._training, self._evaluation = self._transcriber_of(self.model), None
        self.transcriber = self._training

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

    def _train_batches(self, batches: Iterator, step: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, ...]:
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
        gradients = tape.gradient(objective, variables)
        if self.platform.training.precision == "mixed_float16":
            gradients = spoilt_together(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        utterances = tf.math.count_nonzero(share["frames"], dtype=tf.float32)
        return tf.reduce_sum(losses), utterances, tf.reduce_sum(tf.cast(share["frames"], tf.float32))

    def _sample_batches(self) -> Iterator[dict[str, tf.Tensor]]:
        """Batches of three training utterances to generate from, filled up to the usual size."""
        for batch in self.transcriber.read("train", self.layout).take(SAMPLE_BATCHES):
            real = np.arange(self.layout.batch) < GENERATED_SENTENCES
            yield {**batch, "frames": tf.where(real, batch["frames"], 0)}


def _release(variables: list[tf.keras.Variable], strategy: tf.distribute.Strategy) -> None:
    """Give up the memory of variables: each holds nothing until `_reserve`, and functions compiled for it keep it."""
    for part in _parts(variables, strategy):
        with tf.device(part.device):
            nothing = tf.zeros([0], part.dtype)
            tf.raw_ops.AssignVariableOp(resource=part.handle, value=nothing, validate_shape=False)


def _reserve(variables: list[tf.keras.Variable], strategy: tf.distribute.Strategy) -> None:
    """Room for their values again; zeros until they are restored."""
    for part in _parts(variables, strategy):
        with tf.device(part.device):
            zeros = tf.zeros(part.shape, part.dtype)
            tf.raw_ops.AssignVariableOp(resource=part.handle, value=zeros, validate_shape=False)


def _parts(variables: list[tf.keras.Variable], strategy: tf.distribute.Strategy) -> Iterator[tf.Variable]:
    """The variable of every replica."""
    for variable in variables:
        yield from strategy.experimental_local_results(variable.value)


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


def _shares(values: tf.Tensor, replicas: int) -> tf.Tensor:
    """[B, ...] -> [R, B / R, ...]"""
    shape = tf.shape(values)
    cut = tf.reshape(values, tf.concat([[replicas, shape[0] // replicas], shape[1:]], 0))
    return tf.ensure_shape(cut, [replicas, values.shape[0] // replicas, *values.shape[1:]])
