"""Make the reference of convergence: train honest runs, and write how many utterances each took.

    python -m benchmark.reference                       # mini: batches 16 and 96, recipes paper and modern, 10 seeds
    python -m benchmark.reference --corpus DIR          # a corpus: batch 16, the same recipes, 5 seeds
    python -m benchmark.reference --dry-run             # which runs are missing, and by which commands they are made
    python -m benchmark.reference --collect RUNS...     # only write reference.csv, from runs that are there
    python -m benchmark.reference --show                # epochs to each target, by the file

Runs are ordinary ones, in a folder of their own. Those that are over are left alone and an interrupted one goes on, so
that the same command finishes a plan that was stopped; Ctrl-C saves first. What has finished stands in reference.csv
beside them (or --reference FILE, whose other rows stay). They end at the workload's targets; --no-targets with
--max-epochs goes on, for targets that are harder. Each row keeps the whole error curve, so that any level on it can be
judged later. benchmark.tta, compare, report and export hold runs against the suite's own file, or --reference FILE.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import platforms
from benchmark import cli, workloads
from benchmark.judge.question import JudgeError
from benchmark.judge.reference import PACKAGED, read_reference
from benchmark.judge.reference_table import target_rows, target_table
from benchmark.study.reference_runs import NAME, ReferencePoint, collect, missing, plan_of, train_missing
from benchmark.tables import show
from models.table import MODELS

OUT = Path("studies/reference")
RUNS = "runs"  # the folder in it; reference.csv stands beside, where no pattern of journals takes it for one
RECIPES = ("paper", "modern")
MINI = ("mini", (16, 96), 10)
CORPUS = ("speech", (16,), 5)
"""The usual workload, batches and seeds: without a corpus, and with one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input, 130 interrupted, 1 a run failed."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.reference", lambda: _reference(options))


def _reference(options: argparse.Namespace) -> int:
    path = options.reference or options.out / NAME
    if options.show:
        return _show(options, path)
    if options.collect is not None:
        kept = collect(cli.read_runs(options.collect), path, say=cli.say)
        cli.say(f"{path}: {kept} runs")
        return cli.DONE
    shared, plan, runs = _shared(options), _plan(options), options.out / RUNS
    todo = missing(plan, runs)
    cli.say(f"{len(plan)} run{'s' * (len(plan) != 1)} of the reference in {runs}, {len(todo)} of them to train")
    if options.dry_run:
        for point in todo:
            cli.say("  python -m benchmark " + " ".join(point.training(shared, runs)))
        return cli.DONE
    runs.mkdir(parents=True, exist_ok=True)
    try:
        failed = train_missing(plan, shared=shared, out=runs, say=cli.say)
    finally:  # after Ctrl-C too: what has finished is written
        there = [str(journal) for point in plan if (journal := runs / f"{point.name}.csv").is_file()]
        if there:
            cli.say(f"{path}: {collect(cli.read_runs(there), path, say=cli.say)} runs")
    return int(failed > 0)


def _show(options: argparse.Namespace, path: Path) -> int:
    runs = read_reference(str(path) if options.reference or path.is_file() else None)
    if not runs:
        raise JudgeError(f"{PACKAGED}: no reference runs yet; expected some, which python -m benchmark.reference makes")
    targets = {name: workloads.load(name).targets for name in workloads.names()}
    if options.format == "table":
        show(target_table(runs, targets, levels=tuple(options.level), window=options.epochs))
    else:
        found = target_rows(runs, targets, levels=tuple(options.level), window=options.epochs)
        cli.print_rows("benchmark.reference", found, options.format, [])
    return cli.DONE


def _plan(options: argparse.Namespace) -> list[ReferencePoint]:
    """Return the runs that are asked for. Raises ValueError for a recipe that the workload's model does not have."""
    usual, batches, seeds = CORPUS if options.corpus else MINI
    workload = workloads.load(options.workload or usual)
    known = MODELS[workload.model.name].recipes
    recipes = tuple(options.recipes or [name for name in RECIPES if name in known])
    if unknown := [name for name in recipes if name not in known]:
        raise ValueError(f"recipe {unknown[0]!r}; expected one of {workload.model.name}'s: {', '.join(known)}")
    label = options.corpus.resolve().name if options.corpus else workload.name
    return plan_of(label, recipes=recipes, batches=options.batches or batches, seeds=options.seeds or seeds)


def _shared(options: argparse.Namespace) -> list[str]:
    """Return the arguments that all runs have."""
    usual, _, _ = CORPUS if options.corpus else MINI
    platforms.load(options.platform)
    given = {
        "--data": options.data,
        "--platform": options.platform,
        "--workload": options.workload or usual,
        "--corpus": options.corpus,
        "--max-epochs": options.max_epochs,
        "--max-minutes": f"{options.max_minutes:g}",
    }
    words = [word for name, value in given.items() if value for word in (name, str(value))]
    targets = [word for metric, level in options.target for word in ("--target", f"{metric}={level:g}")]
    return words + ["--no-targets"] * options.no_targets + targets


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a whole number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.reference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "-o",
        "--out",
        type=Path,
        default=OUT,
        metavar="DIR",
        help="a folder for runs/ and reference.csv; default: %(default)s",
    )
    words = "the file that is written, or shown; default: reference.csv in that folder"
    add("--reference", type=Path, metavar="FILE", help=words)
    words = "train nothing: write the file from these journals, or folders of them"
    add("--collect", nargs="+", metavar="RUNS", help=words)
    add("--dry-run", action="store_true", help="say what would be trained, and by which commands; write nothing")
    add("--show", action="store_true", help="epochs and utterances to the targets, by the file (or the suite's own)")
    add("--workload", metavar="NAME", help="what is learnt; default: mini, or speech with --corpus")
    add("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="corpora and features; default: %(default)s")
    add("--platform", default="cpu", metavar="NAME", help="the rig that trains, or its file; default: %(default)s")
    words = f"how it is learnt; default: {' and '.join(RECIPES)}, as far as the model has them"
    add("--recipes", nargs="+", metavar="NAME", help=words)
    add(
        "--batches", nargs="+", type=_count, metavar="N", help="global batches; default: 16 and 96, or 16 with --corpus"
    )
    add("--seeds", type=_count, metavar="N", help="runs of each, with seeds 1 to N; default: 10, or 5 with --corpus")
    add("--max-epochs", type=_count, metavar="N", help="most epochs of a run; default: the workload's")
    add("--no-targets", action="store_true", help="go on after the workload's targets, up to --max-epochs")
    cli.add_targets(parser)
    add("--max-minutes", type=float, default=7 * 24 * 60, metavar="M", help="time limit of each run; default: a week")
    cli.add_levels(parser, default="the workload's targets (--show)")
    cli.add_epochs(parser)
    cli.add_format(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
