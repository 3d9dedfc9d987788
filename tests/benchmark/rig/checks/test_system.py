from pathlib import Path

import pytest

from benchmark.rig.checks import system
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.place import Place

CPU = "sys/devices/system/cpu"
CLOCK = "sys/devices/system/clocksource/clocksource0"
WSL = {
    "proc/version": "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@host) (gcc 11.2.0) #1 SMP",
    f"{CLOCK}/current_clocksource": "hyperv_clocksource_tsc_page",
    "proc/meminfo": "MemTotal: 16314000 kB\nMemAvailable: 15000000 kB\nSwapTotal: 4194304 kB\nSwapFree: 4194304 kB",
    "proc/loadavg": "0.02 0.04 0.01 1/120 77",
    "proc/stat": "cpu 100 0 100 5000 20 0 3 0 0 0\ncpu0 50 0 50 2500 10 0 1 0 0 0\ncpu1 50 0 50 2500 10 0 2 0 0 0",
    "proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-1\n",
    "proc/self/cgroup": "0::/",
    "proc/self/limits": "Max open files            1024                 1048576              files",
}
"""The files of a Windows Subsystem for Linux, which has no cpufreq and no limits."""


@pytest.fixture
def place(tmp_path):
    def make(files: dict[str, str]) -> Place:
        for name, text in files.items():
            path: Path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Place(root=tmp_path, why_no_nvml="none")

    return make


def test_every_check_of_a_machine_without_files_is_unknown(place):
    for check in system.CHECKS:
        found = check.look(place({}))
        assert found.status == UNKNOWN and found.found, check.name


