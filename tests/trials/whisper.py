"""How fast is our Whisper beside Hugging Face's in PyTorch and beside faster-whisper, and do they say the same?

    python -m tests.trials.whisper CORPUS --weights FOLDER [--peers PYTHON]

Training: steps of eight utterances in segments of 10 s with AdamW, all in float32, each contender in a process of its
own, in turns: the medians of the rounds, and the ratio. Decoding: the dev set of CORPUS, greedily; by ours in 10-s
segments and batches of eight, by faster-whisper one utterance at a time in its 30-s windows, with the error rate of
each; CTranslate2 computes in float32. PYTHON is an interpreter that has torch, transformers and faster-whisper. FOLDER
is a CTranslate2 folder, which both decoders read; Hugging Face's model has the same sizes and random weights, for its
step takes as long. It takes about ten minutes on two cores; the figures stand in docs/whisper.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BATCH, SECONDS, TOKENS = 8, 10, 24
WARM_UP, STEPS = 2, 5
ROOT = Path(__file__).parents[2]


def ours_step(_: argparse.Namespace) -> list[float]:
    """Seconds of each step of ours, as a run makes it."""
    import numpy as np

    import platforms
    from benchmark.run import devices
    from benchmark.run.devices import tf
    from benchmark.run.input import distributed
    from benchmark.run.step import TrainStep
    from models.learner import learner_of

    machine = devices.prepare(platforms.load("cpu"))
    settings = {"weights": "random", "segment_s": 0.0, "max_frames": 100 * SECONDS, "recipe": "fine-tune"}
    learner = learner_of("whisper", settings)
    step = TrainStep(learner, devices=machine, precision="float32", seed=1, batches=100)
    rng = np.random.default_rng(1)
    batch = {
        "features": tf.constant(rng.standard_normal((BATCH, 100 * SECONDS, 80)), tf.float32),
        "frames": tf.fill([BATCH], 100 * SECONDS),
        "labels": tf.constant(rng.integers(0, 50_000, (BATCH, TOKENS)), tf.int32),
        "label_lengths": tf.fill([BATCH], TOKENS),
    }
    data = iter(distributed(tf.data.Dataset.from_tensors(batch).repeat(), machine, learner.units))
    return timed(lambda: float(step.segment(data, tf.constant(0), tf.constant(1)).loss))


def hugging_face_step(_: argparse.Namespace) -> list[float]:
    """Seconds of each step of Hugging Face's, on the same shapes; its encoder is given positions for 10 s."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(1)
    config = WhisperConfig(
        vocab_size=51_864, d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6,
        decoder_attention_heads=6, encoder_ffn_dim=1536, decoder_ffn_dim=1536, max_source_positions=50 * SECONDS,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    features = torch.randn(BATCH, 80, 100 * SECONDS)
    given = torch.randint(0, 50_000, (BATCH, TOKENS + 2))

    def step() -> float:
        optimizer.zero_grad()
        loss = model(features, labels=given).loss
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return timed(step)


def timed(step: Callable[[], float]) -> list[float]:
    found = []
    for _ in range(WARM_UP + STEPS):
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return found[WARM_UP:]


def utterances(corpus: Path) -> list[tuple[str, str]]:
    from features.corpus import read_corpus, role

    return [(str(each.audio), each.sentence) for each in read_corpus(corpus)[0] if role(each.subset) == "dev"]


def ours_decoding(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from benchmark.run.devices import tf
    from features.extract import read_audio
    from features.log_mel import log_mel
    from models.decoders import Decoder
    from models.learner import learner_of

    settings = {"weights": str(options.weights), "segment_s": 0.0, "max_frames": 100 * SECONDS, "recipe": "fine-tune"}
    learner = learner_of("whisper", settings)
    model, spoken = learner.build(), utterances(options.corpus)
    spell = Decoder(name="greedy", **learner.decoding).load()
    forward = tf.function(lambda features: learner.outputs(model, features, None), reduce_retracing=True)
    forward(tf.zeros([BATCH, 100 * SECONDS, 80]))
    started, said = time.perf_counter(), []
    for first in range(0, len(spoken), BATCH):
        some = [log_mel(read_audio(Path(path)).samples, seconds=SECONDS) for path, _ in spoken[first : first + BATCH]]
        some += [some[-1]] * (BATCH - len(some))
        tokens = forward(tf.constant(np.stack(some))).numpy()
        said += spell(tokens, np.full(len(tokens), learner.longest))
    return {"seconds": time.perf_counter() - started, "said": said[: len(spoken)]}


def faster_whisper_decoding(options: argparse.Namespace) -> dict[str, Any]:
    from faster_whisper import WhisperModel

    sys.path.insert(0, str(ROOT))
    model = WhisperModel(str(options.weights), device="cpu", compute_type="float32", cpu_threads=os.cpu_count() or 1)
    spoken = json.loads(options.spoken.read_text())
    model.transcribe(spoken[0][0], beam_size=1)
    started, said = time.perf_counter(), []
    for path, _ in spoken:
        segments, _ = model.transcribe(
            path, beam_size=1, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
        )
        said.append(" ".join(segment.text for segment in segments))
    return {"seconds": time.perf_counter() - started, "said": said}


PARTS = {
    "ours-step": ours_step,
    "hugging-face-step": hugging_face_step,
    "ours-decoding": ours_decoding,
    "faster-whisper": faster_whisper_decoding,
}


def asked(python: str, part: str, options: argparse.Namespace, *more: str) -> Any:
    words = [str(options.corpus), "--weights", str(options.weights), "--part", part, *more]
    done = subprocess.run([python, __file__, *words], stdout=subprocess.PIPE, check=True, cwd=ROOT, env=_environment())
    return json.loads(done.stdout.splitlines()[-1])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _trial(options: argparse.Namespace) -> None:
    import tempfile

    from benchmark.run.accuracy import edits, rates_of
    from features import text

    times: dict[str, list[float]] = {"ours-step": [], "hugging-face-step": []}
    for _ in range(options.rounds):
        for part, python in (("ours-step", sys.executable), ("hugging-face-step", options.peers)):
            times[part].append(statistics.median(asked(python, part, options)))
    ours, theirs = times["ours-step"], times["hugging-face-step"]
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"step of {BATCH} x {SECONDS} s: ours {statistics.median(ours):.2f} s, Hugging Face's "
        f"{statistics.median(theirs):.2f} s: {statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to "
        f"{ratios[-1]:.2f})",
        flush=True,
    )
    spoken = utterances(options.corpus)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(spoken, file)
        file.flush()
        found = {
            "ours": asked(sys.executable, "ours-decoding", options),
            "faster-whisper": asked(options.peers, "faster-whisper", options, "--spoken", file.name),
        }
    for name, each in found.items():
        pairs = zip(spoken, each["said"], strict=True)
        rates = rates_of([edits(text.plain(sentence), text.plain(said)) for (_, sentence), said in pairs])
        print(f"decoding {len(spoken)} utterances: {name} {each['seconds']:.1f} s, WER {rates.wer:.2f}%", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    from tests.trials import common

    parser = common.parser_of("whisper", __doc__)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--weights", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="default: this one")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    return common.run("whisper", parser, _trial, argv)


def part(argv: Sequence[str]) -> int:
    """Do one part, in an interpreter that may lack ours or theirs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--part", choices=list(PARTS))
    parser.add_argument("--spoken", type=Path)
    options = parser.parse_args(argv)
    print(json.dumps(PARTS[options.part](options)))
    return 0


if __name__ == "__main__":
    raise SystemExit(part(sys.argv[1:]) if "--part" in sys.argv else main())
