"""Are the LSTM's kernels on the GPU those of XLA on the CPU in float32: outputs and all gradients, in every precision?

A precision has a process of its own, as XLA keeps what it compiled for another. Inputs and weights are rounded to the
precision's type for both sides, so that only the arithmetic differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.setting import NO_GPU, Setting
from tests.trials.on_gpu.start import relative_error

LIMITS = {"float32": 1e-4, "tf32": 1e-2, "mixed_float16": 3e-2, "mixed_bfloat16": 0.15}
"""Precision -> the largest relative error of outputs and gradients; a wrong gradient differs by something like 1.

On a CPU, 24 utterances of 830 frames: 1e-6 in float32; 1.1e-2 of the bias in float16 and 9e-2 of the peepholes in
bfloat16, whose gradients are sums of 20,000 numbers of 16 bits; all others at most 1.5e-2.
"""

NAMES = ("outputs", "inputs", "kernel", "recurrent", "bias", "peephole")
TIMED = 5


class Shape(NamedTuple):
    frames: int
    batch: int
    inputs: int
    units: int


PAPER, TINY = Shape(830, 24, 600, 800), Shape(12, 2, 5, 32)
VARIANTS = (("cudnn", False), ("xla", False), ("xla", True), ("llvm", False))
"""Kernel, and whether with peepholes."""


def check(setting: Setting, findings: Findings, precision: str) -> None:
    from benchmark.run.prepare import devices

    tf, shape = devices.tf, setting.sized(PAPER, tiny=TINY)
    devices.single_device(precision)
    dtype = tf.keras.config.dtype_policy().compute_dtype
    _choices(findings, setting, shape, dtype)
    expected: dict[bool, list[Any]] = {}
    for kernel, peepholes in VARIANTS:
        label = f"{kernel}{', peepholes' * peepholes}"
        if kernel == "cudnn" and setting.rehearse:
            findings.left_out(label, NO_GPU)
        if kernel == setting.sized("llvm", tiny="cudnn") or (kernel == "llvm" and dtype != "float32"):
            continue
        if peepholes not in expected:
            expected[peepholes] = _computation(shape, "xla", peepholes, "CPU:0", dtype, policy="float32")()
        compute = _computation(shape, kernel, peepholes, setting.sized("GPU:0", tiny="CPU:0"), dtype)
        _judge(findings, label, compute, expected[peepholes], LIMITS[precision])


def _judge(findings: Findings, label: str, compute: Callable, expected: list[Any], limit: float) -> None:
    from benchmark.run.prepare.devices import tf
    from models.kernels import reason

    wanted = f"relative errors under {limit:g}"
    try:
        found, ms = compute(), _milliseconds(compute)
    except tf.errors.OpError as error:
        findings.judged(label, f"failed: {reason(error)}", expected=wanted, right=False)
        return
    errors = {name: relative_error(a, b) for name, a, b in zip(NAMES, found, expected, strict=False)}
    worst = max(errors, key=errors.get)
    findings.judged(
        label,
        f"{errors[worst]:.1e} ({worst}); {ms:.1f} ms forward and backward",
        expected=wanted,
        right=errors[worst] < limit,
        figures={"errors": errors, "ms": ms},
    )


def _computation(
    shape: Shape, kernel: str, peepholes: bool, device: str, dtype: str, *, policy: str | None = None
) -> Callable[[], list[Any]]:
    """Return a function that gives outputs and gradients of a layer on a device, by the policy in force or another."""
    import numpy as np

    from benchmark.run.prepare.devices import tf
    from models.deepspeech.lstm import LSTM

    rng = np.random.default_rng(0)

    def drawn(*sizes: int, scale: float) -> Any:
        return tf.cast(tf.cast(scale * rng.standard_normal(sizes), dtype), tf.float32)

    frames, batch, inputs, units = shape
    weights = [(inputs, 4 * units), (units, 4 * units), (4 * units,), *[(3, units)] * peepholes]
    scales = (inputs**-0.5, units**-0.5, 0.5, 0.3)
    with tf.device(device):
        given, upstream = drawn(frames, batch, inputs, scale=1.0), drawn(frames, batch, units, scale=1.0)
        layer = LSTM(units, peepholes=peepholes, loop=kernel, **({"dtype": policy} if policy else {}))
        layer.build(given.shape)
        layer.set_weights([drawn(*size, scale=scale) for size, scale in zip(weights, scales, strict=False)])

    @tf.function
    def step() -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = layer(given)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
        return [outputs, *tape.gradient(loss, [given, *layer.trainable_variables])]

    def compute() -> list[Any]:
        with tf.device(device):
            found = step()
        if device not in found[0].device:
            raise ValueError(f"{kernel} was to run on {device}, and ran on {found[0].device}")
        return [tf.cast(each, tf.float32) for each in found]

    return compute


def _choices(findings: Findings, setting: Setting, shape: Shape, dtype: str) -> None:
    """Say which kernel a run would take: on a GPU cuDNN's, if it is right, and XLA's with peepholes."""
    from models.deepspeech.lstm import kernel_for

    for peepholes in (False, True):
        choice = kernel_for(shape.units, peepholes=peepholes, dtype=dtype)
        what, found = f"chosen{', peepholes' * peepholes}", f"{choice.kernel}: {choice.why}"
        if setting.rehearse:
            findings.told(what, found)
        else:
            right = "xla" if peepholes else "cudnn"
            findings.judged(what, found, expected=right, right=choice.kernel == right)


def _milliseconds(compute: Callable[[], Any]) -> float:
    """Return the least of some times; the first call, which compiles, was made before."""
    from benchmark.run.prepare import devices

    best_s = float("inf")
    for _ in range(TIMED):
        began_s = time.monotonic()
        compute()
        devices.synchronise()
        best_s = min(best_s, time.monotonic() - began_s)
    return 1000 * best_s
