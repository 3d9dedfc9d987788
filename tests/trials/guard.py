"""How often does the guard of convergence mark honest runs, and how often does it find cheats?

    python -m tests.trials.guard [--data docs/data/mlperf_rnnt_runs.csv] [--quick]

Simulates error curves as those of `mini` are: ten reference runs, and one, three or five more of the same training,
judged at six levels by medians over three epochs, with runs that vary little and much, by normal logarithms and others.
Then runs that cheat. Then real ones: MLPerf's speech runs, half of a set held against its other half, a set against
another of its batch, a batch against those around it, and all of them against MLPerf's own reference convergence points
where mlperf_logging is installed. It takes under a minute; the figures stand in docs/judging.md.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmark.judge.estimates import hochberg
from benchmark.judge.guard import ALPHA, Law, Side, law_of
from benchmark.judge.reference import EVERY_EPOCH, Convergence
from tests.trials import common

DATA = Path(__file__).resolve().parents[2] / "docs" / "data" / "mlperf_rnnt_runs.csv"
LEVELS = (*(("cer", level) for level in (45.0, 35.0, 30.0)), *(("wer", level) for level in (75.0, 65.0, 55.0)))
EPOCHS = 24
NOISE = 0.02  # of an error between two epochs
Draw = Callable[[np.random.Generator, int], np.ndarray]

LAWS: dict[str, Draw] = {
    "vary by 4%": lambda rng, n: rng.normal(0, 0.04, n),
    "vary by 8%": lambda rng, n: rng.normal(0, 0.08, n),
    "vary by 16%": lambda rng, n: rng.normal(0, 0.16, n),
    "vary by 25%": lambda rng, n: rng.normal(0, 0.25, n),
    "vary by 8%, Student's t of 4": lambda rng, n: 0.08 / math.sqrt(2) * rng.standard_t(4, n),
    "vary by 8%, skewed to slow runs (Gumbel)": lambda rng, n: 0.08 / 1.2825 * rng.gumbel(0, 1, n),
    "are of two kinds as often, 20 and 34 epochs": lambda rng, n: (
        rng.choice([-0.265, 0.265], n) + rng.normal(0, 0.04, n)
    ),
    "are of two kinds, one in four the fast one": lambda rng, n: (
        rng.choice([-0.53, 0, 0, 0], n) + rng.normal(0, 0.04, n)
    ),
}
"""Logarithms of how slow runs are, from seed to seed."""


def curves(rng: np.random.Generator, slow: np.ndarray) -> list[Convergence]:
    """Return runs whose errors fall as those of `mini` do: CER 77, 57, 49, 44, 41, 38 after 1 to 6 epochs."""
    epochs = np.arange(1, EPOCHS + 1)
    found = []
    for seed, log in enumerate(slow):
        cers = 77 * (epochs / math.exp(log)) ** -0.45 * np.exp(rng.normal(0, NOISE, EPOCHS))
        wers = np.minimum(100, 1.72 * cers * np.exp(rng.normal(0, NOISE / 2, EPOCHS)))
        found.append(
            Convergence(
                workload="mini", variant="", recipe="paper", batch=16, replicas=1, precision="float32", samples=1000,
                features="", decoder="", settings="", evaluated=1, evaluated_words=1, grid=EVERY_EPOCH, seed=seed,
                run=f"r{seed}", code="", date="", utterances=tuple(1000 * int(epoch) for epoch in epochs),
                wer=tuple(wers.tolist()), cer=tuple(cers.tolist()),
            )
        )  # fmt: skip
    return found


def marked(reference: Sequence[Convergence], runs: Sequence[Convergence]) -> tuple[bool, bool]:
    """Tell whether runs are marked as too few epochs, and as many, at any level."""
    few = []
    for metric, level in LEVELS:
        law = law_of([(16, 1.0, reference)], metric, level, window=3)
        crossings = [run.crossing(metric, level, window=3) for run in runs]
        if isinstance(law, Law) and None not in crossings:
            few.append((law, [crossing.utterances for crossing in crossings if crossing]))
    p_few = [p for law, values in few for p in [law.few(values)]]
    many = min(hochberg([1 - p for p in p_few]), default=1.0) < ALPHA
    if min(hochberg(p_few), default=1.0) < ALPHA:
        p_few = [max(p, luck(law, values)) for p, (law, values) in zip(p_few, few, strict=True)]
    return min(hochberg(p_few), default=1.0) < ALPHA, many


def too_few(law: Law, values: Sequence[float]) -> bool:
    """Tell whether runs are marked at one level."""
    return law.few(values) < ALPHA and luck(law, values) < ALPHA


def luck(law: Law, values: Sequence[float]) -> float:
    """Return `Law.luck`, by NumPy."""
    pool = np.concatenate([np.array(side.logs) - np.mean(side.logs) for side in law.sides])
    drawn = np.random.default_rng(59).choice(pool, (2000, len(values))).mean(axis=1)
    return float(np.mean(drawn <= np.log(values).mean() - law.mean + 1e-9))


def honest(rng: np.random.Generator, times: int) -> Iterator[str]:
    for words, law in LAWS.items():
        shares = {
            (m, n): np.mean([marked(curves(rng, law(rng, m)), curves(rng, law(rng, n))) for _ in range(times)], axis=0)
            for m, n in ((10, 1), (10, 3), (10, 5), (5, 3))
        }
        few, many = np.mean(list(shares.values()), axis=0)
        (m, n), (most, _) = max(shares.items(), key=lambda item: item[1][0])
        yield (
            f"honest runs that {words}: {few:.1%} of {times * len(shares)} groups marked as too few (most {most:.1%}, "
            f"of {n} beside {m}), {many:.1%} as many"
        )


def cheats(rng: np.random.Generator, times: int) -> Iterator[str]:
    for spread, fewer in itertools.product((0.04, 0.08, 0.16), (0.1, 0.2, 0.3, 0.5)):
        cells = []
        for n in (1, 3, 5):
            runs = [
                marked(curves(rng, rng.normal(0, spread, 10)), curves(rng, rng.normal(math.log1p(-fewer), spread, n)))[
                    0
                ]
                for _ in range(times)
            ]
            cells.append(f"{np.mean(runs):.0%} of {n}")
        yield f"{fewer:.0%} fewer epochs, runs that vary by {spread:.0%}, found: {', '.join(cells)}"
    for n, of in ((1, 10), (1, 100), (3, 10), (3, 30), (5, 50)):
        runs = []
        for _ in range(times):
            lucky = np.sort(rng.normal(0, 0.08, of))[:n]
            runs.append(marked(curves(rng, rng.normal(0, 0.08, 10)), curves(rng, lucky))[0])
        yield f"the luckiest {n} of {of} seeds, runs that vary by 8%, found: {np.mean(runs):.0%}"


# --- runs of others --------------------------------------------------------------------------------------------------


def sets_of(path: Path) -> dict[tuple[bool, int], list[list[float]]]:
    """Return the epochs of MLPerf's sets whose runs all got there, by recipe (from v2.0 on) and batch."""
    from tests.trials.judging import name_of, read_facts

    sets: dict[tuple, list[dict[str, str]]] = defaultdict(list)
    for row in read_facts(path):
        sets[name_of(row), row["batch"]].append(row)
    found: dict[tuple[bool, int], list[list[float]]] = defaultdict(list)
    for (_, batch), rows in sorted(sets.items()):
        curves_ = {(row["epochs_to_058"], row["best_wer"]) for row in rows}
        if len(rows) > 5 and len(curves_) > 1 and all(row["status"] == "success" for row in rows):
            found[rows[0]["round"] >= "2", int(batch)].append([float(row["epochs_to_058"]) for row in rows])
    return found


