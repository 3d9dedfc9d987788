"""Audio files with a .txt file beside each: a.wav and a.txt, in a tree of any depth.

The folder that holds a recording is its speaker, if there are several folders; the first folder is its subset, if it is
named as one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from features.corpus.layout import AUDIO_SUFFIXES, OTHER_AUDIO
from features.prepare.spoken import Spoken, subset_of
from features.prepare.tables import decoded


def pairs(source: Path) -> list[tuple[Path, Path | None]]:
    """Return every recording with its text beside it, in order; None where it has none. [] if no recording has one.

    Of recordings that have one text, the same in several formats, the first of FLAC, WAV and others is taken. Links
    to folders are followed.
    """
    formats = (*AUDIO_SUFFIXES, *OTHER_AUDIO)
    recordings: dict[tuple[Path, str], Path] = {}
    texts: dict[tuple[Path, str], Path] = {}
    for folder, names in _folders(source):
        for path in (folder / name for name in sorted(names) if not name.startswith(".")):
            suffix, key = path.suffix.lower(), (folder, path.stem)
            if suffix == ".txt":
                texts.setdefault(key, path)
            elif suffix in formats:
                other = recordings.setdefault(key, path)
                if formats.index(suffix) < formats.index(other.suffix.lower()):
                    recordings[key] = path
    found = sorted((path, texts.get(key)) for key, path in recordings.items())
    return found if any(text for _, text in found) else []


def _folders(source: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder in a tree, links followed, and the names of its files; a folder that holds itself once."""
    seen = set()
    for folder, folders, names in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield Path(folder), names


def read_pairs(source: Path) -> Iterator[Spoken]:
    """Yield every recording that has a text; an empty one is a problem. Raises SourceError for what is no text."""
    found = [(audio, text) for audio, text in pairs(source) if text]
    several = len({audio.parent for audio, _ in found}) > 1
    for audio, text in found:
        parts = audio.relative_to(source).parts
        subset = subset_of(parts[0]) if len(parts) > 1 else ""
        alone = len(parts) == 1 or (subset and len(parts) == 2)
        said = " ".join(decoded(text).split())
        yield Spoken(
            id=audio.stem,
            audio=audio,
            text=said,
            where=str(text),
            speaker="" if alone or not several else audio.parent.name,
            subset=subset,
            problem="" if said else f"empty; expected what is said in {audio.name}",
        )
