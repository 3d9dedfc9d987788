"""A Whisper run as a SavedModel, and as a folder of Hugging Face that the suite and transformers read."""

import json

import numpy as np
import pytest
import soundfile
from trained import trained
from whispers import folder_of

from benchmark.export.__main__ import main

READER = """
import numpy as np, tensorflow as tf
given = dict(np.load("given.npz"))
signatures, found = tf.saved_model.load("out").signatures, {}
for name, keys in (("acoustic", ("features", "lengths")), ("speech", ("samples", "lengths_of_samples"))):
    taken = {key.split("_")[0]: tf.constant(given[key]) for key in keys}
    found |= {f"{name}_{key}": value.numpy() for key, value in signatures[name](**taken).items()}
logits = signatures["logits"](features=tf.constant(given["features"]), tokens=tf.constant(given["tokens"]))["logits"]
np.savez("found.npz", logits=logits.numpy(), **found)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, tone_corpus, tone_data):
    """A tiny Whisper after one epoch, in segments of 2 s."""
    folder = tmp_path_factory.mktemp("whisper")
    weights = folder_of(folder / "tiny")
    options = ("--weights", weights)
    return trained(folder, tone_corpus, tone_data, recipe="fine-tune", model="whisper", options=options)


@pytest.fixture(scope="module")
def opened(run, tf):
    """The run's model with what it was held to. Read only."""
    from benchmark.export.model.opened import open_model
    from benchmark.run.prepare.trained import load_trained

    return open_model(load_trained(run), checkpoint="best")


@pytest.mark.slow
def test_a_saved_model_decodes_as_the_suite_does(run, opened, elsewhere, tone_corpus, tmp_path):
    from features.frames import log_mel

    assert main([str(run), "--to", "savedmodel", "-o", str(tmp_path / "out")]) == 0
    samples = soundfile.read(min(tone_corpus.rglob("*.flac")), dtype="float32")[0]
    features, frames, expected = opened.held
    tokens = np.array([[*opened.learner.tokens.prefix, 65]] * len(features), np.int32)
    given = {"features": features, "lengths": frames, "tokens": tokens, "samples": samples[None],
             "lengths_of_samples": np.array([len(samples)], np.int32)}  # fmt: skip
    np.savez(tmp_path / "given.npz", **given)
    elsewhere(tmp_path, READER)
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(found["acoustic_tokens"], expected)
    np.testing.assert_allclose(found["logits"], opened.model(features, tokens), atol=2e-5)
    stored = log_mel.open_ended(samples).astype(np.float16)
    segment = log_mel.windowed(stored, opened.segment).numpy().astype(np.float32)
    heard = opened.learner.outputs(opened.model, segment[None], np.array([len(stored) - 2])).numpy()
    np.testing.assert_array_equal(found["speech_tokens"], heard)
    ends = [
        list(row).index(opened.learner.tokens.end) if opened.learner.tokens.end in row else len(row) for row in heard
    ]
    assert list(found["speech_lengths"]) == ends


@pytest.mark.slow
def test_what_stock_layers_and_onnx_do_not_hold_is_said(run, tmp_path, capsys):
    for form, said in (("keras", "decodes token by token"), ("onnx", "take --to hf first")):
        capsys.readouterr()
        assert main([str(run), "--to", form, "-o", str(tmp_path / form)]) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    """The folder of Hugging Face. Read only."""
    out = tmp_path_factory.mktemp("hf") / "out"
    assert main([str(run), "--to", "hf", "-o", str(out)]) == 0
    return out


@pytest.mark.slow
def test_the_suite_begins_with_the_folder_as_with_the_run(folder, opened):
    from models.whisper import network, weights

    found = weights.read(folder)
    model = network.build(found.config)
    weights.assign(model, found)
    features, _, _ = opened.held
    tokens = np.array([[257, 258, 40, 41]] * len(features), np.int32)
    np.testing.assert_array_equal(model(features, tokens), opened.model(features, tokens))
    assert found.config.audio_positions == 100 and found.tokens.prefix == opened.learner.tokens.prefix
    told = json.loads((folder / "metadata.json").read_text())
    assert told["outputs"]["end"] == 256 and "logits are the suite's" in told["checked"]


def test_transformers_computes_the_suites_logits_of_it(folder, opened):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder)
    features, _, expected = opened.held
    tokens = np.array([[257, 258, 40, 41]] * len(features), np.int32)
    with torch.no_grad():
        given = torch.from_numpy(features.transpose(0, 2, 1).copy())
        logits = model(input_features=given, decoder_input_ids=torch.from_numpy(tokens).long()).logits.numpy()
        said = model.generate(given).numpy()
    np.testing.assert_allclose(logits, opened.model(features, tokens), atol=5e-5)
    for row, ours in zip(said, expected, strict=True):
        theirs = [token for token in row if token not in opened.learner.tokens.prefix]
        assert theirs[: len(ours)] == list(ours)[: len(theirs)]


def test_transformers_makes_the_suites_features(folder, opened, tone_corpus):
    transformers = pytest.importorskip("transformers")
    from features.frames import log_mel

    extract = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    samples = soundfile.read(min(tone_corpus.rglob("*.flac")), dtype="float32")[0]
    theirs = extract(samples, sampling_rate=16_000, return_tensors="np").input_features[0].T
    assert theirs.shape == (200, 80) == log_mel.log_mel(samples, seconds=2).shape
    np.testing.assert_allclose(theirs, log_mel.log_mel(samples, seconds=2), atol=2e-3)


def test_a_model_of_letters_has_no_folder_of_hugging_face(run_of, tmp_path, capsys):
    run = run_of("modern")
    capsys.readouterr()
    assert main([str(run), "--to", "hf", "-o", str(tmp_path / "out")]) == 2
    assert "has no class in transformers; take --to savedmodel, keras or onnx" in capsys.readouterr().err
