"""What the trainer asks of a model, whichever it is.

    model = learner.build()
    losses = learner.losses(model, part, seed)              # [B], differentiated over learner.units(part) of all
    outputs = learner.outputs(model, features, frames)      # what a decoder turns into sentences

A model brings its features, loss, optimiser and outputs. Nothing outside this package knows one by name; the table of
them is models/table.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.kernels import Choice
from models.optimisers import AdaDelta, AdamW

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Part = Mapping[str, "tf.Tensor"]
"""Utterances: features [B, T, F], frames [B], labels [B, L], label_lengths [B]; empty places have 0 frames.

Whole numbers are int64 in training, as those of 32 bits are computed with in the host's memory, whatever the device.
"""


class Learner(Protocol):
    """A model with its sizes fixed. Shapes: B utterances, T frames, T' outputs."""

    config: Any
    optimiser: AdaDelta | AdamW
    shuffle_files_only: bool
    encode: Callable[[str], list[int]] | None  # sentences to labels; None takes those of the records
    decoding: dict[str, Any]  # what a `Decoder` needs to know of the outputs
    about: dict[str, str]  # what training begins with, for run.json

    def build(self) -> keras.Model:
        """Make the model with its first weights, under the strategy and precision policy in force."""

    def logits(self, model: keras.Model, part: Part, seed: tf.Tensor) -> tf.Tensor:
        """Return the logits of a part in training, [B, T', C]; `seed`, int32 [2], draws the dropout."""

    def losses(self, model: keras.Model, part: Part, seed: tf.Tensor) -> tf.Tensor:
        """Return the loss of every utterance in nats, float32 [B]; 0 for empty places."""

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
