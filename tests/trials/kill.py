"""Does a run that is killed again and again end in the figures of a run that nobody touched?

    python -m tests.trials.kill --kills 50 --evaluation overlap [-- OPTIONS OF python -m benchmark]

Runs `python -m benchmark` twice with the same seed: once as it is, and once killed by SIGKILL at random moments,
between its process's start and some seconds after model creation, and started again with the same command until it
ends; new runs follow until there have been so many kills. Compares error rates and the loss of every epoch, within
1e-6, and prints the kills by the phase that was under way. Fifty kills take about 15 minutes on two cores; the figures
stand in docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmark.metrics import METRICS
from benchmark.record.columns import COLUMNS
from benchmark.record.folder import END
from benchmark.record.history import RunRecord
from benchmark.record.journal import read
from benchmark.record.phases import Phase
from benchmark.workloads import EVALUATIONS
from tests.trials import common

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--sentences", "200", "--max-epochs", "8", "--decoder", "greedy", "--seed", "3"]
LIFE_S = (4.0, 18.0)
CLOSE = 1e-6


def figures(record: RunRecord) -> dict[tuple[str, int], float]:
    """Error rates of every epoch in percent, and its loss summed over its utterances."""
    found: dict[tuple[str, int], float] = {}
    for row in record.standing:
        if row.phase is Phase.TRAIN and row.loss is not None:
            key = ("loss", row.epoch)
            found[key] = found.get(key, 0.0) + row.loss * row.utterances
    for row in record.evaluations:
        found |= {(metric, row.epoch): getattr(row, metric) for metric in METRICS}
    return found


def live(command: list[str], folder: Path, seconds: float | None) -> int | None:
    """Let one process live; returns its status, None if it was killed after so many seconds."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("a"), start_new_session=True
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return None


def under_way(path: Path) -> str:
    """The phase after the journal's last row, as far as it can be told."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return "before the journal"
    place = COLUMNS.index("phase")
    return (
        f"after {lines[-1].split(',')[place]}"
        if len(lines) > 1 and lines[-1].count(",") > place
        else "at the first row"
    )


def trial(options: argparse.Namespace) -> None:
    folder = options.folder or Path(tempfile.mkdtemp())
    os.environ["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "benchmark", *options.options, "--evaluation", options.evaluation, "--name"]
    if live([*command, "whole"], folder, None) != 0:
        raise ValueError(f"the run that nobody touched failed: {_end_of(folder / 'log')}")
    expected = figures(read(folder / "results" / "whole.csv"))
    chance, kills, runs = random.Random(1), Counter[str](), 0
    while kills.total() < options.kills:
        runs += 1
        kill_one(f"killed-{runs}", command, folder, expected, chance, kills)
    print(f"{kills.total()} kills in {runs} runs: {', '.join(f'{n} {phase}' for phase, n in kills.most_common())}")


def kill_one(
    name: str, command: list[str], folder: Path, expected: dict[tuple[str, int], float], chance: random.Random,
    kills: Counter[str],
) -> None:  # fmt: skip
    """Kill one run until it ends. Raises ValueError if it failed or ended in other figures."""
    began_s, status = time.monotonic(), None
    while status is None and not (folder / "results" / name / END).exists():  # a kill may come after the end
        status = live([*command, name], folder, chance.uniform(*LIFE_S))
        if status is None:
            kills[under_way(folder / "results" / f"{name}.csv")] += 1
    if status not in (0, None):
        raise ValueError(f"{name} ended with status {status}: {_end_of(folder / 'log')}")
    record = read(folder / "results" / f"{name}.csv")
    found = figures(record)
    if found.keys() != expected.keys():
        raise ValueError(f"{name}: other epochs than the run that nobody touched")
    worst = max(abs(found[key] - expected[key]) / max(1.0, abs(expected[key])) for key in expected)
    if worst > CLOSE:
        raise ValueError(f"{name}: a figure differs by {worst:.1e}; expected at most {CLOSE:g}")
    down_s = sum(row.down_s or 0.0 for row in record.rows)
    print(
        f"{name}: {record.attempts} attempts, {len(record.rows) - len(record.standing)} rows of lost work, "
        f"clock {record.ended_s:.1f} s, down {down_s:.1f} s, in all {time.monotonic() - began_s:.1f} s; "
        f"largest difference {worst:.1e}",
        flush=True,
    )


def _end_of(log: Path) -> str:
    return " | ".join(log.read_text().splitlines()[-3:])


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("kill", __doc__)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="default: %(default)s")
    parser.add_argument("--evaluation", choices=EVALUATIONS, default="overlap", help="default: %(default)s")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="for data and results; default: a temporary one")
    parser.add_argument("options", nargs="*", default=TINY, help=f"of python -m benchmark; default: {' '.join(TINY)}")
    return common.run("kill", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
