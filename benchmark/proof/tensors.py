"""The weights alone of a checkpoint of TensorFlow, found by its index without TensorFlow.

    found = read_index(data)                        # the bytes of ckpt-21.index -> Tensor, in order of place
    parts = weights_of(found)                       # what belongs to the model, without the optimiser's state
    cut(stream, parts)                              # the bytes of ckpt-21.weights
    restored(stream, found, parts)                  # ckpt-21.data-00000-of-00001 again, zeros where nothing was kept

An optimiser's state takes two thirds and more of a checkpoint, and an evaluation reads none of it. TensorFlow checks
each tensor that it reads by its own checksum, so that zeros in the place of others do not disturb it.

Format: tensorflow/core/lib/io/table_format.txt (a table of LevelDB, without compression) and
tensorflow/core/protobuf/tensor_bundle.proto (BundleEntryProto: 3 shard, 4 offset, 5 size).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # which says what belongs to what; a few kilobytes
OF_MODEL = "model/"
SHARD, OFFSET, SIZE = 3, 4, 5
PIECE_BYTES = 1 << 20
MOST_BYTES = 1 << 36


class TensorsError(ValueError):
    """A checkpoint's index that cannot be read."""


@dataclass(frozen=True)
class Tensor:
    """Where the bytes of one tensor are."""

    name: str
    offset: int
    size: int


def read_index(data: bytes) -> list[Tensor]:
    """Return all tensors of a checkpoint of one shard, in the order of their places.

    Raises:
        TensorsError: it is no such index, or tensors overlap.
    """
    try:
        if len(data) < FOOTER or data[-8:] != MAGIC:
            raise ValueError("no table at its end")
        place = 0
        handles = []
        for _ in range(4):  # offset and size of the meta index, then of the index
            value, place = _varint(data[-FOOTER:], place)
            handles.append(value)
        found = []
        for _, handle in _entries(data, *handles[2:]):
            offset, after = _varint(handle, 0)
            size, _ = _varint(handle, after)
            found += [_tensor(key, value) for key, value in _entries(data, offset, size) if key]
    except (ValueError, IndexError, struct.error) as error:
        raise TensorsError(f"no index of a checkpoint ({error})") from None
    found.sort(key=lambda each: each.offset)
    end = 0
    for each in found:
        if each.offset < end or each.offset + each.size > MOST_BYTES:
            raise TensorsError(f"no index of a checkpoint (the place of {each.name[:80]!r})")
        end = each.offset + each.size
    return found


def weights_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return what an evaluation reads: the model's tensors, and the graph that names them."""
    return [each for each in tensors if each.name == GRAPH or each.name.startswith(OF_MODEL)]


def cut(stream: BinaryIO, parts: Sequence[Tensor]) -> Iterator[bytes]:
    """Yield the bytes of these tensors of a checkpoint's data, one after the other."""
    for part in parts:
        stream.seek(part.offset)
        yield from _read(stream, part.size)


def restored(stream: BinaryIO, tensors: Sequence[Tensor], parts: Sequence[Tensor]) -> Iterator[bytes]:
    """Yield a checkpoint's data again from what `cut` gave; zeros stand for what it left out."""
    kept, place = set(parts), 0
    for each in tensors:
        yield from _zeros(each.offset - place)
        yield from _read(stream, each.size) if each in kept else _zeros(each.size)
        place = each.offset + each.size


def _read(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, PIECE_BYTES))
        if not piece:
            raise TensorsError("a checkpoint's data ends early")
        size -= len(piece)
        yield piece


def _zeros(size: int) -> Iterator[bytes]:
    while size:
        count = min(size, PIECE_BYTES)
        yield bytes(count)
        size -= count


def _tensor(key: bytes, value: bytes) -> Tensor:
    numbers, place = {SHARD: 0, OFFSET: 0, SIZE: 0}, 0
    while place < len(value):
        tag, place = _varint(value, place)
        kind = tag & 7
        if kind == 0:
            number, place = _varint(value, place)
            numbers[tag >> 3] = number
        elif kind == 2:
            length, place = _varint(value, place)
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
    if numbers[SHARD]:
        raise ValueError("of several shards")
    return Tensor(key.decode(), numbers[OFFSET], numbers[SIZE])


def _entries(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; a key gives what it shares with the one before as a length."""
    if data[offset + size] != 0:
        raise ValueError("compressed")
    block = data[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, place, key = len(block) - 4 * (restarts + 1), 0, b""
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + own]
        place += own
        yield key, block[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("a number of more than 64 bits")
