"""Hold all but so many MiB of the first GPU's memory until standard input ends.

    python -m tests.trials.on_gpu.hold 3072

Prints one JSON object when it holds them: {"left_mib": 3070.5}. TensorFlow takes memory in pieces that double, and
would take more than was asked for at the end; a limit that is given beforehand it takes at once.
"""

from __future__ import annotations

import json
import sys

from tests.trials.on_gpu.machine import MIB, board

CONTEXT_MIB = 700  # of this process: CUDA's context and libraries, which are loaded after the limit is set


def main() -> None:
    import pynvml

    from features.jobs.process import import_tensorflow

    left_mib = float(sys.argv[1])
    gpu = board()

    def free_mib() -> float:
        return pynvml.nvmlDeviceGetMemoryInfo(gpu).free / MIB

    tf = import_tensorflow()
    device = tf.config.list_physical_devices("GPU")[0]
    tf.config.set_visible_devices([device], "GPU")
    limit = tf.config.LogicalDeviceConfiguration(memory_limit=max(64, free_mib() - left_mib - CONTEXT_MIB))
    tf.config.set_logical_device_configuration(device, [limit])
    with tf.device("GPU:0"):
        kept = tf.zeros([2**18])  # 1 MiB: with the first, TensorFlow takes all that it may
    tf.test.experimental.sync_devices()
    print(json.dumps({"left_mib": free_mib()}), flush=True)
    sys.stdin.read()
    del kept


if __name__ == "__main__":
    main()
