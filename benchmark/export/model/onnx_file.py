"""A run's model as ONNX, checked by onnxruntime where that is installed.

features.onnx is the front end with the normalisation, model.onnx the acoustic model, speech.onnx both.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.export.model import onnx_front_end
from benchmark.export.model.opened import SEED, Opened
from benchmark.export.runs import ExportError
from features.frames import USUAL
from features.reading.batches import normalise

NAME, FRONT_END, WHOLE = "model.onnx", "features.onnx", "speech.onnx"
CHECK_SAMPLES = (16_000, 11_111)
"""Samples of the utterances of noise that a front end is tried with: of one the end is padding."""
CLOSE = 1e-2
"""How far a normalised feature may be from the suite's, of deviation 1: what is kept in 16 bits may go either way."""


def write(opened: Opened, folder: Path) -> dict[str, object]:
    """Write the graphs, run them, and hold them against the suite.

    Raises:
        PortableError: ONNX cannot hold this model, or onnx is not installed.
        ExportError: its outputs are not the suite's.
    """
    acoustic = opened.parts.onnx_graph(opened.learner, opened.model)
    of_format = {
        "file": NAME,
        "opset": acoustic.opset_import[0].version,
        "takes": "features, lengths",
        "gives": "logits, logits_lengths",
    }
    graphs = {NAME: acoustic}
    if opened.run.workload.model.front_end == USUAL:
        graphs[FRONT_END] = onnx_front_end.front_end(USUAL, opened.run.workload.normalisation)
        graphs[WHOLE] = onnx_front_end.joined(graphs[FRONT_END], acoustic)
        of_format |= {
            "front_end_file": {"file": FRONT_END, "takes": "samples, lengths", "gives": "features, features_lengths"},
            "whole_file": {"file": WHOLE, "takes": "samples, lengths", "gives": "logits, logits_lengths"},
        }
    from benchmark.export.model.about import metadata

    told = json.dumps(metadata(opened, "onnx", {}), allow_nan=False)
    for name, proto in graphs.items():
        proto.metadata_props.add(key="speech_tta", value=told)
        (folder / name).write_bytes(proto.SerializeToString())
    if importlib.util.find_spec("onnxruntime") is None:
        return of_format | {"checked": "not tried: onnxruntime is not here (pip install '.[export]')"}
    return of_format | _checked(opened, folder, sorted(graphs))


def _checked(opened: Opened, folder: Path, names: list[str]) -> dict[str, object]:
    import onnxruntime

    def run(name: str, **given: np.ndarray) -> list[Any]:
        session = onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
        return session.run(None, given)

    features, frames, _ = opened.held
    logits, counts = run(NAME, features=features, lengths=frames.astype(np.int64))
    found = {"runtime": onnxruntime.__version__} | opened.compared(logits, counts, "onnxruntime")
    if WHOLE not in names:
        return found
    lengths = np.array(CHECK_SAMPLES)
    samples = np.random.default_rng(SEED).standard_normal((2, max(CHECK_SAMPLES))).astype(np.float32) / 8
    made, made_frames = run(FRONT_END, samples=samples, lengths=lengths)
    off = 0.0
    for n, length in enumerate(lengths):
        stored = opened.front_end.stored(samples[n, :length]).astype(np.float16)
        expected = normalise(stored, opened.run.workload.normalisation)
        if made_frames[n] != len(expected):
            raise ExportError(f"{opened.run.folder}: {FRONT_END} gives {made_frames[n]} frames of {length} samples; "
                              f"expected {len(expected)}; nothing was written: report it")  # fmt: skip
        off = max(off, float(np.abs(made[n, : len(expected)] - expected).max()))
    if not off <= CLOSE:
        raise ExportError(f"{opened.run.folder}: {FRONT_END} gives features that are off by {off:.2g}; expected those "
                          f"of the suite within {CLOSE:g}; nothing was written: report it")  # fmt: skip
    apart, together = run(NAME, features=made, lengths=made_frames), run(WHOLE, samples=samples, lengths=lengths)
    if not all(map(np.array_equal, apart, together)):
        raise ExportError(f"{opened.run.folder}: {WHOLE} gives other logits than its two parts; nothing was written: "
                          f"report it")  # fmt: skip
    return found | {"largest_difference_of_features": off}
