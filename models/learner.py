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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.kernels import Choice
from models.recipes import AdaDelta, AdamW

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of a model before it is made.

    Its `module` has a function `learner`, which makes it from a workload's settings. `features` are those of a frame,
    93 or Whisper's 80. It is trained by one of `recipes` and decoded by one of `decoders`. `by_pieces`: whether a batch
    that is taken in pieces trains it otherwise, as batch normalisation does. `windowed`: it takes segments of one
    length, whose features are used as they are. `places` is the module that finds the weights that it begins with; ""
    if they are always drawn. `parameters` is how many it usually has; 0 if the workload says so.
    """

    module: str
    features: int
    recipes: tuple[str, ...]
    decoders: tuple[str, ...]
    by_pieces: bool
    windowed: bool = False
    places: str = ""
    parameters: int = 0


MODELS = {
    "deepspeech": Kind(
        module="models.deepspeech",
        features=93,
        recipes=("paper", "authors"),
        decoders=("greedy", "dictionary", "language-model"),
        by_pieces=True,
    ),
    "whisper": Kind(
        module="models.whisper.learner",
        features=80,
        recipes=("fine-tune",),
        decoders=("greedy",),
        by_pieces=False,
        windowed=True,
        places="models.whisper.places",
        parameters=37_760_256,  # of the English tiny model
    ),
}

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
        """Return the variables that training moves beside those with gradients, as batch normalisation's averages."""

    def moved(self, model: keras.Model) -> list[tf.Tensor]:
        """Return what the last call of `losses` makes of them on this replica; the trainer assigns replicas' means."""

    def label_step(self, frames: tf.Tensor) -> tf.Tensor | int:
        """Return of what number the width of labels should be a multiple, for a batch padded to so many frames."""

    def units(self, part: Part) -> tf.Tensor:
        """Return how much every utterance weighs in the mean that is differentiated, float32 [B]."""

    def tflop(self, part: Part) -> tf.Tensor:
        """Return the 10^12 operations that training takes on a part, without padding, float32 []."""

    def outputs(self, model: keras.Model, features: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Return what decoders turn into sentences: logits [B, T', C], or tokens [B, T']."""

    def output_counts(self, frames: np.ndarray) -> np.ndarray:
        """Return how many outputs utterances of so many frames have, int [B]."""

    def choose_kernels(self, *, dtype: str, batch: int, frames: int) -> dict[str, Choice]:
        """Choose which kernels compute what; a GPU tries them. Until then, those that always work are used.

        The largest batch of a replica has `batch` utterances of `frames` frames.
        """


def learner_of(name: str, settings: Mapping[str, Any]) -> Learner:
    """Make a model's learner from a workload's settings. Raises ValueError for an unknown name or bad sizes."""
    if name not in MODELS:
        raise ValueError(f"no model {name!r}; there are {', '.join(MODELS)}")
    return importlib.import_module(MODELS[name].module).learner(settings)


def first_weights(name: str, weights: str) -> tuple[str, str]:
    """Return where a model's first weights are, and a short word that tells them from others; ("", "") if drawn.

    Raises:
        ValueError: they are not there; the message says how to get some.
    """
    if not MODELS[name].places:
        return "", ""
    places = importlib.import_module(MODELS[name].places)
    found = places.resolve(weights or places.AUTO)
    return (places.RANDOM, "random-weights") if found is None else (str(found), f"weights-{places.digest(found)[:8]}")
