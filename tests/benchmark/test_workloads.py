import json
from dataclasses import replace

import pytest

from benchmark import workloads
from features.reading.batches import NORMALISATIONS
from models.deepspeech.config import Config


def test_librispeech_is_the_papers():
    workload = workloads.load("librispeech")
    assert workload.model == Config(filters=600, units=800, layers=5, dropout=0.05, norm_momentum=0.99, recipe="paper")
    assert workload.targets == {"cer": (10.0, 8.0, 7.0), "wer": (22.0, 20.2, 19.2)}
    assert (workload.padding, workload.max_frames, workload.window) == ("fixed", 1670, 3)
    assert (workload.decoder, workload.beam_width, workload.evaluation) == ("dictionary", 256, "resident")


def test_mini_and_speech_are_of_one_size():
    mini, speech = workloads.load("mini"), workloads.load("speech")
    assert mini.model == speech.model


def test_an_unknown_name_lists_the_known_and_guesses():
    with pytest.raises(ValueError, match=f"there are {', '.join(workloads.names())}, or a path.*did you mean 'speech'"):
        workloads.load("speach")


@pytest.mark.parametrize(
    ("field", "value"),
    [
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


@pytest.mark.parametrize("name", workloads.names())
def test_a_workload_comes_back_from_json(name):
    workload = workloads.load(name)
    assert workloads.Workload.from_dict(json.loads(json.dumps(workload.to_dict()))) == workload


def test_a_workload_of_before_models_had_their_own_settings_is_read():
    """As run.json of schema 3 holds it: the settings of all models among the workload's, and a model's name."""
    flat = {
        **{key: value for key, value in workloads.load("mini").to_dict().items() if key != "model"},
        "model": "deepspeech",
        "weights": "",
        "recipe": "authors",
        "filters": 192,
        "units": 96,
        "layers": 5,
        "dropout": 0.05,
        "norm_momentum": 0.98,
        "a key of later": 1,
    }
    found = workloads.Workload.from_dict(json.loads(json.dumps(flat)))
    assert found == workloads.load("mini").with_model(recipe="authors", units=96)
    whisper = {**flat, "model": "whisper", "recipe": "fine-tune", "weights": "random", "decoder": "greedy"}
    whisper |= {"normalisation": "none", "padding": "fixed"}
    found = workloads.Workload.from_dict(whisper).to_dict()["model"]
    assert (found["name"], found["weights"], found["width"]) == ("whisper", "random", 384) and "units" not in found


MINE = """
name = "mine"
description = "a workload of one's own"
corpus = "folder"
max_epochs = 3
max_minutes = 9.5
decoder = "dictionary"

[targets]
wer = [50, 40.5]
"""


def test_a_workload_of_ones_own_is_a_file_whose_settings_stand_in_the_variant(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    mine = workloads.load(str(path))
    assert (mine.name, mine.max_minutes, mine.model.units) == ("mine", 9.5, 800)
    assert mine.targets == {"wer": (50.0, 40.5)} and mine.variant.startswith("file-")
    path.write_text("# a word\n" + MINE.replace("one's own", "somebody"))  # changes nothing that is learnt
    assert workloads.load(path).variant == mine.variant
    path.write_text(MINE + "[model]\nunits = 64\n")  # runs of both must not pool
    assert workloads.load(path).variant != mine.variant


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("max_epochs = 3", "max_epoch = 3"), "unknown key max_epoch = 3; did you mean max_epochs"),
        (("max_epochs = 3", 'max_epochs = "3"'), "max_epochs is '3'; expected a whole number"),
        (("max_epochs = 3", "max_epochs = true"), "max_epochs is True; expected a whole number"),
        (("max_epochs = 3", ""), "max_epochs is missing"),
        (('corpus = "folder"', 'corpus = "web"'), "corpus is 'web'; expected embedded or folder or librispeech"),
        (("wer = [50, 40.5]", "wer = 50"), "expected a table of percents"),
        (("wer = [50, 40.5]", "per = [50]"), "targets for per; expected wer or cer or ser"),
        (('name = "mine"', 'name = "mini"'), "name is 'mini'; expected 'mine', as the file is called mine.toml"),
        (('name = "mine"', "name = ["), "is not TOML"),
        (('name = "mine"', 'variant = "x"'), "unknown key variant"),
        (("max_epochs = 3", "max_epochs = 3\nunits = 64"), "units = 64; it belongs into the table [model]"),
        (("[targets]", "[model]\nunit = 64\n[targets]"), "unknown key [model] unit = 64; did you mean units"),
        (("[targets]", "[model]\nunits = 6.5\n[targets]"), "[model] units is 6.5; expected a whole number"),
        (("[targets]", "[model]\nstride = 0\n[targets]"), "stride is 0; expected 1 or more"),
        (
            ("[targets]", '[model]\nrecipe = "x"\n[targets]'),
            "model deepspeech with recipe 'x'; expected a recipe of paper, authors",
        ),
        (("[targets]", '[model]\nname = "x"\n[targets]'), "no model 'x'; there are deepspeech, "),
        (("max_epochs = 3", 'max_epochs = 3\nmodel = "whisper"'), "model is 'whisper'; expected a table [model]"),
    ],
)
def test_a_file_that_is_no_workload_is_refused_with_file_key_and_way_out(tmp_path, change, said):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace(*change))
    with pytest.raises(ValueError, match="mine.toml: ") as refused:
        workloads.load(path)
    assert said in str(refused.value)


def test_a_missing_file_is_refused_with_the_known_names(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.toml: No such file.*librispeech, mini"):
        workloads.load(str(tmp_path / "nowhere.toml"))
