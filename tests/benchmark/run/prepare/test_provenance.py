import pytest
from standin import asked, cuda_boards

from benchmark.record.facts import Cuda

MIG_2 = "MIG-d0000000-5555-6666-7777-888888888882"
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
    from benchmark.run.prepare import provenance
    from benchmark.run.prepare.devices import Devices

    monkeypatch.setattr(provenance.machine, "cuda_boards", lambda: visible)
    devices = Devices(strategy=None, replicas=replicas, names=("V100",), emulated=False, reduction="nccl")
    used = provenance._devices_used(devices, BOARDS)
    assert (used.sensors, used.partitioned) == (sensors, partitioned)


def test_a_run_on_cpus_uses_no_board(tf):
    from benchmark.run.prepare import provenance
    from benchmark.run.prepare.devices import Devices

    devices = Devices(strategy=None, replicas=4, names=("CPU",), emulated=True, reduction="first-gpu")
    assert provenance._devices_used(devices, BOARDS).sensors == ()


@pytest.mark.parametrize(
    ("machine", "variables", "sensors"),
    [
        ("four-rtx-2070", {}, ("gpu0", "gpu1")),
        ("four-rtx-2070", {"CUDA_VISIBLE_DEVICES": "3,1"}, ("gpu3", "gpu1")),
        ("four-rtx-2070", {"CUDA_VISIBLE_DEVICES": "GPU-c0000000,GPU-b0"}, ("gpu3", "gpu2")),
        ("four-rtx-2070", {"CUDA_VISIBLE_DEVICES": "3,9,1"}, None),  # 9 ends the list: one is left, and two trained
        ("four-rtx-2070", {"STANDIN_LOST": "1"}, ("gpu0", "gpu2")),
        ("four-rtx-2070", {"STANDIN_LOST": "1", "CUDA_VISIBLE_DEVICES": "2,1"}, ("gpu3", "gpu2")),
        ("reversed", {}, ("gpu1", "gpu0")),
        ("reversed", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, ("gpu0", "gpu1")),
    ],
)
def test_two_boards_of_rigs_in_c_are_matched_whatever_cuda_calls_them(
    tf, nvidia, monkeypatch, machine, variables, sensors
):
    used = used_by(nvidia, monkeypatch, replicas=2, variables={"STANDIN": machine, **variables})
    assert (used.sensors, used.partitioned) == (sensors, False)


@pytest.mark.parametrize(
    ("variables", "sensors", "partitioned"),
    [
        ({}, ("gpu0",), False),
        ({"STANDIN_MIG": "1", "CUDA_VISIBLE_DEVICES": MIG_2}, ("gpu0",), True),
        ({"CUDA_VISIBLE_DEVICES": MIG_2}, None, False),  # it is not partitioned: there is no such part
    ],
)
def test_a_part_of_a_partitioned_board_is_matched_with_the_whole(
    tf, nvidia, monkeypatch, variables, sensors, partitioned
):
    used = used_by(nvidia, monkeypatch, replicas=1, variables={"STANDIN": "h200", **variables})
    assert (used.sensors, used.partitioned) == (sensors, partitioned)


def used_by(nvidia, monkeypatch, *, replicas, variables):
    """The devices that a run on the stand-ins' machine would write down, with the boards as the sampler tells them."""
    from benchmark.run.prepare import provenance
    from benchmark.run.prepare.devices import Devices

    told = "import pynvml\nfrom benchmark.run.watch.gpus import boards\n"
    told += "pynvml.nvmlInit()\nprint(json.dumps(boards(pynvml)))"
    visible, boards = cuda_boards(nvidia, variables)[0], asked(told, nvidia, **variables)
    monkeypatch.setattr(provenance.machine, "cuda_boards", lambda: visible)
    devices = Devices(strategy=None, replicas=replicas, names=("GPU",), emulated=False, reduction="nccl")
    return provenance._devices_used(devices, boards)


# What was loaded


def test_a_run_on_cpus_has_loaded_no_cuda_whatever_the_process_has(tf, monkeypatch):
    from benchmark.run.prepare import provenance
    from benchmark.run.prepare.devices import Devices

    monkeypatch.setattr(provenance, "loaded_cuda", lambda: {"cuda": "12.5"})
    devices = Devices(strategy=None, replicas=1, names=("CPU",), emulated=False, reduction="first-gpu")
    assert provenance._loaded(devices) == Cuda()


def test_on_gpus_the_loaded_libraries_are_those_of_the_process(tf, monkeypatch):
    from benchmark.run.prepare import provenance
    from benchmark.run.prepare.devices import Devices

    loaded = {"cuda": "12.5", "cuda_driver": "13.0", "cudnn": "9.3.0"}
    monkeypatch.setattr(provenance, "loaded_cuda", lambda: loaded)
    devices = Devices(strategy=None, replicas=1, names=("V100",), emulated=False, reduction="first-gpu")
    assert provenance._loaded(devices) == Cuda(**loaded)


def test_a_board_that_cannot_be_read_is_one_of_the_machines_gpus_all_the_same(tf):
    from benchmark.run.prepare import provenance

    lost = {"name": None, "pci": None, "mig": False, "problem": "NVMLError_GpuIsLost: GPU is lost"}
    assert provenance._name(lost) == "GPU that cannot be read (NVMLError_GpuIsLost: GPU is lost)"
