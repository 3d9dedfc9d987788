"""What the files of a machine say of its clock, processor, limits, memory and load.

A training reads the clock often, keeps a few processes busy beside the GPUs, and must have the machine to itself.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from benchmark.rig.checks.check import Check, Finding, fail, ok, unknown, warn
from benchmark.rig.place import Fact, Place

GIB, MIB = 2**30, 2**20
GOOD_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen", "pvclock")
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
RAISES_CLOCKS = ("intel_pstate", "amd-pstate-epp")  # drivers whose "powersave" follows the load
LEAST_MEMORY_GIB, GOOD_MEMORY_GIB = 2, 4  # free: TensorFlow with the smallest workload; with a margin
SWAPPED_MIB = 256
STOLEN_SHARE = 0.02
SHM_MIB = 512
FILES_OPEN = 1024
BUSY_SHARE = 0.75
NEIGHBOURS_S = 0.6
NO_LIMIT = 2**60  # bytes; control groups of version 1 write about 2^63 for none

CPU = "/sys/devices/system/cpu"


def system(place: Place) -> Finding:
    version = place.text("/proc/version")
    if not version.known or not version.value.startswith("Linux"):
        return unknown(version if not version.known else "/proc/version is not that of a Linux")
    kernel = " ".join(version.value.split()[:3])
    if "microsoft" in version.value.lower():
        return warn(
            f"{kernel}: Windows Subsystem for Linux",
            expected="Linux itself, for times that compare",
            way_out="measure under Linux; here Windows takes time and memory unseen, and NVML knows less",
        )
    return ok(kernel)


def clock(place: Place) -> Finding:
    source = place.text("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if not source.known:
        return unknown(source)
    if source.value in SLOW_CLOCKS:
        there = place.text("/sys/devices/system/clocksource/clocksource0/available_clocksource").value or "not known"
        return warn(
            f"{source.value}: microseconds to read",
            expected="tsc, or a virtual machine's own",
            way_out=f"available: {there}; the kernel option clocksource=tsc, or dmesg for why tsc was given up",
        )
    return ok(source.value) if source.value in GOOD_CLOCKS else unknown(f"{source.value}: not known to be good or bad")


def governor(place: Place) -> Finding:
    found = [place.text(path) for path in _each(place, "cpufreq/scaling_governor")]
    names = Counter(fact.value for fact in found if fact.known)
    if not names:
        return unknown(f"no {CPU}/cpu*/cpufreq/scaling_governor: the clock is the host's or the firmware's")
    told = ", ".join(f"{name} on {count} of {len(found)} cores" for name, count in names.most_common())
    driver = place.text(f"{CPU}/cpu0/cpufreq/scaling_driver").value
    if set(names) <= {"performance", "schedutil"} or (set(names) <= {"performance", "powersave"} and
                                                      driver in RAISES_CLOCKS):  # fmt: skip
        return ok(f"{told} ({driver})" if driver else told)
    return warn(
        told, expected="performance", way_out="cpupower frequency-set -g performance, as root, until the next restart"
    )


def frequency(place: Place) -> Finding:
    for path, off, name in ((f"{CPU}/intel_pstate/no_turbo", "1", "turbo"), (f"{CPU}/cpufreq/boost", "0", "boost")):
        if place.text(path).value == off:
            return warn(
                f"{name} is off ({path} is {off})",
                expected=f"{name} on, as other machines have it",
                way_out=f"echo {1 - int(off)} > {path}, as root, or the firmware's settings",
            )
    pairs = []
    for path in _each(place, "cpufreq/cpuinfo_max_freq"):
        can, may = place.number(path), place.number(path.replace("cpuinfo_max_freq", "scaling_max_freq"))
        if can.known and may.known:
            pairs.append((may.value / 1e6, can.value / 1e6))
    if not pairs:
        return unknown(f"no {CPU}/cpu*/cpufreq/cpuinfo_max_freq")
    may, can = min(pairs, key=lambda pair: pair[0] / pair[1])
    if may < 0.99 * can:
        return warn(
            f"held to {may:.2f} GHz of {can:.2f}",
            expected="no limit below what the processor can",
            way_out=f"cpupower frequency-set -u {can:.2f}GHz, as root",
        )
    return ok(f"up to {can:.2f} GHz")


def smt(place: Place) -> Finding:
    active = place.text(f"{CPU}/smt/active")
    if active.value not in ("0", "1"):
        return unknown(active if not active.known else f"{CPU}/smt/active is {active.value!r:.20}")
    return ok("on: two logical cores share one" if active.value == "1" else "off: every logical core is a whole one")


def cores(place: Place) -> Finding:
    allowed = place.text("/proc/self/status").then(_allowed)
    if not allowed.known:
        return unknown(allowed)
    quota, usable = _quota(place), float(allowed.value)
    told = f"{allowed.value} logical cores"
    if quota.known and quota.value < usable:
        usable = quota.value
        told = f"the time of {usable:g} cores on {told} ({quota.source})"
    way_out = "give the container more (docker run --cpus, resources.limits.cpu), or the process more cores (taskset)"
    if usable < 1:
        return fail(told, expected="a core for training, and some for reading", way_out=way_out)
    if usable < 2 or quota.known and quota.value < allowed.value:
        return warn(told, expected="at least 2 cores, and no quota, which stops all threads at once", way_out=way_out)
    return ok(told)


def memory(place: Place) -> Finding:
    meminfo = place.text("/proc/meminfo").then(_meminfo)
    if not meminfo.known:
        return unknown(meminfo)
    total, free = meminfo.value.get("MemTotal", 0), meminfo.value.get("MemAvailable")
    if free is None:
        return unknown("/proc/meminfo: no MemAvailable")
    told, limit = f"{free / GIB:.1f} GiB free of {total / GIB:.1f}", _memory_limit(place)
    if limit.known and limit.value[0] < total:
        most, used = limit.value
        free = min(free, max(0.0, most - used))
        told = f"{free / GIB:.1f} GiB free of {most / GIB:.1f}, the control group's limit ({limit.source})"
    expected = f"{GOOD_MEMORY_GIB} GiB free for the smallest workload, more for larger ones"
    way_out = "end what holds it, or give the container more (docker run --memory)"
    if free < LEAST_MEMORY_GIB * GIB:
        return fail(told, expected=expected, way_out=way_out)
    return warn(told, expected=expected, way_out=way_out) if free < GOOD_MEMORY_GIB * GIB else ok(told)


def swap(place: Place) -> Finding:
    meminfo = place.text("/proc/meminfo").then(_meminfo)
    if not meminfo.known:
        return unknown(meminfo)
    total, free = (meminfo.value.get(name) for name in ("SwapTotal", "SwapFree"))
    if total is None or free is None:
        return unknown("/proc/meminfo: no SwapTotal and SwapFree")
    used = total - free
    told = f"{used / GIB:.1f} GiB of {total / GIB:.1f} in use" if total else "there is none"
    if used > SWAPPED_MIB * MIB:
        return warn(told, expected="memory enough for all", way_out="end what holds memory, then swapoff -a, swapon -a")
    return ok(told)


def load(place: Place) -> Finding:
    average = place.text("/proc/loadavg").then(lambda text: float(text.split()[0]))
    count = place.text("/proc/stat").then(lambda text: len(re.findall(r"^cpu\d", text, re.MULTILINE)) or None)
    if not average.known or not count.known:
        return unknown(average if not average.known else count)
    told = f"{average.value:g} over the last minute, {count.value} logical cores"
    if average.value > BUSY_SHARE * count.value:
        return warn(
            told,
            expected="an idle machine",
            way_out="wait until what ran before is over; top shows what runs",
        )
    return ok(told)


def neighbours(place: Place) -> Finding:
    if str(place.root) != "/":
        return unknown("processes are asked of this machine alone")
    import time

    from benchmark.run.watch.neighbours import LARGE_SHARE, Neighbours

    watched = Neighbours()
    time.sleep(NEIGHBOURS_S)
    if not (text := watched.warning()):
        return ok(f"others keep under {LARGE_SHARE:.0%} of the processors busy")
    return warn(text.partition(": the times")[0], expected="a machine of its own", way_out="wait until they have ended")


def steal(place: Place) -> Finding:
    times = place.text("/proc/stat").then(lambda text: [float(word) for word in text.splitlines()[0].split()[1:9]])
    if not times.known or len(times.value) < 8 or not sum(times.value):
        return unknown(times if not times.known else "/proc/stat: no time stolen is told")
    share = times.value[7] / (sum(times.value) - times.value[3] - times.value[4] or 1.0)  # idle, iowait
    told = f"{share:.1%} of the busy time since its start was taken by other machines on the host"
    if share > STOLEN_SHARE:
        return warn(told, expected=f"at most {STOLEN_SHARE:.0%}", way_out="rent a machine that shares no cores")
    return ok(told)


def shm(place: Place) -> Finding:
    try:
        room = os.statvfs(place.path("/dev/shm"))
    except OSError as error:
        return unknown(f"/dev/shm: {error.strerror}")
    free = room.f_bavail * room.f_frsize / MIB
    if free < SHM_MIB:
        return warn(
            f"{free:.0f} MiB free in /dev/shm",
            expected=f"{SHM_MIB} MiB: several GPUs exchange gradients through it",
            way_out="docker run --shm-size=1g (or --ipc=host), or remove what lies there",
        )
    return ok(f"{free / 1024:.1f} GiB free in /dev/shm")


def files(place: Place) -> Finding:
    found = place.text("/proc/self/limits").then(
        lambda text: re.search(r"^Max open files\s+(\S+)", text, re.MULTILINE).group(1)
        if "Max open files" in text else None
    )  # fmt: skip
    if not found.known:
        return unknown(found)
    if found.value != "unlimited" and int(found.value) < FILES_OPEN:
        return warn(f"{found.value}", expected=f"at least {FILES_OPEN}", way_out=f"ulimit -n {FILES_OPEN}")
    return ok(found.value)


# --- what the files hold ---------------------------------------------------------------------------------------------


def _each(place: Place, file: str) -> list[str]:
    """Return the paths of a file of every logical core."""
    found = sorted(place.path(CPU).glob(f"cpu[0-9]*/{file}"))
    return [f"/{path.relative_to(place.root)}" for path in found]


def _allowed(status: str) -> int:
    """Return how many logical cores this process may run on: of "Cpus_allowed_list: 0-3,8"."""
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    if not found:
        raise ValueError("no Cpus_allowed_list")
    spans = [span.split("-") for span in found.group(1).split(",")]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)


def _meminfo(text: str) -> dict[str, float]:
    """Return the bytes of every line: "MemTotal: 16314 kB"."""
    return {name: float(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}


def _groups(place: Place, controller: str) -> Iterator[str]:
    """Yield the folders of this process's control groups that may limit something, from the root down."""
    for line in (place.text("/proc/self/cgroup").value or "").splitlines():
        _, names, path = (*line.split(":", 2), "", "")[:3]
        if names and controller not in names.split(","):
            continue
        base = PurePosixPath("/sys/fs/cgroup", names)
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for count in range(len(parts) + 1):
            yield str(base.joinpath(*parts[:count]))


