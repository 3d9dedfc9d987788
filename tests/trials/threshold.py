"""What does the threshold of the dictionary's beam (models.ctc.decoders.PRUNED_NATS) cost and save?

    python -m tests.trials.threshold results/RUN [results/RUN ...] --nats 15 13 12 10 --beam-width 256

Decodes the dev utterances of every checkpoint of the runs with the dictionary decoder, in one process, without a
threshold and with each: seconds, sentences that differ from those without, word error rates. A run of `mini` takes
some minutes; the figures stand in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jiwer import wer

from benchmark.run.evaluate.final import Logits, forward
from benchmark.run.prepare.trained import load_trained
from features.corpus.layout import role
from features.shards import manifest
from models.ctc import decoders
from tests.trials import common

NONE = 1e9


def logits_of(path: Path) -> Iterator[tuple[int, tuple[str, ...], Logits]]:
    """(batches trained, words, logits of the dev utterances) of each checkpoint of a run."""
    from benchmark.run.evaluate.evaluation import Transcriber
    from benchmark.run.prepare import devices
    from benchmark.run.prepare.data import Data
    from benchmark.run.prepare.task import Task
    from benchmark.run.state.checkpoints import Checkpoints

    run = load_trained(path)
    if run.features is None:
        raise ValueError(f"{path}: its run.json names no features")
    found = manifest.load(run.features)
    task = Task(
        workload=run.workload, platform=common.cpu(batch=run.batch),
        data=Data(folder=run.features, manifest=found, seconds=0.0), devices=devices.single_device(run.precision),
    )  # fmt: skip
    transcriber, checkpoints = Transcriber(task.new_model(), task), Checkpoints(run.folder / "checkpoints")
    for step in checkpoints.steps():
        checkpoints.restore(step, transcriber.model)
        for subset in found.subsets:
            if role(subset) == "dev":
                yield step, found.words, forward(transcriber, subset)


def decoded(logits: Logits, words: Sequence[str], *, nats: float, beam_width: int) -> list[str]:
    decoders.PRUNED_NATS = nats
    decode = decoders.dictionary(words, beam_width=beam_width)
    return [decode(matrix[None], np.array([len(matrix)]))[0] for _, matrix in logits]


def trial(options: argparse.Namespace) -> None:
    settings = [NONE, *options.nats]
    seconds, differing, utterances = [0.0] * len(settings), [0] * len(settings), 0
    for path in options.runs:
        for step, words, logits in logits_of(path):
            references, rates = [reference for (_, reference), _ in logits], []
            found: list[list[str]] = []
            for n, nats in enumerate(settings):
                began_s = time.perf_counter()
                found.append(decoded(logits, words, nats=nats, beam_width=options.beam_width))
                seconds[n] += time.perf_counter() - began_s
                differing[n] += sum(a != b for a, b in zip(found[n], found[0], strict=True))
                rates.append(f"{100 * wer(references, found[n]):.2f}")
            utterances += len(logits)
            print(f"{path} after {step} batches, WER at {', '.join(map(str, settings[1:]))} nats and without: "
                  f"{', '.join(rates[1:])}, {rates[0]}", flush=True)  # fmt: skip
    for nats, took_s, count in zip(settings, seconds, differing, strict=True):
        name = "without" if nats == NONE else f"{nats:g} nats"
        print(f"{name:>8}: {took_s:6.2f} s, {seconds[0] / took_s:.2f} times as fast, {count} of {utterances} differ")


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("threshold", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="results/RUN", help="runs with checkpoints")
    parser.add_argument("--nats", type=float, nargs="+", default=[15.0, 13.0, 12.0, 10.0], help="default: 15 13 12 10")
    parser.add_argument("--beam-width", type=int, default=256, metavar="N", help="default: %(default)s")
    return common.run("threshold", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
