"""Error rates: edits and reference units are summed, then divided once.

    rates = error_rates(["the cat sat"], ["the cat sad"])
    rates.wer        # 33.33: 1 edit in 3 words

    utterances = [edits(reference, hypothesis) for ...]     # the counts of each by itself
    rates_of(utterances)                                    # the same four figures

In percent, of references against hypotheses. jiwer finds the fewest edits. Four figures:

    wer, cer     edits of all utterances / reference words or characters of all utterances (the field's definition)
    wer_mean     mean over utterances of edits / reference words (the authors')
    cer_paper    mean over utterances of edits / max(characters of reference, of hypothesis) (the paper's)

Sentences are compared without their separators, in lower case, with single spaces. An empty hypothesis is all
deletions. An utterance with an empty reference counts its hypothesis as insertions; in the two means it counts 0 if
both are empty, else 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from features import text


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """Percentages; `wer` and `cer` may exceed 100."""

    wer: float
    cer: float
    wer_mean: float
    cer_paper: float


@dataclass(frozen=True, kw_only=True)
class Edits:
    """Counts of one utterance: fewest edits, units of the reference, characters of the longer of the two."""

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
    """Compare one pair."""
    reference, hypothesis = _tidy(reference), _tidy(hypothesis)
    return Edits(
        word_edits=_count(jiwer.process_words(reference, hypothesis)),
        words=len(reference.split()),
        character_edits=_count(jiwer.process_characters(reference, hypothesis)),
        characters=len(reference),
        longest=max(len(reference), len(hypothesis)),
    )


def rates_of(utterances: Sequence[Edits]) -> ErrorRates:
    """The four figures of a set of utterances, at least one; their order does not matter to the last digit."""
    count = len(utterances)
    return ErrorRates(
        wer=100 * sum(u.word_edits for u in utterances) / max(sum(u.words for u in utterances), 1),
        cer=100 * sum(u.character_edits for u in utterances) / max(sum(u.characters for u in utterances), 1),
        wer_mean=100 * math.fsum(u.word_share for u in utterances) / count,  # fsum: exact in any order
        cer_paper=100 * math.fsum(u.character_share for u in utterances) / count,
    )


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Compare sentences pair by pair.

    Raises:
        ValueError: no utterances, or not as many hypotheses as references.
    """
    if not references or len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses; expected as many, at least 1")
    return rates_of([edits(*pair) for pair in zip(references, hypotheses, strict=True)])


def _tidy(sentence: str) -> str:
    return " ".join(sentence.replace(text.SEPARATOR, "").lower().split())


def _count(alignment: jiwer.WordOutput | jiwer.CharacterOutput) -> int:
    return alignment.substitutions + alignment.deletions + alignment.insertions


def _share(edited: int, units: int) -> float:
    return edited / units if units else float(edited > 0)
