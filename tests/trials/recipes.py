"""What does each difference of the recipe `modern` bring? It is trained without one of them at a time, seed by seed.

    python -m tests.trials.recipes data/features/embedded-2500 --epochs 4 --seeds 1 2 3
    python -m tests.trials.recipes FEATURES --workload speech --epochs 8 --changes none stride-2 --csv an4.csv

Trains the workload's model on a features folder (`make bench` leaves one for mini) with the workload's decoder, and
prints dev WER and CER after each epoch, mean and standard deviation over seeds, and the epochs until the median CER of
three is at `--level`. What is trained is written to `--csv` at once; a second call goes on, and several may share the
work by other changes or seeds. A training of mini takes a minute on two cores; the figures stand in docs/recipes.md.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmark import workloads
from benchmark.record.phases import Phase
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.workloads import Workload
from features.jobs.progress import progress
from features.shards import manifest
from models.ctc.decoders import Decoder
from models.deepspeech.config import RECIPES, Recipe
from models.optimisers import AdaDelta, AveragedAdamW
from models.table import with_recipe
from platforms.machine import usable_cores
from tests.trials import common

MODERN = RECIPES["modern"]
FAR = 10**9  # of an average that moves all the way
COLUMNS = ("change", "seed", "epoch", "wer", "cer", "train_s")


def _recipe(**changes: Any) -> Callable[[Workload], tuple[Workload, Recipe]]:
    return lambda workload: (workload, replace(MODERN, **changes))


def _optimiser(**changes: Any) -> Callable[[Workload], tuple[Workload, Recipe]]:
    return _recipe(optimiser=replace(AveragedAdamW(), **changes))


def _model(**changes: Any) -> Callable[[Workload], tuple[Workload, Recipe]]:
    return lambda workload: (workload.with_model(**changes), MODERN)


CHANGES: dict[str, Callable[[Workload], tuple[Workload, Recipe]]] = {
    "none": lambda workload: (workload, MODERN),
    "paper": lambda workload: (workload, MODERN),  # the other recipe, see `trained`
    "stride-2": _model(stride=2),
    "stride-4": _model(stride=4),
    "batch-norm": _recipe(layer_norm=False),
    "5-layers": _model(layers=5),
    "adadelta": _recipe(optimiser=AdaDelta()),
    "no-average": _optimiser(averaging=FAR),
    "no-clip": _optimiser(clip=1e9),
    "no-warm-up": _optimiser(warm_up=1),
    "long-warm-up": _optimiser(warm_up=4800),
    "rate-1e-3": _optimiser(learning_rate=1e-3),
    "beta-2-0.999": _optimiser(beta_2=0.999),
    "rate-2e-3": _optimiser(learning_rate=2e-3),
    "rate-5e-3": _optimiser(learning_rate=5e-3),
    "forget-bias-1": _recipe(forget_bias=1.0),
    "no-dropout": _model(dropout=0.0),
    "dropout-0.15": _model(dropout=0.15),
    "specaugment": lambda workload: (replace(workload, augment="specaugment"), MODERN),
}


@contextmanager
def _in_place_of_modern(recipe: Recipe) -> Iterator[None]:
    RECIPES["modern"] = recipe
    try:
        yield
    finally:
        RECIPES["modern"] = MODERN


def trained(options: argparse.Namespace, change: str, seed: int) -> list[dict[str, object]]:
    """Train once; returns a row for each epoch."""
    usual = workloads.load(options.workload)
    asked = replace(usual, model=with_recipe(usual.model, "paper" if change == "paper" else "modern"))
    workload, recipe = CHANGES[change](asked)
    words = manifest.load(options.features).words
    decoding = DecodingPool(Decoder(name=workload.decoder, words=words), jobs=usable_cores())
    with _in_place_of_modern(recipe), decoding as pool, tempfile.TemporaryDirectory() as folder:
        with common.loop_of(
            Path(folder), features=options.features, workload=workload, platform=common.cpu(batch=options.batch),
            pool=pool, seed=seed, shown=common.Silent(), max_epochs=options.epochs,
        ) as loop:  # fmt: skip
            loop.run_phases()
        record = common.record_of(Path(folder))
    seconds = [
        sum(row.ended_s - row.started_s for row in record.rows if row.phase is Phase.TRAIN and row.epoch <= each.epoch)
        for each in record.evaluations
    ]
    return [
        {"change": change, "seed": seed, "epoch": row.epoch, "wer": row.wer, "cer": row.cer, "train_s": round(s, 1)}
        for row, s in zip(record.evaluations, seconds, strict=True)
    ]


def _known(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _written(path: Path, rows: Sequence[dict[str, object]]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


def epochs_to(rates: Sequence[float], level: float) -> int | None:
    """Return the first epoch at which the median of the last three is at most `level`."""
    for epoch in range(3, len(rates) + 1):
        if statistics.median(rates[epoch - 3 : epoch]) <= level:
            return epoch
    return None


def table(rows: Sequence[dict[str, str]], level: float) -> Iterator[str]:
    """Yield a line for each change: error rates by epoch, mean over seeds, and the epochs of each seed to the level."""
    yield f"{'without or with':16s} seeds  mean WER / CER by epoch; sd of the last CER; epochs to CER {level:g}"
    order = list(CHANGES)
    for change, found in groupby(
        sorted(rows, key=lambda row: order.index(row["change"])), key=lambda row: row["change"]
    ):
        by_seed: dict[str, list[dict[str, str]]] = {}
        for row in found:
            by_seed.setdefault(row["seed"], []).append(row)
        runs = list(by_seed.values())
        epochs = min(map(len, runs))
        cells = (
            " / ".join(f"{statistics.mean(float(run[n][metric]) for run in runs):.1f}" for metric in ("wer", "cer"))
            for n in range(epochs)
        )
        last = [float(run[epochs - 1]["cer"]) for run in runs]
        spread = f"{statistics.stdev(last):.1f}" if len(last) > 1 else "-"
        reached = [str(epochs_to([float(row["cer"]) for row in run], level) or "-") for run in runs]
        yield f"{change:16s} {len(runs):5d}  {'  '.join(cells)}; {spread}; {' '.join(reached)}"


def trial(options: argparse.Namespace) -> None:
    done = {(row["change"], row["seed"]) for row in _known(options.csv)}
    plan = [(change, seed) for seed in options.seeds for change in options.changes if (change, str(seed)) not in done]
    with progress("recipes", total=len(plan), unit="trainings") as advance:
        for change, seed in plan:
            _written(options.csv, trained(options, change, seed))
            advance(1)
    print("\n".join(table(_known(options.csv), options.level)))


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("recipes", __doc__)
    add = parser.add_argument
    add("features", type=Path, metavar="FEATURES", help="a features folder")
    add("--workload", default="mini", metavar="NAME", help="whose model, decoder and padding; default: %(default)s")
    add("--changes", nargs="+", choices=tuple(CHANGES), default=list(CHANGES), metavar="C", help=", ".join(CHANGES))
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    add("--epochs", type=int, default=4, metavar="N", help="default: %(default)s")
    add("--batch", type=int, default=16, metavar="N", help="default: %(default)s")
    add("--level", type=float, default=20.0, metavar="P", help="a CER in percent; default: %(default)g")
    add("--csv", type=Path, default=Path("recipes.csv"), metavar="FILE", help="default: %(default)s")
    return common.run("recipes", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
