"""A run's model as a file of Keras's own layers, and as ONNX, which onnxruntime computes."""

import json
import sys

import numpy as np
import pytest

from benchmark.export.__main__ import main

READER = """
import sys
import numpy as np, keras
assert not [name for name in sys.modules if name.split(".")[0] in ("features", "models", "benchmark", "platforms")]
model = keras.models.load_model("out/model.keras", compile=False)
assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
np.savez("found.npz", **{name: np.asarray(value) for name, value in model(dict(np.load("given.npz"))).items()})
"""


def assert_the_suites(found, opened):
    _, frames, expected = opened.held
    counts = opened.learner.output_counts(frames)
    assert list(found["logits_lengths"]) == list(counts)
    for n, count in enumerate(counts):
        np.testing.assert_allclose(found["logits"][n, :count], expected[n, :count], atol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["modern", "paper"])
def test_keras_reads_its_own_layers_without_the_suite(run_of, opened_of, elsewhere, recipe, tmp_path):
    assert main([str(run_of(recipe)), "--to", "keras", "-o", str(tmp_path / "out"), "--checkpoint", "last"]) == 0
    model = opened_of(recipe)  # the last checkpoint is the best, as there is one
    np.savez(tmp_path / "given.npz", features=model.held[0], lengths=model.held[1])
    elsewhere(tmp_path, READER)
    assert_the_suites(dict(np.load(tmp_path / "found.npz")), model)
    told = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert told["file"] == "model.keras" and told["checkpoint"]["name"] in ("last", "best and last")


@pytest.mark.slow
def test_peepholes_are_no_layer_of_keras(run_of, tmp_path, capsys):
    run = run_of("authors")
    capsys.readouterr()
    assert main([str(run), "--to", "keras", "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "recipe authors as stock layers: keras.layers.LSTM has no peepholes; take --to savedmodel or onnx" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", ["modern", "paper", "authors"])
def test_onnxruntime_computes_the_suites_logits(run_of, opened_of, recipe, tmp_path):
    """Peepholes and batch statistics of `authors` too; an utterance of no frames gives none, and harms no other."""
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    assert main([str(run_of(recipe)), "--to", "onnx", "-o", str(tmp_path / "out")]) == 0
    path, model = tmp_path / "out" / "model.onnx", opened_of(recipe)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def computed(features, lengths):
        found = session.run(None, {"features": features, "lengths": np.asarray(lengths, np.int64)})
        return dict(zip((each.name for each in session.get_outputs()), found, strict=True))

    features, frames, _ = model.held
    assert_the_suites(computed(features, frames), model)
    one, two = computed(features[:1], frames[:1]), computed(features, [frames[0], 0])
    np.testing.assert_allclose(two["logits"][0], one["logits"][0], atol=2e-5)
    assert list(two["logits_lengths"])[1] == 0
    told = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert json.loads(told["speech_tta"])["outputs"]["alphabet"][0] == " "


def test_without_onnx_one_is_told_how_to_install_it(run_of, tmp_path, capsys, monkeypatch):
    run = run_of("modern")
    monkeypatch.setitem(sys.modules, "onnx", None)
    capsys.readouterr()
    assert main([str(run), "--to", "onnx", "-o", str(tmp_path / "out")]) == 2
    assert "onnx is not here; pip install '.[export]'" in capsys.readouterr().err


def test_an_export_that_is_not_the_model_is_not_written(run_of, tmp_path, capsys, monkeypatch):
    """One weight of the stock model is off: the difference is seen when it is read back."""
    from models.deepspeech import portable

    def wrong(learner, model):
        made = stock(learner, model)
        dense = made.get_layer("logits")
        dense.set_weights([dense.get_weights()[0], dense.get_weights()[1] + 0.01])
        return made

    stock = portable.stock
    monkeypatch.setattr(portable, "stock", wrong)
    run = run_of("modern")
    capsys.readouterr()
    assert main([str(run), "--to", "keras", "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "the Keras model gives logits that are off by 0.01" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def front_end_of(normalisation, samples, lengths):
    """Features and their frames by onnxruntime, of the graph alone."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from benchmark.export.model.onnx_front_end import front_end

    session = onnxruntime.InferenceSession(front_end("mfcc13-logmel80", normalisation).SerializeToString(),
                                           providers=["CPUExecutionProvider"])  # fmt: skip
    return session.run(None, {"samples": samples, "lengths": np.asarray(lengths, np.int64)})


@pytest.mark.parametrize("normalisation", ["utterance", "frame-l2", "none"])
def test_the_front_end_as_onnx_gives_what_shards_store_normalised(normalisation):
    """Of lengths on and beside a step, of one sample and of none, beside ends that are not silent."""
    from features.frames.mfcc import features
    from features.reading.batches import normalise

    rng, lengths = np.random.default_rng(3), [16_000, 15_999, 8_001, 160, 161, 1, 0]
    samples = (rng.standard_normal((len(lengths), 16_000)) * np.logspace(-6, -1, 16_000)).astype(np.float32)
    found, frames = front_end_of(normalisation, samples, lengths)
    assert frames.tolist() == [100, 100, 51, 1, 2, 1, 0]  # ceil(samples / 160)
    for n, length in enumerate(lengths[:-1]):
        expected = normalise(features(samples[n, :length]).astype(np.float16), normalisation)
        off = np.abs(found[n, : frames[n]] - expected)
        assert off.max() < 0.02 and (off > 1e-4).mean() < 0.01, (n, off.max())  # a 16-bit value either way, seldom
        assert normalisation == "none" or not found[n, frames[n] :].any()


def test_no_other_front_end_is_made_up():
    pytest.importorskip("onnx")
    from benchmark.export.model.onnx_front_end import front_end
    from models.portable import PortableError

    with pytest.raises(PortableError, match="the front end logmel80-normalised as ONNX is not here"):
        front_end("logmel80-normalised", "none")
