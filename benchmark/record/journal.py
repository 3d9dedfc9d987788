"""What a run did: a CSV file with one header and one row for every phase executed.

    journal = Journal.create(path, identity)
    journal.append(Phase.TRAIN, span, Outcome(step=50, utterances=800, audio_s=2000.0, loss=31.5))
    journal.record.step                     # 50

    record = read("results/run.csv")        # RunRecord; needs no TensorFlow
    journal = Journal.resume(path, identity)                    # goes on where a killed process stopped

The journal is the state of a run: what comes next is decided from it alone. Rows are appended and flushed, never
rewritten. A field that does not apply is empty. Error rates are in percent, times in seconds since model
creation began, audio in seconds.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import stat
import statistics
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import add, lt
from pathlib import Path
from typing import NamedTuple

from benchmark.record.clocks import Span
from benchmark.record.phases import Phase
from benchmark.record.rows import (
    COLUMNS,
    IDENTITY,
    METRICS,
    OUTCOME,
    POOLED,
    SCHEMA,
    Identity,
    JournalError,
    LazyRows,
    Outcome,
    Row,
    identity_of,
    parse_row,
    parse_rows,
    to_text,
)

__all__ = ("COLUMNS", "METRICS", "POOLED", "SCHEMA", "Identity", "JournalError", "Outcome", "Row")

CLOCKS = {
    "wall": frozenset(),
    "train": frozenset(Phase) - {Phase.TRAIN},
    "mlperf": frozenset({Phase.CREATE}),
}
"""Clock -> phases whose time it leaves out. `wall` is the paper's: everything since model creation."""

CLOCK_STEP_S = 1e-6  # of a journal's times
COMPILING_ROWS = 2  # first train rows of an attempt: its first steps compile. Only throughput leaves them out


