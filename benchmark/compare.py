"""Compare rigs by the journals of their runs: which is faster, by how much, and is that more than chance?

    python -m benchmark.compare sys1 sys2                    # platforms, from results/*.csv
    python -m benchmark.compare old='old/*.csv' new='new/*.csv' --metric wer --level 22
    python -m benchmark.compare sys1 --by batch              # one platform's batch sizes
    python -m benchmark.compare old new --merit              # fewer steps, or shorter ones? recipes may differ
    python -m benchmark.compare cpu --aa                     # two halves of one platform's runs must not differ

It answers two questions. The machine: what each rig would have taken for the same number of epochs, start-up and
seconds an epoch, which hardly vary from run to run. The training: time to accuracy as the runs had it, whose epochs are
a matter of luck too. For both, and for every further quantity it prints the ratio of geometric means with its 95%
interval; Welch's p is adjusted by Holm's method over all comparisons of one call, the intervals are not.

What these runs cannot tell apart is either the same within --margin, by two one-sided tests, or open: then the verdict
has a plan, how many runs of each would tell, and what they cost. Fix that number before you look. If you check the
result after each run (sequential testing), give --every-run: the verdict is then by an e-value, which holds whenever
you look. With several levels, or --profile, a table says how often each rig is near the best, and whether the order of
rigs depends on the level.

--merit says whose merit a ratio of times is: a product of steps (utterances, where batches differ), seconds a step, and
evaluation and the rest, each with its interval. Only the workload must agree: rigs, recipes, batches, frameworks may
differ. A part that the runs or their logs cannot tell is open, with its reason.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from benchmark import cli
from benchmark.judge.apart import said
from benchmark.judge.checks import warnings
from benchmark.judge.common import hardest_common_level, unlike
from benchmark.judge.comparison import Asked, at_common_levels, check_alike, compare, halves
from benchmark.judge.groups import Group, check_given_once
from benchmark.judge.guard import parts as guard_parts
from benchmark.judge.judgement import judge
from benchmark.judge.merit import check_comparable, merit_answer, merit_parts, merits
from benchmark.judge.offered import check_offers
from benchmark.judge.pairs import comparison_parts, verdicts
from benchmark.judge.profiles import profile_parts
from benchmark.judge.question import JudgeError, Question, levels_of
from benchmark.judge.summary import warnings_part
from benchmark.record import Run, read_run
from benchmark.record.command import by_make


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 1 an A/A check found a difference, 2 bad input."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.compare", lambda: _compare(options))


def _compare(options: argparse.Namespace) -> int:
    if not options.operands:
        raise JudgeError(_choices(options))
    if len(options.operands) == 1 and not (options.aa or options.by) or options.aa and len(options.operands) > 1:
        raise JudgeError("expected two platforms or more, or one with --aa, or one with --by FIELD")
    terms = cli.terms_of(options)
    asked = Asked(margin=1 + options.margin / 100, clock=options.clock, every_run=options.every_run)
    groups, everything, apart = groups_of(options)
    check_offers(terms, groups)
    if options.merit:
        return _merit(options, groups, apart)
    couples = [pair for pair in combinations(groups, 2) if not unlike(pair)]
    pairs = compare(groups, terms=terms, asked=asked, couples=couples)
    doubts = apart + warnings(
        [run for group in groups for run in group.runs], groups, _question(options, options.level)
    )
    profiled, question = options.profile or len(options.level) > 1, _question(options, options.level)
    cli.give(
        options,
        "benchmark.compare",
        parts=lambda: [
            *comparison_parts(pairs),
            *(profile_parts(everything, question) if profiled else []),
            *guard_parts(groups, question),
            *warnings_part(doubts),
        ],
        brief=lambda: [verdicts(pairs)],
        rows=lambda: [pair.fields() for pair in pairs],
        warnings=doubts,
    )
    return int(options.aa and any(pair.differs for pair in pairs))


def _merit(options: argparse.Namespace, groups: list[Group], apart: list[str]) -> int:
    question = _question(options, options.level)
    found = merits(groups, question)
    doubts = apart + warnings([run for group in groups for run in group.runs], groups, question)
    cli.give(
        options,
        "benchmark.compare",
        parts=lambda: [*merit_parts(found), *warnings_part(doubts)],
        brief=lambda: [merit_answer(found)],
        rows=lambda: [merit.fields() for merit in found],
        warnings=doubts,
    )
    return cli.DONE


def _choices(options: argparse.Namespace) -> str:
    """Return what a command without platforms says: which there are, with their runs."""
    there = [read_run(path) for path in sorted(Path(options.results).glob("*.csv"))]
    found = Counter(run.identity.platform for run in there if len(run.record))
    if not found:
        return f"no platforms given, and no runs in {options.results}; {cli.maker()} makes them"
    listed = ", ".join(f"{name} ({count} {'runs' if count > 1 else 'run'})" for name, count in sorted(found.items()))
    names = sorted(found)[:2]
    if len(names) == 1:
        return (
            f"{options.results} has runs of one platform, {listed}; expected two, or files: old='old/*.csv' new='...'"
        )
    asked = f'make compare RUNS="{" ".join(names)}"' if by_make() else f"python -m benchmark.compare {' '.join(names)}"
    return f"no platforms given; {options.results} has {listed}; expected two or more: {asked}"


def _question(options: argparse.Namespace, levels: Sequence[float] = ()) -> Question:
    return Question(
        metrics=(options.metric,),
        levels=tuple(levels),
        window=options.epochs,
        clock=options.clock,
        every_evaluation=options.every_evaluation,
        reference=options.reference,
        by=tuple(dict.fromkeys(options.by)),
    )


def groups_of(options: argparse.Namespace) -> tuple[list[Group], list[Group], list[str]]:
    """Return a group of runs per operand, or the halves of one (--aa): at the level to compare, at all, and warnings.

    An operand has several groups where its runs do not compare, or with --by. Those of which no other learns the same
    are left out, with a warning.

    Raises:
        JudgeError: an operand has no runs, its halves may not be pooled, or no two groups learn the same.
    """
    question = _question(options, options.level)
    named = list(_named_runs(options))
    if options.aa:
        ((name, runs),) = named
        if len(runs) < 4:
            raise JudgeError(f"{name}: {len(runs)} runs; expected at least 4 for two halves")
        named = [(f"{name}, half {n}", half) for n, half in enumerate(halves(runs), start=1)]
    groups, apart = _judged(named, question, halved=options.aa)
    if not question.levels and hardest_common_level(groups) is None:
        every = levels_of([run for _, runs in named for run in runs if len(run.record)], question)
        known = sorted({percent for columns in every.values() for _, percent in columns})
        groups, apart = _judged(named, replace(question, levels=tuple(known)), halved=options.aa)
        if (chosen := hardest_common_level(groups)) is not None:
            apart.append(f"they have no target in common: compared at {chosen:g}%; --level names another")
    if len(groups) < 2:
        raise JudgeError(f"{groups[0].label}: all its runs are alike in {', '.join(question.by)}; expected two kinds")
    check_given_once([run for _, runs in named for run in runs if len(run.record)])
    if options.merit:
        return at_common_levels(groups, question, check_comparable), groups, apart
    alone = [group for group in groups if all(unlike((group, other)) for other in groups if other is not group)]
    if len(alone) == len(groups):
        check_alike(groups)
    groups = [group for group in groups if not any(group is other for other in alone)]
    apart += [f"{group.label}: left out, as no other learns the same" for group in alone]
    if differ := unlike(groups):
        apart.append(f"they differ in {', '.join(differ)}: only those that learn the same are compared")
    return at_common_levels(groups, question, lambda _: None), groups, apart


def _judged(
    named: Sequence[tuple[str, list[Run]]], question: Question, *, halved: bool
) -> tuple[list[Group], list[str]]:
    """Return the groups of each operand, and what is to be said of them."""
    groups, apart = [], []
    for name, runs in named:
        judged = judge(runs, question)
        apart += [f"{name}: {text}" for text in said(judged.runs, judged.question, question)]
        if halved and apart:
            raise JudgeError(f"{apart[0]}; expected runs alike for two halves")
        if len({(group.emulated, group.platform, group.workload) for group in judged}) != 1:
            kinds = ", ".join(f"{group.label} {group.workload}" for group in judged) or "none with rows"
            raise JudgeError(f"{name}: runs of {len(judged)} kinds ({kinds}); expected one platform and workload")
        groups += [replace(group, name=name) for group in judged]  # several with --by
    return groups, apart


def _named_runs(options: argparse.Namespace) -> Iterator[tuple[str, list[Run]]]:
    there = None
    for operand in options.operands:
        name, equals, pattern = operand.partition("=")
        if not equals and (operand.endswith(".csv") or set(operand) & {"/", os.sep} and Path(operand).is_dir()):
            name, equals, pattern = operand, "=", operand
        if equals:
            paths = cli.journals_in(pattern) if Path(pattern).is_dir() else sorted(glob.glob(pattern))
            if not paths:
                raise JudgeError(f"no file matches {pattern}; expected the CSV files of runs")
            yield name, [read_run(path) for path in paths]
            continue
        if there is None:
            there = [read_run(path) for path in sorted(Path(options.results).glob("*.csv"))]
        found = [run for run in there if len(run.record) and run.identity.platform == name]
        if not found:
            names = sorted({run.identity.platform for run in there if len(run.record)})
            raise JudgeError(
                f"no runs of platform {name!r} in {options.results}; there are {', '.join(names) or 'none'}; files are "
                f"given as NAME='files*.csv'"
            )
        yield name, found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("operands", nargs="*", metavar="PLATFORM|NAME=FILES", help="a platform, or a name and a pattern of journals")
    add("--results", default="results", metavar="DIR", help="where the runs of platforms are; default: %(default)s")
    add("--aa", action="store_true", help="compare two halves of one platform's runs; exit status 1 if they differ")
    cli.add_metric(parser, default="wer")
    cli.add_levels(parser, default="the hardest level that all runs reached")
    cli.add_epochs(parser)
    cli.add_every_evaluation(parser)
    cli.add_reference(parser)
    cli.add_clock(parser)
    cli.add_by(parser)
    words = "differences under this percentage do not matter; default: %(default)g"
    add("--margin", type=_margin, default=5.0, metavar="PERCENT", help=words)
    add(
        "--every-run",
        action="store_true",
        help="judge by e-values, which hold even if the result is checked after each run",
    )
    add("--merit", action="store_true", help="split ratios of times: steps, seconds a step, evaluation and the rest")
    add("--profile", action="store_true", help="compare over many levels: a performance profile, and the order of rigs")
    cli.add_output(parser)
    cli.add_terms(parser)
    return parser


def _margin(text: str) -> float:
    found = cli.percent(text)
    if not 0 < found <= 100:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected more than 0 percent, at most 100")
    return found


if __name__ == "__main__":
    sys.exit(main())
