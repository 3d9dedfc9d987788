"""Does putting utterances of like length into a batch cost epochs? Padding `fixed` against `bucket`, seed by seed.

    python -m tests.trials.convergence FEATURES --epochs 12 --seeds 5

Trains a small model of the paper's topology on a features folder (python -m features) with both paddings and prints
the character error rate of greedy decoding after each epoch, mean and standard deviation over seeds, and the mean of
the differences with its 95% interval (Student's t over seeds). `fixed` pads to the longest utterance, not to 1670
frames: what lies beyond an utterance's end changes nothing, so the shuffle into batches is all that differs. Five
seeds of 12 epochs of AN4 take about half an hour on two cores; the figures stand in docs/speed.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scipy import stats

from benchmark import workloads
from benchmark.run.evaluate.decoding import DecodingPool
from features.jobs.progress import progress
from models.ctc.decoders import Decoder
from tests.trials import common

PADDINGS = ("fixed", "bucket")


def error_rates(features: Path, padding: str, seed: int, epochs: int) -> list[float]:
    """Train once; returns the CER in percent after each epoch."""
    workload = replace(
        workloads.load("speech").with_model(filters=96, units=96, layers=3),
        decoder="greedy",
        padding=padding,
        max_frames=11,
    )
    pool = DecodingPool(Decoder(name="greedy"), jobs=1)
    with tempfile.TemporaryDirectory() as folder:
        with common.loop_of(
            Path(folder), features=features, workload=workload, platform=common.cpu(), pool=pool, seed=seed,
            shown=common.Silent(), max_epochs=epochs,
        ) as loop:  # fmt: skip
            loop.run_phases()
        return [row.cer or 0.0 for row in common.record_of(Path(folder)).evaluations]


def trial(options: argparse.Namespace) -> None:
    if options.seeds < 2:
        raise ValueError(f"--seeds {options.seeds}: expected at least 2, for an interval")
    found: dict[str, list[list[float]]] = {padding: [] for padding in PADDINGS}
    with progress("convergence", total=len(PADDINGS) * options.seeds, unit="trainings") as advance:
        for seed in range(1, options.seeds + 1):
            for padding in PADDINGS:
                found[padding].append(error_rates(options.features, padding, seed, options.epochs))
                advance(1)
    print("epoch  fixed          bucket         bucket - fixed, 95%")
    for epoch in range(options.epochs):
        fixed, bucket = ([rates[epoch] for rates in found[padding]] for padding in PADDINGS)
        differences = [b - f for f, b in zip(fixed, bucket, strict=True)]
        half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
        cells = (f"{statistics.mean(rates):5.2f} +- {statistics.stdev(rates):4.2f}" for rates in (fixed, bucket))
        print(f"{epoch + 1:5d}  {'  '.join(cells)}  {statistics.mean(differences):+5.2f} +- {half:.2f}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("convergence", __doc__)
    parser.add_argument("features", type=Path, metavar="FEATURES", help="a features folder")
    parser.add_argument("--epochs", type=int, default=12, metavar="N", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="default: %(default)s")
    return common.run("convergence", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
