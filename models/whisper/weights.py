"""Published weights of Whisper, read without PyTorch: a folder of Hugging Face or CTranslate2, or OpenAI's .pt file.

    found = read(Path("whisper-tiny.en"))
    found.config, found.digest, found.tokenizer
    model = build(found.config); assign(model, found)

Whatever the format, tensors get Hugging Face's names. A .pt file is a pickle in an archive, and a pickle is a program:
it is read by an unpickler that knows only dictionaries and tensors, and refuses everything else.
"""

from __future__ import annotations

import json
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.whisper.config import Config, Sizes
from models.whisper.places import AUTO, CTRANSLATE2, RANDOM, SAFETENSORS, resolve
from models.whisper.places import digest as _digest

if TYPE_CHECKING:
    from models.whisper.network import Whisper

CLOSE = 1e-3  # of sinusoids that were stored as float16
FORMATS = (
    f"a Hugging Face folder ({SAFETENSORS}, config.json), a CTranslate2 folder ({CTRANSLATE2}, config.json) or "
    f"OpenAI's .pt file"
)


class WeightsError(ValueError):
    """Weights that cannot be used; the message names the file, what was found and the way out."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors by Hugging Face's names, as NumPy arrays, and what came with them.

    `digest` is the SHA-256 of the file of tensors. `tokenizer` is a tokenizer.json, None if there is none. Tokens in
    `suppressed` are never decoded, and those in `suppressed_first` not as the first one.
    """

    path: Path
    config: Sizes
    tensors: Mapping[str, np.ndarray] = field(repr=False)
    digest: str
    tokenizer: Path | None = None
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()


def read(path: Path) -> Weights:
    """Read weights from a folder or a file.

    Raises:
        WeightsError: there are none of a known format, or they cannot be read.
    """
    try:
        if path.suffix == ".pt":
            return _of_openai(path)
        for name, reader in ((SAFETENSORS, _of_hugging_face), (CTRANSLATE2, _of_ctranslate2)):
            if (path / name).is_file():
                return reader(path)
    except WeightsError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        struct.error,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise WeightsError(f"{path}: cannot be read ({str(error)[:200]}); expected {FORMATS}") from error
    there = "no such file or folder" if not path.exists() else "no weights of a known format"
    raise WeightsError(f"{path}: {there}; expected {FORMATS}")


def settled(config: Config) -> tuple[Config, str]:
    """Return the settings with the weights found and their sizes, and a short word that tells these weights apart.

    Raises:
        PlaceError: they are not there; the message says how to get some.
        WeightsError: they cannot be read, or have other sizes than those that were asked for.
    """
    place = resolve(config.weights or AUTO)
    if place is None:
        return replace(config, weights=RANDOM), "random-weights"
    found = read(place)
    usual, theirs = Sizes().sizes, found.config.sizes
    for name, asked in config.sizes.items():
        if asked not in (usual[name], theirs[name]):
            raise WeightsError(f"{place}: {name} is {theirs[name]}; expected {asked}, as the workload asks for")
    sized: Config = replace(config, weights=str(place), **theirs)  # type: ignore[arg-type]
    return sized, f"weights-{found.digest[:8]}"


def assign(model: Whisper, weights: Weights) -> None:
    """Give a model the weights. Raises WeightsError if a tensor is missing or of another shape, or positions differ."""
    from models.whisper.network import sinusoids

    positions = weights.tensors["model.encoder.embed_positions.weight"].astype(np.float32)
    own = sinusoids(*positions.shape)
    if (off := float(np.abs(positions - own).max())) > CLOSE:
        raise WeightsError(f"{weights.path}: the encoder's positions are off by {off:.2g} from Whisper's sinusoids")
    for variable in model.variables:
        if variable.path.endswith("encoder/positions"):
            continue
        name, turned = place_of(variable.path)
        if name not in weights.tensors:
            raise WeightsError(f"{weights.path}: no tensor {name}; expected all of a Whisper model")
        value = turned(weights.tensors[name].astype(np.float32))
        if value.shape != tuple(variable.shape):
            raise WeightsError(f"{weights.path}: {name} has shape {value.shape}; expected {tuple(variable.shape)}")
        variable.assign(value)


PARTS = {
    "convolution0": "conv1", "convolution1": "conv2", "own": "self_attn", "cross": "encoder_attn", "wide": "fc1",
    "narrow": "fc2", "own_norm": "self_attn_layer_norm", "cross_norm": "encoder_attn_layer_norm",
    "dense_norm": "final_layer_norm", "norm": "layer_norm", "query": "q_proj", "key": "k_proj", "value": "v_proj",
    "out": "out_proj", "kernel": "weight", "gamma": "weight", "beta": "bias", "tokens": "embed_tokens.weight",
    "positions": "embed_positions.weight",
}  # fmt: skip


