"""hosts.csv: how long each host of a run on several machines took by itself, row by row; its format, written and read.

    log = HostLog.open(folder / "hosts.csv", machines=3)        # goes on with a file that is there
    log.append([HostRow(phase=Phase.TRAIN, part="gradients", step=50, epoch=1, ..., own=(9.1, 9.0, 12.3))])

    times = read_host_times(folder / "hosts.csv")               # HostTimes; needs neither NumPy nor TensorFlow

Training is synchronous: a row of the journal is as long on every host, as all wait for the slowest. Here is what each
took before it waited. A file has a header and, for each row of the journal in which hosts took part, a line for each
part of it:

    attempt, phase, epoch, step      as in the journal
    part                             what was timed, as below
    started_s, seconds               of the whole row, by the run's clock, the waiting inside
    host0, host1, ...                of each host, by its own clock; empty where it is not known

    create    make        models were made. Hosts wait for one another's first weights meanwhile: it is not their own
              restore     a checkpoint was loaded, in a later attempt
    train     input       it opened the epoch's batches, if it is its first row, and waited for batches
              gradients   from the arrival of a batch until all of its replicas had their gradients, the batches of the
                          row together. On CPUs only: a GPU's work is queued, and to wait for it would slow the step
    swap      swap        the models changed places; the first swap makes one, for which hosts wait as in `make`
    evaluate  forward     the forward pass; not known of models that decode in it, as its length is then that of what
    probe                 is said
              decoding    from then on, until its last sentence was known; on CPUs only, as it begins earlier on a GPU.
                          Of models that decode in their forward pass, both together
              utterances  no time: how many it had to decode

Lines are appended, those of one row at once, and flushed. A run that was killed may have left half a line, which a
reader leaves out and the next attempt cuts off. Runs on one machine have no such file, nor have those of older
versions; everything else can be read without it.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.record.columns import LARGEST
from benchmark.record.phases import EVALUATED, Phase

NAME = "hosts.csv"
COLUMNS = ("attempt", "phase", "part", "epoch", "step", "started_s", "seconds")
EVALUATION = ("forward", "decoding", "utterances")
PARTS = {
    Phase.CREATE: ("make", "restore"),
    Phase.TRAIN: ("input", "gradients"),
    Phase.SWAP: ("swap",),
    **dict.fromkeys(EVALUATED, EVALUATION),
}
"""What is timed in each phase; those that are missing here are the chief's alone."""

DECIMALS = 6
MOST_HOSTS = 100_000
WAY_OUT = "take the original, or delete it: the run is judged without it"


class HostTimesError(ValueError):
    """A hosts.csv that cannot be used; the message names the file, the line, what was found and what was expected."""


@dataclass(frozen=True, kw_only=True)
class HostRow:
    """One part of one row of a journal: the seconds that each host took for it by itself, None where not known."""

    attempt: int = 1
    phase: Phase
    part: str
    epoch: int
    step: int
    started_s: float
    seconds: float
    own: tuple[float | None, ...]

    @property
    def ended_s(self) -> float:
        return self.started_s + self.seconds


@dataclass(frozen=True, kw_only=True)
class HostTimes:
    """The rows of a run on several machines. `names` are the hosts', as messages have them: "host 1 (b:2222)"."""

    rows: tuple[HostRow, ...]
    names: tuple[str, ...]

    def of_attempts(self, numbers: Collection[int]) -> HostTimes:
        """Return the rows of some attempts: after a restart on other machines a rank is another host."""
        return replace(self, rows=tuple(row for row in self.rows if row.attempt in numbers))


