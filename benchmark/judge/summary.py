"""Shows a judgement to people, in paragraphs and tables.

show(report_parts(judge(runs, question)))
print(report(runs))                         # plain text, without colours or box drawing
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmark.judge import guard
from benchmark.judge.circumstances import data_table
from benchmark.judge.groups import Group, Level
from benchmark.judge.judgement import Judgement, judge
from benchmark.judge.question import Question, metric_name
from benchmark.judge.ranking import answer
from benchmark.judge.scaling import scalings
from benchmark.judge.slow_hosts import hosts_table
from benchmark.judge.stillness import still_table
from benchmark.judge.terms import Terms
from benchmark.record import Run, RunRecord
from benchmark.tables import Table, cell, interval, number, plain

if TYPE_CHECKING:
    from benchmark.judge.factoring import LeftOut, Prediction

SETTINGS = ("batch", "precision", "machines", "replicas")
"""The settings of a rig that get a column where rigs side by side differ in them."""

CLOCK_WORDS = {
    "wall": "since model creation, everything inside (wall clock)",
    "train": "of training alone (train clock)",
    "mlperf": "since the first training batch (MLPerf's clock)",
}


def report(runs: Iterable[Run | RunRecord], question: Question | None = None) -> str:
    """Return the judgement of runs as plain text."""
    return plain(report_parts(judge(runs, question)))


def report_parts(
    judgement: Judgement, *, brief: bool = False, left_out: bool = False, terms: Terms | None = None
) -> list[str | Table]:
    """Return paragraphs and tables in order; `brief` leaves the statistics out, `left_out` tests the predictions."""
    parts: list[str | Table] = [] if brief else answer_parts(judgement, terms=terms)
    parts += [_heading(judgement.question)] if len(judgement) else []
    for block in judgement.blocks():
        if block[0].emulated:
            parts.append(
                f"Emulated, workload {block[0].workload}: CPUs stood in for GPUs; times say nothing about the rig"
            )
        parts += block_tables(block, judgement.question, brief=brief)
        parts += [] if brief else guard.parts(block, judgement.question)
        runs = [run for group in block for run in group.runs]
        if not brief and (data := data_table(block[0].workload, runs)):
            parts.append(data)
    for workload in dict.fromkeys(group.workload for group in judgement if group.runs and not brief):
        parts += _factored([group for group in judgement if group.workload == workload], workload, left_out)
    return parts + warnings_part(judgement.warnings)


def answer_parts(judgement: Judgement, *, terms: Terms | None = None) -> list[str | Table]:
    """Return the answer to each workload in sentences, with a ranking where several rigs stand side by side."""
    parts: list[str | Table] = []
    for block in judgement.blocks():
        if block[0].emulated or not any(group.runs for group in block):
            continue
        found = answer(block, judgement.question, terms=terms)
        sentences = [found] if isinstance(found, str) else found.sentences
        parts.append("\n".join([f"{block[0].workload}:", *(f"- {sentence}" for sentence in sentences)]))
        if not isinstance(found, str) and len(found.places) > 1:
            parts.append(found.table())
    return parts


def brief_parts(judgement: Judgement, *, terms: Terms | None = None) -> list[str]:
    """Return the answer alone: the sentences of each workload, of emulated runs that they say nothing."""
    found = [part for part in answer_parts(judgement, terms=terms) if isinstance(part, str)]
    emulated = [block for block in judgement.blocks() if block[0].emulated]
    found += [f"{block[0].workload}: {answer(block, judgement.question, terms=terms)}" for block in emulated]
    return found or ["No runs with rows: nothing to answer."]


def warnings_part(found: Sequence[str]) -> list[str | Table]:
    """Return the paragraph of warnings; nothing if there are none."""
    return ["Warnings:\n" + "\n".join(f"- {text}" for text in found)] if found else []


def block_tables(block: Sequence[Group], question: Question, *, brief: bool = False) -> list[Table]:
    """Return the tables of groups of one workload, real or emulated."""
    grown = [scaling.table(block[0].workload) for scaling in scalings(block)]
    beside = [table(block[0].workload, block) for table in (still_table, hosts_table)]
    found = [table for table in beside if table]
    return _tables(block, question) + grown + found + ([] if brief else _statistics(block, question))


def _heading(question: Question) -> str:
    finely = " Evaluations within epochs count too." if question.every_evaluation else ""
    return (
        f"Time to accuracy: until the end of the first epoch whose median error over e = {question.window} epochs is "
        f"at most the level; minutes {CLOCK_WORDS[question.clock]}. Geometric mean of the n different error curves; "
        f"(2/3): 2 of 3 runs reached it.{finely}"
    )


def _tables(block: Sequence[Group], question: Question) -> list[Table]:
    workload, measured = block[0].workload, [group for group in block if group.runs]
    levels = tuple(level.name for level in block[0].levels)
    metrics = tuple(dict.fromkeys(level.metric for level in block[0].levels))
    lowest = tuple(f"median {metric_name(metric)}" for metric in metrics)
    speed = ("TFLOP/s", "input") if any(group.tflop_per_s is not None for group in measured) else ()
    settings = tuple(name for name in SETTINGS if len({_values(group, name) for group in measured}) > 1)
    minutes = tuple((g.label, *_run_cells(g), *map(_minutes_cell, g.levels)) for g in block)
    epochs = tuple((g.label, *(cell(level.epoch, "g") for level in g.levels)) for g in measured)
    tables = [
        Table(f"{workload}: minutes to a level (percent)", ("platform", "runs", "seeds", "n", *levels), minutes),
        Table(f"{workload}: epochs to a level", ("platform", *levels), epochs),
        Table(
            f"{workload}: the runs, and the lowest median error that they reached (e = {question.window})",
            ("platform", *settings, "utterances/s", *speed, *lowest, "epochs", "minutes", "evaluating"),
            tuple(
                (group.label, *(_values(group, name) for name in settings), *_speed_cells(group, metrics, bool(speed)))
                for group in measured
            ),
        ),
    ]
    return [table for table in tables if table.rows]


def _statistics(block: Sequence[Group], question: Question) -> list[Table]:
    """Return the tables behind the medians: spread, other clocks, shares of phases."""
    workload, measured = block[0].workload, [group for group in block if group.runs]
    if not measured:
        return []
    cells = [(group, level) for group in measured for level in group.levels if level.reached]
    many = [(group, level) for group, level in cells if len(group.runs) > 1]
    spread = (
        "platform", "level", "reached", "n", "minutes", "95% interval", "CV", "min", "median", "max", "Olympic mean"
    )  # fmt: skip
    first = ("e = 1",) if question.window > 1 else ()
    clocks = ("platform", "level", f"e = {question.window}", "crossing", *first, "train clock", "mlperf clock")
    phases = [phase for phase in measured[0].shares if any(group.shares[phase] >= 0.0005 for group in measured)]
    tables = [
        Table(
            f"{workload}: minutes to a level over the runs (geometric mean and its interval)",
            spread,
            tuple(_spread_cells(*pair) for pair in many),
        ),
        Table(
            f"{workload}: minutes to the interpolated crossing{', with e = 1' * bool(first)}, and by the other clocks",
            clocks,
            tuple(
                (
                    group.label,
                    level.name,
                    *map(number, (level.minutes, level.crossing_minutes)),
                    *(number(level.first_minutes) for _ in first),
                    *(number(level.clock_minutes(clock)) for clock in ("train", "mlperf")),
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
                    number(group.seconds_per_epoch),
                    *(f"{group.shares[phase]:.1%}" for phase in phases),
                    f"{sum(record.resumed for record in group.records)} of {len(group.runs)}",
                )
                for group in measured
            ),
        ),
    ]
    return [table for table in tables if table.rows]


def _spread_cells(group: Group, level: Level) -> tuple[str, ...]:
    reached, times = f"{level.reached}/{len(level.seconds)}", level.times.reached_times
    bounds = level.interval_minutes or (None, None)
    return (
        group.label,
        level.name,
        reached,
        str(level.n),
        number(level.minutes),
        interval(*bounds),
        cell(level.cv, ".1%"),
        number(min(times) / 60),
        number(level.median_minutes),
        number(max(times) / 60) if level.times.all_reached else "NA",
        number(level.olympic_minutes),
    )


def _factored(groups: Sequence[Group], workload: str, left_out: bool) -> list[str | Table]:
    """Return the table of predictions: epochs to target of all comparable runs, times a rig's seconds per epoch."""
    if len(groups) < 2:
        return []
    from benchmark.judge.factoring import factor, leave_one_out  # here, not above: a rig alone has no pool

    every = [p for p in factor(groups) if p.level.reached or p.estimate]
    predictions = [p for p in every if p.pool_rigs > 1 or (p.reason and len(groups) > 1 and p.pool_runs)]
    rows = tuple(
        (
            p.group.label + " (not in the pool)" * (p.guest and p.estimate is not None),
            p.level.name,
            number(p.estimate.value / 60) if p.estimate else "NA",
            interval(p.estimate.low / 60, p.estimate.high / 60) if p.estimate else "NA",
            f"{p.pool_runs} of {p.pool_rigs}",
            cell(p.p, ".2g"),
            "NA" if p.visible is None else f"{p.visible - 1:.0%}",
        )
        for p in predictions
    )
    if not rows:
        return _why_not_factored(groups, workload) if every else []
    title = f"{workload}: factored time to accuracy (wall clock): pool's epochs times the rig's s an epoch, minutes"
    header = ("platform", "level", "minutes", "95% interval", "runs of rigs", "F test p", "would see")
    parts: list[str | Table] = [Table(title, header, rows)]
    if reasons := _reasons(predictions):
        parts.append("No factored time:\n" + "\n".join(f"- {reason}" for reason in reasons))
    tested = leave_one_out(groups)
    if worse := [found for found in tested if found.is_worse]:
        parts.append(_misleads(worse))
    if left_out:
        errors = tuple(
            (found.level.name, str(found.runs), f"{found.factored:.1%}", f"{found.single:.1%}") for found in tested
        )
        if not errors:
            return [*parts, "Leave one out: no level that two comparable rigs reached in all of their runs"]
        title = f"{workload}: median error of telling a rig's time from one run of it (leave one out)"
        parts.append(Table(title, ("level", "runs", "factored", "the run itself"), errors))
    return parts


