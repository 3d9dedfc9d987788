"""The TFRecord schema, once: how an utterance is written, how it is read back.

One tf.train.Example an utterance:

    id        bytes   utterance id, UTF-8
    sentence  bytes   the transcript, UTF-8
    labels    bytes   uint8 [L], `features.text.encode(sentence)`
    features  bytes   float16 or float32 [T, 93], raw little-endian, not normalised

Raw bytes are read five to eight times faster than a FloatList under GZIP. Shards are written whole or not at
all: beside, then renamed, then a `.json` with what is in them, which is what marks a shard as finished.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from features import extract, manifest, text
from features.corpus import Utterance
from features.files import digest as file_digest
from features.files import write_whole
from features.process import import_tensorflow
from features.tfrecord import Writer, example

if TYPE_CHECKING:
    import tensorflow as tf

CONVOLUTION_FRAMES, CONVOLUTION_STRIDE = 11, 2
"""The model's first layer: what it can take in, and what it leaves for CTC to align."""


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """A shard to be written: which utterances, in which order, to which file."""

    path: Path
    subset: str
    utterances: tuple[Utterance, ...]
    settings: manifest.Settings
    skip_bad: bool

    @property
    def key(self) -> str:
        """Changes with the settings, the transcripts and the audio files: a finished shard of the same key is kept."""
        digest = hashlib.sha256(json.dumps([manifest.SCHEMA, asdict(self.settings)]).encode())
        for utterance in self.utterances:
            status = utterance.audio.stat()
            entry = [utterance.id, utterance.sentence, status.st_size, status.st_mtime_ns]
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class ShardOutcome:
    """The result of a ShardPlan: the manifest's entry, its words, and what was left out, bad and converted."""

    key: str
    shard: manifest.Shard
    words: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = [*self.words, *self.dropped.values(), *self.bad.values()]
        if not all(isinstance(text, str) for text in texts) or not all(type(n) is int for n in self.notes.values()):
            raise ValueError(f"{self.shard.file}: found something else where words, reasons or counts were expected")


def misfit(frames: int, labels: int, max_frames: int) -> str | None:
    """Why an utterance cannot be trained on, or None if it can.

    The model makes (T - 11) // 2 + 1 output frames of T; CTC needs one for each label.
    """
    if frames > max_frames:
        return f"{frames} frames, longer than {max_frames}"
    if frames < CONVOLUTION_FRAMES:
        return f"{frames} frames, shorter than the convolution's {CONVOLUTION_FRAMES}"
    outputs = (frames - CONVOLUTION_FRAMES) // CONVOLUTION_STRIDE + 1
    if labels > outputs:
        return f"{labels} labels for {outputs} output frames"
    return None


def write_shard(plan: ShardPlan) -> ShardOutcome:
    """Extract and write one shard; runs in a worker process.

    Raises:
        ValueError: an audio file cannot be read and the plan says not to skip bad ones; the message names it.
    """
    key = plan.key
    frames: list[int] = []
    words: set[str] = set()
    dropped: dict[str, str] = {}
    bad: dict[str, str] = {}
    notes: Counter[str] = Counter()
    beside = unfinished_path(plan.path)
    outcome_path(plan.path).unlink(missing_ok=True)  # what it says will no longer be true
    with Writer(beside, gzipped=plan.settings.compression == "gzip") as writer:
        for utterance in plan.utterances:
            try:
                audio = extract.read_audio(utterance.audio, max_frames=plan.settings.max_frames)
            except extract.TooLongError as error:
                dropped[utterance.id] = misfit(error.frames, 0, plan.settings.max_frames)
                continue
            except ValueError as error:
                if not plan.skip_bad:
                    raise
                bad[utterance.id] = str(error).replace(str(utterance.audio), utterance.audio.name)
                continue
            labels = text.encode(utterance.sentence)
            reason = misfit(extract.frame_count(len(audio.samples)), len(labels), plan.settings.max_frames)
            if reason:
                dropped[utterance.id] = reason
                continue
            matrix = extract.features(audio.samples).astype(plan.settings.dtype)
            writer.write(_example(utterance, labels, matrix.tobytes()))
            frames.append(len(matrix))
            words.update(utterance.sentence.split())
            notes.update(audio.notes)
    shard = manifest.Shard(
        file=plan.path.name,
        subset=plan.subset,
        frames=tuple(frames),
        sha256=file_digest(beside),
        bytes=beside.stat().st_size,
    )
    beside.replace(plan.path)
    outcome = ShardOutcome(
        key=key, shard=shard, words=tuple(sorted(words)), dropped=dropped, bad=bad, notes=dict(notes)
    )
    write_whole(outcome_path(plan.path), json.dumps(asdict(outcome)))
    return outcome


def finished(plan: ShardPlan) -> ShardOutcome | None:
    """The outcome of a shard that an earlier run finished with the same key, if its file is still there, and whole."""
    try:
        fields = json.loads(outcome_path(plan.path).read_text(encoding="utf-8"))
        shard = manifest.Shard(**{**fields["shard"], "frames": tuple(fields["shard"]["frames"])})
        outcome = ShardOutcome(**{**fields, "shard": shard})
        whole = plan.path.stat().st_size == shard.bytes
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    named = (shard.file, shard.subset) == (plan.path.name, plan.subset)
    usable = whole and named and outcome.key == plan.key and (plan.skip_bad or not outcome.bad)
    return outcome if usable else None


def outcome_path(shard: Path) -> Path:
    return shard.with_suffix(".json")


def unfinished_path(shard: Path) -> Path:
    return shard.with_name(shard.name + ".tmp")


def parse(serialized: tf.Tensor, settings: manifest.Settings) -> dict[str, tf.Tensor]:
    """One serialized Example -> id [], sentence [], labels int32 [L], features as stored [T, 93], frames int32 []."""
    tf = import_tensorflow()

    names = ("id", "sentence", "labels", "features")
    fields = tf.io.parse_single_example(serialized, {name: tf.io.FixedLenFeature([], tf.string) for name in names})
    stored = tf.io.decode_raw(fields["features"], tf.as_dtype(settings.dtype))
    matrix = tf.reshape(stored, [-1, settings.features])
    return {
        "id": fields["id"],
        "sentence": fields["sentence"],
        "labels": tf.cast(tf.io.decode_raw(fields["labels"], tf.uint8), tf.int32),
        "features": matrix,
        "frames": tf.shape(matrix)[0],
    }


def open_shard(path: str | tf.Tensor, settings: manifest.Settings) -> tf.data.TFRecordDataset:
    """The serialized Examples of one shard, in order."""
    tf = import_tensorflow()

    compression = {"none": "", "gzip": "GZIP"}[settings.compression]
    return tf.data.TFRecordDataset(path, compression_type=compression)


def _example(utterance: Utterance, labels: list[int], features: bytes) -> bytes:
    fields = {"id": utterance.id.encode(), "sentence": utterance.sentence.encode(), "labels": bytes(labels)}
    return example({**fields, "features": features})


@contextmanager
def worker_environment() -> Iterator[None]:
    """Give processes that are spawned inside this context one thread each."""
    ours = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
