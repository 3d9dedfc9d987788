"""Part `tta`: time to accuracy (seconds to a level of character error), end to end, against a plain PyTorch program.

Trained is the workload `mini`: the suite's own run of the recipe `paper` on the platform `cpu`, as make bench has it,
and `benchmark.speed.pytorch`, with the same model, features, batches, optimiser, stopping rule, decoder and validation
set. The clock runs from model creation to the end of the first epoch whose median error over three is at most the
level, evaluations and decoding inside. Every training is a process of its own; contenders and seeds take turns.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmark.speed.contest import Answer, Arena, Contender, ContestError, Rounds, contender, play
from benchmark.speed.curve import Epoch, reached
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting
from benchmark.speed.trainings import workload_of

PEER = "torch"
USUAL = "paper"


def measure(setting: Setting) -> list[Result]:
    """Train; return a Result for every figure of the suite's recipe `paper`, and of another one if it is asked for.

    Raises:
        ValueError: there is no corpus, or the contenders did not train on the same.
    """
    recipes = list(dict.fromkeys((USUAL, setting.recipe or USUAL)))
    features = _features(setting, recipes)
    with Arena() as arena:
        turns: dict[str, Callable[[], Answer]] = {}
        missing = ""
        try:
            arena.leave(arena.enter(_entrant(setting, PEER, features, seed=1)))  # is it there at all?
            turns[PEER] = _training(arena, setting, PEER, features)
        except ContestError as error:
            missing = str(error)
        for recipe in recipes:
            turns[recipe] = _training(arena, setting, recipe, features)
        played = play(turns, rounds=len(setting.seeds), label="trainings")
    if len(counts := {answer["utterances"] for given in played.answers.values() for answer in given}) > 1:
        raise ContestError(f"contenders trained on {counts} utterances an epoch; expected all on the same")
    return [result for recipe in recipes for result in _results(recipe, played, setting, missing)]


def _features(setting: Setting, recipes: Iterable[str]) -> str:
    """Find or make the features that all train on, before any clock. Raises ValueError, also for an unknown recipe."""
    from benchmark.run.prepare import data

    for recipe in recipes:  # each is looked at now, and not after a training
        workload = workload_of(level=setting.level, changes=_changes(setting, recipe))
    found = data.prepare(workload, folder=setting.data, corpus=setting.corpus, say=_say)
    return str(found.folder.resolve())


def _say(sentence: str) -> None:
    print(f"speed: {sentence}", file=sys.stderr, flush=True)


def _changes(setting: Setting, recipe: str) -> dict[str, Any]:
    """Return what is changed of the workload `mini`."""
    changes: dict[str, Any] = {"recipe": recipe}
    if setting.tiny:
        changes |= {"filters": setting.small.filters, "units": setting.small.units, "layers": setting.small.layers}
    return changes | ({"max_epochs": setting.epochs} if setting.epochs else {})


def _entrant(setting: Setting, name: str, features: str, *, seed: int) -> Contender:
    options: dict[str, Any] = {"seed": seed, "level": setting.level}
    if name == PEER:
        return contender("trainings", PEER, features=features, changes=_changes(setting, USUAL), **options)
    options |= {"data": str(setting.data), "corpus": setting.corpus and str(setting.corpus)}
    return contender("trainings", "ours", changes=_changes(setting, name), **options)


def _training(arena: Arena, setting: Setting, name: str, features: str) -> Callable[[], Answer]:
    """Return what trains with the next seed each time that it is called."""
    seeds = iter(setting.seeds)

    def train() -> Answer:
        seed = next(seeds)
        running = arena.enter(_entrant(setting, name, features, seed=seed))
        answer = running.ask()
        arena.leave(running)
        return answer | {"seed": seed}

    return train


def _results(recipe: str, played: Rounds, setting: Setting, missing: str) -> Iterable[Result]:
    level = setting.level
    ours = [figures(answer, level) for answer in played.answers[recipe]]
    theirs = [figures(answer, level) for answer in played.answers.get(PEER, ())]
    for name, unit in UNITS.items():
        mine, other = ([each[name] for each in given] for given in (ours, theirs))
        pairs = [(b, a) for a, b in zip(mine, other, strict=False) if a and b]
        ratios = tuple(b / a for b, a in pairs)
        notes = [missing] if missing and name == TIME else []
        if name == TIME:
            if ratios:
                notes.append(f"geometric mean {statistics.geometric_mean(ratios):.2f} of {_seeds(len(ratios))}")
            notes += [_unreached(who, given) for who, given in (("ours", ours), ("PyTorch's", theirs)) if given]
        yield Result(
            part=f"{name.format(level=f'{level:g}')}, {recipe}",
            unit=unit,
            ours=_mean(mine),
            baseline=_mean(other),
            ratios=ratios,
            note="; ".join(filter(None, notes)),
            measured={"ours": played.answers[recipe], PEER: played.answers.get(PEER, ())} if name == TIME else {},
        )


TIME = "time to CER {level}"
UNITS = {
    TIME: "s",
    "epochs to it": "epochs",
    "training": "s/epoch",
    "evaluation": "s/epoch",
    "all else until then": "s",
    "CER at the end": "%",
}
"""Maps a figure to its unit. All else is model creation, reading ahead of the first epoch, checkpoints, sentences."""


def figures(answer: Answer, level: float) -> Mapping[str, float | None]:
    """Return the figures of one training; those that end at the level are None if it was not reached."""
    epochs = [Epoch(**fields) for fields in answer["epochs"]]
    place = reached([each.cer for each in epochs], level)
    until = epochs[: len(epochs) if place is None else place + 1]
    trained_s, evaluated_s = sum(each.train_s for each in until), sum(each.evaluate_s for each in until)
    there = place is not None
    return {
        TIME: until[-1].ended_s if there else None,
        "epochs to it": len(until) if there else None,
        "training": trained_s / len(until),
        "evaluation": evaluated_s / len(until),
        "all else until then": until[-1].ended_s - trained_s - evaluated_s,
        "CER at the end": until[-1].cer,
    }


def _mean(values: list[float | None]) -> float | None:
    """Return the geometric mean of what is known; None if a seed is missing, which would be the slowest."""
    known = [value for value in values if value]
    return statistics.geometric_mean(known) if known and len(known) == len(values) else None


def _unreached(who: str, given: list[Mapping[str, float | None]]) -> str:
    missed = sum(each[TIME] is None for each in given)
    return f"{who} not reached with {missed} of {_seeds(len(given))}" if missed else ""


def _seeds(count: int) -> str:
    return f"{count} seed" + "s" * (count != 1)
