"""What a study is: in what its points must agree. It is written into the study's folder, and asked of every point.

    kind = kind_of(run, protocol="target", samples=800)    # of a point, by its journal and run.json
    kind.differing(other)                   # [Difference("batch", "4", "16")]; what one of them does not know agrees
    declare(folder, "target", kind)         # study.json; StudyError where it says something else
    declared(folder)["target"]              # {} where a folder has none, as of studies made before

A kind has all that an error depends on but size and seed. Machines are no part of it: their errors are pooled, their
times are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.judge.circumstances import part_of
from benchmark.record import Run
from benchmark.study.curves import StudyError
from benchmark.workloads import Workload
from features.corpus.roles import role
from features.jobs.files import write_whole
from platforms.enters import Mark
from platforms.enters import declared as entering

NAME = "study.json"
SCHEMA = 1
OF_SIZE = ("samples", "select", "max_steps", "patience", "max_epochs")
"""The settings that differ between the sizes of one study, or are its protocol's limits: their marks are left out."""
WORDS = {
    "features": "features of the corpus",
    "tested": "features of the test set",
    "test": "subsets evaluated",
    "max_steps": "most batches",
    "max_epochs": "passes",
    "patience": "patience in batches",
    "longest": "most batches of a run",
    "minutes": "time limit in minutes",
}
"""What fields are called, where it is not their name."""
RIG = ("batch", "precision", "code", "patience", "longest")
"""The fields in which studies of unlike rigs may differ: said, not refused. The limits follow from the batch."""
LIMITS = ("patience", "longest")

Batches = tuple[int, int]  # at least and at most so many: whole epochs of a small size say no more


class Difference(NamedTuple):
    """A field in which two kinds differ, and both values, as text."""

    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.field} is {self.found}, expected {self.expected}"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the points of a study have in common; None is not known.

    `model` are the model's settings. `variant` is the workload's, without the marks of sizes and limits. `features` and
    `tested` are digests of what is trained on and of what the final evaluation read; `test` names its subsets with
    their utterances. Limits: `max_steps` (steps), `max_epochs` (epochs), `patience` and `longest` (target, in batches).
    """

    workload: str | None = None
    model: Mapping[str, object] | None = None
    recipe: str | None = None
    variant: str | None = None
    features: str | None = None
    tested: str | None = None
    test: str | None = None
    batch: int | None = None
    precision: str | None = None
    decoder: str | None = None
    code: str | None = None
    max_steps: int | None = None
    max_epochs: int | None = None
    patience: Batches | None = None
    longest: Batches | None = None
    minutes: float | None = None

    def differing(self, other: Kind, *, but: Sequence[str] = ()) -> list[Difference]:
        """Return the fields in which both are known and differ, `other` having the values that are expected."""
        found = []
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if each.name in but or mine is None or theirs is None:
                continue
            if each.name == "model":
                found += [
                    Difference(f"{name} of the model", _text(mine.get(name)), _text(theirs.get(name)))
                    for name in sorted({*mine, *theirs})
                    if mine.get(name) != theirs.get(name)
                ]
            elif each.name in LIMITS:
                if max(mine[0], theirs[0]) > min(mine[1], theirs[1]):
                    found.append(Difference(WORDS[each.name], _batches(mine), _batches(theirs)))
            elif mine != theirs:
                found.append(Difference(WORDS.get(each.name, each.name), _text(mine), _text(theirs)))
        return found

    def narrowed(self, other: Kind) -> Kind:
        """Return what is known of both together, where they agree."""
        known: dict[str, Any] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if each.name in LIMITS and mine and theirs:
                known[each.name] = max(mine[0], theirs[0]), min(mine[1], theirs[1])
            else:
                known[each.name] = theirs if mine is None else mine
        return replace(self, **known)


def _text(value: object) -> str:
    return "none" if value in ("", None) else f"{value:g}" if isinstance(value, float) else str(value)


def _batches(bounds: Batches) -> str:
    low, high = bounds
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def sizeless(variant: str) -> str:
    """Return a workload's variant without the marks of its size and its limits: "20-samples+noise-0.1" has noise."""
    told = entering(Workload)
    words = [re.escape(mark.words).replace(r"\{\}", "[^+-]+") for n in OF_SIZE if isinstance(mark := told[n], Mark)]
    return "+".join(mark for mark in variant.split("+") if not re.fullmatch("|".join(words), mark))


