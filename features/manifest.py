"""Reads and writes `manifest.json`, which says what a folder of feature shards holds, without TensorFlow.

    manifest = load(Path("data/features/mini"))
    manifest.utterances("train"), manifest.lengths("train"), manifest.digest

A manifest has a schema version, the settings the features were made with, one entry a shard (with the frames of
every utterance in it, in order, so that batches can be counted without reading them, and its size, so that one
that was cut short is noticed without reading it), what was left out and why, and what was converted. It holds no
paths, dates or host names: the same corpus gives the same digest on every rig.

    check_sizes(folder, manifest)        # raises if a shard is missing or has another size: a look, no reading
    damaged(folder, manifest)            # which shards are not what was written: reads them all
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from features import corpus
from features.extract import FEATURES, FRAME_STEP_S
from features.files import digest as file_digest
from features.files import write_whole

SCHEMA = 2
MOST_BYTES = 1 << 28  # LibriSpeech's has some 4 MB
NAME = "manifest.json"
DTYPES = ("float16", "float32")
COMPRESSIONS = ("none", "gzip")


class ManifestError(ValueError):
    """A manifest or shard is missing, damaged or of another version; the message names file and way out."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How features are stored. Utterances of more than `max_frames` frames of 10 ms are left out."""

    dtype: str = "float16"
    compression: str = "none"
    max_frames: int = 1670
    shard_utterances: int = 256
    features: int = FEATURES

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; expected one of {DTYPES}")
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"compression is {self.compression!r}; expected one of {COMPRESSIONS}")
        counts = self.max_frames, self.shard_utterances, self.features
        if not all(_is_count(count) for count in counts) or self.max_frames < 11 or self.features != FEATURES:
            raise ValueError(
                f"{self} is no way to store features; expected max_frames >= 11, "
                f"shard_utterances >= 1, features = {FEATURES}"
            )


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One TFRecord file: its subset, the frames of each utterance in file order, its SHA-256 and its size."""

    file: str
    subset: str
    frames: tuple[int, ...]
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        named = isinstance(self.file, str) and re.fullmatch(r"[^/]+\.tfrecord", self.file) and self.file.isprintable()
        if not named:
            raise ValueError(f"found shard file {self.file!r}; expected a name that ends in .tfrecord, and no folder")
        if not (isinstance(self.subset, str) and self.subset.startswith(corpus.ROLES)):
            raise ValueError(f"{self.file}: subset is {self.subset!r}; expected train*, dev* or test*")
        if not all(_is_count(frames) for frames in self.frames):
            raise ValueError(f"{self.file}: found frames that are no counts; expected whole numbers from 1")
        if not (isinstance(self.sha256, str) and re.fullmatch("[0-9a-f]{64}", self.sha256)):
            raise ValueError(f"{self.file}: sha256 is {self.sha256!r}; expected 64 hexadecimal digits")
        if not (self.bytes == 0 or _is_count(self.bytes)):
            raise ValueError(f"{self.file}: bytes is {self.bytes!r}; expected a whole number")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All shards of a features folder.

    `words` are those of the training transcripts, sorted: a decoder's dictionary. `dropped` says what was left out
    (utterance -> reason), `notes` what was converted (note -> count).
    """

    settings: Settings
    shards: tuple[Shard, ...]
    words: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if not all(isinstance(word, str) for word in self.words):
            raise ValueError("found words that are no text; expected a list of words")
        if not (isinstance(self.dropped, dict) and all(isinstance(reason, str) for reason in self.dropped.values())):
            raise ValueError(f"dropped is {self.dropped!r:.80}; expected reasons by utterance")
        if not (isinstance(self.notes, dict) and all(_is_count(count) for count in self.notes.values())):
            raise ValueError(f"notes is {self.notes!r:.80}; expected counts by note")
        longest = max((max(shard.frames, default=0) for shard in self.shards), default=0)
        if longest > self.settings.max_frames:
            raise ValueError(f"found {longest} frames; expected at most max_frames, {self.settings.max_frames}")

    def select(self, role_or_subset: str) -> tuple[Shard, ...]:
        """Shards of one subset, or of all subsets of a role ("train", "dev", "test").

        Raises:
            ManifestError: there are none, naming the subsets there are.
        """
        named = tuple(s for s in self.shards if s.subset == role_or_subset)
        chosen = named or tuple(
            s for s in self.shards if role_or_subset in corpus.ROLES and corpus.role(s.subset) == role_or_subset
        )
        if not chosen:
            raise ManifestError(f"no shards of {role_or_subset!r}; there are {', '.join(self.subsets) or 'none'}")
        return chosen

    @property
    def subsets(self) -> list[str]:
        return sorted({shard.subset for shard in self.shards})

    def lengths(self, role_or_subset: str) -> list[int]:
        """Frames of every utterance, shard by shard."""
        return [frames for shard in self.select(role_or_subset) for frames in shard.frames]

    def utterances(self, role_or_subset: str) -> int:
        return len(self.lengths(role_or_subset))

    def seconds(self, role_or_subset: str) -> float:
        return sum(self.lengths(role_or_subset)) * FRAME_STEP_S

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @property
    def digest(self) -> str:
        """Return what must agree for two runs to have learnt from the same data: all but the shards' bytes.

        Those differ in last digits from one kind of CPU to another. The schema is the first one's for ever, so that
        runs stay comparable.
        """
        fields = json.loads(self.to_json()) | {"schema": 1}
        for shard in fields["shards"]:
            del shard["sha256"], shard["bytes"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def save(manifest: Manifest, folder: Path) -> None:
    """Write beside, then rename: a manifest is whole or absent."""
    write_whole(folder / NAME, manifest.to_json())


def load(folder: Path) -> Manifest:
    """Read a folder's manifest.

    Raises:
        ManifestError: missing, not JSON, of another schema, or with fields missing or unknown.
    """
    path = folder / NAME
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ManifestError(f"{path}: {size:,} bytes, expected at most {MOST_BYTES:,}; extract the features again")
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{path}: not there; make it with: python -m features CORPUS {folder}") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); mend that or extract again") from None
    except ManifestError:
        raise
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: not JSON ({error}); delete it and extract the features again") from None
    found = fields.get("schema") if isinstance(fields, dict) else None
    if found != SCHEMA or isinstance(found, bool):
        raise ManifestError(f"{path}: schema {found!r:.80}, expected {SCHEMA}; extract the features again")
    try:
        entries = map(_fields, _listed(fields["shards"]))
        shards = tuple(Shard(**{**entry, "frames": _listed(entry["frames"])}) for entry in entries)
        if twice := [file for file, count in Counter(shard.file for shard in shards).items() if count > 1]:
            raise ValueError(f"{twice[0]} is listed twice; expected every shard once")
        settings, words = Settings(**_fields(fields["settings"])), _listed(fields["words"])
        return Manifest(**{**fields, "settings": settings, "shards": shards, "words": words, "schema": SCHEMA})
    except KeyError as error:
        raise ManifestError(f"{path}: found no {error}; delete it and extract the features again") from None
    except (TypeError, ValueError) as error:  # TypeError: a field too many or too few
        raise ManifestError(f"{path}: {error}; delete it and extract the features again") from None


