"""Runs whose errors fall as they are told to, and files of reference runs, for the tests of the guard."""

import csv
import math
import random
from collections.abc import Iterable
from pathlib import Path

from journals import make_run

from benchmark.judge.reference import COLUMNS, Convergence, convergence_of, rows_of
from benchmark.record import Run
from benchmark.record.history import RunRecord

ABOUT = {"batch": 16, "replicas": 1}


def errors(epochs: float, *, level: float = 30.0, count: int = 16) -> list[float]:
    """WERs whose medians over three epochs are at a level after so many epochs: 90% at first, less by one factor."""
    fall = math.log(90 / level) / (epochs - 1)  # the median of three is that of the middle one, an epoch earlier
    return [90 * math.exp(-fall * epoch) for epoch in range(1, count + 1)]


def run_to(epochs: float, seed: int, **changes) -> RunRecord:
    """A run of 1,000 utterances an epoch that is at WER 30 after so many of them, between two evaluations."""
    about = {**ABOUT, "run": f"r{seed}", "seed": seed, "source": f"r{seed}.csv", **changes}
    return make_run(errors(epochs, count=about.pop("count", 16)), **about)


def honest(count: int, *, epochs: float = 8.0, first: int = 100, spread: float = 0.05, **changes) -> list[RunRecord]:
    """Runs that vary by a share from seed to seed."""
    rng = random.Random(first)
    return [run_to(epochs * math.exp(rng.gauss(0, spread)), first + n, **changes) for n in range(count)]


def reference_file(path: Path, runs: Iterable[RunRecord | Convergence]) -> str:
    """A file of reference runs; its path as the command line has it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows_of(run if isinstance(run, Convergence) else convergence_of(Run(run)) for run in runs))
    return str(path)
