"""The GPUs that a platform of this machine would have: those that CUDA shows this process, in CUDA's order.

    found = gpus(place, machine.cuda_devices())
    found.shown[0].name, found.shown[0].memory_gib      # Facts
    found.remarks                                       # what is lost, hidden, partitioned, unlike
    found.broken                                        # why GPUs that are there are not shown; "" if all is well
    links(place, found.shown, seconds=2)                # read while copies run

NVML knows all boards of the machine, in the bus's order; CUDA those that CUDA_VISIBLE_DEVICES leaves, the fastest
first, and of a partitioned board (MIG) a part. They are matched by PCI bus id.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.rig import boards as nvml
from benchmark.rig.load import LoadError, under_load
from benchmark.rig.place import Fact, Place
from platforms.machine import CudaDevice

GIB = 2**30
EVERY_S = 0.1  # between two readings of links under load
ASKED = ("name", "pci", "memory_gib", "mig", "nvlinks")
LINK = ("pcie_gen", "pcie_width", "max_pcie_gen", "max_pcie_width")
NOT_ASKED = "--seconds 0"
NVIDIA, AMD = "0x10de", "0x1002"  # of PCI's list of vendors
SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/usr/lib/wsl/lib/libcuda.so.1")
"""What is there of NVIDIA's driver, a container's with GPUs, and that of Windows, whose bus does not list GPUs."""
DISPLAY = "0x03"  # PCI's class of GPUs
NO_ROCM = "TensorFlow's wheel is built for CUDA alone and cannot use it (tf.test.is_built_with_rocm() is false)"


NO_NODE = Fact(why_not="the bus names no NUMA node")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that CUDA shows: its place in CUDA's order and, None if NVML does not have it, in NVML's."""

    number: int
    index: int | None
    pci: str
    name: Fact
    memory_gib: Fact
    nvlinks: Fact
    numa_node: Fact = NO_NODE
    is_part: bool = False

    def __str__(self) -> str:
        return f"GPU {self.number} ({self.pci})"


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """What CUDA shows, and what there is to say about it.

    `why_none` says why nothing is shown, and `broken` so where GPUs seem to be there that should have been.
    """

    shown: tuple[Gpu, ...]
    count: Fact  # that NVML lists
    remarks: tuple[str, ...] = ()
    why_none: str = ""
    broken: str = ""


@dataclass(frozen=True, kw_only=True)
class Link:
    """How a GPU hangs on the machine: as read, and the most that board and slot can do; why it was not under load."""

    gen: Fact
    width: Fact
    most_gen: Fact
    most_width: Fact
    nvlinks: int = 0
    no_load: str = ""

    @property
    def read(self) -> str:
        """The link as it was read: "PCIe 3.0 x16"; "" if it is not known."""
        return f"PCIe {self.gen.value}.0 x{self.width.value}" if self.gen.known and self.width.known else ""

    @property
    def most(self) -> str:
        """The most that board and slot can do; "" if it is not known."""
        known = self.most_gen.known and self.most_width.known
        return f"PCIe {self.most_gen.value}.0 x{self.most_width.value}" if known else ""

    @property
    def widest(self) -> str:
        """The link at its width as read, and the greatest generation, which does not sleep; "" if it is not known."""
        known = self.most_gen.known and self.width.known
        return f"PCIe {self.most_gen.value}.0 x{self.width.value}" if known else ""

    @property
    def text(self) -> Fact:
        """What a platform says of it: as read under load, else the most that it can be."""
        more = f", {self.nvlinks} NVLinks" if self.nvlinks else ""
        if self.read and not self.no_load:
            return Fact(self.read + more, "NVML, while copies ran")
        if self.most:
            idle = f"; {self.read} when idle" if self.read else ""
            source = f"NVML: the most that board and slot can do{idle}; not seen under load: {self.no_load}"
            return Fact(self.most + more, source)
        if self.read:
            return Fact(self.read + more, f"NVML, when idle; not seen under load: {self.no_load}")
        return Fact(why_not=self.most_gen.why_not or self.most_width.why_not)

    @property
    def is_less(self) -> bool:
        """Whether it is known to be less than board and slot can do; without load by its width alone."""
        wide = self.width.known and self.most_width.known and self.width.value < self.most_width.value
        fast = self.gen.known and self.most_gen.known and self.gen.value < self.most_gen.value
        return wide or (fast and not self.no_load)


