"""Whisper against Hugging Face's with random weights (hugging_face.npz), its weights' formats, decoding and tokens."""

import collections
import hashlib
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
from models.whisper.tokens import Bytes, TokensError, _letters, load, spelled

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
    some, ids = tf.TensorSpec([None, *features.shape[1:]]), tf.TensorSpec([None, None], tf.int32)
    asked = {"prefix": (START, 5), "end": END, "longest": 12}
    traced = tf.function(lambda given: greedy(model, given, **asked), input_signature=[some], autograph=False)
    anew = tf.function(model, input_signature=[some, ids], autograph=False)
    said = traced(features).numpy().tolist()
    assert [upto(tokens) for tokens in greedy(model, features, **asked).numpy().tolist()] == [*map(upto, said)]
    for row, tokens in enumerate(said):
        alone = traced(features[row : row + 1]).numpy()
        assert upto(alone[0].tolist()) == upto(tokens)
        for place, token in enumerate(upto(tokens)):
            logits = anew(features[row : row + 1], tf.constant([[START, 5, *tokens[:place]]]))
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


def hugging_face(folder, tensors, **changed):
    """Write a folder; tensors may be in shards, a dictionary each by file name."""
    safetensors = pytest.importorskip("safetensors.numpy")
    folder.mkdir(exist_ok=True)
    shards = tensors if isinstance(next(iter(tensors.values())), dict) else {"model.safetensors": tensors}
    for name, values in shards.items():
        safetensors.save_file(values, folder / name)
    if shards is tensors:
        index = {"weight_map": {tensor: name for name, values in shards.items() for tensor in values}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    settings = {
        "num_mel_bins": 80, "d_model": 16, "encoder_attention_heads": 2, "encoder_layers": 2, "decoder_layers": 2,
        "vocab_size": 96, "max_source_positions": 40, "max_target_positions": 16, "suppress_tokens": None,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings | changed))
    return folder


def test_a_hugging_face_folder_is_read(weights, config, tensors, tmp_path):
    hugging_face(tmp_path, tensors)
    (tmp_path / "generation_config.json").write_text('{"suppress_tokens": [3], "begin_suppress_tokens": [4]}')
    found = weights.read(tmp_path)
    same(weights, found, tensors, config)
    assert (found.suppressed, found.suppressed_first, found.tokenizer) == ((3,), (4,), None)


def test_shards_of_an_index_are_read_and_their_digest_is_that_of_their_list(weights, config, tensors, tmp_path):
    names = sorted(tensors)
    shards = {"model-1.safetensors": {name: tensors[name] for name in names[:9]}}
    shards["model-2.safetensors"] = {name: tensors[name] for name in names[9:]}
    found = weights.read(hugging_face(tmp_path, shards))
    same(weights, found, tensors, config)
    listed = "".join(f"{hashlib.sha256((tmp_path / each).read_bytes()).hexdigest()}  {each}\n" for each in shards)
    assert found.digest == hashlib.sha256(listed.encode()).hexdigest(), "as sha256sum *.safetensors | sha256sum"
    index = tmp_path / "model.safetensors.index.json"
    whole = index.read_text()
    for text, said in (
        (whole.replace(f'"{names[0]}"', '"other"'), f"{min(names[0], 'other')} is not both in model.safetensors.index"),
        (whole.replace("model-1", "../model-1"), "found '../model-1.safetensors'; expected names of files in its own"),
        ("{}", "index.json: cannot be read .*; expected weight_map"),
    ):
        index.write_text(text)
        with pytest.raises(weights.WeightsError, match=said):
            weights.read(tmp_path)
    index.write_text(whole)
    (tmp_path / "model-1.safetensors").write_bytes((tmp_path / "model-2.safetensors").read_bytes())
    with pytest.raises(weights.WeightsError, match="is in model-2.safetensors and in a shard before it"):
        weights.read(tmp_path)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(weights.WeightsError, match="no model-2.safetensors, which .* names; copy all 2 shards"):
        weights.read(tmp_path)


