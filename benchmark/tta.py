"""The judge: which platform reaches a given error rate soonest, read from the journals of runs.

    python -m benchmark.tta results/*.csv --level 22 --metric wer

    records = [journal.read(path) for path in paths]
    print(report(records, Question(window=3, clock="wall")))

Time to accuracy, TTA(a, e), is the time from model creation to the end of the evaluation of the first epoch i >= e
whose median error over epochs i-e+1..i is at most a. Not reached is NA: never 0, -1 or infinity.

Runs of one platform and workload form a group and are pooled if journal.POOLED agrees. Of several runs the median
is shown, a run that missed the level counting as slower than all. Emulated and real runs are never in one group nor
in one table. The journals are all the judge needs; levels come from the run's folder (results/RUN/run.json) if it
is there. No TensorFlow, and rich only on a terminal: the answer comes at once.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import statistics
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmark.journal import CLOCKS, METRICS, POOLED, JournalError, RunRecord, differing, read
from benchmark.phases import Phase

PAPER_WORKLOAD = "librispeech"
PAPER_LEVELS = {"wer": (22.0, 20.2, 19.2), "cer": (10.0, 8.0, 7.0)}
AS_THE_PAPER = {"wer": "wer_mean", "cer": "cer_paper"}  # its authors averaged over utterances
CORPUS_SUM = {mean: total for total, mean in AS_THE_PAPER.items()}
PUBLISHED = Path(__file__).with_name("published.csv")  # the paper's table 3

SPLITS = (*(name for name in POOLED if name not in ("workload", "emulated")), "seed", "devices", "run")
"""What --by can keep apart. Platform, workload and emulation always are."""

COMPILING_ROWS = 2  # first train rows of an attempt: its first steps compile. Only throughput leaves them out
FEW_ROWS = 5
FEW_RUNS = 3
LARGE_SHARE = 0.10
WIDTH = 100  # columns of a terminal that everybody has

CLOCK_WORDS = {
    "wall": "since model creation, everything inside (wall clock)",
    "train": "of training alone (train clock)",
    "mlperf": "since the first training batch (MLPerf's clock)",
}
SPREAD = (
    "gaps under 10% between single runs mean nothing (from seed to seed, time to accuracy has a coefficient of "
    "variation of 3.9% at the median and 7.6% at the 90th percentile of 117 MLPerf speech result sets); make at least "
    f"{FEW_RUNS} runs, each with its own seed: make bench SEED=2"
)


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
    seconds: tuple[float | None, ...]
    epochs: tuple[int | None, ...]

    @property
    def reached(self) -> int:
        return sum(seconds is not None for seconds in self.seconds)

    @property
    def minutes(self) -> float | None:
        seconds = middle(self.seconds)
        return None if seconds is None else seconds / 60

    @property
    def epoch(self) -> float | None:
        return middle(self.epochs)


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

    @property
    def label(self) -> str:
        marks = ["(emulated)"] * self.emulated + ["(published)"] * self.published
        return " ".join([self.platform, *(f"{name}={value}" for name, value in self.split), *marks])

    @property
    def epochs(self) -> float | None:
        return middle([record.evaluated_epoch for record in self.records])

    @property
    def minutes(self) -> float | None:
        seconds = middle([record.ended_s for record in self.records])
        return None if seconds is None else seconds / 60

    @cached_property
    def evaluation_share(self) -> float | None:
        """Of the run's time, what went to evaluation while nothing else ran."""
        return middle([record.alone_s({Phase.EVALUATE}) / record.ended_s for record in self.records if record.ended_s])

    @cached_property
    def utterances_per_s(self) -> float | None:
        """Median over the runs of each run's median over its train rows."""
        return middle([statistics.median(rates) for rates in map(throughputs, self.records) if rates])

    def values(self, name: str) -> list[object]:
        """What its runs have in a field of the journal, each value once."""
        return sorted({getattr(record.rows[0], name) for record in self.records})


