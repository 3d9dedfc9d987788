"""Walk a corpus in LibriSpeech layout.

    ROOT/SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt    lines "UTTERANCE-ID THE SENTENCE"
    ROOT/SUBSET/SPEAKER/CHAPTER/UTTERANCE-ID.flac            (or .wav)

    utterances, problems = read_corpus(Path("LibriSpeech"))

Subsets are the folders of ROOT named train*, dev* or test*. Nothing is decoded here: whether the audio can be
read shows at extraction. What is wrong with the tree comes back as `Problem`s, so that the caller may choose to
stop or to leave those utterances out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from features import text

ROLES = ("train", "dev", "test")
AUDIO_SUFFIXES = (".flac", ".wav")


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
    problems: list[Problem] = []
    for subset in subsets(root):
        for transcripts in sorted((root / subset).glob("*/*/*.trans.txt")):
            for found in _read_transcripts(transcripts, subset):
                if isinstance(found, Problem):
                    problems.append(found)
                elif found.id in utterances:
                    first = utterances[found.id].audio.parent
                    problems.append(
                        Problem(where=str(transcripts), reason=f"utterance {found.id} is in {first} too; expected one")
                    )
                else:
                    utterances[found.id] = found
    if not utterances and not problems:
        raise CorpusError(
            f"{root}: no transcripts found; expected SUBSET/SPEAKER/CHAPTER/*.trans.txt with "
            f"subsets named train*, dev* or test*"
        )
    return sorted(utterances.values(), key=lambda u: (u.subset, u.id)), problems


def subsets(root: Path) -> list[str]:
    """Names of the subset folders of a corpus, sorted."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and path.name.startswith(ROLES))


def role(subset: str) -> str:
    """ "train", "dev" or "test": what a subset is for, by its name."""
    return next(role for role in ROLES if subset.startswith(role))


def _read_transcripts(path: Path, subset: str) -> Iterator[Utterance | Problem]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        yield Problem(where=str(path), reason=f"not UTF-8 at byte {error.start}; expected plain text")
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _read_line(path, number, line, subset)


def _read_line(path: Path, number: int, line: str, subset: str) -> Utterance | Problem:
    where = f"{path}:{number}"
    identity, _, sentence = line.strip().partition(" ")
    try:
        sentence = text.normalise(sentence)
    except ValueError as error:
        return Problem(where=where, reason=str(error))
    if not sentence:
        return Problem(where=where, reason=f"utterance {identity} has an empty transcript")
    if not re.fullmatch(r"[\w.-]+", identity):
        return Problem(where=where, reason=f"found {identity!r}; expected an utterance id that names a file")
    candidates = [path.parent / f"{identity}{suffix}" for suffix in AUDIO_SUFFIXES]
    audio = next((candidate for candidate in candidates if candidate.is_file()), None)
    if audio is None:
        return Problem(
            where=where, reason=f"audio file missing: expected {candidates[0].name} (or .wav) beside the transcript"
        )
    return Utterance(id=identity, subset=subset, speaker=path.parent.parent.name, audio=audio, sentence=sentence)
