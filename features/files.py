"""Files that are whole or absent, and one process at a time: atomic writes, digests, locks.

write_whole(path, text)             # beside, then renamed: no reader sees half of it
digest(path)                        # SHA-256, read in pieces
with locked(folder / ".lock", waiting=lambda: say("waiting")): ...
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PIECE_BYTES = 1 << 20


def write_whole(path: Path, text: str) -> None:
    """Give a file new contents in one step, so that no reader and no broken-off write sees half of it.

    Raises:
        OSError: it cannot be written (a full disk names no file: this names it). What was there before stays.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        error.filename, error.filename2 = str(path), None
        raise
    except BaseException:  # Ctrl-C
        beside.unlink(missing_ok=True)
        raise


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file; where another process holds it, call `waiting` once and wait, unless that raises.

    The operating system releases the lock when the process ends, however it ends.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
