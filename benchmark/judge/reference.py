"""The reference of convergence: how many utterances honest runs took, a row of reference.csv for each run.

    runs = read_reference()                     # the suite's own; read_reference("mine.csv")
    mine = convergence_of(run)                  # the same of a run on disk
    mine.crossing("cer", 30.0, window=3)        # Crossing(utterances=13280.4, at_first=False)
    mine.unlike(runs[0])                        # ["features (ab12, and cd34 in the reference)"]

How many epochs a training takes is a matter of workload, recipe, batch and data, not of the rig, so that one machine
can make the reference for all: python -m benchmark.reference does. A row holds what identifies the training, and the
error in percent after so many utterances at every evaluation, as lists with spaces between. Epochs, medians and the
utterances to a target are derived from these, so that a new target or another window needs no new run.

A run with no run.json says neither its settings nor the words of what was evaluated: these two are then not compared.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.judge.circumstances import part_of
from benchmark.judge.question import JudgeError
from benchmark.metrics import USUAL
from benchmark.record import Run
from platforms.enters import KEY, Column, End, Mark

if TYPE_CHECKING:
    from benchmark.record.facts import Features

PACKAGED = Path(__file__).with_name("reference.csv")
EVERY_EPOCH = "1 epoch"
"""The grid of evaluations: those at ends of epochs count, also where a run has others between."""

COMPARED = {
    "variant": "variant",
    "recipe": "recipe",
    "precision": "precision",
    "samples": "utterances of an epoch",
    "features": "features",
    "decoder": "decoder",
    "settings": "digest of settings",
    "evaluated": "evaluated utterances",
    "evaluated_words": "evaluated words",
    "grid": "evaluations",
}
"""The columns in which a run and the reference must agree, beside the workload, in words."""


class ConvergenceError(ValueError):
    """A run that cannot be held against the reference, nor be part of it; the message says why."""


def differs(words: str, mine: object, theirs: object) -> str:
    """Return in words that a run differs from one of the reference."""
    return f"{words} ({mine or 'none'}, and {theirs or 'none'} in the reference)"


@dataclass(frozen=True)
class Crossing:
    """The utterances at which the median error crossed a level; of one that it had at the first median, at most."""

    utterances: float
    at_first: bool


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """How one run converged; its fields are the columns of reference.csv.

    `batch` is the global batch, `samples` the utterances trained on in an epoch, `settings` a digest ("" if not known),
    `evaluated` and `evaluated_words` the size of what was evaluated after every epoch. `utterances` are those trained
    on until each evaluation, at which `wer` and `cer` were measured; None is not measured.
    """

    workload: str
    variant: str
    recipe: str
    batch: int
    replicas: int
    precision: str
    samples: int
    features: str
    decoder: str
    settings: str
    evaluated: int
    evaluated_words: int | None
    grid: str
    seed: int
    run: str
    code: str
    date: str
    utterances: tuple[int, ...]
    wer: tuple[float | None, ...]
    cer: tuple[float | None, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.utterances), len(self.wer), len(self.cer)}
        rising = all(a < b for a, b in zip((0, *self.utterances), self.utterances, strict=False))
        known = [error for error in (*self.wer, *self.cer) if error is not None]
        if len(lengths) > 1 or not self.utterances or not rising or min(self.batch, self.samples) < 1:
            raise ValueError(
                f"run {self.run}: batch {self.batch}, {self.samples} utterances of an epoch and lists of "
                f"{', '.join(map(str, sorted(lengths)))} evaluations; expected counts from 1, and an error for each of "
                f"utterances that rise"
            )
        if not all(0 <= error < math.inf for error in known):
            raise ValueError(f"run {self.run}: an error rate of {min(known)}; expected percents from 0 on")

    @property
    def identity(self) -> tuple:
        """Return what makes two rows one training: all that is compared, batch, replicas and seed."""
        return (self.workload, *(getattr(self, name) for name in COMPARED), self.batch, self.replicas, self.seed)

    def unlike(self, reference: Convergence) -> list[str]:
        """Return in what a run differs from one of the reference, with both values; what one does not know agrees."""
        found = []
        for name, words in COMPARED.items():
            mine, theirs = getattr(self, name), getattr(reference, name)
            silent = name in ("settings", "evaluated_words") and not (mine and theirs)
            if mine != theirs and not silent:
                found.append(differs(words, mine, theirs))
        return found

    def epochs(self, utterances: float) -> float:
        """Return utterances as epochs."""
        return utterances / self.samples

    def crossing(self, metric: str, level: float, *, window: int) -> Crossing | None:
        """Return where the median error crossed a level, by a straight line through its logarithms; None if nowhere.

        The line joins the evaluation at which time to accuracy is read to the one before, as `RunRecord.crossing_s`.
        """
        place, before, after = self._at(metric, level, window)
        if place is None:
            return None
        if before is None or not after or level <= 0:
            return Crossing(float(self.utterances[place]), at_first=before is None)
        begun, ended = self.utterances[place - 1], self.utterances[place]
        return Crossing(begun + (ended - begun) * math.log(before / level) / math.log(before / after), at_first=False)

    def reached(self, metric: str, level: float, *, window: int) -> int | None:
        """Return the utterances at the evaluation where time to accuracy is read; None if the level was not reached."""
        place, _, _ = self._at(metric, level, window)
        return None if place is None else self.utterances[place]

    def _at(self, metric: str, level: float, window: int) -> tuple[int | None, float | None, float | None]:
        """Return the first evaluation whose median over the window up to it is at the level, the median before, and it.

        A median is None where an error is not known.
        """
        errors, before = getattr(self, metric), None
        for place in range(window - 1, len(errors)):
            last = errors[place - window + 1 : place + 1]
            median = None if None in last else statistics.median(last)
            if median is not None and median <= level:
                return place, before, median
            before = median
        return None, None, None


def convergence_of(run: Run) -> Convergence:
    """Return how a run converged, by its journal and, as far as it is there, its run.json.

    Raises:
        ConvergenceError: it has no evaluations, its journal does not count utterances, or evaluations are missing.
    """
    record, about = run.record, run.identity
    evaluations, seen = record.evaluations, record.utterances_seen
    if not evaluations:
        raise ConvergenceError("no evaluation")
    if not run.knows("epochs") or seen is None:
        raise ConvergenceError("its journal does not say how many utterances were trained on until each evaluation")
    if [row.epoch for row in evaluations] != list(range(1, len(evaluations) + 1)):
        raise ConvergenceError("not every epoch has an evaluation")
    features = part_of(run, lambda facts: facts.features)
    workload = part_of(run, lambda facts: facts.workload)
    return Convergence(
        **{name: getattr(about, name) for name in ("workload", "variant", "recipe", "batch", "replicas", "precision")},
        **{name: getattr(about, name) for name in ("features", "decoder", "seed", "run", "code")},
        samples=round(seen[-1] / len(seen)),
        settings="" if workload is None else settings_digest(workload),
        evaluated=evaluations[-1].utterances or 0,
        evaluated_words=_words(features),
        grid=EVERY_EPOCH,
        date=part_of(run, lambda facts: facts.created.date().isoformat()) or "",
        utterances=seen,
        wer=tuple(row.wer for row in evaluations),
        cer=tuple(row.cer for row in evaluations),
    )


def _words(features: Features | None) -> int | None:
    words = [use.words for use in features.evaluated.values()] if features else []
    return sum(words) if words and None not in words else None


def settings_digest(workload: Any) -> str:
    """Return 8 hexadecimal digits for the settings of a workload and its model that change what is learnt.

    How it is decoded and evaluated, and the data, have columns of their own. A limit counts where the learning rate
    knows the end. A setting at its default is left out, so that a later version's new setting makes no other digest.
    """
    knows_the_end = workload.model.rules.optimiser.knows_the_end

    def counts(each: Field) -> bool:
        enters = each.metadata[KEY]
        if isinstance(enters, End):
            return knows_the_end
        if isinstance(enters, Column):
            return enters.name == "workload" and each.name not in ("name", "model")
        return isinstance(enters, Mark) and enters.words != ""

    values = {"model": workload.model.name}
    for part in (workload, workload.model):
        for each in fields(part):
            if counts(each) and (value := getattr(part, each.name)) != each.default:
                values[each.name] = value
    return f"{zlib.crc32(json.dumps(values, sort_keys=True).encode()):08x}"


# --- the file --------------------------------------------------------------------------------------------------------

COLUMNS = tuple(field.name for field in fields(Convergence))
LISTS = ("utterances", *USUAL)
UNKNOWN = "-"  # an error in a list
NUMBERS = ("batch", "replicas", "samples", "evaluated", "seed")


def rows_of(runs: Iterable[Convergence]) -> list[dict[str, str]]:
    """Return the rows of reference.csv, in order of workload, recipe, batch and seed."""

    def order(run: Convergence) -> tuple:
        return run.workload, run.features, run.variant, run.recipe, run.batch, run.seed, run.run

    def field_of(run: Convergence, name: str) -> str:
        value = getattr(run, name)
        return " ".join(UNKNOWN if each is None else _field(each) for each in value) if name in LISTS else _field(value)

    return [{name: field_of(run, name) for name in COLUMNS} for run in sorted(runs, key=order)]


def _field(value: object) -> str:
    return "" if value is None else f"{value:.8g}" if isinstance(value, float) else str(value)


def read_reference(path: str | Path | None = None) -> tuple[Convergence, ...]:
    """Read a file of reference runs; None is the suite's own. It is read again only if it has changed.

    Raises:
        JudgeError: it cannot be read, has other columns, a value that is none, or one training twice.
    """
    path = Path(path or PACKAGED)
    try:
        found = path.stat()
        return _read(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise JudgeError(f"{path}: cannot be read ({error.strerror}); expected a file of reference runs") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise JudgeError(f"{path}: no CSV file ({error}); expected a file of reference runs") from None


@lru_cache(maxsize=8)
def _read(path: Path, _changed_ns: int, _bytes: int) -> tuple[Convergence, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            found = ",".join(reader.fieldnames or ())[:80] or "nothing"
            raise JudgeError(
                f"{path}: columns {found}; expected those of reference runs ({', '.join(COLUMNS)}), as python -m "
                f"benchmark.reference writes them"
            )
        runs = [_run(path, number, row) for number, row in enumerate(reader, start=2)]
    there: dict[tuple, str] = {}
    for run in runs:
        if run.identity in there:
            raise JudgeError(
                f"{path}: {run.run} and {there[run.identity]} are one training of seed {run.seed}, twice; leave one out"
            )
        there[run.identity] = run.run
    return tuple(runs)


def _run(path: Path, number: int, row: Mapping[str, str]) -> Convergence:
    try:
        values: dict[str, Any] = dict(row)
        if None in values or None in values.values():
            raise ValueError(f"{len(values)} fields; expected {len(COLUMNS)}")
        values |= {name: int(row[name]) for name in NUMBERS}
        values["evaluated_words"] = int(row["evaluated_words"]) if row["evaluated_words"] else None
        values["utterances"] = tuple(map(int, row["utterances"].split()))
        values |= {m: tuple(None if e == UNKNOWN else float(e) for e in row[m].split()) for m in USUAL}
        return Convergence(**values)
    except (TypeError, ValueError) as error:
        raise JudgeError(
            f"{path}:{number}: {error}; expected a row as python -m benchmark.reference writes it"
        ) from None


def merged(old: Sequence[Convergence], new: Sequence[Convergence]) -> list[Convergence]:
    """Return old and new runs together; of two of one training the newer, by its date."""
    found: dict[tuple, Convergence] = {}
    for run in (*old, *new):
        there = found.get(run.identity)
        if there is None or run.date >= there.date:
            found[run.identity] = run
    return list(found.values())
