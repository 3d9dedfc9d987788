"""Random numbers in code for LLVM: those of TensorFlow's stateless operations, a vector of counters at a time.

    class Dropout(Philox, Emitter): ...
    words = self.interleaved(self.philox(base, numbers))     # 4 vectors: counters' words in their order
    kept = [self.at_least(each, threshold(rate)) for each in words]

Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): number n of an array
is word n % 4 of counter + n // 4, and its lower 23 bits are the fraction of a float32 in [0, 1).
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir

from models.deepspeech.llvm import I32, I64, Emitter

WORDS = 4  # of 32 bits, that a counter gives
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


class Philox(Emitter):
    """Emits the rounds, vectors of words being integers of 32 bits without a sign."""

    def base(self, words: ir.Value) -> list[ir.Value]:
        """Emit vectors of the six words that `base_of` returned."""
        return [self.everywhere(self.b.load(self.at(words, I64(n), kind=I32), typ=I32)) for n in range(6)]

    def integers(self, *numbers: int) -> ir.Constant:
        """Return a vector of numbers, or of one number in every lane."""
        return ir.Constant(ir.VectorType(I32, self.lanes), list(numbers) * (self.lanes // len(numbers)))

    def at_least(self, words: ir.Value, least: ir.Value) -> ir.Value:
        """Emit whether the fractions of numbers are a vector's or more."""
        return self.b.icmp_unsigned(">=", self.b.and_(words, self.integers(2**FRACTION - 1)), least)

    def philox(self, base: list[ir.Value], numbers: ir.Value) -> list[ir.Value]:
        """Emit the four words of each of the counters that come `numbers` after the base."""
        b = self.b
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

    def interleaved(self, words: list[ir.Value]) -> list[ir.Value]:
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
