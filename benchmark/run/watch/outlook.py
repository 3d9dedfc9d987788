"""What a run still has before it: its next targets, and the time left by its limits and by the trend of its errors.

    outlook = Outlook(plan)
    outlook.take(row)                       # each row that is over
    outlook.targets(progress)               # {"to WER 65": "7.3 to go", "to CER 35": "2.1 to go"}
    outlook.limit_s(progress, elapsed_s)    # (640.0, "40 epochs"): the run ends then at the latest
    outlook.trend_s(progress, elapsed_s)    # 310.0; None: too few evaluations, or errors that do not fall

The trend is a straight line through the logarithms of the latest errors. Error curves flatten, so what it says is a
lower bound: no run is known to come sooner to its end but by luck.
"""

from __future__ import annotations

import math
from collections import deque

from benchmark.record.columns import Row
from benchmark.record.phases import Phase, Plan
from benchmark.run.state.progress import Progress

FITTED, FEWEST = 4, 3
"""How many of the latest evaluations the trend goes through, and how many it needs."""


class Outlook:
    """The evaluations of the epochs of a run, and its pace."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.evaluated: deque[Row] = deque(maxlen=FITTED)

    def take(self, row: Row) -> None:
        """Keep the evaluation of an epoch; other rows are passed over."""
        if row.phase is Phase.EVALUATE and (not self.evaluated or row.epoch > self.evaluated[-1].epoch):
            self.evaluated.append(row)

    def targets(self, progress: Progress) -> dict[str, str]:
        """Return the next target of each metric with the distance to it, in points; {} without targets."""
        named = [(metric, self._next(progress, metric)) for metric in self.plan.targets]
        open_ = [(metric, level) for metric, level in named if level is not None]
        if not open_:
            return {"targets": "reached"} if named else {}
        return {f"to {metric.upper()} {level:g}": self._to_go(progress, metric, level) for metric, level in open_}

    def _next(self, progress: Progress, metric: str) -> float | None:
        """Return the easiest level that the median has not reached; None if it has reached all."""
        lowest = progress.lowest.get(metric, math.inf)
        return max((level for level in self.plan.targets[metric] if level < lowest), default=None)

    def _to_go(self, progress: Progress, metric: str, level: float) -> str:
        """Return the distance of the lowest median, or while there is none of the last evaluation, to a level."""
        last = getattr(progress.last_evaluation, metric) if progress.last_evaluation else None
        error = progress.lowest.get(metric, last)
        return "-" if error is None else f"{max(0.0, error - level):.1f} to go"

    def pace_s(self, progress: Progress, elapsed_s: float) -> float | None:
        """Return the seconds of an epoch, evaluation inside: of the latest, or by the batches so far."""
        if len(self.evaluated) > 1:
            first, last = self.evaluated[0], self.evaluated[-1]
            return (last.ended_s - first.ended_s) / (last.epoch - first.epoch)
        return elapsed_s / progress.step * self.plan.batches_per_epoch if progress.step else None

    def limit_s(self, progress: Progress, elapsed_s: float) -> tuple[float, str]:
        """Return the seconds until the first limit of the run, and which limit it is."""
        found = [(self.plan.max_seconds - elapsed_s, f"{self.plan.max_seconds / 60:g} minutes")]
        if pace_s := self.pace_s(progress, elapsed_s):
            done = progress.step / self.plan.batches_per_epoch
            found.append(((self.plan.max_epochs - done) * pace_s, f"{self.plan.max_epochs} epochs"))
            if self.plan.max_steps:
                left = (self.plan.max_steps - progress.step) / self.plan.batches_per_epoch
                found.append((left * pace_s, f"{self.plan.max_steps} batches"))
        left_s, which = min(found)
        return max(0.0, left_s), which

    def trend_s(self, progress: Progress, elapsed_s: float) -> float | None:
        """Return the seconds until all targets are reached if errors go on to fall as they do, at the soonest."""
        if len(self.evaluated) < FEWEST:
            return None
        epochs = [
            self._epochs_to(metric, min(levels))
            for metric, levels in self.plan.targets.items()
            if levels and progress.lowest.get(metric, math.inf) > min(levels)
        ]
        if not epochs or None in epochs:
            return None
        since_s = elapsed_s - self.evaluated[-1].ended_s
        return max(0.0, max(epochs) * self.pace_s(progress, elapsed_s) - since_s)

    def _epochs_to(self, metric: str, level: float) -> int | None:
        """Return after how many further epochs the median is at a level by the trend; None if it never is."""
        known = [(row.epoch, getattr(row, metric)) for row in self.evaluated]
        if any(not error for _, error in known) or level <= 0:
            return None
        epochs, logs = [epoch for epoch, _ in known], [math.log(error) for _, error in known]
        middle, height = math.fsum(epochs) / len(epochs), math.fsum(logs) / len(logs)
        around = math.fsum((epoch - middle) ** 2 for epoch in epochs)
        slope = math.fsum((e - middle) * (log - height) for e, log in zip(epochs, logs, strict=True)) / around
        if slope >= 0:
            return None
        reached = middle + (math.log(level) - height) / slope
        lag = (self.plan.window - 1) // 2  # epochs until the median of a window is at what single evaluations are
        return max(1, math.ceil(reached - epochs[-1] - 1e-9) + lag)
