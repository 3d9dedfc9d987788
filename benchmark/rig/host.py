"""What a machine is without its GPUs: processor, cores, memory, operating system; each value a Fact.

    facts = host(place)
    facts["cpu"], facts["usable_cores"], facts["ram_gib"]       # ram_gib's source says whether a limit counts

Read from /proc, /sys and /etc under the place's root; what is missing there is unknown. A container sees the whole
machine's cores and memory there, so the limits of control groups, and the affinity, are read beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path

from benchmark.rig.place import Fact, Place
from platforms import machine

GIB = 2**30
CPUS = "/sys/devices/system/cpu"
CPUINFO = "/proc/cpuinfo"
QUOTA = "the control groups' limit of CPU time"
LIMIT = "the control groups' limit of memory"
NO_CPU_NAME = f"{CPUINFO}: no name of a processor"
KINDS = {"Data": "d", "Instruction": "i"}  # of a cache; else both


def host(place: Place, *wanted: str) -> dict[str, Fact]:
    """Return the machine's facts that are `wanted`, or all of FACTS, in their order."""
    return {name: FACTS[name](place) for name in wanted or FACTS}


def cpu(place: Place) -> Fact:
    """Return the processor's model."""
    if not (text := place.text(CPUINFO)).known:
        return text
    name = machine.cpu_name(place.root)
    return Fact(name, CPUINFO) if name else Fact(why_not=NO_CPU_NAME)


def sockets(place: Place) -> Fact:
    """Return how many processors there are: packages with a number of their own."""
    found = {int(text) for text in _of_each_cpu(place, "topology/physical_package_id") if text.isdecimal()}
    if found:
        return Fact(len(found), f"{CPUS}/cpu*/topology")
    return place.text(CPUINFO).then(lambda text: _counted(re.findall(r"^physical id\s*:\s*(\d+)", text, re.MULTILINE)))


def physical_cores(place: Place) -> Fact:
    """Return how many cores there are, hardware threads that share one counted once."""
    siblings = _of_each_cpu(place, "topology/thread_siblings_list")
    if found := {text for text in siblings if re.fullmatch(r"[\d,-]+", text)}:
        return Fact(len(found), f"{CPUS}/cpu*/topology")
    pattern = r"^physical id\s*:\s*(\d+)$(?:\n.+)*?\ncore id\s*:\s*(\d+)$"
    return place.text(CPUINFO).then(lambda text: _counted(re.findall(pattern, text, re.MULTILINE)))


def logical_cores(place: Place) -> Fact:
    """Return how many logical cores are online, those that this process may not use included."""
    online = place.text(f"{CPUS}/online").then(lambda text: len(_numbers(text)))
    if online.known:
        return online
    return place.text(CPUINFO).then(lambda text: _counted(re.findall(r"^processor\s*:\s*(\d+)", text, re.MULTILINE)))


def affinity(place: Place) -> Fact:
    """Return on how many logical cores this process may run (taskset, a container's cpuset)."""

    def allowed(text: str) -> int:
        if not (found := re.search(r"^Cpus_allowed_list:\s*(\S+)", text, re.MULTILINE)):
            raise ValueError("no Cpus_allowed_list")
        return len(_numbers(found.group(1)))

    return place.text("/proc/self/status").then(allowed)


def cpu_quota(place: Place) -> Fact:
    """Return how many cores' time the control groups allow."""
    if not (groups := place.text("/proc/self/cgroup")).known:
        return groups
    quota = machine.cpu_quota(place.root)
    return Fact(why_not="no limit is to be seen in the control groups") if quota is None else Fact(quota, QUOTA)


def usable_cores(place: Place) -> Fact:
    """Return how many cores this process can keep busy: the affinity's or, if that is less, the quota's, rounded up."""
    allowed, quota = affinity(place), cpu_quota(place)
    if not allowed.known:
        allowed = logical_cores(place)
    if quota.known and (not allowed.known or ceil(quota.value) < allowed.value):
        return Fact(ceil(quota.value), f"{QUOTA}, {quota.value:g} cores, rounded up")
    return allowed


