"""The end of the report: the published tables next to ours, the sentences understood, and how each run was made.

    tables, understood, made = published(runs, groups), [understood_by(run) for run in runs], [made_how(run) ...]

All of it comes from the runs' folders (final, sentences.jsonl, run.json), and a folder may lack any of them: what
is not there is said, and is no error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

from benchmark.judge.groups import Group
from benchmark.judge.published import final_error_rates, time_to_accuracy
from benchmark.judge.question import CORPUS_SUM, PAPER_WORKLOAD, level_name
from benchmark.metrics import FIGURES, USUAL
from benchmark.record import POOLED, FactsError
from benchmark.record.confusions import HEADER
from benchmark.record.finals import FinalsError, of_checkpoint, read_finals
from benchmark.record.sentences import NAME_FOR_PEOPLE, Heard
from benchmark.record.sentences import Example as HeardExample
from benchmark.report.figures import Shown
from benchmark.tables import Table, number

MOST_PAIRS = 10**6  # of words of two sentences
TAIL_BYTES = 2**16  # of a text that is shown as it is
Words = list[tuple[str, bool]]  # a word, and whether it has no partner on the other side


# --- the published tables --------------------------------------------------------------------------------------------


def published(runs: Sequence[Shown], groups: Sequence[Group]) -> tuple[str, list[Table]]:
    """(a remark if none of the runs compares, the paper's tables 3 and 4 with ours in them)."""
    ours = [g for g in groups if g.runs and g.workload == PAPER_WORKLOAD and not g.emulated]
    paper = time_to_accuracy()
    body = [
        (f"{rig} (published)", *(_paper_cell(paper.minutes.get((rig, *c))) for c in paper.columns))
        for rig in paper.rigs
    ]
    for group in ours:
        found = {(CORPUS_SUM.get(level.metric, level.metric), level.percent): level for level in group.levels}
        body.append((group.label, *(number(found[c].minutes) if c in found else "NA" for c in paper.columns)))
    header = ("platform", *(level_name(*column) for column in paper.columns))
    remark = "" if ours else f"None of these runs is of workload {PAPER_WORKLOAD}, so nothing here compares with them."
    title = "Time to accuracy, minutes (the paper's table 3)"
    return remark, [Table(title, header, tuple(body)), final_table(runs)]


def _paper_cell(minutes: float | None) -> str:
    return "NA" if minutes is None else f"{minutes:g}"


def final_table(runs: Sequence[Shown], *, published: bool = True) -> Table:
    """Return what `benchmark.final` wrote of our runs, averaged as the paper's, beside its table 4 if asked for."""
    theirs, rows = final_error_rates() if published else ((), ())
    ours = [(run, found) for run in runs for found in [_final_rows(run)] if found]
    others = [subset for _, found in ours for row in found.values() for subset in row]
    subsets = list(dict.fromkeys([*theirs, *others]))
    body = [(f"{system} (published)", *(cells.get(subset, "") for subset in subsets)) for system, cells in rows]
    for run, found in ours:
        body += [(f"{run.name}, {what}", *(row.get(subset, "") for subset in subsets)) for what, row in found.items()]
    title = "Final word error rates in percent, means over utterances" + " (the paper's table 4)" * published
    return Table(title + ("" if ours else "; ours: make final RUNS=results/RUN"), ("system", *subsets), tuple(body))


def _final_rows(run: Shown) -> dict[str, dict[str, str]]:
    """Checkpoint and decoder -> subset -> word error rate; {} where there is no final evaluation to be read.

    What was evaluated on other features or in another batch than the run's own is said to be, in a row of its own.
    """
    found: dict[str, dict[str, str]] = {}
    if run.folder is None:
        return found
    try:
        finals = read_finals(run.folder)
        called = dict.fromkeys(name for each in finals for name in each.checkpoint.split(" and "))
        for each in {f.path.name + str(f.kind): f for which in called for f in of_checkpoint(finals, which)}.values():
            what = ", ".join((each.checkpoint, each.decoder, *each.not_own(run.run.identity)))
            subset = " ".join(filter(None, (each.subset, each.sample)))
            found.setdefault(what, {})[subset] = f"{float(each.row['wer_mean']):.2f}"
    except (FinalsError, ValueError, KeyError, TypeError):
        return {}
    return found


# --- sentences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Example:
    """One utterance with the words marked that have no partner on the other side."""

    about: str
    reference: Words
    hypothesis: Words


@dataclass(frozen=True, kw_only=True)
class Understood:
    """Return the sentences of a run's last evaluation: examples by rank, or the text of an older file as it is."""

    summary: str
    confusions: Table | None = None
    ranks: Sequence[tuple[str, Sequence[Example]]] = ()
    text: str = ""


def understood_by(run: Shown) -> Understood:
    """The sentences of a run's last evaluation."""
    heard = run.run.heard()
    if heard and heard.examples:
        return Understood(
            summary=f"{run.name}: {heard.heading}", confusions=_confusions(run, heard), ranks=_ranks(heard)
        )
    if text := _last_text(run):
        return Understood(summary=f"{run.name}: the last evaluation", text=text)
    return Understood(summary=f"{run.name}: no sentences of an evaluation in the run's folder.")


def _confusions(run: Shown, heard: Heard) -> Table | None:
    """The commonest word errors of an evaluation, under what the journal has of it; None in files that have none."""
    if heard.confusions is None or not (rows := heard.confusions.rows()):
        return None
    title = "Commonest word errors of all utterances"
    row = next((row for row in run.record.evaluations if row.step == heard.step), None)
    said = ", ".join(
        figure.shown(value)
        for name, figure in FIGURES.items()
        if name not in USUAL and (value := getattr(row, name, None)) is not None
    )
    return Table(f"{title}: {said}" if said else title, HEADER, rows)


def _ranks(heard: Heard) -> list[tuple[str, list[Example]]]:
    by_rank = groupby(heard.examples, key=lambda example: example.rank)
    return [(rank.capitalize() or "Some of them", list(map(_example, members))) for rank, members in by_rank]


def _example(heard: HeardExample) -> Example:
    return Example(
        about=": ".join(filter(None, (heard.id, heard.counts))),
        reference=marked(heard.reference, heard.hypothesis),
        hypothesis=marked(heard.hypothesis, heard.reference),
    )


def _last_text(run: Shown) -> str:
    """Return the last evaluation's lines of a sentences.txt that has no sentences.jsonl next to it."""
    path = (run.folder or Path()) / NAME_FOR_PEOPLE
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    before, heading, last = ("\n" + text).rpartition("\nevaluate ")
    return (heading + last).strip() if heading else ""


def marked(text: str, other: str) -> Words:
    """The words of `text`, each with whether it has no partner in `other`; of what is no sentence, none is marked."""
    mine, theirs = text.split(), other.split()
    if len(mine) * len(theirs) > MOST_PAIRS:  # a damaged file: it would take hours
        return [(word, False) for word in mine]
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    paired = {n for block in blocks for n in range(block.a, block.a + block.size)}
    return [(word, n not in paired) for n, word in enumerate(mine)]


# --- how a run was made ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a run was made: a remark if its run.json is missing, and a table of what is known."""

    name: str
    label: str  # of its group
    remark: str
    table: Table


def made_how(run: Shown) -> Made:
    """Return what the journal and run.json say about a run."""
    identity = run.run.identity
    known = [("journal", run.run.source), *((name, getattr(identity, name)) for name in ("platform", "seed", *POOLED))]
    rows = [(name, str(value)) for name, value in known]
    remark = ""
    try:
        facts = run.run.facts
        if facts:
            rows += [(f"run.json: {name}", value) for name, value in flat(facts.content)]
        else:
            remark = "There is no run.json next to the journal; this is what the journal says."
    except FactsError as error:
        remark = f"{error}; this is what the journal says."
    table = Table(f"{run.name}: how it was made", ("what", "value"), tuple(rows))
    return Made(name=run.name, label=run.label, remark=remark, table=table)


def flat(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as (dotted name, text)."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list) and value and not any(isinstance(each, dict | list) for each in value):
        yield prefix, ", ".join(map(str, value))
    else:
        yield prefix, "not known" if value is None else value if isinstance(value, str) else json.dumps(value)
