"""Atomic writes, digests and locks: files that are whole or absent, and one process at a time.

write_whole(path, text)             # to a temporary file, then renamed: no reader sees half of it
digest(path)                        # SHA-256, read in pieces
with locked(folder / ".lock", waiting=lambda: say("waiting")): ...
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

PIECE_BYTES = 1 << 20
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def write_whole(path: Path, text: str) -> None:
    """Give a file new contents in one step, so that no reader and no interrupted write leaves half of it.

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
    """Return the SHA-256 of a file, read in pieces."""
    import hashlib

    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def try_lock(path: Path) -> FileLock | None:
    """Take a lock file and return it, to be released; None if another process holds it.

    The operating system releases the lock when the process ends, however it ends.

    Raises:
        ValueError: the file system has no locks, as some network and overlay ones have not.
    """
    from filelock import FileLock, Timeout  # here: who only reads runs needs NumPy alone

    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except (OSError, NotImplementedError) as error:  # filelock's word for ENOSYS is the latter
        if isinstance(error, OSError) and error.errno not in WITHOUT_LOCKS:
            raise
        raise ValueError(
            f"{path}: its file system has no locks (flock), without which two processes would write the same files; "
            f"expected a disk of this machine: name a folder there (--results, --data, or OUT)"
        ) from None
    return lock


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file; if another process holds it, call `waiting` once and wait, unless that raises.

    Raises ValueError as `try_lock` does.
    """
    lock = try_lock(path)
    if lock is None:
        waiting()
        from filelock import FileLock

        lock = FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_name(folder: Path) -> None:
    """Check that a folder's path can be used by TensorFlow and written into records.

    Raises:
        ValueError: its bytes are not UTF-8; the message shows them.
    """
    try:
        os.fspath(folder.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raw = os.fsencode(folder.absolute())
        raise ValueError(
            f"{raw.decode('utf-8', 'backslashreplace')}: its name is not UTF-8 (character {error.start + 1}); expected "
            f"a name that TensorFlow can open: rename the folder, or name another"
        ) from None