def test_bfloat16_is_read_bit_by_bit(tf, network, weights, config, tensors, tmp_path):
    """3 significant digits: the sinusoids are off by up to 2^-9, half a step below 1, and those of Whisper are used."""
    values = {name: tf.cast(values.astype(np.float32), tf.bfloat16).numpy() for name, values in tensors.items()}
    found = weights.read(hugging_face(tmp_path, values))
    same(weights, found, {name: each.astype(np.float32) for name, each in values.items()}, config)
    off = np.abs(found.tensors["model.encoder.embed_positions.weight"] - network.sinusoids(40, 16)).max()
    assert 1e-3 < off <= 2**-9
    weights.assign(network.build(config), found)


TABLE, TOKEN_TABLE = "model.decoder.embed_tokens.weight", "decoder/embeddings/weight"


def test_a_tied_output_layer_may_be_stored_and_any_other_is_refused(weights, config, tensors, tmp_path):
    found = weights.read(hugging_face(tmp_path, {**tensors, "proj_out.weight": tensors[TABLE].copy()}))
    assert sorted(found.tensors) == sorted(tensors)
    hugging_face(tmp_path, {**tensors, "proj_out.weight": 2 * tensors[TABLE]})
    with pytest.raises(weights.WeightsError, match="proj_out.weight is not the token table; expected .* tied to"):
        weights.read(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"decoder_attention_heads": 4}, "2 heads in the encoder, 4 in the decoder; expected as many in both"),
        ({"activation_function": "relu"}, "activation_function is 'relu' in config.json; expected 'gelu'"),
        ({"scale_embedding": True}, "scale_embedding is True in config.json; expected False"),
        ({"model_type": "bart"}, "model_type is 'bart' in config.json; expected 'whisper'"),
        ({"num_mel_bins": 128}, "made for 128 mel bands, as large-v3 is; expected 80, as the front end"),
        ({"encoder_layers": 1}, r"model.encoder.layers.1.fc1.bias and 14 more: no part of a Whisper model of 1 and 2"),
        ({"vocab_size": 97}, rf"{TABLE} has shape \(96, 16\); expected \(97, 16\)"),
    ],
)
def test_settings_that_are_not_whispers_are_refused_before_anything_is_built(weights, tensors, tmp_path, changed, said):
    with pytest.raises(weights.WeightsError, match=said):
        weights.read(hugging_face(tmp_path, tensors, **changed))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"language": "<|nl|>"}, r"language is '<\|nl\|>' in generation_config.json; expected 'english': take it out"),
        ({"task": "translate"}, "task is 'translate' in generation_config.json; expected 'transcribe'"),
    ],
)
def test_a_model_for_another_language_or_task_is_refused(weights, tensors, tmp_path, asked, said):
    hugging_face(tmp_path, tensors)
    (tmp_path / "generation_config.json").write_text(json.dumps({"language": "English", "task": "transcribe"}))
    weights.read(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps(asked))
    with pytest.raises(weights.WeightsError, match=said):
        weights.read(tmp_path)


def test_a_model_for_other_features_is_refused_whatever_it_begins_with():
    with pytest.raises(ValueError, match="mels is 128; expected 80, as the front end logmel80-normalised makes"):
        Config(weights="random", mels=128)


def ctranslate2(tensors, *, quantised="", more=None, aliases=(("decoder/projection/weight", TOKEN_TABLE),)) -> bytes:
    """The bytes of a model of format 6, with queries, keys and values in one matrix, as its converter fuses them.

    `quantised` is int8 or int16, `more` are further variables; one that is None is left out.
    """
    stored = {
        "encoder/num_heads": np.int16(2), "decoder/num_heads": np.int16(2), "decoder/activation": np.int8(3),
        "decoder/pre_norm": np.int8(1), "decoder/alibi": np.int8(0), "decoder/alignment_layer": np.int16(-1),
    }  # fmt: skip
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
    if quantised:
        for name in [name for name, values in stored.items() if name.endswith("weight")]:
            stored[name], stored[f"{name}_scale"] = QUANTISE[quantised](stored[name].astype(np.float32))
    stored = {name: values for name, values in {**stored, **(more or {})}.items() if values is not None}
    numbers = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4, "uint16": 5}
    out = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(stored))
    for name, values in stored.items():
        values = np.asarray(values)
        out += text(name) + struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        out += struct.pack("<BI", numbers[values.dtype.name], values.nbytes) + values.tobytes()
    return out + struct.pack("<I", len(aliases)) + b"".join(text(name) for pair in aliases for name in pair)


