"""The lines of an MLPerf log: read one by one, in the order of their times.

    events, digest = read_events("result_0.txt")    # IngestError names the file, the line, what was found and expected
    benchmark_of("result_0.txt")                    # "rnnt", by the line that says so; None without one

Times are Unix seconds, or, in the lines that this suite wrote, seconds since the run's creation began.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = ":::MLLOG"
LARGEST_LOG = 2**28  # bytes
NAMES_BENCHMARK = "submission_benchmark"
EPOCH_NUMBERS = ("epoch_num", "first_epoch_num")  # the latter is a block's


class IngestError(ValueError):
    """A log that cannot become a run; the message names the file, the line, what was found and what was expected."""


@dataclass(frozen=True)
class Event:
    """One line of a log. `at_s` is in seconds of Unix time, or since the run's creation in a log of ours."""

    key: str
    at_s: float
    value: Any
    metadata: Mapping[str, Any]
    line: int

    def number(self, source: str) -> float | None:
        """Return the epoch that the line names, in epochs, as it stands there; None without one.

        Raises:
            IngestError: it is no number from 0.
        """
        found = next((self.metadata[name] for name in EPOCH_NUMBERS if self.metadata.get(name) is not None), None)
        if found is not None and not is_amount(found):
            raise IngestError(f"{source}:{self.line}: epoch_num is {found!r:.40}; expected a number from 0")
        return found


def is_amount(value: object) -> bool:
    """Return whether a value is a finite number from 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < 2**53  # type: ignore[operator]


def read_events(path: str | Path) -> tuple[tuple[Event, ...], str]:
    """Read a log's events, in the order of their times, and the log's digest.

    Raises:
        IngestError: it cannot be read, has no line of MLPerf's, or one that cannot be parsed.
    """
    source, data = str(path), _data(Path(path))
    lines = enumerate(data.decode("utf-8", "replace").splitlines(), start=1)
    events = [_event(source, number, line) for number, line in lines if MARK in line]
    if not events:
        raise IngestError(f"{source}: no line with {MARK}; expected a log of MLPerf Training")
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return tuple(sorted(events, key=lambda event: event.at_s)), digest


def benchmark_of(path: str | Path) -> str | None:
    """Return the benchmark that a log names; None if it names none. Raises IngestError if it cannot be read."""
    for number, line in enumerate(_data(Path(path)).split(b"\n"), start=1):
        if NAMES_BENCHMARK.encode() in line and MARK.encode() in line:
            event = _event(str(path), number, line.decode("utf-8", "replace"))
            if event.key == NAMES_BENCHMARK:
                return str(event.value)
    return None


def _data(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_LOG:
            raise IngestError(f"{path}: {path.stat().st_size:,} bytes; expected a log, at most {LARGEST_LOG:,}")
        return path.read_bytes()
    except OSError as error:
        raise IngestError(f"{path}: cannot be read ({error.strerror})") from None


def _event(source: str, number: int, line: str) -> Event:
    try:
        content = json.loads(line[line.index(MARK) + len(MARK) :])
        metadata = content.get("metadata") or {}
        at_s = float(metadata["at_s"]) if "at_s" in metadata else float(content["time_ms"]) / 1000
        if not (math.isfinite(at_s) and isinstance(metadata, dict)):
            raise ValueError
        return Event(str(content["key"]), at_s, content.get("value"), metadata, number)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise IngestError(
            f"{source}:{number}: {line.strip()[:80]!r}; expected {MARK} and a JSON object with time_ms and key"
        ) from None
