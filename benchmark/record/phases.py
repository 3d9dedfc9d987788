"""The state machine of a run (the paper's figure 4), without TensorFlow.

                 every 50 batches        every 250 batches and every epoch
    create --> train <--> generate       train <--> checkpoint
                 |
                 | every epoch, after its checkpoint
                 v
            [swap -->] evaluate [--> swap]  --> train, or done

    phase = next_phase(record, plan)

`next_phase` is pure and total: the record of what happened decides, so replaying a journal resumes a run. Three
modes of evaluation:

    resident    the model that trains is evaluated where it is
    swap        the paper's: the training model's memory is freed, an evaluation model is loaded from the
                checkpoint, evaluated and freed, the training model is loaded again; a row for each swap
    overlap     the forward pass at once, decoding in the background while training goes on; the row is
                written when the figure is known, and its step and epoch are those of the weights
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.record.journal import RunRecord


class Phase(str, Enum):
    """What the machine was doing during one row of the journal. DONE is never a row."""

    CREATE = "create"
    TRAIN = "train"
    GENERATE = "generate"
    CHECKPOINT = "checkpoint"
    SWAP = "swap"
    EVALUATE = "evaluate"
    DONE = "done"


AFTER: dict[Phase | None, frozenset[Phase]] = {
    None: frozenset({Phase.CREATE}),
    Phase.CREATE: frozenset(Phase) - {Phase.CREATE},
    Phase.TRAIN: frozenset(Phase) - {Phase.CREATE},
    Phase.GENERATE: frozenset({Phase.TRAIN, Phase.CHECKPOINT, Phase.SWAP, Phase.EVALUATE, Phase.DONE}),
    Phase.CHECKPOINT: frozenset({Phase.TRAIN, Phase.SWAP, Phase.EVALUATE, Phase.DONE}),
    Phase.SWAP: frozenset({Phase.EVALUATE, Phase.TRAIN, Phase.CHECKPOINT, Phase.DONE}),
    Phase.EVALUATE: frozenset(Phase) - {Phase.CREATE},
}
"""Which phases may follow which; the order of an attempt's rows obeys it.

Creation is followed by something else than training where an attempt resumes where that is due, or a limit is met.
An overlapping evaluation is written when it ends, so that anything but creation may follow it.
"""

EVALUATIONS = ("resident", "swap", "overlap")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When things are due and when a run ends.

    `targets` maps a metric ("wer", "cer") to levels in percent; a run ends when all are reached, each by the
    median over `window` epochs, or at `max_epochs` or `max_seconds` (since model creation), whichever is first.
    """

    batches_per_epoch: int
    max_epochs: int
    max_seconds: float
    targets: dict[str, tuple[float, ...]]
    window: int = 3
    segment: int = 50
    generate_every: int = 50
    checkpoint_every: int = 250
    evaluation: str = "resident"

    def __post_init__(self) -> None:
        if self.evaluation not in EVALUATIONS:
            raise ValueError(f"evaluation is {self.evaluation!r}; expected {' or '.join(EVALUATIONS)}")
        counts = (
            self.batches_per_epoch,
            self.max_epochs,
            self.window,
            self.segment,
            self.generate_every,
            self.checkpoint_every,
        )
        if min(counts) < 1 or not self.max_seconds > 0:
            raise ValueError(f"{self}: expected counts of at least 1 and a positive time limit")


def next_phase(record: RunRecord, plan: Plan, *, evaluating: int = 0) -> Phase:
    """What comes next. Generation and the checkpoint due at the end of an epoch come before its evaluation.

    `evaluating` is the epoch whose evaluation is under way in the background, if any. EVALUATE then means to wait
    for it: at the end of the run, or when the next epoch is to be evaluated.
    """
    if not record.created:
        return Phase.CREATE
    if _due(record.step, record.generated_step, plan.generate_every):
        return Phase.GENERATE
    epochs = record.step // plan.batches_per_epoch
    epoch_is_over = record.step > 0 and record.step % plan.batches_per_epoch == 0
    if _due(record.step, record.saved_step, plan.batches_per_epoch if epoch_is_over else plan.checkpoint_every):
        return Phase.CHECKPOINT
    if epoch_is_over and epochs > max(record.evaluated_epoch, evaluating):
        return Phase.SWAP if plan.evaluation == "swap" and not record.swapped else Phase.EVALUATE
    if evaluating and (epochs >= plan.max_epochs or finished(record, plan)):
        return Phase.EVALUATE
    if finished(record, plan):
        return Phase.CHECKPOINT if record.saved_step < record.step else Phase.DONE
    return Phase.SWAP if plan.evaluation == "swap" and record.swapped else Phase.TRAIN


def finished(record: RunRecord, plan: Plan) -> bool:
    """All targets reached, or the limit of epochs or seconds."""
    targets = [(metric, level) for metric, levels in plan.targets.items() for level in levels]
    reached = bool(targets) and all(
        record.reached(metric, level, window=plan.window) is not None for metric, level in targets
    )
    return reached or record.evaluated_epoch >= plan.max_epochs or record.ended_s >= plan.max_seconds


def segment_batches(record: RunRecord, plan: Plan) -> int:
    """How many batches the next train row covers: up to the next event, at most `plan.segment`."""
    to_event = min(
        every - record.step % every for every in (plan.generate_every, plan.checkpoint_every, plan.batches_per_epoch)
    )
    return min(plan.segment, to_event)


def _due(step: int, last: int, every: int) -> bool:
    return step > last and step % every == 0
