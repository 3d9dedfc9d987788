"""Which run a command goes on with, and which it must not touch.

    name = interrupted(results, identity)               # a run of the same command that has not ended, or None
    refuse_what_has_ended(folder)
    journal = open_journal(path, identity, folder, plan)        # a new one, or a new attempt
    write_end(folder, "finished", journal.record, "")

`end.json` in a run's folder says how it ended: finished, diverged or interrupted. It is absent while the run goes on
and where it was killed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

from benchmark.record.folder import is_claimed
from benchmark.record.journal import IDENTITY, Identity, Journal, JournalError, RunRecord, first_row
from benchmark.record.phases import Phase, Plan, next_phase
from features.manifest import replace_text

END = "end.json"
FINAL = ("finished", "diverged")  # such runs do not go on


def refuse_what_has_ended(folder: Path) -> None:
    """Raises JournalError for the folder of a run that is over."""
    end = _read(folder / END)
    if end.get("status") in FINAL:
        because = f": {end.get('message')}" if end.get("message") else ""
        raise _taken(folder.with_name(f"{folder.name}.csv"), f"has {end['status']}{because}")


def write_end(folder: Path, status: str, record: RunRecord, message: str) -> None:
    end = {"status": status, "message": message, "step": record.step, "epoch": record.epoch, "clock_s": record.ended_s}
    end["at"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    replace_text(folder / END, json.dumps(end, indent=1))


def interrupted(results: Path, identity: Identity) -> str | None:
    """The name of the latest run that a command like this one began, that has not ended and that nobody works on."""
    for path in sorted(results.glob("*.csv"), key=lambda path: path.stat().st_mtime, reverse=True):
        row, folder = first_row(path), path.with_suffix("")
        if row is None or row.run != path.stem or not (folder / "alive").is_file():
            continue
        alike = all(getattr(row, name) == getattr(identity, name) for name in IDENTITY if name != "run")
        if alike and _read(folder / END).get("status") not in FINAL and not is_claimed(folder):
            return path.stem
    return None


def open_journal(path: Path, identity: Identity, folder: Path, plan: Plan) -> Journal:
    """A new journal, or a new attempt in that of a run that goes on.

    Raises:
        JournalError: it is of another run, it is over, or it is gone while the run's checkpoints are there.
    """
    journal = Journal.resume(path, identity) if path.exists() else Journal.create(path, identity)
    try:
        if journal.record.rows:
            _check_goes_on(path, journal.record, folder, plan)
        elif saved := sorted((folder / "checkpoints").glob("ckpt-*")):
            raise JournalError(
                f"{path}: no rows, but {saved[0]} is there; expected a checkpoint's journal beside it: bring it back, "
                f"delete {folder}, or choose another --name"
            )
        else:
            (folder / "run.json").unlink(missing_ok=True)  # of a process that ended before its first row
    except JournalError:
        journal.close()
        raise
    return journal


def _check_goes_on(path: Path, record: RunRecord, folder: Path, plan: Plan) -> None:
    began, now = _read(folder / "run.json").get("plan"), json.loads(json.dumps(asdict(plan)))
    if isinstance(began, dict):
        for name in now:
            if began.get(name) != now[name]:
                raise JournalError(
                    f"{folder / 'run.json'}: the run began with {name} {began.get(name)}, this command has "
                    f"{now[name]}; give the command that began it, or another --name"
                )
    if next_phase(replace(record, attempt=None), plan) is Phase.DONE:
        raise _taken(path, "has finished")


def _taken(path: Path, how: str) -> JournalError:
    return JournalError(f"{path}: a run of this name is there already and {how}; choose another --name")


def _read(path: Path) -> dict[str, object]:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
