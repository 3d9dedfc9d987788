"""Finds out what this machine is, without TensorFlow; None is not known."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from math import ceil
from pathlib import Path

ROOT = Path("/")
NO_LIMIT = 1 << 60  # bytes; version 1 of control groups writes a number above it for no limit
ARM_PARTS = {
    "0x41:0xd03": "Arm Cortex-A53", "0x41:0xd08": "Arm Cortex-A72", "0x41:0xd0b": "Arm Cortex-A76",
    "0x41:0xd0c": "Arm Neoverse-N1", "0x41:0xd40": "Arm Neoverse-V1", "0x41:0xd49": "Arm Neoverse-N2",
    "0x41:0xd4f": "Arm Neoverse-V2", "0xc0:0xac3": "Ampere-1",
}  # fmt: skip
"""Some of Linux's implementers and parts of ARM processors by name, as util-linux's lscpu has them."""


def cpu_name(root: Path = ROOT) -> str | None:
    """Return the processor's name as Linux tells it: "AMD EPYC 9654 96-Core Processor".

    For ARM, Linux tells numbers alone: a name for those in ARM_PARTS, else "ARM implementer 0x41, part 0xd0c".
    """
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return None
    if found := re.search(r"^(?:model name|cpu)[ \t]*:[ \t]*(\S.*)", text, re.MULTILINE):  # POWER's is "cpu"
        return found.group(1)
    numbers = [re.search(rf"^CPU {name}\s*:\s*(0x[0-9a-f]+)", text, re.MULTILINE) for name in ("implementer", "part")]
    maker, part = (number and number.group(1) for number in numbers)
    return ARM_PARTS.get(f"{maker}:{part}", f"ARM implementer {maker}, part {part}") if maker and part else None


def logical_cores() -> int:
    """Return how many logical cores the machine has, those that this process may not use included."""
    return os.cpu_count() or 1


def affinity() -> list[int]:
    """Return the numbers of the logical cores that this process may run on (taskset, a container's cpuset)."""
    return sorted(os.sched_getaffinity(0))


def usable_cores() -> int:
    """Return how many cores this process can keep busy: how many workers or threads to start.

    That is the number of cores in its affinity or, if that is less, the quota of its control groups, rounded up.
    """
    cores, quota = len(affinity()), cpu_quota()
    return cores if quota is None else min(cores, ceil(quota))


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many cores' time the control groups of this process allow (`docker run --cpus`); None: no limit."""

    def quota(group: Path) -> float | None:
        try:
            quota, period = (group / "cpu.max").read_text().split()
        except OSError:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(quota) / float(period) if quota.strip() != "max" and float(quota) > 0 else None

    return _least(root, "cpu", quota)


def memory_limit(root: Path = ROOT) -> int | None:
    """Return how many bytes of memory the control groups of this process allow (`docker run -m`); None: no limit."""

    def limit(group: Path) -> int | None:
        try:
            text = (group / "memory.max").read_text()
        except OSError:
            text = (group / "memory.limit_in_bytes").read_text()
        return None if text.strip() == "max" or int(text) >= NO_LIMIT else int(text)

    least = _least(root, "memory", limit)
    return None if least is None else int(least)


def _least(root: Path, controller: str, limit: Callable[[Path], float | None]) -> float | None:
    """Return the least limit of the control groups that hold this process; a group without one has OSError or None."""
    limits = []
    for group in _groups(root, controller):
        try:
            limits.append(limit(group))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return min((each for each in limits if each is not None), default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that hold this process, from the outermost.

    A machine may have groups of version 1, of version 2, or of both, each controller in one of them. A container has
    its own group in place of the outermost, whatever the path of its process says.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    top = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        for place in [top / controller, top / controllers] if controllers else [top, top / "unified"]:
            yield place
            yield from (place / part for part in _beginnings(path))


def _beginnings(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


@dataclass(frozen=True)
class CudaDevice:
    """A GPU that CUDA shows this process, or a part of one (MIG): its bus id, name and bytes of memory."""

    pci: str
    name: str | None = None
    memory: int | None = None


def cuda_boards() -> tuple[str, ...]:
    """Return the PCI bus ids ("0000:3b:00.0") of the GPUs that CUDA shows this process, in CUDA's order."""
    return tuple(device.pci for device in cuda_devices())


def cuda_devices() -> tuple[CudaDevice, ...]:
    """Return the GPUs that CUDA shows this process, in CUDA's order.

    The order and number are those after CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER. The driver is asked; nothing is
    started on a GPU. Empty if there is no driver or no GPU.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        count, found = ctypes.c_int(), []
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return ()
        for ordinal in range(count.value):
            device, bus = ctypes.c_int(), ctypes.create_string_buffer(32)
            if cuda.cuDeviceGet(ctypes.byref(device), ordinal) or cuda.cuDeviceGetPCIBusId(bus, 32, device):
                return ()
            found.append(CudaDevice(pci_bus_id(bus.value.decode()), *_name_and_memory(cuda, device)))
    except (OSError, AttributeError, UnicodeDecodeError):
        return ()
    return tuple(found)


def _name_and_memory(cuda: ctypes.CDLL, device: ctypes.c_int) -> tuple[str | None, int | None]:
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    try:
        if cuda.cuDeviceGetName(name, 256, device) or cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device):
            return None, None
        return name.value.decode(), memory.value
    except (AttributeError, UnicodeDecodeError):
        return None, None


def pci_bus_id(text: str) -> str:
    """Return a PCI bus id in one spelling: NVML writes the domain with eight digits, CUDA with four."""
    domain, _, rest = text.lower().partition(":")
    return f"{domain[-4:].rjust(4, '0')}:{rest}"


def system() -> str:
    """Kernel and its release: "Linux 6.1.0"."""
    return f"{platform.system()} {platform.release()}"


def version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
