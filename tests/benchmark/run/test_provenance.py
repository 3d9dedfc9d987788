import pytest

BOARDS = {f"gpu{n}": {"name": "V100", "pci": f"0000:{n}0:00.0", "mig": n == 2} for n in range(4)}


@pytest.mark.parametrize(
    ("visible", "replicas", "sensors", "partitioned"),
    [
        (("0000:30:00.0",), 1, ("gpu3",), False),  # CUDA_VISIBLE_DEVICES=3
        (("0000:30:00.0", "0000:10:00.0"), 2, ("gpu3", "gpu1"), False),
        (("0000:30:00.0", "0000:10:00.0"), 1, ("gpu3",), False),  # a second one is there and does not train
        (("0000:20:00.0",), 1, ("gpu2",), True),
        (("0000:99:00.0",), 1, None, False),  # NVML does not see it
        ((), 1, None, False),  # nor CUDA
    ],
)
def test_the_boards_that_train_are_matched_by_bus_id(tf, monkeypatch, visible, replicas, sensors, partitioned):
    from benchmark.run import provenance
    from benchmark.run.devices import Devices

    monkeypatch.setattr(provenance.machine, "cuda_boards", lambda: visible)
    devices = Devices(strategy=None, replicas=replicas, names=("V100",), emulated=False, reduction="nccl")
    used = provenance._devices_used(devices, BOARDS)
    assert (used.sensors, used.partitioned) == (sensors, partitioned)


def test_a_run_on_cpus_uses_no_board(tf):
    from benchmark.run import provenance
    from benchmark.run.devices import Devices

    devices = Devices(strategy=None, replicas=4, names=("CPU",), emulated=True, reduction="first-gpu")
    assert provenance._devices_used(devices, BOARDS).sensors == ()
