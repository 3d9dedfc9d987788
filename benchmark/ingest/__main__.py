"""Take the training logs of MLPerf's speech benchmark in as runs, for the judge, the report and the price.

    python -m benchmark.ingest results_v3.1/Dell -o results/dell
    python -m benchmark.tta results/dell/*.csv --metric wer --epochs 1 --clock mlperf

LOGS are files, or folders in which all result_*.txt are read. Every log becomes a journal and its folder in -o. MLPerf
asks for one epoch at its target: judge with --epochs 1; with --clock mlperf the time is its score. Nothing is
overwritten, and a log that is there already is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark import cli
from benchmark.ingest.mllog import IngestError, Log, read_log
from benchmark.record.folder import folder_of, write_end
from benchmark.record.journal import Journal
from features.jobs.files import write_whole

PATTERN = "result_*.txt"  # MLPerf's


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.ingest", lambda: _ingest(options))


def _ingest(options: argparse.Namespace) -> None:
    paths = list(_paths(options.logs))
    logs = [read_log(path) for path in paths]
    for log in logs:
        assert log.rows  # all of them are understood before the first is written
    folder = Path(options.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = _digests(folder)
        new = [log for log in logs if log.digest not in there]
        names = _names(new, options.platform, folder)
        for log, name in zip(new, names, strict=True):
            there_is = there.setdefault(log.digest, name)
            if there_is == name:
                _write(log, name, folder, options.platform)
    except OSError as error:
        raise IngestError(f"-o {folder}: cannot be written ({error.strerror}); choose another -o") from None
    known = len(logs) - len(new)
    print(f"{len(new)} runs in {folder}" + (f"; {known} logs were there already" if known else ""))
    if new:
        epochs = "" if any(log.first("speech_tta_run") for log in new) else " --epochs 1"
        print(f"python -m benchmark.tta {folder}/*.csv --metric wer{epochs}")


def _paths(given: Sequence[str]) -> Iterator[Path]:
    for text in given:
        path = Path(text)
        if path.is_dir():
            found = sorted(path.rglob(PATTERN))
            if not found:
                raise IngestError(f"{path}: no {PATTERN} in it; expected logs of MLPerf Training, or name the files")
            yield from found
        else:
            yield path


def _digests(folder: Path) -> dict[str, str]:
    """Return the logs that runs of a folder were made of: their digests, and the names of the runs."""
    found = {}
    for path in folder.glob("*/run.json"):
        try:
            found[str(json.loads(path.read_text())["log"]["digest"])] = path.parent.name
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _names(logs: Sequence[Log], platform: str | None, folder: Path) -> list[str]:
    """Return a name for each run: its platform and a number that nobody has yet."""
    taken, names = {path.stem for path in folder.glob("*.csv")}, []
    for log in logs:
        stem = re.sub(r"[^\w.+-]+", "-", platform or log.platform).strip("-.") or "run"
        number = next(n for n in range(len(taken) + 1) if f"{stem}-{n}" not in taken)
        names.append(f"{stem}-{number}")
        taken.add(names[-1])
    return names


def _write(log: Log, name: str, folder: Path, platform: str | None) -> None:
    identity = log.identity(name)
    if platform:
        identity = type(identity)(**{**vars(identity), "platform": platform})
    path = folder / f"{name}.csv"
    folder_of(path).mkdir(exist_ok=True)
    journal = Journal.create(path, identity)
    try:
        for phase, span, outcome in log.rows:
            journal.append(phase, span, outcome)
    finally:
        journal.close()
    write_whole(folder_of(path) / "run.json", json.dumps(log.facts(), indent=1))
    if log.end:
        write_end(folder_of(path), log.end)


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
