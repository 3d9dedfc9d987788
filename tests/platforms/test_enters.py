"""Every setting says how it enters a run's identity; no list of them is kept anywhere else."""

import argparse
from dataclasses import fields

import pytest

import platforms
from benchmark.record.columns import Identity
from benchmark.record.system import System
from benchmark.workloads import Workload
from models.table import MODELS
from platforms.enters import Circumstance, Column, End, Harmless, Mark, add_options, circumstances, declared

RECORDS = (Workload, platforms.Platform, platforms.Hardware, platforms.Input, platforms.Training, platforms.Price,
           System,
           *(kind.config for kind in MODELS.values()))  # fmt: skip
COLUMNS = {each.name for each in fields(Identity)}


@pytest.mark.parametrize("record", RECORDS)
def test_every_setting_says_how_it_enters_a_runs_identity(record):
    for name, enters in declared(record).items():  # KeyError: it says nothing
        assert isinstance(enters, Column | Mark | Circumstance | Harmless), name
        if isinstance(enters, Column):
            assert enters.name in COLUMNS, f"{name} is no column of the journal"
        if isinstance(enters, Harmless):
            assert enters.because, name


def test_the_words_of_a_mark_take_the_settings_value_and_tell_settings_apart():
    for kind in MODELS.values():
        told = [*declared(Workload).values(), *declared(kind.config).values()]
        words = [enters.words for enters in told if isinstance(enters, Mark) and enters.words]
        assert all("{" in each for each in words)
        assert len(set(words) - {"{}"}) == len(words) - 2  # augment and padding are words of their own


def test_a_model_has_no_setting_of_a_workloads_name():
    """`Workload.changed` takes both by name."""
    assert not [kind for kind in MODELS.values() if set(declared(kind.config)) & set(declared(Workload))]


def test_an_option_that_two_models_declare_has_the_choices_of_both():
    parser = argparse.ArgumentParser()
    add_options(parser, Workload, *(kind.config for kind in MODELS.values()))
    given = parser.parse_args(["--recipe", "fine-tune", "--audio-noise", "-5", "--max-epochs", "3"])
    assert (given.recipe, given.audio_noise_db, given.max_epochs, given.samples) == ("fine-tune", -5.0, 3, None)
    parser.parse_args(["--recipe", "authors"])


def test_limits_are_ends_and_knobs_without_a_column_are_circumstances():
    assert isinstance(declared(Workload)["max_epochs"], End)
    assert circumstances(platforms.Input, platforms.Training) == ("readers", "buffer", "accumulation", "reduction")
