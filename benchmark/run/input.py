"""The input of the training step: an epoch of batches, each cut into one part per replica.

    source = Source(task)
    source.batches_per_epoch
    iterator = iter(source.epoch(3, skip=120))      # for TrainStep.segment

    per_replica(batch, 4, learner.units)            # [B, ...] -> [4, B / 4, ...]

The order of utterances depends on seed and epoch alone, so a run resumes in the middle of an epoch by skipping the
batches already trained. If the task is `synthetic`, batches come from memory: as many of each shape as an epoch has,
and all of one shape are the same. The trained model is then worthless; the run shows how fast training would be if
reading data cost nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import reduce

from benchmark.run.devices import Devices, tf
from benchmark.run.task import Task
from features.batches import OF_BATCH, EpochOrder, dataset_options, read_batches

NUMERIC = ("features", "frames", "labels", "label_lengths")
Units = Callable[[dict[str, tf.Tensor]], tf.Tensor]


class Source:
    """The training set of a task, as batches for its replicas."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.layout = task.layout
        self._in_memory: list[tuple[dict[str, tf.Tensor], int]] = []

    @property
    def batches_per_epoch(self) -> int:
        return self.layout.batches(self.task.data.lengths)

    def epoch(self, number: int, *, skip: int = 0) -> tf.distribute.DistributedDataset:
        """Return one epoch without its first `skip` batches, in the form that `TrainStep.segment` takes."""
        batches = self._from_memory() if self.task.synthetic else self.read(number)
        return distributed(batches.skip(skip), self.task.devices, self.task.learner.units)

    def read(self, epoch: int) -> tf.data.Dataset:
        """Return the global batches of an epoch, read from shards."""
        task = self.task
        return read_batches(
            task.data.folder,
            task.data.manifest,
            "train",
            self.layout,
            readers=task.platform.input.readers,
            buffer=task.platform.input.buffer,
            normalisation=task.workload.normalisation,
            order=EpochOrder(seed=task.seed, epoch=epoch, files_only=task.learner.shuffle_files_only),
            augment=task.workload.augment,
            chosen=task.data.chosen,
            labels=task.data.labels,
            recordings=task.data.recordings,
            rows=task.devices.rows(self.layout.batch),
        )

    def _from_memory(self) -> tf.data.Dataset:
        """Return as many batches of every shape as an epoch has; all of one shape are the same batch."""
        if not self._in_memory:
            first, count = {}, Counter()
            for batch in self.read(0):
                frames = batch["features"].shape[1]
                first.setdefault(frames, batch)
                count[frames] += 1
            self._in_memory = [(first[frames], count[frames]) for frames in first]
        repeated = [tf.data.Dataset.from_tensors(batch).repeat(count) for batch, count in self._in_memory]
        return reduce(tf.data.Dataset.concatenate, repeated).with_options(dataset_options())


def distributed(batches: tf.data.Dataset, devices: Devices, units: Units) -> tf.distribute.DistributedDataset:
    """Return batches in the form that `TrainStep.segment` takes: cut, if there are several replicas.

    `units` says how much every utterance of a batch weighs, as `Learner.units` does. On several machines each has its
    rows of the batches (`read_batches`), and cuts them for its own replicas.
    """
    if devices.local_replicas == 1:
        cut = batches.map(lambda batch: _numbers(batch) | {"global_units": _global_units(batch, units)})
    else:
        cut = batches.map(lambda batch: per_replica(batch, devices.local_replicas, units)).unbatch()
    return devices.strategy.distribute_datasets_from_function(lambda context: cut)


def per_replica(batch: dict[str, tf.Tensor], replicas: int, units: Units) -> dict[str, tf.Tensor]:
    """Cut a batch for the replicas, [B, ...] -> [R, B / R, ...], and add the units of all as global_units."""
    parts = {name: _cut(values, replicas) for name, values in _numbers(batch).items()}
    return parts | {"global_units": tf.fill([replicas], _global_units(batch, units))}


def _global_units(batch: dict[str, tf.Tensor], units: Units) -> tf.Tensor:
    """Return the units of all utterances of a global batch, also where these are some machine's rows of it."""
    whole = {name: batch.get(f"{OF_BATCH}{name}", batch[name]) for name in ("frames", "label_lengths")}
    return tf.reduce_sum(units(whole))


def _numbers(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: batch[name] for name in NUMERIC}


def _cut(values: tf.Tensor, replicas: int) -> tf.Tensor:
    shape = tf.shape(values)
    cut = tf.reshape(values, tf.concat([[replicas, shape[0] // replicas], shape[1:]], 0))
    return tf.ensure_shape(cut, [replicas, values.shape[0] // replicas, *values.shape[1:]])
