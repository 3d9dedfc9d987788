"""Code that several trials share: their command line, and a small model trained in this process."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platforms
from benchmark import cli
from benchmark.record.clocks import Clock
from benchmark.record.columns import Identity
from benchmark.record.history import RunRecord
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Plan
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.loop import Loop
from benchmark.workloads import Workload
from features.shards import manifest
from platforms import Platform


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m tests.trials.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(
    name: str, parser: argparse.ArgumentParser, trial: Callable[[argparse.Namespace], int | None], argv: Any
) -> int:
    """Do a trial; returns the exit status: its own or 0, 2 bad input, 130 interrupted."""
    options = parser.parse_args(argv)
    return cli.command(f"tests.trials.{name}", lambda: trial(options))


class Silent:
    """Stands where a run's view and a trainer's listener do, and says nothing."""

    def phase(self, phase, progress) -> None: ...

    def row(self, row, progress) -> None: ...

    def heard(self, heard) -> None: ...

    def decoded(self, done: int, total: int) -> None: ...

    def warn(self, sentence: str) -> None:
        cli.say(f"WARNING: {sentence}")


@contextmanager
def loop_of(
    folder: Path, *, features: Path, workload: Workload, platform: Platform, pool: DecodingPool, seed: int,
    shown: Silent, max_epochs: int, **plan: Any,
) -> Iterator[Loop]:  # fmt: skip
    """A run of a small model in this process, ready to begin; its journal is folder/run.csv."""
    from benchmark.run.prepare import devices
    from benchmark.run.prepare.data import Data
    from benchmark.run.prepare.task import Task
    from benchmark.run.train.trainer import Trainer

    data = Data(folder=features, manifest=manifest.load(features), seconds=0.0)
    task = Task(workload=workload, platform=platform, data=data, devices=machine(platform), seed=seed)
    trainer = Trainer(task, folder=folder, pool=pool, listener=shown)
    the_plan = Plan(
        **{"targets": {}, **plan}, batches_per_epoch=trainer.batches_per_epoch, max_epochs=max_epochs, max_seconds=1e9
    )
    identity = Identity(
        run="trial", platform=platform.name, workload=workload.name, recipe=workload.recipe, seed=seed, replicas=1,
        devices="CPU", emulated=False, batch=platform.input.batch, precision="float32", features="-",
        decoder=pool.decoder.label, evaluation="resident", code="-",
    )  # fmt: skip
    journal = Journal.create(folder / "run.csv", identity)
    try:
        yield Loop(journal, the_plan, trainer, Clock(sync=devices.synchronise), shown)
    finally:
        journal.close()


def record_of(folder: Path) -> RunRecord:
    return read(folder / "run.csv")


_machines: dict[str, Any] = {}


def machine(platform: Platform) -> Any:
    """A platform's devices, set up once in a process."""
    from benchmark.run.prepare import devices

    if platform.name not in _machines:
        _machines[platform.name] = devices.prepare(platform)
    return _machines[platform.name]


def cpu(**knobs: int) -> Platform:
    return platforms.load("cpu").changed(**knobs)
