"""What the runs of a study came to: one observation a point, from its journal, run.json, final.csv and samples.

found = observations("studies/mini")        # every finished point of every protocol that is there
found[0].samples, found[0].test["wer"], found[0].train_minutes
points(found, "wer")                        # for benchmark.study.curves

Points whose kind is not the study's (`benchmark.study.kind`) are there too, with what is other in their label: they are
fitted apart. Of a final evaluation the rows of one checkpoint and one decoder are read, those that a study asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.judge.circumstances import machine_name
from benchmark.judge.cost import cheapest, training_cost
from benchmark.judge.terms import Terms
from benchmark.record import FactsError, Run, RunRecord, UsageError, read_run
from benchmark.study.curves import WORST, Point, StudyError
from benchmark.study.finals import (
    COUNTS,
    NAME,
    RATES,
    asked_for,
    counts_of,
    edits_of,
    finals_of,
    lacking,
    of_role,
    rows_of,
    which_checkpoint,
)
from benchmark.study.kind import Kind, declared, kind_of, way_out, worded
from features.corpus.roles import role

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

TIMES = (
    "run_minutes", "train_minutes", "seconds_a_batch", "samples_per_s", "cpu_percent", "memory_mib", "gpu_memory_mib",
    "cost",
)  # fmt: skip
"""The figures that are of a machine."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One finished run of a study; errors in percent, None where they were not measured.

    `seen` is how many utterances were trained on, each as often as it was; `distinct` how many different ones.
    """

    protocol: str
    samples: int
    seed: int
    hours: float
    seen: int
    distinct: int
    epochs: float
    steps: int
    batch: int
    train: dict[str, float]
    dev: dict[str, float]
    test: dict[str, float]
    loss: float | None
    run_minutes: float | None
    train_minutes: float | None
    seconds_a_batch: float | None
    samples_per_s: float | None  # equation 5
    cpu_percent: float | None
    memory_mib: float | None
    gpu_memory_mib: float | None
    cost: float | None
    currency: str = ""
    other_load: float | None = None  # share of the machine's CPUs that other processes took
    name: str = ""
    platform: str = ""
    rig: str = ""  # platform, machine and software
    arm: str = ""  # what is other than in the plain runs
    cut: bool = False  # whether its time limit ended it, and not its protocol
    apart: str = ""  # what is other than in the study, whose point it is not
    kind: Kind = field(default=Kind(), repr=False, compare=False)
    record: RunRecord | None = field(default=None, repr=False, compare=False)
    edits: tuple[dict[str, str], ...] = field(default=(), repr=False, compare=False)  # of test utterances, by id

    @property
    def label(self) -> str:
        """The protocol, and the arm if there is one; of a point of another study, what is other there."""
        return self.study + f" ({self.apart})" * bool(self.apart)

    @property
    def study(self) -> str:
        """The protocol, and the arm if there is one."""
        return label_of(self.protocol, self.arm)

    @property
    def is_plain(self) -> bool:
        """Whether it is a point of the study itself, and of no arm."""
        return not self.arm and not self.apart

    @property
    def whole(self) -> bool:
        """Whether it read all of its data."""
        return self.distinct >= self.samples

    @property
    def ended(self) -> bool:
        """Whether it came to the end of its protocol, with all of its data read."""
        return self.whole and not self.cut

    def error(self, metric: str) -> float | None:
        """Return its error on the test set, or on dev where there is no test set."""
        return (self.test or self.dev).get(metric)

    def gap(self, metric: str) -> float | None:
        """Return the generalisation gap, test less train, in points."""
        error, own = self.error(metric), self.train.get(metric)
        return None if error is None or own is None else error - own

    def row(self) -> dict[str, object]:
        """Return all figures by name, those of subsets as train_wer and so on."""
        found: dict[str, object] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in ("record", "edits", "kind"):
                continue
            if isinstance(value, dict):
                found |= {f"{f.name}_{metric}": value.get(metric) for metric in RATES}
            else:
                found[f.name] = value
        return found


FIGURES_OF_SIZE: dict[str, Callable[[Observation], float | None]] = {
    "test WER, %": lambda o: o.error("wer"),
    "test CER, %": lambda o: o.error("cer"),
    "train WER, %": lambda o: o.train.get("wer"),
    "gap of WER, points": lambda o: o.gap("wer"),
    "loss": lambda o: o.loss,
    "epochs": lambda o: o.epochs,
    "minutes": lambda o: o.run_minutes,
    "seconds a batch": lambda o: o.seconds_a_batch,
    "samples/s": lambda o: o.samples_per_s,
    "CPU, %": lambda o: o.cpu_percent,
    "memory, MiB": lambda o: o.memory_mib,
    "GPU memory, MiB": lambda o: o.gpu_memory_mib,
}
"""What is drawn against the size of the training set, by name."""


def label_of(protocol: str, arm: str = "") -> str:
    """Return what points of a protocol and an arm are called: "target + noise-0.1"."""
    return protocol + f" + {arm}" * bool(arm)


def observations(folder: str | Path, *, say: Callable[[str], None] | None = None) -> list[Observation]:
    """Read every point of a study that is finished and evaluated, in the order of protocol, size and seed.

    `say` is called with a sentence for each point that is left out as its final evaluation is another one.

    Raises:
        JournalError, StudyError: a journal, a final evaluation or study.json cannot be read.
    """
    found = []
    for path in sorted(Path(folder).glob("*.csv")):
        if NAME.fullmatch(path.stem) and (observation := observation_of(read_run(path), say=say)):
            found.append(observation)
    found = _told_apart(found, declared(Path(folder)))
    return sorted(found, key=lambda each: (each.study, each.apart, each.samples, each.seed))


def observation_of(run: Run, *, say: Callable[[str], None] | None = None) -> Observation | None:
    """Return what a run came to; None if it is not over or has not been evaluated as a study asks for."""
    match = NAME.fullmatch(Path(run.source).stem)
    there = finals_of(run)
    if match is None or run.end is None or not run.has_finished or not there or not run.record.evaluations:
        return None
    which = which_checkpoint(match[1])
    if missing := lacking(run, there, which, match[4] or ""):
        if say:
            say(missing)
        return None
    asked = asked_for(run, there, which, match[4] or "")
    finals, counts = rows_of(asked), counts_of(run, asked)
    record, samples = run.record, int(match[2])
    trained = [row for row in record.standing if row.phase.value == "train"]
    steps, seen = record.rows[-1].step, sum(row.utterances or 0 for row in trained)
    cost, currency = _cost(run)
    usage = _usage(run)
    kind = kind_of(run, protocol=match[1], samples=samples, finals=finals)
    seconds = record.clock_s(record.ended_s, "train")
    return Observation(
        protocol=match[1],
        samples=samples,
        seed=int(match[3]),
        hours=_hours(run),
        seen=seen,
        distinct=min(samples, seen),
        epochs=seen / samples,
        steps=max(row.step for row in trained),
        batch=run.identity.batch,
        train=of_role(finals, counts, "train"),
        dev=of_role(finals, counts, "dev"),
        test=of_role(finals, counts, "test"),
        loss=trained[-1].loss,
        run_minutes=record.ended_s / 60,
        train_minutes=seconds / 60,
        seconds_a_batch=seconds / steps if steps else None,
        samples_per_s=seen / seconds if seconds else None,
        cost=cost,
        currency=currency,
        name=match[0],
        platform=run.identity.platform + " (emulated)" * run.identity.emulated,
        rig=_rig(run),
        arm=match[4] or "",
        cut=kind.minutes is not None and record.ended_s >= 60 * kind.minutes,
        kind=kind,
        record=record,
        edits=edits_of(counts),
        cpu_percent=usage["cpu_percent"],
        memory_mib=usage["memory_mib"],
        gpu_memory_mib=usage["gpu_memory_mib"],
        other_load=run.end.other_load if run.end else None,
    )


def _rig(run: Run) -> str:
    about = run.identity
    emulated = " (emulated)" * about.emulated
    return f"{about.platform}{emulated}, {about.replicas} x {about.devices}: {machine_name(run)}"


# --- which study it is -----------------------------------------------------------------------------------------------


def _told_apart(found: Sequence[Observation], studies: Mapping[str, Kind]) -> list[Observation]:
    """Return observations with what is other in them than in the study that the folder is of.

    Without a study.json they say themselves what they are of: where they differ, each kind is told apart.
    """
    told: list[Observation] = []
    for study in dict.fromkeys(each.study for each in found):
        mine = [each for each in found if each.study == study]
        if study in studies:
            told += [_apart(each, studies[study]) for each in mine]
        else:
            told += _by_kind(mine)
    return told


def check_points(found: Sequence[Observation], study: str, kind: Kind) -> None:
    """Check that the points of a protocol and arm that are there are of a kind.

    Raises:
        StudyError: one is not; the message has its name, the fields and both values.
    """
    for each in found:
        if each.study == study and (differing := each.kind.differing(kind)):
            raise StudyError(
                f"{each.name} is there, and is a point of another study: {worded(differing)}; {way_out(differing)}"
            )


def _apart(each: Observation, kind: Kind) -> Observation:
    differing = each.kind.differing(kind)
    return replace(each, apart="; ".join(f"{d.field} {d.found}, not {d.expected}" for d in differing))


def _by_kind(found: Sequence[Observation]) -> list[Observation]:
    """Return observations of one protocol and arm, those of different kinds told apart by the fields that differ."""
    kinds: list[Kind] = []
    places = []
    for each in found:
        place = next((n for n, kind in enumerate(kinds) if not each.kind.differing(kind)), len(kinds))
        kinds[place:] = [each.kind if place == len(kinds) else each.kind.narrowed(kinds[place]), *kinds[place + 1 :]]
        places.append(place)
    said: list[dict[str, str]] = [{} for _ in kinds]
    for one, kind in enumerate(kinds):
        for other in kinds[:one] + kinds[one + 1 :]:
            said[one] |= {d.field: d.found for d in kind.differing(other)}
    words = ["; ".join(f"{name} {value}" for name, value in each.items()) for each in said]
    return [replace(each, apart=words[place]) for each, place in zip(found, places, strict=True)]


def without_times(found: Sequence[Observation]) -> list[Observation]:
    """Return observations as they are; those of unlike machines without times, costs and loads, which do not pool."""
    if len({each.rig for each in found}) < 2:
        return list(found)
    return [replace(each, **dict.fromkeys(TIMES)) for each in found]  # type: ignore[arg-type]


def _hours(run: Run) -> float:
    try:
        features = run.facts.features if run.facts else None
    except FactsError:
        return 0.0
    if features is None:
        return 0.0
    if features.trained:
        return float(features.trained["hours"])
    return sum(use.hours for name, use in features.subsets.items() if role(name) == "train")


def _usage(run: Run) -> dict[str, float | None]:
    names = ("cpu_percent", "memory_mib", "gpu_memory_mib")
    try:
        usage = run.usage()
    except (UsageError, OSError):
        usage = None
    if usage is None:
        return dict.fromkeys(names)
    summary = usage.summary()
    memory = [gpu.memory_mib_max for gpu in summary.gpus if gpu.memory_mib_max is not None]
    values = (summary.process_cpu_percent_mean, summary.process_memory_mib_max, sum(memory) if memory else None)
    return dict(zip(names, values, strict=True))


def _cost(run: Run) -> tuple[float | None, str]:
    try:
        price = run.facts.platform.whole_price if run.facts else None
    except FactsError:
        price = None
    if price is None:
        return None, ""
    return cheapest(training_cost(price, run.record.ended_s / 3600, Terms())), price.currency


def points(found: Sequence[Observation], metric: str, *, by: str = "samples") -> list[Point]:
    """Return the points of a curve: test error against samples, or hours."""
    alike = len({tuple(row["utterance"] for row in each.edits) for each in found}) == 1
    return [
        Point(
            size=float(getattr(each, by)),
            error=error,
            seed=each.seed,
            whole=each.ended,
            units=sum(int(row[COUNTS[metric][1]]) for row in each.edits) if metric in COUNTS else 0,
            counts=_counts(each, metric) if alike else None,
        )
        for each in found
        if (error := each.error(metric)) is not None
    ]


def _counts(each: Observation, metric: str) -> np.ndarray | None:
    """Return edits and units of the test utterances, [utterances, 2]; None if they were not written."""
    names = COUNTS.get(metric)
    if not each.edits or names is None:
        return None
    return np.array([[float(row[name]) for name in names] for row in each.edits])


def common_level(found: Sequence[Observation], size: int, metric: str) -> float | None:
    """Return the lowest level, in steps of five from 5 on, that every seed of a size reaches.

    None over 90%, or if it is not known.
    """
    best = [each.record.best_median(metric) for each in found if each.samples == size and each.record]
    known = [error for error in best if error is not None]
    if not known or len(known) < len(best):
        return None
    level = 5.0 * max(1, math.ceil(max(known) / 5))
    return level if level <= WORST else None


def fitted_gaps(found: Sequence[Observation], metric: str) -> list[tuple[int, float]]:
    """Return (size, gap) of the runs with a gap above 0, at the sizes at which all runs learnt and read their data."""
    odd = {each.samples for each in found if not each.ended or not (each.error(metric) or 0.0) <= WORST}
    pairs = [(each.samples, each.gap(metric)) for each in found if each.samples not in odd]
    return [(size, gap) for size, gap in pairs if gap is not None and gap > 0]
