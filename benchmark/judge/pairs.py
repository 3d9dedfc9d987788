"""Two rigs beside one another at a level: what was found of them, in words and in tables.

    pair.time.value, pair.deciding.p, pair.verdict
    show(comparison_parts(pairs))

`benchmark.judge.comparison` finds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.cost import RigCost
from benchmark.judge.estimates import Ratio
from benchmark.judge.prices import costs_apart
from benchmark.judge.question import level_name
from benchmark.judge.stopping import SETTLED, Plan
from benchmark.tables import Table, duration

ALPHA = 0.05
RESOLVED = 1.05  # a ratio
QUANTITIES = ("time", "machine", "epochs", "seconds_per_epoch", "startup", "throughput", "cost")
WORDS = {
    "time": "time to accuracy",
    "machine": "machine, at equal epochs",
    "epochs": "epochs to target",
    "seconds_per_epoch": "seconds an epoch",
    "startup": "start-up",
    "throughput": "utterances/s",
    "cost": "cost of a training",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one question about a pair: its ratio, p adjusted by Holm, p of equivalence (TOST), and the e-value.

    `settled` is the e-value that would be enough.
    """

    ratio: Ratio
    p: float | None = None
    same_p: float | None = None
    e: float | None = None
    settled: float = SETTLED
    every_run: bool = False
    others: bool = False  # whether interval and p rest on the spread of others' runs, as one is a single run

    @property
    def differs(self) -> bool:
        if self.every_run:
            return self.e is not None and self.e >= self.settled
        return self.p is not None and self.p < ALPHA

    @property
    def is_same(self) -> bool:
        """Whether the two are within the margin of each other."""
        return self.same_p is not None and self.same_p < ALPHA

    @property
    def is_known(self) -> bool:
        """Whether there is a spread to judge by."""
        return self.p is not None

    @property
    def evidence(self) -> str:
        if self.every_run:
            return f"e = {self.e:.3g} of {self.settled:.3g}" if self.e is not None else "no e-value yet"
        return f"{'by the spread of others, ' * self.others}Holm-adjusted p = {self.p:.2g}"

    @property
    def chance(self) -> str:
        """Say by how much single runs differ by chance, and by the step between two evaluations."""
        ratio = self.ratio
        beyond = (ratio.value / ratio.low if ratio.low else math.inf) if ratio.value > 1 else ratio.high / ratio.value
        return f"{beyond - 1:.0%}" if beyond < 2 else f"{beyond:.2g} times" if beyond < math.inf else "any amount"

    @property
    def less(self) -> str:
        """Say how much less time the faster takes, with the interval and the evidence."""
        return self.less_time.removesuffix(")") + f"; {self.evidence})"

    @property
    def less_time(self) -> str:
        """Say the same without the p value."""
        ratio = self.ratio if self.ratio.value < 1 else self.ratio.inverse
        return f"{_less(ratio.value)} less time ({_less(ratio.high)} to {_less(ratio.low)})"

    @property
    def gap(self) -> str:
        ratio = self.ratio
        return f"ratio {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}; {self.evidence})"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two groups at one level: first over second in each of QUANTITIES. None is not known; a reason then says why."""

    first: str
    second: str
    metric: str
    percent: float
    ratios: dict[str, Ratio | None]
    training: Answer | None
    hardware: Answer | None
    n: tuple[int, int]
    log_rank_p: float | None = None
    budget: tuple[float, float, float] | None = None  # minutes: the budget, and the mean to it of each
    needed: Plan | None = None
    effort: str = ""
    margin: float = RESOLVED
    reason: str = ""
    hardware_reason: str = ""
    costs: tuple[RigCost, RigCost] | None = None

    @property
    def level(self) -> str:
        return level_name(self.metric, self.percent)

    def fields(self) -> dict[str, object]:
        """Return the columns of a table: a ratio and its interval for each quantity."""
        found: dict[str, object] = {"first": self.first, "second": self.second, "metric": self.metric}
        found |= {"level_percent": self.percent, "first_n": self.n[0], "second_n": self.n[1]}
        for name, ratio in self.ratios.items():
            bounds = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
            found |= dict(zip((f"{name}_ratio", f"{name}_low", f"{name}_high"), bounds, strict=True))
        for name, answer in (("time", self.training), ("machine", self.hardware)):
            p, same_p, e = (answer.p, answer.same_p, answer.e) if answer else (None, None, None)
            spread = ("others" if answer.others else "own") if answer and answer.is_known else None
            found |= {f"{name}_p": p, f"{name}_same_p": same_p, f"{name}_e_value": e, f"{name}_spread": spread}
        more = self.more_runs
        return {**found, "log_rank_p": self.log_rank_p, "more_runs": more, "verdict": self.verdict}

    @property
    def time(self) -> Ratio | None:
        return self.ratios["time"]

    @property
    def machine(self) -> Ratio | None:
        return self.ratios["machine"]

    @property
    def more_runs(self) -> int | None:
        return max(0, self.needed.runs - min(self.n)) if self.needed else None

    @property
    def differs(self) -> bool:
        """Whether the two differ, as machines or as they were run."""
        return any(answer is not None and answer.differs for answer in (self.hardware, self.training))

    @property
    def deciding(self) -> Answer | None:
        """The deciding answer: the machine's if it is known, else the training's."""
        return self.hardware if self.hardware and self.hardware.is_known else self.training

    @property
    def is_same(self) -> bool:
        return self.deciding is not None and self.deciding.is_same

    @property
    def verdict(self) -> str:
        """Say in a few sentences whether the two differ, as machines and as they were run."""
        sentences = [self._about_machine(), self._about_training(), self._about_misses()]
        return " ".join(sentence for sentence in sentences if sentence)

    def _order(self, answer: Answer) -> tuple[str, str]:
        return (self.first, self.second) if answer.ratio.value < 1 else (self.second, self.first)

    def _about_machine(self) -> str:
        answer = self.hardware
        if answer is None or not answer.is_known:
            return ""
        if answer.differs:
            fast, slow = self._order(answer)
            sameness = f", the same within {self._margin}" if answer.is_same else ""
            return f"{fast} is a faster machine than {slow} to {self.level}: at equal epochs {answer.less}{sameness}."
        pair = f"{self.first} and {self.second}"
        if answer.others:
            return (
                f"{pair} are no distinguishable machines at {self.level}: at equal epochs ratio "
                f"{answer.ratio.value:.3f}, by the spread of others, as single runs have none of their own."
            )
        if answer.is_same:
            return f"{pair} are the same machine within {self._margin} to {self.level}: at equal epochs {answer.gap}."
        return f"{pair} are no distinguishable machines at {self.level}: at equal epochs {answer.gap}."

    def _about_training(self) -> str:
        pair, answer = f"{self.first} and {self.second}", self.training
        start = f"{pair} at {self.level}: " if not self._about_machine() else "As they were run: "
        if answer is None:
            return f"{start}no comparison: {self.reason}."
        if not answer.is_known:
            return (
                f"{start}ratio {answer.ratio.value:.3f}, but single runs, or runs all alike (n = {self.n[0]} and "
                f"{self.n[1]} error curves), tell nothing of chance."
            )
        if answer.differs:
            fast, slow = self._order(answer)
            if self._about_machine():
                return f"As they were run {fast} took {answer.less}."
            return f"{fast} is faster than {slow} to {self.level}: {answer.less}.{self._why_no_machine}"
        if answer.others:
            return (
                f"{start}not distinguishable: ratio {answer.ratio.value:.3f}, and by the spread of others single runs "
                f"differ by up to {answer.chance}; make a second run at least.{self._why_no_machine}"
            )
        if answer.is_same:
            return f"{start}the same within {self._margin}: {answer.gap}."
        return f"{start}not distinguishable: {answer.gap}; {self._way_out}.{self._why_no_machine}"

    @property
    def _why_no_machine(self) -> str:
        return f" Machines are not compared at equal epochs: {self.hardware_reason}." if self.hardware_reason else ""

    @property
    def _margin(self) -> str:
        return f"{self.margin - 1:.3g}" if self.margin >= 2 else f"{100 * (self.margin - 1):.3g}%"

    @property
    def _way_out(self) -> str:
        if self.needed is None:
            return "make more runs"
        if not self.more_runs:
            return f"a difference of {self._margin} would have been found four times in five"
        plan = self.needed
        return (
            f"to find {self._margin} four times in five takes {plan.runs} runs each (by these few: {plan.low} to "
            f"{plan.high}), {self.more_runs} more{self.effort}; fix their number before you look, or look with "
            f"--every-run"
        )

    def _about_misses(self) -> str:
        if self.log_rank_p is None:
            return ""
        mean = ""
        if self.budget:
            budget, first, second = map(duration, self.budget)
            mean = f"; mean time of runs stopped at {budget}: {first} and {second}"
        return f"With the runs that missed it: {self.reason}; log-rank p = {self.log_rank_p:.2g}{mean}."


def _less(ratio: float) -> str:
    return f"{1 - ratio:.1%}"


def comparison_parts(pairs: Sequence[Pair]) -> list[str | Table]:
    """Return a table of ratios for every level, then the verdicts."""
    parts: list[str | Table] = []
    for metric, level in dict.fromkeys((pair.metric, pair.percent) for pair in pairs):
        block = [pair for pair in pairs if (pair.metric, pair.percent) == (metric, level)]
        rows = tuple(
            (f"{p.first} / {p.second}", f"{p.n[0]}, {p.n[1]}", *(_ratio_cell(p.ratios[name]) for name in QUANTITIES))
            for p in block
        )
        title = f"{level_name(metric, level)}: first over second, with 95% intervals; n error curves"
        parts.append(Table(title, ("pair", "n", *(WORDS[name] for name in QUANTITIES)), rows))
        if said := costs_apart([cost for pair in block for cost in pair.costs or ()]):
            parts.append("Cost of a training:\n" + "\n".join(f"- {each}" for each in said))
    return [*parts, verdicts(pairs)]


def verdicts(pairs: Sequence[Pair]) -> str:
    """Return the verdicts of all pairs, a line each."""
    return "Verdicts:\n" + "\n".join(f"- {pair.verdict}" for pair in pairs)


def _ratio_cell(ratio: Ratio | None) -> str:
    if ratio is None:
        return "NA"
    return f"{ratio.value:.3f}" + (f" ({ratio.low:.3f} to {ratio.high:.3f})" if ratio.low is not None else "")
