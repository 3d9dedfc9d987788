"""What do studies of data show of curves that are known: which claims are artefacts, and how often does ours err?

    python -m tests.trials.saturation [--studies 200]

Asks four things. What the Whisper-Tiny study's protocol trains at each size (its equation 6). Where two lines bend, and
how samples and error correlate, on linear axes, of pure power laws. How often a bend is found where there is none, on
linear and on log-log axes, and where it is found where there is one. How often the intervals of a curve hold the truth,
and how often a study says that more data is not worth it. It takes some minutes on
two cores; the figures stand in docs/saturation.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from benchmark.study.curves import Point, bootstrap, fit
from benchmark.study.saturation import KNEE_P, bend, by_asymptote, by_gain, epochs_of, knee, linear_knee
from tests.trials import common

Truth = Callable[[float], float]

EQUISPACED = tuple(range(5000, 50_001, 5000))
DOUBLINGS = (78, 156, 312, 625, 1250, 2500)
EXPONENTS = (0.065, 0.1, 0.2, 0.3, 0.5)
SEEDS = 3


def power(size: float) -> float:
    return 300 * size**-0.35


def levelling(size: float) -> float:
    return 12 + 600 * size**-0.6


def bent(size: float) -> float:
    """A power law up to 20,000 utterances, level from there."""
    return 900 * min(size, 20_000.0) ** -0.35


def points_of(truth: Truth, sizes: tuple[int, ...], noise: float, rng: np.random.Generator) -> list[Point]:
    return [
        Point(size=size, error=truth(size) * math.exp(rng.normal(0, noise)), seed=seed)
        for size in sizes
        for seed in range(SEEDS)
    ]


def protocol() -> None:
    print("Equation 6: epochs, batches of 8, utterances trained on, different ones among them")
    for size in (1000, 4000, 5000, 15_000, 24_000, 50_000):
        epochs = epochs_of(size)
        seen = epochs * size
        print(f"  {size:6,}: {epochs:5.2f} {seen / 8:6,.0f} {seen:7,.0f} {min(size, seen):7,.0f}")


def artefacts() -> None:
    print("Pure power laws n^-c on linear axes, ten equal steps: where two lines bend, and r of size and error")
    for scale in (1, 10):
        sizes = [float(scale * size) for size in EQUISPACED]
        for exponent in EXPONENTS:
            errors = [size**-exponent for size in sizes]
            r = float(np.corrcoef(sizes, errors)[0, 1])
            print(
                f"  {sizes[0]:,.0f} to {sizes[-1]:,.0f}, c {exponent:5}: {linear_knee(sizes, errors):9,.0f}, r {r:.3f}"
            )


def bends(studies: int) -> None:
    print(f"A bend at p < {KNEE_P:g}, 2% noise, {SEEDS} seeds, sizes 5,000 to 50,000: of power laws, which have none")
    for exponent in EXPONENTS:
        rng, linear, logarithmic = np.random.default_rng(round(1000 * exponent)), 0, 0
        for _ in range(studies):
            points = points_of(lambda size, c=exponent: 300 * size**-c, EQUISPACED, 0.02, rng)
            x, y = np.array([point.size for point in points]), np.array([point.error for point in points])
            linear += bend(x, y)[1] < KNEE_P
            logarithmic += bend(np.log(x), np.log(y))[1] < KNEE_P
        print(f"  c {exponent:5}: linear {linear / studies:.1%}, log-log {logarithmic / studies:.1%}")
    rng, found = np.random.default_rng(2), []
    for _ in range(studies):
        place = knee(points_of(bent, EQUISPACED, 0.02, rng)).size
        found.append(math.nan if place is None else place)
    there = np.array(found)[~np.isnan(found)]
    low, middle, high = np.quantile(there, [0.025, 0.5, 0.975])
    print(f"  level from 20,000: found in {len(there) / studies:.1%}, at {middle:,.0f} ({low:,.0f} to {high:,.0f})")


def intervals(studies: int) -> None:
    print(f"Sizes {DOUBLINGS[0]} to {DOUBLINGS[-1]} by doublings, {SEEDS} seeds, 3% noise; the form is chosen by AICc")
    for name, truth in (("300 n^-0.35", power), ("12 + 600 n^-0.6", levelling)):
        rng, held = np.random.default_rng(3), {625: 0, 5000: 0}
        known, chosen, gained, near = {625: 0, 5000: 0}, 0, 0, 0
        own = "power" if truth is power else "asymptote"
        for _ in range(studies):
            points = points_of(truth, DOUBLINGS, 0.03, rng)
            curve, band, given = fit(points), bootstrap(points), bootstrap(points, forms=(own,))
            for size in held:
                held[size] += _holds(band, size, truth(size))
                known[size] += _holds(given, size, truth(size))
            chosen += curve.form == own
            gained += by_gain(points, curve, band).size is not None
            near += by_asymptote(curve, band, points).size is not None
        shares = [count / studies for count in (*held.values(), *known.values(), chosen, gained, near)]
        words = (
            "95% interval holds the truth at 625 in {:.1%}, at 5,000 in {:.1%}; of the right form {:.1%} and {:.1%}; "
            "right form chosen {:.1%}; further data not worth it by gain {:.1%}, by asymptote {:.1%}"
        )
        print(f"  {name}: {words.format(*shares)}", flush=True)


def _holds(band: object, size: float, value: float) -> bool:
    bounds = band.of(lambda each: each.error_at(size))  # type: ignore[attr-defined]
    return bounds is not None and bounds[0] <= value <= bounds[1]


def trial(options: argparse.Namespace) -> None:
    protocol()
    artefacts()
    bends(options.studies)
    intervals(options.studies)


def main(argv: list[str] | None = None) -> int:
    parser = common.parser_of("saturation", __doc__)
    parser.add_argument("--studies", type=int, default=200, metavar="N", help="simulated studies; default: %(default)s")
    return common.run("saturation", parser, trial, argv)


if __name__ == "__main__":
    raise SystemExit(main())
