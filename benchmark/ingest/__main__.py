"""Take the training logs of others in as runs, for the judge, the report and the price.

    python -m benchmark.ingest results_v3.1/Dell -o results/dell                    # MLPerf's speech benchmark
    python -m benchmark.ingest logs/self_tuning/lion -o results/lion --batch 256    # AlgoPerf's speech workloads
    python -m benchmark.ingest runs/ -o results/mine --map error=val/wer,unit=share --batch 96
    python -m benchmark.ingest log.csv -o results/mine --map time=wall,step=step,error=val_wer,unit=percent

LOGS are files, folders, or patterns in quotes. In a folder MLPerf's result_*.txt and AlgoPerf's eval_measurements.csv
with speech in them are read; with --map its TensorBoard event files (those of one folder are one run) and its CSV and
JSON lines, gzipped or not. Every log becomes a journal and its folder in -o. All logs are understood before the first
run is written. Nothing is overwritten, and a log that is there already is left out.

What a log cannot say is said by an option, or stays unknown: batch, seed, machine, whether evaluation is inside its
time. AlgoPerf's clock is the train clock, its total duration the wall clock; a run that missed is censored at its
budget. Where evaluations stand at no ends of epochs they are counted in place of them. Judge with --epochs 1 what
stopped at its first evaluation at the target, as MLPerf's and AlgoPerf's runs do; MLPerf's score is the mlperf clock.
"""

from __future__ import annotations

import argparse
import glob
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from benchmark import cli
from benchmark.ingest.algoperf import MEASUREMENTS, is_speech, read_trial
from benchmark.ingest.curves import Curve
from benchmark.ingest.events import IngestError, benchmark_of
from benchmark.ingest.mapping import Mapped, parse_map
from benchmark.ingest.mllog import BENCHMARK, OURS, Log, read_log
from benchmark.ingest.points import INSIDE, OUTSIDE, Said
from benchmark.ingest.tensorboard import is_event_file, read_mapped
from benchmark.record.folder import folder_of, journal_of, write_end
from benchmark.record.journal import Journal
from features.jobs.files import write_whole

PATTERN = "result_*.txt"  # MLPerf's
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.ingest", lambda: _ingest(options))


