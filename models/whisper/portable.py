"""Whisper outside of the suite: TensorFlow's own operations, and a folder of Hugging Face.

graph(learner, model)(features, lengths)        # {"tokens": [B, L], "lengths": [B]}; features are segments
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.portable import Acoustic, PortableError
from models.whisper import network
from models.whisper.learner import WhisperLearner


def graph(learner: WhisperLearner, model: network.Whisper) -> Acoustic:
    """Return greedy decoding: the tokens of every segment, padded with the end token, and how many come before it."""

    def acoustic(features: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens = learner.outputs(model, features, lengths)
        going = tf.math.cumprod(tf.cast(tf.not_equal(tokens, learner.tokens.end), tf.int32), axis=1)
        return {"tokens": tokens, "lengths": tf.reduce_sum(going, 1)}

    return acoustic


def more(learner: WhisperLearner, model: network.Whisper) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """Return `logits`, for other ways to decode: of a segment and of tokens, the prefix first, those of the next."""

    def logits(features: tf.Tensor, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": model(features, tokens)}

    features = tf.TensorSpec([None, None, learner.config.mels], tf.float32, "features")
    return {"logits": (logits, [features, tf.TensorSpec([None, None], tf.int32, "tokens")])}


def about(learner: WhisperLearner) -> dict[str, Any]:
    return {
        "kind": "tokens, greedily decoded",
        "prefix": list(learner.tokens.prefix),
        "end": learner.tokens.end,
        "vocabulary": learner.config.vocabulary,
        "least_frames": 1,
        "most_tokens": learner.longest,
        "padding": "a segment is padded with the value that is 2 below the recording's highest, at least -1.5",
        **{name: value for name, value in learner.about.items() if name.endswith("_sha256")},
    }


def stock(learner: WhisperLearner, model: network.Whisper) -> keras.Model:  # noqa: ARG001
    raise PortableError("Whisper decodes token by token, which a file of Keras's own layers does not: take --to "
                        "savedmodel or hf")  # fmt: skip


def onnx_graph(learner: WhisperLearner, model: network.Whisper) -> Any:  # noqa: ARG001
    raise PortableError("Whisper decodes token by token, and its ONNX is made by others of a Hugging Face folder (pip "
                        "install optimum-onnx): take --to hf first")  # fmt: skip


def publish(learner: WhisperLearner, model: network.Whisper, folder: Path) -> dict[str, Any]:
    from models.whisper.publish import write

    return write(learner, model, folder)
