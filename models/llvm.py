"""What code compiled by LLVM shares: arrays for TensorFlow, all cores at once, and the words they are written in.

    class Sum(Emitter):                                     # emits one function when it is made
        def __init__(self, module):
            super().__init__(module, "sum", pointers=("x", "y"), counts=("first", "last"))
            ...
            self.finish()
    code = once(lambda module: (Sum(module), Gradient(module)))
    on_all_cores(code().forward, [x, y], shares=[(0, 50), (50, 100)])

A function that all cores run has the share of each and, last, `counters`, `agreeing`, `number` and `workers`: what they
wait for each other by. They wait by spinning: to wake a thread takes a tenth of a millisecond, and more in a virtual
machine.
llvmlite is a dependency of librosa; everything here compiles in a few tenths of a second.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, wraps
from types import SimpleNamespace

import numpy as np
from llvmlite import binding, ir

from platforms.machine import affinity, usable_cores

ALIGNMENT = 64  # bytes; TensorFlow takes arrays over as they are if they begin at a multiple of it
SPINS = 2000  # before a waiting core offers its place to other threads
PATIENCE = 10_000  # spins before the first core sleeps until the others' end: other work may have their cores

F32, F64, I32, I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
POINTER, VOID = ir.PointerType(), ir.VoidType()


@cache
def lanes() -> int:
    """Return how many numbers of 32 bits a vector of this processor has."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx2") and features.get("fma") else 4


