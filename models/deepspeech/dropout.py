"""Dropout on a CPU, compiled by LLVM: TensorFlow's own random numbers, drawn and used in one pass over the memory.

    y = dropped(x, rate=0.05, seed=seed)                # as tf.nn.experimental.stateless_dropout, to the last digit

TensorFlow draws an array of numbers, compares it, scales and selects: four passes, of which the first takes longer
than the products of a small layer. Here sixteen counters of Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011,
"Parallel random numbers: as easy as 1, 2, 3") go through its rounds at once, and what is kept is one bit a number, for
the gradient. Number n is word n % 4 of counter + n // 4; its lower 23 bits are the fraction of a float32 in [0, 1).
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import tensorflow as tf
from llvmlite import binding, ir

from models.deepspeech import llvm

WORDS = 4  # of 32 bits, that a counter gives
MULTIPLIERS, KEYS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
FRACTION = 23  # bits of a float32

_F32, _I32, _I64, _PTR, _VOID = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.VoidType()
_compiling = threading.Lock()


def fits(dtype: tf.DType) -> bool:
    """Tell whether a processor can compute it: of float32, with vectors of 8 or more."""
    return dtype == tf.float32 and llvm.lanes() >= 8


@cache
def prepare() -> None:
    """Compile it in a thread beside the caller, which makes and traces a model meanwhile; errors come at use."""
    threading.Thread(target=_code, name="dropout-compiler").start()


def dropped(x: tf.Tensor, *, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Return x with a share `rate` of its numbers zero and the others larger by 1 / (1 - rate); `seed` is int32 [2]."""
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)

    @tf.custom_gradient
    def dropout(x):
        draw = partial(_forward, rate=rate)
        y, kept = tf.numpy_function(draw, [x, key, counter], [x.dtype, tf.uint8], stateful=False)
        y.set_shape(x.shape)

        def gradient(dy):
            dx = tf.numpy_function(partial(_backward, rate=rate), [dy, kept], dy.dtype, stateful=False)
            dx.set_shape(dy.shape)
            return dx

        return y, gradient

    return dropout(x)


