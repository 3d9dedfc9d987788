"""Group runs that may be pooled, and find what each group took to every level.

    groups = judged_groups([read_run(path) for path in paths], Question(window=3, clock="wall"))
    groups[0].levels[0].minutes

Runs of one platform and workload form a group; those that differ in POOLED are kept apart (`benchmark.judge.apart`).
Runs of one error curve count once, with the geometric mean of their times: n is the number of different curves. Of
several the geometric mean is shown, with the interval of its own (`Level.estimate`), if half of them got there. A run
that did not reach the level is no blank: one that ended is a miss and counts as slower than its last evaluation, one
that diverged as slower than all; one that is still going, or was interrupted, is censored where it stands, and is no
miss. Emulated and real runs are never in one group. The journals are all that is needed; levels and how a run ended
come from its folder if it is there. Without a folder a run that did not get there counts as slower than all.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from benchmark.judge import censored
from benchmark.judge.censored import Times
from benchmark.judge.circumstances import part_of, value_of
from benchmark.judge.estimates import Estimate, coefficient_of_variation, log_interval, olympic_mean
from benchmark.judge.published import time_to_accuracy
from benchmark.judge.question import CORPUS_SUM, PAPER_WORKLOAD, JudgeError, Question, level_name, levels_of
from benchmark.judge.repetitions import curves_of
from benchmark.record import CLOCKS, Row, Run, RunRecord
from benchmark.record.columns import Identity
from benchmark.record.phases import EVALUATED, Phase
from benchmark.record.table import Table

SAVED_ROUNDING_S = 0.06
"""Times of one row that differ by less are one time: a spreadsheet program may have saved a single decimal."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of one metric, and what each run of a group took to reach it: None if it did not."""

    metric: str
    percent: float
    seconds: tuple[float | None, ...]  # by the clock asked for
    epochs: tuple[float | None, ...]
    going: tuple[bool, ...] = ()  # whether a run is under way or was interrupted, and so is no miss
    curves: tuple[int, ...] = ()  # each run's number of its error curve
    times: Times = field(default_factory=Times.none)  # of each curve, in seconds by the clock asked for
    epoch_times: Times = field(default_factory=Times.none)
    crossing: Times = field(default_factory=Times.none)  # interpolated between evaluations
    first: Times = field(default_factory=Times.none)  # with e = 1: the first crossing
    by_clock: dict[str, Times] = field(default_factory=dict)
    wall_seconds: tuple[float | None, ...] = ()
    is_open: bool = False  # whether the time to an easier level is unknown as runs are unfinished: then this one is too
    step: float = 0.0  # the share of a time that lies between the evaluation at which it is read and the one before

    @property
    def name(self) -> str:
        """Return the level as it is printed: "WER 22"."""
        return level_name(self.metric, self.percent)

    @property
    def reached(self) -> int:
        """Return how many runs reached the level."""
        return sum(seconds is not None for seconds in self.seconds)

    @property
    def unfinished(self) -> int:
        """Return how many runs are under way, or were interrupted, before they reached it."""
        return sum(going and s is None for going, s in zip(self.going, self.seconds, strict=False))

    @property
    def missed(self) -> int:
        """Return how many runs ended without reaching it."""
        return len(self.seconds) - self.reached - self.unfinished

    @property
    def n(self) -> int:
        """Return the number of different error curves."""
        return len(self.times)

    @property
    def minutes(self) -> float | None:
        """Return the geometric mean over the curves, as `estimate`; None if under half were seen to reach the level."""
        return None if self.is_open else _minutes(self.times)

    @property
    def median_minutes(self) -> float | None:
        """Return the median over the curves, Kaplan and Meier's."""
        return None if self.is_open or self.times.median is None else self.times.median / 60

    @property
    def first_minutes(self) -> float | None:
        return None if self.is_open else _minutes(self.first)

    @property
    def crossing_minutes(self) -> float | None:
        """Return the mean of the times at which the median error crossed the level, between two evaluations."""
        return None if self.is_open else _minutes(self.crossing)

    def clock_minutes(self, clock: str) -> float | None:
        return None if self.is_open else _minutes(self.by_clock.get(clock, Times.none()))

    @property
    def epoch(self) -> float | None:
        return None if self.is_open else self.epoch_times.median

    @property
    def all_minutes(self) -> tuple[float, ...] | None:
        """Return every curve's minutes; None if one did not reach the level."""
        if not len(self.times) or not self.times.all_reached:
            return None
        return tuple(s / 60 for s in self.times.seen)

    @cached_property
    def estimate(self) -> Estimate | None:
        """Return the geometric mean with its 95% interval, in minutes; with misses if two curves or more got there."""
        if self.is_open or not self.times.reached_times or min(self.times.seen) <= 0:
            return None
        if self.times.all_reached:
            return log_interval(self.times.seen, step=self.step).times(1 / 60)
        found = censored.interval(self.times, step=self.step)
        return found and found.times(1 / 60)

    @property
    def interval_minutes(self) -> tuple[float, float] | None:
        """Return the 95% interval of `minutes`; None where there is none, or under half reached the level."""
        found = self.estimate if self.minutes is not None else None
        return (found.low, found.high) if found and found.low is not None else None

    @property
    def olympic_minutes(self) -> float | None:
        """Return the mean without the fastest and the slowest run, where one miss is the slowest."""
        mean = olympic_mean(self.times.reached_times, missed=self.missed)
        return None if mean is None or self.unfinished else mean / 60

    @property
    def cv(self) -> float | None:
        """Return the coefficient of variation; None if a run did not reach the level."""
        return coefficient_of_variation(self.all_minutes) if self.all_minutes else None


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
    def is_so_far(self) -> bool:
        """Return whether every run is under way or was interrupted: best errors, epochs and minutes are then so far."""
        return bool(self.runs) and all(run.is_going for run in self.runs)

    @property
    def ended(self) -> tuple[RunRecord, ...]:
        """Return the runs whose errors, epochs and minutes stand in the tables: those that are over, if there are any.

        A run that is under way, or was interrupted, would lower all three.
        """
        return tuple(run.record for run in ended_runs(self.runs))

    @cached_property
    def curves(self) -> tuple[int, ...]:
        """Return each run's number of its error curve."""
        return curves_of(self.records)

    @property
    def n(self) -> int:
        """Return the number of different error curves: of repetitions of the training."""
        return len(set(self.curves))

    @property
    def startup_s(self) -> float | None:
        """Return the extra seconds of the first epoch over the others, the median over the runs."""
        return middle([record.startup_s for record in self.records])

    @property
    def rig(self) -> str:
        """Return what tables call the platform: the label of its file, where it is nobody else's."""
        return self.name or self.platform

    @property
    def label(self) -> str:
        marks = ["(emulated)"] * self.emulated + ["(published)"] * self.published
        return " ".join([self.rig, *(f"{name}={value}" for name, value in self.split), *marks])

    @property
    def epochs(self) -> float | None:
        return middle([record.evaluated_epoch for record in self.ended])

    @property
    def minutes(self) -> float | None:
        seconds = middle([record.ended_s for record in self.ended])
        return None if seconds is None else seconds / 60

    @cached_property
    def evaluation_share(self) -> float | None:
        """Return the part (0 to 1) of a run's time in which evaluation or its swaps ran and nothing else."""
        phases = {*EVALUATED, Phase.SWAP}
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