def _ingest(options: argparse.Namespace) -> None:
    said = Said(**{field.name: getattr(options, field.name) for field in fields(Said)})
    found, others = _found(options.logs, options.map)
    if found.mllogs and (given := [f"--{name}".replace("_s", "") for name, value in vars(said).items() if value]):
        raise IngestError(f"{found.mllogs[0]}: {given[0]} is not for MLPerf's logs, which say it; leave it out")
    logs: list[Log | Curve] = [read_log(path) for path in found.mllogs]
    logs += [read_trial(path, said) for path in found.trials]
    logs += [read_mapped(paths, options.map, said) for paths in found.mapped]
    for log in logs:
        log.check()  # all of them, before the first is written
    folder = Path(options.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = _digests(folder)
        new = list({log.key: log for log in logs if log.key not in there}.values())
        for log, name in zip(new, _names(new, options.platform, folder), strict=True):
            _write(log, name, folder, options.platform)
    except OSError as error:
        raise IngestError(f"-o {folder}: cannot be written ({error.strerror}); choose another -o") from None
    known = len(logs) - len(new)
    print(
        f"{len(new)} runs in {folder}"
        + (f"; {known} logs were there already, by the options of then: for others choose another -o" if known else "")
        + (f"; passed over {_counted(others)}" if others else "")
    )
    _say_notes(logs)
    if new:
        epochs = "" if any(isinstance(log, Log) and log.first(OURS) for log in new) else " --epochs 1"
        metrics = sorted({log.metric if isinstance(log, Curve) else "wer" for log in new})
        by = " --by recipe" * (len({log.identity("r").recipe for log in new}) > 1)
        print(f"python -m benchmark.tta {folder}/*.csv --metric {metrics[-1]}{epochs}{by}")


@dataclass(frozen=True)
class _Found:
    """The logs to read by kind; the files of a mapped log are those of one run."""

    mllogs: list[Path] = field(default_factory=list)
    trials: list[Path] = field(default_factory=list)
    mapped: list[tuple[Path, ...]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.mllogs) + len(self.trials) + len(self.mapped)


def _found(given: Sequence[str], mapped: Mapped | None) -> tuple[_Found, Counter[str]]:
    """Return the logs to read, and how many logs in folders are of which other benchmark.

    Raises:
        IngestError: a folder has no log of ours, or a pattern fits nothing.
    """
    found, others = _Found(), Counter[str]()
    for path in (each for text in given for each in _paths(text)):
        if path.is_dir():
            before = len(found)
            passed = _found_in(path, mapped, found)
            if len(found) == before:
                what = f"only {_counted(passed)}" if passed else f"no {PATTERN} and no {MEASUREMENTS} in it"
                raise IngestError(
                    f"{path}: {what}; expected logs of MLPerf's {BENCHMARK} or of AlgoPerf's speech workloads: "
                    f"name the files, or say what their columns are by --map"
                )
            others += passed
        elif mapped:
            found.mapped.append((path,))
        elif path.name == MEASUREMENTS:
            found.trials.append(path)
        elif path.name.removesuffix(".gz").endswith(TABLES) or is_event_file(path):
            raise IngestError(f"{path}: what its columns are is not known; say --map time=...,error=...,unit=...")
        else:
            found.mllogs.append(path)
    return found, others


def _paths(text: str) -> list[Path]:
    """Return the path of an operand, or all that a pattern in quotes fits."""
    path = Path(text)
    if path.exists() or not any(sign in text for sign in "*?["):
        return [path]
    if not (paths := sorted(map(Path, glob.glob(text, recursive=True)))):
        raise IngestError(f"nothing fits {text}; expected logs, or folders of them")
    return paths


def _found_in(folder: Path, mapped: Mapped | None, found: _Found) -> Counter[str]:
    """Add a folder's logs to those found; return how many are of which other benchmark."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if mapped:
        events: dict[Path, list[Path]] = {}
        for path in files:
            if is_event_file(path):
                events.setdefault(path.parent, []).append(path)
            elif path.name.removesuffix(".gz").endswith(TABLES):
                found.mapped.append((path,))
        found.mapped.extend(map(tuple, events.values()))
        return Counter()
    names = {path: benchmark_of(path) for path in files if path.match(PATTERN)}
    found.mllogs.extend(path for path, name in names.items() if name in (None, BENCHMARK))
    passed = Counter(name for name in names.values() if name not in (None, BENCHMARK))
    for path in (path for path in files if path.name == MEASUREMENTS):
        if is_speech(path):
            found.trials.append(path)
        else:
            passed[path.parent.parent.name] += 1
    return passed


def _counted(others: Counter[str]) -> str:
    """Return "3 logs of other benchmarks (2 bert, 1 ssd)"."""
    each = ", ".join(f"{count:,} {name[:40]}" for name, count in others.most_common(12))
    return f"{others.total():,} logs of other benchmarks ({each})"


def _say_notes(logs: Sequence[Log | Curve]) -> None:
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


def _names(logs: Sequence[Log | Curve], platform: str | None, folder: Path) -> list[str]:
    """Return a name for each run: its platform and a number that nobody has yet."""
    taken, names = {path.name.removesuffix(".csv") for path in folder.iterdir()}, []
    for log in logs:
        stem = re.sub(r"[^\w.+-]+", "-", platform or log.stem).strip("-.") or "run"
        number = next(n for n in range(len(taken) + 1) if f"{stem}-{n}" not in taken)
        names.append(f"{stem}-{number}")
        taken.add(names[-1])
    return names


def _write(log: Log | Curve, name: str, folder: Path, platform: str | None) -> None:
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
    add("logs", nargs="+", metavar="LOGS", help="logs, folders with logs in them, or patterns in quotes")
    add("-o", "--out", required=True, metavar="DIR", help="folder that the runs are written into")
    add("--platform", metavar="NAME", help="the runs' platform; default: what the logs say")
    words = (
        "what the columns of CSV, JSON lines or TensorBoard's events are: error=COLUMN, unit=share or percent, "
        "time=COLUMN (TensorBoard: wall_time); where there are such, step, epoch, samples, train_time, eval_time; "
        "metric=cer; time_unit=min"
    )
    add("--map", type=_map, metavar="PART=COLUMN,...", help=words)
    said = parser.add_argument_group("what logs cannot say themselves; without it, it is not known")
    add = said.add_argument
    add("--batch", type=cli.whole_from_1, metavar="N", help="global batch in utterances")
    add("--seed", type=int, metavar="N", help="seed of weights and order of utterances")
    add("--devices", metavar="TEXT", help="the machine, such as '4 x A100'")
    add("--workload", metavar="NAME", help="what is learnt; runs of one name are compared")
    add("--recipe", metavar="NAME", help="how it is learnt: optimiser, schedule")
    add("--target", type=cli.percent, metavar="PERCENT", help="the error rate aimed at")
    words = "whether evaluation is inside the log's time; its seconds are taken from eval_time alone"
    add("--evaluation", choices=(INSIDE, OUTSIDE), help=words)
    add("--first-epoch", type=int, choices=(0, 1), help="the number of the first epoch")
    words = "put a clock that begins again after where it stood; else it is refused"
    add("--restarts", action="store_true", help=words)
    words = "leave out evaluations after so many seconds, by the train clock where the log has one"
    add("--budget", dest="budget_s", type=_seconds, metavar="S", help=words)
    add("--ended", action="store_true", help="the runs ended: a level that they did not reach is a miss")
    return parser


def _map(text: str) -> Mapped:
    try:
        return parse_map(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 2**53:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected seconds, above 0")
    return found


if __name__ == "__main__":
    sys.exit(main())
