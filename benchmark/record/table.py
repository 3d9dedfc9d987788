"""A journal's rows as columns, and how they are read.

    table = read_table("results/run.csv", data) # Table; JournalError names file, line, what was found and expected
    table.columns["seconds"], table.row(7)      # float64 [rows], Row

A table holds columns, since a judge reads whole columns and few rows; a row is made when it is asked for.
"""

from __future__ import annotations

import csv
import math
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from benchmark.record import bulk
from benchmark.record.columns import (
    CLOCK_TOLERANCE_S,
    COLUMNS,
    COMMON,
    DECIMAL_COMMA,
    IDENTITY,
    KINDS,
    NO_ERROR_RATES,
    NO_ROW_FOR_DONE,
    OF_SCHEMA,
    ORIGINAL,
    PHASES,
    READABLE,
    SCHEMA,
    SEPARATORS,
    VARYING,
    Identity,
    JournalError,
    Kind,
    Row,
    decoder_read,
)
from benchmark.record.phases import EVALUATED, Phase

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record.short import np


@dataclass(frozen=True, eq=False)
class Table:
    """All rows of a journal as columns; `identity` is None if there are no rows.

    `columns` has "attempt" and every name of VARYING, each an array [rows], or of few rows a
    `benchmark.record.short.Column`. "phase" holds the names of phases; "attempt", "epoch" and "step" are int64; all
    others are float64, with NaN for an empty field.
    """

    identity: Identity | None
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Table:
        rows = tuple(rows)
        columns: dict[str, np.ndarray] = {"phase": np.array([row.phase.value for row in rows], dtype="U10")}
        for name in ("attempt", *VARYING[1:]):
            values = [math.nan if (value := getattr(row, name)) is None else value for row in rows]
            whole = KINDS[name].type is int and not KINDS[name].optional
            columns[name] = np.array(values, dtype=np.int64 if whole else np.float64)
        return cls(rows[0].identity if rows else None, columns)

    def __len__(self) -> int:
        return len(self.columns["phase"])

    def row(self, number: int) -> Row:
        return self.rows([number])[0]

    def rows(self, numbers: Sequence[int] | np.ndarray | None = None) -> tuple[Row, ...]:
        """Return the rows of these numbers, or all."""
        chosen = slice(None) if numbers is None else np.array(numbers, dtype=np.int64)
        columns = [_values(KINDS[name], values[chosen].tolist()) for name, values in self.columns.items()]
        common = {**vars(self.identity), "schema": SCHEMA} if columns[0] else {}
        return tuple(self._row(common, fields) for fields in zip(*columns, strict=True))

    def _row(self, common: dict[str, Any], fields: Sequence[Any]) -> Row:
        row = object.__new__(Row)  # __post_init__ is skipped: its checks are made for all rows at once
        row.__dict__.update(common)
        row.__dict__.update(zip(self.columns, fields, strict=True))
        return row


class Rows(Sequence[Row]):
    """Some rows of a table, by their numbers. One is made when it is asked for, and all when they are gone through."""

    def __init__(self, table: Table, numbers: Sequence[int]) -> None:
        self._table, self._numbers = table, numbers
        self._made: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._all)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice):
            return self._all[place]
        number = self._numbers[place]
        if number not in self._made:
            self._made[number] = self._table.row(number)
        return self._made[number]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _all(self) -> tuple[Row, ...]:
        return self._table.rows(self._numbers)


def _values(kind: Kind, values: list[Any]) -> list[Any]:
    if kind.type is Phase:
        return [PHASES[value] for value in values]
    return [None if value != value else kind.type(value) for value in values]  # NaN differs from itself


def read_table(source: str, data: bytes) -> Table:
    """Parse a journal, in UTF-8, into a table; `source` is the file's name for error messages.

    Raises:
        JournalError: it is no journal; the message names the file, the line, what was found and expected.
    """
    data = data.removeprefix(BOM_UTF8)  # spreadsheets put it at the start
    data = data.replace(b"\r\n", b"\n") if b"\r" in data else data  # to look is quicker, where there is none
    if bulk.worth_it(len(data)) and (table := _read_bulk(source, data)):
        return table
    header, _, body = _decoded(source, data).partition("\n")
    layout = read_header(source, header)
    lines = body.removesuffix("\n").split("\n")
    while lines and not lines[-1].strip(", \t"):  # blank lines at the end, as spreadsheets and editors leave them
        lines.pop()
    commons, rests, problem = _read_commons(lines, layout)
    columns: dict[str, np.ndarray] = {"attempt": np.array([common["attempt"] for common in commons], dtype=np.int64)}
    problems = [problem]
    if not problem:
        flat = ",".join(rests).split(",") if rests else []  # fast: one split for all lines, one slice per column
        width = len(layout.varying)
        problems = [_read_columns({name: flat[n::width] for n, name in enumerate(layout.varying)}, columns)]
        if not any(problems):
            problems = [check(columns) for check in CHECKS]
    if found := [problem for problem in problems if problem]:
        number, sentence = min(found)
        raise JournalError(f"{source}:{number + 2}: {sentence}")  # line 1 is the header
    return Table(_identity(commons[0]) if commons else None, columns)


