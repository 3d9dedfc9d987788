"""One recording and what is said in it, as a source tells of them; nothing is decoded yet.

Spoken(id="a1", audio=Path("clips/a1.mp3"), text="Two birds.", where="train.tsv:2")
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from features.corpus.layout import Problem as Problem

SUBSETS = {
    "train": ("train", "training", "trainset", "tr"),
    "dev": ("dev", "development", "devset", "valid", "validation", "val", "eval", "cv"),
    "test": ("test", "testing", "testset", "tt"),
}
"""What others call the suite's subsets; a name may go on after a sign: "train-clean-100", "test.other"."""
SHORT = ("tr", "cv", "tt")
"""Only a whole name, or its beginning where no other word of it is a subset's: cv_train.tsv is of Common Voice."""
CUTS = ("start", "stop", "end", "begin", "offset", "start_s", "end_s", "start_time", "end_time", "start_ms", "end_ms")
"""Names under which others say which part of a recording is meant, in seconds, milliseconds or samples."""
WHOLE = None


class SourceError(ValueError):
    """A source that cannot be used as it is; the message says which file, what was found, and the way out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """A recording, or the part of one from `start_s` to `end_s` (None: to its end), and what is said in it.

    `row` is the recording's place in a file of many (Arrow, Parquet), in its column `column`. `problem` says why it
    cannot be used: there is no recording, or no text. `subset` is "" where the source names none,
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
    column: str = field(default="", repr=False)  # no part of what a preparation is known by, when it goes on
    problem: str = field(default="", repr=False)

    @property
    def is_part(self) -> bool:
        """Whether it is cut out of a longer recording."""
        return self.start_s > 0 or self.end_s is not None


def subset_of(name: str) -> str:
    """Return what the suite calls a subset of another's name: "validation" is "dev"; "" if it is none of the three.

    What follows the name stays: "train-other" is "train-other", and "valid.clean" is "dev-clean". What comes before
    it does not: "an4_test" is "test". A name that has two of them is "".
    """
    words = list(re.finditer(r"[a-z]+", name.strip().lower()))
    found = [(ours, word) for word in words for ours, others in SUBSETS.items() if word[0] in others]
    plain = [(ours, word) for ours, word in found if word[0] not in SHORT]
    chosen = plain or [(ours, word) for ours, word in found if word is words[0] and word.start() == 0]
    if len({ours for ours, _ in chosen}) != 1:
        return ""
    ours, word = chosen[0]
    rest = re.sub(r"[^a-z0-9]+", "-", word.string[word.end() :]).strip("-")
    return f"{ours}-{rest}" if rest else ours


def named_subset(name: str, where: str) -> str:
    """Return what the suite calls a subset that a source names for a recording. Raises SourceError for another name."""
    if not (subset := subset_of(name)):
        raise SourceError(f"{where}: subset is {name[:40]!r}; expected train, dev (or validation) or test")
    return subset


def check_uncut(said: Mapping[str, object], where: str) -> None:
    """Check that what is said of a recording is of all of it. Raises SourceError."""
    for name, value in said.items():
        if name.strip().lower() in CUTS and value not in (None, ""):
            raise SourceError(
                f"{where}: {name!r} is {str(value)[:20]!r}: a part of its recording seems to be meant; expected whole "
                f"ones, NeMo's offset and duration in seconds, or Kaldi's segments"
            )


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
