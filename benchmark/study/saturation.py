"""When is more data not worth it? Four answers, each with an interval, and each may be "not within the range".

    gains(curve, band, sizes)                   # what a doubling of each size gains, 1 - y(2n) / y(n)
    by_gain(points, curve, band)                # from which size a doubling gains less than the noise between seeds
    by_asymptote(curve, band, within=0.10)      # the size from which the error is within 10% of the asymptote
    knee(points)                                # a bend on log-log axes, with the p that there is none

A knee is looked for on log-log axes only. On linear axes every power law has one: `linear_knee` puts it where a study
that fits two lines would, near the middle of whatever range was looked at.

`epochs_of` is equation 6 of the Whisper-Tiny study: how many epochs a budget of batches makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from benchmark.judge.estimates import Estimate
from benchmark.study.curves import Band, Curve, Point, fitted_points
from benchmark.tables import count

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

DETECTABLE = 2.8  # (t(.975) + t(.80)) of many runs: a difference in standard errors that is found four times in five
KNEE_P = 0.05
NULL_DRAWS = 4000
SEARCHED = 400  # sizes
PLACES = 120  # of a bend
FAR = 1e12  # a size beyond which nothing is said


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """An answer: the size from which more data is not worth it, with its interval; None is not within the range."""

    rule: str
    size: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str = ""


# --- gains -----------------------------------------------------------------------------------------------------------


def gain(curve: Curve, size: float) -> float:
    """Return the share of the error that a doubling takes away."""
    return float(1 - curve.at(2 * size) / curve.at(size))


def gains(curve: Curve, band: Band, sizes: Sequence[float]) -> list[Estimate]:
    """Return what a doubling of each size gains, with its interval."""
    found = []
    for size in sizes:
        low, high = band.of(partial(gain, size=size)) or (None, None)
        found.append(Estimate(value=gain(curve, size), low=low, high=high))
    return found


def spread_between_seeds(points: Sequence[Point]) -> float:
    """Return the coefficient of variation of runs of one size, pooled over sizes; 0 without repetitions."""
    squares, freedom = 0.0, 0
    for size in {point.size for point in points}:
        logs = np.log([p.error for p in points if p.size == size])
        squares += float(((logs - logs.mean()) ** 2).sum()) if np.ptp(logs) else 0.0  # equal ones: no rounding
        freedom += len(logs) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0


def has_repetitions(points: Sequence[Point]) -> bool:
    """Return whether some size has runs of two seeds or more."""
    return len(points) > len({point.size for point in points})


def detectable(points: Sequence[Point]) -> float:
    """Return the smallest gain that the study's seeds tell from none, as a share."""
    kept = fitted_points(points)
    seeds = len(kept) / len({point.size for point in kept})
    return DETECTABLE * spread_between_seeds(kept) * math.sqrt(2 / max(1.0, seeds))


def by_gain(points: Sequence[Point], curve: Curve, band: Band) -> Saturation:
    """Find the size from which a doubling gains less than the noise between seeds, as far as sizes were measured."""
    kept = fitted_points(points)
    least, largest = min(p.size for p in kept), max(p.size for p in kept)
    noise = detectable(points)
    rule = f"a doubling gains less than {noise:.1%}, what these seeds tell from nothing"
    if noise == 0:
        rule = "a doubling gains less than the noise between seeds"
        return Saturation(
            rule=rule, size=None, reason="seeds do not differ" if has_repetitions(kept) else "no repetitions"
        )

    if 0 < (here := gain(curve, least)) < noise:  # nowhere in the range could a gain be told
        seeds = math.ceil(len(kept) / len({p.size for p in kept}) * (noise / here) ** 2)
        few = f"a doubling gains {here:.1%} at the smallest size: about {count(seeds, 'seed')} a size would tell that"
        return Saturation(rule=rule, size=None, reason=few)

    sizes = np.geomspace(least, largest, SEARCHED)

    def first(each: Curve) -> float:
        there = np.flatnonzero(1 - each.at(2 * sizes) / each.at(sizes) < noise)
        return float(sizes[there[0]]) if len(there) else FAR

    return _answer(rule, first, curve, band, largest)


