"""Does TensorFlow compute on the GPU at all, and with which libraries? The first process also fills the driver's cache.

TensorFlow's small kernels hold code for some GPUs only; for others the driver compiles each at its first use.
"""

from __future__ import annotations

import time
from typing import Any

from platforms.loaded import loaded_cuda
from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.setting import NO_GPU, Setting

LIMIT = 1e-4  # relative, of float32


def check(setting: Setting, findings: Findings) -> None:
    began_s = time.monotonic()
    import numpy as np

    from benchmark.run.prepare import devices

    tf = devices.tf
    devices.single_device("float32")
    kind = setting.sized("GPU", tiny="CPU")
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((8, 200, 32)).astype(np.float32)
    kernel = (rng.standard_normal((11, 32, 64)) / 19).astype(np.float32)  # sqrt(11 * 32): outputs have a spread of 1

    def compute(device: str) -> tuple[Any, ...]:
        with tf.device(device), tf.GradientTape() as tape:
            given = tf.constant(frames), tf.constant(kernel)
            tape.watch(given)
            outputs = tf.nn.conv1d(*given, stride=2, padding="VALID")
            product = tf.matmul(outputs, outputs, transpose_b=True)
            loss = tf.reduce_sum(tf.sin(product / 10))
        return (product, *tape.gradient(loss, given))

    found = compute(f"{kind}:0")
    devices.synchronise()
    seconds = time.monotonic() - began_s
    errors = [relative_error(a, b) for a, b in zip(found, compute("CPU:0"), strict=True)]
    findings.judged(
        "device", found[0].device.rpartition("device:")[2], expected=f"{kind}:0", right=kind in found[0].device
    )
    findings.judged(
        "convolution, product and gradients beside the CPU's",
        f"{max(errors):.1e}",
        expected=f"relative error under {LIMIT:g}",
        right=max(errors) < LIMIT,
        figures={"errors": errors},
    )
    findings.told("from the import to the first results", f"{seconds:.1f} s", figures={"seconds": seconds})
    if setting.rehearse:
        findings.left_out("libraries", NO_GPU)
    else:
        loaded = loaded_cuda()
        said = ", ".join(f"{name} {version}" for name, version in loaded.items())
        findings.judged(
            "loaded", said, expected="cuda and cudnn", right={"cuda", "cudnn"} <= loaded.keys(), figures=loaded
        )


def relative_error(found: Any, expected: Any) -> float:
    """Return the norm of the difference over that of what is expected; infinity where anything found is not finite."""
    import numpy as np

    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) + 1e-30)) if np.isfinite(a).all() else float("inf")
