"""Whose merit is a difference in time: of the steps that training takes, of how long a step is, or of the rest?

    merit = merit_of(first, second, place, question)
    merit.sentence      # "B is 1.31 times sooner than A to WER 22: 2.4 times fewer steps, each 1.8 times as long ..."
    merit.time, merit.parts["amount"], merit.parts["pace"], merit.parts["rest"]     # Part: first over second

A time to accuracy is a product of three: the *amount* (steps; utterances where batches are known and differ; epochs
where a log has no steps), the *pace* (seconds of training for each of them), and the *rest*, everything over training
alone: evaluation, saving, creation. On logarithms the parts of each run add up exactly, so the ratio of two groups'
geometric means is the product of the parts' ratios. Each has an interval of its own, by Welch's t.

The amount belongs to the recipe (optimiser, batch, seed), the pace to machine and framework; neither is told by the
time. Where runs missed the level the amount is compared by censored values (`benchmark.judge.censored`), and if under
two of a group got there it has a bound alone: every run took more than it was seen to take. Pace and rest are known
of every run, up to its last evaluation. Then it is said what the other's amount would have taken, and how the errors
compare at equal amounts. What logs do not say (steps, where evaluation is) leaves a part open, with its reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from benchmark.judge import censored
from benchmark.judge.censored import Times
from benchmark.judge.estimates import Ratio, welch
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level, record_of
from benchmark.judge.question import JudgeError, Question, level_name, metric_name
from benchmark.record import Row, Run, RunRecord
from benchmark.tables import Table, duration

MUST_AGREE = ("workload", "emulated")
MAY_DIFFER = ("variant", "recipe", "batch", "precision", "features", "decoder", "replicas", "machines", "code")
PARTS = ("amount", "pace", "rest")
UNITS = {"steps": "step", "utterances": "utterance", "epochs": "epoch"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """First over second in one factor. Without `ratio` it is open: `bound` is then the least or the most it can be.

    `bound` has an interval whose end on the open side is infinite or 0.
    """

    ratio: Ratio | None = None
    bound: Ratio | None = None
    reason: str = ""

    @property
    def is_told(self) -> bool:
        """Whether the interval leaves 1 out."""
        found = self.ratio or self.bound
        if found is None or found.low is None or found.high is None:
            return False
        return not found.low <= 1 <= found.high

    @property
    def leaves_order_open(self) -> bool:
        """Whether the bound is on the far side of 1: "at most 2 times as long" does not say who is sooner."""
        found = self.bound
        return found is not None and (found.value >= 1 if found.low == 0 else found.value <= 1)

    @property
    def inverse(self) -> Part:
        return Part(
            ratio=self.ratio and self.ratio.inverse, bound=self.bound and _inverse(self.bound), reason=self.reason
        )

    @property
    def cell(self) -> str:
        """The part in a table: "1.800 (1.700 to 1.906)", "> 0.500", "open"."""
        if self.ratio:
            return f"{_digits(self.ratio.value)}{_between(self.ratio)}"
        if self.bound:
            return f"{'<' if self.bound.low == 0.0 else '>'} {_digits(self.bound.value)}"
        return "open"


@dataclass(frozen=True, kw_only=True)
class Merit:
    """The ratio of two groups' times to one level, first over second, and its parts. `unit` is that of the amount."""

    first: str
    second: str
    metric: str
    percent: float
    unit: str
    n: tuple[int, int]
    time: Part
    parts: dict[str, Part]
    remarks: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        return level_name(self.metric, self.percent)

    @property
    def inverse(self) -> Merit:
        return Merit(
            first=self.second,
            second=self.first,
            metric=self.metric,
            percent=self.percent,
            unit=self.unit,
            n=(self.n[1], self.n[0]),
            time=self.time.inverse,
            parts={name: part.inverse for name, part in self.parts.items()},
            remarks=self.remarks,
        )

    @property
    def sentence(self) -> str:
        """Say in one sentence who is sooner and by which parts; open parts with their reasons."""
        found = self.time.ratio or self.time.bound
        if found is None:
            return f"{self.first} and {self.second} to {self.level}: open, {self.time.reason}; {self._of_parts()}."
        if self.time.ratio is None and self.time.leaves_order_open:
            side = "most" if found.low == 0 else "least"
            return (
                f"Whether {self.first} or {self.second} is sooner to {self.level} is open: {self.first} takes at "
                f"{side} {_digits(found.value)} times as long{_between(found)} ({self.time.reason}); "
                f"{self._of_parts()}."
            )
        if found.value > 1:
            return self.inverse.sentence
        least = "at least " * (self.time.ratio is None)
        told = "" if self.time.is_told else ", which is not told apart"
        return (
            f"{self.first} is {least}{_digits(1 / found.value)} times sooner than {self.second} to "
            f"{self.level}{_between(_inverse(found))}{told}: {self._of_parts()}."
        )

    def _of_parts(self) -> str:
        words: list[str] = []
        for name, part in self.parts.items():
            ratio = part.ratio or part.bound
            if ratio is None:
                words.append(f"{self.name_of(name)} open ({part.reason})")
                continue
            less = ratio.value < 1
            factor = f"{_digits(1 / ratio.value if less else ratio.value)} times"
            between = _between(_inverse(ratio) if less else ratio)
            if part.ratio is None:
                side = "at most" if ratio.low == 0 else "at least"
                words.append(
                    f"{self.unit} open, {side} {_digits(ratio.value)} times as many{_between(ratio)} ({part.reason})"
                )
                continue
            said = {
                "amount": f"{factor} {f'fewer {self.unit}' if less else f'as many {self.unit}'}{between}",
                "pace": f"each {factor} as {'short' if less else 'long'}{between}",
                "rest": f"evaluation and the rest make it {factor} {'shorter' if less else 'longer'}{between}",
            }[name]
            words.append(said if part.is_told else f"{said}, not told from 1")
        return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]

    def name_of(self, part: str) -> str:
        """Return a part's name: "steps", "seconds a step", "evaluation and the rest"."""
        one = UNITS[self.unit]
        article = "an" if one[0] in "aeiou" else "a"
        return {"amount": self.unit, "pace": f"seconds {article} {one}", "rest": "evaluation and the rest"}[part]

    def fields(self) -> dict[str, object]:
        """Return the columns of a table."""
        found: dict[str, object] = {"first": self.first, "second": self.second, "metric": self.metric}
        found |= {"level_percent": self.percent, "first_n": self.n[0], "second_n": self.n[1], "unit": self.unit}
        for name, part in {"time": self.time, **{name: self.parts.get(name, Part()) for name in PARTS}}.items():
            ratio = part.ratio
            values = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
            found |= dict(zip((f"{name}_ratio", f"{name}_low", f"{name}_high"), values, strict=True))
            found |= {f"{name}_bound": part.bound.value if part.bound and not ratio else None}
            found |= {f"{name}_told": part.is_told}
        return {**found, "sentence": self.sentence, "remarks": " ".join(self.remarks)}


