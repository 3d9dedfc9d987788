"""The whole page: runs in, HTML out; its sections, its headline, its warnings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from benchmark import tta
from benchmark.judge.checks import warnings
from benchmark.judge.groups import (
    PAPER_WORKLOAD,
    SPLITS,
    Group,
    Level,
    Question,
    judge,
    metric_name,
)
from benchmark.record.journal import POOLED, RunRecord, differing
from benchmark.report import appendix, page
from benchmark.report.curves import errors, loss
from benchmark.report.figures import COLOURS, DASHES, MARKERS, Block, Figure, Run, level_name, time_to_accuracy
from benchmark.report.panels import throughput, timeline
from benchmark.report.tradeoffs import batch_sizes, cost
from benchmark.report.usage import utilisation
from benchmark.tables import Table
from benchmark.tables import figure as digits

SHORT = 4  # warnings: more are folded, so that the answer is on the first screen
CLOSE = 1.10  # single runs that differ by less do not differ: see benchmark.judge.checks


def report(records: Sequence[RunRecord], question: Question | None = None) -> str:
    """The page.

    Raises:
        JudgeError, JournalError: runs that cannot be judged.
    """
    asked = question or Question()
    question = kept_apart(records, asked)
    groups = judge(records, replace(question, published=True))
    blocks = [_block(number, groups, key, question) for number, key in enumerate(_keys(groups))]
    blocks = _styled(blocks)
    figures = {block.id: list(_figures(block)) for block in blocks}
    doubts = _doubts(records, groups, question)
    if added := [name for name in question.by if name not in asked.by]:
        doubts.append(f"runs of one platform differ in {', '.join(added)}: they are kept apart, and not pooled")
    runs = [run for block in blocks for run in block.runs]
    parts = [
        _warnings(doubts),
        *(_block_section(block, figures[block.id]) for block in blocks),
        appendix.published(runs, groups),
        appendix.sentences(runs),
        appendix.provenance(runs),
    ]
    return page.whole(
        title=f"Time to accuracy: {', '.join(dict.fromkeys(block.workload for block in blocks)) or 'no runs'}",
        head=_head(records, blocks, question),
        runs=page.switches(runs, {run.key: _title(block) for block in blocks for run in block.runs}) if runs else "",
        body="\n".join(parts),
        figures=[figure for block in blocks for figure in figures[block.id]],
    )


def kept_apart(records: Sequence[RunRecord], question: Question) -> Question:
    """The question with as many fields in `by` as it takes that every group's runs agree."""
    by = list(question.by)
    while True:
        members: dict[tuple, list[RunRecord]] = {}
        for record in records:
            if record.rows:
                row = record.rows[0]
                key = (row.emulated, row.platform, row.workload, *(getattr(row, name) for name in by))
                members.setdefault(key, []).append(record)
        differ = {name for runs in members.values() for name, _ in differing(runs, POOLED)} - set(by)
        if not differ:
            return replace(question, by=tuple(by))
        by.append(next(name for name in SPLITS if name in differ))


# --- from records to blocks ------------------------------------------------------------------------------------------


def _keys(groups: Sequence[Group]) -> list[tuple[bool, str]]:
    return list(dict.fromkeys((group.emulated, group.workload) for group in groups if group.records))


def _block(number: int, groups: Sequence[Group], key: tuple[bool, str], question: Question) -> Block:
    emulated, workload = key
    mine = [group for group in groups if (group.emulated, group.workload) == key]
    measured = tuple(group for group in mine if group.records)
    runs = tuple(
        Run(key=f"b{number}r{place}", name=_name(record, groups), label=group.label, record=record, facts=facts(record))
        for place, (group, record) in enumerate((group, record) for group in measured for record in group.records)
    )
    return Block(
        id=f"b{number}",
        workload=workload,
        emulated=emulated,
        groups=measured,
        runs=runs,
        published=tuple(group for group in mine if group.published),
        question=question,
    )


def _name(record: RunRecord, groups: Sequence[Group]) -> str:
    """The run's name; with its folder where another has the same."""
    name = record.rows[0].run
    namesakes = sum(other.rows[0].run == name for group in groups for other in group.records)
    return name if namesakes < 2 else f"{name} ({Path(record.source).parent.name or record.source})"


