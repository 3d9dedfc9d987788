"""The TFRecord schema of an utterance: how it is written and how it is read back.

One tf.train.Example an utterance:

    id        bytes   utterance id, UTF-8
    sentence  bytes   the transcript, UTF-8
    labels    bytes   uint8 [L], `features.corpus.text.encode(sentence)`
    features  bytes   float16 or float32 [T, F], raw little-endian, not normalised

Raw bytes are read five to eight times faster than a FloatList under GZIP. Shards are written whole or not at
all: to a temporary file, then renamed; then a `.json` with their content is written, which marks a shard as finished.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from threadpoolctl import threadpool_limits

from features.corpus import layout as corpus
from features.corpus import noise, text
from features.corpus.audio import FRAME_STEP_S, Audio, Header, TooLongError, read_audio, read_header
from features.corpus.layout import Utterance
from features.corpus.listing import Selection
from features.frames.kinds import FrontEnd
from features.jobs.files import digest as file_digest
from features.jobs.files import write_whole
from features.jobs.process import import_tensorflow
from features.shards import apart, manifest
from features.shards.tfrecord import Writer, example

if TYPE_CHECKING:
    import tensorflow as tf

KEY_SCHEMA = 3  # shards that were written by schema 3 of the manifest are as good


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """A shard to be written: which utterances, in which order, to which file."""

    path: Path
    subset: str
    utterances: Sequence[Utterance]
    settings: manifest.Settings
    skip_bad: bool

    @property
    def brief(self) -> str:
        """A digest that changes when `key` does; for a Selection it needs no transcript."""
        if isinstance(self.utterances, Selection):
            texts = self.utterances.digest
        else:
            texts = hashlib.sha256(b"".join(utterance.digest for utterance in self.utterances)).hexdigest()
        return _digest([KEY_SCHEMA, self.settings.identity, texts])

    @property
    def key(self) -> str:
        """A digest of the settings, the utterances and their transcripts; a shard of another key is extracted again."""
        texts = [[utterance.id, utterance.sentence] for utterance in self.utterances]
        return _digest([KEY_SCHEMA, self.settings.identity, texts])

    @property
    def stamp(self) -> str:
        """A digest that changes when any audio file was written or replaced; its samples are then compared.

        The time of the last change (ctime) cannot be set back, as that of modification can.
        """
        if isinstance(self.utterances, Selection):
            statuses = [os.stat(path) for path in self.utterances.audio]
        else:
            statuses = [utterance.audio.stat() for utterance in self.utterances]
        return _digest([[status.st_size, status.st_mtime_ns, status.st_ctime_ns] for status in statuses])


@dataclass(frozen=True, kw_only=True)
class ShardOutcome:
    """The result of a ShardPlan: the manifest's entry, how often each word comes, what was left out and converted.

    `key`, `brief` and `stamp` are the plan's. `brief` is "" if an older version wrote the shard.
    """

    key: str
    stamp: str
    brief: str = ""
    shard: manifest.Shard
    words: dict[str, int]
    left_out: tuple[manifest.LeftOut, ...]
    notes: dict[str, int]
    recordings: str = ""
    speakers: str = ""

    def __post_init__(self) -> None:
        counts = [*self.words.values(), *self.notes.values()]
        texts = (self.key, self.stamp, self.brief, self.recordings, self.speakers)
        if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
            raise ValueError(f"{self.shard.file}: found something else where a stamp or counts were expected")

    @classmethod
    def from_json(cls, text: str) -> ShardOutcome:
        """Make an outcome from its JSON. Raises ValueError, KeyError, TypeError or AttributeError for other text."""
        fields = json.loads(text)
        left_out = tuple(manifest.LeftOut(**each) for each in fields["left_out"])
        return cls(**{**fields, "shard": manifest.Shard.from_dict(fields["shard"]), "left_out": left_out})

    @property
    def bad(self) -> bool:
        """Whether an utterance with unusable audio was left out."""
        return any(each.kind == manifest.BAD_AUDIO for each in self.left_out)


@dataclass(frozen=True)
class Usable:
    """An utterance that can be trained on, with its audio, or what its header says of it, and its labels."""

    utterance: Utterance
    audio: Audio | Header
    labels: list[int]


def misfit(frames: int, labels: int, max_frames: int, kind: FrontEnd) -> tuple[str, str] | None:
    """Kind and reason why an utterance is left out, or None if it is not."""
    if frames > max_frames:
        return manifest.TOO_LONG, f"{frames} frames, longer than {max_frames}"
    if frames < kind.least_frames:
        return manifest.TOO_SHORT, f"{frames} frames, shorter than the convolution's {kind.least_frames}"
    if (most := kind.labels_at_most(frames)) is not None and labels > most:
        return manifest.TOO_DENSE, f"{labels} labels for {most} output frames"
    return None


def write_shard(plan: ShardPlan) -> ShardOutcome:
    """Extract and write one shard, or keep it if its samples are the same; runs in a worker process.

    One thread computes, so that the bytes do not depend on how many there are.

    Raises:
        ValueError: an audio file cannot be used and the plan says not to skip bad ones; the message names it.
    """
    with threadpool_limits(limits=1):
        return _kept(plan) or _written(plan)


def look_at(plan: ShardPlan) -> ShardOutcome:
    """Return what `write_shard` would, from the headers of FLAC files alone, and write nothing.

    A plan that skips bad recordings is decoded whole: whether a recording is bad does not show in its header.

    Raises:
        ValueError: as `write_shard` does, for what is seen.
    """
    read = read_audio if plan.skip_bad else read_header
    tally = _Tally()
    for found in _looked_at(plan, read):
        tally.add(found)
    return tally.outcome(plan, sha256=hashlib.sha256().hexdigest(), size=0, stamp="")


def _written(plan: ShardPlan) -> ShardOutcome:
    tally, stamp = _Tally(), plan.stamp
    beside = unfinished_path(plan.path)
    outcome_path(plan.path).unlink(missing_ok=True)  # what it says will no longer be true
    with Writer(beside, gzipped=plan.settings.compression == "gzip") as writer:
        for found in _looked_at(plan):
            if isinstance(found, Usable) and isinstance(found.audio, Audio):
                matrix = stored(found.utterance, found.audio, plan.settings)
                writer.write(_example(found.utterance, found.labels, matrix.tobytes()))
            tally.add(found)
    outcome = tally.outcome(plan, sha256=file_digest(beside), size=beside.stat().st_size, stamp=stamp)
    beside.replace(plan.path)
    return _noted(plan, outcome)


def stored(utterance: Utterance, audio: Audio, settings: manifest.Settings) -> np.ndarray:
    """The features of an utterance as a shard stores them, [T, F] in float16 or float32."""
    samples = audio.samples
    if settings.snr_db is not None and corpus.role(utterance.subset) == "train":
        samples = noise.noisy_audio(samples, name=utterance.id, snr_db=settings.snr_db)
    return settings.kind.stored(samples).astype(settings.dtype)


class _Tally:
    """Collects what a shard's manifest entry needs, utterance by utterance."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.words: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.left_out: list[manifest.LeftOut] = []
        self.content = hashlib.sha256()
        self.recordings: list[str] = []
        self.speakers: set[str] = set()

    def add(self, found: Usable | manifest.LeftOut) -> None:
        if isinstance(found, manifest.LeftOut):
            self.left_out.append(found)
            return
        self.content.update(_content(found))
        self.frames.append(found.audio.frames)
        self.words.update(found.utterance.sentence.split())
        self.notes.update(found.audio.notes)
        self.recordings.append(found.audio.digest)
        self.speakers.add(found.utterance.speaker)

    def outcome(self, plan: ShardPlan, *, sha256: str, size: int, stamp: str) -> ShardOutcome:
        shard = manifest.Shard(
            file=plan.path.name,
            subset=plan.subset,
            frames=tuple(self.frames),
            content=self.content.hexdigest(),
            sha256=sha256,
            bytes=size,
        )
        left_out, words, notes = tuple(self.left_out), dict(self.words), dict(self.notes)
        return ShardOutcome(
            key=plan.key,
            brief=plan.brief,
            stamp=stamp,
            shard=shard,
            words=words,
            left_out=left_out,
            notes=notes,
            recordings=apart.marks(self.recordings),
            speakers=apart.marks(sorted(self.speakers)),
        )


