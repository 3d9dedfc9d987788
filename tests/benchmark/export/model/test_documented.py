"""The programs of docs/models.md, as they stand there: they hear what the suite hears."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.export.__main__ import main

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "models.md"


def likely(folder: Path) -> None:
    """Make the last layer of a model that has learnt little say more than blanks: of an ONNX, its bias without them."""
    import onnx

    path = folder / "speech.onnx"
    model = onnx.load(path)
    (bias,) = (each for each in model.graph.initializer if each.name == "acoustic/output/bias")
    value = onnx.numpy_helper.to_array(bias).copy()
    value[29] = -9
    bias.CopyFrom(onnx.numpy_helper.from_array(value, bias.name))
    onnx.save(model, path)


def greedy(logits: np.ndarray, letters: list[str]) -> str:
    labels = logits.argmax(1)
    once = [label for n, label in enumerate(labels) if not n or label != labels[n - 1]]
    return "".join(letters[label] for label in once if label not in (28, 29))


@pytest.mark.parametrize(("number", "form"), [pytest.param(0, "savedmodel", marks=pytest.mark.slow), (1, "onnx")])
def test_a_program_prints_what_the_suite_hears(run_of, opened_of, elsewhere, tone_corpus, tmp_path, number, form):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    run = run_of("modern")
    assert main([str(run), "--to", form, "-o", str(tmp_path / "model")]) == 0
    shutil.copy(min(tone_corpus.rglob("*.flac")), tmp_path / "call.flac")
    program = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[number]
    if form == "onnx":
        likely(tmp_path / "model")
    printed = elsewhere(tmp_path, program)
    expected = suites(opened_of("modern"), tmp_path / "call.flac", unlikely=29 if form == "onnx" else None)
    letters = json.loads((tmp_path / "model" / "metadata.json").read_text())["outputs"]["alphabet"]
    assert printed.rstrip("\n") == greedy(expected, letters)
    assert form == "savedmodel" or len(printed) > 3


def suites(opened, recording: Path, *, unlikely: int | None) -> np.ndarray:
    """The suite's logits of a recording, [T', 30]."""
    import soundfile

    from features.reading.batches import normalise

    stored = opened.front_end.stored(soundfile.read(recording, dtype="float32")[0]).astype(np.float16)
    features = normalise(stored, opened.run.workload.normalisation)[None]
    bias = opened.model.output_layer.bias
    own = bias.numpy()
    try:
        bias.assign([-9.0 if n == unlikely else value for n, value in enumerate(own)])
        return opened.learner.outputs(opened.model, features, np.array([len(stored)])).numpy()[0]
    finally:
        bias.assign(own)