def by_asymptote(curve: Curve, band: Band, points: Sequence[Point], *, within: float = 0.10) -> Saturation:
    """Find the size from which the error is within a share of the asymptote, where there is certainly one."""
    rule = f"the error is within {within:.0%} of what no amount of data goes below"
    bounds = band.of(lambda each: each.asymptote)
    if not bounds or bounds[0] <= 0:
        return Saturation(rule=rule, size=None, reason="no asymptote is told from 0")
    kept = fitted_points(points)
    least, largest = min(p.size for p in kept), max(p.size for p in kept)

    def first(each: Curve) -> float:
        sizes = np.geomspace(least, largest * 1e6, 4 * SEARCHED)
        there = np.flatnonzero(each.at(sizes) <= (1 + within) * each.asymptote)
        return float(sizes[there[0]]) if len(there) and each.asymptote > 0 else FAR

    return _answer(rule, first, curve, band, largest)


def _answer(rule: str, first: Callable[[Curve], float], curve: Curve, band: Band, largest: float) -> Saturation:
    size, bounds = first(curve), band.of(first)
    low, high = bounds or (None, None)
    shown = [None if bound is None or bound >= FAR else bound for bound in (low, high)]
    if size > largest:
        return Saturation(rule=rule, size=None, low=shown[0], high=shown[1], reason="not within the sizes measured")
    return Saturation(rule=rule, size=size, low=shown[0], high=shown[1])


# --- knees -----------------------------------------------------------------------------------------------------------


def knee(points: Sequence[Point], *, draws: int = 400) -> Saturation:
    """Look for a bend of two lines on log-log axes; p is that of the F test against one line, by simulation.

    The best of many places is chosen, so that F has no table: p is how often one line with the same residuals has a
    bend as good.
    """
    kept = fitted_points(points)
    x, y = np.log([p.size for p in kept]), np.log([p.error for p in kept])
    rule = "two lines bend on log-log axes"
    if len(set(x.tolist())) < 4:
        return Saturation(rule=rule, size=None, reason="under four sizes")
    place, p = bend(x, y)
    if p >= KNEE_P:
        return Saturation(rule=rule, size=None, p=p, reason=f"a straight line does as well (p = {p:.2g})")
    left = _two_lines(x, y, place)
    spread, rng = y - left, np.random.default_rng(7)
    again = [_bend(x, left + rng.choice(spread, len(x)))[0] for _ in range(draws)]
    low, high = np.exp(np.quantile(again, [0.025, 0.975]))
    return Saturation(rule=rule, size=math.exp(place), low=float(low), high=float(high), p=p)


def bend(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the best place of a bend between two lines, and p against one line."""
    place, statistic = _bend(x, y)
    without = _without_bend(tuple(x.tolist()))
    return place, (int((without >= statistic).sum()) + 1) / (len(without) + 1)


@lru_cache(maxsize=8)
def _without_bend(x: tuple[float, ...]) -> np.ndarray:
    """Return F of points on one line with normal noise; neither the line nor the noise's size changes its law."""
    rng, places = np.random.default_rng(7), np.array(x)
    return np.array([_bend(places, rng.normal(0, 1, len(places)))[1] for _ in range(NULL_DRAWS)])


def _bend(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the best place of a bend, and its F against one line."""
    base = np.stack([np.ones_like(x), x], 1)
    basis, _ = np.linalg.qr(base)
    rest = y - basis @ (basis.T @ y)  # of one line
    different = np.unique(x)
    places = np.linspace(different[1], different[-2], PLACES)
    bends = np.maximum(0, x - places[:, None])
    bends = bends - (bends @ basis) @ basis.T  # what a bend adds to one line, [places, points]
    gained = (bends @ rest) ** 2 / np.maximum((bends**2).sum(1), 1e-18)
    best = int(gained.argmax())
    one = float(rest @ rest)
    freedom = max(1, len(x) - 4)
    return float(places[best]), float(gained[best] / 2 / max((one - gained[best]) / freedom, 1e-18))


def _two_lines(x: np.ndarray, y: np.ndarray, place: float) -> np.ndarray:
    design = np.stack([np.ones_like(x), x, np.maximum(0, x - place)], 1)
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    return design @ coefficients


def linear_knee(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """Return where two lines bend best on linear axes: an artefact, which every power law has."""
    place, _ = _bend(np.asarray(sizes, float), np.asarray(errors, float))
    return place


# --- the source's formula --------------------------------------------------------------------------------------------


def epochs_of(samples: int, *, max_steps: int = 3000, batch: int = 8, accumulation: int = 1, cap: float = 6) -> float:
    """Return equation 6 of the Whisper-Tiny study: min(6, max_steps x batch x accumulation / samples)."""
    return min(cap, max_steps * batch * accumulation / samples)
