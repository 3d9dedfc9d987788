"""Checks that train `mini` with `python -m benchmark`: losses beside a CPU's, other precisions, sensors, a killed run.

    run = trained(setting, findings, "float32")         # made at the first call, then read

Two right float32 kernels differ by 1e-5 in the mean loss of the first 50 batches, by 1e-4 in that of the next and by
1e-3 after 200 (LLVM's and XLA's on a CPU): an epoch of gradients that are a little wrong differs by more.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platforms
from benchmark.record import Run, read_run
from benchmark.record.folder import FINISHED, journal_of, read_end
from benchmark.record.phases import Phase
from tests.trials import kill
from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.machine import ROOT
from tests.trials.on_gpu.setting import NO_GPU, Setting

EPOCHS = 4
TINY_EPOCHS = 3
SENTENCES = 120  # of a rehearsal
FIRST_ROWS = 2  # of at most 50 batches each
LIMIT = 0.002  # of relative differences of mean losses
PRECISION_LIMITS = {"tf32": 0.05, "mixed_bfloat16": 0.05, "mixed_float16": 0.2}
"""Precision -> the limit beside float32; float16 leaves its first batches out until the loss has a scale that fits.

On a CPU bfloat16 differs by 0.4% and 0.2% in the first rows, float16 by 6% more and then 6 to 10% less.
"""
TINY_LIMIT = 0.5  # of other precisions in a rehearsal, which has seven batches
POLL_S = 0.02
NO_GPUS = {"CUDA_VISIBLE_DEVICES": ""}


def losses(setting: Setting, findings: Findings) -> None:
    """Compare the losses of a run on the GPU with those of one on a CPU."""
    gpu = trained(setting, findings, "float32")
    rig = platforms.load(setting.platform)
    # Replicas normalise their own part of a batch: of several, only as many logical CPUs learn the same.
    reference = ["--platform", "cpu" if rig.replicas == 1 else setting.platform, "--batch", str(rig.input.batch)]
    cpu = trained(setting, findings, "cpu", *reference, epochs=2, environment=NO_GPUS)
    _compare(findings, "losses beside a CPU's", gpu, cpu, LIMIT)
    for name, run in (("GPU", gpu), ("CPU", cpu)):
        rates = ", ".join(f"{row.wer:.1f} / {row.cer:.1f}" for row in run.record.evaluations)
        findings.told(f"WER / CER by epoch, {name}", rates)
    because = gpu.facts.content["kernels_because"]
    for part, kernel in gpu.facts.content["kernels"].items():
        findings.told(f"kernel of the {part}", f"{kernel}: {because[part]}")
    if (speed := gpu.record.utterances_per_s) is not None:
        shares = {"utterances_per_s": speed, "input_share": gpu.record.input_share}
        findings.told("speed", f"{speed:.0f} utterances/s, {gpu.record.input_share:.1%} input", figures=shares)


def precision(setting: Setting, findings: Findings, name: str) -> None:
    """Compare the losses of a run in another precision with those of one in float32."""
    reference = trained(setting, findings, "float32")
    other = trained(setting, findings, name, "--precision", name, epochs=1)
    limit = setting.sized(PRECISION_LIMITS[name], tiny=TINY_LIMIT)
    _compare(findings, f"losses beside float32's: {name}", other, reference, limit)
    speeds = [run.record.utterances_per_s for run in (other, reference)]
    if None not in speeds:
        said = f"{speeds[0]:.0f} utterances/s; float32 {speeds[1]:.0f}"
        findings.told("speed", said, figures={"utterances_per_s": speeds})


def _compare(findings: Findings, what: str, run: Run, reference: Run, limit: float) -> None:
    found, expected = (mean_losses(each)[:FIRST_ROWS] for each in (run, reference))
    differences = [a / b - 1 for a, b in zip(found, expected, strict=False)]
    findings.judged(
        f"{what}, by row",
        ", ".join(f"{each:+.1e}" for each in differences) or "no rows",
        expected=f"relative differences under {limit:g}",
        right=bool(differences) and all(abs(each) < limit for each in differences),
        figures={"losses": found, "expected": expected, "differences": differences},
    )


def mean_losses(run: Run) -> list[float]:
    return [row.loss for row in run.record.rows if row.phase is Phase.TRAIN and row.loss is not None]


def sensors(setting: Setting, findings: Findings) -> None:
    """Look at all sensors of the GPU that trained, and at what run.json says of it."""
    run = trained(setting, findings, "float32")
    usage, facts = run.usage(), run.facts
    summary = usage.summary()
    findings.judged("samples", f"{summary.samples}", expected="more than 10", right=summary.samples > 10)
    for sensor, why in facts.unavailable.items():
        findings.told(f"unavailable: {sensor}", why)
    if setting.rehearse:
        findings.left_out("the GPU's sensors", NO_GPU)
        return
    used = facts.devices.sensors
    matched = bool(used) and set(used) <= set(usage.gpus)
    said = f"{', '.join(used or ['none'])}; the machine has {', '.join(facts.host.gpus or ['none'])}"
    findings.judged("GPUs that trained", said, expected="matched with NVML's", right=matched)
    loaded = {name: facts.versions.get(name) for name in ("CUDA", "CUDA driver", "cuDNN")}
    said = ", ".join(f"{name} {version}" for name, version in loaded.items())
    findings.judged("run.json: loaded", said, expected="all known", right=None not in loaded.values(), figures=loaded)
    findings.told("run.json: driver", str(facts.host.nvidia_driver))
    for gpu in used or usage.gpus:
        for sensor, (least, most) in PLAUSIBLE.items():
            _sensor(findings, usage.samples, f"{gpu}_{sensor}", least, most)
    energy = usage.energy(used or usage.gpus)
    said = f"{energy.note or 'not known'}" if energy.mean_w is None else f"{energy.mean_w:.0f} W, {energy.note}"
    findings.judged("mean power of the run", said, expected="known", right=energy.mean_w is not None)


PLAUSIBLE = {
    "power_w": (5, 2000),
    "memory_mib": (300, 2**21),
    "util_percent": (1, 100),
    "temperature_c": (5, 120),
    "sm_clock_mhz": (100, 5000),
    "memory_clock_mhz": (100, 20_000),
    "pcie_gen": (1, 8),
    "pcie_width": (1, 32),
}
"""Sensor -> the range for the largest value of a run that keeps a GPU busy."""


def _sensor(findings: Findings, samples: Any, column: str, least: float, most: float) -> None:
    values = samples[column].dropna() if column in samples else []
    if not len(values):
        findings.judged(column, "no reading", expected="readings", right=False)
        return
    shown = f"{values.min():g} to {values.max():g}, mean {values.mean():.4g}, read in {len(values) / len(samples):.0%}"
    right = least <= values.max() <= most and len(values) > len(samples) / 2
    findings.judged(column, shown, expected=f"a largest value of {least:g} to {most:g}", right=right)


def resume(setting: Setting, findings: Findings) -> None:
    """Kill a run by SIGKILL, give its command again, and compare it with one that was not killed."""
    whole = trained(setting, findings, "float32")
    command = command_of(setting, "killed", epochs=2)
    folder = setting.out / "results" / "killed"
    if not folder.exists():
        findings.command(command)
        _kill_after_first_checkpoint(command, journal_of(folder))
    killed = trained(setting, findings, "killed", epochs=2)
    attempts = sorted({row.attempt for row in killed.record.rows})
    findings.judged("attempts", str(attempts), expected="[1, 2]", right=attempts == [1, 2])
    found, expected = kill.figures(killed.record), kill.figures(whole.record)
    limit = setting.sized(LIMIT, tiny=kill.CLOSE)
    keys = [key for key in found if key[0] == "loss"]
    differences = [found[key] / expected[key] - 1 for key in keys]
    findings.judged(
        "losses beside the run that was not killed, by epoch",
        ", ".join(f"{each:+.1e}" for each in differences),
        expected=f"relative differences of at most {limit:g}",
        right=len(differences) == 2 and all(abs(each) <= limit for each in differences),
        figures={"differences": differences},
    )
    rates = ", ".join(f"{found['cer', epoch]:.2f} beside {expected['cer', epoch]:.2f}" for _, epoch in keys)
    findings.told("CER beside the run that was not killed, by epoch", rates)


def _kill_after_first_checkpoint(command: Sequence[str], journal: Path) -> None:
    """Start a run and kill it when its journal has a checkpoint. Raises ValueError if it ends before that."""
    process = subprocess.Popen(command, cwd=ROOT)
    while not (journal.is_file() and ",checkpoint," in journal.read_text()):
        if process.poll() is not None:
            raise ValueError(f"the run that was to be killed ended before, with status {process.returncode}")
        time.sleep(POLL_S)
    process.send_signal(signal.SIGKILL)
    process.wait()


# --- runs ------------------------------------------------------------------------------------------------------------


def trained(
    setting: Setting, findings: Findings, name: str, *options: str, epochs: int = 0, environment: dict | None = None
) -> Run:
    """Return the run of a name, which is made if it has not finished yet. Raises ValueError if it does not end well."""
    folder = setting.out / "results" / name
    command = command_of(setting, name, *options, epochs=epochs)
    findings.command(command)
    end = read_end(folder)
    if end is None or end.status != FINISHED:
        status, said = shown(command, environment)
        if status:
            raise ValueError(f"the run {name} ended with status {status}: {said[-1] if said else 'without a word'}")
    return read_run(journal_of(folder))


def command_of(setting: Setting, name: str, *options: str, epochs: int = 0) -> list[str]:
    """Return the command of a run; an option that is given goes before the same one of all runs."""
    tiny = ["--sentences", str(SENTENCES), "--decode-jobs", "1"]
    usual = {
        "--platform": setting.platform,
        "--workload": "mini",
        "--decoder": "greedy",
        "--seed": "1",
        "--max-epochs": str(epochs or setting.sized(EPOCHS, tiny=TINY_EPOCHS)),
        "--data": str(setting.out / "data"),
        "--results": str(setting.out / "results"),
    }
    words = [word for option, value in usual.items() if option not in options for word in (option, value)]
    return [
        sys.executable,
        "-m",
        "benchmark",
        *words,
        "--no-targets",
        *setting.sized([], tiny=tiny),
        *options,
        "--name",
        name,
    ]


def shown(command: Sequence[str], environment: dict | None = None) -> tuple[int, list[str]]:
    """Run a command with its output shown; return its exit status and the last lines of its standard error."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    said: deque[str] = deque(maxlen=20)
    for line in process.stderr:
        print(line, end="", flush=True)
        if line.strip():
            said.append(line.strip())
    return process.wait(), list(said)