class HostLog:
    """A run's hosts.csv, open for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    @classmethod
    def open(cls, path: Path, *, machines: int) -> HostLog:
        """Make the file with its header, or go on with it: what a killed process left of a line is cut off.

        Raises:
            HostTimesError: the file that is there has another header.
            OSError: it cannot be read or written.
        """
        header = _header(machines)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        whole = data.rfind(b"\n") + 1
        found = data[:whole].partition(b"\n")[0].decode(errors="replace")
        if whole and found != header.strip():
            raise HostTimesError(f"{path}:1: found {found[:200]!r}; expected {header.strip()[:200]!r}: move it away")
        log = cls(path)
        try:
            os.truncate(path, whole)
            if not whole:
                log._write(header.encode())
        except OSError:
            log.close()
            raise
        return log

    def append(self, rows: Iterable[HostRow]) -> None:
        """Write lines that belong together. Raises OSError if they cannot be written; then none of them is."""
        if data := "".join(map(_line, rows)).encode():
            self._write(data)

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise

    def close(self) -> None:
        self._file.close()


def _header(machines: int) -> str:
    return ",".join([*COLUMNS, *(f"host{rank}" for rank in range(machines))]) + "\n"


def _line(row: HostRow) -> str:
    times = ["" if each is None else repr(round(float(each), DECIMALS)) for each in row.own]
    about = [row.attempt, row.phase.value, row.part, row.epoch, row.step, row.started_s, row.seconds]
    return ",".join([*map(str, about), *times]) + "\n"


def read_host_times(path: str | Path, *, addresses: Sequence[str] = ()) -> HostTimes:
    """Read a run's hosts.csv; a last line without its end is left out. `addresses` are the hosts', by rank.

    Raises:
        HostTimesError: it is none; the message names the file, the line, what was found and what was expected.
        OSError: it cannot be read.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HostTimesError(f"{path}: not UTF-8 at byte {error.start}; {WAY_OUT}") from None
    header, *lines = text.replace("\r\n", "\n").split("\n")
    machines = header.count(",") + 1 - len(COLUMNS)
    if not 1 < machines <= MOST_HOSTS or header != _header(machines).strip():
        raise HostTimesError(f"{path}:1: found {header[:80]!r}; expected {_header(2).strip()},...: {WAY_OUT}")
    rows = tuple(_rows(str(path), lines[:-1], machines))
    known = addresses if len(addresses) == machines else [""] * machines
    return HostTimes(rows=rows, names=tuple(map(host_name, range(machines), known)))


def host_name(rank: int, address: str) -> str:
    """Return a host as messages name it: "host 1 (b:2222)"; without an address, "host 1"."""
    return f"host {rank} ({address})" if address else f"host {rank}"


def _rows(path: str, lines: Sequence[str], machines: int) -> Iterator[HostRow]:
    for number, line in enumerate(lines, start=2):
        fields = line.split(",")
        try:
            yield _row(fields, machines)
        except ValueError as error:
            raise HostTimesError(f"{path}:{number}: {error}; {WAY_OUT}") from None


def _row(fields: Sequence[str], machines: int) -> HostRow:
    if len(fields) != len(COLUMNS) + machines:
        raise ValueError(f"{len(fields)} fields; expected {len(COLUMNS) + machines}")
    attempt, phase, part, epoch, step, started_s, seconds, *own = fields
    if phase not in {each.value for each in PARTS}:
        raise ValueError(f"phase is {phase[:40]!r}; expected {', '.join(each.value for each in PARTS)}")
    if not part.isidentifier() or not part.isascii():
        raise ValueError(f"part is {part[:40]!r}; expected what was timed, such as gradients")
    return HostRow(
        attempt=_whole("attempt", attempt, low=1),
        phase=Phase(phase),
        part=part,
        epoch=_whole("epoch", epoch),
        step=_whole("step", step),
        started_s=_number("started_s", started_s),
        seconds=_number("seconds", seconds),
        own=tuple(_number(f"host{rank}", text) if text else None for rank, text in enumerate(own)),
    )


def _whole(name: str, text: str, *, low: int = 0) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 17 and low <= int(text) <= LARGEST):
        raise ValueError(f"{name} is {text[:40]!r}; expected a whole number from {low}")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{name} is {text[:40]!r}; expected seconds, at least 0")
    return value
