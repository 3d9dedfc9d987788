"""Limits of the hardware, measured as contenders in the same rounds as what is compared with them.

matmul  the largest rate of matrix products, in FLOP/s: [N, N] x [N, N] in the step's precision, by TensorFlow
read    files read from the page cache into one buffer, nothing else, in bytes/s
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

Ask = Callable[[str], dict]

PRODUCTS = 4
SIDES = {"CPU": 2048, "GPU": 8192}


def matmul(*, precision: str) -> Ask:
    """Time products of 2 N^3 operations; an answer is the best of four."""
    from benchmark.run.prepare import devices

    tf = devices.tf
    kind = devices.single_device(precision).strategy.extended.worker_devices[0].rsplit(":", 2)[1]
    side = SIDES[kind]
    dtype = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}.get(precision, tf.float32)
    with tf.device(f"{kind}:0"):
        left, right = (tf.cast(tf.random.normal([side, side]), dtype) for _ in range(2))

    @tf.function
    def product() -> tf.Tensor:
        return tf.matmul(left, right)

    def once() -> float:
        started_s = time.monotonic()
        product()
        devices.synchronise()
        return time.monotonic() - started_s

    once()

    def ask(_: str) -> dict:
        seconds = min(once() for _ in range(PRODUCTS))
        return {"seconds": seconds, "flops_per_s": 2 * side**3 / seconds}

    return ask


def read(*, paths: list[str]) -> Ask:
    """Time reading all the files, one after the other, 1 MiB at a time."""
    buffer = bytearray(1 << 20)

    def ask(_: str) -> dict:
        started_s, count = time.monotonic(), 0
        for path in paths:
            with Path(path).open("rb", buffering=0) as file:
                while got := file.readinto(buffer):
                    count += got
        return {"seconds": time.monotonic() - started_s, "bytes": count}

    ask("")
    return ask


CONTENDERS = {"matmul": matmul, "read": read}
