"""What a trained model becomes outside of the suite: TensorFlow's operations, stock layers of Keras, ONNX, files.

    parts = portable_of(workload.model)                     # models/table.py
    acoustic = parts.graph(learner, model)                  # of TensorFlow's own operations: tf.saved_model.save
    parts.stock(learner, model)                             # keras.Model of Keras's own layers
    parts.onnx_graph(learner, model)                        # onnx.ModelProto
    parts.publish(learner, model, folder)                   # a folder as the model's own authors publish it

Where a format cannot hold a model, PortableError says why, and what can.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from models.learner import Learner

Acoustic = Callable[["tf.Tensor", "tf.Tensor"], dict[str, "tf.Tensor"]]
"""Features [B, T, F], valid frames [B] to what the model makes of them by name, and `lengths` int32 [B] of it."""


class PortableError(ValueError):
    """A model that a format cannot hold; the message says why and what can."""


class Portable(Protocol):
    """A model's module of that name."""

    def graph(self, learner: Learner, model: keras.Model) -> Acoustic:
        """Return the forward pass in TensorFlow's own operations, in float32."""

    def more(self, learner: Learner, model: keras.Model) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
        """Return further functions that a SavedModel is to have, with what they take."""

    def stock(self, learner: Learner, model: keras.Model) -> keras.Model:
        """Return the same model of Keras's own layers: `features`, `lengths` to `logits`, `logits_lengths`."""

    def onnx_graph(self, learner: Learner, model: keras.Model) -> Any:
        """Return an onnx.ModelProto of inputs `features`, `lengths` and outputs `logits`, `logits_lengths`."""

    def publish(self, learner: Learner, model: keras.Model, folder: Path) -> dict[str, Any]:
        """Write the files in which its authors publish it into a folder; return what a user should know of them."""

    def about(self, learner: Learner) -> dict[str, Any]:
        """Return what one needs to make sentences of what the model gives, as plain values."""
