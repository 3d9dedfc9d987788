"""Train an epoch of an unpacked run again, row by row, and evaluate it: from a checkpoint, or from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.proof.again.weights import check_corpus, decoder_of, machine
from benchmark.proof.tensors import cut, read_index, weights_of
from benchmark.record import Row, Run, read_run
from benchmark.record.folder import journal_of
from benchmark.record.phases import Phase
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.trained import words_of_run
from features.corpus.audio import FRAME_STEP_S


def trained_again(folder: Path, corpus: Path, epoch: int, *, step: int, jobs: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of each train row of an epoch, then of its evaluation, then whether the weights are the same.

    `step` is the checkpoint that it begins with, 0 for the seed: {"row": step, "loss", "utterances", "audio_s",
    "tflop"}, {"evaluated": step, "figures"}, {"weights_differ": bytes}, the last only if the bundle has the checkpoint.

    Raises:
        ValueError: the corpus or the code is another one, or the run began with something else than a seed.
    """
    from benchmark.run.prepare import data, devices
    from benchmark.run.prepare.provenance import short_code
    from benchmark.run.prepare.task import Task
    from benchmark.run.prepare.trained import load_trained
    from benchmark.run.state.checkpoints import Checkpoints
    from benchmark.run.train.host import Host

    run, trained = read_run(journal_of(folder)), load_trained(folder)
    workload, platform = trained.workload, run.facts.platform
    if short_code() != run.identity.code:
        raise ValueError(f"the code here is {short_code()}; expected {run.identity.code}, which trained it: take that")
    if "from-" in run.identity.variant and not step:
        raise ValueError("the run began with another run's weights, which are no part of a sealed run")
    machine_of_run = devices.prepare(platform, None)
    learner = workload.learner()
    found = data.load(corpus, workload, jobs=jobs)
    check_corpus(corpus, found.manifest.digest, run.identity.features)
    found = found.part(workload, learner.encode)
    task = Task(workload=workload, platform=platform, data=found, devices=machine_of_run, seed=run.identity.seed)
    decoder = decoder_of(workload, words_of_run(trained), task.learner)
    with found.opened(), DecodingPool(decoder, jobs=jobs) as pool:
        host = Host(task, Checkpoints(folder / "checkpoints"), pool)
        host.make()
        if step:
            host.restore(step)
        yield from _rows(run, host, epoch)
        evaluated = host.transcribe(task.validation).result()
        at = epoch * run.facts.plan.batches_per_epoch
        figures = {name: round(value, 6) for name, value in asdict(evaluated.errors).items()}
        yield {"evaluated": at, "figures": figures, **machine(), "kernels": _kernels(task)}
        if (folder / "checkpoints" / f"ckpt-{at}.index").is_file():
            yield {"weights_differ": _differ(host, folder / "checkpoints", at)}


def _kernels(task: Any) -> dict[str, str]:
    return {part: choice.kernel for part, choice in task.kernels.items()}


def _rows(run: Run, host: Any, epoch: int) -> Iterator[dict[str, Any]]:
    """Train the batches of each train row that stands, as the trainer of a run does."""
    first = (epoch - 1) * run.facts.plan.batches_per_epoch
    before = first
    for row in rows_of(run, epoch):
        totals = host.segment(epoch=epoch, skip=before - first, step=before, count=row.step - before)
        utterances = float(totals.utterances)
        yield {
            "row": row.step,
            "utterances": round(utterances),
            "audio_s": round(float(totals.frames) * FRAME_STEP_S, 2),
            "tflop": round(float(totals.tflop), 6),
            "loss": float(totals.loss) / utterances if utterances else None,
        }
        before = row.step


def rows_of(run: Run, epoch: int) -> list[Row]:
    """Return the train rows of an epoch that still hold."""
    return [row for row in run.record.standing if row.phase is Phase.TRAIN and row.epoch == epoch]


def _differ(host: Any, folder: Path, step: int) -> int:
    """Return how many bytes of the weights differ from those of a checkpoint."""
    from benchmark.run.state.checkpoints import Checkpoints

    with TemporaryDirectory(prefix="verify-") as scratch:
        host.models.save(Checkpoints(Path(scratch)), step)
        mine, theirs = (_weights(place / f"ckpt-{step}") for place in (Path(scratch), folder))
    if len(mine) != len(theirs):
        return max(len(mine), len(theirs))
    return 0 if mine == theirs else sum(one != other for one, other in zip(mine, theirs, strict=True))


def _weights(prefix: Path) -> bytes:
    tensors = weights_of(read_index(prefix.with_name(f"{prefix.name}.index").read_bytes()))
    with prefix.with_name(f"{prefix.name}.data-00000-of-00001").open("rb") as stream:
        return b"".join(cut(stream, [each for each in tensors if each.name.startswith("model/")]))
