"""The guard: are a group's epochs to a level fewer than the reference of convergence allows, or many more?

    for against in held(group, question):       # one for each level; a str says why there are none
        against.epochs, against.reference, against.least, against.p_few, against.luck
    doubts(group, question)                     # a sentence where they are too few, or many more
    parts(groups, question)                     # a table, and why some groups are held against nothing

What trains in fewer epochs than all who train the same is no faster rig: it has seen the dev set, evaluates on less,
normalises text or features otherwise, or its seed was chosen. MLPerf refuses such submissions by its reference
convergence points; here they are marked, and nothing is refused.

Utterances to a level are read where the median error crosses it between two evaluations, so that the grid of whole
epochs is no part of the question. Their logarithms are taken as normal, with the reference's spread s: the mean of n
runs beside the mean of m of the reference is Student's t with m - 1 degrees of freedom, by s^2 (1/n + 1/m). As runs
are rarely many, s is at least what the step between two evaluations leaves open. P values of a group's levels are
adjusted by Hochberg's procedure, so that at most 1% of honest groups are marked at any level.

Between two batches of the reference the mean is on a line through logarithms of batch and utterances. How the curve
bends between is not known, so the line's distance from the nearer end's level, w (1 - w) |difference|, is one standard
deviation more. Outside the reference's batches nothing is said, nor where a reference run missed the level, or was
there at the first median that there is: no run can be sooner.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from benchmark.judge.estimates import hochberg, spread, student_t, upper_tail
from benchmark.judge.groups import Group, Level
from benchmark.judge.question import Question
from benchmark.judge.reference import (
    COMPARED,
    Convergence,
    ConvergenceError,
    convergence_of,
    differs,
    read_reference,
)
from benchmark.metrics import USUAL
from benchmark.tables import Table, cell, number

ALPHA = 0.01  # of a group's levels together
LEAST_RUNS = 3  # of the reference: with fewer their spread is a guess
DRAWS = 10_000
TOO_FEW = "too few"
TOO_MANY = "many"
AS_EXPECTED = "as expected"


@dataclass(frozen=True)
class Side:
    """Logarithms of the reference's utterances to a level at one batch, and the weight of their mean."""

    logs: tuple[float, ...]
    variance: float
    weight: float = 1.0

    @classmethod
    def of(cls, utterances: Sequence[float], *, step: float, weight: float = 1.0) -> Side:
        """Make a side of LEAST_RUNS runs or more; `step` is the share of a value between two evaluations."""
        logs = tuple(map(math.log, utterances))
        return cls(logs, spread(logs, step), weight)


@dataclass(frozen=True)
class Law:
    """What the reference says of the mean of n runs: of one batch, or between two, whose weights add up to 1."""

    sides: tuple[Side, ...]

    @property
    def mean(self) -> float:
        """Return the mean logarithm that is expected."""
        return sum(side.weight * statistics.fmean(side.logs) for side in self.sides)

    def error(self, runs: int) -> tuple[float, float]:
        """Return the standard error of the mean of `runs` runs less the reference's, and its degrees of freedom.

        Terms of several sides add up as Satterthwaite has it.
        """
        terms = [s.variance * (s.weight / runs + s.weight**2 / len(s.logs)) for s in self.sides]
        bend = 0.0
        if len(self.sides) > 1:
            low, high = (statistics.fmean(side.logs) for side in self.sides)
            bend = self.sides[0].weight * self.sides[1].weight * (high - low)
        total = sum(terms) + bend**2
        inverse = sum(term**2 / (len(s.logs) - 1) for term, s in zip(terms, self.sides, strict=True))
        return math.sqrt(total), total**2 / inverse

    def few(self, utterances: Sequence[float]) -> float:
        """Return the probability that the mean of so many honest runs is as low."""
        error, freedom = self.error(len(utterances))
        return upper_tail((self.mean - statistics.fmean(map(math.log, utterances))) / error, freedom)

    def least(self, runs: int) -> float:
        """Return the geometric mean of runs below which ALPHA of honest ones are."""
        error, freedom = self.error(runs)
        return math.exp(self.mean - student_t(freedom, 1 - ALPHA) * error)

    def most(self, runs: int) -> float:
        """Return the geometric mean of runs above which ALPHA of honest ones are."""
        return math.exp(2 * self.mean) / self.least(runs)

    def luck(self, utterances: Sequence[float]) -> float:
        """Return the share of DRAWS, each of as many runs of the reference with replacement, whose mean is as low.

        Between two batches the deviations of both from their means are drawn from.
        """
        pool = [log - statistics.fmean(side.logs) for side in self.sides for log in side.logs]
        runs, seen = len(utterances), sum(map(math.log, utterances)) - len(utterances) * self.mean + 1e-9
        drawn = random.Random(58).choices(pool, k=runs * DRAWS)
        return sum(sum(drawn[n : n + runs]) <= seen for n in range(0, len(drawn), runs)) / DRAWS


