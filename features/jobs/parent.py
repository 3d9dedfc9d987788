"""The process that began this one, as make does: where it ends or is told to, this one is told too.

    obey_parent()       # once, early; this process then gets the signal that the parent got, and saves

GNU make passes SIGTERM on to its commands, but neither SIGINT nor SIGHUP, as a terminal sends these to all: it waits
for its command to end, inside its handler, with that one signal blocked. Whoever signals make alone (kill, systemd, a
container's init) would wait for the end of a training, and who kills it (SIGKILL) would leave one behind. A command
that was begun by hand outlives its shell, as under nohup: it never calls this.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

EVERY_S = 0.5
_begun = threading.Event()


def obey_parent(*, every_s: float = EVERY_S) -> None:
    """Watch the parent in a thread of its own, from now on; a second call does nothing."""
    if not _begun.is_set():
        _begun.set()
        threading.Thread(target=_watch, args=(os.getppid(), every_s), name="parent", daemon=True).start()


def _watch(parent: int, every_s: float) -> None:
    while (number := told(parent)) is None:
        time.sleep(every_s)
    os.kill(os.getpid(), number)


def told(parent: int) -> signal.Signals | None:
    """Return the signal that the parent of this process was ended with, or waits with; None while it lives on."""
    if os.getppid() != parent:
        return signal.SIGTERM  # what it was, nobody knows any more
    blocked = _blocked(parent)
    if signal.SIGTERM in blocked:  # with all others, for a moment, while make begins a command
        return None
    return next((number for number in (signal.SIGINT, signal.SIGHUP) if number in blocked), None)


def _blocked(process: int) -> set[signal.Signals]:
    """Return which of three signals a process blocks; none where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk:"))
    except (OSError, ValueError, StopIteration):
        return set()
    return {number for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM) if mask >> (number - 1) & 1}
