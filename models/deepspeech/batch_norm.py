"""What is between the layers on a CPU, compiled by LLVM: batch normalisation and dropout in one call.

    y, *moved = batch_norm(x, valid, gamma, beta, moving_mean, moving_variance, momentum=0.99, epsilon=1e-3, rate=0.05,
                           seed=seed)

TensorFlow takes thirty operations a layer for it, most of them on one core, and each goes through the memory. Here the
cores share the columns, so that none needs another's sums and no digit depends on how many they are. The memory is read
once for mean and variance and once for the outputs: sums are of float32 within a chunk of rows, which is in the cache
when squares around its own mean are added up, and of float64 over chunks (Chan, Golub and LeVeque 1979, "Updating
formulae and a pairwise algorithm for computing sample variances").
Dropout's draws are those of tf.nn.experimental.stateless_dropout.

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
from models.llvm import F32, F64, I64, aligned

CHUNK = 64  # rows whose sums are of float32
COLUMNS = (4, 2, 1)  # vectors of columns that are added up at once


def batch_norm(
    x: tf.Tensor,
    valid: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    moving_mean: tf.Tensor,
    moving_variance: tf.Tensor,
    *,
    momentum: float,
    epsilon: float,
    rate: float,
    seed: tf.Tensor | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalise x [T, B, H] by mean and variance over rows that are valid, float32 [T, B], and drop a share `rate`.

    Return it, and what becomes of the moving averages, which are used where no row is valid at all. `seed`, int32 [2],
    may be None without dropout.
    """
    draws = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed) if rate else ()
    forward = partial(_forward, momentum=momentum, epsilon=epsilon, rate=rate)
    backward = partial(_backward, epsilon=epsilon, rate=rate)

    @tf.custom_gradient
    def fused(x, gamma, beta):
        given = [x, valid, gamma, beta, moving_mean, moving_variance, *draws]
        kinds = [tf.float32, tf.uint8, *[tf.float32] * 3]
        y, kept, found, *moved = tf.numpy_function(forward, given, kinds, stateful=False)
        y.set_shape(x.shape)
        for each in moved:
            each.set_shape(gamma.shape)

        def gradient(dy, *_):
            given = [dy, x, kept, valid, gamma, found]
            gradients = tf.numpy_function(backward, given, [tf.float32] * 3, stateful=False)
            for each, of in zip(gradients, (x, gamma, gamma), strict=True):
                each.set_shape(of.shape)
            return gradients

        return (y, *moved), gradient

    return fused(x, gamma, beta)


