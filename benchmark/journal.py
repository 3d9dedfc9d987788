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
import io
import statistics
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, lru_cache
from operator import attrgetter
from pathlib import Path

from benchmark.clock import Span
from benchmark.phases import Phase

SCHEMA = 1
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
    "loss",
    *METRICS,
)
_TYPES = {f.name: f.type for f in fields(Row)}
assert set(COLUMNS) == set(_TYPES), set(COLUMNS) ^ set(_TYPES)
_IDENTITY = tuple(f.name for f in fields(Identity))
_TEXTS = tuple(name for name in _IDENTITY if _TYPES[name] == "str")
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
    *METRICS,
)
_identity, _texts, _at_least_0 = attrgetter(*_IDENTITY), attrgetter(*_TEXTS), attrgetter(*_AT_LEAST_0)


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
        """Batches trained."""
        return self._here.step if self._here else 0

    @property
    def epoch(self) -> int:
        """The epoch that the last batch belongs to."""
        return self._here.epoch if self._here else 0

    @property
    def _here(self) -> Row | None:
        """The last row that says where training stands: an overlapping evaluation is of earlier weights."""
        backwards = reversed(self.rows)
        return next((row for row in backwards if row.phase is not Phase.EVALUATE), self.rows[-1] if self.rows else None)

    @property
    def swapped(self) -> bool:
        """The evaluation model is there, not the training model: an odd number of swaps since creation."""
        swapped = False
        for row in self.rows:
            swapped = row.phase is not Phase.CREATE and swapped != (row.phase is Phase.SWAP)
        return swapped

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
        return max((row.step for row in self.standing if row.phase is phase), default=0)

    @cached_property
    def standing(self) -> tuple[Row, ...]:
        """The rows that still hold: an attempt undoes what earlier ones did after the step it began from.

        Its first row says where: created (from a checkpoint) at that step, or trained from before it.
        """
        standing: list[Row] = []
        for row in self.rows:
            if standing and row.attempt > standing[-1].attempt:
                kept = row.step - (row.phase is Phase.TRAIN)
                standing = [earlier for earlier in standing if earlier.step <= kept]
            standing.append(row)
        return tuple(standing)

    @cached_property
    def evaluations(self) -> tuple[Row, ...]:
        """One evaluate row an epoch, in order of epochs; a later attempt's replaces an earlier one's."""
        latest = {row.epoch: row for row in self.standing if row.phase is Phase.EVALUATE}
        return tuple(latest[epoch] for epoch in sorted(latest))

    def medians(self, metric: str, *, window: int = 3) -> Iterator[tuple[Row, float]]:
        """Evaluations that end `window` epochs in a row, each with the median error over those epochs."""
        for last in range(window, len(self.evaluations) + 1):
            rows = self.evaluations[last - window : last]
            errors = [getattr(row, metric) for row in rows]
            if None not in errors and rows[-1].epoch - rows[0].epoch == window - 1:
                yield rows[-1], statistics.median(errors)

    def reached(self, metric: str, level: float, *, window: int = 3) -> Row | None:
        """The evaluation at which time to accuracy is read, or None.

        That of the first epoch i >= window whose median error over epochs i-window+1..i is <= level (the paper's
        TTA(a, e), with a the level and e the window).
        """
        return next((row for row, median in self.medians(metric, window=window) if median <= level), None)

    def time_to_accuracy_s(self, metric: str, level: float, *, window: int = 3, clock: str = "wall") -> float | None:
        """Seconds by one of CLOCKS until the level was reached, or None."""
        row = self.reached(metric, level, window=window)
        return None if row is None else self.clock_s(row.ended_s, clock)

    @property
    def created_s(self) -> float:
        """When model creation began: the zero of the wall and train clocks."""
        return self.rows[0].started_s if self.rows else 0.0

    def clock_s(self, until_s: float, clock: str = "wall") -> float:
        """What a clock shows at a moment of the journal."""
        started_s = [row.started_s for row in self.rows if row.phase is Phase.TRAIN]
        if clock == "mlperf" and started_s:
            return until_s - min(started_s)
        return until_s - self.created_s - self.alone_s(CLOCKS[clock], until_s=until_s)

    def alone_s(self, phases: Collection[Phase], *, until_s: float = float("inf")) -> float:
        """Seconds in which these phases ran and no other: an evaluation may overlap training."""
        if not phases:
            return 0.0
        others = [row for row in self.rows if row.phase not in phases]
        return _covered_s(self.rows, until_s) - _covered_s(others, until_s)


