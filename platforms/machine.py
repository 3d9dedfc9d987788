"""Finds out what this machine is, without TensorFlow; None is not known."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from importlib import metadata
from math import ceil
from pathlib import Path


def cpu_name() -> str | None:
    """Return the processor's name as Linux tells it: "AMD EPYC 9654 96-Core Processor"."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        return None
    return found.group(1) if found else None


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


def cpu_quota() -> float | None:
    """Return how many cores' time the control groups of this process allow (`docker run --cpus`); None: no limit."""
    try:
        line = Path("/proc/self/cgroup").read_text()
    except OSError:
        return None
    found = re.search(r"^0::(/.*)$", line, re.MULTILINE)
    place, limits = Path("/sys/fs/cgroup"), []
    groups = [place, *(place / part for part in _beginnings(found.group(1)))] if found else [place / "cpu"]
    for group in groups:
        try:
            if found:
                quota, period = (group / "cpu.max").read_text().split()
            else:
                quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if quota != "max" and float(quota) > 0:
                limits.append(float(quota) / float(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return min(limits, default=None)


def _beginnings(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def cuda_boards() -> tuple[str, ...]:
    """Return the PCI bus ids ("0000:3b:00.0") of the GPUs that CUDA shows this process, in CUDA's order.

    The order and number are those after CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER. The driver is asked; nothing is
    started on a GPU. Empty if there is no driver or no GPU.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        count, found = ctypes.c_int(), []
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return ()
        for ordinal in range(count.value):
            device, name = ctypes.c_int(), ctypes.create_string_buffer(32)
            if cuda.cuDeviceGet(ctypes.byref(device), ordinal) or cuda.cuDeviceGetPCIBusId(name, 32, device):
                return ()
            found.append(pci_bus_id(name.value.decode()))
    except (OSError, AttributeError, UnicodeDecodeError):
        return ()
    return tuple(found)


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