def gpus(place: Place, devices: Sequence[CudaDevice] | None) -> Gpus:
    """Return what CUDA shows of the machine's GPUs, `devices`, with what NVML knows of each; None leaves them out."""
    boards, count = nvml.boards(place, *ASKED), nvml.count(place)
    if devices is None:
        return Gpus(shown=(), count=count, remarks=tuple(_of_amd(place)), why_none="GPUs are left out")
    by_pci = {board["pci"].value: index for index, board in enumerate(boards) if board["pci"].known}
    shown = tuple(_gpu(place, number, device, by_pci, boards) for number, device in enumerate(devices))
    remarks = [*_lost(boards), *_hidden(place, boards, shown), *_parts(shown), *_unlike(shown), *_of_amd(place)]
    broken = "" if shown else _broken(place, boards, count)
    why = "CUDA_VISIBLE_DEVICES hides all" if boards else f"none is to be seen ({count.why_not or 'NVML lists none'})"
    return Gpus(shown=shown, count=count, remarks=tuple(remarks), why_none=broken or why, broken=broken)


def _gpu(place: Place, number: int, device: CudaDevice, by_pci: dict[str, int], boards: list[nvml.Board]) -> Gpu:
    index = by_pci.get(device.pci)
    missing = Fact(why_not=f"NVML lists no GPU at {device.pci}")
    board = dict.fromkeys(ASKED, missing) if index is None else boards[index]
    is_part = board["mig"].value is True
    name, memory = board["name"], board["memory_gib"]
    if device.name and (is_part or not name.known):
        name = Fact(device.name, "CUDA")
    if device.memory and (is_part or not memory.known):
        memory = Fact(device.memory / GIB, "CUDA, of the part" if is_part else "CUDA")
    elif is_part:
        memory = Fact(why_not="NVML tells the whole board's, and CUDA does not tell that of its part")
    nvlinks = board["nvlinks"]
    return Gpu(
        number=number,
        index=index,
        pci=device.pci,
        name=name,
        memory_gib=memory,
        nvlinks=nvlinks,
        numa_node=_numa_node(place, device.pci),
        is_part=is_part,
    )


def _numa_node(place: Place, pci: str) -> Fact:
    """Return the NUMA node that a GPU's slot belongs to, by the bus; NVML's is of a GPU that is a node itself."""
    found = place.number(f"/sys/bus/pci/devices/{pci}/numa_node").then(int)
    return NO_NODE if found.known and found.value < 0 else found


# --- what there is to say --------------------------------------------------------------------------------------------


def _lost(boards: list[nvml.Board]) -> list[str]:
    return [
        f"GPU {index} of {len(boards)}, as NVML counts, cannot be read ({board['pci'].why_not}) and is left out: "
        f"restart the machine, and look for Xid in dmesg"
        for index, board in enumerate(boards)
        if not board["pci"].known
    ]


def _hidden(place: Place, boards: list[nvml.Board], shown: Sequence[Gpu]) -> list[str]:
    seen = {gpu.pci for gpu in shown}
    hidden = [board for board in boards if board["pci"].known and board["pci"].value not in seen]
    if not hidden:
        return []
    which = ", ".join(f"{board['name'].value} at {board['pci'].value}" for board in hidden)
    variable = place.environ.get("CUDA_VISIBLE_DEVICES")
    if variable is None:
        return [f"CUDA does not show {len(hidden)} of {len(boards)} GPUs, and they are left out: {which}"]
    return [f"CUDA_VISIBLE_DEVICES={variable} hides {len(hidden)} of {len(boards)} GPUs: {which}"]


def _parts(shown: Sequence[Gpu]) -> list[str]:
    return [
        f"{gpu} is partitioned (MIG): the platform has the part that CUDA shows; links and power are the board's, "
        f"which others may use"
        for gpu in shown
        if gpu.is_part
    ]


def _unlike(shown: Sequence[Gpu]) -> list[str]:
    kinds = models(shown)
    if len(kinds) < 2:
        return []
    named = " and ".join(f"{count} x {name}" for name, count in kinds.items())
    return [f"the GPUs are unlike: {named}: the slowest sets the pace; CUDA_VISIBLE_DEVICES leaves those of one kind"]


def models(shown: Sequence[Gpu]) -> dict[str, int]:
    """Return how many GPUs there are of each name and memory, in CUDA's order."""
    names = [gpu.name.value or "a GPU without a name" for gpu in shown]
    memories = {(name, round(gpu.memory_gib.value or 0)) for name, gpu in zip(names, shown, strict=True)}
    if len(memories) > len(set(names)):  # alike in name, unlike in memory
        names = [f"{name} {gpu.memory_gib.value or 0:.0f} GiB" for name, gpu in zip(names, shown, strict=True)]
    return {name: names.count(name) for name in names}