def _quota(place: Place) -> Fact:
    """Return how many cores' time the control groups allow, the least."""
    found = []
    for group in _groups(place, "cpu"):
        new = place.text(f"{group}/cpu.max").then(lambda text: text.split())
        quota, period = (place.text(f"{group}/cpu.cfs_{name}_us") for name in ("quota", "period"))
        if new.known and len(new.value) == 2 and new.value[0] != "max":
            found.append(Fact(float(new.value[0]) / float(new.value[1]), new.source))
        elif quota.known and period.known and float(quota.value) > 0:
            found.append(Fact(float(quota.value) / float(period.value), quota.source))
    return min(found, key=lambda fact: fact.value, default=Fact(why_not="no control group limits the processors"))


def _memory_limit(place: Place) -> Fact:
    """Return the limit of the control groups and what counts against it, in bytes, where least is left."""
    found = []
    for group in _groups(place, "memory"):
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, used = place.text(f"{group}/{limit}"), place.number(f"{group}/{usage}")
            if most.known and most.value.isdigit() and int(most.value) < NO_LIMIT:
                stat = place.text(f"{group}/memory.stat").value or ""
                cached = re.search(rf"^{cache} (\d+)$", stat, re.MULTILINE)
                held = (used.value or 0.0) - (float(cached.group(1)) if cached else 0.0)
                found.append(Fact((float(most.value), max(0.0, held)), most.source))
    least = min(found, key=lambda fact: fact.value[0] - fact.value[1], default=None)
    return least or Fact(why_not="no control group limits memory")


CHECKS = (
    Check(name="system.kernel", asks="is it Linux itself?", look=system),
    Check(name="system.clock", asks="is the clock cheap to read?", look=clock),
    Check(name="system.governor", asks="does the processor's clock rise under load?", look=governor),
    Check(name="system.frequency", asks="is the processor's clock held down?", look=frequency),
    Check(name="system.smt", asks="do two logical cores share one?", look=smt),
    Check(name="system.cores", asks="how many cores may be used?", look=cores),
    Check(name="system.memory", asks="is there memory enough?", look=memory),
    Check(name="system.swap", asks="is memory swapped out?", look=swap),
    Check(name="system.load", asks="was the machine busy?", look=load),
    Check(name="system.neighbours", asks="do other processes keep it busy now?", look=neighbours),
    Check(name="system.steal", asks="do other machines on the host take its time?", look=steal),
    Check(name="system.shm", asks="is there shared memory for the exchange of gradients?", look=shm),
    Check(name="system.files", asks="how many files may a process open?", look=files),
)
