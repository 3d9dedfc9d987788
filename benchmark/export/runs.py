"""A run to be exported, from its journal and its run.json, and what is asked of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmark.record.journal import SCHEMA, Identity, RunRecord, read

NOTICES = {
    "mllog": "mllog-format log, not an MLPerf result",
    "dawnbench": "DAWNBench-format table, not a DAWNBench entry",
    "json": "of speech-tta, not an MLPerf result",
}
IDENTITY = tuple(Identity.__dataclass_fields__)


class ExportError(ValueError):
    """A run that a format cannot hold, or a place that cannot be written to; with what would do."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked of a run: the WER `level` in percent (None: the run's hardest target), the e of TTA(a, e)."""

    level: float | None = None
    window: int = 3  # epochs
    clock: str = "wall"  # of dawnbench's hours


@dataclass(frozen=True, kw_only=True)
class Run:
    """A journal with at least one row, and the run.json in its folder; `facts` is None where there is none."""

    record: RunRecord
    facts: dict[str, object] | None

    @property
    def identity(self) -> dict[str, object]:
        return {name: getattr(self.record.rows[0], name) for name in IDENTITY}

    @property
    def attempts(self) -> int:
        return self.record.rows[-1].attempt

    @property
    def facts_path(self) -> Path:
        return _facts_path(self.record.source)

    @property
    def created_ms(self) -> int:
        """When the run began, in milliseconds of Unix time."""
        found = self._facts_needed().get("created")
        try:
            created = datetime.fromisoformat(found)
        except (TypeError, ValueError):
            created = None
        if created is None or created.tzinfo is None:
            raise ExportError(
                f"{self.facts_path}: created is {found!r}; expected a time with its zone, such as "
                f'"2026-01-31T12:00:00+00:00": mend it, or export --to json or dawnbench'
            )
        return round(created.timestamp() * 1000)

    @property
    def hardest_wer(self) -> float:
        """The lowest of the WER levels that the run aimed at, in percent."""
        try:
            level = min(float(level) for level in self._facts_needed()["plan"]["targets"]["wer"])
        except (KeyError, TypeError, ValueError, OverflowError):
            level = math.nan
        if not 0 <= level < math.inf:
            raise ExportError(f"{self.facts_path}: no levels at plan.targets.wer; name one by --level")
        return level

    def _facts_needed(self) -> dict[str, object]:
        if self.facts is None:
            raise ExportError(
                f"{self.facts_path}: no such file; mllog needs the run's folder beside its journal, for the time it "
                f"was created: copy both, or export --to json or dawnbench"
            )
        return self.facts


def load(path: str | Path) -> Run:
    """A run from its journal and, where it is there, the run.json of its folder."""
    record = read(path)
    if not record.rows:
        raise ExportError(f"{path}: no rows below the header; expected a run that began: leave it out")
    return Run(record=record, facts=_facts(_facts_path(path)))


def _facts_path(source: str | Path) -> Path:
    return Path(source).with_suffix("") / "run.json"


def _facts(path: Path) -> dict[str, object] | None:
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_bytes(), parse_constant=_finite, parse_float=_finite)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ExportError(
            f"{path}: not JSON ({error}); expected what the run wrote: mend it, or move it away"
        ) from None
    found = facts.get("schema") if isinstance(facts, dict) else str(facts)  # 2 is no object of schema 2
    if found != SCHEMA:
        raise ExportError(
            f"{path}: schema is {str(found)[:80]!r}; expected {SCHEMA}: export with the version that wrote it"
        )
    return facts


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not finite")
    return number


def source_name(run: Run) -> str:
    return Path(run.record.source).name