@dataclass(frozen=True)
class _Training:
    """What one training took to a level, or was seen to take without reaching it."""

    reached: bool
    amount: float
    train_s: float
    total_s: float
    step: float  # the share of it that lies after the evaluation before


def merits(groups: Sequence[Group], question: Question) -> Listing[Merit]:
    """Return the merit of every pair of groups at every level.

    Raises:
        JudgeError: the groups learn different workloads, or emulated and real ones are mixed.
    """
    check_comparable(groups)
    places = range(len(groups[0].levels))
    return Listing(merit_of(a, b, n, question) for n in places for a, b in combinations(groups, 2))


def check_comparable(groups: Sequence[Group]) -> None:
    """Raise JudgeError unless groups learn one workload. Recipes may differ: whose merit that is, is the question."""
    for name in MUST_AGREE:
        values = sorted({str(getattr(group.runs[0].identity, name)) for group in groups})
        if len(values) > 1:
            raise JudgeError(f"{name} is {' and '.join(map(repr, values))}; expected runs of one workload")


def merit_of(first: Group, second: Group, place: int, question: Question) -> Merit:
    """Split the ratio of two groups' times to one of their levels, first over second."""
    groups, level = (first, second), first.levels[place]
    runs = [run for group in groups for run in group.runs]
    unit, timed = _unit(groups), all(run.knows("evaluation") for run in runs)
    about: dict[str, Any] = {
        "first": first.label,
        "second": second.label,
        "metric": level.metric,
        "percent": level.percent,
        "n": (first.n, second.n),
    }
    samples = [_trainings(group, level.metric, level.percent, question, unit or "epochs") for group in groups]
    if not all(samples):
        reason = f"no run of {groups[0 if not samples[0] else 1].label} has an evaluation"
        nothing = {name: Part(reason=reason) for name in PARTS if name != "rest" or question.clock != "train"}
        return Merit(**about, unit=unit or "epochs", time=Part(reason=reason), parts=nothing)
    time = _censored([[(t.total_s, t.reached, t.step) for t in side] for side in samples], groups)
    parts: dict[str, Part] = {}
    if unit is None:
        reason = "the logs say neither steps nor epochs"
        parts = {"amount": Part(reason=reason), "pace": Part(reason=reason)}
    else:
        parts["amount"] = _censored([[(t.amount, t.reached, t.step) for t in side] for side in samples], groups)
        seconds = "train_s" if timed else "total_s"
        parts["pace"] = Part(ratio=welch(*([getattr(t, seconds) / t.amount for t in side] for side in samples)))
    if question.clock != "train":
        parts["rest"] = (
            Part(ratio=welch(*([t.total_s / t.train_s for t in side] for side in samples)))
            if timed
            else Part(reason="a log does not say how long evaluation took; it is in the seconds of the others")
        )
    remarks = _remarks(groups, samples, unit, level, question)
    return Merit(**about, unit=unit or "epochs", time=time, parts=parts, remarks=remarks)