def int8(values):
    """As CTranslate2 does: a scale for each row, 127 over its largest number."""
    scale = (127 / np.abs(values).reshape(len(values), -1).max(1)).astype(np.float32)
    return np.rint(values * scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8), scale


def int16(values):
    """As CTranslate2 does: one scale, 1,024 over the largest number."""
    scale = np.float32(1024 / np.abs(values).max())
    return np.rint(values * scale).astype(np.int16), scale


QUANTISE = {"int8": int8, "int16": int16}


def text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def test_a_ctranslate2_folder_is_read(weights, config, tensors, tmp_path):
    (tmp_path / "model.bin").write_bytes(ctranslate2(tensors))
    (tmp_path / "config.json").write_text('{"suppress_ids": [3], "suppress_ids_begin": [4]}')
    found = weights.read(tmp_path)
    same(weights, found, tensors, config)
    assert (found.suppressed, found.suppressed_first) == ((3,), (4,))


@pytest.mark.parametrize(("quantised", "steps"), [("int8", 127), ("int16", 1024)])
def test_quantised_weights_are_multiplied_out(weights, config, tensors, tmp_path, quantised, steps):
    (tmp_path / "model.bin").write_bytes(ctranslate2(tensors, quantised=quantised))
    found = weights.read(tmp_path)
    assert found.config == config and found.tensors.keys() == tensors.keys()
    for name, values in tensors.items():
        matrix = values.ndim > 1 and "positions" not in name
        exact, got = values.astype(np.float32), np.asarray(found.tensors[name], np.float32)
        most = np.abs(exact).reshape(len(exact), -1).max(1) if quantised == "int8" else np.abs(exact).max()
        most = np.broadcast_to(most, len(exact)).reshape(-1, *[1] * (values.ndim - 1)) if matrix else most
        if "_proj" in name and quantised == "int16":
            most = 2.0  # its scale is that of the matrix in which it is joined with others
        assert (np.abs(got - exact) <= (0.501 * most / steps if matrix else 0)).all(), name
    name = "model.encoder.layers.1.fc1.weight"
    kept, scale = QUANTISE[quantised](tensors[name].astype(np.float32))
    expected = kept / (scale[:, None] if quantised == "int8" else scale)
    np.testing.assert_array_equal(found.tensors[name], expected)


