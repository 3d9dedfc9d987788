"""Audio files with a .txt file beside each: a.wav and a.txt, in a tree of any depth.

The folder that holds a recording is its speaker, if there are several folders; the first folder is its subset, if it is
named as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from features.corpus.layout import AUDIO_SUFFIXES, OTHER_AUDIO
from features.prepare.spoken import SourceError, Spoken, subset_of
from features.prepare.tables import decoded


def pairs(source: Path) -> list[tuple[Path, Path]]:
    """Return every recording with its text beside it, in order."""
    found = []
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in (*AUDIO_SUFFIXES, *OTHER_AUDIO) and not path.name.startswith("."):
            text = path.with_suffix(".txt")
            if text.is_file():
                found.append((path, text))
    return found


def read_pairs(source: Path) -> Iterator[Spoken]:
    """Yield every recording that has a text; raises SourceError for a text of several lines that say unlike things."""
    found = pairs(source)
    several = len({audio.parent for audio, _ in found}) > 1
    for audio, text in found:
        parts = audio.relative_to(source).parts
        subset = subset_of(parts[0]) if len(parts) > 1 else ""
        alone = len(parts) == 1 or (subset and len(parts) == 2)
        said = " ".join(decoded(text).split())
        if not said:
            raise SourceError(f"{text}: empty; expected what is said in {audio.name}")
        yield Spoken(
            id=audio.stem,
            audio=audio,
            text=said,
            where=str(text),
            speaker="" if alone or not several else audio.parent.name,
            subset=subset,
        )
