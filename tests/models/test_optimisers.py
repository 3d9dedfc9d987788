"""A recipe is a record of differences, cheap to import."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from features.reading.batches import NORMALISATIONS
from models.deepspeech.config import Recipe
from models.table import RECIPES

ROOT = Path(__file__).resolve().parents[2]


def test_paper_is_the_default_and_authors_differs_in_all_but_the_optimiser():
    assert RECIPES["paper"] == Recipe()
    paper, authors = RECIPES["paper"], RECIPES["authors"]
    same = [field.name for field in fields(Recipe) if getattr(paper, field.name) == getattr(authors, field.name)]
    assert same == ["optimiser"]  # both train with the paper's AdaDelta


def test_a_recipe_refuses_a_negative_penalty():
    with pytest.raises(ValueError, match="output_l2 is -1; expected 0 or more"):
        Recipe(output_l2=-1)


def test_normalisations_of_recipes_are_those_of_the_features():
    assert {recipe.normalisation for recipe in RECIPES.values()} <= {None, *NORMALISATIONS}


@pytest.mark.parametrize("module", ["models", "models.optimisers"])
def test_importing_it_loads_no_library(module):
    check = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'numpy', 'scipy', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
