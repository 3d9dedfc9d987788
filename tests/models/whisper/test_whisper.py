"""Whisper against Hugging Face's with random weights (hugging_face.npz), its weights' formats, decoding and tokens."""

import collections
import io
import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from models.whisper.config import Config, Sizes
from models.whisper.tokens import Bytes, TokensError, load, spelled

HERE = Path(__file__).parent
START, END = 1, 78
PARTS = {"features", "tokens", "encoded", "logits", "loss", "said", "mel"}


@pytest.fixture(scope="module")
def published():
    with np.load(HERE / "hugging_face.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def tensors(published):
    return {name: values for name, values in published.items() if name not in PARTS}


@pytest.fixture(scope="module")
def network(tf):
    from models.whisper import network

    return network


@pytest.fixture(scope="module")
def weights(tf):
    from models.whisper import weights

    return weights


@pytest.fixture(scope="module")
def config(network):
    return Sizes(
        width=16, heads=2, encoder_layers=2, decoder_layers=2, vocabulary=96, audio_positions=40, text_positions=16
    )


@pytest.fixture(scope="module")
def model(network, weights, config, tensors):
    made = network.build(config)
    weights.assign(made, weights.Weights(path=HERE, config=config, tensors=tensors, digest=""))
    return made


def test_states_and_logits_are_hugging_faces(model, published):
    np.testing.assert_allclose(model.encode(published["features"]), published["encoded"], atol=2e-5)
    logits = model(published["features"], published["tokens"]).numpy()
    np.testing.assert_allclose(logits, published["logits"], atol=5e-5)
    assert (logits.argmax(-1) == published["logits"].argmax(-1)).all() and np.abs(logits).max() > 3


def test_the_cross_entropy_is_hugging_faces(tf, model, published):
    targets = np.roll(published["tokens"], -1, axis=1)
    logits = model(published["features"], published["tokens"])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    np.testing.assert_allclose(loss, published["loss"], atol=5e-5)


def test_greedy_decoding_says_what_hugging_faces_says(tf, model, published):
    from models.whisper.decoding import greedy

    said = greedy(model, tf.constant(published["features"]), prefix=(START,), end=END, longest=9).numpy()
    expected = published["said"][:, -9:]
    assert said.shape[1] <= 9 and (expected == END).any() and not (expected == END).all()
    for ours, theirs in zip(said.tolist(), expected.tolist(), strict=True):
        assert upto(ours) == upto(theirs)


def upto(tokens):
    return tokens[: tokens.index(END)] if END in tokens else tokens


def test_keeping_keys_and_values_changes_nothing_and_neither_do_neighbours_or_tf_function(tf, model, published):
    """Each token is the likeliest after those before it, computed anew each time."""
    from models.whisper.decoding import greedy

    features = tf.constant(published["features"])
    said = tf.function(greedy)(model, features, prefix=(START, 5), end=END, longest=12).numpy()
    for row, tokens in enumerate(said.tolist()):
        alone = greedy(model, features[row : row + 1], prefix=(START, 5), end=END, longest=12).numpy()
        assert upto(alone[0].tolist()) == upto(tokens)
        for place, token in enumerate(upto(tokens)):
            logits = model(features[row : row + 1], tf.constant([[START, 5, *tokens[:place]]]))
            assert int(tf.argmax(logits[0, -1])) == token


def test_suppressed_tokens_never_come(tf, model, published):
    from models.whisper.decoding import greedy

    features = tf.constant(published["features"])
    free = greedy(model, features, prefix=(START,), end=END, longest=9).numpy()
    first, most = int(free[0, 0]), int(collections.Counter(free[:, 1:].ravel().tolist()).most_common(1)[0][0])
    held = greedy(model, features, prefix=(START,), end=END, longest=9, suppressed=(most,), suppressed_first=(first,))
    assert most not in held.numpy() and first not in held.numpy()[:, 0]


def test_a_short_segment_uses_the_first_positions(network, model, published):
    """As if the network had been made for it: nothing depends on what the window does not hold."""
    half = published["features"][:, :40]
    encoded = model.encode(half).numpy()
    assert encoded.shape == (3, 20, 16)
    assert np.abs(encoded - model.encode(published["features"]).numpy()[:, :20]).max() > 1e-3  # attention saw the rest


def test_later_tokens_change_no_earlier_logits(model, published):
    tokens = published["tokens"].copy()
    before = model(published["features"], tokens).numpy()
    tokens[:, 4:] = 9
    after = model(published["features"], tokens).numpy()
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-5)
    assert np.abs(before[:, 4:] - after[:, 4:]).max() > 0.1


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_and_finite(tf, network, weights, config, tensors, published, policy):
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        mixed = network.build(config)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    weights.assign(mixed, weights.Weights(path=HERE, config=config, tensors=tensors, digest=""))
    logits = mixed(published["features"], published["tokens"])
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, published["logits"], atol=0.15 if policy == "mixed_bfloat16" else 0.02)


