"""Sets a run that really happened beside the estimate that was made of it before: one line a run.

foretold_part(judgement)                    # [] where there is no estimate of any of the runs

An estimate is a run's if it was made before it and agrees with it in all that identifies a run: machine, platform,
workload, recipe, batch, precision, features, how it is fed, decoded and evaluated. The newest one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from benchmark.judge.question import level_name
from benchmark.judge.reference import settings_digest
from benchmark.record import Run
from benchmark.record.facts import FactsError
from benchmark.record.foretold import FOLDER, Foretold, ForetoldError, about_of, facts_of, foretold_in
from benchmark.tables import number

TITLE = "Beside its estimate (python -m benchmark.rig estimate):"


def estimate_of(run: Run, estimates: Sequence[Foretold]) -> Foretold | None:
    """Return the newest estimate that was made of a run before it began; None if there is none."""
    facts = facts_of(run)
    if facts is None or not estimates:
        return None
    try:
        about = about_of(run.identity, facts.platform, facts.host, settings_digest(facts.workload))
        created = facts.created
    except FactsError:
        return None
    for each in estimates:
        if not each.differs(about) and datetime.fromisoformat(each.created) <= created:
            return each
    return None


def beside(run: Run, foretold: Foretold) -> str:
    """Return what was foretold of a run and what it took, in a sentence; "" before its second evaluation."""
    took_s = run.record.seconds_per_epoch
    if took_s is None or len(run.record.evaluations) < 2:
        return ""
    more = took_s / foretold.epoch_s.value - 1
    about = f"{run.identity.run}: {number(foretold.epoch_s.value)} s an epoch were foretold, and it took"
    words = [f"{about} {number(took_s)} ({more:+.1%})"]
    for level in foretold.levels:
        row = run.record.reached(level.metric, level.percent, window=foretold.window)
        if row is None:
            continue
        minutes, bounds = run.record.read_s(row, "wall") / 60, level.minutes
        within = {True: "within", False: "outside", None: "of no interval"}[bounds.holds(minutes)]
        around = "" if bounds.low is None else f" ({number(bounds.low)} to {number(bounds.high)})"
        name = level_name(level.metric, level.percent)
        words.append(f"{name} in {number(bounds.value)} min{around}, and it took {number(minutes)}, {within}")
    return "; ".join(words)


def foretold_part(runs: Sequence[Run]) -> list[str]:
    """Return a paragraph with a line for each run that has an estimate; nothing if none has."""
    by_folder: dict[Path, list[Foretold]] = {}
    lines = []
    for run in runs:
        if not run.source:
            continue
        folder = Path(run.source).parent / FOLDER
        if folder not in by_folder:
            try:
                by_folder[folder] = list(foretold_in(folder))
            except ForetoldError as error:
                by_folder[folder] = []
                lines.append(f"- {error}")
        found = estimate_of(run, by_folder[folder])
        if found and (sentence := beside(run, found)):
            lines.append(f"- {sentence}")
    return ["\n".join([TITLE, *lines])] if lines else []