def _kept(plan: ShardPlan) -> ShardOutcome | None:
    """Return the outcome of a finished shard whose audio files have other times but the same samples."""
    outcome = _earlier(plan)
    if outcome is None:
        return None
    stamp, content = plan.stamp, hashlib.sha256()
    left_out = []
    for found in _looked_at(plan):
        if isinstance(found, manifest.LeftOut):
            left_out.append(found)
        else:
            content.update(_content(found))
    if (content.hexdigest(), tuple(left_out)) != (outcome.shard.content, outcome.left_out):
        return None
    return _noted(plan, _by_speakers_now(plan, replace(outcome, stamp=stamp)))


def _noted(plan: ShardPlan, outcome: ShardOutcome) -> ShardOutcome:
    write_whole(outcome_path(plan.path), json.dumps({**asdict(outcome), "shard": outcome.shard.to_dict()}))
    return outcome


def _looked_at(
    plan: ShardPlan, read: Callable[..., Audio | Header] = read_audio
) -> Iterator[Usable | manifest.LeftOut]:
    """Read every utterance of a plan. Raises ValueError as `write_shard` does."""
    longest, fits = plan.settings.max_frames, plan.settings.kind
    for utterance in plan.utterances:
        lost = partial(manifest.LeftOut, where=utterance.id, subset=plan.subset)
        try:
            audio = read(utterance.audio, max_frames=longest)
        except TooLongError as error:
            kind, reason = cast(tuple[str, str], misfit(error.frames, 0, longest, fits))
            seconds = error.frames * FRAME_STEP_S
            yield lost(kind=kind, reason=reason, seconds=round(seconds, 2))
            continue
        except ValueError as error:
            if not plan.skip_bad:
                raise
            reason = str(error).replace(str(utterance.audio), utterance.audio.name)
            yield lost(kind=manifest.BAD_AUDIO, reason=reason)
            continue
        labels = text.encode(utterance.sentence)
        if why := misfit(audio.frames, len(labels), longest, fits):
            yield lost(kind=why[0], reason=why[1], seconds=round(audio.seconds, 2))
            continue
        yield Usable(utterance, audio, labels)