def test_the_sinusoids_are_those_of_the_published_code(network):
    """float32 throughout; position 1499 in float64 would be off by 1e-4."""
    found = network.sinusoids(1500, 384)
    assert found.dtype == np.float32 and found.shape == (1500, 384)
    np.testing.assert_array_equal(found[0], [0.0] * 192 + [1.0] * 192)
    step = np.log(10_000) / 191
    exact = 1499 * np.exp(-step * np.arange(192))
    rounded = np.float32(1499) * np.exp(-np.float32(step) * np.arange(192, dtype=np.float32))  # to 1.2e-4 from 1024 on
    assert rounded.dtype == np.float32
    rounded = rounded.astype(np.float64)
    np.testing.assert_allclose(found[1499], np.concatenate([np.sin(rounded), np.cos(rounded)]), atol=1e-6)
    assert np.abs(found[1499] - np.concatenate([np.sin(exact), np.cos(exact)])).max() > 5e-5


def test_the_tiny_model_has_the_published_number_of_weights(network):
    """tiny.en: 37,184,256 that are trained, and 1500 x 384 positions that are not."""
    config = Sizes()
    model = network.build(config)
    assert model.count_params() == 37_184_256 + 576_000
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 37_184_256
    matrices = sum(int(np.prod(v.shape)) for v in model.trainable_variables if len(v.shape) > 1)
    assert Config().parameters == matrices


def test_operations_are_counted_by_hand(network):
    """One block of each, width 4, 2 frames: 1 state; 1 token of 10."""
    config = Sizes(mels=3, width=4, heads=1, encoder_layers=1, decoder_layers=1, vocabulary=10,
                            audio_positions=1, text_positions=1)  # fmt: skip
    first, second = 2 * 3 * 3 * 4 * 2, 2 * 3 * 4 * 4 * 1
    block = 2 * 4 * 16 + 2 * 2 * 4 * 16 + 2 * 2 * 4  # four projections, two dense layers of 4 x 4 widths, attention
    cross = 4 * 2 * 16 + 2 * 2 * 4  # its four projections, and attention
    forward = first + second + block + (block + cross) + 2 * 4 * 10
    assert network.flops(config, frames=2, tokens=1, training=False) == forward
    assert network.flops(config, frames=2, tokens=1) == 3 * forward - first


# --- weights ---------------------------------------------------------------------------------------------------------


def same(weights, found, tensors, config):
    assert found.config == config and len(found.digest) == 64
    for name, values in tensors.items():
        np.testing.assert_array_equal(
            np.asarray(found.tensors[name], np.float32), values.astype(np.float32), err_msg=name
        )


def test_a_hugging_face_folder_is_read(weights, config, tensors, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(tensors, tmp_path / "model.safetensors")
    settings = {
        "num_mel_bins": 80, "d_model": 16, "encoder_attention_heads": 2, "encoder_layers": 2, "decoder_layers": 2,
        "vocab_size": 96, "max_source_positions": 40, "max_target_positions": 16, "suppress_tokens": None,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "generation_config.json").write_text('{"suppress_tokens": [3], "begin_suppress_tokens": [4]}')
    found = weights.read(tmp_path)
    same(weights, found, tensors, config)
    assert (found.suppressed, found.suppressed_first, found.tokenizer) == ((3,), (4,), None)


def ctranslate2(tensors) -> bytes:
    """The bytes of a model of format 6, with queries, keys and values in one matrix, as its converter fuses them."""
    stored = {"encoder/num_heads": np.int16(2), "decoder/activation": np.int8(1)}
    for side in ("encoder", "decoder"):
        head = f"model.{side}"
        stored[f"{side}/position_encodings/encodings"] = tensors[f"{head}.embed_positions.weight"]
        for ours, theirs in (("gamma", "weight"), ("beta", "bias")):
            stored[f"{side}/layer_norm/{ours}"] = tensors[f"{head}.layer_norm.{theirs}"]
        for n in (0, 1):
            layer = f"{head}.layers.{n}"
            groups = [("self_attention", "self_attn", (("q_proj", "k_proj", "v_proj"), ("out_proj",)))]
            if side == "decoder":
                groups.append(("attention", "encoder_attn", (("q_proj",), ("k_proj", "v_proj"), ("out_proj",))))
            for part, own, fused in groups:
                for place, names in enumerate(fused):
                    for last, rows in (("weight", (16, 16)), ("bias", (16,))):
                        parts = [
                            tensors.get(f"{layer}.{own}.{name}.{last}", np.zeros(rows, np.float16)) for name in names
                        ]
                        stored[f"{side}/layer_{n}/{part}/linear_{place}/{last}"] = np.concatenate(parts)
                for ours, theirs in (("gamma", "weight"), ("beta", "bias")):
                    stored[f"{side}/layer_{n}/{part}/layer_norm/{ours}"] = tensors[f"{layer}.{own}_layer_norm.{theirs}"]
            for place, name in enumerate(("fc1", "fc2")):
                for last in ("weight", "bias"):
                    stored[f"{side}/layer_{n}/ffn/linear_{place}/{last}"] = tensors[f"{layer}.{name}.{last}"]
            for ours, theirs in (("gamma", "weight"), ("beta", "bias")):
                stored[f"{side}/layer_{n}/ffn/layer_norm/{ours}"] = tensors[f"{layer}.final_layer_norm.{theirs}"]
    for n in (1, 2):
        for last in ("weight", "bias"):
            stored[f"encoder/conv{n}/{last}"] = tensors[f"model.encoder.conv{n}.{last}"]
    stored["decoder/embeddings/weight"] = tensors["model.decoder.embed_tokens.weight"]
    numbers = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}
    out = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(stored))
    for name, values in stored.items():
        values = np.asarray(values)
        out += text(name) + struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        out += struct.pack("<BI", numbers[values.dtype.name], values.nbytes) + values.tobytes()
    return out + struct.pack("<I", 0)


