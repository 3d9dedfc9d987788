"""Which rig to take for a level, which to probe or run next, and when to stop, from runs and probes of several rigs.

    python -m benchmark.choose results/*.csv --level wer:20 --offers offers.toml --budget 200 --trainings 10

A run to the level on any rig tells how many epochs it takes; a probe, a run of an epoch (--max-epochs 1) or an
estimate (python -m benchmark.rig estimate), tells a rig's seconds an epoch. Without a run to the level the reference
runs count. The answer names the rig with the least expected cost (--goal sooner: time) of a training, and how probably
another is cheaper, or sooner; then the probe or run that is expected to save more than it costs, or that there is none:
stop. What is learnt serves as many trainings as --trainings says. --budget is the most that these and all further looks
may cost. Rigs that --offer or the file names by platform, and that nobody has tried, take part: their speed is guessed
from their price.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmark import cli
from benchmark.judge import guard
from benchmark.judge.apart import said
from benchmark.judge.beliefs import PROBE, Evidence
from benchmark.judge.candidates import candidates_of, reference_of
from benchmark.judge.choice import CHEAPER, GOALS, SOONER, Choice, Wish, choose
from benchmark.judge.choice_summary import choice_parts, choice_rows
from benchmark.judge.common import unlike
from benchmark.judge.groups import Group
from benchmark.judge.judgement import judge
from benchmark.judge.probes import estimates_in
from benchmark.judge.question import JudgeError, Question, level_name
from benchmark.judge.summary import warnings_part
from benchmark.metrics import METRICS
from benchmark.record.command import CommandLine, by_make
from benchmark.tables import show


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.choose", lambda: _choose(options))


def _choose(options: argparse.Namespace) -> None:
    terms = cli.terms_of(options)
    if terms.failures or terms.down_time:
        raise JudgeError(
            "--failures and --down-time are not reckoned with here, where the cost is that of a training that reaches "
            "the level; expected neither: python -m benchmark.price takes them"
        )
    metric, percent = options.level
    question = Question(
        metrics=(metric,), levels=(percent,), window=options.epochs, reference=options.reference,
        by=tuple(dict.fromkeys(options.by)),
    )  # fmt: skip
    journals, estimates = estimates_in(options.journals)
    judgement = judge(cli.read_runs(journals) if journals or not estimates else [], question)
    groups = [group for group in judgement if group.runs and not group.emulated]
    _check(groups, emulated=len(judgement) - len(groups))
    candidates = candidates_of(groups, terms, estimates=estimates)
    reference: list[Evidence] = reference_of(groups, question, estimates)
    priced = any(each.money for each in candidates)
    goal = options.goal or (CHEAPER if priced else SOONER)
    found = choose(candidates, reference, Wish(goal=goal, trainings=options.trainings, budget=options.budget))
    warnings = said(judgement.runs, judgement.question, question)
    warnings += [f"{group.label}: {text}" for group in groups for text in guard.doubts(group, question)]
    if options.format == "table":
        parts = [*choice_parts(found, level_name(metric, percent)), *warnings_part(warnings)]
        show([*parts, *_command(found, groups)])
    else:
        cli.print_rows("benchmark.choose", choice_rows(found), options.format, warnings)


def _command(found: Choice, groups: Sequence[Group]) -> list[str]:
    """Return the line that says what to do next, with the command; nothing where no run says what is trained."""
    if not groups:
        return []
    about = groups[0].runs[0].identity
    candidate = found.candidates[found.next.look.rig if found.next else found.taken]
    probe = found.next is not None and found.next.look.what == PROBE
    words = ["--platform", candidate.platform, "--workload", about.workload, "--recipe", about.recipe]
    words += ["--batch", str(candidate.evidence.batch), *["--max-epochs", "1"] * probe]
    command = CommandLine(tuple(words), make=by_make())
    then = "; then ask again" if found.next else ""
    return [f"To do so, on that rig, with whatever else the runs here were given: {command}{then}."]


def _check(groups: Sequence[Group], *, emulated: int) -> None:
    if emulated and not groups:
        raise JudgeError("all runs are emulated, and their times are no rig's; expected runs on the rigs themselves")
    names = sorted({group.workload for group in groups})
    if len(names) > 1:
        raise JudgeError(f"runs of several workloads ({', '.join(names)}); expected those of one")
    if groups and (differ := unlike(groups)):
        raise JudgeError(f"runs differ in {', '.join(differ)}: they learn something else; expected those that agree")


def _level(text: str) -> tuple[str, float]:
    """Return metric and percent of a level: "wer:20", or "wer=20"."""
    metric, _, percent = text.replace("=", ":", 1).partition(":")
    if metric.strip().lower() not in METRICS or not percent:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected one of {', '.join(METRICS)}, :, and percent: wer:20")
    return metric.strip().lower(), cli.percent(percent)


def _budget(text: str) -> float:
    found = cli.percent(text)  # a number from 0 on
    if not found:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected more than 0, in the currency of the prices")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.choose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    words = "journals of runs and probes, folders of them, or estimates"
    add("journals", nargs="*", metavar="results/RUN.csv", help=words)
    add("--level", type=_level, required=True, metavar="METRIC:PERCENT", help="the level to reach, as wer:20")
    add("--goal", choices=GOALS, help="what the rig to take should be; default: cheaper, sooner without prices")
    words = "trainings that the rig is chosen for; default: %(default)s"
    add("--trainings", type=cli.whole_from_1, default=1, metavar="N", help=words)
    add("--budget", type=_budget, metavar="SUM", help="the most that the trainings and further looks may cost")
    cli.add_epochs(parser)
    cli.add_reference(parser)
    cli.add_by(parser)
    cli.add_format(parser)
    cli.add_terms(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
