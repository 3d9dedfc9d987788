"""Bundles as results: verified by today's rules and judged from their journals, whatever was said of them before.

    with gathered(paths, verdicts) as results:              # Refusal names every bundle that does not verify
        results[0].run, results[0].report.level, results[0].level
    read_verdicts(["verdicts.json"])                        # higher levels, which somebody with the corpus verified

*weights* and *replay* take the corpus and hours: a verdict of `python -m benchmark.verify --format json` says that they
were done. It counts for the same seal.json and the same version of the rules; else the level is that of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.proof.bundle import opened
from benchmark.proof.manifest import read_seal
from benchmark.proof.unpacked import unpacked
from benchmark.proof.verdict import FIGURES, LEVELS, RULES, Report
from benchmark.proof.verify import Ask, verify
from benchmark.record import Facts, Run


class Refusal(ValueError):
    """Bundles that do not verify at *figures*; the message has a line for each."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One sealed run in the gallery. `level` is the highest at which it was verified, by today's rules."""

    path: Path
    run: Run
    report: Report
    level: str
    id: str
    checkpoints: Sequence[int] = ()

    @property
    def facts(self) -> Facts:
        return self.run.facts

    @property
    def rig(self) -> str:
        """The rig as one page of the gallery has it: its platform's name; emulated ones are rigs of their own."""
        return self.run.identity.platform + " (emulated)" * self.run.identity.emulated

    @property
    def workload(self) -> str:
        """What was learnt, as one page of the gallery has it; emulated runs are never beside real ones."""
        return self.run.identity.workload_label + " (emulated)" * self.run.identity.emulated

    @property
    def hardware(self) -> str:
        """What trained, in words: its devices, and the processor."""
        cpu = self.facts.host.cpu or "an unknown processor"
        devices = self.run.identity.devices
        cores = self.facts.host.logical_cores
        return f"{cpu}, {cores} cores" if devices == "CPU" else f"{devices}; {cpu}"

    @property
    def date(self) -> str:
        return self.facts.created.date().isoformat()


@dataclass(frozen=True)
class Verdicts:
    """Levels that were verified before, by the SHA-256 of seal.json."""

    levels: Mapping[str, str] = field(default_factory=dict)

    def level_of(self, seal: str, now: str) -> str:
        before = self.levels.get(seal, now)
        return max(now, before, key=LEVELS.index)


def read_verdicts(paths: Sequence[Path]) -> Verdicts:
    """Read what `verify --format json` printed. Raises Refusal for what is none."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            for each in json.loads(path.read_bytes()):
                counts = each["rules"] == RULES and each["status"] == "verified" and each["level"] in LEVELS
                if counts and each["seal"]:
                    found[each["seal"]] = max(found.get(each["seal"], LEVELS[0]), each["level"], key=LEVELS.index)
        except FileNotFoundError:
            raise Refusal(f"{path}: no such file; expected what verify --format json printed") from None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            raise Refusal(
                f"{path}: no verdicts; expected what python -m benchmark.verify --format json printed"
            ) from None
    return Verdicts(found)


@contextmanager
def gathered(paths: Sequence[Path], verdicts: Verdicts | None = None) -> Iterator[list[Result]]:
    """Verify bundles at *figures* and unpack them, until the block is left.

    Raises:
        Refusal: one is refuted or cannot be verified, or one run is there twice.
    """
    verdicts = verdicts or Verdicts()
    reports = {path: verify(path, Ask(level=FIGURES)) for path in bundles_in(paths)}
    if refused := [f"{path}: {report.sentence}" for path, report in reports.items() if report.status]:
        raise Refusal("\n".join(refused))
    by_seal: dict[str, Path] = {}
    for path, report in reports.items():
        if report.seal in by_seal:
            raise Refusal(f"{path}: the same run as {by_seal[report.seal]}; leave one out")
        by_seal[report.seal] = path
    with ExitStack() as stack:
        results = [_result(path, report, verdicts, stack) for path, report in reports.items()]
        by_journal: dict[bytes, Path] = {}
        for result in results:  # sealed twice, with other files beside it
            other = by_journal.setdefault(Path(result.run.source).read_bytes(), result.path)
            if other is not result.path:
                raise Refusal(f"{result.path}: the same run as {other}; leave one out")
        yield results


def bundles_in(paths: Sequence[Path]) -> list[Path]:
    """Return the bundles that are named, and those in folders that are named. Raises Refusal if there are none."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.tta.zip")) if path.is_dir() else [path]
        if not inside:
            raise Refusal(f"{path}: a folder without sealed runs; expected *.tta.zip in it")
        found += inside
    return list(dict.fromkeys(found))


def _result(path: Path, report: Report, verdicts: Verdicts, stack: ExitStack) -> Result:
    bundle = stack.enter_context(opened(path))
    place = stack.enter_context(unpacked(bundle, read_seal(bundle)))
    return Result(
        path=path,
        run=place.run,
        report=report,
        level=verdicts.level_of(report.seal, report.level),
        id=f"{place.run.identity.run}-{report.seal[:8]}",
        checkpoints=sorted(bundle.checkpoints),
    )