def text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def test_a_ctranslate2_folder_is_read(weights, config, tensors, tmp_path):
    (tmp_path / "model.bin").write_bytes(ctranslate2(tensors))
    (tmp_path / "config.json").write_text('{"suppress_ids": [3], "suppress_ids_begin": [4]}')
    found = weights.read(tmp_path)
    same(weights, found, tensors, config)
    assert (found.suppressed, found.suppressed_first) == ((3,), (4,))


class Faked:
    """Pickles as what PyTorch writes, without PyTorch."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Pickler(pickle._Pickler):
    """Writes names of modules that are not there."""

    def save(self, thing, save_persistent_id=True):
        if isinstance(thing, Faked):
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())
            if thing.arguments:
                self.save(thing.arguments)
                self.write(pickle.REDUCE)
        else:
            super().save(thing, save_persistent_id)

    def persistent_id(self, thing):
        return thing.words if isinstance(thing, Storage) else None


class Storage:
    def __init__(self, *words):
        self.words = words


def openai(tensors, path, *, more=None):
    back = {
        "self_attn_layer_norm": "attn_ln", "encoder_attn_layer_norm": "cross_attn_ln", "final_layer_norm": "mlp_ln",
        "encoder_attn": "cross_attn", "self_attn": "attn", "q_proj": "query", "k_proj": "key", "v_proj": "value",
        "out_proj": "out", "fc1": "mlp.0", "fc2": "mlp.2", "embed_positions.weight": "positional_embedding",
        "embed_tokens": "token_embedding", "layers": "blocks", "encoder.layer_norm": "encoder.ln_post",
        "decoder.layer_norm": "decoder.ln",
    }  # fmt: skip
    state, blobs = {}, []
    for name, values in tensors.items():
        name = name.removeprefix("model.")
        for theirs, ours in back.items():
            name = name.replace(theirs, ours)
        kind = Faked("torch", "FloatStorage" if values.dtype == np.float32 else "HalfStorage")
        stride = tuple(int(np.prod(values.shape[n + 1 :])) for n in range(values.ndim))
        storage = Storage("storage", kind, str(len(blobs)), "cpu", values.size)
        blobs.append(values.tobytes())
        state[name] = Faked("torch._utils", "_rebuild_tensor_v2", storage, 0, values.shape, stride, False, None)
    dims = {
        "n_mels": 80, "n_vocab": 96, "n_audio_ctx": 40, "n_audio_state": 16, "n_audio_head": 2, "n_audio_layer": 2,
        "n_text_ctx": 16, "n_text_state": 16, "n_text_head": 2, "n_text_layer": 2,
    }  # fmt: skip
    pickled = io.BytesIO()
    Pickler(pickled, 2).dump({"dims": dims, "model_state_dict": more or state})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/data.pkl", pickled.getvalue())
        for number, blob in enumerate(blobs):
            archive.writestr(f"tiny/data/{number}", blob)


def test_openais_file_is_read_without_pytorch(weights, config, tensors, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    openai(tensors, tmp_path / "tiny.pt")
    found = weights.read(tmp_path / "tiny.pt")
    assert sorted(found.tensors) == sorted(tensors)
    same(weights, found, tensors, config)


def test_a_pickle_that_would_run_something_is_refused(weights, tensors, tmp_path):
    openai(tensors, tmp_path / "evil.pt", more={"x": Faked("os", "system", "touch pwned")})
    with pytest.raises(
        weights.WeightsError, match="evil.pt: cannot be read .*it asks for os.system, which is no tensor"
    ):
        weights.read(tmp_path / "evil.pt")


def test_what_is_no_model_is_named_with_the_formats_there_are(weights, tensors, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "model.bin").write_bytes(ctranslate2(tensors)[:5000])
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.bin").write_bytes(struct.pack("<I", 5))
    (tmp_path / "text.pt").write_text("no archive")
    for name, said in (
        ("absent", "no such file or folder; expected a Hugging Face folder"),
        ("empty", "no weights of a known format"),
        ("cut", "cannot be read"),
        ("old", "found version 5; expected a Whisper model of CTranslate2, format 6"),
        ("text.pt", "cannot be read"),
    ):
        with pytest.raises(weights.WeightsError, match=said):
            weights.read(tmp_path / name)


def test_tensors_that_do_not_fit_are_named(network, weights, config, tensors):
    made = network.build(config)

    def assigned(changed):
        weights.assign(made, weights.Weights(path=Path("w"), config=config, tensors=changed, digest=""))

    name = "model.decoder.layers.1.fc1.weight"
    with pytest.raises(weights.WeightsError, match=f"w: no tensor {name}"):
        assigned({key: value for key, value in tensors.items() if key != name})
    with pytest.raises(weights.WeightsError, match=rf"{name} has shape \(16, 3\); expected \(16, 64\)"):
        assigned({**tensors, name: np.zeros((3, 16))})
    positions = "model.encoder.embed_positions.weight"
    with pytest.raises(weights.WeightsError, match="the encoder's positions are off by 0.0"):
        assigned({**tensors, positions: tensors[positions] + 0.01})


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_bytes_are_the_vocabularys_byte_tokens_and_come_back():
    tokens = Bytes(vocabulary=51_864)
    assert tokens.encode("!") == [220, 0], "GPT-2's number of the space is 220, and of the first printable sign 0"
    assert tokens.decode([*tokens.encode("don't été"), tokens.end]) == "don't été"
    assert tokens.encode("") == [] and tokens.prefix == (50_257, 50_362) and tokens.end == 50_256
    assert Bytes(vocabulary=51_865).prefix == (50_258, 50_259, 50_359, 50_363)


def tokenizer_json(*, vocabulary: dict[str, int], special: tuple[str, ...]) -> str:
    added = [{"id": len(vocabulary) + n, "content": name} for n, name in enumerate(special)]
    return json.dumps({"model": {"vocab": vocabulary}, "added_tokens": added})


SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>")


def test_byte_pairs_are_read_from_the_file_of_the_weights(tmp_path):
    pytest.importorskip("tiktoken")
    signs = [*map(chr, [*range(33, 127), *range(161, 173), *range(174, 256)]), *(chr(256 + n) for n in range(68))]
    ranks = {sign: number for number, sign in enumerate(signs)} | {"Ġa": 256, "bc": 257, "Ġabc": 258}
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(vocabulary=ranks, special=SPECIAL))
    tokens = load(tmp_path / "tokenizer.json", vocabulary=262)
    assert (tokens.end, tokens.prefix) == (259, (260, 261))
    assert tokens.encode("a") == [256] and tokens.encode("abc") == [258] and tokens.encode("") == []
    assert tokens.encode("ab a") == [256, ranks["b"], 256] and tokens.decode([258, 256, 259, 260]) == "abc a"
    with pytest.raises(
        TokensError, match=r"<\|notimestamps\|> is 261; expected a token below 261: is it another model's"
    ):
        load(tmp_path / "tokenizer.json", vocabulary=261)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokensError, match="cannot be read as a tokenizer"):
        load(tmp_path / "tokenizer.json", vocabulary=7)
    assert isinstance(load(None, vocabulary=51_864), Bytes)


def test_decoded_tokens_are_spelled_as_transcripts_are():
    tokens = Bytes(vocabulary=51_864)
    rows = np.full((3, 12), tokens.end)
    for row, said in enumerate(("Don't!", "a-b", "")):
        rows[row, : len(tokens.encode(said))] = tokens.encode(said)
    rows[1, 5:] = tokens.encode("x")[1]  # what comes after the end does not count
    assert spelled(tokens)(rows, np.full(3, 12)) == ["don't", "a b", ""]