def middle(values: Sequence[float | None]) -> float | None:
    """The median, None counting as larger than all; None if it falls among those, or there is nothing."""
    if not values:
        return None
    median = statistics.median(math.inf if value is None else value for value in values)
    return median if math.isfinite(median) else None


def throughputs(record: RunRecord) -> list[float]:
    """Utterances per second of every train row but the first ones of an attempt."""
    rates, attempt, seen = [], None, 0
    for row in record.rows:
        if row.phase is not Phase.TRAIN:
            continue
        attempt, seen = row.attempt, seen + 1 if row.attempt == attempt else 1
        if seen > COMPILING_ROWS and row.utterances is not None and row.seconds > 0:
            rates.append(row.utterances / row.seconds)
    return rates


# --- judging ---------------------------------------------------------------------------------------------------------


def judge(records: Iterable[RunRecord], question: Question) -> list[Group]:
    """Group, check and judge runs; groups come in the order in which they are shown.

    Raises:
        JudgeError: runs that would be pooled differ in what must agree, or one was given twice.
        JournalError: a run.json that cannot be read.
    """
    records = [record for record in records if record.rows]
    _check_given_once(records)
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
    window, clock = question.window, question.clock
    seconds = tuple(r.time_to_accuracy_s(metric, percent, window=window, clock=clock) for r in records)
    rows = [r.reached(metric, percent, window=window) for r in records]
    return Level(metric=metric, percent=percent, seconds=seconds, epochs=tuple(row and row.epoch for row in rows))


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


def _check_given_once(records: Sequence[RunRecord]) -> None:
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
        return {metric: [float(level) for level in levels] for metric, levels in plan.items()}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
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


# --- distrust --------------------------------------------------------------------------------------------------------


def warnings(records: Iterable[RunRecord], groups: Sequence[Group], question: Question) -> list[str]:
    """What to doubt and what to do about it, a sentence each; the same words about several groups come once."""
    labels: dict[str, list[str]] = {}
    for group in groups:
        for text in _doubts(group, question) if group.records else ():
            labels.setdefault(text, []).append(f"{group.label}, {group.workload}")
    empty = [f"{record.source}: no rows yet; left out" for record in records if not record.rows]
    found = empty + [f"{'; '.join(where)}: {text}" for text, where in labels.items()]
    return found + (_doubts_of_published(groups, question) if question.published else [])


def _doubts(group: Group, question: Question) -> Iterator[str]:
    runs = len(group.records)
    if group.emulated:
        yield "emulated on CPUs: the times say nothing about the rig; run it on the rig itself"
    if runs < FEW_RUNS:
        yield f"only {_count(runs, 'run')}: {SPREAD}"
    elif len(group.values("seed")) < runs:
        yield f"{runs} runs with {_count(len(group.values('seed')), 'seed')}; give each run a seed of its own"
    if resumed := sum(record.rows[-1].attempt > 1 for record in group.records):
        yield (
            f"{resumed} of {_count(runs, 'run')} resumed (attempt > 1): the clock stands still between attempts, and "
            f"work done twice counts twice; run again without interruption before you publish"
        )
    yield from _doubts_of_epochs(group, question)
    yield from _doubts_of_levels(group, question)
    yield from _doubts_of_speed(group)


def _doubts_of_epochs(group: Group, question: Question) -> Iterator[str]:
    runs, epochs = len(group.records), [len(record.evaluations) for record in group.records]
    if none := epochs.count(0):
        yield f"{none} of {_count(runs, 'run')} without an evaluation: no level can be reached; train for an epoch"
    if few := [count for count in epochs if 0 < count < question.window]:
        yield (
            f"{len(few)} of {_count(runs, 'run')} with fewer than e = {question.window} evaluated epochs (fewest: "
            f"{min(few)}): no level can be reached; train longer, or ask for --epochs {min(few)}"
        )


