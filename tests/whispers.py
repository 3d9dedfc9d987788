"""A tiny Whisper on disk, for tests: a Hugging Face folder with weights drawn from a seed and byte tokens."""

import json
from pathlib import Path

import numpy as np

from models.whisper.tokens import END, NO_TIMESTAMPS, START, _letters

VOCABULARY = 260
WIDTH, HEADS, LAYERS = 16, 2, 1


def folder_of(folder: Path, *, positions: int = 100, seed: int = 0) -> Path:
    """Write model.safetensors, config.json and tokenizer.json of a model for segments of `positions` / 50 seconds."""
    from safetensors.numpy import save_file

    from models.whisper.network import sinusoids

    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    tensors = {
        "model.encoder.embed_positions.weight": sinusoids(positions, WIDTH),
        "model.encoder.conv1.weight": drawn(WIDTH, 80, 3),
        "model.encoder.conv2.weight": drawn(WIDTH, WIDTH, 3),
        "model.decoder.embed_tokens.weight": drawn(VOCABULARY, WIDTH),
        "model.decoder.embed_positions.weight": drawn(64, WIDTH),
    } | {f"model.encoder.conv{n}.bias": drawn(WIDTH) for n in (1, 2)}
    for side, parts in (("encoder", ("self_attn",)), ("decoder", ("self_attn", "encoder_attn"))):
        norms = [f"model.{side}.layer_norm"]
        for layer in (f"model.{side}.layers.{n}" for n in range(LAYERS)):
            for part in parts:
                for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    tensors[f"{layer}.{part}.{name}.weight"] = drawn(WIDTH, WIDTH)
                    if name != "k_proj":
                        tensors[f"{layer}.{part}.{name}.bias"] = drawn(WIDTH)
                norms.append(f"{layer}.{part}_layer_norm")
            for name, rows, columns in (("fc1", 4 * WIDTH, WIDTH), ("fc2", WIDTH, 4 * WIDTH)):
                tensors |= {f"{layer}.{name}.weight": drawn(rows, columns), f"{layer}.{name}.bias": drawn(rows)}
            norms.append(f"{layer}.final_layer_norm")
        for name in norms:
            tensors |= {f"{name}.weight": 1 + drawn(WIDTH), f"{name}.bias": drawn(WIDTH)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    settings = {
        "num_mel_bins": 80, "d_model": WIDTH, "encoder_attention_heads": HEADS, "encoder_layers": LAYERS,
        "decoder_layers": LAYERS, "vocab_size": VOCABULARY, "max_source_positions": positions,
        "max_target_positions": 64,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings))
    vocabulary = {letter: number for number, letter in enumerate(_letters().values())}
    added = [{"id": 256 + n, "content": name} for n, name in enumerate((END, START, NO_TIMESTAMPS))]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": added}))
    return folder
