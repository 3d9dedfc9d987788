"""One process at a time works on a run, and leaves signs of life.

    with claimed(folder) as before:             # Life of the process before, or None; Taken if another one is at work
        with signs_of_life(folder, clock): ...

`lock` in the run's folder is locked while a process works on it, and by the system's leave no longer. `alive` holds
what the run's clock showed, and the time of day, a second ago at most: where a process was killed, its work until then
counts, and the time since does not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EVERY_S = 1.0
WIDTH = 40  # of the file, bytes: written at once, it is never half new


class Taken(ValueError):
    """Another process works on the run."""


@dataclass(frozen=True)
class Life:
    """The last sign of it: what the run's clock showed, in seconds, and the seconds of the day's clock (Unix time)."""

    clock_s: float
    at_unix_s: float


@contextmanager
def claimed(folder: Path) -> Iterator[Life | None]:
    """Raises Taken where another process has it."""
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Taken(
                f"{folder}: process {file.read(20).strip() or 'unknown'} is working on this run; wait for it, or "
                f"choose another --name"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield last_sign(folder)


def is_claimed(folder: Path) -> bool:
    """Whether a process is at work on it just now."""
    try:
        with claimed(folder):
            return False
    except Taken:
        return True


def last_sign(folder: Path) -> Life | None:
    """That of the process before; None where there is none that makes sense."""
    try:
        clock_s, at_unix_s = json.loads((folder / "alive").read_text())
        life = Life(float(clock_s), float(at_unix_s))
    except (OSError, ValueError, TypeError):
        return None
    return life if 0 <= life.clock_s < 2**40 and 0 <= life.at_unix_s < 2**40 else None


@contextmanager
def signs_of_life(folder: Path, elapsed: Callable[[], float], *, every_s: float = EVERY_S) -> Iterator[None]:
    """Write one every second, in a thread of its own; a full disk does not stop it."""
    over = threading.Event()
    descriptor = os.open(folder / "alive", os.O_WRONLY | os.O_CREAT, 0o666)

    def beat() -> None:
        with contextlib.suppress(OSError):
            text = json.dumps([round(elapsed(), 3), round(time.time(), 3)])
            os.pwrite(descriptor, text.ljust(WIDTH - 1).encode() + b"\n", 0)

    def beats() -> None:
        while not over.wait(every_s):
            beat()

    thread = threading.Thread(target=beats, name="signs of life", daemon=True)
    beat()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        beat()
        os.close(descriptor)
