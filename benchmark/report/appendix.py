"""The end of the report: the published tables beside ours, the sentences understood, and how each run was made.

    html = published(runs, groups) + sentences(runs) + provenance(runs)

All of it comes from the runs' folders (final.csv, sentences.txt, run.json), and a folder may lack any of them: what is
not there is said, and is no error.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.judge.groups import CORPUS_SUM, PAPER_WORKLOAD, PUBLISHED, Group, metric_name
from benchmark.record.journal import POOLED
from benchmark.report import heard, page
from benchmark.report.figures import Run
from benchmark.tables import Table
from benchmark.tables import figure as digits

PUBLISHED_FINAL = Path(__file__).parents[1] / "judge" / "published_final.csv"


def published(runs: Sequence[Run], groups: Sequence[Group]) -> str:
    ours = [g for g in groups if g.records and g.workload == PAPER_WORKLOAD and not g.emulated]
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(dict.fromkeys((row["metric"].lower(), float(row["level"])) for row in rows))
    minutes = {(row["platform"], row["metric"].lower(), float(row["level"])): row["tta_minutes"] for row in rows}
    body = [
        (f"{rig} (published)", *(minutes.get((rig, *column), "NA") for column in columns))
        for rig in dict.fromkeys(row["platform"] for row in rows)
    ]
    for group in ours:
        found = {(CORPUS_SUM.get(level.metric, level.metric), level.percent): level for level in group.levels}
        body.append((group.label, *(digits(found[c].minutes) if c in found else "NA" for c in columns)))
    header = ("platform", *(f"{metric_name(metric)} {level:g}" for metric, level in columns))
    remark = "" if ours else f"None of these runs is of workload {PAPER_WORKLOAD}, so nothing here compares with them."
    return page.section(
        "published",
        "The published tables",
        page.paragraph(remark) if remark else "",
        page.table(Table("Time to accuracy, minutes (the paper's table 3)", header, tuple(body))),
        page.table(_final_table(runs)),
    )


def _final_table(runs: Sequence[Run]) -> Table:
    """The paper's table 4, and beside it what `benchmark.final` wrote of our runs, averaged as the paper's."""
    with PUBLISHED_FINAL.open(newline="", encoding="utf-8") as file:
        (_, *theirs), *rows = csv.reader(file)
    ours = [(run, found) for run in runs for found in [_final_rows(run)] if found]
    others = [subset for _, found in ours for row in found.values() for subset in row]
    subsets = list(dict.fromkeys([*theirs, *others]))
    body = [(f"{name} (published)", *cells, *[""] * (len(subsets) - len(theirs))) for name, *cells in rows]
    for run, found in ours:
        body += [(f"{run.name}, {what}", *(row.get(subset, "") for subset in subsets)) for what, row in found.items()]
    title = "Final word error rates in percent, means over utterances (the paper's table 4)"
    return Table(title + ("" if ours else "; ours: make final RUNS=results/RUN"), ("system", *subsets), tuple(body))


def _final_rows(run: Run) -> dict[str, dict[str, str]]:
    """Checkpoint and decoder -> subset -> word error rate; empty where there is no final.csv to be read."""
    found: dict[str, dict[str, str]] = {}
    try:
        with (run.folder / "final.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                cells = found.setdefault(f"{row['checkpoint']}, {row['decoder']}", {})
                cells[row["subset"]] = f"{float(row['wer_mean']):.2f}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error):
        return {}
    return found


def sentences(runs: Sequence[Run]) -> str:
    parts = [_sentences(run, opened=number == 0) for number, run in enumerate(runs)]
    intro = "The last evaluation of each run. Words that have no partner on the other side are marked."
    return page.section("sentences", "What was understood", page.paragraph(intro), *parts)


def _sentences(run: Run, *, opened: bool) -> str:
    try:
        heading, examples = heard.last_examples(heard.read_tail(run.folder / "sentences.txt"))
    except (OSError, AttributeError, TypeError):
        heading, examples = "", []
    if not examples:
        return page.paragraph(f"{run.name}: no sentences of an evaluation in the run's folder.", kind="dim")
    blocks = []
    for rank, members in heard.by_rank(examples).items():
        blocks.append(f"<h3>{page.words(rank.capitalize() or 'Some of them (an older file: not ranked)')}</h3>")
        blocks.append(f'<ul class="sentences">{"".join(map(_example, members))}</ul>')
    return page.folded(f"{run.name}: {heading}", *blocks, kind="heard", opened=opened)


def _example(example: heard.Example) -> str:
    said = _marked(example.target, example.output)
    understood = _marked(example.output, example.target)
    about = ": ".join(filter(None, (example.id, example.counts)))
    return (
        f"<li><small>{page.words(about)}</small><dl><dt>said</dt><dd>{said}</dd>"
        f"<dt>heard</dt><dd>{understood or '<em>nothing</em>'}</dd></dl></li>"
    )


def _marked(text: str, other: str) -> str:
    words = heard.marked(text, other)
    return " ".join(f"<mark>{page.words(word)}</mark>" if alone else page.words(word) for word, alone in words)


def provenance(runs: Sequence[Run]) -> str:
    return page.section("provenance", "Provenance", *map(_provenance, runs))


def _provenance(run: Run) -> str:
    row = run.record.rows[0]
    known = [("journal", run.record.source), *((name, getattr(row, name)) for name in ("platform", "seed", *POOLED))]
    rows = [(name, str(value)) for name, value in known]
    rows += [(f"run.json: {name}", value) for name, value in flat(run.facts)] if run.facts else []
    missing = "" if run.facts else page.paragraph("No run.json is beside the journal; this is what the journal says.")
    what = Table(f"{run.name}: what it was made with", ("what", "value"), tuple(rows))
    return page.folded(run.name, missing, page.table(what), kind="facts")


def flat(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as (dotted name, text)."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list) and value and not any(isinstance(each, dict | list) for each in value):
        yield prefix, ", ".join(map(str, value))
    else:
        yield prefix, "not known" if value is None else value if isinstance(value, str) else json.dumps(value)
