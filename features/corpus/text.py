"""The alphabet of 30 labels, and sentences as labels.

Index 0 is the space, 1-26 are a-z, 27 is the apostrophe, 28 the separator and 29 the CTC blank, which no
sentence contains. The separator stands between doubled letters, so that a CTC path that merges repeats still
spells them:

    encode("cool") == [3, 15, 28, 15, 12]        # c o _ o l
    decode([3, 15, 28, 15, 12]) == "cool"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

SEPARATOR = "_"
CHARACTERS = " abcdefghijklmnopqrstuvwxyz'" + SEPARATOR
SPACE, SEPARATOR_INDEX, BLANK = 0, 28, 29
ALPHABET_SIZE = 30

APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\uff07", "'"))
"""The typographic apostrophes, taken for the plain one: left and right quotation mark, letter, and full width."""

_INDEX = {character: index for index, character in enumerate(CHARACTERS)}


def normalise(sentence: str) -> str:
    """Return a sentence in lower case, with one space between words and none around them, and plain apostrophes.

    Raises:
        ValueError: a character outside a-z, apostrophe and space; the message names it.
    """
    words = " ".join(sentence.lower().translate(APOSTROPHES).split())
    strange = sorted(set(words) - set(CHARACTERS[:SEPARATOR_INDEX]))
    if strange:
        name = unicodedata.name(strange[0], "").lower()
        named = f"{strange[0]!r} ({name})" if name and not strange[0].isascii() else repr(strange[0])
        raise ValueError(
            f"found {named} in {sentence!r}; expected letters a-z, apostrophe and space: write it as it is spoken, "
            f"in these"
        )
    return words


def spell(word_or_sentence: str) -> str:
    """Put the separator between doubled characters: "cool" -> "co_ol"."""
    spelled = word_or_sentence[:1]
    for character in word_or_sentence[1:]:
        spelled += SEPARATOR + character if character == spelled[-1] else character
    return spelled


def plain(said: str) -> str:
    """Turn any text into the form of a transcript: lower case, a-z and apostrophes, one space between words.

    Hyphens and dashes separate words; other signs and accents are dropped. Digits are dropped too, and count as errors.
    """
    parted = re.sub(r"[-\u2010-\u2015]", " ", said.translate(APOSTROPHES))
    letters = unicodedata.normalize("NFKD", parted).lower()
    return " ".join(re.sub(r"[^a-z' ]", "", re.sub(r"\s", " ", letters)).split())


def encode(sentence: str) -> list[int]:
    """Return the labels of a sentence, in 0..28, no two neighbours equal. Raises ValueError as `normalise` does."""
    return [_INDEX[character] for character in spell(normalise(sentence))]


def decode(labels: Iterable[int]) -> str:
    """Return the sentence that labels spell. Separators are dropped; blanks are not expected here.

    Spaces are tidied as in `normalise`: models emit them at both ends.
    """
    letters = "".join(CHARACTERS[label] for label in labels if label != SEPARATOR_INDEX)
    return " ".join(letters.split())