def test_ctranslate2s_bfloat16_and_aliases_are_read(weights, config, tensors, tmp_path):
    name, twin = "encoder/conv1/bias", "encoder/conv2/bias"
    bits = np.array([0x3F80, 0xC000] * 8, np.uint16)  # 1 and -2
    (tmp_path / "model.bin").write_bytes(ctranslate2(tensors, more={name: bits, twin: None}, aliases=((twin, name),)))
    found = weights.read(tmp_path).tensors
    for each in ("model.encoder.conv1.bias", "model.encoder.conv2.bias"):
        np.testing.assert_array_equal(found[each], [1.0, -2.0] * 8)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({TOKEN_TABLE: np.ones((96, 16), np.int8)}, f"{TOKEN_TABLE} holds int8 without {TOKEN_TABLE}_scale"),
        (
            {TOKEN_TABLE: np.ones((96, 16), np.int8), f"{TOKEN_TABLE}_scale": np.ones(16, np.float32)},
            r"holds int8 \[96, 16\] with scales float32 \[16\]; expected .* a positive scale for each row or one",
        ),
        ({"decoder/projection/weight": np.ones((96, 16), np.float16)}, "proj_out.weight is not the token table"),
        ({"decoder/projection/bias": np.ones(96, np.float16)}, "proj_out.bias: no part of a Whisper model of 2 and 2"),
        ({"encoder/layer_0/gate/weight": np.ones((2, 2), np.float16)}, r"layer_0/gate/weight \[2, 2\] is no part of"),
        ({"decoder/activation": np.int8(1)}, "decoder/activation is 1; expected 3, as Whisper has it"),
        ({"decoder/num_heads": np.int16(4)}, "2 heads in the encoder, 4 in the decoder"),
        ({"decoder/rotary_dim": np.int32(4)}, "decoder/rotary_dim holds int32 without decoder/rotary_dim_scale"),
        ({"encoder/conv2/bias": None}, "no tensor model.encoder.conv2.bias; expected all of a Whisper model"),
    ],
)
def test_what_a_ctranslate2_model_holds_is_used_or_refused_by_name(weights, tensors, tmp_path, more, said):
    (tmp_path / "model.bin").write_bytes(ctranslate2(tensors, more=more, aliases=()))
    with pytest.raises(weights.WeightsError, match=said):
        weights.read(tmp_path)


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


def openai(tensors, path, *, more=None, **changed):
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
        "n_text_ctx": 16, "n_text_state": 16, "n_text_head": 2, "n_text_layer": 2, **changed,
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


def test_what_openais_file_holds_is_used_or_refused_by_name(weights, tensors, tmp_path):
    path = tmp_path / "tiny.pt"
    openai({**tensors, "model.decoder.gate": np.ones(3, np.float32)}, path)
    with pytest.raises(weights.WeightsError, match="model.decoder.gate: no part of a Whisper model"):
        weights.read(path)
    openai(tensors, path, n_text_head=4)
    with pytest.raises(weights.WeightsError, match="2 heads in the encoder, 4 in the decoder"):
        weights.read(path)


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


def test_tensors_that_do_not_fit_are_named(network, weights, config, tensors, tmp_path):
    def read(changed):
        return weights.read(hugging_face(tmp_path, changed))

    name = "model.decoder.layers.1.fc1.weight"
    with pytest.raises(weights.WeightsError, match=f"no tensor {name}"):
        read({key: value for key, value in tensors.items() if key != name})
    with pytest.raises(weights.WeightsError, match=rf"{name} has shape \(3, 16\); expected \(64, 16\)"):
        read({**tensors, name: np.zeros((3, 16), np.float32)})
    with pytest.raises(weights.WeightsError, match=f"{name} holds int8; expected float32, float16 or bfloat16"):
        read({**tensors, name: np.zeros((64, 16), np.int8)})
    with pytest.raises(weights.WeightsError, match="model.encoder.gate.weight: no part of a Whisper model"):
        read({**tensors, "model.encoder.gate.weight": np.zeros(3, np.float32)})
    positions = "model.encoder.embed_positions.weight"
    with pytest.raises(weights.WeightsError, match="the encoder's positions are off by 0.0"):
        weights.assign(network.build(config), read({**tensors, positions: tensors[positions] + 0.01}))


def test_every_variable_of_the_network_has_its_tensor(network, weights, config, model):
    """The names and shapes that files are checked by, without TensorFlow, are those that the network has."""
    made = {}
    for variable in model.variables:
        name, turned = weights.place_of(variable.path)
        made[name] = turned(np.zeros(variable.shape)).shape
    assert made == weights.shapes(config)


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_bytes_are_the_vocabularys_byte_tokens_and_come_back():
    tokens = Bytes(vocabulary=51_864)
    assert tokens.encode("!") == [220, 0], "GPT-2's number of the space is 220, and of the first printable sign 0"
    assert tokens.decode([*tokens.encode("don't été"), tokens.end]) == "don't été"
    assert tokens.encode("") == [] and tokens.prefix == (50_257, 50_362) and tokens.end == 50_256
    assert Bytes(vocabulary=51_865).prefix == (50_258, 50_259, 50_359, 50_363)
    with pytest.raises(TokensError, match="a vocabulary of 1,000; expected more than 50,362"):
        Bytes(vocabulary=1000)


