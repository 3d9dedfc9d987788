"""The tensors of a CTranslate2 model of Whisper, by Hugging Face's names; quantised ones are multiplied out.

    stored = read(Path("model.bin"))
    stored.tensors["model.encoder.conv1.weight"], stored.heads

Format 6 is: version, name, revision; count; name, shape, type, bytes, values of each variable; count; pairs of alias
and name. A quantised matrix NAME/weight stands beside NAME/weight_scale, and a value is its number divided by its
scale: int8 has a scale for each row (the first axis, of convolutions too), int16 one for all.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.whisper.places import WeightsError

NUMBERS = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2", 5: "<u2"}
BFLOAT16 = 5
LARGEST_BYTES = 8 << 30  # of a model
SETTINGS = {"activation": 3, "alibi": 0, "pre_norm": 1, "scale_embeddings": 0, "start_from_zero_embedding": 0,
            "multi_query_attention": 0}  # fmt: skip
"""Scalars that change what a decoder computes, with Whisper's values; activation 3 is the exact GELU."""
HARMLESS = {"alibi_use_positive_positions", "scale_alibi", "alignment_heads", "alignment_layer", "num_heads"}
"""Scalars that say something about ALiBi, which is off, or time stamps; `num_heads` is read."""
OUTER = {"conv1": "conv1", "conv2": "conv2", "layer_norm": "layer_norm", "embeddings": "embed_tokens"}
FUSED = {
    "self_attention": ("self_attn", (("q_proj", "k_proj", "v_proj"), ("out_proj",))),
    "attention": ("encoder_attn", (("q_proj",), ("k_proj", "v_proj"), ("out_proj",))),
}
"""The matrices in which CTranslate2 joins queries, keys and values, by part of a layer."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a model.bin holds: tensors by Hugging Face's names, float32 or float16, and heads of an attention."""

    tensors: Mapping[str, np.ndarray]
    heads: int


def read(path: Path) -> Stored:
    """Read a model.bin.

    Raises:
        WeightsError: it is no Whisper model of format 6, holds a variable that no Whisper model has, a quantised one
            without its scales, or a setting that Whisper's is not.
        struct.error, ValueError, KeyError: it is cut short or damaged.
    """
    variables = _variables(path)
    heads = {side: int(variables[f"{side}/num_heads"]) for side in ("encoder", "decoder")}
    if heads["encoder"] != heads["decoder"]:
        raise WeightsError(f"{path}: {heads['encoder']} heads in the encoder, {heads['decoder']} in the decoder; "
                           f"expected as many in both, as Whisper has")  # fmt: skip
    return Stored(tensors=dict(_renamed(path, _values(path, variables))), heads=heads["encoder"])


def _variables(path: Path) -> dict[str, np.ndarray]:
    """Return all variables by CTranslate2's names, aliases included."""
    if path.stat().st_size > LARGEST_BYTES:
        raise WeightsError(f"{path}: {path.stat().st_size:,} bytes; expected at most {LARGEST_BYTES:,}")
    content = path.read_bytes()
    place = 0

    def taken(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{form}", content, place)
        place += struct.calcsize(f"<{form}")
        return value

    def text() -> str:
        nonlocal place
        length = taken("H")
        found = content[place : place + length - 1].decode()
        place += length
        return found

    if (version := taken("I")) != 6 or (kind := text()) != "WhisperSpec":
        found = f"version {version}" if version != 6 else kind
        raise WeightsError(f"{path}: found {found}; expected a Whisper model of CTranslate2, format 6")
    taken("I")
    variables = {}
    for _ in range(taken("I")):
        name = text()
        shape = [taken("I") for _ in range(taken("B"))]
        number, size = taken("B"), taken("I")
        if number not in NUMBERS:
            raise WeightsError(f"{path}: {name} holds numbers of type {number}; expected one of 0 to {max(NUMBERS)}")
        form = np.dtype(NUMBERS[number])
        values = np.frombuffer(content, form, size // form.itemsize, place).reshape(shape)
        variables[name] = widened(values) if number == BFLOAT16 else values
        place += size
    for alias, name in [(text(), text()) for _ in range(taken("I"))]:
        variables[alias] = variables[name]
        if f"{name}_scale" in variables:
            variables[f"{alias}_scale"] = variables[f"{name}_scale"]
    return variables


def widened(bits: np.ndarray) -> np.ndarray:
    """Turn bfloat16, as uint16, into float32: its bits are the upper half of float32's, so that nothing is rounded."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _values(path: Path, variables: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield tensors of floats, quantised ones multiplied out; check scalars."""
    for name, stored in variables.items():
        scale, last = variables.get(f"{name}_scale"), name.rpartition("/")[2]
        if last.endswith("_scale") and name.removesuffix("_scale") in variables:
            continue
        if last in HARMLESS and stored.ndim < 2:
            continue
        if last in SETTINGS:
            if int(stored) != SETTINGS[last]:
                raise WeightsError(f"{path}: {name} is {int(stored)}; expected {SETTINGS[last]}, as Whisper has it")
        elif scale is not None:
            yield name, _multiplied_out(path, name, stored, scale)
        elif stored.dtype.kind != "f":
            raise WeightsError(f"{path}: {name} holds {stored.dtype.name} without {name}_scale; expected its scales")
        else:
            yield name, stored


def _multiplied_out(path: Path, name: str, stored: np.ndarray, scale: np.ndarray) -> np.ndarray:
    rows = stored.shape[:1]
    if stored.dtype.kind != "i" or scale.shape not in ((), rows) or not (np.isfinite(scale) & (scale > 0)).all():
        raise WeightsError(f"{path}: {name} holds {stored.dtype.name} {list(stored.shape)} with scales "
                           f"{scale.dtype.name} {list(scale.shape)}; expected whole numbers, and a positive scale for "
                           f"each row or one for all")  # fmt: skip
    return stored / scale.astype(np.float32).reshape(scale.shape + (1,) * (stored.ndim - 1) * scale.ndim)


def _renamed(path: Path, values: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield tensors by Hugging Face's names; matrices of queries, keys and values are split."""
    for name, tensor in values:
        side, _, rest = name.partition("/")
        scope, _, stored_as = rest.rpartition("/")
        last = {"gamma": "weight", "beta": "bias"}.get(stored_as, stored_as)
        if match := re.fullmatch(r"layer_(\d+)/(self_attention|attention|ffn)/(layer_norm|linear_[0-2])", scope):
            number, part, inner = match.groups()
            for own, value in _of_layer(part, inner, last, tensor):
                yield f"model.{side}.layers.{number}.{own}", value
        elif rest == "position_encodings/encodings":
            yield f"model.{side}.embed_positions.weight", tensor
        elif scope in OUTER:
            yield f"model.{side}.{OUTER[scope]}.{last}", tensor
        elif side == "decoder" and scope == "projection":
            yield f"proj_out.{last}", tensor
        else:
            raise WeightsError(f"{path}: {name} {list(tensor.shape)} is no part of a Whisper model; expected what "
                               f"CTranslate2's converter writes")  # fmt: skip


def _of_layer(part: str, inner: str, last: str, tensor: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if part == "ffn":
        own = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[inner]
        yield f"{own}.{last}", tensor
        return
    own, joined = FUSED[part]
    if inner == "layer_norm":
        yield f"{own}_layer_norm.{last}", tensor
        return
    names = joined[int(inner[-1])]
    for name, value in zip(names, np.split(tensor, len(names)), strict=True):
        yield f"{own}.{name}.{last}", value
