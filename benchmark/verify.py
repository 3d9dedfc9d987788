"""Verify sealed runs: python -m benchmark.verify RUN.tta.zip [--corpus DIR] [--replay [EPOCH ...]]

Four levels, each holding those before it: bytes (the parts belong together), figures (they follow from what was
recorded), weights (given the corpus, checkpoints evaluated again) and replay (an epoch trained again). Says what each
checked and what it could not (docs/proof.md).

Exit status: 0 verified at the level asked for, 1 refuted, with the first difference, 2 cannot.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.proof.verdict import BYTES, CANNOT, FIGURES, LEVELS, REFUTED, REPLAY, VERIFIED, WEIGHTS

if TYPE_CHECKING:
    from benchmark.proof.verdict import Report


def main(argv: Sequence[str] | None = None) -> int:
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.verify", lambda: _verify(options))


def _verify(options: argparse.Namespace) -> int:
    from benchmark.proof.verify import Ask, verify

    ask = Ask(
        level=_level(options),
        corpus=options.corpus,
        epochs=tuple(options.replay or ()),
        signers=options.signers,
        say=cli.say,
    )
    reports = []
    for path in options.bundles:
        report = verify(path, ask)
        reports.append(report)
        if options.format == "table":
            _show(report, quiet=options.quiet)
    if options.format == "json":
        print(json.dumps([report.fields() for report in reports], indent=1))
    statuses = {report.status for report in reports}
    return next((status for status in (REFUTED, CANNOT) if status in statuses), VERIFIED)


def _show(report: Report, *, quiet: bool) -> None:
    if report.cannot and not report.done:
        cli.say(f"benchmark.verify: {report.cannot}")
    elif quiet:
        print(f"{report.bundle}: {report.sentence}")
    else:
        print("\n".join(report.lines()))


def _level(options: argparse.Namespace) -> str:
    if options.level:
        return options.level
    return REPLAY if options.replay is not None else WEIGHTS if options.corpus else FIGURES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("bundles", nargs="+", type=Path, metavar="BUNDLE", help="sealed runs, RUN.tta.zip")
    words = f"up to which level; default: {FIGURES}, {WEIGHTS} with --corpus, {REPLAY} with --replay"
    add("--level", choices=LEVELS, metavar="LEVEL", help=words + f"; {BYTES} is the lowest")
    add("--corpus", type=Path, metavar="DIR", help="the corpus that was trained on, or its features")
    words = "train epochs again; without a number the last that can be"
    add("--replay", nargs="*", type=cli.whole_from_1, metavar="EPOCH", help=words)
    add("--signers", type=Path, metavar="FILE", help="who may sign, as ssh-keygen has it: a name and a key a line")
    add("-q", "--quiet", action="store_true", help="a line for each bundle")
    add("--format", choices=("table", "json"), default="table", help="a table for people, or JSON; default: table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
