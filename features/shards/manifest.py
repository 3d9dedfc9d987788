"""Reads and writes `manifest.json`, which says what a folder of feature shards holds, without TensorFlow.

    manifest = load(Path("data/features/mini"))
    manifest.utterances("train"), manifest.lengths("train"), manifest.digest

A manifest has a schema version, the settings the features were made with, one entry a shard (with the frames of
every utterance in it, in order, so that batches can be counted without reading them, a digest of its ids, transcripts
and samples, and its size, so that one that was cut short is noticed without reading it), what was left out and why, and
what was converted. It holds no paths, dates or host names: the same corpus gives the same digest on every rig.

    check_sizes(folder, manifest)        # raises if a shard is missing or has another size, without reading it
    damaged(folder, manifest)            # which shards are not what was written: reads them all
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from features.corpus import layout as corpus
from features.corpus.audio import FRAME_STEP_S
from features.frames.kinds import FRONT_ENDS, UNNAMED, USUAL, FrontEnd
from features.jobs.files import digest as file_digest
from features.jobs.files import write_whole
from features.shards import COMPRESSIONS, DTYPES
from features.shards.apart import Shared

SCHEMA = 5
READABLE = (3, 4, SCHEMA)
"""Schema 5 names the front end; before, it followed from the size of a frame. Schema 4 packs the frames of a shard into
one text, and no longer lists every one of very many utterances left out. Schema 3 knows who says what
(`Shard.content`) and which subset lost what; schema 2 counted frames alone."""
MOST_BYTES = 1 << 28  # LibriSpeech's has some 1 MB, that of 30 million utterances some 100
MOST_LISTED = 100_000
"""If more utterances were left out, the first of each subset and kind are listed, and the rest as one entry."""
LISTED_OF_KIND = 1000
TOO_MANY = "too many to list"
NAME = "manifest.json"
FRAMES = "i"  # the type of array that holds frames: int, of 4 bytes
MOST_FRAMES = 1 << 24  # utterances of a shard


class ManifestError(ValueError):
    """A manifest or shard is missing, damaged or of another version; the message names file and way out."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How features are stored. Utterances of more than `max_frames` frames of 10 ms are left out.

    `front_end` is the name of what makes the frames (features/frames/kinds.py). With `snr_db` the audio of training
    subsets has noise in it, at that ratio of signal to noise (features/corpus/noise.py).
    """

    dtype: str = "float16"
    compression: str = "none"
    max_frames: int = 1670
    shard_utterances: int = 256
    front_end: str = USUAL
    snr_db: float | None = None

    def to_dict(self) -> dict[str, object]:
        """The settings as plain values, without those that are off."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Settings:
        """Make settings of what `to_dict` gave, also before schema 5. Raises TypeError or ValueError."""
        if "front_end" in fields or "features" not in fields:
            return cls(**fields)
        size = fields["features"]
        if type(size) is not int or size not in UNNAMED:
            raise ValueError(f"features is {size!r:.80}; expected {' or '.join(map(str, UNNAMED))} of a frame")
        return cls(**{name: value for name, value in fields.items() if name != "features"}, front_end=UNNAMED[size])

    @property
    def identity(self) -> dict[str, object]:
        """What a digest is made of: a digest of before schema 5, which had the size of a frame, stays what it was."""
        size = self.kind.size
        found = {("features" if name == "front_end" else name): value for name, value in self.to_dict().items()}
        named = {} if UNNAMED.get(size) == self.front_end else {"front_end": self.front_end}
        return {**found, "features": size, **named}

    @property
    def kind(self) -> FrontEnd:
        """The front end."""
        return FRONT_ENDS[self.front_end]

    def __post_init__(self) -> None:
        if self.snr_db is not None and not (type(self.snr_db) in (int, float) and -30 <= self.snr_db <= 100):
            raise ValueError(f"snr_db is {self.snr_db!r:.80}; expected -30 to 100 dB, or none")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; expected one of {DTYPES}")
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"compression is {self.compression!r}; expected one of {COMPRESSIONS}")
        if not isinstance(self.front_end, str) or self.front_end not in FRONT_ENDS:
            raise ValueError(f"front_end is {self.front_end!r:.80}; expected one of {', '.join(FRONT_ENDS)}")
        least = self.kind.least_frames
        if not all(_is_count(count) for count in (self.max_frames, self.shard_utterances)) or self.max_frames < least:
            raise ValueError(
                f"{self} is no way to store features; expected max_frames >= {least}, shard_utterances >= 1"
            )