# --- what a run took -------------------------------------------------------------------------------------------------


def _unit(groups: Sequence[Group]) -> str | None:
    """Return in what the amount of training is counted; None if the logs say neither steps nor epochs."""
    runs = [run for group in groups for run in group.runs]
    if not all(run.knows("steps") for run in runs):
        return "epochs" if all(run.knows("epochs") for run in runs) else None
    batches = {run.identity.batch for run in runs}
    return "utterances" if len(batches) > 1 and 0 not in batches else "steps"


def _trainings(group: Group, metric: str, percent: float, question: Question, unit: str) -> list[_Training]:
    """Return what each training took: runs of one error curve are one, with geometric means."""
    by_curve: dict[int, list[_Training]] = {}
    for run, curve in zip(group.runs, group.curves, strict=True):
        if found := _training(run, metric, percent, question, unit):
            by_curve.setdefault(curve, []).append(found)
    return [_merged(each) for each in by_curve.values()]


def _training(run: Run, metric: str, percent: float, question: Question, unit: str) -> _Training | None:
    record = record_of(run, question)
    row = record.reached(metric, percent, window=question.window)
    evaluations = [e for e in record.evaluations if _amount(record, e, unit, run) > 0]
    if not evaluations:
        return None
    at = row or evaluations[-1]
    place = next((n for n, e in enumerate(evaluations) if e.ended_s == at.ended_s), 0)
    amount = _amount(record, at, unit, run)
    before = _amount(record, evaluations[place - 1], unit, run) if place else 0.0
    train_s, total_s = record.read_s(at, "train"), record.read_s(at, question.clock)
    if min(amount, total_s) <= 0 or train_s <= 0:
        return None
    return _Training(row is not None, amount, train_s, total_s, 1 - before / amount)


