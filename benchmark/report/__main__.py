"""The command line: python -m benchmark.report results/*.csv -o report.html"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.judge.groups import AS_THE_PAPER, SPLITS, JudgeError, Question
from benchmark.options import percent, whole_from_1
from benchmark.record.journal import CLOCKS, JournalError, RunRecord, read
from benchmark.report.document import report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.report", description="One HTML page about runs, from their journals and folders."
    )
    add = parser.add_argument
    add("journals", nargs="*", metavar="results/RUN.csv", help="the runs; make bench makes one")
    add("-o", "--output", type=Path, default=Path("report.html"), metavar="FILE.html", help="default: report.html")
    add("--paper", action="store_true", help="errors averaged over utterances, as the paper's authors did")
    add("--level", type=percent, action="append", default=[], help="percent; repeatable; default: the run's targets")
    add("--epochs", type=whole_from_1, default=3, metavar="E", help="epochs the median is taken over (default 3)")
    add("--clock", choices=tuple(CLOCKS), default="wall", help="default: wall")
    add("--by", choices=SPLITS, action="append", default=[], metavar="FIELD", help="keep runs apart that differ in it")
    return parser


def _question(arguments: argparse.Namespace) -> Question:
    metrics = ("wer", "cer")
    return Question(
        metrics=tuple(AS_THE_PAPER[metric] for metric in metrics) if arguments.paper else metrics,
        levels=tuple(arguments.level),
        window=arguments.epochs,
        clock=arguments.clock,
        by=tuple(dict.fromkeys(arguments.by)),
    )


def _read_all(paths: Sequence[str]) -> list[RunRecord]:
    if not paths:
        raise JudgeError("no journals given; expected the CSV files of runs, such as results/*.csv (make bench)")
    for path in paths:
        if set("*?[") & set(path) and not Path(path).exists():
            raise JudgeError(f"no file matches {path}; expected the CSV files of runs (make bench makes one)")
    return [read(path) for path in paths]


def write(path: Path, text: str) -> None:
    """Written beside and renamed, so that a page that is open in a browser is never half a page."""
    if path.suffix not in (".html", ".htm"):
        raise JudgeError(f"-o {path}: expected a name that ends in .html, lest a run be overwritten")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise JudgeError(f"-o {path}: cannot be written ({error.strerror}); choose another -o") from None


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        html = report(_read_all(arguments.journals), _question(arguments))
        write(arguments.output, html)
    except (JournalError, JudgeError) as error:
        print(f"benchmark.report: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.output}: {len(html.encode()) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
