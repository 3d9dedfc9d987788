"""TFRecord files of tf.train.Examples, written and read without TensorFlow, which takes 600 MiB of every process.

    with Writer(path) as writer:
        writer.write(example({"id": b"1-2-3", "labels": b"..."}))

    for record in read(path):
        fields(record)["id"]                    # b"1-2-3"

Bytes are those of tf.io.TFRecordWriter and of Example.SerializeToString(deterministic=True). Formats:
tensorflow.org/tutorials/load_data/tfrecord, protobuf.dev/programming-guides/encoding and example.proto.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c

ZLIB_LEVEL = 6  # zlib's default, as TensorFlow's


class Writer:
    """Writes one file, record by record. Raises OSError, with the file's name and the reason, where it cannot."""

    def __init__(self, path: Path, *, gzipped: bool = False) -> None:
        self.path = path
        self._open = ExitStack()  # closes what it holds, the last first
        with self._naming_the_file():
            self._stream: BinaryIO = self._open.enter_context(path.open("wb"))
        if gzipped:  # without name and time: the same records give the same file
            zipped = self._open.enter_context(gzip.GzipFile("", "wb", ZLIB_LEVEL, self._stream, mtime=0))
            self._stream = cast(BinaryIO, zipped)

    def write(self, record: bytes) -> None:
        """Write a record: length and data, each with its checksum."""
        length = struct.pack("<Q", len(record))
        with self._naming_the_file():
            self._stream.write(length + _checksum(length) + record + _checksum(record))

    def flush(self) -> None:
        """Make what was written visible to readers."""
        with self._naming_the_file():
            self._stream.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # If the block has failed, that is the error to hear of.
        with suppress(OSError) if kind else self._naming_the_file():
            self._open.close()

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(f"{self.path}: cannot be written ({error.strerror})") from None


def read(path: Path, *, gzipped: bool = False) -> Iterator[bytes]:
    """Yield the records of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it ends within a record, or a checksum is another; the message names file and record.
    """
    with gzip.open(path) if gzipped else path.open("rb") as stream:
        number = 0
        while head := stream.read(12):
            number += 1
            (length,) = struct.unpack("<Q", head[:8]) if len(head) == 12 and _checksum(head[:8]) == head[8:] else (-1,)
            record = stream.read(length) if length >= 0 else b""
            if len(record) != length or stream.read(4) != _checksum(record):
                raise ValueError(f"{path}: record {number} is damaged or cut off; extract the features again")
            yield record


def fields(serialized: bytes) -> dict[str, bytes]:
    """Return the features of a tf.train.Example as `example` writes it, by name: BytesLists of one value.

    Raises:
        ValueError: it is something else.
    """
    found = {}
    (features,) = _payloads(serialized, 1)
    for number, entry in _split(features):
        if number == 1:
            (name,), (feature,) = _payloads(entry, 1), _payloads(entry, 2)
            (values,) = _payloads(feature, 1)
            (found[name.decode()],) = _payloads(values, 1)
    return found


def _payloads(message: bytes, number: int) -> list[bytes]:
    return [payload for found, payload in _split(message) if found == number]


def _split(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and payload of each field; all are of wire type 2. Raises ValueError for others."""
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        length, place = _number(message, place)
        if key & 7 != 2 or place + length > len(message):
            raise ValueError("no tf.train.Example of BytesLists of one value")
        yield key >> 3, message[place : place + length]
        place += length


def _number(message: bytes, place: int) -> tuple[int, int]:
    """Decode what `varint` encodes at a place; return it and the place behind it. Raises ValueError if it is cut."""
    number = shift = 0
    while place < len(message):
        byte = message[place]
        number, shift, place = number | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return number, place
    raise ValueError("a number is cut off")


def example(fields: Mapping[str, bytes]) -> bytes:
    """Serialise a tf.train.Example: its features, by name, are BytesLists of one value."""
    features = b"".join(field(1, _feature(name, fields[name])) for name in sorted(fields))
    return field(1, features)  # Example.features


def _feature(name: str, value: bytes) -> bytes:
    """Encode an entry of map<string, Feature>: key, then Feature.bytes_list, then BytesList.value."""
    return field(1, name.encode()) + field(2, field(1, field(1, value)))


def field(number: int, payload: bytes) -> bytes:
    """Encode a field of wire type 2, which has its length before it."""
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def varint(number: int) -> bytes:
    """Encode a number with seven bits a byte, the lowest first; the eighth says that more follow."""
    low = []
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*low, number])


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C: a plain one would be weak for data that hold checksums themselves."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
