"""2,000 tiny epochs: do memory, open files, processes and speed stay where they are?

    python docs/endurance.py FEATURES [--epochs 2000] [--csv FILE]

Trains a model of 16 units on a small features folder (python -m features), evaluates every epoch with the dictionary
decoder in a worker process, saves every epoch, samples utilisation, and prints every 100 epochs: memory of this process
and of its workers, open files, threads, processes, and medians of milliseconds an epoch, a journal row, and a
reference: always the same arithmetic in Python, once an epoch, which says how fast the machine was at the time. At the
end it prints how epochs over references changed from the first to the second half of the run.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

import platforms
from benchmark import workloads
from benchmark.record.clocks import Clock
from benchmark.record.journal import Identity, Journal
from benchmark.record.phases import Phase, Plan
from benchmark.run import devices
from benchmark.run.data import Data
from benchmark.run.decoding import DecodingPool
from benchmark.run.monitor import Monitor
from benchmark.run.session import play
from benchmark.run.trainer import Trainer
from features import manifest
from models.decoders import Decoder

EVERY = 100
COLUMNS = ("epoch", "rss_mib", "workers_mib", "files", "threads", "processes", "epoch_ms", "row_ms", "reference_ms")


def reference_s() -> float:
    began_s = time.perf_counter()
    sum(n * n for n in range(100_000))
    return time.perf_counter() - began_s


class Watch:
    """Stands where a run's view does."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []
        self.began_s, self.append_s = time.perf_counter(), []
        self.epochs_s: list[float] = []
        self.references_s: list[float] = []
        self.ratios: list[float] = []  # of every epoch to its reference

    def phase(self, phase: Phase, record) -> None:
        pass

    def decoded(self, done: int, total: int) -> None:
        pass

    def row(self, row, record) -> None:
        if row.phase is not Phase.EVALUATE:
            return
        now = time.perf_counter()
        self.epochs_s.append(now - self.began_s)
        self.references_s.append(reference_s())
        self.ratios.append(self.epochs_s[-1] / self.references_s[-1])
        if row.epoch % EVERY == 0:
            self.rows.append(self.sample(row.epoch))
            print("  ".join(f"{value:>11}" for value in self.rows[-1]), flush=True)
            self.epochs_s, self.references_s, self.append_s[:] = [], [], []
        self.began_s = time.perf_counter()

    def sample(self, epoch: int) -> tuple:
        here = psutil.Process()
        workers = here.children(recursive=True)
        return (
            epoch,
            round(here.memory_info().rss / 2**20, 1),
            round(sum(worker.memory_info().rss for worker in workers) / 2**20, 1),
            here.num_fds(),
            here.num_threads(),
            1 + len(workers),
            round(1000 * statistics.median(self.epochs_s), 1),
            round(1000 * statistics.median(self.append_s), 4),
            round(1000 * statistics.median(self.references_s), 3),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    data = Data(folder=options.features, manifest=manifest.load(options.features), seconds=0.0)
    workload = replace(workloads.load("mini"), filters=16, units=16, layers=1, buckets=2)
    platform = platforms.load("cpu").with_input(batch=18)
    watch = Watch()
    print("  ".join(f"{name:>11}" for name in COLUMNS))
    with (
        tempfile.TemporaryDirectory() as folder,
        DecodingPool(Decoder(name="dictionary", words=data.manifest.words, beam_width=16), jobs=1) as pool,
    ):
        trainer = Trainer(
            workload=workload, platform=platform, data=data, devices=devices.prepare(platform), seed=1,
            folder=Path(folder), pool=pool,
        )  # fmt: skip
        plan = Plan(
            batches_per_epoch=trainer.batches_per_epoch, max_epochs=options.epochs, max_seconds=1e9,
            targets={"wer": (0.001,), "cer": (0.001,)},
        )  # fmt: skip
        identity = {"run": "long", "platform": "cpu", "workload": "mini", "recipe": "paper", "replicas": 1, "seed": 1}
        identity |= {"devices": "CPU", "emulated": False, "batch": 18, "precision": "float32", "features": "-"}
        identity |= {"decoder": "dictionary-16", "evaluation": "resident", "code": "-"}
        journal = Journal.create(Path(folder) / "run.csv", Identity(**identity))
        append = journal.append

        def timed(*arguments):
            began_s = time.perf_counter()
            row = append(*arguments)
            watch.append_s.append(time.perf_counter() - began_s)
            return row

        journal.append = timed
        clock = Clock()
        with Monitor(Path(folder) / "utilisation.csv", started_at=clock.origin, hz=10):
            play(journal, plan, trainer, clock, watch)
        journal.close()
    if len(steady := watch.ratios[EVERY:]) > 1:
        halves = [statistics.median(half) for half in (steady[: len(steady) // 2], steady[len(steady) // 2 :])]
        print(f"epoch over reference, median of the second half of epochs {EVERY + 1} to {len(watch.ratios)} over that "
              f"of the first: {halves[1] / halves[0]:.4f}")  # fmt: skip
    if options.csv:
        with options.csv.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *watch.rows])


if __name__ == "__main__":
    main()
