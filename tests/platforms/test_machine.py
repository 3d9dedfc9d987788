import ctypes
import os
from pathlib import Path

import pytest
from standin import cuda_boards

from platforms import machine


def test_the_cores_that_may_be_used_follow_the_affinity(monkeypatch):
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert machine.usable_cores() == len(before) and machine.affinity() == sorted(before)


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (64.0, 8), (8.0, 8), (2.0, 2), (1.5, 2), (0.5, 1)])
def test_a_containers_quota_limits_the_cores_that_may_be_used(monkeypatch, quota, cores):
    """`docker run --cpus 1.5` on 8 cores: two workers use all of it, eight would be throttled."""
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert machine.usable_cores() == cores


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


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
        # Version 1 outside a container: the group's own folder; its parent allows more.
        ({"/proc/self/cgroup": "4:cpu,cpuacct:/a/b\n", "/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us": "25000\n",
          "/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n"}, 0.25),
        # Both versions, as systemd's "hybrid": the controller is in version 1, and version 2 holds none.
        ({"/proc/self/cgroup": "2:cpu:/\n0::/\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
          "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"/proc/self/cgroup": "nonsense\n", "/sys/fs/cgroup/cpu.max": "x\n"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_quota_of_control_groups_is_the_smallest_on_the_way(tmp_path, files, quota):
    """The formats of cpu.max and cpu.cfs_*: the kernel's admin-guide/cgroup-v2 and scheduler/sched-bwc."""
    assert machine.cpu_quota(written(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "2147483648\n"}, 2**31),
        ({"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n"}, None),
        ({"/proc/self/cgroup": "9:memory:/docker/1\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n"},
         2**31),
        ({"/proc/self/cgroup": "9:memory:/\n0::/\n",
          "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),  # the root's: no limit
        ({}, None),
    ],
)  # fmt: skip
def test_the_memory_that_control_groups_allow(tmp_path, files, limit):
    assert machine.memory_limit(written(tmp_path, files)) == limit


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC 9654  96-Core Processor\n", "AMD EPYC 9654  96-Core Processor"),
        ("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n", "Arm Neoverse-V2"),
        ("processor\t: 0\nCPU implementer\t: 0x51\nCPU part\t: 0xc01\n", "ARM implementer 0x51, part 0xc01"),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("processor\t: 0\ncpu family\t: 6\nmodel name\t: \nflags\t: fpu\n", None),
        ("", None),
    ],
)
def test_the_processors_name(tmp_path, cpuinfo, name):
    assert machine.cpu_name(written(tmp_path, {"/proc/cpuinfo": cpuinfo})) == name
    assert machine.cpu_name(tmp_path / "none") is None


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


RTX = ("0000:01:00.0", "0000:3b:00.0", "0000:4c:00.0", "0000:af:00.0")
CASES = {  # of four RTX 2070: CUDA_VISIBLE_DEVICES and the indices of the boards by their bus
    "3,1": (3, 1),
    "": (),
    "-1": (),
    "0,4,1": (0,),  # an entry that names nothing ends the list
    "0,x,1": (0,),
    "GPU-c0000000-1111-2222-3333-444444444443,GPU-a1": (3, 1),
    "GPU-a": (),  # two begin so
    "1,GPU-9,0": (1,),
    "MIG-d0000000-5555-6666-7777-888888888881": (),
}


def test_the_boards_of_four_are_those_of_cuda_visible_devices(nvidia):
    (every, *found) = cuda_boards(nvidia, {}, *({"CUDA_VISIBLE_DEVICES": text} for text in CASES))
    assert every == RTX
    assert dict(zip(CASES, found, strict=True)) == {text: tuple(RTX[n] for n in own) for text, own in CASES.items()}


def test_cudas_order_is_not_the_buss_unless_asked_for(nvidia):
    slow, fast = "0000:01:00.0", "0000:03:00.0"
    by_bus = {"STANDIN": "reversed", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert cuda_boards(
        nvidia,
        {"STANDIN": "reversed"},
        by_bus,
        {"STANDIN": "reversed", "CUDA_VISIBLE_DEVICES": "1"},
        {**by_bus, "CUDA_VISIBLE_DEVICES": "1"},
        {"STANDIN": "reversed", "CUDA_VISIBLE_DEVICES": "GPU-e"},
    ) == [(fast, slow), (slow, fast), (slow,), (fast,), (slow,)]


def test_a_lost_board_moves_up_those_behind_it_and_a_part_of_a_board_is_the_board(nvidia):
    part = "MIG-d0000000-5555-6666-7777-888888888881"
    assert cuda_boards(
        nvidia,
        {"STANDIN_LOST": "1"},
        {"STANDIN_LOST": "1", "CUDA_VISIBLE_DEVICES": "1"},
        {"STANDIN": "h200", "STANDIN_MIG": "1", "CUDA_VISIBLE_DEVICES": part},
        {"STANDIN": "h200", "CUDA_VISIBLE_DEVICES": part},
    ) == [(RTX[0], *RTX[2:]), (RTX[2],), ("0000:05:00.0",), ()]


def test_without_a_driver_there_are_no_boards(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert machine.cuda_boards() == ()


def test_nvml_and_cuda_spell_a_bus_id_alike():
    assert machine.pci_bus_id("00000000:3B:00.0") == machine.pci_bus_id("0000:3b:00.0") == "0000:3b:00.0"
