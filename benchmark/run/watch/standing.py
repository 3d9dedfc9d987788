"""How long a run stood still within each row, told while it goes on, from the samples written meanwhile.

    standing = Standing(folder / "utilisation.csv")
    standing.within(row)                        # 4.7, seconds; 0.0 for most rows

Samples are read as the file grows, and only the latest are kept, so that a row costs as much after a week as at first.
What counts as standing still is said by `benchmark.record.stillness`.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from pathlib import Path

import numpy as np

from benchmark.record.columns import Row
from benchmark.record.history import RunRecord
from benchmark.record.stillness import Samples, still_s, stretches_of

KEPT = 6000
"""Samples that are kept: ten minutes of ten a second. A longer row is judged by its last ten minutes."""


class Standing:
    """The samples of one attempt, as far as they are written. Without a file it knows of nothing."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, ""
        self._columns: list[str] = []
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=KEPT)  # end, CPU, busiest GPU, each percent

    def within(self, row: Row) -> float:
        """Return the seconds of a row that is over in which the run stood still."""
        with contextlib.suppress(OSError, ValueError):
            self._read()
            ends_s, cpu, gpu = np.array(self._samples, float).reshape(-1, 3).T
            return still_s(stretches_of(Samples(ends_s, cpu, gpu), RunRecord((row,))))
        return 0.0

    def _read(self) -> None:
        with self._path.open(encoding="utf-8") as file:
            if not self._columns:
                self._columns = file.readline().strip().split(",")
                self._at = file.tell()
            file.seek(self._at)
            *lines, self._rest = (self._rest + file.read()).split("\n")
            self._at = file.tell()
        self._samples.extend(self._parsed(line) for line in lines if line)

    def _parsed(self, line: str) -> tuple[float, float, float]:
        values = dict(zip(self._columns, line.split(","), strict=True))
        gpus = [float(text) for name, text in values.items() if name.endswith("_util_percent") and text]
        missing = any(name.endswith("_util_percent") and not text for name, text in values.items())
        busiest = math.nan if missing or not gpus else max(gpus)
        return float(values["seconds"]), float(values["process_cpu_percent"] or math.nan), busiest
