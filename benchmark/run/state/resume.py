"""Decide which run a command resumes, and which runs it must not touch.

name = interrupted(results, identity)               # a run of the same command that has not ended, or None
refuse_what_is_over(folder)
journal = open_journal(path, identity, plan)        # a new one, or a new attempt
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from benchmark.record.columns import IDENTITY, Identity, JournalError
from benchmark.record.facts import NAME as FACTS_NAME
from benchmark.record.facts import FactsError, read_facts
from benchmark.record.folder import ALIVE, folder_of, is_locked, journal_of, read_end
from benchmark.record.history import RunRecord
from benchmark.record.holes import check_whole
from benchmark.record.journal import Journal, read_identity
from benchmark.record.phases import Phase, Plan
from benchmark.run.state.progress import Progress, next_phase


def refuse_what_is_over(folder: Path, *, fresh: bool = False) -> None:
    """Raise JournalError for the folder of a run that has finished or diverged; if `fresh`, of any run."""
    end, journal = read_end(folder), journal_of(folder)
    if fresh and journal.exists():
        state = end.status if end else "under way, or was killed"
        raise JournalError(
            f"{journal}: a run of this name is there already ({state}), and --fresh begins another; choose another "
            f"--name, or leave it out"
        )
    if end and end.is_over:
        because = f": {end.message}" if end.message else ""
        raise _there_already(journal_of(folder), f"has {end.status}{because}")


def interrupted(results: Path, identity: Identity) -> str | None:
    """Return the name of the latest run of the same command that is not over and not being worked on, or None."""
    for path in sorted(results.glob("*.csv"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True):
        found, folder = read_identity(path), folder_of(path)
        if found is None or found.run != path.stem or not (folder / ALIVE).is_file():
            continue
        alike = all(getattr(found, name) == getattr(identity, name) for name in IDENTITY if name != "run")
        end = read_end(folder)
        if alike and not (end and end.is_over) and not is_locked(folder):
            return path.stem
    return None


def open_journal(path: Path, identity: Identity, plan: Plan) -> Journal:
    """Make a new journal, or begin a new attempt in the journal of a run that goes on.

    Raises:
        JournalError: the journal is of another run, rows are missing from it, the run is over, or there are checkpoints
            but no rows.
    """
    folder = folder_of(path)
    journal = Journal.resume(path, identity) if path.exists() else Journal.create(path, identity)
    try:
        if len(journal.earlier):
            _check_goes_on(path, journal.earlier, folder, plan)
        elif saved := sorted((folder / "checkpoints").glob("ckpt-*")):
            raise JournalError(
                f"{path}: no rows, but {saved[0]} is there; expected the journal of this checkpoint: restore it, "
                f"delete {folder}, or choose another --name"
            )
        else:
            (folder / FACTS_NAME).unlink(missing_ok=True)  # left by a process that ended before its first row
    except JournalError:
        journal.close()
        raise
    return journal


def _check_goes_on(path: Path, earlier: RunRecord, folder: Path, plan: Plan) -> None:
    for name, now in _comparable(plan).items():
        if (before := _plan_before(folder).get(name, now)) != now:
            raise JournalError(
                f"{folder / FACTS_NAME}: the run began with {name} {before}, this command has {now}; give the command "
                f"that began it, or choose another --name"
            )
    check_whole(str(path), earlier.table, plan=plan, end=read_end(folder))
    if next_phase(Progress.of(earlier.rows, window=plan.window), plan) is Phase.DONE:
        raise _there_already(path, "has finished")


def _plan_before(folder: Path) -> dict[str, object]:
    """Return the plan that the run began with; empty if its run.json does not say."""
    try:
        facts = read_facts(folder)
        return _comparable(facts.plan) if facts else {}
    except FactsError:
        return {}


def _comparable(plan: Plan) -> dict[str, object]:
    return json.loads(json.dumps(asdict(plan)))


def _there_already(path: Path, how: str) -> JournalError:
    return JournalError(f"{path}: a run of this name is there already and {how}; choose another --name")
