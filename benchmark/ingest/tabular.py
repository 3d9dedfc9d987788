"""The lines of a table of measurements: CSV (commas, semicolons, tabs) or JSON lines, gzipped or not.

    lines = read_lines("log.csv")
    lines.names, lines.rows[0].at, lines.rows[0].values["val_wer"], lines.notes

A header that comes again, as after a restart, is passed over and noted; so is a last line that was cut. Any other line
that is no row of the table is refused.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.ingest.events import LARGEST_LOG, IngestError

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Line:
    """One row: where it stands in its file, and its values by column; what is empty is not there."""

    at: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Lines:
    """The rows of a file in its order, the names of all columns, and what was passed over."""

    source: str
    digest: str
    names: tuple[str, ...]
    rows: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def data_of(path: str | Path) -> bytes:
    """Return a file's bytes, unpacked if it is gzipped. Raises IngestError if it cannot be read or is too large."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_LOG + 1)
        if data[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                data = file.read(LARGEST_LOG + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise IngestError(f"{path}: the gzip file is cut or damaged; expected a whole one") from None
    except OSError as error:
        raise IngestError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > LARGEST_LOG:
        raise IngestError(f"{path}: over {LARGEST_LOG:,} bytes; expected a log, at most that")
    return data


def read_lines(path: str | Path) -> Lines:
    """Read a table of measurements. Raises IngestError, which names the file and the line."""
    source, data = str(path), data_of(path)
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if not text.strip():
        raise IngestError(f"{source}: empty; expected a table with a header, or JSON lines")
    whole = text.endswith("\n")
    read = _json if text.lstrip()[0] == "{" else _csv
    names, rows, notes = read(source, text, whole)
    return Lines(source, digest, names, rows, notes)


def _csv(source: str, text: str, whole: bool) -> tuple[tuple[str, ...], tuple[Line, ...], tuple[str, ...]]:
    header, _, _ = text.partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(text.split("\n"), delimiter=delimiter)
    try:
        fields = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise IngestError(f"{source}:{reader.line_num}: {error}; expected a line of a table") from None
    fields = [(at, row) for at, row in fields if any(cell.strip() for cell in row)]
    (_, first), *others = fields
    names = tuple(name.strip() for name in first)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise IngestError(f"{source}:1: the column {twice[:40]!r} stands twice; expected each once")
    rows, headers, cut = [], 0, 0
    for number, (at, row) in enumerate(others):
        if [cell.strip() for cell in row] == list(names):
            headers += 1
        elif len(row) != len(names):
            if number < len(others) - 1 or len(row) > len(names):
                raise IngestError(f"{source}:{at}: {len(row)} fields; expected {len(names)}, as in the header")
            cut = 1
        elif number == len(others) - 1 and not whole and number:
            cut = 1  # its last field may be half a number
        else:
            rows.append(Line(at, {n: c.strip() for n, c in zip(names, row, strict=True) if c.strip()}))
    return names, tuple(rows), _notes(headers, cut)


def _json(source: str, text: str, whole: bool) -> tuple[tuple[str, ...], tuple[Line, ...], tuple[str, ...]]:
    lines = [(at, line) for at, line in enumerate(text.split("\n"), start=1) if line.strip()]
    rows, cut = [], 0
    for number, (at, line) in enumerate(lines):
        try:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise ValueError
        except (ValueError, RecursionError):
            if number == len(lines) - 1 and not whole and number:
                cut = 1
                continue
            raise IngestError(f"{source}:{at}: {line.strip()[:60]!r}; expected a JSON object a line") from None
        rows.append(Line(at, {str(k): v for k, v in _flat(found).items() if v is not None}))
    names = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return names, tuple(rows), _notes(0, cut)


def _flat(found: Mapping[str, Any], before: str = "", depth: int = 4) -> dict[str, Any]:
    """Return nested objects as one: {"val": {"wer": 1}} is {"val.wer": 1}."""
    flat: dict[str, Any] = {}
    for key, value in found.items():
        if isinstance(value, dict) and depth:
            flat |= _flat(value, f"{before}{key}.", depth - 1)
        else:
            flat[f"{before}{key}"] = value
    return flat


def _notes(headers: int, cut: int) -> tuple[str, ...]:
    notes: Sequence[str] = [f"its header comes {headers} times more: passed over"] * bool(headers)
    return (*notes, *["its last line is cut off: left out"] * cut)
