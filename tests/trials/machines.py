"""What do many machines bring: how long do 100,000 hours take to extract, and what does a step cost between hosts?

    python -m tests.trials.machines CORPUS

Measures one worker's extraction of CORPUS, and what it reads and writes; then says how long 1,000 to 100,000 hours take
on 1 to 512 workers with a storage of so many bytes a second, whichever is slower. Works out what gradients weigh on the
wire, 2 (n - 1) / n of the model's bytes a step and host in a ring, and how many steps a second that allows at most on 1
to 64 hosts. Then measures a step of two processes of `mini` on the loopback beside two replicas in one process, in
turns, and counts the collective operations in it. It takes about ten minutes on two cores; the figures stand in
docs/machines.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmark.record.journal import read
from benchmark.record.phases import Phase
from benchmark.tables import Table, number, show
from tests.ports import free_ports
from tests.trials import common

ROOT = Path(__file__).parents[2]
HOURS, WORKERS, STORAGE_GB_S = (1_000, 10_000, 100_000), (1, 8, 64, 512), (0.2, 2.0, 20.0)
HOSTS, GBIT_S = (1, 2, 4, 8, 16, 64), (1, 10, 100)
LATENCY_S = 50e-6  # of one message between hosts, over TCP
PARAMETERS = {"librispeech, 25.6 million": 25_623_030, "mini, 1.7 million": 1_682_910}


def extraction(corpus: Path, rounds: int) -> tuple[float, float]:
    """CPU seconds of a worker, and bytes read and written, for an hour of audio; the least of some rounds."""
    from features.shards.extraction import extract_corpus

    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as out:
            started = time.process_time()
            manifest = extract_corpus(corpus, Path(out), jobs=1)
            seconds = time.process_time() - started
            hours = sum(manifest.seconds(subset) for subset in manifest.subsets) / 3600
            written = sum(path.stat().st_size for path in Path(out).iterdir())
            heard = sum(path.stat().st_size for path in corpus.rglob("*.flac"))
            found.append((seconds / hours, (written + heard) / hours))
    return min(found)


def plan(cpu_s: float, size: float) -> Table:
    """Hours of extraction: the workers' or the storage's, whichever are more."""
    rows = []
    for hours in HOURS:
        for workers in WORKERS:
            cells = []
            for storage in STORAGE_GB_S:
                computing, moving = hours * cpu_s / workers / 3600, hours * size / (storage * 1e9) / 3600
                cells.append(number(max(computing, moving)) + (" (storage)" if moving > computing else ""))
            rows.append((f"{hours:,}", str(workers), *cells))
    header = ("audio h", "workers", *(f"{storage:g} GB/s" for storage in STORAGE_GB_S))
    return Table(f"hours to extract: {cpu_s:.2f} CPU s and {size / 1e6:.0f} MB an audio hour", header, tuple(rows))


def traffic() -> Table:
    """Steps a second that the wire allows, if nothing else took time."""
    rows = []
    for name, parameters in PARAMETERS.items():
        for hosts in HOSTS[1:]:
            sent = 2 * (hosts - 1) / hosts * parameters * 4
            seconds = [sent * 8 / (gbit * 1e9) + 2 * (hosts - 1) * LATENCY_S for gbit in GBIT_S]
            rows.append((name, str(hosts), f"{sent / 1e6:.0f}", *(number(1 / each) for each in seconds)))
    header = ("model", "hosts", "MB a host and step", *(f"{gbit} Gbit/s" for gbit in GBIT_S))
    return Table(
        f"at most so many steps a second: ring, float32, {LATENCY_S * 1e6:.0f} us a message", header, tuple(rows)
    )


PLATFORM = """
name = "{name}"
label = "CPUs"
description = "for a trial"
[hardware]
gpus = {gpus}
machines = {machines}
{parts}
[input]
batch = 16
readers = 2
buffer = 8
[training]
reduction = "{reduction}"
precision = "float32"
"""
PARTS = 'gpu = "X"\ngpu_memory_gib = 1\nlinks = ["a", "b"]\ncpu = "c"\nlogical_cores = 2\nram_gib = 1\n'


def loopback(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of a step of two processes, and of two replicas in one, in turns."""
    files = {}
    for name, gpus, machines, reduction in (("pair", 2, 1, "first-gpu"), ("two", 0, 2, "ring")):
        files[name] = folder / f"{name}.toml"
        parts = PARTS if gpus else ""
        text = PLATFORM.format(name=name, gpus=gpus, machines=machines, parts=parts, reduction=reduction)
        files[name].write_text(text)
    usual = [
        "--workload",
        "mini",
        "--sentences",
        "600",
        "--max-epochs",
        "3",
        "--decoder",
        "greedy",
        "--monitor-hz",
        "0",
    ]
    found: dict[str, list[float]] = {"pair": [], "two": []}
    for turn in range(rounds):
        for name in found:
            words = [sys.executable, "-m", "benchmark", "--platform", files[name], *usual, "--name", f"{name}{turn}"]
            if name == "two":
                hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
                commands = [[*words, "--hosts", hosts, "--rank", rank] for rank in (0, 1)]
            else:
                commands = [words]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": folder}
            processes = [subprocess.Popen(list(map(str, each)), **quiet) for each in commands]
            statuses = [process.wait() for process in processes]
            if any(statuses):
                raise ValueError(f"a run of {name} failed; give its command by hand")
            found[name].append(_seconds_a_step(folder / "results" / f"{name}{turn}.csv"))
    return found["two"], found["pair"]


def _seconds_a_step(path: Path) -> float:
    """The median over train rows of the last epoch, whose shapes are compiled."""
    rows = read(path).rows
    last = max(row.epoch for row in rows)
    before, found = 0, []
    for row in rows:
        if row.phase is Phase.TRAIN:
            if row.epoch == last:
                found.append(row.seconds / (row.step - before))
            before = row.step
    return statistics.median(found)


def _trial(options: argparse.Namespace) -> None:
    show([plan(*extraction(options.corpus, options.rounds)), traffic()])
    with tempfile.TemporaryDirectory() as folder:
        two, pair = loopback(Path(folder), options.rounds)
    ratios = sorted(a / b for a, b in zip(two, pair, strict=True))
    print(
        f"loopback, mini, batch 16: {1000 * statistics.median(two):.0f} ms a step of two processes, "
        f"{1000 * statistics.median(pair):.0f} of two replicas in one: {statistics.median(ratios):.2f} times "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("machines", __doc__)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    return common.run("machines", parser, _trial, argv)


if __name__ == "__main__":
    raise SystemExit(main())
