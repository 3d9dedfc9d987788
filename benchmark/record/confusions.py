"""The commonest word errors of an evaluation: words taken for others, words missed, and words that nobody said.

    confused = Confusions.of([("a", "the"), ("a", "the"), ("cat", ""), ("", "oh")])
    confused.substitutions          # (("a", "the", 2),): reference word, hypothesis word, how often
    confused.deletions              # (("cat", 1),)
    confused.insertions             # (("oh", 1),)
    HEADER, confused.rows()         # all of it as cells of a table

The pairs are those of `benchmark.metrics.Edits`. The commonest comes first, equally common ones by alphabet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

MOST = 10  # of each kind
HEADER = ("reference", "hypothesis", "times", "deleted", "times", "inserted", "times")


@dataclass(frozen=True, kw_only=True)
class Confusions:
    """The commonest substitutions, deletions and insertions, with how often each was made."""

    substitutions: tuple[tuple[str, str, int], ...] = ()
    deletions: tuple[tuple[str, int], ...] = ()
    insertions: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], *, most: int = MOST) -> Confusions:
        """Count (reference word, hypothesis word) pairs; "" stands for no word on that side."""
        common = sorted(Counter(pairs).items(), key=lambda item: (-item[1], item[0]))
        return cls(
            substitutions=tuple((*pair, times) for pair, times in common if all(pair))[:most],
            deletions=tuple((reference, times) for (reference, hypothesis), times in common if not hypothesis)[:most],
            insertions=tuple((hypothesis, times) for (reference, hypothesis), times in common if not reference)[:most],
        )

    @classmethod
    def read(cls, content: Any) -> Confusions:
        """Make confusions from the JSON of a file. Raises ValueError or TypeError if the content is of another kind."""
        return cls(
            substitutions=tuple((_word(a), _word(b), _times(n)) for a, b, n in content["substitutions"]),
            deletions=tuple((_word(word), _times(n)) for word, n in content["deletions"]),
            insertions=tuple((_word(word), _times(n)) for word, n in content["insertions"]),
        )

    def rows(self, *, most: int = MOST) -> tuple[tuple[str, ...], ...]:
        """Return the cells of a table below HEADER, a kind beside the other."""
        kinds = (self.substitutions[:most], self.deletions[:most], self.insertions[:most])
        empty = (("", "", ""), ("", ""), ("", ""))
        return tuple(
            tuple(str(cell) for part, none in zip(parts, empty, strict=True) for cell in part or none)
            for parts in zip_longest(*kinds)
        )


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80}; expected a word")
    return value


def _times(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.80}; expected a count")
    return value
