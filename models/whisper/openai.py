"""The tensors of OpenAI's .pt file of a Whisper model, by Hugging Face's names, read without PyTorch.

    dims, tensors = read(Path("tiny.en.pt"))
    dims["n_vocab"], tensors["model.encoder.conv1.weight"]

A .pt file is a pickle in an archive, and a pickle is a program: it is read by an unpickler that knows only dictionaries
and tensors, and refuses everything else.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np


def read(path: Path) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Return the sizes by OpenAI's names, and the tensors, float32 or float16, by Hugging Face's.

    Raises:
        pickle.UnpicklingError: it asks for anything but dictionaries and tensors.
        zipfile.BadZipFile, ValueError, KeyError: it is no such archive.
    """
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        found = _Unpickler(archive, pickled.removesuffix("/data.pkl")).load()
    return found["dims"], {_renamed(name): tensor for name, tensor in found["model_state_dict"].items()}


class _Unpickler(pickle.Unpickler):
    """Reads a dictionary of tensors from a PyTorch archive, and calls nothing else."""

    KINDS = {"FloatStorage": np.float32, "HalfStorage": np.float16}

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in self.KINDS:
            return self.KINDS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, number, key, _, _ = pid
        if kind != "storage" or not str(key).isdigit():
            raise pickle.UnpicklingError(f"it asks for {pid!r:.80}")
        return np.frombuffer(self._archive.read(f"{self._root}/data/{key}"), number)


def _tensor(storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> np.ndarray:
    count = int(np.prod(size))
    expected = tuple(int(np.prod(size[n + 1 :])) for n in range(len(size)))
    if tuple(stride) != expected or offset + count > len(storage):
        raise pickle.UnpicklingError("it has a tensor whose values do not lie in a row")
    return storage[offset : offset + count].reshape(size)


OPENAI = (
    (r"^(encoder|decoder)", r"model.\1"), (r"\.blocks\.", ".layers."),
    (r"positional_embedding", "embed_positions.weight"),
    (r"token_embedding", "embed_tokens"), (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."), (r"\.cross_attn\.", ".encoder_attn."), (r"\.attn\.", ".self_attn."),
    (r"\.query\.", ".q_proj."), (r"\.key\.", ".k_proj."), (r"\.value\.", ".v_proj."), (r"\.out\.", ".out_proj."),
    (r"\.mlp\.0\.", ".fc1."), (r"\.mlp\.2\.", ".fc2."), (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.(ln_post|ln)\.", ".layer_norm."),
)  # fmt: skip


def _renamed(name: str) -> str:
    for pattern, replacement in OPENAI:
        name = re.sub(pattern, replacement, name)
    return name