def ram_gib(place: Place) -> Fact:
    """Return the memory that Linux has to give, in GiB, or the control groups' limit if that is less."""

    def total(text: str) -> float:
        if not (found := re.search(r"^MemTotal:\s*(\d+) kB", text, re.MULTILINE)):
            raise ValueError("no MemTotal")
        return int(found.group(1)) * 1024 / GIB

    whole, limit = place.text("/proc/meminfo").then(total), machine.memory_limit(place.root)
    if limit is None or (whole.known and whole.value * GIB <= limit):
        return Fact(whole.value, "/proc/meminfo, MemTotal") if whole.known else whole
    of = f", of the machine's {whole.value:.1f} GiB" if whole.known else ""
    return Fact(limit / GIB, f"{LIMIT}{of}")


def numa_nodes(place: Place) -> Fact:
    """Return how many NUMA nodes are online."""
    return place.text("/sys/devices/system/node/online").then(lambda text: len(_numbers(text)))


def frequency_mhz(place: Place) -> Fact:
    """Return the highest clock that the processor's driver allows."""
    return place.number(f"{CPUS}/cpu0/cpufreq/cpuinfo_max_freq").then(lambda khz: khz / 1000)


def caches(place: Place) -> Fact:
    """Return the caches that the first core has or shares, as text: "L1d 48K, L1i 32K, L2 2048K, L3 266240K"."""
    found = []
    for folder in sorted(place.path(f"{CPUS}/cpu0/cache").glob("index*")):
        level, kind, size = (_read(folder / name) for name in ("level", "type", "size"))
        if level and size:
            found.append(f"L{level}{KINDS.get(kind, '')} {size}")
    where = f"{CPUS}/cpu0/cache"
    return Fact(", ".join(found), where) if found else Fact(why_not=f"{where}: no caches are listed")


def wsl(place: Place) -> Fact:
    """Return "WSL 2" or "WSL 1" under Windows, else "no"; Microsoft's kernels say so in their version."""

    def version(text: str) -> str:
        if "microsoft" not in text.lower():
            return "no"
        return "WSL 2" if "WSL2" in text or "microsoft-standard" in text else "WSL 1"

    return place.text("/proc/version").then(version)


def operating_system(place: Place) -> Fact:
    """Return the distribution's name: "Debian GNU/Linux 12 (bookworm)"."""

    def name(text: str) -> str:
        if not (found := re.search(r"^PRETTY_NAME=([\"']?)(.+)\1$", text, re.MULTILINE)):
            raise ValueError("no PRETTY_NAME")
        return found.group(2)

    first = place.text("/etc/os-release")
    return (first if first.known else place.text("/usr/lib/os-release")).then(name)


def kernel(place: Place) -> Fact:
    """Return the kernel's release: "6.1.0-18-amd64"."""
    release = place.text("/proc/sys/kernel/osrelease")
    return release if release.known else place.text("/proc/version").then(lambda text: text.split()[2])


FACTS: dict[str, Callable[[Place], Fact]] = {
    "cpu": cpu,
    "sockets": sockets,
    "physical_cores": physical_cores,
    "logical_cores": logical_cores,
    "affinity": affinity,
    "cpu_quota": cpu_quota,
    "usable_cores": usable_cores,
    "ram_gib": ram_gib,
    "numa_nodes": numa_nodes,
    "frequency_mhz": frequency_mhz,
    "caches": caches,
    "wsl": wsl,
    "operating_system": operating_system,
    "kernel": kernel,
}
"""What a machine is asked, each alone."""


def _of_each_cpu(place: Place, name: str) -> Iterator[str]:
    for folder in place.path(CPUS).glob("cpu[0-9]*"):
        if text := _read(folder / name):
            yield text


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _counted(found: list) -> int:
    if not found:
        raise ValueError("none is listed")
    return len(set(found))


def _numbers(text: str) -> set[int]:
    """Return the numbers of a kernel's list: "0-3,8" is 0, 1, 2, 3 and 8."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