def _of_amd(place: Place) -> list[str]:
    found = []
    for card in sorted(place.path("/sys/class/drm").glob("card*")):
        device = f"/sys/class/drm/{card.name}/device"
        if re.fullmatch(r"card\d+", card.name) and place.text(f"{device}/vendor").value == AMD:
            name = place.text(f"{device}/product_name").value or f"device {place.text(f'{device}/device').value}"
            found.append(f"an AMD GPU ({name}, {card.name}) is left out: {NO_ROCM}")
    return found


def on_bus(place: Place) -> list[str]:
    """Return the PCI bus ids of NVIDIA's GPUs, whether a driver knows them or not."""
    return [
        device.name
        for device in sorted(place.path("/sys/bus/pci/devices").glob("*"))
        if place.text(f"/sys/bus/pci/devices/{device.name}/vendor").value == NVIDIA
        and str(place.text(f"/sys/bus/pci/devices/{device.name}/class").value).startswith(DISPLAY)
    ]


def _broken(place: Place, boards: list[nvml.Board], count: Fact) -> str:
    """Return why CUDA shows none of the GPUs that are there; "" if none are, or if they are hidden on purpose."""
    if boards and "CUDA_VISIBLE_DEVICES" in place.environ:
        return ""
    if lost := _lost(boards):
        return f"CUDA shows none of {len(boards)} GPUs: {lost[0]}"
    if boards:
        return f"NVML lists {len(boards)} GPUs and CUDA shows none: its library, libcuda.so.1, does not work here"
    why = count.why_not or "NVML lists none"
    if there := on_bus(place):
        return f"{len(there)} NVIDIA GPUs are on the bus ({', '.join(there)}) and cannot be used: {why}"
    sign = next((path for path in SIGNS if place.path(path).exists()), "")
    return f"{sign} is there, and no GPU is to be seen: {why}" if sign else ""


# --- links -----------------------------------------------------------------------------------------------------------


def links(place: Place, shown: Sequence[Gpu], *, seconds: float) -> list[Link]:
    """Return the links of GPUs, read while copies to all of them run for so many seconds; 0: without load."""
    readings: list[list[Link]] = []
    no_load = NOT_ASKED
    if seconds > 0 and shown:
        try:
            with under_load("copies", seconds=seconds):
                until, no_load = time.monotonic() + 0.8 * seconds, ""
                while not readings or time.monotonic() < until:
                    readings.append([_reading(place, gpu) for gpu in shown])
                    time.sleep(EVERY_S)
        except LoadError as error:
            readings, no_load = [], str(error)
    readings = readings or [[_reading(place, gpu) for gpu in shown]]
    found = [
        max(each, key=lambda link: (link.gen.value or 0, link.width.value or 0)) for each in zip(*readings, strict=True)
    ]
    counts = [gpu.nvlinks.value or 0 for gpu in shown]
    return [replace(link, no_load=no_load, nvlinks=count) for link, count in zip(found, counts, strict=True)]


def _reading(place: Place, gpu: Gpu) -> Link:
    if gpu.index is None:
        missing = Fact(why_not=f"NVML lists no GPU at {gpu.pci}")
        return Link(gen=missing, width=missing, most_gen=missing, most_width=missing)
    gen, width, most_gen, most_width = nvml.board(place, gpu.index, *LINK).values()
    return Link(gen=gen, width=width, most_gen=most_gen, most_width=most_width)


def remarks_on(shown: Sequence[Gpu], found: Sequence[Link]) -> list[str]:
    """Say which links are unlike, and which are less than board and slot can do."""
    texts, remarks = [link.read or "not known" for link in found], []
    if why := next((link.no_load for link in found if link.no_load not in ("", NOT_ASKED)), ""):
        remarks.append(f"the links could not be seen under load: {why}")
    if len(set(texts)) > 1:
        named = ", ".join(f"{gpu}: {text}" for gpu, text in zip(shown, texts, strict=True))
        remarks.append(f"the GPUs' links are unlike: {named}: gradients pass at the rate of the slowest")
    for gpu, link in zip(shown, found, strict=True):
        if link.is_less:
            when = "when idle" if link.no_load else "under load"
            remarks.append(
                f"{gpu} is at {link.read} {when}, and board and slot can do {link.most}: a riser, a loose board, or a "
                f"slot whose lanes are shared"
            )
    return remarks
