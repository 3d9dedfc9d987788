"""One line of a journal: its columns, what their values may be, and how they are written and read.

    row = parse_row("results/run.csv:7", ["1", "run", ...])     # Row; JournalError names column, value, expectation
    [to_text(getattr(row, column)) for column in COLUMNS]       # and back

Many lines at once are read column by column, and become rows when one is looked at: a judge looks at few of them.

    rows = parse_rows(lines)                # LazyRows, or None: then line by line says what is wrong, and where

A field that does not apply is empty. Error rates are in percent, times in seconds, audio in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter

from benchmark.record.phases import Phase

SCHEMA = 2
METRICS = ("wer", "cer", "wer_mean", "cer_paper")

POOLED = (
    "workload",
    "recipe",
    "batch",
    "precision",
    "features",
    "decoder",
    "evaluation",
    "replicas",
    "devices",
    "code",
    "emulated",
)
"""What must agree before runs are pooled: anything else measured together would compare different things."""

LARGEST = 2**64  # a number beyond it is a slip; also keeps sums of int and float from overflowing


class JournalError(ValueError):
    """A journal that cannot be used: the message gives file, line, what was found and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What is the same in every row of a run. `batch` is global; `features` and `code` are short digests."""

    run: str
    platform: str
    workload: str
    recipe: str
    seed: int
    replicas: int
    devices: str
    emulated: bool
    batch: int
    precision: str
    features: str
    decoder: str
    evaluation: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a phase brought: the state after it, and what it did. `step` counts batches since the run began.

    Of training: `input_s`, seconds spent waiting for batches, an upper bound where work is queued ahead on a GPU;
    `tflop`, 10^12 floating-point operations of the model on valid frames (deepspeech.flops). Of the creation that
    resumes a run: `down_s`, seconds since the last sign of life, which are no part of the clock.
    """

    step: int
    epoch: int
    utterances: int | None = None
    audio_s: float | None = None
    input_s: float | None = None
    tflop: float | None = None
    loss: float | None = None
    wer: float | None = None
    cer: float | None = None
    wer_mean: float | None = None
    cer_paper: float | None = None
    down_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row(Identity, Outcome):
    """One line of a journal."""

    schema: int = SCHEMA
    attempt: int = 1
    phase: Phase
    started_s: float
    seconds: float

    def __post_init__(self) -> None:
        for name, value in zip(_AT_LEAST_0, _at_least_0(self), strict=True):
            if value is not None and not value >= 0:
                raise ValueError(f"{name} is {value}; expected a number of at least 0")
        for name, value in zip(_TEXTS, _texts(self), strict=True):
            if not value.isprintable():  # a line break in it would tear the row in two
                raise ValueError(f"{name} is {value[:80]!r}; expected text that can be printed")
        if self.phase is Phase.DONE:
            raise ValueError("phase is 'done'; expected a phase that takes time")
        if self.phase is Phase.EVALUATE and None in (self.wer, self.cer):
            raise ValueError("an evaluate row without wer or cer; expected both")

    @property
    def ended_s(self) -> float:
        return self.started_s + self.seconds


COLUMNS = (
    "schema",
    "run",
    "attempt",
    "platform",
    "workload",
    "recipe",
    "seed",
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
    *METRICS,
    "down_s",
)
TYPES = {f.name: f.type for f in fields(Row)}
assert set(COLUMNS) == set(TYPES), set(COLUMNS) ^ set(TYPES)
IDENTITY, OUTCOME = (tuple(f.name for f in fields(part)) for part in (Identity, Outcome))
_TEXTS = tuple(name for name in IDENTITY if TYPES[name] == "str")
_AT_LEAST_0 = (
    "attempt",
    "replicas",
    "batch",
    "epoch",
    "step",
    "started_s",
    "seconds",
    "utterances",
    "audio_s",
    "input_s",
    "tflop",
    "down_s",
    *METRICS,
)
identity_of, _texts, _at_least_0 = attrgetter(*IDENTITY), attrgetter(*_TEXTS), attrgetter(*_AT_LEAST_0)


def parse_row(where: str, values: list[str]) -> Row:
    if len(values) != len(COLUMNS):
        raise JournalError(f"{where}: {len(values)} fields; expected {len(COLUMNS)} (a line cut short?)")
    parsed = {}
    for column, value in zip(COLUMNS, values, strict=True):
        try:
            parsed[column] = _from_text(column, value)
        except ValueError as error:
            raise JournalError(f"{where}: {column} is {value[:80]!r}; expected {error}") from None
    if parsed["schema"] != SCHEMA:
        raise JournalError(
            f"{where}: schema is {parsed['schema']}; expected {SCHEMA}: read it with the version that wrote it"
        )
    try:
        return Row(**parsed)
    except ValueError as error:
        raise JournalError(f"{where}: {error}") from None


