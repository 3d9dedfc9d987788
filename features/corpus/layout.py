"""Walk a corpus in LibriSpeech layout.

    ROOT/SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt    lines "UTTERANCE-ID THE SENTENCE"
    ROOT/SUBSET/SPEAKER/CHAPTER/UTTERANCE-ID.flac            (or .wav)

    utterances, problems = read_corpus(Path("LibriSpeech"))
    unused(Path("LibriSpeech"))                              # recordings in folders that are no subset

Subsets are the folders of ROOT whose names begin with train, dev or test, in capitals or not; a space or a tab may
follow an id. Links are followed, out of ROOT too, so that a subset can be put together from links; one that leads
nowhere is a problem, and so is a recording or a transcript at the wrong depth, a recording in another format than FLAC
and WAV, and one without a line. Hidden files are left alone. Nothing is decoded here: whether the audio can be read
shows at extraction. What is wrong with the tree comes back as `Problem`s, so that the caller may choose to stop or to
leave those utterances out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from features.corpus import text
from features.corpus.listing import Listing, Packed, Spot, Utterance
from features.corpus.roles import ROLES
from features.corpus.roles import role as role
from features.jobs.progress import progress
from features.jobs.workers import spawned
from platforms.machine import usable_cores

AUDIO_SUFFIXES = (".flac", ".wav")
OTHER_AUDIO = (
    *(".aac", ".aif", ".aiff", ".amr", ".ape", ".au", ".caf", ".m4a", ".mka", ".mp2", ".mp3"),
    *(".mp4", ".oga", ".ogg", ".opus", ".sph", ".w64", ".webm", ".wma", ".wv"),
)
"""Not read: Ogg and MP3 files do not say how long they are, so that one cut short would pass for a whole one, and what
they decode to depends on the decoder's version."""
TRANSCRIPT_SUFFIX = ".trans.txt"
MANY_CHAPTERS, GROUP = 20_000, 256  # LibriSpeech has 5,800
IDENTITY = re.compile(r"[\w.-]{1,200}")
LAYOUT = "SUBSET/SPEAKER/CHAPTER"
DEPTH = f"at the wrong depth; expected it in a folder {LAYOUT}"
DANGLING = "a link that leads nowhere; expected its target to be there"
CONVERT = "expected FLAC or WAV: convert it, for example with ffmpeg"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something in a corpus that cannot be used, and why. `where` is a file, with :line if known.

    `subset` is "" if it is in none. `utterances` counts the recordings that it costs.
    """

    where: str
    reason: str
    subset: str = ""
    utterances: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class CorpusError(ValueError):
    """The corpus cannot be used as it is; the message says which file, why, and the way out."""


def read_corpus(root: Path) -> tuple[Listing, list[Problem]]:
    """Return all utterances of all subsets, sorted by subset and id, and all problems found.

    The utterances are a sequence that takes little memory: see features/corpus/listing.py.

    Raises:
        CorpusError: `root` is no folder, or holds no train*, dev* or test* folder with transcripts.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; expected a corpus in LibriSpeech layout")
    problems: list[Problem] = []
    chapters = list(_chapters(root, problems))
    is_chapter = _Chapters(chapters)
    utterances = Listing(_spoken)
    for chapter, odd in _all_read(chapters):
        if isinstance(chapter, Packed):
            utterances.add_packed(chapter)
        else:
            utterances.add(*chapter)
        problems += (each for each in odd if not (each.reason == DEPTH and is_chapter(Path(each.where).parent)))
    for repeated, first in utterances.sort():
        reason = f"utterance {repeated.id} is in {_line_of(first)} too; expected one"
        problems.append(Problem(where=_line_of(repeated), reason=reason, subset=repeated.subset))
    if not utterances and not problems:
        strays = "".join(f"; {stray}" for stray in unused(root)[:1])
        raise CorpusError(
            f"{root}: no transcripts found; expected {LAYOUT}/*{TRANSCRIPT_SUFFIX} with "
            f"subsets named train*, dev* or test*{strays}"
        )
    return utterances, problems


