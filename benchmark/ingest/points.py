"""What a log says: its evaluations, how its run was made as far as it knows, and what options say in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_KNOWN = "not known"
INSIDE, OUTSIDE = "inside", "outside"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One evaluation. Times are seconds since the log's clock began, of `train_s` and `eval_s` summed; errors percent.

    None is what the log does not have. `line` is where it stands in its file.
    """

    line: int
    time_s: float
    errors: Mapping[str, float]
    step: int | None = None
    epoch: float | None = None
    samples: float | None = None
    train_s: float | None = None
    eval_s: float | None = None
    lost_s: float = 0.0  # since the evaluation before: work that was done again


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a log says of how its run was made, as far as it does."""

    format: str
    workload: str = NOT_KNOWN
    recipe: str = NOT_KNOWN
    platform: str = ""
    stem: str = "run"  # of the run's name
    devices: str = NOT_KNOWN
    gpus: int = 1
    code: str = NOT_KNOWN
    seed: int | None = None
    batch: int | None = None
    samples_per_epoch: int | None = None
    targets: Mapping[str, float] = field(default_factory=dict)  # metric to percent
    budget_s: float | None = None  # by the train clock where the log has one
    period_s: float = 0.0  # between evaluations: a run ends at the last one before its budget
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the options say of logs that cannot say it themselves; None is not said."""

    batch: int | None = None
    seed: int | None = None
    devices: str | None = None
    workload: str | None = None
    recipe: str | None = None
    target: float | None = None  # percent
    evaluation: str | None = None  # whether it is INSIDE the time or OUTSIDE
    restarts: bool = False  # whether a clock that begins again is put after where it stood
    first_epoch: int | None = None
    budget_s: float | None = None
    ended: bool = False
