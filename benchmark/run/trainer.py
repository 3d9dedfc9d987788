"""The TensorFlow side of every phase: create, train, generate, checkpoint, swap, evaluate under tf.distribute.

    trainer = Trainer(workload=..., platform=..., data=..., devices=..., seed=1, folder=..., pool=...)
    outcome = trainer.perform(Phase.TRAIN, record, plan)
    known = trainer.begin_evaluation(record)        # overlapping: the forward pass now,
    outcome = known()                               # the figures when they are called for

The outer loop is plain Python and knows phases and time; here are the tensors. A train segment of up to 50 batches
is one call of one tf.function (benchmark/run/step.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import reduce
from pathlib import Path

import numpy as np

from benchmark.record.journal import Outcome, RunRecord
from benchmark.record.phases import Phase, Plan, segment_batches
from benchmark.run.checkpoints import CheckpointError, Checkpoints, kept
from benchmark.run.data import Data
from benchmark.run.decoding import DecodingPool
from benchmark.run.devices import Devices, tf
from benchmark.run.evaluation import Evaluated, Transcriber
from benchmark.run.step import TrainStep, distributed, model_config
from benchmark.workloads import Workload
from features.batches import Order, dataset_options, read_batches
from features.extract import FRAME_STEP_S
from models import deepspeech
from models.decoders import Decoder
from platforms import Platform

GENERATED_SENTENCES = 3
SAMPLE_BATCHES = 4


class Diverged(ArithmeticError):
    """The loss is no longer a number; the message says from which batch on."""


class Trainer:
    """Performs phases. What it shows (sentences) goes to `show`; what it counts comes back as an Outcome.

    `progress(done, total)` is told how many utterances of an evaluation are decoded; not of an overlapping one.
    With `synthetic`, batches come from memory: one of each shape, in the numbers of an epoch. What is learnt is
    worthless then, the speed is the one that reading data can at best leave untouched.
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
        warn: Callable[[str], None] = lambda sentence: None,
        synthetic: bool = False,
    ) -> None:
        self.workload, self.platform, self.data, self.devices = workload, platform, data, devices
        self.seed, self.pool, self.show, self.progress, self.synthetic = seed, pool, show, progress, synthetic
        self.warn = warn
        self.strategy = devices.strategy
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.layout = data.layout(workload, platform.input.batch)
        self._greedy = DecodingPool(Decoder(name="greedy"), jobs=1)
        self._step: TrainStep | None = None
        self._epoch_batches: Iterator | None = None
        self._in_memory: list[tuple[dict[str, tf.Tensor], int]] = []
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
        """Model, optimiser, input pipeline; as the last good checkpoint has them, if this is not the first attempt."""
        self.pool.start()
        self._begin_anew()
        step = self._restore_last(record, plan) if record.rows else 0
        self._samples = list(self._sample_batches())
        return Outcome(step=step, epoch=-(-step // plan.batches_per_epoch))

    def _begin_anew(self) -> None:
        tf.keras.utils.set_random_seed(self.seed)
        self._build_training_model()

    def _restore_last(self, record: RunRecord, plan: Plan) -> int:
        """The batches trained in the newest checkpoint that can be read; 0 if there is none.

        Not one of after the first epoch that has no evaluation: what evaluated it is gone, and must be done again.
        """
        furthest = max(row.step for row in record.rows)
        steps = self.checkpoints.steps()
        if steps and steps[-1] > furthest:
            raise CheckpointError(
                f"{self.checkpoints.path(steps[-1])}: after {steps[-1]} batches, but the run's journal "
                f"({record.source}) knows of {furthest} only; expected the two of one run: if either was copied or "
                f"restored, do so with both"
            )
        restored = 0
        for step in reversed(steps):
            if step > (record.evaluated_epoch + 1) * plan.batches_per_epoch:
                continue
            try:
                self.checkpoints.restore(step, self.model, self.optimizer)
                restored = step
                break
            except CheckpointError as error:
                self.warn(f"{error}; trying an older one")
        if steps and not restored:
            self._begin_anew()  # a restoration that failed may have changed some
        self.checkpoints.prune([step for step in steps if step <= restored])  # later ones are of work now undone
        return restored

    def stop(self) -> None:
        """End the train segment under way after its batch; called from another thread."""
        if self._step:
            self._step.stop()

    def train(self, record: RunRecord, plan: Plan) -> Outcome:
        """The next segment of at most 50 batches, within one epoch."""
        epoch = record.step // plan.batches_per_epoch + 1
        done_before = record.step % plan.batches_per_epoch
        if done_before == 0 or self._epoch_batches is None:
            order = Order(seed=self.seed, epoch=epoch, files_only=self.workload.recipe == "authors")
            self._epoch_batches = iter(self._distributed(order, skip=done_before))
        totals = self._step.segment(
            self._epoch_batches, tf.constant(record.step), tf.constant(segment_batches(record, plan))
        )
        if totals.spoilt >= 0:
            raise Diverged(f"the loss became {float(totals.loss)} at batch {int(totals.spoilt)} (epoch {epoch})")
        utterances = float(totals.utterances)
        return Outcome(
            step=record.step + int(totals.batches),
            epoch=epoch,
            utterances=round(utterances),
            audio_s=round(float(totals.frames) * FRAME_STEP_S, 2),
            input_s=None if math.isnan(totals.input_s) else round(float(totals.input_s), 6),
            tflop=round(float(totals.output_frames) * self._tflop_per_frame, 6),
            loss=float(totals.loss) / utterances if utterances else None,
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
        step = TrainStep(
            model_config(self.workload),
            devices=self.devices,
            precision=self.platform.training.precision,
            seed=self.seed,
        )
        self._step, self.model, self.optimizer = step, step.model, step.optimizer
        self._tflop_per_frame = deepspeech.flops(step.config) / 1e12
        self._training, self._evaluation = self._transcriber_of(self.model), None
        self.transcriber = self._training

    # --- training ------------------------------------------------------------------------------------------------

    def _distributed(self, order: Order, *, skip: int) -> tf.distribute.DistributedDataset:
        """One epoch of batches but the first few, each cut into a share for every replica."""
        batches = self._from_memory() if self.synthetic else self._read(order)
        return distributed(batches.skip(skip), self.devices)

    def _read(self, order: Order) -> tf.data.Dataset:
        return read_batches(
            self.data.folder,
            self.data.manifest,
            "train",
            self.layout,
            readers=self.platform.input.readers,
            buffer=self.platform.input.buffer,
            normalisation=self.workload.normalisation,
            order=order,
            augment=self.workload.augment,
        )

    def _from_memory(self) -> tf.data.Dataset:
        """As many batches of every shape as an epoch has, all of one shape the same."""
        if not self._in_memory:
            first, count = {}, Counter()
            for batch in self._read(Order(seed=self.seed, epoch=0)):
                frames = batch["features"].shape[1]
                first.setdefault(frames, batch)
                count[frames] += 1
            self._in_memory = [(first[frames], count[frames]) for frames in first]
        repeated = [tf.data.Dataset.from_tensors(batch).repeat(count) for batch, count in self._in_memory]
        return reduce(tf.data.Dataset.concatenate, repeated).with_options(dataset_options())

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
