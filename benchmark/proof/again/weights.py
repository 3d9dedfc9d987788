"""Evaluate checkpoints of an unpacked run again, as its evaluations did: the same utterances, decoder and batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.record import read_run
from benchmark.record.folder import journal_of
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.trained import check_start, load_trained, words_of_run
from models.ctc.decoders import SPOKEN, Decoder


def evaluated_again(folder: Path, corpus: Path, steps: Sequence[int], *, jobs: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of each checkpoint: {"step", "heard": [[id, text]], "figures": {"wer": percent, ...}}.

    Raises:
        ValueError: the corpus is another one, or the model or its decoder cannot be made.
    """
    import platforms
    from benchmark.run.evaluate.evaluation import Transcriber
    from benchmark.run.prepare import data, devices
    from benchmark.run.prepare.task import Task
    from benchmark.run.state.checkpoints import Checkpoints

    run, identity = load_trained(folder), read_run(journal_of(folder)).identity
    found = data.load(corpus, run.workload, jobs=jobs)
    check_corpus(corpus, found.manifest.digest, identity.features)
    task = Task(
        workload=run.workload,
        platform=platforms.load("cpu").changed(batch=run.batch),
        data=found,
        devices=devices.single_device(run.precision),
    )
    check_start(run, task.learner.about)
    decoder = decoder_of(run.workload, words_of_run(run), task.learner)
    checkpoints = Checkpoints(folder / "checkpoints")
    with found.opened(), DecodingPool(decoder, jobs=jobs) as pool:
        transcriber = Transcriber(task.new_model(), task)
        for step in steps:
            checkpoints.restore(step, transcriber.model)
            evaluated = transcriber.transcribe(task.validation, pool).result()
            yield {
                "step": step,
                "heard": [[each.id, each.hypothesis] for each in evaluated.sentences],
                "figures": {name: round(value, 6) for name, value in asdict(evaluated.errors).items()},
                **machine(),
            }


def check_corpus(corpus: Path, digest: str, expected: str) -> None:
    """Raise ValueError if a corpus is not the one of a run."""
    if digest[:12] != expected:
        raise ValueError(f"{corpus}: its digest is {digest[:12]}; expected {expected}, the corpus that was trained on")


def decoder_of(workload: Any, words: Sequence[str], learner: Any) -> Decoder:
    """Return the decoder of a run's evaluations. Raises ValueError for one that needs what a bundle has not."""
    if workload.decoder in SPOKEN:
        raise ValueError(f"the decoder {workload.decoder} needs its language model, which is no part of a sealed run")
    return Decoder(
        name=workload.decoder, words=tuple(words), beam_width=workload.beam_width, own=learner.decode
    )  # fmt: skip


def machine() -> dict[str, Any]:
    """Return what the digits of a result depend on: the processor and TensorFlow."""
    import tensorflow

    from platforms.machine import cpu_name, usable_cores

    return {
        "cpu": cpu_name(),
        "usable_cores": usable_cores(),
        "tensorflow": tensorflow.__version__,
        "on_gpu": bool(tensorflow.config.list_physical_devices("GPU")),
    }