@dataclass(frozen=True, kw_only=True)
class Against:
    """A group's epochs to a level beside the reference's; `reason` says why there is no more, where `law` is None.

    `epochs` is the geometric mean over the `utterances` of the group's n curves, at least so many where one was not
    seen to get there (`all_reached` is false). P values are adjusted over the levels of the group.
    """

    group: Group
    level: Level
    samples: int
    utterances: tuple[float, ...] = ()
    all_reached: bool = True
    batches: tuple[int, ...] = ()
    reference_runs: int = 0
    law: Law | None = None
    p_few: float = 1.0
    p_many: float = 1.0
    reason: str = ""

    @property
    def epochs(self) -> float | None:
        return self._in_epochs(math.exp(statistics.fmean(map(math.log, self.utterances)))) if self.utterances else None

    @property
    def reference(self) -> float | None:
        """Return the epochs that the reference takes, their geometric mean."""
        return self._in_epochs(math.exp(self.law.mean)) if self.law else None

    @property
    def least(self) -> float | None:
        """Return the fewest epochs that the reference allows, by this level alone."""
        return self._in_epochs(self.law.least(len(self.utterances))) if self.law else None

    @property
    def most(self) -> float | None:
        return self._in_epochs(self.law.most(len(self.utterances))) if self.law else None

    def _in_epochs(self, utterances: float) -> float:
        return utterances / self.samples

    @cached_property
    def luck(self) -> float | None:
        """Return the bootstrap probability that so few are luck; None unless they are too few."""
        return self.law.luck(self.utterances) if self.law and self.verdict == TOO_FEW else None

    @property
    def verdict(self) -> str | None:
        """Return TOO_FEW, TOO_MANY or AS_EXPECTED; None without a reference."""
        if self.law is None:
            return None
        if self.p_few < ALPHA:
            return TOO_FEW
        return TOO_MANY if self.p_many < ALPHA else AS_EXPECTED if self.all_reached else None

    def fields(self) -> dict[str, object]:
        """Return the columns of a table for machines, named in FIELDS."""
        known = self.law is not None
        values = (
            self.reference_runs if known else None,
            self.epochs if self.all_reached else None,
            self.reference,
            self.least,
            self.most,
            self.p_few if known and self.all_reached else None,
            self.luck,
            self.verdict,
        )
        return dict(zip(FIELDS, values, strict=True))


FIELDS = (
    "reference_runs",
    "crossing_epochs",
    "reference_epochs",
    "reference_least_epochs",
    "reference_most_epochs",
    "reference_p_few",
    "reference_luck",
    "reference_verdict",
)


def held(group: Group, question: Question) -> list[Against] | str:
    """Hold a group against the reference, level by level; or say why there is none, "" where nobody asks.

    Raises:
        JudgeError: the file of reference runs cannot be used.
    """
    there = [run for run in read_reference(question.reference) if group.runs and _workload(group) == run.workload]
    if not there:
        asked = question.reference and group.runs
        return f"{question.reference} has no run of workload {_workload(group)}" if asked else ""
    if unlike := _unlike_by_journals(group, there):
        return unlike
    try:
        mine = [convergence_of(run) for run in group.runs]
    except ConvergenceError as error:
        return str(error)
    alike = [run for run in there if not any(each.unlike(run) for each in mine)]
    if not alike:
        nearest = min((each.unlike(run) for each in mine for run in there), key=len)
        return f"the reference has no such training: the nearest differs in {', '.join(nearest)}"
    sides = sides_of(mine[0].batch, alike)
    if isinstance(sides, str):
        return sides
    found = [_against(group, level, mine, sides, question.window) for level in group.levels if level.metric in USUAL]
    return _adjusted(found)


def _unlike_by_journals(group: Group, there: Sequence[Convergence]) -> str:
    """Say in what the nearest run of the reference differs by journals alone, which is quick; "" if one does not."""
    journaled = {name: words for name, words in COMPARED.items() if hasattr(group.runs[0].identity, name)}
    nearest: list[str] | None = None
    for run in there:
        pairs = [
            (words, getattr(each.identity, name), getattr(run, name))
            for each in group.runs
            for name, words in journaled.items()
        ]
        differing = dict.fromkeys(differs(*pair) for pair in pairs if pair[1] != pair[2])
        if not differing:
            return ""
        nearest = list(differing) if nearest is None or len(differing) < len(nearest) else nearest
    return f"the reference has no such training: the nearest differs in {', '.join(nearest or ())}"


