"""Worker processes that leave Ctrl-C and closed terminals to their parent, and do not outlive it.

    for result in spawned(work, items, jobs=4): ...

    with executor(jobs=4, initializer=prepare) as pool:
        future = pool.submit(work, item)

Processes are spawned, not forked: a forked TensorFlow hangs. If a worker is killed, as the system does when memory
runs out, `spawned` repeats what was under way, one item at a time; an item that kills its worker again is named.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from features.jobs.process import keep_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_BREAKS = 3
"""From this number of killed workers on, no single item is to blame."""


class WorkerKilled(BrokenProcessPool):
    """An item killed its worker twice, the second time while it ran alone; `item` is that one."""

    def __init__(self, item: Any) -> None:
        super().__init__(f"{str(item)[:100]} killed its worker twice")
        self.item = item


@contextmanager
def executor(
    jobs: int, *, initializer: Callable[..., None] | None = None, initargs: tuple = ()
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool whose workers all start at once; they are ended at once if the block raises, Ctrl-C included."""
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
    """Yield results as they get ready; at most two items per worker are handed out at a time.

    Raises:
        WorkerKilled: an item killed its worker, and did so again when it was done alone.
        concurrent.futures.process.BrokenProcessPool: workers were killed again and again.
    """
    waiting = iter(items)
    for breaks in range(1, MOST_BREAKS + 1):
        running: dict[Future[Result], Item] = {}
        try:
            yield from _at_once(work, waiting, running, jobs=jobs)
            return
        except BrokenProcessPool:
            if breaks == MOST_BREAKS:
                raise
        done = [future for future in running if not future.cancelled() and future.done() and not future.exception()]
        yield from (future.result() for future in done)  # they got ready while the pool broke
        for suspect in (item for future, item in running.items() if future not in done):
            yield _alone(work, suspect)


def _at_once(
    work: Callable[[Item], Result], waiting: Iterator[Item], running: dict[Future[Result], Item], *, jobs: int
) -> Iterator[Result]:
    """Yield results of items in a pool; `running` has what was handed out and not yielded yet."""
    with executor(jobs) as pool:
        running.update((pool.submit(work, item), item) for item in islice(waiting, 2 * jobs))
        while running:
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                result = future.result()
                for item in islice(waiting, 1):
                    try:
                        running[pool.submit(work, item)] = item
                    except BrokenProcessPool:
                        running[Future()] = item
                        raise  # with this future still among those that run: its result is not yielded yet
                del running[future]
                yield result


def _alone(work: Callable[[Item], Result], item: Item) -> Result:
    with executor(1) as pool:
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            raise WorkerKilled(item) from None


def _nothing() -> None:
    """Do nothing: submitting this only starts a worker."""


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
    """Ask the kernel to end this worker with its parent; it would otherwise wait for work for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
