import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trees

from benchmark.rig.host import FACTS, host
from benchmark.rig.place import Place


def values(place, *wanted):
    return tuple(fact.value for fact in host(place, *wanted).values())


CORES = ("sockets", "physical_cores", "logical_cores", "usable_cores", "numa_nodes")


def test_two_sockets_of_six_cores_with_two_threads_each(tmp_path):
    """The paper's Sys2: 2x Xeon E5-2630 v2."""
    place = trees.root(tmp_path, trees.machine(sockets=2, cores=6, threads=2, name="Intel(R) Xeon(R) E5-2630 v2"))
    assert values(place, "cpu", *CORES) == ("Intel(R) Xeon(R) E5-2630 v2", 2, 12, 24, 24, 2)


def test_without_sys_the_cores_are_those_of_cpuinfo(tmp_path):
    files = trees.machine(sockets=2, cores=6, threads=2)
    place = trees.root(tmp_path, {name: text for name, text in files.items() if not name.startswith("/sys")})
    assert values(place, *CORES) == (2, 12, 24, 24, None)


@pytest.mark.parametrize("version", [1, 2])
def test_in_a_container_of_half_a_core_and_2_gib_the_limits_count_and_are_named(tmp_path, version):
    place = trees.root(tmp_path, {**trees.machine(cores=8, gib=32), **trees.HALF_A_CORE[version]})
    found = host(place)
    assert (found["cpu_quota"].value, found["usable_cores"].value) == (0.5, 1)
    assert found["usable_cores"].source == "the control groups' limit of CPU time, 0.5 cores, rounded up"
    assert found["ram_gib"].value == 2
    assert found["ram_gib"].source == "the control groups' limit of memory, of the machine's 32.0 GiB"
    assert found["logical_cores"].value == 8


def test_a_limit_above_what_is_there_does_not_count(tmp_path):
    limits = {"/sys/fs/cgroup/cpu.max": "6400000 100000", "/sys/fs/cgroup/memory.max": str(2**40)}
    place = trees.root(tmp_path, {**trees.machine(cores=8, gib=32), **limits})
    found = host(place, "usable_cores", "ram_gib")
    assert (found["usable_cores"].value, found["usable_cores"].source) == (8, "/proc/self/status")
    assert (found["ram_gib"].value, found["ram_gib"].source) == (32, "/proc/meminfo, MemTotal")


def test_an_affinity_to_some_cores_leaves_those(tmp_path):
    status = {"/proc/self/status": "Cpus_allowed_list:\t0-1,6\n"}
    assert values(trees.root(tmp_path, {**trees.machine(cores=8), **status}), "usable_cores", "logical_cores") == (3, 8)


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("Linux version 5.15.153.1-microsoft-standard-WSL2 (root@1) (gcc)", "WSL 2"),
        ("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)", "WSL 1"),
        ("Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)", "no"),
    ],
)
def test_windows_subsystem_is_told_by_its_kernel(tmp_path, version, found):
    assert values(trees.root(tmp_path, {"/proc/version": version}), "wsl", "kernel") == (found, version.split()[2])


def test_arm_has_no_model_name_and_no_sockets_in_cpuinfo(tmp_path):
    cpuinfo = "".join(trees.ARM.format(n=n) for n in range(4))
    place = trees.root(tmp_path, {"/proc/cpuinfo": cpuinfo})
    assert values(place, "cpu", "sockets", "logical_cores") == ("Arm Neoverse-N1", None, 4)


def test_packages_that_firmware_does_not_number_are_no_sockets(tmp_path):
    topology = "/sys/devices/system/cpu/cpu0/topology/physical_package_id"
    place = trees.root(tmp_path, {topology: "-1\n", "/proc/cpuinfo": trees.ARM.format(n=0)})
    assert host(place)["sockets"].why_not == "/proc/cpuinfo: none is listed"


def test_the_clock_and_the_caches_of_the_first_core(tmp_path):
    files = {"/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "4200000\n"}
    for index, text in enumerate(("1 Data 48K", "1 Instruction 32K", "3 Unified 8192K")):
        folder = f"/sys/devices/system/cpu/cpu0/cache/index{index}"
        files |= {f"{folder}/{name}": each for name, each in zip(("level", "type", "size"), text.split(), strict=True)}
    assert values(trees.root(tmp_path, files), "frequency_mhz", "caches") == (4200, "L1d 48K, L1i 32K, L3 8192K")


def test_where_nothing_is_there_all_is_unknown_with_a_reason(tmp_path):
    found = host(Place(root=tmp_path, why_no_nvml="none"))
    assert set(found) == set(FACTS) and not any(fact.known for fact in found.values())
    assert all(fact.why_not.startswith("/") for fact in found.values()), found


def test_files_of_nonsense_are_unknown_too(tmp_path):
    files = dict.fromkeys(trees.machine(), "0-x \x00 nonsense\n") | {"/proc/cpuinfo": "processor\t: x\n"}
    found = host(trees.root(tmp_path, files))
    assert [name for name, fact in found.items() if fact.known] == ["wsl", "kernel"]


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="not Linux")
def test_this_machine_is_what_python_says_it_is():
    found = host(Place(why_no_nvml="not asked"))
    assert found["logical_cores"].value == os.cpu_count()
    assert found["affinity"].value == len(os.sched_getaffinity(0))
    assert found["kernel"].value == platform.release()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    limited = re.search("limit", found["ram_gib"].source)
    assert limited or abs(found["ram_gib"].value - pages) < 0.01


@pytest.mark.skipif(not shutil.which("lscpu"), reason="no lscpu is here")
def test_this_machine_has_the_cores_that_lscpu_counts():
    """util-linux's lscpu -p: a line for each logical core that is online, with the numbers of its core and socket."""
    command = ["lscpu", "--json", "--extended=CPU,CORE,SOCKET,NODE", "--online"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode or not done.stdout:
        pytest.skip(f"lscpu says nothing here: {done.stderr.strip()}")  # a chroot without /sys
    rows = json.loads(done.stdout)["cpus"]
    found = host(Place(why_no_nvml="not asked"))
    assert found["logical_cores"].value == len(rows)
    for name, keys in (("sockets", ("socket",)), ("physical_cores", ("socket", "core")), ("numa_nodes", ("node",))):
        if all(row[key] not in (None, "-") for row in rows for key in keys) and found[name].known:
            assert found[name].value == len({tuple(str(row[key]) for key in keys) for row in rows}), name