def by_level(group: Group, question: Question) -> dict[tuple[str, float], dict[str, object]]:
    """Return the columns for machines of a group's levels, by (metric, percent); {} without a reference."""
    found = held(group, question)
    return {} if isinstance(found, str) else {(a.level.metric, a.level.percent): a.fields() for a in found}


def _workload(group: Group) -> str:
    return group.runs[0].identity.workload


Sides = Sequence[tuple[int, float, Sequence[Convergence]]]
"""Batches of the reference, their weights, and their runs."""


def sides_of(batch: int, alike: Sequence[Convergence]) -> Sides | str:
    """Return (batch, weight, runs) of the reference at a batch, or at the two that it is between."""
    by_batch: dict[int, list[Convergence]] = {}
    for run in alike:
        by_batch.setdefault(run.batch, []).append(run)
    enough = {size: runs for size, runs in sorted(by_batch.items()) if len(runs) >= LEAST_RUNS}
    if batch in enough:
        return [(batch, 1.0, enough[batch])]
    if batch in by_batch and len(enough) < 2:
        return f"{len(by_batch[batch])} runs of the reference are alike; expected {LEAST_RUNS} or more"
    low, high = [size for size in enough if size < batch], [size for size in enough if size > batch]
    if not low or not high:
        sizes = ", ".join(map(str, sorted(by_batch)))
        return f"batch {batch} is outside the reference's ({sizes}), and nothing is said there"
    below, above = low[-1], high[0]
    weight = math.log(batch / below) / math.log(above / below)
    return [(below, 1 - weight, enough[below]), (above, weight, enough[above])]


def _against(group: Group, level: Level, mine: Sequence[Convergence], sides: Sides, window: int) -> Against:
    about = Against(
        group=group,
        level=level,
        samples=mine[0].samples,
        batches=tuple(batch for batch, _, _ in sides),
        reference_runs=sum(len(runs) for _, _, runs in sides),
    )
    law = law_of(sides, level.metric, level.percent, window=window)
    if isinstance(law, str):
        return replace(about, reason=law)
    utterances, all_reached = _of_curves(group, level, mine, window)
    return replace(
        about,
        law=law,
        utterances=utterances,
        all_reached=all_reached,
        p_few=_p_few(law, utterances) if all_reached else 1.0,
        p_many=1 - law.few(utterances),
    )


def law_of(sides: Sides, metric: str, percent: float, *, window: int) -> Law | str:
    """Return what the reference says of a level, by its (batch, weight, runs); or why it says nothing."""
    found: list[Side] = []
    for batch, weight, runs in sides:
        crossings = [run.crossing(metric, percent, window=window) for run in runs]
        reached = [crossing for crossing in crossings if crossing is not None]
        if missed := len(runs) - len(reached):
            return f"{missed} of {len(runs)} runs of the reference missed it (batch {batch})"
        if any(crossing.at_first for crossing in reached):
            return f"a run of the reference had it at the first median (batch {batch})"
        values = [crossing.utterances for crossing in reached]
        found.append(Side.of(values, step=runs[0].samples / statistics.fmean(values), weight=weight))
    return Law(tuple(found))


def _p_few(law: Law, utterances: Sequence[float]) -> float:
    """Return the larger p of Student's t and of the bootstrap, which is asked where it matters."""
    p = law.few(utterances)
    return max(p, law.luck(utterances)) if p < ALPHA else p


def _of_curves(group: Group, level: Level, mine: Sequence[Convergence], window: int) -> tuple[tuple[float, ...], bool]:
    """Return the utterances of each curve to a level, or until its last evaluation, and whether all got there."""
    found: dict[int, list[float]] = {}
    all_reached = True
    for curve, each in zip(group.curves, mine, strict=True):
        crossing = each.crossing(level.metric, level.percent, window=window)
        all_reached &= crossing is not None
        found.setdefault(curve, []).append(crossing.utterances if crossing else float(each.utterances[-1]))
    return tuple(math.exp(statistics.fmean(map(math.log, values))) for values in found.values()), all_reached


def _adjusted(found: Sequence[Against]) -> list[Against]:
    few = iter(hochberg([each.p_few for each in found if each.law and each.all_reached]))
    many = iter(hochberg([each.p_many for each in found if each.law]))
    return [
        replace(each, p_few=next(few) if each.all_reached else 1.0, p_many=next(many)) if each.law else each
        for each in found
    ]


