"""A job: what the command line asks a run to do, with its defaults filled in.

job = Job(platform=platforms.load("cpu"), workload=workloads.load("mini"), seed=1, ...)
job.identity(...), plan_of(job.workload, batches_per_epoch)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.record.command import CommandLine
from benchmark.record.phases import Plan
from benchmark.run.prepare.hosts import LIMIT_S, Hosts
from benchmark.run.prepare.language_models import language_model
from benchmark.workloads import Workload
from models.ctc.decoders import SPOKEN
from models.table import MODELS, settled
from platforms import Input, Platform

Say = Callable[[str], None]

OWN_CORPUS = "own-corpus"  # the mark
DIVERGED, INTERRUPTED = 3, 130  # exit statuses


@dataclass(frozen=True, kw_only=True)
class Start:
    """A checkpoint of another run, to begin with: its folder of checkpoints, and after how many batches."""

    checkpoints: Path
    step: int

    @property
    def mark(self) -> str:
        """The mark that it leaves in a variant: "from-RUN-552"."""
        return f"from-{self.checkpoints.parent.name}-{self.step}"


def start_of(path: Path, workload: Workload) -> Start:
    """Return the best checkpoint of a run, or the one that is named, as a beginning for a workload.

    Raises:
        ValueError: there is no such run or checkpoint, or its model has other sizes; the message names both.
    """
    from benchmark.run.prepare.trained import chosen_checkpoints, load_trained

    run = load_trained(path)
    theirs, ours = run.workload.model, workload.model
    compared = ("name",) if theirs.name != ours.name else ours.same_weights
    for name in compared:
        found, asked = getattr(theirs, name), getattr(ours, name)
        if found != asked:
            name = "model" if name == "name" else name
            differ = f"its {name} is {found}, and this workload's {asked}"
            raise ValueError(f"--from {path}: {differ}; expected equal models")
    folder = run.folder / "checkpoints"
    steps = sorted(int(file.stem.removeprefix("ckpt-")) for file in folder.glob("ckpt-*.index"))
    (step,) = chosen_checkpoints(run, steps, ("best",)).values()
    if step not in steps:
        raise ValueError(f"--from {path}: no such checkpoint; there are those after batches: {steps or 'none'}")
    return Start(checkpoints=folder, step=step)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that the command line asks for.

    If `resume` is set, the user has chosen no `name`, and an interrupted run of the same command goes on instead. If
    `fresh` is set, no run goes on. `start` is the checkpoint of another run whose weights this one begins with.
    `command` is the command line to give again. `hosts` are the machines of the run, if they are several.
    `tensorboard` is a folder in which its curves are shown while it goes on. With `quiet` nothing is shown of it.

    Raises ValueError for a value out of range: at once, and not after hours of preparation.
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
    fresh: bool = False
    start: Start | None = None
    hosts: Hosts | None = None
    wait_for_hosts_s: float = LIMIT_S
    tensorboard: Path | None = None
    quiet: bool = False
    command: CommandLine = CommandLine()

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}; expected 0 to {2**32 - 1}")
        if not 0 <= self.monitor_hz <= 100:
            raise ValueError(f"monitor-hz is {self.monitor_hz}; expected 0 (off) to 100 samples a second")
        if not 0 < self.wait_for_hosts_s <= 86_400:
            raise ValueError(f"wait-for-hosts is {self.wait_for_hosts_s:g}; expected above 0, at most 86400 seconds")
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
        """Return the same job for the run `name`."""
        return replace(self, name=name)


def changed_workload(
    workload: Workload,
    changes: dict[str, Any],
    *,
    corpus: Path | None = None,
    feeding: Input | None = None,
    synthetic: bool = False,
    deterministic: bool = False,
) -> Workload:
    """Return the workload with other settings. A change of training marks its variant, so that runs do not pool.

    How the platform is fed (`feeding`) marks it in two cases. Accumulation: batch normalisation sees the pieces, so
    that the training is another one. Streaming: the clock holds what other runs did beforehand. A `corpus` in place of
    the embedded one, which a workload names, marks it too.
    """
    kind = MODELS[workload.model.name]
    workload = workload.changed(changes)
    model, mark = settled(workload.model)
    marks = [mark] * bool(mark)
    marks += [OWN_CORPUS] * bool(corpus and workload.corpus == "embedded")
    if feeding:
        pieces = feeding.accumulation > 1 and model.rules.by_pieces
        marks += [f"accumulation-{feeding.accumulation}"] * pieces + ["stream"] * feeding.stream
    marks += ["synthetic"] * synthetic + ["deterministic"] * deterministic
    workload = replace(workload, model=model).marked(*marks)
    if kind.windowed and workload.segment_s:  # the model's own window, in which all utterances are
        workload = replace(workload, segment_s=0.0, max_frames=workload.segment_frames)
    normalisation = model.rules.normalisation if "recipe" in changes else None
    return replace(workload, normalisation=normalisation) if normalisation else workload


def language_model_of(workload: Workload, asked: str | None, data: Path) -> Path | None:
    """Return the file of the language model that the decoder needs, or None. Raises ValueError if it is missing."""
    if asked and workload.decoder not in SPOKEN:
        raise ValueError(f"--language-model, but the decoder is {workload.decoder}; add --decoder language-model")
    return language_model(asked, data) if workload.decoder in SPOKEN else None


def usual_name(platform: Platform, workload: Workload, seed: int) -> str:
    """Return the default name of a run: platform, workload, seed, date and time."""
    started = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{platform.name}-{workload.label}-seed{seed}-{started}"


def plan_of(workload: Workload, batches_per_epoch: int) -> Plan:
    """Make a plan from the workload's limits and targets."""
    return Plan(
        batches_per_epoch=batches_per_epoch,
        max_epochs=workload.max_epochs,
        targets=workload.targets,
        max_seconds=60 * workload.max_minutes,
        window=workload.window,
        evaluation=workload.evaluation,
        evaluate_every=workload.evaluate_every,
        max_steps=workload.max_steps,
        patience=workload.patience,
    )


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The result of a job: its exit status (0 done, 3 diverged, 130 or 143 interrupted) and where the run is.

    `follower` says that another host was the chief, which has the run.
    """

    status: int
    journal: Path
    folder: Path
    follower: bool = False
