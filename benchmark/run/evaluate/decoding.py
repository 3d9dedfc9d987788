"""Decode a model's outputs into sentences on all cores, in worker processes that never load TensorFlow.

    with DecodingPool(Decoder(name="dictionary", words=words), jobs=usable_cores()) as pool:
        future = pool.submit(outputs, frames)       # logits [B, T', C] or tokens [B, L], int [B]; returns at once
        future.result()                             # B sentences

Every worker builds the decoder once. Processes are spawned, not forked: a forked TensorFlow hangs. Greedy decoding is
cheaper than sending logits to another process, so it is done at once, without workers.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np

from features.jobs.process import quiet_standard_error
from features.jobs.workers import executor
from models.ctc.decoders import Decode, Decoder

KILLED_WORKER = "a worker process was killed, possibly out of memory; --decode-jobs starts fewer decoding workers"

_decode: Decode  # of this worker process


class DecodingPool(AbstractContextManager):
    """A pool of `jobs` decoding processes, at least 1, which give way to others by `niceness` (0 to 19)."""

    def __init__(self, decoder: Decoder, *, jobs: int, niceness: int = 0) -> None:
        if jobs < 1:
            raise ValueError(f"decode-jobs is {jobs}; expected at least 1")
        self.decoder, self.jobs, self.niceness = decoder, jobs, niceness
        self._greedy = decoder.load() if decoder.name == "greedy" else None
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Start the workers, which takes about a second in the background; `submit` does it if it was not done."""
        if self._pool is None and not self._greedy:
            self._pool = self._stack.enter_context(
                executor(self.jobs, initializer=_prepare, initargs=(self.decoder, self.niceness))
            )

    def warm_up(self) -> None:
        """Wait until every worker is ready."""
        self.start()
        if self._pool:
            for future in [self._pool.submit(time.sleep, 0.1) for _ in range(self.jobs)]:
                future.result()

    def submit(self, logits: np.ndarray, frames: np.ndarray) -> Future[list[str]]:
        """Decode B utterances: logits [B, T', C] or tokens [B, L], frames int [B]; the future's result is B sentences.

        Raises (when the future's `result` is called):
            concurrent.futures.process.BrokenProcessPool: a worker was killed, or could not build the decoder.
        """
        if self._greedy:
            future: Future[list[str]] = Future()
            future.set_result(self._greedy(logits, frames))
            return future
        self.start()
        return self._pool.submit(_work, logits, frames)

    def __exit__(self, *exception: Any) -> None:
        """End the workers. Work not yet begun is cancelled: after Ctrl-C or divergence nobody waits for it."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._stack.__exit__(*exception)


def load_quietly(decoder: Decoder) -> Decode:
    """Build a decoder, hiding what KenLM writes to standard error. Raises ValueError as `Decoder.load` does."""
    with quiet_standard_error():
        return decoder.load()


def check_quietly(decoder: Decoder) -> str:
    """Check a decoder, hiding what KenLM writes to standard error. Raises ValueError as `Decoder.check` does."""
    with quiet_standard_error():
        return decoder.check()


def _prepare(decoder: Decoder, niceness: int) -> None:
    global _decode
    os.nice(niceness)
    _decode = load_quietly(decoder)


def _work(logits: np.ndarray, frames: np.ndarray) -> list[str]:
    return _decode(logits, frames)
