"""pyctcdecode's beam search with a language model: what ours is measured against, and its oracle.

    decode = load(Path("3-gram.arpa"), words, beam_width=256, weight=0.5, bonus=1.5)
    decode(logits, frames)                  # float [B, T', 30], int [B] -> B sentences

Its other settings are its usual ones: labels under exp(-5) are passed over, hypotheses under exp(-10) of the best are
dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from features.corpus import text
from models.ctc.language_model import LanguageModel
from models.ctc.search import without_separators
from models.learner import Decode


def load(path: Path, words: Iterable[str], *, beam_width: int, weight: float, bonus: float) -> Decode:
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
    model = LanguageModel.load(path, words, weight=weight, bonus=bonus).model
    scorer = pyctcdecode.LanguageModel(model, words or None, alpha=weight, beta=bonus)
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
