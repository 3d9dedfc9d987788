"""A run's folder: which process works on it, its heartbeat, and how the run ended.

    with locked(folder) as before:              # Heartbeat of the previous process, or None; RunLocked
        with heartbeat(folder, clock.elapsed): ...
        write_end(folder, End(status="finished", step=900, epoch=3, clock_s=61.5))
    read_end(folder)                            # End; None while the run goes on, or if it was killed

`lock` in the folder is locked while a process works on the run, and `pid` names that process. The operating system
releases the lock when the process ends, however it ends. `alive` holds the heartbeat: the run's clock and the time of
day, written every second. If a process is killed, the run's clock counts the time up to its last heartbeat, and not
the time after it. `end.json` says how the run ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from features.jobs.files import try_lock, write_whole

END, ALIVE = "end.json", "alive"
WORDS = "words.txt"
"""The words of the run's decoder, one a line: what was trained on may be gone when somebody asks the model."""
FINISHED = "finished"
OVER = (FINISHED, "diverged")  # runs that cannot be resumed
LARGEST = 2**53  # as in a journal
MOST_POWER_W = 1e7  # of all GPUs of a run
EVERY_S = 1.0
WIDTH = 40  # bytes of the heartbeat's file; one write replaces them all, so that old and new never mix


class RunLocked(ValueError):
    """Another process is working on the run."""


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life: what the run's clock showed, in seconds, and the time of day, in seconds of Unix time."""

    clock_s: float
    at_unix_s: float


@dataclass(frozen=True, kw_only=True)
class End:
    """How a run, or an attempt at it, ended: finished, diverged or interrupted; and after which batch and epoch.

    `other_load` is the share of the machine's CPU time, 0 to 1, that other processes took, and
    `gpu_power_w` the mean power of the GPUs that the run used, None if it is not known; `gpu_power_share` is the share
    of the run, 0 to 1, of which it was measured, and `gpu_power_note` says how, or why it is not known. Older versions
    wrote neither share nor note.

    `still` has the stretches in which the run stood still (`benchmark.record.stillness`): start and length in seconds
    and the epoch; None if nobody looked. `suspended_s` are the seconds that the machine slept during the last attempt,
    which the run's clock does not count.
    """

    status: str
    message: str = ""
    step: int = 0
    epoch: int = 0
    clock_s: float = 0.0
    other_load: float | None = None
    gpu_power_w: float | None = None
    gpu_power_share: float | None = None
    gpu_power_note: str = ""
    still: Sequence[tuple[float, float, int]] | None = None
    suspended_s: float | None = None
    at: str = ""  # time of day, with its zone

    @property
    def is_over(self) -> bool:
        """Whether the run has finished or diverged, so that it cannot be resumed."""
        return self.status in OVER


def folder_of(journal: str | Path) -> Path:
    """Return the folder of a run, which is next to its journal."""
    return Path(journal).with_suffix("")


def journal_of(folder: Path) -> Path:
    """Return the journal of a run, which is next to its folder."""
    return folder.with_name(f"{folder.name}.csv")


@contextmanager
def locked(folder: Path) -> Iterator[Heartbeat | None]:
    """Lock a run; yield the previous process's last heartbeat.

    Raises:
        RunLocked: another process holds the lock.
        ValueError: the file system has no locks.
    """
    lock = try_lock(folder / "lock")
    if lock is None:
        raise RunLocked(
            f"{folder}: process {_holder(folder)} is working on this run; wait for it, or choose another --name"
        )
    try:
        (folder / "pid").write_text(f"{os.getpid()}\n")
        yield last_heartbeat(folder)
    finally:
        lock.release()


def _holder(folder: Path) -> str:
    try:
        return (folder / "pid").read_text()[:20].strip() or "unknown"
    except OSError:
        return "unknown"


def is_locked(folder: Path) -> bool:
    """Return whether a process is working on the run now."""
    lock = try_lock(folder / "lock")
    if lock is None:
        return True
    lock.release()
    return False


def last_heartbeat(folder: Path) -> Heartbeat | None:
    """Read the previous process's last heartbeat; None if it is missing or implausible."""
    try:
        clock_s, at_unix_s = json.loads((folder / ALIVE).read_text())
        beat = Heartbeat(float(clock_s), float(at_unix_s))
    except (OSError, ValueError, TypeError):
        return None
    return beat if 0 <= beat.clock_s < 2**40 and 0 <= beat.at_unix_s < 2**40 else None


@contextmanager
def heartbeat(folder: Path, elapsed: Callable[[], float], *, every_s: float = EVERY_S) -> Iterator[None]:
    """Write a heartbeat every `every_s` seconds in a thread of its own; a full disk does not stop it."""
    over = threading.Event()
    descriptor = os.open(folder / ALIVE, os.O_WRONLY | os.O_CREAT, 0o666)

    def beat() -> None:
        with contextlib.suppress(OSError):
            text = json.dumps([round(elapsed(), 3), round(time.time(), 3)])
            os.pwrite(descriptor, text.ljust(WIDTH - 1).encode() + b"\n", 0)

    def beats() -> None:
        while not over.wait(every_s):
            beat()

    thread = threading.Thread(target=beats, name="heartbeat", daemon=True)
    beat()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        beat()
        os.close(descriptor)


def write_end(folder: Path, end: End) -> None:
    """Write end.json, with the time of day added."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_whole(folder / END, json.dumps({**asdict(end), "at": now}, indent=1))


def read_end(folder: Path) -> End | None:
    """Read end.json; None if it is missing or cannot be read. Keys of a later version are ignored."""
    try:
        found = json.loads((folder / END).read_text(encoding="utf-8"))
        names = {f.name for f in fields(End)}
        end = End(**{name: value for name, value in found.items() if name in names})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    most = {"other_load": 1, "gpu_power_w": MOST_POWER_W, "gpu_power_share": 1, "suspended_s": LARGEST}
    where = (end.step, end.epoch, end.clock_s, *(number for each in _stretches(end.still) for number in each))
    plausible = all(_within(getattr(end, name), limit) for name, limit in most.items()) and all(
        number is not None and _within(number, LARGEST) for number in where
    )
    texts = (end.status, end.message, end.gpu_power_note)
    return end if plausible and all(isinstance(text, str) for text in texts) else None


def _stretches(found: object) -> list[list[object]]:
    """Return the stretches of an end.json as lists of three; one of None, which is refused, where they are not such."""
    if found is None:
        return []
    fit = isinstance(found, list) and all(isinstance(each, list) and len(each) == 3 for each in found)
    return found if fit else [[None]]  # type: ignore[return-value]


def _within(value: object, most: float) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
