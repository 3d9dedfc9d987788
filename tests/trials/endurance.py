"""Do memory, open files, processes and speed stay where they are over 2,000 tiny epochs?

    python -m tests.trials.endurance FEATURES --epochs 2000 --csv FILE

Trains a model of 16 units on a small features folder (python -m features), evaluates every epoch with the dictionary
decoder in a worker process, saves every epoch and samples utilisation. Prints every 100 epochs: memory of this process
and of its workers, open files, threads, processes, and medians of milliseconds an epoch, a journal row, and a
reference: always the same arithmetic in Python, once an epoch. At the end it prints how epochs over references changed
from the first to the second half of the run. 2,000 epochs take about half an hour on two cores; the figures stand in
docs/reliability.md.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from benchmark import workloads
from benchmark.record.phases import Phase
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.watch.monitor import Monitor
from features.shards import manifest
from models.ctc.decoders import Decoder
from tests.trials import common

EVERY = 100
COLUMNS = ("epoch", "rss_mib", "workers_mib", "files", "threads", "processes", "epoch_ms", "row_ms", "reference_ms")


def reference_s() -> float:
    """Time always the same arithmetic: it says how fast the machine is at the moment."""
    began_s = time.perf_counter()
    sum(n * n for n in range(100_000))
    return time.perf_counter() - began_s


class Watch(common.Silent):
    """Stands where a run's view does, and takes a sample every hundred epochs."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []
        self.began_s, self.append_s = time.perf_counter(), list[float]()
        self.epochs_s: list[float] = []
        self.references_s: list[float] = []
        self.ratios: list[float] = []  # of every epoch to its reference

    def row(self, row, progress) -> None:
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


def trial(options: argparse.Namespace) -> None:
    words = manifest.load(options.features).words
    workload = replace(workloads.load("mini").with_model(filters=16, units=16, layers=1), buckets=2)
    watch = Watch()
    print("  ".join(f"{name:>11}" for name in COLUMNS))
    with (
        tempfile.TemporaryDirectory() as folder,
        DecodingPool(Decoder(name="dictionary", words=words, beam_width=16), jobs=1) as pool,
        common.loop_of(
            Path(folder), features=options.features, workload=workload, platform=common.cpu(batch=18), pool=pool,
            seed=1, shown=watch, max_epochs=options.epochs, targets={"wer": (0.001,), "cer": (0.001,)},
        ) as loop,
    ):  # fmt: skip
        time_rows(loop.journal, watch)
        with Monitor(Path(folder) / "utilisation.csv", started_at=loop.clock.origin, hz=10):
            loop.run_phases()
    if len(steady := watch.ratios[EVERY:]) > 1:
        halves = [statistics.median(half) for half in (steady[: len(steady) // 2], steady[len(steady) // 2 :])]
        print(f"epoch over reference, median of the second half of epochs {EVERY + 1} to {len(watch.ratios)} over that "
              f"of the first: {halves[1] / halves[0]:.4f}")  # fmt: skip
    if options.csv:
        with options.csv.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *watch.rows])


def time_rows(journal, watch: Watch) -> None:
    """Have the seconds of every row that the journal appends go to the watch."""
    append = journal.append

    def timed(*arguments):
        began_s = time.perf_counter()
        row = append(*arguments)
        watch.append_s.append(time.perf_counter() - began_s)
        return row

    journal.append = timed


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("endurance", __doc__)
    parser.add_argument("features", type=Path, metavar="FEATURES", help="a features folder")
    parser.add_argument("--epochs", type=int, default=2000, metavar="N", help="default: %(default)s")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where the table goes, too")
    return common.run("endurance", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
