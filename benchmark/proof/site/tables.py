"""What the pages' tables say: a row for each result, and for each rig of a workload what the judge says of it.

    for workload in workloads(results, ingested, terms): workload.rigs, workload.rows, workload.answer

A cell is a text, and what to sort and filter by. Nothing is worked out here that the judge does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.judge.circumstances import machine_name
from benchmark.judge.cost import RigCost, rig_costs
from benchmark.judge.groups import Group, Level, judged_groups
from benchmark.judge.judgement import judge
from benchmark.judge.question import JudgeError, Question
from benchmark.judge.ranking import answer
from benchmark.judge.terms import PriceError, Terms
from benchmark.proof.site.entries import Result
from benchmark.proof.verdict import RULES
from benchmark.record import Run
from benchmark.tables import money, number

NOT_KNOWN = "\u2013"
NO_COST = "no price is known"
SOURCES = {"mllog": ("MLPerf Training", "mlperf"), "algoperf": ("AlgoPerf", "train")}
"""By the format of a log: whose benchmark it is of, and the clock by which that counts."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One result in a table: `minutes` to each level, and what its filters ask for."""

    result: Result
    levels: Sequence[tuple[str, float | None]]
    cost: RigCost | None
    throughput: float | None
    energy_wh: float | None

    @property
    def hardest(self) -> tuple[str, float | None]:
        """The level that its time, cost and energy are of, and the minutes; None if it was not reached."""
        return self.levels[hardest(self.levels)]

    @property
    def money(self) -> str:
        known = self.cost is not None and self.cost.cost is not None
        return money(self.cost.cost, self.cost.currency) if known else NOT_KNOWN

    @property
    def money_why(self) -> str:
        if self.cost is None:
            return NO_COST
        return self.cost.basis if self.cost.cost is not None else self.cost.reason or NO_COST

    def shown(self, value: float | None) -> str:
        return NOT_KNOWN if value is None else number(value)

    @property
    def text(self) -> str:
        """What the filter of hardware looks in."""
        about = self.result.run.identity
        return " ".join((self.result.rig, self.result.facts.platform.label, self.result.hardware, self.result.workload,
                         about.recipe)).lower()  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rig:
    """One rig with one recipe at a workload: what the judge says of its runs together."""

    group: Group
    cost: RigCost | None
    results: Sequence[Result]

    def minutes(self, level: Level) -> str:
        return NOT_KNOWN if level.minutes is None else number(level.minutes)

    @property
    def name(self) -> str:
        """The rig, and what sets it apart beside what has a column or a line of its own."""
        apart = [f"{name}={value}" for name, value in self.group.split if name not in ("recipe", "machine")]
        return " ".join([self.group.rig, *apart])

    @property
    def money(self) -> str:
        known = self.cost is not None and self.cost.cost is not None
        return money(self.cost.cost, self.cost.currency) if known else NOT_KNOWN


@dataclass(frozen=True, kw_only=True)
class Workload:
    """All that the gallery has of one workload."""

    name: str
    id: str
    rigs: Sequence[Rig]
    rows: Sequence[Row]
    levels: Sequence[str]
    answer: Sequence[str] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """A run of another's log: nothing of it can be verified, and it stands in a table of its own."""

    run: str
    rig: str
    workload: str
    source: str
    level: str
    minutes: str
    seen: str


@dataclass(frozen=True)
class Contents:
    """Everything that the pages show."""

    workloads: Sequence[Workload]
    ingested: Sequence[Ingested] = ()
    rows: Sequence[Row] = field(default_factory=tuple)
    rules: int = RULES

    @property
    def rigs(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.result.rig, []).append(row)
        return dict(sorted(found.items()))


def contents(results: Sequence[Result], ingested: Sequence[Run], terms: Terms) -> Contents:
    """Judge all results, workload by workload, and the runs of others by themselves."""
    by_workload: dict[str, list[Result]] = {}
    for result in results:
        by_workload.setdefault(result.workload, []).append(result)
    workloads = [_workload(name, each, terms) for name, each in sorted(by_workload.items())]
    rows = [row for workload in workloads for row in workload.rows]
    return Contents(workloads, [_ingested(run) for run in ingested], rows)


