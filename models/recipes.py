"""The recipes that a model is made and trained by, and every difference between them.

    recipe = RECIPES["authors"]
    recipe.peepholes, recipe.normalisation

`paper` is what the paper's text says: batch normalisation and dropout between the layers. `authors` is what the
authors' code did. `fine-tune` goes on with the weights of a model that is trained already. Whoever needs a difference
asks the record for its field; nobody compares names. This module imports nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AdaDelta:
    """The optimiser of Zeiler (2012), without clipping; the defaults are the paper's."""

    learning_rate: float = 1.0
    rho: float = 0.95
    epsilon: float = 1e-8


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), for matrices alone.

    The rate rises in a straight line over a share `warm_up` of all batches, and falls in one to 0 at the last.
    """

    peak: float = 1e-5
    warm_up: float = 0.1
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.98
    epsilon: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to make and train the model. The defaults are those of the paper's text.

    Model: `peepholes` lets the LSTM's gates see the cell state. `forget_bias` is where the bias of the forget gate
    starts. `relu` puts a ReLU before every batch normalisation, that is after the convolution and after every LSTM;
    `relu_logits` puts one on the output. `output_l2` is the weight of an L2 penalty on the output layer's kernel.

    Evaluation: with `batch_statistics_at_evaluation` batch normalisation uses the evaluated batch's own mean and
    variance, not the moving averages, so that error rates depend on the evaluation batch.

    Data: with `shuffle_files_only` an epoch has the shards in another order, and the utterances of a shard in the
    same one. `normalisation` is what the recipe does to features (features.batches); None leaves it to the workload.
    """

    peepholes: bool = False
    forget_bias: float = 0.0
    relu: bool = False
    relu_logits: bool = False
    output_l2: float = 0.0
    batch_statistics_at_evaluation: bool = False
    shuffle_files_only: bool = False
    optimiser: AdaDelta | AdamW = AdaDelta()
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
    "fine-tune": Recipe(optimiser=AdamW(), normalisation="none"),
}
