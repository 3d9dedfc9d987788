"""Samples how busy the machine is, ten times a second, from a process of its own, into one CSV of the run.

    with Monitor(folder / "utilisation.csv", started_at=clock_origin, hz=10) as monitor:
        ...  # state monitor.unavailable once, e.g. {"gpu": "NVML: Driver Not Loaded"}; then the run
    monitor.failure  # None, or in one line why the sampler ended before the run did, and until when it sampled
    summarise(folder / "utilisation.csv", start_s=60).energy_wh

One header, one row per sample, appended; a resumed run goes on in the same file:
    seconds              since started_at, a time.monotonic(): on Linux one clock for all processes
    process_cpu_percent  the run's process and all below it, less the sampler; 100 = one core busy. The kernel
                         counts ticks of 10 ms: a sample at 10 Hz moves in steps of 10, means do not
    process_memory_mib   resident memory of the same processes; what they share counts once in each
    host_cpu_percent     of all cores, 0 to 100
    host_memory_mib      what no new process could have: total less available
    gpu{i}_{sensor}      GPU_SENSORS below, for every GPU of the machine, in NVML's order
What could not be read is an empty field, never 0. `unavailable` tells why, once a column ("gpu": no GPU
column, "sampler": no sample at all); a sensor that first fails later is in it when the monitor has ended.

The sampler is started by exec, never by fork: the parent may have started TensorFlow. A byte on its standard
input, or its end, ends it, so it outlives no parent. It prints one JSON object a line: {"refused": why}, or
{"unavailable": {column: why}} when it starts and again for each new failure.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import logging
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

MIB = 2**20
TAIL_BYTES = 2**16  # more than a row
GPU_SENSORS = {  # NVML counts memory in bytes and power in milliwatts
    "util_percent": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_mib": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used / MIB,
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "pcie_gen": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),
    "pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
}
REFRESH_S = 1.0
REFRESH_SHARE = 0.002  # of a core at most: to find children, psutil reads /proc/*/stat of the whole host
START_LIMIT_S = 30.0  # a driver without persistence mode takes seconds per GPU to wake
END_LIMIT_S = 1.0
LONGEST_STEP = 10  # usual steps; a longer one is a pause between attempts, and nobody knows its power
ROOT = Path(__file__).resolve().parents[2]


class Monitor:
    """Keeps a sampler for the length of a `with`. Its death does not end the run; a wrong file does, early."""

    def __init__(self, output: str | Path, *, started_at: float, hz: float = 10):
        if not 0 < hz <= 100:
            raise ValueError(f"hz is {hz}; expected above 0 and at most 100 samples a second, 10 is usual")
        self.unavailable: dict[str, str] = {}
        self.failure: str | None = None
        # "=" since a resumed run's origin may be negative, and argparse takes "-1e-05" for an option.
        flags = [f"--pid={os.getpid()}", f"--origin={started_at}", f"--hz={hz}"]
        self._output = Path(output).resolve()
        self._command = [sys.executable, "-m", "benchmark.run.monitor", *flags, f"--output={self._output}"]

    def __enter__(self) -> Monitor:
        # cwd too, as it comes before PYTHONPATH: there may be another `benchmark` where the user stands.
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would fill up
        self._sampler = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            cwd=ROOT,
            env=env,
        )
        try:
            self._hear_start()
        except BaseException:  # Ctrl-C too: there is no __exit__ before __enter__ is done
            self._stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        told = set(self.unavailable)
        if self.failure is None:
            self._stop()
        lost = [f"{column}: {why}" for column, why in self.unavailable.items() if column not in told]
        more = [f"and {len(lost) - 1} more"] if len(lost) > 1 else []
        if problems := [*filter(None, [self.failure]), *lost[:1], *more]:
            logging.getLogger(__name__).warning("utilisation is not complete: %s", ", ".join(problems))

    def _hear_start(self) -> None:
        poll = select.poll()  # select refuses descriptors over 1023, and a run may have many files open
        poll.register(self._sampler.stdout, select.POLLIN)
        message = {}
        while not message:
            if not poll.poll(START_LIMIT_S * 1000) or not (line := self._sampler.stdout.readline()):
                self._stop()
                self.unavailable["sampler"] = str(self.failure)
                return
            message = _message(line)
        if "refused" in message:
            raise ValueError(message["refused"])
        self.unavailable.update(message["unavailable"])

    def _stop(self) -> None:
        with self._errors:
            self._end()

    def _end(self) -> None:
        died = self._sampler.poll() is not None
        try:  # a byte, because a forked child of ours may hold the pipe open after we close it
            later, _ = self._sampler.communicate(b"\n", timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            if self._sampler.poll() is None:  # else it was we who were late, among many threads
                self._sampler.kill()
                self.failure = f"sampler gave no answer for {END_LIMIT_S:g} s, killed; does nvidia-smi hang too?"
            try:
                later, _ = self._sampler.communicate(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:  # stuck in a driver, where no signal reaches it
                return
        for line in later.splitlines():
            self.unavailable.update(_message(line).get("unavailable", {}))
        if self.failure is None and (died or self._sampler.returncode):
            self._errors.seek(0)
            why = (self._errors.read().decode(errors="replace").strip() or "it left no message").splitlines()[-1]
            status = "killed" if self._sampler.returncode == -signal.SIGKILL else f"status {self._sampler.returncode}"
            self.failure = f"sampler ended ({status}, {last_sample(self._output)}): {why}"


def _message(line: bytes) -> dict:
    """One of the sampler's; empty for what a driver's library prints, and for a line that a kill cut short."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def last_sample(path: Path) -> str:
    """In words, until when a file goes."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            seconds = float(file.read().rpartition(b"\n")[0].rpartition(b"\n")[2].partition(b",")[0])
    except (OSError, ValueError):  # no file, or its header alone
        return "no sample"
    return f"last sample at {seconds:.1f} s"


class ProcessTree:
    """A process and all below it, less this one; psutil.NoSuchProcess is raised when the root has ended.

    /proc/PID/stat is kept open: CPU and memory of five processes cost 100 us a sample so, and 380 us with psutil,
    which opens two files each time. And an open one never becomes another process's that got the same PID.
    """

    def __init__(self, pid: int):
        self._root = psutil.Process(pid)
        self._stat: dict[psutil.Process, int] = {}  # descriptors
        self._cpu_s: dict[psutil.Process, float] = {}  # at the last look
        self._looked_s = self._refresh_s = -math.inf

    def cpu_percent(self) -> float:
        """By differences, process by process: one that ends takes nothing back, a new one starts from 0."""
        now_s, spent_s = time.monotonic(), 0.0
        if now_s >= self._refresh_s:
            self._refresh(now_s)
        for process, total_s, _ in self._look():
            spent_s += total_s - self._cpu_s.get(process, total_s)
            self._cpu_s[process] = total_s
        elapsed_s, self._looked_s = now_s - self._looked_s, now_s
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
        self._refresh_s = now_s + max(REFRESH_S, (time.process_time() - began_s) / REFRESH_SHARE)

    def _look(self):
        """Yields (process, CPU seconds, resident bytes) of those that run; field numbers are from man 5 proc."""
        ticks_per_s, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        for process, stat in self._stat.items():
            fields = [b"Z"]
            with contextlib.suppress(ProcessLookupError):
                fields = os.pread(stat, 1024, 0).rpartition(b")")[2].split()  # from the 3rd, the state, on
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


def gpu_sensors(nvml) -> tuple[dict, dict[str, str]]:
    """({column: function}, {"gpu": why there is none}). A lost GPU fails in its own fields, handle and all."""
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


def read(sensors: dict) -> tuple[dict[str, float], dict[str, str]]:
    """(values, reasons): each column is in one of the two."""
    values, reasons = {}, {}
    for column, sensor in sensors.items():
        try:
            values[column] = round(sensor(), 3)
        except (OSError, psutil.AccessDenied, pynvml.NVMLError) as error:
            reasons[column] = f"{type(error).__name__}: {error}"
    return values, reasons


def open_for_append(path: Path, *, columns: list[str]):
    """Unbuffered: a row is one write. Half a row at the end (power cut) is cut off."""
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
    """All of it or, on a full disk, nothing."""
    try:
        while line:
            line = line[rows.write(line) :]  # a disk that is nearly full takes a part, and says why at the next try
    except OSError:
        cut_half_row(rows)
        raise


def ticks(hz: float):
    """Yields on a fixed grid until standard input ends; a tick under half a period after a late one is left out."""
    due_s = time.monotonic() + 1 / hz
    while not select.select([sys.stdin], [], [], max(0.0, due_s - time.monotonic()))[0]:
        yield
        due_s += (1 + round((time.monotonic() - due_s) * hz)) / hz


def sample(*, pid: int, origin: float, hz: float, output: Path) -> None:
    gpu, told = gpu_sensors(pynvml)
    sensors = {"seconds": lambda: time.monotonic() - origin, **host_sensors(pid), **gpu}
    told |= read(sensors)[1]  # the values are no row: CPU time is a difference between two looks
    try:
        rows = open_for_append(output, columns=list(sensors))
    except (OSError, ValueError) as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return
    print(json.dumps({"unavailable": told}), flush=True)
    for _ in ticks(hz):
        values, reasons = read(sensors)
        try:
            append(rows, (",".join(str(values.get(column, "")) for column in sensors) + "\n").encode())
        except OSError as error:
            sys.exit(f"{output.name}: {error.strerror}")
        for column in [name for name in reasons if name not in told]:
            told[column] = f"{reasons[column]} (first at {values['seconds']:.1f} s)"
            print(json.dumps({"unavailable": {column: told[column]}}), flush=True)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    sys.stdout = os.fdopen(os.dup(1), "w", buffering=1)  # for our messages alone
    os.dup2(2, 1)  # and this for what libraries print
    parser = argparse.ArgumentParser(prog="python -m benchmark.run.monitor", description=__doc__.splitlines()[0])
    for flag, kind in {"pid": int, "origin": float, "hz": float, "output": Path}.items():
        parser.add_argument(f"--{flag}", type=kind, required=True)
    with contextlib.suppress(psutil.NoSuchProcess):  # the process has ended, and so may we
        sample(**vars(parser.parse_args()))
    os._exit(0)  # at once: on a laden machine the interpreter's own end may take longer than the parent waits


@dataclass(frozen=True)
class GpuSummary:
    util_percent_mean: float | None
    power_w_mean: float | None
    memory_mib_max: float | None


@dataclass(frozen=True)
class Summary:
    """None: never read in the window. energy_wh is of all GPUs together, over the energy_s that it covers."""

    samples: int
    process_cpu_percent_mean: float | None
    host_cpu_percent_mean: float | None
    process_memory_mib_max: float | None
    gpus: tuple[GpuSummary, ...]
    energy_wh: float | None
    energy_s: float


def summarise(path: str | Path, *, start_s: float = 0, end_s: float | None = None) -> Summary:
    """Of the samples with start_s <= seconds <= end_s; without end_s, to the end of the file."""
    import pandas  # here, because the sampler must start at once and stay small

    try:
        rows = pandas.read_csv(path, dtype=float)
    except ValueError as error:
        why = str(error).strip().splitlines()[0][:200]
        raise ValueError(f"{path}: {why}; expected a header and numbers; delete what is none") from None
    if "seconds" not in rows:
        found = str(list(rows))[:200]
        raise ValueError(f"{path}: found the columns {found}, expected 'seconds' first; another file?")
    step_s = rows["seconds"].diff()
    longest_step_s = LONGEST_STEP * step_s[step_s > 0].median()
    rows = rows[rows["seconds"].between(start_s, math.inf if end_s is None else end_s)]

    def figure(column: str, statistic: str) -> float | None:
        value = rows[column].agg(statistic) if column in rows else math.nan  # pandas leaves empty fields out
        return None if math.isnan(value) else float(value)

    gpus = [column.removesuffix("_util_percent") for column in rows if column.endswith("_util_percent")]
    per_gpu = [("util_percent", "mean"), ("power_w", "mean"), ("memory_mib", "max")]  # GpuSummary's order
    energy_wh, energy_s = energy(rows, gpus=gpus, longest_step_s=longest_step_s)
    return Summary(
        samples=len(rows),
        process_cpu_percent_mean=figure("process_cpu_percent", "mean"),
        host_cpu_percent_mean=figure("host_cpu_percent", "mean"),
        process_memory_mib_max=figure("process_memory_mib", "max"),
        gpus=tuple(GpuSummary(*(figure(f"{gpu}_{name}", how) for name, how in per_gpu)) for gpu in gpus),
        energy_wh=energy_wh,
        energy_s=energy_s,
    )


def energy(rows, *, gpus: list[str], longest_step_s: float) -> tuple[float | None, float]:
    """(Wh, seconds covered): trapezoids of W over s between samples in which every GPU's power was read."""
    power_w = rows.reindex(columns=[f"{gpu}_power_w" for gpu in gpus])
    power_w = power_w.sum(axis=1, skipna=False, min_count=1).dropna()  # min_count: no GPU is no power, not 0 W
    step_s = rows.loc[power_w.index, "seconds"].diff()
    counted = (step_s > 0) & (step_s <= longest_step_s)  # where a resumed run goes back in time, step_s < 0
    energy_j = ((power_w + power_w.shift()) / 2 * step_s)[counted].sum()
    return (float(energy_j) / 3600 if counted.any() else None), float(step_s[counted].sum())


if __name__ == "__main__":
    main()
