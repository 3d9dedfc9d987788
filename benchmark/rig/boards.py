"""The GPUs of a machine as NVML knows them, each value a Fact.

    for board in boards(place):                 # in the bus's order, as NVML counts; CUDA counts by speed
        board["name"], board["memory_gib"], board["pcie_gen"], board["max_pcie_width"]

A link's generation and the clocks fall at idle: read them while `benchmark.rig.load` runs. A GPU that is lost is there
with the reason in place of every value. What a board or an old driver does not know is unknown too, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.rig.place import Fact, Place
from platforms.machine import pci_bus_id

GIB = 2**30
Board = dict[str, Fact]


def _text(found: str | bytes) -> str:
    return found.decode() if isinstance(found, bytes) else found


def _nvlinks(nvml: Any, gpu: Any) -> int:
    """Return how many NVLinks are up."""
    count = 0
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        try:
            count += nvml.nvmlDeviceGetNvLinkState(gpu, link) == nvml.NVML_FEATURE_ENABLED
        except nvml.NVMLError:  # link by link, boards know those that they have
            if not link:
                raise
            break
    return count


VALUES: dict[str, Callable[[Any, Any], Any]] = {
    "name": lambda nvml, gpu: _text(nvml.nvmlDeviceGetName(gpu)),
    "uuid": lambda nvml, gpu: _text(nvml.nvmlDeviceGetUUID(gpu)),
    "pci": lambda nvml, gpu: pci_bus_id(_text(nvml.nvmlDeviceGetPciInfo(gpu).busId)),
    "memory_gib": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total / GIB,
    "used_memory_gib": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used / GIB,
    "capability": lambda nvml, gpu: tuple(nvml.nvmlDeviceGetCudaComputeCapability(gpu)),
    "pcie_gen": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),
    "pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
    "max_pcie_gen": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu),  # of board and slot, the lesser
    "max_pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkWidth(gpu),
    "pcie_replays": lambda nvml, gpu: nvml.nvmlDeviceGetPcieReplayCounter(gpu),
    "nvlinks": _nvlinks,
    "numa_node": lambda nvml, gpu: nvml.nvmlDeviceGetNumaNodeId(gpu),
    "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "max_sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    "default_power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000,
    "clock_reasons": lambda nvml, gpu: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu),  # a bit for each reason
    "mig": lambda nvml, gpu: bool(nvml.nvmlDeviceGetMigMode(gpu)[0]),
    "ecc": lambda nvml, gpu: bool(nvml.nvmlDeviceGetEccMode(gpu)[0]),
    "uncorrected_errors": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEccErrors(
        gpu, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    ),
    # how many for correctable and for uncorrectable errors, whether some wait for a reset, whether remapping failed
    "remapped_rows": lambda nvml, gpu: tuple(map(int, nvml.nvmlDeviceGetRemappedRows(gpu))),
    "processes": lambda nvml, gpu: tuple(each.pid for each in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)),
    "compute_mode": lambda nvml, gpu: nvml.nvmlDeviceGetComputeMode(gpu),  # 0 default, 2 prohibited, 3 one process
    "persistence": lambda nvml, gpu: bool(nvml.nvmlDeviceGetPersistenceMode(gpu)),
}
"""What a board is asked, each alone: most boards do not know all of it."""


def count(place: Place) -> Fact:
    """Return how many GPUs NVML lists."""
    return _asked(place, lambda nvml: nvml.nvmlDeviceGetCount())


def driver(place: Place) -> Fact:
    """Return the driver's version."""
    return _asked(place, lambda nvml: _text(nvml.nvmlSystemGetDriverVersion()))


def cuda_version(place: Place) -> Fact:
    """Return the newest CUDA that the driver runs: (12, 5)."""
    found = _asked(place, lambda nvml: nvml.nvmlSystemGetCudaDriverVersion())
    return found.then(lambda number: (number // 1000, number % 1000 // 10))


def boards(place: Place, *wanted: str) -> list[Board]:
    """Return the machine's GPUs with the values that are `wanted`, or all; empty if there are none, see `count`."""
    return [board(place, index, *wanted) for index in range(count(place).value or 0)]


def board(place: Place, index: int, *wanted: str) -> Board:
    """Return one GPU, by its place on the bus from 0."""

    def ask(value: Callable[[Any, Any], Any]) -> Fact:
        return _asked(place, lambda nvml: value(nvml, nvml.nvmlDeviceGetHandleByIndex(index)))

    return {name: ask(VALUES[name]) for name in wanted or VALUES}


def _asked(place: Place, ask: Callable[[Any], Any]) -> Fact:
    if place.nvml is None:
        return Fact(why_not=place.why_no_nvml or "NVML is not here")
    try:
        return Fact(ask(place.nvml), "NVML")
    except place.nvml.NVMLError as error:
        return Fact(why_not=f"NVML: {error}")
