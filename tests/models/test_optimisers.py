"""A recipe is a record of differences, cheap to import."""

import subprocess
import sys
import zlib
from dataclasses import fields
from pathlib import Path

import pytest

from features.reading.batches import NORMALISATIONS
from models.deepspeech.config import Config, Recipe
from models.table import RECIPES, config_of, with_recipe

ROOT = Path(__file__).resolve().parents[2]


def test_paper_is_the_default_and_the_others_differ_from_it_in_what_they_are_for():
    assert RECIPES["paper"] == Recipe()
    paper, authors, modern = RECIPES["paper"], RECIPES["authors"], RECIPES["modern"]
    same = [field.name for field in fields(Recipe) if getattr(paper, field.name) == getattr(authors, field.name)]
    assert same == ["layer_norm", "settings", "optimiser"]  # both train with the paper's AdaDelta
    other = [field.name for field in fields(Recipe) if getattr(paper, field.name) != getattr(modern, field.name)]
    assert other == ["layer_norm", "settings", "optimiser"]


def test_only_batch_normalisation_sees_in_what_pieces_a_batch_is_taken():
    assert {name for name, recipe in RECIPES.items() if recipe.by_pieces} == {"paper", "authors"}


def test_no_recipe_but_that_of_fine_tuning_knows_when_training_ends():
    assert [name for name, recipe in RECIPES.items() if recipe.optimiser.knows_the_end] == ["fine-tune"]


def test_a_recipe_brings_sizes_unless_others_are_asked_for():
    usual = Config()
    modern = with_recipe(usual, "modern")
    assert (modern.recipe, modern.stride, modern.layers, modern.units) == ("modern", 3, 3, 800)
    assert with_recipe(modern, "modern") == modern
    assert with_recipe(modern, "paper") == usual and with_recipe(usual, "authors") == Config(recipe="authors")
    deep = with_recipe(Config(layers=7), "modern")
    assert (deep.stride, deep.layers) == (3, 7)
    assert with_recipe(deep, "paper") == Config(layers=7)
    assert config_of({"recipe": "modern"}) == modern
    assert config_of({"recipe": "modern", "stride": 2}) == Config(recipe="modern", stride=2, layers=3)
    with pytest.raises(ValueError, match="recipe 'fine-tune'; expected a recipe of paper, authors, modern"):
        with_recipe(usual, "fine-tune")


RECORDS = {
    "paper": 1_043_770_799,
    "authors": 2_300_993_600,
    "modern": 1_236_353_318,
    "fine-tune": 1_382_824_339,
}
"""Digests of the records. What a name stands for never changes, as runs of one recipe are compared over years."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_has_a_name_never_changes(name):
    """A better recipe is another name; a new field leaves the digest if it has its default."""
    recipe = RECIPES[name]
    usual = type(recipe)()
    told = {
        field.name: getattr(recipe, field.name)
        for field in fields(recipe)
        if getattr(recipe, field.name) != getattr(usual, field.name)
    }
    optimiser = recipe.optimiser
    told["optimiser"] = (type(optimiser).__name__, vars(optimiser))
    assert zlib.crc32(repr(sorted(told.items())).encode()) == RECORDS[name], "give a changed recipe another name"


def test_a_recipe_refuses_a_negative_penalty():
    with pytest.raises(ValueError, match="output_l2 is -1; expected 0 or more"):
        Recipe(output_l2=-1)


def test_a_recipe_refuses_what_only_batch_normalisation_has():
    with pytest.raises(ValueError, match="layer_norm, with relu"):
        Recipe(layer_norm=True, relu=True)


def test_normalisations_of_recipes_are_those_of_the_features():
    assert {recipe.normalisation for recipe in RECIPES.values()} <= {None, *NORMALISATIONS}


@pytest.mark.parametrize("module", ["models", "models.optimisers"])
def test_importing_it_loads_no_library(module):
    check = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'numpy', 'scipy', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
