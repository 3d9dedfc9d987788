"""Makes hugging_face.npz, what a small Whisper of Hugging Face's computes with random weights.

    pip install torch transformers && python tests/models/whisper/make_fixture.py

Weights, biases and gains are drawn and rounded to float16. Beside them stand features, tokens, the encoder's states,
the logits, the loss of every token, and what `generate` says greedily; and some frames of its features of `waveform`.
"""

from pathlib import Path

import numpy as np

VOCABULARY, WIDTH, HEADS, LAYERS, POSITIONS, PLACES = 96, 16, 2, 2, 40, 16
START, END = 1, 78
MEL_FRAMES = (0, 1, 2, 57, 123, 250, 318, 397, 399, 400, 401, 402, 700, 999)


def waveform() -> np.ndarray:
    """Four seconds of a rising tone in noise, float32."""
    time_s = np.arange(64_000) / 16_000
    noise = np.random.default_rng(5).standard_normal(64_000)
    return (0.4 * np.sin(2 * np.pi * (100 + 800 * time_s) * time_s) + 0.01 * noise).astype(np.float32)


def main() -> None:
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=VOCABULARY, num_mel_bins=80, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH, max_source_positions=POSITIONS, max_target_positions=PLACES, pad_token_id=END,
        bos_token_id=START, eos_token_id=END, decoder_start_token_id=START, suppress_tokens=None,
        begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "encoder.embed_positions" not in name:
                drawn = 0.3 * rng.standard_normal(tuple(values.shape)) + name.endswith("layer_norm.weight")
                values.copy_(torch.tensor(drawn.astype(np.float16).astype(np.float32)))
        features = rng.standard_normal((3, 80, 2 * POSITIONS)).astype(np.float32)
        tokens = rng.integers(3, VOCABULARY, (3, 7)).astype(np.int64)
        heard = torch.tensor(features)
        encoded = model.model.encoder(heard).last_hidden_state.numpy()
        logits = model(heard, decoder_input_ids=torch.tensor(tokens)).logits
        targets = torch.tensor(np.roll(tokens, -1, axis=1))
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").numpy()
        said = model.generate(heard, max_new_tokens=9, do_sample=False, num_beams=1).numpy()
    extractor = WhisperFeatureExtractor(chunk_length=10)
    mel = extractor(waveform(), sampling_rate=16_000, return_tensors="np").input_features[0]
    tensors = {
        name: values.numpy() if "encoder.embed_positions" in name else values.numpy().astype(np.float16)
        for name, values in model.state_dict().items()
        if name != "proj_out.weight"
    }
    np.savez_compressed(
        Path(__file__).with_name("hugging_face.npz"), features=features.transpose(0, 2, 1),
        tokens=tokens.astype(np.int32), encoded=encoded, logits=logits.numpy(), loss=loss, said=said.astype(np.int32),
        mel=mel.T[list(MEL_FRAMES)].astype(np.float32),
        **tensors,
    )  # fmt: skip


if __name__ == "__main__":
    main()