def _workload(name: str, results: Sequence[Result], terms: Terms) -> Workload:
    of_run = {id(result.run): result for result in results}
    groups = _groups([result.run for result in results])
    rigs, rows = [], []
    costs = _costs(groups, terms)
    for group, cost in zip(groups, costs, strict=True):
        mine = [of_run[id(run)] for run in group.runs]
        rigs.append(Rig(group=group, cost=cost, results=mine))
        rows += [_row(result, group, place, terms) for place, result in enumerate(mine)]
    levels = [level.name for level in groups[0].levels]
    return Workload(name=name, id=slug(name), rigs=rigs, rows=rows, levels=levels, answer=_answer(groups, terms))


def _groups(runs: Sequence[Run]) -> list[Group]:
    """Return the runs of one workload by what may be pooled: unlike trainings apart, and machines of one name too."""
    machines: dict[str, set[str]] = {}
    for run in runs:
        machines.setdefault(run.identity.platform, set()).add(machine_name(run))
    several = any(len(names) > 1 for names in machines.values())
    return [group for group in judge(runs, Question(by=("machine",) if several else ())) if group.runs]


def hardest(levels: Sequence[tuple[str, float | None]]) -> int:
    """Return the place of the hardest level of the first metric that was reached; else of its hardest, not reached."""
    first = levels[0][0].rpartition(" ")[0]
    mine = [place for place, (name, _) in enumerate(levels) if name.rpartition(" ")[0] == first]
    return next((place for place in reversed(mine) if levels[place][1] is not None), mine[-1])


def _row(result: Result, group: Group, place: int, terms: Terms) -> Row:
    times = [level.seconds[place] for level in group.levels]
    levels = [(level.name, None if s is None else s / 60) for level, s in zip(group.levels, times, strict=True)]
    chosen = hardest(levels)
    level, seconds = group.levels[chosen], times[chosen]
    (alone,) = judged_groups([result.run], Question(levels=(level.percent,), metrics=(level.metric,)))
    (cost,) = _costs([alone], terms)
    watts = result.run.gpu_power(at_once=True).watts
    energy = watts * seconds / 3600 if watts and seconds is not None else None
    return Row(
        result=result,
        levels=levels,
        cost=cost,
        throughput=result.run.record.utterances_per_s,
        energy_wh=energy,
    )


def _costs(groups: Sequence[Group], terms: Terms) -> list[RigCost | None]:
    try:
        return list(rig_costs(groups, terms))
    except PriceError:
        return [None] * len(groups)


def _answer(groups: Sequence[Group], terms: Terms) -> list[str]:
    """Return the judge's answer, recipe by recipe: they learn unlike things, and are ranked apart."""
    by_recipe: dict[str, list[Group]] = {}
    for group in groups:
        by_recipe.setdefault(group.runs[0].identity.recipe, []).append(group)
    sentences: list[str] = []
    for recipe, alike in by_recipe.items():
        start = f"Recipe {recipe}: " if len(by_recipe) > 1 else ""
        try:
            found = answer(alike, Question(), terms=terms)
        except (JudgeError, PriceError) as error:
            found = str(error)
        first, *others = [found] if isinstance(found, str) else found.sentences
        sentences += [f"{start}{first}", *others]
    return sentences


def _ingested(run: Run) -> Ingested:
    """Read a run of another's log at its own target, by its own clock, at the first evaluation there."""
    log: Any = (run.facts.log if run.facts else None) or {}
    source, clock = SOURCES.get(str(log.get("format")), ("another log", "wall"))
    (group,) = judged_groups([run], Question(window=1, clock=clock, metrics=("wer",)))
    level = group.levels[-1]
    seconds = level.seconds[0]
    return Ingested(
        run=run.identity.run,
        rig=run.identity.platform,
        workload=run.identity.workload_label,
        source=source,
        level=level.name,
        minutes=NOT_KNOWN if seconds is None else number(seconds / 60),
        seen=str(run.identity.devices),
    )


def slug(name: str) -> str:
    """Return a name as a file's."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".-") or "x"