def _forward(x: np.ndarray, key: np.ndarray, counter: np.ndarray, *, rate: float) -> tuple[np.ndarray, np.ndarray]:
    x, block = np.ascontiguousarray(x), WORDS * llvm.lanes()
    words = np.concatenate([counter, key]).view(np.uint32)  # both little-endian: the lower half first
    least = math.ceil(float(np.float32(rate)) * 2**FRACTION)  # the smallest fraction that is kept
    y, kept = llvm.aligned(*x.shape), np.empty(-(-x.size // block) * block // 8, np.uint8)
    _in_blocks(lambda *given: _code().forward(*given, words.ctypes.data, least, _scale(rate)), x, y, kept, block)
    return y, kept


def _backward(dy: np.ndarray, kept: np.ndarray, *, rate: float) -> np.ndarray:
    dy, block = np.ascontiguousarray(dy), WORDS * llvm.lanes()
    dx = llvm.aligned(*dy.shape)
    _in_blocks(lambda *given: _code().backward(*given, _scale(rate)), dy, dx, kept, block)
    return dx


def _scale(rate: float) -> float:
    return float(np.float32(1 / (1 - rate)))


def _in_blocks(function, given: np.ndarray, made: np.ndarray, kept: np.ndarray, block: int) -> None:
    """Call function(given, made, kept, first block, how many) for all whole blocks, and for a copy of what is left."""
    whole, rest = divmod(given.size, block)
    function(given.ctypes.data, made.ctypes.data, kept.ctypes.data, 0, whole)
    if rest:
        last, out = np.zeros(block, np.float32), np.empty(block, np.float32)
        last[:rest] = given.reshape(-1)[-rest:]
        function(last.ctypes.data, out.ctypes.data, kept[whole * block // 8 :].ctypes.data, whole, 1)
        made.reshape(-1)[-rest:] = out[:rest]


@dataclass(frozen=True)
class _Compiled:
    engine: binding.ExecutionEngine  # owns the code
    forward: Callable[..., None]
    backward: Callable[..., None]


def _code() -> _Compiled:
    with _compiling:
        return _compiled(llvm.lanes())


@cache
def _compiled(lanes: int) -> _Compiled:
    module = ir.Module()
    _Pass(module, lanes, "backward", []).emit_backward()
    _Pass(module, lanes, "forward", [_PTR, _I32]).emit_forward()
    engine = llvm.compiled(module)

    def function(name: str, *more):
        kinds = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2 + [*more, ctypes.c_float]
        return ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))  # releases the GIL

    forward = function("forward", ctypes.c_void_p, ctypes.c_int32)
    return _Compiled(engine, forward, function("backward"))


class _Pass:
    """A pass over blocks of WORDS vectors: what it reads, what it writes, and the bits of what is kept."""

    def __init__(self, module: ir.Module, lanes: int, name: str, more: list[ir.Type]) -> None:
        self.lanes = lanes
        self.floats, self.words = ir.VectorType(_F32, lanes), ir.VectorType(_I32, lanes)
        kinds = [_PTR] * 3 + [_I64] * 2 + [*more, _F32]
        function = ir.Function(module, ir.FunctionType(_VOID, kinds), name)
        self.given, self.made, self.kept, self.first, self.count, *self.more, self.scale = function.args
        self.b = ir.IRBuilder(function.append_basic_block())

    def emit_forward(self) -> None:
        words, least = self.more
        base = [self._all(self.b.load(self._at(words, _I64(n), _I32), typ=_I32)) for n in range(6)]

        def keeps(block: ir.Value) -> list[ir.Value]:
            drawn = self._interleaved(self._philox(base, self.b.add(self.first, block)))
            below = self._constant(2**FRACTION - 1)
            return [self.b.icmp_unsigned(">=", self.b.and_(each, below), self._all(least)) for each in drawn]

        self._over_blocks(keeps, keep=True)

    def emit_backward(self) -> None:
        def keeps(block: ir.Value) -> list[ir.Value]:
            return [
                self.b.bitcast(self.b.load(self._bits(block, n), typ=ir.IntType(self.lanes)), self._flags)
                for n in range(WORDS)
            ]

        self._over_blocks(keeps, keep=False)

    def _over_blocks(self, keeps, *, keep: bool) -> None:
        b = self.b
        before = b.block
        head, body, after = (b.append_basic_block() for _ in range(3))
        scale, zero = self._all(self.scale), ir.Constant(self.floats, [0.0] * self.lanes)
        b.branch(head)
        b.position_at_end(head)
        block = b.phi(_I64)
        block.add_incoming(_I64(0), before)
        b.cbranch(b.icmp_signed("<", block, self.count), body, after)
        b.position_at_end(body)
        for n, kept in enumerate(keeps(block)):
            place = b.mul(b.add(b.mul(block, _I64(WORDS)), _I64(n)), _I64(self.lanes))
            x = b.load(self._at(self.given, place, _F32), typ=self.floats, align=4)
            # The forward pass scales and selects, the gradient selects and scales, as TensorFlow's do.
            y = b.select(kept, b.fmul(x, scale), zero) if keep else b.fmul(b.select(kept, x, zero), scale)
            b.store(y, self._at(self.made, place, _F32), align=4)
            if keep:
                b.store(b.bitcast(kept, ir.IntType(self.lanes)), self._bits(block, n))
        block.add_incoming(b.add(block, _I64(1)), b.block)
        b.branch(head)
        b.position_at_end(after)
        b.ret_void()

    def _philox(self, base: list[ir.Value], block: ir.Value) -> list[ir.Value]:
        """Emit the four words of `lanes` counters, from the one of a block on."""
        b, one = self.b, self._constant(1)
        numbers = ir.Constant(self.words, list(range(self.lanes)))
        group = b.mul(block, _I64(self.lanes))
        low = b.add(self._all(b.trunc(group, _I32)), numbers)  # a block begins at a multiple of lanes: no carry
        high = self._all(b.trunc(b.lshr(group, _I64(32)), _I32))
        counter = [b.add(base[0], low)]
        carried = b.zext(b.icmp_unsigned("<", counter[0], low), self.words)
        counter.append(b.add(b.add(base[1], high), carried))
        over = b.or_(
            b.icmp_unsigned("<", counter[1], base[1]),
            b.and_(
                b.icmp_unsigned("==", counter[1], base[1]),
                b.icmp_unsigned("!=", b.or_(high, carried), self._constant(0)),
            ),
        )
        for n in (2, 3):
            counter.append(b.add(base[n], b.select(over, one, self._constant(0))))
            over = b.and_(over, b.icmp_unsigned("==", counter[n], self._constant(0)))
        key = base[4:]
        for number in range(ROUNDS):
            if number:
                key = [b.add(each, self._constant(more)) for each, more in zip(key, KEYS, strict=True)]
            (low_0, high_0), (low_1, high_1) = (self._product(counter[2 * n], MULTIPLIERS[n]) for n in range(2))
            counter = [
                b.xor(b.xor(high_1, counter[1]), key[0]), low_1, b.xor(b.xor(high_0, counter[3]), key[1]), low_0
            ]  # fmt: skip
        return counter

    def _product(self, values: ir.Value, multiplier: int) -> tuple[ir.Value, ir.Value]:
        """Emit the lower and the upper half of products of 32 by 32 bits."""
        b, wide = self.b, ir.VectorType(_I64, self.lanes)
        product = b.mul(b.zext(values, wide), ir.Constant(wide, [multiplier] * self.lanes))
        return b.trunc(product, self.words), b.trunc(b.lshr(product, ir.Constant(wide, [32] * self.lanes)), self.words)

    def _interleaved(self, words: list[ir.Value]) -> list[ir.Value]:
        """Emit the numbers in their order: word 0 to 3 of the first counter, of the next, and so on."""
        b, lanes, found = self.b, self.lanes, []
        for n in range(WORDS):
            counters = [(n * lanes + lane) // WORDS for lane in range(lanes)]
            halves = []
            for first in (0, 2):
                places = [counter + lanes * (lane % 2) for lane, counter in enumerate(counters)]
                halves.append(b.shuffle_vector(words[first], words[first + 1], self._places(places)))
            places = [lane + lanes * (lane % WORDS >= 2) for lane in range(lanes)]
            found.append(b.shuffle_vector(*halves, self._places(places)))
        return found

    @property
    def _flags(self) -> ir.Type:
        return ir.VectorType(ir.IntType(1), self.lanes)

    def _bits(self, block: ir.Value, n: int) -> ir.Value:
        place = self.b.add(self.b.mul(block, _I64(WORDS)), _I64(n))
        return self._at(self.kept, place, ir.IntType(self.lanes))

    def _at(self, pointer: ir.Value, place: ir.Value, kind: ir.Type) -> ir.Value:
        return self.b.gep(pointer, [place], source_etype=kind)

    def _places(self, places: list[int]) -> ir.Constant:
        return ir.Constant(self.words, places)

    def _constant(self, number: int) -> ir.Constant:
        return ir.Constant(self.words, [number] * self.lanes)

    def _all(self, number: ir.Value) -> ir.Value:
        """Emit a vector that has a number in every lane."""
        kind = ir.VectorType(number.type, self.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(undefined, number, _I32(0))
        return self.b.shuffle_vector(one, undefined, ir.Constant(self.words, None))
