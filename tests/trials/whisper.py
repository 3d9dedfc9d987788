"""How fast is our Whisper against Hugging Face's in PyTorch and faster-whisper, and do they say the same?

    python -m tests.trials.whisper CORPUS --weights FOLDER [--peers PYTHON] [--only training] [--seconds 30]

Training: steps of eight utterances in segments of 10 s with AdamW, all in float32, each contender in a process of its
own, in turns: the medians of the rounds, the ratio, and the share of what the machine's matrix products reach.
Decoding: the dev set of CORPUS, greedily, in rounds too; by ours in segments of --seconds and batches of eight, by
faster-whisper one utterance at a time in its 30-s windows, with the error rate of
each, and by CTranslate2, on which faster-whisper stands, in the windows and batches of ours: there both do the same
work. CTranslate2 computes in float32. PYTHON is an interpreter that has torch, transformers and faster-whisper. FOLDER
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

from platforms.machine import usable_cores

BATCH, SECONDS, TOKENS = 8, 10, 24
PROMPT = (50257, 50362)  # start of transcript, no time stamps: English models
TOKENS_A_SECOND = 12  # as ours decodes at most
MATRIX = 2048
WARM_UP, STEPS = 2, 5
ROOT = Path(__file__).parents[2]


def ours_step(_: argparse.Namespace) -> list[float]:
    """Seconds of each step of ours, as a run makes it."""
    import numpy as np

    import platforms
    from benchmark.run.prepare import devices
    from benchmark.run.prepare.devices import tf
    from benchmark.run.train.input import distributed
    from benchmark.run.train.step import TrainStep
    from models.table import learner_of
    from models.whisper.config import Config

    machine = devices.prepare(platforms.load("cpu"))
    learner = learner_of(Config(weights="random"), frames=100 * SECONDS)
    step = TrainStep(learner, devices=machine, precision="float32", seed=1, batches=100)
    rng = np.random.default_rng(1)
    batch = {
        "features": tf.constant(rng.standard_normal((BATCH, 100 * SECONDS, 80)), tf.float32),
        "frames": tf.fill([BATCH], 100 * SECONDS),
        "labels": tf.constant(rng.integers(0, 50_000, (BATCH, TOKENS)), tf.int32),
        "label_lengths": tf.fill([BATCH], TOKENS),
    }
    data = distributed(tf.data.Dataset.from_tensors(batch).repeat(), machine, learner)
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
    from features.corpus.layout import read_corpus, role

    return [(str(each.audio), each.sentence) for each in read_corpus(corpus)[0] if role(each.subset) == "dev"]


def peak(_: argparse.Namespace) -> list[float]:
    """Seconds of a product of two 2,048 x 2,048 float32 matrices, the most that TensorFlow gets out of this machine."""
    from benchmark.run.prepare.devices import tf

    a = tf.random.normal([MATRIX, MATRIX])
    product = tf.function(lambda: tf.reduce_sum(a @ a))
    return timed(lambda: float(product()))


def ours_decoding(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from benchmark.run.prepare.devices import tf
    from features.corpus.audio import read_audio
    from features.frames.log_mel import log_mel
    from models.ctc.decoders import Decoder
    from models.table import learner_of
    from models.whisper.config import Config

    frames = round(100 * options.seconds)
    learner = learner_of(Config(weights=str(options.weights)), frames=frames)
    model, spoken = learner.build(), json.loads(options.spoken.read_text())
    spell = Decoder(own=learner.decode).load()
    forward = tf.function(lambda features: learner.outputs(model, features, None), reduce_retracing=True)
    forward(tf.zeros([BATCH, frames, 80]))
    started, said = time.perf_counter(), []
    for first in range(0, len(spoken), BATCH):
        some = [
            log_mel(read_audio(Path(path)).samples, seconds=options.seconds)
            for path, _ in spoken[first : first + BATCH]
        ]
        some += [some[-1]] * (BATCH - len(some))
        tokens = forward(tf.constant(np.stack(some))).numpy()
        said += spell(tokens, np.full(len(tokens), learner.longest))
    return {"seconds": time.perf_counter() - started, "said": said[: len(spoken)]}


def ctranslate2_decoding(options: argparse.Namespace) -> dict[str, Any]:
    """CTranslate2 in the windows and batches of ours, with faster-whisper's features and tokenizer."""
    import ctranslate2
    import numpy as np
    from faster_whisper.audio import decode_audio

    whisper = _faster_whisper(options)
    spoken, samples = json.loads(options.spoken.read_text()), round(16_000 * options.seconds)

    def features(path: str) -> Any:
        audio = decode_audio(path)[:samples]
        padded = np.pad(audio, (0, samples - len(audio)))
        return whisper.feature_extractor(padded, padding=0)[:, : samples // 160]

    started, said = time.perf_counter(), []
    for first in range(0, len(spoken), BATCH):
        some = np.stack([features(path) for path, _ in spoken[first : first + BATCH]]).astype(np.float32)
        found = whisper.model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(some)),
            [list(PROMPT)] * len(some),
            beam_size=1,
            max_length=len(PROMPT) + round(TOKENS_A_SECOND * options.seconds),
        )
        said += [whisper.hf_tokenizer.decode(each.sequences_ids[0], skip_special_tokens=True) for each in found]
    return {"seconds": time.perf_counter() - started, "said": said}