def _doubts_of_levels(group: Group, question: Question) -> Iterator[str]:
    runs = len(group.records)
    if max(len(record.evaluations) for record in group.records) < question.window:
        return  # said already
    for metric in question.metrics:
        missed: dict[int, list[str]] = {}
        for level in group.levels:
            if level.metric == metric and level.reached < runs:
                missed.setdefault(level.reached, []).append(f"{level.percent:g}%")
        for reached, percents in missed.items():
            way_out = "those that missed it count as slower than all; train them longer"
            if not reached:
                way_out = _best_words(group, metric, question)
            levels = f"{metric_name(metric)} {', '.join(percents)}"
            yield f"{levels} reached by {reached} of {_count(runs, 'run')}; {way_out}"


def _best_words(group: Group, metric: str, question: Question) -> str:
    bests = [best_median(record, metric, question.window) for record in group.records]
    best = min((value for value in bests if value is not None), default=None)
    if best is None:
        return "the journals do not have this error for that many epochs in a row"
    rounded = math.ceil(best * 10) / 10
    return f"the best median over e = {question.window} is {best:.2f}%: train longer, or ask for --level {rounded:g}"


def _doubts_of_speed(group: Group) -> Iterator[str]:
    rows = min(len(throughputs(record)) for record in group.records)
    left_out = f"the first {COMPILING_ROWS} of an attempt compile and are left out"
    if rows == 0:
        yield f"a run has no train row to tell throughput from ({left_out}); train longer"
    elif rows < FEW_ROWS:
        yield f"throughput of a run from {_count(rows, 'train row')} only ({left_out}); train longer"
    share = group.evaluation_share or 0
    if share > LARGE_SHARE:
        yield (
            f"{share:.0%} of the time went to evaluation: these times measure the decoder too; a smaller dev set or "
            f"beam, or --clock train, tells training apart"
        )


def _doubts_of_published(groups: Sequence[Group], question: Question) -> list[str]:
    doubts = []
    if not any(group.records and group.workload == PAPER_WORKLOAD for group in groups):
        doubts.append(f"published: the paper's runs are of workload {PAPER_WORKLOAD}; none of yours is to be compared")
    if question.window != 3 or question.clock != "wall":
        doubts.append("published: the paper's times are wall clock with e = 3: leave out --epochs and --clock")
    if not set(question.metrics) <= set(CORPUS_SUM):
        doubts.append("published: the paper's error rates are means over utterances: --paper compares like with like")
    return doubts


# --- showing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def report(records: Iterable[RunRecord], question: Question | None = None) -> str:
    """The judgement as plain text, without colours or box drawing."""
    parts = report_parts(list(records), question or Question())
    return "\n\n".join(_plain(part) if isinstance(part, Table) else _wrapped(part) for part in parts)


def report_parts(records: Sequence[RunRecord], question: Question) -> list[str | Table]:
    """Paragraphs and tables in order."""
    groups = judge(records, question)
    parts: list[str | Table] = [_heading(question)] if groups else []
    for emulated, workload in dict.fromkeys((group.emulated, group.workload) for group in groups):
        block = [group for group in groups if (group.emulated, group.workload) == (emulated, workload)]
        if emulated:
            parts.append(f"Emulated, workload {workload}: CPUs stood in for GPUs; times say nothing about the rig")
        parts += _tables(block, question)
    found = warnings(records, groups, question)
    return parts + (["Warnings:\n" + "\n".join(f"- {text}" for text in found)] if found else [])


def _heading(question: Question) -> str:
    return (
        f"Time to accuracy: until the end of the first epoch whose median error over e = {question.window} epochs is "
        f"at most the level; minutes {CLOCK_WORDS[question.clock]}. Median of the runs; (2/3): 2 of 3 runs reached it."
    )