def _covered_s(rows: Iterable[Row], until_s: float) -> float:
    """Seconds in which at least one of the rows ran."""
    covered_s = ended_s = 0.0
    for row in sorted(rows, key=attrgetter("started_s")):
        stop_s = min(row.ended_s, until_s)
        covered_s += max(0.0, stop_s - max(row.started_s, ended_s))
        ended_s = max(ended_s, stop_s)
    return covered_s


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
        """Write a phase's row and flush it. Raises ValueError, and writes nothing, if `read` would refuse it."""
        row = Row(
            **asdict(self.identity),
            **asdict(outcome),
            phase=phase,
            attempt=self.attempt,
            started_s=round(span.started_s, 6),
            seconds=round(span.seconds, 6),
        )
        values = [_to_text(getattr(row, column)) for column in COLUMNS]
        row = _read_row(str(self.path), values)
        self._writer.writerow(values)
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
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    return RunRecord(tuple(_read_rows(path, reader)), str(path))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise JournalError(f"{path}: a folder; expected a run's CSV file") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JournalError(f"{path}:{line}: not UTF-8 at byte {error.start}; expected a run's CSV file") from None
    if not text:
        raise JournalError(f"{path}:1: empty; expected the header {','.join(COLUMNS[:4])},...")
    if not text.endswith("\n"):  # a number cut short is a number too
        line = text.count("\n") + 1
        raise JournalError(f"{path}:{line}: no line break at its end; expected one (a line cut short? then delete it)")
    return text


def _read_rows(path: Path, reader: Iterator[list[str]]) -> list[Row]:
    rows: list[Row] = []
    ended_s = 0.0
    for number, values in enumerate(_lines(path, reader), start=1):
        where = f"{path}:{number}"
        if number == 1:
            _check_header(where, values)
            continue
        row = _read_row(where, values)
        if rows:
            _check_same_run(where, row, rows[-1])
        if row.started_s < ended_s - 1e-3 and row.phase is not Phase.EVALUATE:
            raise JournalError(
                f"{where}: started_s is {row.started_s}, before the row above ended ({ended_s:.6f}); "
                f"expected time to run forwards"
            )
        ended_s = max(ended_s, row.ended_s)
        rows.append(row)
    return rows


def _check_same_run(where: str, row: Row, above: Row) -> None:
    if _identity(row) != _identity(above):
        name = next(name for name in _IDENTITY if getattr(row, name) != getattr(above, name))
        raise JournalError(
            f"{where}: {name} is {getattr(row, name)!r}, but {getattr(above, name)!r} above; expected one run a file"
        )
    if row.attempt < above.attempt:
        raise JournalError(f"{where}: attempt is {row.attempt}, but {above.attempt} above; expected attempts in order")


def _lines(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise JournalError(f"{path}:{reader.line_num}: not CSV ({error})") from None


def _check_header(where: str, values: list[str]) -> None:
    if values != list(COLUMNS):
        wrong = next(
            (i for i, (a, b) in enumerate(zip(values, COLUMNS, strict=False)) if a != b), min(len(values), len(COLUMNS))
        )
        found = repr(values[wrong][:80]) if wrong < len(values) else "nothing"
        expected = repr(COLUMNS[wrong]) if wrong < len(COLUMNS) else "nothing"
        raise JournalError(
            f"{where}: column {wrong + 1} of the header is {found}; expected {expected} (a journal of schema {SCHEMA})"
        )


def _read_row(where: str, values: list[str]) -> Row:
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


def _to_text(value: object) -> str:
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
    if not abs(number) <= LARGEST:  # nor NaN
        raise ValueError(f"{expected} that is finite and at most 2**64")
    return number


def differing(records: Iterable[RunRecord], names: Iterable[str] = POOLED) -> list[tuple[str, list[object]]]:
    """The fields among `names` in which runs differ, each with its values; empty if the runs may be pooled."""
    firsts = [record.rows[0] for record in records if record.rows]
    values = {name: sorted({getattr(row, name) for row in firsts}, key=str) for name in names}
    return [(name, found) for name, found in values.items() if len(found) > 1]
