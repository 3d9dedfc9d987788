"""All checks, in the order in which they are made: what is cheap first, and within a level by topic."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from benchmark.rig.checks import capability, disk, driver, gpus, kernels, system, work
from benchmark.rig.checks.check import Check

CHECKS: tuple[Check, ...] = (
    *system.CHECKS,
    *disk.CHECKS,
    *driver.CHECKS,
    *capability.CHECKS,
    *gpus.CHECKS,
    *kernels.CHECKS,
    *work.CHECKS,
)
TOPICS = tuple(dict.fromkeys(check.topic for check in CHECKS))


def chosen(level: int, only: Sequence[str] = ()) -> list[Check]:
    """Return the checks up to a level; or those that are named, or of a topic that is named, whatever their level.

    Raises:
        ValueError: there is no check and no topic of a name.
    """
    names = [check.name for check in CHECKS]
    for name in only:
        if name not in (*names, *TOPICS):
            near = get_close_matches(name, [*names, *TOPICS], 1, 0.5)
            there = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"no check {name!r:.60}; {there}--list names all of them")
    if only:
        return [check for check in CHECKS if check.name in only or check.topic in only]
    return [check for check in CHECKS if check.level <= level]
