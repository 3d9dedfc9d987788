"""A run's model as ONNX: model.onnx, checked by onnxruntime where that is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np

from benchmark.export.model.opened import Opened

NAME = "model.onnx"


def write(opened: Opened, folder: Path) -> dict[str, object]:
    """Write the graph, run it, and hold it against the suite.

    Raises:
        PortableError: ONNX cannot hold this model, or onnx is not installed.
        ExportError: its outputs are not the suite's.
    """
    proto = opened.parts.onnx_graph(opened.learner, opened.model)
    from benchmark.export.model.about import metadata

    told = metadata(opened, "onnx", {})
    proto.metadata_props.add(key="speech_tta", value=json.dumps(told, allow_nan=False))
    content = proto.SerializeToString()
    (folder / NAME).write_bytes(content)
    of_format = {"file": NAME, "opset": proto.opset_import[0].version, "takes": "features, lengths",
                 "gives": "logits, logits_lengths"}  # fmt: skip
    if importlib.util.find_spec("onnxruntime") is None:
        return of_format | {"checked": "not tried: onnxruntime is not here (pip install '.[export]')"}
    import onnxruntime

    features, frames, _ = opened.held
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    given = {"features": features, "lengths": frames.astype(np.int64)}
    logits, counts = session.run(["logits", "logits_lengths"], given)
    return of_format | {"runtime": onnxruntime.__version__} | opened.compared(logits, counts, "onnxruntime")
