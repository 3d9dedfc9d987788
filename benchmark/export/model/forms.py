"""The formats of a model, and the folder that one becomes: whole or absent.

made = make("results/RUN", "savedmodel", Path("out"), checkpoint="best")
"""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.export.runs import ExportError

FORMS = {
    "savedmodel": "benchmark.export.model.saved_model",
    "keras": "benchmark.export.model.keras_file",
    "onnx": "benchmark.export.model.onnx_file",
    "hf": "benchmark.export.model.published",
}
"""Each module has a function `write(opened, folder)`, which returns what metadata.json is to say of the format."""
METADATA = "metadata.json"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A folder that was made, and a sentence about it."""

    folder: Path
    said: str


def make(run: str | Path, form: str, folder: Path, *, checkpoint: str) -> Made:
    """Write the model of a run, by its folder, journal or checkpoint, into a folder that is not there yet.

    Raises:
        ExportError: the format cannot hold this model, a library is missing, or what was written is not the model.
        FinalError, CheckpointError: the run has no such checkpoint.
    """
    from benchmark.run.prepare.trained import load_trained

    trained = load_trained(Path(run))
    if not list((trained.folder / "checkpoints").glob("ckpt-*.index")):
        raise ExportError(f"{trained.folder / 'checkpoints'}: no checkpoints; expected those of a run, which hold its "
                          f"model: copy the whole folder of the run")  # fmt: skip
    from benchmark.export.model.about import metadata  # these load TensorFlow
    from benchmark.export.model.opened import open_model
    from models.portable import PortableError

    module: Any = importlib.import_module(FORMS[form])
    beside = folder.with_name(f".{folder.name}.unfinished")
    opened = open_model(trained, checkpoint=checkpoint)
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        of_format = module.write(opened, beside)
        content = metadata(opened, form, of_format)
        (beside / METADATA).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        beside.replace(folder)
    except PortableError as error:
        raise ExportError(f"{trained.folder}: {error}") from None
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written ({error.strerror or error}); choose another -o") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    checked = of_format["checked"]
    emulated = "; the run is emulated: its model is as any, its times say nothing" if content["emulated"] else ""
    return Made(folder=folder, said=f"{opened.label}; {checked}{emulated}")
