"""Walk a corpus in LibriSpeech layout.

    ROOT/SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt    lines "UTTERANCE-ID THE SENTENCE"
    ROOT/SUBSET/SPEAKER/CHAPTER/UTTERANCE-ID.flac            (or .wav)

    utterances, problems = read_corpus(Path("LibriSpeech"))

Subsets are the folders of ROOT named train*, dev* or test*. Links are followed, out of ROOT too, so that a subset
can be put together from links; one that leads nowhere is a problem. Files at the wrong depth and hidden ones are
left alone. Nothing is decoded here: whether the audio can be read shows at extraction. What is wrong with the tree
comes back as `Problem`s, so that the caller may choose to stop or to leave those utterances out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from features import text

ROLES = ("train", "dev", "test")
AUDIO_SUFFIXES = (".flac", ".wav")
DANGLING = "a link that leads nowhere; expected its target to be there"


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One spoken sentence: where its audio is and what is said."""

    id: str
    subset: str
    speaker: str
    audio: Path
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An utterance or transcript file that cannot be used, and why. `where` is a file, with :line if known."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class CorpusError(ValueError):
    """The corpus cannot be used as it is; the message says which file, why, and the way out."""


def read_corpus(root: Path) -> tuple[list[Utterance], list[Problem]]:
    """All utterances of all subsets, sorted by subset and id, and all problems found.

    Raises:
        CorpusError: `root` is no folder, or holds no train*, dev* or test* folder with transcripts.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; expected a corpus in LibriSpeech layout")
    utterances: dict[str, Utterance] = {}
    places: dict[str, str] = {}
    problems: list[Problem] = []
    for subset, chapter in _chapters(root, problems):
        for where, found in _read_chapter(chapter, subset):
            if isinstance(found, Problem):
                problems.append(found)
            elif found.id in utterances:
                reason = f"utterance {found.id} is in {places[found.id]} too; expected one"
                problems.append(Problem(where=where, reason=reason))
            else:
                utterances[found.id], places[found.id] = found, where
    if not utterances and not problems:
        raise CorpusError(
            f"{root}: no transcripts found; expected SUBSET/SPEAKER/CHAPTER/*.trans.txt with "
            f"subsets named train*, dev* or test*"
        )
    return sorted(utterances.values(), key=lambda u: (u.subset, u.id)), problems


def role(subset: str) -> str:
    """ "train", "dev" or "test": what a subset is for, by its name."""
    return next(role for role in ROLES if subset.startswith(role))


def one_line(message: object) -> str:
    """A message as it may be printed: names from data may hold line ends and a terminal's escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(message))


def _chapters(root: Path, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    """Subset and folder of every chapter. What stands in the way is added to `problems`."""
    for subset in _folders(root, problems):
        if not subset.name.startswith(ROLES):
            continue
        if not subset.name.isprintable():  # it becomes part of the shards' names
            problems.append(Problem(where=str(root), reason=f"found folder {subset.name!r}; expected a printable name"))
            continue
        for speaker in _folders(subset, problems):
            yield from ((subset.name, chapter) for chapter in _folders(speaker, problems))


def _folders(parent: Path, problems: list[Problem]) -> Iterator[Path]:
    try:
        names = _names(parent)
    except OSError as error:
        problems.append(Problem(where=str(parent), reason=_unreadable(error)))
        return
    for path in (parent / name for name in names):
        if path.is_dir():
            yield path
        elif path.is_symlink() and not path.exists():
            problems.append(Problem(where=str(path), reason=DANGLING))


def _names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror})"


def _read_chapter(folder: Path, subset: str) -> Iterator[tuple[str, Utterance | Problem]]:
    """Yield what each line of the transcripts gives, with its place; then the recordings without a line."""
    try:
        names = _names(folder)
    except OSError as error:
        yield str(folder), Problem(where=str(folder), reason=_unreadable(error))
        return
    unspoken = {name: None for name in names if name.endswith(AUDIO_SUFFIXES)}  # in order
    transcripts = [folder / name for name in names if name.endswith(".trans.txt")]
    if unspoken and not transcripts:
        yield str(folder), Problem(where=str(folder), reason="audio without a transcript; expected a *.trans.txt")
    whole = bool(transcripts)
    for path in transcripts:
        try:
            lines = _lines(path)
        except ValueError as error:
            whole = False
            yield str(path), Problem(where=str(path), reason=str(error))
            continue
        for number, line in lines:
            where = f"{path}:{number}"
            for suffix in AUDIO_SUFFIXES:
                unspoken.pop(line.partition(" ")[0] + suffix, None)
            yield where, _read_line(path, where, line, subset)
    if whole:  # else it is known already why
        for name in unspoken:
            reason = f"no line in {transcripts[0].name}; expected a line {Path(name).stem} THE SENTENCE"
            yield str(folder), Problem(where=str(folder / name), reason=reason)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Line numbers and lines that are not blank. Raises ValueError with the reason if there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}; expected plain text") from None
    except OSError as error:
        raise ValueError(_unreadable(error)) from None
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise ValueError("holds no line; expected lines UTTERANCE-ID THE SENTENCE")
    return lines


def _read_line(path: Path, where: str, line: str, subset: str) -> Utterance | Problem:
    identity, _, sentence = line.partition(" ")
    try:
        sentence = text.normalise(sentence)
    except ValueError as error:
        return Problem(where=where, reason=_shortened(str(error)))
    if not re.fullmatch(r"[\w.-]{1,200}", identity):
        return Problem(
            where=where, reason=f"found {_shortened(identity)!r}; expected an utterance id that names a file"
        )
    if not sentence:
        return Problem(where=where, reason=f"utterance {identity} has an empty transcript")
    candidates = [path.parent / f"{identity}{suffix}" for suffix in AUDIO_SUFFIXES]
    audio = next((candidate for candidate in candidates if candidate.is_file()), None)
    if audio is None:
        if link := next((candidate for candidate in candidates if candidate.is_symlink()), None):
            return Problem(where=str(link), reason=DANGLING)
        return Problem(
            where=where, reason=f"audio file missing: expected {candidates[0].name} (or .wav) beside the transcript"
        )
    return Utterance(id=identity, subset=subset, speaker=path.parent.parent.name, audio=audio, sentence=sentence)


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:150]} ... {text[-150:]}"
