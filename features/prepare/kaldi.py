"""A data folder of Kaldi: wav.scp and text, with utt2spk and segments where they are.

    wav.scp     RECORDING path                 a command that ends in | is refused: nothing here runs a shell
    text        UTTERANCE the words of it
    segments    UTTERANCE RECORDING start end  in seconds; end -1 is the recording's
    utt2spk     UTTERANCE SPEAKER

A folder may be one of these, or hold several: data/train, data/dev, data/test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from features.prepare.spoken import SourceError, Spoken, number, subset_of
from features.prepare.tables import Places, decoded


def kaldi_folders(source: Path) -> list[Path]:
    """Return the data folders that a source is or holds."""
    near = [source, *sorted(each for each in source.iterdir() if each.is_dir())] if source.is_dir() else []
    return [each for each in near if (each / "wav.scp").is_file() and (each / "text").is_file()]


def read_kaldi(folders: list[Path], *, audio: Path | None = None) -> Iterator[Spoken]:
    """Yield every utterance that has a text. Raises SourceError for lines that are not as Kaldi has them."""
    for folder in folders:
        recordings = {key: (rest, where) for key, rest, where in _lines(folder / "wav.scp")}
        segments = {key: (rest, where) for key, rest, where in _lines(folder / "segments", needed=False)}
        speakers = {key: rest for key, rest, _ in _lines(folder / "utt2spk", needed=False)}
        places, subset = Places(folder if audio is None else audio), subset_of(folder.name)
        for utterance, text, where in _lines(folder / "text"):
            recording, start_s, end_s = utterance, 0.0, None
            if segments:
                if utterance not in segments:
                    raise SourceError(f"{where}: {utterance} is not in segments; expected a line for each utterance")
                recording, start_s, end_s = _segment(*segments[utterance])
            if recording not in recordings:
                raise SourceError(f"{where}: recording {recording} is not in {folder / 'wav.scp'}")
            path, line = recordings[recording]
            if path.endswith("|"):
                raise SourceError(
                    f"{line}: {path[:80]!r} is a command; expected a path: no command is run: write the files first "
                    f"(wav-copy scp:wav.scp)"
                )
            found, problem = places.found(path)
            yield Spoken(
                id=utterance,
                audio=found,
                text=text,
                where=where,
                speaker=speakers.get(utterance, ""),
                subset=subset,
                start_s=start_s,
                end_s=end_s,
                seconds=None if end_s is None else end_s - start_s,
                problem=f"{line}: {problem}" if problem else "",
            )


def _segment(line: str, where: str) -> tuple[str, float, float | None]:
    parts = line.split()
    if len(parts) != 3:
        raise SourceError(f"{where}: found {line[:60]!r}; expected UTTERANCE RECORDING start end")
    start_s = number(parts[1], "start", where) or 0.0
    end_s = None if parts[2] in ("-1", "-1.0") else number(parts[2], "end", where)
    if end_s is not None and end_s <= start_s:
        raise SourceError(f"{where}: ends at {end_s:g} s and begins at {start_s:g} s; expected an end after the start")
    return parts[0], start_s, end_s


def _lines(path: Path, *, needed: bool = True) -> Iterator[tuple[str, str, str]]:
    """Yield key, rest and place of every line. Raises SourceError if a key comes twice."""
    if not path.is_file() and not needed:
        return
    seen: set[str] = set()
    for line_number, line in enumerate(decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        key, _, rest = line.strip().partition(" ")
        where = f"{path}:{line_number}"
        if "\t" in key:
            key, _, rest = line.strip().partition("\t")
        if key in seen:
            raise SourceError(f"{where}: {key} comes twice; expected one line for each")
        seen.add(key)
        yield key, rest.strip(), where
