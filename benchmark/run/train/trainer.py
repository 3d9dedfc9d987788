"""The TensorFlow side of every phase: create, train, generate, checkpoint, swap, evaluate under tf.distribute.

    trainer = Trainer(task, folder=..., pool=..., listener=...)
    outcome = trainer.perform(Phase.TRAIN, progress, plan)
    known = trainer.begin_evaluation(progress)      # overlapping: the forward pass now,
    outcome = known()                               # the error rates, after waiting for the decoding

The outer loop (benchmark/run/loop.py) is plain Python and handles phases and time; this module handles tensors. A train
segment of up to 50 batches is one call of one tf.function (benchmark/run/train/step.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmark.record.columns import Outcome
from benchmark.record.phases import Phase, Plan
from benchmark.record.sentences import Heard
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.evaluate.evaluation import Diverged
from benchmark.run.prepare.devices import tf
from benchmark.run.prepare.task import Task
from benchmark.run.state.checkpoints import Checkpoints, kept, restore_newest
from benchmark.run.state.progress import Progress, segment_batches
from benchmark.run.train.host import Host
from benchmark.run.train.input import Source
from benchmark.run.train.swap import Models
from features.corpus.audio import FRAME_STEP_S
from models.ctc.decoders import Decoder

GENERATED_SENTENCES = 3
SAMPLE_BATCHES = 4


class Listener(Protocol):
    """The interface of an object that is told what happens within a phase."""

    def heard(self, heard: Heard) -> None:
        """Take the sentences of a generation or an evaluation."""

    def decoded(self, done: int, total: int) -> None:
        """Take how many utterances of an evaluation are decoded; not called for an overlapping one."""

    def warn(self, sentence: str) -> None:
        """Take a warning for the user about something that does not end the run."""


class Trainer:
    """Performs phases. Counts are returned as an Outcome; hypotheses and warnings go to the listener.

    `everywhere` turns this machine's part into one that has all machines of the run take part.
    """

    def __init__(
        self,
        task: Task,
        *,
        folder: Path,
        pool: DecodingPool,
        listener: Listener,
        everywhere: Callable[[Host], Host] = lambda host: host,
    ) -> None:
        self.task, self.listener = task, listener
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.host = everywhere(Host(task, self.checkpoints, pool))
        self._greedy = DecodingPool(Decoder(own=task.learner.decode), jobs=1)
        self._samples: list[dict[str, tf.Tensor]] = []
        self._perform = {
            Phase.CREATE: self.create,
            Phase.TRAIN: self.train,
            Phase.GENERATE: self.generate,
            Phase.CHECKPOINT: self.checkpoint,
            Phase.SWAP: self.swap,
            Phase.EVALUATE: partial(self.evaluate, phase=Phase.EVALUATE),
            Phase.PROBE: partial(self.evaluate, phase=Phase.PROBE),
        }

    @property
    def models(self) -> Models:
        """The models in memory; there are none before CREATE."""
        return self.host.models

    @property
    def source(self) -> Source:
        return self.host.source

    @property
    def batches_per_epoch(self) -> int:
        return self.source.batches_per_epoch

    def perform(self, phase: Phase, progress: Progress, plan: Plan) -> Outcome:
        """Perform one phase; `progress` says where the run stands. TRAIN, GENERATE and EVALUATE may raise Diverged."""
        return self._perform[phase](progress, plan)

    def create(self, progress: Progress, plan: Plan) -> Outcome:
        """Make model and optimiser; in a later attempt, load the last good checkpoint into them."""
        self.host.make()
        step = 0
        if progress.earlier:
            step = restore_newest(self.checkpoints, progress, plan, restore=self.host.restore, warn=self.listener.warn)
            if not step and self.checkpoints.steps():
                self.host.make()  # a restore that failed may have changed some variables
            self.checkpoints.prune([saved for saved in self.checkpoints.steps() if saved <= step])  # the rest is undone
        if not step and self.task.start:
            self.host.begin_with(*self.task.start)
        self._samples = list(self._sample_batches())
        return Outcome(step=step, epoch=-(-step // plan.batches_per_epoch))

    def stop(self) -> None:
        """End the train segment under way after its current batch; called from another thread."""
        self.host.stop()

    def train(self, progress: Progress, plan: Plan) -> Outcome:
        """Train the next segment: at most `plan.segment` batches, within one epoch. Raises Diverged."""
        epoch = progress.step // plan.batches_per_epoch + 1
        totals = self.host.segment(
            epoch=epoch,
            skip=progress.step % plan.batches_per_epoch,
            step=progress.step,
            count=segment_batches(progress, plan),
        )
        if totals.spoilt >= 0:
            raise Diverged(f"the loss became {float(totals.loss)} at batch {int(totals.spoilt)} (epoch {epoch})")
        utterances = float(totals.utterances)
        return Outcome(
            step=progress.step + int(totals.batches),
            epoch=epoch,
            utterances=round(utterances),
            audio_s=round(float(totals.frames) * FRAME_STEP_S, 2),
            input_s=None if math.isnan(totals.input_s) else round(float(totals.input_s), 6),
            tflop=round(float(totals.tflop), 6),
            loss=float(totals.loss) / utterances if utterances else None,
        )

    def generate(self, progress: Progress, plan: Plan) -> Outcome:
        """Transcribe up to three training utterances with greedy decoding."""
        batch = self._samples[progress.step // plan.generate_every % len(self._samples)]
        evaluated = self.models.transcriber.transcribe_batches([batch], self._greedy).result()
        self.listener.heard(evaluated.heard("generate", progress.epoch, progress.step))
        return Outcome(step=progress.step, epoch=progress.epoch, utterances=len(evaluated.sentences))

    def checkpoint(self, progress: Progress, plan: Plan) -> Outcome:
        """Save weights and optimiser under the number of batches trained; delete checkpoints no longer wanted."""
        self.models.save(self.checkpoints, progress.step)
        self.checkpoints.prune(kept(self.checkpoints.steps(), progress, plan.batches_per_epoch))
        return Outcome(step=progress.step, epoch=progress.epoch)

    def swap(self, progress: Progress, plan: Plan) -> Outcome:  # noqa: ARG002 - the loop calls all phases alike
        """Exchange the training model for the evaluation model, or back, through the checkpoint that was just saved."""
        self.host.swap(progress.step)
        return Outcome(step=progress.step, epoch=progress.epoch)

    def evaluate(self, progress: Progress, plan: Plan, *, phase: Phase = Phase.EVALUATE) -> Outcome:  # noqa: ARG002
        """Transcribe the whole validation set, each utterance once, and count its errors."""
        total, done = self.task.data.manifest.utterances(self.task.validation), 0

        def advance(utterances: int) -> None:
            nonlocal done
            done += utterances
            self.listener.decoded(done, total)

        return self.begin_evaluation(progress, phase)(advance)

    def begin_evaluation(self, progress: Progress, phase: Phase = Phase.EVALUATE) -> Callable[..., Outcome]:
        """Run the forward pass of the validation set; return a function that waits for decoding and counts errors."""
        step, epoch = progress.step, progress.epoch
        transcription = self.host.transcribe(self.task.validation)

        def known(advance: Callable[[int], None] = lambda _: None) -> Outcome:
            evaluated = transcription.result(advance)
            self.listener.heard(evaluated.heard(phase.value, epoch, step))
            return Outcome(
                step=step,
                epoch=epoch,
                utterances=len(evaluated.sentences),
                audio_s=round(self.task.data.manifest.seconds(self.task.validation), 2),
                **{name: round(figure, 6) for name, figure in asdict(evaluated.errors).items()},
            )

        return known

    def _sample_batches(self) -> Iterator[dict[str, tf.Tensor]]:
        """Yield batches to generate from: the first three utterances of a training batch, the others made empty.

        On several machines the chief alone generates, from its rows.
        """
        layout = self.source.layout
        for batch in self.models.transcriber.read("train", layout).take(SAMPLE_BATCHES):
            real = np.arange(batch["frames"].shape[0]) < GENERATED_SENTENCES
            yield {**batch, "frames": tf.where(real, batch["frames"], 0)}
