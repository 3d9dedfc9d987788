"""The front end with the normalisation as an ONNX graph, and a model behind it.

    proto = front_end("mfcc13-logmel80", "utterance")   # samples [B, S], lengths [B] -> features, features_lengths
    proto = joined(proto, acoustic)                     # samples, lengths -> logits, logits_lengths

It is features/frames/graph.py in ONNX's operations. The transform is a product with 514 cosines and sines, in float64
as there: in float32, rounding would drown near-silent bands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.corpus.audio import STEP_SAMPLES
from features.frames import USUAL, mfcc
from models.onnx_nodes import DOUBLE, FLOAT, FLOAT16, INT64, Graph
from models.portable import PortableError


def front_end(name: str, normalisation: str) -> Any:
    """Return an onnx.ModelProto, float32 [B, S] and int64 [B] -> float32 [B, T, 93] and int64 [B].

    S is of the longest utterance, at 16 kHz; what lies beyond an utterance's own samples changes nothing.

    Raises:
        PortableError: there is no such graph, or onnx is not installed.
    """
    if name != USUAL:
        raise PortableError(f"the front end {name} as ONNX is not here; {USUAL} is")
    graph = Graph()
    whole = graph.size("samples", 1)
    lengths = graph.add("Min", "lengths", whole)
    silence = graph.number(0.0)
    samples = graph.add("Where", graph.below(lengths, whole), "samples", silence)
    frames = _frames(graph, lengths, to="features_lengths")
    most = _frames(graph, whole)
    pads = graph.weight("pads", np.array([0, 0, 0, mfcc.FRAME_SAMPLES], np.int64))
    padded = graph.cast(graph.add("Pad", samples, pads), DOUBLE)
    starts = graph.add("Mul", graph.add("Range", graph.whole(0), most, graph.whole(1)), graph.whole(STEP_SAMPLES))
    within = graph.weight("within", np.arange(mfcc.FRAME_SAMPLES)[None])
    framed = graph.add(
        "Gather", padded, graph.add("Add", graph.add("Unsqueeze", starts, graph.axes(1)), within), axis=1
    )
    cosines, sines = _transform()
    parts = (graph.add("MatMul", framed, graph.weight(n, each)) for n, each in (("cosines", cosines), ("sines", sines)))
    squares = [graph.add("Mul", part, part) for part in parts]
    spectrum = graph.cast(graph.add("Sqrt", graph.add("Add", *squares)), FLOAT)
    mel = graph.add("MatMul", spectrum, graph.weight("mel", mfcc.mel_weights()))
    log_mel = graph.add("Log", graph.add("Add", mel, graph.number(mfcc.LOG_FLOOR)))
    cepstrum = graph.add("MatMul", log_mel, graph.weight("dct", mfcc.dct()))
    features = graph.add("Concat", cepstrum, log_mel, axis=2)
    features = graph.cast(graph.cast(features, FLOAT16), FLOAT)  # as shards store them
    valid = graph.add("Unsqueeze", graph.cast(graph.below(frames, most), FLOAT), graph.axes(2))
    _normalised(graph, features, valid, normalisation)
    return graph.model(
        "front_end",
        takes={"samples": (FLOAT, ["batch", "samples"]), "lengths": (INT64, ["batch"])},
        gives={"features": (FLOAT, ["batch", "frames", mfcc.FEATURES]), "features_lengths": (INT64, ["batch"])},
    )


def joined(front: Any, acoustic: Any) -> Any:
    """Return both as one onnx.ModelProto: samples, lengths -> logits, logits_lengths."""
    import onnx

    taken = onnx.compose.add_prefix(acoustic, "acoustic/", inplace=False)
    for given in ("logits", "logits_lengths"):
        _renamed(taken.graph, f"acoustic/{given}", given)
    return onnx.compose.merge_models(
        front,
        taken,
        io_map=[("features", "acoustic/features"), ("features_lengths", "acoustic/lengths")],
        name="speech",
        producer_name="speech-tta",
    )


def _renamed(graph: Any, old: str, new: str) -> None:
    for each in graph.output:
        each.name = new if each.name == old else each.name
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def _frames(graph: Graph, samples: str, *, to: str = "") -> str:
    """Return ceil(samples / 160)."""
    more = graph.add("Add", samples, graph.whole(STEP_SAMPLES - 1))
    return graph.add("Div", more, graph.whole(STEP_SAMPLES), to=to)  # of no number below zero


def _transform() -> tuple[np.ndarray, np.ndarray]:
    """Return the windowed cosines and sines of the discrete Fourier transform, float64 [512, 257] each."""
    turns = np.outer(np.arange(mfcc.FRAME_SAMPLES), np.arange(mfcc.FFT_SIZE // 2 + 1)) % mfcc.FFT_SIZE
    angles = 2 * np.pi * turns / mfcc.FFT_SIZE
    window = mfcc.window()[:, None]
    return np.cos(angles) * window, np.sin(angles) * window


def _normalised(graph: Graph, features: str, valid: str, normalisation: str) -> None:
    """Add what features.frames.graph.normalised does, [B, T, F] and [B, T, 1]; its output is "features"."""
    if normalisation == "none":
        graph.add("Identity", features, to="features")
    elif normalisation == "frame-l2":
        squares = graph.add("ReduceSum", graph.add("Mul", features, features), graph.axes(2), keepdims=1)
        length = graph.add("Sqrt", graph.add("Max", squares, graph.number(1e-12)))
        graph.add("Mul", graph.add("Div", features, length), valid, to="features")
    else:
        count = graph.add("Max", graph.add("ReduceSum", valid, graph.axes(1), keepdims=1), graph.number(1.0))

        def mean(x: str) -> str:
            return graph.add(
                "Div", graph.add("ReduceSum", graph.add("Mul", x, valid), graph.axes(1), keepdims=1), count
            )

        centred = graph.add("Sub", features, mean(features))
        variance = mean(graph.add("Mul", centred, centred))
        deviation = graph.add("Sqrt", graph.add("Add", variance, graph.number(1e-6)))
        graph.add("Mul", graph.add("Div", centred, deviation), valid, to="features")
