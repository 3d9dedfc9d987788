"""What the columns of a table of measurements are: `--map time=wall,error=val_wer,unit=share`.

    mapped = parse_map("time=wall,error=val_wer,unit=share,step=step")
    points, notes = points_of(read_lines("log.csv"), mapped)

The parts: `error` (a column or a TensorBoard tag) with its `unit`, share or percent, and `metric`, wer or cer; `time`,
the seconds since the run began; `step`, `epoch`, `samples` (trained so far); `train_time` and `eval_time`, seconds of
each so far, where the log keeps them; `time_unit`, s, min, h or ms, of all times. A line without the error is one of
training and passed over; one whose error is NaN or infinite is left out and noted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from benchmark.ingest.events import IngestError
from benchmark.ingest.points import Point
from benchmark.ingest.tabular import Line, Lines
from benchmark.metrics import METRICS

UNITS = {"share": 100.0, "percent": 1.0}
TIME_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "ms": 1e-3}
CALENDAR_S = 1e8  # seconds: three years; a time above it is a date
LARGEST = 2**53


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Which column is what; "" is none. Raises ValueError for a unit, metric or time unit that is none."""

    error: str
    unit: str = ""
    metric: str = "wer"
    time: str = ""
    train_time: str = ""
    eval_time: str = ""
    step: str = ""
    epoch: str = ""
    samples: str = ""
    time_unit: str = "s"

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("unit", self.unit, UNITS),
            ("time_unit", self.time_unit, TIME_UNITS),
            ("metric", self.metric, {name: name for name in METRICS}),
        ):
            if value not in choices:
                found = f"{name} is {value[:20]!r}" if value else f"no {name}"
                raise ValueError(f"{found}; expected {name}={' or '.join(choices)}")

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are mapped, by part."""
        parts = ("error", "time", "train_time", "eval_time", "step", "epoch", "samples")
        return {part: getattr(self, part) for part in parts if getattr(self, part)}


def parse_map(text: str) -> Mapped:
    """Parse the option --map. Raises ValueError, which says what was found and expected."""
    names, found = [f.name for f in fields(Mapped)], {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if name.strip() not in names or not equals or not value.strip():
            raise ValueError(f"{part[:60]!r}; expected PART=COLUMN, the parts {', '.join(names)}")
        if name.strip() in found:
            raise ValueError(f"{name.strip()} stands twice; expected each part once")
        found[name.strip()] = value.strip()
    if "error" not in found:
        raise ValueError("no error; expected error=COLUMN, and unit=share or unit=percent")
    return Mapped(**found)


def points_of(lines: Lines, mapped: Mapped) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Return the evaluations in a table, and what was left out or passed over.

    Raises:
        IngestError: a column is not there, a value is no number, or the errors are not of the unit.
    """
    for part, name in mapped.columns.items():
        if name not in lines.names:
            near = ", ".join(lines.names[:12]) + (", ..." if len(lines.names) > 12 else "")
            raise IngestError(f"{lines.source}: no column {name!r} ({part}); there are {near}: say which by --map")
    if not mapped.time:
        raise IngestError(f"{lines.source}: no time; expected time=COLUMN in --map")
    found, strange = [], 0
    for line in lines.rows:
        if mapped.error not in line.values:
            continue
        error = _number(lines.source, line, mapped.error, finite=False)
        if math.isfinite(error):
            found.append((line, error))
        else:
            strange += 1
    if not found:
        raise IngestError(f"{lines.source}: no line has a number in {mapped.error!r}; expected one for each evaluation")
    _check_unit(lines.source, mapped, found)
    points = tuple(_point(lines.source, mapped, line, error) for line, error in found)
    if points[0].time_s > CALENDAR_S:
        raise IngestError(
            f"{lines.source}:{points[0].line}: {mapped.time} is {points[0].time_s:.10g} s, a date; expected seconds "
            f"since the run began: subtract its start"
        )
    notes = [f"{strange} evaluations whose {mapped.error} is not finite left out"] * bool(strange)
    return points, (*lines.notes, *notes)


def _check_unit(source: str, mapped: Mapped, found: list[tuple[Line, float]]) -> None:
    """Raise IngestError if no error can be of its unit: shares that are all over 1, or percent that are all under."""
    line, least = min(found, key=lambda each: each[1])
    most = max(error for _, error in found)
    if least < 0:
        raise IngestError(f"{source}:{line.at}: {mapped.error} is {least:g}; expected an error rate from 0")
    if mapped.unit == "share" and least > 1:
        raise IngestError(
            f"{source}:{line.at}: {mapped.error} is {least:g} at the least; expected shares, or unit=percent"
        )
    if mapped.unit == "percent" and most <= 1 and len(found) > 1:
        raise IngestError(
            f"{source}:{line.at}: {mapped.error} is {most:g} at the most; expected percent, or unit=share"
        )


def _point(source: str, mapped: Mapped, line: Line, error: float) -> Point:
    scale = TIME_UNITS[mapped.time_unit]

    def of(part: str) -> float | None:
        name = getattr(mapped, part)
        if not name:
            return None
        if name not in line.values:
            raise IngestError(f"{source}:{line.at}: {mapped.error} without {name} ({part}); expected both in one line")
        value = _number(source, line, name)
        if value < 0:
            raise IngestError(f"{source}:{line.at}: {name} is {value:g}; expected a number from 0")
        return value

    def seconds(part: str) -> float | None:
        value = of(part)
        return None if value is None else value * scale

    step = of("step")
    if step is not None and step != int(step):
        raise IngestError(f"{source}:{line.at}: {mapped.step} is {step:g}; expected a whole number")
    return Point(
        line=line.at,
        time_s=seconds("time") or 0.0,
        errors={mapped.metric: round(UNITS[mapped.unit] * error, 8)},
        step=None if step is None else int(step),
        epoch=of("epoch"),
        samples=of("samples"),
        train_s=seconds("train_time"),
        eval_s=seconds("eval_time"),
    )


def _number(source: str, line: Line, name: str, *, finite: bool = True) -> float:
    value = line.values[name]
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        comma = " (a decimal comma)" if isinstance(value, str) and "," in value else ""
        raise IngestError(f"{source}:{line.at}: {name} is {str(value)[:40]!r}{comma}; expected a number") from None
    if finite and not abs(number) < LARGEST:
        raise IngestError(f"{source}:{line.at}: {name} is {number:g}; expected a finite number under 2**53")
    return number
