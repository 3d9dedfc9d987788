"""The words that a beam search knows, as a prefix tree.

    lexicon = Lexicon.of(["cool", "do", "don't"])           # spelled with separators: c o _ o l
    lexicon = Lexicon.of(words, separated=False)            # without: c o o l

A dictionary of 200,000 words takes 16 bytes for each node of its tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.corpus import text
from models.ctc.beam import NO_WORD, NODE


@dataclass(frozen=True)
class Lexicon:
    """The words that a search knows, in alphabetical order, and their tree, NODE [N]."""

    words: tuple[str, ...]
    tree: np.ndarray

    @classmethod
    def of(cls, words: Iterable[str], *, separated: bool = True) -> Lexicon:
        """Make a lexicon of words; repeated words count once.

        `separated`: whether the separator stands between doubled letters, as in what a model is trained on.
        """
        unique = tuple(sorted({*words} - {""}))
        return cls(unique, _tree([labels_of(word, separated=separated) for word in unique]))


def labels_of(sentence: str, *, separated: bool = True) -> list[int]:
    """Return the labels of a sentence, with separators or without. Raises ValueError as `text.normalise` does."""
    labels = text.encode(sentence)
    return labels if separated else [label for label in labels if label != text.SEPARATOR_INDEX]


def _tree(spellings: Sequence[Sequence[int]]) -> np.ndarray:
    """Build the tree level by level: the nodes of a level are the different beginnings of that length."""
    lengths = np.array([len(spelling) for spelling in spellings], np.int64)
    letters = np.zeros((len(spellings), max(lengths, default=0)), np.int32)
    for row, spelling in zip(letters, spellings, strict=True):
        row[: len(spelling)] = spelling
    words = np.lexsort(letters.T[::-1]) if len(letters) else np.arange(0)
    reached = np.zeros(len(words), np.int64)  # the node of each word's beginning
    levels, nodes = [_level(1)], 1
    for depth in range(letters.shape[1] + 1):
        above, first = levels[-1], nodes - len(levels[-1])
        ended = lengths[words] == depth
        above["word"][reached[ended] - first] = words[ended]
        above["follow"][reached[ended] - first] |= 1 << text.SPACE
        words, reached = words[~ended], reached[~ended]
        if not len(words):
            break
        label = letters[words, depth]
        new = np.ones(len(words), bool)
        new[1:] = (reached[1:] != reached[:-1]) | (label[1:] != label[:-1])
        parent, level = reached[new] - first, _level(int(np.count_nonzero(new)))
        level["label"] = label[new]
        np.bitwise_or.at(above["follow"], parent, np.int32(1) << level["label"])
        parents, firsts = np.unique(parent, return_index=True)
        above["child"][parents] = nodes + firsts
        reached = nodes - 1 + np.cumsum(new)
        levels.append(level)
        nodes += len(level)
    return np.concatenate(levels)


def _level(nodes: int) -> np.ndarray:
    level = np.zeros(nodes, NODE)
    level["word"] = NO_WORD
    return level
