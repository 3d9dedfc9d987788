"""The contenders of the part `tta`: whole trainings on a corpus, until a level of character error is reached.

Both are made ready, with all imports, the dictionary's decoder and the CPU's machine code for it, before the clock
starts; then an answer is a training from model creation on, evaluations and decoding inside. Its "epochs" are the
fields of `curve.Epoch`, of all epochs up to the last.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark import workloads
from benchmark.metrics import Errors
from benchmark.run.prepare.job import changed_workload
from benchmark.speed.curve import Epoch, reached
from benchmark.workloads import Workload
from platforms.machine import usable_cores

Ask = Callable[[str], dict]

PLATFORM = "cpu"
MAX_MINUTES = 24 * 60.0  # epochs end a training, not a busy machine


def workload_of(*, level: float, changes: Mapping[str, Any], corpus: Path | None = None) -> Workload:
    """Return `mini` with other settings, to be trained until the median CER is at most `level` or epochs run out."""
    changed = changed_workload(workloads.load("mini"), {**changes, "max_minutes": MAX_MINUTES}, corpus=corpus)
    return changed.aiming_at([("cer", level)], alone=True)


def ours(*, data: str, corpus: str | None, seed: int, level: float, changes: dict[str, Any]) -> Ask:
    """Run what `make bench` runs, checkpoints, generated sentences, journal and sampler included."""
    import platforms
    from benchmark.record.run import read_run
    from benchmark.run import session
    from benchmark.run.prepare import devices  # noqa: F401 - loads TensorFlow before it is asked
    from benchmark.run.prepare.job import Job

    root = Path(corpus) if corpus else None
    workload = workload_of(level=level, changes=changes, corpus=root)

    def ask(_: str) -> dict:
        with tempfile.TemporaryDirectory() as results:
            job = Job(
                platform=platforms.load(PLATFORM),
                workload=workload,
                corpus=root,
                data=Path(data),
                results=Path(results),
                name="ours",
                seed=seed,
                decode_jobs=usable_cores(),
            )
            finished = session.run(job, say=lambda sentence: print(sentence, file=sys.stderr))
            if finished.status:
                raise RuntimeError(f"the run ended with status {finished.status}")
            return _of_run(read_run(finished.journal).record)

    return ask


def _of_run(record: Any) -> dict:
    from benchmark.record.phases import Phase

    epochs, utterances = [], 0
    for row in record.evaluations:
        trained = [each for each in record.rows if each.phase is Phase.TRAIN and each.epoch == row.epoch]
        utterances = sum(each.utterances for each in trained)
        epochs.append(
            Epoch(
                train_s=sum(each.seconds for each in trained),
                evaluate_s=row.seconds,
                ended_s=row.ended_s - record.created_s,
                loss=sum(each.loss * each.utterances for each in trained) / utterances,
                cer=row.cer,
                wer=row.wer,
            )
        )
    return _answer(epochs, utterances)


def torch(*, features: str, seed: int, level: float, changes: dict[str, Any], jobs: int | None = None) -> Ask:
    """Run a plain PyTorch program, `benchmark.speed.pytorch`, on the CPU. It saves and writes nothing."""
    import numpy as np
    import torch

    from benchmark.run.evaluate.accuracy import edits
    from benchmark.run.evaluate.decoding import DecodingPool, check_quietly
    from benchmark.speed import pytorch
    from features.reading.batches import Buckets
    from features.shards import manifest
    from models.ctc.decoders import Decoder
    from platforms import load

    workload = workload_of(level=level, changes=changes)
    folder, batch = Path(features), load(PLATFORM).input.batch
    found, config = manifest.load(folder), workload.model
    decoder = Decoder(name=workload.decoder, words=found.words, beam_width=workload.beam_width)
    check_quietly(decoder)
    torch.set_num_threads(usable_cores())
    pytorch.optimiser_of(torch.nn.Linear(1, 1))  # the first one imports for seconds

    def evaluated(model: pytorch.Network, batches: Any, pool: DecodingPool) -> Errors:
        logits = pytorch.logits_of(model, batches)  # all, before decoding takes the cores
        said = [(each, pool.submit(matrix[None], np.array([len(matrix)]))) for each, matrix in logits]
        return Errors.of([edits(each.sentence, hypothesis.result()[0]) for each, hypothesis in said])

    def ask(_: str) -> dict:
        began_s = time.monotonic()
        torch.manual_seed(seed)
        with DecodingPool(decoder, jobs=jobs or usable_cores()) as pool:
            pool.start()
            model = pytorch.Network(config)
            optimiser = pytorch.optimiser_of(model)
            utterances = pytorch.Utterances(folder, found, "train")
            buckets, step = workload.buckets, config.frame_step
            layout = Buckets.bucketed(utterances.lengths, batch=batch, buckets=buckets, step=step)
            training = pytorch.batches_of(utterances, layout, seed=seed)
            validation = pytorch.by_length(pytorch.Utterances(folder, found, "dev"), batch)
            epochs: list[Epoch] = []
            while len(epochs) < workload.max_epochs and reached([each.cer for each in epochs], level) is None:
                started_s = time.monotonic()
                losses = list(pytorch.trained_on(model, training, optimiser))
                trained_s = time.monotonic()
                errors = evaluated(model, validation, pool)
                ended_s = time.monotonic()
                count = sum(size for _, size in losses)
                epochs.append(
                    Epoch(
                        train_s=trained_s - started_s,
                        evaluate_s=ended_s - trained_s,
                        ended_s=ended_s - began_s,
                        loss=sum(loss * size for loss, size in losses) / count,
                        cer=errors.cer,
                        wer=errors.wer,
                    )
                )
        return _answer(epochs, len(utterances))

    return ask


def _answer(epochs: list[Epoch], utterances: int) -> dict:
    return {
        "seconds": epochs[-1].ended_s,
        "epochs": [asdict(each) for each in epochs],
        "utterances": utterances,
        "train_s": statistics.mean(each.train_s for each in epochs),
        "evaluate_s": statistics.mean(each.evaluate_s for each in epochs),
    }


CONTENDERS = {"ours": ours, "torch": torch}