def _minutes(times: Times) -> float | None:
    """Return the geometric mean in minutes; None if under half were seen to get there."""
    if times.median is None or min(times.seen) <= 0:
        return None if times.median is None else times.median / 60
    if min(times.reached_times) == max(times.reached_times):
        return times.median / 60  # to the last digit, where a mean of logarithms would round
    if times.all_reached:
        return log_interval(times.seen).value / 60
    mean = censored.mean(times)
    return (times.median if mean is None else mean) / 60  # of a single run that got there: its time


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median, where None counts as larger than all; None if the median is such a value, or of no values."""
    if not values:
        return None
    median = statistics.median(math.inf if value is None else value for value in values)
    return median if math.isfinite(median) else None


def judged_groups(runs: Iterable[Run], question: Question) -> list[Group]:
    """Group and judge runs that agree in POOLED but for `by`; groups come in the order in which they are shown.

    Raises:
        JudgeError: a run was given twice, or a run.json cannot be used.
    """
    runs = [run for run in runs if len(run.record)]
    check_given_once(runs)
    levels = levels_of(runs, question)
    members: dict[tuple, list[Run]] = {}
    for run in runs:
        members.setdefault(_key(run, question), []).append(run)
    groups = [_group(key, tuple(alike), question, levels[key[2]]) for key, alike in members.items()]
    names = _labels(groups)
    groups = [replace(group, name=names.get(group.platform, "")) for group in groups]
    return sorted(groups + _published(levels, question), key=lambda group: _order(group, question))


def _labels(groups: Sequence[Group]) -> dict[str, str]:
    """Return what tables call platforms: the label of their files, where it is one and nobody else's."""
    said: dict[str, set[str]] = {}
    for group in groups:
        found = [part_of(run, lambda facts: (facts.platform.name, facts.platform.label)) for run in group.runs]
        labels = {pair[1] if pair and pair[0] == group.platform else group.platform for pair in found}
        said.setdefault(group.platform, set()).update(labels)
    taken = [label for labels in said.values() for label in labels]
    return {
        platform: label
        for platform, labels in said.items()
        for label in labels
        if len(labels) == 1 and taken.count(label) == 1 and label not in said
    }


