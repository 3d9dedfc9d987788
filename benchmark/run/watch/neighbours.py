"""Other load on the machine: what processes besides the run keep busy, between two looks.

    neighbours = Neighbours()               # the first look
    ...
    neighbours.warning()                    # a sentence, if others keep much of the machine busy; else ""

Two benchmarks at once disturb each other. While a run goes on the sampler measures the same (`Usage.other_load`).
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

import psutil

from platforms.machine import logical_cores

LARGE_SHARE = 0.10
"""From this share on, other load is warned of before training; the time between the looks is short."""
SHOWN = 3
LEAST_CORES = 0.1  # a process that keeps less than this busy is not named


@dataclass(frozen=True)
class _Look:
    """CPU seconds so far: of the whole host while not idle, of this process and its children, of each other process."""

    at_s: float
    host_s: float
    own_s: float
    others_s: dict[psutil.Process, float]

    @classmethod
    def now(cls) -> _Look:
        host = psutil.cpu_times()
        idle_s = host.idle + getattr(host, "iowait", 0.0) + getattr(host, "guest", 0.0)  # guest is in user as well
        times, own = os.times(), {os.getpid()}
        own_s = times.user + times.system + times.children_user + times.children_system
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process().children(recursive=True):
                own.add(child.pid)
                with contextlib.suppress(psutil.Error):
                    own_s += sum(child.cpu_times()[:2])
        others_s = {}
        for process in psutil.process_iter():
            if process.pid not in own:
                with contextlib.suppress(psutil.Error):
                    others_s[process] = sum(process.cpu_times()[:2])
        return cls(time.monotonic(), sum(host) - idle_s, own_s, others_s)


class Neighbours:
    """What other processes have done since this was made."""

    def __init__(self) -> None:
        self._first = _Look.now()

    def warning(self) -> str:
        """Return a sentence if others keep much of the machine busy, or "" if they do not."""
        share, busiest = self._compare(_Look.now())
        if share < LARGE_SHARE:
            return ""
        named = f" ({', '.join(busiest)})" if busiest else ""
        return (
            f"other processes keep {share:.0%} of this machine's CPUs busy{named}: the times of this run would be "
            f"theirs too; wait until they have ended, or end them, and begin again"
        )

    def _compare(self, now: _Look) -> tuple[float, list[str]]:
        elapsed_s = max(1e-3, now.at_s - self._first.at_s)
        busy_s = now.host_s - self._first.host_s - (now.own_s - self._first.own_s)
        share = min(1.0, max(0.0, busy_s / (elapsed_s * logical_cores())))
        cores = {
            process: (spent_s - self._first.others_s.get(process, 0.0)) / elapsed_s
            for process, spent_s in now.others_s.items()
        }
        busiest = sorted((each for each in cores if cores[each] >= LEAST_CORES), key=lambda each: -cores[each])
        return share, [_name(process) for process in busiest[:SHOWN]]


def _name(process: psutil.Process) -> str:
    words: list[str] = []
    with contextlib.suppress(psutil.Error):
        words = process.cmdline() or [process.name()]
    text = " ".join([os.path.basename(words[0]), *words[1:4]]) if words else "a process"
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return f"{shown[:60]}, process {process.pid}"
