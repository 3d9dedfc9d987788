"""CSV and TSV files with the path of a recording and what is said in each row.

    read_tables([Path("cv-corpus/en/train.tsv"), ...], columns=Columns())

Known by their columns' names: Common Voice (client_id, path, sentence), SpeechBrain (ID, wav, wrd, spk_id), Hugging
Face's audiofolder (file_name, transcription), spreadsheets; and LJSpeech's metadata.csv, which has none. Separators are
tabs, bars, commas or semicolons, as the first line has them. Paths are relative to the table's folder, or to the
folder clips, wavs, wav or audio in it, or to one that is given; what is no path is tried with the usual endings.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from itertools import chain, islice
from pathlib import Path
from typing import Any

from features.corpus.layout import AUDIO_SUFFIXES, OTHER_AUDIO
from features.prepare.spoken import SourceError, Spoken, check_uncut, named_subset, number, subset_of

SUFFIXES = (".csv", ".tsv")
PLAIN, QUOTED = "\t|", ",;"
"""Separators: a field between those of the first kind is as it is, between the others it may be quoted."""
FOLDERS = ("", "clips", "wavs", "wav", "audio")
MOST_BYTES = 1 << 32
LJSPEECH = ("id", "text", "normalised")
LJSPEECH_THREE = ["path", "as written", "text"]
LOOKED_AT = 50  # rows
ALIKE = 0.35
KNOWN: Mapping[str, tuple[str, ...]] = {
    "audio": (
        *("path", "audio", "audio_path", "audio_file", "audio_filepath"),
        *("file", "file_name", "filename", "wav", "clip"),
    ),
    "text": ("sentence", "text", "transcript", "transcription", "wrd", "words", "normalized_text"),
    "speaker": ("client_id", "speaker", "speaker_id", "spk_id", "spk"),
    "subset": ("subset", "split", "set", "partition"),
    "duration": ("duration", "length", "seconds", "duration_s"),
    "id": ("id", "utterance_id", "utt_id", "key"),
}  # fmt: skip
"""Names of columns, in the order in which they are taken; capitals do not matter."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns that are asked for; None: one of the known names."""

    audio: str | None = None
    text: str | None = None
    speaker: str | None = None
    subset: str | None = None
    duration: str | None = None
    id: str | None = None

    def find(self, names: Sequence[str], where: str) -> dict[str, str]:
        """Return the column that says each thing. Raises SourceError if there is none for audio or text."""
        by_lower = {name.strip().lower(): name for name in names}
        found = {}
        for one in fields(self):
            asked = getattr(self, one.name)
            if asked is not None and asked.lower() not in by_lower:
                raise SourceError(f"{where}: no column {asked!r}; there are {_listed(names)}")
            for name in KNOWN[one.name] if asked is None else (asked.lower(),):
                if name in by_lower:
                    found[one.name] = by_lower[name]
                    break
            else:
                if one.name in ("audio", "text"):
                    raise SourceError(
                        f"{where}: no column for the {one.name}: found {_listed(names)}; expected one of "
                        f"{', '.join(KNOWN[one.name])}: name it with --{one.name}-column"
                    )
        return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:40]) for name in list(names)[:12]) or "nothing"


def read_tables(tables: Sequence[Path], *, columns: Columns, audio: Path | None = None) -> Iterator[Spoken]:
    """Yield what each row says. A table named as a subset is (train.tsv) gives it, if no column does.

    Raises:
        SourceError: a table is not text, lacks a column, or a row a field or a recording.
    """
    for table in tables:
        text = decoded(table)
        names, rows = _parsed(text, table)
        found = columns.find(names, str(table))
        places = Places(table.parent if audio is None else audio)
        if names == LJSPEECH_THREE:
            rows = _as_ljspeech(rows, table)
        for line, row in rows:
            check_uncut(row, f"{table}:{line}")
            yield _spoken(row, found, f"{table}:{line}", subset_of(table.stem), places)


def _spoken(row: Mapping[str, str], found: Mapping[str, str], where: str, subset: str, places: Places) -> Spoken:
    said = {thing: (row.get(column) or "").strip() for thing, column in found.items()}
    if not said["audio"]:
        raise SourceError(f"{where}: no recording in column {found['audio']!r}; expected its path")
    audio, problem = places.found(said["audio"])
    named = said.get("subset", "")
    return Spoken(
        id=said.get("id") or audio.stem,
        audio=audio,
        text=said["text"],
        where=where,
        speaker=said.get("speaker", ""),
        subset=named_subset(named, where) if named else subset,
        seconds=number(said.get("duration"), "duration", where),
        problem=problem,
    )


