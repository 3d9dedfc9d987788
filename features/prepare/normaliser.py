"""Sentences as the suite's alphabet has them: a-z, apostrophe and space. Each way has a name and a version.

    normaliser = Normaliser(numbers="words")
    normaliser.label                                # "english-1+numbers-words"
    normaliser("It’s 3 p.m., Zoë!")                 # "it's three pm zoe"
    normaliser.account.counts                       # {"capitals": 1, "punctuation": 1, "numbers": 1, ...}

What was changed is counted, with examples. Error rates of two normalisers are of two tasks: a corpus says which it had.
A new version is a new number: what a label stands for never changes.

    capitals        become small
    punctuation     is dropped; hyphens, dashes and slashes part words; apostrophes at a word's ends are quotes
    accents         are dropped (fold), or refused
    numbers         are refused, or become words by num2words: "3", "1,200", "2.5", "1st"
    symbols         (&, %, $, @, + ...) are refused: who transcribes knows what was said
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from features.corpus.text import APOSTROPHES
from features.corpus.text import normalise as checked

NAME, VERSION = "english", 1
NUMBERS = ("refuse", "words")
ACCENTS = ("fold", "refuse")
EXAMPLES = 10

JOINED = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212/\u2026"
DROPPED = '.,;:!?"()[]{}\u00a1\u00bf\u00ab\u00bb\u201c\u201d\u201e\u2039\u203a\u201a*_~`\u00b7'
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
NUMBER = re.compile(r"(?<![\w.,:/-])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(st|nd|rd|th)?(?!\w|[.,:/-]\d)")
MOST_DIGITS = 15


class NormaliserError(ValueError):
    """A normaliser that cannot be had; the message says what was found and the way out."""


@dataclass
class Account:
    """What a normaliser changed: how many sentences of each kind, and the first examples, before and after."""

    sentences: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return a line for each kind of change, the commonest first, and one for each example."""
        counted = [
            f"  {count:>8,} of {self.sentences:,} sentences: {kind}" for kind, count in self.counts.most_common()
        ]
        shown = [f"  {before[:100]!r} -> {after[:100]!r}" for before, after in self.examples]
        return counted + shown


@dataclass(frozen=True)
class Normaliser:
    """Turns a sentence into words of the alphabet, or says which character it cannot.

    Raises:
        NormaliserError: an unknown choice, or num2words is not installed.
    """

    numbers: str = "refuse"
    accents: str = "fold"
    account: Account = field(default_factory=Account, compare=False)

    def __post_init__(self) -> None:
        for what, value, known in (("numbers", self.numbers, NUMBERS), ("accents", self.accents, ACCENTS)):
            if value not in known:
                raise NormaliserError(f"{what} is {value!r}; expected {' or '.join(known)}")
        if self.numbers == "words":
            _num2words()

    @property
    def label(self) -> str:
        """Name, version, and the choices that are not the usual ones: "english-1+numbers-words"."""
        changed = ("numbers", self.numbers, "refuse"), ("accents", self.accents, "fold")
        return "+".join([f"{NAME}-{VERSION}", *(f"{what}-{value}" for what, value, usual in changed if value != usual)])

    def __call__(self, sentence: str) -> str:
        """Return the sentence's words. Raises ValueError for what has no place in the alphabet, naming it."""
        steps: tuple[tuple[str, Callable[[str], str]], ...] = (
            ("invisible characters", lambda said: said.translate(dict.fromkeys(map(ord, INVISIBLE)))),
            ("apostrophes and quotes", lambda said: _quotes(unicodedata.normalize("NFC", said).translate(APOSTROPHES))),
            ("numbers", self._numbers),
            ("capitals", str.lower),
            ("accents", self._accents),
            ("punctuation", _punctuation),
        )
        found, kinds = sentence, []
        for kind, step in steps:
            changed = step(found)
            if changed.split() != found.split():
                kinds.append(kind)
            found = changed
        words = checked(found)
        account = self.account
        account.sentences += 1
        account.counts.update(kinds)
        if len(account.examples) < EXAMPLES and set(kinds) - {"capitals"}:
            account.examples.append((sentence, words))
        return words

    def _numbers(self, said: str) -> str:
        if self.numbers == "refuse":
            if digits := re.search(r"\d[\d.,]*", said):
                raise ValueError(
                    f"found the number {digits[0].rstrip('.,')!r} in {said!r}; expected it as it is spoken: write it "
                    f"in words, or give --numbers words"
                )
            return said
        return NUMBER.sub(_spoken_number, said)

    def _accents(self, said: str) -> str:
        if self.accents == "refuse":
            return said
        parts = unicodedata.normalize("NFKD", said)
        return "".join(each for each in parts if not unicodedata.combining(each))


def _quotes(said: str) -> str:
    """Drop apostrophes that enclose words; those of 'tis, o'clock and the dogs' stay where no other closes them."""
    return re.sub(r"(?<![\w'])'(?=\w)([^']*(?:\w'\w[^']*)*?)(?<=[\w.,!?;:])'(?![\w'])", r"\1", said)


def _punctuation(said: str) -> str:
    abbreviated = re.sub(r"\b(?:[a-z]\.){2,}", lambda found: found[0].replace(".", ""), said)  # p.m. is pm, u.s. us
    parted = abbreviated.translate(dict.fromkeys(map(ord, JOINED), " "))
    parted = re.sub(r"(?<=\w)[.,;:!?](?=\w)", " ", parted)  # "end.Begin": the space was forgotten
    return parted.translate(dict.fromkeys(map(ord, DROPPED)))


def _spoken_number(found: re.Match[str]) -> str:
    whole, fraction, ordinal = found[1].replace(",", ""), found[2], found[3]
    if len(whole) > MOST_DIGITS or (fraction and ordinal) or (len(whole) > 1 and whole.startswith("0")):
        return found[0]  # of a telephone, say: refused with its sentence
    to_words = _num2words()
    words = to_words(int(whole), to="ordinal" if ordinal else "cardinal", lang="en")
    if fraction:
        digits = " ".join(to_words(int(digit), lang="en") for digit in fraction[1:])
        words = f"{words} point {digits}"
    return re.sub(r"[,-]", " ", words)


def _num2words() -> Callable[..., str]:
    try:
        from num2words import num2words
    except ImportError:
        raise NormaliserError("numbers as words need num2words: pip install num2words, or --numbers refuse") from None
    return num2words
