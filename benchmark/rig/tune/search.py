"""The largest batch that fits, by tries of which each may end in an error, an abort, a kill or a hang.

    found = search(attempt, unit=4, start=8, most=4096, say=print)      # attempt(batch) -> Tried
    found.largest                                                       # a batch that was tried, and ran

Two small tries give memory as a line of the batch. The next try is where that line has 90% of the limit; then the
interval between what ran and what did not is halved. A batch that ran with less than 5% of the memory left is not
taken: other lengths may come together, and memory gets fragmented. No size is returned that did not run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

JUMP = 0.90
KEPT_FREE = 0.05
CLOSE = 0.04  # the share of the batch to which the limit is found


class NothingFits(ValueError):
    """Not even the smallest batch runs; the message says how it ended."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One try of a batch: whether it ran, the most memory it took of the limit, and how it ended.

    Memory is of the fullest GPU, or of the process on CPUs, in bytes; None is not known. `checked` says what was run.
    """

    batch: int
    ran: bool
    memory_bytes: int | None = None
    limit_bytes: int | None = None
    ending: str = ""
    checked: str = ""

    @property
    def share(self) -> float | None:
        """Return the part of the limit that it took; None if it is not known."""
        known = self.memory_bytes is not None and self.limit_bytes
        return self.memory_bytes / self.limit_bytes if known else None

    @property
    def fits(self) -> bool:
        """Whether it ran and left enough memory free."""
        return self.ran and (self.share is None or self.share <= 1 - KEPT_FREE)


@dataclass(frozen=True, kw_only=True)
class Search:
    """All tries, and the largest batch that fits; `capped` says that larger ones were not asked for."""

    tries: tuple[Tried, ...]
    largest: int
    capped: bool = False


def search(
    attempt: Callable[[int], Tried], *, unit: int, start: int, most: int, say: Callable[[str], None] = lambda _: None
) -> Search:
    """Find the largest batch, a multiple of `unit`, up to `most`; `start` is the first that is tried.

    Raises:
        NothingFits: the smallest batch does not run.
    """
    tries: dict[int, Tried] = {}
    most = max(unit, most // unit * unit)

    def fits(batch: int) -> bool:
        tries[batch] = attempt(batch)
        say(described(tries[batch]))
        return tries[batch].fits

    low = min(most, max(unit, start // unit * unit))
    while not fits(low):
        if low == unit:
            raise NothingFits(f"a batch of {unit} does not fit ({tries[low].ending or described(tries[low])})")
        low = max(unit, low // 2 // unit * unit)
    first, high = low, next((batch for batch in sorted(tries) if batch > low), None)
    while low < most and (high is None or high - low > max(unit, CLOSE * low)):
        batch = _next(tries, first, low, high, unit, most)
        if fits(batch):
            low = batch
        else:
            high = batch
    return Search(tries=tuple(tries.values()), largest=low, capped=high is None)


def _next(tries: dict[int, Tried], first: int, low: int, high: int | None, unit: int, most: int) -> int:
    """Return the batch to try next: twice the first, where memory's line has 90%, the middle of what is left open."""
    if high is not None:
        return max(low + unit, (low + high) // 2 // unit * unit)
    aims = [_at(tries, first, low, share) for share in (JUMP, 1 - KEPT_FREE)] if low > first else [None]
    if None in aims:  # there is no line
        aim = 2 * low
    else:
        aim = next((each for each in aims if each >= low + unit), round(low * (1 + CLOSE)))
    return min(most, max(low + unit, aim // unit * unit))


def _at(tries: dict[int, Tried], first: int, low: int, share: float) -> int | None:
    """Return the batch at which the line through two tries has a share of the memory; None if it does not rise."""
    one, other = tries[first], tries[low]
    if None in (one.memory_bytes, other.memory_bytes) or not other.limit_bytes:
        return None
    slope = (other.memory_bytes - one.memory_bytes) / (low - first)
    return int(low + (share * other.limit_bytes - other.memory_bytes) / slope) if slope > 0 else None


def described(tried: Tried) -> str:
    """Return a try in words."""
    if not tried.ran:
        return f"batch {tried.batch}: does not run ({tried.ending})"
    took = f", {tried.memory_bytes / 2**30:.2f} GiB" if tried.memory_bytes is not None else ""
    of = f", {tried.share:.0%} of the memory" if tried.share is not None else ""
    return f"batch {tried.batch}: runs{took}{of}" + ("" if tried.fits else ", which leaves too little free")
