"""Take the training logs of MLPerf's speech benchmark in as runs, for the judge, the report and the price.

    python -m benchmark.ingest results_v3.1/Dell -o results/dell
    python -m benchmark.tta results/dell/*.csv --metric wer --epochs 1 --clock mlperf

LOGS are files, or folders in which all result_*.txt are read but those of other benchmarks. Every log becomes a
journal and its folder in -o. MLPerf asks for one epoch at its target: judge with --epochs 1; with --clock mlperf the
time is its score, run_stop - run_start. All logs are understood before the first run is written. Nothing is
overwritten, and a log that is there already is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark import cli
from benchmark.ingest.events import IngestError, benchmark_of
from benchmark.ingest.mllog import BENCHMARK, OURS, Log, read_log
from benchmark.record.folder import folder_of, journal_of, write_end
from benchmark.record.journal import Journal
from features.jobs.files import write_whole

PATTERN = "result_*.txt"  # MLPerf's


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.ingest", lambda: _ingest(options))


def _ingest(options: argparse.Namespace) -> None:
    paths, others = _found(options.logs)
    logs = [read_log(path) for path in paths]
    for log in logs:
        log.check()  # all of them, before the first is written
    folder = Path(options.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = _digests(folder)
        new = list({log.digest: log for log in logs if log.digest not in there}.values())
        for log, name in zip(new, _names(new, options.platform, folder), strict=True):
            _write(log, name, folder, options.platform)
    except OSError as error:
        raise IngestError(f"-o {folder}: cannot be written ({error.strerror}); choose another -o") from None
    known = len(logs) - len(new)
    print(
        f"{len(new)} runs in {folder}"
        + (f"; {known} logs were there already" if known else "")
        + (f"; passed over {_counted(others)}" if others else "")
    )
    _say_notes(logs)
    if new:
        epochs = "" if any(log.first(OURS) for log in new) else " --epochs 1"
        print(f"python -m benchmark.tta {folder}/*.csv --metric wer{epochs}")


def _found(given: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """Return the logs to read, and how many logs in folders are of which other benchmark.

    Raises:
        IngestError: a folder has no log of ours.
    """
    paths: list[Path] = []
    others: Counter[str] = Counter()
    for path in map(Path, given):
        if not path.is_dir():
            paths.append(path)
            continue
        found = {each: benchmark_of(each) for each in sorted(path.rglob(PATTERN)) if each.is_file()}
        here = [each for each, name in found.items() if name in (None, BENCHMARK)]
        passed = Counter(name for name in found.values() if name not in (None, BENCHMARK))
        if not here:
            what = f"only {_counted(passed)}" if passed else f"no {PATTERN} in it"
            raise IngestError(f"{path}: {what}; expected logs of MLPerf Training's {BENCHMARK}, or name the files")
        paths += here
        others += passed
    return paths, others


def _counted(others: Counter[str]) -> str:
    """Return "3 logs of other benchmarks (2 bert, 1 ssd)"."""
    each = ", ".join(f"{count:,} {name[:40]}" for name, count in others.most_common(12))
    return f"{others.total():,} logs of other benchmarks ({each})"


def _say_notes(logs: Sequence[Log]) -> None:
    """Say what was understood in one of several ways, once for all logs that share it."""
    sources: dict[str, list[str]] = {}
    for log in logs:
        for note in log.notes:
            sources.setdefault(note, []).append(log.source)
    for note, found in sources.items():
        cli.say(f"benchmark.ingest: {found[0]}{f' and {len(found) - 1} more' * (len(found) > 1)}: {note}")


def _digests(folder: Path) -> dict[str, str]:
    """Return the logs that whole runs of a folder were made of: their digests, and the names of the runs."""
    found = {}
    for path in folder.glob("*/run.json"):
        if not journal_of(path.parent).is_file():
            continue
        try:
            found[str(json.loads(path.read_text())["log"]["digest"])] = path.parent.name
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _names(logs: Sequence[Log], platform: str | None, folder: Path) -> list[str]:
    """Return a name for each run: its platform and a number that nobody has yet."""
    taken, names = {path.name.removesuffix(".csv") for path in folder.iterdir()}, []
    for log in logs:
        stem = re.sub(r"[^\w.+-]+", "-", platform or log.platform).strip("-.") or "run"
        number = next(n for n in range(len(taken) + 1) if f"{stem}-{n}" not in taken)
        names.append(f"{stem}-{number}")
        taken.add(names[-1])
    return names


def _write(log: Log, name: str, folder: Path, platform: str | None) -> None:
    """Write a run; its journal, by which commands find it, comes last, and what was begun goes if anything fails."""
    identity = log.identity(name)
    if platform:
        identity = replace(identity, platform=platform)
    path = folder / f"{name}.csv"
    folder_of(path).mkdir()
    begun = folder_of(path) / path.name
    try:
        journal = Journal.create(begun, identity)
        try:
            for phase, span, outcome in log.rows:
                journal.append(phase, span, outcome)
        finally:
            journal.close()
        write_whole(folder_of(path) / "run.json", json.dumps(log.facts(), indent=1))
        if log.end:
            write_end(folder_of(path), log.end)
        begun.rename(path)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(folder_of(path), ignore_errors=True)
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("logs", nargs="+", metavar="LOGS", help=f"logs, or folders with {PATTERN} in them")
    add("-o", "--out", required=True, metavar="DIR", help="where the runs go")
    add("--platform", metavar="NAME", help="the runs' platform; default: what the logs say")
    return parser


if __name__ == "__main__":
    sys.exit(main())
