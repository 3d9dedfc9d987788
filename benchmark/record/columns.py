"""The format of a journal: its columns, what their values may be, and how a row is written (table.py reads).

    line = write_row(row)                       # "4,run,1,..." of a Row
    KINDS["seconds"].parse("1.5")               # 1.5; ValueError says what was found and expected

A field that does not apply is empty in the file, None in a row and NaN in a column. Error rates are in percent, times
in seconds since model creation began, and audio in seconds.

A header has the columns of its schema, in their order. Error figures may follow, in any order: those that the version
which began the run computed. A figure that a file has no column for is None in its rows.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmark.metrics import FIGURES, Errors
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


OF_SCHEMA = (
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
COLUMNS = (*OF_SCHEMA, *(name for name in FIGURES if name not in OF_SCHEMA))
"""The columns of a new journal: those of the schema, then the figures that came later."""

READABLE = {
    2: tuple(name for name in OF_SCHEMA if name not in ("variant", "machines")),
    3: tuple(name for name in OF_SCHEMA if name != "machines"),
    SCHEMA: OF_SCHEMA,
}
"""Maps each readable schema to the columns that every file of it has."""

IDENTITY, OUTCOME = (tuple(f.name for f in fields(part)) for part in (Identity, Outcome))
PHASES = {phase.value: phase for phase in Phase if phase is not Phase.DONE}
PHASE_NAMES = " or ".join(PHASES)
YES_NO = {"yes": True, "no": False}
_PHASE = COLUMNS.index("phase")
COMMON = COLUMNS[:_PHASE]  # the same in every row of an attempt
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


def decoder_read(label: str) -> str:
    """Return a decoder's label as this version writes it.

    What older versions called language-model was pyctcdecode, and was not the suite's own search: that is "lm-...".
    """
    return re.sub("^language-model(?=-|$)", "pyctcdecode", label)