@dataclass(frozen=True)
class RunRecord:
    """All rows of one run, and what follows from them."""

    rows: Sequence[Row] = ()
    source: str = field(default="", compare=False)
    attempt: int | None = field(default=None, compare=False)  # the one under way, where it has no row yet

    def then(self, row: Row) -> RunRecord:
        """With one more row. What is known of this record is carried over: the last row of a long run costs no more
        than the first."""
        later = RunRecord(Grown.of(self.rows).plus(row), self.source)
        if self.rows and row.attempt == self.rows[-1].attempt:
            known = later.__dict__  # where cached_property keeps its values
            known["created"] = self.created or row.phase is Phase.CREATE
            known["swapped"] = row.phase is not Phase.CREATE and self.swapped != (row.phase is Phase.SWAP)
            known["ended_s"] = max(self.ended_s, row.ended_s)
            known["standing"] = Grown.of(self.standing).plus(row)
            known["_last_steps"] = {**self._last_steps, row.phase: max(row.step, self._last_steps.get(row.phase, 0))}
            if row.phase is not Phase.EVALUATE:
                known["evaluations"], known["_medians"] = self.evaluations, self._medians
            elif row.epoch > self.evaluated_epoch:
                known["evaluations"] = Grown.of(self.evaluations).plus(row)
                known["_medians"] = {asked: later._with_last(*asked, found) for asked, found in self._medians.items()}
        return later

    @cached_property
    def columns(self) -> Columns:
        """What is asked of every row."""
        if isinstance(self.rows, LazyRows):
            found = self.rows.columns
            return Columns(
                phases=found["phase"],
                attempts=self.rows.attempts,
                started_s=found["started_s"],
                seconds=found["seconds"],
                utterances=found["utterances"],
                input_s=found["input_s"],
                tflop=found["tflop"],
            )
        return Columns(
            phases=[row.phase for row in self.rows],
            attempts=[row.attempt for row in self.rows],
            started_s=[row.started_s for row in self.rows],
            seconds=[row.seconds for row in self.rows],
            utterances=[row.utterances for row in self.rows],
            input_s=[row.input_s for row in self.rows],
            tflop=[row.tflop for row in self.rows],
        )

    @cached_property
    def created(self) -> bool:
        """Whether the attempt under way has made its model."""
        attempt = self.attempt or (self.rows[-1].attempt if self.rows else 1)
        return any(row.phase is Phase.CREATE and row.attempt == attempt for row in self.rows)

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

    @cached_property
    def swapped(self) -> bool:
        """The evaluation model is there, not the training model: an odd number of swaps since creation."""
        swapped = False
        for phase in self.columns.phases:
            swapped = phase is not Phase.CREATE and swapped != (phase is Phase.SWAP)
        return swapped

    @cached_property
    def ended_s(self) -> float:
        if isinstance(self.rows, LazyRows):
            return max(map(add, self.columns.started_s, self.columns.seconds), default=0.0)
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
        return self._last_steps.get(phase, 0)

    @cached_property
    def _last_steps(self) -> dict[Phase, int]:
        """Phase -> the furthest batch after which it was done, of the rows that still hold."""
        last: dict[Phase, int] = {}
        for row in self.standing:
            last[row.phase] = max(row.step, last.get(row.phase, 0))
        return last

    @cached_property
    def standing(self) -> Sequence[Row]:
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
    def evaluations(self) -> Sequence[Row]:
        """One evaluate row an epoch, in order of epochs; a later attempt's replaces an earlier one's."""
        standing: Iterable[Row]
        if len(set(self.columns.attempts)) < 2:  # nothing was undone
            standing = (self.rows[n] for n, phase in enumerate(self.columns.phases) if phase is Phase.EVALUATE)
        else:
            standing = (row for row in self.standing if row.phase is Phase.EVALUATE)
        latest = {row.epoch: row for row in standing}
        return tuple(latest[epoch] for epoch in sorted(latest))

    def medians(self, metric: str, *, window: int = 3) -> Iterator[tuple[Row, float]]:
        """Evaluations that end `window` epochs in a row, each with the median error over those epochs."""
        return ((found.row, found.value) for found in self._known_medians(metric, window))

    def reached(self, metric: str, level: float, *, window: int = 3) -> Row | None:
        """The evaluation at which time to accuracy is read, or None.

        That of the first epoch i >= window whose median error over epochs i-window+1..i is <= level (the paper's
        TTA(a, e), with a the level and e the window).
        """
        found = self._known_medians(metric, window)
        place = bisect_left(found, -level, key=lambda median: -median.lowest)
        return found[place].row if place < len(found) else None

    def _known_medians(self, metric: str, window: int) -> Sequence[Median]:
        if (metric, window) not in self._medians:
            found: Sequence[Median] = Grown.of(())
            for last in range(window, len(self.evaluations) + 1):
                found = self._with_last(metric, window, found, last=last)
            self._medians[metric, window] = found
        return self._medians[metric, window]

    def _with_last(self, metric: str, window: int, found: Grown, *, last: int | None = None) -> Grown:
        """Medians, and that of the `window` evaluations up to the `last` one, if they are of epochs in a row."""
        last = len(self.evaluations) if last is None else last
        rows = self.evaluations[last - window : last] if last >= window else ()
        errors = [getattr(row, metric) for row in rows]
        if not rows or None in errors or rows[-1].epoch - rows[0].epoch != window - 1:
            return found
        value = errors[0] if window == 1 else statistics.median(errors)
        lowest = min(value, found[-1].lowest) if found else value
        return found.plus(Median(rows[-1], value, lowest))

    @cached_property
    def _medians(self) -> dict[tuple[str, int], Grown]:
        return {}

    def time_to_accuracy_s(self, metric: str, level: float, *, window: int = 3, clock: str = "wall") -> float | None:
        """Seconds by one of CLOCKS until the level was reached, or None."""
        row = self.reached(metric, level, window=window)
        return None if row is None else self.read_s(row, clock)

    def read_s(self, evaluation: Row, clock: str = "wall") -> float:
        """What a clock shows when an evaluation's figures are known; the train clock, when it began: no training that
        went on beside it was needed for them."""
        return self.clock_s(evaluation.started_s if clock == "train" else evaluation.ended_s, clock)

    @property
    def created_s(self) -> float:
        """When model creation began: the zero of the wall and train clocks."""
        return self.rows[0].started_s if self.rows else 0.0

    def clock_s(self, until_s: float, clock: str = "wall") -> float:
        """What a clock shows at a moment of the journal."""
        if clock == "mlperf" and Phase.TRAIN in self.columns.phases:
            return until_s - self._first_batch_s
        return until_s - self.created_s - self.alone_s(CLOCKS[clock], until_s=until_s)

    @cached_property
    def _first_batch_s(self) -> float:
        columns = self.columns
        return min(s for s, phase in zip(columns.started_s, columns.phases, strict=True) if phase is Phase.TRAIN)

    def alone_s(self, phases: Collection[Phase], *, until_s: float = float("inf")) -> float:
        """Seconds in which these phases ran and no other: an evaluation may overlap training."""
        if not phases:
            return 0.0
        others = frozenset(Phase) - frozenset(phases)
        if self._sequential:
            return self._covered(frozenset(phases)).until(until_s)
        return self._covered(frozenset(Phase)).until(until_s) - self._covered(others).until(until_s)

    @cached_property
    def _sequential(self) -> bool:
        """No row began before the one above ended."""
        ends_s = map(add, self.columns.started_s, self.columns.seconds)
        return not any(map(lt, islice(self.columns.started_s, 1, None), map(_a_little_less, ends_s)))

    def _covered(self, phases: frozenset[Phase]) -> Coverage:
        """When any of these phases ran; worked out once, for the clocks ask again and again."""
        if phases not in self._coverages:
            columns = self.columns
            found = zip(columns.started_s, columns.seconds, columns.phases, strict=True)
            self._coverages[phases] = Coverage.of((s, length) for s, length, phase in found if phase in phases)
        return self._coverages[phases]

    @cached_property
    def _coverages(self) -> dict[frozenset[Phase], Coverage]:
        return {}

    @cached_property
    def shares(self) -> dict[Phase, float]:
        """Phase -> its part of the wall clock, 0 to 1; of evaluation what no other phase ran beside."""
        total_s = self.ended_s - self.created_s
        seconds = dict.fromkeys((phase for phase in Phase if phase is not Phase.DONE), 0.0)
        for phase, length_s in zip(self.columns.phases, self.columns.seconds, strict=True):
            seconds[phase] += length_s
        seconds[Phase.EVALUATE] = self.alone_s({Phase.EVALUATE})
        return {phase: value / total_s if total_s else 0.0 for phase, value in seconds.items()}

    @cached_property
    def _steady(self) -> list[int]:
        """Where the train rows are that took time, but the first ones of an attempt."""
        found, last, seen, columns = [], None, 0, self.columns
        for n, phase in enumerate(columns.phases):
            if phase is Phase.TRAIN:
                attempt = columns.attempts[n]
                last, seen = attempt, seen + 1 if attempt == last else 1
                if seen > COMPILING_ROWS and columns.seconds[n] >= CLOCK_STEP_S:
                    found.append(n)
        return found

    @cached_property
    def throughputs(self) -> list[float]:
        """Utterances per second of every train row but the first ones of an attempt."""
        utterances, seconds = self.columns.utterances, self.columns.seconds
        return [utterances[n] / seconds[n] for n in self._steady if utterances[n] is not None]

    @cached_property
    def input_share(self) -> float | None:
        """The part of training, 0 to 1, that waited for input; without the first train rows of an attempt."""
        return self._per_second(self.columns.input_s)

    @cached_property
    def tflop_per_s(self) -> float | None:
        """10^12 floating-point operations of the model a second of training; as above."""
        return self._per_second(self.columns.tflop)

    def _per_second(self, amounts: Sequence[float | None]) -> float | None:
        known = [n for n in self._steady if amounts[n] is not None]
        seconds = sum(self.columns.seconds[n] for n in known)
        return sum(amounts[n] for n in known) / seconds if known else None

    @cached_property
    def seconds_per_epoch(self) -> float | None:
        """From one evaluation's end to the next one's, on the average; a single epoch counts from model creation."""
        ends = [row.ended_s for row in self.evaluations]
        if not ends:
            return None
        if len(ends) == 1:
            return (ends[0] - self.created_s) / self.evaluations[0].epoch
        return (ends[-1] - ends[0]) / (self.evaluations[-1].epoch - self.evaluations[0].epoch)

    @property
    def startup_s(self) -> float | None:
        """What the first epoch took more than the others: creation and compilation."""
        if self.seconds_per_epoch is None:
            return None
        first = self.evaluations[0]
        return max(0.0, first.ended_s - self.created_s - first.epoch * self.seconds_per_epoch)


