"""Train, dev and test where a source names none: by speakers, so that nobody is heard in two of them.

    subsets = split(speakers_and_seconds, dev=0.1, test=0.1, seed=1)        # {"anna": "train", "ben": "dev", ...}

Speakers are taken in an order that depends on the seed and their names alone: more speakers of the same corpus later
change it little.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

ORDER = ("dev", "test")


def split(seconds: Mapping[str, float], *, dev: float, test: float, seed: int) -> dict[str, str]:
    """Return the subset of each speaker, given the seconds of each; shares are of all seconds.

    Each of dev and test that is asked for gets speakers until it has its share, at least one, and never more than half
    a speaker too much; training keeps at least one.

    Raises:
        ValueError: there are not enough speakers, or shares that leave nothing to train on.
    """
    wanted = {"dev": dev, "test": test}
    if not all(0 <= share < 1 for share in wanted.values()) or sum(wanted.values()) >= 1 or not dev:
        raise ValueError(f"shares of dev {dev:g} and test {test:g}; expected dev above 0, together below 1")
    needed = 1 + sum(share > 0 for share in wanted.values())
    if len(seconds) < needed:
        raise ValueError(f"{len(seconds)} speakers; expected at least {needed}, one for each subset")
    order = sorted(seconds, key=lambda speaker: hashlib.blake2b(f"{seed}\0{speaker}".encode()).digest())
    found: dict[str, str] = {}
    total = sum(seconds.values())
    for subset in ORDER:
        share, have = wanted[subset] * total, 0.0
        if not share:
            continue
        later = sum(wanted[each] > 0 for each in ORDER[ORDER.index(subset) + 1 :])
        for speaker in order:
            left = len(order) - len(found)
            if speaker in found or left <= 1 + later:
                continue
            if have and have + seconds[speaker] / 2 > share:
                continue
            found[speaker] = subset
            have += seconds[speaker]
            if have >= share:
                break
    return {speaker: found.get(speaker, "train") for speaker in order}
