"""Is one rig faster than another, by how much, and is that more than chance?

    pairs = compare(at_common_levels([judge(runs_of_one)[0], judge(runs_of_other)[0]], question))
    pairs[0].time.value, pairs[0].verdict, pairs.to_frame()

For every pair and quantity the ratio of geometric means with its 95% interval; for time to accuracy Welch's test on
logarithms, its p adjusted by Holm over everything that is compared in one call (the intervals are each pair's own).
At least two runs a side; the verdict says what they can tell, and if they cannot tell, how many runs more would
resolve a difference of 5%.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from benchmark.judge.cost import Terms, rig_costs
from benchmark.judge.estimates import Ratio, holm, runs_to_resolve, welch
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group
from benchmark.judge.question import COMPARED, JudgeError, Question, level_name
from benchmark.record import Run
from benchmark.tables import Table

ALPHA = 0.05
RESOLVED = 1.05  # a ratio
QUANTITIES = ("time", "epochs", "seconds_per_epoch", "throughput", "cost")
WORDS = {
    "time": "time to accuracy",
    "epochs": "epochs to target",
    "seconds_per_epoch": "seconds an epoch",
    "throughput": "utterances/s",
    "cost": "cost of a training",
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two groups at one level: first over second in each of QUANTITIES; `p` is adjusted. None is not known."""

    first: str
    second: str
    metric: str
    percent: float
    ratios: dict[str, Ratio | None]
    p: float | None
    more_runs: int | None
    reason: str = ""

    @property
    def level(self) -> str:
        return level_name(self.metric, self.percent)

    def fields(self) -> dict[str, object]:
        """Return the columns of a table: a ratio and its interval for each quantity."""
        found: dict[str, object] = {"first": self.first, "second": self.second, "metric": self.metric}
        found["level_percent"] = self.percent
        for name, ratio in self.ratios.items():
            bounds = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
            found |= dict(zip((f"{name}_ratio", f"{name}_low", f"{name}_high"), bounds, strict=True))
        return {**found, "p": self.p, "more_runs": self.more_runs, "verdict": self.verdict}

    @property
    def differs(self) -> bool:
        return self.p is not None and self.p < ALPHA

    @property
    def verdict(self) -> str:
        """Say in a sentence whether the two differ."""
        level, pair, time = self.level, f"{self.first} and {self.second}", self.time
        if time is None:
            return f"{pair} at {level}: no comparison: {self.reason}"
        if self.p is None:
            return (
                f"{pair} at {level}: ratio {time.value:.3f}, but single runs, or runs all alike, tell nothing of chance"
            )
        if self.differs:
            fast, slow = (self.first, self.second) if time.value < 1 else (self.second, self.first)
            ratio = time if time.value < 1 else time.inverse
            return (
                f"{fast} is faster than {slow} to {level}: {_less(ratio.value)} less time "
                f"({_less(ratio.high)} to {_less(ratio.low)}; Holm-adjusted p = {self.p:.2g})"
            )
        gap = f"ratio {time.value:.3f} ({time.low:.3f} to {time.high:.3f}; Holm-adjusted p = {self.p:.2g})"
        if self.more_runs:
            way_out = f"{self.more_runs} more runs each would resolve {RESOLVED - 1:.0%}"
        else:
            way_out = f"these runs would have shown a difference of {RESOLVED - 1:.0%} four times in five"
        return f"{pair} are not distinguishable at {level}: {gap}; {way_out}"

    @property
    def time(self) -> Ratio | None:
        return self.ratios["time"]


def _less(ratio: float) -> str:
    return f"{1 - ratio:.1%}"


def compare(groups: Sequence[Group], *, terms: Terms | None = None) -> Listing[Pair]:
    """Compare every pair of groups at every level, level by level; p values are adjusted over all of them."""
    levels, couples = range(len(groups[0].levels)), list(combinations(groups, 2))
    alpha = ALPHA / max(1, len(levels) * len(couples))  # of the strictest of Holm's steps
    pairs = [_pair(a, b, number, terms or Terms(), alpha) for number in levels for a, b in couples]
    return Listing(replace(pair, p=p) for pair, p in zip(pairs, holm([pair.p for pair in pairs]), strict=True))


