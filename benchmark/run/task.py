"""The task of a run: what is trained, on which data, on which devices, with which seed.

task = Task(workload=..., platform=..., data=..., devices=..., seed=1)
task.config, task.layout                # the model's sizes, how utterances are put into batches
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.run.data import Data
from benchmark.run.devices import Devices
from benchmark.workloads import Workload
from features.batches import Buckets
from models import deepspeech
from models.recipes import RECIPES
from platforms import Platform


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
    def config(self) -> deepspeech.Config:
        """The configuration of the workload's model."""
        return config_of(self.workload)

    def new_model(self) -> deepspeech.DeepSpeech:
        """Make a model with new weights under the devices' strategy."""
        with self.devices.strategy.scope():
            return deepspeech.build(self.config)


def config_of(workload: Workload) -> deepspeech.Config:
    """Return the sizes and the recipe of a workload's model."""
    return deepspeech.Config(
        recipe=RECIPES[workload.recipe],
        filters=workload.filters,
        units=workload.units,
        layers=workload.layers,
        dropout=workload.dropout,
        norm_momentum=workload.norm_momentum,
    )
