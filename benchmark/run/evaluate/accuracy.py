"""Count the errors of hypotheses against references, in words as jiwer aligns them.

    utterances = [edits(reference, hypothesis) for ...]     # the Edits of each utterance
    Errors.of(utterances).wer                               # benchmark.metrics: edits are summed, then divided once

    errors = errors_of(["the cat sat"], ["the cat sad"])
    errors.wer                                              # 33.33: 1 edit in 3 words

Sentences are compared without their separators, in lower case, with single spaces. An empty hypothesis counts as
deletions only. If the reference is empty, the hypothesis counts as insertions; in means over utterances, the utterance
counts as 0 if both are empty, else as 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import jiwer
from rapidfuzz.distance import Levenshtein

from benchmark.metrics import Edits, Errors
from features.corpus import text


def edits(reference: str, hypothesis: str) -> Edits:
    """Count the edits between one reference and its hypothesis."""
    reference, hypothesis = tidy(reference), tidy(hypothesis)
    return Edits(
        word_pairs=tuple(_word_pairs(jiwer.process_words(reference, hypothesis))),
        words=len(reference.split()),
        character_edits=Levenshtein.distance(reference, hypothesis),  # jiwer would align them too: 70 times as long
        characters=len(reference),
        longest=max(len(reference), len(hypothesis)),
    )


def errors_of(references: Sequence[str], hypotheses: Sequence[str]) -> Errors:
    """Return the error figures of hypotheses against references, pair by pair.

    Raises:
        ValueError: there are no references, or not as many hypotheses.
    """
    if not references or len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses; expected as many, at least 1")
    return Errors.of([edits(*pair) for pair in zip(references, hypotheses, strict=True)])


def tidy(sentence: str) -> str:
    """Return a sentence as it is compared."""
    return " ".join(sentence.replace(text.SEPARATOR, "").lower().split())


def _word_pairs(aligned: jiwer.WordOutput) -> Iterator[tuple[str, str]]:
    """Yield the words of each edit, "" where one side has none."""
    for chunk in aligned.alignments[0]:
        if chunk.type != "equal":
            reference = aligned.references[0][chunk.ref_start_idx : chunk.ref_end_idx]
            hypothesis = aligned.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]
            yield from zip_longest(reference, hypothesis, fillvalue="")
