"""Published weights of Whisper, read without PyTorch: a folder of Hugging Face or CTranslate2, or OpenAI's .pt file.

    found = read(Path("whisper-tiny.en"))
    found.config, found.digest, found.tokens
    model = build(found.config); assign(model, found)

Whatever the format, tensors get Hugging Face's names, and every one is accounted for: it is used, or the weights are
refused by its name. The bias of keys alone is not used: it cancels in the softmax.
"""

from __future__ import annotations

import json
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.whisper import ctranslate2, openai
from models.whisper.config import MELS, Config, Sizes
from models.whisper.places import (
    AUTO,
    CTRANSLATE2,
    INDEX,
    RANDOM,
    SAFETENSORS,
    WeightsError,
    digest,
    files,
    indexed,
    resolve,
)
from models.whisper.tokens import END, ENGLISH, NO_TIMESTAMPS, SPECIAL, START, TRANSCRIBE, BytePairs, find, load

if TYPE_CHECKING:
    from models.whisper.network import Whisper

CLOSE = 5e-3  # of sinusoids that were stored as bfloat16, which is off by up to 2^-8
FORMATS = (
    f"a Hugging Face folder ({SAFETENSORS} or its index and shards, config.json), a CTranslate2 folder "
    f"({CTRANSLATE2}, config.json) or OpenAI's .pt file"
)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors by Hugging Face's names, as NumPy arrays, and what came with them.

    `digest` is that of the files of tensors (places.digest). `tokenizer` is a tokenizer.json or vocab.json, None if
    there is none. `special` are the numbers of special tokens as far as the weights' own settings state them, `forced`
    those that they put before a sentence, and `multilingual` whether the model is. Tokens in `suppressed` are never
    decoded, and those in `suppressed_first` not as the first one.
    """

    path: Path
    config: Sizes
    tensors: Mapping[str, np.ndarray] = field(repr=False)
    digest: str
    tokenizer: Path | None = None
    special: Mapping[str, int] = field(default_factory=dict)
    forced: tuple[int, ...] = ()
    multilingual: bool | None = None
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()

    @cached_property
    def tokens(self) -> BytePairs:
        """The tokens of these weights. Raises TokensError if there are none, or another model's."""
        return load(
            self.tokenizer,
            beside=self.path,
            vocabulary=self.config.vocabulary,
            stated=self.special,
            forced=self.forced,
            multilingual=self.multilingual,
        )

    @property
    def tokens_digest(self) -> str:
        """The SHA-256 of what sentences become and what is never decoded: tokens, prefix, end, suppressed ones."""
        return self.tokens.digest(self.suppressed, self.suppressed_first)


def read(path: Path) -> Weights:
    """Read weights from a folder or a file.

    Raises:
        WeightsError: there are none of a known format, they cannot be read, a tensor is missing, of another shape or
            none of Whisper's, or they take other features than there are.
    """
    try:
        return _checked(_reader(path)(path))
    except WeightsError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error, zipfile.BadZipFile,
            pickle.UnpicklingError, EOFError) as error:  # fmt: skip
        raise WeightsError(f"{path}: cannot be read ({str(error)[:200]}); expected {FORMATS}") from error


def _reader(path: Path) -> Callable[[Path], Weights]:
    if not path.exists():
        raise WeightsError(f"{path}: no such file or folder; expected {FORMATS}")
    if path.suffix == ".pt":
        return _of_openai
    readers = {SAFETENSORS: _of_hugging_face, INDEX: _of_hugging_face, CTRANSLATE2: _of_ctranslate2}
    for name, reader in readers.items():
        if (path / name).is_file():
            return reader
    raise WeightsError(f"{path}: no weights of a known format; expected {FORMATS}")


def _checked(weights: Weights) -> Weights:
    """Return the weights with the tensors that are used. Raises WeightsError unless these are all there are."""
    path, config, tensors = weights.path, weights.config, dict(weights.tensors)
    if config.mels != MELS:
        raise WeightsError(f"{path}: made for {config.mels} mel bands, as large-v3 is; expected {MELS}, as the front "
                           f"end {Config.front_end} makes: take other weights, large-v2 for one")  # fmt: skip
    table = tensors.get("model.decoder.embed_tokens.weight")
    output = tensors.pop("proj_out.weight", None)
    if output is not None and not (table is not None and np.array_equal(output, table)):
        raise WeightsError(f"{path}: proj_out.weight is not the token table; expected an output layer tied to "
                           f"model.decoder.embed_tokens.weight, as Whisper's is")  # fmt: skip
    expected = shapes(config)
    for name, shape in expected.items():
        if name not in tensors:
            raise WeightsError(f"{path}: no tensor {name}; expected all of a Whisper model")
        if tensors[name].shape != shape:
            raise WeightsError(f"{path}: {name} has shape {tensors[name].shape}; expected {shape}")
    unused = sorted(name for name in tensors.keys() - expected.keys() if not name.endswith(".k_proj.bias"))
    if unused:
        more = f" and {len(unused) - 1} more" if unused[1:] else ""
        raise WeightsError(f"{path}: {unused[0]}{more}: no part of a Whisper model of {config.encoder_layers} and "
                           f"{config.decoder_layers} layers; expected its tensors alone")  # fmt: skip
    return replace(weights, tensors={name: tensors[name] for name in expected})