def _pair(first: Group, second: Group, number: int, terms: Terms, alpha: float) -> Pair:
    levels = first.levels[number], second.levels[number]
    values = [_values(group, number, terms) for group in (first, second)]
    ratios = {name: _ratio(values[0][name], values[1][name]) for name in QUANTITIES}
    if len({cost.currency for g in (first, second) for cost in rig_costs([g], terms, level=number)}) > 1:
        ratios["cost"] = None
    missed = [
        f"{group.label} reached it in {level.reached} of {len(level.seconds)} runs"
        for group, level in zip((first, second), levels, strict=True)
        if level.reached < len(level.seconds)
    ]
    needed = runs_to_resolve(values[0]["time"], values[1]["time"], ratio=RESOLVED, alpha=alpha)
    return Pair(
        first=first.label,
        second=second.label,
        metric=levels[0].metric,
        percent=levels[0].percent,
        ratios=ratios,
        p=ratios["time"].p if ratios["time"] else None,
        more_runs=max(0, needed - min(len(first.runs), len(second.runs))) if needed else None,
        reason="; ".join(missed),
    )


def _values(group: Group, number: int, terms: Terms) -> dict[str, tuple[float, ...]]:
    """Return each quantity's value in every run; empty if one is not known."""
    level = group.levels[number]
    times = level.all_minutes or ()
    (cost,) = rig_costs([group], terms, level=number)
    rates = [record.utterances_per_s for record in group.records]
    scale = cost.cost / level.minutes if cost.cost and level.minutes else None
    found = {
        "time": times,
        "epochs": level.epochs,
        "seconds_per_epoch": [record.seconds_per_epoch for record in group.records],
        "throughput": rates,
        "cost": [minutes * scale for minutes in times] if scale else (),
    }
    return {name: tuple(values) if all(values) else () for name, values in found.items()}


def _ratio(first: tuple[float, ...], second: tuple[float, ...]) -> Ratio | None:
    return welch(first, second) if first and second else None


def halves(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Split runs into two halves, alternating in the order of their seeds."""
    ordered = sorted(runs, key=lambda run: (run.identity.seed, run.identity.run))
    return ordered[::2], ordered[1::2]


def comparison_parts(pairs: Sequence[Pair]) -> list[str | Table]:
    """Return a table of ratios for every level, then the verdicts."""
    parts: list[str | Table] = []
    for metric, level in dict.fromkeys((pair.metric, pair.percent) for pair in pairs):
        block = [pair for pair in pairs if (pair.metric, pair.percent) == (metric, level)]
        rows = tuple((f"{p.first} / {p.second}", *(_ratio_cell(p.ratios[name]) for name in QUANTITIES)) for p in block)
        title = f"{level_name(metric, level)}: first over second, with 95% intervals"
        parts.append(Table(title, ("pair", *(WORDS[name] for name in QUANTITIES)), rows))
    return [*parts, "Verdicts:\n" + "\n".join(f"- {pair.verdict}" for pair in pairs)]


def _ratio_cell(ratio: Ratio | None) -> str:
    if ratio is None:
        return "NA"
    return f"{ratio.value:.3f}" + (f" ({ratio.low:.3f} to {ratio.high:.3f})" if ratio.low is not None else "")


def at_common_levels(groups: list[Group], question: Question) -> list[Group]:
    """Keep the level that is to be compared: those asked for, or else the hardest that all runs reached.

    Raises:
        JudgeError: the groups do not learn the same, or have no level in common.
    """
    for name in COMPARED:
        values = {getattr(group.runs[0].identity, name) for group in groups}
        if len(values) > 1:
            raise JudgeError(
                f"{name} is {' and '.join(map(repr, sorted(map(str, values))))}; expected runs that learn the same"
            )
    if question.levels:
        return groups
    common = set.intersection(*({level.percent for level in group.levels} for group in groups))
    reached = [
        asked
        for asked in common
        if all(level.reached == len(level.seconds) for g in groups for level in g.levels if level.percent == asked)
    ]
    if not (reached or common):
        raise JudgeError("the runs have no level in common; name one with --level")
    chosen = min(reached) if reached else max(common)
    return [replace(g, levels=tuple(level for level in g.levels if level.percent == chosen)) for g in groups]
