"""What a run asks of a model, whichever it is: of its settings first, then of its learner.

    config = workload.model                                 # a Config: plain values, without TensorFlow
    config.output_frames(frames)                            # asked before anything is read
    learner = learner_of(config, frames=1670)               # models/table.py
    model = learner.build()
    losses = learner.losses(model, part, seed)              # [B], differentiated over learner.units(part) of all
    outputs = learner.outputs(model, features, frames)      # what a decoder turns into sentences

A model brings its settings, features, loss, optimiser and outputs. Nothing outside this package knows one by name; the
table of them is models/table.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from models.kernels import Choice
from models.optimisers import Optimiser

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

Part = Mapping[str, "tf.Tensor"]
"""Utterances: features [B, T, F], frames [B], labels [B, L], label_lengths [B]; empty places have 0 frames.

Whole numbers are int64 in training, as those of 32 bits are computed with in the host's memory, whatever the device.
"""

Decode = Callable[["np.ndarray", "np.ndarray"], list[str]]
"""Outputs of B utterances, [B, T', ...], and how many are valid of each, int [B], to B sentences."""


class Rules(Protocol):
    """What a recipe says to those who do not know the model.

    `normalisation` is what the recipe does to features (features.reading.batches); None leaves it to the workload.
    `settings` are those of the model that it brings, unless others are asked for. `by_pieces`: whether a batch that is
    taken in pieces trains it otherwise, as batch normalisation does.
    """

    @property
    def optimiser(self) -> Optimiser: ...
    @property
    def normalisation(self) -> str | None: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def by_pieces(self) -> bool: ...


class Config(Protocol):
    """The settings of a model: a frozen dataclass, each of whose fields says how it enters a run's identity.

    `name` is the model's in models/table.py, and `front_end` that of its features in features/frames/kinds.py. An
    utterance of fewer than `least_frames` cannot be trained on. Padding to a multiple of `frame_step` costs least.
    `same_weights` names the settings that two models have in common of which one can begin with the other's weights.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    front_end: ClassVar[str]
    same_weights: ClassVar[tuple[str, ...]]

    @property
    def recipe(self) -> str: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def least_frames(self) -> int: ...
    @property
    def frame_step(self) -> int: ...

    @property
    def parameters(self) -> int:
        """How many numbers training learns, without those of biases and norms."""

    def output_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return how many labels utterances of `frames` frames have room for, int [B]."""


class Learner(Protocol):
    """A model with its sizes fixed. Shapes: B utterances, T frames, T' outputs."""

    optimiser: Optimiser
    shuffle_files_only: bool
    encode: Callable[[str], list[int]] | None  # sentences to labels; None takes those of the records
    decode: Decode | None  # outputs to sentences, greedily; None leaves that to a decoder
    about: dict[str, str]  # what training begins with, for run.json

    def build(self) -> keras.Model:
        """Make the model with its first weights, under the strategy and precision policy in force."""

    def losses(self, model: keras.Model, part: Part, seed: tf.Tensor) -> tf.Tensor:
        """Return the loss of every utterance in nats, float32 [B]; 0 for empty places.

        `seed`, int32 [2], draws the dropout.
        """

    def moving(self, model: keras.Model) -> list[tf.Variable]:
        """Return the variables that training moves without gradients, such as batch normalisation's averages."""

    def moved(self, model: keras.Model) -> list[tf.Tensor]:
        """Return their values after the last call of `losses` on this replica; the trainer assigns replicas' means."""

    def label_step(self, frames: tf.Tensor) -> tf.Tensor | int:
        """Return the number whose multiple the width of labels should be, for a batch padded to `frames` frames."""

    def units(self, part: Part) -> tf.Tensor:
        """Return the weight of every utterance in the mean that is differentiated, float32 [B]."""

    def tflop(self, part: Part) -> tf.Tensor:
        """Return the 10^12 operations that training takes on a part, without padding, float32 []."""

    def outputs(self, model: keras.Model, features: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Return what decoders turn into sentences: logits [B, T', C], or tokens [B, L]."""

    def output_counts(self, frames: np.ndarray) -> np.ndarray:
        """Return how many outputs utterances of `frames` [B] frames have, int [B]."""

    def choose_kernels(self, *, dtype: str, batch: int, frames: int) -> dict[str, Choice]:
        """Choose which kernels compute what; a GPU tries them. Until then, those that always work are used.

        The largest batch of a replica has `batch` utterances of `frames` frames.
        """

    def compare_kernels(self, *, dtype: str) -> dict[str, str]:
        """Return how each kernel that may be used here differs from another of the same work; "" if it does not.

        Outputs and gradients are compared, of a small case. Keys are work and kernel: "lstm, cudnn".
        """
