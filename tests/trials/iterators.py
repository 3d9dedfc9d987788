"""How long does training wait when the iterator of an epoch is given up, as it is before the next one begins?

    python -m tests.trials.iterators --iterators 30 --replicas 1 2 4

Reads from an iterator as training does (`benchmark.run.train.input`) for 5 to 15 s, gives it up, and times that; so
many times for each number of replicas, which are logical CPUs. Prints the median and the longest wait. An iterator that
tf.data tunes waits for its tuning thread, which sleeps ever longer and is not always woken: up to 25 s of idle
processors. The suite's are not tuned, so all waits should be milliseconds. Thirty iterators take about 5 minutes for
each number of replicas; the figures stand in docs/reliability.md.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from features.jobs.progress import progress
from tests.trials import common

BATCHES_A_SECOND = 20


def waits(replicas: int, *, iterators: int, shortest_s: float, longest_s: float) -> list[float]:
    """Seconds that giving up each iterator took."""
    from dataclasses import replace

    import numpy as np

    import platforms
    from benchmark.run.prepare import devices
    from benchmark.run.prepare.devices import tf
    from benchmark.run.train.input import distributed
    from features.reading.batches import dataset_options
    from models.deepspeech.learner import Config, DeepSpeechLearner

    rig = platforms.load("sys1")
    hardware = replace(rig.hardware, gpus=replicas, links=rig.hardware.links[:1] * replicas)
    machine = devices.prepare(replace(rig, hardware=hardware, price=None).changed(batch=16))
    batch = {
        "features": np.zeros([16, 400, 93], np.float32),
        "frames": np.full([16], 400, np.int32),
        "labels": np.zeros([16, 400], np.int32),
        "label_lengths": np.full([16], 60, np.int32),
    }
    endless = tf.data.Dataset.from_tensors(batch).repeat().prefetch(8).with_options(dataset_options())
    lengths, found = random.Random(1), []
    with progress(f"{replicas} replicas", total=iterators, unit="iterators") as advance:
        for _ in range(iterators):
            given = distributed(endless, machine, DeepSpeechLearner(Config()))
            until_s = time.monotonic() + lengths.uniform(shortest_s, longest_s)
            while time.monotonic() < until_s:
                next(given)
                time.sleep(1 / BATCHES_A_SECOND)
            began_s = time.monotonic()
            del given
            found.append(time.monotonic() - began_s)
            advance(1)
    return found


def trial(options: argparse.Namespace) -> None:
    if len(options.replicas) > 1:  # a process each: the logical CPUs of one are made once
        own = ["--iterators", str(options.iterators), "--seconds", *map(str, options.seconds)]
        for replicas in options.replicas:
            subprocess.run([sys.executable, "-m", __spec__.name, *own, "--replicas", str(replicas)], check=True)
        return
    shortest_s, longest_s = options.seconds
    (replicas,) = options.replicas
    found = waits(replicas, iterators=options.iterators, shortest_s=shortest_s, longest_s=longest_s)
    median_ms, most_ms = 1000 * statistics.median(found), 1000 * max(found)
    print(
        f"{replicas} replicas, {len(found)} iterators: given up in {median_ms:.1f} ms (median), {most_ms:.1f} at most"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("iterators", __doc__)
    parser.add_argument("--iterators", type=int, default=30, metavar="N", help="default: %(default)s")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="default: 1 2 4")
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=[5.0, 15.0], metavar=("FROM", "TO"),
        help="how long an iterator is read, drawn between these; default: 5 15",
    )  # fmt: skip
    return common.run("iterators", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
