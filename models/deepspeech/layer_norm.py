"""What is between the layers of the recipe `modern` on a CPU, compiled by LLVM: layer normalisation, ReLU and dropout.

    y = layer_norm(x, gamma, beta, epsilon=1e-5, relu=False, rate=0.15, seed=seed)

One call forward and one backward a layer, as in models/deepspeech/batch_norm.py; a row is normalised by itself, so that
the cores share the rows. What the gradients of gamma and beta sum over rows is kept for each block of BLOCK rows, and
added up in float64: no digit depends on how many cores there are.

float32 only; `dropout.fits(columns, dtype)` says whether a layer can be done here. Shapes in comments: T frames,
B utterances, H columns, N = T B rows, W lanes of a vector register.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf
from llvmlite import ir

from models import llvm
from models.deepspeech import dropout
from models.deepspeech.dropout import ROWS, Dropout
from models.llvm import I32, I64, aligned

BLOCK = 64  # rows whose sums are of float32; a multiple of ROWS
COLUMNS = (4, 2, 1)  # vectors of columns that are added up at once
POSITIVE = float(np.finfo(np.float32).tiny)  # the least that threads which take smaller numbers for zero know


def layer_norm(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    *,
    epsilon: float,
    relu: bool,
    rate: float,
    seed: tf.Tensor | None,
) -> tf.Tensor:
    """Normalise x [T, B, H] over H, take it for zero where negative if `relu` says so, and drop a share `rate`.

    `seed`, int32 [2], may be None without dropout.
    """
    draws = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed) if rate else ()
    forward = partial(_forward, epsilon=epsilon, relu=relu, rate=rate)
    backward = partial(_backward, rate=rate)

    @tf.custom_gradient
    def fused(x, gamma, beta):
        kinds = [tf.float32, tf.uint8, tf.float32]
        y, kept, found = tf.numpy_function(forward, [x, gamma, beta, *draws], kinds, stateful=False)
        y.set_shape(x.shape)

        def gradient(dy):
            given = [dy, x, kept, gamma, found]
            gradients = tf.numpy_function(backward, given, [tf.float32] * 3, stateful=False)
            for each, of in zip(gradients, (x, gamma, gamma), strict=True):
                each.set_shape(of.shape)
            return gradients

        return y, gradient

    return fused(x, gamma, beta)


def _forward(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    key: np.ndarray | None = None,
    counter: np.ndarray | None = None,
    *,
    epsilon: float,
    relu: bool,
    rate: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute outputs, bits of what is kept, and of each row mean and 1 / sqrt(variance + epsilon) [N, 2]."""
    dropout.check(x.size)
    columns = len(gamma)
    rows = x.size // columns
    y, kept, found = aligned(*x.shape), np.empty(x.size // 8, np.uint8), np.empty([rows, 2], np.float32)
    words = dropout.base_of(key, counter) if rate else np.empty(0, np.uint32)
    arrays = [*map(np.ascontiguousarray, (x, gamma, beta)), words, y, kept, found]
    floor = POSITIVE if relu else -np.inf
    sizes = [rows, columns, dropout.threshold(rate), float(columns), epsilon, floor, 1 / (1 - rate)]
    _on_all_cores(code(rate > 0).forward, [*arrays, *sizes], rows)
    return y, kept, found


def _backward(
    dy: np.ndarray, x: np.ndarray, kept: np.ndarray, gamma: np.ndarray, found: np.ndarray, *, rate: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of x, gamma and beta."""
    columns = len(gamma)
    rows = x.size // columns
    dx, sums = aligned(*x.shape), aligned(-(-rows // BLOCK), 2, columns)
    arrays = [*map(np.ascontiguousarray, (dy, x, gamma)), kept, found, dx, sums]
    grown = 1 / (1 - rate)
    _on_all_cores(code(rate > 0).backward, [*arrays, rows, columns, float(columns), grown], rows)
    dgamma, dbeta = (grown * sums.sum(0, dtype=np.float64)).astype(np.float32)
    return dx, dgamma, dbeta


def _on_all_cores(function, arguments: list, rows: int) -> None:
    blocks = -(-rows // BLOCK)
    workers = max(1, min(blocks, llvm.cores()))
    bounds = [number * blocks // workers for number in range(workers + 1)]
    llvm.on_all_cores(function, arguments, list(zip(bounds, bounds[1:], strict=False)))


@llvm.once
def code(module: ir.Module, drops: bool) -> tuple[llvm.Emitter, llvm.Emitter]:
    """Return the passes for this processor, with dropout or without."""
    return _Forward(module, drops=drops), _Backward(module)


class _LayerNorm(Dropout):
    """What both passes share: a core's blocks of rows, sums over columns, and bits of what is kept [N, H / W]."""

    first: ir.Value
    last: ir.Value
    width: ir.Value
    grown: ir.Value
    x: ir.Value
    gamma: ir.Value
    kept: ir.Value
    found: ir.Value

    def __init__(self, module: ir.Module, name: str, *, pointers: str, counts: str, floats: str) -> None:
        names = {"pointers": pointers.split(), "counts": counts.split(), "floats": floats.split()}
        super().__init__(module, name, **names, share=("first", "last"))
        self.one, self.zero = self.constant(1.0), self.constant(0.0)
        self.sqrt = self._declared(module, f"llvm.sqrt.v{self.lanes}f32", self.vector, [self.vector])
        self.tiles = self.b.sdiv(self.columns, I64(self.lanes))
        first = self.b.mul(self.first, I64(BLOCK))
        self.span = first, self.least_of(self.b.mul(self.last, I64(BLOCK)), self.rows)

    def over_tiles(self, sums: int, body: Callable[..., list[ir.Value]]) -> list[ir.Value]:
        """Emit body(tile, column, sums) for the vectors of a row; return the sums over all columns, in every lane."""
        with self.counting(I64(0), self.tiles, 1, (self.zero,) * sums) as loop:
            loop.next = body(loop.number, self.b.mul(loop.number, I64(self.lanes)), loop.carried)
        return [self.in_all_lanes(each, self.b.fadd) for each in loop.carried]

    def mean(self, total: ir.Value) -> ir.Value:
        return self.b.fdiv(total, self.everywhere(self.width))

    def place(self, pointer: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
        return self.at(pointer, self.b.mul(row, self.columns), column)

    def of_row(self, row: ir.Value, number: int) -> ir.Value:
        """Emit the address of a row's mean, or of what it is divided by."""
        return self.at(self.found, self.b.mul(row, I64(2)), I64(number))

    def bits(self, row: ir.Value, tile: ir.Value) -> ir.Value:
        return self.at(self.kept, self.b.mul(row, self.tiles), tile, kind=ir.IntType(self.lanes))


class _Forward(_LayerNorm):
    beta: ir.Value
    y: ir.Value
    epsilon: ir.Value
    floor: ir.Value

    def __init__(self, module: ir.Module, *, drops: bool) -> None:
        floats = "width epsilon floor grown"
        arrays, counts = "x gamma beta words y kept found", "rows columns least"
        super().__init__(module, "forward", pointers=arrays, counts=counts, floats=floats)
        self.drops = drops
        if drops:
            self.begin_draws()
        with self.counting(*self.span, ROWS) as lot:
            rows, counters = self.lot(lot.number)
            self._outputs(rows, counters, *self._moments(rows))
        self.finish()

    def _moments(self, rows: list[ir.Value]) -> tuple[list[ir.Value], list[ir.Value]]:
        """Emit mean and 1 / sqrt(variance + epsilon) of each row."""
        b = self.b

        def add(_: ir.Value, column: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            x = [self.load(self.place(self.x, row, column)) for row in rows]
            return [b.fadd(*each) for each in zip(x, sums, strict=True)]

        mean = [self.mean(total) for total in self.over_tiles(ROWS, add)]

        def square(_: ir.Value, column: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            apart = [b.fsub(self.load(self.place(self.x, row, column)), mean[n]) for n, row in enumerate(rows)]
            return [self.multiply_add(each, each, total) for each, total in zip(apart, sums, strict=True)]

        variance = [self.mean(total) for total in self.over_tiles(ROWS, square)]
        epsilon = self.everywhere(self.epsilon)
        inverse = [b.fdiv(self.one, b.call(self.sqrt, [b.fadd(each, epsilon)])) for each in variance]
        for row, *values in zip(rows, mean, inverse, strict=True):
            for n, value in enumerate(values):
                b.store(b.extract_element(value, I32(0)), self.of_row(row, n))
        return mean, inverse

    def _outputs(self, rows, counters: ir.Value, mean: list[ir.Value], inverse: list[ir.Value]) -> None:
        b, grown, floor = self.b, self.everywhere(self.grown), self.everywhere(self.floor)

        def outputs(tile: ir.Value, column: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
            gamma, beta = (self.load(self.at(each, column)) for each in (self.gamma, self.beta))
            drawn = self.drawn(counters, tile) if self.drops else [None] * ROWS
            for n, row in enumerate(rows):
                normal = b.fmul(b.fsub(self.load(self.place(self.x, row, column)), mean[n]), inverse[n])
                y = self.multiply_add(normal, gamma, beta)
                kept = b.fcmp_unordered(">=", y, floor)  # what is no number stays
                kept = b.and_(kept, drawn[n]) if self.drops else kept
                self.store_bits(kept, self.bits(row, tile))
                self.store(b.select(kept, b.fmul(y, grown), self.zero), self.place(self.y, row, column))
            return []

        self.over_tiles(0, outputs)


class _Backward(_LayerNorm):
    """The gradients, d being that of the normalised values times gamma plus beta.

    With u = (x - mean) / sqrt(variance + epsilon): dbeta = sum d, dgamma = sum d u, both over rows, and
    dx = (d gamma - mean of d gamma - u mean of d gamma u) / sqrt(variance + epsilon), both means over columns.
    """

    dy: ir.Value
    dx: ir.Value
    sums: ir.Value

    def __init__(self, module: ir.Module) -> None:
        arrays = "dy x gamma kept found dx sums"
        super().__init__(module, "backward", pointers=arrays, counts="rows columns", floats="width grown")
        b = self.b
        with self.counting(self.first, self.last) as block:
            start = b.mul(block.number, I64(BLOCK))
            stop = self.least_of(b.add(start, I64(BLOCK)), self.rows)
            with self.counting(start, stop) as row:
                self._inputs(row.number)
            of_block = self.at(self.sums, b.mul(b.mul(block.number, I64(2)), self.columns))
            self.over_lots(
                I64(0), self.tiles, COLUMNS, lambda tile, tiles: self._weights(tile, tiles, start, stop, of_block)
            )
        self.finish()

    def _inputs(self, row: ir.Value) -> None:
        """Emit the gradient of a row of x."""
        b = self.b
        mean, inverse = (self.splat(self.of_row(row, n)) for n in range(2))

        def add(tile: ir.Value, column: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            d, normal = self._parts(row, tile, column, mean, inverse)
            d = b.fmul(d, self.load(self.at(self.gamma, column)))
            return [b.fadd(d, sums[0]), self.multiply_add(d, normal, sums[1])]

        means = [self.mean(total) for total in self.over_tiles(2, add)]
        scale = b.fmul(inverse, self.everywhere(self.grown))

        def write(tile: ir.Value, column: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
            d, normal = self._parts(row, tile, column, mean, inverse)
            d = b.fmul(d, self.load(self.at(self.gamma, column)))
            of_moments = self.multiply_add(normal, means[1], means[0])
            self.store(b.fmul(b.fsub(d, of_moments), scale), self.place(self.dx, row, column))
            return []

        self.over_tiles(0, write)

    def _weights(self, tile: ir.Value, tiles: int, start: ir.Value, stop: ir.Value, of_block: ir.Value) -> None:
        """Emit a block's share of the gradients of gamma and beta, for some vectors of columns."""
        b, each_tile = self.b, [self.b.add(tile, I64(n)) for n in range(tiles)]
        columns = [b.mul(each, I64(self.lanes)) for each in each_tile]
        with self.counting(start, stop, 1, (self.zero,) * (2 * tiles)) as row:
            of_row = [self.splat(self.of_row(row.number, n)) for n in range(2)]
            for n, place in enumerate(zip(each_tile, columns, strict=True)):
                d, normal = self._parts(row.number, *place, *of_row)
                row.next.append(self.multiply_add(d, normal, row.carried[2 * n]))
                row.next.append(b.fadd(d, row.carried[2 * n + 1]))
        for n, value in enumerate(row.carried):
            self.store(value, self.at(of_block, b.mul(I64(n % 2), self.columns), columns[n // 2]))

    def _parts(self, row, tile, column, mean: ir.Value, inverse: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Emit the gradient of outputs where they were kept, before it grows, and the normalised values."""
        b = self.b
        d = b.select(self.load_bits(self.bits(row, tile)), self.load(self.place(self.dy, row, column)), self.zero)
        return d, b.fmul(b.fsub(self.load(self.place(self.x, row, column)), mean), inverse)