TOO_LONG, TOO_SHORT, TOO_DENSE = "too long", "too short", "too many labels"
BAD_AUDIO, BAD_TREE, NO_SUBSET = "unusable audio", "unusable transcript or file", "not in a subset"
KINDS = (TOO_LONG, TOO_SHORT, TOO_DENSE, BAD_AUDIO, BAD_TREE, NO_SUBSET)
"""The kinds of reasons for which utterances are left out."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Something in the corpus that was left out of the features: what, of which kind, and why.

    `where` is an utterance's id, or a file of the corpus; `subset` is "" outside of all. `seconds` are those of the
    audio by its header, None if that was not read. `utterances` counts the recordings.
    """

    where: str
    subset: str
    kind: str
    reason: str
    seconds: float | None = None
    utterances: int = 1

    def __post_init__(self) -> None:
        texts = self.where, self.subset, self.kind, self.reason
        if not all(isinstance(text, str) for text in texts) or self.kind not in KINDS:
            raise ValueError(f"found {self!r:.200}; expected a kind among {', '.join(KINDS)}, and texts")
        known = self.seconds is None or (isinstance(self.seconds, int | float) and 0 <= self.seconds < 1 << 53)
        if not known or not (self.utterances == 0 or _is_count(self.utterances)):
            raise ValueError(f"{self.where}: found {self!r:.200}; expected seconds and a count")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One TFRecord file: its subset, the frames of each utterance in file order, its SHA-256 and its size.

    `content` is a SHA-256 of the ids, the transcripts and the samples of its utterances, in order. `frames` is kept as
    an array of 4 bytes each, as there may be 30 million of them; it is made of any sequence.
    """

    file: str
    subset: str
    frames: Sequence[int]
    content: str
    sha256: str
    bytes: int

    @classmethod
    def from_dict(cls, fields: object) -> Shard:
        """Make a shard from its JSON. Raises ValueError, KeyError or TypeError for what is no shard."""
        named = _fields(fields)
        frames = named["frames"]
        return cls(**{**named, "frames": _unpacked(frames) if isinstance(frames, str) else _listed(frames)})

    def to_dict(self, *, packed: bool = False) -> dict[str, object]:
        """Return the shard as plain values, for JSON; its frames as a list, or `packed` into a text."""
        return {**vars(self), "frames": _packed(self.frames) if packed else list(self.frames)}

    def __post_init__(self) -> None:
        named = isinstance(self.file, str) and re.fullmatch(r"[^/]+\.tfrecord", self.file) and self.file.isprintable()
        if not named:
            raise ValueError(f"found shard file {self.file!r}; expected a name that ends in .tfrecord, and no folder")
        if not (isinstance(self.subset, str) and self.subset.lower().startswith(corpus.ROLES)):
            raise ValueError(f"{self.file}: subset is {self.subset!r}; expected train*, dev* or test*")
        try:
            frames = array(FRAMES, self.frames)
        except (TypeError, OverflowError):
            frames = array(FRAMES, [0])
        if any(isinstance(each, bool) for each in self.frames) or min(frames, default=1) < 1:
            raise ValueError(f"{self.file}: found frames that are no counts; expected whole numbers from 1")
        object.__setattr__(self, "frames", frames)
        for name, digest in (("sha256", self.sha256), ("content", self.content)):
            if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)):
                raise ValueError(f"{self.file}: {name} is {digest!r}; expected 64 hexadecimal digits")
        if not (self.bytes == 0 or _is_count(self.bytes)):
            raise ValueError(f"{self.file}: bytes is {self.bytes!r}; expected a whole number")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All shards of a features folder.

    `words` are those of the training transcripts, sorted: a decoder's dictionary. `unknown` says of every other subset
    how many of its words, repetitions included, are not among them, and how many words there are: no decoder
    restricted to the dictionary reaches a word error rate below that share. `left_out` says what was left out,
    `notes` what was converted (note -> count). `shared` says what evaluated subsets have in common with training; it
    lacks them where an older version wrote the shards. `normaliser` made the transcripts, if features.prepare did.
    """

    settings: Settings
    shards: tuple[Shard, ...]
    words: tuple[str, ...] = ()
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    notes: dict[str, int] = field(default_factory=dict)
    shared: dict[str, Shared] = field(default_factory=dict)
    normaliser: str = ""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if not (isinstance(self.normaliser, str) and self.normaliser.isprintable()):
            raise ValueError(f"normaliser is {self.normaliser!r:.80}; expected its label")
        if not all(isinstance(word, str) for word in self.words):
            raise ValueError("found words that are no text; expected a list of words")
        counted = isinstance(self.unknown, dict) and all(
            len(pair) == 2 and all(type(count) is int for count in pair) and 0 <= pair[0] <= pair[1]
            for pair in self.unknown.values()
        )
        if not counted:
            raise ValueError(f"unknown is {self.unknown!r:.80}; expected unknown and all words by subset")
        if not (isinstance(self.notes, dict) and all(_is_count(count) for count in self.notes.values())):
            raise ValueError(f"notes is {self.notes!r:.80}; expected counts by note")
        longest = max((max(shard.frames, default=0) for shard in self.shards), default=0)
        if longest > self.settings.max_frames:
            raise ValueError(f"found {longest} frames; expected at most max_frames, {self.settings.max_frames}")

    def select(self, role_or_subset: str) -> tuple[Shard, ...]:
        """Return the shards of one subset, or of all subsets of a role ("train", "dev", "test").

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

    def lengths(self, role_or_subset: str) -> Sequence[int]:
        """Return the frames of every utterance, shard by shard, as an array that NumPy takes without copying."""
        found = array(FRAMES)
        for shard in self.select(role_or_subset):
            found.extend(shard.frames)
        return found

    def utterances(self, role_or_subset: str) -> int:
        return sum(len(shard.frames) for shard in self.select(role_or_subset))

    def seconds(self, role_or_subset: str) -> float:
        return sum(self.lengths(role_or_subset)) * FRAME_STEP_S

    def to_json(self) -> str:
        plain = {name: value for name, value in vars(self).items() if name not in ("shards", "left_out", "shared")}
        shards = [shard.to_dict(packed=True) for shard in self.shards]
        left_out = [vars(each) for each in self.left_out]
        parts = {"settings": self.settings.to_dict(), "shards": shards, "left_out": left_out, "schema": SCHEMA}
        parts["shared"] = {subset: each.to_dict() for subset, each in self.shared.items()}
        if not self.normaliser:
            del plain["normaliser"]  # which a reader of before would not know
        return json.dumps({**plain, **parts}, indent=1, sort_keys=True)

    @property
    def digest(self) -> str:
        """Return a digest that is equal for two runs on the same data: settings, ids, transcripts, samples and words.

        The shards' bytes are no part of it: they differ in last digits from one kind of CPU to another. Nor is what
        was left out: what is there says it all.
        """
        settings = json.dumps(self.settings.identity, sort_keys=True)
        found = hashlib.sha256(f'{{"schema": 3, "settings": {settings}, "shards": ['.encode())
        for number, shard in enumerate(self.shards):  # piece by piece: the whole text would be large
            about = [shard.file, shard.subset, list(shard.frames), shard.content]
            found.update(f"{', ' * (number > 0)}{json.dumps(about)}".encode())
        found.update(f'], "words": {json.dumps(self.words)}}}'.encode())
        return found.hexdigest()

    def lost(self, role_or_subset: str) -> dict[str, tuple[int, float]]:
        """Return what a subset or role lost by kind, largest first: utterances, and seconds as far as known."""
        found: dict[str, tuple[int, float]] = {}
        for each in self.left_out:
            if each.subset and role_or_subset in (each.subset, corpus.role(each.subset)):
                count, seconds = found.get(each.kind, (0, 0.0))
                found[each.kind] = count + each.utterances, seconds + (each.seconds or 0.0)
        return dict(sorted(found.items(), key=lambda item: (-item[1][0], item[0])))

    def lost_share(self, role_or_subset: str) -> float:
        """Return the share of a subset's or role's utterances that was left out, 0 to 1."""
        lost = sum(count for count, _ in self.lost(role_or_subset).values())
        return lost / (lost + self.utterances(role_or_subset)) if lost else 0.0

    def of_evaluated(self, role_or_subset: str) -> dict[str, Shared]:
        """Return what the subsets of a role, or one subset, have in common with training, as far as it is known."""
        return {name: each for name, each in self.shared.items() if role_or_subset in (name, corpus.role(name))}

    def unknown_share(self, role_or_subset: str) -> float:
        """Return the share of a subset's or role's words that are not among the training words, 0 to 1."""
        pairs = [pair for subset, pair in self.unknown.items() if role_or_subset in (subset, corpus.role(subset))]
        words = sum(count for _, count in pairs)
        return sum(unknown for unknown, _ in pairs) / words if words else 0.0


def save(manifest: Manifest, folder: Path) -> None:
    """Write to a temporary file, then rename: a manifest is whole or absent."""
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
    if found not in READABLE or isinstance(found, bool | float):
        why = " (it does not say which recordings the features are of)" if found == 2 else ""
        raise ManifestError(f"{path}: schema {found!r:.80}{why}, expected {SCHEMA}; extract the features again")
    try:
        shards = tuple(map(Shard.from_dict, _listed(fields["shards"])))
        if twice := [file for file, count in Counter(shard.file for shard in shards).items() if count > 1]:
            raise ValueError(f"{twice[0]} is listed twice; expected every shard once")
        parts = {
            "settings": Settings.from_dict(_fields(fields["settings"])),
            "shards": shards,
            "words": _listed(fields["words"]),
            "unknown": {subset: _listed(pair) for subset, pair in _fields(fields.get("unknown", {})).items()},
            "left_out": tuple(LeftOut(**_fields(each)) for each in _listed(fields.get("left_out", []))),
            "shared": {name: Shared(**_fields(each)) for name, each in _fields(fields.get("shared", {})).items()},
        }
        return Manifest(**{**fields, **parts, "schema": SCHEMA})
    except KeyError as error:
        raise ManifestError(f"{path}: found no {error}; delete it and extract the features again") from None
    except (TypeError, ValueError) as error:  # TypeError: a field too many or too few
        raise ManifestError(f"{path}: {error}; delete it and extract the features again") from None


def listed(left_out: Iterable[LeftOut], *, most: int = MOST_LISTED) -> tuple[LeftOut, ...]:
    """Return what was left out in order; of more than `most` the first of each subset and kind, and the rest as one.

    What this returned may be put in again, with more.
    """
    ordered = sorted(left_out, key=lambda each: (each.subset, each.kind, each.reason == TOO_MANY, each.where))
    if len(ordered) <= most and not any(each.reason == TOO_MANY for each in ordered):
        return tuple(ordered)
    found: list[LeftOut] = []
    for (subset, kind), alike in groupby(ordered, key=lambda each: (each.subset, each.kind)):
        several = list(alike)
        found += [each for each in several[:LISTED_OF_KIND] if each.reason != TOO_MANY]
        if rest := [n for n, each in enumerate(several) if n >= LISTED_OF_KIND or each.reason == TOO_MANY]:
            count = sum(several[n].utterances for n in rest)
            seconds = round(sum(several[n].seconds or 0.0 for n in rest), 2)
            found.append(
                LeftOut(
                    where=f"{count:,} more",
                    subset=subset,
                    kind=kind,
                    reason=TOO_MANY,
                    seconds=seconds,
                    utterances=count,
                )
            )
    return tuple(found)


def _packed(frames: Sequence[int]) -> str:
    """Pack frames as base64 of zlib of int32, little-endian."""
    return base64.b64encode(zlib.compress(np.asarray(frames, "<i4").tobytes())).decode()


def _unpacked(text: str) -> array:
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), MOST_FRAMES * 4 + 4)
        if len(unpacked) % 4 or len(unpacked) > MOST_FRAMES * 4:
            raise ValueError(f"{len(unpacked)} bytes")
    except (ValueError, zlib.error) as error:
        raise ValueError(f"frames are {text[:40]!r}, which cannot be unpacked ({error}); expected numbers") from None
    return array(FRAMES, np.frombuffer(unpacked, "<i4").tolist())


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
    """Check that every shard is there and as large as it was written: TensorFlow reads most cut ones without an error.

    Raises:
        ManifestError: one is not; the message has both sizes and the way out.
    """
    if wrong := [sentence for shard in manifest.shards if (sentence := _wrong_size(folder / shard.file, shard))]:
        more = f" (and {len(wrong) - 1} more shards)" if len(wrong) > 1 else ""
        raise ManifestError(wrong[0] + more)


def damaged(folder: Path, manifest: Manifest) -> list[str]:
    """Return a sentence for every shard that is not what was written. Reads all, at the speed of disk and SHA-256."""
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
    return f"extracting again (python -m features CORPUS {path.parent}) makes it again and keeps the others"
