"""What a training step is fed with: an epoch of batches, each cut for the replicas.

    source = Source(task)
    source.batches_per_epoch
    iterator = iter(source.epoch(3, skip=120))      # for TrainStep.segment

    per_replica(batch, 4)                           # [B, ...] -> [4, B / 4, ...]

The order of utterances depends on seed and epoch alone, so that a run goes on in the middle of an epoch by skipping
what was trained. With `synthetic`, batches come from memory: as many of each shape as an epoch has, all of one shape
the same. What is learnt is then worthless, and the speed is the one that reading data can at best not spoil.
"""

from __future__ import annotations

from collections import Counter
from functools import reduce

from benchmark.run.devices import Devices, tf
from benchmark.run.task import Task
from features.batches import EpochOrder, dataset_options, read_batches
from models.recipes import RECIPES

NUMERIC = ("features", "frames", "labels", "label_lengths")


class Source:
    """The training set of a task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.layout = task.layout
        self._in_memory: list[tuple[dict[str, tf.Tensor], int]] = []

    @property
    def batches_per_epoch(self) -> int:
        return self.layout.batches(self.task.data.manifest.lengths("train"))

    def epoch(self, number: int, *, skip: int = 0) -> tf.distribute.DistributedDataset:
        """One epoch of batches but the first few, as `TrainStep.segment` wants them."""
        batches = self._from_memory() if self.task.synthetic else self.read(number)
        return distributed(batches.skip(skip), self.task.devices)

    def read(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch, read from shards."""
        task = self.task
        files_only = RECIPES[task.workload.recipe].shuffle_files_only
        return read_batches(
            task.data.folder,
            task.data.manifest,
            "train",
            self.layout,
            readers=task.platform.input.readers,
            buffer=task.platform.input.buffer,
            normalisation=task.workload.normalisation,
            order=EpochOrder(seed=task.seed, epoch=epoch, files_only=files_only),
            augment=task.workload.augment,
        )

    def _from_memory(self) -> tf.data.Dataset:
        """As many batches of every shape as an epoch has, all of one shape the same."""
        if not self._in_memory:
            first, count = {}, Counter()
            for batch in self.read(0):
                frames = batch["features"].shape[1]
                first.setdefault(frames, batch)
                count[frames] += 1
            self._in_memory = [(first[frames], count[frames]) for frames in first]
        repeated = [tf.data.Dataset.from_tensors(batch).repeat(count) for batch, count in self._in_memory]
        return reduce(tf.data.Dataset.concatenate, repeated).with_options(dataset_options())


def distributed(batches: tf.data.Dataset, devices: Devices) -> tf.distribute.DistributedDataset:
    """Batches as `TrainStep.segment` wants them: cut, if there are several replicas."""
    if devices.replicas == 1:
        cut = batches.map(lambda batch: _numbers(batch) | {"global_utterances": _utterances(batch)})
    else:
        cut = batches.map(lambda batch: per_replica(batch, devices.replicas)).unbatch()
    return devices.strategy.distribute_datasets_from_function(lambda context: cut)


def per_replica(batch: dict[str, tf.Tensor], replicas: int) -> dict[str, tf.Tensor]:
    """A batch cut for the replicas, [B, ...] -> [R, B / R, ...], each told the utterances of all."""
    parts = {name: _cut(values, replicas) for name, values in _numbers(batch).items()}
    return parts | {"global_utterances": tf.fill([replicas], _utterances(batch))}


def _numbers(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: batch[name] for name in NUMERIC}


def _utterances(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.math.count_nonzero(batch["frames"], dtype=tf.float32)


def _cut(values: tf.Tensor, replicas: int) -> tf.Tensor:
    shape = tf.shape(values)
    cut = tf.reshape(values, tf.concat([[replicas, shape[0] // replicas], shape[1:]], 0))
    return tf.ensure_shape(cut, [replicas, values.shape[0] // replicas, *values.shape[1:]])