def _identity(common: dict[str, Any]) -> Identity:
    return Identity(**{name: common[name] for name in IDENTITY})


def _decoded(source: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JournalError(f"{source}:{line}: not UTF-8 at byte {error.start}; expected a run's CSV file") from None


def _read_bulk(source: str, data: bytes) -> Table | None:
    """Read many lines at once; None if anything in them is unusual, which the plain way reads or refuses."""
    header, first = data.find(b"\n") + 1, data.find(b"\n", data.find(b"\n") + 1)
    try:
        layout = read_header(source, data[: header - 1].decode())
        kinds = {name: KINDS[name] for name in layout.varying}
        line = data[header:first].decode()
        prefix = line.rsplit(",", len(layout.varying))[0] + ","
        commons = [_read_common(prefix, line, layout)]
        found = bulk.read_columns(data, kinds, prefix=prefix, start=header)
        if found is None:  # of several attempts, or with a comma in a name
            commons, rests, _ = _read_commons(data[header:].decode().removesuffix("\n").split("\n"), layout)
            found = bulk.read_columns("\n".join(rests).encode(), kinds) if commons else None
    except ValueError:
        return None
    if found is None:
        return None
    rows = len(found["phase"])
    attempts = [common["attempt"] for common in commons]
    columns = {"attempt": np.array(attempts if len(attempts) > 1 else attempts * rows, dtype=np.int64)}
    columns |= {name: found[name] if name in found else np.full(rows, math.nan) for name in VARYING}
    return None if any(check(columns) for check in CHECKS) else Table(_identity(commons[0]), columns)


Problem = tuple[int, str] | None
"""The first faulty row, 0 being the one below the header, and a sentence about the fault; or None."""


def _first(values: Sequence[Any], fault: Callable[[Any], str]) -> Problem:
    return next(((n, sentence) for n, value in enumerate(values) if (sentence := fault(value))), None)


class Layout(NamedTuple):
    """The columns of one file, in its order, and its schema."""

    schema: int
    columns: tuple[str, ...]

    @property
    def varying(self) -> tuple[str, ...]:
        """The columns from "phase" on."""
        return self.columns[self.columns.index("phase") :]


def read_header(source: str, line: str) -> Layout:
    """Parse a journal's header; `source` is the file's name.

    Raises:
        JournalError: no readable schema has these columns.
    """
    values = tuple(line.split(","))
    for schema, columns in READABLE.items():
        figures = values[len(columns) :]
        if values[: len(columns)] == columns and _are_further(figures):
            return Layout(schema, values)
        for separator, words in SEPARATORS.items():
            if tuple(line.replace('"', "").split(separator)[: len(columns)]) == columns:
                raise JournalError(
                    f"{source}:1: found {words} between the columns, as a spreadsheet program saved it (then its "
                    f"numbers may have decimal commas and its texts may be dates as well); {ORIGINAL}"
                )
    place, expected = _first_wrong(values)
    found = repr(values[place][:80]) if place < len(values) else "nothing"
    raise JournalError(
        f"{source}:1: column {place + 1} of the header is {found}; expected {expected}, as in a run's CSV file of "
        f"schema {SCHEMA}; read a journal of another schema with the version that wrote it"
    )


def _first_wrong(values: tuple[str, ...]) -> tuple[int, str]:
    """Return the place of the first wrong column of a header that no file has, from 0, and what was expected."""
    for place, name in enumerate(OF_SCHEMA):
        if values[place : place + 1] != (name,):
            return place, repr(name)
    figures = values[len(OF_SCHEMA) :]
    right = next(n for n in range(len(figures)) if not _are_further(figures[: n + 1]))
    return len(OF_SCHEMA) + right, f"nothing, or one of {', '.join(COLUMNS[len(OF_SCHEMA) :])}, each once"


def _are_further(names: Sequence[str]) -> bool:
    """Return whether names may follow the columns of a schema: figures that it does not have, each once."""
    return len(set(names)) == len(names) and set(names) <= set(COLUMNS[len(OF_SCHEMA) :])


def _read_commons(lines: Sequence[str], layout: Layout) -> tuple[list[dict[str, Any]], list[str], Problem]:
    """Split each line into the fields shared with other lines, parsed once, and the text of its varying fields."""
    commons: list[dict[str, Any]] = []
    rests: list[str] = []
    common, prefix, first = {}, "\n", None  # no line begins with a line break
    width = len(layout.varying)
    for number, line in enumerate(lines):
        if not line.startswith(prefix):
            prefix = line.rsplit(",", width)[0] + ","
            try:
                common = _read_common(prefix, line, layout)
            except ValueError as error:
                return [], [], (number, str(error))
            first = first or common
            for name in IDENTITY:
                if common[name] != first[name]:
                    sentence = f"{name} is {common[name]!r}, but {first[name]!r} above; expected one run a file"
                    return [], [], (number, sentence)
        rest = line[len(prefix) :]
        if rest.count(",") != width - 1:
            return [], [], (number, _number_of_fields(line, layout))
        commons.append(common)
        rests.append(rest)
    return commons, rests, None


def _number_of_fields(line: str, layout: Layout) -> str:
    try:
        fields, expected = next(csv.reader([line]), []), len(layout.columns)
    except csv.Error as error:  # a carriage return within it
        return f"not CSV ({error})"
    if comma := next((text for text in fields if DECIMAL_COMMA.fullmatch(text)), ""):
        return f"found the decimal comma of {comma[:40]!r}, as a spreadsheet program saved it; {ORIGINAL}"
    why = "a line cut short?" if len(fields) != expected else f"quotation marks around a number? {ORIGINAL}"
    return f"{len(fields)} fields; expected {expected} ({why})"


def _read_common(prefix: str, line: str, layout: Layout) -> dict[str, Any]:
    """Parse the fields of a line that stand before "phase"; `prefix` is their text, with the comma at its end."""
    try:
        values = next(csv.reader([prefix[:-1]]))
        if len(values) != len(layout.columns) - len(layout.varying):
            raise ValueError(_number_of_fields(line, layout))
    except csv.Error as error:
        raise ValueError(f"not CSV ({error})") from None
    texts = dict(zip(layout.columns, values, strict=False))
    texts.setdefault("variant", texts["workload"].partition("+")[2])
    texts.setdefault("machines", "1")
    if layout.schema < 3:
        texts["workload"] = texts["workload"].partition("+")[0]
    found: dict[str, Any] = {}
    for name in COMMON:
        try:
            found[name] = KINDS[name].parse(texts[name])
        except ValueError as error:
            raise ValueError(f"{name} is {error}") from None
        if problem := KINDS[name].problem(found[name]):
            raise ValueError(f"{name} is {problem}")
    found["decoder"] = decoder_read(found["decoder"])
    if found["schema"] != layout.schema:
        raise ValueError(
            f"schema is {found['schema']}; expected {layout.schema}: read it with the version that wrote it"
        )
    return found


def _read_columns(texts: dict[str, list[str]], columns: dict[str, np.ndarray]) -> Problem:
    """Parse the texts into `columns`, NaN where a column is absent; return the first row with an invalid value."""
    problems = []
    for name in VARYING:
        column = texts.get(name, [""] * len(texts["phase"]))
        kind = KINDS[name]
        try:
            if kind.type is Phase:
                if not PHASES.keys() >= set(column):
                    raise ValueError
                columns[name] = np.array(column, dtype="U10")
            else:
                columns[name] = kind.parse_all(column)
        except (ValueError, OverflowError, TypeError):  # the last two: whole numbers with hundreds of digits
            problems.append(_first(column, partial(_fault, name, kind)))
    return min(filter(None, problems), default=None)


def _fault(name: str, kind: Kind, text: str) -> str:
    try:
        kind.parse(text)
    except ValueError as error:
        return NO_ROW_FOR_DONE if text == Phase.DONE.value else f"{name} is {error}"
    return ""


def _are_evaluations(phases: np.ndarray) -> np.ndarray:
    return np.isin(phases, [phase.value for phase in EVALUATED])


def _attempts_out_of_order(columns: dict[str, np.ndarray]) -> Problem:
    attempts = columns["attempt"]
    for number in np.flatnonzero(np.diff(attempts) < 0)[:1]:
        found, above = attempts[number + 1], attempts[number]
        return int(number) + 1, f"attempt is {found}, but {above} above; expected attempts in order"
    return None


def _without_error_rates(columns: dict[str, np.ndarray]) -> Problem:
    no_rates = np.isnan(columns["wer"]) & np.isnan(columns["cer"])
    wrong = np.flatnonzero(_are_evaluations(columns["phase"]) & no_rates)
    return (int(wrong[0]), NO_ERROR_RATES) if len(wrong) else None


def _back_in_time(columns: dict[str, np.ndarray]) -> Problem:
    """Return the first row that begins before one above it ended; evaluations may, as they may overlap training."""
    started_s = columns["started_s"]
    if not len(started_s):
        return None
    ended_s = np.concatenate([[0.0], np.maximum.accumulate(started_s + columns["seconds"])[:-1]])
    early = (started_s < ended_s - CLOCK_TOLERANCE_S) & ~_are_evaluations(columns["phase"])
    for number in np.flatnonzero(early)[:1]:
        sentence = (
            f"started_s is {started_s[number]}, before the row above ended ({ended_s[number]:.6f}); expected time to "
            f"run forwards"
        )
        return int(number), sentence
    return None


CHECKS = (_attempts_out_of_order, _without_error_rates, _back_in_time)
"""What must hold between the rows of a journal; each returns the first row that breaks it."""
