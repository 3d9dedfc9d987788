"""Wrong transcripts, put in on purpose, to learn what clean ones are worth.

    labels = noisy_labels([("spk-1", "one two"), ...], share=0.1, seed=1)      # [None, [20, 23, ...], ...]

Each word is wrong with a probability of `share`: in its place stands another word of the training transcripts that
takes as many labels. A transcript then needs as many output frames as before, so that CTC can align it, and the rate of
wrong words is what was asked for. Which words are wrong depends on the seed and the utterance's id alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from features.text import encode, spell


def noisy_labels(said: Sequence[tuple[str, str]], *, share: float, seed: int) -> list[list[int] | None]:
    """Return the labels of every (id, sentence) with wrong words; None of those in which no word is wrong.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"label noise is {share}; expected a share of words, 0 to 1")
    by_length: dict[int, list[str]] = {}
    for word in sorted({word for _, sentence in said for word in sentence.split()}):
        by_length.setdefault(len(spell(word)), []).append(word)
    return [_noisy(name, sentence, by_length, share, seed) for name, sentence in said]


def _noisy(name: str, sentence: str, by_length: dict[int, list[str]], share: float, seed: int) -> list[int] | None:
    digest = hashlib.sha256(f"noise\0{seed}\0{name}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest[:16], np.uint32))
    words = sentence.split()
    wrong = rng.random(len(words)) < share
    changed = False
    for place in np.flatnonzero(wrong):
        others = [word for word in by_length[len(spell(words[place]))] if word != words[place]]
        if others:
            words[place], changed = others[int(rng.integers(len(others)))], True
    return encode(" ".join(words)) if changed else None