def _key(run: Run, question: Question) -> tuple:
    about = run.identity
    split = tuple((name, value_of(run, name)) for name in question.by)
    return about.emulated, about.platform, about.workload_label, split


def _order(group: Group, question: Question) -> tuple:
    """Order groups: real before emulated, measured before published; real rigs by their time to the hardest level."""
    minutes = [level.minutes for level in reversed(group.levels) if level.metric == question.metrics[0]]
    ranks = [math.inf if m is None else m for m in minutes] if not (group.emulated or group.published) else []
    label = "" if group.published else group.label  # the paper's order of platforms
    return group.emulated, group.published, group.workload, ranks, label


def _group(key: tuple, runs: tuple[Run, ...], question: Question, levels: list[tuple[str, float]]) -> Group:
    emulated, platform, workload, split = key
    curves = curves_of([run.record for run in runs])
    return Group(
        platform=platform,
        workload=workload,
        emulated=emulated,
        split=split,
        runs=runs,
        levels=_opened([_level(runs, curves, *column, question) for column in levels]),
        best={
            m: middle([record_of(run, question).best_median(m, window=question.window) for run in ended_runs(runs)])
            for m in question.metrics
        },
    )


def _level(runs: tuple[Run, ...], curves: tuple[int, ...], metric: str, percent: float, question: Question) -> Level:
    records = [record_of(run, question) for run in runs]
    rows = [record.reached(metric, percent, window=question.window) for record in records]
    firsts = [record.reached(metric, percent, window=1) for record in records]

    def read(reached: Sequence[Row | None], clock: str) -> tuple[float | None, ...]:
        return tuple(None if row is None else r.read_s(row, clock) for r, row in zip(records, reached, strict=True))

    def times(seconds: Sequence[float | None], clock: str) -> Times:
        return _merged(seconds, [_seen_s(run, clock) for run in runs], curves)

    read_at = read(rows, question.clock)
    crossings = [r.crossing_s(metric, percent, window=question.window, clock=question.clock) for r in records]
    epochs = tuple(None if row is None else r.epochs_at(row) for r, row in zip(records, rows, strict=True))
    return Level(
        metric=metric,
        percent=percent,
        seconds=read_at,
        epochs=epochs,
        going=tuple(run.is_going for run in runs),
        curves=curves,
        times=times(read_at, question.clock),
        epoch_times=_merged(epochs, [_seen_epochs(run) for run in runs], curves),
        crossing=times(crossings, question.clock),
        first=times(read(firsts, question.clock), question.clock),
        by_clock={clock: times(read(rows, clock), clock) for clock in CLOCKS},
        wall_seconds=read(rows, "wall"),
        step=_step(records, rows, read_at, question.clock),
    )


