"""Learning curves: how error falls with the size of the training set, and what a larger one would bring.

    points = [Point(size=312, error=82.1, seed=1), ...]
    curve = fit(points)                         # the form that AICc prefers, with the rivals' weights
    curve.at(10_000), curve.form, curve.parameters
    band = bootstrap(points, draws=2000)        # band.of(lambda curve: curve.at(10_000)) -> (low, high)

Forms, of error y (percent) at n utterances or hours:

    power      y = b n^-c
    asymptote  y = a + b n^-c
    plateau    y = b n^-c up to n*, and level from there
    exponential  y = a + b exp(-n / c)

All are fitted to log y by least squares: errors are multiplicative. For given a, c (or n*) each is a straight line in
log n or one factor, so the rest is a search over one or two numbers (variable projection). AICc, Hurvich and Tsai's,
weighs the forms by their residuals and their number of parameters. Errors above WORST are left out: below some size a
model learns next to nothing, and no power law holds. An error of 0 has no logarithm: where some seeds of a size made no
error, those count as half an edit; a size at which none did is left out, and nothing is claimed of it.

Sources: J. Hestness and others, arXiv 1712.00409, for the power law of speech and its small-data region; C. Hurvich and
C.-L. Tsai, Biometrika 76 (1989), for AICc; B. Efron, Annals of Statistics 7 (1979), for the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.tables import count

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

WORST = 90.0  # percent
FORMS = ("power", "asymptote", "plateau", "exponential")
PARAMETERS = {"power": 2, "asymptote": 3, "plateau": 3, "exponential": 3}
KNEES, SHARES, SCALES, NEWTON_STEPS = 120, 60, 60, 4  # places that are searched
CONFIDENCE = 0.95
LEAST_SIZES = 3
SEED = 15  # of the bootstrap


class StudyError(ValueError):
    """Points that cannot be judged; the message says what was found and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run: the size of its training set, the error in percent, its seed. `whole` says that it read all of it, and
    that its protocol ended it, not its time limit.

    `counts` has the edits and the units (words, characters) of every test utterance, in one order for all runs; `units`
    is the sum of the latter, 0 where it is not known.
    """

    size: float
    error: float
    seed: int
    whole: bool = True
    units: int = 0
    counts: np.ndarray | None = field(default=None, repr=False, compare=False)  # [utterances, 2]

    @property
    def is_fitted(self) -> bool:
        """Whether it may be fitted, if all of its size may."""
        return self.whole and 0 < self.fitted <= WORST

    @property
    def fitted(self) -> float:
        """The error that is fitted, in percent: half an edit where none was made; 0 if that is not known."""
        return self.error or (50 / self.units if self.units else 0.0)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A fitted form: `at(n)` is its error. `weights` are the AICc weights of all forms that could be fitted."""

    form: str
    parameters: dict[str, float]
    residual: float  # standard deviation of log error
    points: int
    weights: dict[str, float] = field(default_factory=dict)

    def at(self, size: float | np.ndarray) -> np.ndarray:
        """Return the error in percent at a size."""
        p, n = self.parameters, np.asarray(size, float)
        if self.form == "exponential":
            return p["a"] + p["b"] * np.exp(-n / p["c"])
        if self.form == "plateau":
            n = np.minimum(n, p["from"])
        return p.get("a", 0.0) + p["b"] * n ** -p["c"]

    def error_at(self, size: float) -> float:
        """Return the error in percent at one size."""
        return float(self.at(size))

    @property
    def asymptote(self) -> float:
        """The error that no amount of such data goes below, in percent; 0 of a pure power law."""
        if self.form == "plateau":
            return float(self.at(self.parameters["from"]))
        return self.parameters.get("a", 0.0)

    @cached_property
    def aicc(self) -> float:
        k, n = PARAMETERS[self.form] + 1, self.points  # and the deviation
        if n - k - 1 <= 0:
            return math.inf
        return n * math.log(max(self.residual, 1e-9) ** 2) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def fitted_points(points: Sequence[Point]) -> list[Point]:
    """Return the points that a curve is fitted to: those of the sizes at which every run learnt.

    A size is kept or left out as a whole. Of one at which some seeds learnt and others did not, the fortunate alone
    would make the curve steeper than it is.

    Raises:
        StudyError: they are of fewer than three sizes.
    """
    faultless = faultless_sizes(points)
    odd = {point.size for point in points if not point.is_fitted} | faultless
    kept = [replace(point, error=point.fitted) for point in points if point.size not in odd]
    sizes = sorted({point.size for point in kept})
    if len(sizes) < LEAST_SIZES:
        none = f"; no error was made at {named(faultless)}, where nothing can be gained" if faultless else ""
        way = "test on more speech, or on harder speech" if faultless else "add larger sizes, or train longer"
        raise StudyError(
            f"{count(len(sizes), 'size')} with an error of at most {WORST:g}%, and above 0, by every seed that read "
            f"all of their data{none}; expected {LEAST_SIZES} or more for a curve: {way}"
        )
    return kept


