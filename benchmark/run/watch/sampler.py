"""Sample how busy the machine is, usually ten times a second, into utilisation.csv, in a process of its own.

The run starts it (benchmark/run/watch/monitor.py) by exec, never by fork, as the parent may have started TensorFlow. It
ends when its standard input has a byte or is closed, so it does not outlive its parent. It prints one JSON object per
line: {"refused": why}, or {"unavailable": {column: why}} when it starts and again for each new failure; "gpu2" stands
for all columns of a GPU. The first one has the machine's GPUs as well, those that cannot be read with their problem:

    {"boards": {"gpu0": {"name": "NVIDIA V100", "pci": "0000:3b:00.0", "mig": false},
                "gpu1": {"name": null, "pci": null, "mig": false, "problem": "NVMLError_GpuIsLost: GPU is lost"}}}

A value that could not be read is an empty field, never 0. `benchmark.record.usage` describes the columns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import select
import signal
import sys
import time
from pathlib import Path

import psutil
import pynvml

from benchmark.run.watch.gpus import boards, by_gpu, gpu_sensors, reason
from benchmark.run.watch.rapl import POWERCAP, rapl_sensors

MIB = 2**20
TAIL_BYTES = 2**16  # more than a row
LATER = (re.compile(r"package\d+_energy_j"), re.compile(r"(package|gpu)\d+_energy_j"))  # newest first
REFRESH_S = 1.0
REFRESH_SHARE = 0.002  # of a core's time at most: to find children, psutil reads /proc/*/stat of the whole host


class ProcessTree:
    """A process and all its descendants, without the sampler. Raises psutil.NoSuchProcess when the root has ended.

    /proc/PID/stat is kept open: a sample of CPU and memory of five processes takes 100 us, and 380 us with psutil,
    which opens two files each time. Nor can an open file be that of another process with the same PID.
    """

    def __init__(self, pid: int):
        self._root = psutil.Process(pid)
        self._stat: dict[psutil.Process, int] = {}  # descriptors
        self._cpu_s: dict[psutil.Process, float] = {}  # at the last look
        self._looked_s = self._refresh_s = self._refreshed_s = -math.inf
        self._idle = False

    def cpu_percent(self) -> float:
        """Return CPU time since the last call over elapsed time, in percent of one core.

        Differences are taken for each process: one that ends subtracts nothing, and a new one starts from 0.
        """
        now_s, spent_s = time.monotonic(), 0.0
        due_s = self._refreshed_s + REFRESH_S if self._idle else self._refresh_s
        if now_s >= due_s:  # early where nothing was used: a child that is not known yet may be at work
            self._refresh(now_s)
        for process, total_s, _ in self._look():
            spent_s += total_s - self._cpu_s.get(process, total_s)
            self._cpu_s[process] = total_s
        elapsed_s, self._looked_s, self._idle = now_s - self._looked_s, now_s, not spent_s
        return 100 * spent_s / elapsed_s

    def memory_mib(self) -> float:
        return sum(resident_bytes for _, _, resident_bytes in self._look()) / MIB

    def _refresh(self, now_s: float) -> None:
        began_s = time.process_time()
        found = {each for each in [self._root, *self._root.children(recursive=True)] if each.pid != os.getpid()}
        for ended in self._stat.keys() - found:
            os.close(self._stat.pop(ended))
            self._cpu_s.pop(ended, None)
        for new in found - self._stat.keys():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self._stat[new] = os.open(f"/proc/{new.pid}/stat", os.O_RDONLY)
        self._refreshed_s = now_s
        self._refresh_s = now_s + max(REFRESH_S, (time.process_time() - began_s) / REFRESH_SHARE)

    def _look(self):
        """Yield (process, CPU seconds, resident bytes) of running processes; man 5 proc has the field numbers."""
        ticks_per_s, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        for process, stat in self._stat.items():
            fields = [b"Z"]
            with contextlib.suppress(ProcessLookupError):
                fields = os.pread(stat, 1024, 0).rpartition(b")")[2].split()  # from field 3 on, the state
            if fields[0] != b"Z":
                yield process, (int(fields[11]) + int(fields[12])) / ticks_per_s, int(fields[21]) * page_bytes
            elif process == self._root:
                raise psutil.NoSuchProcess(process.pid)


def host_sensors(pid: int) -> dict:
    tree, memory = ProcessTree(pid), psutil.virtual_memory
    return {
        "process_cpu_percent": tree.cpu_percent,
        "process_memory_mib": tree.memory_mib,
        "host_cpu_percent": psutil.cpu_percent,
        "host_memory_mib": lambda: ((now := memory()).total - now.available) / MIB,
    }


def read(sensors: dict) -> tuple[dict[str, float], dict[str, str]]:
    """Read all sensors; return values and reasons of failure by column: each column is in one of the two."""
    values, reasons = {}, {}
    for column, sensor in sensors.items():
        try:
            values[column] = round(sensor(), 3)
        except (OSError, psutil.AccessDenied, pynvml.NVMLError) as error:
            reasons[column] = reason(error)
    return values, reasons


def columns_of(path: Path, *, columns: list[str]) -> list[str]:
    """Return the columns of a file's rows: without those of LATER that the version which began it did not have."""
    with contextlib.suppress(OSError), path.open(errors="replace") as file:
        header = file.readline()
        for later in LATER:
            earlier = [column for column in columns if not later.fullmatch(column)]
            if header == ",".join(earlier) + "\n":
                return earlier
    return columns


