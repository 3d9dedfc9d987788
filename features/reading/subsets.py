"""A part of the training set, for studies of how much data is enough: nested, and the same on every machine.

    names = [name for name, _ in said(folder, manifest)]
    chosen = chosen_of(names, utterances=500, seed=1)       # bool [utterances], in the order of the shards
    chosen = chosen_of(names, utterances=500, seed=1, by="speakers")

Utterances are put in an order that depends on the seed and on their ids alone: by sha256 of both. A part is the
beginning of that order, so that a larger part holds every smaller one, and a corpus that grows keeps the order of what
it had. `by="speakers"` orders speakers in this way, and takes whole speakers until there are enough utterances: a
larger part then has more speakers, not more speech of the same ones. A speaker is an id's text before its first dash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from features.jobs.process import import_tensorflow

if TYPE_CHECKING:
    import numpy as np

    from features.shards.manifest import Manifest

SELECTIONS = ("utterances", "speakers")


def chosen_of(names: Sequence[str], *, utterances: int, seed: int, by: str = "utterances") -> np.ndarray:
    """Return which of these ids are in a part of `utterances` utterances, bool [ids].

    By speakers a part has at least that many: the last speaker is taken whole. Raises ValueError where ids do not tell
    who speaks.
    """
    if by not in SELECTIONS:
        raise ValueError(f"by is {by!r}; expected {' or '.join(SELECTIONS)}")
    import numpy as np  # here: who only reads SELECTIONS needs none

    chosen = np.zeros(len(names), bool)
    if by == "utterances":
        order = sorted(range(len(names)), key=lambda n: _rank(seed, names[n]))
        chosen[order[:utterances]] = True
        return chosen
    members: dict[str, list[int]] = {}
    for n, name in enumerate(names):
        members.setdefault(name.partition("-")[0], []).append(n)
    if len(members) in (1, len(names)) and len(names) > 1:
        alike = "the same in all" if len(members) == 1 else "another in each"
        raise ValueError(
            f"speakers cannot be selected: they are told by what stands before the first dash of an id, which is "
            f"{alike} of {len(names):,} utterances ({names[0]!r}, {names[1]!r}); expected SPEAKER-..., or "
            f"select utterances"
        )
    for speaker in sorted(members, key=lambda speaker: _rank(seed, speaker)):
        if chosen.sum() >= utterances:
            break
        chosen[members[speaker]] = True
    return chosen


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def said(folder: Path, manifest: Manifest) -> list[tuple[str, str]]:
    """Return (id, sentence) of all training utterances, in the order of the shards, which are read for it."""
    from features.shards.records import open_shard

    tf = import_tensorflow()
    names = {name: tf.io.FixedLenFeature([], tf.string) for name in ("id", "sentence")}
    found: list[tuple[str, str]] = []
    for shard in manifest.select("train"):
        if shard.frames:
            records = open_shard(str(folder / shard.file), manifest.settings)
            for each in records.map(lambda record: tf.io.parse_single_example(record, names)).as_numpy_iterator():
                found.append((each["id"].decode(), each["sentence"].decode()))
    return found
