"""The judge's command: which platform reaches a given error rate soonest, read from the journals of runs.

    python -m benchmark.tta results/*.csv --level 22 --metric wer

    records = [journal.read(path) for path in paths]
    print(report(records, Question(window=3, clock="wall")))

Time to accuracy, TTA(a, e), is defined in `benchmark.judge.groups`, which does the judging; `benchmark.judge.checks`
adds the warnings; here they are asked for and shown. No TensorFlow, and rich only on a terminal: the answer comes at
once.
"""

from __future__ import annotations

import argparse
import csv
import gc
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.judge.checks import warnings
from benchmark.judge.estimates import coefficient_of_variation, olympic_mean
from benchmark.judge.factoring import factor, leave_one_out
from benchmark.judge.groups import AS_THE_PAPER, SPLITS, Group, JudgeError, Level, Question, judge, metric_name
from benchmark.options import percent, whole_from_1
from benchmark.record.journal import CLOCKS, METRICS, POOLED, JournalError, RunRecord, read
from benchmark.tables import Table, figure, plain, show

CLOCK_WORDS = {
    "wall": "since model creation, everything inside (wall clock)",
    "train": "of training alone (train clock)",
    "mlperf": "since the first training batch (MLPerf's clock)",
}


def report(records: Iterable[RunRecord], question: Question | None = None) -> str:
    """The judgement as plain text, without colours or box drawing."""
    return plain(report_parts(list(records), question or Question()))


def report_parts(
    records: Sequence[RunRecord], question: Question, *, brief: bool = False, left_out: bool = False
) -> list[str | Table]:
    """Paragraphs and tables in order; `brief` leaves the statistics out, `left_out` adds the test of predictions."""
    groups = judge(records, question)
    parts: list[str | Table] = [_heading(question)] if groups else []
    for emulated, workload in dict.fromkeys((group.emulated, group.workload) for group in groups):
        block = [group for group in groups if (group.emulated, group.workload) == (emulated, workload)]
        if emulated:
            parts.append(f"Emulated, workload {workload}: CPUs stood in for GPUs; times say nothing about the rig")
        parts += _tables(block, question)
        parts += [] if brief else _statistics(block, question)
    for workload in dict.fromkeys(group.workload for group in groups if group.records and not brief):
        parts += _factored([group for group in groups if group.workload == workload], workload, left_out)
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
    speed = ("TFLOP/s", "input") if any(group.tflop_per_s is not None for group in measured) else ()
    minutes = tuple((g.label, *_run_cells(g), *map(_minutes_cell, g.levels)) for g in block)
    epochs = tuple((g.label, *(_cell(level.epoch, "g") for level in g.levels)) for g in measured)
    tables = [
        Table(f"{workload}: minutes to a level (percent)", ("platform", "runs", "seeds", *levels), minutes),
        Table(f"{workload}: epochs to a level", ("platform", *levels), epochs),
        Table(
            f"{workload}: the runs",
            ("platform", "utterances/s", *speed, *best, "epochs", "minutes", "evaluating"),
            tuple(_speed_cells(group, with_flops=bool(speed)) for group in measured),
        ),
    ]
    return [table for table in tables if table.rows]


