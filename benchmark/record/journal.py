"""What a run did: a CSV file with one header and one row for every phase executed, written and read here.

    journal = Journal.create(path, identity)
    row = journal.append(Phase.TRAIN, span, Outcome(step=50, epoch=1, utterances=800, audio_s=2000.0, loss=31.5))

    record = read("results/run.csv")                # RunRecord; needs no TensorFlow
    journal = Journal.resume(path, identity)        # goes on where a killed process stopped
    journal.earlier                                 # RunRecord of the attempts before

The journal is the state of a run: what comes next is decided from it alone. Rows are appended and flushed, never
rewritten. `columns` has the format, `history` what follows from the rows.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from benchmark.record.clocks import Span
from benchmark.record.columns import (
    COLUMNS,
    IDENTITY,
    OUTCOME,
    READABLE,
    SCHEMA,
    Identity,
    JournalError,
    Outcome,
    Row,
    read_table,
    write_row,
)
from benchmark.record.history import RunRecord
from benchmark.record.phases import Phase

LONGEST_LINE = 100_000  # characters; a journal's have some hundreds
TIME_DECIMALS = 6  # decimals of a second: times are written in microseconds


class Journal:
    """A run's CSV file, open for appending. `earlier` is what previous attempts wrote into it."""

    def __init__(self, path: Path, identity: Identity, earlier: RunRecord | None = None, *, attempt: int = 1) -> None:
        self.path, self.identity, self.attempt = path, identity, attempt
        self.earlier = earlier or RunRecord(source=str(path))
        self._file = path.open("ab", buffering=0)

    @classmethod
    def create(cls, path: Path, identity: Identity) -> Journal:
        """Make a new journal with its header. Raises JournalError if the file is there: nothing is overwritten."""
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(",".join(COLUMNS) + "\n")
        except FileExistsError:
            raise JournalError(f"{path}: a run of this name is there already; choose another --name") from None
        return cls(path, identity)

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
        earlier = read(path)
        if not data.startswith(",".join(COLUMNS).encode()):
            raise JournalError(f"{path}: of an older schema than {SCHEMA}; its run cannot go on: choose another --name")
        if earlier.identity is None:
            return cls(path, identity)
        for name in IDENTITY:
            found, asked = getattr(earlier.identity, name), getattr(identity, name)
            if found != asked:
                raise JournalError(
                    f"{path}: its {name} is {found!r}, that of this command {asked!r}; give the command that began "
                    f"it, or another --name"
                )
        return cls(path, identity, earlier, attempt=earlier.attempts + 1)

    def append(self, phase: Phase, span: Span, outcome: Outcome) -> Row:
        """Write a phase's row, flush it and return it as a reader would see it.

        Raises:
            ValueError: `read` would refuse the row; nothing is written.
            OSError: the row cannot be written, on a full disk for example; what is there of it is cut off.
        """
        fields: dict[str, Any] = {name: getattr(outcome, name) for name in OUTCOME}
        row = Row(
            **vars(self.identity),
            **fields,
            phase=phase,
            attempt=self.attempt,
            started_s=round(span.started_s, TIME_DECIMALS),
            seconds=round(span.seconds, TIME_DECIMALS),
        )
        self._write(write_row(row).encode())
        return row

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        try:
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
    return RunRecord(table=read_table(str(path), _text(Path(path))), source=str(path))


def read_identity(path: Path) -> Identity | None:
    """The identity of a journal's first row, however the file ends; None where there is none that can be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for _, line in zip(range(2), file, strict=False) if len(line) < LONGEST_LINE]
        return read_table(str(path), "".join(lines)).identity
    except (OSError, ValueError):
        return None


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
        header = ",".join(READABLE[SCHEMA][:4])
        raise JournalError(f"{path}:1: empty; expected the header {header},...")
    if not text.endswith("\n"):  # a number cut short is a number too
        line = text.count("\n") + 1
        raise JournalError(
            f"{path}:{line}: no line break at its end; expected one. A line cut short by a kill? The command that made "
            f"the run goes on with it and mends this; or delete the line"
        )
    return text