def _content(found: Usable) -> bytes:
    """Return the digest that identifies an utterance: of its id, its transcript and its samples."""
    return json.dumps([found.utterance.id, found.utterance.sentence, found.audio.digest]).encode()


def finished(plan: ShardPlan) -> ShardOutcome | None:
    """Return the outcome of a shard that an earlier run finished, of the same key and stamp, if its file is whole."""
    outcome = _earlier(plan)
    return _by_speakers_now(plan, outcome) if outcome and outcome.stamp == plan.stamp else None


def _by_speakers_now(plan: ShardPlan, outcome: ShardOutcome) -> ShardOutcome:
    """Return an outcome with its speakers as their folders are called now: renaming one changes no file in it."""
    if not outcome.speakers:  # of an older version, which did not look
        return outcome
    left_out = {each.where for each in outcome.left_out}
    if isinstance(plan.utterances, Selection):
        paths = map(Path, plan.utterances.audio)  # SPEAKER/CHAPTER/ID.flac
        speakers = {path.parent.parent.name for path in paths if path.stem not in left_out}
    else:
        speakers = {each.speaker for each in plan.utterances if each.id not in left_out}
    return replace(outcome, speakers=apart.marks(sorted(speakers)))


def _earlier(plan: ShardPlan) -> ShardOutcome | None:
    """Return the outcome of a finished, whole shard of the same key, whatever its stamp."""
    try:
        outcome = ShardOutcome.from_json(outcome_path(plan.path).read_text(encoding="utf-8"))
        shard = outcome.shard
        whole = plan.path.stat().st_size == shard.bytes
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    named = (shard.file, shard.subset) == (plan.path.name, plan.subset)
    usable = whole and named and (plan.skip_bad or not outcome.bad)
    alike = usable and (outcome.brief == plan.brief if outcome.brief else outcome.key == plan.key)
    return outcome if alike else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def outcome_path(shard: Path) -> Path:
    return shard.with_suffix(".json")


def unfinished_path(shard: Path) -> Path:
    return shard.with_name(shard.name + ".tmp")


def remove_unfinished(folder: Path, plans: Sequence[ShardPlan]) -> None:
    """Remove what processes that were ended in the middle left of shards: parts of them, or of their outcomes."""
    shards = [plan.path for plan in plans]
    parts, outcomes = {unfinished_path(shard) for shard in shards}, {outcome_path(shard).name for shard in shards}
    for left in folder.glob("*.tmp"):
        if left in parts or left.name.rsplit(".", 2)[0] in outcomes:  # NAME.PID.tmp: `write_whole`
            with suppress(OSError):
                left.unlink()


def parse(serialized: tf.Tensor, settings: manifest.Settings) -> dict[str, tf.Tensor]:
    """One serialized Example -> id [], sentence [], labels int32 [L], features as stored [T, F], frames int32 []."""
    tf = import_tensorflow()

    names = ("id", "sentence", "labels", "features")
    fields = tf.io.parse_single_example(serialized, {name: tf.io.FixedLenFeature([], tf.string) for name in names})
    stored = tf.io.decode_raw(fields["features"], tf.as_dtype(settings.dtype))
    matrix = tf.reshape(stored, [-1, settings.kind.size])
    return {
        "id": fields["id"],
        "sentence": fields["sentence"],
        "labels": tf.cast(tf.io.decode_raw(fields["labels"], tf.uint8), tf.int32),
        "features": matrix,
        "frames": frames_of(matrix, settings),
    }


def frames_of(matrix: tf.Tensor, settings: manifest.Settings) -> tf.Tensor:
    """Return the frames of an utterance whose features are stored as [T, F], int32 []: without edge frames."""
    tf = import_tensorflow()
    return tf.shape(matrix)[0] - settings.kind.edge_frames


def open_shard(path: str | tf.Tensor, settings: manifest.Settings) -> tf.data.TFRecordDataset:
    """Return a dataset of the serialized Examples of one shard, in order."""
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