@pytest.mark.parametrize("text", ["", "\0\xff", "x y z", "-1", "0 0 0 0 0 0 0 0 0"])
def test_nothing_is_ok_where_files_hold_nonsense(place, text):
    cpu = [f"{CPU}/cpu0/cpufreq/scaling_governor", f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq", f"{CPU}/smt/active"]
    here = place(dict.fromkeys([*WSL, *cpu, "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max"], text))
    for check in system.CHECKS:
        assert check.look(here).status in (WARN, UNKNOWN), check.name


def test_wsl_is_told_and_everything_else_of_it_is_right(place):
    here = place(WSL)
    found = {check.name: check.look(here) for check in system.CHECKS}
    assert found["system.kernel"].status == WARN and "Windows Subsystem" in found["system.kernel"].found
    for name in ("clock", "cores", "memory", "swap", "load", "steal", "files"):
        assert found[f"system.{name}"].status == OK, name
    for name in ("governor", "frequency", "smt", "shm"):
        assert found[f"system.{name}"].status == UNKNOWN, name


@pytest.mark.parametrize("new", [True, False])
def test_a_container_of_half_a_core_and_2_gib(place, new):
    """docker run --cpus 0.5 --memory 2g, under either version of control groups."""
    files = {
        "proc/self/status": "Cpus_allowed_list:\t0-63",
        "proc/meminfo": f"MemTotal: {512 * 2**20} kB\nMemAvailable: {500 * 2**20} kB",
    }
    limits = {
        "sys/fs/cgroup/cpu.max": "50000 100000",
        "sys/fs/cgroup/memory.max": str(2 * 2**30),
        "sys/fs/cgroup/memory.current": str(2**30),
        "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {2**29}\n",
        "proc/self/cgroup": "0::/",
    }
    if not new:
        limits = {
            "sys/fs/cgroup/cpu,cpuacct/docker/a1/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/docker/a1/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/docker/a1/memory.limit_in_bytes": str(2 * 2**30),
            "sys/fs/cgroup/memory/docker/a1/memory.usage_in_bytes": str(2**30),
            "sys/fs/cgroup/memory/docker/a1/memory.stat": f"total_inactive_file {2**29}\n",
            "proc/self/cgroup": "9:cpu,cpuacct:/docker/a1\n4:memory:/docker/a1\n0::/docker/a1",
        }
    here = place({**files, **limits})
    cores, memory = system.cores(here), system.memory(here)
    assert cores.status == FAIL and cores.found.startswith("the time of 0.5 cores on 64 logical cores (")
    # 2 GiB less 1 in use, of which half is a cache that would be given back: 1.5
    assert memory.status == FAIL and memory.found.startswith("1.5 GiB free of 2.0, the control group's limit")
    assert "--cpus" in cores.way_out and "--memory" in memory.way_out


def test_a_quota_of_less_than_all_cores_is_a_warning_and_none_is_fine(place):
    files = {"proc/self/status": "Cpus_allowed_list:\t0-7,16", "proc/self/cgroup": "0::/a/b"}
    assert system.cores(place(files)).found == "9 logical cores"
    here = place({**files, "sys/fs/cgroup/a/cpu.max": "400000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000"})
    assert system.cores(here).status == WARN and "4 cores on 9" in system.cores(here).found


@pytest.mark.parametrize(
    ("source", "status"), [("tsc", OK), ("kvm-clock", OK), ("hpet", WARN), ("acpi_pm", WARN), ("sundial", UNKNOWN)]
)
def test_clocks(place, source, status):
    assert system.clock(place({f"{CLOCK}/current_clocksource": source})).status == status


@pytest.mark.parametrize(
    ("governors", "driver", "status"),
    [
        (("performance", "performance"), "acpi-cpufreq", OK),
        (("powersave", "powersave"), "intel_pstate", OK),  # which follows the load all the same
        (("powersave", "powersave"), "acpi-cpufreq", WARN),  # which stays at the lowest
        (("performance", "ondemand"), "acpi-cpufreq", WARN),
    ],
)
def test_governors(place, governors, driver, status):
    files = {f"{CPU}/cpu{n}/cpufreq/scaling_governor": name for n, name in enumerate(governors)}
    found = system.governor(place({**files, f"{CPU}/cpu0/cpufreq/scaling_driver": driver}))
    assert found.status == status and f"of {len(governors)} cores" in found.found


def test_a_clock_that_is_held_down(place):
    files = {f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "4200000", f"{CPU}/cpu0/cpufreq/scaling_max_freq": "2100000"}
    assert system.frequency(place(files)).found == "held to 2.10 GHz of 4.20"
    files[f"{CPU}/cpu0/cpufreq/scaling_max_freq"] = "4200000"
    assert system.frequency(place(files)).status == OK
    assert system.frequency(place({**files, f"{CPU}/intel_pstate/no_turbo": "1"})).found.startswith("turbo is off")


def test_memory_swap_load_and_stolen_time(place):
    gib = 2**20  # kB
    meminfo = f"MemTotal: {16 * gib} kB\nMemAvailable: {3 * gib} kB\nSwapTotal: {8 * gib} kB\nSwapFree: {5 * gib} kB"
    stat = "cpu 600 0 300 9000 0 0 0 100 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\n"
    here = place({"proc/meminfo": meminfo, "proc/loadavg": "1.9 1 1 1/9 9", "proc/stat": stat})
    assert system.memory(here).status == WARN and system.memory(here).found == "3.0 GiB free of 16.0"
    assert system.swap(here).status == WARN and system.swap(here).found == "3.0 GiB of 8.0 in use"
    assert system.load(here).status == WARN  # 1.9 of 2 cores
    steal = system.steal(here)  # 100 of 600 + 300 + 100
    assert steal.status == WARN and steal.found.startswith("10.0% of the busy time")


def test_few_open_files(place):
    assert system.files(place({"proc/self/limits": "Max open files   256   4096   files"})).status == WARN
    assert system.files(place({"proc/self/limits": "Max open files   unlimited   unlimited   files"})).status == OK


def test_smt(place):
    assert system.smt(place({f"{CPU}/smt/active": "1"})).found.startswith("on")


def test_docker_gives_64_mib_of_shared_memory(place, monkeypatch):
    import os

    class Room:
        f_bavail, f_frsize = 64 * 256, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Room)
    assert system.shm(place({})).found == "64 MiB free in /dev/shm"
    assert "--shm-size" in system.shm(place({})).way_out
