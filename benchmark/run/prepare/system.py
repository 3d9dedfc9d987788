"""Find out what machine a run is on, by the keys of MLPerf's system description; without load, in milliseconds.

    system = system_of(devices, features_folder, versions, loaded)     # benchmark.record.system.System

GPUs are asked for only where they train. A link's generation falls without work, so it is the greatest that board and
slot can do, with the width at the moment; `benchmark.rig` reads links under load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.record.system import System
from benchmark.rig import boards as nvml
from benchmark.rig.gpus import Gpu, gpus, links, models
from benchmark.rig.host import host
from benchmark.rig.place import Fact, Place
from benchmark.rig.storage import capacity_gib, existing, kind
from platforms import machine

if TYPE_CHECKING:
    from benchmark.run.prepare.devices import Devices

ON_CPUS = Place(why_no_nvml="the run is on CPUs")
STACK = ("keras", "numpy", "nvidia-nccl-cu12")


def system_of(
    devices: Devices, folder: Path, versions: Mapping[str, str | None], loaded: Mapping[str, str | None]
) -> System:
    """Return the machine as far as it can be found out: `folder` holds the features, `loaded` Cuda's versions."""
    place = ON_CPUS if devices.on_cpu else Place.here()
    shown = () if devices.on_cpu else gpus(place, machine.cuda_devices()).shown[: devices.local_replicas]
    facts = host(place)
    storage = existing(folder)
    found = System(
        number_of_nodes=devices.machines,
        host_processors_per_node=facts["sockets"].value,
        host_processor_model_name=facts["cpu"].value,
        host_processor_core_count=facts["physical_cores"].value,
        host_processor_vcpu_count=facts["logical_cores"].value,
        host_processor_frequency=_said(facts["frequency_mhz"], "{:.0f} MHz at most"),
        host_processor_caches=facts["caches"].value,
        host_memory_capacity=_said(facts["ram_gib"], "{:.0f} GiB"),
        host_storage_type=kind(place, storage).value,
        host_storage_capacity=_said(capacity_gib(storage), "{:.0f} GiB"),
        framework=f"TensorFlow {versions['tensorflow']}" if versions.get("tensorflow") else None,
        other_software_stack=_stack(versions, loaded, nvml.driver(place)),
        operating_system=_joined([facts["operating_system"].value, _said(facts["kernel"], "Linux {}")]),
    )
    return replace(found, **_accelerators(place, shown, devices.local_replicas))


def _accelerators(place: Place, shown: tuple[Gpu, ...], replicas: int) -> dict[str, Any]:
    if not shown:
        return {"accelerators_per_node": 0 if place is ON_CPUS else replicas}
    found = {
        "accelerator_model_name": list(models(shown)),
        "accelerator_memory_capacity": [_said(gpu.memory_gib, "{:.0f} GiB") for gpu in shown],
        "accelerator_frequency": [_said(_clock(place, gpu), "{} MHz at most") for gpu in shown],
        "accelerator_host_interconnect": [link.widest or None for link in links(place, shown, seconds=0)],
        "accelerator_interconnect": [_said(gpu.nvlinks, "{} NVLinks") for gpu in shown],
    }
    return {"accelerators_per_node": len(shown), **{name: _counted(values) for name, values in found.items()}}


def _clock(place: Place, gpu: Gpu) -> Fact:
    if gpu.index is None:
        return Fact(why_not="NVML does not list it")
    return nvml.board(place, gpu.index, "max_sm_clock_mhz")["max_sm_clock_mhz"]


def _said(fact: Fact, words: str) -> str | None:
    return words.format(fact.value) if fact.known else None


def _counted(values: list[str | None]) -> str | None:
    """Return the values in order, those that follow one another counted: "PCIe 3.0 x16, 3 x PCIe 2.0 x1"."""
    if None in values:
        return None
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    return ", ".join(f"{count} x {value}" if count > 1 and len(runs) > 1 else str(value) for value, count in runs)


def _stack(versions: Mapping[str, str | None], loaded: Mapping[str, str | None], driver: Fact) -> str | None:
    found = {name: versions.get(name) for name in STACK}
    found |= {"CUDA": loaded.get("cuda"), "cuDNN": loaded.get("cudnn"), "NVIDIA driver": driver.value}
    return _joined([f"{name} {version}" if version else None for name, version in found.items()])


def _joined(parts: list[str | None]) -> str | None:
    return ", ".join(part for part in parts if part) or None