def faultless_sizes(points: Sequence[Point]) -> set[float]:
    """Return the sizes at which no run made an error: more data can gain nothing there that this test set shows."""
    return {point.size for point in points} - {point.size for point in points if point.error}


def left_out(points: Sequence[Point]) -> dict[str, set[float]]:
    """Return the sizes that are not fitted, by the reason why; those of a reason that has none are not there."""
    faultless = faultless_sizes(points)
    reasons = {
        "no run made an error: nothing can be gained there, and nothing is claimed of it": faultless,
        "a run made no error, and how much half an edit is is not known (no file of utterances)": {
            point.size for point in points if point.whole and not point.fitted
        }
        - faultless,
        f"a run is over {WORST:g}%": {point.size for point in points if point.error > WORST},
        "a run did not read all of its data, or ended by its time limit": {
            point.size for point in points if not point.whole
        },
    }
    return {reason: sizes for reason, sizes in reasons.items() if sizes}


def named(sizes: Collection[float]) -> str:
    """Return sizes in words: "800, 1,600"."""
    return ", ".join(f"{size:,.0f}" for size in sorted(sizes))


def fit(points: Sequence[Point], *, forms: Sequence[str] = FORMS) -> Curve:
    """Return the form that AICc prefers; of too few points the power law.

    Raises:
        StudyError: the points are of fewer than three sizes.
    """
    kept = fitted_points(points)
    sizes, logs = np.array([p.size for p in kept], float), np.log([p.error for p in kept])
    many = len(set(sizes.tolist()))
    curves = [curve for form in forms if many > PARAMETERS[form] - 1 and (curve := _fit(form, sizes, logs))]
    scores = np.array([curve.aicc for curve in curves])
    if not np.isfinite(scores).any():
        return curves[0]
    shares = np.exp(-(scores - scores.min()) / 2)
    weights = {c.form: float(w) for c, w in zip(curves, shares / shares.sum(), strict=True)}
    best = curves[int(scores.argmin())]
    return Curve(**{**_fields(best), "weights": weights})


def _fields(curve: Curve) -> dict:
    return {name: getattr(curve, name) for name in ("form", "parameters", "residual", "points", "weights")}


def _fit(form: str, sizes: np.ndarray, logs: np.ndarray) -> Curve | None:
    found = {"power": _power, "asymptote": _asymptote, "plateau": _plateau, "exponential": _exponential}[form](
        sizes, logs
    )
    if found is None:
        return None
    curve = Curve(form=form, parameters=found, residual=0.0, points=len(sizes))
    residual = float(np.sqrt(np.mean((logs - np.log(curve.at(sizes))) ** 2)))
    return Curve(form=form, parameters=found, residual=residual, points=len(sizes))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return (intercept, slope, sum of squares) of a straight line."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    intercept = float(y.mean() - slope * x.mean())
    return intercept, slope, float(((y - intercept - slope * x) ** 2).sum())


def _power(sizes: np.ndarray, logs: np.ndarray) -> dict[str, float] | None:
    intercept, slope, _ = _line(np.log(sizes), logs)
    return {"b": math.exp(intercept), "c": -slope}


def _plateau(sizes: np.ndarray, logs: np.ndarray) -> dict[str, float] | None:
    """Search the knee between the second size and the largest; the line is fitted to sizes cut there."""
    different = np.unique(sizes)
    knees = np.geomspace(different[1], different[-1], KNEES)[:, None]
    x = np.log(np.minimum(sizes, knees))  # [knees, points]
    intercept, slope = _lines(x, logs)
    squares = ((logs - intercept - slope * x) ** 2).sum(1)
    best = int(squares.argmin())
    return {"b": math.exp(intercept[best, 0]), "c": -float(slope[best, 0]), "from": float(knees[best, 0])}