def _opened(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Return levels, easy ones first, and none known that is harder than one that unfinished runs leave unknown.

    Where an unfinished run was last seen before the others got to the hard level, but after they got to the easy one,
    the median to the easy level is open, and the curve of the hard one knows nothing of it.
    """
    found: list[Level] = []
    for level in levels:
        easier = [other for other in found if other.metric == level.metric and other.unfinished]
        found.append(replace(level, is_open=any(other.minutes is None for other in easier)))
    return tuple(found)


def ended_runs(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs that are over; all of them if none is."""
    return tuple(run for run in runs if not run.is_going) or tuple(runs)


def _step(
    records: Sequence[RunRecord], rows: Sequence[Row | None], seconds: Sequence[float | None], clock: str
) -> float:
    """Return the mean share of a time to a level that lies after the last evaluation before it; 0 without times."""
    shares = []
    for record, row, read_s in zip(records, rows, seconds, strict=True):
        if row is not None and read_s:
            before = record.evaluated_before(row)
            before_s = record.read_s(before, clock) if before else 0.0
            shares.append(min(1.0, max(0.0, 1 - before_s / read_s)))
    return statistics.fmean(shares) if shares else 0.0


def record_of(run: Run, question: Question) -> RunRecord:
    """Return a run's record with the evaluations that count: those of whole epochs, or all."""
    return run.record.finely if question.every_evaluation else run.record


def minutes_to(group: Group, question: Question) -> tuple[float | None, ...]:
    """Return the minutes of a group to each level of a question's first metric, as `Level.minutes` has it."""
    records, metric = [record_of(run, question) for run in group.runs], question.metrics[0]
    found = []
    for percent in question.levels:
        rows = [record.reached(metric, percent, window=question.window) for record in records]
        read = [None if row is None else r.read_s(row, question.clock) for r, row in zip(records, rows, strict=True)]
        found.append(_minutes(_merged(read, [_seen_s(run, question.clock) for run in group.runs], group.curves)))
    return tuple(found)


def _seen_s(run: Run, clock: str) -> float:
    """Return for how long a run was seen not to reach a level, by a clock; infinity if it never will."""
    if not (run.is_going or run.has_finished):
        return math.inf
    evaluations = run.record.evaluations
    return run.record.read_s(evaluations[-1], clock) if evaluations else 0.0


def _seen_epochs(run: Run) -> float:
    return run.record.evaluated_epoch if run.is_going or run.has_finished else math.inf


def _merged(values: Sequence[float | None], seen: Sequence[float], curves: Sequence[int]) -> Times:
    """Return the times of curves: the geometric mean of the runs of one that got there, or the longest without."""
    pairs = []
    for curve in dict.fromkeys(curves):
        mine = [n for n, other in enumerate(curves) if other == curve]
        reached = [value for n in mine if (value := values[n]) is not None]
        if reached:
            single = len(reached) == 1 or min(reached) <= 0
            mean = reached[0] if single else math.exp(statistics.fmean(map(math.log, reached)))
            pairs.append((mean, True))
        else:
            pairs.append((max(seen[n] for n in mine), False))
    return Times.of(pairs)


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
    places = [(first[key], second[key]) for key in first.keys() & second.keys()]
    times_s = [[table.columns[name].tolist() for table in (one, other)] for name in ("started_s", "seconds")]
    return bool(places) and all(
        abs(mine[place] - theirs[same]) <= SAVED_ROUNDING_S for mine, theirs in times_s for place, same in places
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
        seconds = None if minutes is None else minutes * 60
        times = Times.of([(math.inf if seconds is None else seconds, seconds is not None)])
        return Level(metric=metric, percent=percent, seconds=(seconds,), epochs=(None,), times=times)

    def group(rig: str) -> Group:
        columns = tuple(level(rig, *column) for column in levels[PAPER_WORKLOAD])
        return Group(platform=rig, workload=PAPER_WORKLOAD, published=True, levels=columns)

    return [group(rig) for rig in published.rigs]
