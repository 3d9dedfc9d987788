"""Sizes and recipes of the acoustic model, without TensorFlow.

    Config(recipe="authors", filters=600, units=800).rules.peepholes
    RECIPES["authors"].normalisation

`paper` is what the paper's text says: batch normalisation and dropout between the layers. `authors` is what the
authors' code did. `modern` is chosen for time to accuracy, with fewer parameters: docs/recipes.md says what each of its
differences brings. Code that depends on a difference reads the record's field; nothing compares names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from models.optimisers import AdaDelta, AveragedAdamW, Optimiser
from platforms.enters import Column, Mark, Option, setting
from platforms.plugins import Named

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to make and train the model. The defaults are those of the paper's text.

    Model: `peepholes` lets the LSTM's gates see the cell state. `forget_bias` is where the bias of the forget gate
    starts. `relu` puts a ReLU before every batch normalisation, that is after the convolution and after every LSTM;
    `relu_logits` puts one on the output. `output_l2` is the weight of an L2 penalty on the output layer's kernel.
    `layer_norm` normalises every frame by itself, in place of batch normalisation, and puts a ReLU after the
    convolution's. `settings` are the sizes that the recipe brings, unless others are asked for.

    Evaluation: with `batch_statistics_at_evaluation` batch normalisation uses the evaluated batch's own mean and
    variance, not the moving averages, so that error rates depend on the evaluation batch.

    Data: with `shuffle_files_only` an epoch has the shards in another order, and the utterances of a shard in the
    same one. `normalisation` is what the recipe does to features (features.reading.batches); None leaves it to the
    workload.
    """

    peepholes: bool = False
    forget_bias: float = 0.0
    relu: bool = False
    relu_logits: bool = False
    output_l2: float = 0.0
    layer_norm: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch_statistics_at_evaluation: bool = False
    shuffle_files_only: bool = False
    optimiser: Optimiser = AdaDelta()
    normalisation: str | None = None

    def __post_init__(self) -> None:
        if self.output_l2 < 0:
            raise ValueError(f"output_l2 is {self.output_l2}; expected 0 or more")
        if self.layer_norm and (self.relu or self.batch_statistics_at_evaluation):
            raise ValueError("layer_norm, with relu or batch_statistics_at_evaluation; expected batch norm with these")

    @property
    def by_pieces(self) -> bool:
        """Whether a batch that is taken in pieces trains the model otherwise: it normalises by the piece then."""
        return not self.layer_norm


RECIPES: dict[str, Recipe] = Named(
    "speech_tta.recipes",
    {
        "paper": Recipe(),
        "authors": Recipe(
            peepholes=True,
            forget_bias=1.0,
            relu=True,
            relu_logits=True,
            output_l2=1e-8,
            batch_statistics_at_evaluation=True,
            shuffle_files_only=True,
            normalisation="frame-l2",  # theirs in most runs
        ),
        "modern": Recipe(
            layer_norm=True,
            settings={"stride": 3, "layers": 3},
            optimiser=AveragedAdamW(),
        ),
    },
    Recipe,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and recipe of the model. The defaults are the paper's.

    The convolution takes `kernel` frames every `stride`; its output, and that of each LSTM, is normalised with moving
    averages of `norm_momentum`, and `dropout` is the share that is dropped.
    """

    name: ClassVar[str] = "deepspeech"
    front_end: ClassVar[str] = "mfcc13-logmel80"
    same_weights: ClassVar[tuple[str, ...]] = ("recipe", "filters", "kernel", "stride", "units", "layers")
    features: ClassVar[int] = 93
    alphabet: ClassVar[int] = 30

    recipe: str = setting(
        Column("recipe"),
        "paper",
        option=Option(flag="--recipe", metavar="NAME", help=f"how it is learnt: {', '.join(RECIPES)}"),
    )
    filters: int = setting(Mark("{}-filters"), 600)
    kernel: int = setting(Mark("kernel-{}"), 11)
    stride: int = setting(Mark("stride-{}"), 2)
    units: int = setting(Mark("{}-units"), 800)
    layers: int = setting(Mark("{}-layers"), 5)
    dropout: float = setting(Mark("dropout-{:g}"), 0.05)
    norm_momentum: float = setting(Mark("momentum-{:g}"), 0.99)

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(
                f"model {self.name} with recipe {self.recipe!r:.80}; expected a recipe of {', '.join(RECIPES)}"
            )
        for name in ("filters", "kernel", "stride", "units", "layers"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected 1 or more")
        for name in ("dropout", "norm_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected 0 to below 1")

    @property
    def rules(self) -> Recipe:
        """What the recipe says."""
        return RECIPES[self.recipe]

    @property
    def least_frames(self) -> int:
        return self.kernel

    @property
    def frame_step(self) -> int:
        return self.stride

    @property
    def parameters(self) -> int:
        """kFC of the convolution, 4H (I + H) of each LSTM, H A of the output layer, without biases and norms."""
        inputs = [self.filters] + [self.units] * (self.layers - 1)
        recurrent = sum(4 * self.units * (size + self.units) for size in inputs)
        return self.kernel * self.features * self.filters + recurrent + self.units * self.alphabet

    def output_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return T' of T, (T - kernel) // stride + 1, no less than 0: CTC needs one for each label."""
        import numpy as np  # here: a command that only reads a config does without

        return np.maximum(0, (np.asarray(frames) - self.kernel) // self.stride + 1)
