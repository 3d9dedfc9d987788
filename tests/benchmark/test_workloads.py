import json
from dataclasses import replace

import pytest

from benchmark import workloads
from features.reading.batches import NORMALISATIONS


def test_librispeech_is_the_papers():
    workload = workloads.load("librispeech")
    assert (workload.filters, workload.units, workload.layers, workload.dropout) == (600, 800, 5, 0.05)
    assert workload.targets == {"cer": (10.0, 8.0, 7.0), "wer": (22.0, 20.2, 19.2)}
    assert (workload.padding, workload.max_frames, workload.window) == ("fixed", 1670, 3)
    assert (workload.decoder, workload.beam_width, workload.evaluation) == ("dictionary", 256, "resident")


def test_mini_and_speech_are_of_one_size():
    mini, speech = workloads.load("mini"), workloads.load("speech")
    assert (mini.filters, mini.units, mini.layers) == (speech.filters, speech.units, speech.layers)


def test_an_unknown_name_lists_the_known_and_guesses():
    with pytest.raises(
        ValueError, match=r"mini, speech, librispeech, whisper, whisper-librispeech; did you mean 'speech'"
    ):
        workloads.load("speach")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipe", "x"),
        ("padding", "x"),
        ("max_epochs", 0),
        ("targets", {"per": (1.0,)}),
        ("beam_width", -1),
        ("max_minutes", float("nan")),
    ],
)
def test_nonsense_is_refused_with_the_field_and_what_was_expected(field, value):
    with pytest.raises(ValueError, match=rf"({field}|per).*expected"):
        replace(workloads.load("mini"), **{field: value})


def test_names_agree_with_the_rooms_that_implement_them():
    assert workloads.NORMALISATIONS == NORMALISATIONS


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_a_workload_comes_back_from_json(name):
    workload = workloads.load(name)
    assert workloads.Workload.from_dict(json.loads(json.dumps(workload.to_dict()))) == workload
