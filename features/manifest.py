"""What a folder of feature shards holds: `manifest.json`, read and written here, without TensorFlow.

    manifest = load(Path("data/features/mini"))
    manifest.utterances("train"), manifest.lengths("train"), manifest.digest

A manifest has a schema version, the settings the features were made with, one entry a shard (with the frames of
every utterance in it, in order, so that batches can be counted without reading them), what was left out and why,
and what was converted. It holds no paths, dates or host names: the same corpus gives the same digest on every
rig.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from features import corpus
from features.extract import FEATURES, FRAME_STEP_S

SCHEMA = 1
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
        if self.max_frames < 11 or self.shard_utterances < 1 or self.features != FEATURES:
            raise ValueError(
                f"{self} is no way to store features; expected max_frames >= 11, "
                f"shard_utterances >= 1, features = {FEATURES}"
            )


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One TFRecord file: its subset, the frames of each utterance in file order, and its SHA-256."""

    file: str
    subset: str
    frames: tuple[int, ...]
    sha256: str


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
        """What must agree for two runs to have learnt from the same data: all but the shards' bytes.

        Those differ in last digits from one kind of CPU to another.
        """
        fields = json.loads(self.to_json())
        for shard in fields["shards"]:
            del shard["sha256"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def save(manifest: Manifest, folder: Path) -> None:
    """Write beside, then rename: a manifest is whole or absent."""
    replace_text(folder / NAME, manifest.to_json())


def load(folder: Path) -> Manifest:
    """Read a folder's manifest.

    Raises:
        ManifestError: missing, not JSON, of another schema, or with fields missing or unknown.
    """
    path = folder / NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{path}: not there; make it with: python -m features CORPUS {folder}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ManifestError(f"{path}: not JSON ({error}); delete it and extract the features again") from None
    found = fields.get("schema") if isinstance(fields, dict) else None
    if found != SCHEMA:
        raise ManifestError(f"{path}: schema {found!r}, expected {SCHEMA}; extract the features again")
    try:
        shards = tuple(Shard(**{**shard, "frames": tuple(shard["frames"])}) for shard in fields.pop("shards"))
        settings, words = Settings(**fields["settings"]), tuple(fields["words"])
        return Manifest(**{**fields, "settings": settings, "shards": shards, "words": words})
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{path}: {error}; delete it and extract the features again") from None


def replace_text(path: Path, text: str) -> None:
    """Give a file new contents in one step, so that no reader and no broken-off write sees half of it."""
    beside = path.with_name(path.name + f".{os.getpid()}.tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
