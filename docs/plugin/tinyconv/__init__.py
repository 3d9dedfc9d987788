"""A small convolutional CTC model: its settings, its recipe, a workload and an exporter. Without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from models.optimisers import AveragedAdamW, Optimiser
from models.table import Kind
from platforms.enters import Column, Mark, setting

KERNEL, STRIDE = 11, 3  # of the first convolution; the others keep the number of outputs


@dataclass(frozen=True)
class Recipe:
    """See `models.learner.Rules`."""

    optimiser: Optimiser = AveragedAdamW()
    normalisation: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    by_pieces: bool = False


RECIPES = {"tinyconv": Recipe()}


@dataclass(frozen=True, kw_only=True)
class Config:
    """See `models.learner.Config`: each field says how it enters a run's identity."""

    name: ClassVar[str] = "tinyconv"
    front_end: ClassVar[str] = "mfcc13-logmel80"
    same_weights: ClassVar[tuple[str, ...]] = ("filters", "layers")

    recipe: str = setting(Column("recipe"), "tinyconv")
    filters: int = setting(Mark("{}-filters"), 128)
    layers: int = setting(Mark("{}-layers"), 4)

    rules = RECIPES["tinyconv"]
    least_frames = KERNEL
    frame_step = STRIDE

    @property
    def parameters(self) -> int:
        return KERNEL * self.filters * (93 + (self.layers - 1) * self.filters) + self.filters * 30

    def output_frames(self, frames: np.ndarray) -> np.ndarray:
        return np.maximum(0, (np.asarray(frames) - KERNEL) // STRIDE + 1)


KIND = Kind(config=Config, module="tinyconv.learner", recipes=RECIPES, decoders=("greedy", "dictionary"))
WORKLOAD = Path(__file__).with_name("tinyconv.toml")


def epochs(run, place: Path) -> str:
    """Write the error rates of a run, a line an epoch."""
    place.write_text("".join(f"{row.epoch}\t{row.wer:.1f}\n" for row in run.record.evaluations))
    return f"cat {place}"
