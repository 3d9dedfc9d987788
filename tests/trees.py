"""Made-up roots for /proc, /sys and /etc, for tests of what reads a machine."""

from pathlib import Path

from benchmark.rig.place import Place

X86 = "processor\t: {n}\ncpu family\t: 6\nmodel name\t: {name}\nphysical id\t: {socket}\ncore id\t\t: {core}\n\n"
ARM = "processor\t: {n}\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n"


def root(folder: Path, files: dict[str, str]) -> Place:
    """Write files under a folder, and return the place that has them."""
    for name, text in files.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Place(root=folder, why_no_nvml="NVML: NVML Shared Library Not Found", environ={})


def machine(
    *, sockets: int = 1, cores: int = 2, threads: int = 1, name: str = "Xeon", gib: float = 8
) -> dict[str, str]:
    """Return the files of a machine: `cores` in each socket, with `threads` each."""
    files, cpuinfo, count = {}, "", sockets * cores * threads
    for n in range(count):  # as Linux numbers them: first one thread of every core, then the others
        core = n % (sockets * cores)
        siblings = ",".join(str(core + each * sockets * cores) for each in range(threads))
        cpuinfo += X86.format(n=n, name=name, socket=core // cores, core=core % cores)
        topology = f"/sys/devices/system/cpu/cpu{n}/topology"
        files |= {f"{topology}/physical_package_id": f"{core // cores}\n", f"{topology}/thread_siblings_list": siblings}
    return {
        **files,
        "/sys/devices/system/cpu/online": f"0-{count - 1}\n",
        "/sys/devices/system/node/online": f"0-{sockets - 1}\n" if sockets > 1 else "0\n",
        "/proc/cpuinfo": cpuinfo,
        "/proc/meminfo": f"MemTotal:       {int(gib * 2**20)} kB\nMemFree:         1000 kB\n",
        "/proc/self/status": f"Name:\tpython\nCpus_allowed_list:\t0-{count - 1}\n",
        "/proc/self/cgroup": "0::/\n",
        "/proc/version": "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)\n",
        "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
        "/etc/os-release": 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    }


HALF_A_CORE = {  # docker run --cpus 0.5 --memory 2g, by version of control groups
    1: {
        "/proc/self/cgroup": "4:memory:/docker/1a\n3:cpu,cpuacct:/docker/1a\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
    },
    2: {
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/cpu.max": "50000 100000\n",
        "/sys/fs/cgroup/memory.max": "2147483648\n",
    },
}
