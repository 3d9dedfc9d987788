"""The LSTM's loop over frames on a CPU, compiled by LLVM for the processor at hand.

    h, gates, c = forward(xw, recurrent, peephole)          # [T, B, 4H], [H, 4H], [3, H]
    dz, dbias = backward(dh, gates, c, recurrent, peephole) # [T, B, H] -> [T, B, 4H] and its sum [4H]

Frame by frame there are only a few utterances to multiply the recurrent weights with. A general matrix product
packs those weights again for every frame, which takes longer than the arithmetic. Here they are packed once a call:
sums are kept in vector registers and turned into gates, cells and outputs on the spot. Where the weights fit into a
core's own cache and there are utterances enough, each core owns some of these, and none waits for another. Else each
owns some of the units, and a barrier a frame is all that they have to agree on. No digit depends on it.

Equations and order of the gates: models/deepspeech/lstm.py. float32 only; `fits(units)` says whether a layer can be
done here. Shapes in comments: T frames, B utterances, H units, W lanes of a vector register.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from models import llvm
from models.llvm import I64, aligned

OWN_CACHE = 2**20  # bytes of weights that a core keeps by itself: its second cache has 1 MiB or more


def fits(units: int) -> bool:
    """Tell whether a layer of `units` units can be computed here: they must fill whole vectors."""
    return units % llvm.lanes() == 0


def forward(xw: np.ndarray, recurrent: np.ndarray, peephole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute outputs h, gates after their activations and cells c from the inputs' share of the gates [T, B, 4H].

    h and c are [T + 1, B, H] and begin with the state before the first frame, zero; gates are [T, B, 4H].
    """
    frames, batch, _ = xw.shape
    units = len(recurrent)
    h, c = (aligned(frames + 1, batch, units) for _ in range(2))
    h[0] = c[0] = 0
    gates = aligned(frames, batch, 4 * units)
    packed = _packed(code().pack_for_outputs, recurrent)  # [H / W, H, 4, W]
    _on_all_cores(code().forward, [xw, packed, peephole, h, gates, c], frames, batch, units)
    return h, gates, c