def _forward(
    x: np.ndarray,
    valid: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    moving_mean: np.ndarray,
    moving_variance: np.ndarray,
    key: np.ndarray | None = None,
    counter: np.ndarray | None = None,
    *,
    momentum: float,
    epsilon: float,
    rate: float,
) -> tuple[np.ndarray, ...]:
    """Compute outputs, bits of what is kept, mean and variance [2, H], and both moving averages [H]."""
    dropout.check(x.size)
    columns = len(gamma)
    sizes = [x.size // columns, columns, dropout.threshold(rate)]
    moving, found = np.stack([moving_mean, moving_variance]), np.empty([2, columns], np.float32)
    y, kept = aligned(*x.shape), np.empty(x.size // 8 if rate else 0, np.uint8)
    base = dropout.base_of(key, counter) if rate else np.empty(0, np.uint32)
    given = [*map(np.ascontiguousarray, (x, gamma, beta, valid)), _chunks(valid), moving, base]
    made = [y, kept, found, np.zeros([2, columns]), aligned(2, columns)]
    _on_all_cores(code(rate > 0).forward, [*given, *made, *sizes, *_floats(valid, epsilon, rate)], columns)
    return y, kept, found, *(momentum * moving + (1 - momentum) * found)


def _chunks(valid: np.ndarray) -> np.ndarray:
    """Return how the chunks' means and squares are put together, float64 [chunks, 3].

    With n valid rows in a chunk, b before it and t = n + b: 1 / n, n / t and n b / t; without any, zero.
    """
    counts = np.add.reduceat(valid.reshape(-1), np.arange(0, valid.size, CHUNK), dtype=np.float64)
    before = np.cumsum(counts) - counts
    shares = counts / np.maximum(before + counts, 1)
    return np.stack([1 / np.maximum(counts, 1), shares, shares * before], 1)


def _backward(
    dy: np.ndarray,
    x: np.ndarray,
    kept: np.ndarray,
    valid: np.ndarray,
    gamma: np.ndarray,
    found: np.ndarray,
    *,
    epsilon: float,
    rate: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of x, gamma and beta."""
    columns = len(gamma)
    dx, dgamma, dbeta = aligned(*x.shape), aligned(columns), aligned(columns)
    given = [*map(np.ascontiguousarray, (dy, x, gamma, valid)), kept, found]
    made = [dx, dgamma, dbeta, np.zeros([2, columns]), aligned(3, columns)]
    sizes = [x.size // columns, columns]
    _on_all_cores(code(rate > 0).backward, [*given, *made, *sizes, *_floats(valid, epsilon, rate)], columns)
    return dx, dgamma, dbeta


def _floats(valid: np.ndarray, epsilon: float, rate: float) -> tuple[float, float, float]:
    return float(valid.sum(dtype=np.float64)), epsilon, 1 / (1 - rate)


def _on_all_cores(function, arguments: list, columns: int) -> None:
    tiles = columns // llvm.lanes()
    workers = min(tiles, llvm.cores())
    bounds = [number * tiles // workers for number in range(workers + 1)]
    llvm.on_all_cores(function, arguments, list(zip(bounds, bounds[1:], strict=False)))


@llvm.once
def code(module: ir.Module, drops: bool) -> tuple[llvm.Emitter, llvm.Emitter]:
    """Return the passes for this processor, with dropout or without."""
    return _Forward(module, drops=drops), _Backward(module, drops=drops)


class _BatchNorm(Dropout):
    """What both passes share: a core's vectors of columns, sums over chunks [2, H] and bits of what is kept [H / W, N].

    `factors` [2 or 3, H] are what the last loop needs of each column, next to its mean.
    """

    first: ir.Value
    last: ir.Value
    count: ir.Value
    epsilon: ir.Value
    grown: ir.Value
    x: ir.Value
    gamma: ir.Value
    valid: ir.Value
    kept: ir.Value
    found: ir.Value
    sums: ir.Value
    factors: ir.Value

    def __init__(self, module: ir.Module, name: str, *, drops: bool, pointers: str, counts: str) -> None:
        names = {"pointers": pointers.split(), "counts": counts.split(), "floats": ("count", "epsilon", "grown")}
        super().__init__(module, name, **names, share=("first", "last"))
        self.drops, self.one, self.zero = drops, self.constant(1.0), self.constant(0.0)
        self.doubles = ir.VectorType(F64, self.lanes)
        self.sqrt = self._declared(module, f"llvm.sqrt.v{self.lanes}f32", self.vector, [self.vector])
        self.counted = self.everywhere(self.count)
        self.filled = self.b.fcmp_ordered(">", self.counted, self.zero)

    def over_chunks(self, body: Callable[[ir.Value, ir.Value, ir.Value, list[ir.Value]], None]) -> None:
        """Emit body(chunk, first row, the one after the last, columns) for all chunks and columns."""
        b = self.b
        with self.counting(I64(0), self.rows, CHUNK) as loop:
            first, chunk = loop.number, b.sdiv(loop.number, I64(CHUNK))
            stop = self.least_of(b.add(first, I64(CHUNK)), self.rows)

            def of_tiles(tile: ir.Value, tiles: int) -> None:
                body(chunk, first, stop, [b.mul(b.add(tile, I64(n)), I64(self.lanes)) for n in range(tiles)])

            self.over_lots(self.first, self.last, COLUMNS, of_tiles)

    def over_tiles(self, body: Callable[[ir.Value, ir.Value], None]) -> None:
        """Emit body(tile, first column) for the vectors of columns of this core."""
        with self.counting(self.first, self.last) as loop:
            body(loop.number, self.b.mul(loop.number, I64(self.lanes)))

    def line(self, pointer: ir.Value, number: ir.Value, *columns: ir.Value, kind: ir.Type = F32) -> ir.Value:
        """Emit the address of a column in a line of an array [.., H]."""
        return self.at(pointer, self.b.mul(number, self.columns), *columns, kind=kind)

    def sum_at(self, number: int, column: ir.Value) -> ir.Value:
        return self.line(self.sums, I64(number), column, kind=F64)

    def load_sum(self, number: int, column: ir.Value) -> ir.Value:
        return self.b.load(self.sum_at(number, column), typ=self.doubles, align=8)

    def store_sum(self, value: ir.Value, number: int, column: ir.Value) -> None:
        self.b.store(value, self.sum_at(number, column), align=8)

    def of_row(self, row: ir.Value) -> ir.Value:
        return self.splat(self.at(self.valid, row))

    def inverse(self, variance: ir.Value) -> ir.Value:
        """Emit 1 / sqrt(variance + epsilon)."""
        return self.b.fdiv(self.one, self.b.call(self.sqrt, [self.b.fadd(variance, self.everywhere(self.epsilon))]))

    def bits(self, tile: ir.Value, row: ir.Value) -> ir.Value:
        """Emit the address of the bits of a row's vector: apart for each tile, so that cores share no lines of them."""
        return self.at(self.kept, self.b.mul(tile, self.rows), row, kind=ir.IntType(self.lanes))


class _Forward(_BatchNorm):
    beta: ir.Value
    chunks: ir.Value
    moving: ir.Value
    y: ir.Value

    def __init__(self, module: ir.Module, *, drops: bool) -> None:
        arrays = "x gamma beta valid chunks moving words y kept found sums factors"
        super().__init__(module, "forward", drops=drops, pointers=arrays, counts="rows columns least")
        self.over_chunks(self._moments)
        self.over_tiles(self._factors)
        if drops:
            self._dropped()
        else:
            with self.counting(I64(0), self.rows) as row:
                self.over_tiles(lambda _, column: self._output(row.number, column))
        self.finish()

    def _moments(self, chunk: ir.Value, first: ir.Value, stop: ir.Value, columns: list[ir.Value]) -> None:
        """Emit a chunk's share of mean and squares: its mean to float32, then sums around that."""
        b, nothing = self.b, (self.zero,) * len(columns)
        of_chunk = self.at(self.chunks, b.mul(chunk, I64(3)), kind=F64)
        inverse, share, between = (
            self.everywhere(b.load(self.at(of_chunk, I64(n), kind=F64), typ=F64)) for n in range(3)
        )
        with self.counting(first, stop, 1, nothing) as row:
            valid = self.of_row(row.number)
            for column, total in zip(columns, row.carried, strict=True):
                row.next.append(self.multiply_add(self.load(self.line(self.x, row.number, column)), valid, total))
        middle = [b.fptrunc(b.fmul(b.fpext(total, self.doubles), inverse), self.vector) for total in row.carried]
        with self.counting(first, stop, 1, nothing * 2) as row:
            valid = self.of_row(row.number)
            for n, column in enumerate(columns):
                apart = b.fsub(self.load(self.line(self.x, row.number, column)), middle[n])
                counted = b.fmul(apart, valid)
                row.next.append(b.fadd(counted, row.carried[2 * n]))
                row.next.append(self.multiply_add(counted, apart, row.carried[2 * n + 1]))
        sums = [b.fpext(each, self.doubles) for each in row.carried]
        for n, column in enumerate(columns):
            rest, squares = sums[2 * n : 2 * n + 2]
            more = b.fmul(rest, inverse)
            before, mean = self.load_sum(0, column), b.fadd(b.fpext(middle[n], self.doubles), more)
            apart = b.fsub(mean, before)
            squares = b.fadd(b.fsub(squares, b.fmul(rest, more)), b.fmul(b.fmul(apart, apart), between))
            self.store_sum(b.fadd(before, b.fmul(apart, share)), 0, column)
            self.store_sum(b.fadd(self.load_sum(1, column), squares), 1, column)

    def _factors(self, _: ir.Value, column: ir.Value) -> None:
        """Emit mean and variance of a vector of columns, and by what and with what it becomes outputs."""
        b = self.b
        means = [self.load_sum(0, column), b.fdiv(self.load_sum(1, column), b.fpext(self.counted, self.doubles))]
        mean, variance = (
            b.select(self.filled, b.fptrunc(each, self.vector), self.load(self.line(self.moving, I64(n), column)))
            for n, each in enumerate(means)
        )
        scale = b.fmul(self.load(self.at(self.gamma, column)), self.inverse(variance))
        shift = b.fsub(self.load(self.at(self.beta, column)), b.fmul(mean, scale))
        for n, (value, factor) in enumerate([(mean, scale), (variance, shift)]):
            self.store(value, self.line(self.found, I64(n), column))
            factor = b.fmul(factor, self.everywhere(self.grown)) if self.drops else factor
            self.store(factor, self.line(self.factors, I64(n), column))

    def _output(self, row: ir.Value, column: ir.Value, kept: ir.Value | None = None) -> None:
        scale, shift = (self.load(self.line(self.factors, I64(n), column)) for n in range(2))
        y = self.multiply_add(self.load(self.line(self.x, row, column)), scale, shift)
        y = self.b.select(kept, y, self.zero) if kept else y
        self.store(y, self.line(self.y, row, column))

    def _dropped(self) -> None:
        """Emit outputs, ROWS rows at a time; beyond the last row that one is written again, with the same draws."""
        self.begin_draws()
        with self.counting(I64(0), self.rows, ROWS) as lot:
            rows, counters = self.lot(lot.number)

            def outputs(tile: ir.Value, column: ir.Value) -> None:
                for row, kept in zip(rows, self.drawn(counters, tile), strict=True):
                    self.store_bits(kept, self.bits(tile, row))
                    self._output(row, column, kept)

            self.over_tiles(outputs)


class _Backward(_BatchNorm):
    """The gradients, d being that of batch normalisation's outputs, over n valid rows.

    With a = x - mean and i = 1 / sqrt(variance + epsilon):
    dbeta = sum d, dgamma = i sum a d, dx = gamma i d - valid gamma i / n (dbeta + a i dgamma). Without a valid row mean
    and variance are no function of x, and the second term is zero.
    """

    dy: ir.Value
    dx: ir.Value
    dgamma: ir.Value
    dbeta: ir.Value

    def __init__(self, module: ir.Module, *, drops: bool) -> None:
        arrays = "dy x gamma valid kept found dx dgamma dbeta sums factors"
        super().__init__(module, "backward", drops=drops, pointers=arrays, counts="rows columns")
        self.over_chunks(self._sums)
        self.over_tiles(self._factors)
        with self.counting(I64(0), self.rows) as row:
            valid = self.of_row(row.number)
            self.over_tiles(lambda tile, column: self._gradient(row.number, tile, column, valid))
        self.finish()

    def _sums(self, _: ir.Value, first: ir.Value, stop: ir.Value, columns: list[ir.Value]) -> None:
        b, tiles = self.b, [self.b.sdiv(column, I64(self.lanes)) for column in columns]
        mean = [self.load(self.line(self.found, I64(0), column)) for column in columns]
        with self.counting(first, stop, 1, (self.zero,) * (2 * len(columns))) as row:
            for n, (tile, column) in enumerate(zip(tiles, columns, strict=True)):
                dy = self._kept(row.number, tile, column)
                apart = b.fsub(self.load(self.line(self.x, row.number, column)), mean[n])
                row.next.append(b.fadd(row.carried[2 * n], dy))
                row.next.append(self.multiply_add(apart, dy, row.carried[2 * n + 1]))
        for n, value in enumerate(row.carried):
            place = n % 2, columns[n // 2]
            self.store_sum(b.fadd(self.load_sum(*place), b.fpext(value, self.doubles)), *place)

    def _kept(self, row: ir.Value, tile: ir.Value, column: ir.Value) -> ir.Value:
        """Emit the gradient of outputs that were kept, and zero for the others."""
        b, dy = self.b, self.load(self.line(self.dy, row, column))
        if not self.drops:
            return dy
        return b.select(self.load_bits(self.bits(tile, row)), dy, self.zero)

    def _factors(self, _: ir.Value, column: ir.Value) -> None:
        """Emit the gradients of gamma and beta, and by what those of x are made of dy, one and x - mean."""
        b, grown = self.b, self.everywhere(self.grown)
        inverse = self.inverse(self.load(self.line(self.found, I64(1), column)))
        dbeta, dscale = (b.fmul(b.fptrunc(self.load_sum(n, column), self.vector), grown) for n in range(2))
        dgamma = b.fmul(inverse, dscale)
        scale = b.fmul(self.load(self.at(self.gamma, column)), inverse)
        share = b.select(self.filled, b.fdiv(scale, self.counted), self.zero)
        self.store(dgamma, self.at(self.dgamma, column))
        self.store(dbeta, self.at(self.dbeta, column))
        factors = b.fmul(scale, grown), b.fmul(share, dbeta), b.fmul(b.fmul(share, inverse), dgamma)
        for n, factor in enumerate(factors):
            self.store(factor, self.line(self.factors, I64(n), column))

    def _gradient(self, row: ir.Value, tile: ir.Value, column: ir.Value, valid: ir.Value) -> None:
        b = self.b
        scale, offset, slope = (self.load(self.line(self.factors, I64(n), column)) for n in range(3))
        apart = b.fsub(self.load(self.line(self.x, row, column)), self.load(self.line(self.found, I64(0), column)))
        of_statistics = b.fmul(valid, self.multiply_add(apart, slope, offset))
        dx = b.fsub(b.fmul(self._kept(row, tile, column), scale), of_statistics)
        self.store(dx, self.line(self.dx, row, column))
