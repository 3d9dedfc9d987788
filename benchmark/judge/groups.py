"""Group runs that may be pooled, and find what each group took to every level.

    groups = judged_groups([read_run(path) for path in paths], Question(window=3, clock="wall"))
    groups[0].levels[0].minutes

Runs of one platform and workload form a group and are pooled if POOLED agrees. Of several runs the median is shown;
one run that missed the level counts as slower than all, two make it not reached. Emulated and real runs are never in
one group. The journals are all that is needed; levels come from the run's folder (run.json) if it is there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from benchmark.judge.circumstances import machine_name
from benchmark.judge.estimates import Estimate, log_interval
from benchmark.judge.published import time_to_accuracy
from benchmark.judge.question import CORPUS_SUM, PAPER_WORKLOAD, JudgeError, Question, level_name, levels_of
from benchmark.record import CLOCKS, POOLED, Row, Run, RunRecord
from benchmark.record.columns import Identity, Table
from benchmark.record.history import differing
from benchmark.record.phases import Phase

SAVED_ROUNDING_S = 0.06
"""Times of one row that differ by less are one time: a spreadsheet program may have saved a single decimal."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of one metric, and what each run of a group took to reach it: None if it did not."""

    metric: str
    percent: float
    seconds: tuple[float | None, ...]  # by the clock asked for
    epochs: tuple[int | None, ...]
    first_seconds: tuple[float | None, ...] = ()  # with e = 1: the first crossing
    by_clock: dict[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the level as it is printed: "WER 22"."""
        return level_name(self.metric, self.percent)

    @property
    def reached(self) -> int:
        """Return how many runs reached the level."""
        return sum(seconds is not None for seconds in self.seconds)

    @property
    def is_reached(self) -> bool:
        """Tell whether the group reached it: one run that missed it counts as slower than all, two as not reached."""
        return len(self.seconds) - self.reached < 2 and middle(self.seconds) is not None

    @property
    def minutes(self) -> float | None:
        """Return the median over the runs; None if the group did not reach the level."""
        return middle(self.seconds) / 60 if self.is_reached else None

    @property
    def first_minutes(self) -> float | None:
        return _minutes(self.first_seconds)

    def clock_minutes(self, clock: str) -> float | None:
        return _minutes(self.by_clock.get(clock, ()))

    @property
    def epoch(self) -> float | None:
        return middle(self.epochs) if self.is_reached else None

    @property
    def all_minutes(self) -> tuple[float, ...] | None:
        """Return every run's minutes; None if a run missed the level: then there is no mean and no interval."""
        return tuple(s / 60 for s in self.seconds) if self.reached == len(self.seconds) and self.seconds else None

    @cached_property
    def estimate(self) -> Estimate | None:
        """Return the geometric mean of the runs with its 95% interval, in minutes."""
        return log_interval(self.all_minutes) if self.all_minutes and min(self.all_minutes) > 0 else None

    @property
    def interval_minutes(self) -> tuple[float, float] | None:
        found = self.estimate
        return (found.low, found.high) if found and found.low is not None else None


@dataclass(frozen=True, kw_only=True)
class Group:
    """The runs of one platform and workload, judged; a row of the paper's table has no runs.

    `workload` has the variant in it: "mini+specaugment".
    """

    platform: str
    workload: str
    emulated: bool = False
    published: bool = False
    split: tuple[tuple[str, object], ...] = ()  # the fields of --by and their values
    runs: tuple[Run, ...] = ()
    levels: tuple[Level, ...]
    best: dict[str, float | None] = field(default_factory=dict)  # metric -> lowest median error, percent
    name: str = ""  # in place of the platform's

    @property
    def records(self) -> tuple[RunRecord, ...]:
        return tuple(run.record for run in self.runs)

    @property
    def label(self) -> str:
        marks = ["(emulated)"] * self.emulated + ["(published)"] * self.published
        return " ".join([self.name or self.platform, *(f"{name}={value}" for name, value in self.split), *marks])

    @property
    def epochs(self) -> float | None:
        return middle([record.evaluated_epoch for record in self.records])

    @property
    def minutes(self) -> float | None:
        seconds = middle([record.ended_s for record in self.records])
        return None if seconds is None else seconds / 60

    @cached_property
    def evaluation_share(self) -> float | None:
        """Return the part (0 to 1) of a run's time in which evaluation or its swaps ran and nothing else."""
        phases = {Phase.EVALUATE, Phase.SWAP}
        return middle([record.alone_s(phases) / record.ended_s for record in self.records if record.ended_s])

    @cached_property
    def seconds_per_epoch(self) -> float | None:
        return middle([record.seconds_per_epoch for record in self.records])

    @cached_property
    def shares(self) -> dict[Phase, float]:
        """Return each phase's part of the wall clock, the median over the runs."""
        return {phase: statistics.median(r.shares[phase] for r in self.records) for phase in self.records[0].shares}

    @property
    def input_share(self) -> float | None:
        """Return the part of training that waited for input, the median over the runs."""
        return middle([r.input_share for r in self.records if r.input_share is not None])

    @property
    def tflop_per_s(self) -> float | None:
        """Return the model's 10^12 floating-point operations per second of training, the median over the runs."""
        return middle([r.tflop_per_s for r in self.records if r.tflop_per_s is not None])

    @cached_property
    def utterances_per_s(self) -> float | None:
        """Return utterances per second: each run's median over its train rows, then the median over the runs."""
        return middle([r.utterances_per_s for r in self.records if r.throughputs])

    def values(self, name: str) -> list[object]:
        """Return the different values that the runs have in a field of the journal."""
        return sorted({getattr(run.identity, name) for run in self.runs})


def _minutes(seconds: Sequence[float | None]) -> float | None:
    median = middle(seconds)
    return None if median is None else median / 60


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median, where None counts as larger than all; None if the median is such a value, or of no values."""
    if not values:
        return None
    median = statistics.median(math.inf if value is None else value for value in values)
    return median if math.isfinite(median) else None


def judged_groups(runs: Iterable[Run], question: Question) -> list[Group]:
    """Group, check and judge runs; groups come in the order in which they are shown.

    Raises:
        JudgeError: runs that would be pooled differ in what must agree, one was given twice, or a run.json cannot be
            used.
    """
    runs = [run for run in runs if len(run.record)]
    check_given_once(runs)
    levels = levels_of(runs, question)
    members: dict[tuple, list[Run]] = {}
    for run in runs:
        members.setdefault(_key(run, question), []).append(run)
    groups = [_group(key, tuple(alike), question, levels[key[2]]) for key, alike in members.items()]
    return sorted(groups + _published(levels, question), key=lambda group: _order(group, question))


def _key(run: Run, question: Question) -> tuple:
    about = run.identity
    split = tuple((name, machine_name(run) if name == "machine" else getattr(about, name)) for name in question.by)
    return about.emulated, about.platform, about.workload_label, split


def _order(group: Group, question: Question) -> tuple:
    """Order groups: real before emulated, measured before published; real rigs by their time to the hardest level."""
    minutes = [level.minutes for level in reversed(group.levels) if level.metric == question.metrics[0]]
    ranks = [math.inf if m is None else m for m in minutes] if not (group.emulated or group.published) else []
    label = "" if group.published else group.label  # the paper's order of platforms
    return group.emulated, group.published, group.workload, ranks, label


def _group(key: tuple, runs: tuple[Run, ...], question: Question, levels: list[tuple[str, float]]) -> Group:
    emulated, platform, workload, split = key
    records = tuple(run.record for run in runs)
    group = Group(
        platform=platform,
        workload=workload,
        emulated=emulated,
        split=split,
        runs=runs,
        levels=tuple(_level(records, *column, question) for column in levels),
        best={m: middle([r.best_median(m, window=question.window) for r in records]) for m in question.metrics},
    )
    _check_pooled(group, question)
    return group


def _level(records: tuple[RunRecord, ...], metric: str, percent: float, question: Question) -> Level:
    rows = [(r, r.reached(metric, percent, window=question.window)) for r in records]
    firsts = [(r, r.reached(metric, percent, window=1)) for r in records]

    def seconds(reached: list[tuple[RunRecord, Row | None]], clock: str) -> tuple[float | None, ...]:
        return tuple(None if row is None else record.read_s(row, clock) for record, row in reached)

    return Level(
        metric=metric,
        percent=percent,
        seconds=seconds(rows, question.clock),
        epochs=tuple(None if row is None else row.epoch for _, row in rows),
        first_seconds=seconds(firsts, question.clock),
        by_clock={clock: seconds(rows, clock) for clock in CLOCKS},
    )


def _check_pooled(group: Group, question: Question) -> None:
    differ = differing(group.records, [name for name in POOLED if name not in question.by])
    if differ:
        name, values = differ[0]
        sources = [next(r.source for r in group.runs if getattr(r.identity, name) == value) for value in values]
        found = " and ".join(f"{value!r} in {source}" for value, source in zip(values, sources, strict=True))
        way_out = " ".join(f"--by {name}" for name, _ in differ)
        raise JudgeError(
            f"{group.label}, {group.workload}: {name} is {found}; expected runs alike: leave some out, or keep them "
            f"apart with {way_out}"
        )


def check_given_once(runs: Sequence[Run]) -> None:
    """Raise JudgeError for a run that is given twice, whole or in part: it would halve the spread.

    A run is recognised by its name, seed and whatever else all its rows share, and by the times of the rows that two
    files have in common: no two runs agree in these, and one that was cut or saved by a spreadsheet program does.
    """
    alike: dict[Identity, list[Run]] = {}
    for run in runs:
        for other in alike.setdefault(run.identity, []):
            if _same_times(run.record.table, other.record.table):
                rows = sorted(len(each.record) for each in (run, other))
                part = "" if rows[0] == rows[1] else f", of which one file has {rows[0]:,} rows and one {rows[1]:,}"
                raise JudgeError(
                    f"{run.source}: the same run as {other.source}{part}; expected each run once: leave one out"
                )
        alike[run.identity].append(run)


def _same_times(one: Table, other: Table) -> bool:
    """Tell whether the rows that two journals have in common (attempt, phase, epoch, step) took place together."""
    first, second = ({key: n for n, key in enumerate(_keys(table))} for table in (one, other))
    common = first.keys() & second.keys()
    places = np.array([(first[key], second[key]) for key in common], np.int64).reshape(-1, 2)
    return bool(len(common)) and all(
        np.abs(one.columns[name][places[:, 0]] - other.columns[name][places[:, 1]]).max() <= SAVED_ROUNDING_S
        for name in ("started_s", "seconds")
    )


def _keys(table: Table) -> Iterable[tuple]:
    names = ("attempt", "phase", "epoch", "step")
    return zip(*(table.columns[name].tolist() for name in names), strict=True)


def _published(levels: dict[str, list[tuple[str, float]]], question: Question) -> list[Group]:
    """Return the paper's table 3 as groups of its workload, with NA at levels that the paper does not have."""
    if not question.published:
        return []
    published = time_to_accuracy()

    def level(rig: str, metric: str, percent: float) -> Level:
        minutes = published.minutes.get((rig, CORPUS_SUM.get(metric, metric), percent))
        return Level(
            metric=metric, percent=percent, seconds=(None if minutes is None else minutes * 60,), epochs=(None,)
        )

    def group(rig: str) -> Group:
        columns = tuple(level(rig, *column) for column in levels[PAPER_WORKLOAD])
        return Group(platform=rig, workload=PAPER_WORKLOAD, published=True, levels=columns)

    return [group(rig) for rig in published.rigs]
