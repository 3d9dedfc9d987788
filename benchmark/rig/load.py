"""Work for every GPU of the machine, in a child process, so that links and clocks can be read as they are under load.

    with under_load("copies", seconds=5) as work:      # or "products", of matrices
        ...                                             # read NVML
    work.rates                                          # {"GPU:0": 12.1}: GB/s to the GPU, or TFLOP/s, once it is over

The child loads TensorFlow; without a GPU "products" run on the CPU. Raises LoadError if it cannot begin.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Timer

KINDS = ("copies", "products")
START_LIMIT_S = 120.0
BYTES = 2**28  # of one copy
SIZE = 4096  # of a matrix
CPU_SIZE = 1024


class LoadError(RuntimeError):
    """The work could not begin; the message says why."""


@dataclass
class Work:
    """What the child measured: GB/s or TFLOP/s by device; empty until it is over."""

    rates: dict[str, float] = field(default_factory=dict)


@contextmanager
def under_load(kind: str, *, seconds: float) -> Iterator[Work]:
    """Yield while a child process copies or multiplies; it ends with the block, or by itself after `seconds`."""
    command = [sys.executable, "-m", "benchmark.rig.load", kind, f"{seconds:g}"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    work, timer = Work(), Timer(START_LIMIT_S + seconds, child.kill)
    timer.start()
    try:
        if child.stdout is None or child.stdout.readline().strip() != "ready":
            _, errors = child.communicate()
            lines = errors.strip().splitlines() or [f"status {child.returncode}"]
            raise LoadError(f"{kind} did not begin: {lines[-1][:200]}")
        yield work
        text, _ = child.communicate()
        if text.strip():
            work.rates.update(json.loads(text.strip().splitlines()[-1]))
    finally:
        timer.cancel()
        if child.poll() is None:
            child.kill()
            child.communicate()


def main(kind: str, seconds: float) -> None:
    """Do the work; say "ready" when it has begun, and at its end the rates as JSON."""
    from benchmark.run.prepare.devices import synchronise, tf

    gpus = [gpu.name.removeprefix("/physical_device:") for gpu in tf.config.list_physical_devices("GPU")]
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if kind == "copies" and not gpus:
        raise SystemExit("no GPU to copy to: TensorFlow sees none")
    devices, size = gpus or ["CPU:0"], SIZE if gpus else CPU_SIZE
    with tf.device("CPU:0"):
        host = tf.zeros([BYTES // 4]) if kind == "copies" else tf.ones([size, size])
    held = {}
    for device in devices:
        with tf.device(device):
            held[device] = tf.identity(host)

    def once() -> None:
        for device in devices:
            with tf.device(device):
                held[device] = tf.identity(host) if kind == "copies" else tf.matmul(held[device], held[device]) / size
        synchronise()

    once()  # what is loaded and compiled first
    print("ready", flush=True)
    start, rounds = time.monotonic(), 0
    while (spent := time.monotonic() - start) < seconds:
        once()
        rounds += 1
    each = BYTES / 1e9 if kind == "copies" else 2 * size**3 / 1e12
    print(json.dumps({device: round(each * rounds / spent, 3) for device in devices}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
