"""The energy of GPUs over a run or a part of it: by their energy counters where these grow, else by power over time.

    found = energy_of(samples, ["gpu0", "gpu2"], spans_s=record.spans_s)
    found.wh, found.mean_w              # None if known for less than LEAST_SHARE of the time
    found.share, found.gap              # 0.11, "gpu2 was last read at 61.3 s: power is known for 11% of the run"
    found.source                        # COUNTERS, POWER or BOTH
    found.ratio                         # 1.02: counters over power, where both are known

A sample ends a step. What a GPU took in a step is known from two readings of its counter (`gpu2_energy_j`), however
far apart, or from two of its power (`gpu2_power_w`), at most LONGEST_STEP usual steps apart. A step counts if it is
known of all the GPUs. The time that it is a share of is `spans_s`, what the attempts at a run took; where those are not
known, the steps that are short enough to be no pause between attempts.

A counter is not followed from one attempt to the next, as it also counts the pause between them, nor where it falls or
jumps: a driver that is loaded again begins at 0, and a counter may wrap. One that stands still altogether is none.

Where a GPU has both, each checks the other: over steps in which both are known, CHECKED_S or more, they may differ by
BOUND. Beyond that one of them is wrong (a counter that stood still for a while, a sensor that lags or sees a quarter of
the time), nobody knows which, and the energy is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platforms import LARGEST

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame
else:
    from benchmark.record import arrays as np

LEAST_SHARE = 0.9
WHOLE = 0.9995  # a share that is said to be all
LONGEST_STEP = 10  # usual steps; a longer one may be a pause between attempts, in which power is not known
MOST_POWER_W = 5_000.0  # of a GPU; the largest draw 1,400 W
BOUND = 1.25  # a counter over power, or power over a counter; as measured elsewhere, 187 J against 327 J
CHECKED_S = 30.0  # less says little: power is a mean of the second before
COARSE_S = 1.0  # a counter may move in steps of so long
COUNTERS = "by their energy counters"
POWER = "by their power over time"
NO_POWER = "no power was measured"
BOTH = "by their energy counters where these grow, else by power over time"

Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Energy:
    """The energy of some GPUs together in Wh, over the `seconds` in which it is known.

    Those are a `share`, 0 to 1, of the time that was asked about. `wh` is None if that is less than LEAST_SHARE; `gap`
    says what is missing, and is empty if nothing is. `ratio` is what counters tell over what power tells, where both
    do.
    """

    wh: float | None = None
    seconds: float = 0.0
    share: float = 0.0
    source: str = ""
    gap: str = ""
    ratio: float | None = None

    @property
    def mean_w(self) -> float | None:
        """The mean power in watts while it is known; None if it is not known for long enough."""
        return None if self.wh is None else self.wh * 3600 / self.seconds

    @property
    def note(self) -> str:
        """How the energy was measured, and for what share if not for all; without energy what is missing."""
        return "; ".join(filter(None, (self.source if self.wh is not None else "", self.gap)))


def energy_of(
    samples: DataFrame,
    gpus: Sequence[str],
    *,
    spans_s: Spans = (),
    start_s: float = 0.0,
    end_s: float = math.inf,
    most_w: float = MOST_POWER_W,
) -> Energy:
    """Return the energy of some GPUs ("gpu3") together between two moments of the run's clock.

    So is that of whatever else has columns of counters or power: processors ("package0"), a meter. A counter that grows
    by more than `most_w` jumps.
    """
    samples = samples[samples["seconds"].abs() <= LARGEST]
    steps = _steps(samples["seconds"].to_numpy(float), spans_s, start_s, end_s)
    if not gpus or not steps.asked_s:
        return Energy(gap=NO_POWER)
    readings = [_readings(samples, gpu, steps, most_w) for gpu in gpus]
    watts = np.array([each.watts for each in readings])  # [gpus, steps]
    known = np.isfinite(watts).all(axis=0) & (steps.inside_s > 0)
    seconds = float(steps.inside_s[known].sum())
    share = seconds / max(seconds, steps.asked_without_edges_s(known))
    joules = float((watts.sum(axis=0) * steps.inside_s)[known].sum())
    by_counter = np.array([each.counts for each in readings])[:, known]
    apart, ratio = _checked(gpus, readings, steps)
    if apart:
        return Energy(seconds=seconds, share=share, gap=apart, ratio=ratio)
    return Energy(
        ratio=ratio,
        wh=joules / 3600 if seconds and share >= LEAST_SHARE else None,
        seconds=seconds,
        share=share,
        source="" if not seconds else COUNTERS if by_counter.all() else BOTH if by_counter.any() else POWER,
        gap="" if share >= WHOLE else _gap(gpus, watts, steps, share, "the run" if spans_s else "the sampled time"),
    )


def percent(share: float) -> str:
    """Format a share, never rounded up to what is enough nor to all: "11%", "89.9%", "99.9%"."""
    return f"{share:.0%}" if share < LEAST_SHARE - 0.01 else f"{math.floor(1000 * share) / 10:g}%"


# --- time ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class _Steps:
    """The steps between samples, and how much of each is asked about.

    `times_s` [samples]; `inside_s` [steps] is 0 for a step that goes back in time, or may be a pause; `breaks` [steps]
    are those over which no counter is followed. `asked_s` is all the time that is asked about, from `first_s` to
    `last_s`; of it `before_s` and `after_s` are outside of all samples.
    """

    times_s: np.ndarray
    inside_s: np.ndarray
    breaks: np.ndarray
    longest_s: float
    asked_s: float
    first_s: float
    last_s: float
    before_s: float = 0.0
    after_s: float = 0.0

    def asked_without_edges_s(self, known: np.ndarray) -> float:
        """Return the time that is asked about, less what is before and after all known steps where that is short.

        There is no reading beyond an edge to measure up to; a run does not begin and end with a sample.
        """
        if not known.any():
            return self.asked_s
        first, last = np.flatnonzero(known)[[0, -1]]
        edges_s = (self.before_s + self.inside_s[:first].sum(), self.after_s + self.inside_s[last + 1 :].sum())
        return self.asked_s - sum(float(edge_s) for edge_s in edges_s if edge_s <= self.longest_s)


def _steps(times_s: np.ndarray, spans_s: Spans, start_s: float, end_s: float) -> _Steps:
    step_s = np.diff(times_s)
    forward = step_s > 0
    longest_s = LONGEST_STEP * float(np.median(step_s[forward])) if forward.any() else 0.0
    if spans_s:
        return _steps_of_attempts(times_s, forward, longest_s, spans_s, start_s, end_s)
    breaks = ~forward | (step_s > longest_s)
    inside_s = np.where(breaks, 0.0, _overlap_s(times_s, start_s, end_s))
    inside = np.flatnonzero(inside_s)
    return _Steps(
        times_s=times_s,
        inside_s=inside_s,
        breaks=breaks,
        longest_s=longest_s,
        asked_s=float(inside_s.sum()),
        first_s=max(start_s, float(times_s[inside[0]])) if len(inside) else start_s,
        last_s=min(end_s, float(times_s[inside[-1] + 1])) if len(inside) else end_s,
    )


def _steps_of_attempts(
    times_s: np.ndarray, forward: np.ndarray, longest_s: float, spans_s: Spans, start_s: float, end_s: float
) -> _Steps:
    asked = [(max(start, start_s), min(end, end_s)) for start, end in spans_s]
    asked = [(start, end) for start, end in asked if start < end] or [(start_s, start_s)]
    inside_s = np.sum([_overlap_s(times_s, start, end) for start, end in asked], axis=0)
    sampled = (float(times_s.min()), float(times_s.max())) if len(times_s) else (math.inf, math.inf)
    return _Steps(
        times_s=times_s,
        inside_s=np.where(forward, np.minimum(inside_s, np.abs(np.diff(times_s))), 0.0),
        breaks=~forward | _between_attempts(times_s, spans_s),
        longest_s=longest_s,
        asked_s=sum(end - start for start, end in asked),
        first_s=min(start for start, _ in asked),
        last_s=max(end for _, end in asked),
        before_s=sum(max(0.0, min(end, sampled[0]) - start) for start, end in asked),
        after_s=sum(max(0.0, end - max(start, sampled[1])) for start, end in asked),
    )


def _overlap_s(times_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Return how much of each step is between two moments."""
    return np.maximum(0.0, np.minimum(times_s[1:], end_s) - np.maximum(times_s[:-1], start_s))


