"""What one machine does of a training: its models, its rows of every batch, its forward passes.

    host = Host(task, checkpoints, pool)
    host.make()                                         # the models
    totals = host.segment(epoch=1, skip=0, step=0, count=50)
    transcription = host.transcribe("dev")

On one machine that is all of it. On several, `benchmark.run.machines.lead.Everywhere` has the same methods and has all
hosts call them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.evaluate.evaluation import Transcription
from benchmark.run.prepare.devices import tf
from benchmark.run.prepare.task import Task
from benchmark.run.state.checkpoints import Checkpoints
from benchmark.run.train.input import Source
from benchmark.run.train.step import Totals
from benchmark.run.train.swap import Models


class Host:
    """The models of a task on this machine, and what is done with them. `models` is None until `make`."""

    def __init__(self, task: Task, checkpoints: Checkpoints, pool: DecodingPool) -> None:
        self.task, self.checkpoints, self.pool = task, checkpoints, pool
        self.source = Source(task)
        self.models: Models | None = None
        self._batches: Iterator | None = None
        self._place = (0, 0)  # the epoch, and how many of its batches were taken

    def make(self) -> None:
        """Make model and optimiser, with the weights that a run begins with."""
        self.pool.start()
        self.models = Models(self.task)

    def begin_with(self, folder: Path, step: int) -> None:
        """Take the weights of another run's checkpoint."""
        Checkpoints(folder).restore(step, self.models.model)

    def restore(self, step: int) -> None:
        """Load a checkpoint into model and optimiser. Raises CheckpointError."""
        self.models.restore(self.checkpoints, step)

    def segment(self, *, epoch: int, skip: int, step: int, count: int) -> Totals:
        """Train on `count` batches of an epoch, after its first `skip`; `step` batches were trained before."""
        if self._batches is None or self._place != (epoch, skip) or (skip == 0 and not self.source.endless):
            self._batches = self.open(epoch, skip)
        self._place = (epoch, skip + count) if skip + count < self.source.batches_per_epoch else (epoch + 1, 0)
        return self.models.step.segment(self._batches, tf.constant(step), tf.constant(count))

    def open(self, epoch: int, skip: int) -> Iterator:
        """Begin to read the batches of an epoch, after its first `skip`, and of those that follow if they can be."""
        return self.source.epochs(epoch, skip=skip)

    def swap(self, step: int) -> None:
        """Exchange the training model for the evaluation model, or back, through the checkpoint of `step`."""
        self.models.swap(self.checkpoints, step)

    def transcribe(self, role_or_subset: str) -> Transcription:
        """Run the forward pass; decoding goes on in worker processes."""
        return self.models.transcriber.transcribe(role_or_subset, self.pool)

    def stop(self) -> None:
        """End the train segment under way after its current batch; called from another thread."""
        if self.models:
            self.models.step.stop()