def _statistics(block: Sequence[Group], question: Question) -> list[Table]:
    """What stands behind the medians."""
    workload, measured = block[0].workload, [group for group in block if group.records]
    if not measured:
        return []
    cells = [(group, level) for group in measured for level in group.levels if level.reached]
    many = [(group, level) for group, level in cells if len(group.records) > 1]
    spread = (
        "platform", "level", "reached", "mean", "95% interval", "CV", "min", "max", "Olympic mean"
    )  # fmt: skip
    clocks = ("platform", "level", f"e = {question.window}", "e = 1", "train clock", "mlperf clock")
    phases = [phase for phase in measured[0].shares if any(group.shares[phase] >= 0.0005 for group in measured)]
    tables = [
        Table(
            f"{workload}: minutes to a level over the runs (mean and interval on logarithms)",
            spread,
            tuple(_spread_cells(*pair) for pair in many),
        ),
        Table(
            f"{workload}: minutes by the other clocks, and to the first crossing (e = 1)",
            clocks,
            tuple(
                (
                    group.label,
                    _level_name(level),
                    *map(figure, (level.minutes, level.first_minutes)),
                    *(figure(level.clock_minutes(clock)) for clock in ("train", "mlperf")),
                )
                for group, level in cells
            ),
        ),
        Table(
            f"{workload}: where the time went",
            ("platform", "s an epoch", *(phase.value for phase in phases), "resumed"),
            tuple(
                (
                    group.label,
                    figure(group.seconds_per_epoch),
                    *(f"{group.shares[phase]:.1%}" for phase in phases),
                    f"{sum(record.rows[-1].attempt > 1 for record in group.records)} of {len(group.records)}",
                )
                for group in measured
            ),
        ),
    ]
    return [table for table in tables if table.rows]


def _level_name(level: Level) -> str:
    return f"{metric_name(level.metric)} {level.percent:g}"


def _spread_cells(group: Group, level: Level) -> tuple[str, ...]:
    reached = f"{level.reached}/{len(level.seconds)}"
    minutes = level.all_minutes
    if minutes is None or level.estimate is None:
        return group.label, _level_name(level), reached, *["NA"] * 6
    interval = level.interval_minutes
    return (
        group.label,
        _level_name(level),
        reached,
        figure(level.estimate.value),
        f"{figure(interval[0])} to {figure(interval[1])}",
        f"{coefficient_of_variation(minutes):.1%}",
        figure(min(minutes)),
        figure(max(minutes)),
        figure(olympic_mean(minutes)),
    )


def _factored(groups: Sequence[Group], workload: str, left_out: bool) -> list[str | Table]:
    """Epochs to target of all comparable runs, times this rig's seconds per epoch."""
    predictions = [p for p in factor(groups) if p.pool_rigs > 1 and p.level.reached]
    rows = tuple(
        (
            p.group.label,
            _level_name(p.level),
            figure(p.estimate.value / 60) if p.estimate else "NA",
            f"{figure(p.estimate.low / 60)} to {figure(p.estimate.high / 60)}" if p.estimate else "NA",
            f"{p.pool_runs} of {p.pool_rigs}",
            "NA" if p.p is None else f"{p.p:.2g}",
        )
        for p in predictions
    )
    if not rows:
        return []
    title = f"{workload}: factored time to accuracy (wall clock): pool's epochs times the rig's s an epoch, minutes"
    header = ("platform", "level", "minutes", "95% interval", "runs of rigs", "Kruskal-Wallis p")
    parts: list[str | Table] = [Table(title, header, rows)]
    reasons = dict.fromkeys(f"{p.group.label}, {_level_name(p.level)}: {p.reason}" for p in predictions if p.reason)
    parts += ["No factored time:\n" + "\n".join(f"- {reason}" for reason in reasons)] if reasons else []
    if left_out:
        errors = tuple(
            (_level_name(found.level), str(found.runs), f"{found.factored:.1%}", f"{found.single:.1%}")
            for found in leave_one_out(groups)
        )
        if not errors:
            return [
                *parts,
                "Leave one out: no level that two comparable rigs reached in all of their runs",
            ]
        title = f"{workload}: median error of telling a rig's time from one run of it (leave one out)"
        parts.append(Table(title, ("level", "runs", "factored", "the run itself"), errors))
    return parts


def _run_cells(group: Group) -> tuple[str, str]:
    return ("", "") if group.published else (str(len(group.records)), str(len(group.values("seed"))))


