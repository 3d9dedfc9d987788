"""Error rates: edits and reference units are summed, then divided once.

    rates = error_rates(["the cat sat"], ["the cat sad"])
    rates.wer        # 33.33: 1 edit in 3 words

In percent, of references against hypotheses. jiwer finds the fewest edits. Four figures:

    wer, cer     edits of all utterances / reference words or characters of all utterances (the field's definition)
    wer_mean     mean over utterances of edits / reference words (the authors')
    cer_paper    mean over utterances of edits / max(characters of reference, of hypothesis) (the paper's)

An empty hypothesis is all deletions. An utterance with an empty reference counts its hypothesis as insertions; in
the two means it counts 0 if both are empty, else 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """Percentages; `wer` and `cer` may exceed 100."""

    wer: float
    cer: float
    wer_mean: float
    cer_paper: float


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Compare sentences pair by pair. Case is folded and spaces are tidied.

    Raises:
        ValueError: no utterances, or not as many hypotheses as references.
    """
    if not references or len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses; expected as many, at least 1")
    pairs = [
        (_tidy(reference), _tidy(hypothesis)) for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    word_edits = [_edits(jiwer.process_words(*pair)) for pair in pairs]
    character_edits = [_edits(jiwer.process_characters(*pair)) for pair in pairs]
    words = [len(reference.split()) for reference, _ in pairs]
    characters = [len(reference) for reference, _ in pairs]
    longest = [max(len(reference), len(hypothesis)) for reference, hypothesis in pairs]
    return ErrorRates(
        wer=100 * sum(word_edits) / max(sum(words), 1),
        cer=100 * sum(character_edits) / max(sum(characters), 1),
        wer_mean=_mean_percent(word_edits, words),
        cer_paper=_mean_percent(character_edits, longest),
    )


def _tidy(sentence: str) -> str:
    return " ".join(sentence.lower().split())


def _edits(alignment: jiwer.WordOutput | jiwer.CharacterOutput) -> int:
    return alignment.substitutions + alignment.deletions + alignment.insertions


def _mean_percent(edits: list[int], units: list[int]) -> float:
    shares = [edit / unit if unit else float(edit > 0) for edit, unit in zip(edits, units, strict=True)]
    return 100 * sum(shares) / len(shares)