def model_of(workload: Workload) -> Mapping[str, object]:
    """Return the settings of a workload's model, by name, without paths of files."""
    return workload.to_dict(paths=False)["model"]  # type: ignore[return-value]


def subsets_of(counts: Mapping[str, int]) -> str | None:
    """Return the dev and test subsets with their utterances, in one line; None if there are none."""
    return ", ".join(f"{name} {counts[name]}" for name in sorted(counts) if role(name) in ("dev", "test")) or None


def kind_of(run: Run, *, protocol: str, samples: int, finals: Sequence[Mapping[str, str]] = ()) -> Kind:
    """Return the kind of a point, by its journal, run.json and the rows of its final evaluation.

    Raises:
        JournalError: its journal has no row.
    """
    about = run.identity
    plan, workload = part_of(run, lambda facts: facts.plan), part_of(run, lambda facts: facts.workload)
    limits: dict[str, Any] = {}
    if plan:
        batches = -(-samples // about.batch)
        of_protocol: dict[str, dict[str, Any]] = {
            "steps": {"max_steps": plan.max_steps},
            "epochs": {"max_epochs": plan.max_epochs},
            "target": {"patience": _of_epochs(plan.patience, batches), "longest": _of_epochs(plan.max_epochs, batches)},
        }
        limits = of_protocol[protocol] | {"minutes": round(plan.max_seconds / 60, 6)}
    return Kind(
        workload=about.workload,
        model=model_of(workload) if workload else None,
        recipe=about.recipe,
        variant=sizeless(about.variant),
        features=about.features,
        tested=next((row["features"] for row in finals if row.get("features")), None),
        test=subsets_of({row["subset"]: int(row["utterances"]) for row in finals}),
        batch=about.batch,
        precision=about.precision,
        decoder=about.decoder,
        code=about.code,
        **limits,
    )


def _of_epochs(epochs: int, batches: int) -> Batches:
    """Return how many batches a limit has that was rounded up to whole epochs."""
    return (epochs - 1) * batches, epochs * batches


# --- study.json ------------------------------------------------------------------------------------------------------


def declared(folder: Path) -> dict[str, Kind]:
    """Read what studies a folder is of, by protocol and arm; {} without a study.json.

    Raises:
        StudyError: it cannot be read, or another version wrote it.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r:.40}")
        return {str(label): _read(dict(kind)) for label, kind in content["studies"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); mend that, or name another folder") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StudyError(
            f"{path}: cannot be used ({str(error)[:80]}); expected what a study of schema {SCHEMA} wrote: move it "
            f"away, and the points say themselves what they are of"
        ) from None


def _read(content: dict[str, Any]) -> Kind:
    bounds = {name: tuple(map(int, content[name])) for name in LIMITS if content.get(name) is not None}
    if any(len(each) != 2 for each in bounds.values()):
        raise ValueError("limits that are no pair")
    model = content.get("model")
    return Kind(**{**content, **bounds, "model": None if model is None else dict(model)})


def check(folder: Path, label: str, kind: Kind) -> dict[str, Kind]:
    """Check that a folder has no other study of a protocol and arm; return its studies, this one among them.

    Raises:
        StudyError: it has one; the message has the fields and both values. Or study.json cannot be read.
    """
    there = declared(folder)
    if label in there and (differing := kind.differing(there[label])):
        raise StudyError(f"{folder / NAME}: {label!r} is another study: {worded(differing)}; {way_out(differing)}")
    return {label: kind, **there}


def declare(folder: Path, label: str, kind: Kind) -> None:
    """Write down what a study is, where it is not yet.

    Raises:
        StudyError: as `check` does.
        OSError: it cannot be written.
    """
    studies = check(folder, label, kind)
    if label not in declared(folder):
        plain = {name: _plain(each) for name, each in studies.items()}
        write_whole(folder / NAME, json.dumps({"schema": SCHEMA, "studies": plain}, indent=1) + "\n")


def _plain(kind: Kind) -> dict[str, Any]:
    return {name: value for name, value in asdict(kind).items() if value is not None}


def worded(differing: Sequence[Difference]) -> str:
    """Return differences in words: "batch is 4, expected 16"."""
    return "; ".join(map(str, differing))


def way_out(differing: Sequence[Difference]) -> str:
    """Say what to do about a study that is another one."""
    code = " and check out the code" * any(each.field == "code" for each in differing)
    return f"give the options{code} that it began with, or another folder with -o"
