"""The learning curve of a training: an Epoch for every epoch, and at which of them a level of error was reached.

place = reached([epoch.cer for epoch in epochs], 30.0)      # 6: at the end of the seventh epoch
epochs[place].ended_s                                       # the time to accuracy, in seconds
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW = 3
"""The epochs over which the median error is taken (the paper's e)."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch: seconds of its training and of its evaluation, when that ended, in seconds since model creation.

    `loss` is the mean of its utterances in nats; `cer` and `wer` are in percent, of the whole validation set.
    """

    train_s: float
    evaluate_s: float
    ended_s: float
    loss: float
    cer: float
    wer: float


def reached(errors: Sequence[float], level: float, *, window: int = WINDOW) -> int | None:
    """Return the place of the first epoch whose median error over the last `window` is at most `level`, if there is.

    That is the paper's TTA(a, e), as `benchmark.record.history` has it for runs.
    """
    ends = range(window, len(errors) + 1)
    return next((end - 1 for end in ends if statistics.median(errors[end - window : end]) <= level), None)
