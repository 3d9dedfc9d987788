"""The table of models, by name; what is known of each before it is made.

    MODELS["deepspeech"].recipes["authors"].peepholes
    config = config_of({"name": "deepspeech", "units": 192})
    learner = learner_of(config, frames=1670)

A further model is its folder and a line in MODELS, or a plug-in (platforms/plugins.py). TensorFlow is loaded when a
model is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.deepspeech import config as deepspeech
from models.learner import Config, Learner
from models.portable import Portable, PortableError
from models.whisper import config as whisper
from platforms.plugins import Named

Recipe = deepspeech.Recipe | whisper.Recipe


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of a model before it is made.

    `config` is the class of its settings. Its `module` has a function `learner`, which makes it from them. It is
    trained by one of `recipes` and decoded by one of `decoders`. `windowed`: it takes segments of one length, whose
    features are used as they are. `weights` is the module that finds the weights that it begins with (`settled`); "" if
    they are always drawn. `portable` is the module that makes of it what others can use (models/portable.py);
    "" if there is none.
    """

    config: type
    module: str
    recipes: Mapping[str, Recipe]
    decoders: tuple[str, ...]
    portable: str = ""
    windowed: bool = False
    weights: str = ""


MODELS: dict[str, Kind] = Named(
    "speech_tta.models",
    {
        "deepspeech": Kind(
            config=deepspeech.Config,
            module="models.deepspeech.learner",
            recipes=deepspeech.RECIPES,
            decoders=("greedy", "dictionary", "language-model", "pyctcdecode"),
            portable="models.deepspeech.portable",
        ),
        "whisper": Kind(
            config=whisper.Config,
            module="models.whisper.learner",
            recipes=whisper.RECIPES,
            decoders=("greedy",),
            portable="models.whisper.portable",
            windowed=True,
            weights="models.whisper.weights",
        ),
    },
    Kind,
)

USUAL = "deepspeech"

RECIPES: dict[str, Recipe] = {name: recipe for kind in MODELS.values() for name, recipe in kind.recipes.items()}
"""The recipes of all models, by name."""


def config_of(settings: Mapping[str, Any]) -> Config:
    """Make a model's settings of plain values: its `name`, and those that are not usual, or not what its recipe brings.

    Raises:
        ValueError: there is no such model, or a setting is out of range.
        TypeError: the model has no such setting.
    """
    name = settings.get("name", USUAL)
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"no model {name!r:.80}; there are {', '.join(MODELS)}")
    kind, given = MODELS[name], {key: value for key, value in settings.items() if key != "name"}
    recipe = kind.recipes.get(given.get("recipe", ""))
    return kind.config(**{**(recipe.settings if recipe else {}), **given})


def with_recipe(config: Config, recipe: str) -> Config:
    """Return the settings with another recipe, and what that brings in place of what this one brought.

    A setting that is not as this recipe brought it was asked for, and stays. Raises ValueError: no such recipe.
    """
    kind = MODELS[config.name]
    if recipe not in kind.recipes or recipe == config.recipe:
        return replace(config, recipe=recipe)  # which refuses an unknown one
    usual = kind.config()
    brought, brings = config.rules.settings, kind.recipes[recipe].settings
    asked = {name for name in brings if name not in brought and getattr(config, name) != getattr(usual, name)}
    back = {name: getattr(usual, name) for name, value in brought.items() if getattr(config, name) == value}
    new = {name: value for name, value in brings.items() if name not in asked}
    return replace(config, **{**back, **new, "recipe": recipe})


def learner_of(config: Config, *, frames: int) -> Learner:
    """Make a model's learner for utterances of at most `frames` frames. Raises ValueError if it cannot take them."""
    return importlib.import_module(MODELS[config.name].module).learner(config, frames=frames)


def settled(config: Config) -> tuple[Config, str]:
    """Return the settings with the weights found that the model begins with, and a short word that tells these apart.

    "" where weights are drawn.

    Raises:
        ValueError: they are not there; the message says how to get some.
    """
    module = MODELS[config.name].weights
    return importlib.import_module(module).settled(config) if module else (config, "")


def portable_of(config: Config) -> Portable:
    """Return what makes of a model what others can use; loads TensorFlow. Raises PortableError if nothing does."""
    if not MODELS[config.name].portable:
        raise PortableError(f"model {config.name} does not say what becomes of it outside of the suite; expected a "
                            f"module as models/portable.py has it")  # fmt: skip
    return importlib.import_module(MODELS[config.name].portable)  # type: ignore[return-value]
