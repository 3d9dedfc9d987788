"""What a check is, and what it finds.

    SWAP = Check(name="system.swap", asks="is memory swapped out?", look=swap)
    SWAP.look(place)        # warn("3.1 GiB of 8 in use", expected="none in use", way_out="end what holds it")

A finding that is not good says what was found, what was expected and the way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.rig.place import Fact, Place

OK, WARN, FAIL, UNKNOWN = STATUSES = ("ok", "warn", "fail", "unknown")
FILES, NVML, GPU = NEEDS = ("files", "nvml", "gpu")
"""What a check asks: files of the machine alone, NVML, or a GPU, without which it is unknown."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found: a status, the value, and where that is not good what was expected and the way out."""

    status: str
    found: str
    expected: str = ""
    way_out: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES or not self.found:
            raise ValueError(f"{self!r}: expected a status of {', '.join(STATUSES)}, and what was found")
        if self.status in (WARN, FAIL) and not (self.expected and self.way_out):
            raise ValueError(f"{self!r}: expected what was expected, and the way out")


def ok(found: str) -> Finding:
    return Finding(status=OK, found=found)


def warn(found: str, *, expected: str, way_out: str) -> Finding:
    return Finding(status=WARN, found=found, expected=expected, way_out=way_out)


def fail(found: str, *, expected: str, way_out: str) -> Finding:
    return Finding(status=FAIL, found=found, expected=expected, way_out=way_out)


def unknown(why: str | Fact, *, way_out: str = "") -> Finding:
    """Return the finding of a check that could not be made, with the reason."""
    return Finding(status=UNKNOWN, found=why.why_not if isinstance(why, Fact) else why, way_out=way_out)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A question, and the function that looks. `name` begins with its topic; `load`: it heats the GPUs.

    Checks of level 1 share a child process with others of their topic; later ones have one of their own.
    """

    name: str
    asks: str
    look: Callable[[Place], Finding]
    level: int = 1
    limit_s: float = 15.0
    needs: str = FILES
    load: bool = False

    @property
    def topic(self) -> str:
        return self.name.partition(".")[0]
