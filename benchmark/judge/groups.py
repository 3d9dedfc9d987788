"""Runs in, judged groups out: which runs may be pooled, and what each group took to every level.

    groups = judge([journal.read(path) for path in paths], Question(window=3, clock="wall"))
    groups[0].levels[0].minutes

Time to accuracy, TTA(a, e), is the time from model creation to the end of the evaluation of the first epoch i >= e
whose median error over epochs i-e+1..i is at most a. Not reached is None here and NA in print: never 0, -1 or
infinity.

Runs of one platform and workload form a group and are pooled if journal.POOLED agrees. Of several runs the median
is shown; one run that missed the level counts as slower than all, two make it not reached. Emulated and real runs
are never in one group. The journals are all the judge needs; levels come from the run's folder
(results/RUN/run.json) if it is there.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmark.judge.estimates import Estimate, log_interval
from benchmark.record.journal import CLOCKS, METRICS, POOLED, JournalError, Row, RunRecord, differing
from benchmark.record.phases import Phase

PAPER_WORKLOAD = "librispeech"
PAPER_LEVELS = {"wer": (22.0, 20.2, 19.2), "cer": (10.0, 8.0, 7.0)}
AS_THE_PAPER = {"wer": "wer_mean", "cer": "cer_paper"}  # its authors averaged over utterances
CORPUS_SUM = {mean: total for total, mean in AS_THE_PAPER.items()}
PUBLISHED = Path(__file__).with_name("published.csv")  # the paper's table 3

SPLITS = (*(name for name in POOLED if name not in ("workload", "emulated")), "seed", "run")
"""What --by can keep apart. Platform, workload and emulation always are."""

COMPARED = ("workload", "recipe", "features", "decoder", "emulated")
"""What must agree between rigs that are compared; how a rig trains it (batch, precision, replicas) is the rig's."""


class JudgeError(ValueError):
    """Runs that cannot be judged together; the message names the field, the values and the way out."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked. Without `levels` those that the workload targets are judged, or else the paper's."""

    metrics: tuple[str, ...] = ("wer", "cer")
    levels: tuple[float, ...] = ()  # percent, of every metric asked for
    window: int = 3  # epochs: the e of TTA(a, e)
    clock: str = "wall"
    by: tuple[str, ...] = ()
    published: bool = False

    def __post_init__(self) -> None:
        if self.window < 1 or self.clock not in CLOCKS or not {*self.metrics} <= {*METRICS} or {*self.by} - {*SPLITS}:
            raise ValueError(
                f"{self}: expected metrics of {METRICS}, a window of 1 epoch or more, a clock of "
                f"{tuple(CLOCKS)}, by of {SPLITS}"
            )


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of one metric: what each run of a group took to it, None where it was not reached."""

    metric: str
    percent: float
    seconds: tuple[float | None, ...]  # by the clock asked for
    epochs: tuple[int | None, ...]
    first_seconds: tuple[float | None, ...] = ()  # with e = 1: the first crossing
    by_clock: dict[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def reached(self) -> int:
        return sum(seconds is not None for seconds in self.seconds)

    @property
    def is_reached(self) -> bool:
        """By the group: one run that missed it counts as slower than all, two make it not reached."""
        return len(self.seconds) - self.reached < 2 and middle(self.seconds) is not None

    @property
    def minutes(self) -> float | None:
        """The median."""
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
        """Of every run; None if one missed the level: then there is no mean, and no interval."""
        return tuple(s / 60 for s in self.seconds) if self.reached == len(self.seconds) and self.seconds else None

    @cached_property
    def estimate(self) -> Estimate | None:
        """Geometric mean and 95% interval in minutes."""
        return log_interval(self.all_minutes) if self.all_minutes and min(self.all_minutes) > 0 else None

    @property
    def interval_minutes(self) -> tuple[float, float] | None:
        found = self.estimate
        return (found.low, found.high) if found and found.low is not None else None


@dataclass(frozen=True, kw_only=True)
class Group:
    """The runs of one platform and workload, judged; a row of the paper's table has no records."""

    platform: str
    workload: str
    emulated: bool = False
    published: bool = False
    split: tuple[tuple[str, object], ...] = ()  # the fields of --by and their values
    records: tuple[RunRecord, ...] = ()
    levels: tuple[Level, ...]
    best: dict[str, float | None] = field(default_factory=dict)  # metric -> lowest median error, percent
    name: str = ""  # in place of the platform's

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
        """Of the run's time, what went to evaluation, and swapping for it, while nothing else ran."""
        phases = {Phase.EVALUATE, Phase.SWAP}
        return middle([record.alone_s(phases) / record.ended_s for record in self.records if record.ended_s])

    @cached_property
    def seconds_per_epoch(self) -> float | None:
        return middle([record.seconds_per_epoch for record in self.records])

    @cached_property
    def shares(self) -> dict[Phase, float]:
        """Phase -> its part of the wall clock, the median over the runs."""
        return {phase: statistics.median(r.shares[phase] for r in self.records) for phase in self.records[0].shares}

    @property
    def input_share(self) -> float | None:
        """Median over the runs of the part of training that waited for input."""
        return middle([r.input_share for r in self.records if r.input_share is not None])

    @property
    def tflop_per_s(self) -> float | None:
        """Median over the runs of the model's arithmetic a second of training, 10^12 operations."""
        return middle([r.tflop_per_s for r in self.records if r.tflop_per_s is not None])

    @cached_property
    def utterances_per_s(self) -> float | None:
        """Median over the runs of each run's median over its train rows."""
        return middle([statistics.median(r.throughputs) for r in self.records if r.throughputs])

    def values(self, name: str) -> list[object]:
        """What its runs have in a field of the journal, each value once."""
        return sorted({getattr(record.rows[0], name) for record in self.records})


