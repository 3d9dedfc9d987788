"""What was heard: pieces of a recording with their times, and words with theirs where a model gives them.

heard = Heard(name="call.m4a", seconds=62.0, pieces=(Piece(start_s=0.4, end_s=2.1, text="two birds"),))
heard.text                                                      # "two birds"
words_of(logits, "two birds", start_s=0.4, step_s=0.03)         # (Word(text="two", start_s=..., end_s=...), ...)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.corpus import text
from models.ctc.alignment import aligned


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word and when it was said, in seconds of the recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of a recording and what was said in it; `words` is empty where the model gives no times of words."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was heard in a recording of `seconds`, which took `took_s`."""

    name: str
    seconds: float
    took_s: float
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.pieces)


def words_of(logits: np.ndarray, sentence: str, *, start_s: float, step_s: float) -> tuple[Word, ...]:
    """Return when each word of a sentence was said, by the likeliest path of its letters; logits [T', C].

    Empty if the sentence has more letters than there are outputs, which no decoder here returns.
    """
    labels = text.encode(sentence)
    try:
        spans = aligned(logits, labels)
    except ValueError:
        return ()
    found, first = [], 0
    for word in sentence.split():
        last = first + len(text.spell(word))
        times = [start_s + output * step_s for output in (spans[first, 0], spans[last - 1, 1])]
        found.append(Word(text=word, start_s=round(times[0], 2), end_s=round(times[1], 2)))
        first = last + 1  # the space
    return tuple(found)
