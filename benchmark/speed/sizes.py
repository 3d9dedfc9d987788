"""The model sizes to measure at, a batch for each, and what the command line asks of every part.

    size = SIZES["mini"]
    batch = size.numbers()                      # features, frames, labels, label_lengths as numpy arrays, from seed 0

`paper` is the paper's model on its longest utterances, 16.7 s; `mini` the model and a typical utterance of the
workload `mini`; `tiny` is for rehearsals and tests, and its times mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import workloads
from models.learner import Config

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

PAPER: Any = workloads.load("librispeech").model  # whose topology all sizes have
FEATURES, KERNEL, STRIDE = PAPER.features, PAPER.kernel, PAPER.stride


@dataclass(frozen=True, kw_only=True)
class Size:
    """Model and batch: `batch` utterances of `frames` input frames and `labels` labels each.

    `steps` are trained each time a contender is asked: enough to last a second or so.
    """

    name: str
    filters: int
    units: int
    batch: int
    frames: int
    labels: int
    layers: int = 5
    steps: int = 1

    @property
    def outputs(self) -> int:
        """Return T', the output frames of T: (T - 11) // 2 + 1."""
        return (self.frames - KERNEL) // STRIDE + 1

    @property
    def config(self) -> Config:
        """The paper's recipe at this size."""
        return replace(PAPER, filters=self.filters, units=self.units, layers=self.layers)

    def of(self, *, batch: int | None = None, frames: int | None = None) -> Size:
        """Return the same model with other batches; labels go with the frames."""
        frames = frames or self.frames
        return replace(
            self, batch=batch or self.batch, frames=frames, labels=max(1, self.labels * frames // self.frames)
        )

    def numbers(self) -> dict[str, np.ndarray]:
        """Make a batch without padding: noise for features, random labels."""
        rng = np.random.default_rng(0)
        return {
            "features": rng.standard_normal((self.batch, self.frames, FEATURES), dtype=np.float32),
            "frames": np.full(self.batch, self.frames, np.int32),
            "labels": rng.integers(1, 28, (self.batch, self.labels), dtype=np.int32),
            "label_lengths": np.full(self.batch, self.labels, np.int32),
        }


SIZES = {
    size.name: size
    for size in (
        Size(name="paper", filters=600, units=800, batch=8, frames=1670, labels=180),
        Size(name="mini", filters=192, units=192, batch=16, frames=312, labels=30, steps=4),
        Size(name="tiny", filters=8, units=8, batch=4, frames=41, labels=4, layers=2, steps=2),
    )
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The options of the command line; each part takes those that concern it."""

    sizes: tuple[Size, ...] = (SIZES["paper"], SIZES["mini"])
    asked_for_size: bool = False
    rounds: int = 5
    precisions: tuple[str, ...] = ("float32",)
    batches: tuple[int, ...] = ()
    features: Path | None = None
    hours: tuple[float, ...] = (1, 10, 100)
    folder: Path | None = None
    platform: str = "cpu"
    workload: str | None = None
    seeds: tuple[int, ...] = (1,)
    recipe: str | None = None
    level: float = 30.0
    epochs: int | None = None
    corpus: Path | None = None
    data: Path = Path("data")

    @property
    def small(self) -> Size:
        """Return the workload for parts that need no large model: `mini`, or `tiny` for a rehearsal."""
        return SIZES["tiny"] if self.tiny else SIZES["mini"]

    @property
    def tiny(self) -> bool:
        return SIZES["tiny"] in self.sizes
