"""Deliberately wrong transcripts and noisy audio, to learn what clean ones are worth.

    sentences = noisy_sentences([("spk-1", "one two"), ...], share=0.1, seed=1)        # ["one two", "one six", ...]
    samples = noisy_audio(samples, name="spk-1", snr_db=10.0)

Each word is replaced, with a probability of `share`, by another word of the training transcripts that has as many
labels. A transcript then needs as many output frames as before, so that CTC can align it, and the rate of
wrong words is what was asked for. Which words are wrong depends on the seed and the utterance's id alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from features.corpus.text import spell


def noisy_audio(samples: np.ndarray, *, name: str, snr_db: float) -> np.ndarray:
    """Mix speech-shaped noise into a recording, float32 [S] -> float32 [S].

    The noise has the recording's own long-term spectrum, with random phases: it is as loud in every band as the
    speech is on average, less `snr_db`. Its power is exact: 10 log10(sum of squares of the samples / of the noise) is
    `snr_db`. The random draws depend on the utterance's id alone.
    """
    rng = _generator("audio", name)
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))
    spectrum[0] = 0.0  # a constant offset is no noise
    noise = np.fft.irfft(spectrum * np.exp(2j * np.pi * rng.random(len(spectrum))), n=len(samples))
    power = float(np.square(noise).sum())
    if power == 0.0:
        return samples
    gain = np.sqrt(np.square(samples, dtype=np.float64).sum() / power) * 10 ** (-snr_db / 20)
    return (samples + gain * noise).astype(np.float32)


def noisy_sentences(said: Sequence[tuple[str, str]], *, share: float, seed: int) -> list[str]:
    """Return the sentence of every (id, sentence), with a share of its words replaced.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"label noise is {share}; expected a share of words, 0 to 1")
    by_length: dict[int, list[str]] = {}
    for word in sorted({word for _, sentence in said for word in sentence.split()}):
        by_length.setdefault(len(spell(word)), []).append(word)
    return [_noisy(name, sentence, by_length, share, seed) for name, sentence in said]


def _noisy(name: str, sentence: str, by_length: dict[int, list[str]], share: float, seed: int) -> str:
    rng = _generator("noise", str(seed), name)
    words = sentence.split()
    wrong = rng.random(len(words)) < share
    for place in np.flatnonzero(wrong):
        others = [word for word in by_length[len(spell(words[place]))] if word != words[place]]
        if others:
            words[place] = others[int(rng.integers(len(others)))]
    return " ".join(words)


def _generator(*names: str) -> np.random.Generator:
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest[:16], np.uint32))