class Median(NamedTuple):
    """Of the errors of a few epochs in a row, the last of which was evaluated by `row`; the lowest one so far."""

    row: Row
    value: float
    lowest: float


class Grown(Sequence):
    """A tuple to which one more can be added without copying: those that grew from one another share a list."""

    def __init__(self, shared: list, length: int) -> None:
        self._shared, self._length = shared, length

    @classmethod
    def of(cls, items: Sequence) -> Grown:
        return items if isinstance(items, Grown) else cls(list(items), len(items))

    def plus(self, item: object) -> Grown:
        shared = self._shared if len(self._shared) == self._length else self._shared[: self._length]
        shared.append(item)
        return Grown(shared, self._length + 1)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple(self._shared[n] for n in range(*index.indices(self._length)))
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return self._shared[index if index >= 0 else index + self._length]

    def __iter__(self) -> Iterator:
        return islice(self._shared, self._length)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, list, Grown, LazyRows)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


def _a_little_less(seconds: float) -> float:
    return seconds - 1e-5  # times are written in microseconds


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Of all rows, in order."""

    phases: Sequence[Phase]
    attempts: Sequence[int]
    started_s: Sequence[float]
    seconds: Sequence[float]
    utterances: Sequence[int | None]
    input_s: Sequence[float | None]
    tflop: Sequence[float | None]


@dataclass(frozen=True)
class Coverage:
    """Stretches of time that do not touch, in order, and the seconds covered before each."""

    starts_s: list[float]
    ends_s: list[float]
    before_s: list[float]

    @classmethod
    def of(cls, stretches: Iterable[tuple[float, float]]) -> Coverage:
        """From (started_s, seconds) in any order."""
        starts_s, ends_s, before_s = [], [], []
        covered_s, end_s = 0.0, -1.0
        for started_s, seconds in sorted(stretches):
            stop_s = started_s + seconds
            if started_s > end_s:
                starts_s.append(started_s)
                ends_s.append(stop_s)
                before_s.append(covered_s)
                covered_s, end_s = covered_s + seconds, stop_s
            elif stop_s > end_s:
                covered_s, end_s = covered_s + stop_s - end_s, stop_s
                ends_s[-1] = stop_s
        return cls(starts_s, ends_s, before_s)

    def until(self, moment_s: float) -> float:
        """Seconds covered before a moment."""
        last = bisect_left(self.starts_s, moment_s) - 1
        if last < 0:
            return 0.0
        return self.before_s[last] + min(self.ends_s[last], moment_s) - self.starts_s[last]


class Journal:
    """A run's CSV file, open for appending, and the record of what is in it."""

    def __init__(self, path: Path, identity: Identity, record: RunRecord, *, attempt: int) -> None:
        self.path, self.identity, self.record, self.attempt = path, identity, record, attempt
        self._identity = vars(identity).copy()
        self._file = path.open("ab", buffering=0)

    @classmethod
    def create(cls, path: Path, identity: Identity) -> Journal:
        """A new journal with its header. Raises JournalError if the file is there: nothing is overwritten."""
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(",".join(COLUMNS) + "\n")
        except FileExistsError:
            raise JournalError(f"{path}: a run of this name is there already; choose another --name") from None
        return cls(path, identity, RunRecord(source=str(path)), attempt=1)

    @classmethod
    def resume(cls, path: Path, identity: Identity) -> Journal:
        """Go on with a new attempt; a line that a killed process did not finish is cut off.

        Raises:
            JournalError: the file cannot be read, or is of another run than `identity`: both values are named.
        """
        data = path.read_bytes()
        if whole := data.rfind(b"\n") + 1:
            os.truncate(path, whole)
        else:
            path.unlink()  # not even its header was written
            return cls.create(path, identity)
        record = read(path)
        if not record.rows:
            return cls(path, identity, record, attempt=1)
        for name in IDENTITY:
            found, asked = getattr(record.rows[0], name), getattr(identity, name)
            if found != asked:
                raise JournalError(
                    f"{path}: its {name} is {found!r}, that of this command {asked!r}; give the command that began "
                    f"it, or another --name"
                )
        attempt = record.rows[-1].attempt + 1
        return cls(path, identity, RunRecord(tuple(record.rows), record.source, attempt), attempt=attempt)

    def append(self, phase: Phase, span: Span, outcome: Outcome) -> Row:
        """Write a phase's row and flush it.

        Raises:
            ValueError: `read` would refuse the row; nothing is written.
            OSError: the disk is full, say; what is there of the row is cut off.
        """
        row = Row(
            **self._identity,
            **{name: getattr(outcome, name) for name in OUTCOME},
            phase=phase,
            attempt=self.attempt,
            started_s=round(span.started_s, 6),
            seconds=round(span.seconds, 6),
        )
        values = [to_text(getattr(row, column)) for column in COLUMNS]
        row = parse_row(str(self.path), values)
        self._write(values)
        self.record = self.record.then(row)
        return row

    def _write(self, values: list[str]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\n").writerow(values)
        size = os.fstat(self._file.fileno()).st_size
        try:
            data = line.getvalue().encode()
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise OSError(f"{self.path}: cannot be written ({error.strerror}); what is in it is whole") from None

    def close(self) -> None:
        self._file.close()


def read(path: str | Path) -> RunRecord:
    """Read one run's journal.

    Raises:
        JournalError: naming file and line, what was found and what was expected.
    """
    path = Path(path)
    text = _text(path)
    rows = _quickly(text)
    if rows is None:
        rows = tuple(_read_rows(path, csv.reader(io.StringIO(text, newline=""))))
    return RunRecord(rows, str(path))


def first_row(path: Path) -> Row | None:
    """The first one, however the file ends; None where there is none that can be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for _, line in zip(range(2), file, strict=False) if len(line) < 100_000]
        header, row = csv.reader(lines)
        return parse_row(f"{path}:2", row) if header == list(COLUMNS) else None
    except (OSError, ValueError, csv.Error):
        return None


def _quickly(text: str) -> LazyRows | None:
    """A file that is just as `Journal` writes it, column by column; None for any other, good or bad."""
    header, *lines = text[:-1].split("\n")
    if header != ",".join(COLUMNS) or "\r" in text or "\0" in text:
        return None
    rows = parse_rows(lines)
    if rows is None:
        return None
    columns, ended_s = rows.columns, 0.0
    for started_s, seconds, phase in zip(columns["started_s"], columns["seconds"], columns["phase"], strict=True):
        if started_s < ended_s - 1e-3 and phase is not Phase.EVALUATE:
            return None
        if started_s + seconds > ended_s:
            ended_s = started_s + seconds
    return rows


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):  # /dev/zero has no end; pipes do
                raise JournalError(f"{path}: a device; expected a run's CSV file")
            data = file.read()
    except FileNotFoundError:
        raise JournalError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise JournalError(f"{path}: a folder; expected a run's CSV file") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = data.decode("utf-8-sig")  # spreadsheets begin a file with a mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JournalError(f"{path}:{line}: not UTF-8 at byte {error.start}; expected a run's CSV file") from None
    if not text:
        raise JournalError(f"{path}:1: empty; expected the header {','.join(COLUMNS[:4])},...")
    if not text.endswith("\n"):  # a number cut short is a number too
        line = text.count("\n") + 1
        raise JournalError(
            f"{path}:{line}: no line break at its end; expected one. A line cut short by a kill? The command that made "
            f"the run goes on with it and mends this; or delete the line"
        )
    return text


def _read_rows(path: Path, reader: Iterator[list[str]]) -> list[Row]:
    rows: list[Row] = []
    ended_s = 0.0
    for number, values in enumerate(_lines(path, reader), start=1):
        where = f"{path}:{number}"
        if number == 1:
            _check_header(where, values)
            continue
        row = parse_row(where, values)
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
    if identity_of(row) != identity_of(above):
        name = next(name for name in IDENTITY if getattr(row, name) != getattr(above, name))
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
            f"{where}: column {wrong + 1} of the header is {found}; expected {expected}, as in a run's CSV file of "
            f"schema {SCHEMA}; one of another schema is read by the version that wrote it"
        )


def differing(records: Iterable[RunRecord], names: Iterable[str] = POOLED) -> list[tuple[str, list[object]]]:
    """The fields among `names` in which runs differ, each with its values; empty if the runs may be pooled."""
    firsts = [record.rows[0] for record in records if record.rows]
    values = {name: sorted({getattr(row, name) for row in firsts}, key=str) for name in names}
    return [(name, found) for name, found in values.items() if len(found) > 1]
