"""The acoustic model outside of the suite: TensorFlow's own operations, stock layers of Keras, an ONNX graph.

graph(learner, model)(features, lengths)        # {"logits": [B, T', 30], "lengths": [B]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.deepspeech import network
from models.deepspeech.learner import DeepSpeechLearner
from models.portable import Acoustic, PortableError


def graph(learner: DeepSpeechLearner, model: network.DeepSpeech) -> Acoustic:
    """Return the forward pass with the portable recurrent loop; the model keeps that loop.

    Batches that are shorter than the convolution's kernel are padded to it; their lengths are 0.
    """
    for lstm in model.lstms:
        lstm.loop = "portable"
    config = learner.config

    def acoustic(features: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        missing = tf.maximum(0, config.kernel - tf.shape(features)[1])
        features = tf.pad(features, [[0, 0], [0, missing], [0, 0]])
        logits = model(features, lengths, training=False)
        return {"logits": logits, "lengths": network.output_frames(lengths, config)}

    return acoustic


def more(learner: DeepSpeechLearner, model: network.DeepSpeech) -> dict:  # noqa: ARG001 - as others have
    return {}


def about(learner: DeepSpeechLearner) -> dict[str, Any]:
    config, recipe = learner.config, learner.config.rules
    found = {
        "kind": "logits of a CTC model",
        "stride": config.stride,
        "kernel": config.kernel,
        "least_frames": config.kernel,
        "lengths": f"max(0, (frames - {config.kernel}) // {config.stride} + 1)",
    }
    if recipe.batch_statistics_at_evaluation:
        found["batch"] = "an utterance's logits depend on its batch: it is normalised by that, as recipe authors has it"
    return found


def stock(learner: DeepSpeechLearner, model: network.DeepSpeech) -> keras.Model:
    """Return the model of Keras's own layers.

    Raises:
        PortableError: the recipe has peepholes, or normalises by the batch's own statistics at evaluation.
    """
    config, recipe = learner.config, learner.config.rules
    if recipe.peepholes or recipe.batch_statistics_at_evaluation:
        why = "keras.layers.LSTM has no peepholes" if recipe.peepholes else (
            "keras.layers.BatchNormalization has moving averages alone at evaluation"
        )  # fmt: skip
        raise PortableError(f"recipe {config.recipe} as stock layers: {why}; take --to savedmodel or onnx")
    layers = keras.layers
    features = keras.Input([None, config.features], name="features")
    lengths = keras.Input([], dtype="int32", name="lengths")
    convolution = layers.Conv1D(
        config.filters, config.kernel, strides=config.stride, use_bias=False, name="convolution"
    )
    x, made = convolution(features), [(convolution, model.convolution)]
    for number, norm in enumerate(model.norms):
        if number:
            lstm = layers.LSTM(config.units, return_sequences=True, name=f"lstm{number - 1}")
            x = lstm(x)
            made.append((lstm, model.lstms[number - 1]))
        if recipe.layer_norm:
            own = layers.LayerNormalization(epsilon=network.EPSILON, name=norm.name)
        else:
            own = layers.BatchNormalization(epsilon=network.BatchNorm.EPSILON, name=norm.name)
            x = layers.ReLU(name=f"relu{number}")(x) if recipe.relu else x
        x = own(x)
        made.append((own, norm))
        if recipe.layer_norm and not number:
            x = layers.ReLU(name="relu0")(x)
    dense = layers.Dense(config.alphabet, activation="relu" if recipe.relu_logits else None, name="logits")
    logits = dense(x)
    made.append((dense, model.output_layer))
    counted = keras.ops.maximum((lengths - config.kernel) // config.stride + 1, 0)
    found = keras.Model({"features": features, "lengths": lengths}, {"logits": logits, "logits_lengths": counted})
    for theirs, ours in made:
        theirs.set_weights([variable.numpy() for variable in ours.weights])
    return found


def onnx_graph(learner: DeepSpeechLearner, model: network.DeepSpeech) -> Any:
    from models.deepspeech.onnx_graph import made

    weights = {variable.path.removeprefix("deep_speech/"): np.asarray(variable.numpy()) for variable in model.variables}
    return made(learner.config, weights)


def publish(learner: DeepSpeechLearner, model: network.DeepSpeech, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    raise PortableError(
        f"model {learner.config.name} has no class in transformers; take --to savedmodel, keras or onnx"
    )
