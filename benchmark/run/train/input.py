"""The input of the training step: the batches of epochs, each cut into one part per replica.

    source = Source(task)
    source.batches_per_epoch
    iterator = source.epochs(3, skip=120)           # of epoch 3 and all that follow, for TrainStep.segment

    per_replica(batch, 4, learner.units)            # [B, ...] -> [4, B / 4, ...]

The order of utterances depends on seed and epoch alone, so a run resumes in the middle of an epoch by skipping the
batches already trained. If the task is `synthetic`, batches come from memory: as many of each shape as an epoch has,
and all of one shape are the same. The trained model is then worthless; the run shows how fast training would be if
reading data cost nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from benchmark.run.prepare.devices import Devices, tf
from benchmark.run.prepare.task import Task
from features.reading.batches import OF_BATCH, EpochOrder, dataset_options, read_batches
from models.learner import Learner

if TYPE_CHECKING:
    from tensorflow.python.data.ops.multi_device_iterator_ops import OwnedMultiDeviceIterator

NUMERIC = ("features", "frames", "labels", "label_lengths")
Units = Callable[[dict[str, tf.Tensor]], tf.Tensor]


class Source:
    """The training set of a task, as batches for its replicas."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.layout = task.layout
        self._in_memory: list[tuple[dict[str, tf.Tensor], int]] = []

    @cached_property
    def batches_per_epoch(self) -> int:
        return self.layout.batches(self.task.data.lengths)

    @property
    def endless(self) -> bool:
        """Whether the batches of an epoch are followed by those of the next; masks are of one epoch."""
        return self.task.workload.augment == "none"

    def epochs(self, first: int, *, skip: int = 0) -> Iterator:
        """Begin to read an epoch, without its first `skip` batches, and if `endless` all that follow.

        Returns what `TrainStep.segment` takes.
        """
        batches = self._from_memory() if self.task.synthetic else self.read(first, endless=self.endless)
        return distributed(batches.skip(skip), self.task.devices, self.task.learner)

    def read(self, epoch: int, *, endless: bool = False) -> tf.data.Dataset:
        """Return the global batches of an epoch, or also of all that follow, read from shards."""
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
            endless=endless,
        )

    def _from_memory(self) -> tf.data.Dataset:
        """Return as many batches of every shape as an epoch has, again and again; all of one shape are the same."""
        if not self._in_memory:
            first, count = {}, Counter()
            for batch in self.read(0):
                frames = batch["features"].shape[1]
                first.setdefault(frames, batch)
                count[frames] += 1
            self._in_memory = [(first[frames], count[frames]) for frames in first]
        repeated = [tf.data.Dataset.from_tensors(batch).repeat(count) for batch, count in self._in_memory]
        return reduce(tf.data.Dataset.concatenate, repeated).repeat().with_options(dataset_options())


@tf.autograph.experimental.do_not_convert  # none of these functions branches or loops on a tensor
def distributed(batches: tf.data.Dataset, devices: Devices, learner: Learner) -> Iterator:
    """Begin to read batches; return what `TrainStep.segment` takes, an iterator over the replicas' parts of them.

    `learner` says how much every utterance of a batch weighs. On several machines each has its rows of the batches
    (`read_batches`), and cuts them for its own replicas.
    """

    def labelled(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return batch | {"labels": _padded(batch, learner.label_step)}

    if devices.local_replicas == 1:
        cut = batches.map(lambda batch: _part(labelled(batch), learner.units))
    else:
        cut = batches.map(lambda batch: per_replica(labelled(batch), devices.local_replicas, learner.units)).unbatch()
    return parts_of(cut, devices)


def parts_of(parts: tf.data.Dataset, devices: Devices) -> Iterator:
    """Begin to read a dataset of parts: those of all replicas of this machine, in turns.

    A single CPU's iterator gives one part a batch, any other a list with one for each replica, on its device. None is
    tuned by tf.data, as `strategy.distribute_datasets_from_function` has it on devices whatever the dataset's options:
    giving up a tuned iterator, as happens when an epoch ends, waits up to 25 s for a thread that sleeps.
    """
    untuned = parts.with_options(dataset_options())
    own = devices.strategy.extended.worker_devices
    return iter(untuned) if devices.on_cpu and len(own) == 1 else _onto_devices(untuned, own)


def take(iterator: Iterator, devices: Devices) -> dict[str, tf.Tensor]:
    """Take the parts of the next batch, as values of the strategy; in a graph or outside."""
    parts = next(iterator)
    if isinstance(parts, dict):
        return parts
    first = devices.rank * devices.local_replicas
    return devices.strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group - first]
    )


