"""A platform's replicas under tf.distribute: real GPUs if the machine has them, else logical CPUs.

devices = prepare(platform)             # before TensorFlow has initialised its devices
devices = prepare(platform, hosts)      # on each of several machines, which then wait for one another
with devices.strategy.scope(): ...
devices.emulated                        # True: the times say nothing about the platform
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.run.prepare.hosts import Hosts
from features.jobs.process import import_tensorflow, keep_memory
from platforms import Platform, is_other_gpu

keep_memory()
tf = import_tensorflow()
own_devices: tuple[str, ...] = ()  # of this machine, where there are several
deterministic = False  # whether `be_deterministic` was called; a train step then reads no time of day


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The strategy to train under, the names of the devices, and whether CPUs stand in for missing GPUs.

    `replicas` and `names` are those of all `machines`, of which this one has `rank`; each has as many. `reduction` is
    how gradients are actually combined: NCCL works between GPUs only, so emulation falls back to the first device, or
    between machines to a ring.
    """

    strategy: tf.distribute.Strategy
    replicas: int
    names: tuple[str, ...]
    emulated: bool
    reduction: str
    machines: int = 1
    rank: int = 0

    @property
    def on_cpu(self) -> bool:
        return set(self.names) == {"CPU"}

    @property
    def local_replicas(self) -> int:
        """How many of the replicas are on this machine."""
        return self.replicas // self.machines

    def rows(self, batch: int) -> range | None:
        """Return which rows of a global batch are this machine's; None if all are."""
        own = batch // self.machines
        return range(self.rank * own, (self.rank + 1) * own) if self.machines > 1 else None

    def describe(self) -> str:
        """Return the devices as text: "4 x NVIDIA GeForce RTX 2070", "CPU", "2 machines of 4 x CPU (emulated)"."""
        machines = f"{self.machines} machines of " if self.machines > 1 else ""
        count = f"{self.local_replicas} x " if self.local_replicas > 1 else ""
        return machines + count + " + ".join(dict.fromkeys(self.names)) + (" (emulated)" if self.emulated else "")


def gpus_present() -> int:
    """Return the number of GPUs that TensorFlow can use on this machine."""
    return len(tf.config.list_physical_devices("GPU"))


def prepare(platform: Platform, hosts: Hosts | None = None) -> Devices:
    """Set up devices, numeric precision and the gradients' reduction as the platform's file says.

    With `hosts` it waits until all of them do the same, deaf to signals meanwhile: see that they are there beforehand.
    """
    wanted, local = platform.hardware.gpus, max(1, platform.hardware.gpus)
    gpus = tf.config.list_physical_devices("GPU")[:wanted]
    emulated = wanted > 0 and len(gpus) < wanted
    _set_precision(platform.training.precision)
    if wanted and not emulated:
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        names = tuple(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus)
        kind = "GPU"
    else:
        tf.config.set_visible_devices([], "GPU")
        _split_cpu(local)
        names, kind = ("CPU",) * local, "CPU"
    logical = [f"{kind}:{n}" for n in range(local)]
    if hosts is None:
        reduction = "first-gpu" if emulated and platform.training.reduction == "nccl" else platform.training.reduction
        strategy = tf.distribute.MirroredStrategy(logical, cross_device_ops=_cross_device_ops(reduction, logical[0]))
        return Devices(strategy=strategy, replicas=local, names=names, emulated=emulated, reduction=reduction)
    strategy = _of_machines(hosts, logical, platform.training.reduction if kind == "GPU" else "ring")
    return Devices(
        strategy=strategy,
        replicas=local * hosts.count,
        names=names * hosts.count,
        emulated=emulated,
        reduction=strategy.extended._communication_options.implementation.value.lower(),  # as it was understood
        machines=hosts.count,
        rank=hosts.rank,
    )


def _of_machines(hosts: Hosts, logical: list[str], reduction: str) -> tf.distribute.Strategy:
    """Return the strategy that trains on the replicas of all hosts."""
    from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

    global own_devices
    own_devices = tuple(f"/job:worker/replica:0/task:{hosts.rank}/device:{name}" for name in logical)

    def local_devices(_extended: object, _resolver: object, worker: str) -> tuple[tuple[str, ...], str]:
        return tuple(f"{worker}/device:{name}" for name in logical), logical[0][:3]

    # By itself it takes one CPU of each machine, and on GPUs as many as there are.
    CollectiveAllReduceExtended._initialize_local_devices = local_devices
    implementations = tf.distribute.experimental.CommunicationImplementation
    try:
        return _strategy(hosts, logical, implementations.NCCL if reduction == "nccl" else implementations.RING)
    except tf.errors.OpError as error:
        raise ValueError(f"{hosts.name(hosts.rank)}: TensorFlow cannot join the others ({error.message})") from None


def _strategy(hosts: Hosts, logical: list[str], implementation: object) -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy(
        cluster_resolver=tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(hosts.addresses)}),
            task_type="worker",
            task_id=hosts.rank,
            num_accelerators={"GPU": len(logical)} if logical[0].startswith("GPU") else {},
            rpc_layer="grpc",
        ),
        communication_options=tf.distribute.experimental.CommunicationOptions(implementation=implementation),
    )


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


def wake(devices: Devices) -> None:
    """Have every GPU of this machine load its libraries and replicas find each other; a CPU has nothing to load.

    Of several machines each wakes its own, at its own time: a sum over all of them would wait for the others.
    """
    if devices.on_cpu:
        return
    for device in devices.strategy.extended.worker_devices:
        with tf.device(device):
            product = tf.matmul(tf.ones([2, 16, 8]), tf.ones([8, 8]))
            tf.nn.conv1d(product, tf.ones([3, 8, 8]), stride=1, padding="VALID")
    if devices.machines == 1:
        tf.function(lambda: devices.strategy.run(_sum_over_replicas))()
    synchronise()


def _sum_over_replicas() -> tf.Tensor:
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([8]))


def synchronise() -> None:
    """Wait until every device of this machine has finished its queued work."""
    if not own_devices:
        tf.test.experimental.sync_devices()
    for name in own_devices:  # TensorFlow's own function would ask those of other machines too, and fails
        with tf.device(name):
            tf.raw_ops.SyncDevice()


def _split_cpu(replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)


def _cross_device_ops(reduction: str, first: str) -> tf.distribute.CrossDeviceOps:
    if reduction == "nccl":
        return tf.distribute.NcclAllReduce()
    if reduction == "hierarchical":
        return tf.distribute.HierarchicalCopyAllReduce()
    return tf.distribute.ReductionToOneDevice(reduce_to_device=first)


def compute_dtype(precision: str) -> str:
    """Return the type that layers compute in: "bfloat16" for mixed_bfloat16."""
    return precision.removeprefix("mixed_") if precision.startswith("mixed_") else "float32"


def _set_precision(precision: str) -> None:
    """Set the numeric precision. Float32 is computed as such; TensorFlow by itself would use TF32 for it.

    The mixed precisions allow TF32, which is finer than their own types: TensorFlow runs cuDNN's LSTM in float32 where
    bfloat16 is asked for, and without TF32 that would be slower than the precision tf32.
    """
    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    tf.keras.mixed_precision.set_global_policy(precision if precision.startswith("mixed_") else "float32")
