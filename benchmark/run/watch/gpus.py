"""The machine's GPUs as NVML shows them: their sensors, which boards they are, and why one cannot be read.

    sensors, reasons = gpu_sensors(pynvml)  # {"gpu0_power_w": sensor, ...}, {} or {"gpu": "NVML: Driver Not Loaded"}
    boards(pynvml)                          # {"gpu0": {"name": "NVIDIA V100", "pci": "0000:3b:00.0", "mig": False}}

NVML is an argument, so that tests can pass their own. A GPU that is lost fails alone: those behind it are still read.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable

from platforms.machine import pci_bus_id

MIB = 2**20
GPU_PREFIX = re.compile(r"(gpu\d+)_")
GPU_SENSORS = {  # NVML counts memory in bytes, power in milliwatts and energy in millijoules
    "util_percent": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_mib": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used / MIB,
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "pcie_gen": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),
    "pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
    "energy_j": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000,
}
BOARD = {  # asked apart: a board whose name cannot be read is still matched with CUDA's by its bus id
    "name": lambda nvml, gpu: _text(nvml.nvmlDeviceGetName(gpu)),
    "pci": lambda nvml, gpu: pci_bus_id(_text(nvml.nvmlDeviceGetPciInfo(gpu).busId)),
}


def gpu_sensors(nvml) -> tuple[dict, dict[str, str]]:
    """Return {column: sensor}, and {"gpu": why} if there is none. If a GPU is lost, only its own columns fail."""
    try:
        nvml.nvmlInit()
        gpus = range(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError as error:
        return {}, {"gpu": f"NVML: {error}"}
    handle = functools.cache(nvml.nvmlDeviceGetHandleByIndex)
    sensors = {
        f"gpu{i}_{name}": lambda i=i, sensor=sensor: sensor(nvml, handle(i))
        for i in gpus
        for name, sensor in GPU_SENSORS.items()
    }
    return sensors, {} if gpus else {"gpu": "NVML: the driver lists no GPU"}


def boards(nvml) -> dict[str, dict]:
    """Return name, PCI bus id and whether MIG partitions it, of every GPU by its columns' prefix; {} without NVML.

    A GPU that cannot be read has its "problem" as well, and None for what is not known.
    """
    try:
        return {f"gpu{number}": board(nvml, number) for number in range(nvml.nvmlDeviceGetCount())}
    except nvml.NVMLError:
        return {}


def board(nvml, number: int) -> dict:
    found: dict = {"name": None, "pci": None, "mig": False}
    for key, ask in BOARD.items():
        try:
            found[key] = ask(nvml, nvml.nvmlDeviceGetHandleByIndex(number))
        except nvml.NVMLError as error:
            found["problem"] = reason(error)
    with contextlib.suppress(nvml.NVMLError):  # most GPUs know no MIG
        found["mig"] = bool(nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(number))[0])
    return found


def _text(found: str | bytes) -> str:
    return found.decode() if isinstance(found, bytes) else found


def reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def by_gpu(reasons: dict[str, str], *, of: Iterable[str]) -> dict[str, str]:
    """Replace the reasons of a GPU's columns by a single one ("gpu2") where all `of` its columns fail alike."""
    found = dict(reasons)
    columns: dict[str, list[str]] = {}
    for column in of:
        if match := GPU_PREFIX.match(column):
            columns.setdefault(match[1], []).append(column)
    for gpu, own in columns.items():
        if len(own) > 1 and own[0] in reasons and len({reasons.get(column) for column in own}) == 1:
            found = {column: why for column, why in found.items() if column not in own}
            found[gpu] = reasons[own[0]]
    return found