def aligned(*shape: int) -> np.ndarray:
    """Return an array for float32 that TensorFlow takes over as it is."""
    size = math.prod(shape)
    memory = np.empty(size + ALIGNMENT // 4, np.float32)
    start = -memory.ctypes.data % ALIGNMENT // 4
    return memory[start : start + size].reshape(shape)


class Code(SimpleNamespace):
    """What an engine compiled, and the engine, which owns it: functions by their names. Calls release the GIL."""


def once(emit: Callable[..., Sequence[Emitter]]) -> Callable[..., Code]:
    """Make a function that returns the code that emit(module, ...) writes; compiled once."""
    compiling, kept = threading.Lock(), {}

    @wraps(emit)
    def code(*given) -> Code:
        key = (lanes(), *given)
        with compiling:
            if key not in kept:
                module = ir.Module()
                emitters = emit(module, *given)
                engine = _compiled(module)
                kept[key] = Code(engine=engine, **{each.name: _callable(engine, each) for each in emitters})
            return kept[key]

    return code


@cache
def prepare(code: Callable[..., Code], *given) -> None:
    """Compile code in a thread beside the caller, which makes and traces a model meanwhile; errors come at use."""
    threading.Thread(target=code, args=given, name="llvm-compiler").start()


def _compiled(module: ir.Module) -> binding.ExecutionEngine:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    binding.add_symbol("sched_yield", ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)
    engine.finalize_object()
    return engine


def _callable(engine: binding.ExecutionEngine, emitter: Emitter) -> Callable[..., None]:
    return ctypes.CFUNCTYPE(None, *emitter.kinds)(engine.get_function_address(emitter.name))


# --- all cores -------------------------------------------------------------------------------------------------------

cores = cache(usable_cores)  # looking takes longer than a frame
_one_at_a_time = threading.Lock()  # replicas on logical CPUs share the cores: each call has all of them in turn


def on_all_cores(
    function: Callable[..., None],
    arguments: Sequence,
    shares: Sequence[tuple[int, ...]],
    *,
    agreeing: bool = False,
) -> None:
    """Call function(*arguments, *share, ...) on a core for each share; arrays may be among the arguments.

    `agreeing` says that its barriers hold; without it no core waits for another but at the end.
    """
    workers = len(shares)
    counters = np.zeros([2, ALIGNMENT // 8], np.int64)  # a line of the cache for the end, and one for barriers
    given = [each.ctypes.data if isinstance(each, np.ndarray) else each for each in arguments]

    def work(number: int) -> None:
        function(*given, *shares[number], counters.ctypes.data, int(agreeing), number, workers)

    with _one_at_a_time:
        others = [thread.submit(work, number) for number, thread in enumerate(_others(workers - 1), 1)]
        work(0)  # which mostly ends when all have
        if counters[0, 0] < workers:
            for other in others:
                other.result()


def _others(count: int) -> list[ThreadPoolExecutor]:
    """Return threads to help the caller: where all cores are asked for, each on a core of its own, not the caller's.

    Left to Linux, one in ten helpers ran on the caller's core, beside an idle one, and took twice as long: where a
    virtual machine shows no cache that cores have in common, a thread that wakes up is not looked a place for among
    all of them.
    Where fewer are asked for Linux decides, as another run may have the same ones; where there is a quota, too.
    """
    cpus = _own_cpus()
    if len(cpus) < 2 or count < len(cpus) - 1:
        return [_thread(None, number) for number in range(count)]
    free = [cpu for cpu in cpus if cpu != _getcpu()]
    return [_thread(free[number % len(free)], number // len(free)) for number in range(count)]


@cache
def _own_cpus() -> list[int]:
    """Return the numbers of this process's logical cores; none where they are not known, or not its own to fill."""
    known = hasattr(os, "sched_setaffinity") and _getcpu is not None
    return affinity() if known and len(affinity()) == usable_cores() else []


_getcpu = getattr(ctypes.CDLL(None), "sched_getcpu", None)


@cache
def _thread(cpu: int | None, number: int) -> ThreadPoolExecutor:  # noqa: ARG001 - one for each number
    def begin() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})  # this thread alone

    return ThreadPoolExecutor(1, thread_name_prefix="llvm", initializer=begin)


# --- the words -------------------------------------------------------------------------------------------------------


class Emitter:
    """Writes one function: numbers and vectors of float32, counting loops, and waits of cores for each other.

    Its arguments are attributes: `pointers`, then `counts` (whole numbers of 64 bits), then `floats`, then each core's
    `share` (64 bits), then those by which cores wait.
    """

    counters: ir.Value
    agreeing: ir.Value
    number: ir.Value
    workers: ir.Value

    def __init__(
        self,
        module: ir.Module,
        name: str,
        *,
        pointers: Sequence[str],
        counts: Sequence[str] = (),
        floats: Sequence[str] = (),
        share: Sequence[str] = (),
    ) -> None:
        self.name, self.lanes = name, lanes()
        self.vector = ir.VectorType(F32, self.lanes)
        waits = ("agreeing", "number", "workers")
        self.kinds: list[type] = [ctypes.c_void_p] * len(pointers) + [ctypes.c_int64] * len(counts)
        self.kinds += [ctypes.c_float] * len(floats) + [ctypes.c_int64] * len(share)
        self.kinds += [ctypes.c_void_p] + [ctypes.c_int64] * len(waits)
        types: dict[type, ir.Type] = {ctypes.c_void_p: POINTER, ctypes.c_int64: I64, ctypes.c_float: F32}
        function = ir.Function(module, ir.FunctionType(VOID, [types[kind] for kind in self.kinds]), name)
        names = (*pointers, *counts, *floats, *share, "counters", *waits)
        for argument, argument_name in zip(function.args, names, strict=True):
            setattr(self, argument_name, argument)
        self.b = ir.IRBuilder(function.append_basic_block())
        self.fma = self._declared(module, f"llvm.fma.v{self.lanes}f32", self.vector, [self.vector] * 3)
        self.minimum = self._declared(module, f"llvm.minnum.v{self.lanes}f32", self.vector, [self.vector] * 2)
        self.maximum = self._declared(module, f"llvm.maxnum.v{self.lanes}f32", self.vector, [self.vector] * 2)
        self.sched_yield = self._declared(module, "sched_yield", I32, [])

    @staticmethod
    def _declared(module: ir.Module, name: str, returned: ir.Type, arguments: list[ir.Type]) -> ir.Function:
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(returned, arguments), name)

    # --- numbers -------------------------------------------------------------------------------------------------

    def at(self, pointer: ir.Value, *terms: ir.Value, kind: ir.Type = F32) -> ir.Value:
        """Return the address of the element of a kind at the sum of terms."""
        for term in terms:
            pointer = self.b.gep(pointer, [term], source_etype=kind)
        return pointer

    def load(self, pointer: ir.Value) -> ir.Value:
        return self.b.load(pointer, typ=self.vector, align=4)

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        self.b.store(value, pointer, align=4)

    def constant(self, number: float) -> ir.Constant:
        return ir.Constant(self.vector, [number] * self.lanes)

    def integers(self, *numbers: int) -> ir.Constant:
        """Return a vector of numbers, or of one number in every lane."""
        return ir.Constant(ir.VectorType(I32, self.lanes), list(numbers) * (self.lanes // len(numbers)))

    def least_of(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", a, b), a, b)

    def transposed(self, rows: list[ir.Value]) -> list[ir.Value]:
        """Emit the columns of a square, as many vectors as they have lanes: corners of every size change places."""
        apart, lanes = 1, self.lanes
        while apart < lanes:
            upper = [lane if not lane & apart else lanes + lane - apart for lane in range(lanes)]
            lower = [lane + apart if not lane & apart else lanes + lane for lane in range(lanes)]
            changed = list(rows)
            for n in range(lanes):
                if not n & apart:
                    pair = rows[n], rows[n + apart]
                    changed[n] = self.b.shuffle_vector(*pair, self.integers(*upper))
                    changed[n + apart] = self.b.shuffle_vector(*pair, self.integers(*lower))
            rows, apart = changed, apart * 2
        return rows

    def in_all_lanes(self, value: ir.Value, join: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
        """Emit what `join` makes of a vector's numbers, in every lane."""
        apart = self.lanes // 2
        while apart:
            other = self.b.shuffle_vector(value, value, self.integers(*(lane ^ apart for lane in range(self.lanes))))
            value, apart = join(value, other), apart // 2
        return value

    def everywhere(self, number: ir.Value) -> ir.Value:
        """Emit a vector that has a number, of any type, in every lane."""
        undefined = ir.Constant(ir.VectorType(number.type, self.lanes), ir.Undefined)
        one = self.b.insert_element(undefined, number, I32(0))
        return self.b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(I32, self.lanes), None))

    def splat(self, pointer: ir.Value) -> ir.Value:
        return self.everywhere(self.b.load(pointer, typ=F32))

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
        """Emit `for n in range(start, stop, step)` with carried values: yield a Loop, whose `next` the block fills."""
        b, before = self.b, self.b.block
        head, body, after = (b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        number = b.phi(I64)
        number.add_incoming(start, before)
        phis = [b.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        b.cbranch(b.icmp_signed("<", number, stop), body, after)
        b.position_at_end(body)
        loop = Loop(number, phis)
        yield loop
        for phi, value in zip(phis, loop.next, strict=True):
            phi.add_incoming(value, b.block)
        number.add_incoming(b.add(number, I64(step)), b.block)
        b.branch(head)
        b.position_at_end(after)

    def over_lots(self, first: ir.Value, last: ir.Value, sizes: Sequence[int], body: Callable) -> None:
        """Emit body(first, how many) for all of a range: as many at once as the first size says, the rest by the next.

        The last size is 1.
        """
        for size in sizes:
            whole = self.b.mul(self.b.sdiv(self.b.sub(last, first), I64(size)), I64(size))
            stop = self.b.add(first, whole)
            with self.counting(first, stop, size) as loop:
                body(loop.number, size)
            first = stop

    @contextmanager
    def claiming(self, taken: ir.Value, stop: ir.Value):
        """Emit a loop over what this core takes of range(0, stop), one by one: `taken` is what all cores count by."""
        b = self.b
        head, body, after = (b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        number = b.atomic_rmw("add", taken, I64(1), "monotonic")
        b.cbranch(b.icmp_signed("<", number, stop), body, after)
        b.position_at_end(body)
        yield number
        b.branch(head)
        b.position_at_end(after)

    # --- waits ---------------------------------------------------------------------------------------------------

    def barrier(self, before: ir.Value) -> None:
        """Emit a wait until every core has come here, if cores agree; they did so `before` times at other waits."""
        b = self.b
        counter = self.at(self.counters, I64(ALIGNMENT // 8), kind=I64)
        with b.if_then(b.icmp_signed("!=", self.agreeing, I64(0))):
            b.atomic_rmw("add", counter, I64(1), "acq_rel")
            self._until(counter, b.mul(b.add(before, I64(1)), self.workers))

    def finish(self) -> None:
        """Emit the end: the first core spins for a while until all have come to theirs."""
        b = self.b
        b.atomic_rmw("add", self.counters, I64(1), "acq_rel")
        with b.if_then(b.icmp_signed("==", self.number, I64(0))):
            self._until(self.counters, self.workers, at_most=PATIENCE)
        b.ret_void()

    def _until(self, counter: ir.Value, wanted: ir.Value, at_most: int | None = None) -> None:
        b = self.b
        before = b.block
        spin, wait, give_way, again, after = (b.append_basic_block() for _ in range(5))
        b.branch(spin)
        b.position_at_end(spin)
        spins = b.phi(I64)
        spins.add_incoming(I64(0), before)
        less = b.icmp_signed("<", b.load_atomic(counter, "acquire", 8, typ=I64), wanted)
        patient = less if at_most is None else b.and_(less, b.icmp_signed("<", spins, I64(at_most)))
        b.cbranch(patient, wait, after)
        b.position_at_end(wait)
        b.cbranch(b.icmp_signed(">", spins, I64(SPINS)), give_way, again)
        b.position_at_end(give_way)
        b.call(self.sched_yield, [])
        b.branch(again)
        b.position_at_end(again)
        spins.add_incoming(b.add(spins, I64(1)), again)
        b.branch(spin)
        b.position_at_end(after)


class Loop:
    """A loop that is being written: its number, the values it carries, and what they become."""

    def __init__(self, number: ir.Value, carried: list[ir.Value]) -> None:
        self.number, self.carried = number, carried
        self.next: list[ir.Value] = []


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
