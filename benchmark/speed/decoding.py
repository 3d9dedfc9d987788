"""Part `decoding`: seconds to decode an utterance of 830 output frames (16.7 s), on one core and on all.

Ours: `models.ctc.decoders`, restricted to a dictionary of 20,000 words, beam width 256. Baseline: pyctcdecode without a
language model at its defaults (beam width 100). All cores: `benchmark.run.evaluate.decoding.DecodingPool` against one
worker of it.

Logits are made, not learnt (`logits_of`): a random sentence is spelled along the frames, one or two frames a label and
blanks between, each frame's right class 7 to 13 nats above noise of deviation 1; at every label a wrong letter
comes within -0.5 to 8 nats of it, so that one label in twelve or so is wrong under greedy decoding. That is what a
model in the middle of its training gives: sure of its blanks, less of its letters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmark.speed.contest import Arena, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting
from features.corpus import text
from platforms.machine import affinity, usable_cores

WORDS, FRAMES, BEAM_WIDTH = 20_000, 830, 256
CHARACTERS_A_FRAME = 0.25  # LibriSpeech: about 14 a second, at 50 output frames a second
TARGET = 8
VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwyz"


def measure(setting: Setting) -> list[Result]:
    """Measure decoding; return two Results: on one core and on all cores."""
    utterances = 1 if setting.tiny else 4
    options: dict[str, Any] = {"utterances": utterances, "words": 500 if setting.tiny else WORDS}
    jobs = usable_cores()
    with Arena() as arena:
        core = affinity()[0]
        running = {
            "ours": arena.enter(contender("decoding", "ours", core=core, **options)),
            "pyctcdecode": arena.enter(contender("decoding", "pyctcdecode", core=core, **options)),
            "one worker": arena.enter(contender("decoding", "pool", jobs=1, **options)),
            "pool": arena.enter(contender("decoding", "pool", jobs=jobs, **options)),
        }
        turns = {name: one.ask for name, one in running.items()}
        played = play(turns, rounds=setting.rounds, label="decoding")
    scaling = played.ratios("one worker", "pool")
    return [
        Result(
            part="decoding, one core",
            unit="s/utterance",
            ours=played.median("ours"),
            baseline=played.median("pyctcdecode"),
            ratios=played.ratios("pyctcdecode", "ours"),
            note=f"{FRAMES} frames, {options['words']:,} words, width {BEAM_WIDTH}; baseline: pyctcdecode without a "
            f"language model at its defaults; word errors {played.answers['ours'][0]['errors']:.0%}, "
            f"pyctcdecode's {played.answers['pyctcdecode'][0]['errors']:.0%}; target {TARGET} times as fast",
            measured={name: played.answers[name] for name in ("ours", "pyctcdecode")},
        ),
        Result(
            part=f"decoding, {jobs} cores",
            unit="s/utterance",
            ours=played.median("pool"),
            baseline=played.median("one worker"),
            ratios=scaling,
            limit_share=sorted(scaling)[len(scaling) // 2] / jobs,
            note="baseline: one worker; limit: as many times as fast as there are cores",
            measured={name: played.answers[name] for name in ("one worker", "pool")},
        ),
    ]


@cache
def vocabulary(count: int) -> tuple[str, ...]:
    """Make `count` different made-up words of one to four syllables, the same each time."""
    rng = np.random.default_rng(0)
    words: dict[str, None] = {}
    while len(words) < count:
        syllables = rng.integers(1, 5)
        word = "".join(
            CONSONANTS[rng.integers(len(CONSONANTS))] * (rng.random() < 0.85)
            + VOWELS[rng.integers(len(VOWELS))]
            + CONSONANTS[rng.integers(len(CONSONANTS))] * (rng.random() < 0.4)
            for _ in range(syllables)
        )
        words[word] = None
    return tuple(words)


def sentence_of(words: tuple[str, ...], *, characters: int, seed: int) -> str:
    """Return a sentence of random words with at most `characters` characters."""
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    while len(" ".join(chosen)) <= characters:
        chosen.append(words[rng.integers(len(words))])
    return " ".join(chosen[:-1]) or chosen[0]


def logits_of(sentence: str, *, frames: int, seed: int, noise: float = 1.0) -> np.ndarray:
    """Return logits that spell a sentence, float32 [T', 30]; see above. With `noise=0` greedy decoding returns it."""
    rng, labels = np.random.default_rng(seed), text.encode(sentence)
    widths = rng.integers(1, 3, len(labels))
    gaps = rng.multinomial(frames - widths.sum(), np.full(len(labels) + 1, 1 / (len(labels) + 1)))
    classes, rivals = [text.BLANK] * gaps[0], [-1] * gaps[0]
    for label, width, gap in zip(labels, widths, gaps[1:], strict=True):
        classes += [label] * width + [text.BLANK] * gap
        rivals += [int(rng.integers(1, 27))] * width + [-1] * gap
    logits = noise * rng.standard_normal((frames, text.ALPHABET_SIZE))
    places = np.arange(frames)
    heights = rng.uniform(7, 13, frames)
    logits[places, classes] += heights
    rivalled = np.flatnonzero(np.array(rivals) >= 0)
    below = rng.uniform(-0.5, 8, frames)[rivalled]
    chosen = np.array(rivals)[rivalled]
    logits[rivalled, chosen] = np.maximum(logits[rivalled, chosen], noise * (heights[rivalled] - below))
    return logits.astype(np.float32)


def _utterances(count: int, words: int) -> tuple[list[str], np.ndarray]:
    spoken = [
        sentence_of(vocabulary(words), characters=round(FRAMES * CHARACTERS_A_FRAME), seed=n) for n in range(count)
    ]
    return spoken, np.stack([logits_of(sentence, frames=FRAMES, seed=n) for n, sentence in enumerate(spoken)])


def ours(*, utterances: int, words: int) -> Callable[[str], dict]:
    from models.ctc.decoders import dictionary

    spoken, logits = _utterances(utterances, words)
    decode = dictionary(vocabulary(words), beam_width=BEAM_WIDTH)
    return _timed(lambda: decode(logits, np.full(len(logits), FRAMES)), spoken)


def pyctcdecode(*, utterances: int, words: int) -> Callable[[str], dict]:
    import logging

    import pyctcdecode
    from scipy.special import log_softmax

    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    spoken, logits = _utterances(utterances, words)
    decoder = pyctcdecode.build_ctcdecoder([*text.CHARACTERS[: text.SEPARATOR_INDEX], ""])
    chances = log_softmax(logits, axis=-1)
    # It knows no separators; a blank between doubled letters says the same.
    nothing = np.logaddexp(chances[:, :, text.SEPARATOR_INDEX], chances[:, :, text.BLANK])
    letters = np.concatenate([chances[:, :, : text.SEPARATOR_INDEX], nothing[:, :, None]], axis=2)
    return _timed(lambda: [decoder.decode(matrix) for matrix in letters], spoken)


def pool(*, utterances: int, words: int, jobs: int) -> Callable[[str], dict]:
    from benchmark.run.evaluate.decoding import DecodingPool
    from models.ctc.decoders import Decoder

    spoken, logits = _utterances(utterances, words)
    spoken, logits = spoken * jobs, np.concatenate([logits] * jobs)
    workers = DecodingPool(Decoder(name="dictionary", beam_width=BEAM_WIDTH, words=vocabulary(words)), jobs=jobs)
    workers.warm_up()

    def decode() -> list[str]:
        one = np.array([FRAMES])
        futures = [workers.submit(matrix[None], one) for matrix in logits]
        return [future.result()[0] for future in futures]

    return _timed(decode, spoken)


def _timed(decode: Callable[[], list[str]], spoken: list[str]) -> Callable[[str], dict]:
    from jiwer import wer

    def ask(_: str) -> dict:
        started_s = time.monotonic()
        found = decode()
        seconds = (time.monotonic() - started_s) / len(spoken)
        return {"seconds": seconds, "errors": wer(spoken, found)}

    ask("")
    return ask


CONTENDERS = {"ours": ours, "pyctcdecode": pyctcdecode, "pool": pool}
