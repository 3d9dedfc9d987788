"""The machine that the trial runs on, and a platform file for its GPU.

there = look(environment)                   # asks in a process of its own: TensorFlow takes memory of every GPU
there.gpus, there.listed                    # those that TensorFlow can use, those that the driver lists
write_platform(there, folder / "gpu.toml")
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 180.0
MIB, GIB = 2**20, 2**30

PLATFORM = """\
# Written by tests.trials.gpu for the machine at hand; it has no price.
name = {name}
label = {label}
description = "one GPU of the machine that the trial runs on"

[hardware]
gpus = 1
gpu = {gpu}
gpu_memory_gib = {memory_gib}
links = [{link}]
cpu = {cpu}
logical_cores = {logical_cores}
ram_gib = {ram_gib}

[input]
batch = 16
readers = {readers}
buffer = 16

[training]
reduction = "first-gpu"
precision = "float32"
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was found; None, or empty, is not known. `gpus` are those that TensorFlow can use, `listed` the driver's.

    `memory_gib` and `link` are those of the first GPU that TensorFlow uses.
    """

    gpus: tuple[str, ...]
    listed: tuple[str, ...]
    driver: str | None
    memory_gib: float | None
    link: str | None
    cpu: str | None
    logical_cores: int
    ram_gib: float
    system: str
    python: str
    versions: Mapping[str, str] = field(default_factory=dict)
    code: str

    def described(self) -> str:
        """Return the GPUs in words: "2 x NVIDIA V100", "no GPU"."""
        names = dict.fromkeys(self.gpus)
        return " + ".join(f"{self.gpus.count(name)} x {name}" for name in names) or "no GPU"

    def without_gpu(self) -> str:
        """Return the sentence for a machine whose GPU, if it has one, TensorFlow cannot use."""
        listed = f"the driver lists {', '.join(self.listed)}" if self.listed else "the driver lists none"
        way_out = " (its CUDA libraries come with tensorflow[and-cuda]: make setup)" if self.listed else ""
        return f"no GPU: TensorFlow can use none, {listed}{way_out}; --rehearse tries all on the CPU with tiny sizes"


def look(environment: Mapping[str, str]) -> Machine:
    """Look at the machine. Raises ValueError if TensorFlow or the driver do not answer."""
    command = [sys.executable, "-m", "tests.trials.on_gpu.machine"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"TensorFlow did not say within {LIMIT_S:.0f} s which GPUs there are; does nvidia-smi?"
        ) from None
    if done.returncode:
        last = (done.stderr.strip() or "it left no message").splitlines()[-1]
        raise ValueError(f"TensorFlow did not say which GPUs there are (status {done.returncode}): {last}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Machine(**{**found, "gpus": tuple(found["gpus"]), "listed": tuple(found["listed"])})


def write_platform(there: Machine, path: Path) -> None:
    """Write a platform file of one GPU. Raises ValueError if the driver does not tell its memory."""
    if there.gpus and there.memory_gib is None:
        raise ValueError("the driver does not tell the GPU's memory; give a file with --platform (platforms/README.md)")
    text = PLATFORM.format(
        name=json.dumps(path.stem),  # TOML's plain strings are JSON's
        label=json.dumps(there.gpus[0] if there.gpus else "no GPU"),
        gpu=json.dumps(there.gpus[0] if there.gpus else "none, the CPU in its place"),
        memory_gib=there.memory_gib or 1,
        link=json.dumps(there.link or "unknown"),
        cpu=json.dumps(there.cpu or "unknown"),
        logical_cores=there.logical_cores,
        ram_gib=there.ram_gib,
        readers=max(2, min(8, there.logical_cores // 2)),
    )
    path.write_text(text, encoding="utf-8")


def board() -> Any:
    """Return NVML's handle of the first GPU that CUDA shows this process: the two count in orders of their own.

    Raises pynvml.NVMLError, and ValueError if NVML lists no such GPU.
    """
    import pynvml

    from benchmark.run.watch import gpus
    from platforms.machine import cuda_boards

    pynvml.nvmlInit()
    first = cuda_boards()[:1]
    for number, each in enumerate(gpus.boards(pynvml).values()):
        if each["pci"] in first:
            return pynvml.nvmlDeviceGetHandleByIndex(number)
    raise ValueError(f"NVML lists no GPU at {first[0] if first else 'a place that CUDA knows'}")


def _found() -> Machine:
    import psutil

    from benchmark.run.prepare.devices import tf
    from benchmark.run.prepare.provenance import short_code
    from benchmark.speed.results import machine

    known = machine()
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return Machine(
        gpus=tuple(each.get("device_name", "GPU") for each in details),
        listed=tuple(known["gpus"]),
        **board_facts(),
        cpu=known["cpu"],
        logical_cores=known["logical_cores"],
        ram_gib=round(psutil.virtual_memory().total / GIB, 1),
        system=known["system"],
        python=known["python"],
        versions={name: version for name, version in known["versions"].items() if version},
        code=short_code(),
    )


def board_facts() -> dict[str, Any]:
    """Return driver, memory and link of the first GPU that CUDA shows; None is not known."""
    import pynvml

    def asked(ask: Callable[[], Any]) -> Any:
        with contextlib.suppress(pynvml.NVMLError):
            return ask()
        return None

    try:
        one = board()
    except (pynvml.NVMLError, ValueError):
        return {"driver": None, "memory_gib": None, "link": None}
    memory = asked(lambda: round(pynvml.nvmlDeviceGetMemoryInfo(one).total / GIB, 1))
    generation = asked(lambda: pynvml.nvmlDeviceGetMaxPcieLinkGeneration(one))
    width = asked(lambda: pynvml.nvmlDeviceGetMaxPcieLinkWidth(one))
    link = f"PCIe {generation}.0 x{width}" if generation and width else None
    return {"driver": asked(pynvml.nvmlSystemGetDriverVersion), "memory_gib": memory, "link": link}


if __name__ == "__main__":
    print(json.dumps(asdict(_found())))
