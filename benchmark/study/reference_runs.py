"""The runs of the reference of convergence: which there are to be, which are missing, and reference.csv made of them.

    plan = [ReferencePoint(label="mini", recipe="paper", batch=16, seed=seed) for seed in range(1, 11)]
    train_missing(plan, shared=["--workload", "mini"], out=Path("studies/reference"), say=print)
    collect(["studies/reference"], Path("reference.csv"), say=print)

They are ordinary runs: one that is over is left alone, one that was interrupted goes on, so that the same command
finishes a plan that was stopped. Seeds come one after another, and in each all recipes and batches: what is there after
an early stop has as many runs of each.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmark.judge.reference import COLUMNS, ConvergenceError, convergence_of, merged, read_reference, rows_of
from benchmark.record import JournalError, Run, read_run
from benchmark.record.folder import journal_of
from benchmark.study.making import Share, in_turn, is_over, train
from features.jobs.files import write_whole

NAME = "reference.csv"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ReferencePoint:
    """One run of the plan; `label` is the workload's name, or the corpus's."""

    label: str
    recipe: str
    batch: int
    seed: int

    @property
    def name(self) -> str:
        """The name of its run, which says all."""
        return f"{self.label}-{self.recipe}-batch{self.batch}-seed{self.seed}"

    def training(self, shared: Sequence[str], out: Path) -> list[str]:
        """Return the arguments of `python -m benchmark` that make its run, or go on with it."""
        own = ["--recipe", self.recipe, "--batch", str(self.batch), "--seed", str(self.seed)]
        return [*shared, *own, "--name", self.name, "--results", str(out)]


def plan_of(label: str, *, recipes: Sequence[str], batches: Sequence[int], seeds: int) -> list[ReferencePoint]:
    """Return all runs of a plan in the order in which they are made."""
    return [
        ReferencePoint(label=label, recipe=recipe, batch=batch, seed=seed)
        for seed, recipe, batch in product(range(1, seeds + 1), recipes, batches)
    ]


def missing(plan: Sequence[ReferencePoint], out: Path) -> list[ReferencePoint]:
    """Return the runs that are not over."""
    return [point for point in plan if not is_over(out / point.name)]


def train_missing(plan: Sequence[ReferencePoint], *, shared: Sequence[str], out: Path, say: Say) -> int:
    """Train the runs of a plan that are missing, one after the other; return how many failed.

    Raises:
        KeyboardInterrupt: a signal came; the run that was on was told to save and end.
    """
    todo = missing(plan, out)

    def one(number: int, share: Share) -> bool:
        point = todo[number]
        log = out / f"{point.name}.log"
        with log.open("ab") as file:
            words = point.training(shared, out)
            status = train(point.name, words, out=out, log=file, share=share, expected=_usual_steps(point, plan, out))
        if status:
            say(f"benchmark.reference: {point.name}: status {status}; what it said is in {log}")
        return status == 0

    return in_turn([point.name for point in todo], one, say=say, left=lambda done: f"; {len(todo) - done} left")


def _usual_steps(point: ReferencePoint, plan: Sequence[ReferencePoint], out: Path) -> float:
    """Return how many batches the runs with other seeds took, on the average; infinity if there are none."""
    alike = [each for each in plan if (each.recipe, each.batch) == (point.recipe, point.batch) and each != point]
    steps = []
    for other in alike:
        if is_over(out / other.name):
            try:
                steps.append(read_run(journal_of(out / other.name)).record.rows[-1].step)
            except (JournalError, IndexError, OSError):
                continue
    return sum(steps) / len(steps) if steps else math.inf


# --- the file --------------------------------------------------------------------------------------------------------


def collect(runs: Sequence[Run], path: Path, *, say: Say) -> int:
    """Put runs that have finished into a file of reference runs, beside those that are there; return how many it has.

    Of two runs of one training the newer is kept. What cannot be part of a reference is named.

    Raises:
        JudgeError: the file that is there cannot be used.
    """
    new = []
    for run in runs:
        if reason := _why_not(run):
            say(f"benchmark.reference: {run.source}: left out: {reason}")
            continue
        try:
            new.append(convergence_of(run))
        except (ConvergenceError, ValueError) as error:
            say(f"benchmark.reference: {run.source}: left out: {error}")
    found = merged(read_reference(path) if path.is_file() else (), new)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows_of(found))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.getvalue())
    return len(found)


def _why_not(run: Run) -> str:
    if not len(run.record):
        return "no rows yet"
    if not run.has_finished:
        return f"it has not finished ({run.end.status if run.end else 'no end.json'})"
    return "it is an emulated run" if run.identity.emulated else ""