def _amount(record: RunRecord, evaluation: Row, unit: str, run: Run) -> float:
    if unit == "epochs":
        return record.epochs_at(evaluation)
    return evaluation.step * (run.identity.batch if unit == "utterances" else 1)


def _merged(each: Sequence[_Training]) -> _Training:
    there = [t for t in each if t.reached] or list(each)
    amount, train_s, total_s = (_mean([getattr(t, name) for t in there]) for name in ("amount", "train_s", "total_s"))
    return _Training(there[0].reached, amount, train_s, total_s, statistics.fmean(t.step for t in there))


# --- ratios ----------------------------------------------------------------------------------------------------------


def _censored(sides: Sequence[Sequence[tuple[float, bool, float]]], groups: Sequence[Group]) -> Part:
    """Compare (value, whether it was reached, step) of two groups, in which misses only say that it is more."""
    values = [[value for value, *_ in side] for side in sides]
    steps = tuple(statistics.fmean(step for *_, step in side) for side in sides)
    missed = [sum(not reached for _, reached, _ in side) for side in sides]
    if not any(missed):
        return Part(ratio=welch(*values, steps=steps))
    reason = "; ".join(
        f"{len(side) - lost} of {len(side)} of {group.label} got there"
        for side, lost, group in zip(sides, missed, groups, strict=True)
        if lost
    )
    found = censored.ratio(*(Times.of([(value, reached) for value, reached, _ in side]) for side in sides), steps=steps)
    if found is not None:
        return Part(ratio=found, reason=reason)
    if all(missed):
        return Part(reason=reason)
    # One group all got there, and of the other every value is more than was seen: the ratio has a bound.
    bound = welch(*values, steps=steps)
    low, high = (bound.low, math.inf) if missed[0] else (0.0, bound.high)
    return Part(bound=Ratio(value=bound.value, low=low, high=high), reason=reason)


# --- remarks ---------------------------------------------------------------------------------------------------------


def _remarks(
    groups: Sequence[Group], samples: Sequence[Sequence[_Training]], unit: str | None, level: Level, question: Question
) -> tuple[str, ...]:
    found = []
    differ = [name for name in MAY_DIFFER if len({getattr(g.runs[0].identity, name) for g in groups}) > 1]
    if differ:
        found.append(f"They differ in {', '.join(differ)}.")
    batches = {run.identity.batch for group in groups for run in group.runs}
    if unit == "steps" and 0 in batches:
        found.append("A batch is not known: steps may be of different sizes.")
    if any(not t.reached for side in samples for t in side) and unit:
        found += [*_needed(groups, samples, unit), *_at_equal_amounts(groups, unit, level, question)]
    return tuple(found)


def _needed(groups: Sequence[Group], samples: Sequence[Sequence[_Training]], unit: str) -> list[str]:
    """Say what a group that missed would have taken for the other's amount."""
    said = []
    for n, (mine, other) in enumerate(((samples[0], samples[1]), (samples[1], samples[0]))):
        amounts = [t.amount for t in other if t.reached]
        if any(t.reached for t in mine) or not amounts or len(amounts) < len(other):
            continue
        amount = _mean(amounts)
        minutes = amount * _mean([t.total_s / t.amount for t in mine]) / 60
        seen = max(t.total_s for t in mine) / 60
        said.append(
            f"For the {amount:,.0f} {unit} of {groups[1 - n].label}, {groups[n].label} would take "
            f"{duration(minutes)}; its runs ended within {duration(seen)}, after "
            f"{_mean([t.amount for t in mine]):,.0f} {unit}."
        )
    return said