def _tables(block: Sequence[Group], question: Question) -> list[Table]:
    workload, measured = block[0].workload, [group for group in block if group.records]
    levels = tuple(f"{metric_name(level.metric)} {level.percent:g}" for level in block[0].levels)
    best = tuple(f"best {metric_name(metric)}" for metric in question.metrics)
    minutes = tuple((g.label, *_run_cells(g), *map(_minutes_cell, g.levels)) for g in block)
    epochs = tuple((g.label, *(_cell(level.epoch, "g") for level in g.levels)) for g in measured)
    tables = [
        Table(f"{workload}: minutes to a level (percent)", ("platform", "runs", "seeds", *levels), minutes),
        Table(f"{workload}: epochs to a level", ("platform", *levels), epochs),
        Table(
            f"{workload}: the runs",
            ("platform", "utterances/s", *best, "epochs", "minutes", "evaluating"),
            tuple(map(_speed_cells, measured)),
        ),
    ]
    return [table for table in tables if table.rows]


def _run_cells(group: Group) -> tuple[str, str]:
    return ("", "") if group.published else (str(len(group.records)), str(len(group.values("seed"))))


def _speed_cells(group: Group) -> tuple[str, ...]:
    best = [_cell(error, ".2f") for error in group.best.values()]
    share = _cell(group.evaluation_share, ".0%")
    return group.label, figure(group.utterances_per_s), *best, _cell(group.epochs, "g"), figure(group.minutes), share


def _minutes_cell(level: Level) -> str:
    runs = len(level.seconds)
    return figure(level.minutes) + (f" ({level.reached}/{runs})" if 0 < level.reached < runs else "")


def _cell(value: float | None, style: str) -> str:
    return "NA" if value is None else format(value, style)


def figure(value: float | None) -> str:
    """Three digits or more: two decimals under 10, one under 100, else none."""
    if value is None:
        return "NA"
    if round(value, 2) < 10:  # rounded first: 9.999 is 10.0
        return f"{value:.2f}"
    return f"{value:.1f}" if round(value, 1) < 100 else f"{value:.0f}"


def metric_name(metric: str) -> str:
    head, _, tail = metric.partition("_")
    return f"{head.upper()} {tail}".strip()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _wrapped(text: str) -> str:
    wrap = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = []
    for line in text.splitlines():
        wrap.subsequent_indent = "  " * line.startswith("-")
        lines += wrap.wrap(line)
    return "\n".join(lines)


def _plain(table: Table) -> str:
    lines = [table.title]
    for number, columns in enumerate(_fitting(table)):
        lines += [""] * (number > 0)
        widths = [max(map(len, column)) for column in columns]
        for cells in zip(*columns, strict=True):
            padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _fitting(table: Table) -> Iterator[list[tuple[str, ...]]]:
    """The table's columns, header on top, in parts that fit WIDTH; each begins with the first column."""
    first, *others = zip(table.header, *table.rows, strict=True)
    part, width = [first], max(map(len, first))
    for column in others:
        column_width = 2 + max(map(len, column))
        if width + column_width > WIDTH and len(part) > 1:
            yield part
            part, width = [first], max(map(len, first))
        part.append(column)
        width += column_width
    yield part


def _print_rich(parts: Iterable[str | Table]) -> None:
    from rich.box import SIMPLE_HEAD  # here, not above: a tenth of a second that a pipe need not wait
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(markup=False, highlight=False)
    for part in parts:
        if isinstance(part, Table):
            shown = RichTable(title=part.title, title_justify="left", box=SIMPLE_HEAD)
            for number, name in enumerate(part.header):
                shown.add_column(name, justify="right" if number else "left", no_wrap=number == 0)
            for row in part.rows:
                shown.add_row(*row)
            console.print(shown)
        else:
            console.print(part + "\n")


def long_rows(groups: Iterable[Group], question: Question) -> list[dict[str, object]]:
    """One row per group, metric and level in full precision, for machines; None is not reached or not known."""
    return [_long_row(group, level, question) for group in groups for level in group.levels]