def _between_attempts(times_s: np.ndarray, spans_s: Spans) -> np.ndarray:
    """Return which steps touch the time between the last row of an attempt and the first of the next, bool [steps]."""
    touch = np.zeros(max(0, len(times_s) - 1), bool)
    for (_, ended_s), (began_s, _) in zip(spans_s, spans_s[1:], strict=False):
        touch |= (times_s[:-1] <= began_s) & (times_s[1:] >= ended_s)
    return touch


# --- readings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Readings:
    """A GPU's mean power in each step by its counter and by its power, NaN if not known; each [steps]."""

    counted_w: np.ndarray
    measured_w: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Return where the counter tells it, bool."""
        return np.isfinite(self.counted_w)

    @property
    def watts(self) -> np.ndarray:
        return np.where(self.counts, self.counted_w, self.measured_w)


def _readings(samples: DataFrame, gpu: str, steps: _Steps, most_w: float) -> _Readings:
    counted_w = _by_counter(_column(samples, f"{gpu}_energy_j"), steps, most_w)
    return _Readings(counted_w, _by_power(_column(samples, f"{gpu}_power_w"), steps))


def _checked(gpus: Sequence[str], readings: Sequence[_Readings], steps: _Steps) -> tuple[str, float | None]:
    """Return how a GPU's counter and its power differ, "" if they do not; and the ratio of all that have both."""
    counted_j = measured_j = 0.0
    for gpu, each in zip(gpus, readings, strict=True):
        both = each.counts & np.isfinite(each.measured_w) & (steps.inside_s > 0)
        seconds = steps.inside_s[both]
        mine_j, theirs_j = float((each.counted_w[both] * seconds).sum()), float((each.measured_w[both] * seconds).sum())
        if float(seconds.sum()) < CHECKED_S or not theirs_j:
            continue
        if not 1 / BOUND <= mine_j / theirs_j <= BOUND:
            return (
                f"{gpu}'s energy counter says {mine_j / 3600:.4g} Wh where its power over time says "
                f"{theirs_j / 3600:.4g} Wh, a ratio of {mine_j / theirs_j:.2f}; expected {1 / BOUND:g} to {BOUND:g}: "
                f"one of the two is wrong"
            ), mine_j / theirs_j
        counted_j, measured_j = counted_j + mine_j, measured_j + theirs_j
    return "", counted_j / measured_j if measured_j else None


