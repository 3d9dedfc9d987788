"""Part `input`: utterances read, parsed and batched a second, on one core.

Ours: `features.reading.batches.read_batches` from float16 shards of 12-second utterances, normalised, in shuffled
order. Baseline: the layout of the paper's authors, GZIP TFRecords of tf.train.Example with a FloatList of T *
93 features, parsed as VarLen, padded into batches, not shuffled, not normalised. Limit: the shards' bytes read from the
page cache into one buffer, on the same core.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from benchmark.speed.contest import Arena, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import FEATURES, Setting
from features.corpus.audio import SAMPLE_RATE_HZ, STEP_SAMPLES
from features.frames import mfcc as extract
from features.shards import manifest
from platforms.machine import affinity

FRAMES = 1200
BATCH = 24
TARGET_PER_S = 2000
DISTINCT = 16  # how often noise is made; the shards repeat it


def measure(setting: Setting) -> list[Result]:
    """Measure reading; return one Result."""
    ours, theirs = (128, 16) if setting.tiny else (1536, 192)  # utterances an answer
    with tempfile.TemporaryDirectory() as folder, Arena() as arena:
        shards = write_shards(Path(folder), utterances=ours, frames=FRAMES)
        authors = write_authors_shard(Path(folder) / "authors.tfrecord", utterances=theirs)
        core = affinity()[0]
        running = {
            "ours": arena.enter(contender("reading", "ours", folder=folder, core=core)),
            "authors": arena.enter(contender("reading", "authors", path=str(authors), core=core)),
            "read": arena.enter(contender("limits", "read", paths=[str(path) for path in shards], core=core)),
        }
        turns = {name: one.ask for name, one in running.items()}
        played = play(turns, rounds=setting.rounds, label="input")
    read_s = played.median("read") / ours
    return [
        Result(
            part="input, one core",
            unit="utterances/s",
            ours=played.median("ours", "per_s"),
            baseline=played.median("authors", "per_s"),
            ratios=played.ratios("ours", "authors", "per_s"),
            limit_share=read_s * played.median("ours", "per_s"),
            note=f"utterances of {FRAMES} frames; baseline: the authors' GZIP FloatList layout; limit: the plain "
            f"read of the shards' bytes, {1 / read_s:,.0f} utterances/s; target {TARGET_PER_S:,} a core",
            measured=played.answers,
        )
    ]


def write_shards(folder: Path, *, utterances: int, frames: int, labels: int = 5, copies: int = 8) -> list[Path]:
    """Write shards and manifest of a subset train-noise, of at least `utterances` utterances of `frames` frames.

    DISTINCT stretches of noise are extracted once; a TFRecord file repeated `copies` times is a TFRecord file too.
    """
    from features.corpus.layout import Utterance
    from features.shards import records

    sentence = ("noise" * labels)[:labels]
    settings, spoken = manifest.Settings(max_frames=max(frames, 11)), []
    for number, samples in enumerate(_noise(frames)):
        audio = folder / f"1-1-{number:04d}.flac"
        soundfile.write(audio, samples, SAMPLE_RATE_HZ)
        spoken.append(Utterance(id=audio.stem, subset="train-noise", speaker="1", audio=audio, sentence=sentence))
    first = records.ShardPlan(
        path=folder / "once.tfrecord", subset="train-noise", utterances=tuple(spoken), settings=settings, skip_bad=False
    )
    once = records.write_shard(first).shard
    content = first.path.read_bytes() * copies
    paths = [folder / f"train-noise-{number:05d}.tfrecord" for number in range(-(-utterances // (DISTINCT * copies)))]
    for path in paths:
        path.write_bytes(content)
    digest = records.file_digest(paths[0])
    shards = tuple(
        replace(once, file=path.name, frames=once.frames * copies, sha256=digest, bytes=len(content)) for path in paths
    )
    manifest.save(manifest.Manifest(settings=settings, shards=shards, words=(sentence,)), folder)
    return paths


def write_authors_shard(path: Path, *, utterances: int) -> Path:
    """Write the authors' layout: features as a FloatList, labels as an Int64List, all under GZIP."""
    from features.jobs.process import import_tensorflow

    tf, kinds = import_tensorflow(), [extract.features(samples) for samples in _noise(FRAMES)]
    feature = tf.train.Feature
    with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
        for n in range(utterances):
            matrix = kinds[n % DISTINCT]
            fields = {
                "features": feature(float_list=tf.train.FloatList(value=matrix.reshape(-1))),
                "labels": feature(int64_list=tf.train.Int64List(value=[14, 15, 9, 19, 5])),
                "frames": feature(int64_list=tf.train.Int64List(value=[len(matrix)])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=fields)).SerializeToString())
    return path


def _noise(frames: int) -> list[np.ndarray]:
    """Return noise at 16 kHz of `frames` frames, float32."""
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal(frames * STEP_SAMPLES, dtype=np.float32) for _ in range(DISTINCT)]


def ours(*, folder: str) -> Callable[[str], dict]:
    from features.jobs.process import keep_memory
    from features.reading.batches import Buckets, EpochOrder, read_batches

    keep_memory()  # as in a run
    found = manifest.load(Path(folder))
    layout = Buckets.bucketed(found.lengths("train"), batch=BATCH, buckets=4)
    epoch = 0

    def epoch_of_batches():
        nonlocal epoch
        epoch += 1
        order = EpochOrder(seed=1, epoch=epoch)
        return read_batches(Path(folder), found, "train", layout, readers=2, buffer=8, order=order)

    return _counting(epoch_of_batches)


def authors(*, path: str) -> Callable[[str], dict]:
    from benchmark.run.prepare.devices import tf

    kinds = {
        "features": tf.io.VarLenFeature(tf.float32),
        "labels": tf.io.VarLenFeature(tf.int64),
        "frames": tf.io.FixedLenFeature([], tf.int64),
    }

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        fields = tf.io.parse_single_example(record, kinds)
        matrix = tf.reshape(tf.sparse.to_dense(fields["features"]), [-1, FEATURES])
        return {"features": matrix, "labels": tf.sparse.to_dense(fields["labels"]), "frames": fields["frames"]}

    def epoch_of_batches():
        records = tf.data.TFRecordDataset(path, compression_type="GZIP")
        return records.map(parse, num_parallel_calls=2).padded_batch(BATCH).prefetch(8)

    return _counting(epoch_of_batches)


def _counting(epoch_of_batches: Callable) -> Callable[[str], dict]:
    def ask(_: str) -> dict:
        started_s, utterances, frames = time.monotonic(), 0, 0
        for batch in epoch_of_batches():
            utterances += int((batch["frames"] > 0).numpy().sum())
            frames += int(batch["frames"].numpy().sum())
        seconds = time.monotonic() - started_s
        return {"seconds": seconds, "per_s": utterances / seconds, "utterances": utterances, "frames": frames}

    ask("")
    return ask


CONTENDERS = {"ours": ours, "authors": authors}
