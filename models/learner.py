"""What the trainer asks of a model, whichever it is; and the table of models, by name.

    learner = learner_of("deepspeech", workload.to_dict())
    model = learner.build()
    losses = learner.losses(model, part, seed)              # [B], differentiated over learner.units(part) of all
    outputs = learner.outputs(model, features, frames)      # what a decoder turns into sentences

A model brings its features, loss, optimiser and outputs. Nothing outside this package knows one by name: a further
model is a module with a function `learner`, and a line in MODELS. TensorFlow is loaded when a model is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.recipes import AdaDelta

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

MODELS = {"deepspeech": "models.deepspeech"}
"""The models, and the modules whose function `learner` makes them from a workload's settings."""

Part = Mapping[str, "tf.Tensor"]
"""Utterances: features [B, T, F], frames [B], labels [B, L], label_lengths [B]; empty places have 0 frames."""


class Learner(Protocol):
    """A model with its sizes fixed. Shapes: B utterances, T frames, T' outputs."""

    config: Any
    optimiser: AdaDelta
    shuffle_files_only: bool

    def build(self) -> keras.Model:
        """Make the model with its first weights, under the strategy and precision policy in force."""

    def logits(self, model: keras.Model, part: Part, seed: tf.Tensor) -> tf.Tensor:
        """Return the logits of a part in training, [B, T', C]; `seed`, int32 [2], draws the dropout."""

    def losses(self, model: keras.Model, part: Part, seed: tf.Tensor) -> tf.Tensor:
        """Return the loss of every utterance in nats, float32 [B]; 0 for empty places."""

    def units(self, part: Part) -> tf.Tensor:
        """Return how much every utterance weighs in the mean that is differentiated, float32 [B]."""

    def tflop(self, part: Part) -> tf.Tensor:
        """Return the 10^12 operations that training takes on a part, without padding, float32 []."""

    def outputs(self, model: keras.Model, features: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Return what decoders turn into sentences: logits [B, T', C], or tokens [B, T']."""

    def output_counts(self, frames: np.ndarray) -> np.ndarray:
        """Return how many outputs utterances of so many frames have, int [B]."""

    def kernels(self, dtype: str) -> dict[str, str]:
        """Return which kernels compute what, for run.json."""


def learner_of(name: str, settings: Mapping[str, Any]) -> Learner:
    """Make a model's learner from a workload's settings. Raises ValueError for an unknown name or bad sizes."""
    if name not in MODELS:
        raise ValueError(f"no model {name!r}; there are {', '.join(MODELS)}")
    return importlib.import_module(MODELS[name]).learner(settings)
