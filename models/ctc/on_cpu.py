"""CTC's loss and gradient by forward and backward variables (Graves et al. 2006), compiled by LLVM for a CPU.

    losses, gradient = loss_and_gradient(labels, lengths, frames, logits)       # [B], [B, T, C]

States and recursions are those of models/ctc/forward_backward.py: L + 1 blanks, L labels, two arrays. Logarithms would
need an exponential for each term of a sum and a logarithm for the sum, and of a loss of thousands float32 keeps three
decimals. Here a number is a float32 in [1, 2) and a power of two of its own, a whole number of 32 bits: products and
sums take no more than shifts, nothing underflows, and what is lost is rounding alone. A vector has as many states as
fit, an utterance is one core's, and cores take the next one when they are free: no digit depends on how many they are.

Shapes in comments: B utterances, T frames, L labels, C classes, K = L + 1 and C in whole vectors of W lanes.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir

from models import llvm
from models.llvm import F32, I32, I64, aligned

ZERO = -(2**29)  # the power that stands for zero; two of them can be added up
LEAST = -22_713.0  # nats that a class may be less likely than the likeliest of its frame: 2^-32768
SMALL = 100  # powers of two below the largest term, of which a sum takes no notice
LOG2_E, LN2_HIGH, LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
EXP = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)  # of e^x, for x within half of ln 2


def loss_and_gradient(
    labels: np.ndarray, lengths: np.ndarray, frames: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses in nats, float32 [B], and their gradients by the logits, float32 [B, T, C]; blank last.

    Args:
        labels: whole numbers [B, L], padded with anything; `lengths` [B], how many are real.
        frames: [B], how many frames are real; an utterance of none has loss 0.
        logits: float32 [B, T, C].

    The gradient is zero past an utterance's end. Loss and gradient are NaN where a frame's logits have no softmax: one
    is NaN or plus infinity, or all are minus infinity.

    Raises:
        ValueError: labels that are no class or the blank, or that do not fit into the frames.
    """
    batch, most_frames, classes = logits.shape
    lanes = llvm.lanes()
    lengths, frames = (np.ascontiguousarray(each, np.int64) for each in (lengths, frames))
    states, follows = _states(labels, lengths, frames, classes)
    places = states.shape[1]
    padded = -(-classes // lanes) * lanes
    workers = max(1, min(batch, llvm.cores()))
    size = most_frames * (2 * padded + 2 * places + 1) + (most_frames + 2) * 4 * places + padded
    room = np.empty(workers * size, np.float32)
    gradient = aligned(batch, most_frames, classes)
    found, powers = np.ones([batch, 3], np.float32), np.zeros([batch, 2], np.int32)
    given = [np.ascontiguousarray(logits, np.float32), states, follows, lengths, frames]
    made = [room, np.zeros(1, np.int64), gradient, found, powers]
    sizes = [batch, most_frames, classes, padded, places, size]
    llvm.on_all_cores(code().loss_and_gradient, [*given, *made, *sizes], [()] * workers)
    for n in np.flatnonzero(frames < most_frames):
        gradient[n, frames[n] :] = 0
    return _losses(found, powers, gradient, frames), gradient


def _states(labels: np.ndarray, lengths: np.ndarray, frames: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each label, int32 [B, K], and whether it may follow the label before it, [B, K + W]."""
    lanes, most = llvm.lanes(), int(lengths.max(initial=0))
    real = (np.arange(most) < lengths[:, None]) & (frames > 0)[:, None]
    labels = labels[:, :most]
    if (real & ((labels < 0) | (labels >= classes - 1))).any():
        raise ValueError(f"labels of {labels[real].min()} to {labels[real].max()}; expected 0 to {classes - 2}")
    unlike = labels[:, 1:] != labels[:, :-1]
    need = np.where(frames > 0, lengths + (real[:, 1:] & ~unlike).sum(1), 0)
    if (need > frames).any():
        worst = int(np.argmax(need - frames))
        raise ValueError(
            f"{frames[worst]} frames for {lengths[worst]} labels of which {need[worst] - lengths[worst]} repeat the "
            f"one before; expected {need[worst]} frames or more: CTC needs one for each label, and one between two "
            "that are alike"
        )
    places = -(-(most + 1) // lanes) * lanes
    states = np.full([len(labels), places], classes - 1, np.int32)
    states[:, :most] = np.where(real, labels, classes - 1)
    follows = np.zeros([len(labels), places + lanes], np.int32)
    follows[:, 1:most] = unlike
    return states, follows


def _losses(found: np.ndarray, powers: np.ndarray, gradient: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return losses of likelihood and product of the frames' sums, each a number in [1, 2) and a power of two."""
    likelihood, sums, right = found.T.astype(np.float64)
    losses = np.log(sums) - np.log(likelihood) + math.log(2) * (powers[:, 1] - powers[:, 0].astype(np.float64))
    for n in np.flatnonzero(right == 0):
        losses[n] = gradient[n, : frames[n]] = np.nan
    return losses.astype(np.float32)


@llvm.once
def code(module: ir.Module) -> tuple[llvm.Emitter]:
    """Return the function for this processor."""
    return (_LossAndGradient(module),)


Number = tuple[ir.Value, ir.Value]
"""A vector of float32 in [1, 2), or a little more before it is `normal`, and one of powers of two."""


class _LossAndGradient(llvm.Emitter):
    """All of an utterance: softmax, forward variables, likelihood, backward variables with the gradient.

    Of each number there are two lines of an array, float32 and int32. `probabilities` [T, 2, C] are those of the
    classes times `sums` [T]; `of_labels` [T, 2, K] the same by label. Forward variables `alpha` [T + 1, 4, K], blanks
    and then labels, include their frame's own probability, and begin with the state before the first. `beta` [4, K] is
    the frame's own probability times its backward variable, which does not include it.
    """

    logits: ir.Value
    states: ir.Value
    follows: ir.Value
    lengths: ir.Value
    frames: ir.Value
    room: ir.Value
    taken: ir.Value
    gradient: ir.Value
    found: ir.Value
    powers: ir.Value
    batch: ir.Value
    most_frames: ir.Value
    classes: ir.Value
    padded: ir.Value
    places: ir.Value
    size: ir.Value

    probabilities: ir.Value
    of_labels: ir.Value
    alpha: ir.Value
    beta: ir.Value
    line: ir.Value
    sums: ir.Value

    def __init__(self, module: ir.Module) -> None:
        arrays = "logits states follows lengths frames room taken gradient found powers"
        sizes = "batch most_frames classes padded places size"
        super().__init__(module, "loss_and_gradient", pointers=arrays.split(), counts=sizes.split())
        b = self.b
        self.whole = ir.VectorType(I32, self.lanes)
        self.nothing = self.constant(1.0), self.integers(ZERO)
        self.blank = b.sub(self.classes, I64(1))
        self.tiles = b.sdiv(self.places, I64(self.lanes))
        self.class_tiles = b.sdiv(self.padded, I64(self.lanes))
        self._lay_out()
        with self.claiming(self.taken, self.batch) as utterance:
            self.utterance = utterance
            self.own_frames, self.own_length = (
                b.load(self.at(each, utterance, kind=I64), typ=I64) for each in (self.frames, self.lengths)
            )
            self.own_states = self.at(self.states, b.mul(utterance, self.places), kind=I32)
            width = b.add(self.places, I64(self.lanes))
            self.own_follows = self.at(self.follows, b.mul(utterance, width), kind=I32)
            with b.if_then(b.icmp_signed(">", self.own_frames, I64(0))):
                self._probabilities()
                self._forward()
                self._likelihood()
                self._backward()
        self.finish()

    def _lay_out(self) -> None:
        """Emit where this core's arrays begin."""
        b, frames = self.b, self.most_frames
        four_lines = b.mul(self.places, I64(4))
        start = self.at(self.room, b.mul(self.number, self.size))
        sizes = {
            "probabilities": b.mul(frames, b.mul(self.padded, I64(2))),
            "of_labels": b.mul(frames, b.mul(self.places, I64(2))),
            "alpha": b.mul(b.add(frames, I64(1)), four_lines),
            "beta": four_lines,
            "line": self.padded,
            "sums": frames,
        }
        for name, size in sizes.items():
            setattr(self, name, start)
            start = self.at(start, size)

    # --- numbers -------------------------------------------------------------------------------------------------

    def number_at(self, lines: ir.Value, width: ir.Value, line: int, place: ir.Value) -> Number:
        """Emit the loads of the numbers at a place of two lines, the first of which is `line`."""
        value, power = (self.at(lines, b_line, place) for b_line in self._of_lines(width, line))
        return self.load(value), self.b.load(power, typ=self.whole, align=4)

    def keep(self, number: Number, lines: ir.Value, width: ir.Value, line: int, place: ir.Value) -> None:
        for value, b_line in zip(number, self._of_lines(width, line), strict=True):
            self.store(value, self.at(lines, b_line, place))

    def _of_lines(self, width: ir.Value, line: int) -> list[ir.Value]:
        return [self.b.mul(width, I64(each)) for each in (line, line + 1)]

    def larger(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed(">", a, b), a, b)

    def power(self, exponents: ir.Value) -> ir.Value:
        """Emit two to the power of exponents, which are no larger than 127; 0 below -SMALL."""
        b = self.b
        biased = b.add(exponents, self.integers(127))
        bits = b.select(
            b.icmp_signed(">=", biased, self.integers(127 - SMALL)), b.shl(biased, self.integers(23)), self.integers(0)
        )
        return b.bitcast(bits, self.vector)

    def normal(self, number: Number) -> Number:
        """Emit the same number with a value in [1, 2), not below ZERO."""
        b = self.b
        bits = b.bitcast(number[0], self.whole)
        more = b.sub(b.lshr(bits, self.integers(23)), self.integers(127))
        value = b.or_(b.and_(bits, self.integers(2**23 - 1)), self.integers(127 << 23))
        return b.bitcast(value, self.vector), self.larger(b.add(number[1], more), self.integers(ZERO))

    def times(self, a: Number, b: Number) -> Number:
        return self.b.fmul(a[0], b[0]), self.b.add(a[1], b[1])

    def sum_of(self, *terms: Number) -> Number:
        b, top = self.b, terms[0][1]
        for _, power in terms[1:]:
            top = self.larger(top, power)
        total = None
        for value, power in terms:
            scale = self.power(b.sub(power, top))
            total = b.fmul(value, scale) if total is None else self.multiply_add(value, scale, total)
        return total, top

    def only_if(self, allowed: ir.Value, number: Number) -> Number:
        """Emit the number where int32 `allowed` is not 0, else zero."""
        return number[0], self.b.select(
            self.b.icmp_signed("!=", allowed, self.integers(0)), number[1], self.integers(ZERO)
        )

    def shifted(self, before: Number, after: Number, first: int) -> Number:
        """Emit the lanes of two vectors in a row, from a lane of the first on."""
        mask = self.integers(*range(first, first + self.lanes))
        return tuple(self.b.shuffle_vector(*pair, mask) for pair in zip(before, after, strict=True))

    def exponential(self, x: ir.Value) -> Number:
        """Emit e^x for x from LEAST to 0: e^r 2^n, with n a whole number and r within half of ln 2."""
        b, magic = self.b, self.constant(1.5 * 2**23)  # whose last bits count ones
        rounded = self.multiply_add(x, self.constant(LOG2_E), magic)
        power = b.sub(b.bitcast(rounded, self.whole), b.bitcast(magic, self.whole))
        whole = b.fsub(rounded, magic)
        rest = self.multiply_add(whole, self.constant(-LN2_HIGH), x)
        rest = self.multiply_add(whole, self.constant(-LN2_LOW), rest)
        return self.normal((self._polynomial(rest, EXP), power))

    # --- the parts -----------------------------------------------------------------------------------------------

    def _of_frame(self, lines: ir.Value, frame: ir.Value, count: int, width: ir.Value) -> ir.Value:
        """Emit where a frame's lines begin, of which there are `count`."""
        return self.at(lines, self.b.mul(frame, self.b.mul(width, I64(count))))

    def _row(self, array: ir.Value, frame: ir.Value) -> ir.Value:
        """Emit where a frame of this utterance begins in logits or gradient."""
        row = self.b.add(self.b.mul(self.utterance, self.most_frames), frame)
        return self.at(array, self.b.mul(row, self.classes))

    def _probabilities(self) -> None:
        b, lanes = self.b, I64(self.lanes)
        with self.counting(I64(0), self.padded, self.lanes) as tile:
            self.store(self.constant(-math.inf), self.at(self.line, tile.number))
        start = (self.constant(1.0), self.integers(0), self.integers(0))
        with self.counting(I64(0), self.own_frames, 1, start) as frame:
            product, product_power, wrong = frame.carried
            logits = self._row(self.logits, frame.number)
            lines = self._of_frame(self.probabilities, frame.number, 2, self.padded)
            with self.counting(I64(0), self.classes) as one:
                b.store(b.load(self.at(logits, one.number), typ=F32), self.at(self.line, one.number))
            with self.counting(I64(0), self.class_tiles, 1, (self.constant(-math.inf),)) as tile:
                values = self.load(self.at(self.line, b.mul(tile.number, lanes)))
                tile.next = [b.call(self.maximum, [tile.carried[0], values])]
            top = self.in_all_lanes(tile.carried[0], lambda x, y: b.call(self.maximum, [x, y]))
            with self.counting(I64(0), self.class_tiles, 1, (self.constant(0.0), wrong)) as tile:
                place = b.mul(tile.number, lanes)
                below = b.fsub(self.load(self.at(self.line, place)), top)
                no_number = b.sext(b.fcmp_unordered("uno", below, below), self.whole)
                number = self.exponential(b.call(self.maximum, [below, self.constant(LEAST)]))
                self.keep(number, lines, self.padded, 0, place)
                total = self.multiply_add(number[0], self.power(number[1]), tile.carried[0])
                tile.next = [total, b.or_(tile.carried[1], no_number)]
            total = self.in_all_lanes(tile.carried[0], b.fadd)
            b.store(b.extract_element(total, I32(0)), self.at(self.sums, frame.number))
            self._by_label(frame.number, lines)
            product = self.normal((b.fmul(product, total), product_power))
            frame.next = [*product, tile.carried[1]]
        product, product_power, wrong = frame.carried
        wrong = self.in_all_lanes(wrong, b.or_)
        right = b.select(b.icmp_signed("==", wrong, self.integers(0)), self.constant(1.0), self.constant(0.0))
        self._tell(1, product)
        self._tell(2, right)
        self._tell_power(1, product_power)

    def _by_label(self, frame: ir.Value, lines: ir.Value) -> None:
        b = self.b
        of_labels = self._of_frame(self.of_labels, frame, 2, self.places)
        with self.counting(I64(0), self.places) as place:
            state = b.load(self.at(self.own_states, place.number, kind=I32), typ=I32)
            state = b.sext(state, I64)
            for of_class, of_label in zip(self._of_lines(self.padded, 0), self._of_lines(self.places, 0), strict=True):
                number = b.load(self.at(lines, of_class, state), typ=I32)
                b.store(number, self.at(of_labels, of_label, place.number))

    def _tell(self, which: int, value: ir.Value) -> None:
        place = self.b.mul(self.utterance, I64(3))
        self.b.store(self.b.extract_element(value, I32(0)), self.at(self.found, place, I64(which)))

    def _tell_power(self, which: int, value: ir.Value) -> None:
        place = self.b.mul(self.utterance, I64(2))
        self.b.store(self.b.extract_element(value, I32(0)), self.at(self.powers, place, I64(which), kind=I32))

    def _of_blank(self, frame: ir.Value) -> Number:
        b, lines = self.b, self._of_frame(self.probabilities, frame, 2, self.padded)
        value, power = (self.at(lines, line, self.blank) for line in self._of_lines(self.padded, 0))
        return self.splat(value), self.everywhere(b.load(power, typ=I32))

    def _cleared(self, lines: ir.Value) -> None:
        """Emit zeros for the blanks and labels of a frame."""
        with self.counting(I64(0), self.places, self.lanes) as tile:
            for line in (0, 2):
                self.keep(self.nothing, lines, self.places, line, tile.number)

    def _set_one(self, lines: ir.Value, place: ir.Value) -> None:
        """Emit that the blank at a place is one."""
        self.b.store(I32(0), self.at(lines, self.places, place))

    def _forward(self) -> None:
        b, lanes = self.b, I64(self.lanes)
        self._cleared(self.alpha)
        self._set_one(self.alpha, I64(0))
        with self.counting(I64(0), self.own_frames) as frame:
            before = self._of_frame(self.alpha, frame.number, 4, self.places)
            now = self.at(before, b.mul(self.places, I64(4)))
            of_labels = self._of_frame(self.of_labels, frame.number, 2, self.places)
            of_blank = self._of_blank(frame.number)
            with self.counting(I64(0), self.tiles, 1, self.nothing) as tile:
                place = b.mul(tile.number, lanes)
                blank, label = (self.number_at(before, self.places, line, place) for line in (0, 2))
                last = self.shifted(tuple(tile.carried), label, self.lanes - 1)
                follows = b.load(self.at(self.own_follows, place, kind=I32), typ=self.whole, align=4)
                own = self.number_at(of_labels, self.places, 0, place)
                into_blank = self.times(self.sum_of(blank, last), of_blank)
                into_label = self.times(self.sum_of(label, blank, self.only_if(follows, last)), own)
                self.keep(self.normal(into_blank), now, self.places, 0, place)
                self.keep(self.normal(into_label), now, self.places, 2, place)
                tile.next = list(label)

    def _likelihood(self) -> None:
        """Emit the sum of the last blank and the last label, if there is one."""
        b = self.b
        lines = self._of_frame(self.alpha, self.own_frames, 4, self.places)
        before = b.sub(self.own_length, I64(1))
        some = b.icmp_signed(">=", before, I64(0))
        ends = []
        for line, place in ((0, self.own_length), (2, b.select(some, before, I64(0)))):
            value, power = (self.at(lines, of_line, place) for of_line in self._of_lines(self.places, line))
            ends.append((self.splat(value), self.everywhere(b.load(power, typ=I32))))
        ends[1] = (ends[1][0], b.select(some, ends[1][1], self.integers(ZERO)))
        self.likelihood = self.normal(self.sum_of(*ends))
        self._tell(0, self.likelihood[0])
        self._tell_power(0, self.likelihood[1])

    def _backward(self) -> None:
        b, lanes = self.b, I64(self.lanes)
        self._cleared(self.beta)
        self._set_one(self.beta, self.own_length)
        with self.counting(I64(0), self.own_frames) as back:
            frame = b.sub(b.sub(self.own_frames, I64(1)), back.number)
            alpha = self._of_frame(self.alpha, b.add(frame, I64(1)), 4, self.places)
            of_labels = self._of_frame(self.of_labels, frame, 2, self.places)
            of_blank = self._of_blank(frame)
            zero = self.constant(0.0)
            start = (*self.nothing, *self.nothing, zero, zero)
            with self.counting(I64(0), self.tiles, 1, start) as tile:
                place = b.mul(b.sub(b.sub(self.tiles, I64(1)), tile.number), lanes)
                next_blank, next_label = tuple(tile.carried[:2]), tuple(tile.carried[2:4])
                blank, label = (self.number_at(self.beta, self.places, line, place) for line in (0, 2))
                blank_after, label_after = self.shifted(blank, next_blank, 1), self.shifted(label, next_label, 1)
                follows = b.load(self.at(self.own_follows, place, I64(1), kind=I32), typ=self.whole, align=4)
                of_label = self.number_at(of_labels, self.places, 0, place)
                from_blank = self.sum_of(blank, label)
                from_label = self.sum_of(label, blank_after, self.only_if(follows, label_after))
                in_blank = self._share(from_blank, alpha, 0, place)
                in_label = self._share(from_label, alpha, 2, place)
                self.keep(self.normal(self.times(from_blank, of_blank)), self.beta, self.places, 0, place)
                self.keep(self.normal(self.times(from_label, of_label)), self.beta, self.places, 2, place)
                self.store(in_label, self.at(of_labels, place))  # the label's probability is not needed any more
                tile.next = [*blank, *label, b.fadd(tile.carried[4], in_blank), b.fadd(tile.carried[5], in_label)]
            in_blank, in_label = (self.in_all_lanes(each, b.fadd) for each in tile.carried[4:])
            self._gradient(frame, of_labels, in_blank, in_label)

    def _share(self, backward: Number, alpha: ir.Value, line: int, place: ir.Value) -> ir.Value:
        """Emit the share of all paths that is in a state at this frame, but for a factor of the frame."""
        b = self.b
        value, power = self.times(backward, self.number_at(alpha, self.places, line, place))
        return b.fmul(value, self.power(b.sub(power, self.likelihood[1])))

    def _gradient(self, frame: ir.Value, shares: ir.Value, in_blank: ir.Value, in_label: ir.Value) -> None:
        """Emit a frame's gradient: the softmax less each class's share of the paths."""
        b, lanes = self.b, I64(self.lanes)
        with self.counting(I64(0), self.padded, self.lanes) as tile:
            self.store(self.constant(0.0), self.at(self.line, tile.number))
        with self.counting(I64(0), self.own_length) as place:
            state = b.sext(b.load(self.at(self.own_states, place.number, kind=I32), typ=I32), I64)
            of_class = self.at(self.line, state)
            share = b.load(self.at(shares, place.number), typ=F32)
            b.store(b.fadd(b.load(of_class, typ=F32), share), of_class)
        b.store(b.extract_element(in_blank, I32(0)), self.at(self.line, self.blank))
        one = self.constant(1.0)
        of_paths = b.fdiv(one, b.fadd(in_blank, in_label))
        of_softmax = b.fdiv(one, self.splat(self.at(self.sums, frame)))
        lines = self._of_frame(self.probabilities, frame, 2, self.padded)
        with self.counting(I64(0), self.class_tiles) as tile:
            place = b.mul(tile.number, lanes)
            value, power = self.number_at(lines, self.padded, 0, place)
            likely = b.fmul(b.fmul(value, self.power(power)), of_softmax)
            share = b.fmul(self.load(self.at(self.line, place)), of_paths)
            self.store(b.fsub(likely, share), self.at(self.line, place))
        gradient = self._row(self.gradient, frame)
        with self.counting(I64(0), self.classes) as one_class:
            value = b.load(self.at(self.line, one_class.number), typ=F32)
            b.store(value, self.at(gradient, one_class.number))
