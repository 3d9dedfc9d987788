"""The points of a study: sizes, seeds, a protocol; what each costs, and the commands that make it.

    grid = Grid(protocol="target", sizes=(312, 625, 1250, 2500), seeds=(1, 2, 3))
    for point in grid.points: point.name, point.training(("--workload", "mini"), results, data), point.final(results)

Seeds come one after another, and in each the largest size, then the smallest, then those between: a study that is
stopped early spans the range. A point's seed is that of its weights and of its part of the training set, so that the
spread between seeds holds both.

Three protocols, said in the name of every point:

    steps     the Whisper-Tiny study's: at most `max_steps` batches, and min(6, max_steps x batch / samples) epochs (its
              equation 6). From 4,000 samples up every run takes the same steps, so that more data means fewer passes:
              such a study is confounded, and a point that has not read all of its data is not fitted
    epochs    a fixed number of passes
    target    until dev brought no lower error for as many batches as `patience` passes over the largest size have; the
              best epoch counts. The learning curve proper. Patience is counted in batches, because ten epochs of the
              smallest size are a few batches in which no model begins to learn
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.study.finals import DECODER, which_checkpoint
from benchmark.study.results import label_of
from benchmark.study.saturation import epochs_of

PROTOCOLS = ("steps", "epochs", "target")
STUDY_SIZES = tuple(range(5_000, 50_001, 5_000))  # the Whisper-Tiny study's
SIZES = 8  # where the corpus is smaller
LEAST_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When the runs of each protocol end; `patience` and `most_epochs` in passes over the largest size."""

    max_steps: int = 3000
    max_epochs: int = 12
    patience: int = 5
    most_epochs: int = 100  # of `target`


@dataclass(frozen=True, kw_only=True)
class StudyPoint:
    """One run of a study: a size, a seed, a protocol."""

    protocol: str
    samples: int
    seed: int
    whole: bool  # whether the size is the whole training set
    batch: int
    train_sample: int
    stopping: Stopping
    stretch: float = 1.0  # how many of its epochs have as many batches as one of the largest size
    arm: str = ""
    select: str = "utterances"
    tested_on: str = ""  # features of another corpus than it trains on

    @property
    def name(self) -> str:
        """The name of its run, which says all."""
        return f"{self.protocol}-{self.samples}-seed{self.seed}" + f"+{self.arm}" * bool(self.arm)

    def training(self, shared: Sequence[str], results: Path) -> list[str]:
        """Return the arguments of `python -m benchmark` that make its run, or go on with it."""
        limits = {
            "steps": ["--max-steps", str(self.stopping.max_steps), "--max-epochs", str(math.ceil(self.epochs))],
            "epochs": ["--max-epochs", str(self.stopping.max_epochs)],
            "target": ["--max-epochs", str(math.ceil(self.epochs)), "--patience", str(self.patience)],
        }[self.protocol]
        speakers = ["--select", self.select] if self.select != "utterances" else []
        part = [] if self.whole else ["--samples", str(self.samples), "--subset-seed", str(self.seed), *speakers]
        named = ["--name", self.name, "--seed", str(self.seed), "--results", str(results), "--no-targets"]
        return [*shared, *part, *limits, *named]

    def final(self, results: Path) -> list[str]:
        """Return the arguments of `python -m benchmark.final` that evaluate it on train, dev and test.

        One that is tested on another corpus has no error on its training data: that of the other is not what it learnt.
        """
        which = which_checkpoint(self.protocol)
        sample = ["--train-sample", str(self.train_sample), "--train-seed", str(self.seed)]
        if self.select != "utterances":
            sample += ["--train-select", self.select]
        if self.tested_on:
            sample = ["--features", self.tested_on]
        return [str(results / self.name), "--checkpoints", which, "--decoder", DECODER, *sample]

    @property
    def patience(self) -> int:
        """How many of its epochs may bring nothing."""
        return math.ceil(self.stopping.patience * self.stretch)

    @property
    def epochs(self) -> float:
        """The most passes that it makes."""
        if self.protocol == "steps":
            return epochs_of(self.samples, max_steps=self.stopping.max_steps, batch=self.batch)
        if self.protocol == "epochs":
            return float(self.stopping.max_epochs)
        return self.stopping.most_epochs * self.stretch

    @property
    def most_steps(self) -> int:
        """The most batches that it trains."""
        steps = math.ceil(self.epochs) * math.ceil(self.samples / self.batch)
        return min(self.stopping.max_steps, steps) if self.protocol == "steps" else steps


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All points of a study, in the order in which they are made. Sizes rise; the largest may be the whole set."""

    protocol: str
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    available: int  # utterances of the training set
    batch: int
    stopping: Stopping = Stopping()
    arm: str = ""  # what is other in all of its runs: "noise-0.1"
    select: str = "utterances"
    tested_on: str = ""

    @property
    def label(self) -> str:
        """What the points of the study are called: protocol and arm."""
        return label_of(self.protocol, self.arm)

    @property
    def limits(self) -> dict[str, Any]:
        """When its runs end, as fields of a Kind: `target` counts in batches, over those of the largest size."""
        if self.protocol == "target":
            batches = math.ceil(max(self.sizes) / self.batch)
            patience, longest = self.stopping.patience * batches, self.stopping.most_epochs * batches
            return {"patience": (patience, patience), "longest": (longest, longest)}
        name = {"steps": "max_steps", "epochs": "max_epochs"}[self.protocol]
        return {name: getattr(self.stopping, name)}

    @property
    def points(self) -> list[StudyPoint]:
        return [self._point(size, seed) for seed in self.seeds for size in in_order(self.sizes)]

    def _point(self, size: int, seed: int) -> StudyPoint:
        return StudyPoint(
            protocol=self.protocol,
            samples=size,
            seed=seed,
            whole=size >= self.available,
            batch=self.batch,
            train_sample=min(self.sizes),
            stopping=self.stopping,
            stretch=math.ceil(max(self.sizes) / self.batch) / math.ceil(size / self.batch),
            arm=self.arm,
            select=self.select,
            tested_on=self.tested_on,
        )

    def part(self, number: int, parts: int) -> list[StudyPoint]:
        """Return the points of one of several machines, numbered from 1: every so-many-th of all."""
        return self.points[number - 1 :: parts]


def in_order(sizes: Sequence[int]) -> Iterator[int]:
    """Yield the largest, the smallest, then the middles of what lies between, so that any beginning spans the range."""
    ordered = sorted(set(sizes))
    if not ordered:
        return
    yield ordered[-1]
    if len(ordered) > 1:
        yield ordered[0]
    gaps = [(0, len(ordered) - 1)]
    while gaps:
        low, high = gaps.pop(0)
        if high - low > 1:
            middle = (low + high) // 2
            yield ordered[middle]
            gaps += [(low, middle), (middle, high)]


def usual_sizes(available: int) -> tuple[int, ...]:
    """Return the sizes of a study that names none: 5,000 to 50,000 if there are as many, else eight by factors.

    Those go over five doublings at least, where the training set allows it: ten equal steps over a decade cannot tell
    an asymptote.
    """
    if available >= STUDY_SIZES[-1]:
        return STUDY_SIZES
    least = max(1, min(LEAST_SIZE, available // 2), available // 2**5)
    steps = [available * (least / available) ** (n / (SIZES - 1)) for n in range(SIZES)]
    return tuple(sorted({round(step) for step in steps}))