def _as_ljspeech(rows: Iterator[tuple[int, dict[str, str]]], table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Return the rows of three fields without names if the last is the sentence again, as LJSpeech has it.

    Raises SourceError: it is something else, such as who speaks.
    """
    first = list(islice(rows, LOOKED_AT))
    alike = [SequenceMatcher(None, row["as written"].lower(), row["text"].lower()).ratio() for _, row in first]
    if alike and sum(alike) / len(alike) < ALIKE:
        found = "|".join(first[0][1].values())
        raise SourceError(
            f"{table}:1: found {found[:80]!r}, three fields without names, and the third is not the second one written "
            f"out, as LJSpeech has it; expected a first line that names them: path|text|speaker"
        )
    return chain(first, rows)


def is_table(path: Path) -> bool:
    """Tell whether a file is a table of recordings by its columns: a corpus may have others beside it."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            names, _ = _parsed(_text(file.read(1 << 16), path), path)
        return {"audio", "text"} <= Columns().find(names, str(path)).keys()
    except (SourceError, OSError):
        return False


def decoded(path: Path) -> str:
    """Return the text of a file, UTF-8 or UTF-16 by its mark. Raises SourceError if it is neither or cannot be read."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise SourceError(f"{path}: {size:,} bytes; expected at most {MOST_BYTES:,}")
        return _text(path.read_bytes(), path, whole=True)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from None


def _text(content: bytes, path: Path, *, whole: bool = False) -> str:
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
    try:
        return decoder.decode(content, final=whole)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path}: not UTF-8 at byte {error.start}; expected text: save it as UTF-8 (iconv -f latin1 -t utf-8)"
        ) from None


def _parsed(text: str, path: Path) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Return the names of columns, and every row with its line; LJSpeech's have no names.

    A tab separates fields as they are: sentences in a TSV may begin with a quotation mark that never ends.
    """
    first = text.split("\n", 1)[0]
    if not first.strip():
        raise SourceError(f"{path}: its first line is empty; expected names of columns")
    separator = next((each for each in PLAIN if each in first), max(QUOTED, key=first.count))
    plain = separator in PLAIN
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL
    )
    is_ljspeech = separator == "|" and first.count("|") in (1, 2) and not _is_header(first.split("|"))
    if is_ljspeech:
        names = list(LJSPEECH[: first.count("|") + 1])
        keys = ["path", *names[1:]] if len(names) == 2 else LJSPEECH_THREE
        return keys, _numbered(rows, keys, path)
    try:
        names = [name.strip() for name in next(rows)]
    except (csv.Error, StopIteration) as error:
        raise SourceError(f"{path}: not a table ({error})") from None
    if len(set(names)) < len(names):
        raise SourceError(f"{path}: two columns have one name; found {_listed(names)}")
    return names, _numbered(rows, names, path)


def _is_header(names: Sequence[str]) -> bool:
    known = {name for several in KNOWN.values() for name in several}
    return any(name.strip().lower() in known for name in names)


def _numbered(rows: Any, names: Sequence[str], path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise SourceError(f"{path}:{rows.line_num}: {error}; expected a row of {len(names)} fields") from None
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            raise SourceError(
                f"{path}:{rows.line_num}: {len(row)} fields; expected {len(names)}, as its first line has"
            )
        yield rows.line_num, dict(zip(names, row, strict=True))


class Places:
    """Finds recordings by what a source calls them, in a folder and its usual folders for audio."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before: Path | None = None  # the last found was there, and so is the next

    def __call__(self, name: str, where: str) -> Path:
        """Return the path of a recording. Raises SourceError if it is not there."""
        path, problem = self.found(name)
        if problem:
            raise SourceError(f"{where}: {problem}")
        return path

    def found(self, name: str) -> tuple[Path, str]:
        """Return the path of a recording, and what is wrong if it is not there."""
        given = Path(name).expanduser() if name.startswith("~/") else Path(name)
        if given.is_absolute():
            if (found := _with_ending(given)) is not None:
                return found, ""
        else:
            folders = [self.folder / each for each in FOLDERS]
            for folder in [self._before, *folders] if self._before else folders:
                if (found := _with_ending(folder / given)) is not None:
                    self._before = folder
                    return found, ""
        return given, f"no recording {name[:200]!r} in {self.folder}; say where they are with --audio DIR"


def _with_ending(path: Path) -> Path | None:
    if path.suffix.lower() in (*AUDIO_SUFFIXES, *OTHER_AUDIO):
        return path if path.is_file() else None
    for ending in (*AUDIO_SUFFIXES, ".mp3", ".ogg", ".opus", ".m4a"):
        if (found := path.with_name(path.name + ending)).is_file():
            return found
    return path if path.is_file() else None
