"""Checks of the GPU's memory: what the modes of evaluation need, whether that grows, what happens without enough.

`hold.py` holds memory in another process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import platforms
from benchmark.record import Run
from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.machine import ROOT
from tests.trials.on_gpu.setting import Setting
from tests.trials.on_gpu.training import command_of, shown, trained

GROWTH = 0.05  # from the second epoch to the last
LEFT_MIB = 3072
LARGE_BATCH = 1024  # utterances a GPU: its activations alone are more than what is left


def modes(setting: Setting, findings: Findings) -> None:
    """Look at the memory that two modes of evaluation need in every epoch."""
    for mode in ("resident", "swap"):
        run = trained(setting, findings, *(("float32",) if mode == "resident" else ("swap", "--evaluation", "swap")))
        mib = by_epoch(run)
        most = ", ".join(f"{each:.0f}" for each in mib)
        what = f"{mode}: most MiB in each epoch"
        if setting.rehearse:  # of the process, in which other things grow
            findings.told(what, f"{most} (of the process: no GPU)", figures={"mib": mib})
        else:
            right = len(mib) > 1 and mib[-1] <= (1 + GROWTH) * mib[1]
            expected = f"in the last at most {GROWTH:.0%} more than in the second"
            findings.judged(what, most, expected=expected, right=right, figures={"mib": mib})


def by_epoch(run: Run) -> list[float]:
    """Return the most memory in each epoch, evaluation included: of the first GPU that trained, else of the process."""
    usage, used = run.usage(), run.facts.devices.sensors
    column = f"{used[0]}_memory_mib" if used else "process_memory_mib"
    found, began_s = [], 0.0
    for evaluation in run.record.evaluations:
        rows = usage.samples[usage.samples["seconds"].between(began_s, evaluation.ended_s)][column].dropna()
        found += [float(rows.max())] if len(rows) else []
        began_s = evaluation.ended_s
    return found


def out_of_memory(setting: Setting, findings: Findings) -> None:
    """Start a run that does not fit into what another process leaves of the GPU's memory."""
    batch = LARGE_BATCH * platforms.load(setting.platform).replicas
    command = command_of(setting, "too-large", "--batch", str(batch), "--buffer", "2", epochs=1)
    findings.command(command)
    with held(LEFT_MIB) as left_mib:
        findings.told("left by another process", f"{left_mib:.0f} MiB", figures={"mib": left_mib})
        status, said = shown(command)
    findings.judged("exit status", str(status), expected="2", right=status == 2)
    sentence = next((line for line in reversed(said) if line.startswith("benchmark: ")), "")
    named = [word for word in ("--batch", "--accumulation") if word in sentence]
    findings.judged(
        "last sentence", sentence or "none", expected="it names --batch and --accumulation", right=len(named) == 2
    )


@contextmanager
def held(left_mib: int) -> Iterator[float]:
    """Have another process hold all but so much of the first GPU's memory; yield what is left, in MiB."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.trials.on_gpu.hold", str(left_mib)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "false"},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        if not line:
            raise ValueError(f"the process that holds memory ended with status {process.wait()}; see above")
        yield json.loads(line)["left_mib"]
    finally:
        process.stdin.close()
        process.wait()
