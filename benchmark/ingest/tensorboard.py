"""The scalars of TensorBoard's event files, as a table of measurements; without TensorFlow and TensorBoard.

    curve = read_mapped([Path("events.out.tfevents.1"), Path("events.out.tfevents.2")], mapped, Said(batch=96))

An event file is TFRecords (length, its masked CRC-32C, data, its CRC) of Event messages: wall_time 1, step 2,
summary 5; of a summary's values 1: tag 1, simple_value 2, tensor 8 (tensorflow/core/util/event.proto and
framework/summary.proto). Every scalar of the error's tag is a line: `wall_time` in seconds since the first event,
`step`, and of every other tag the last value before it. The files of a folder are one run; the time from the last event
of one to the first of the next, when nothing ran, is left out. A file that was cut ends with its last whole record.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.ingest.curves import Curve
from benchmark.ingest.events import IngestError
from benchmark.ingest.mapping import Mapped, points_of
from benchmark.ingest.points import Known, Said
from benchmark.ingest.tabular import Line, Lines, data_of, read_lines

NAME = "tfevents"
WALL_TIME, STEP = "wall_time", "step"
CHECKED = 2**16  # bytes of a record whose checksum is looked at: scalars are short, pictures are not ours
FLOAT, DOUBLE = 1, 2
LARGEST_FLOAT32 = 3.4028234e38


def is_event_file(path: Path) -> bool:
    return NAME in path.name


def read_mapped(paths: Sequence[Path], mapped: Mapped, said: Said = Said()) -> Curve:  # noqa: B008
    """Read the log of one run, a table or event files, by what its columns are. Raises IngestError."""
    if is_event_file(paths[0]):
        mapped = replace(mapped, time=mapped.time or WALL_TIME, step=mapped.step or STEP)
        lines, stem = read_events_of(paths, mapped.error), paths[0].resolve().parent.name
    else:
        lines, stem = read_lines(paths[0]), paths[0].name.partition(".")[0]
    points, notes = points_of(lines, mapped)
    known = Known(
        format="tensorboard" if is_event_file(paths[0]) else "table",
        platform="" if said.devices else paths[0].resolve().parent.name,
        stem=stem,
        values=dict(mapped.columns),
    )
    return Curve(lines.source, lines.digest, points, known, said, mapped.metric, notes)


@dataclass
class _Scalars:
    """Lines of one error's tag, made event by event."""

    tag: str
    rows: list[Line] = field(default_factory=list)
    latest: dict[str, float] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)

    def take(self, at: int, wall_s: float, step: int, values: Sequence[tuple[str, float]]) -> None:
        for tag, value in values:
            self.names.setdefault(tag)
            self.latest[tag] = value
        for tag, value in values:
            if tag == self.tag:
                self.rows.append(Line(at, {**self.latest, WALL_TIME: wall_s, STEP: step, tag: value}))


def read_events_of(paths: Sequence[Path], tag: str) -> Lines:
    """Read the event files of one run, in the order of their first events. Raises IngestError."""
    files = sorted((list(_events(path)), path) for path in paths)
    files = [(events, path) for events, path in files if events]
    if not files:
        raise IngestError(f"{paths[0]}: no event in it; expected a TensorBoard event file")
    found, notes, offset_s, source = _Scalars(tag), [], files[0][0][0][0], str(files[0][1])
    last_s = offset_s
    for number, (events, _) in enumerate(files):
        if number:
            gap_s = max(0.0, events[0][0] - last_s)
            offset_s += gap_s
            notes.append(f"{gap_s:.0f} s between its event files left out: nothing ran")
        for wall_s, step, at, values in events:
            found.take(at, wall_s - offset_s, step, values)
            last_s = max(last_s, wall_s)
    digest = hashlib.md5(b"".join(data_of(path) for _, path in files), usedforsecurity=False).hexdigest()
    notes += [f"{path.name} is cut off: read up to there" for _, path in files if _is_cut(path)]
    return Lines(source, digest, (*found.names, WALL_TIME, STEP), tuple(found.rows), tuple(notes))


Event = tuple[float, int, int, tuple[tuple[str, float], ...]]  # wall time, step, number of the record, scalars


def _events(path: Path) -> Iterator[Event]:
    for at, data in enumerate(_records(path), start=1):
        wall_s, step, values = 0.0, 0, []
        try:
            for number, value in _fields(data):
                if number == 1:
                    (wall_s,) = struct.unpack("<d", value)  # type: ignore[arg-type]
                elif number == 2:
                    step = int(value)  # type: ignore[arg-type]
                elif number == 5:
                    values += [s for n, v in _fields(value) if n == 1 and (s := _scalar(v))]  # type: ignore[arg-type]
        except (struct.error, IndexError, TypeError, ValueError):
            raise IngestError(f"{path}: record {at} is no event; expected a TensorBoard event file") from None
        yield wall_s, step, at, tuple(values)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the whole records of a file; IngestError if its beginning is none or a checksum is wrong."""
    data, place = data_of(path), 0
    while place + 12 <= len(data):
        length, check = struct.unpack("<QI", data[place : place + 12])
        if check != _masked(data[place : place + 8]):
            raise IngestError(f"{path}: byte {place}: a wrong checksum; expected a TensorBoard event file")
        end = place + 12 + length
        if end + 4 > len(data):
            return
        record = data[place + 12 : end]
        if length <= CHECKED and struct.unpack("<I", data[end : end + 4])[0] != _masked(record):
            raise IngestError(f"{path}: byte {place}: a wrong checksum; expected a TensorBoard event file")
        yield record
        place = end + 4


def _is_cut(path: Path) -> bool:
    return sum(16 + len(record) for record in _records(path)) < len(data_of(path))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield a message's fields: number, and its varint or bytes (protocol buffers' wire format)."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _varint(data, place)
        else:
            size = {1: 8, 5: 4}[kind] if kind in (1, 5) else -1
        if size < 0 or place + size > len(data):
            raise ValueError
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return (value - (1 << 64) if value >> 63 else value), place


def _scalar(data: bytes) -> tuple[str, float] | None:
    """Return the tag and value of a scalar; None for a picture, a histogram or a text."""
    tag, found = "", None
    for number, value in _fields(data):
        if number == 1:
            tag = bytes(value).decode("utf-8", "replace")  # type: ignore[arg-type]
        elif number == 2:
            found = _float32(value)  # type: ignore[arg-type]
        elif number == 8:
            found = _tensor(value)  # type: ignore[arg-type]
    return None if found is None else (tag, found)


def _tensor(data: bytes) -> float | None:
    """Return the number of a tensor that has one; None else."""
    kind, content = 0, b""
    for number, value in _fields(data):
        if number == 1:
            kind = int(value)  # type: ignore[arg-type]
        elif number in (4, 5, 6):  # tensor_content, float_val, double_val
            content = bytes(value)  # type: ignore[arg-type]
    form = {FLOAT: "<f", DOUBLE: "<d"}.get(kind)
    if not form or len(content) != struct.calcsize(form):
        return None
    return _float32(content) if kind == FLOAT else struct.unpack(form, content)[0]


def _float32(content: bytes) -> float:
    """Return the shortest number that these four bytes are: 0.3, not 0.30000001192, which would miss a level of 30."""
    (found,) = struct.unpack("<f", content)
    short = (float(f"{found:.{digits}g}") for digits in range(1, 10))
    return next((each for each in short if abs(each) <= LARGEST_FLOAT32 and struct.pack("<f", each) == content), found)


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
        found.append(byte)
    return tuple(found)


_CRC = _table()


def _masked(data: bytes) -> int:
    """Return the masked CRC-32C (Castagnoli), as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
