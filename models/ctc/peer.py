"""pyctcdecode's beam search with a language model: what ours is measured against, and its oracle.

    decode = load(Path("3-gram.arpa"), words, beam_width=256, weight=0.5, bonus=1.5)
    decode(logits, frames)                  # float [B, T', 30], int [B] -> B sentences

Its other settings are its usual ones: labels under exp(-5) are passed over, hypotheses under exp(-10) of the best are
dropped.

At the end of a sentence it scores the word that has begun, even if that has no letters yet: a hypothesis that ends in a
space pays for an unknown word, 12 nats or more at the usual weight. `mended` leaves that out: then six of seven
sentences are those that ours finds (docs/evaluation.md). As a decoder it is used as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from features.corpus import text
from models.ctc.language_model import LN10, kenlm_model
from models.ctc.search import without_separators
from models.learner import Decode


def load(
    path: Path, words: Iterable[str], *, beam_width: int, weight: float, bonus: float, mended: bool = False
) -> Decode:
    """Build its decoder for a language model that should know the words.

    Raises:
        ValueError: it is not installed, or the model cannot be used.
    """
    try:
        import pyctcdecode
    except ImportError:
        raise ValueError(
            "decoder pyctcdecode: it is not installed; expected it (pip install --no-deps pyctcdecode pygtrie), or "
            "--decoder language-model, the suite's own search for the same scores"
        ) from None
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    words = sorted(set(words))
    model = kenlm_model(path, words)
    scorer = pyctcdecode.LanguageModel(model, words or None, alpha=weight, beta=bonus)
    if mended:
        _mend(scorer, model)
    alphabet = pyctcdecode.Alphabet.build_alphabet([*text.CHARACTERS[: text.SEPARATOR_INDEX], ""])
    search = pyctcdecode.BeamSearchDecoderCTC(alphabet, scorer)

    def decode_one(logits: np.ndarray) -> str:
        if not len(logits):
            return ""
        merged = without_separators(logits)
        emissions = merged - np.logaddexp.reduce(merged, axis=1, keepdims=True)
        letters: Any = np.delete(emissions, text.SEPARATOR_INDEX, axis=1).astype(np.float32)
        return " ".join(search.decode(letters, beam_width=beam_width).split())

    def decode(logits: np.ndarray, frames: np.ndarray) -> list[str]:
        return [decode_one(matrix[:count]) for matrix, count in zip(logits, frames, strict=True)]

    return decode


def _mend(scorer: Any, model: Any) -> None:
    """Have a pyctcdecode.LanguageModel score the sentence's end alone where the last word has no letters."""
    import kenlm

    usual = scorer.score

    def score(state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        if word or not is_last_word:
            return usual(state, word, is_last_word)
        after = kenlm.State()
        return scorer.alpha * LN10 * model.BaseScore(state, "</s>", after), state

    scorer.score = score