def backward(
    dh: np.ndarray, gates: np.ndarray, c: np.ndarray, recurrent: np.ndarray, peephole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the gradients of gates before activation [T, B, 4H] and of their bias from that of outputs [T, B, H]."""
    frames, batch, units = dh.shape
    dz = aligned(frames, batch, 4 * units)
    later = aligned(2, batch, units)  # gradients of output and cell, from the frame after
    dbias = aligned(batch, 4 * units)  # of every utterance
    later[...] = dbias[...] = 0
    packed = _packed(code().pack_for_gradients, recurrent)  # [H / W, 4H, W]
    _on_all_cores(code().backward, [dh, packed, peephole, dz, gates, c, later, dbias], frames, batch, units)
    return dz, dbias.sum(0, dtype=np.float64).astype(np.float32)


def _on_all_cores(function, arrays: list[np.ndarray], frames: int, batch: int, units: int) -> None:
    arrays = [np.ascontiguousarray(array, np.float32) for array in arrays]
    apart, shares = _shares(batch, units, llvm.cores())
    llvm.on_all_cores(function, [*arrays, frames, batch, units], shares, agreeing=not apart)


def _shares(batch: int, units: int, cores: int) -> tuple[bool, list[tuple[int, int, int, int]]]:
    """Return whether cores wait for no other, and the share of each.

    That is its first vector of units and the one after its last, and the same of utterances.
    """
    tiles, rows = units // llvm.lanes(), _rows()
    if 16 * units * units <= OWN_CACHE and batch >= cores * rows:
        lots = -(-batch // rows)
        bounds = [min(batch, number * lots // cores * rows) for number in range(cores + 1)]
        return True, [(0, tiles, first, last) for first, last in zip(bounds, bounds[1:], strict=False)]
    workers = min(tiles, cores)
    bounds = [number * tiles // workers for number in range(workers + 1)]
    return False, [(first, last, 0, batch) for first, last in zip(bounds, bounds[1:], strict=False)]


def _packed(pack, recurrent: np.ndarray) -> np.ndarray:
    """Return the weights in the order in which a loop reads them."""
    packed, units = aligned(*recurrent.shape), len(recurrent)
    llvm.on_all_cores(pack, [np.ascontiguousarray(recurrent, np.float32), packed, units], [()])
    return packed


def _rows() -> int:
    """Return how many utterances' sums 32 or 16 registers hold next to four vectors of weights and one of inputs."""
    return 4 if llvm.lanes() == 16 else 2


@llvm.once
def code(module: ir.Module) -> tuple[llvm.Emitter, ...]:
    """Return the loops for this processor."""
    return _Forward(module), _Backward(module), _PackForOutputs(module), _PackForGradients(module)


class _Loops(llvm.Emitter):
    """The parts of both loops: a core's utterances, and the matrix product of a few rows."""

    def __init__(self, module: ir.Module, name: str, arrays: tuple[str, ...]) -> None:
        share = ("first", "last", "first_row", "last_row")
        super().__init__(module, name, pointers=arrays, counts=("frames", "batch", "units"), share=share)
        self.gates = self.b.mul(self.units, I64(4))  # 4H

    def over_rows(self, most: int, body) -> None:
        """Emit body(first row, how many) for all utterances of this core: as many at once as `most`."""
        self.over_lots(self.first_row, self.last_row, [each for each in (8, 4, 2, 1) if each <= most], body)

    def product(self, sums: list[list[ir.Value]], left, right, depth: ir.Value) -> list[list[ir.Value]]:
        """Emit sums[r][v] + the sum over k of left[r][k] * right(k)[v]: `left` are addresses, `right(k)` vectors."""
        columns = len(sums[0])
        with self.counting(I64(0), depth, 1, tuple(value for row in sums for value in row)) as loop:
            weights = right(loop.number)
            for r, address in enumerate(left):
                inputs = self.splat(self.at(address, loop.number))
                for v in range(columns):
                    loop.next.append(self.multiply_add(inputs, weights[v], loop.carried[r * columns + v]))
        return [loop.carried[r * columns : (r + 1) * columns] for r in range(len(sums))]


class _Forward(_Loops):
    def __init__(self, module: ir.Module) -> None:
        super().__init__(module, "forward", ("xw", "packed", "peephole", "h", "activated", "c"))
        b = self.b
        state = b.mul(self.batch, self.units)
        with self.counting(I64(0), self.frames) as frame:
            before, now = b.mul(frame.number, state), b.mul(b.add(frame.number, I64(1)), state)
            of_gates = b.mul(before, I64(4))
            with self.counting(self.first, self.last) as tile:
                unit = b.mul(tile.number, I64(self.lanes))
                weights = self.at(self.packed, b.mul(unit, self.gates))
                self.over_rows(_rows(), lambda row, rows: self._rows(row, rows, unit, weights, before, now, of_gates))
            self.barrier(frame.number)
        self.finish()

    def _rows(self, row, rows, unit, weights, before, now, of_gates) -> None:
        b, lanes = self.b, self.lanes
        row = [b.add(row, I64(r)) for r in range(rows)]
        gate = [b.add(unit, b.mul(self.units, I64(g))) for g in range(4)]
        states = [b.mul(r, self.units) for r in row]
        gates = [b.add(of_gates, b.mul(r, self.gates)) for r in row]
        sums = [[self.load(self.at(self.xw, of_row, of_gate)) for of_gate in gate] for of_row in gates]

        def right(k: ir.Value) -> list[ir.Value]:
            vectors = self.at(weights, b.mul(k, I64(4 * lanes)))
            return [self.load(self.at(vectors, I64(g * lanes))) for g in range(4)]

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
    def __init__(self, module: ir.Module) -> None:
        super().__init__(module, "backward", ("dh", "packed", "peephole", "dz", "activated", "c", "later", "dbias"))
        b = self.b
        state = b.mul(self.batch, self.units)
        self.dc = self.at(self.later, state)
        with self.counting(I64(0), self.frames) as frame:
            self.back = b.sub(b.sub(self.frames, I64(1)), frame.number)
            before, now = b.mul(self.back, state), b.mul(b.add(self.back, I64(1)), state)
            of_gates = b.mul(before, I64(4))
            with self.counting(self.first_row, self.last_row) as row, self.counting(self.first, self.last) as tile:
                self._gates(row.number, b.mul(tile.number, I64(self.lanes)), before, now, of_gates)
            self.barrier(frame.number)
            self.over_rows(2 * _rows(), lambda row, rows: self._of_rows(row, rows, of_gates))
        self.finish()

    def _gates(self, row, unit, before, now, of_gates) -> None:
        """Emit the gates of one utterance and one vector of units."""
        b, one = self.b, self.constant(1.0)
        of_state = b.add(b.mul(row, self.units), unit)
        of_row = b.add(of_gates, b.mul(row, self.gates))
        gate = [b.add(unit, b.mul(self.units, I64(g))) for g in range(4)]
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
            bias = self.at(self.dbias, b.mul(row, self.gates), of_gate)
            self.store(b.fadd(self.load(bias), value), bias)
        dc = self.multiply_add(dzf, pf, self.multiply_add(dzi, pi, b.fmul(dc, f)))
        self.store(dc, self.at(self.dc, of_state))

    def _of_rows(self, row, rows, of_gates) -> None:
        """Emit all vectors of some utterances: two at a time if these are many, so that weights are read half as often.

        Going backward a core's own cache does not hold the weights of a vector for all gates.
        """
        sizes = (2, 1) if rows > _rows() else (4, 2, 1)

        def body(tile: ir.Value, tiles: int) -> None:
            self._outputs(row, rows, tile, tiles, of_gates)

        self.over_lots(self.first, self.last, sizes, body)

    def _outputs(self, row, rows, tile, tiles, of_gates) -> None:
        """Emit the gradient of the outputs of the frame before: dz times the recurrent weights, transposed."""
        b, lanes = self.b, self.lanes
        row, unit = [b.add(row, I64(r)) for r in range(rows)], b.mul(tile, I64(lanes))
        weights = [self.at(self.packed, b.mul(b.add(unit, I64(n * lanes)), self.gates)) for n in range(tiles)]

        def right(k: ir.Value) -> list[ir.Value]:
            return [self.load(self.at(vectors, b.mul(k, I64(lanes)))) for vectors in weights]

        left = [self.at(self.dz, of_gates, b.mul(r, self.gates)) for r in row]
        sums = self.product([[self.constant(0.0)] * tiles for _ in row], left, right, self.gates)
        for r, values in zip(row, sums, strict=True):
            for n, value in enumerate(values):
                self.store(value, self.at(self.later, b.mul(r, self.units), unit, I64(n * lanes)))


class _Pack(llvm.Emitter):
    """Copies weights [H, 4H] for one of the loops."""

    weights: ir.Value
    packed: ir.Value
    units: ir.Value

    def __init__(self, module: ir.Module, name: str) -> None:
        super().__init__(module, name, pointers=("weights", "packed"), counts=("units",))
        b = self.b
        self.gates = b.mul(self.units, I64(4))
        with self.counting(I64(0), self.units, self.lanes) as unit:
            self._of_units(unit.number, self.at(self.packed, b.mul(unit.number, self.gates)))
        self.finish()


class _PackForOutputs(_Pack):
    def __init__(self, module: ir.Module) -> None:
        super().__init__(module, "pack_for_outputs")

    def _of_units(self, unit: ir.Value, packed: ir.Value) -> None:
        """Emit the copy of what leads to a vector of units: the four gates from one unit, from the next, and so on."""
        b = self.b
        with self.counting(I64(0), self.units) as row:
            weights = self.at(self.weights, b.mul(row.number, self.gates), unit)
            to = self.at(packed, b.mul(row.number, I64(4 * self.lanes)))
            for g in range(4):
                value = self.load(self.at(weights, b.mul(self.units, I64(g))))
                self.store(value, self.at(to, I64(g * self.lanes)))


class _PackForGradients(_Pack):
    def __init__(self, module: ir.Module) -> None:
        super().__init__(module, "pack_for_gradients")

    def _of_units(self, unit: ir.Value, packed: ir.Value) -> None:
        """Emit the copy of what leads away from a vector of units, to one gate after the other."""
        b = self.b
        rows = [self.at(self.weights, b.mul(b.add(unit, I64(n)), self.gates)) for n in range(self.lanes)]
        with self.counting(I64(0), self.gates, self.lanes) as gate:
            to = self.at(packed, b.mul(gate.number, I64(self.lanes)))
            for n, vector in enumerate(self.transposed([self.load(self.at(row, gate.number)) for row in rows])):
                self.store(vector, self.at(to, I64(n * self.lanes)))
