"""A meter's log: what the whole machine took, by a wall plug, matched with runs by the time of day.

    meter = read_meter("plug.csv")              # columns time and watts, or time and kwh
    meter.energy(run, end_s=470.0)              # Energy: of the run's attempts until a moment of its clock

A log has a header and a row a reading. `time` is ISO 8601 with a zone, or seconds since 1970; `watts` is power at that
time, `kwh` or `wh` what the meter has counted, which may begin anew. Gaps and coverage are judged as those of samples
are (`benchmark.record.energy`). A run says to the second when each attempt began, so that a short run's energy is
known to some seconds' worth.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmark.record.energy import Energy, energy_of
from benchmark.record.facts import FactsError
from benchmark.record.run import Run

TIMES = ("time", "timestamp", "unix_s")
QUANTITIES = {"watts": 1.0, "power_w": 1.0, "wh": 3600.0, "kwh": 3.6e6}
"""Columns, and what one is in watts or joules."""
POWERS = ("watts", "power_w")
MOST_MACHINE_W = 100_000.0
METERED = "by the meter"
NAME = "meter"


class MeterError(ValueError):
    """A meter's log that cannot be used; the message names the file, what was found and what was expected."""


@dataclass(frozen=True)
class Meter:
    """Readings in order of time: `unix_s` seconds since 1970, and watts, or joules that it has counted."""

    source: str
    unix_s: tuple[float, ...]
    values: tuple[float, ...]
    is_power: bool

    def energy(self, run: Run, *, end_s: float = math.inf) -> Energy:
        """Return the energy of the whole machine while a run's attempts took place, until a moment of its clock.

        A `gap` says why it is not known: no time of day, or readings that are missing.
        """
        spans = day_spans(run, end_s)
        if not spans:
            return Energy(gap="the run does not say at what time of day it began")
        import pandas

        zero_s = spans[0][0]
        column = f"{NAME}_{'power_w' if self.is_power else 'energy_j'}"
        samples = pandas.DataFrame({"seconds": [t - zero_s for t in self.unix_s], column: self.values}, dtype=float)
        found = energy_of(
            samples, [NAME], spans_s=[(start - zero_s, end - zero_s) for start, end in spans], most_w=MOST_MACHINE_W
        )
        gap = found.gap
        if found.wh is None and not found.seconds:
            gap = f"{self.source} has no readings from the time of the run"
        return Energy(
            wh=found.wh,
            seconds=found.seconds,
            share=found.share,
            source=METERED if found.wh is not None else "",
            gap=gap,
        )


def day_spans(run: Run, end_s: float = math.inf) -> list[tuple[float, float]]:
    """Return when each attempt at a run took place, in seconds since 1970, until a moment of its clock.

    Empty where that is not known.
    """
    try:
        began = {number: facts.created.timestamp() for number, facts in run.attempts.items()}
    except FactsError:
        return []
    numbers = sorted(set(run.record.table.columns["attempt"].tolist()))
    spans = []
    for number, (start, end) in zip(numbers, run.record.spans_s, strict=False):
        if start >= end_s:
            break
        if number not in began:
            return []
        spans.append((began[number], began[number] + min(end, end_s) - start))
    return spans


def read_meter(path: str | Path) -> Meter:
    """Read a meter's log.

    Raises:
        MeterError: it is no such log, has a time without a zone, or times that go back.
        OSError: it cannot be read.
    """
    with Path(path).open(newline="", encoding="utf-8-sig", errors="replace") as file:
        try:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
        except csv.Error as error:
            raise MeterError(f"{path}: no CSV ({error}); expected a header, time,watts, and rows") from None
    header = [name.lower() for name in rows[0]] if rows else []
    time = next((header.index(name) for name in TIMES if name in header), None)
    name = next((name for name in QUANTITIES if name in header), None)
    if time is None or name is None:
        raise MeterError(
            f"{path}: columns {', '.join(header)[:80] or 'none'}; expected one of {', '.join(TIMES)}, and one of "
            f"{', '.join(QUANTITIES)}"
        )
    times, values = [], []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise MeterError(f"{path}: row {number} has {len(row)} fields; expected {len(header)}")
        if not row[header.index(name)]:
            continue  # not read
        times.append(_unix_s(row[time], f"{path}: row {number}"))
        values.append(_value(row[header.index(name)], f"{path}: row {number}") * QUANTITIES[name])
        if len(times) > 1 and times[-1] < times[-2]:
            raise MeterError(f"{path}: row {number} is before the one above it; expected readings in order of time")
    if len(times) < 2:
        raise MeterError(f"{path}: {len(times)} readings; expected two or more")
    return Meter(str(path), tuple(times), tuple(values), name in POWERS)


def _unix_s(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if math.isfinite(found):
        return found
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MeterError(
            f'{where}: time {text[:40]!r}; expected one with its zone, such as "2026-01-31T12:00:00+00:00", or seconds '
            f"since 1970"
        )
    return moment.timestamp()


def _value(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise MeterError(f"{where}: {text[:40]!r}; expected a number from 0 on")
    return found
