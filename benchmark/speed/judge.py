"""Part `judge`: `python -m benchmark.tta` on a journal of 10,000 rows, the whole process, from its start to its end.

Baseline: a process that reads the same file with pandas and prints how many rows it has. Limit: a Python process that
does nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmark.metrics import METRICS
from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome
from benchmark.record.journal import Journal
from benchmark.record.phases import Phase
from benchmark.speed.contest import ROOT, ContestError, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting

ROWS, TARGET_S = 10_000, 1.0
EPOCH_ROWS = 100  # the last one is an evaluation
IDENTITY = Identity(
    run="made-by-hand",
    platform="cpu",
    workload="mini",
    recipe="paper",
    seed=1,
    replicas=1,
    devices="CPU",
    emulated=False,
    batch=16,
    precision="float32",
    features="0" * 12,
    decoder="greedy",
    evaluation="resident",
    code="0",
)


def measure(setting: Setting) -> list[Result]:
    """Measure the judge; return one Result."""
    rows = 200 if setting.tiny else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = write_journal(Path(folder) / "made-by-hand.csv", rows=rows)
        commands = {
            "ours": ["-m", "benchmark.tta", str(path)],
            "pandas": ["-c", f"import pandas; print(len(pandas.read_csv({str(path)!r})))"],
            "nothing": ["-c", "pass"],
        }
        turns = {name: lambda command=command: _process_s(command) for name, command in commands.items()}
        played = play(turns, rounds=setting.rounds, label="judge")
    return [
        Result(
            part=f"judge, {rows:,} rows",
            unit="s",
            ours=played.median("ours"),
            baseline=played.median("pandas"),
            ratios=played.ratios("pandas", "ours"),
            limit_share=played.median("nothing") / played.median("ours"),
            note=f"whole process; baseline: pandas.read_csv and no judgement; limit: python -c pass; target under "
            f"{TARGET_S:g} s",
            measured=played.answers,
        )
    ]


def write_journal(path: Path, *, rows: int) -> Path:
    """Write a made-up run: creation, then epochs of 99 train rows and an evaluation whose errors fall."""
    journal = Journal.create(path, IDENTITY)
    journal.append(Phase.CREATE, Span(0.0, 2.0), Outcome(step=0, epoch=0))
    ended_s = 2.0
    for number in range(rows - 1):
        epoch = number // EPOCH_ROWS + 1
        step = 50 * (number - (epoch - 1))
        if number % EPOCH_ROWS == EPOCH_ROWS - 1:
            percent = 1 + 99 / epoch
            rates: dict[str, Any] = dict.fromkeys(METRICS, percent)
            journal.append(Phase.EVALUATE, Span(ended_s, 3.0), Outcome(step=step, epoch=epoch, utterances=150, **rates))
        else:
            trained = Outcome(step=step + 50, epoch=epoch, utterances=800, audio_s=1700.0, loss=30.0)
            journal.append(Phase.TRAIN, Span(ended_s, 3.0), trained)
        ended_s += 3.0
    journal.close()
    return path


def _process_s(arguments: list[str]) -> dict:
    started_s = time.monotonic()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    seconds = time.monotonic() - started_s
    if done.returncode:
        last = (done.stderr.strip() or "it left no message").splitlines()[-1]
        raise ContestError(f"python {' '.join(arguments)[:60]}: ended with status {done.returncode}: {last}")
    return {"seconds": seconds}