def _speed_cells(group: Group, *, with_flops: bool) -> tuple[str, ...]:
    best = [_cell(error, ".2f") for error in group.best.values()]
    share = _cell(group.evaluation_share, ".0%")
    speed = (_cell(group.tflop_per_s, ".3g"), _cell(group.input_share, ".1%")) if with_flops else ()
    return (
        group.label,
        figure(group.utterances_per_s),
        *speed,
        *best,
        _cell(group.epochs, "g"),
        figure(group.minutes),
        share,
    )


def _minutes_cell(level: Level) -> str:
    runs = len(level.seconds)
    return figure(level.minutes) + (f" ({level.reached}/{runs})" if 0 < level.reached < runs else "")


def _cell(value: float | None, style: str) -> str:
    return "NA" if value is None else format(value, style)


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
        **{name: group.values(name) for name in ("seed", "run")},
        "metric": level.metric,
        "level_percent": level.percent,
        "window_epochs": question.window,
        "clock": question.clock,
        "runs": len(group.records),
        "reached": level.reached,
        "tta_minutes": level.minutes,
        "mean_minutes": level.estimate.value if level.estimate else None,
        "interval_low_minutes": level.interval_minutes[0] if level.interval_minutes else None,
        "interval_high_minutes": level.interval_minutes[1] if level.interval_minutes else None,
        "cv": coefficient_of_variation(level.all_minutes) if level.all_minutes else None,
        "min_minutes": min(level.all_minutes) if level.all_minutes else None,
        "max_minutes": max(level.all_minutes) if level.all_minutes else None,
        "olympic_minutes": olympic_mean(level.all_minutes) if level.all_minutes else None,
        "first_crossing_minutes": level.first_minutes,
        **{f"{clock}_minutes": level.clock_minutes(clock) for clock in CLOCKS},
        "epochs_to_target": level.epoch,
        "best_percent": group.best.get(level.metric),
        "seconds_per_epoch": group.seconds_per_epoch,
        "utterances_per_s": group.utterances_per_s,
        "tflop_per_s": group.tflop_per_s,
        "input_share": group.input_share,
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
    field = ";".join(map(str, value)) if isinstance(value, list) else value
    return f"'{field}" if isinstance(field, str) and field[:1] in ("=", "+", "-", "@") else field  # no formula


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.tta", description="Time to accuracy of runs, from their journals."
    )
    add = parser.add_argument
    add("journals", nargs="*", metavar="results/RUN.csv", help="the runs; make bench makes one")
    add("--metric", choices=(*METRICS, "all"), help="default: wer and cer, summed over the corpus")
    add("--paper", action="store_true", help="wer_mean and cer_paper in place of wer and cer")
    add("--level", type=percent, action="append", default=[], help="percent; repeatable; default: the run's targets")
    add("--epochs", type=whole_from_1, default=3, metavar="E", help="epochs the median is taken over (default 3)")
    add("--clock", choices=tuple(CLOCKS), default="wall", help="default: wall")
    by_words = f"keep runs apart that differ in {', '.join(SPLITS)}; repeatable"
    add("--by", choices=SPLITS, action="append", default=[], metavar="FIELD", help=by_words)
    add("--leave-one-out", action="store_true", help="how well factored times predict the runs at hand")
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


def _print(records: Sequence[RunRecord], question: Question, *, style: str, left_out: bool) -> None:
    if style == "table":
        show(report_parts(records, question, left_out=left_out))
        return
    groups = judge(records, question)
    rows = long_rows(groups, question)
    print(_csv(rows) if style == "csv" else json.dumps(rows, indent=1))
    for text in warnings(records, groups, question):
        print(f"benchmark.tta: warning: {text}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    gc.disable()  # a million rows make no cycles, and looking for some takes a tenth of the time
    try:
        _print(
            _read_all(arguments.journals),
            _question(arguments),
            style=arguments.format,
            left_out=arguments.leave_one_out,
        )
        sys.stdout.flush()
    except (JournalError, JudgeError) as error:
        print(f"benchmark.tta: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # | head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python flushes into the pipe once more
    finally:
        gc.enable()
    return 0


if __name__ == "__main__":
    sys.exit(main())
