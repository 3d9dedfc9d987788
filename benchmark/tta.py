"""Print times to accuracy: which platform reaches a given error rate soonest, from the journals of runs.

    python -m benchmark.tta results/*.csv --level 22 --metric wer
    python -m benchmark.tta results/*.csv --brief        # the answer alone
    python -m benchmark.tta results/*.csv -o times.csv   # rows in full precision

It answers at once: it never loads TensorFlow, and loads rich only on a terminal.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence

from benchmark import cli
from benchmark.judge.foretold import foretold_part
from benchmark.judge.judgement import judge
from benchmark.judge.offered import check_offers
from benchmark.judge.question import AS_THE_PAPER, Question
from benchmark.judge.summary import brief_parts, report_parts
from benchmark.metrics import METRICS, USUAL


def main(argv: Sequence[str] | None = None) -> int:
    options = cli.parse(_parser(), argv)
    collecting = gc.isenabled()
    gc.disable()  # rows make no reference cycles; looking for some in a million rows takes a tenth of the time
    try:
        return cli.command("benchmark.tta", lambda: _judge(options))
    finally:
        if collecting:
            gc.enable()


def _judge(options: argparse.Namespace) -> None:
    terms = cli.terms_of(options)
    judgement = judge(cli.read_runs(options.journals), _question(options))
    check_offers(terms, judgement)
    cli.give(
        options,
        "benchmark.tta",
        parts=lambda: [
            *report_parts(judgement, terms=terms, left_out=options.leave_one_out),
            *foretold_part(judgement.runs),
        ],
        brief=lambda: brief_parts(judgement, terms=terms),
        rows=judgement.long_rows,
        warnings=judgement.warnings,
    )


def _question(options: argparse.Namespace) -> Question:
    asked = {None: USUAL, "all": tuple(METRICS)}.get(options.metric, (options.metric,))
    if options.paper and options.metric != "all":
        asked = tuple(AS_THE_PAPER.get(metric, metric) for metric in asked)
    return Question(
        metrics=asked,
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
        prog="python -m benchmark.tta", description="Time to accuracy of runs, from their journals."
    )
    add = parser.add_argument
    cli.add_journals(parser)
    cli.add_metric(parser, every=True)
    add("--paper", action="store_true", help="use wer_mean and cer_paper in place of wer and cer")
    cli.add_levels(parser)
    cli.add_epochs(parser)
    cli.add_every_evaluation(parser)
    cli.add_reference(parser)
    cli.add_clock(parser)
    cli.add_by(parser)
    add("--leave-one-out", action="store_true", help="show how well factored times predict the runs at hand")
    add("--published", action="store_true", help="add the paper's table 3")
    cli.add_output(parser)
    cli.add_terms(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
