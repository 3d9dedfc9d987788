"""The command line: python -m benchmark.report results/*.csv -o report.html"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import cli
from benchmark.judge.question import AS_THE_PAPER, Question
from benchmark.metrics import USUAL
from benchmark.report.document import write_report


def main(argv: Sequence[str] | None = None) -> int:
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.report", lambda: _report(options))


def _report(options: argparse.Namespace) -> None:
    terms = cli.terms_of(options)
    size = write_report(cli.read_runs(options.journals), options.output, _question(options), terms=terms)
    print(f"{options.output}: {size / 1e6:.1f} MB")


def _question(options: argparse.Namespace) -> Question:
    return Question(
        metrics=tuple(AS_THE_PAPER[metric] for metric in USUAL) if options.paper else USUAL,
        levels=tuple(options.level),
        window=options.epochs,
        clock=options.clock,
        every_evaluation=options.every_evaluation,
        reference=options.reference,
        by=tuple(dict.fromkeys(options.by)),
        published=options.published,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.report", description="One HTML page about runs, from their journals and folders."
    )
    add = parser.add_argument
    cli.add_journals(parser)
    add(
        "-o",
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE.html",
        help="the page; default: report.html",
    )
    add("--paper", action="store_true", help="errors averaged over utterances, as the paper's authors did")
    add("--published", action="store_true", help="beside the paper's rigs of 2019 and its tables")
    cli.add_levels(parser)
    cli.add_epochs(parser)
    cli.add_every_evaluation(parser)
    cli.add_reference(parser)
    cli.add_clock(parser)
    cli.add_by(parser)
    cli.add_terms(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