def shapes(config: Sizes) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a model, by Hugging Face's names; the encoder's sinusoids are among them."""
    width = config.width
    found: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (width, config.mels, 3),
        "model.encoder.conv1.bias": (width,),
        "model.encoder.conv2.weight": (width, width, 3),
        "model.encoder.conv2.bias": (width,),
        "model.encoder.embed_positions.weight": (config.audio_positions, width),
        "model.decoder.embed_positions.weight": (config.text_positions, width),
        "model.decoder.embed_tokens.weight": (config.vocabulary, width),
    }
    sides = (("encoder", config.encoder_layers, ("self_attn",)),
             ("decoder", config.decoder_layers, ("self_attn", "encoder_attn")))  # fmt: skip
    for side, count, attentions in sides:
        norms = [f"model.{side}.layer_norm"]
        for layer in (f"model.{side}.layers.{n}" for n in range(count)):
            dense = {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
            dense |= {f"{part}.{name}": (width, width) for part in attentions for name in ATTENTION}
            for name, shape in dense.items():
                found[f"{layer}.{name}.weight"] = shape
                if not name.endswith("k_proj"):
                    found[f"{layer}.{name}.bias"] = shape[:1]
            norms += [f"{layer}.{name}_layer_norm" for name in (*attentions, "final")]
        found |= {f"{norm}.{name}": (width,) for norm in norms for name in ("weight", "bias")}
    return found


ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")


def settled(config: Config) -> tuple[Config, str]:
    """Return the settings with the weights found and their sizes, and a mark that tells these weights apart.

    The mark has the first digits of the weights' digest, and those of their tokens' where these are not USUAL_TOKENS.

    Raises:
        PlaceError: they are not there; the message says how to get some.
        WeightsError: they cannot be read, or have other sizes than those that were asked for.
        TokensError: there are no tokens beside them, or another model's.
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
    mark = f"weights-{found.digest[:8]}"
    return sized, mark if found.tokens_digest == USUAL_TOKENS else f"{mark}+tokens-{found.tokens_digest[:8]}"


USUAL_TOKENS = "438f2e1818c119040356b67ae56ea469cd10f31448d3a17d4383a7b7f8d869b9"
"""The tokens of OpenAI's English models, as Hugging Face and CTranslate2 hold them with their suppressed tokens."""


def assign(model: Whisper, weights: Weights) -> None:
    """Give a model the weights that were read. Raises WeightsError if the encoder's positions are not sinusoids."""
    from models.whisper.network import sinusoids

    positions = weights.tensors["model.encoder.embed_positions.weight"].astype(np.float32)
    own = sinusoids(*positions.shape)
    if not (off := float(np.abs(positions - own).max())) <= CLOSE:
        raise WeightsError(f"{weights.path}: the encoder's positions are off by {off:.2g} from Whisper's sinusoids; "
                           f"expected at most {CLOSE:g}")  # fmt: skip
    for variable in model.variables:
        if not variable.path.endswith("encoder/positions"):
            name, turned = place_of(variable.path)
            variable.assign(turned(weights.tensors[name].astype(np.float32)))


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
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    generation = _json(folder / "generation_config.json")
    asked = {**settings, **generation}
    for name, ours in COMPUTED.items():
        if settings.get(name, ours) != ours:
            raise WeightsError(f"{folder}: {name} is {settings[name]!r:.80} in config.json; expected {ours!r}")
    for name, usual in ASKED.items():
        if (found := generation.get(name)) and str(found).strip("<|>").lower() not in usual:
            raise WeightsError(f"{folder}: {name} is {found!r:.80} in generation_config.json; expected {usual[0]!r}: "
                               f"take it out of there to train this model in English")  # fmt: skip
    if (heads := settings["encoder_attention_heads"]) != (other := settings.get("decoder_attention_heads", heads)):
        raise WeightsError(f"{folder}: {heads} heads in the encoder, {other} in the decoder; expected as many in both")
    config = Sizes(
        mels=settings["num_mel_bins"],
        width=settings["d_model"],
        heads=heads,
        encoder_layers=settings["encoder_layers"],
        decoder_layers=settings["decoder_layers"],
        vocabulary=settings["vocab_size"],
        audio_positions=settings["max_source_positions"],
        text_positions=settings["max_target_positions"],
    )
    return Weights(
        path=folder,
        config=config,
        tensors=_safetensors(folder),
        digest=digest(folder),
        tokenizer=find(folder),
        special=_named(asked),
        forced=tuple(number for _, number in asked.get("forced_decoder_ids") or () if number is not None),
        multilingual=asked.get("is_multilingual"),
        suppressed=tuple(asked.get("suppress_tokens") or ()),
        suppressed_first=tuple(asked.get("begin_suppress_tokens") or ()),
    )


