"""The question that an export answers, and what a format needs to know about a run beyond its record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.record import Facts, FactsError, Run, read_run

NOTICES = {
    "mllog": "mllog-format log, not an MLPerf result",
    "dawnbench": "DAWNBench-format table, not a DAWNBench entry",
    "json": "of speech-tta, not an MLPerf result",
    "mlperf-system": "MLPerf-format system description, not part of an MLPerf submission",
    "card": "of what the run's records say; the licence is the owner's to choose",
}


class ExportError(ValueError):
    """A run that a format cannot hold, or a place that cannot be written to; with what would do."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """The question put to a run: the WER `level` in percent (None: the run's hardest target), the e of TTA(a, e)."""

    level: float | None = None
    window: int = 3  # epochs
    clock: str = "wall"  # of dawnbench's hours
    reference: str | None = None  # a file of reference runs; None is the suite's own
    submitter: str = ""  # of mlperf-system, as are the next
    status: str = "rdi"  # a key of benchmark.export.system.STATUSES


def load(path: str | Path) -> Run:
    """Read a run that has at least one row. Raises JournalError, or ExportError for one without."""
    run = read_run(path)
    if not len(run.record):
        raise ExportError(f"{path}: no rows below the header; expected a run with at least one row: leave it out")
    return run


def created_ms(run: Run) -> int:
    """When the run began, in milliseconds of Unix time; run.json has it to the second."""
    try:
        return round(_facts_needed(run).created.timestamp() * 1000)
    except FactsError as error:
        raise ExportError(f"{error}, or export --to json or dawnbench") from None


def hardest_wer(run: Run) -> float:
    """The lowest of the WER levels that the run aimed at, in percent."""
    facts = _facts_needed(run)
    try:
        return min(facts.targets["wer"])
    except (FactsError, KeyError, ValueError):
        raise ExportError(f"{facts.path}: no levels at plan.targets.wer; name one by --level") from None


def _facts_needed(run: Run) -> Facts:
    if run.facts is None:
        raise ExportError(
            f"{(run.folder or Path()) / 'run.json'}: no such file; mllog needs the run's folder next to its journal, "
            f"for the time it was created: copy both, or export --to json or dawnbench"
        )
    return run.facts


def source_name(run: Run) -> str:
    """The journal's name without its folder."""
    return Path(run.source).name
