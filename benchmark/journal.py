"""What a run did: a CSV file with one header and one row for every phase executed.

    journal = Journal.create(path, identity)
    journal.append(Phase.TRAIN, span, Outcome(step=50, utterances=800, audio_s=2000.0, loss=31.5))
    journal.record.step                     # 50

    record = read("results/run.csv")        # RunRecord; needs no TensorFlow

The journal is the state of a run: what comes next is decided from it alone. Rows are appended and flushed, never
rewritten. A field that does not apply is empty. Error rates are in percent, times in seconds since model
creation began, audio in seconds.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

from benchmark.clock import Span
from benchmark.phases import Phase

SCHEMA = 1
METRICS = ("wer", "cer", "wer_mean", "cer_paper")

POOLED = ("workload", "recipe", "batch", "precision", "features", "decoder", "evaluation", "replicas", "code",
          "emulated")
"""What must agree before runs are pooled: anything else measured together would compare different things."""

CLOCKS = {
    "wall": frozenset(),
    "train": frozenset(Phase) - {Phase.TRAIN},
    "mlperf": frozenset({Phase.CREATE}),
}
"""Clock -> phases whose time it leaves out. `wall` is the paper's: everything since model creation."""


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
    """What a phase brought: the state after it, and what it did. `step` counts batches since the run began."""

    step: int
    epoch: int
    utterances: int | None = None
    audio_s: float | None = None
    loss: float | None = None
    wer: float | None = None
    cer: float | None = None
    wer_mean: float | None = None
    cer_paper: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row(Identity, Outcome):
    """One line of a journal."""

    schema: int = SCHEMA
    attempt: int = 1
    phase: Phase
    started_s: float
    seconds: float

    def __post_init__(self) -> None:
        for name in ("started_s", "seconds", "utterances", "audio_s", *METRICS):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} is {value}; expected a number of at least 0")
        if self.phase is Phase.DONE:
            raise ValueError("phase is 'done'; expected a phase that takes time")
        if self.phase is Phase.EVALUATE and None in (self.wer, self.cer):
            raise ValueError("an evaluate row without wer or cer; expected both")

    @property
    def ended_s(self) -> float:
        return self.started_s + self.seconds


COLUMNS = ("schema", "run", "attempt", "platform", "workload", "recipe", "seed", "replicas", "devices", "emulated",
           "batch", "precision", "features", "decoder", "evaluation", "code", "phase", "epoch", "step", "started_s",
           "seconds", "utterances", "audio_s", "loss", *METRICS)
_TYPES = {f.name: f.type for f in fields(Row)}
assert set(COLUMNS) == set(_TYPES), set(COLUMNS) ^ set(_TYPES)


@dataclass(frozen=True)
class RunRecord:
    """All rows of one run, and what follows from them."""

    rows: tuple[Row, ...] = ()
    source: str = field(default="", compare=False)

    @property
    def created(self) -> bool:
        return any(row.phase is Phase.CREATE for row in self.rows)

    @property
    def step(self) -> int:
        return self.rows[-1].step if self.rows else 0

    @property
    def epoch(self) -> int:
        return self.rows[-1].epoch if self.rows else 0

    @property
    def ended_s(self) -> float:
        return max((row.ended_s for row in self.rows), default=0.0)

    @property
    def generated_step(self) -> int:
        return self._last_step(Phase.GENERATE)

    @property
    def saved_step(self) -> int:
        return self._last_step(Phase.CHECKPOINT)

    @property
    def evaluated_epoch(self) -> int:
        return max((row.epoch for row in self.evaluations), default=0)

    def _last_step(self, phase: Phase) -> int:
        return max((row.step for row in self.rows if row.phase is phase), default=0)

    @cached_property
    def evaluations(self) -> tuple[Row, ...]:
        """One evaluate row an epoch, in order of epochs; a later attempt's replaces an earlier one's."""
        latest = {row.epoch: row for row in self.rows if row.phase is Phase.EVALUATE}
        return tuple(latest[epoch] for epoch in sorted(latest))

    def reached(self, metric: str, level: float, *, window: int = 3) -> Row | None:
        """The evaluation at which time to accuracy is read, or None.

        That of the first epoch i >= window whose median error over epochs i-window+1..i is <= level (the paper's
        TTA(a, e), with a the level and e the window).
        """
        errors = [getattr(row, metric) for row in self.evaluations]
        for last in range(window, len(errors) + 1):
            if None not in errors[last - window:last] and statistics.median(errors[last - window:last]) <= level:
                return self.evaluations[last - 1]
        return None

    def time_to_accuracy_s(self, metric: str, level: float, *, window: int = 3, clock: str = "wall") -> float | None:
        """Seconds by one of CLOCKS until the level was reached, or None."""
        row = self.reached(metric, level, window=window)
        return None if row is None else self.clock_s(row.ended_s, clock)

    def clock_s(self, until_s: float, clock: str = "wall") -> float:
        """What a clock shows at a moment given in seconds since model creation."""
        if clock == "mlperf":
            return until_s - next(row.started_s for row in self.rows if row.phase is Phase.TRAIN)
        left_out = CLOCKS[clock]
        return until_s - sum(row.seconds for row in self.rows if row.phase in left_out and row.ended_s <= until_s)


