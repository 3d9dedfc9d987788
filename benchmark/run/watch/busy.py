"""How busy the machine is just now, from the latest samples of the run's utilisation.csv, for the view.

    busy = Busy(folder / "utilisation.csv")
    str(busy)                   # "1.9 cores, GPUs 91% (83 to 97)"; "" while nothing is known

The file's end is read at most once a second.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

SPAN_S = 5.0
TAIL_BYTES = 2**15  # five seconds of ten samples of eight GPUs with all their sensors are 20 KB
EVERY_S = 1.0


class Busy:
    """The means over the last SPAN_S seconds of samples."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now = path, now
        self._read_s, self._said = -EVERY_S, ""

    def __str__(self) -> str:
        if self._now() - self._read_s >= EVERY_S:
            self._read_s = self._now()
            with contextlib.suppress(OSError, ValueError):
                self._said = _said(self._latest())
        return self._said

    def _latest(self) -> list[dict[str, str]]:
        """Return the samples of the last seconds, by column. Raises OSError without a file."""
        with self._path.open("rb") as file:
            columns = file.readline().decode().strip().split(",")
            file.seek(max(file.tell(), file.seek(0, 2) - TAIL_BYTES))
            *lines, _ = file.read().decode(errors="replace").split("\n")  # the last one is not whole yet
        rows = [line.split(",") for line in lines]
        samples = [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]
        return [each for each in samples if float(each["seconds"]) > float(samples[-1]["seconds"]) - SPAN_S]


def _said(samples: list[dict[str, str]]) -> str:
    cores = _mean(samples, "process_cpu_percent")
    columns = [name for name in (samples[0] if samples else ()) if name.endswith("_util_percent")]
    gpus = [mean for name in columns if (mean := _mean(samples, name)) is not None]
    found = [] if cores is None else [f"{cores / 100:.1f} cores"]
    if len(gpus) == 1:
        found.append(f"GPU {gpus[0]:.0f}%")
    elif gpus:
        found.append(f"GPUs {statistics.fmean(gpus):.0f}% ({min(gpus):.0f} to {max(gpus):.0f})")
    return ", ".join(found)


def _mean(samples: list[dict[str, str]], column: str) -> float | None:
    values = [float(each[column]) for each in samples if each.get(column)]
    return statistics.fmean(values) if values else None
