"""A run that has been trained: its model's settings and checkpoints, found in its folder.

run = load_trained(Path("results/RUN"))             # or its journal, or one of its checkpoints
chosen_checkpoints(run, [100, 200, 300], ("best", "last"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.record.facts import read_facts
from benchmark.record.folder import WORDS, folder_of, journal_of
from benchmark.record.history import RunRecord
from benchmark.record.journal import read
from benchmark.workloads import Workload
from platforms.plugins import PlugIn, used

WHICH = ("best", "last")
BEAM_WIDTH = 512  # of a final evaluation


class FinalError(ValueError):
    """A run that cannot be evaluated; the message says what was found and what to do."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run whose model can be rebuilt from its folder. `asked` is the number of the one checkpoint asked for.

    `first_weights` is what training began with, as the model's learner said it.
    """

    folder: Path
    record: RunRecord
    workload: Workload
    precision: str
    batch: int  # utterances per replica
    features: Path | None
    first_weights: Mapping[str, str] = field(default_factory=dict)
    asked: int | None = None


def load_trained(path: Path) -> Trained:
    """Find a run from its folder, its journal or one of its checkpoints.

    Raises:
        FinalError: there is no run at this path.
        FactsError, JournalError: its run.json or its journal cannot be used.
    """
    folder, asked = run_at(path)
    facts = read_facts(folder)
    if facts is None:
        raise FinalError(
            f"{path}: no run is there (no {folder / 'run.json'}); expected results/RUN, its journal results/RUN.csv, "
            f"or a checkpoint results/RUN/checkpoints/ckpt-N"
        )
    workload = facts.workload  # which looks for the plug-ins that it names
    _check_plugins(folder, facts.plugins)
    features = facts.features.folder
    return Trained(
        folder=folder,
        record=read(journal_of(folder)),
        workload=workload,
        precision=facts.platform.training.precision,
        batch=facts.platform.input.batch // facts.devices.replicas,
        features=Path(features) if features else None,
        first_weights=facts.first_weights,
        asked=asked,
    )


def _check_plugins(folder: Path, then: Sequence[PlugIn]) -> None:
    """Raise FinalError if a plug-in is not what it was when the run was trained."""
    now = {(each.group, each.name): each for each in used()}
    for each in then:
        found = now.get((each.group, each.name))
        if found is not None and found.digest != each.digest:
            raise FinalError(
                f"{folder}: {each.name!r} is {found.mark} here; expected {each.mark}, with which the run was trained: "
                f"install that again"
            )


def words_of_run(run: Trained) -> tuple[str, ...]:
    """Return the words that the run was trained on: those kept with it, else those of its features.

    Raises:
        FinalError: neither is there.
    """
    from features.shards import manifest

    try:
        return tuple((run.folder / WORDS).read_text(encoding="utf-8").split())
    except OSError:
        pass
    try:
        return manifest.load(run.features or Path()).words
    except ValueError:
        raise FinalError(
            f"{run.folder}: its words are not known ({WORDS} is not there, nor are its features); decode without "
            f"them: --decoder greedy"
        ) from None


def run_at(path: Path) -> tuple[Path, int | None]:
    """Return the folder of a run from that, its journal or a checkpoint, and the checkpoint's batches; else None.

    Raises:
        FinalError: it is called like a checkpoint, and has no number.
    """
    if not path.name.startswith("ckpt-"):
        return folder_of(path) if path.suffix == ".csv" else path, None
    number = path.name.removeprefix("ckpt-").split(".")[0]
    if not number.isdigit():
        raise FinalError(f"{path}: expected a checkpoint's name such as ckpt-1000")
    return path.parent.parent, int(number)


def check_start(run: Trained, about: Mapping[str, str]) -> None:
    """Raise FinalError if what the run's model began with, its tokens for one, is not what is there now, `about`."""
    for name, value in run.first_weights.items():
        if name.endswith("_sha256") and about.get(name, value) != value:
            raise FinalError(f"{run.folder}: {name} of {about.get('weights')} is {about[name][:8]}; expected "
                             f"{value[:8]}, with which the run began: put those files back")  # fmt: skip


def chosen_checkpoints(run: Trained, there: Sequence[int], which: Sequence[str]) -> dict[str, int]:
    """Return the checkpoints to evaluate, name -> batches trained: the one asked for by number, else best and newest.

    Raises:
        FinalError: there are no checkpoints, or "best" is asked for and none is of an evaluated epoch.
    """
    if run.asked is not None:
        return {f"batch {run.asked}": run.asked}
    if not there:
        raise FinalError(f"{run.folder / 'checkpoints'}: no checkpoints; expected those of a run")
    found: dict[str, int] = {}
    if "best" in which:
        evaluated = [row for row in run.record.evaluations if row.step in there]
        if not evaluated:
            raise FinalError(f"{run.folder}: no checkpoint of an evaluated epoch is left; ask for --checkpoints last")
        found["best"] = min(evaluated, key=lambda row: row.wer).step
    if "last" in which:
        found["last"] = max(there)
    if len(set(found.values())) < len(found):
        return {"best and last": max(there)}
    return found