class Journal:
    """A run's CSV file, open for appending, and the record of what is in it."""

    def __init__(self, path: Path, identity: Identity, record: RunRecord, *, attempt: int) -> None:
        self.path, self.identity, self.record, self.attempt = path, identity, record, attempt
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")

    @classmethod
    def create(cls, path: Path, identity: Identity) -> Journal:
        """A new journal with its header. Raises JournalError if the file is there: nothing is overwritten."""
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(",".join(COLUMNS) + "\n")
        except FileExistsError:
            raise JournalError(f"{path}: a run of this name is there already; choose another --name") from None
        return cls(path, identity, RunRecord(source=str(path)), attempt=1)

    def append(self, phase: Phase, span: Span, outcome: Outcome) -> Row:
        """Write a phase's row and flush it."""
        row = Row(**asdict(self.identity), **asdict(outcome), phase=phase, attempt=self.attempt,
                  started_s=round(span.started_s, 6), seconds=round(span.seconds, 6))
        self._writer.writerow([_to_text(getattr(row, column)) for column in COLUMNS])
        self._file.flush()
        self.record = RunRecord((*self.record.rows, row), self.record.source)
        return row

    def close(self) -> None:
        self._file.close()


def read(path: str | Path) -> RunRecord:
    """Read one run's journal.

    Raises:
        JournalError: naming file and line, what was found and what was expected.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = tuple(_read_rows(path, csv.reader(file)))
    except FileNotFoundError:
        raise JournalError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise JournalError(f"{path}: a folder; expected a run's CSV file") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise JournalError(f"{path}: not UTF-8 at byte {error.start}; expected a run's CSV file") from None
    return RunRecord(rows, str(path))


def _read_rows(path: Path, reader: Iterator[list[str]]) -> Iterator[Row]:
    first: Row | None = None
    ended_s = 0.0
    for number, values in enumerate(_lines(path, reader), start=1):
        where = f"{path}:{number}"
        if number == 1:
            _check_header(where, values)
            continue
        row = _read_row(where, values)
        if first and (changed := [f.name for f in fields(Identity) if getattr(row, f.name) != getattr(first, f.name)]):
            name = changed[0]
            raise JournalError(f"{where}: {name} is {getattr(row, name)!r}, but {getattr(first, name)!r} above; "
                               f"expected one run a file")
        if row.attempt == (first or row).attempt and row.started_s < ended_s - 1e-3 and row.phase is not Phase.EVALUATE:
            raise JournalError(f"{where}: started_s is {row.started_s}, before the row above ended ({ended_s:.6f}); "
                               f"expected time to run forwards")
        first, ended_s = first or row, max(ended_s, row.ended_s)
        yield row


def _lines(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    number = 0
    try:
        for number, values in enumerate(reader, start=1):
            yield values
    except csv.Error as error:
        raise JournalError(f"{path}:{number + 1}: not CSV ({error})") from None
    if number == 0:
        raise JournalError(f"{path}: empty; expected the header {','.join(COLUMNS[:4])},...")


def _check_header(where: str, values: list[str]) -> None:
    if values != list(COLUMNS):
        wrong = next((i for i, (a, b) in enumerate(zip(values, COLUMNS)) if a != b), min(len(values), len(COLUMNS)))
        found = repr(values[wrong]) if wrong < len(values) else "nothing"
        expected = repr(COLUMNS[wrong]) if wrong < len(COLUMNS) else "nothing"
        raise JournalError(f"{where}: column {wrong + 1} of the header is {found}; expected {expected} "
                           f"(a journal of schema {SCHEMA})")


def _read_row(where: str, values: list[str]) -> Row:
    if len(values) != len(COLUMNS):
        raise JournalError(f"{where}: {len(values)} fields; expected {len(COLUMNS)} (a line cut short?)")
    parsed = {}
    for column, value in zip(COLUMNS, values):
        try:
            parsed[column] = _from_text(column, value)
        except ValueError as error:
            raise JournalError(f"{where}: {column} is {value[:80]!r}; expected {error}") from None
    if parsed["schema"] != SCHEMA:
        raise JournalError(f"{where}: schema is {parsed['schema']}; expected {SCHEMA}: read it with the version that "
                           f"wrote it")
    try:
        return Row(**parsed)
    except ValueError as error:
        raise JournalError(f"{where}: {error}") from None


def _to_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Phase):
        return value.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, float) else str(value)


def _from_text(column: str, value: str) -> object:
    """The value of a field; raises ValueError with what was expected."""
    kind = _TYPES[column]
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
    if not math.isfinite(number):
        raise ValueError(expected)
    return number


def differing(records: Iterable[RunRecord], names: Iterable[str] = POOLED) -> list[tuple[str, list[object]]]:
    """The fields among `names` in which runs differ, each with its values; empty if the runs may be pooled."""
    firsts = [record.rows[0] for record in records if record.rows]
    values = {name: sorted({getattr(row, name) for row in firsts}, key=str) for name in names}
    return [(name, found) for name, found in values.items() if len(found) > 1]
