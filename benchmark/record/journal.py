"""The journal of a run: a CSV file with a header and one row per phase executed. It is written and read here.

    journal = Journal.create(path, identity)
    row = journal.append(Phase.TRAIN, span, Outcome(step=50, epoch=1, utterances=800, audio_s=2000.0, loss=31.5))

    record = read("results/run.csv")                # RunRecord; needs no TensorFlow
    journal = Journal.resume(path, identity)        # continues where a killed process stopped
    journal.earlier                                 # RunRecord of previous attempts

The journal is the state of a run: what comes next is decided from it alone. Rows are appended and flushed, never
rewritten. `columns` defines the format; `history` computes figures from the rows.
"""

from __future__ import annotations

import contextlib
import os
import stat
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.record.clocks import Span
from benchmark.record.columns import (
    COLUMNS,
    IDENTITY,
    ORIGINAL,
    OUTCOME,
    READABLE,
    SCHEMA,
    Identity,
    JournalError,
    Outcome,
    Row,
    write_row,
)
from benchmark.record.history import RunRecord
from benchmark.record.phases import Phase
from benchmark.record.table import read_header, read_table

LONGEST_LINE = 100_000  # characters; lines of a journal have a few hundred
TIME_DECIMALS = 6  # times are rounded to microseconds


class Journal:
    """A run's CSV file, open for appending. `earlier` has the rows that previous attempts wrote.

    `columns` are those of the file's header: a run that an older version began goes on without later figures.
    """

    def __init__(
        self,
        path: Path,
        identity: Identity,
        earlier: RunRecord | None = None,
        *,
        attempt: int = 1,
        columns: Sequence[str] = COLUMNS,
    ) -> None:
        self.path, self.identity, self.attempt, self.columns = path, identity, attempt, columns
        self.earlier = earlier or RunRecord(source=str(path))
        self._file = path.open("ab", buffering=0)

    @classmethod
    def create(cls, path: Path, identity: Identity) -> Journal:
        """Make a new journal with its header. Raises JournalError if the file exists: nothing is overwritten."""
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(",".join(COLUMNS) + "\n")
        except FileExistsError:
            raise JournalError(f"{path}: a run of this name is there already; choose another --name") from None
        return cls(path, identity)

    @classmethod
    def resume(cls, path: Path, identity: Identity) -> Journal:
        """Continue a run in a new attempt; a last line that a killed process did not finish is cut off.

        Raises:
            JournalError: the file cannot be read, has an older schema, or is of another run than `identity`; the
                message then names both values.
            OSError: the file is missing or cannot be written.
        """
        data = path.read_bytes()
        if whole := data.rfind(b"\n") + 1:
            os.truncate(path, whole)
        else:
            path.unlink()  # not even its header was written
            return cls.create(path, identity)
        earlier = read(path)
        header = data.decode("utf-8-sig").partition("\n")[0].removesuffix("\r")
        layout = read_header(str(path), header)
        if layout.schema != SCHEMA:
            raise JournalError(f"{path}: of an older schema than {SCHEMA}; its run cannot go on: choose another --name")
        if earlier.identity is None:
            return cls(path, identity, columns=layout.columns)
        for name in IDENTITY:
            found, asked = getattr(earlier.identity, name), getattr(identity, name)
            if found != asked:
                raise JournalError(
                    f"{path}: its {name} is {found!r}, but this command has {asked!r}; give the command that began "
                    f"the run, or choose another --name"
                )
        return cls(path, identity, earlier, attempt=earlier.attempts + 1, columns=layout.columns)

    def append(self, phase: Phase, span: Span, outcome: Outcome) -> Row:
        """Write a phase's row, flush it and return it as a reader would see it.

        Raises:
            ValueError: `read` would refuse the row; nothing is written.
            OSError: the row cannot be written, for example on a full disk; a part already written is cut off.
        """
        fields: dict[str, Any] = {name: getattr(outcome, name) for name in OUTCOME if name in self.columns}
        row = Row(
            **vars(self.identity),
            **fields,
            phase=phase,
            attempt=self.attempt,
            started_s=round(span.started_s, TIME_DECIMALS),
            seconds=round(span.seconds, TIME_DECIMALS),
        )
        self._write(write_row(row, self.columns).encode())
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
        JournalError: it cannot be read; the message names the file, the line, what was found and expected.
    """
    return RunRecord(table=read_table(str(path), _content(Path(path))), source=str(path))


def read_identity(path: Path) -> Identity | None:
    """Read the identity of a journal's first row, even if a later row is damaged; None if it cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for _, line in zip(range(2), file, strict=False) if len(line) < LONGEST_LINE]
        return read_table(str(path), "".join(lines).encode()).identity
    except (OSError, ValueError):
        return None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):  # such as /dev/zero, which never ends; pipes are fine
                raise JournalError(f"{path}: a device; expected a run's CSV file")
            data = file.read()
    except FileNotFoundError:
        raise JournalError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise JournalError(f"{path}: a folder; expected a run's CSV file") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise JournalError(
            f"{path}:1: found the byte order mark of UTF-16, as a spreadsheet program saved it; {ORIGINAL}"
        )
    if not data.removeprefix(BOM_UTF8):
        header = ",".join(READABLE[SCHEMA][:4])
        raise JournalError(f"{path}:1: empty; expected the header {header},...")
    if not data.endswith(b"\n"):  # without the line break, a number may have been cut short
        line = data.count(b"\n") + 1
        raise JournalError(
            f"{path}:{line}: no line break at its end; expected one. Was the line cut short by a kill? Give the run's "
            f"command again: it repairs the file and resumes the run. Or delete the line"
        )
    return data