class _Chapters:
    """Tells whether a folder is a chapter, following links, so that linked files are not reported as misplaced."""

    def __init__(self, chapters: Sequence[tuple[str, Path]]) -> None:
        self._chapters = chapters
        self._real: set[Path] | None = None  # found when it is first asked for, which is seldom

    def __call__(self, folder: Path) -> bool:
        if self._real is None:
            self._real = {chapter.resolve() for _, chapter in self._chapters}
        return folder.resolve() in self._real


ReadChapter = Packed | tuple[str, Path, list[Utterance]]


def _all_read(chapters: list[tuple[str, Path]]) -> Iterator[tuple[ReadChapter, list[Problem]]]:
    """Read all chapters, in order; very many are read by several processes, which send the transcripts packed."""
    jobs = usable_cores()
    if len(chapters) < MANY_CHAPTERS or jobs == 1:
        yield from (
            ((subset, folder, spoken), odd) for subset, folder in chapters for spoken, odd in [_read(subset, folder)]
        )
        return
    groups = [(first, chapters[first : first + GROUP]) for first in range(0, len(chapters), GROUP)]
    early: dict[int, list[tuple[Packed, list[Problem]]]] = {}
    due = 0
    try:
        with progress("transcripts", total=len(chapters), unit="chapters") as advance:
            for first, found in spawned(_read_group, groups, jobs=jobs):
                early[first] = found
                while due in early:
                    yield from early.pop(due)
                    advance(min(GROUP, len(chapters) - due))
                    due += GROUP
    except BrokenProcessPool:
        raise CorpusError("a process that reads transcripts was killed (out of memory?); start again") from None


def _read_group(group: tuple[int, list[tuple[str, Path]]]) -> tuple[int, list[tuple[Packed, list[Problem]]]]:
    """Read some chapters in a worker process."""
    first, chapters = group
    read = ((subset, folder, *_read(subset, folder)) for subset, folder in chapters)
    return first, [(Packed.of(subset, folder, spoken), odd) for subset, folder, spoken, odd in read]


def _read(subset: str, folder: Path) -> tuple[list[Utterance], list[Problem]]:
    spoken: list[Utterance] = []
    odd: list[Problem] = []
    for _, found in _read_chapter(folder, subset):
        if isinstance(found, Problem):
            odd.append(found)
        else:
            spoken.append(found)
    return spoken, odd


def _spoken(subset: str, folder: Path) -> list[Utterance]:
    return _read(subset, folder)[0]


def _line_of(spot: Spot) -> str:
    """Return the transcript and line of an utterance, "FILE:LINE"."""
    lines = (where for where, found in _read_chapter(spot.folder, spot.subset) if isinstance(found, Utterance))
    return next(islice(lines, spot.place, None), str(spot.folder))


def unused(root: Path) -> list[Problem]:
    """Return a Problem for each folder of `root` that has recordings and is no subset, and for `root` itself."""
    found = []
    for name in _names(root):
        if _is_subset(name):
            continue
        recordings = [path for path in _below(root / name) if _is_audio(path.name)]
        if recordings:
            reason = (
                f"holds {len(recordings):,} recordings that are not used; expected a subset's folder, whose name "
                f"begins with train, dev or test"
            )
            found.append(Problem(where=str(root / name), reason=reason, utterances=len(recordings)))
    return found


def _is_subset(name: str) -> bool:
    return name.lower().startswith(ROLES)


def _is_audio(name: str) -> bool:
    return name.lower().endswith((*AUDIO_SUFFIXES, *OTHER_AUDIO))


def _is_speech(name: str) -> bool:
    return _is_audio(name) or name.lower().endswith(TRANSCRIPT_SUFFIX)


def _chapters(root: Path, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    """Return subset and folder of every chapter. What stands in the way is added to `problems`."""
    for subset in _folders(root, problems):
        if not _is_subset(subset.name):
            continue
        if not subset.name.isprintable():  # it becomes part of the shards' names
            problems.append(Problem(where=str(root), reason=f"found folder {subset.name!r}; expected a printable name"))
            continue
        for speaker in _folders(subset, problems, subset.name):
            yield from ((subset.name, chapter) for chapter in _folders(speaker, problems, subset.name))


def _folders(parent: Path, problems: list[Problem], subset: str = "") -> Iterator[Path]:
    """Return the folders in a folder. Recordings and transcripts next to those of a subset are problems."""
    try:
        names = _names(parent)
    except OSError as error:
        problems.append(Problem(where=str(parent), reason=_unreadable(error), subset=subset))
        return
    for path in (parent / name for name in names):
        if path.is_dir():
            yield path
        elif path.is_symlink() and not path.exists():
            problems.append(Problem(where=str(path), reason=DANGLING, subset=subset))
        elif subset and _is_speech(path.name):
            problems.append(_misplaced(path, subset))


def _misplaced(path: Path, subset: str) -> Problem:
    return Problem(where=str(path), reason=DEPTH, subset=subset, utterances=int(_is_audio(path.name)))


def _below(place: Path) -> Iterator[Path]:
    """Yield all files at and below a path but hidden ones, in order."""
    if place.is_file():
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror})"


