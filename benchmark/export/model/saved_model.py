"""TensorFlow's SavedModel of a run: signatures that take plain inputs and need nothing of the suite.

    loaded = tf.saved_model.load("out")
    loaded.signatures["speech"](samples=samples, lengths=lengths)       # float32 [B, S] at 16 kHz, int32 [B]

`features` is the front end with the normalisation, `acoustic` the model, `speech` both. `lengths` are how much of each
utterance is real, samples or frames, and go in and come out beside what they are of.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.export.model.opened import Opened
from benchmark.export.runs import ExportError
from benchmark.run.prepare.devices import tf
from features.frames.graph import normalised


def write(opened: Opened, folder: Path) -> dict[str, object]:
    """Write the SavedModel and read it back. Raises ExportError if its outputs are not the suite's."""
    signatures = functions(opened)
    module = tf.Module()
    module.weights = [variable.value for variable in opened.model.variables]
    module.functions = list(signatures.values())
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    loaded = tf.saved_model.load(str(folder))
    features, frames, expected = opened.held
    found = loaded.signatures["acoustic"](features=tf.constant(features), lengths=tf.constant(frames))
    of_format: dict[str, object] = {"signatures": {name: _told(each) for name, each in loaded.signatures.items()}}
    if opened.learner.decode is None:
        return of_format | opened.compared(found["logits"].numpy(), found["lengths"].numpy(), "the SavedModel")
    if not np.array_equal(found["tokens"].numpy(), expected):
        raise ExportError(f"{opened.run.folder}: the SavedModel gives other tokens than the suite; nothing was "
                          f"written: report it")  # fmt: skip
    return of_format | {"checked": "read back, its tokens are the suite's"}


def functions(opened: Opened) -> dict[str, tf.types.experimental.GenericFunction]:
    """Return the signatures, functions of TensorFlow's own operations."""
    kind, normalisation = opened.front_end, opened.run.workload.normalisation
    forward = opened.parts.graph(opened.learner, opened.model)

    def front_end(samples: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, frames = kind.graph(samples, lengths)
        return normalised(features, frames, normalisation), frames

    def acoustic(features: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        if kind.windowed_graph:
            features = kind.windowed_graph(features, lengths, opened.segment)
        return forward(features, lengths)

    def features(samples: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        found, frames = front_end(samples, lengths)
        return {"features": found, "lengths": frames}

    def speech(samples: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return acoustic(*front_end(samples, lengths))

    lengths = tf.TensorSpec([None], tf.int32, "lengths")
    samples = tf.TensorSpec([None, None], tf.float32, "samples")
    frames = tf.TensorSpec([None, None, kind.size], tf.float32, "features")
    asked = {"acoustic": (acoustic, [frames, lengths]), **opened.parts.more(opened.learner, opened.model)}
    if kind.graph:  # a front end without one stays in the suite
        asked |= {"features": (features, [samples, lengths]), "speech": (speech, [samples, lengths])}
    return {name: tf.function(each, input_signature=takes) for name, (each, takes) in asked.items()}


def _told(signature: tf.types.experimental.ConcreteFunction) -> dict[str, object]:
    """Return what a signature takes and gives: "float32 [?, ?, 93]"."""
    takes = signature.structured_input_signature[1]
    return {
        "takes": {name: _shaped(takes[name]) for name in sorted(takes)},
        "gives": {name: _shaped(each) for name, each in sorted(signature.structured_outputs.items())},
    }


def _shaped(spec: tf.TensorSpec) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype.name} [{sizes}]"
