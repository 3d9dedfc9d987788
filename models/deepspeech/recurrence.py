"""The LSTM's loop over frames on a CPU, compiled by LLVM for the processor at hand.

    h, gates, c = forward(xw, recurrent, peephole)          # [T, B, 4H], [H, 4H], [3, H]
    dz = backward(dh, gates, c, recurrent, peephole)        # [T, B, H] -> [T, B, 4H]

Frame by frame there are only a few utterances to multiply the recurrent weights with. A general matrix product
packs those weights again for every frame, which takes longer than the arithmetic. Here they are packed once a call:
sums are kept in vector registers and turned into gates, cells and outputs on the spot. Where the weights fit into a
core's own cache and there are utterances enough, each core owns some of these, and none waits for another. Else each
owns some of the units, and a spinning barrier a frame is all that they have to agree on. No digit depends on it.
llvmlite, a dependency of librosa, compiles it in a tenth of a second.

Equations and order of the gates: models/deepspeech/lstm.py. float32 only; `fits(units)` says whether a layer can be
done here. Shapes in comments: T frames, B utterances, H units, W lanes of a vector register.
"""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import binding, ir

from platforms.machine import usable_cores

ALIGNMENT = 64  # bytes; TensorFlow takes arrays over as they are if they begin at a multiple of it
SPINS = 2000  # before a waiting core offers its place to other threads
OWN_CACHE = 2**20  # bytes of weights that a core keeps by itself: its second cache has 1 MiB or more

_F32, _I64, _PTR, _VOID = ir.FloatType(), ir.IntType(64), ir.PointerType(), ir.VoidType()
_compiling = threading.Lock()  # `cache` alone would compile twice for two threads
_one_at_a_time = threading.Lock()  # replicas on logical CPUs share the cores: each call has all of them in turn


@dataclass(frozen=True)
class Shape:
    """The innermost loop's shape: lanes of a vector, and utterances whose sums are kept in registers at once."""

    lanes: int
    rows: int


def fits(units: int) -> bool:
    """Tell whether a layer of `units` units can be computed here: they must fill whole vectors."""
    return units % _shape().lanes == 0


