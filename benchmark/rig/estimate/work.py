"""How many phases of every kind an epoch of a run has, by the state machine that decides them in the run itself.

counts = phases_of_an_epoch(plan)
counts[Phase.GENERATE]                      # 2.8, the mean over some epochs after the first
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from benchmark.record.columns import Row
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.run.state.progress import Progress, next_phase, segment_batches

EPOCHS = 5
NOBODY: dict[str, Any] = {
    "run": "-", "platform": "-", "workload": "-", "recipe": "-", "seed": 1, "replicas": 1, "devices": "-",
    "emulated": False, "batch": 1, "precision": "-", "features": "-", "decoder": "-", "evaluation": "-", "code": "-",
}  # fmt: skip


def phases_of_an_epoch(plan: Plan) -> dict[Phase, float]:
    """Return the mean number of each phase's rows in an epoch, over EPOCHS epochs after the first.

    An evaluation that overlaps training is counted as one that does not: it is the same work.
    """
    evaluation = "resident" if plan.evaluation == "overlap" else plan.evaluation
    plan = replace(
        plan, evaluation=evaluation, targets={}, max_epochs=EPOCHS + 1, max_seconds=1e9, max_steps=0, patience=0
    )
    progress, counts = Progress(window=plan.window), Counter[Phase]()
    while progress.evaluated_epoch <= EPOCHS:
        phase = next_phase(progress, plan)
        row = _row(phase, progress, plan)
        if progress.evaluated_epoch >= 1:
            counts[phase] += 1
        progress = progress.after(row)
    return {phase: count / EPOCHS for phase, count in counts.items()}


def _row(phase: Phase, progress: Progress, plan: Plan) -> Row:
    step = progress.step + (segment_batches(progress, plan) if phase is Phase.TRAIN else 0)
    error: dict[str, Any] = {"wer": 99.0, "cer": 99.0} if phase in EVALUATED else {}
    epoch = -(-step // plan.batches_per_epoch)
    return Row(**NOBODY, phase=phase, step=step, epoch=epoch, started_s=0.0, seconds=0.0, **error)
