"""What does each difference of a recipe bring? It is trained with one change at a time, seed by seed.

    python -m tests.trials.recipes data/features/embedded-2500 --epochs 4 --seeds 1 2 3
    python -m tests.trials.recipes FEATURES --workload speech --epochs 8 --changes none stride-2 --csv an4.csv
    python -m tests.trials.recipes FEATURES --workload speech --recipe paper --changes adamw order-of-1 --to-level

Trains the workload's model on a features folder (`make bench` leaves one for mini) with the workload's decoder, and
prints dev WER and CER after each epoch, mean and standard deviation over seeds, and the epochs until the median CER of
three is at `--level`. `weights-of-1` starts from the weights of seed 1, whatever the seed; `order-of-1` has the
utterances' order and the dropout of seed 1: which of the two makes seeds differ? What is trained is written to `--csv`
at once; a second call goes on, and several may share the work by other changes or seeds. A training of mini takes a
minute on two cores; the figures stand in docs/recipes.md.
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
from models.optimisers import AdaDelta, AveragedAdamW, Optimiser
from models.table import with_recipe
from platforms.machine import usable_cores
from tests.trials import common

FAR = 10**9  # of an average that moves all the way
FIXED = 1  # the seed of what does not vary
COLUMNS = ("recipe", "change", "seed", "epoch", "wer", "cer", "train_s")

Change = Callable[[Workload, Recipe], tuple[Workload, Recipe]]


def _recipe(**changes: Any) -> Change:
    return lambda workload, recipe: (workload, replace(recipe, **changes))


def _optimiser(kind: type[Optimiser] = AveragedAdamW, **changes: Any) -> Change:
    def changed(workload: Workload, recipe: Recipe) -> tuple[Workload, Recipe]:
        if not isinstance(recipe.optimiser, kind):
            return workload, recipe
        return workload, replace(recipe, optimiser=replace(recipe.optimiser, **changes))

    return changed


def _model(**changes: Any) -> Change:
    return lambda workload, recipe: (workload.with_model(**changes), recipe)


def _same(workload: Workload, recipe: Recipe) -> tuple[Workload, Recipe]:
    return workload, recipe


CHANGES: dict[str, Change] = {
    "none": _same,
    "weights-of-1": _same,
    "order-of-1": _same,
    "stride-2": _model(stride=2),
    "stride-3": _model(stride=3),
    "stride-4": _model(stride=4),
    "batch-norm": _recipe(layer_norm=False),
    "layer-norm": _recipe(layer_norm=True),
    "3-layers": _model(layers=3),
    "5-layers": _model(layers=5),
    "adadelta": _recipe(optimiser=AdaDelta()),
    "adadelta-epsilon-1e-6": _optimiser(AdaDelta, epsilon=1e-6),
    "adamw": _recipe(optimiser=AveragedAdamW()),
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
    "specaugment": lambda workload, recipe: (replace(workload, augment="specaugment"), recipe),
}


def changed(workload: Workload, name: str, change: str) -> tuple[Workload, Recipe]:
    """Return workload and recipe with a change. Raises ValueError if it is none to this recipe."""
    usual = replace(workload, model=with_recipe(workload.model, name)), RECIPES[name]
    found = CHANGES[change](*usual)
    if found == usual and CHANGES[change] is not _same:
        raise ValueError(f"{change} is what {name} has, or nothing to it; expected a change")
    return found


def seeds_of(change: str, seed: int) -> tuple[int, int]:
    """Return the seed of the weights, and that of utterance order and dropout."""
    return FIXED if change == "weights-of-1" else seed, FIXED if change == "order-of-1" else seed


@contextmanager
def _registered(name: str, recipe: Recipe) -> Iterator[None]:
    usual, RECIPES[name] = RECIPES[name], recipe
    try:
        yield
    finally:
        RECIPES[name] = usual


@contextmanager
def _weights_of(seed: int) -> Iterator[None]:
    """Within, a training draws its first weights by this seed, whatever its own."""
    import tensorflow as tf

    usual = tf.keras.utils.set_random_seed
    tf.keras.utils.set_random_seed = lambda _: usual(seed)
    try:
        yield
    finally:
        tf.keras.utils.set_random_seed = usual


def trained(options: argparse.Namespace, change: str, seed: int) -> list[dict[str, object]]:
    """Train once; returns a row for each epoch."""
    workload, recipe = changed(workloads.load(options.workload), options.recipe, change)
    words = manifest.load(options.features).words
    weights, order = seeds_of(change, seed)
    targets = {"cer": (options.level,)} if options.to_level else {}
    decoding = DecodingPool(Decoder(name=workload.decoder, words=words), jobs=usable_cores())
    with _registered(options.recipe, recipe), decoding as pool, tempfile.TemporaryDirectory() as folder:
        with _weights_of(weights), common.loop_of(
            Path(folder), features=options.features, workload=workload, platform=common.cpu(batch=options.batch),
            pool=pool, seed=order, shown=common.Silent(), max_epochs=options.epochs, targets=targets,
        ) as loop:  # fmt: skip
            loop.run_phases()
        record = common.record_of(Path(folder))
    seconds = [
        sum(row.ended_s - row.started_s for row in record.rows if row.phase is Phase.TRAIN and row.epoch <= each.epoch)
        for each in record.evaluations
    ]
    return [
        dict(zip(COLUMNS, (options.recipe, change, seed, row.epoch, row.wer, row.cer, round(s, 1)), strict=True))
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
    yield f"{'recipe, with':28s} seeds  mean WER / CER by epoch; sd of the last CER; epochs to CER {level:g}"
    order = list(CHANGES)

    def place(row: dict[str, str]) -> tuple[str, int]:
        return row["recipe"], order.index(row["change"])

    for (recipe, number), found in groupby(sorted(rows, key=place), key=place):
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
        yield f"{recipe + ', ' + order[number]:28s} {len(runs):5d}  {'  '.join(cells)}; {spread}; {' '.join(reached)}"


def trial(options: argparse.Namespace) -> None:
    for change in options.changes:
        changed(workloads.load(options.workload), options.recipe, change)  # says so at once if it is none
    done = {(row["recipe"], row["change"], row["seed"]) for row in _known(options.csv)}
    plan = [
        (change, seed)
        for seed in options.seeds
        for change in options.changes
        if (options.recipe, change, str(seed)) not in done
    ]
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
    add("--recipe", choices=tuple(RECIPES), default="modern", metavar="NAME", help="of what; default: %(default)s")
    add("--changes", nargs="+", choices=tuple(CHANGES), default=["none"], metavar="C", help=", ".join(CHANGES))
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    add("--epochs", type=int, default=4, metavar="N", help="default: %(default)s")
    add("--batch", type=int, default=16, metavar="N", help="default: %(default)s")
    add("--level", type=float, default=20.0, metavar="P", help="a CER in percent; default: %(default)g")
    add("--to-level", action="store_true", help="end a training when it is at the level")
    add("--csv", type=Path, default=Path("recipes.csv"), metavar="FILE", help="default: %(default)s")
    return common.run("recipes", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
