"""Rigs over many levels at once: a performance profile, and whether the order of rigs depends on the level.

    profile = profile_of(groups, question)
    profile.within(1.1), profile.score          # by rig: the share of levels within 10% of the best, and one figure
    profile.leaders, profile.agreement          # who is first at each level, and how alike the orders are

Time to one level decides ranks by chance: of MLPerf's speech runs it varies by 2.1% at WER 6.5 and by 4.1% at 5.8. A
profile looks at LEVELS of them, evenly spaced in the logarithm of the error, from the easiest at which rigs differ to
the hardest that all rigs reached. A rig's share at a factor is that of levels at which it took at most that many times
the best rig's time; its score is the mean share from 1 to MOST.

Source: E. D. Dolan and J. J. More, Mathematical Programming 91 (2002), used as by AlgoPerf (G. E. Dahl and others,
arXiv 2306.07179, section 4.2), which takes workloads where this takes levels. Agreement is Kendall's tau.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from benchmark.judge.groups import Group, minutes_to
from benchmark.judge.question import Question, level_name
from benchmark.tables import Table, number

LEVELS = 20
FACTORS = (1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0)
MOST = 4.0  # AlgoPerf's


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Minutes of every rig to every level: minutes[rig][level]; None is not reached. Levels from easy to hard."""

    metric: str
    levels: tuple[float, ...]
    labels: tuple[str, ...]
    minutes: tuple[tuple[float | None, ...], ...]

    @property
    def ratios(self) -> list[list[float]]:
        """Return each rig's time over the best at every level; infinity if it did not get there."""
        best = [
            min((m for m in column if m is not None), default=math.nan) for column in zip(*self.minutes, strict=True)
        ]
        return [[math.inf if m is None else m / b for m, b in zip(row, best, strict=True)] for row in self.minutes]

    def within(self, factor: float) -> list[float]:
        """Return each rig's share of levels at which it took at most `factor` times the best time."""
        return [sum(ratio <= factor * (1 + 1e-12) for ratio in row) / len(row) for row in self.ratios]

    @property
    def score(self) -> list[float]:
        """Return each rig's mean share over factors from 1 to MOST: 1 if it is the best at every level."""
        return [
            sum(max(0.0, MOST - max(1.0, ratio)) for ratio in row if ratio <= MOST) / (MOST - 1) / len(row)
            for row in self.ratios
        ]

    @property
    def leaders(self) -> list[str]:
        """Return the rig that is first at each level."""
        return [
            self.labels[column.index(min((m for m in column if m is not None), default=None))]
            for column in zip(*self.minutes, strict=True)
        ]

    @property
    def agreement(self) -> float | None:
        """Return the mean of Kendall's tau between the order at the hardest level and that at each other one.

        1 is one order at all levels, -1 the reverse; None for a single level.
        """
        columns = list(zip(*self.minutes, strict=True))
        if len(columns) < 2:
            return None
        found = [_tau(column, columns[-1]) for column in columns[:-1]]
        return sum(found) / len(found)


def _tau(first: Sequence[float | None], second: Sequence[float | None]) -> float:
    values = [[math.inf if m is None else m for m in column] for column in (first, second)]
    signs = [
        _sign(values[0][a], values[0][b]) * _sign(values[1][a], values[1][b])
        for a, b in combinations(range(len(first)), 2)
    ]
    return sum(signs) / len(signs)


def _sign(one: float, other: float) -> int:
    return (one > other) - (one < other)


def profile_of(groups: Sequence[Group], question: Question) -> Profile | None:
    """Return the profile of measured rigs over the levels that they have in common; None if there are under two."""
    measured = [group for group in groups if group.runs and not group.emulated]
    metric = question.metrics[0]
    levels = question.levels or _grid(measured, metric, question.window)
    if len(measured) < 2 or len(levels) < 2:
        return None
    levels = tuple(sorted(levels, reverse=True))
    asked = replace(question, metrics=(metric,), levels=levels)
    return Profile(
        metric=metric,
        levels=levels,
        labels=tuple(group.label for group in measured),
        minutes=tuple(minutes_to(group, asked) for group in measured),
    )


def _grid(groups: Sequence[Group], metric: str, window: int) -> tuple[float, ...]:
    """Return levels evenly spaced in the logarithm of the error, between what all runs began and ended with."""
    firsts, bests = [], []
    for record in (record for group in groups for record in group.records):
        medians = [m for m in record.medians(metric, window=window) if m == m]
        if medians:
            firsts.append(min(100.0, medians[0]))
            bests.append(min(medians))
    if not bests or max(bests) <= 0 or max(bests) >= min(firsts):
        return ()
    high, low = math.log(min(firsts)), math.log(max(bests))
    found = [math.exp(high + (low - high) * n / (LEVELS - 1)) for n in range(LEVELS)]
    return tuple(dict.fromkeys([*(float(f"{level:.4g}") for level in found[:-1]), max(bests)]))


def profile_parts(groups: Sequence[Group], question: Question) -> list[str | Table]:
    """Return the profile as a table and a sentence on the order of rigs; nothing if there is none."""
    profile = profile_of(groups, question)
    if profile is None:
        return []
    return [profile_table(profile), stability(profile)]


def profile_table(profile: Profile) -> Table:
    shares = [profile.within(factor) for factor in FACTORS]
    leads = Counter(profile.leaders)
    rows = tuple(
        (label, str(leads[label]), *(f"{share[n]:.0%}" for share in shares), f"{profile.score[n]:.3f}")
        for n, label in enumerate(profile.labels)
    )
    ends = [level_name(profile.metric, round(percent, 2)) for percent in (profile.levels[0], profile.levels[-1])]
    levels = f"{len(profile.levels)} levels from {ends[0]} to {ends[1]}"
    title = f"Over {levels}: share of them at which a rig is within a factor of the best"
    header = ("platform", "first at", *(f"x {factor:g}" for factor in FACTORS), "score")
    return Table(title, header, rows)


def stability(profile: Profile) -> str:
    """Say whether the order of rigs depends on the level."""
    leads = Counter(profile.leaders)
    leader, times = leads.most_common(1)[0]
    count = len(profile.levels)
    if times == count:
        return f"The order does not hang on the level: {leader} is first at all {count}."
    others = ", ".join(f"{label} at {n}" for label, n in leads.most_common()[1:])
    changes = [
        f"{level_name(profile.metric, round(level, 2))} ({after})"
        for level, before, after in zip(profile.levels[1:], profile.leaders, profile.leaders[1:], strict=False)
        if before != after
    ]
    tau = profile.agreement
    return (
        f"The order hangs on the level: {leader} is first at {times} of {count}, {others}; it changes at "
        f"{', '.join(changes[:4])}{' and others' * (len(changes) > 4)}. Orders agree with that at the hardest level by "
        f"a Kendall's tau of {number(tau)} on the average (1: one order)."
    )
