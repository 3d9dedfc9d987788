"""A job: what the command line asks a run to do, with its defaults filled in.

job = Job(platform=platforms.load("cpu"), workload=workloads.load("mini"), seed=1, ...)
job.identity(...), plan_of(job.workload, batches_per_epoch)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.record.phases import Plan
from benchmark.run import decoding
from benchmark.workloads import Workload
from models.recipes import RECIPES
from platforms import Platform

MARKS = ("augment", "padding")
"""Settings that train otherwise: changed, they mark a run's variant. The journal has columns for the others."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the command line asks for.

    With `resume`, an interrupted run of the same command goes on in place of `name`, which is none of the user's.
    `command` is how to give it again.

    Raises ValueError for what would be refused later, after hours of preparation.
    """

    platform: Platform
    workload: Workload
    corpus: Path | None = None
    data: Path = Path("data")
    results: Path = Path("results")
    name: str
    seed: int = 1
    monitor_hz: float = 10.0
    language_model: Path | None = None
    decode_jobs: int = 1
    skip_bad: bool = False
    synthetic: bool = False
    deterministic: bool = False
    resume: bool = False
    command: str = "the same command"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}; expected 0 to {2**32 - 1}")
        if not 0 <= self.monitor_hz <= 100:
            raise ValueError(f"monitor-hz is {self.monitor_hz}; expected 0 (off) to 100 samples a second")
        if self.decode_jobs < 1:
            raise ValueError(f"decode-jobs is {self.decode_jobs}; expected at least 1")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", self.name):
            raise ValueError(
                f"name {self.name!r} cannot name files; expected letters, digits, dots, dashes and underscores"
            )

    @property
    def folder(self) -> Path:
        return self.results / self.name

    @property
    def journal(self) -> Path:
        return self.results / f"{self.name}.csv"

    def renamed(self, name: str) -> Job:
        """The same job as another run."""
        return replace(self, name=name)


def changed_workload(
    workload: Workload, changes: dict[str, Any], *, synthetic: bool = False, deterministic: bool = False
) -> Workload:
    """The workload with other settings. What trains otherwise is marked in its variant, so that runs do not pool."""
    marks = [str(changes[name]) for name in MARKS if name in changes and changes[name] != getattr(workload, name)]
    marks += ["synthetic"] * synthetic + ["deterministic"] * deterministic
    workload = replace(workload, **changes).marked(*marks)
    normalisation = RECIPES[workload.recipe].normalisation if "recipe" in changes else None
    return replace(workload, normalisation=normalisation) if normalisation else workload


def language_model_of(workload: Workload, asked: str | None, data: Path) -> Path | None:
    """The file of the language model that the workload's decoder needs. Raises ValueError where it is not there."""
    if asked and workload.decoder != "language-model":
        raise ValueError(f"a language model, but the decoder is {workload.decoder}; add --decoder language-model")
    return decoding.language_model(asked, data) if workload.decoder == "language-model" else None


def usual_name(platform: Platform, workload: Workload, seed: int) -> str:
    """A run's name where the user gives none: platform, workload, seed and time of day."""
    started = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{platform.name}-{workload.label}-seed{seed}-{started}"


def plan_of(workload: Workload, batches_per_epoch: int) -> Plan:
    """The workload's limits and targets as a plan."""
    return Plan(
        batches_per_epoch=batches_per_epoch,
        max_epochs=workload.max_epochs,
        targets=workload.targets,
        max_seconds=60 * workload.max_minutes,
        window=workload.window,
        evaluation=workload.evaluation,
    )
