"""What rigs that are compared have in common: what they learn, and a level.

unlike(groups)                              # ["recipe"]: the fields in which they learn something else
hardest_common_level(groups, "wer")         # 22.0
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.judge.groups import Group, Level
from benchmark.judge.question import COMPARED


def unlike(groups: Sequence[Group]) -> list[str]:
    """Return the fields in which groups learn something else; none if they may be compared."""
    return [name for name in COMPARED if len({getattr(group.runs[0].identity, name) for group in groups}) > 1]


def hardest_common_level(groups: Sequence[Group], metric: str | None = None) -> float | None:
    """Return the hardest level that all runs reached, else that the medians of most groups did, else the easiest."""

    def found(group: Group) -> dict[float, Level]:
        return {level.percent: level for level in group.levels if metric in (None, level.metric)}

    by_group = [found(group) for group in groups]
    common = set.intersection(*map(set, by_group)) if by_group else set()
    if not common:
        return None

    def rank(percent: float) -> tuple:
        levels = [levels[percent] for levels in by_group]
        whole = all(level.reached == len(level.seconds) for level in levels)
        return whole, sum(level.minutes is not None for level in levels), -percent

    best = max(common, key=rank)
    return best if rank(best)[1] else max(common)
