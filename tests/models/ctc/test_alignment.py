from itertools import product

import numpy as np
import pytest

from features.corpus.text import ALPHABET_SIZE, BLANK
from models.ctc.alignment import aligned

A, B = 1, 2


def collapsed(path):
    kept = [label for place, label in enumerate(path) if place == 0 or label != path[place - 1]]
    return [label for label in kept if label != BLANK]


def spans_of(path, labels):
    """Return where the labels are on a path: runs of equal outputs that are no blanks."""
    found, place = [], 0
    while place < len(path):
        end = place
        while end < len(path) and path[end] == path[place]:
            end += 1
        if path[place] != BLANK:
            found.append((place, end))
        place = end
    assert len(found) == len(labels)
    return found


@pytest.mark.parametrize("labels", [[A], [A, B], [A, A], [A, B, A], [B, B, A]])
def test_the_path_is_the_likeliest_of_all(labels):
    """Every path of 6 outputs over three classes is tried: 729."""
    rng = np.random.default_rng(len(labels))
    for _ in range(20):
        logits = np.full((6, ALPHABET_SIZE), -40.0)
        logits[:, [A, B, BLANK]] = rng.normal(size=(6, 3)) * 2
        paths = [path for path in product((A, B, BLANK), repeat=6) if collapsed(path) == labels]
        best = max(paths, key=lambda path: sum(logits[t, label] for t, label in enumerate(path)))
        assert aligned(logits, labels).tolist() == [list(span) for span in spans_of(best, labels)]


def test_too_few_outputs_are_refused():
    with pytest.raises(ValueError, match="2 outputs; expected at least 3 for 2 labels"):
        aligned(np.zeros((2, ALPHABET_SIZE)), [A, A])
    assert aligned(np.zeros((2, ALPHABET_SIZE)), []).shape == (0, 2)


def test_long_sentences_are_aligned():
    """70 labels have 141 states; each label has an output of its own, with a blank after it."""
    labels = [A, B] * 35
    path = [each for label in labels for each in (label, BLANK)]
    logits = np.full((len(path), ALPHABET_SIZE), -20.0)
    logits[np.arange(len(path)), path] = 0.0
    assert aligned(logits, labels).tolist() == [[2 * n, 2 * n + 1] for n in range(70)]
