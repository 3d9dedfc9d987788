"""The acoustic model as an ONNX graph, made node by node of its weights.

    proto = made(config, weights)               # features [B, T, 93], lengths [B] -> logits [B, T', 30], logits_lengths

Every node is of ONNX's own operations, opset 17: Conv, LSTM with its peepholes, LayerNormalization, MatMul. The LSTM
takes no lengths: it runs forward only, so that what is padding changes nothing before it, and an utterance of no frames
is as good as any. Equations and orders of gates: models/deepspeech/lstm.py has i, f, g, o; ONNX has i, o, f, g, and
peepholes of i, o, f.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.deepspeech.config import Config
from models.onnx_nodes import FLOAT, INT64, Graph

NORM_EPSILON, BATCH_NORM_EPSILON = 1e-5, 1e-3  # those of models/deepspeech/network.py


def made(config: Config, weights: Mapping[str, np.ndarray]) -> Any:
    """Return an onnx.ModelProto of a model's weights, by the paths of its variables ("lstm0/kernel").

    Raises:
        PortableError: onnx is not installed.
    """
    graph = Graph()
    recipe = config.rules
    # [B, T, F] -> [B, F, T] -> [B, C, T'] -> [T', B, C]
    x = graph.add("Transpose", "features", perm=[0, 2, 1])
    kernel = graph.weight("convolution/kernel", weights["convolution/kernel"].transpose(2, 1, 0))
    x = graph.add("Conv", x, kernel, strides=[config.stride], kernel_shape=[config.kernel])
    x = graph.add("Transpose", x, perm=[2, 0, 1])
    counted = graph.add("Sub", "lengths", graph.whole(config.kernel))
    counted = graph.add("Add", graph.floored(counted, config.stride), graph.whole(1))
    graph.add("Max", counted, graph.whole(0), to="logits_lengths")
    valid = _valid(graph, x) if recipe.batch_statistics_at_evaluation else ""
    for number in range(config.layers + 1):
        if number:
            x = _lstm(graph, x, f"lstm{number - 1}", weights, units=config.units)
        if recipe.layer_norm:
            gamma, beta = (graph.weight(f"norm{number}/{name}", weights[f"norm{number}/{name}"]) for name in NORM)
            x = graph.add("LayerNormalization", x, gamma, beta, axis=-1, epsilon=NORM_EPSILON)
            x = x if number else graph.add("Relu", x)
        else:
            x = graph.add("Relu", x) if recipe.relu else x
            x = _batch_norm(graph, x, f"norm{number}", weights, valid)
    x = graph.add("MatMul", x, graph.weight("output/kernel", weights["output/kernel"]))
    x = graph.add("Add", x, graph.weight("output/bias", weights["output/bias"]))
    x = graph.add("Relu", x) if recipe.relu_logits else x
    graph.add("Transpose", x, perm=[1, 0, 2], to="logits")
    return graph.model(
        "acoustic",
        takes={"features": (FLOAT, ["batch", "frames", config.features]), "lengths": (INT64, ["batch"])},
        gives={"logits": (FLOAT, ["batch", "outputs", config.alphabet]), "logits_lengths": (INT64, ["batch"])},
    )


NORM = ("gamma", "beta")


def _lstm(graph: Graph, x: str, name: str, weights: Mapping[str, np.ndarray], *, units: int) -> str:
    def turned(value: np.ndarray) -> np.ndarray:
        """Return columns of the gates i, f, g, o as rows of i, o, f, g, [1, 4H, ...]."""
        i, f, g, o = np.split(value, 4, axis=-1)
        return np.concatenate([i, o, f, g], axis=-1).T[None]

    kernel, recurrent, bias = (turned(weights[f"{name}/{part}"]) for part in ("kernel", "recurrent", "bias"))
    parts = [graph.weight(f"{name}/kernel", kernel), graph.weight(f"{name}/recurrent", recurrent)]
    parts.append(graph.weight(f"{name}/bias", np.concatenate([bias, np.zeros_like(bias)], 1)))  # [1, 8H]
    if f"{name}/peephole" in weights:
        i, f, o = weights[f"{name}/peephole"]
        parts += ["", "", "", graph.weight(f"{name}/peephole", np.concatenate([i, o, f])[None])]
    x = graph.add("LSTM", x, *parts, hidden_size=units)  # [T', 1, B, H]
    return graph.add("Squeeze", x, graph.weight("direction", np.array([1], np.int64)))


def _valid(graph: Graph, x: str) -> str:
    """Return which frames of x [T', B, C] are real, float32 [T', B, 1]."""
    whole = graph.add("Shape", x, start=0, end=1)
    whole = graph.add("Squeeze", whole, graph.weight("first", np.array([0], np.int64)))
    places = graph.add("Range", graph.whole(0), whole, graph.whole(1))
    places = graph.add("Unsqueeze", places, graph.weight("after", np.array([1], np.int64)))  # [T', 1]
    less = graph.add("Less", places, "logits_lengths")  # [T', B]
    return graph.add("Unsqueeze", graph.cast(less, FLOAT), graph.weight("last", np.array([2], np.int64)))


def _batch_norm(graph: Graph, x: str, name: str, weights: Mapping[str, np.ndarray], valid: str) -> str:
    """Add batch normalisation by moving averages; by those of the valid frames if `valid` is given."""
    gamma, beta, mean, variance = (weights[f"{name}/{part}"] for part in (*NORM, "moving_mean", "moving_variance"))
    if not valid:
        scale = gamma / np.sqrt(variance + np.float32(BATCH_NORM_EPSILON))
        x = graph.add("Mul", x, graph.weight(f"{name}/scale", scale))
        return graph.add("Add", x, graph.weight(f"{name}/shift", beta - mean * scale))
    count = graph.add("Max", graph.add("ReduceSum", valid, keepdims=1), graph.number(1.0))

    def averaged(value: str) -> str:
        axes = graph.weight("frames_and_batch", np.array([0, 1], np.int64))
        return graph.add("Div", graph.add("ReduceSum", graph.add("Mul", value, valid), axes, keepdims=1), count)

    centred = graph.add("Sub", x, averaged(x))
    spread = averaged(graph.add("Mul", centred, centred))
    deviation = graph.add("Sqrt", graph.add("Add", spread, graph.number(BATCH_NORM_EPSILON)))
    x = graph.add("Mul", graph.add("Div", centred, deviation), graph.weight(f"{name}/gamma", gamma))
    return graph.add("Add", x, graph.weight(f"{name}/beta", beta))
