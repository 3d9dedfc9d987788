"""The model as the trainer takes it; see `models.learner.Learner` for what each method is asked."""

import keras
import numpy as np
import tensorflow as tf

from models.ctc.loss import ctc_loss
from models.kernels import Choice
from tinyconv import KERNEL, STRIDE, Config


def learner(config: Config, *, frames: int) -> "TinyConv":  # noqa: ARG001 - it takes any length
    return TinyConv(config)


class TinyConv:
    encode = decode = None  # labels are those of the records; a decoder makes sentences of the logits
    about: dict[str, str] = {}
    shuffle_files_only = False

    def __init__(self, config: Config) -> None:
        self.config, self.optimiser = config, config.rules.optimiser

    def build(self) -> keras.Model:
        inputs = outputs = keras.Input([None, 93])
        for layer in range(self.config.layers):
            shape = {"strides": STRIDE, "padding": "valid"} if layer == 0 else {"padding": "same"}
            outputs = keras.layers.Conv1D(self.config.filters, KERNEL, activation="relu", **shape)(outputs)
        return keras.Model(inputs, keras.layers.Dense(30, dtype="float32")(outputs))

    def outputs(self, model: keras.Model, features: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:  # noqa: ARG002
        return model(features)

    def losses(self, model: keras.Model, part, seed: tf.Tensor) -> tf.Tensor:  # noqa: ARG002 - nothing is drawn
        outputs = tf.nn.relu((part["frames"] - KERNEL) // STRIDE + 1)
        return ctc_loss(part["labels"], part["label_lengths"], model(part["features"]), outputs)

    def output_counts(self, frames: np.ndarray) -> np.ndarray:
        return self.config.output_frames(frames)

    def units(self, part) -> tf.Tensor:
        return tf.cast(part["frames"] > 0, tf.float32)

    def tflop(self, part) -> tf.Tensor:
        outputs = tf.cast(tf.nn.relu((part["frames"] - KERNEL) // STRIDE + 1), tf.float32)
        return tf.reduce_sum(outputs) * (6 * self.config.parameters / 1e12)

    def label_step(self, frames: tf.Tensor) -> int:  # noqa: ARG002
        return 1

    def moving(self, model: keras.Model) -> list:  # noqa: ARG002 - no moving averages
        return []

    moved = moving

    def choose_kernels(self, *, dtype: str, batch: int, frames: int) -> dict[str, Choice]:  # noqa: ARG002
        return {"convolution": Choice("Keras", "there is no other")}