# --- in words --------------------------------------------------------------------------------------------------------


def doubts(group: Group, question: Question) -> list[str]:
    """Return a sentence if a group takes too few epochs, and a hint if it takes many more."""
    found = held(group, question)
    if isinstance(found, str):
        return []
    few, many = ([each for each in found if each.verdict == verdict] for verdict in (TOO_FEW, TOO_MANY))
    sentences = []
    if few:
        hardest, others = _hardest(few)
        sentences.append(
            f"fewer epochs than the reference of convergence allows: {'; '.join(map(_too_few, hardest))}{others}. "
            f"{_by_what(few[0])}: as if it had seen the evaluated set, learnt or evaluated other data or text, or its "
            f"seed were chosen: look there before you publish{_replicas(group, few[0], question)}"
        )
    if many:
        hardest, others = _hardest(many)
        sentences.append(
            f"a hint: more epochs than the reference of convergence takes: {'; '.join(map(_many, hardest))}{others}. "
            f"{_by_what(many[0])}: a setting, software or arithmetic may be other than meant"
            f"{_replicas(group, many[0], question)}"
        )
    return sentences


def _hardest(found: Sequence[Against]) -> tuple[list[Against], str]:
    """Return the hardest level of each metric, and the names of the others in words."""
    hardest = list({each.level.metric: each for each in found}.values())  # the last of each: easy levels come first
    others = ", ".join(each.level.name for each in found if each not in hardest)
    return hardest, f"; also {others}" * bool(others)


def _too_few(each: Against) -> str:
    luck = f"a draw from it is as low in {each.luck:.2%}" if each.luck else f"none of {DRAWS:,} draws from it is as low"
    return (
        f"{each.level.name} after {number(each.epochs)}, {number(each.least - each.epochs)} fewer than the "
        f"{number(each.least)} allowed (the reference takes {number(each.reference)}; p = {each.p_few:.1g}; {luck})"
    )


def _many(each: Against) -> str:
    more = "" if each.all_reached else "more than "
    return f"{each.level.name} after {more}{number(each.epochs)}, where {number(each.most)} are the most that is usual"


def _by_what(each: Against) -> str:
    batches = " and ".join(map(str, each.batches))
    runs = len(each.utterances)
    where = f"batch {batches}" if len(each.batches) == 1 else f"batches {batches}, and between them"
    return (
        f"One-sided t test of {runs} run{'s' * (runs != 1)} beside {each.reference_runs} of the reference ({where}), "
        f"p under {ALPHA:g} over all levels, at the interpolated crossing"
    )


def _replicas(group: Group, each: Against, question: Question) -> str:
    """Say that replicas differ, each of which normalises by its own share of a batch."""
    there = {run.replicas for run in read_reference(question.reference) if run.batch in each.batches}
    mine = group.runs[0].identity.replicas
    if mine in there:
        return ""
    return f" (its replicas are {mine}, the reference's {', '.join(map(str, sorted(there)))})"


def parts(groups: Sequence[Group], question: Question) -> list[str | Table]:
    """Return a table of groups of one workload beside the reference, and why others are not in it, each reason once."""
    rows: list[tuple[str, ...]] = []
    reasons: dict[str, list[str]] = {}
    for group in groups:
        found = held(group, question) if group.runs else ""
        if isinstance(found, str):
            if found:
                reasons.setdefault(found, []).append(group.label)
            continue
        for each in found:
            if each.law is None:
                reasons.setdefault(each.reason, []).append(f"{group.label} at {each.level.name}")
                continue
            rows.append(
                (
                    group.label,
                    each.level.name,
                    number(each.epochs) if each.all_reached else f"over {number(each.epochs)}",
                    number(each.reference),
                    f"{number(each.least)} to {number(each.most)}",
                    str(each.reference_runs),
                    cell(each.p_few if each.all_reached else None, ".2g"),
                    each.verdict or "not there",
                )
            )
    header = ("platform", "level", "epochs", "reference", "allowed alone", "its runs", "p so few", "verdict")
    title = f"{groups[0].workload}: epochs to the interpolated crossing, beside the reference of convergence"
    shown: list[str | Table] = [Table(title, header, tuple(rows))] if rows else []
    if reasons:
        lines = (f"- {', '.join(labels)}: {reason}" for reason, labels in reasons.items())
        shown.append("\n".join([f"{groups[0].workload}: not held against the reference of convergence:", *lines]))
    return shown
