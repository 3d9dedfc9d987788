"""What the beam's threshold (models.decoders.PRUNED_NATS) costs and saves.

    python docs/threshold.py results/RUN [results/RUN ...] [--nats 15 13 12 10] [--beam-width 256]

Decodes the dev utterances of every checkpoint of the runs with the dictionary decoder, in one process, without a
threshold and with each: seconds, sentences that differ from those without, word error rates.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from jiwer import wer

import platforms
from benchmark.final import forward, load_run
from benchmark.run import devices
from benchmark.run.checkpoints import Checkpoints
from benchmark.run.data import Data
from benchmark.run.evaluation import Transcriber
from benchmark.run.step import model_config
from features import manifest
from features.corpus import role
from models import decoders, deepspeech

NONE = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--nats", type=float, nargs="+", default=[15.0, 13.0, 12.0, 10.0])
    parser.add_argument("--beam-width", type=int, default=256)
    options = parser.parse_args()
    settings = [NONE, *options.nats]
    seconds, differing, utterances = [0.0] * len(settings), [0] * len(settings), 0
    for path in options.runs:
        for step, words, logits in logits_of(path):
            said, found, rates = [target for (_, target), _ in logits], [], []
            for n, nats in enumerate(settings):
                began_s = time.perf_counter()
                found.append(decoded(logits, words, nats=nats, beam_width=options.beam_width))
                seconds[n] += time.perf_counter() - began_s
                differing[n] += sum(a != b for a, b in zip(found[n], found[0], strict=True))
                rates.append(f"{100 * wer(said, found[n]):.2f}")
            utterances += len(logits)
            print(f"{path} after {step} batches, WER at {', '.join(map(str, settings[1:]))} nats and without: "
                  f"{', '.join(rates[1:])}, {rates[0]}", flush=True)  # fmt: skip
    for nats, took_s, count in zip(settings, seconds, differing, strict=True):
        name = "without" if nats == NONE else f"{nats:g} nats"
        print(f"{name:>8}: {took_s:6.2f} s, {seconds[0] / took_s:.2f} times as fast, {count} of {utterances} differ")


def logits_of(path: Path):
    """(batches trained, words, [((identity, sentence), logits [T', 30]), ...]) of each checkpoint of a run."""
    run = load_run(path)
    found = manifest.load(run.features)
    machine = devices.single_device(run.precision)
    with machine.strategy.scope():
        model = deepspeech.build(model_config(run.workload))
    transcriber = Transcriber(
        model, workload=run.workload, platform=platforms.load("cpu").with_input(batch=run.batch),
        data=Data(folder=run.features, manifest=found, seconds=0.0), devices=machine,
    )  # fmt: skip
    checkpoints = Checkpoints(run.folder / "checkpoints")
    for step in checkpoints.steps():
        checkpoints.restore(step, model)
        for subset in found.subsets:
            if role(subset) == "dev":
                yield step, found.words, forward(transcriber, subset)


def decoded(logits, words, *, nats: float, beam_width: int) -> list[str]:
    decoders.PRUNED_NATS = nats
    decode = decoders.dictionary(words, beam_width=beam_width)
    return [decode(matrix[None], np.array([len(matrix)]))[0] for _, matrix in logits]


if __name__ == "__main__":
    main()
