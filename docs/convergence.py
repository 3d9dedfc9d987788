"""Does putting utterances of like length into a batch cost epochs? Padding `fixed` against `bucket`, seed by seed.

    python docs/convergence.py FEATURES [--epochs 12] [--seeds 5]

Trains a small model of the paper's topology on a features folder (python -m features) with both paddings and prints
the character error rate of greedy decoding after each epoch, mean and standard deviation over seeds, and the mean of
the differences with its 95% interval (Student's t over seeds). `fixed` pads to the longest utterance, not to 1670
frames: what lies beyond an utterance's end changes nothing, so the shuffle into batches is all that differs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from scipy import stats

import platforms
from benchmark import workloads
from benchmark.record.clocks import Clock
from benchmark.record.journal import Identity, Journal
from benchmark.record.phases import Plan
from benchmark.run import devices
from benchmark.run.data import Data
from benchmark.run.decoding import DecodingPool
from benchmark.run.session import play
from benchmark.run.trainer import Trainer
from benchmark.run.view import PlainView
from features import manifest
from models.decoders import Decoder

PADDINGS = ("fixed", "bucket")


def error_rates(data: Data, machine: devices.Devices, padding: str, seed: int, epochs: int) -> list[float]:
    """CER in percent after each epoch."""
    workload = replace(
        workloads.load("speech"), filters=96, units=96, layers=3, decoder="greedy", padding=padding, max_frames=11
    )
    pool = DecodingPool(Decoder(name="greedy"), jobs=1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            workload=workload, platform=platforms.load("cpu"), data=data, devices=machine, seed=seed,
            folder=Path(folder), pool=pool,
        )  # fmt: skip
        plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=epochs, max_seconds=1e9, targets={})
        identity = {"run": padding, "platform": "cpu", "workload": "speech", "recipe": "paper", "replicas": 1}
        identity |= {"devices": "CPU", "emulated": False, "batch": 16, "precision": "float32", "features": "-"}
        identity |= {"decoder": "greedy", "evaluation": "resident", "code": "-", "seed": seed}
        journal = Journal.create(Path(folder) / "run.csv", Identity(**identity))
        play(journal, plan, trainer, Clock(), PlainView(plan))
        journal.close()
        return [row.cer for row in journal.record.evaluations]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    machine = devices.prepare(platforms.load("cpu"))
    data = Data(folder=options.features, manifest=manifest.load(options.features), seconds=0.0)
    found = {
        padding: [error_rates(data, machine, padding, seed, options.epochs) for seed in range(1, options.seeds + 1)]
        for padding in PADDINGS
    }
    print("epoch  fixed          bucket         bucket - fixed, 95%")
    for epoch in range(options.epochs):
        fixed, bucket = ([rates[epoch] for rates in found[padding]] for padding in PADDINGS)
        differences = [b - f for f, b in zip(fixed, bucket, strict=True)]
        half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
        cells = (f"{statistics.mean(rates):5.2f} +- {statistics.stdev(rates):4.2f}" for rates in (fixed, bucket))
        print(f"{epoch + 1:5d}  {'  '.join(cells)}  {statistics.mean(differences):+5.2f} +- {half:.2f}")


if __name__ == "__main__":
    main()
