"""A run's model as one file of Keras's own layers, which keras.models.load_model reads without the suite."""

from __future__ import annotations

from pathlib import Path

from benchmark.export.model.opened import Opened
from benchmark.run.prepare.devices import tf

NAME = "model.keras"


def write(opened: Opened, folder: Path) -> dict[str, object]:
    """Write the model, read it back, and hold it against the suite.

    Raises:
        PortableError: Keras's own layers cannot make this model.
        ExportError: its outputs are not the suite's.
    """
    opened.parts.stock(opened.learner, opened.model).save(folder / NAME)
    features, frames, _ = opened.held
    loaded = tf.keras.models.load_model(folder / NAME, compile=False)
    found = loaded({"features": features, "lengths": frames})
    told = {"file": NAME, "keras": tf.keras.__version__, "takes": "features, lengths"}
    told["gives"] = "logits, logits_lengths"
    return told | opened.compared(found["logits"].numpy(), found["logits_lengths"].numpy(), "the Keras model")
