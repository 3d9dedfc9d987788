"""The format of a journal: its columns, what their values may be, and how they are written and read.

    line = write_row(row)                       # "4,run,1,..." of a Row
    table = read_table("results/run.csv", text) # Table; JournalError names file, line, what was found and expected
    table.columns["seconds"], table.row(7)      # float64 [rows], Row

A table holds columns, since a judge reads whole columns and few rows; a row is made when it is asked for. A field that
does not apply is empty in the file, None in a row and NaN in a column. Error rates are in percent, times in seconds
since model creation began, and audio in seconds.

A header has the columns of its schema, in their order. Error figures may follow, in any order: those that the version
which began the run computed. A figure that a file has no column for is None in its rows.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from benchmark.metrics import FIGURES, Errors
from benchmark.record import bulk
from benchmark.record.phases import EVALUATED, Phase

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record.short import np

SCHEMA = 4
"""The version of the format.

Schema 4 has the column `machines`; before it a run had one. Schema 3 has the column `variant`; until schema 2 the
variant was part of the workload's name ("mini+specaugment").
"""

POOLED = (
    "workload",
    "variant",
    "recipe",
    "batch",
    "precision",
    "features",
    "decoder",
    "evaluation",
    "machines",
    "replicas",
    "devices",
    "code",
    "emulated",
)
"""The columns in which runs must agree before they are pooled."""

LARGEST = 2**53  # float64 holds every whole number up to it exactly; a larger number is taken for an error
CLOCK_TOLERANCE_S = 1e-3  # a row may begin this much before the row above ended


class JournalError(ValueError):
    """A journal that cannot be used; the message names the file, the line, what was found and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The fields that are the same in every row of a run.

    `replicas` are those of all machines, and `batch` is the global batch in utterances. `features` is a digest and
    `code` a version. `variant` names what differs from the named workload ("specaugment+synthetic"); it is empty if
    nothing does.
    """

    run: str
    platform: str
    workload: str
    variant: str = ""
    recipe: str
    seed: int
    machines: int = 1
    replicas: int
    devices: str
    emulated: bool
    batch: int
    precision: str
    features: str
    decoder: str
    evaluation: str
    code: str

    @property
    def workload_label(self) -> str:
        """Workload and variant in one word: "mini+specaugment"."""
        return "+".join(filter(None, (self.workload, self.variant)))


@dataclass(frozen=True, kw_only=True)
class Outcome(Errors):
    """The result of a phase: where the run stands after it, and what it did. `step` counts batches since the run began.

    An evaluation has its error figures.

    A train row has `input_s`, the seconds spent waiting for batches (on a GPU, where work is queued ahead, an upper
    bound), and `tflop`, the model's floating-point operations on valid frames in units of 10^12. The create row that
    resumes a run has `down_s`, the seconds since the last heartbeat; the run's clock does not count them.
    """

    step: int
    epoch: int
    utterances: int | None = None
    audio_s: float | None = None
    input_s: float | None = None
    tflop: float | None = None
    loss: float | None = None
    down_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row(Identity, Outcome):
    """One line of a journal. Raises ValueError, which names the field, for a value that a reader would refuse."""

    schema: int = SCHEMA
    attempt: int = 1
    phase: Phase
    started_s: float
    seconds: float

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            if problem := kind.problem(getattr(self, name)):
                raise ValueError(f"{name} is {problem}")
        if self.phase is Phase.DONE:
            raise ValueError(NO_ROW_FOR_DONE)
        if self.phase in EVALUATED and self.wer is None and self.cer is None:
            raise ValueError(NO_ERROR_RATES)

    @property
    def ended_s(self) -> float:
        return self.started_s + self.seconds

    @property
    def identity(self) -> Identity:
        return Identity(**{name: getattr(self, name) for name in IDENTITY})


NO_ROW_FOR_DONE = "phase is 'done'; expected a phase that takes time"
NO_ERROR_RATES = "an evaluate row without wer and cer; expected one of them at least"


class Kind(NamedTuple):
    """The values of a column: their type, whether a field may be empty, and their lower bound."""

    type: type
    optional: bool = False
    low: float = -LARGEST

    @property
    def expected(self) -> str:
        words = {int: "a whole number", float: "a number", bool: "yes or no", str: "text", Phase: PHASE_NAMES}
        return words[self.type] + " or nothing" * self.optional

    def problem(self, value: Any) -> str:
        """Return what is wrong with a row's value and what was expected; empty if nothing is wrong."""
        if value is None and self.optional or self.type in (bool, Phase):
            return ""
        if self.type is str:
            printable = isinstance(value, str) and value.isprintable()  # a line break would split the row in two
            return "" if printable else f"{value[:80]!r}; expected text that can be printed"
        if not isinstance(value, self.type) and not (self.type is float and isinstance(value, int)):
            return f"{_shown(value)}; expected {self.expected}"
        return "" if self.within(value) else self.outside(value)

    def within(self, values: Any) -> Any:
        """Return whether a number, or each number of an array, is in the column's range; NaN never is."""
        return (self.low <= values) & (values <= LARGEST)

    def outside(self, value: Any) -> str:
        if value < self.low:
            return f"{value}; expected a number of at least {self.low:g}"
        return f"{_shown(value)}; expected {self.expected} that is finite and at most 2**53"

    def parse(self, text: str) -> Any:
        """Parse one field. Raises ValueError, which says what was found and expected."""
        if text == "" and self.optional:
            return None
        if self.type is str:
            return text
        if self.type in (bool, Phase):
            choices: dict[str, Any] = YES_NO if self.type is bool else PHASES
            if text not in choices:
                raise ValueError(f"{text[:80]!r}; expected {self.expected}")
            return choices[text]
        try:
            value = self.type(text)
        except ValueError:
            raise ValueError(f"{text[:80]!r}{_spreadsheet(text)}; expected {self.expected}") from None
        if not self.within(value):
            raise ValueError(self.outside(value) if value < self.low else self.outside_text(text))
        return value

    def outside_text(self, text: str) -> str:
        return f"{text[:80]!r}; expected {self.expected} that is finite and at most 2**53"

    def parse_all(self, texts: Sequence[str]) -> np.ndarray:
        """Parse a column of numbers, int64 or float64 [rows], NaN for empty fields. Raises ValueError for a bad one."""
        empty = texts.count("") if self.optional else 0
        if empty == len(texts):
            return np.full(len(texts), math.nan) if self.optional else np.zeros(0, np.int64)
        if empty:
            values = np.array([float(self.type(text)) if text else math.nan for text in texts])
        else:
            values = np.array(list(map(self.type, texts)))
        missing = np.isnan(values)
        if missing.sum() != empty or not (self.within(values) | missing).all():
            raise ValueError("a value that is not finite, or out of range")
        return values.astype(np.float64 if self.type is float or self.optional else np.int64)


SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}.*|\d{1,2}[. -]+[^\W\d]{3,9}.*|[^\W\d]{3,9}[. -]+\d{1,4}")
ORIGINAL = "expected the file as the run wrote it: take the original, or save it with commas and points"


def _spreadsheet(text: str) -> str:
    """Say what a spreadsheet program has made of a number; "" if it does not look like that."""
    if DECIMAL_COMMA.fullmatch(text):
        return " (a decimal comma: a spreadsheet program saved it)"
    if DATE.fullmatch(text):
        return " (a date, which a spreadsheet program made of a number)"
    return ""


def _shown(value: object) -> str:
    return repr(str(value)[:80])


_OF_SCHEMA = (
    "schema",
    "run",
    "attempt",
    "platform",
    "workload",
    "variant",
    "recipe",
    "seed",
    "machines",
    "replicas",
    "devices",
    "emulated",
    "batch",
    "precision",
    "features",
    "decoder",
    "evaluation",
    "code",
    "phase",
    "epoch",
    "step",
    "started_s",
    "seconds",
    "utterances",
    "audio_s",
    "input_s",
    "tflop",
    "loss",
    "wer",
    "cer",
    "wer_mean",
    "cer_paper",
    "down_s",
)
COLUMNS = (*_OF_SCHEMA, *(name for name in FIGURES if name not in _OF_SCHEMA))
"""The columns of a new journal: those of the schema, then the figures that came later."""