def tokenizer_json(*, special, pairs=(), first=256, words=(), **changed) -> str:
    """A tokenizer of all bytes and `pairs`, each of two parts; special tokens from `first` on, words after them."""
    vocabulary = {letter: number for number, letter in enumerate(_letters().values())}
    vocabulary |= {"".join(pair): 256 + number for number, pair in enumerate(pairs)}
    added = [{"id": first + number, "content": name, "special": True} for number, name in enumerate(special)]
    added += [{"id": first + len(special) + n, "content": name, "special": False} for n, name in enumerate(words)]
    model = {"type": "BPE", "vocab": vocabulary, "merges": [" ".join(pair) for pair in pairs]}
    return json.dumps({"model": model, "added_tokens": added} | changed)


def slow(folder, tokenizer: str, *, listed=True):
    """Write the same tokenizer as vocab.json and merges.txt, with its added tokens in one of the two usual files."""
    folder.mkdir()
    stored = json.loads(tokenizer)
    added = stored["added_tokens"]
    (folder / "vocab.json").write_text(json.dumps(stored["model"]["vocab"] | {added[0]["content"]: added[0]["id"]}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *stored["model"]["merges"], ""]))
    names = {each["content"]: each["id"] for each in added[1:]}
    decoder = {str(each["id"]): {"content": each["content"], "special": each["special"]} for each in added}
    (folder / "added_tokens.json").write_text(json.dumps(names))
    if listed:
        (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    return folder / "vocab.json"


def loaded(path, *, vocabulary, **stated):
    return load(path, beside=path.parent, vocabulary=vocabulary, stated=stated.pop("stated", {}), **stated)


END_TOKEN, START_TOKEN, NO_TIMES = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
TOKENS = (END_TOKEN, START_TOKEN, NO_TIMES)
SEVERAL = (END_TOKEN, START_TOKEN, "<|en|>", "<|transcribe|>", NO_TIMES)
PAIRS = (("Ġ", "a"), ("b", "c"), ("Ġa", "bc"))


def test_byte_pairs_are_read_from_the_file_of_the_weights(tmp_path):
    pytest.importorskip("tiktoken")
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(special=TOKENS, pairs=PAIRS, first=259))
    tokens = loaded(path, vocabulary=262)
    b = list(_letters().values()).index("b")
    assert (tokens.end, tokens.prefix) == (259, (260, 261))
    assert tokens.encode("a") == [256] and tokens.encode("abc") == [258] and tokens.encode("") == []
    assert tokens.encode("ab a") == [256, b, 256] and tokens.decode([258, 256, 259, 260]) == "abc a"
    with pytest.raises(TokensError, match=r"<\|notimestamps\|> is 261; expected a token below 261: is it another"):
        loaded(path, vocabulary=261)
    stored = json.loads(path.read_text())
    stored["model"]["merges"].append(["Ġab", "c"])  # as converters write that list all parts of a pair
    path.write_text(json.dumps(stored))
    assert loaded(path, vocabulary=262).digest() == tokens.digest()
    path.write_text("{")
    with pytest.raises(TokensError, match="cannot be read as a tokenizer .*; expected tokenizer.json, or vocab.json"):
        loaded(path, vocabulary=7)


