import ctypes
import os
from pathlib import Path

import pytest

from platforms import machine


def test_the_cores_that_may_be_used_follow_the_affinity():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert machine.usable_cores() == len(before)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": "400000 100000\n",
          "/sys/fs/cgroup/a/b/cpu.max": "200000 100000\n"}, 2.0),
        ({"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "max 100000\n"}, None),
        ({"/proc/self/cgroup": "4:cpu,cpuacct:/x\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
          "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"/proc/self/cgroup": "4:cpu:/\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
          "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_quota_of_control_groups_is_the_smallest_on_the_way(monkeypatch, files, quota):
    """The formats of cpu.max and cpu.cfs_*: the kernel's admin-guide/cgroup-v2 and scheduler/sched-bwc."""

    def read_text(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(machine.Path, "read_text", read_text)
    assert machine.cpu_quota() == quota


class FakeCuda:
    """libcuda with two boards, in CUDA's order."""

    boards = (b"0000:AF:00.0", b"0000:3B:00.0")

    def cuInit(self, flags):  # noqa: N802
        return 0

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = len(self.boards)
        return 0

    def cuDeviceGet(self, device, ordinal):  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDeviceGetPCIBusId(self, name, size, device):  # noqa: N802
        name.value = self.boards[device.value]
        return 0


def test_the_boards_are_cudas_in_cudas_order(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda())
    assert machine.cuda_boards() == ("0000:af:00.0", "0000:3b:00.0")
    monkeypatch.setattr(FakeCuda, "cuInit", lambda self, flags: 100)  # CUDA_ERROR_NO_DEVICE
    assert machine.cuda_boards() == ()


def test_without_a_driver_there_are_no_boards(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert machine.cuda_boards() == ()


def test_nvml_and_cuda_spell_a_bus_id_alike():
    assert machine.pci_bus_id("00000000:3B:00.0") == machine.pci_bus_id("0000:3b:00.0") == "0000:3b:00.0"
