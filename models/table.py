"""The table of models, by name; what is known of each before it is made.

    MODELS["deepspeech"].recipes["authors"].peepholes
    learner = learner_of("deepspeech", workload.to_dict())

A further model is its folder and a line in MODELS. TensorFlow is loaded when a model is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.deepspeech import config as deepspeech
from models.learner import Learner
from models.whisper import config as whisper

Recipe = deepspeech.Recipe | whisper.Recipe


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of a model before it is made.

    Its `module` has a function `learner`, which makes it from a workload's settings. `features` are those of a frame,
    93 or Whisper's 80. It is trained by one of `recipes` and decoded by one of `decoders`. `by_pieces`: whether
    training on a batch in pieces differs, as with batch normalisation. `windowed`: it takes segments of one
    length, whose features are used as they are. `places` is the module that finds the weights that it begins with; ""
    if they are always drawn. `parameters` is how many it usually has; 0 if the workload says so.
    """

    module: str
    features: int
    recipes: Mapping[str, Recipe]
    decoders: tuple[str, ...]
    by_pieces: bool
    windowed: bool = False
    places: str = ""
    parameters: int = 0


MODELS = {
    "deepspeech": Kind(
        module="models.deepspeech.learner",
        features=93,
        recipes=deepspeech.RECIPES,
        decoders=("greedy", "dictionary", "language-model"),
        by_pieces=True,
    ),
    "whisper": Kind(
        module="models.whisper.learner",
        features=80,
        recipes=whisper.RECIPES,
        decoders=("greedy",),
        by_pieces=False,
        windowed=True,
        places="models.whisper.places",
        parameters=37_760_256,  # of the English tiny model
    ),
}

RECIPES: dict[str, Recipe] = {name: recipe for kind in MODELS.values() for name, recipe in kind.recipes.items()}
"""The recipes of all models, by name."""


def learner_of(name: str, settings: Mapping[str, Any]) -> Learner:
    """Make a model's learner from a workload's settings. Raises ValueError for an unknown name or bad sizes."""
    if name not in MODELS:
        raise ValueError(f"no model {name!r}; there are {', '.join(MODELS)}")
    return importlib.import_module(MODELS[name].module).learner(settings)


def first_weights(name: str, weights: str) -> tuple[str, str]:
    """Return where a model's first weights are, and a short word that distinguishes them; ("", "") if random.

    Raises:
        ValueError: they are not there; the message says how to get some.
    """
    if not MODELS[name].places:
        return "", ""
    places = importlib.import_module(MODELS[name].places)
    found = places.resolve(weights or places.AUTO)
    return (places.RANDOM, "random-weights") if found is None else (str(found), f"weights-{places.digest(found)[:8]}")