def _reasons(predictions: Sequence[Prediction]) -> list[str]:
    """Return each reason once, with the rigs and levels that it is about."""
    about: dict[str, dict[str, list[str]]] = {}
    for p in predictions:
        if p.reason:
            about.setdefault(p.reason, {}).setdefault(p.level.name, []).append(p.group.label)
    found = []
    for reason, levels in about.items():
        where: dict[str, list[str]] = {}
        for level, labels in levels.items():
            where.setdefault(", ".join(labels), []).append(level)
        found.append("; ".join(f"{rigs} ({', '.join(names)})" for rigs, names in where.items()) + f": {reason}")
    return found


def _misleads(found: Sequence[LeftOut]) -> str:
    levels = ", ".join(f"{f.level.name} ({f.factored:.1%} against {f.single:.1%})" for f in found)
    return (
        f"Factored times mislead here: left out in turn, a run told its rig's time better than the other rigs' epochs "
        f"did at {levels}"
    )


def _why_not_factored(groups: Sequence[Group], workload: str) -> list[str | Table]:
    """Say why there is no pool of epochs, where several rigs stand side by side."""
    from benchmark.judge.factoring import COMPARABLE

    measured = [group for group in groups if group.runs and not group.emulated]
    differ = [
        f"{name} ({', '.join(values)})"
        for name in COMPARABLE
        if len(values := sorted({_values(group, name) for group in measured})) > 1
    ]
    if len(measured) < 2:
        return []
    return [
        f"{workload}: no factored time: epochs are pooled over rigs that agree, and these differ in {', '.join(differ)}"
    ]


def _run_cells(group: Group) -> tuple[str, ...]:
    return ("",) * 3 if group.published else (str(len(group.runs)), str(len(group.values("seed"))), str(group.n))


def _values(group: Group, name: str) -> str:
    return ", ".join(map(str, group.values(name)))


def _speed_cells(group: Group, metrics: Sequence[str], with_flops: bool) -> tuple[str, ...]:
    so_far = " so far" * group.is_so_far
    best = [cell(group.best.get(metric), ".2f") for metric in metrics]
    share = cell(group.evaluation_share, ".0%")
    speed = (cell(group.tflop_per_s, ".3g"), cell(group.input_share, ".1%")) if with_flops else ()
    return (
        number(group.utterances_per_s),
        *speed,
        *best,
        cell(group.epochs, "g") + so_far,
        number(group.minutes) + so_far,
        share,
    )


def _minutes_cell(level: Level) -> str:
    runs = len(level.seconds)
    return number(level.minutes) + (f" ({level.reached}/{runs})" if 0 < level.reached < runs else "")
