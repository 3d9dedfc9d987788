"""The cost of runs: price times time to accuracy, and the money that one training to an error rate takes.

    python -m benchmark.price results/*.csv --metric wer --level 22 --years 3 --duty 0.5 --kwh-price 0.30

There are three measures:

    dollar-minutes    the paper's: the purchase price times the time to accuracy
    a rig bought      the hours of one training at price / (years * 8766 h * duty) an hour, plus energy
    a rig rented      the hours that are billed for one training, at the hourly rent

Prices come from the platform in the run's run.json, or from --offer and --offers FILE (docs/prices.md). Power is what
was measured (results/RUN/utilisation.csv), of GPUs only. A missing figure is shown as NA with the reason, never as 0.
With --kwh-price a bought rig whose power was not measured has no cost, since it would have its energy for nothing; a
rent has its energy inside. Every cost has the 95% interval of the time that it pays for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmark import cli
from benchmark.judge.energy import energy_by_level, energy_parts
from benchmark.judge.judgement import judge
from benchmark.judge.offered import check_offers
from benchmark.judge.prices import cost_answers, cost_parts, cost_rows
from benchmark.judge.question import PAPER_WORKLOAD, JudgeError, Question
from benchmark.judge.summary import warnings_part
from benchmark.metrics import USUAL
from benchmark.record.meter import Meter, read_meter
from benchmark.tables import Table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.price", lambda: _price(options))


def _price(options: argparse.Namespace) -> None:
    terms = cli.terms_of(options)
    if not (options.journals or options.published):
        raise JudgeError("no journals given; expected results/*.csv, or --published for the paper's rigs alone")
    question = Question(
        metrics=(options.metric,) if options.metric else USUAL,
        levels=tuple(options.level),
        window=options.epochs,
        clock=options.clock,
        every_evaluation=options.every_evaluation,
        reference=options.reference,
        by=tuple(dict.fromkeys(options.by)),
        published=options.published,
    )
    judgement = judge(cli.read_runs(options.journals) if options.journals else [], question)
    groups = [g for g in judgement if g.runs or g.workload == PAPER_WORKLOAD]
    check_offers(terms, groups)
    meters = _meters(options.meter, sorted({group.platform for group in groups if group.runs}))

    def parts() -> list[str | Table]:
        energy = energy_parts(groups, meters) if options.energy or meters or terms.kwh_price is not None else []
        return [*cost_parts(groups, terms), *energy, *warnings_part(judgement.warnings)]

    def rows() -> list[dict[str, object]]:
        found = cost_rows(groups, terms)
        if not options.energy and not meters:
            return found
        beside = energy_by_level(groups, meters)
        return [row | beside[row["label"], row["metric"], row["level_percent"], row["workload"]] for row in found]

    cli.give(
        options,
        "benchmark.price",
        parts=parts,
        brief=lambda: cost_answers(groups, terms),
        rows=rows,
        warnings=judgement.warnings,
    )


def _meters(given: Sequence[str], platforms: Sequence[str]) -> dict[str, Meter]:
    """Return the logs of meters by platform; a log without a name is of the only one.

    Raises:
        JudgeError: a log has no name and there are several platforms, or two logs are of one.
        MeterError, OSError: a log cannot be used.
    """
    found: dict[str, Meter] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals:
            if len(platforms) != 1:
                raise JudgeError(
                    f"--meter {text}: of which platform? there are {', '.join(platforms) or 'none'}; expected "
                    f"NAME={text}"
                )
            name, path = platforms[0], text
        if name in found:
            raise JudgeError(f"--meter {text}: a second log of {name}; expected one of each platform")
        found[name] = read_meter(path)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.price", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cli.add_journals(parser)
    cli.add_metric(parser)
    cli.add_levels(parser)
    cli.add_epochs(parser)
    cli.add_every_evaluation(parser)
    cli.add_reference(parser)
    cli.add_clock(parser)
    cli.add_by(parser)
    words = "add GPU board energy to each level, which reads all samples; --kwh-price does so too"
    parser.add_argument("--energy", action="store_true", help=words)
    words = "a wall plug's log of a platform's whole machine (time, and watts or kwh), matched by time; repeatable"
    parser.add_argument("--meter", action="append", default=[], metavar="[NAME=]CSV", help=words)
    parser.add_argument("--published", action="store_true", help="add the paper's rigs and times")
    cli.add_output(parser)
    cli.add_terms(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
