"""When a sentence was said, by a model's own logits: the likeliest CTC path of its labels (Viterbi).

    spans = aligned(logits, labels)         # int [L, 2]: the first output of each label, and the one after its last

Graves et al. 2006, section 4.1: a path passes through the labels in order, with blanks between them where it likes, and
at least one between two that are equal. Of all paths of T' outputs that spell the labels the likeliest is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.corpus.text import BLANK


def aligned(logits: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Return where each label is on the likeliest path, int [L, 2]: its first output, and the one after its last.

    Args:
        logits: float [T', C], of one utterance, not normalised.
        labels: L of them, without blanks.

    Raises:
        ValueError: the outputs are fewer than the labels need.
    """
    said = np.asarray(labels, np.int64)
    if not len(said):
        return np.zeros((0, 2), np.int64)
    needed = len(said) + int((said[1:] == said[:-1]).sum())
    if len(logits) < needed:
        raise ValueError(f"{len(logits)} outputs; expected at least {needed} for {len(said)} labels")
    states = np.full(2 * len(said) + 1, BLANK)
    states[1::2] = said
    scores = _log_softmax(np.asarray(logits, np.float64))[:, states]  # [T', S]
    skips = np.zeros(len(states), bool)  # over the blank before, if the label before is another
    skips[3::2] = said[1:] != said[:-1]
    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, :2]
    came_from = np.zeros((len(logits), len(states)), np.int8)
    for output in range(1, len(logits)):
        one = np.concatenate([[-np.inf], best[:-1]])
        two = np.where(skips, np.concatenate([[-np.inf, -np.inf], best[:-2]]), -np.inf)
        ways = np.stack([best, one, two])
        came_from[output] = ways.argmax(0)
        best = ways.max(0) + scores[output]
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    spans = np.zeros((len(said), 2), np.int64)
    for output in range(len(logits) - 1, -1, -1):
        if state % 2:
            label = state // 2
            spans[label, 0] = output
            spans[label, 1] = spans[label, 1] or output + 1
        state -= int(came_from[output, state])
    return spans


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    centred = logits - logits.max(1, keepdims=True)
    return centred - np.log(np.exp(centred).sum(1, keepdims=True))