def _minutes(seconds: Sequence[float | None]) -> float | None:
    median = middle(seconds)
    return None if median is None else median / 60


def middle(values: Sequence[float | None]) -> float | None:
    """The median, None counting as larger than all; None if it falls among those, or there is nothing."""
    if not values:
        return None
    median = statistics.median(math.inf if value is None else value for value in values)
    return median if math.isfinite(median) else None


def judge(records: Iterable[RunRecord], question: Question) -> list[Group]:
    """Group, check and judge runs; groups come in the order in which they are shown.

    Raises:
        JudgeError: runs that would be pooled differ in what must agree, or one was given twice.
        JournalError: a run.json that cannot be read.
    """
    records = [record for record in records if record.rows]
    check_given_once(records)
    levels = _levels_of_workloads(records, question)
    members: dict[tuple, list[RunRecord]] = {}
    for record in records:
        members.setdefault(_key(record, question), []).append(record)
    groups = [_group(key, tuple(runs), question, levels[key[2]]) for key, runs in members.items()]
    return sorted(groups + _published(levels, question), key=lambda group: _order(group, question))


def _key(record: RunRecord, question: Question) -> tuple:
    row = record.rows[0]
    return row.emulated, row.platform, row.workload, tuple((name, getattr(row, name)) for name in question.by)


def _order(group: Group, question: Question) -> tuple:
    """Real before emulated, measured before published; a real rig's rank is its time to the hardest level."""
    minutes = [level.minutes for level in reversed(group.levels) if level.metric == question.metrics[0]]
    ranks = [math.inf if m is None else m for m in minutes] if not (group.emulated or group.published) else []
    label = "" if group.published else group.label  # the paper's order of platforms
    return group.emulated, group.published, group.workload, ranks, label


def _group(key: tuple, records: tuple[RunRecord, ...], question: Question, levels: list[tuple[str, float]]) -> Group:
    emulated, platform, workload, split = key
    group = Group(
        platform=platform,
        workload=workload,
        emulated=emulated,
        split=split,
        records=records,
        levels=tuple(_level(records, *column, question) for column in levels),
        best={m: middle([best_median(r, m, question.window) for r in records]) for m in question.metrics},
    )
    _check_pooled(group, question)
    return group


def _level(records: tuple[RunRecord, ...], metric: str, percent: float, question: Question) -> Level:
    rows = [(r, r.reached(metric, percent, window=question.window)) for r in records]
    firsts = [(r, r.reached(metric, percent, window=1)) for r in records]

    def seconds(reached: list[tuple[RunRecord, Row | None]], clock: str) -> tuple[float | None, ...]:
        return tuple(row and record.read_s(row, clock) for record, row in reached)

    return Level(
        metric=metric,
        percent=percent,
        seconds=seconds(rows, question.clock),
        epochs=tuple(row and row.epoch for _, row in rows),
        first_seconds=seconds(firsts, question.clock),
        by_clock={clock: seconds(rows, clock) for clock in CLOCKS},
    )


