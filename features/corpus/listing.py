"""The utterances of a corpus of any size: kept as a few arrays, and read again from their transcripts on demand.

    listing = Listing()
    listing.add(subset, folder, [utterance, ...])   # for every chapter, in the order of the tree
    twice = list(listing.sort())                    # by subset and id; duplicates are left out
    listing[5], len(listing), listing.subsets
    some = listing.select(listing.of("train-a"))    # a Selection: a sequence, and light until it is iterated

A corpus of 100,000 hours has some 30 million utterances. As objects they would take 20 GB; here each takes about
40 bytes and its id. The first KEPT are objects all the same, so that the transcripts of most corpora are read once.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias, overload

import numpy as np

KEPT = 1_000_000
"""How many utterances stay in memory as they were read."""
BLOCK = 1 << 18  # how many ids are packed at a time
CHAPTERS_AT_HAND = 64  # how many of the chapters read again stay in memory


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One spoken sentence: where its audio is and what is said."""

    id: str
    subset: str
    speaker: str
    audio: Path
    sentence: str

    @property
    def digest(self) -> bytes:
        """Return eight bytes that change with the id and with the transcript."""
        return hashlib.blake2b(f"{self.id}\0{self.sentence}".encode(), digest_size=8).digest()


class Packed(NamedTuple):
    """The utterances of a chapter without transcripts. `suffixes` has one file suffix for each, or one for all."""

    subset: str
    folder: str
    ids: list[bytes]
    suffixes: list[str]
    digests: bytes

    @classmethod
    def of(cls, subset: str, folder: Path | str, utterances: Sequence[Utterance]) -> Packed:
        suffixes = [each.audio.name[len(each.id) :] for each in utterances]
        return cls(
            subset=subset,
            folder=str(folder),
            ids=[each.id.encode() for each in utterances],
            suffixes=suffixes[:1] if len(set(suffixes)) == 1 else suffixes,
            digests=b"".join(each.digest for each in utterances),
        )


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where an utterance is: its chapter, and its number in it, from 0."""

    id: str
    subset: str
    folder: Path
    place: int


Read: TypeAlias = Callable[[str, Path], Sequence[Utterance]]


class Listing(Sequence[Utterance]):
    """Utterances of chapters, in order of subset and id once they are sorted. `read` reads a chapter again."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._chapters: list[tuple[str, str]] = []  # subset and folder
        self._kept: dict[int, Sequence[Utterance]] = {}
        self._kept_count = 0
        self._at_hand: OrderedDict[int, Sequence[Utterance]] = OrderedDict()
        self._subsets: list[str] = []
        self._suffixes: list[str] = []
        self._ids: list[np.ndarray] = []
        self._fresh: list[bytes] = []
        self._of_chapter, self._place = array("I"), array("I")  # each utterance's chapter, and its place there
        self._of_subset, self._suffix, self._digests = array("H"), array("B"), array("Q")
        self._order: np.ndarray = np.arange(0)
        self._id: np.ndarray = np.zeros(0, "S1")

    # --- making ------------------------------------------------------------------------------------------------------

    def add(self, subset: str, folder: Path | str, utterances: Sequence[Utterance]) -> None:
        """Add the utterances of a chapter."""
        if utterances and self._kept_count < KEPT:
            self._kept[len(self._chapters)] = utterances
            self._kept_count += len(utterances)
        self.add_packed(Packed.of(subset, folder, utterances))

    def add_packed(self, chapter: Packed) -> None:
        """Add the utterances of a chapter that another process has read."""
        count = len(chapter.ids)
        if not count:
            return
        suffixes = [_number(self._suffixes, suffix) for suffix in chapter.suffixes]
        self._of_chapter.extend([len(self._chapters)] * count)
        self._chapters.append((sys.intern(chapter.subset), chapter.folder))
        self._place.extend(range(count))
        self._of_subset.extend([_number(self._subsets, chapter.subset)] * count)
        self._suffix.extend(suffixes * count if len(suffixes) == 1 else suffixes)
        self._digests.frombytes(chapter.digests)
        self._fresh += chapter.ids
        if len(self._fresh) >= BLOCK:
            self._pack()

    def _pack(self) -> None:
        if self._fresh:
            self._ids.append(np.array(self._fresh))
            self._fresh = []

    def sort(self) -> Iterator[tuple[Spot, Spot]]:
        """Sort by subset and id; yield the place of every utterance with a repeated id, and of the first with it."""
        self._pack()
        width = max((block.dtype.itemsize for block in self._ids), default=1)
        ids = np.zeros(len(self._of_chapter), f"S{width}")
        start = 0
        while self._ids:  # one block after another, so that few are there twice
            block = self._ids.pop(0)
            ids[start : start + len(block)] = block
            start += len(block)
        self._id = ids
        by_id = np.argsort(ids, kind="stable")  # stable: among equal ids the first in the tree comes first
        again = np.zeros(len(by_id), bool)
        for first in range(1, len(by_id), BLOCK):
            stop = min(first + BLOCK, len(by_id))
            again[first:stop] = ids[by_id[first:stop]] == ids[by_id[first - 1 : stop - 1]]
        twice = sorted(by_id[again].tolist())
        firsts = {}
        if twice:
            wanted = {bytes(ids[each]) for each in twice}
            kept_by_id = by_id[~again]
            found = np.searchsorted(ids, sorted(wanted), sorter=by_id)
            firsts = {bytes(ids[by_id[place]]): int(by_id[place]) for place in found}
            by_id = kept_by_id
        rank = np.argsort(np.argsort(self._subsets)).astype(np.uint16) if self._subsets else np.zeros(0, np.uint16)
        subset_of = rank[np.asarray(self._of_subset)][by_id] if len(by_id) else by_id
        self._order = by_id[np.argsort(subset_of, kind="stable")].astype(np.uint32)
        for each in twice:
            yield self._spot(each), self._spot(firsts[bytes(ids[each])])

    def _spot(self, at: int) -> Spot:
        subset, folder = self._chapters[self._of_chapter[at]]
        return Spot(id=self._id[at].decode(), subset=subset, folder=Path(folder), place=self._place[at])

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def subsets(self) -> list[str]:
        return sorted(self._subsets)

    def of(self, subset: str) -> np.ndarray:
        """Return the places of a subset's utterances, in order of id."""
        number = self._subsets.index(subset)
        return np.flatnonzero(np.asarray(self._of_subset)[self._order] == number).astype(np.uint32)

    def select(self, places: np.ndarray) -> Selection:
        return Selection(self, places)

    def digest(self, places: np.ndarray) -> str:
        """Return a digest of the ids and sentences at these places."""
        return hashlib.sha256(np.asarray(self._digests)[self._order[places]].tobytes()).hexdigest()

    def audio(self, place: int) -> str:
        """Return the path of a recording, without reading its chapter."""
        at = int(self._order[place])
        folder = self._chapters[self._of_chapter[at]][1]
        return f"{folder}/{self._id[at].decode()}{self._suffixes[self._suffix[at]]}"

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, place: int) -> Utterance: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Utterance]: ...
    def __getitem__(self, place: int | slice) -> Utterance | Sequence[Utterance]:
        if isinstance(place, slice):
            return self.select(np.arange(len(self))[place])
        return self._utterance(int(self._order[place]))

    def _utterance(self, at: int) -> Utterance:
        chapter, place = self._of_chapter[at], self._place[at]
        utterances = self._kept.get(chapter) or self._again(chapter)
        if place >= len(utterances) or utterances[place].id.encode() != bytes(self._id[at]):
            folder = self._chapters[chapter][1]
            raise ValueError(f"{folder}: found other utterances than when the corpus was listed; it changed meanwhile")
        return utterances[place]

    def _again(self, chapter: int) -> Sequence[Utterance]:
        if chapter in self._at_hand:
            self._at_hand.move_to_end(chapter)
            return self._at_hand[chapter]
        subset, folder = self._chapters[chapter]
        self._at_hand[chapter] = found = self._read(subset, Path(folder))
        if len(self._at_hand) > CHAPTERS_AT_HAND:
            self._at_hand.popitem(last=False)
        return found


class Selection(Sequence[Utterance]):
    """Some utterances of a listing. It is pickled as a tuple for other processes."""

    def __init__(self, listing: Listing, places: np.ndarray) -> None:
        self.listing, self.places = listing, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, number: int) -> Utterance: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Utterance]: ...
    def __getitem__(self, number: int | slice) -> Utterance | Sequence[Utterance]:
        if isinstance(number, slice):
            return Selection(self.listing, self.places[number])
        return self.listing[int(self.places[number])]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple:
        return tuple, (tuple(self),)

    @property
    def digest(self) -> str:
        return self.listing.digest(self.places)

    @property
    def audio(self) -> Iterator[str]:
        """Return the paths of the recordings, without reading their chapters."""
        return (self.listing.audio(int(place)) for place in self.places)


def _number(names: list[str], name: str) -> int:
    """Return the index of a name in a short list; a new name is appended."""
    try:
        return names.index(name)
    except ValueError:
        names.append(name)
        return len(names) - 1
