"""Does a batch that a tuning found train an epoch with its evaluation, and is its speed what was foretold?

    python -m tests.trials.tune --gib 4 --limit 512
    python -m tests.trials.tune --workload speech --corpus AN4 --gib 0

Tunes a copy of a platform under a limit of memory (RLIMIT_DATA of so many GiB; 0 is none, as on a GPU), then trains one
epoch with its evaluation at the batch that was found, three seeds, under the same limit, and at twice that batch, which
should not fit. Prints a table; it stands in docs/rig.md. It takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import platforms
from benchmark import cli
from tests.trials import common

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30


def call(options: argparse.Namespace, module: str, *words: str) -> int:
    """Call a command of the suite under the limit of memory; return its exit status, 137 if it was killed."""

    def limited() -> None:
        if options.gib:
            resource.setrlimit(resource.RLIMIT_DATA, (round(options.gib * GIB), resource.RLIM_INFINITY))

    cli.say(" ".join(["python -m", module, *words]))
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=sys.stderr,
        preexec_fn=limited,  # noqa: PLW1509 - this process has no threads
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def trial(options: argparse.Namespace) -> None:
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    given = ["--workload", options.workload, "--recipe", options.recipe, "--results", str(out)]
    given += ["--corpus", str(options.corpus)] if options.corpus else []
    given += ["--data", str(options.data)] if options.data else []
    tuned = out / "tuned.toml"
    words = ["--platform", options.platform, "-o", str(tuned), "--limit", str(options.limit)]
    if status := call(options, "benchmark.rig", "tune", *words, *given):
        raise ValueError(f"the tuning ended with status {status}")
    (curve,) = out.glob("tune/*/curve.csv")
    largest = max(
        int(line.split(",")[0]) for line in curve.read_text().splitlines()[1:] if line.split(",")[2] == "True"
    )
    taken = platforms.load(tuned).input.batch
    print("| batch | seed | an epoch and its evaluation |\n|---|---|---|")
    for batch, seeds in ((largest, options.seeds), (taken, options.seeds), (2 * largest, options.seeds[:1])):
        for seed in seeds:
            more = ["--batch", str(batch), "--seed", str(seed), "--max-epochs", "1", "--name", f"b{batch}-{seed}"]
            status = call(options, "benchmark", "--platform", options.platform, *given, *more)
            print(f"| {batch} | {seed} | {'trained' if status == 0 else f'ended with status {status}'} |", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("tune", __doc__)
    add = parser.add_argument
    add("--platform", default="cpu", metavar="NAME", help="default: %(default)s")
    add("--workload", default="mini", metavar="NAME", help="default: %(default)s")
    add("--recipe", default="modern", metavar="NAME", help="default: %(default)s")
    add("--corpus", type=Path, metavar="DIR", help="as of a run")
    add("--data", type=Path, metavar="DIR", help="where features are; default: data")
    add("--gib", type=float, default=4.0, metavar="G", help="limit of memory; 0: none; default: %(default)g")
    add("--limit", type=int, default=512, metavar="N", help="of the batches tried; default: %(default)s")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    add("--out", type=Path, default=Path("studies/tune"), metavar="DIR", help="default: %(default)s")
    return common.run("tune", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
