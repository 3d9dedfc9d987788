"""Batches for training and evaluation, read from shards by tf.data.

    layout = Buckets.bucketed(manifest.lengths("train"), batch=16, buckets=4)
    dataset = read_batches(folder, manifest, "train", layout, readers=2, buffer=8, order=EpochOrder(seed=1, epoch=3))
    layout.batches(manifest.lengths("train"))        # how many there are, without reading
    read_batches(..., order=EpochOrder(seed=1, epoch=3), endless=True)      # those of epoch 3, 4, 5, ...

Buckets hold whole batches: utterances are sorted by length and cut into buckets at multiples of the batch, so that an
epoch has as many batches as one without buckets. Only the one batch left over, of the shortest utterances, is filled
up with empty utterances of 0 frames and no weight. So shapes are few (one a bucket), every utterance comes exactly
once an epoch, and any number of replicas that divides the batch can share it. The order depends on seed and epoch
alone, not on the number of readers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.frames.kinds import FrontEnd
from features.jobs.process import import_tensorflow
from features.reading.augment import spec_augment
from features.shards.manifest import Manifest, ManifestError
from features.shards.records import open_shard, parse

if TYPE_CHECKING:
    import tensorflow as tf

    from features.reading.recordings import Recordings

    Mask = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]

NORMALISATIONS = ("none", "frame-l2", "utterance")
INTERLEAVED_SHARDS = 16
SHUFFLE_WINDOW = 1024
LARGEST_SEED = 2**31 - 1
OF_BATCH = "of_batch_"
"""How keys begin that are about all utterances of a batch, if a machine has only some rows of each."""


@dataclass(frozen=True)
class Buckets:
    """The division of utterances into batches: of `batch` utterances, padded to a bucket's length in `boundaries`."""

    batch: int
    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.boundaries or list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError(f"{self}: expected a batch of at least 1 and boundaries that rise")

    @classmethod
    def bucketed(cls, lengths: Sequence[int], *, batch: int, buckets: int, step: int = 2) -> Buckets:
        """At most `buckets` buckets whose boundaries, multiples of `step` frames, leave the least padding.

        Exact: the best k buckets up to an edge are the best k - 1 up to an earlier one, and one more.
        """
        lengths = np.asarray(lengths)
        edges = np.unique(-(-lengths // step)) * step
        below = np.array([0, *cls(batch, tuple(edges.tolist()))._batches_up_to(lengths)])  # before each edge, after all
        count = below[1:, None] - below[None, :-1]  # in a bucket, by its last edge and the first one
        padded = np.where(count > 0, count * edges[:, None], np.inf)
        best, firsts, totals = np.array([0.0] + [np.inf] * len(edges)), [], []
        for _ in range(min(buckets, len(edges))):
            sums = best[:-1] + padded
            firsts.append(sums.argmin(1))
            best = np.array([np.inf, *sums.min(1)])
            totals.append(best[-1])
        chosen, last = [], len(edges)
        for first in reversed(firsts[: np.argmin(totals) + 1]):
            chosen.append(int(edges[last - 1]))
            last = first[last - 1]
        return cls(batch, tuple(reversed(chosen)))

    @classmethod
    def fixed(cls, frames: int, *, batch: int) -> Buckets:
        """Make one bucket: everything is padded to `frames`, as in the paper (1670)."""
        return cls(batch, (frames,))

    def batches(self, lengths: Collection[int]) -> int:
        """Return how many batches utterances of these lengths make."""
        return -(-len(lengths) // self.batch)

    def padded_share(self, lengths: Collection[int]) -> float:
        """Return the share of all frames in the batches that is padding, empty utterances included."""
        of_buckets = np.diff(self._batches_up_to(np.asarray(lengths)), prepend=0)
        return 1 - sum(lengths) / float(of_buckets @ np.array(self.boundaries) * self.batch)

    def assign(self, lengths: Collection[int], rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the bucket of every utterance, int64. `rng` decides which of equal length go into the lower bucket.

        Raises:
            ValueError: one is longer than the last edge.
        """
        lengths = np.asarray(lengths)
        if lengths.size and lengths.max() > self.boundaries[-1]:
            raise ValueError(f"an utterance of {lengths.max()} frames; expected at most {self.boundaries[-1]}")
        ties = rng.random(len(lengths)) if rng else np.arange(len(lengths))
        buckets = np.empty(len(lengths), np.int64)
        batch_of_rank = (np.arange(len(lengths)) + self._empty(len(lengths))) // self.batch
        buckets[np.lexsort((ties, lengths))] = np.searchsorted(self._batches_up_to(lengths), batch_of_rank, "right")
        return buckets

    def _batches_up_to(self, lengths: np.ndarray) -> np.ndarray:
        """Return how many whole batches fit below each edge, int [edges]; the one that is filled up comes first."""
        fitting = np.searchsorted(np.sort(lengths), self.boundaries, "right")
        return (fitting + self._empty(len(lengths))) // self.batch

    def _empty(self, utterances: int) -> int:
        """Return the number of places that utterances leave empty."""
        return -utterances % self.batch


@dataclass(frozen=True, kw_only=True)
class EpochOrder:
    """The order of utterances in an epoch. `files_only` shuffles shards but not utterances, as the authors did."""

    seed: int
    epoch: int
    files_only: bool = False

    def generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch])

    def shuffle_seeds(self, drawn: int) -> tuple[int, int]:
        """The two seeds of tf.data's shuffle, which takes two zeros for none."""
        return self.seed, drawn or (0 if self.seed else LARGEST_SEED)


def _as_written(make: Callable[..., tf.data.Dataset]) -> Callable[..., tf.data.Dataset]:
    """Spare a dataset's functions AutoGraph, which takes 0.7 s to rewrite these: none branches or loops on a tensor."""

    @wraps(make)
    def plainly(*given: Any, **options: Any) -> tf.data.Dataset:
        return import_tensorflow().autograph.experimental.do_not_convert(make)(*given, **options)

    return plainly


@_as_written
def read_batches(
    folder: Path | None,
    manifest: Manifest,
    role_or_subset: str,
    layout: Buckets,
    *,
    readers: int,
    buffer: int,
    normalisation: str = "utterance",
    augment: str = "none",
    order: EpochOrder | None = None,
    chosen: np.ndarray | None = None,
    labels: Sequence[Sequence[int] | None] | None = None,
    recordings: Recordings | None = None,
    rows: range | None = None,
    endless: bool = False,
) -> tf.data.Dataset:
    """Return the batches of one epoch; without `order` in the order of the shards, for evaluation.

    With `endless` those of all following epochs come after them: nothing is traced again, and an epoch's first batches
    are read while the one before is evaluated.

    `chosen`, bool [utterances], takes a part of the utterances. `labels` has other labels for some utterances, None
    for the others. With `recordings` nothing is read from the folder: features are made of the audio, and the batches
    are the same. With `rows`, batches have these of their utterances, for a machine that trains together with others,
    and only these are parsed, or made.

    Args:
        readers: parallel reads and parses; `buffer`: batches made ahead.
        augment: "specaugment" masks a stretch of mel bands and one of time in every utterance, other ones each epoch;
            it knows its seed when it is traced, so that epochs begin one by one.

    Returns:
        A dataset of dicts: features float32 [B, T, F] (T one of layout.boundaries), frames int32 [B],
        labels int32 [B, L] (L that of the longest), label_lengths int32 [B], id and sentence string [B]. Filled-up
        places have 0 frames. With `rows` also of_batch_frames and of_batch_label_lengths, int32 [layout.batch]; the
        latter are those of `labels`, 0 where the records' own are used.

    Raises:
        ManifestError: a shard file is missing.
        ValueError: endless without an order, or with augment.
    """
    tf = import_tensorflow()
    if endless and (order is None or augment != "none"):
        raise ValueError(f"endless batches, order {order}, augment {augment}; expected an order and no augment")
    files, counts, firsts = _shards(manifest, role_or_subset)
    lengths = np.asarray(manifest.lengths(role_or_subset))
    paths = files if recordings else _paths(folder, files)

    def drawn(epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Return the turns of the shards, the seeds of the shuffle, every utterance's bucket and the masks' seed."""
        if order is None:
            return np.arange(len(files)), np.zeros(2, np.int64), _buckets_of(layout, lengths, chosen, None), 0
        of_epoch = replace(order, epoch=epoch)
        rng = of_epoch.generator()
        turns = rng.permutation(len(files))
        seeds = (0, 0) if order.files_only else of_epoch.shuffle_seeds(int(rng.integers(1 << 31)))
        buckets = _buckets_of(layout, lengths, chosen, rng)
        return turns, np.array(seeds, np.int64), buckets, int(rng.integers(1 << 31))

    def opened(path: tf.Tensor, count: tf.Tensor, first: tf.Tensor) -> tf.data.Dataset:
        if recordings is not None:
            return tf.data.Dataset.range(first, first + count).map(lambda number: (number, number))
        return open_shard(path, manifest.settings).enumerate(first)

    read = recordings.reader(role_or_subset) if recordings else lambda record: parse(record, manifest.settings)
    kind = manifest.settings.kind
    pad = partial(kind.padded, frames=layout.boundaries[-1]) if kind.padded else None
    relabel = _relabelled(labels) if labels is not None else lambda utterance: utterance

    def made(number: tf.Tensor, record: tf.Tensor) -> dict[str, tf.Tensor]:
        return relabel(_normalised(read(record), normalisation, pad) | {"number": number})

    def epoch(turns: tf.Tensor, seeds: tf.Tensor, buckets: tf.Tensor, mask: Mask | None) -> tf.data.Dataset:
        shards = tuple(tf.gather(values, turns) for values in (paths, counts, firsts))
        dataset = tf.data.Dataset.from_tensor_slices(shards).interleave(
            opened,
            cycle_length=INTERLEAVED_SHARDS,
            num_parallel_calls=min(readers, INTERLEAVED_SHARDS),
            deterministic=True,
        )
        if chosen is not None:
            is_chosen = tf.constant(chosen)
            dataset = dataset.filter(lambda number, _: is_chosen[number])
        if order is not None and not order.files_only:
            dataset = _shuffled(dataset, seeds)
        if rows is not None:
            masks = mask and _drawn(mask, lengths, kind.size)
            known = _known_lengths(lengths, labels)
            return _rows_in_buckets(dataset, layout, buckets, rows, made, known=known, masks=masks, readers=readers)

        def bucketed(number: tf.Tensor, record: tf.Tensor) -> dict[str, tf.Tensor]:
            utterance = made(number, record) | {"bucket": buckets[number]}
            return utterance if mask else without_number(utterance)

        def without_number(utterance: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {name: value for name, value in utterance.items() if name != "number"}

        dataset = dataset.map(bucketed, num_parallel_calls=readers, deterministic=True)
        if mask:  # one by one, as masks are drawn in turn
            dataset = dataset.map(lambda utterance: without_number(mask(utterance)))
        return _in_buckets(dataset, layout).map(lambda batch: _filled_up(batch, layout.batch))

    def following(number: tf.Tensor) -> tf.data.Dataset:
        kinds = [tf.int64] * 3
        turns, seeds, buckets = tf.numpy_function(lambda epoch: drawn(int(epoch))[:3], [number], kinds, stateful=False)
        shaped = ((turns, len(files)), (seeds, 2), (buckets, len(lengths)))
        return epoch(*(tf.ensure_shape(values, [size]) for values, size in shaped), None)

    if endless:
        batches = tf.data.Dataset.range(order.epoch, tf.int64.max).flat_map(following)
    else:
        *arrays, mask_seed = drawn(order.epoch if order else 0)
        batches = epoch(*map(tf.constant, arrays), _masks(augment, mask_seed, kind))
    return batches.prefetch(buffer).with_options(dataset_options())


def _shuffled(dataset: tf.data.Dataset, seeds: tf.Tensor) -> tf.data.Dataset:
    """As Dataset.shuffle with SHUFFLE_WINDOW; `seeds`, int64 [2], may be known only when it is read."""
    tf = import_tensorflow()
    specs = tf.nest.flatten(dataset.element_spec)
    shuffled = tf.raw_ops.ShuffleDatasetV3(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=tf.constant(SHUFFLE_WINDOW, tf.int64),
        seed=seeds[0],
        seed2=seeds[1],
        seed_generator=tf.raw_ops.DummySeedGenerator(),
        output_types=[spec.dtype for spec in specs],
        output_shapes=[spec.shape for spec in specs],
    )
    return tf.data.experimental.from_variant(shuffled, dataset.element_spec)


def _masks(augment: str, seed: int, kind: FrontEnd) -> Mask | None:
    if augment not in ("none", "specaugment"):
        raise ValueError(f"augment is {augment!r}; expected none or specaugment")
    return spec_augment(seed, spectrum_from=kind.spectrum_from) if augment == "specaugment" else None


def _drawn(mask: Mask, lengths: Sequence[int], features: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function that draws the mask of utterance `number`, bool [T, F], in turn with those of the others."""
    tf = import_tensorflow()
    frames = tf.constant(lengths, tf.int32)

    def drawn(number: tf.Tensor) -> tf.Tensor:
        ones = tf.ensure_shape(tf.ones([frames[number], features]), [None, features])
        return mask({"features": ones, "frames": frames[number]})["features"] > 0

    return drawn


def _known_lengths(lengths: Sequence[int], labels: Sequence[Sequence[int] | None] | None) -> dict[str, tf.Tensor]:
    """Return frames and labels of every utterance, int32 [utterances + 1]; the last is an empty one."""
    tf = import_tensorflow()
    labelled = [0] * len(lengths) if labels is None else [len(each or ()) for each in labels]
    return {
        f"{OF_BATCH}frames": tf.constant([*lengths, 0], tf.int32),
        f"{OF_BATCH}label_lengths": tf.constant([*labelled, 0], tf.int32),
    }


def _rows_in_buckets(
    dataset: tf.data.Dataset,
    layout: Buckets,
    buckets: tf.Tensor,
    rows: range,
    made: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
    *,
    known: dict[str, tf.Tensor],
    masks: Callable[[tf.Tensor], tf.Tensor] | None,
    readers: int,
) -> tf.data.Dataset:
    """Make rows of the batches that `_in_buckets` and `_filled_up` make: batches of records, cut before parsing."""
    tf = import_tensorflow()
    edges = tf.constant(layout.boundaries, tf.int64)
    spec = dataset.map(lambda number, record: _padded(made(number, record), edges[0])).element_spec
    if masks:
        dataset = dataset.map(lambda number, record: (number, record, masks(number)))
    if len(layout.boundaries) == 1:
        batched = dataset.padded_batch(layout.batch)
    else:
        batched = dataset.group_by_window(
            lambda number, *_: buckets[number],
            lambda _, window: window.padded_batch(layout.batch),
            window_size=layout.batch,
        )

    def cut(numbers: tf.Tensor, records: tf.Tensor, *masked: tf.Tensor) -> dict[str, tf.Tensor]:
        edge = edges[buckets[numbers[0]] if len(layout.boundaries) > 1 else 0]
        there = tf.shape(numbers)[0]

        def utterance(row: tf.Tensor) -> dict[str, tf.Tensor]:
            found = made(numbers[row], records[row])
            if masked:
                seen = masked[0][row, : tf.shape(found["features"])[0]]
                found["features"] = tf.where(seen, found["features"], tf.zeros([], found["features"].dtype))
            return _padded(found, edge)

        own = tf.clip_by_value(there - rows.start, 0, len(rows))
        places = tf.minimum(tf.range(rows.start, rows.start + tf.maximum(own, 1)), there - 1)  # none has no shape
        parsed = tf.map_fn(utterance, places, fn_output_signature=spec)
        parsed["labels"] = parsed["labels"][:, : tf.reduce_max(parsed["label_lengths"])]
        batch = _filled_up({name: values[:own] for name, values in parsed.items()}, len(rows))
        nobody = tf.fill([layout.batch - there], tf.cast(tf.size(buckets), numbers.dtype))
        numbers = tf.concat([numbers, nobody], 0)
        whole = {name: tf.gather(values, numbers) for name, values in known.items()}
        return batch | {name: tf.ensure_shape(values, [layout.batch]) for name, values in whole.items()}

    return batched.map(cut, num_parallel_calls=readers, deterministic=True)


def _relabelled(labels: Sequence[Sequence[int] | None]) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """Return a function that replaces an utterance's own labels by others."""
    tf = import_tensorflow()
    flat = [label for each in labels for label in each or ()]
    others = tf.RaggedTensor.from_row_lengths(
        tf.constant(flat, tf.int32), tf.constant([len(each or ()) for each in labels], tf.int64)
    )

    def relabel(utterance: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        other = others[utterance["number"]]
        kept = tf.cond(tf.size(other) > 0, lambda: other, lambda: utterance["labels"])
        return utterance | {"labels": kept, "label_lengths": tf.size(kept)}

    return relabel


def _buckets_of(
    layout: Buckets, lengths: np.ndarray, chosen: np.ndarray | None, rng: np.random.Generator | None
) -> np.ndarray:
    """Return the bucket of every utterance, int64; -1 of those that are not chosen."""
    if chosen is None:
        return layout.assign(lengths, rng)
    buckets = np.full(len(lengths), -1, np.int64)
    buckets[chosen] = layout.assign(lengths[chosen], rng)
    return buckets


def dataset_options() -> tf.data.Options:
    """Return options that leave readers and buffer as the platform says: no tuning, one thread a reader."""
    tf = import_tensorflow()
    options = tf.data.Options()
    # Tuning sleeps ever longer, and giving up an iterator waits for it: 4.8 s after 5.5 s of reading.
    options.autotune.enabled = False
    options.threading.max_intra_op_parallelism = 1
    # Rewriting the datasets takes 60 ms a time that they are begun, and finds nothing to make faster.
    options.experimental_optimization.apply_default_optimizations = False
    return options


def _shards(manifest: Manifest, role_or_subset: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the files of the shards that hold utterances, how many each holds, and how many come before it."""
    shards = manifest.select(role_or_subset)
    counts = np.array([len(shard.frames) for shard in shards], np.int64)
    firsts = np.cumsum(counts) - counts
    full = np.flatnonzero(counts)
    return np.array([shards[n].file for n in full]), counts[full], firsts[full]


def _paths(folder: Path | None, files: np.ndarray) -> np.ndarray:
    if folder is None:
        raise ValueError("no folder and no recordings; expected one of both")
    for path in (paths := [folder / file for file in files]):
        if not path.is_file():
            raise ManifestError(f"{path}: in the manifest but not in the folder; extract the features again")
    return np.array([str(path) for path in paths])


def _normalised(
    utterance: dict[str, tf.Tensor], normalisation: str, pad: Callable[[tf.Tensor], tf.Tensor] | None
) -> dict[str, tf.Tensor]:
    tf = import_tensorflow()
    utterance["features"] = normalise(utterance["features"], normalisation)
    if pad:
        utterance["features"] = pad(utterance["features"])
    utterance["label_lengths"] = tf.size(utterance["labels"])
    return utterance


def normalise(features: tf.Tensor, normalisation: str) -> tf.Tensor:
    """[T, F] -> [T, F]: "none"; "frame-l2", frames of length 1; "utterance", features of mean 0 and variance 1.

    The result is float32, except for "none": as stored, float16, features are half as much to put into a batch.
    """
    tf = import_tensorflow()
    if normalisation == "frame-l2":
        return tf.math.l2_normalize(tf.cast(features, tf.float32), axis=1)
    if normalisation == "utterance":
        features = tf.cast(features, tf.float32)
        centred = features - tf.reduce_mean(features, 0)  # tf.nn.moments would do this, and we again
        return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), 0) + 1e-6)
    if normalisation != "none":
        raise ValueError(f"normalisation is {normalisation!r}; expected one of {NORMALISATIONS}")
    return features


def _in_buckets(dataset: tf.data.Dataset, layout: Buckets) -> tf.data.Dataset:
    """Put utterances into batches of one `bucket` each, padded to its edge."""
    tf = import_tensorflow()
    edges = tf.constant(layout.boundaries, tf.int64)

    def batches(of_bucket: tf.data.Dataset, number: int | tf.Tensor) -> tf.data.Dataset:
        shapes = {  # features are padded to the edge, labels to the longest of the batch
            name: [edges[number], spec.shape[1]] if name == "features" else spec.shape
            for name, spec in dataset.element_spec.items()
        }
        return of_bucket.padded_batch(layout.batch, shapes)

    if len(layout.boundaries) == 1:
        return batches(dataset, 0)
    return dataset.group_by_window(
        lambda utterance: utterance["bucket"], lambda number, window: batches(window, number), window_size=layout.batch
    )


def _padded(utterance: dict[str, tf.Tensor], edge: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return an utterance with features and labels padded to `edge`, without its number."""
    tf = import_tensorflow()
    edge = tf.cast(edge, tf.int32)

    def pad(values: tf.Tensor) -> tf.Tensor:
        if values.shape.rank == 0:
            return values
        after = [[0, edge - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
        return tf.ensure_shape(tf.pad(values, after), [None, *values.shape[1:]])

    return {name: pad(values) for name, values in utterance.items() if name != "number"}


def _filled_up(batch: dict[str, tf.Tensor], size: int) -> dict[str, tf.Tensor]:
    """Cast features to float32 and add empty utterances up to `size`. A full batch, as most are, is not copied."""
    tf = import_tensorflow()
    batch = {name: values for name, values in batch.items() if name != "bucket"}
    batch["features"] = tf.cast(batch["features"], tf.float32)
    missing = size - tf.shape(batch["frames"])[0]

    def fill(values: tf.Tensor) -> tf.Tensor:
        paddings = [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)
        return tf.pad(values, paddings, constant_values="" if values.dtype == tf.string else 0)

    filled = tf.cond(missing > 0, lambda: {name: fill(values) for name, values in batch.items()}, lambda: batch)
    return {name: tf.ensure_shape(values, [size, *values.shape[1:]]) for name, values in filled.items()}
