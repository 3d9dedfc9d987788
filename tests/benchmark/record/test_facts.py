"""run.json: which versions it names, those that were loaded beside those that TensorFlow was built for."""

import pytest

from benchmark import workloads
from benchmark.record.facts import Facts

LOADED = {"cuda": "12.5", "cuda_driver": "13.0", "cudnn": "9.3.0"}
BUILT_FOR = {"cuda": "12.5.1", "cuda_driver": None, "cudnn": "9"}


@pytest.mark.parametrize(
    ("content", "versions"),
    [
        (
            {"versions": {"keras": "3.15.0", "kenlm": None}, "loaded": LOADED, "built_for": BUILT_FOR},
            {
                "keras": "3.15.0",
                "CUDA": "12.5",
                "CUDA driver": "13.0",
                "cuDNN": "9.3.0",
                "CUDA build": "12.5.1",
                "cuDNN build": "9",
            },
        ),
        ({"loaded": dict.fromkeys(LOADED), "built_for": BUILT_FOR}, {"CUDA build": "12.5.1", "cuDNN build": "9"}),
        ({"cuda": "12.5.1", "cudnn": "9"}, {"CUDA build": "12.5.1", "cuDNN build": "9"}),  # of an older version
        ({}, {}),
        ({"versions": 3, "loaded": ["9"], "built_for": "all"}, {}),
    ],
)
def test_cuda_and_cudnn_are_what_was_loaded_and_what_was_built_for_is_said_apart(content, versions):
    assert Facts(content).versions == versions


@pytest.mark.parametrize(
    ("label", "name"), [("language-model-64-x-0f", "pyctcdecode"), ("lm-64-x-0f", "language-model")]
)
def test_the_decoder_of_an_older_run_with_a_language_model_has_another_name_today(label, name):
    workload = workloads.load("mini").to_dict() | {"decoder": "language-model"}
    facts = Facts({"workload": workload, "decoder": {"label": label, "name": "language-model"}})
    assert facts.workload.decoder == name
    assert facts.decoder.label.partition("-64")[0] == {"pyctcdecode": "pyctcdecode", "language-model": "lm"}[name]