def forward(xw: np.ndarray, recurrent: np.ndarray, peephole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute outputs h, gates after their activations and cells c from the inputs' share of the gates [T, B, 4H].

    h and c are [T + 1, B, H] and begin with the state before the first frame, zero; gates are [T, B, 4H].
    """
    frames, batch, _ = xw.shape
    units, lanes = len(recurrent), _shape().lanes
    h, c = (aligned(frames + 1, batch, units) for _ in range(2))
    h[0] = c[0] = 0
    gates = aligned(frames, batch, 4 * units)
    packed = _copied(recurrent.reshape(units, 4, units // lanes, lanes).transpose(2, 0, 1, 3))
    _on_all_cores(_code().forward, [xw, packed, peephole, h, gates, c], frames, batch, units)
    return h, gates, c


def backward(
    dh: np.ndarray, gates: np.ndarray, c: np.ndarray, recurrent: np.ndarray, peephole: np.ndarray
) -> np.ndarray:
    """Compute the gradient of the gates before activation [T, B, 4H] from that of the outputs [T, B, H]."""
    frames, batch, units = dh.shape
    lanes = _shape().lanes
    dz = aligned(frames, batch, 4 * units)
    later = aligned(2, batch, units)  # gradients of output and cell, from the frame after
    later[...] = 0
    packed = _copied(recurrent.reshape(units // lanes, lanes, 4 * units).transpose(0, 2, 1))
    _on_all_cores(_code().backward, [dh, packed, peephole, dz, gates, c, later], frames, batch, units)
    return dz


@cache
def prepare() -> None:
    """Compile the loops in a thread beside the caller, which makes and traces a model meanwhile; errors come at use."""
    threading.Thread(target=_code, name="lstm-compiler").start()


def _code() -> _Compiled:
    """Return the loops for this processor; compiled once, by whoever asks first."""
    with _compiling:
        return _compiled(_shape())


def _on_all_cores(function, arrays: list[np.ndarray], frames: int, batch: int, units: int) -> None:
    arrays = [np.ascontiguousarray(array, np.float32) for array in arrays]
    apart, shares = _shares(batch, units, _cores())
    workers = len(shares)
    arrived = np.zeros([workers, ALIGNMENT // 8], np.int64)  # a line of the cache for each
    pointers = [array.ctypes.data for array in arrays]

    def work(number: int) -> None:
        counter, agreeing = (arrived[number], 1) if apart else (arrived[0], workers)
        function(*pointers, frames, batch, units, *shares[number], counter.ctypes.data, agreeing)

    with _one_at_a_time:
        others = [_threads(workers).submit(work, number) for number in range(1, workers)]
        work(0)
        for other in others:
            other.result()


def _shares(batch: int, units: int, cores: int) -> tuple[bool, list[tuple[int, int, int, int]]]:
    """Return whether cores wait for no other, and the share of each.

    That is its first vector of units and the one after its last, and the same of utterances.
    """
    tiles, rows = units // _shape().lanes, _shape().rows
    if 16 * units * units <= OWN_CACHE and batch >= cores * rows:
        lots = -(-batch // rows)
        bounds = [min(batch, number * lots // cores * rows) for number in range(cores + 1)]
        return True, [(0, tiles, first, last) for first, last in zip(bounds, bounds[1:], strict=False)]
    workers = min(tiles, cores)
    bounds = [number * tiles // workers for number in range(workers + 1)]
    return False, [(first, last, 0, batch) for first, last in zip(bounds, bounds[1:], strict=False)]


_cores = cache(usable_cores)  # looking takes longer than a frame


@cache
def _threads(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="lstm")


def lanes() -> int:
    """Return how many numbers of 32 bits a vector of this processor has."""
    return _shape().lanes


def aligned(*shape: int) -> np.ndarray:
    """Return an array for float32 that TensorFlow takes over as it is."""
    size = 4 * int(np.prod(shape))
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def _copied(view: np.ndarray) -> np.ndarray:
    copy = aligned(*view.shape)
    copy[...] = view
    return copy


@cache
def _shape() -> Shape:
    """Choose as many rows as 32 or 16 registers hold next to four vectors of weights and one of inputs."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return Shape(lanes=16, rows=4)
    if features.get("avx2") and features.get("fma"):
        return Shape(lanes=8, rows=2)
    return Shape(lanes=4, rows=2)


@dataclass(frozen=True)
class _Compiled:
    engine: binding.ExecutionEngine  # owns the code
    forward: ctypes._CFuncPtr
    backward: ctypes._CFuncPtr


@cache
def _compiled(shape: Shape) -> _Compiled:
    module = ir.Module()
    _Forward(module, shape)
    _Backward(module, shape)
    engine = engine_of(module)

    def function(name: str, arrays: int):
        kinds = [ctypes.c_void_p] * arrays + [ctypes.c_int64] * 7 + [ctypes.c_void_p, ctypes.c_int64]
        return ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))  # releases the GIL

    return _Compiled(engine, function("forward", 6), function("backward", 7))


