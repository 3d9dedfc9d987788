"""Worker processes that leave Ctrl-C to their parent and do not outlive it.

    for result in spawned(work, items, jobs=4): ...

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

Item = TypeVar("Item")
Result = TypeVar("Result")


def spawned(work: Callable[[Item], Result], items: Iterable[Item], *, jobs: int) -> Iterator[Result]:
    """Results as they get ready; at most two items a worker are handed out at a time.

    Raises:
        concurrent.futures.process.BrokenProcessPool: a worker was killed.
    """
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    waiting = iter(items)
    with ProcessPoolExecutor(jobs, context, initializer=_die_with_parent) as pool:
        try:
            with _interrupts_held():  # the workers inherit this: Ctrl-C is the parent's
                running = {pool.submit(work, item) for item in islice(waiting, 2 * jobs)}
            while running:
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, item) for item in islice(waiting, len(ready))}
                yield from (future.result() for future in ready)
        except BaseException:  # Ctrl-C too; what is cut short is done again later
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


@contextmanager
def _interrupts_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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