def _listed(value: object) -> tuple:
    if not isinstance(value, list):
        raise ValueError(f"found {value!r:.80}; expected a list")
    return tuple(value)


def _fields(value: object) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"found {value!r:.80}; expected fields by name")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 53


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Look whether every shard is there and as large as it was written: TensorFlow takes most that are cut for whole.

    Raises:
        ManifestError: one is not, with both sizes and the way out.
    """
    if wrong := [sentence for shard in manifest.shards if (sentence := _wrong_size(folder / shard.file, shard))]:
        more = f" (and {len(wrong) - 1} more shards)" if len(wrong) > 1 else ""
        raise ManifestError(wrong[0] + more)


def damaged(folder: Path, manifest: Manifest) -> list[str]:
    """A sentence for every shard that is not what was written. Reads them all, at the speed of disk and SHA-256."""
    sentences = (_wrong_size(folder / s.file, s) or _wrong_content(folder / s.file, s) for s in manifest.shards)
    return [sentence for sentence in sentences if sentence]


def _wrong_size(path: Path, shard: Shard) -> str:
    if not path.is_file():
        return f"{path}: in the manifest but not in the folder; {_anew(path)}"
    size = path.stat().st_size
    if size != shard.bytes:
        return f"{path}: found {size:,} bytes, expected {shard.bytes:,}; {_anew(path)}"
    return ""


def _wrong_content(path: Path, shard: Shard) -> str:
    try:
        found = file_digest(path)
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); delete it, and {_anew(path)}"
    if found == shard.sha256:
        return ""
    return f"{path}: found SHA-256 {found}, expected {shard.sha256}; delete it, and {_anew(path)}"


def _anew(path: Path) -> str:
    return f"extracting again (python -m features CORPUS {path.parent}) makes it anew and keeps the others"
