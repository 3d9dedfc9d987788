"""Sizes and recipes of the acoustic model, without TensorFlow.

    Config(recipe=RECIPES["authors"], filters=600, units=800)
    RECIPES["authors"].peepholes, RECIPES["authors"].normalisation

`paper` is what the paper's text says: batch normalisation and dropout between the layers. `authors` is what the
authors' code did. Code that depends on a difference reads the record's field; nothing compares names.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.optimisers import AdaDelta


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to make and train the model. The defaults are those of the paper's text.

    Model: `peepholes` lets the LSTM's gates see the cell state. `forget_bias` is where the bias of the forget gate
    starts. `relu` puts a ReLU before every batch normalisation, that is after the convolution and after every LSTM;
    `relu_logits` puts one on the output. `output_l2` is the weight of an L2 penalty on the output layer's kernel.

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
    batch_statistics_at_evaluation: bool = False
    shuffle_files_only: bool = False
    optimiser: AdaDelta = AdaDelta()
    normalisation: str | None = None

    def __post_init__(self) -> None:
        if self.output_l2 < 0:
            raise ValueError(f"output_l2 is {self.output_l2}; expected 0 or more")


RECIPES: dict[str, Recipe] = {
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
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and recipe of the model. The defaults are the paper's."""

    recipe: Recipe = Recipe()
    features: int = 93
    filters: int = 600
    kernel: int = 11
    stride: int = 2
    layers: int = 5
    units: int = 800
    alphabet: int = 30
    dropout: float = 0.05
    norm_momentum: float = 0.99

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise ValueError(f"recipe is {self.recipe!r}; expected one of the records in RECIPES")
        sizes = (self.features, self.filters, self.kernel, self.stride, self.layers, self.units, self.alphabet)
        if min(sizes) < 1 or not 0 <= self.dropout < 1 or not 0 <= self.norm_momentum < 1:
            raise ValueError(f"{self}: expected sizes of at least 1, dropout and norm_momentum in [0, 1)")
