"""How many epochs a level takes: what runs of the reference took that train the same, whatever the rig.

    alike = reference_for(mine, read_references(["results/a.csv"]))     # (batch, weight, runs), or why there is none
    to_level(alike, "wer", 55.0, window=3, samples=2200)                # Epochs(mean=Mean(...), runs=6, errors=(...))

Runs are matched as the guard of convergence matches them (`benchmark.judge.guard`), and as there a batch between two of
the reference has its mean on the line between them. Time to accuracy is read at ends of epochs, so whole epochs count
here. The spread is that of one further run, s^2 (1 + 1/m) for m runs of the reference.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.judge.estimates import Mean
from benchmark.judge.guard import Law, Side, Sides, sides_of
from benchmark.judge.reference import (
    COLUMNS,
    EVERY_EPOCH,
    Convergence,
    ConvergenceError,
    convergence_of,
    read_reference,
)
from benchmark.record import read_run

MORE_RUNS = "more runs say how many: --reference results/*.csv"


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """Epochs to a level: `mean` of their logarithms with the spread of one further run, by `runs` of the reference.

    `errors` are the mean CERs, in percent, after each epoch, as far as the level takes.
    """

    mean: Mean
    runs: int
    errors: tuple[float, ...]

    @property
    def value(self) -> float:
        return math.exp(self.mean.log)


def read_references(paths: Sequence[str]) -> list[Convergence]:
    """Return the suite's own reference runs, and those of files: of this kind, or journals of runs.

    Raises:
        JudgeError, JournalError, OSError: a file cannot be read.
        ConvergenceError: a run says nothing of its convergence.
    """
    found = list(read_reference())
    for path in paths:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            is_reference = file.readline().strip() == ",".join(COLUMNS)
        try:
            found += read_reference(path) if is_reference else [convergence_of(read_run(path))]
        except ConvergenceError as error:
            raise ConvergenceError(f"{path}: {error}; leave it out of --reference") from None
    return found


def convergence_to_be(about: Mapping[str, Any]) -> Convergence:
    """Return what a run would be compared by, of what a probe says that it is."""
    identity = about["identity"]
    names = ("workload", "variant", "recipe", "batch", "replicas", "precision", "features", "decoder", "seed", "run")
    return Convergence(
        **{name: identity[name] for name in names},
        code=identity["code"],
        samples=about["samples"],
        settings=about["settings"],
        evaluated=about["evaluated"],
        evaluated_words=about["evaluated_words"],
        grid=EVERY_EPOCH,
        date="",
        utterances=(about["samples"],),
        wer=(None,),
        cer=(None,),
    )


def reference_for(mine: Convergence, runs: Sequence[Convergence]) -> Sides | str:
    """Return the runs that train the same, by batch with their weights; or say why none can be asked."""
    there = [run for run in runs if run.workload == mine.workload]
    if not there:
        return f"no reference run is of workload {mine.workload}; {MORE_RUNS}"
    alike = [run for run in there if not mine.unlike(run)]
    if not alike:
        nearest = min((mine.unlike(run) for run in there), key=len)
        return f"no reference run trains the same: the nearest differs in {', '.join(nearest)}; {MORE_RUNS}"
    found = sides_of(mine.batch, alike)
    return f"{found}; {MORE_RUNS}" if isinstance(found, str) else found


def to_level(sides: Sides, metric: str, percent: float, *, window: int, samples: int) -> Epochs | str:
    """Return the epochs to a level; or say why they are not known."""
    made, errors = [], []
    for batch, weight, runs in sides:
        reached = [run.reached(metric, percent, window=window) for run in runs]
        if missed := reached.count(None):
            return f"{missed} of {len(runs)} reference runs of batch {batch} did not get there"
        values = [float(value) for value in reached if value is not None]
        made.append(Side.of(values, step=samples / statistics.fmean(values), weight=weight))
        errors += [run.cer for run in runs]
    law = Law(tuple(made))
    error, freedom = law.error(1)
    epochs = law.mean - math.log(samples)
    return Epochs(
        mean=Mean(log=epochs, variance=error**2, freedom=freedom),
        runs=sum(len(runs) for _, _, runs in sides),
        errors=mean_errors(errors, max(2, round(math.exp(epochs)))),
    )


def mean_errors(curves: Sequence[Sequence[float | None]], epochs: int) -> tuple[float, ...]:
    """Return the mean error after each of so many epochs, over curves of runs."""
    return tuple(_mean_error(curves, place) for place in range(epochs))


def _mean_error(curves: Sequence[Sequence[float | None]], place: int) -> float:
    """Return the mean error of an epoch over the runs that have it; the last one's beyond the end of all."""
    there = [value for curve in curves if place < len(curve) and (value := curve[place]) is not None]
    last = [value for curve in curves if (value := curve[-1]) is not None]
    return statistics.fmean(there or last or [100.0])
