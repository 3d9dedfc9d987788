"""Features made on demand, straight from the recordings: no shards, no disk, no waiting before training.

    manifest, recordings = scan(Path("corpus"), settings=Settings(max_frames=1670), jobs=8)
    with recordings:
        for batch in read_batches(None, manifest, "train", layout, ..., recordings=recordings): ...

Headers tell how long every recording is, and the MD5 in FLAC files identifies it: so the manifest has the digest that
extraction would give, epochs have the same order, and batches are equal to the last digit. Worker processes decode
and transform; memory holds a few batches, however large the corpus. What this costs is inside the clock of training.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from features.corpus import text
from features.corpus.audio import read_audio
from features.corpus.layout import Utterance
from features.jobs.process import import_tensorflow
from features.jobs.workers import executor
from features.shards.extraction import scan_corpus
from features.shards.manifest import Manifest, Settings
from features.shards.records import frames_of, stored, worker_environment

if TYPE_CHECKING:
    import tensorflow as tf


class Recordings(AbstractContextManager["Recordings"]):
    """The recordings behind a manifest; `jobs` processes, started at the first request, make features of them."""

    def __init__(self, manifest: Manifest, of_shards: dict[str, list[Utterance]], *, jobs: int) -> None:
        self.manifest, self.jobs = manifest, jobs
        self._of_shards = of_shards
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def of(self, role_or_subset: str) -> list[Utterance]:
        """Return the utterances of a role or subset, shard by shard."""
        return [each for shard in self.manifest.select(role_or_subset) for each in self._of_shards[shard.file]]

    def reader(self, role_or_subset: str) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Return a function of `number`, int64 [], that gives an utterance as `features.shards.records.parse` does."""
        tf = import_tensorflow()
        utterances, lengths = self.of(role_or_subset), self.manifest.lengths(role_or_subset)
        settings = self.manifest.settings

        def made(number: np.int64) -> tuple[bytes, bytes, np.ndarray, np.ndarray]:
            utterance = utterances[number]
            labels = np.array(text.encode(utterance.sentence), np.int32)
            matrix = self._started().submit(features_of, utterance, lengths[int(number)], settings).result()
            return utterance.id.encode(), utterance.sentence.encode(), labels, matrix

        def read(number: Any) -> dict[str, Any]:
            types = (tf.string, tf.string, tf.int32, tf.as_dtype(settings.dtype))
            name, sentence, labels, matrix = tf.numpy_function(made, [number], types)
            return {
                "id": tf.ensure_shape(name, []),
                "sentence": tf.ensure_shape(sentence, []),
                "labels": tf.ensure_shape(labels, [None]),
                "features": tf.ensure_shape(matrix, [None, settings.kind.size]),
                "frames": frames_of(matrix, settings),
            }

        return read

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            with worker_environment():
                self._pool = self._stack.enter_context(executor(self.jobs, initializer=_one_thread))
        return self._pool

    def __exit__(self, *exception: Any) -> None:
        """End the workers; work that nobody waits for is cancelled."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._stack.__exit__(*exception)


def scan(
    root: Path, *, settings: Settings, skip_bad: bool = False, roles: tuple[str, ...] = (), jobs: int
) -> tuple[Manifest, Recordings]:
    """Read a corpus by the headers of its FLAC files; return its manifest and its recordings.

    Raises:
        CorpusError: as `features.shards.extraction.extract_corpus` does, for what is seen.
    """
    manifest, of_shards = scan_corpus(root, settings=settings, skip_bad=skip_bad, roles=roles)
    return manifest, Recordings(manifest, of_shards, jobs=jobs)


def _one_thread() -> None:
    """Compute in one thread from now on, as at extraction; setting this takes longer than an utterance."""
    threadpool_limits(limits=1)


def features_of(utterance: Utterance, frames: int, settings: Settings) -> np.ndarray:
    """Features of a recording as a shard stores them, [T, F].

    Raises:
        ValueError: it cannot be used, or has another number of frames than its header promised.
    """
    matrix = stored(utterance, read_audio(utterance.audio, max_frames=settings.max_frames), settings)
    if (rows := len(matrix) - settings.kind.edge_frames) != frames:
        raise ValueError(f"{utterance.audio}: {rows} frames, and {frames} when the corpus was looked at: it changed")
    return matrix
