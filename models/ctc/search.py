"""CTC beam search with a dictionary or a language model: the suite's own, compiled, and deterministic by construction.

    lexicon = Lexicon.of(["cool", "do", "don't"])
    search(logits, lexicon, beam_width=256)                 # float [T', 30] -> ["do", "cool"], of these words only
    log_probability(logits, ["do", "cool"])                 # natural logarithm, exact, over all CTC paths

    model = LanguageModel.load(Path("3-gram.arpa"), words, weight=0.5, bonus=1.5)
    spoken_search(logits, model, beam_width=256)            # of any words, which the model scores
    log_score(logits, ["do", "cool"], model)                # log_probability and what the model says, as searched for

What a hypothesis is, and why the same logits always give the same words, stands in models/ctc/beam.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from features.corpus import text
from models.ctc import beam
from models.ctc.beam import NOTHING, ROOT, SPACE
from models.ctc.language_model import LanguageModel
from models.ctc.lexicon import Lexicon, labels_of

NO_NUMBERS, NO_ANSWERS = np.empty(0, np.int32), np.empty(0, beam.ANSWER)  # a dictionary asks nobody


def search(logits: np.ndarray, lexicon: Lexicon, *, beam_width: int, pruned_nats: float = np.inf) -> list[str]:
    """Return the words of the likeliest sentence: logits float [T', 30], natural, not necessarily normalised.

    At most `beam_width` prefixes are kept after each frame, and none that is less likely than the best one by a
    factor of more than exp(`pruned_nats`). A last word that no kept prefix completes is lost.

    Raises:
        ValueError: a logit is not a number, or infinite; minus infinity says that a label is impossible.
    """
    found = _Search(_checked(logits), lexicon.tree, beam_width=beam_width, pruned_nats=pruned_nats)
    words = found.words()
    return words if found.complete else words[:-1]


def spoken_search(
    logits: np.ndarray, model: LanguageModel, *, beam_width: int, pruned_nats: float = np.inf
) -> list[str]:
    """Return the words of the sentence with the best `log_score`, of any words: logits as in `search`.

    Prefixes are compared and pruned by what is certain of that score: their paths, what the model says of their
    complete words, and the offset of an unknown word as soon as no known one begins so.

    Raises:
        ValueError: as `search`.
    """
    emissions = without_separators(_checked(logits))
    return _Search(emissions, model.lexicon.tree, beam_width=beam_width, pruned_nats=pruned_nats, model=model).words()


class _Search:
    """One search, and its memory."""

    def __init__(
        self, emissions: np.ndarray, tree: np.ndarray, *, beam_width: int, pruned_nats: float,
        model: LanguageModel | None = None,
    ) -> None:  # fmt: skip
        self.tree, self.model = tree, model
        self.prefixes = np.empty(1 + len(emissions) * beam_width, beam.PREFIX)
        self.numbers = NO_NUMBERS if model is None else np.full(len(self.prefixes), beam.NO_WORD, np.int32)
        self.asked = np.empty((beam_width, 3), np.int32)
        kept, found = (np.empty(beam_width * many, beam.HYPOTHESIS) for many in (1, 1 + beam.LABELS))
        place = np.array([0, 1, 1])  # the frame, the prefixes that are kept, those that have a number
        spoken, charge, bonus = (False, 0.0, 0.0) if model is None else (True, model.charge, max(model.bonus, 0.0))
        settings = spoken, charge, bonus, beam_width, float(pruned_nats)
        beam.begin(self.prefixes, kept)
        self._step(lambda *said: beam.advance(emissions, tree, *settings, place, self.prefixes, kept, found, *said))
        kept = kept[: place[1]]
        self._step(lambda *said: beam.finish(tree, spoken, kept, *said))
        beam.merge(self.prefixes, kept)
        self.best = kept[beam.choose(emissions, self.prefixes, kept)] if len(kept) else None

    def _step(self, step: Callable[..., int]) -> None:
        """Take a step again until no answer is missing."""
        while missing := step(self.numbers, self.model.answers if self.model else NO_ANSWERS, self.asked):
            for prefix, state, number in self.asked[:missing].tolist():
                if number == beam.NO_WORD:
                    number = self.numbers[prefix] = self.model.number(self._last_word(prefix))
                self.model.answer(state, number)

    @property
    def complete(self) -> bool:
        """Whether the last word of what was found is whole."""
        node = ROOT if self.best is None else self.best["node"]
        return node == ROOT or self.tree[node]["word"] != beam.NO_WORD

    def words(self) -> list[str]:
        """Return the words of what was found."""
        return [] if self.best is None else self._words(self.best["prefix"])

    def _words(self, prefix: int) -> list[str]:
        return text.decode(self._labels(prefix)).split()

    def _last_word(self, prefix: int) -> str:
        labels = self._labels(prefix)[:-1]  # without the space after it
        return text.decode(labels[np.flatnonzero(labels == SPACE)[-1] :])

    def _labels(self, prefix: int) -> np.ndarray:
        labels = np.empty(self.prefixes[prefix]["depth"] + 2, np.int32)
        return labels[: beam.spell(self.prefixes, prefix, labels)]


def _checked(logits: np.ndarray) -> np.ndarray:
    """Return logits in float64, if each is a number or minus infinity."""
    wrong = ~(logits < np.inf)
    if wrong.any():
        frame, label = np.argwhere(wrong)[0]
        raise ValueError(f"frame {frame} has a logit that is {logits[frame, label]}; expected numbers")
    return np.ascontiguousarray(logits, np.float64)


def without_separators(logits: np.ndarray) -> np.ndarray:
    """Return logits [T', 30] whose blanks stand for separators, too: a blank between doubled letters says the same."""
    merged = np.array(logits, np.float64)
    merged[:, text.BLANK] = np.logaddexp(merged[:, text.SEPARATOR_INDEX], merged[:, text.BLANK])
    merged[:, text.SEPARATOR_INDEX] = NOTHING
    return merged


def likeliest(logits: np.ndarray, sentences: Sequence[list[str]]) -> list[str]:
    """Return the sentence of the highest exact probability; of equal ones the first in alphabetical order."""
    different = sorted({tuple(words) for words in sentences})
    if len(different) == 1:
        return list(different[0])
    exact = [log_probability(logits, words) for words in different]
    scores = [round(score * beam.STEPS_A_NAT) if score > NOTHING else NOTHING for score in exact]
    return list(different[scores.index(max(scores))])


def log_score(logits: np.ndarray, words: Sequence[str], model: LanguageModel) -> float:
    """Return what `spoken_search` looks for the highest of: the logarithm of a sentence's probability, over all CTC
    paths that are it without their separators, plus what a language model says of the whole sentence.
    """
    return log_probability(without_separators(logits), words, separated=False) + model.score(words)


def log_probability(logits: np.ndarray, words: Sequence[str], *, separated: bool = True) -> float:
    """Return the logarithm of a sentence's probability, the sum over all of its CTC paths: logits float [T', 30].

    Spaces may stand anywhere but inside a word. `separated`: separators stand between doubled letters.
    """
    labels = [SPACE, *(label for word in words for label in (*labels_of(word, separated=separated), SPACE))]
    shifted = np.asarray(logits, np.float64)
    emissions = shifted - np.logaddexp.reduce(shifted, axis=1, keepdims=True)
    blank, label = np.full((2, len(labels)), NOTHING)
    blank[0] = 0.0
    spaces = np.array(labels) == SPACE
    repeated = np.array([False, *(a == b for a, b in zip(labels, labels[1:], strict=False))])
    for frame in emissions:
        total = np.logaddexp(blank, label)
        before = np.concatenate([[NOTHING], np.where(repeated[1:], blank[:-1], total[:-1])])
        label = np.logaddexp(np.where(spaces, total, label), before) + frame[labels]
        blank = total + frame[text.BLANK]
    ends = np.logaddexp(blank, label)[-2:]  # with the last space and without
    return float(np.logaddexp.reduce(ends))
