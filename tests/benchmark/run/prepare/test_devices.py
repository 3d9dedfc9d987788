from dataclasses import replace

import pytest

import platforms


@pytest.fixture
def devices(tf):
    from benchmark.run.prepare import devices

    return devices


def made(devices, tf, names, *, emulated=False):
    return devices.Devices(
        strategy=tf.distribute.get_strategy(),
        replicas=len(names),
        names=names,
        emulated=emulated,
        reduction="first-gpu",
    )


def test_devices_are_described_in_one_word_each(devices, tf):
    assert made(devices, tf, ("CPU",)).describe() == "CPU"
    assert made(devices, tf, ("CPU",) * 4, emulated=True).describe() == "4 x CPU (emulated)"
    assert made(devices, tf, ("A", "A", "B")).describe() == "3 x A + B"


@pytest.mark.parametrize(
    ("platform", "found", "other"),
    [
        ("sys1", "NVIDIA GeForce RTX 2070", None),
        ("sys1", "NVIDIA H200", "NVIDIA H200"),
        ("sys2", "NVIDIA GeForce GTX 1080 Ti", None),
        ("sys10", "Tesla V100-SXM2-32GB", None),
        ("sys10", "NVIDIA GeForce RTX 2070", "NVIDIA GeForce RTX 2070"),
        ("cpu", "CPU", None),
    ],
)
def test_a_gpu_that_is_not_the_platforms_is_told_by_its_model_number(devices, tf, platform, found, other):
    assert devices.other_gpu(platforms.load(platform), made(devices, tf, (found,))) == other
    assert devices.other_gpu(platforms.load(platform), made(devices, tf, (found,), emulated=True)) is None


@pytest.mark.parametrize("reduction", sorted({*platforms.REDUCTIONS} - {"ring"}))  # which is of machines
def test_each_reduction_is_one_of_tensorflows(devices, tf, reduction):
    operations = {
        "first-gpu": tf.distribute.ReductionToOneDevice,
        "nccl": tf.distribute.NcclAllReduce,
        "hierarchical": tf.distribute.HierarchicalCopyAllReduce,
    }
    assert isinstance(devices._cross_device_ops(reduction, "CPU:0"), operations[reduction])


def test_the_hierarchical_reduction_needs_pairs(devices):
    sys1 = platforms.load("sys1")
    hierarchical = replace(sys1.training, reduction="hierarchical")
    assert replace(sys1, training=hierarchical).training.reduction == "hierarchical"  # 4 GPUs
    three = replace(sys1.hardware, gpus=3, links=sys1.hardware.links[:3])
    with pytest.raises(platforms.PlatformError, match="reduction.*hierarchical.*it needs pairs"):
        replace(sys1, hardware=three, training=hierarchical)


@pytest.mark.parametrize("precision", platforms.PRECISIONS)
def test_precision_sets_the_policy_and_only_float32_is_without_tf32(devices, tf, precision):
    try:
        devices._set_precision(precision)
        assert tf.config.experimental.tensor_float_32_execution_enabled() == (precision != "float32")
        assert tf.keras.mixed_precision.global_policy().name == (precision if "mixed" in precision else "float32")
    finally:
        devices._set_precision("float32")


@pytest.mark.parametrize("replicas", [1, 2])
def test_waking_computes_on_every_device_and_sums_over_replicas_of_one_machine_alone(
    devices, tf, monkeypatch, replicas
):
    """Logical CPUs stand for the GPUs. Several machines wake at times of their own: one that summed would wait."""
    summed, sum_over_replicas = [], devices._sum_over_replicas
    monkeypatch.setattr(devices, "_sum_over_replicas", lambda: (summed.append(1), sum_over_replicas())[1])
    names = [f"CPU:{n}" for n in range(1, 1 + replicas)]
    first = tf.distribute.ReductionToOneDevice(reduce_to_device=names[0])
    strategy = tf.distribute.MirroredStrategy(names, cross_device_ops=first)
    one = devices.Devices(
        strategy=strategy, replicas=replicas, names=("GPU",) * replicas, emulated=False, reduction="first-gpu"
    )
    devices.wake(one)
    assert len(summed) == replicas
    devices.wake(replace(one, machines=2, replicas=2 * replicas, names=one.names * 2))
    assert len(summed) == replicas
    devices.wake(replace(one, names=("CPU",) * replicas))
    assert len(summed) == replicas
