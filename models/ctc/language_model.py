"""A KenLM language model as a beam search asks it: a word after a state, and the end of a sentence.

    model = LanguageModel.load(Path("3-gram.arpa"), words, weight=0.5, bonus=1.5)
    score, state = model.word(0, "see")                 # natural logarithm, weighted; state 0 is a sentence's beginning
    model.end(state)                                    # of the sentence, after that
    model.score(["see", "sea"])                         # of a whole sentence: its words and its end

A sentence w1 ... wn has the score

    sum over i of (weight ln 10 (log10 P(wi | w1 ... wi-1) + offset(wi)) + bonus)
    + weight ln 10 log10 P(</s> | w1 ... wn)

where P is the model's, `<unk>` for words that it does not have; offset is 0 for known words and -10 max(1, letters / 6)
for others. Known are words that were given and that the model has. It is pyctcdecode's score of a sentence (its alpha
is `weight`, its beta `bonus`), but for two things. A word without letters, at the end of a hypothesis that ends in a
space, is none. And pyctcdecode charges a long unknown word by its letters only until it ends, when it gives back all
but -10: so one made-up word was cheaper than the three that were said.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.ctc import beam
from models.ctc.lexicon import Lexicon

UNKNOWN = -10.0
"""Added to the base-10 logarithm of an unknown word's probability, for every USUAL_LETTERS that it is longer again."""
LN10 = math.log(10.0)
FIRST_PLACES, MOST_ANSWERS = 1 << 12, 1 << 20  # 32 bytes a place, and a state that takes some 150 for some answers
BEGINNING = 0


class LanguageModel:
    """A KenLM model, and what it said so far. States of it have numbers, 0 at the beginning of a sentence."""

    def __init__(self, model: Any, words: Iterable[str], *, weight: float, bonus: float) -> None:
        """Make it of a kenlm.Model and the words that may be known."""
        self.model, self.weight, self.bonus = model, weight, bonus
        self.answers, self._answered = _table(FIRST_PLACES), 0
        self.lexicon = Lexicon.of([word for word in set(words) if word in model], separated=False)
        self.known = frozenset(self.lexicon.words)
        self.charge = weight * LN10 * UNKNOWN
        """The part of an unknown word's score that is certain before it ends, if the word is of a usual length."""
        self.tidy(most=-1)

    @classmethod
    def load(cls, path: Path, words: Iterable[str], *, weight: float, bonus: float) -> LanguageModel:
        """Load a model (ARPA or binary) that should know some words.

        Raises:
            ValueError: it cannot be used, knows none of them, or there are none.
        """
        words = frozenset(words)
        if not words:
            raise ValueError("no words may be known; expected those of the training transcripts")
        return cls(kenlm_model(path, words), words, weight=weight, bonus=bonus)

    def known_share(self, words: Iterable[str]) -> float:
        """Return the share of some words that the model knows, 0 to 1; 1 for none."""
        found = [word in self.model for word in words]
        return sum(found) / len(found) if found else 1.0

    def word(self, state: int, word: str) -> tuple[float, int]:
        """Return the score of a word after a state, and the state then."""
        after = self._state()
        log10 = self.model.BaseScore(self._states[state], word, after)
        if word not in self.known:
            log10 += UNKNOWN * max(1.0, len(word) / beam.USUAL_LETTERS)
        number = self._state_numbers.setdefault(after, len(self._states))
        if number == len(self._states):
            self._states.append(after)
        return self.weight * LN10 * log10 + self.bonus, number

    def end(self, state: int) -> float:
        """Return the score of the sentence's end after a state."""
        return self.weight * LN10 * self.model.BaseScore(self._states[state], "</s>", self._state())

    def score(self, words: Sequence[str]) -> float:
        """Return the score of a whole sentence."""
        total, state = 0.0, BEGINNING
        for word in words:
            score, state = self.word(state, word)
            total += score
        return total + self.end(state)

    def number(self, word: str) -> int:
        """Return a word's number in the table of answers: its place in the lexicon, or one after these."""
        number = self._word_numbers.setdefault(word, len(self._words))
        if number == len(self._words):
            self._words.append(word)
        return number

    def answer(self, state: int, number: int) -> None:
        """Write what the model says of a word after a state into `answers`, the table that the search reads."""
        place = beam.place_of(self.answers, state, number)
        if self.answers[place]["key"] != beam.NO_KEY:
            return
        score, after = (0.0, state) if number == beam.WORDLESS else self.word(state, self._words[number])
        self.answers[place] = beam.key_of(state, number), score, self.end(after), after
        self._answered += 1
        if 2 * self._answered > len(self.answers):
            self.answers = beam.moved(self.answers, _table(2 * len(self.answers)))

    def tidy(self, *, most: int = MOST_ANSWERS) -> None:
        """Forget all answers if they are many. Numbers are other ones afterwards: never within a search."""
        if self._answered <= most:
            return
        beginning = self._state()
        self.model.BeginSentenceWrite(beginning)
        self._states, self._state_numbers = [beginning], {beginning: BEGINNING}
        self._words = list(self.lexicon.words)
        self._word_numbers = {word: number for number, word in enumerate(self._words)}
        self.answers, self._answered = _table(FIRST_PLACES), 0

    @staticmethod
    def _state() -> Any:
        import kenlm

        return kenlm.State()


def _table(places: int) -> np.ndarray:
    return np.full(places, np.array((beam.NO_KEY, 0.0, 0.0, 0), beam.ANSWER))


def kenlm_model(path: Path, words: Collection[str]) -> Any:
    """Load a KenLM model that should know some of the words. Raises ValueError if it cannot, with the reason."""
    try:
        import kenlm
    except ImportError:
        raise ValueError(
            "language-model decoding needs kenlm, which is compiled on installation: "
            "apt install g++ python3-dev, then make setup"
        ) from None
    try:
        model = kenlm.Model(str(path))
    except (OSError, RuntimeError) as error:
        reason = str(error).rpartition("Exception. ")[2].partition(" Byte:")[0].splitlines()[0]  # without C++ names
        raise ValueError(f"{path}: {reason}; expected an ARPA or KenLM binary file") from None
    if words and not any(word in model for word in words):
        raise ValueError(_knows_none(path, model, words))
    return model


def _knows_none(path: Path, model: Any, words: Collection[str]) -> str:
    found = f"{path}: knows none of the {len(words):,} training words"
    capitals = sum(word.upper() in model for word in words) / len(words)
    if not capitals:
        return f"{found}; expected a model of their language and spelling"
    return (
        f"{found}, and {capitals:.0%} of them in capitals; expected lower case, as the transcripts are. Of an ARPA "
        f"file: tr '[:upper:]' '[:lower:]' < {path} > lower.arpa"
    )
