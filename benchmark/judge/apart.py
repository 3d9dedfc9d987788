"""Runs of one platform that do not compare: they are kept apart, and it is said.

    question = kept_apart(runs, question)       # with as many fields in `by` as it takes
    said(runs, question, asked)                 # ["runs of one platform differ in batch: they are kept apart, ..."]

One run in a folder that was made with other features spoils no table: it is a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark.judge.circumstances import value_of
from benchmark.judge.question import SPLITS, Question
from benchmark.record import POOLED, Run
from benchmark.record.history import differing

MOST_NAMED = 3  # platforms


def kept_apart(runs: Sequence[Run], question: Question) -> Question:
    """Return the question with as many fields in `by` as it takes that every group's runs agree."""
    by = list(question.by)
    while True:
        groups = _groups(runs, by).values()
        differ = {name for alike in groups for name, _ in differing([run.record for run in alike], POOLED)} - set(by)
        if not differ:
            return replace(question, by=tuple(by))
        by.append(next(name for name in SPLITS if name in differ))


def said(runs: Sequence[Run], question: Question, asked: Question) -> list[str]:
    """Return a sentence for each field that keeps runs apart though nobody asked for it: whose runs, and which."""
    found = []
    for place, name in enumerate(question.by):
        if name in asked.by:
            continue
        where = []
        for alike in _groups(runs, question.by[:place]).values():
            sources: dict[object, str] = {}
            for run in alike:
                sources.setdefault(getattr(run.identity, name), run.source or run.identity.run)
            if len(sources) > 1:
                values = " and ".join(f"{value!r} in {source}" for value, source in sources.items())
                where.append(f"{alike[0].identity.platform}, {alike[0].identity.workload_label} ({values})")
        more = f" and {len(where) - MOST_NAMED} more" if len(where) > MOST_NAMED else ""
        found.append(
            f"runs of one platform differ in {name}: they are kept apart, and not pooled: "
            f"{'; '.join(where[:MOST_NAMED])}{more}; leave some out, or ask for --by {name}"
        )
    return found


def _groups(runs: Sequence[Run], by: Sequence[str]) -> dict[tuple, list[Run]]:
    """Return the runs with rows, by what they are pooled by."""
    found: dict[tuple, list[Run]] = {}
    for run in runs:
        if len(run.record):
            about = run.identity
            key = (about.emulated, about.platform, about.workload_label, *(value_of(run, name) for name in by))
            found.setdefault(key, []).append(run)
    return found