def facts(record: RunRecord) -> dict:
    """run.json; empty where there is none that can be read."""
    try:
        found = json.loads((Path(record.source).with_suffix("") / "run.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _styled(blocks: Sequence[Block]) -> list[Block]:
    """A colour for every platform, dashes for its runs; where there is one platform only, a colour for every run."""
    styled = []
    for block in blocks:
        runs = []
        for place, group in enumerate(block.groups):
            for number, run in enumerate(block.runs_of(group)):
                first, second = (place, number) if len(block.groups) > 1 else (number, number)
                look = {"colour": COLOURS[first % len(COLOURS)], "dash": DASHES[(second + first // 7) % len(DASHES)]}
                runs.append(replace(run, **look, marker=MARKERS[(first + first // 7 + second // 5) % len(MARKERS)]))
        styled.append(replace(block, runs=tuple(runs)))
    return styled


def _figures(block: Block) -> Iterator[Figure]:
    yield time_to_accuracy(block)
    yield cost(block)
    yield loss(block)
    yield errors(block)
    yield throughput(block)
    yield from utilisation(block)
    yield timeline(block)
    yield batch_sizes(block)


# --- words -----------------------------------------------------------------------------------------------------------


def _title(block: Block) -> str:
    return f"Workload {block.workload}" + (", emulated" if block.emulated else "")


def _head(records: Sequence[RunRecord], blocks: Sequence[Block], question: Question) -> str:
    links = [(block.id, _title(block)) for block in blocks] + [
        ("published", "Published tables"),
        ("sentences", "Sentences"),
        ("provenance", "Provenance"),
    ]
    nav = "".join(f'<li><a href="#{page.words(to)}">{page.words(title)}</a></li>' for to, title in links)
    runs = f"{len(records)} run" + "s" * (len(records) != 1)
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    definition = (
        f"Time to accuracy is the time until the end of the first epoch whose median error over {question.window} "
        f"epochs in a row is at most a level, {tta.CLOCK_WORDS[question.clock]}."
    )
    return (
        f"<h1>Time to accuracy</h1>{page.paragraph(f'{runs}. Report of {made}.', kind='dim')}"
        f'{page.paragraph(definition)}<nav aria-label="Sections"><ul>{nav}</ul></nav>'
    )


def _warnings(doubts: Sequence[str]) -> str:
    if not doubts:
        return ""
    count = f"{len(doubts)} warning" + "s" * (len(doubts) != 1) + ": what to doubt about these figures, and what to do"
    return page.folded(count, page.bullets(doubts, kind="warnings"), kind="doubts", opened=len(doubts) <= SHORT)


def _doubts(records: Sequence[RunRecord], groups: Sequence[Group], question: Question) -> list[str]:
    """All that the judge doubts; about the paper's figures only where runs stand beside them."""
    comparable = any(group.records and group.workload == PAPER_WORKLOAD and not group.emulated for group in groups)
    shown = groups if comparable else [group for group in groups if group.records]
    return warnings(records, shown, replace(question, published=comparable))


def _block_section(block: Block, figures: Sequence[Figure]) -> str:
    emulated = "Emulated: CPUs stood in for GPUs. These times say nothing about the rig and are not ranked."
    records = [run.record for run in block.runs]
    tables = [part for part in tta.report_parts(records, block.question) if isinstance(part, Table)]
    drawn = "".join(page.figure(figure) for figure in figures if figure.traces)
    absent = [
        f"{figure.title}: {figure.caption} {'; '.join(figure.notes)}".strip() for figure in figures if not figure.traces
    ]
    return page.section(
        block.id,
        _title(block),
        page.paragraph(emulated, kind="badge") if block.emulated else page.paragraph(headline(block), kind="headline"),
        _tiles(block),
        f'<div class="figures">{drawn}</div>',
        page.bullets(absent, kind="absent"),
        page.folded("All tables of the judge", *map(page.table, tables), kind="tables"),
    )


def ranked(block: Block, number: int) -> list[Group]:
    """The groups that reached the number-th level, the soonest first."""
    there = [group for group in block.groups if group.levels[number].minutes is not None]
    return sorted(there, key=lambda group: group.levels[number].minutes)


def hardest(block: Block, metric: str) -> int | None:
    """Which level of a metric is the hardest that a group reached."""
    numbers = [n for n, level in enumerate(block.groups[0].levels) if level.metric == metric and ranked(block, n)]
    return max(numbers, default=None)


def headline(block: Block) -> str:
    """The answer to the question that everybody brings, in one or two sentences."""
    numbers = [number for metric in block.question.metrics if (number := hardest(block, metric)) is not None]
    if not numbers:
        return "No level has been reached yet."
    first, *others = ranked(block, numbers[0])
    level = first.levels[numbers[0]]
    took = f"{digits(level.minutes)} minutes{_spread(level)}"
    if not others:
        return f"{first.label} reached {level_name(level)} in {took}."
    second = others[0].levels[numbers[0]]
    ratio = second.minutes / level.minutes
    return (
        f"{first.label} reached {level_name(level)} soonest, in {took}; {others[0].label} took {ratio:.2f} times "
        f"as long{_spread(second)}."
    ) + (" That is too close to call: make more runs, each with a seed of its own." if _close(level, second) else "")


def _spread(level: Level) -> str:
    runs = len(level.seconds)
    if runs < 2:
        return " (a single run)"
    bound = level.interval_minutes
    between = f"; 95% interval {digits(bound[0])} to {digits(bound[1])}" if bound else ""
    return f" (median of {runs} runs{between})"


def _close(one: Level, other: Level) -> bool:
    a, b = one.interval_minutes, other.interval_minutes
    if a is None or b is None:
        return other.minutes < CLOSE * one.minutes
    return b[0] <= a[1]


def _tiles(block: Block) -> str:
    """The best figures at a glance; of emulated runs there are none."""
    items = (
        f"<li><b>{page.words(a)}</b>{page.words(b)}<small>{page.words(c)}</small></li>" for a, b, c in _bests(block)
    )
    return "" if block.emulated else f'<ul class="tiles">{"".join(items)}</ul>'


def _bests(block: Block) -> Iterator[tuple[str, str, str]]:
    """(figure, what it is, whose)."""
    many, metrics = len(block.groups) > 1, block.question.metrics
    for metric in metrics:
        if (number := hardest(block, metric)) is not None:
            first = ranked(block, number)[0]
            level = first.levels[number]
            yield f"{digits(level.minutes)} min", f"to {level_name(level)}" + ", the soonest" * many, first.label
    fast = max(block.groups, key=lambda group: group.utterances_per_s or 0)
    if fast.utterances_per_s:
        yield f"{digits(fast.utterances_per_s)}/s", "utterances trained" + ", the most" * many, fast.label
    for metric in metrics:
        there = [group for group in block.groups if group.best.get(metric) is not None]
        if there:
            best = min(there, key=lambda group: group.best[metric])
            yield f"{best.best[metric]:.2f}%", f"best {metric_name(metric)}" + ", the lowest" * many, best.label


# --- the command -----------------------------------------------------------------------------------------------------
