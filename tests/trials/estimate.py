"""Does a run take what an estimate of a minute foretold? Seconds an epoch, and time to accuracy.

    python -m tests.trials.estimate --an4 AN4 --max-epochs 3
    python -m tests.trials.estimate --only mini-modern --runs results/*.csv

For the workload `mini`, and for AN4 if its folder is given, in the recipes `paper` and `modern`: a probe, then three
seeds of `python -m benchmark`. The seconds of an epoch are foretold for just the epochs that the runs have, and the
times to accuracy are those of runs that go to their targets: without --max-epochs those made here, and --runs, which
were made before on the same machine. A third table says how straight the line is in which an evaluation's seconds
follow the character error rate. They stand in docs/rig.md.

With --max-epochs 3 it takes a quarter of an hour on two cores that do nothing else; without it three quarters.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import cli
from benchmark.judge.question import level_name
from benchmark.judge.reference import settings_digest
from benchmark.record import Run, read_run
from benchmark.record.foretold import Foretold, about_of, facts_of, foretold_in
from benchmark.rig.estimate import epochs
from benchmark.rig.estimate.measured import UNSURE_FROM, Measured
from tests.trials import common

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("paper", "modern")


@dataclass(frozen=True)
class Case:
    """A workload in a recipe, the estimate of it and the runs that were made."""

    name: str
    foretold: Foretold
    runs: tuple[Run, ...]


def told(foretold: Foretold, count: int) -> float:
    """Return the seconds of an epoch as the estimate has them for the epochs after the first of `count`."""
    measured = Measured.from_dict(foretold.measured)
    sides = epochs.reference_for(epochs.convergence_to_be(measured.about), epochs.read_references([]))
    if isinstance(sides, str):
        return foretold.epoch_s.value
    return measured.epoch(epochs.mean_errors([run.cer for _, _, runs in sides for run in runs], count)[1:]).total_s


def of_epochs(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the table of seconds an epoch."""
    yield "| | epochs | foretold | 95% | measured, by seed | error of their mean |"
    yield "|---|---|---|---|---|---|"
    for case in cases:
        known = [
            (run, s) for run in case.runs if (s := run.record.seconds_per_epoch) and len(run.record.evaluations) > 1
        ]
        if not known:
            continue
        count = round(statistics.fmean(len(run.record.evaluations) for run, _ in known))
        foretold_s, took_s = told(case.foretold, count), statistics.fmean(s for _, s in known)
        factor = foretold_s / case.foretold.epoch_s.value
        bounds = [case.foretold.epoch_s.low, case.foretold.epoch_s.high]
        within = "NA" if None in bounds else " to ".join(f"{bound * factor:.2f}" for bound in bounds)
        seeds = ", ".join(f"{s:.2f}" for _, s in known)
        yield f"| {case.name} | {count} | {foretold_s:.2f} s | {within} | {seeds} | {foretold_s / took_s - 1:+.1%} |"


def of_levels(cases: Sequence[Case], others: Sequence[Run]) -> Iterator[str]:
    """Yield the table of times to accuracy."""
    yield "| | level | foretold, min | 95% of runs | measured, by run | within |"
    yield "|---|---|---|---|---|---|"
    for case in cases:
        alike = [run for run in others if is_alike(run, case.foretold)]
        for level in case.foretold.levels:
            rows = [run.record.reached(level.metric, level.percent, window=3) for run in (*case.runs, *alike)]
            minutes = [
                run.record.read_s(row, "wall") / 60
                for run, row in zip((*case.runs, *alike), rows, strict=True)
                if row is not None
            ]
            if not minutes:
                continue
            bounds = level.minutes
            around = "NA" if bounds.low is None else f"{bounds.low:.2f} to {bounds.high:.2f}"
            inside = sum(bool(bounds.holds(each)) for each in minutes)
            yield (
                f"| {case.name} | {level_name(level.metric, level.percent)} | {bounds.value:.2f} | {around} | "
                f"{', '.join(f'{each:.2f}' for each in minutes)} | {inside} of {len(minutes)} |"
            )