def place_of(path: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Return the name that Hugging Face gives to a variable of ours, and how its tensor is turned into ours."""
    parts = path.removeprefix("whisper/").split("/")
    names = [re.sub(r"^block(\d+)$", r"layers.\1", PARTS.get(part, part)) for part in parts]
    turned: Callable[[np.ndarray], np.ndarray] = lambda tensor: tensor  # noqa: E731
    if parts[-1] == "kernel":
        turned = np.transpose  # dense [out, in]; a convolution [out, in, k]: both are reversed
    return ".".join(["model", *names]), turned


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def _of_hugging_face(folder: Path) -> Weights:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise WeightsError(f"{folder}: safetensors is not here; pip install '.[whisper]'") from None
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = Sizes(
        mels=settings["num_mel_bins"],
        width=settings["d_model"],
        heads=settings["encoder_attention_heads"],
        encoder_layers=settings["encoder_layers"],
        decoder_layers=settings["decoder_layers"],
        vocabulary=settings["vocab_size"],
        audio_positions=settings["max_source_positions"],
        text_positions=settings["max_target_positions"],
    )
    asked = {**settings, **_json(folder / "generation_config.json")}
    return Weights(
        path=folder,
        config=config,
        tensors=load_file(folder / SAFETENSORS),
        digest=_digest(folder / SAFETENSORS),
        tokenizer=_tokenizer(folder),
        suppressed=tuple(asked.get("suppress_tokens") or ()),
        suppressed_first=tuple(asked.get("begin_suppress_tokens") or ()),
    )


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _tokenizer(folder: Path) -> Path | None:
    path = folder / "tokenizer.json"
    return path if path.is_file() else None


# --- CTranslate2 -----------------------------------------------------------------------------------------------------

NUMBERS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
LARGEST_BYTES = 8 << 30  # of a model


def _of_ctranslate2(folder: Path) -> Weights:
    """Read format 6: version, name, revision; count; name, shape, type, bytes, values of each tensor; aliases."""
    path = folder / CTRANSLATE2
    stored = dict(_ctranslate2_tensors(path))
    settings = _json(folder / "config.json")
    tensors = dict(_unfused(stored))
    width = tensors["model.encoder.conv1.weight"].shape[0]
    config = Sizes(
        mels=tensors["model.encoder.conv1.weight"].shape[1],
        width=width,
        heads=int(stored["encoder/num_heads"]),
        encoder_layers=_count(stored, "encoder"),
        decoder_layers=_count(stored, "decoder"),
        vocabulary=tensors["model.decoder.embed_tokens.weight"].shape[0],
        audio_positions=tensors["model.encoder.embed_positions.weight"].shape[0],
        text_positions=tensors["model.decoder.embed_positions.weight"].shape[0],
    )
    return Weights(
        path=folder,
        config=config,
        tensors=tensors,
        digest=_digest(path),
        tokenizer=_tokenizer(folder),
        suppressed=tuple(settings.get("suppress_ids", ())),
        suppressed_first=tuple(settings.get("suppress_ids_begin", ())),
    )


def _count(stored: Mapping[str, np.ndarray], side: str) -> int:
    return len(
        {name.split("/")[1] for name in stored if name.startswith(f"{side}/layer_") and "/layer_norm/" not in name[:20]}
    )


def _ctranslate2_tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
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
    for _ in range(taken("I")):
        name = text()
        shape = [taken("I") for _ in range(taken("B"))]
        kind_of_number, size = taken("B"), taken("I")
        if kind_of_number not in NUMBERS:
            raise WeightsError(f"{path}: {name} holds numbers of type {kind_of_number}; expected float16 or float32")
        values = np.frombuffer(
            content, NUMBERS[kind_of_number], size // np.dtype(NUMBERS[kind_of_number]).itemsize, place
        )
        yield name, values.reshape(shape)
        place += size


def _unfused(stored: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield tensors by Hugging Face's names; CTranslate2's one matrix of queries, keys and values is split."""
    outer = {"conv1": "conv1", "conv2": "conv2", "layer_norm": "layer_norm", "embeddings": "embed_tokens"}
    for name, tensor in stored.items():
        side, _, rest = name.partition("/")
        head = f"model.{side}"
        last = {"gamma": "weight", "beta": "bias"}.get(name.rpartition("/")[2], name.rpartition("/")[2])
        if match := re.fullmatch(r"layer_(\d+)/(self_attention|attention|ffn)/(\w+?)/(\w+)", rest):
            number, part, inner, _ = match.groups()
            for own, value in _of_layer(part, inner, last, tensor):
                yield f"{head}.layers.{number}.{own}", value
        elif rest == "position_encodings/encodings":
            yield f"{head}.embed_positions.weight", tensor
        elif (first := rest.partition("/")[0]) in outer and last in ("weight", "bias"):
            yield f"{head}.{outer[first]}.{last}", tensor


def _of_layer(part: str, inner: str, last: str, tensor: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    own = {"self_attention": "self_attn", "attention": "encoder_attn"}.get(part, "")
    if inner == "layer_norm":
        yield f"{own}_layer_norm.{last}" if own else f"final_layer_norm.{last}", tensor
    elif not own:
        yield f"{'fc1' if inner == 'linear_0' else 'fc2'}.{last}", tensor
    else:
        fused = {"self_attn": {"linear_0": ("q_proj", "k_proj", "v_proj"), "linear_1": ("out_proj",)},
                 "encoder_attn": {"linear_0": ("q_proj",), "linear_1": ("k_proj", "v_proj"), "linear_2": ("out_proj",)},
                 }[own][inner]  # fmt: skip
        for name, value in zip(fused, np.split(tensor, len(fused)), strict=True):
            yield f"{own}.{name}.{last}", value


# --- OpenAI ----------------------------------------------------------------------------------------------------------


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


def _of_openai(path: Path) -> Weights:
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        found = _Unpickler(archive, pickled.removesuffix("/data.pkl")).load()
    sizes = found["dims"]
    config = Sizes(
        mels=sizes["n_mels"],
        width=sizes["n_audio_state"],
        heads=sizes["n_audio_head"],
        encoder_layers=sizes["n_audio_layer"],
        decoder_layers=sizes["n_text_layer"],
        vocabulary=sizes["n_vocab"],
        audio_positions=sizes["n_audio_ctx"],
        text_positions=sizes["n_text_ctx"],
    )
    tensors = {_renamed(name): tensor for name, tensor in found["model_state_dict"].items()}
    return Weights(path=path, config=config, tensors=tensors, digest=_digest(path), tokenizer=_tokenizer(path.parent))


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