COMPUTED = {"model_type": "whisper", "activation_function": "gelu", "scale_embedding": False}
"""Settings of config.json that change what is computed, with Whisper's values."""
ASKED = {"language": ("english", "en"), "task": ("transcribe",)}
"""What a multilingual model may be asked for by generation_config.json."""


def _named(asked: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of special tokens that config.json and generation_config.json state."""
    languages, tasks = (asked.get(name) or {} for name in ("lang_to_id", "task_to_id"))
    found = {
        END: asked.get("eos_token_id"),
        START: asked.get("decoder_start_token_id"),
        NO_TIMESTAMPS: asked.get("no_timestamps_token_id"),
        ENGLISH: languages.get(ENGLISH),
        TRANSCRIBE: tasks.get("transcribe"),
    }
    return {name: number for name, number in found.items() if isinstance(number, int)}


def _safetensors(folder: Path) -> dict[str, np.ndarray]:
    """Return all tensors of a folder, float32 or float16, from one file or from the shards of its index."""
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise WeightsError(f"{folder}: safetensors is not here; pip install '.[whisper]'") from None
    found: dict[str, np.ndarray] = {}
    shards = files(folder)
    for shard in shards:
        here = load_file(shard)
        if twice := found.keys() & here.keys():
            raise WeightsError(f"{folder}: {min(twice)} is in {shard.name} and in a shard before it; expected it once")
        found |= {name: _floats(shard, name, tensor) for name, tensor in here.items()}
    if shards[0].name != SAFETENSORS and (lost := indexed(folder).keys() ^ found.keys()):
        raise WeightsError(f"{folder}: {min(lost)} is not both in {INDEX} and in a shard; copy the folder anew")
    return found


def _floats(path: Path, name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype.name == "bfloat16":
        return ctranslate2.widened(tensor.view(np.uint16))
    if tensor.dtype not in (np.float32, np.float16):
        raise WeightsError(f"{path}: {name} holds {tensor.dtype.name}; expected float32, float16 or bfloat16")
    return tensor


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


# --- CTranslate2 -----------------------------------------------------------------------------------------------------


def _of_ctranslate2(folder: Path) -> Weights:
    stored = ctranslate2.read(folder / CTRANSLATE2)
    settings, tensors = _json(folder / "config.json"), stored.tensors
    convolution = tensors["model.encoder.conv1.weight"]
    vocabulary = tensors["model.decoder.embed_tokens.weight"].shape[0]
    config = Sizes(
        mels=convolution.shape[1],
        width=convolution.shape[0],
        heads=stored.heads,
        encoder_layers=_count(tensors, "encoder"),
        decoder_layers=_count(tensors, "decoder"),
        vocabulary=vocabulary,
        audio_positions=tensors["model.encoder.embed_positions.weight"].shape[0],
        text_positions=tensors["model.decoder.embed_positions.weight"].shape[0],
    )
    return Weights(
        path=folder,
        config=config,
        tensors=tensors,
        digest=digest(folder),
        tokenizer=find(folder),
        special=_listed(folder),
        suppressed=tuple(settings.get("suppress_ids", ())),
        suppressed_first=tuple(settings.get("suppress_ids_begin", ())),
    )


def _count(tensors: Mapping[str, np.ndarray], side: str) -> int:
    return len({name.split(".")[3] for name in tensors if name.startswith(f"model.{side}.layers.")})


def _listed(folder: Path) -> dict[str, int]:
    """Return the numbers of special tokens by vocabulary.txt or .json, which list a CTranslate2 model's in order."""
    text, listed = folder / "vocabulary.txt", folder / "vocabulary.json"
    if listed.is_file():
        names = json.loads(listed.read_text(encoding="utf-8"))
    else:
        names = text.read_text(encoding="utf-8").split("\n") if text.is_file() else []
    return {name: number for number, name in enumerate(names) if name in SPECIAL}


# --- OpenAI ----------------------------------------------------------------------------------------------------------


def _of_openai(path: Path) -> Weights:
    sizes, tensors = openai.read(path)
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
    if sizes["n_text_head"] != config.heads:
        found = f"{config.heads} heads in the encoder, {sizes['n_text_head']} in the decoder"
        raise WeightsError(f"{path}: {found}; expected as many in both")
    return Weights(
        path=path,
        config=config,
        tensors=tensors,
        digest=digest(path),
        tokenizer=find(path.parent),
        special={NO_TIMESTAMPS: config.vocabulary - 1 - TIMES},
    )


TIMES = 1_501
"""Tokens of time stamps, with which OpenAI's vocabularies end: 0.00 to 30.00 seconds in steps of 0.02."""