def _onto_devices(parts: tf.data.Dataset, devices: Sequence[str]) -> OwnedMultiDeviceIterator:
    """As TensorFlow's iterator over several devices makes itself; each device is sent a part ahead."""
    from tensorflow.python.data.ops.multi_device_iterator_ops import OwnedMultiDeviceIterator, _PerDeviceGenerator

    host = tf.DeviceSpec.from_string(devices[0]).replace(device_type="CPU", device_index=0).to_string()
    with tf.device(host):
        shared = tf.raw_ops.AnonymousMultiDeviceIteratorV3(devices=list(devices), **parts._flat_structure)
        reading = tf.raw_ops.MultiDeviceIteratorInit(
            dataset=parts._variant_tensor, multi_device_iterator=shared, max_buffer_size=1
        )
    iterators = []
    for number, device in enumerate(devices):
        with tf.device(device):
            own = _PerDeviceGenerator(
                number, shared, reading, tf.constant(host), parts.element_spec, iterator_is_anonymous=True
            )
            iterators.append(iter(own.prefetch(1).with_options(dataset_options())))
    return OwnedMultiDeviceIterator(
        devices=list(devices), source_device=host, components=[shared, *iterators], element_spec=parts.element_spec
    )


def _part(batch: dict[str, tf.Tensor], units: Units) -> dict[str, tf.Tensor]:
    """Return a batch as one replica's part of it."""
    return _numbers(batch) | {"global_units": _global_units(batch, units)}


def per_replica(batch: dict[str, tf.Tensor], replicas: int, units: Units) -> dict[str, tf.Tensor]:
    """Cut a batch for the replicas, [B, ...] -> [R, B / R, ...], and add the units of all as global_units."""
    parts = {name: _cut(values, replicas) for name, values in _numbers(batch).items()}
    return parts | {"global_units": tf.fill([replicas], _global_units(batch, units))}


def _global_units(batch: dict[str, tf.Tensor], units: Units) -> tf.Tensor:
    """Return the units of all utterances of a global batch, also where these are some machine's rows of it."""
    whole = {name: batch.get(f"{OF_BATCH}{name}", batch[name]) for name in ("frames", "label_lengths")}
    return tf.reduce_sum(units(whole))


def _padded(batch: dict[str, tf.Tensor], step_of: Callable[[tf.Tensor], tf.Tensor | int]) -> tf.Tensor:
    """Return a batch's labels, as wide as the next multiple of the learner's step."""
    labels, step = batch["labels"], step_of(tf.shape(batch["features"])[1])
    missing = -tf.shape(labels)[1] % step
    return tf.ensure_shape(tf.pad(labels, [[0, 0], [0, missing]]), [labels.shape[0], None])


def _numbers(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The numbers of a batch; whole ones with 64 bits, as TensorFlow keeps others in the host's memory."""
    whole = {name: tf.cast(batch[name], tf.int64) for name in NUMERIC if batch[name].dtype.is_integer}
    return {name: batch[name] for name in NUMERIC} | whole


def _cut(values: tf.Tensor, replicas: int) -> tf.Tensor:
    shape = tf.shape(values)
    cut = tf.reshape(values, tf.concat([[replicas, shape[0] // replicas], shape[1:]], 0))
    return tf.ensure_shape(cut, [replicas, values.shape[0] // replicas, *values.shape[1:]])
