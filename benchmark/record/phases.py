"""The phases of a run, and the plan of when each is due (the paper's figure 4).

                 every 50 batches        every 250 batches and every epoch
    create --> train <--> generate       train <--> checkpoint
                 |
                 | every epoch, after its checkpoint; with `evaluate_every` also within an epoch, as a probe
                 v
            [swap -->] evaluate [--> swap]  --> train, or done

Each row of the journal is one phase. A Plan says when each phase is due. `benchmark.run.state.progress` decides from
the journal and the plan what comes next. There are three modes of evaluation:

    resident    the training model is evaluated where it is
    swap        the paper's: the training model's memory is freed; an evaluation model is loaded from the
                checkpoint, evaluated and freed; the training model is loaded again. Each swap is a row
    overlap     the forward pass runs at once, and decoding goes on in the background during training. The row
                is written when the error rates are known; its step and epoch are those of the weights
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from benchmark.evaluations import EVALUATIONS


class Phase(StrEnum):
    """A phase: what the machine was doing during one row of the journal. DONE is never a row.

    A PROBE is an evaluation within an epoch: time to accuracy counts whole epochs, unless it is asked otherwise.
    """

    CREATE = "create"
    TRAIN = "train"
    GENERATE = "generate"
    CHECKPOINT = "checkpoint"
    SWAP = "swap"
    EVALUATE = "evaluate"
    PROBE = "probe"
    DONE = "done"


EVALUATED = (Phase.EVALUATE, Phase.PROBE)
"""The phases that end in error rates, and that may overlap training."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When each phase is due and when a run ends. Raises ValueError for values that make no sense.

    `targets` maps a metric ("wer", "cer") to levels in percent. A run ends when the median error over `window` epochs
    has reached every level, or at `max_epochs` or `max_seconds` (since model creation), whichever is first. The other
    counts are in batches: `segment` is the most that one train row covers; `generate_every` and `checkpoint_every`
    are the intervals between generations and between checkpoints; `evaluate_every` is that of evaluations within an
    epoch, 0 for none. A run also ends after `max_steps` batches, and after `patience` epochs without a lower character
    error rate than before; 0 is no such end.
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
    evaluate_every: int = 0
    max_steps: int = 0
    patience: int = 0

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
        if min(counts) < 1 or not self.max_seconds > 0 or min(self.evaluate_every, self.max_steps, self.patience) < 0:
            raise ValueError(f"{self}: expected counts of at least 1 and a positive time limit")
