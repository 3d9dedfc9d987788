"""A run's model as a SavedModel: read by processes that have TensorFlow and nothing of ours."""

import json

import numpy as np
import pytest
import soundfile

from benchmark.export.__main__ import main

READER = """
import sys
import numpy as np, tensorflow as tf
assert not [name for name in sys.modules if name.split(".")[0] in ("features", "models", "benchmark", "platforms")]
given, found = np.load("given.npz"), {}
signatures = tf.saved_model.load("out").signatures
for case in dict.fromkeys(name.split("/")[0] for name in given):
    taken = {name.split("/")[1]: given[name] for name in given if name.split("/")[0] == case}
    gave = signatures[case.split("-")[0]](**{name: tf.constant(value) for name, value in taken.items()})
    found |= {f"{case}/{name}": value.numpy() for name, value in gave.items()}
np.savez("found.npz", **found)
"""


def read(folder, cases, elsewhere) -> dict[str, dict[str, np.ndarray]]:
    """What signatures of folder/out give, in a process that cannot import the suite; "speech-2" is a case of speech."""
    np.savez(
        folder / "given.npz", **{f"{case}/{name}": v for case, given in cases.items() for name, v in given.items()}
    )
    elsewhere(folder, READER)
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, value in np.load(folder / "found.npz").items():
        found.setdefault(name.split("/")[0], {})[name.split("/")[1]] = value
    return found


def batch_of(corpus) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Three recordings of three lengths, and as a batch with a loud hum beyond each."""
    recordings = [soundfile.read(path, dtype="float32")[0] for path in sorted(corpus.rglob("*.flac"))[:3]]
    lengths = np.array([len(each) for each in recordings], np.int32)
    assert len(set(lengths)) == 3
    samples = np.full((3, lengths.max() + 700), 0.5, np.float32)
    for row, each in zip(samples, recordings, strict=True):
        row[: len(each)] = each
    return recordings, {"samples": samples, "lengths": lengths}


@pytest.fixture(
    scope="module", params=["modern", *(pytest.param(each, marks=pytest.mark.slow) for each in ("paper", "authors"))]
)
def exported(request, run_of, opened_of, elsewhere, tmp_path_factory, tone_corpus):
    """A run of each recipe, the folder whose `out` is its SavedModel, and what that gives elsewhere."""
    folder = tmp_path_factory.mktemp(request.param)
    run = run_of(request.param)
    assert main([str(run), "--to", "savedmodel", "-o", str(folder / "out")]) == 0
    features, frames, _ = opened_of(request.param).held
    batch = batch_of(tone_corpus)[1]
    short = {"samples": np.ones([2, 500], np.float32), "lengths": np.array([500, 0], np.int32)}
    given = {
        "acoustic": {"features": features, "lengths": frames},
        "features": batch,
        "speech": batch,
        "speech-2": short,
    }
    return run, folder, read(folder, given, elsewhere)


@pytest.fixture
def opened(exported, opened_of):
    return opened_of(exported[0].name)


def test_logits_are_the_suites_in_a_process_without_it(exported, opened):
    _, frames, expected = opened.held
    found = exported[2]["acoustic"]
    assert list(found["lengths"]) == list(opened.learner.output_counts(frames))
    for n, count in enumerate(found["lengths"]):  # of another recurrent kernel, whose sums have another order
        np.testing.assert_allclose(found["logits"][n, :count], expected[n, :count], atol=2e-5)


def test_on_the_same_recurrent_kernel_they_are_equal_to_the_last_digit_or_two(exported, opened, tf, monkeypatch):
    features, frames, _ = opened.held
    for lstm in opened.model.lstms:
        monkeypatch.setattr(lstm, "loop", "portable")
    expected = tf.function(opened.learner.outputs)(opened.model, features, frames).numpy()
    np.testing.assert_allclose(exported[2]["acoustic"]["logits"], expected, atol=2e-6)


def test_recordings_of_a_batch_are_heard_as_the_suite_hears_each(exported, opened, tone_corpus):
    """The front end is computed anew, up to rounding; what lies between two numbers of 16 bits may go either way."""
    from features.reading.batches import normalise

    made, found = exported[2]["features"], exported[2]["speech"]
    expected = np.zeros_like(made["features"])
    for n, each in enumerate(batch_of(tone_corpus)[0]):
        stored = opened.front_end.stored(each).astype(np.float16)
        expected[n, : len(stored)] = normalise(stored, opened.run.workload.normalisation)
        assert made["lengths"][n] == len(stored) == -(-len(each) // 160)
    off = np.abs(made["features"] - expected)
    assert np.mean(off > 1e-4) < 1e-3 and off.max() < 0.02  # a step of 16 bits is 2^-7 from 8 to 16
    outputs = opened.learner.outputs(opened.model, expected, made["lengths"]).numpy()
    for n, count in enumerate(found["lengths"]):
        assert count == opened.learner.output_counts(made["lengths"])[n]
        np.testing.assert_allclose(found["logits"][n, :count], outputs[n, :count], atol=5e-3)


def test_a_recording_shorter_than_the_kernel_gives_no_logits(exported):
    assert list(exported[2]["speech-2"]["lengths"]) == [0, 0]


def test_it_holds_operations_of_tensorflow_alone(exported, tf):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    stored = SavedModel.FromString((exported[1] / "out" / "saved_model.pb").read_bytes())
    graph = stored.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    assert not {node.op for node in nodes} & {"PyFunc", "EagerPyFunc", "PyFuncStateless", "CudnnRNNV3"}
    assert not [each for each in graph.library.function if each.attr["_XlaMustCompile"].b]
    assert {node.device for node in nodes} <= {"", "/device:CPU:0", "/device:CPU:*"}  # those of reading variables


def test_what_a_reader_needs_stands_beside_it(exported):
    run, folder, _ = exported
    told = json.loads((folder / "out" / "metadata.json").read_text())
    assert told["run"] == run.name and told["format"] == "savedmodel" and told["sample_rate_hz"] == 16_000
    assert told["outputs"]["alphabet"][:3] == [" ", "a", "b"] and told["outputs"]["alphabet"][told["outputs"]["blank"]]
    assert told["front_end"]["name"] == "mfcc13-logmel80" and told["front_end"]["step_samples"] == 160
    assert told["normalisation"]["name"] == ("frame-l2" if run.name == "authors" else "utterance")
    assert told["signatures"]["speech"]["takes"] == {"lengths": "int32 [?]", "samples": "float32 [?, ?]"}
    assert told["model"]["stride"] == (3 if run.name == "modern" else 2) == told["outputs"]["stride"]
    assert ("batch" in told["outputs"]) == (run.name == "authors")
    assert told["largest_difference"] < 1e-5 and told["checkpoint"]["epoch"] == 1


def test_a_checkpoint_of_ones_own_choice_and_nothing_is_overwritten(exported, capsys, tmp_path):
    run, folder, _ = exported
    (index,) = (run / "checkpoints").glob("*.index")
    assert main([str(run / "checkpoints" / index.stem), "--to", "savedmodel", "-o", f"{tmp_path}/"]) == 0
    assert json.loads((tmp_path / f"{index.stem}-savedmodel" / "metadata.json").read_text())["checkpoint"]["step"] > 0
    capsys.readouterr()
    assert main([str(run), "--to", "savedmodel", "-o", str(folder / "out" / "metadata.json")]) == 2
    assert "is there already and nothing is overwritten" in capsys.readouterr().err