@pytest.mark.parametrize("listed", [True, False])
def test_vocab_json_and_merges_are_the_same_tokens_with_the_same_digest(tmp_path, listed):
    pytest.importorskip("tiktoken")
    one, other = (tokenizer_json(special=TOKENS, pairs=PAIRS, first=259, words=words) for words in ((), ("zebra",)))
    (tmp_path / "tokenizer.json").write_text(one)
    fast = loaded(tmp_path / "tokenizer.json", vocabulary=263)
    found = loaded(slow(tmp_path / "slow", one, listed=listed), vocabulary=263)
    assert (found.prefix, found.end, found.encode("abc a")) == (fast.prefix, fast.end, [258, 256])
    assert found.digest([3], [4]) == fast.digest([3], [4]) != fast.digest([3], [])
    wordy = loaded(slow(tmp_path / "wordy", other, listed=listed), vocabulary=263)
    assert wordy.encode("a zebra") == [256, 220, 262], "a word that was added is one token, wherever it stands"
    assert wordy.decode([256, 220, 262]) == "a zebra" and wordy.digest() != fast.digest()
    (tmp_path / "slow" / "merges.txt").unlink()
    with pytest.raises(TokensError, match="vocab.json: cannot be read as a tokenizer .*merges.txt"):
        loaded(tmp_path / "slow" / "vocab.json", vocabulary=262)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "found .*Lowercase.*; expected GPT-2's byte pairs"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "found .*Whitespace.*; expected GPT-2's byte pairs"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "found .*WordPiece.*; expected GPT-2's byte pairs"),
        ({"pairs": (PAIRS[1], PAIRS[0]), "model": None}, "merge 0 is 'Ġa'; expected a merge for every pair, in the"),
        ({"first": 258}, "two tokens have one number; expected a number for each"),
        ({"model": {"vocab": {"a": 0}}}, "255 bytes have no token; expected all 256"),
        (
            {"added_tokens": [{"id": 259, "content": "xx", "lstrip": True}]},
            "found .*'xx': 'not taken as it stands'.*; expected GPT-2's byte pairs",
        ),
        ({"words": ("xx",), "first": 300}, "a token has number 303; expected less than 303, which the weights have"),
    ],
)
def test_tokenizers_that_would_be_read_as_something_else_are_refused(tmp_path, changed, said):
    pytest.importorskip("tiktoken")
    pairs = changed.get("pairs", PAIRS)
    stored = json.loads(tokenizer_json(**{"special": TOKENS, "first": 259, "pairs": pairs, **changed}))
    if stored["model"] is None:  # numbers in another order than merges
        stored["model"] = json.loads(tokenizer_json(special=(), pairs=pairs))["model"]
        stored["model"]["merges"].reverse()
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(TokensError, match=said):
        loaded(tmp_path / "tokenizer.json", vocabulary=303)


def test_what_a_model_is_follows_from_its_special_tokens_and_never_from_its_size(tmp_path):
    pytest.importorskip("tiktoken")
    path = tmp_path / "tokenizer.json"
    for first, english in ((50_256, True), (50_257, False)):  # OpenAI's two; a word was added to the first
        path.write_text(tokenizer_json(special=SEVERAL, first=first, words=("zebra",)))
        around = (first + 1, first + 4) if english else tuple(range(first + 1, first + 5))
        assert loaded(path, vocabulary=51_865).prefix == loaded(path, vocabulary=51_864).prefix == around
    assert loaded(path, vocabulary=51_865, multilingual=False).prefix == (50_258, 50_261), "its settings say more"
    path.write_text(tokenizer_json(special=SEVERAL))
    assert loaded(path, vocabulary=300).prefix == (257, 258, 259, 260), "of its own, with a language and a task"
    path.write_text(tokenizer_json(special=TOKENS))
    assert loaded(path, vocabulary=300).prefix == (257, 258)
    with pytest.raises(TokensError, match=r"<\|en\|> is None; expected a token below 300"):
        loaded(path, vocabulary=300, multilingual=True)


def test_a_model_that_is_asked_for_another_language_is_refused_and_english_may_be_forced(tmp_path):
    pytest.importorskip("tiktoken")
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(special=(*SEVERAL, "<|nl|>", "<|translate|>")))
    assert loaded(path, vocabulary=300, forced=(258, 259, 260)).prefix == (257, 258, 259, 260)
    for forced, name in (((261, 259), "nl"), ((258, 262), "translate")):
        with pytest.raises(TokensError, match=rf"settings put <\|{name}\|> before a sentence; expected <\|en\|> and"):
            loaded(path, vocabulary=300, forced=forced)
    loaded(path, vocabulary=300, forced=(261,), multilingual=False)


