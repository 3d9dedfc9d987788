"""One recording and what is said in it, as a source tells of them; nothing is decoded yet.

Spoken(id="a1", audio=Path("clips/a1.mp3"), text="Two birds.", where="train.tsv:2")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from features.corpus.layout import Problem as Problem

SUBSETS = {
    "train": ("train", "training", "tr"),
    "dev": ("dev", "development", "valid", "validation", "val", "eval", "cv"),
    "test": ("test", "testing", "tt"),
}
"""What others call the suite's subsets; a name may go on after a sign: "train-clean-100", "test.other"."""
WHOLE = None


class SourceError(ValueError):
    """A source that cannot be used as it is; the message says which file, what was found, and the way out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """A recording, or the part of one from `start_s` to `end_s` (None: to its end), and what is said in it.

    `row` is the recording's place in a file of many (Arrow, Parquet). `subset` is "" where the source names none,
    `speaker` "" where it does not say who speaks. `seconds` is the length that the source promises. `where` is the
    file and line that says all this.
    """

    id: str
    audio: Path
    text: str
    where: str
    speaker: str = ""
    subset: str = ""
    start_s: float = 0.0
    end_s: float | None = WHOLE
    seconds: float | None = None
    row: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether it is cut out of a longer recording."""
        return self.start_s > 0 or self.end_s is not None


def subset_of(name: str) -> str:
    """Return what the suite calls a subset of another's name: "validation" is "dev"; "" if it is none of the three.

    What follows the name stays: "train-other" is "train-other", and "valid.clean" is "dev-clean".
    """
    word, rest = re.fullmatch(r"([a-z]*)(.*)", name.strip().lower(), re.DOTALL).groups()  # type: ignore[union-attr]
    for ours, others in SUBSETS.items():
        if word in others:
            rest = re.sub(r"[^a-z0-9]+", "-", rest).strip("-")
            return f"{ours}-{rest}" if rest else ours
    return ""


def number(text: object, what: str, where: str) -> float | None:
    """Return a number of seconds from 0 that a source gives; None for nothing. Raises SourceError."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return None
    try:
        found = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = -1.0
    if isinstance(text, bool) or not 0 <= found < 1e7:
        raise SourceError(f"{where}: {what} is {str(text)[:40]!r}; expected seconds from 0")
    return found
