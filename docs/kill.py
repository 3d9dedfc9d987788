"""Kill a run with SIGKILL again and again, and see that it ends in the figures of a run that nobody touched.

    python docs/kill.py [--kills 50] [--evaluation overlap] [--folder DIR] [-- OPTIONS OF python -m benchmark]

Runs `python -m benchmark` twice with the same seed: once as it is, and once killed at random moments, between its
process's start and some seconds after model creation, and started again with the same command until it ends; new runs
follow until there have been so many kills. Compares error rates and the loss of every epoch, within 1e-6,
and prints the kills by the phase that was under way.
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
from pathlib import Path

from benchmark.record.journal import RunRecord, read
from benchmark.record.phases import Phase
from benchmark.run.resume import END

TINY = ["--sentences", "200", "--max-epochs", "8", "--decoder", "greedy", "--seed", "3"]
LIFE_S = (4.0, 18.0)


def figures(record: RunRecord) -> dict[tuple[str, int], float]:
    """Per epoch: error rates in percent, and the loss summed over its utterances."""
    found: dict[tuple[str, int], float] = {}
    for row in record.standing:
        if row.phase is Phase.TRAIN and row.loss is not None:
            key = ("loss", row.epoch)
            found[key] = found.get(key, 0.0) + row.loss * row.utterances
    for row in record.evaluations:
        found |= {(metric, row.epoch): getattr(row, metric) for metric in ("wer", "cer", "wer_mean", "cer_paper")}
    return found


def live(command: list[str], folder: Path, seconds: float | None) -> int | None:
    """One process; None if it was killed after so many seconds."""
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
    return f"after {lines[-1].split(',')[16]}" if len(lines) > 1 and lines[-1].count(",") > 16 else "at the first row"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--evaluation", default="overlap")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("options", nargs="*", default=TINY)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-m", "benchmark", *options.options, "--evaluation", options.evaluation, "--name"]
    assert live([*command, "whole"], folder, None) == 0, (folder / "log").read_text()[-2000:]
    expected = figures(read(folder / "results" / "whole.csv"))
    chance, kills, runs = random.Random(1), Counter(), 0
    while kills.total() < options.kills:
        runs += 1
        name, began_s = f"killed-{runs}", time.monotonic()
        status = None
        while status is None and not (folder / "results" / name / END).exists():  # a kill may come after the end
            status = live([*command, name], folder, chance.uniform(*LIFE_S))
            if status is None:
                kills[under_way(folder / "results" / f"{name}.csv")] += 1
        assert status in (0, None), (status, (folder / "log").read_text()[-2000:])
        record = read(folder / "results" / f"{name}.csv")
        found = figures(record)
        worst = max(abs(found[key] - expected[key]) / max(1.0, abs(expected[key])) for key in expected)
        assert found.keys() == expected.keys() and worst <= 1e-6, (name, worst)
        down_s = sum(row.down_s or 0.0 for row in record.rows)
        print(
            f"{name}: {record.rows[-1].attempt} attempts, {len(record.rows) - len(record.standing)} rows of lost work, "
            f"clock {record.ended_s:.1f} s, down {down_s:.1f} s, in all {time.monotonic() - began_s:.1f} s; "
            f"largest difference {worst:.1e}",
            flush=True,
        )
    print(f"{kills.total()} kills in {runs} runs: {', '.join(f'{n} {phase}' for phase, n in kills.most_common())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