def faster_whisper_decoding(options: argparse.Namespace) -> dict[str, Any]:
    """One utterance at a time in windows of 30 s, as faster-whisper is usually called."""
    model, spoken = _faster_whisper(options), json.loads(options.spoken.read_text())
    model.transcribe(spoken[0][0], beam_size=1)
    started, said = time.perf_counter(), []
    for path, _ in spoken:
        segments, _ = model.transcribe(
            path, beam_size=1, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
        )
        said.append(" ".join(segment.text for segment in segments))
    return {"seconds": time.perf_counter() - started, "said": said}


def _faster_whisper(options: argparse.Namespace) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(options.weights), device="cpu", compute_type="float32", cpu_threads=usable_cores())


PARTS = {
    "ours-step": ours_step,
    "hugging-face-step": hugging_face_step,
    "peak": peak,
    "ours-decoding": ours_decoding,
    "ctranslate2": ctranslate2_decoding,
    "faster-whisper": faster_whisper_decoding,
}


def asked(python: str, part: str, options: argparse.Namespace, *more: str) -> Any:
    words = [str(options.corpus), "--weights", str(options.weights), "--part", part, *more]
    done = subprocess.run([python, __file__, *words], stdout=subprocess.PIPE, check=True, cwd=ROOT, env=_environment())
    return json.loads(done.stdout.splitlines()[-1])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _trial(options: argparse.Namespace) -> None:
    if options.only != "decoding":
        _training(options)
    if options.only != "training":
        _decoding(options)


def _training(options: argparse.Namespace) -> None:
    from models.whisper.config import Sizes
    from models.whisper.network import flops

    times: dict[str, list[float]] = {"ours-step": [], "hugging-face-step": [], "peak": []}
    for _ in range(options.rounds):
        for part in times:
            python = options.peers if part == "hugging-face-step" else sys.executable
            times[part].append(statistics.median(asked(python, part, options)))
    ours, theirs, product = times.values()
    step = BATCH * float(flops(Sizes(), frames=100 * SECONDS, tokens=TOKENS + len(PROMPT)))
    shares = [step / a / (2 * MATRIX**3 / b) for a, b in zip(ours, product, strict=True)]
    print(
        f"step of {BATCH} x {SECONDS} s: ours {statistics.median(ours):.2f} s, Hugging Face's "
        f"{statistics.median(theirs):.2f} s: {_ratio(theirs, ours)} times as fast; {step / 1e12:.3f} TFLOP, "
        f"{statistics.median(shares):.0%} of the speed of a large matrix product",
        flush=True,
    )


def _decoding(options: argparse.Namespace) -> None:
    import tempfile

    from benchmark.run.evaluate.accuracy import errors_of
    from features.corpus import text

    spoken = utterances(options.corpus)[: options.utterances]
    seconds: dict[str, list[float]] = {"ours-decoding": [], "ctranslate2": [], "faster-whisper": []}
    said: dict[str, list[str]] = {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(spoken, file)
        file.flush()
        for number in range(options.rounds):
            for part in list(seconds)[: 3 if number == 0 else 2]:  # faster-whisper alone takes minutes: once
                python = sys.executable if part == "ours-decoding" else options.peers
                more = ("--spoken", file.name, "--seconds", str(options.seconds))
                found = asked(python, part, options, *more)
                seconds[part].append(found["seconds"])
                said[part] = [text.plain(each) for each in found["said"]]
    for part, took in seconds.items():
        errors = errors_of([text.plain(of[1]) for of in spoken], said[part])
        print(f"decoding {len(spoken)} utterances: {part} {statistics.median(took):.1f} s, WER {errors.wer:.2f}%")
    alike = sum(a == b for a, b in zip(said["ours-decoding"], said["ctranslate2"], strict=True))
    ratio = _ratio(seconds["ctranslate2"], seconds["ours-decoding"])
    print(
        f"in the same windows of {options.seconds:g} s and batches of {BATCH}: {alike} of {len(spoken)} hypotheses are "
        f"equal, ours takes 1 / {ratio} of CTranslate2's time",
        flush=True,
    )


def _ratio(of: Sequence[float], to: Sequence[float]) -> str:
    ratios = sorted(b / a for a, b in zip(to, of, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def main(argv: Sequence[str] | None = None) -> int:
    from tests.trials import common

    parser = common.parser_of("whisper", __doc__)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--weights", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="default: this one")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument("--only", choices=("training", "decoding"), help="default: both")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="a window; default: %(default)s")
    parser.add_argument("--utterances", type=int, metavar="N", help="decode the first N; default: all")
    return common.run("whisper", parser, _trial, argv)


def part(argv: Sequence[str]) -> int:
    """Do one part, in an interpreter that may lack ours or theirs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--part", choices=list(PARTS))
    parser.add_argument("--spoken", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args(argv)
    print(json.dumps(PARTS[options.part](options)))
    return 0


if __name__ == "__main__":
    raise SystemExit(part(sys.argv[1:]) if "--part" in sys.argv else main())
