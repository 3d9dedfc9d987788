"""Do kernels agree, in every precision, and which would be used here? As the suite itself asks before a clock starts.

A kernel that is wrong is not used where another does the same work: the run is then slower, and says so. The first
check has every GPU compute something: what the driver compiles at the first start, for minutes, it compiles here.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from functools import partial

from benchmark.rig.checks.capability import CACHE
from benchmark.rig.checks.check import GPU, Check, Finding, fail, ok, unknown, warn
from benchmark.rig.place import Place
from models.kernels import Choice

LONG_S = 60.0
BATCH, FRAMES = 16, 1670
EXPECTED = (2 * 14 * 8 * 192.0, 512.0)  # outputs of 3 x 8 eights; 256 times tanh(8) + 1


def first(place: Place) -> Finding:  # noqa: ARG001 - TensorFlow is asked
    variable, _, value = CACHE.removeprefix("export ").partition("=")
    os.environ.setdefault(variable, value)
    from benchmark.run.prepare import devices

    tf = devices.tf
    if not (gpus := tf.config.list_physical_devices("GPU")):
        return unknown("TensorFlow sees no GPU: driver.tensorflow")
    devices.single_device("float32")
    times_s = []
    for number in range(len(gpus)):
        began_s = time.monotonic()
        with tf.device(f"GPU:{number}"):
            product = tf.matmul(tf.ones([2, 16, 8]), tf.ones([8, 8]))
            convolved = tf.nn.conv1d(product, tf.ones([3, 8, 8]), stride=1, padding="VALID")
            compiled = tf.function(lambda x: tf.reduce_sum(tf.tanh(x) + 1.0), jit_compile=True)(product)
            found = float(tf.reduce_sum(convolved)), float(compiled)
        times_s.append(time.monotonic() - began_s)
        if not all(map(partial(math.isclose, rel_tol=1e-4), found, EXPECTED)):
            return fail(
                f"GPU {number} (TensorFlow's count) computes {found}",
                expected=f"{EXPECTED}",
                way_out="another driver or TensorFlow; a board that stays wrong is broken",
            )
    told = f"the first products, convolution and XLA took {', '.join(f'{each:.1f}' for each in times_s)} s"
    if max(times_s) > LONG_S:
        return warn(
            f"{told}: the driver compiled, and keeps it",
            expected=f"under {LONG_S:.0f} s",
            way_out=f"{CACHE} in the shell of runs too, so that nothing is compiled inside a clock",
        )
    return ok(told)


def float32(place: Place) -> Finding:
    return _agree(place, "float32")


def tf32(place: Place) -> Finding:
    return _agree(place, "tf32")


def bfloat16(place: Place) -> Finding:
    return _agree(place, "mixed_bfloat16")


def float16(place: Place) -> Finding:
    return _agree(place, "mixed_float16")


def _agree(place: Place, precision: str) -> Finding:  # noqa: ARG001 - TensorFlow is asked
    from benchmark.run.prepare.devices import compute_dtype, single_device
    from models.table import config_of, learner_of

    single_device(precision)
    learner, dtype = learner_of(config_of({}), frames=FRAMES), compute_dtype(precision)
    chosen = learner.choose_kernels(dtype=dtype, batch=BATCH, frames=FRAMES)
    return verdict(chosen, {name: why for name, why in learner.compare_kernels(dtype=dtype).items() if why})


def verdict(chosen: Mapping[str, Choice], differ: Mapping[str, str]) -> Finding:
    """Return what kernels that differ mean: a failure if one of them would be used, a slower run if not."""
    used = "; ".join(f"{work} by {choice.kernel}: {choice.why}" for work, choice in chosen.items())
    names = {f"{work}, {choice.kernel}" for work, choice in chosen.items()}
    if wrong := [why for name, why in differ.items() if name in names]:
        return fail(
            f"{'; '.join(wrong)}, and it would be used ({used})",
            expected="outputs and gradients that agree",
            way_out="another driver, cuDNN or TensorFlow; no run of this machine can be trusted",
        )
    if differ or any(choice.fallen_back for choice in chosen.values()):
        return warn(
            f"{'; '.join([*differ.values(), 'a slower kernel takes the place of a faster one'])} ({used})",
            expected="outputs and gradients that agree",
            way_out="driver.libraries and driver.cuda: another cuDNN, or a newer driver",
        )
    return ok(f"they agree; {used}")


CHECKS = (
    Check(name="kernels.first", asks="does every GPU compute?", look=first, level=2, limit_s=1800, needs=GPU),
    Check(name="kernels.float32", asks="do kernels agree in float32?", look=float32, level=2, limit_s=300),
    Check(name="kernels.tf32", asks="do kernels agree in tf32?", look=tf32, level=2, limit_s=300),
    Check(name="kernels.bfloat16", asks="do kernels agree in mixed_bfloat16?", look=bfloat16, level=2, limit_s=300),
    Check(name="kernels.float16", asks="do kernels agree in mixed_float16?", look=float16, level=2, limit_s=300),
)
