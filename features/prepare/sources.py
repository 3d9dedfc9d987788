"""Which form a source of recordings has, and what it says.

    source = recognised(Path("cv-corpus/en"))           # Source(form="table", files=(train.tsv, dev.tsv, test.tsv))
    for spoken in source.read(): ...

Where a table or a manifest stands for each of train, dev and test, those are taken and others beside them are not:
Common Voice has validated.tsv, which is all of them again. Where there is no train.tsv, that is taken alone: beside
it are invalidated.tsv and other.tsv.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from features.prepare import arrow, beside, kaldi, manifests, tables
from features.prepare.spoken import SourceError, Spoken, subset_of
from features.prepare.tables import Columns

FORMS = ("table", "manifest", "kaldi", "arrow", "beside")
WORDS = {
    "table": "a CSV or TSV with a path and a text in each row",
    "manifest": "a JSON manifest of NeMo or SpeechBrain",
    "kaldi": "a folder with wav.scp and text",
    "arrow": "a folder of Hugging Face datasets, or Parquet files",
    "beside": "audio with a .txt file beside each",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source that is known: its form, and the files or folders that say what is in it; `unused` are not taken."""

    form: str
    place: Path
    files: tuple[Path, ...]
    columns: Columns = field(default_factory=Columns)
    audio: Path | None = None
    unused: tuple[Path, ...] = ()

    def read(self) -> Iterator[Spoken]:
        """Yield every recording with what is said in it. Raises SourceError for what cannot be read."""
        if self.form == "table":
            yield from tables.read_tables(self.files, columns=self.columns, audio=self.audio)
        elif self.form == "manifest":
            yield from manifests.read_manifests(self.files, audio=self.audio)
        elif self.form == "kaldi":
            yield from kaldi.read_kaldi(list(self.files), audio=self.audio)
        elif self.form == "arrow":
            yield from arrow.read_arrow(self.place, columns=self.columns)
        else:
            yield from beside.read_pairs(self.place)


def recognised(
    place: Path, *, form: str | None = None, columns: Columns | None = None, audio: Path | None = None
) -> Source:
    """Return what a file or folder is; `form` says so where it could be several.

    Raises:
        SourceError: it is not there, or has none of the forms, or not the one that is asked for.
    """
    if not place.exists():
        raise SourceError(f"{place}: not there; expected recordings and what is said in them")
    if audio is not None and not audio.is_dir():
        raise SourceError(f"{audio}: no such folder; expected the recordings")
    for name in FORMS if form is None else (form,):
        if files := _files(name, place, asked=form is not None):
            chosen = _of_subsets(files) if name in ("table", "manifest") else files
            rest = tuple(each for each in files if each not in chosen)
            if name == "beside":
                rest = tuple(recording for recording, text in beside.pairs(place) if text is None)
            return Source(form=name, place=place, files=chosen, columns=columns or Columns(), audio=audio, unused=rest)
    expected = WORDS[form] if form else ", or ".join(WORDS.values())
    raise SourceError(f"{place}: found none of the forms that are known; expected {expected}")


def _files(form: str, place: Path, *, asked: bool) -> tuple[Path, ...]:
    if form == "kaldi":
        return tuple(kaldi.kaldi_folders(place))
    if form == "arrow":
        return tuple(arrow.arrow_files(place))
    if form == "beside":
        return (place,) if place.is_dir() and beside.pairs(place) else ()
    suits = tables.is_table if form == "table" else manifests.is_manifest
    suffixes = tables.SUFFIXES if form == "table" else manifests.SUFFIXES
    if place.is_file():
        return (place,) if suits(place) or (asked and place.suffix.lower() in suffixes) else ()
    there = sorted(each for each in place.iterdir() if each.suffix.lower() in suffixes)
    return tuple(each for each in there if suits(each) or asked)


def _of_subsets(files: tuple[Path, ...]) -> tuple[Path, ...]:
    named = tuple(each for each in files if subset_of(each.stem))
    if any(subset_of(each.stem).startswith("train") for each in named):
        return named
    validated = tuple(each for each in files if each.stem.lower() == "validated")
    return validated or files
