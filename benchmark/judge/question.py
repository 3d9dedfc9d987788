"""The question put to runs: metrics, levels, window of epochs, clock, and which fields keep runs apart.

    question = Question(metrics=("wer",), levels=(22.0,), window=3, clock="wall", by=("batch",))
    levels_of(runs, question)["mini"]           # [("wer", 75.0), ...], the columns of a table: easy levels first

Time to accuracy, TTA(a, e), is the time from model creation to the end of the evaluation of the first epoch i >= e
whose median error over epochs i-e+1..i is at most a. Not reached is None here and NA in print: never 0, -1 or
infinity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.circumstances import KNOBS
from benchmark.metrics import METRICS, USUAL
from benchmark.record import CLOCKS, POOLED, FactsError, Run

PAPER_WORKLOAD = "librispeech"
PAPER_LEVELS = {name: metric.published for name, metric in METRICS.items() if metric.published}
AS_THE_PAPER = {name: metric.as_the_paper for name, metric in METRICS.items() if metric.as_the_paper}
CORPUS_SUM = {mean: total for total, mean in AS_THE_PAPER.items()}

SPLITS = (*(name for name in POOLED if name not in ("workload", "emulated")), "seed", "run", "machine", *KNOBS)
"""The fields by which --by can keep runs apart. Platform, workload, variant and emulation always do.

`machine` is what run.json says: processor, cores that may be used, GPUs, driver, TensorFlow, CUDA and cuDNN. So are
the platform's knobs that have no column: readers, buffer, accumulation, reduction.
"""

NOT_REACHED = 100.0  # percent: the column of runs without targets and without a median error

COMPARED = ("workload", "variant", "recipe", "features", "decoder", "emulated")
"""The columns in which compared rigs must agree. Batch, precision and replicas may differ: they belong to a rig."""


class JudgeError(ValueError):
    """Runs that cannot be judged together; the message names the field, the values and the way out."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question to the judge. Without `levels` the targets of the runs are judged, which their run.json files say.

    `reference` is a file of reference runs in place of the suite's own (`benchmark.judge.reference`).
    """

    metrics: tuple[str, ...] = USUAL
    levels: tuple[float, ...] = ()  # percent, of every metric asked for
    window: int = 3  # epochs: the e of TTA(a, e)
    clock: str = "wall"
    by: tuple[str, ...] = ()
    published: bool = False
    every_evaluation: bool = False  # whether evaluations within epochs count
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.window < 1 or self.clock not in CLOCKS or not {*self.metrics} <= {*METRICS} or {*self.by} - {*SPLITS}:
            raise ValueError(
                f"{self}: expected metrics of {tuple(METRICS)}, a window of 1 epoch or more, a clock of "
                f"{tuple(CLOCKS)}, by of {SPLITS}"
            )


def levels_of(runs: Sequence[Run], question: Question) -> dict[str, list[tuple[str, float]]]:
    """Return each workload's (metric, percent) in the order of columns: easy levels first.

    Raises:
        JudgeError: a run.json cannot be used.
    """
    members: dict[str, list[Run]] = {PAPER_WORKLOAD: []} if question.published else {}
    for run in runs:
        members.setdefault(run.identity.workload_label, []).append(run)
    return {workload: _columns(workload, alike, question) for workload, alike in members.items()}


def _columns(workload: str, runs: Sequence[Run], question: Question) -> list[tuple[str, float]]:
    targets: dict[str, set[float]] = {}
    for run in runs:
        for metric, aimed_at in _targets(run).items():
            targets.setdefault(metric, set()).update(aimed_at)
    columns = []
    for metric in _measured(runs, question):
        family = CORPUS_SUM.get(metric, metric)
        levels = set(question.levels or targets.get(metric) or targets.get(family) or ())
        if question.published and workload == PAPER_WORKLOAD and not question.levels:
            levels.update(PAPER_LEVELS.get(family, ()))
        columns += [(metric, percent) for percent in sorted(levels or {_reached(metric, runs, question)}, reverse=True)]
    return columns


def _measured(runs: Sequence[Run], question: Question) -> tuple[str, ...]:
    """Return the metrics that are asked for and were measured in some run; all of them before the first evaluation."""
    evaluated = [run.record for run in runs if run.record.evaluations]
    measured = tuple(m for m in question.metrics if any(r.best_median(m, window=1) is not None for r in evaluated))
    return measured or question.metrics


def _targets(run: Run) -> dict[str, tuple[float, ...]]:
    """Return the targets of a run by metric; empty if its folder does not say."""
    try:
        return dict(run.facts.targets) if run.facts else {}
    except FactsError as error:
        raise JudgeError(f"{error}, and name levels by --level") from None


def _reached(metric: str, runs: Sequence[Run], question: Question) -> float:
    """Return the hardest whole percent that all of some runs reached, in place of targets that nobody knows.

    Runs that are under way or were interrupted take no part where others are over.
    """
    over = [run for run in runs if not run.is_going] or runs
    bests = [run.record.best_median(metric, window=question.window) for run in over if run.record.evaluations]
    return float(math.ceil(max((best for best in bests if best is not None), default=NOT_REACHED)))


def without_targets(runs: Sequence[Run], question: Question) -> list[str]:
    """Return the sources of runs whose targets nobody knows and nobody asked for others; levels are then made up."""
    if question.levels or any(_targets(run) for run in runs):
        return []
    return [run.source or run.identity.run for run in runs]


def metric_name(metric: str) -> str:
    """Return a metric as it is printed: "WER", "CER paper"."""
    return METRICS[metric].label


def level_name(metric: str, percent: float) -> str:
    """Return a level as it is printed: "WER 22"."""
    return f"{metric_name(metric)} {percent:g}"