def to_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Phase):
        return value.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(float(value)) if isinstance(value, float) else str(value)  # float(): NumPy's repr names its type


@lru_cache(maxsize=4096)  # most of a row's fields are those of the row above: reading takes half the time
def _from_text(column: str, value: str) -> object:
    """The value of a field; raises ValueError with what was expected."""
    kind = TYPES[column]
    if value == "" and kind.endswith("| None"):
        return None
    if kind == "str":
        return value
    if kind == "bool":
        return _choice({"yes": True, "no": False}, value)
    if kind == "Phase":
        return _choice({phase.value: phase for phase in Phase}, value)
    return _number(value, whole=kind.startswith("int"), optional=kind.endswith("| None"))


def _choice(choices: dict[str, object], value: str) -> object:
    if value not in choices:
        raise ValueError(" or ".join(choices))
    return choices[value]


def _number(value: str, *, whole: bool, optional: bool) -> float | int:
    expected = ("a whole number" if whole else "a number") + (" or nothing" if optional else "")
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        raise ValueError(expected) from None
    if not abs(number) <= LARGEST:  # nor NaN
        raise ValueError(f"{expected} that is finite and at most 2**64")
    return number


_COMMON = COLUMNS[: COLUMNS.index("phase")]  # the same in every row of an attempt
_VARYING = COLUMNS[len(_COMMON) :]
_PHASES = {phase.value: phase for phase in Phase if phase is not Phase.DONE}


class LazyRows(Sequence):
    """Rows kept as columns; equal to a tuple of the same rows."""

    def __init__(self, common: list[dict[str, object]], columns: dict[str, list]) -> None:
        self.common, self.columns = common, columns
        self.attempts = [fields["attempt"] for fields in common]

    def __len__(self) -> int:
        return len(self.common)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        row = object.__new__(Row)  # what __post_init__ asks for was checked for all rows at once
        row.__dict__.update(self.common[index])
        row.__dict__.update({name: column[index] for name, column in self.columns.items()})
        return row

    def __iter__(self) -> Iterator[Row]:
        return (self[n] for n in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, LazyRows)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


def parse_rows(lines: Sequence[str]) -> LazyRows | None:
    """All lines of a journal below its header, if they are as `Journal` writes them and every value is right."""
    try:
        found = _columns(lines)
        return found if found is not None and _are_right(found) else None
    except (ValueError, KeyError, OverflowError):
        return None


def _columns(lines: Sequence[str]) -> LazyRows | None:
    """One split for all lines, and one slice a column: what lines have in common is compared, not read again."""
    common, rests = [], []
    prefix = shared = identity = None
    for line in lines:
        if prefix is None or not line.startswith(prefix):
            if '"' in line:
                return None
            values = line.split(",")
            row = parse_row("", values)
            if common and (identity_of(row) != identity or row.attempt < shared["attempt"]):
                return None
            identity = identity_of(row)
            prefix = ",".join(values[: len(_COMMON)]) + ","
            shared = {name: getattr(row, name) for name in _COMMON}
        common.append(shared)
        rests.append(line[len(prefix) :])
    commas = len(_VARYING) - 1
    if any(rest.count(",") != commas for rest in rests):
        return None
    flat = ",".join(rests).split(",") if rests else []
    texts = {name: flat[n :: len(_VARYING)] for n, name in enumerate(_VARYING)}
    columns: dict[str, list] = {"phase": [_PHASES[text] for text in texts.pop("phase")]}
    for name, column in texts.items():
        number = int if TYPES[name].startswith("int") else float
        if TYPES[name].endswith("| None"):
            columns[name] = [number(text) if text else None for text in column]
        else:
            columns[name] = list(map(number, column))
    return LazyRows(common, columns)


def _are_right(rows: LazyRows) -> bool:
    """What `Row` and `parse_row` ask of one row, of all."""
    for name, column in rows.columns.items():
        if name == "phase":
            continue
        numbers = [number for number in column if number is not None] if TYPES[name].endswith("| None") else column
        low = -LARGEST if name not in _AT_LEAST_0 else 0
        if numbers and not (low <= min(numbers) and max(numbers) <= LARGEST and sum(numbers) == sum(numbers)):
            return False
    evaluated = [n for n, phase in enumerate(rows.columns["phase"]) if phase is Phase.EVALUATE]
    return not any(rows.columns[name][n] is None for n in evaluated for name in ("wer", "cer"))