def of_decoding(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the table of how an evaluation's seconds follow the character error rate."""
    yield "| run | evaluations | s at the first | s at the last | a point of CER | r2 |"
    yield "|---|---|---|---|---|---|"
    for run in runs:
        rows = [row for row in run.record.evaluations if row.cer is not None]
        if len(rows) < 3:
            continue
        errors, seconds = [min(UNSURE_FROM, row.cer) for row in rows], [row.seconds for row in rows]
        slope, _ = statistics.linear_regression(errors, seconds)
        r = statistics.correlation(errors, seconds)
        yield (
            f"| {run.identity.workload_label}, {run.identity.recipe}, seed {run.identity.seed} | {len(rows)} | "
            f"{seconds[0]:.2f} | {seconds[-1]:.2f} | {slope:.3f} s | {r * r:.2f} |"
        )


def is_alike(run: Run, foretold: Foretold) -> bool:
    """Tell whether a run is of what was estimated, whenever it was made."""
    facts = facts_of(run)
    if facts is None:
        return False
    about = about_of(run.identity, facts.platform, facts.host, settings_digest(facts.workload))
    return not foretold.differs(about)


def made(name: str, words: Sequence[str], options: argparse.Namespace) -> Case:
    """Probe, and run all seeds; what is there of an earlier call is not made again."""
    folder = options.out / name
    shared = [*words, "--results", str(folder), *(["--data", str(options.data)] if options.data else [])]
    if not list(foretold_in(folder / "estimates")):
        minutes = ["--minutes", str(options.minutes)] if options.minutes else []
        call("benchmark.rig.estimate", *shared, *minutes)
    limit = ["--max-epochs", str(options.max_epochs)] if options.max_epochs else []
    runs = []
    for seed in options.seeds:
        journal = folder / f"seed{seed}.csv"
        if not (folder / f"seed{seed}" / "end.json").is_file():
            call("benchmark", *shared, *limit, "--seed", str(seed), "--name", f"seed{seed}")
        runs.append(read_run(str(journal)))
    return Case(name, next(foretold_in(folder / "estimates")), tuple(runs))


def call(module: str, *words: str) -> None:
    """Call a command of the suite. Raises ValueError if it fails."""
    cli.say(" ".join(["python -m", module, *words]))
    done = subprocess.run(
        [sys.executable, "-m", module, *words], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=sys.stderr
    )
    if done.returncode:
        raise ValueError(f"python -m {module} ended with status {done.returncode}")


def trial(options: argparse.Namespace) -> None:
    corpora = {"mini": ["--workload", "mini"]}
    if options.an4:
        corpora["an4"] = ["--workload", "speech", "--corpus", str(options.an4)]
    asked = {f"{name}-{recipe}": [*words, "--recipe", recipe] for name, words in corpora.items() for recipe in RECIPES}
    if unknown := set(options.only or ()) - asked.keys():
        raise ValueError(f"--only {', '.join(sorted(unknown))}; there are {', '.join(asked)}")
    cases = [made(name, words, options) for name, words in asked.items() if name in (options.only or asked)]
    others = cli.read_runs(options.runs) if options.runs else []
    whole = [*(run for case in cases for run in case.runs), *others]
    print("\n".join([*of_epochs(cases), "", *of_levels(cases, others), "", *of_decoding(whole)]))


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("estimate", __doc__)
    add = parser.add_argument
    add("--an4", type=Path, metavar="DIR", help="AN4 in LibriSpeech layout; default: mini alone")
    add("--data", type=Path, metavar="DIR", help="where features are; default: data")
    words = "estimates and runs, and where a call that was broken off goes on; default: %(default)s"
    add("--out", type=Path, default=Path("studies/estimate"), metavar="DIR", help=words)
    add("--only", nargs="+", metavar="CASE", help="mini-paper, mini-modern, an4-paper, an4-modern")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    add("--max-epochs", type=int, metavar="N", help="end runs after so many; default: at their targets")
    add("--minutes", type=float, metavar="M", help="of each probe; default: the command's")
    add("--runs", nargs="+", default=[], metavar="CSV", help="journals of whole runs, made before on this machine")
    return common.run("estimate", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