def _at_equal_amounts(groups: Sequence[Group], unit: str, level: Level, question: Question) -> list[str]:
    """Say how the errors of two groups compare at the largest amount that all of their runs have.

    Nothing where that is the amount at which a run stopped as it had reached the level: its error there is chosen.
    """
    metric = level.metric
    curves = [[_curve(run, unit, metric, question) for run in group.runs] for group in groups]
    if not all(curve for side in curves for curve in side):
        return []
    amount = min(curve[-1][0] for side in curves for curve in side)
    if amount < max(curve[0][0] for side in curves for curve in side):
        return []
    if any(curve[-1][0] == amount and curve[-1][1] <= level.percent for side in curves for curve in side):
        return []
    errors = [[_error_at(curve, amount) for curve in side] for side in curves]
    if min(map(min, errors)) <= 0:
        return []
    ratio = welch(*errors)
    told = ratio.low is not None and not ratio.low <= 1 <= ratio.high
    said = (
        f"At {amount:,.0f} {unit}, the most that all have, {metric_name(metric)} is {_mean(errors[0]):.4g} of "
        f"{groups[0].label} and {_mean(errors[1]):.4g} of {groups[1].label}: {_digits(ratio.value)} "
        f"times{_between(ratio)}"
    )
    return [f"{said}." if told else f"{said}, not told apart."]


def _curve(run: Run, unit: str, metric: str, question: Question) -> list[tuple[float, float]]:
    """Return (amount, median error in percent) of a run's evaluations that have one, in order."""
    record = record_of(run, question)
    medians = record.medians(metric, window=question.window)
    pairs = [(_amount(record, e, unit, run), m) for e, m in zip(record.evaluations, medians, strict=True)]
    return [(amount, error) for amount, error in pairs if amount > 0 and error == error]


def _error_at(curve: Sequence[tuple[float, float]], amount: float) -> float:
    """Return the error at an amount, by a straight line through its logarithms."""
    for (low, before), (high, after) in zip(curve, curve[1:], strict=False):
        if low <= amount <= high and high > low and min(before, after) > 0:
            share = (amount - low) / (high - low)
            return math.exp(math.log(before) + share * (math.log(after) - math.log(before)))
    return min(curve, key=lambda point: abs(point[0] - amount))[1]


def _mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


# --- words -----------------------------------------------------------------------------------------------------------


def _inverse(ratio: Ratio) -> Ratio:
    """Return the inverse, of a bound too, whose ends may be 0 or infinite."""

    def of(bound: float | None) -> float | None:
        return None if bound is None else 0.0 if math.isinf(bound) else math.inf if bound == 0 else 1 / bound

    return Ratio(value=1 / ratio.value, low=of(ratio.high), high=of(ratio.low), p=ratio.p)


def _digits(value: float) -> str:
    return f"{value:.3f}" if round(value, 3) < 2 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _between(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return ""
    if math.isinf(ratio.high):
        return f" (95%: from {_digits(ratio.low)})"
    return f" ({_digits(ratio.low)} to {_digits(ratio.high)})" if ratio.low else f" (95%: to {_digits(ratio.high)})"


def merit_parts(found: Sequence[Merit]) -> list[str | Table]:
    """Return a table for every level, then the sentences with their remarks."""
    parts: list[str | Table] = []
    for key in dict.fromkeys((m.metric, m.percent, m.unit) for m in found):
        block = [m for m in found if (m.metric, m.percent, m.unit) == key]
        parts.append(merit_table(block))
    return [*parts, merit_answer(found)]


def merit_answer(found: Sequence[Merit]) -> str:
    """Return the sentences with their remarks, a line for each merit."""
    lines = [" ".join((merit.sentence, *merit.remarks)) for merit in found]
    return "Whose merit:\n" + "\n".join(f"- {line}" for line in lines)


def merit_table(block: Sequence[Merit], title: str = "") -> Table:
    """Return the table of merits at one level in one unit."""
    names = [name for name in PARTS if any(name in merit.parts for merit in block)]
    header = ("pair", "n", "time", *(block[0].name_of(name) for name in names))
    rows = tuple(
        (f"{m.first} / {m.second}", f"{m.n[0]}, {m.n[1]}", m.time.cell, *(m.parts[name].cell for name in names))
        for m in block
    )
    words = f"{block[0].level}: first over second, the time as a product, with 95% intervals; n error curves"
    return Table(title or words, header, rows)
