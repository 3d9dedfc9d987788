"""Batches for training and evaluation, read from shards by tf.data.

    layout = Layout.bucketed(manifest.lengths("train"), batch=16, buckets=4)
    dataset = read_batches(folder, manifest, "train", layout, readers=2, buffer=8, order=Order(seed=1, epoch=3))
    layout.batches(manifest.lengths("train"))        # how many there are, without reading

A batch always has the layout's full number of utterances: the last one of a bucket is filled up with empty
utterances of 0 frames and no weight. So shapes are few (one a bucket), every utterance comes exactly once an
epoch, and any number of replicas that divides the batch can share it. The order depends on seed and epoch alone,
not on the number of readers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.augment import spec_augment
from features.manifest import Manifest, ManifestError
from features.quiet import import_tensorflow
from features.records import open_shard, parse

if TYPE_CHECKING:
    import tensorflow as tf

NORMALISATIONS = ("none", "frame-l2", "utterance")
INTERLEAVED_SHARDS = 16
SHUFFLE_WINDOW = 1024
EDGE_STEP_FRAMES = 8


@dataclass(frozen=True)
class Layout:
    """How utterances are put into batches: `batch` utterances each, padded to the first of `edges` that fits."""

    batch: int
    edges: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.edges or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"{self}: expected a batch of at least 1 and edges that rise")

    @classmethod
    def bucketed(cls, lengths: Iterable[int], *, batch: int, buckets: int) -> Layout:
        """At most `buckets` buckets whose edges, multiples of 8 frames, leave the least padding."""
        steps = Counter(-(-length // EDGE_STEP_FRAMES) for length in lengths)
        best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}  # last edge -> frames so far, edges so far
        for _ in range(min(buckets, len(steps))):
            best |= {
                edge: min(
                    (frames + edge * sum(n for step, n in steps.items() if last < step <= edge), (*edges, edge))
                    for last, (frames, edges) in best.items()
                    if last <= edge
                )
                for edge in steps
            }
        edges = best[max(steps)][1]
        return cls(batch, tuple(edge * EDGE_STEP_FRAMES for edge in sorted(set(edges))))

    @classmethod
    def fixed(cls, frames: int, *, batch: int) -> Layout:
        """Everything padded to `frames`, as in the paper (1670)."""
        return cls(batch, (frames,))

    def batches(self, lengths: Iterable[int]) -> int:
        """How many batches utterances of these lengths make."""
        return sum(-(-count // self.batch) for count in self._fill(lengths).values())

    def padded_share(self, lengths: Iterable[int]) -> float:
        """The share of all frames in the batches that is padding, empty utterances included."""
        lengths = list(lengths)
        frames = sum(-(-n // self.batch) * self.batch * self.edges[b] for b, n in self._fill(lengths).items())
        return 1 - sum(lengths) / frames

    def _fill(self, lengths: Iterable[int]) -> Counter[int]:
        return Counter(bisect_left(self.edges, length) for length in lengths)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the order of utterances depends on. `files_only` shuffles shards but not utterances, as the authors did."""

    seed: int
    epoch: int
    files_only: bool = False

    def generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch])


def read_batches(
    folder: Path,
    manifest: Manifest,
    role_or_subset: str,
    layout: Layout,
    *,
    readers: int,
    buffer: int,
    normalisation: str = "utterance",
    augment: str = "none",
    order: Order | None = None,
) -> tf.data.Dataset:
    """One epoch. Without `order`: in the order of the shards, for evaluation.

    Args:
        readers: parallel reads and parses; `buffer`: batches made ahead.
        augment: "specaugment" masks a stretch of mel bands and one of time in every utterance, anew each epoch.

    Returns:
        A dataset of dicts: features float32 [B, T, 93] (T one of layout.edges), frames int32 [B],
        labels int32 [B, L], label_lengths int32 [B], id and sentence string [B]. Filled-up places have 0 frames.

    Raises:
        ManifestError: a shard file is missing.
    """
    tf = import_tensorflow()
    paths = _shard_paths(folder, manifest, role_or_subset)
    rng = order.generator() if order else None
    if rng is not None:
        paths = [paths[i] for i in rng.permutation(len(paths))]
    dataset = tf.data.Dataset.from_tensor_slices(paths).interleave(
        lambda path: open_shard(path, manifest.settings),
        cycle_length=INTERLEAVED_SHARDS,
        num_parallel_calls=min(readers, INTERLEAVED_SHARDS),
        deterministic=True,
    )
    if rng is not None and not order.files_only:
        dataset = dataset.shuffle(SHUFFLE_WINDOW, seed=int(rng.integers(1 << 31)))
    dataset = dataset.map(
        lambda record: _utterance(record, manifest, normalisation), num_parallel_calls=readers, deterministic=True
    )
    if augment == "specaugment":
        dataset = dataset.map(spec_augment(int(rng.integers(1 << 31)) if rng is not None else 0))
    elif augment != "none":
        raise ValueError(f"augment is {augment!r}; expected none or specaugment")
    return _in_buckets(dataset, layout).map(lambda batch: _filled_up(batch, layout.batch)).prefetch(buffer)


def _shard_paths(folder: Path, manifest: Manifest, role_or_subset: str) -> list[str]:
    paths = [folder / shard.file for shard in manifest.select(role_or_subset) if shard.frames]
    for path in paths:
        if not path.is_file():
            raise ManifestError(f"{path}: in the manifest but not in the folder; extract the features again")
    return [str(path) for path in paths]


def _utterance(record: tf.Tensor, manifest: Manifest, normalisation: str) -> dict[str, tf.Tensor]:
    tf = import_tensorflow()
    utterance = parse(record, manifest.settings)
    utterance["features"] = normalise(utterance["features"], normalisation)
    utterance["label_lengths"] = tf.size(utterance["labels"])
    return utterance


def normalise(features: tf.Tensor, normalisation: str) -> tf.Tensor:
    """[T, 93] -> [T, 93]: "none"; "frame-l2", frames of length 1; "utterance", features of mean 0 and variance 1."""
    tf = import_tensorflow()
    if normalisation == "frame-l2":
        return tf.math.l2_normalize(features, axis=1)
    if normalisation == "utterance":
        mean, variance = tf.nn.moments(features, 0)
        return (features - mean) * tf.math.rsqrt(variance + 1e-6)
    if normalisation != "none":
        raise ValueError(f"normalisation is {normalisation!r}; expected one of {NORMALISATIONS}")
    return features


def _in_buckets(dataset: tf.data.Dataset, layout: Layout) -> tf.data.Dataset:
    # tf.data's boundaries are exclusive and it pads to boundary - 1, hence edge + 1. Labels get padded as far.
    boundaries = [edge + 1 for edge in layout.edges]
    sizes = [layout.batch] * (len(boundaries) + 1)
    return dataset.bucket_by_sequence_length(
        lambda utterance: utterance["frames"], boundaries, sizes, pad_to_bucket_boundary=True
    )


def _filled_up(batch: dict[str, tf.Tensor], size: int) -> dict[str, tf.Tensor]:
    """Add empty utterances until there are `size`."""
    tf = import_tensorflow()

    def fill(values: tf.Tensor) -> tf.Tensor:
        missing = [[0, size - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
        return tf.ensure_shape(
            tf.pad(values, missing, constant_values="" if values.dtype == tf.string else 0), [size, *values.shape[1:]]
        )

    return {name: fill(values) for name, values in batch.items()}
