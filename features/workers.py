"""Worker processes that leave Ctrl-C and closed terminals to their parent, and do not outlive it.

    for result in spawned(work, items, jobs=4): ...

    with executor(jobs=4, initializer=prepare) as pool:
        future = pool.submit(work, item)

Processes are spawned, not forked: a forked TensorFlow hangs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from features.process import keep_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def executor(
    jobs: int, *, initializer: Callable[..., None] | None = None, initargs: tuple = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool whose workers are all started at once; they are ended at once if the block raises, Ctrl-C included."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(initializer, initargs)) as pool:
        try:
            with _interrupts_held():  # the workers inherit this: Ctrl-C is the parent's
                for _ in range(jobs):
                    pool.submit(_nothing)  # each starts a worker, as none is idle yet
            yield pool
        except BaseException:  # what is cut short is done again later
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


def spawned(work: Callable[[Item], Result], items: Iterable[Item], *, jobs: int) -> Iterator[Result]:
    """Results as they get ready; at most two items a worker are handed out at a time.

    Raises:
        concurrent.futures.process.BrokenProcessPool: a worker was killed.
    """
    waiting = iter(items)
    with executor(jobs) as pool:
        running = {pool.submit(work, item) for item in islice(waiting, 2 * jobs)}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(work, item) for item in islice(waiting, len(ready))}
            yield from (future.result() for future in ready)


def _nothing() -> None:
    """Work that only starts its worker."""


def _begin(initializer: Callable[..., None] | None, initargs: tuple) -> None:
    _die_with_parent()
    keep_memory()
    if initializer:
        initializer(*initargs)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_parent() -> None:
    """Without this a worker whose parent was killed would wait for work for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
