"""A platform's replicas under tf.distribute: real GPUs if the machine has them, else logical CPUs.

devices = prepare(platform)             # before TensorFlow has initialised its devices
with devices.strategy.scope(): ...
devices.emulated                        # True: the times say nothing about the platform
"""

from __future__ import annotations

from dataclasses import dataclass

from features.process import import_tensorflow, keep_memory
from platforms import Platform, is_other_gpu

keep_memory()
tf = import_tensorflow()
deterministic = False  # whether `be_deterministic` was called; a train step then reads no time of day


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The strategy to train under, the names of the devices, and whether CPUs stand in for missing GPUs.

    `reduction` is how gradients are actually combined: NCCL works between GPUs only, so emulation falls back to
    the first device.
    """

    strategy: tf.distribute.Strategy
    replicas: int
    names: tuple[str, ...]
    emulated: bool
    reduction: str

    @property
    def on_cpu(self) -> bool:
        return set(self.names) == {"CPU"}

    def describe(self) -> str:
        """Return the devices as text: "4 x NVIDIA GeForce RTX 2070", "CPU", "4 x CPU (emulated)"."""
        count = f"{self.replicas} x " if self.replicas > 1 else ""
        return count + " + ".join(dict.fromkeys(self.names)) + (" (emulated)" if self.emulated else "")


def gpus_present() -> int:
    """Return the number of GPUs that TensorFlow can use on this machine."""
    return len(tf.config.list_physical_devices("GPU"))


def prepare(platform: Platform) -> Devices:
    """Set up devices, numeric precision and the gradients' reduction as the platform's file says."""
    wanted, replicas = platform.hardware.gpus, platform.replicas
    gpus = tf.config.list_physical_devices("GPU")[:wanted]
    emulated = wanted > 0 and len(gpus) < wanted
    _set_precision(platform.training.precision)
    if wanted and not emulated:
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        names = tuple(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus)
        logical = [f"GPU:{n}" for n in range(replicas)]
    else:
        tf.config.set_visible_devices([], "GPU")
        _split_cpu(replicas)
        names, logical = ("CPU",) * replicas, [f"CPU:{n}" for n in range(replicas)]
    reduction = "first-gpu" if emulated and platform.training.reduction == "nccl" else platform.training.reduction
    strategy = tf.distribute.MirroredStrategy(logical, cross_device_ops=_cross_device_ops(reduction, logical[0]))
    return Devices(strategy=strategy, replicas=replicas, names=names, emulated=emulated, reduction=reduction)


def single_device(precision: str) -> Devices:
    """Set up the first GPU, or the CPU if there is none; for evaluation without training."""
    _set_precision(precision)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    device = "GPU:0" if gpus else "CPU:0"
    strategy = tf.distribute.MirroredStrategy([device], cross_device_ops=_cross_device_ops("first-gpu", device))
    return Devices(strategy=strategy, replicas=1, names=(device[:3],), emulated=False, reduction="first-gpu")


def other_gpu(platform: Platform, devices: Devices) -> str | None:
    """Return the name of a GPU whose model number ("2070", "V100") is not the platform's; None if there is none."""
    if devices.emulated or not platform.hardware.gpus:
        return None
    return next((name for name in devices.names if is_other_gpu(platform.hardware.gpu, name)), None)


def be_deterministic() -> None:
    """Have TensorFlow use only operations with bit-identical results; some are slower, above all on GPUs."""
    global deterministic
    tf.config.experimental.enable_op_determinism()
    deterministic = True


def synchronise() -> None:
    """Wait until every device has finished its queued work."""
    tf.test.experimental.sync_devices()


def _split_cpu(replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)


def _cross_device_ops(reduction: str, first: str) -> tf.distribute.CrossDeviceOps:
    if reduction == "nccl":
        return tf.distribute.NcclAllReduce()
    if reduction == "hierarchical":
        return tf.distribute.HierarchicalCopyAllReduce()
    return tf.distribute.ReductionToOneDevice(reduce_to_device=first)


def _set_precision(precision: str) -> None:
    """Set the numeric precision. TF32 is used only if asked for; TensorFlow by itself would use it for float32."""
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    tf.keras.mixed_precision.set_global_policy(precision if precision.startswith("mixed_") else "float32")