def _column(samples: DataFrame, name: str) -> np.ndarray:
    return samples[name].to_numpy(float) if name in samples else np.full(len(samples), math.nan)


def _by_counter(energy_j: np.ndarray, steps: _Steps, most_w: float) -> np.ndarray:
    rows = np.flatnonzero(np.isfinite(energy_j))
    seconds, joules = np.diff(steps.times_s[rows]), np.diff(energy_j[rows])
    breaks = np.concatenate([[0], np.cumsum(steps.breaks)])
    follows = (np.diff(breaks[rows]) == 0) & (seconds > 0)
    grows = follows & (joules >= 0) & (joules <= most_w * np.maximum(seconds, COARSE_S))
    if not joules[grows].any():
        grows[:] = False
    return _spread(np.divide(joules, seconds, out=np.full(len(joules), math.nan), where=grows), rows, steps)


def _by_power(power_w: np.ndarray, steps: _Steps) -> np.ndarray:
    """Return the mean of two readings, by the trapezoidal rule, in each step between them."""
    rows = np.flatnonzero(np.isfinite(power_w))
    seconds, read_w = np.diff(steps.times_s[rows]), power_w[rows]
    near = (seconds > 0) & (seconds <= steps.longest_s)
    return _spread(np.where(near, (read_w[1:] + read_w[:-1]) / 2, math.nan), rows, steps)


def _spread(values: np.ndarray, rows: np.ndarray, steps: _Steps) -> np.ndarray:
    """Give each of the steps between two readings what is known of them together; `rows` are those of the readings."""
    found = np.full(len(steps.inside_s), math.nan)
    if len(rows):
        found[rows[0] : rows[-1]] = np.repeat(values, np.diff(rows))
    return found


def _gap(gpus: Sequence[str], watts: np.ndarray, steps: _Steps, share: float, of: str) -> str:
    """Say which GPU was read least, and what that leaves."""
    known = np.isfinite(watts) & (steps.inside_s > 0)
    if not known.any():
        return NO_POWER
    worst = int(np.argmin((known * steps.inside_s).sum(axis=1)))
    there = np.flatnonzero(known[worst])
    if not len(there):
        return f"the power of {gpus[worst]} was never read"
    first_s, last_s = steps.times_s[there[0]], steps.times_s[there[-1] + 1]
    if steps.last_s - last_s > steps.longest_s:
        ended = steps.times_s.max() - last_s <= steps.longest_s  # the sampler, and with it all readings
        what = f"{'the last sample is' if ended else f'{gpus[worst]} was last read'} at {last_s:.1f} s"
    elif first_s - steps.first_s > steps.longest_s:
        what = f"{gpus[worst]} was first read at {first_s:.1f} s"
    else:
        missing_s = steps.asked_s - float(steps.inside_s[known[worst]].sum())
        what = f"{gpus[worst]} was not read for {missing_s:.1f} s"
    return f"{what}: power is known for {percent(share)} of {of}"