def best_median(record: RunRecord, metric: str, window: int) -> float | None:
    """The lowest median error that a run had over `window` epochs in a row."""
    return min((median for _, median in record.medians(metric, window=window)), default=None)


def _check_pooled(group: Group, question: Question) -> None:
    differ = differing(group.records, [name for name in POOLED if name not in question.by])
    if differ:
        name, values = differ[0]
        sources = [next(r.source for r in group.records if getattr(r.rows[0], name) == value) for value in values]
        found = " and ".join(f"{value!r} in {source}" for value, source in zip(values, sources, strict=True))
        way_out = " ".join(f"--by {name}" for name, _ in differ)
        raise JudgeError(
            f"{group.label}, {group.workload}: {name} is {found}; expected runs alike: leave some out, or keep them "
            f"apart with {way_out}"
        )


def check_given_once(records: Sequence[RunRecord]) -> None:
    """A run that counts twice would halve the spread."""
    seen: dict[tuple, RunRecord] = {}
    for record in records:
        twin = seen.setdefault((record.rows[0], len(record.rows)), record)
        if twin is not record and twin == record:
            raise JudgeError(f"{record.source}: the same run as {twin.source}; expected each run once: leave one out")


def _levels_of_workloads(records: Sequence[RunRecord], question: Question) -> dict[str, list[tuple[str, float]]]:
    """Workload -> (metric, percent) in the order of columns: easy levels first."""
    targets: dict[str, dict[str, set[float]]] = {PAPER_WORKLOAD: {}} if question.published else {}
    for record in records:
        of_workload = targets.setdefault(record.rows[0].workload, {})
        for metric, levels in _targets(record).items():
            of_workload.setdefault(metric, set()).update(levels)
    return {workload: _columns(workload, found, question) for workload, found in targets.items()}


def _columns(workload: str, targets: dict[str, set[float]], question: Question) -> list[tuple[str, float]]:
    columns = []
    for metric in question.metrics:
        family = CORPUS_SUM.get(metric, metric)
        levels = set(question.levels or targets.get(metric) or targets.get(family) or PAPER_LEVELS[family])
        if question.published and workload == PAPER_WORKLOAD and not question.levels:
            levels.update(PAPER_LEVELS[family])
        columns += [(metric, percent) for percent in sorted(levels, reverse=True)]
    return columns


def _targets(record: RunRecord) -> dict[str, list[float]]:
    """Metric -> levels that the run aimed at, from run.json in its folder; empty if that is not there."""
    path = Path(record.source).with_suffix("") / "run.json" if record.source else None
    if path is None or not path.is_file():
        return {}
    try:
        plan = json.loads(path.read_bytes())["plan"]["targets"]
        targets = {metric: [float(level) for level in levels] for metric, levels in plan.items()}
        if wrong := [level for levels in targets.values() for level in levels if not 0 <= level < math.inf]:
            raise ValueError(f"{wrong[0]} is no error rate in percent")
        return targets
    except (OSError, KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise JournalError(
            f'{path}: no plan.targets as {{"wer": [22]}} ({type(error).__name__}: {error}); '
            f"mend it, or move it away and name levels by --level"
        ) from None


def _published(levels: dict[str, list[tuple[str, float]]], question: Question) -> list[Group]:
    """The paper's table 3 as groups of its workload, with NA at levels that the paper has not."""
    if not question.published:
        return []
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    minutes = {(row["platform"], row["metric"].lower(), float(row["level"])): row["tta_minutes"] for row in rows}

    def level(platform: str, metric: str, percent: float) -> Level:
        found = minutes.get((platform, CORPUS_SUM.get(metric, metric), percent), "NA")
        seconds = None if found == "NA" else float(found) * 60
        return Level(metric=metric, percent=percent, seconds=(seconds,), epochs=(None,))

    def group(platform: str) -> Group:
        columns = tuple(level(platform, *column) for column in levels[PAPER_WORKLOAD])
        return Group(platform=platform, workload=PAPER_WORKLOAD, published=True, levels=columns)

    return [group(platform) for platform in dict.fromkeys(row["platform"] for row in rows)]


def metric_name(metric: str) -> str:
    head, _, tail = metric.partition("_")
    return f"{head.upper()} {tail}".strip()