def _long_row(group: Group, level: Level, question: Question) -> dict[str, object]:
    agreed = {name: group.values(name)[0] if group.records else None for name in POOLED}
    return {
        "platform": group.platform,
        **agreed,
        "workload": group.workload,
        "emulated": group.emulated,
        "published": group.published,
        **{name: group.values(name) for name in ("seed", "devices", "run")},
        "metric": level.metric,
        "level_percent": level.percent,
        "window_epochs": question.window,
        "clock": question.clock,
        "runs": len(group.records),
        "reached": level.reached,
        "tta_minutes": level.minutes,
        "epochs_to_target": level.epoch,
        "best_percent": group.best.get(level.metric),
        "utterances_per_s": group.utterances_per_s,
        "epochs": group.epochs,
        "run_minutes": group.minutes,
        "evaluation_share": group.evaluation_share,
    }


def _csv(rows: Sequence[dict[str, object]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_csv_field(value) for value in row.values()] for row in rows)
    return text.getvalue().rstrip("\n")


def _csv_field(value: object) -> object:
    if value is None or value == []:
        return "NA"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ";".join(map(str, value)) if isinstance(value, list) else value


# --- the command -----------------------------------------------------------------------------------------------------


def _whole_from_1(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number of epochs, at least 1")
    return int(text)


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = math.nan
    if not 0 <= percent < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number in percent, such as 22")
    return percent


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.tta", description="Time to accuracy of runs, from their journals."
    )
    add = parser.add_argument
    add("journals", nargs="*", metavar="results/RUN.csv", help="the runs; make bench makes one")
    add("--metric", choices=(*METRICS, "all"), help="default: wer and cer, summed over the corpus")
    add("--paper", action="store_true", help="wer_mean and cer_paper in place of wer and cer")
    add("--level", type=_percent, action="append", default=[], help="percent; repeatable; default: the run's targets")
    add("--epochs", type=_whole_from_1, default=3, metavar="E", help="epochs the median is taken over (default 3)")
    add("--clock", choices=tuple(CLOCKS), default="wall", help="default: wall")
    by_words = f"keep runs apart that differ in {', '.join(SPLITS)}; repeatable"
    add("--by", choices=SPLITS, action="append", default=[], metavar="FIELD", help=by_words)
    add("--published", action="store_true", help="with the paper's table 3")
    add("--format", choices=("table", "csv", "json"), default="table", help="default: table")
    return parser


def _question(arguments: argparse.Namespace) -> Question:
    asked = {None: ("wer", "cer"), "all": METRICS}.get(arguments.metric, (arguments.metric,))
    if arguments.paper and arguments.metric != "all":
        asked = tuple(AS_THE_PAPER.get(metric, metric) for metric in asked)
    return Question(
        metrics=asked,
        levels=tuple(arguments.level),
        window=arguments.epochs,
        clock=arguments.clock,
        by=tuple(dict.fromkeys(arguments.by)),
        published=arguments.published,
    )


def _read_all(paths: Sequence[str]) -> list[RunRecord]:
    if not paths:
        raise JudgeError("no journals given; expected the CSV files of runs, such as results/*.csv (make bench)")
    for path in paths:
        if set("*?[") & set(path) and not Path(path).exists():
            raise JudgeError(f"no file matches {path}; expected the CSV files of runs (make bench makes one)")
    return [read(path) for path in paths]


def _print(records: Sequence[RunRecord], question: Question, *, style: str) -> None:
    if style == "table":
        if sys.stdout.isatty():
            _print_rich(report_parts(records, question))
        else:
            print(report(records, question))
        return
    groups = judge(records, question)
    rows = long_rows(groups, question)
    print(_csv(rows) if style == "csv" else json.dumps(rows, indent=1))
    for text in warnings(records, groups, question):
        print(f"benchmark.tta: warning: {text}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _print(_read_all(arguments.journals), _question(arguments), style=arguments.format)
        sys.stdout.flush()
    except (JournalError, JudgeError) as error:
        print(f"benchmark.tta: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # | head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python flushes into the pipe once more
    return 0


if __name__ == "__main__":
    sys.exit(main())
