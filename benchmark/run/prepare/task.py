"""The task of a run: what is trained, on which data, on which devices, with which seed.

task = Task(workload=..., platform=..., data=..., devices=..., seed=1)
task.learner, task.layout               # the model, how utterances are put into batches
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.run.prepare.data import Data
from benchmark.run.prepare.devices import Devices, compute_dtype
from benchmark.workloads import Workload
from features.reading.batches import Buckets
from models.kernels import Choice
from models.learner import Learner
from platforms import Platform

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Task:
    """The parameters that every TensorFlow module of a run needs. If `synthetic`, batches come from memory.

    `start` is the checkpoint whose weights training begins with, as (folder, batches); None is new weights.
    """

    workload: Workload
    platform: Platform
    data: Data
    devices: Devices
    seed: int = 0
    synthetic: bool = False
    start: tuple[Path, int] | None = None

    @cached_property
    def layout(self) -> Buckets:
        """The shapes and size of the global batches of the training set."""
        return self.data.layout(self.workload, self.platform.input.batch)

    @property
    def validation(self) -> str:
        """The subset that is evaluated after every epoch, or "dev" for all dev subsets."""
        return self.data.validation(self.workload)

    @property
    def batches(self) -> int:
        """How many batches a training has at most: its epochs, or the workload's cap."""
        epochs = self.workload.max_epochs * self.layout.batches(self.data.lengths)
        return min(epochs, self.workload.max_steps or epochs)

    @cached_property
    def learner(self) -> Learner:
        """The workload's model: its sizes, loss, optimiser and outputs."""
        return self.workload.learner()

    @cached_property
    def kernels(self) -> dict[str, Choice]:
        """Which kernels compute what, and why. A GPU tries some, which takes seconds: ask before a clock starts."""
        return self.learner.choose_kernels(
            dtype=compute_dtype(self.platform.training.precision),
            batch=self.platform.batch_per_replica // self.platform.input.accumulation,
            frames=self.layout.boundaries[-1],
        )

    def new_model(self) -> keras.Model:
        """Make a model with new weights under the devices' strategy."""
        with self.devices.strategy.scope():
            return self.learner.build()