def open_for_append(path: Path, *, columns: list[str]):
    """Open the file unbuffered, so that a row is one write, and cut off half a row at its end, left by a power cut.

    Raises ValueError if the file has another header.
    """
    header = ",".join(columns) + "\n"
    with path.open("ab+") as file:
        file.seek(0)
        if (found := file.readline().decode(errors="replace")) not in ("", header):
            way_out = "move it away, or resume on the machine whose GPUs it was written for"
            raise ValueError(f"{path}: found the header {found!r}, expected {header!r}; {way_out}")
        cut_half_row(file)
    rows = path.open("ab+", buffering=0)
    append(rows, b"" if found else header.encode())
    return rows


def cut_half_row(file) -> None:
    tail_start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
    file.seek(tail_start)
    file.truncate(tail_start + file.read().rfind(b"\n") + 1)


def append(rows, line: bytes) -> None:
    """Write a whole line or, if the disk is full, nothing; then raise OSError."""
    try:
        while line:
            line = line[rows.write(line) :]  # an almost full disk takes a part; the next write fails
    except OSError:
        cut_half_row(rows)
        raise


def ticks(hz: float):
    """Yield `hz` times per second, on a fixed grid, until standard input has a byte or ends.

    A tick that is due less than half a period after a late one is left out.
    """
    due_s = time.monotonic() + 1 / hz
    while not select.select([sys.stdin], [], [], max(0.0, due_s - time.monotonic()))[0]:
        yield
        due_s += (1 + round((time.monotonic() - due_s) * hz)) / hz


def sample(*, pid: int, origin: float, hz: float, output: Path, powercap: Path) -> None:
    gpu, told = gpu_sensors(pynvml)
    sensors = {"seconds": lambda: time.monotonic() - origin, **host_sensors(pid), **gpu, **rapl_sensors(powercap)}
    sensors = {column: sensors[column] for column in columns_of(output, columns=list(sensors))}
    told |= read(sensors)[1]  # these values make no row: CPU time is the difference between two readings
    try:
        rows = open_for_append(output, columns=list(sensors))
    except (OSError, ValueError) as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return
    print(json.dumps({"unavailable": by_gpu(told, of=sensors), "boards": boards(pynvml)}), flush=True)
    for _ in ticks(hz):
        values, reasons = read(sensors)
        try:
            append(rows, (",".join(str(values.get(column, "")) for column in sensors) + "\n").encode())
        except OSError as error:
            sys.exit(f"{output.name}: {error.strerror}")
        new = {name: f"{why} (first at {values['seconds']:.1f} s)" for name, why in reasons.items() if name not in told}
        if new:
            print(json.dumps({"unavailable": by_gpu(new, of=sensors.keys() - told.keys())}), flush=True)
            told |= new


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    sys.stdout = os.fdopen(os.dup(1), "w", buffering=1)  # only for our messages
    os.dup2(2, 1)  # what libraries print goes to standard error
    parser = argparse.ArgumentParser(prog="python -m benchmark.run.watch.sampler", description=__doc__.splitlines()[0])
    for flag, kind in {"pid": int, "origin": float, "hz": float, "output": Path}.items():
        parser.add_argument(f"--{flag}", type=kind, required=True)
    parser.add_argument("--powercap", type=Path, default=POWERCAP)
    with contextlib.suppress(psutil.NoSuchProcess):  # the sampled process has ended, so the sampler ends too
        sample(**vars(parser.parse_args()))
    os._exit(0)  # at once: on a busy machine, normal exit may take longer than the parent waits


if __name__ == "__main__":
    main()