def _lines(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intercepts and slopes [rows, 1] of straight lines through the points of every row."""
    y = np.broadcast_to(y, x.shape)
    middle, centred = y.mean(1, keepdims=True), x - x.mean(1, keepdims=True)
    slope = (centred * (y - middle)).sum(1, keepdims=True) / (centred**2).sum(1, keepdims=True)
    return middle - slope * x.mean(1, keepdims=True), slope


def _asymptote(sizes: np.ndarray, logs: np.ndarray) -> dict[str, float] | None:
    """Variable projection: for each asymptote b and c by a line through log(y - a), then by Gauss and Newton."""
    a = math.exp(logs.min()) * np.concatenate([[0.0], np.linspace(0.02, 0.995, SHARES)])[:, None]
    x = np.broadcast_to(np.log(sizes), (len(a), len(sizes)))
    intercept, slope = _lines(x, np.log(np.exp(logs) - a))
    log_b, c = intercept, -slope
    best: tuple[float, dict[str, float]] | None = None
    for _ in range(NEWTON_STEPS + 1):
        power = np.exp(np.clip(log_b - c * x, -700, 700))
        value = a + power
        residual = logs - np.log(value)
        squares = np.where(c[:, 0] > 0, (residual**2).sum(1), np.inf)
        place = int(np.nanargmin(squares))
        if np.isfinite(squares[place]) and (best is None or squares[place] < best[0]):
            fitted = {"a": float(a[place, 0]), "b": math.exp(log_b[place, 0]), "c": float(c[place, 0])}
            best = float(squares[place]), fitted
        by_b = power / value  # derivatives of log y by log b and by c
        by_c = -by_b * x
        bb, bc, cc = ((u * v).sum(1, keepdims=True) for u, v in ((by_b, by_b), (by_b, by_c), (by_c, by_c)))
        rb, rc = ((u * residual).sum(1, keepdims=True) for u in (by_b, by_c))
        determinant = np.maximum(bb * cc - bc**2, 1e-18)
        log_b = log_b + np.clip((cc * rb - bc * rc) / determinant, -2, 2)
        c = c + np.clip((bb * rc - bc * rb) / determinant, -0.5, 0.5)
    return best[1] if best else None


def _exponential(sizes: np.ndarray, logs: np.ndarray) -> dict[str, float] | None:
    values = np.exp(logs)
    scales = np.geomspace(sizes.min() / 4, sizes.max() * 4, SCALES)[:, None, None]
    a = values.min() * np.linspace(0.0, 0.995, SHARES)[None, :, None]
    decay = np.exp(-sizes / scales)  # [scales, 1, points]
    b = (decay * (values - a)).sum(2, keepdims=True) / (decay**2).sum(2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = ((logs - np.log(a + b * decay)) ** 2).sum(2)
    squares = np.where((b[:, :, 0] > 0) & np.isfinite(squares), squares, np.inf)
    scale, share = np.unravel_index(int(squares.argmin()), squares.shape)
    if not np.isfinite(squares[scale, share]):
        return None
    return {"a": float(a[0, share, 0]), "b": float(b[scale, share, 0]), "c": float(scales[scale, 0, 0])}


# --- uncertainty -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Band:
    """Curves of resampled points."""

    curves: tuple[Curve, ...]

    def of(self, figure: Callable[[Curve], float | None]) -> tuple[float, float] | None:
        """Return the 95% interval of a figure of curves; None if it exists in fewer than 19 of 20 of them."""
        values = [value for curve in self.curves if (value := figure(curve)) is not None]
        if len(values) < CONFIDENCE * len(self.curves) or not values:
            return None
        tails = (1 - CONFIDENCE) / 2
        low, high = np.quantile(values, [tails, 1 - tails])
        return float(low), float(high)


def bootstrap(points: Sequence[Point], *, draws: int = 400, forms: Sequence[str] | None = None) -> Band:
    """Resample the runs of each size and the test utterances, with the spread of all sizes, and fit each time.

    The residuals are drawn: with three seeds a size the runs themselves hold too little of their spread. They are
    stretched for the degrees of freedom that the fit took, and by Student's t over the normal quantile for those that
    are left. Where all points have their counts, one draw of utterances for all of them shifts and tilts the curve as a
    whole; what it does to single runs is in their residuals already.
    """
    kept = fitted_points(points)
    curve = fit(points, forms=forms or FORMS)
    asked = forms or (curve.form,)
    sizes = np.array([point.size for point in kept], float)
    logs = np.log([point.error for point in kept])
    centre = np.log(curve.at(sizes))
    freedom = max(1, len(kept) - PARAMETERS[curve.form])
    tail = (1 + CONFIDENCE) / 2
    from scipy.special import ndtri, stdtrit  # here: a fifth of a second that --help need not wait

    student = float(stdtrit(freedom, tail) / ndtri(tail))
    residuals = (logs - centre) * math.sqrt(len(kept) / freedom) * student
    rng = np.random.default_rng(SEED)
    shifts = _shifts(kept, draws)
    curves = []
    for shift in shifts:
        drawn = np.exp(centre + rng.choice(residuals, len(kept)) + shift)
        again = [Point(size=p.size, error=min(WORST, float(e)), seed=p.seed) for p, e in zip(kept, drawn, strict=True)]
        curves.append(fit(again, forms=asked))
    return Band(tuple(curves))


def _shifts(points: Sequence[Point], draws: int) -> np.ndarray:
    """Return how drawn test utterances move the log errors, [draws, points]: a line through what they do to each."""
    counts = [point.counts for point in points]
    if any(each is None or len(each) != len(counts[0]) for each in counts):
        return np.zeros((draws, len(points)))
    edits, units = np.moveaxis(np.array(counts, float), 2, 0)  # [points, utterances]
    utterances = edits.shape[1]
    drawn = np.random.default_rng(SEED).multinomial(utterances, [1 / utterances] * utterances, size=draws)
    rates = (drawn @ edits.T) / np.maximum(drawn @ units.T, 1)  # [draws, points]
    whole = edits.sum(1) / units.sum(1)
    moved = np.log(np.maximum(rates, 1e-9) / np.maximum(whole, 1e-9))
    x = np.log([point.size for point in points])
    design = np.stack([np.ones_like(x), x - x.mean()], 1)
    return moved @ np.linalg.pinv(design).T @ design.T