def engine_of(module: ir.Module) -> binding.ExecutionEngine:
    """Compile a module for this processor; the engine that is returned owns its code."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    binding.add_symbol("sched_yield", ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)
    engine.finalize_object()
    return engine


class _Loops:
    """The parts of both loops: vectors, counting loops, the matrix product of a few rows, the barrier."""

    def __init__(self, module: ir.Module, shape: Shape, name: str, arrays: tuple[str, ...]) -> None:
        self.shape = shape
        self.vector = ir.VectorType(_F32, shape.lanes)
        kinds = [_PTR] * len(arrays) + [_I64] * 7 + [_PTR, _I64]
        function = ir.Function(module, ir.FunctionType(_VOID, kinds), name)
        shares = ("first", "last", "first_row", "last_row")
        names = (*arrays, "frames", "batch", "units", *shares, "arrived", "workers")
        for argument, argument_name in zip(function.args, names, strict=True):
            setattr(self, argument_name, argument)
        self.b = ir.IRBuilder(function.append_basic_block())
        self.fma = self._declared(module, f"llvm.fma.v{shape.lanes}f32", self.vector, [self.vector] * 3)
        self.minimum = self._declared(module, f"llvm.minnum.v{shape.lanes}f32", self.vector, [self.vector] * 2)
        self.maximum = self._declared(module, f"llvm.maxnum.v{shape.lanes}f32", self.vector, [self.vector] * 2)
        self.sched_yield = self._declared(module, "sched_yield", ir.IntType(32), [])
        self.gates = self.b.mul(self.units, _I64(4))  # 4H

    @staticmethod
    def _declared(module: ir.Module, name: str, returned: ir.Type, arguments: list[ir.Type]) -> ir.Function:
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(returned, arguments), name)

    # --- numbers -------------------------------------------------------------------------------------------------

    def at(self, pointer: ir.Value, *terms: ir.Value) -> ir.Value:
        """Return the address of the float at the sum of terms."""
        for term in terms:
            pointer = self.b.gep(pointer, [term], source_etype=_F32)
        return pointer

    def load(self, pointer: ir.Value) -> ir.Value:
        return self.b.load(pointer, typ=self.vector, align=4)

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        self.b.store(value, pointer, align=4)

    def constant(self, number: float) -> ir.Constant:
        return ir.Constant(self.vector, [number] * self.shape.lanes)

    def splat(self, pointer: ir.Value) -> ir.Value:
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.b.insert_element(undefined, self.b.load(pointer, typ=_F32), ir.IntType(32)(0))
        return self.b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.shape.lanes), None))

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self.b.call(self.fma, [a, b, c])

    def tanh(self, x: ir.Value) -> ir.Value:
        """Emit tanh as a quotient of polynomials, as in Eigen: within 1e-7, and clamped where tanh is 1 in float32."""
        limit = 7.90531110763549805
        x = self.b.call(self.minimum, [self.b.call(self.maximum, [x, self.constant(-limit)]), self.constant(limit)])
        square = self.b.fmul(x, x)
        above = self._polynomial(square, _TANH_ABOVE)
        return self.b.fdiv(self.b.fmul(x, above), self._polynomial(square, _TANH_BELOW))

    def sigmoid(self, x: ir.Value) -> ir.Value:
        half = self.constant(0.5)
        return self.multiply_add(self.tanh(self.b.fmul(x, half)), half, half)

    def _polynomial(self, x: ir.Value, coefficients: tuple[float, ...]) -> ir.Value:
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.multiply_add(value, x, self.constant(coefficient))
        return value

    # --- loops ---------------------------------------------------------------------------------------------------

    @contextmanager
    def counting(self, start: ir.Value, stop: ir.Value, step: int = 1, carried: tuple[ir.Value, ...] = ()):
        """Emit `for n in range(start, stop, step)` with carried values: yield a _Loop, whose `next` the block fills."""
        b, before = self.b, self.b.block
        head, body, after = (b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        number = b.phi(_I64)
        number.add_incoming(start, before)
        phis = [b.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        b.cbranch(b.icmp_signed("<", number, stop), body, after)
        b.position_at_end(body)
        loop = _Loop(number, phis)
        yield loop
        for phi, value in zip(phis, loop.next, strict=True):
            phi.add_incoming(value, b.block)
        number.add_incoming(b.add(number, _I64(step)), b.block)
        b.branch(head)
        b.position_at_end(after)

    def over_rows(self, body) -> None:
        """Emit body(first row, how many) for all utterances: as many at once as registers hold, then smaller lots.

        All are those of this core's share.
        """
        first: ir.Value = self.first_row
        rows = self.shape.rows
        while rows:
            whole = self.b.mul(self.b.sdiv(self.b.sub(self.last_row, first), _I64(rows)), _I64(rows))
            stop = self.b.add(first, whole)
            with self.counting(first, stop, rows) as loop:
                body(loop.number, rows)
            first, rows = stop, rows // 2

    def product(self, sums: list[list[ir.Value]], left, right, depth: ir.Value) -> list[list[ir.Value]]:
        """Emit sums[r][v] + the sum over k of left[r][k] * right(k)[v]: `left` are addresses, `right(k)` vectors."""
        columns = len(sums[0])
        with self.counting(_I64(0), depth, 1, tuple(value for row in sums for value in row)) as loop:
            weights = right(loop.number)
            for r, address in enumerate(left):
                inputs = self.splat(self.at(address, loop.number))
                for v in range(columns):
                    loop.next.append(self.multiply_add(inputs, weights[v], loop.carried[r * columns + v]))
        return [loop.carried[r * columns : (r + 1) * columns] for r in range(len(sums))]

    def barrier(self, frame: ir.Value) -> None:
        """Emit a wait until every core has come here `frame` + 1 times."""
        b = self.b
        b.atomic_rmw("add", self.arrived, _I64(1), "acq_rel")
        wanted = b.mul(b.add(frame, _I64(1)), self.workers)
        before = b.block
        spin, wait, give_way, again, after = (b.append_basic_block() for _ in range(5))
        b.branch(spin)
        b.position_at_end(spin)
        spins = b.phi(_I64)
        spins.add_incoming(_I64(0), before)
        b.cbranch(b.icmp_signed("<", b.load_atomic(self.arrived, "acquire", 8, typ=_I64), wanted), wait, after)
        b.position_at_end(wait)
        b.cbranch(b.icmp_signed(">", spins, _I64(SPINS)), give_way, again)
        b.position_at_end(give_way)
        b.call(self.sched_yield, [])
        b.branch(again)
        b.position_at_end(again)
        spins.add_incoming(b.add(spins, _I64(1)), again)
        b.branch(spin)
        b.position_at_end(after)


class _Loop:
    def __init__(self, number: ir.Value, carried: list[ir.Value]) -> None:
        self.number, self.carried, self.next = number, carried, []


_TANH_ABOVE = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_BELOW = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


class _Forward(_Loops):
    def __init__(self, module: ir.Module, shape: Shape) -> None:
        super().__init__(module, shape, "forward", ("xw", "packed", "peephole", "h", "activated", "c"))
        b = self.b
        state = b.mul(self.batch, self.units)
        with self.counting(_I64(0), self.frames) as frame:
            before, now = b.mul(frame.number, state), b.mul(b.add(frame.number, _I64(1)), state)
            of_gates = b.mul(before, _I64(4))
            with self.counting(self.first, self.last) as tile:
                unit = b.mul(tile.number, _I64(shape.lanes))
                weights = self.at(self.packed, b.mul(unit, self.gates))
                self.over_rows(lambda row, rows: self._rows(row, rows, unit, weights, before, now, of_gates))
            self.barrier(frame.number)
        b.ret_void()

    def _rows(self, row, rows, unit, weights, before, now, of_gates) -> None:
        b, lanes = self.b, self.shape.lanes
        row = [b.add(row, _I64(r)) for r in range(rows)]
        gate = [b.add(unit, b.mul(self.units, _I64(g))) for g in range(4)]
        states = [b.mul(r, self.units) for r in row]
        gates = [b.add(of_gates, b.mul(r, self.gates)) for r in row]
        sums = [[self.load(self.at(self.xw, of_row, of_gate)) for of_gate in gate] for of_row in gates]

        def right(k: ir.Value) -> list[ir.Value]:
            vectors = self.at(weights, b.mul(k, _I64(4 * lanes)))
            return [self.load(self.at(vectors, _I64(g * lanes))) for g in range(4)]

        sums = self.product(sums, [self.at(self.h, before, s) for s in states], right, self.units)
        peephole = [self.load(self.at(self.peephole, gate[p])) for p in range(3)]
        for (zi, zf, zg, zo), of_state, of_row in zip(sums, states, gates, strict=True):
            c = self.load(self.at(self.c, before, of_state, unit))
            i = self.sigmoid(self.multiply_add(c, peephole[0], zi))
            f = self.sigmoid(self.multiply_add(c, peephole[1], zf))
            g = self.tanh(zg)
            c = self.multiply_add(f, c, b.fmul(i, g))
            o = self.sigmoid(self.multiply_add(c, peephole[2], zo))
            for value, of_gate in zip((i, f, g, o), gate, strict=True):
                self.store(value, self.at(self.activated, of_row, of_gate))
            self.store(c, self.at(self.c, now, of_state, unit))
            self.store(b.fmul(o, self.tanh(c)), self.at(self.h, now, of_state, unit))


class _Backward(_Loops):
    def __init__(self, module: ir.Module, shape: Shape) -> None:
        super().__init__(module, shape, "backward", ("dh", "packed", "peephole", "dz", "activated", "c", "later"))
        b = self.b
        state = b.mul(self.batch, self.units)
        self.dc = self.at(self.later, state)
        with self.counting(_I64(0), self.frames) as frame:
            self.back = b.sub(b.sub(self.frames, _I64(1)), frame.number)
            before, now = b.mul(self.back, state), b.mul(b.add(self.back, _I64(1)), state)
            of_gates = b.mul(before, _I64(4))
            with self.counting(self.first_row, self.last_row) as row, self.counting(self.first, self.last) as tile:
                self._gates(row.number, b.mul(tile.number, _I64(shape.lanes)), before, now, of_gates)
            self.barrier(frame.number)
            tile = self.first
            for tiles in (4, 2, 1):
                whole = b.mul(b.sdiv(b.sub(self.last, tile), _I64(tiles)), _I64(tiles))
                stop = b.add(tile, whole)
                with self.counting(tile, stop, tiles) as loop:
                    unit = b.mul(loop.number, _I64(shape.lanes))
                    self.over_rows(
                        lambda row, rows, unit=unit, tiles=tiles: self._outputs(row, rows, unit, tiles, of_gates)
                    )
                tile = stop
        b.ret_void()

    def _gates(self, row, unit, before, now, of_gates) -> None:
        """Emit the gates of one utterance and one vector of units."""
        b, one = self.b, self.constant(1.0)
        of_state = b.add(b.mul(row, self.units), unit)
        of_row = b.add(of_gates, b.mul(row, self.gates))
        gate = [b.add(unit, b.mul(self.units, _I64(g))) for g in range(4)]
        i, f, g, o = (self.load(self.at(self.activated, of_row, of_gate)) for of_gate in gate)
        pi, pf, po = (self.load(self.at(self.peephole, gate[p])) for p in range(3))
        c_before = self.load(self.at(self.c, before, of_state))
        tanh_c = self.tanh(self.load(self.at(self.c, now, of_state)))
        dh = b.fadd(self.load(self.at(self.dh, before, of_state)), self.load(self.at(self.later, of_state)))

        def slope(sigmoid):
            return b.fmul(sigmoid, b.fsub(one, sigmoid))

        dzo = b.fmul(b.fmul(dh, tanh_c), slope(o))
        through = b.fsub(one, b.fmul(tanh_c, tanh_c))
        dc = self.multiply_add(b.fmul(dh, o), through, self.load(self.at(self.dc, of_state)))
        dc = self.multiply_add(dzo, po, dc)
        dzi = b.fmul(b.fmul(dc, g), slope(i))
        dzf = b.fmul(b.fmul(dc, c_before), slope(f))
        dzg = b.fmul(b.fmul(dc, i), b.fsub(one, b.fmul(g, g)))
        for value, of_gate in zip((dzi, dzf, dzg, dzo), gate, strict=True):
            self.store(value, self.at(self.dz, of_row, of_gate))
        dc = self.multiply_add(dzf, pf, self.multiply_add(dzi, pi, b.fmul(dc, f)))
        self.store(dc, self.at(self.dc, of_state))

    def _outputs(self, row, rows, unit, tiles, of_gates) -> None:
        """Emit the gradient of the outputs of the frame before: dz times the recurrent weights, transposed."""
        b, lanes = self.b, self.shape.lanes
        row = [b.add(row, _I64(r)) for r in range(rows)]
        weights = [self.at(self.packed, b.mul(b.add(unit, _I64(n * lanes)), self.gates)) for n in range(tiles)]

        def right(k: ir.Value) -> list[ir.Value]:
            return [self.load(self.at(vectors, b.mul(k, _I64(lanes)))) for vectors in weights]

        left = [self.at(self.dz, of_gates, b.mul(r, self.gates)) for r in row]
        sums = self.product([[self.constant(0.0)] * tiles for _ in row], left, right, self.gates)
        for r, values in zip(row, sums, strict=True):
            for n, value in enumerate(values):
                self.store(value, self.at(self.later, b.mul(r, self.units), unit, _I64(n * lanes)))
