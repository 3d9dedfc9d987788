"""A run's model as a file of Keras's own layers, and as ONNX, which onnxruntime computes."""

import json
import subprocess
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


@pytest.fixture
def opened(run_of, tf):
    from benchmark.export.model.opened import open_model
    from benchmark.run.prepare.trained import load_trained

    return lambda recipe: open_model(load_trained(run_of(recipe)), checkpoint="last")


def assert_the_suites(found, opened):
    _, frames, expected = opened.held
    counts = opened.learner.output_counts(frames)
    assert list(found["logits_lengths"]) == list(counts)
    for n, count in enumerate(counts):
        np.testing.assert_allclose(found["logits"][n, :count], expected[n, :count], atol=5e-5)


@pytest.mark.parametrize("recipe", ["modern", pytest.param("paper", marks=pytest.mark.slow)])
def test_keras_reads_its_own_layers_without_the_suite(run_of, opened, recipe, tmp_path):
    assert main([str(run_of(recipe)), "--to", "keras", "-o", str(tmp_path / "out"), "--checkpoint", "last"]) == 0
    model = opened(recipe)
    np.savez(tmp_path / "given.npz", features=model.held[0], lengths=model.held[1])
    done = subprocess.run([sys.executable, "-I", "-c", READER], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_the_suites(dict(np.load(tmp_path / "found.npz")), model)
    told = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert told["file"] == "model.keras" and told["checkpoint"]["name"] in ("last", "best and last")


def test_peepholes_are_no_layer_of_keras(run_of, tmp_path, capsys):
    run = run_of("authors")
    capsys.readouterr()
    assert main([str(run), "--to", "keras", "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "recipe authors as stock layers: keras.layers.LSTM has no peepholes; take --to savedmodel or onnx" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", ["modern", "paper", "authors"])
def test_onnxruntime_computes_the_suites_logits(run_of, opened, recipe, tmp_path):
    """Peepholes and batch statistics of `authors` too; an utterance of no frames gives none, and harms no other."""
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    assert main([str(run_of(recipe)), "--to", "onnx", "-o", str(tmp_path / "out")]) == 0
    path, model = tmp_path / "out" / "model.onnx", opened(recipe)
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
