"""Dropout in code for LLVM: the parts of a function that draws what TensorFlow's stateless dropout draws.

    class Forward(Dropout):                                 # with arguments rows, columns, words, least and kept
        ...
        rows, counters = self.lot(first)                    # ROWS rows, and the counters of their first numbers
        for row, kept in zip(rows, self.drawn(counters, tile)): ...

The numbers are of Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"):
number n of an array is word n % 4 of counter + n // 4, and its lower 23 bits are the fraction of a float32 in [0, 1).
A vector of counters gives a vector of columns, a tile, of four rows. One bit a number says what is kept.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from llvmlite import ir

from models.llvm import I32, I64, Emitter, lanes

WORDS = 4  # of 32 bits, that a counter gives
ROWS = WORDS  # whose draws a vector of counters gives
MOST = 2**32 * WORDS  # numbers that can be drawn at once
MULTIPLIERS, KEYS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
FRACTION = 23  # bits of a float32


def base_of(key: np.ndarray, counter: np.ndarray) -> np.ndarray:
    """Return the counter's four words and the key's two, from what StatelessRandomGetKeyCounter gives."""
    return np.concatenate([counter, key]).view(np.uint32)  # both little-endian: the lower half first


def threshold(rate: float) -> int:
    """Return the smallest fraction that dropout of a rate keeps."""
    return math.ceil(float(np.float32(rate)) * 2**FRACTION)


def fits(columns: int, dtype: tf.DType) -> bool:
    """Tell whether an array can be drawn for: float32, rows that fill whole vectors, of 8 numbers or more."""
    return dtype == tf.float32 and lanes() >= 8 and columns % lanes() == 0


def check(size: int) -> None:
    """Raise ValueError if so many numbers cannot be drawn at once."""
    if size > MOST:
        raise ValueError(f"{size} numbers to normalise; expected at most {MOST}: take smaller batches")


class Dropout(Emitter):
    """Emits draws; vectors of words are integers of 32 bits without a sign."""

    rows: ir.Value
    columns: ir.Value
    words: ir.Value
    least: ir.Value

    def begin_draws(self) -> None:
        """Emit, once, what all draws need: the six words that `base_of` returned and the threshold, in all lanes."""
        self.base = [self.everywhere(self.b.load(self.at(self.words, I64(n), kind=I32), typ=I32)) for n in range(6)]
        self.threshold = self.everywhere(self.b.trunc(self.least, I32))

    def lot(self, first: ir.Value) -> tuple[list[ir.Value], ir.Value]:
        """Emit ROWS rows and the counters of their first numbers; beyond the last row it is that one again."""
        b, quarter = self.b, self.lanes // ROWS
        last = b.sub(self.rows, I64(1))
        rows = [self.least_of(b.add(first, I64(n)), last) for n in range(ROWS)]
        of_lanes, last_of_lanes = (self.everywhere(b.trunc(each, I32)) for each in (first, last))
        of_lanes = b.add(of_lanes, self.integers(*(lane // quarter for lane in range(self.lanes))))
        of_lanes = b.select(b.icmp_unsigned("<", of_lanes, last_of_lanes), of_lanes, last_of_lanes)
        a_row = self.everywhere(b.trunc(b.sdiv(self.columns, I64(WORDS)), I32))
        return rows, b.add(b.mul(of_lanes, a_row), self.integers(*range(quarter)))

    def drawn(self, counters: ir.Value, tile: ir.Value) -> list[ir.Value]:
        """Emit which numbers of a tile are kept, for each of a lot's rows."""
        b, below = self.b, self.integers(2**FRACTION - 1)
        of_tile = self.everywhere(b.trunc(b.mul(tile, I64(self.lanes // ROWS)), I32))
        words = self._interleaved(self._philox(b.add(counters, of_tile)))
        return [b.icmp_unsigned(">=", b.and_(each, below), self.threshold) for each in words]

    def store_bits(self, kept: ir.Value, pointer: ir.Value) -> None:
        self.b.store(self.b.bitcast(kept, ir.IntType(self.lanes)), pointer)

    def load_bits(self, pointer: ir.Value) -> ir.Value:
        bits = self.b.load(pointer, typ=ir.IntType(self.lanes))
        return self.b.bitcast(bits, ir.VectorType(ir.IntType(1), self.lanes))

    def _philox(self, numbers: ir.Value) -> list[ir.Value]:
        """Emit the four words of each of the counters that come `numbers` after the base."""
        b, base = self.b, self.base
        counter, key = [b.add(base[0], numbers)], base[4:]
        over = b.icmp_unsigned("<", counter[0], numbers)
        for n in (1, 2, 3):
            counter.append(b.add(base[n], b.zext(over, numbers.type)))
            over = b.and_(over, b.icmp_unsigned("==", counter[n], self.integers(0)))
        for number in range(ROUNDS):
            if number:
                key = [b.add(each, self.integers(more)) for each, more in zip(key, KEYS, strict=True)]
            (low_0, high_0), (low_1, high_1) = (self._product(counter[2 * n], MULTIPLIERS[n]) for n in range(2))
            counter = [
                b.xor(b.xor(high_1, counter[1]), key[0]), low_1, b.xor(b.xor(high_0, counter[3]), key[1]), low_0
            ]  # fmt: skip
        return counter

    def _product(self, values: ir.Value, multiplier: int) -> tuple[ir.Value, ir.Value]:
        """Emit the lower and the upper half of products of 32 by 32 bits."""
        b, wide = self.b, ir.VectorType(I64, self.lanes // 2)
        pairs = b.bitcast(values, wide)  # of lanes; a processor multiplies one of each
        even, odd = b.and_(pairs, _all(wide, 2**32 - 1)), b.lshr(pairs, _all(wide, 32))
        even, odd = (b.bitcast(b.mul(each, _all(wide, multiplier)), values.type) for each in (even, odd))
        lower = [lane // 2 * 2 + self.lanes * (lane % 2) for lane in range(self.lanes)]
        upper = [place + 1 for place in lower]
        return b.shuffle_vector(even, odd, self.integers(*lower)), b.shuffle_vector(even, odd, self.integers(*upper))

    def _interleaved(self, words: list[ir.Value]) -> list[ir.Value]:
        """Emit the numbers in their order: word 0 to 3 of the first counter, of the next, and so on."""
        b, lanes, found = self.b, self.lanes, []
        for n in range(WORDS):
            counters = [(n * lanes + lane) // WORDS for lane in range(lanes)]
            halves = []
            for first in (0, 2):
                places = [counter + lanes * (lane % 2) for lane, counter in enumerate(counters)]
                halves.append(b.shuffle_vector(words[first], words[first + 1], self.integers(*places)))
            places = [lane + lanes * (lane % WORDS >= 2) for lane in range(lanes)]
            found.append(b.shuffle_vector(*halves, self.integers(*places)))
        return found


def _all(kind: ir.VectorType, number: int) -> ir.Constant:
    return ir.Constant(kind, [number] * kind.count)