READABLE = {
    2: tuple(name for name in _OF_SCHEMA if name not in ("variant", "machines")),
    3: tuple(name for name in _OF_SCHEMA if name != "machines"),
    SCHEMA: _OF_SCHEMA,
}
"""Maps each readable schema to the columns that every file of it has."""

IDENTITY, OUTCOME = (tuple(f.name for f in fields(part)) for part in (Identity, Outcome))
PHASES = {phase.value: phase for phase in Phase if phase is not Phase.DONE}
PHASE_NAMES = " or ".join(PHASES)
YES_NO = {"yes": True, "no": False}
_PHASE = COLUMNS.index("phase")
_COMMON = COLUMNS[:_PHASE]  # the same in every row of an attempt
VARYING = COLUMNS[_PHASE:]
_TYPES = {"int": int, "float": float, "str": str, "bool": bool, "Phase": Phase}
_ANY_SIGN = ("schema", "seed", "loss")


def _kind(name: str, annotation: str) -> Kind:
    kind = _TYPES[annotation.removesuffix(" | None")]
    low = 0 if kind in (int, float) and name not in _ANY_SIGN else -LARGEST
    return Kind(kind, optional=annotation.endswith("| None"), low=low)


KINDS = {f.name: _kind(f.name, str(f.type)) for f in fields(Row)}
if set(COLUMNS) != set(KINDS):
    raise TypeError(f"columns that are no field of a row, or the other way round: {set(COLUMNS) ^ set(KINDS)}")


# --- writing ---------------------------------------------------------------------------------------------------------


def write_row(row: Row, columns: Sequence[str] = COLUMNS) -> str:
    """Format a row as a line of a file with these columns, with its line break."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow([to_text(getattr(row, column)) for column in columns])
    return line.getvalue()


def to_text(value: object) -> str:
    """Format a value as the text of a field; None becomes an empty field."""
    if value is None:
        return ""
    if isinstance(value, Phase):
        return value.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(float(value)) if isinstance(value, float) else str(value)  # float(): NumPy's repr names its type


# --- reading ---------------------------------------------------------------------------------------------------------


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


def read_table(source: str, text: str) -> Table:
    """Parse a journal's text into a table; `source` is the file's name for error messages.

    Raises:
        JournalError: the text is no journal; the message names the file, the line, what was found and expected.
    """
    text = text.replace("\r\n", "\n") if "\r" in text else text  # to look is quicker, where there is none
    header, _, body = text.partition("\n")
    layout = read_header(source, header)
    if bulk.worth_it(len(body)) and (table := _read_bulk(body, layout)):
        return table
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


def _read_bulk(body: str, layout: Layout) -> Table | None:
    """Read many lines at once; None if anything in them is unusual, which the plain way reads or refuses."""
    kinds = {name: KINDS[name] for name in layout.varying}
    first = body.partition("\n")[0]
    prefix = first.rsplit(",", len(layout.varying))[0] + ","
    try:
        commons = [_read_common(prefix, first, layout)]
        found = bulk.read_columns(body, kinds, prefix=prefix)
        if found is None:  # of several attempts, or with a comma in a name
            commons, rests, _ = _read_commons(body.removesuffix("\n").split("\n"), layout)
            found = bulk.read_columns("\n".join(rests), kinds) if commons else None
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
    for place, name in enumerate(_OF_SCHEMA):
        if values[place : place + 1] != (name,):
            return place, repr(name)
    figures = values[len(_OF_SCHEMA) :]
    right = next(n for n in range(len(figures)) if not _are_further(figures[: n + 1]))
    return len(_OF_SCHEMA) + right, f"nothing, or one of {', '.join(COLUMNS[len(_OF_SCHEMA) :])}, each once"


def _are_further(names: Sequence[str]) -> bool:
    """Return whether names may follow the columns of a schema: figures that it does not have, each once."""
    return len(set(names)) == len(names) and set(names) <= set(COLUMNS[len(_OF_SCHEMA) :])


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
    for name in _COMMON:
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


def decoder_read(label: str) -> str:
    """Return a decoder's label as this version writes it.

    What older versions called language-model was pyctcdecode, and was not the suite's own search: that is "lm-...".
    """
    return re.sub("^language-model(?=-|$)", "pyctcdecode", label)


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
