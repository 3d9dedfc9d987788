"""Error rates: edits and reference units are summed, then divided once.

    counted = [edits("the cat sat", "the cat sad"), ...]    # the counts of each utterance
    rates_of(counted).wer                                   # 33.33: 1 edit in 3 words

jiwer finds the fewest edits that turn a reference into its hypothesis. There are four error rates, in percent:

    wer, cer     edits of all utterances / reference words or characters of all utterances (the field's definition)
    wer_mean     mean over utterances of edits / reference words (the authors')
    cer_paper    mean over utterances of edits / max(characters of reference, of hypothesis) (the paper's)

Sentences are compared without their separators, in lower case, with single spaces. An empty hypothesis counts as
deletions only. If the reference is empty, the hypothesis counts as insertions; in the two means, the utterance counts
as 0 if both are empty, else as 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from features.corpus import text


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """The four error rates of a set of utterances, in percent; all but `cer_paper` may exceed 100."""

    wer: float
    cer: float
    wer_mean: float
    cer_paper: float


@dataclass(frozen=True, kw_only=True)
class Edits:
    """The counts of one utterance: fewest edits, units of the reference, and characters of its longer sentence."""

    word_edits: int
    words: int
    character_edits: int
    characters: int
    longest: int

    @property
    def word_share(self) -> float:
        return _share(self.word_edits, self.words)

    @property
    def character_share(self) -> float:
        return _share(self.character_edits, self.longest)


def edits(reference: str, hypothesis: str) -> Edits:
    """Count the edits between one reference and its hypothesis."""
    reference, hypothesis = _tidy(reference), _tidy(hypothesis)
    return Edits(
        word_edits=_count(jiwer.process_words(reference, hypothesis)),
        words=len(reference.split()),
        character_edits=_count(jiwer.process_characters(reference, hypothesis)),
        characters=len(reference),
        longest=max(len(reference), len(hypothesis)),
    )


def rates_of(utterances: Sequence[Edits]) -> ErrorRates:
    """Return the error rates of at least one utterance; their order does not change a single digit."""
    count = len(utterances)
    return ErrorRates(
        wer=100 * sum(u.word_edits for u in utterances) / max(sum(u.words for u in utterances), 1),
        cer=100 * sum(u.character_edits for u in utterances) / max(sum(u.characters for u in utterances), 1),
        wer_mean=100 * math.fsum(u.word_share for u in utterances) / count,  # fsum: exact in any order
        cer_paper=100 * math.fsum(u.character_share for u in utterances) / count,
    )


def _tidy(sentence: str) -> str:
    return " ".join(sentence.replace(text.SEPARATOR, "").lower().split())


def _count(alignment: jiwer.WordOutput | jiwer.CharacterOutput) -> int:
    return alignment.substitutions + alignment.deletions + alignment.insertions


def _share(edited: int, units: int) -> float:
    return edited / units if units else float(edited > 0)