def test_special_tokens_that_the_weights_number_otherwise_are_refused(weights, tensors, tmp_path):
    """By Hugging Face's settings, CTranslate2's list of tokens, and the size of OpenAI's vocabularies."""
    pytest.importorskip("tiktoken")
    stated = {"eos_token_id": 256, "decoder_start_token_id": 257}
    table = np.zeros((300, 16), np.float16)
    for shift, said in ((0, ""), (1, r"<\|startoftranscript\|> is 258; expected 257, as the weights' own files say")):
        folder = hugging_face(tmp_path / f"hf{shift}", {**tensors, TABLE: table}, vocab_size=300, **stated)
        ct2 = tmp_path / f"ct2{shift}"
        ct2.mkdir()
        (ct2 / "model.bin").write_bytes(ctranslate2({**tensors, TABLE: table}))
        (ct2 / "vocabulary.txt").write_text("\n".join([*_letters().values(), *TOKENS, ""]))
        for place in (folder, ct2):
            (place / "tokenizer.json").write_text(tokenizer_json(special=TOKENS, first=256 + shift))
            if said:
                with pytest.raises(TokensError, match=said):
                    _ = weights.read(place).tokens
            else:
                assert weights.read(place).tokens.prefix == (257, 258)
    several = {
        "no_timestamps_token_id": 260,
        "forced_decoder_ids": [[1, None], [2, 259]],
        "lang_to_id": {"<|en|>": 258},
        "task_to_id": {"transcribe": 259},
    }
    (tmp_path / "hf0" / "tokenizer.json").write_text(tokenizer_json(special=SEVERAL))
    for said, changed in (("en", {"lang_to_id": {"<|en|>": 9}}), ("transcribe", {"task_to_id": {"transcribe": 9}})):
        (tmp_path / "hf0" / "generation_config.json").write_text(json.dumps(several | {"is_multilingual": True}))
        assert weights.read(tmp_path / "hf0").tokens.prefix == (257, 258, 259, 260)
        (tmp_path / "hf0" / "generation_config.json").write_text(json.dumps(several | changed))
        with pytest.raises(TokensError, match=rf"<\|{said}\|> is \d+; expected 9, as the weights' own files say"):
            _ = weights.read(tmp_path / "hf0").tokens
    size = 259 + 1_501  # time stamps from 0.00 to 30.00 s end OpenAI's vocabularies
    openai({**tensors, TABLE: np.zeros((size, 16), np.float16)}, tmp_path / "tiny.pt", n_vocab=size)
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(special=TOKENS))
    assert weights.read(tmp_path / "tiny.pt").tokens.prefix == (257, 258)
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(special=TOKENS, first=257))
    with pytest.raises(TokensError, match=r"<\|notimestamps\|> is 259; expected 258, as the weights' own files say"):
        _ = weights.read(tmp_path / "tiny.pt").tokens


def test_published_weights_without_their_tokens_are_refused_with_the_way_out(weights, tensors, tmp_path):
    openai(tensors, tmp_path / "tiny.pt")
    hugging_face(tmp_path / "folder", tensors)
    for path, place in ((tmp_path / "tiny.pt", tmp_path), (tmp_path / "folder", tmp_path / "folder")):
        with pytest.raises(TokensError, match=f"{path}: weights without their tokens; expected .* in {place}: copy"):
            _ = weights.read(path).tokens


def test_decoded_tokens_are_spelled_as_transcripts_are():
    tokens = Bytes(vocabulary=51_864)
    rows = np.full((3, 12), tokens.end)
    for row, said in enumerate(("Don't!", "a-b", "")):
        rows[row, : len(tokens.encode(said))] = tokens.encode(said)
    rows[1, 5:] = tokens.encode("x")[1]  # what comes after the end does not count
    assert spelled(tokens)(rows, np.full(3, 12)) == ["don't", "a b", ""]
