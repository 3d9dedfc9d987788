"""Whether training and evaluation are apart: which recordings and speakers a subset has in common with training.

    seen = Seen()
    seen.add("train-a", marks(["44100-1-5f..."]), marks(["103"]))
    seen.shared()["dev-a"].recordings       # 10: the same samples under other ids

A recording is known by eight bytes of a digest of its samples, so that several million take a few dozen MB and are
compared within seconds; two that differ are taken for one once in 10^6 corpora of a million.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from features.corpus.layout import role

WIDTH = 8


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What an evaluated subset has that makes its error rates too low, or of fewer recordings than they seem.

    `recordings` are utterances whose samples are in a training subset too, `speakers` those of its speakers, by the
    folders' names, who are in one. `repeated` are utterances of samples that came earlier in the subset.
    """

    recordings: int = 0
    speakers: int = 0
    repeated: int = 0

    def __post_init__(self) -> None:
        counts = (self.recordings, self.speakers, self.repeated)
        if not all(type(count) is int and 0 <= count < 1 << 53 for count in counts):
            raise ValueError(f"found {self!r:.120}; expected counts")

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def marks(texts: Iterable[str]) -> str:
    """Return eight bytes of a digest of each text, all in base64."""
    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=WIDTH).digest() for text in texts)
    return base64.b64encode(joined).decode()


class Seen:
    """The recordings and speakers of all subsets, shard by shard."""

    def __init__(self) -> None:
        self._recordings: dict[str, list[np.ndarray]] = {}
        self._speakers: dict[str, list[np.ndarray]] = {}
        self._known = True

    def add(self, subset: str, recordings: str, speakers: str) -> None:
        """Add those of a shard, as `marks` gives them; "" if an older version wrote it, which did not note them.

        Raises:
            ValueError: they are no marks.
        """
        self._known = self._known and bool(speakers)
        self._recordings.setdefault(subset, []).append(_unpacked(recordings))
        self._speakers.setdefault(subset, []).append(_unpacked(speakers))

    def shared(self) -> dict[str, Shared]:
        """Return what each dev and test subset has in common with training; {} if that is not known of all shards."""
        if not self._known:
            return {}
        trained = [subset for subset in self._recordings if role(subset) == "train"]
        recordings = _different([each for subset in trained for each in self._recordings[subset]])
        speakers = _different([each for subset in trained for each in self._speakers[subset]])
        found = {}
        for subset in sorted(set(self._recordings) - set(trained)):
            own = np.concatenate(self._recordings[subset])
            found[subset] = Shared(
                recordings=_count_in(recordings, own),
                speakers=_count_in(speakers, _different(self._speakers[subset])),
                repeated=len(own) - len(_different([own])),
            )
        return found


def _different(parts: list[np.ndarray]) -> np.ndarray:
    # Sorted: np.unique of NumPy 2.3 and newer hashes, which takes 4 s for four million marks where a sort takes 0.04.
    joined = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
    return joined[np.diff(joined, prepend=joined[:1] + np.uint64(1)) != 0]


def _count_in(known: np.ndarray, own: np.ndarray) -> int:
    place = np.searchsorted(known, own)
    return int((known[np.minimum(place, len(known) - 1)] == own).sum()) if len(known) else 0


def _unpacked(text: str) -> np.ndarray:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), np.uint64)
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"found {text[:40]!r} ({error}); expected eight bytes an utterance, in base64") from None
