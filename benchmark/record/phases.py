"""The phases of a run, and what a run sets out to do (the paper's figure 4).

                 every 50 batches        every 250 batches and every epoch
    create --> train <--> generate       train <--> checkpoint
                 |
                 | every epoch, after its checkpoint
                 v
            [swap -->] evaluate [--> swap]  --> train, or done

A row of the journal is one phase; a Plan says when each is due. `benchmark.run.progress` decides from the two what
comes next. There are three modes of evaluation:

    resident    the model that trains is evaluated where it is
    swap        the paper's: the training model's memory is freed, an evaluation model is loaded from the
                checkpoint, evaluated and freed, the training model is loaded again; a row for each swap
    overlap     the forward pass at once, decoding in the background while training goes on; the row is
                written when the figure is known, and its step and epoch are those of the weights
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from benchmark.workloads import EVALUATIONS


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

Something else than training follows creation where an attempt resumes at a point where that is due, or where a limit
is met. An overlapping evaluation is written when it ends, so that anything but creation may follow it.
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When things are due and when a run ends.

    `targets` maps a metric ("wer", "cer") to levels in percent; a run ends when all are reached, each by the
    median over `window` epochs, or at `max_epochs` or `max_seconds` (since model creation), whichever is first.
    Other counts are batches: of an epoch, of a train row at most, from one generation or checkpoint to the next.
    """

    batches_per_epoch: int
    max_epochs: int
    max_seconds: float
    targets: Mapping[str, tuple[float, ...]]
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