def side(epochs: Sequence[float], weight: float = 1.0) -> Side:
    return Side.of(epochs, step=1 / float(np.mean(epochs)), weight=weight)


def real(rng: np.random.Generator, path: Path, times: int) -> Iterator[str]:
    sets = sets_of(path)
    every = [epochs for alike in sets.values() for epochs in alike]
    alarms = []
    for epochs in every:
        for _ in range(times // 20):
            mixed = rng.permutation(epochs)
            alarms.append(too_few(Law((side(mixed[:5]),)), mixed[5:]))
    yield f"half of a set against its other half, {len(every)} sets, {len(alarms)} splits: {np.mean(alarms):.2%} marked"
    cells = []
    for n in (1, 3, 5):
        alarms = []
        for alike in sets.values():
            pool = np.concatenate(alike)
            for _ in range(times // 5 if len(pool) >= 40 else 0):
                drawn = rng.permutation(pool)[: 10 + n]
                alarms.append(too_few(Law((side(drawn[:10]),)), drawn[10:]))
        cells.append(f"{np.mean(alarms):.2%} of {n}")
    yield f"runs drawn of all sets of a batch and recipe, against ten others of them, marked: {', '.join(cells)}"
    alike = sets[True, 1536]
    cells = []
    for n in (1, 3, 10):
        alarms = [
            too_few(Law((side(one),)), rng.permutation(other)[:n]) for one, other in itertools.permutations(alike, 2)
        ]
        cells.append(f"{np.mean(alarms):.2%} of {n}")
    yield f"a set of batch 1536 against another of {len(alike)}, marked: {', '.join(cells)}"
    for low, middle, high in ((1024, 1536, 2048), (1536, 1920, 2048), (1536, 1920, 3072), (512, 1024, 1536)):
        weight = math.log(middle / low) / math.log(high / low)
        ends = [np.concatenate(sets[True, batch]) for batch in (low, high)]
        cells = []
        for n in (1, 3, 10):
            alarms = []
            for _ in range(times):
                law = Law((side(rng.choice(ends[0], 10), 1 - weight), side(rng.choice(ends[1], 10), weight)))
                other = sets[True, middle][rng.integers(len(sets[True, middle]))]
                alarms.append(too_few(law, rng.permutation(other)[:n]))
            cells.append(f"{np.mean(alarms):.2%} of {n}")
        yield f"batch {middle} against ten runs each of {low} and {high}, marked: {', '.join(cells)}"


def published(path: Path) -> Iterator[str]:
    """Hold MLPerf's sets against its own reference, beside what its checker says of them."""
    try:
        from mlperf_logging.rcp_checker.rcp_checker import RCP_Checker
    except ImportError:
        yield "MLPerf's own reference: mlperf_logging is not installed"
        return
    checker = RCP_Checker("training", "3.1.0", "rnnt", verbose=False)
    checker.compute_rcp_stats()
    points = {each["BS"]: each for each in checker.rcp_data.values()}
    checked, alarms, theirs, apart, words = 0, 0, 0, [], []
    for (newer, batch), alike in sorted(sets_of(path).items()):
        if not newer or batch not in points:
            continue
        law = Law((side(points[batch]["Epochs to converge"]),))
        for epochs in alike:
            checked += 1
            theirs += float(np.mean(np.sort(epochs)[1:-1])) < points[batch]["Min Epochs"]
            if too_few(law, epochs):
                alarms += 1
                words.append(f"batch {batch}: {np.mean(epochs):.1f} epochs, {law.least(len(epochs)):.1f} allowed")
        apart.append(math.exp(law.mean) / law.least(10) / points[batch]["Max Speedup"] - 1)
    yield (
        f"MLPerf's sets of v2.0 to v3.1 against its reference of v3.1: {alarms} of {checked} marked "
        f"({'; '.join(words) or 'none'}), {theirs} refused by its checker, whose largest speed-up differs from ours of "
        f"ten runs by {min(apart):+.1%} to {max(apart):+.1%} (p < .05 there, p < .01 here)"
    )


def _trial(options: argparse.Namespace) -> None:
    rng, times = np.random.default_rng(58), 70 if options.quick else 700
    parts = (
        real(rng, options.data, times),
        published(options.data),
        honest(rng, times),
        cheats(rng, times // 5),
    )
    for sentence in itertools.chain(*parts):
        print(f"- {sentence}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("guard", __doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="default: docs/data/mlperf_rnnt_runs.csv")
    parser.add_argument("--quick", action="store_true", help="simulate a tenth as much")
    return common.run("guard", parser, _trial, argv)


if __name__ == "__main__":
    raise SystemExit(main())
