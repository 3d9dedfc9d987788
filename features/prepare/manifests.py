"""Manifests of others in JSON: NeMo's lines, SpeechBrain's object.

    {"audio_filepath": "a.wav", "duration": 3.2, "text": "two birds"}                        # NeMo, one a line
    {"utt1": {"wav": "{data_root}/a.wav", "length": 3.2, "words": "TWO BIRDS"}, ...}         # SpeechBrain

NeMo's `offset` cuts an utterance out of a longer recording. `{data_root}` is the manifest's folder, or the one given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from features.prepare.spoken import SourceError, Spoken, check_uncut, named_subset, number, subset_of
from features.prepare.tables import KNOWN, Places, decoded

SUFFIXES = (".json", ".jsonl", ".ndjson")
ROOTS = ("{data_root}", "$data_root", "{data_folder}")


def is_manifest(path: Path) -> bool:
    """Tell whether a file is a manifest of recordings, by its first entry."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        _, entry = next(_entries(path))
        return _key(entry, "audio") is not None and _key(entry, "text") is not None
    except (SourceError, StopIteration):
        return False


def read_manifests(manifests: Sequence[Path], *, audio: Path | None = None) -> Iterator[Spoken]:
    """Yield what each entry says.

    Raises:
        SourceError: a manifest is no JSON, or an entry lacks its recording or its text.
    """
    for path in manifests:
        folder = path.parent if audio is None else audio
        places = Places(folder)
        for where, entry in _entries(path):
            yield _spoken(entry, where, places, folder, subset_of(path.stem))


def _spoken(entry: Mapping[str, Any], where: str, places: Places, folder: Path, subset: str) -> Spoken:
    found = {thing: entry[key] for thing in KNOWN if (key := _key(entry, thing)) is not None}
    name, text = found.get("audio"), found.get("text")
    start_s = number(entry.get("offset"), "offset", where) or 0.0
    if isinstance(name, Mapping):  # SpeechBrain's cut: {"file": ..., "start": samples, "stop": samples}
        raise SourceError(f"{where}: its recording is cut by samples ({str(dict(name))[:80]}); expected a file's path")
    if not isinstance(name, str) or not name or not isinstance(text, str):
        raise SourceError(f"{where}: found {str(dict(entry))[:120]}; expected a recording and a text")
    for root in ROOTS:
        name = name.replace(root, str(folder))
    seconds = number(found.get("duration"), "duration", where)
    recording, problem = places.found(name)
    cut = "offset" in entry and entry["offset"] is not None
    if cut and seconds is None:
        raise SourceError(f"{where}: an offset without a duration; expected both")
    check_uncut({str(key): value for key, value in entry.items() if key != "offset"}, where)
    named = found.get("subset")
    identity = str(found.get("id") or (f"{recording.stem}-{round(start_s * 1000)}" if cut else recording.stem))
    return Spoken(
        id=identity,
        audio=recording,
        text=text,
        where=where,
        speaker=str(found["speaker"]) if found.get("speaker") is not None else "",
        subset=named_subset(str(named), where) if named else subset,
        start_s=start_s,
        end_s=start_s + seconds if cut and seconds is not None else None,
        seconds=seconds,
        problem=problem,
    )


def _key(entry: Mapping[str, Any], thing: str) -> str | None:
    return next((name for name in KNOWN[thing] if name in entry), None)


def _entries(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each entry with its place; an object of entries has the utterances' ids for keys."""
    text = decoded(path)
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, list) or (isinstance(whole, dict) and _key(whole, "audio") is None):
        entries = whole.items() if isinstance(whole, dict) else enumerate(whole, start=1)
        for key, entry in entries:
            if not isinstance(entry, dict):
                raise SourceError(f"{path}: {str(key)[:40]} is {str(entry)[:40]!r}; expected an entry of a manifest")
            yield f"{path}:{key}", {**({"id": key} if isinstance(whole, dict) else {}), **entry}
        return
    for number_, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}:{number_}: not JSON ({str(error)[:80]}); expected one entry a line") from None
        if not isinstance(entry, dict):
            raise SourceError(f"{path}:{number_}: found {line[:60]!r}; expected one entry a line")
        yield f"{path}:{number_}", entry