def _read_chapter(folder: Path, subset: str) -> Iterator[tuple[str, Utterance | Problem]]:
    """Yield what each line of the transcripts gives, with its place; then the recordings without a line.

    What lies deeper is a problem, unless it is in another chapter by way of a link, which the caller knows.
    """

    def problem(where: Path | str, reason: str) -> tuple[str, Problem]:
        return str(folder), Problem(where=str(where), reason=reason, subset=subset)

    try:
        with os.scandir(folder) as found:  # which says what a name is without asking for each
            entries = {entry.name: entry for entry in found if not entry.name.startswith(".")}
    except OSError as error:
        yield problem(folder, _unreadable(error))
        return
    names = sorted(entries)
    recordings: dict[str, os.DirEntry[str]] = {}  # by id, FLAC before WAV before others
    for name in sorted(filter(_is_audio, names), key=lambda name: not name.lower().endswith(AUDIO_SUFFIXES)):
        recordings.setdefault(name.rpartition(".")[0], entries[name])
    for path in (path for name in names if _is_folder(entries[name]) for path in _below(folder / name)):
        if _is_speech(path.name):
            yield str(folder), _misplaced(path, subset)
    transcripts = [folder / name for name in names if name.lower().endswith(TRANSCRIPT_SUFFIX)]
    if recordings and not transcripts:
        what = Problem(
            where=str(folder),
            reason=f"audio without a transcript; expected a *{TRANSCRIPT_SUFFIX}",
            subset=subset,
            utterances=len(recordings),
        )
        yield str(folder), what
    whole = bool(transcripts)
    unspoken = dict.fromkeys(sorted(recordings))
    for path in transcripts:
        try:
            lines = _lines(path)
        except ValueError as error:
            whole = False
            yield problem(path, str(error))
            continue
        for number, line in lines:
            where = f"{path}:{number}"
            unspoken.pop(line.split(maxsplit=1)[0], None)
            yield where, _read_line(folder, where, line, subset, recordings)
    if whole:  # else the reason is known already
        for identity in unspoken:
            reason = f"no line in {transcripts[0].name}; expected a line {identity} THE SENTENCE"
            yield problem(folder / recordings[identity].name, reason)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return line numbers and lines that are not blank. Raises ValueError with the reason if there is none."""
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


def _read_line(
    folder: Path, where: str, line: str, subset: str, recordings: dict[str, os.DirEntry[str]]
) -> Utterance | Problem:
    def problem(reason: str, place: Path | str = where) -> Problem:
        return Problem(where=str(place), reason=reason, subset=subset)

    identity, *rest = line.split(maxsplit=1)
    try:
        sentence = text.normalise("".join(rest))
    except ValueError as error:
        return problem(_shortened(str(error)))
    if not IDENTITY.fullmatch(identity):
        return problem(f"found {_shortened(identity)!r}; expected an utterance id that names a file")
    if not sentence:
        return problem(f"utterance {identity} has an empty transcript")
    recording = recordings.get(identity)
    if recording is None:
        return problem(f"audio file missing: expected {identity}.flac (or .wav) next to the transcript")
    audio = folder / recording.name
    if not recording.name.lower().endswith(AUDIO_SUFFIXES):
        return problem(CONVERT, audio)
    if not _is_file(recording):
        return problem(DANGLING if recording.is_symlink() else "no file; expected a recording", audio)
    return Utterance(id=identity, subset=subset, speaker=folder.parent.name, audio=audio, sentence=sentence)


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:150]} ... {text[-150:]}"
