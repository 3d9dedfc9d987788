"""A trained Whisper as Hugging Face publishes one: what transformers loads, and this suite (weights.py).

    write(learner, model, folder)

config.json, model.safetensors with Hugging Face's names, generation_config.json, preprocessor_config.json, and the
files of tokens as they came with the weights that training began with. The encoder has positions for the segments that
it was trained on and no more: transformers pads recordings to as many, as the suite does. The sinusoids of fewer
positions are the first ones of more.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.portable import PortableError
from models.whisper.network import Whisper, build, sinusoids
from models.whisper.places import SAFETENSORS
from models.whisper.tokens import ENGLISH, NO_TIMESTAMPS, SPECIAL, START, TRANSCRIBE
from models.whisper.weights import WeightsError, assign, place_of, read

if TYPE_CHECKING:
    from models.whisper.learner import WhisperLearner

TOKENS = (
    "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
    "tokenizer_config.json", "normalizer.json",
)  # fmt: skip
POSITIONS_A_SECOND, SAMPLES_A_SECOND = 50, 16_000


def write(learner: WhisperLearner, model: Whisper, folder: Path) -> dict[str, Any]:
    """Write the folder, and read it back as weights to begin with.

    Raises:
        PortableError: the run began with random weights, which have no tokens of their own; or safetensors is missing.
        WeightsError, TokensError: what was written is no Whisper.
    """
    if learner.start is None:
        raise PortableError("it began with random weights, whose tokens are bytes; expected published weights, with "
                            "their tokens: take --to savedmodel")  # fmt: skip
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise PortableError("safetensors is not here; pip install '.[whisper]'") from None
    seconds = math.ceil(learner.seconds)  # whole ones, as transformers counts
    positions = min(seconds * POSITIONS_A_SECOND, learner.config.audio_positions)
    save_file(tensors(model, positions), folder / SAFETENSORS, metadata={"format": "pt"})
    beside = learner.start.tokenizer.parent
    for name in TOKENS:
        if (beside / name).is_file():
            shutil.copyfile(beside / name, folder / name)
    _json(folder / "config.json", _config(learner, positions))
    _json(folder / "generation_config.json", _generation(learner))
    _json(folder / "preprocessor_config.json", _preprocessor(learner, positions // POSITIONS_A_SECOND))
    if not (folder / "tokenizer_config.json").is_file():
        _json(folder / "tokenizer_config.json", {"tokenizer_class": "WhisperTokenizer"})
    return {
        "files": sorted(path.name for path in folder.iterdir()),
        "seconds": positions // POSITIONS_A_SECOND,
        "checked": _checked(learner, model, folder, frames=2 * positions),
    }


def _checked(learner: WhisperLearner, model: Whisper, folder: Path, *, frames: int) -> str:
    """Read the folder as weights to begin with, and say that they are the model's; else raise WeightsError."""
    found = read(folder)
    if found.tokens_digest != learner.start.tokens_digest:
        raise WeightsError(f"{folder}: its tokens are not those that the model was trained with; report it")
    other = build(found.config)
    assign(other, found)
    features = np.random.default_rng(0).standard_normal((1, frames, found.config.mels)).astype(np.float32)
    tokens = np.array([learner.tokens.prefix], np.int32)
    logits, read_back = (each(features, tokens).numpy() for each in (model, other))
    if not np.array_equal(logits, read_back):
        raise WeightsError(f"{folder}: its logits are off by {np.abs(logits - read_back).max():.2g}; expected the "
                           f"model's own: report it")  # fmt: skip
    return "read back, its logits are the suite's"


def tensors(model: Whisper, positions: int) -> dict[str, np.ndarray]:
    """Return a model's weights by Hugging Face's names, float32, with so many positions of the encoder."""
    found = {"model.encoder.embed_positions.weight": sinusoids(positions, model.config.width)}
    for variable in model.variables:
        if not variable.path.endswith("encoder/positions"):
            name, turned = place_of(variable.path)
            found[name] = np.ascontiguousarray(turned(variable.numpy().astype(np.float32)))  # each is its own inverse
    return found


def _special(learner: WhisperLearner) -> dict[str, int]:
    """Return the numbers of the tokens around a sentence, by name."""
    tokens = learner.tokens
    named = SPECIAL[:-1] if len(tokens.prefix) == len(SPECIAL) - 1 else (START, NO_TIMESTAMPS)
    return dict(zip(named, tokens.prefix, strict=True))


def _config(learner: WhisperLearner, positions: int) -> dict[str, Any]:
    sizes, start, end = learner.config, learner.tokens.prefix[0], learner.tokens.end
    return {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "activation_function": "gelu",
        "num_mel_bins": sizes.mels, "d_model": sizes.width,
        "encoder_attention_heads": sizes.heads, "decoder_attention_heads": sizes.heads,
        "encoder_layers": sizes.encoder_layers, "decoder_layers": sizes.decoder_layers,
        "encoder_ffn_dim": 4 * sizes.width, "decoder_ffn_dim": 4 * sizes.width, "vocab_size": sizes.vocabulary,
        "max_source_positions": positions, "max_target_positions": sizes.text_positions, "scale_embedding": False,
        "dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "tie_word_embeddings": True,
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start,
        "torch_dtype": "float32",
    }  # fmt: skip


def _generation(learner: WhisperLearner) -> dict[str, Any]:
    """Return what transformers generates by: greedily, without time stamps, as the suite decodes."""
    special, start, end = _special(learner), learner.start, learner.tokens.end
    found: dict[str, Any] = {
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": special[START],
        "no_timestamps_token_id": special[NO_TIMESTAMPS], "is_multilingual": ENGLISH in special,
        "max_length": learner.longest + len(learner.tokens.prefix), "max_initial_timestamp_index": 50,
        "return_timestamps": False, "num_beams": 1, "do_sample": False,
    }  # fmt: skip
    if ENGLISH in special:
        found |= {"lang_to_id": {ENGLISH: special[ENGLISH]}, "task_to_id": {"transcribe": special[TRANSCRIBE]},
                  "language": ENGLISH, "task": "transcribe"}  # fmt: skip
    if start.suppressed:
        found["suppress_tokens"] = list(start.suppressed)
    if start.suppressed_first:
        found["begin_suppress_tokens"] = list(start.suppressed_first)
    return found


def _preprocessor(learner: WhisperLearner, seconds: int) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor",
        "feature_size": learner.config.mels, "sampling_rate": SAMPLES_A_SECOND, "hop_length": 160, "n_fft": 400,
        "chunk_length": seconds, "n_samples": seconds * SAMPLES_A_SECOND,
        "nb_max_frames": 2 * POSITIONS_A_SECOND * seconds,
        "padding_side": "right", "padding_value": 0.0, "return_attention_mask": False,
    }  # fmt: skip


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
