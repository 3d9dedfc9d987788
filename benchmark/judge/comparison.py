"""Is one rig faster than another, by how much, and is that more than chance?

    pairs = compare(at_common_levels([judge(runs_of_one)[0], judge(runs_of_other)[0]], question))
    pairs[0].time.value, pairs[0].machine.value, pairs[0].verdict, pairs.to_frame()

Two questions are kept apart. The *training* as it was run: time to accuracy, whose epochs vary from seed to seed. The
*machine*: what each rig would have taken for the same number of epochs, its start-up and its seconds per epoch, which
hardly vary; the number is the geometric mean of both rigs' runs. Machines are compared so where the rigs' epochs may be
pooled (`benchmark.judge.factoring`); else a difference in epochs belongs to the rig, and only the training is compared.

For every quantity the ratio of geometric means with its 95% interval; for the two questions Welch's test on logarithms,
its p adjusted by Holm over everything that is compared in one call (the intervals are each pair's own). If runs did
not reach the level, the training is compared by the censored times (`benchmark.judge.censored`), with the log-rank test
as well. n is the number of different error curves. What is not distinguishable is either the same within a margin, by
two one-sided tests, or open; then a plan says how many runs would tell. With `every_run`, for
checks after each run, the verdict is by e-values, which hold at any time (`benchmark.judge.stopping`).

A rig with a single run has no spread of its own. Beside it the spread of others' runs is used (`benchmark.judge.prior`)
and said to be: in the words, in the verdict and in `*_spread`. It calls nothing the same, and with `every_run` nothing
another. Machines are then told apart by time at equal epochs and by seconds an epoch, both, as nobody knows how
start-up varies.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from benchmark.judge import censored
from benchmark.judge.common import hardest_common_level, unlike
from benchmark.judge.cost import cost_of_hours, rig_costs
from benchmark.judge.estimates import Ratio, holm, welch
from benchmark.judge.factoring import COMPARABLE, NO_EPOCHS, pool_of
from benchmark.judge.frames import Listing
from benchmark.judge.groups import Group, Level
from benchmark.judge.pairs import ALPHA, QUANTITIES, RESOLVED, Answer, Pair
from benchmark.judge.prior import EPOCHS, PACES, TIMES, Prior
from benchmark.judge.question import JudgeError, Question
from benchmark.judge.stopping import NO_STEPS, SETTLED, e_value, plan, same
from benchmark.judge.terms import Terms
from benchmark.record import Run
from benchmark.tables import money, number

STEPPED = ("time", "epochs", "cost")  # known to the step between two evaluations


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How pairs are judged: the ratio that matters, the machines' clock, and whether every run is checked."""

    margin: float = RESOLVED
    clock: str = "wall"
    every_run: bool = False


def compare(
    groups: Sequence[Group],
    *,
    terms: Terms | None = None,
    asked: Asked | None = None,
    couples: Sequence[tuple[Group, Group]] | None = None,
) -> Listing[Pair]:
    """Compare every pair of groups, or these couples, at every level, level by level.

    The p values are adjusted over all of them, machines and trainings.
    """
    asked, terms = asked or Asked(), terms or Terms()
    couples = list(combinations(groups, 2)) if couples is None else couples
    levels = range(len(groups[0].levels))
    tests = max(1, 2 * len(levels) * len(couples))
    pairs = [_pair(a, b, n, terms, asked, tests) for n in levels for a, b in couples]
    answers = [answer for pair in pairs for answer in (pair.training, pair.hardware)]
    # A machine that is not compared, because epochs differ, was looked at all the same: it counts among the tests.
    adjusted = iter(holm([1.0 if answer is None or answer.p is None else answer.p for answer in answers]))

    def with_p(answer: Answer | None) -> Answer | None:
        p = next(adjusted)
        return answer if answer is None or answer.p is None else replace(answer, p=p)

    return Listing(replace(p, training=with_p(p.training), hardware=with_p(p.hardware)) for p in pairs)


def _pair(first: Group, second: Group, place: int, terms: Terms, asked: Asked, tests: int) -> Pair:
    levels = first.levels[place], second.levels[place]
    values = [_values(group, place, terms) for group in (first, second)]
    steps = (levels[0].step, levels[1].step)
    ratios = {
        name: _ratio(values[0].get(name), values[1].get(name), steps if name in STEPPED else NO_STEPS)
        for name in QUANTITIES
    }
    costs = [rig_costs([group], terms, level=place)[0] for group in (first, second)]
    if len({cost.currency for cost in costs}) > 1:
        ratios["cost"] = None
    why_no_machine = _why_no_machine(first, second, place)
    machine = None if why_no_machine else _at_equal_epochs(first, second, levels, asked.clock)
    ratios["machine"] = _ratio(*machine) if machine else None
    others = None
    if machine and min(map(len, machine)) == 1:
        others = _machine_by_others(machine, [_values(group, place, terms) for group in (first, second)])
    ratios["time"] = ratios["time"] or censored.ratio(*(level.times for level in levels), steps=steps)
    missed = [_missing(group.label, level) for group, level in zip((first, second), levels, strict=True)]
    log_rank_p = censored.log_rank(*(level.times for level in levels)) if any(missed) else None
    times = [level.all_minutes or () for level in levels]
    needed = plan(*times, ratio=asked.margin, alpha=ALPHA / tests, steps=steps)
    pair = Pair(
        first=first.label,
        second=second.label,
        metric=levels[0].metric,
        percent=levels[0].percent,
        ratios=ratios,
        training=_answer(ratios["time"], times, asked, tests, steps, others=_by_others(TIMES, times, steps)),
        hardware=_answer(ratios["machine"], machine or ((), ()), asked, tests, others=others),
        n=(first.n, second.n),
        log_rank_p=log_rank_p,
        budget=_budget(levels) if any(missed) else None,
        needed=needed,
        margin=asked.margin,
        reason="; ".join(filter(None, missed)),
        hardware_reason=why_no_machine,
        costs=(costs[0], costs[1]),
    )
    return replace(pair, effort=_effort((first, second), pair.more_runs or 0, terms))


def _answer(
    ratio: Ratio | None,
    values: Sequence[Sequence[float]],
    asked: Asked,
    tests: int,
    steps: Sequence[float] = NO_STEPS,
    others: Ratio | None = None,
) -> Answer | None:
    if ratio is None:
        return None
    if others is not None and not asked.every_run:
        return Answer(ratio=others, p=others.p, settled=SETTLED * tests, others=True)
    return Answer(
        ratio=ratio,
        p=ratio.p,
        same_p=same(*values, ratio=asked.margin, steps=steps) if all(values) else None,
        e=e_value(*values, steps=steps) if all(values) else None,
        settled=SETTLED * tests,
        every_run=asked.every_run,
    )


def _by_others(prior: Prior, values: Sequence[Sequence[float]], steps: Sequence[float] = NO_STEPS) -> Ratio | None:
    """Compare by the spread of others' runs; None unless one is a single run, and both got there."""
    return prior.ratio(*values, steps=steps) if min(map(len, values)) == 1 else None


def _machine_by_others(
    minutes: Sequence[Sequence[float]], values: Sequence[dict[str, tuple[float, ...]]]
) -> Ratio | None:
    """Compare machines by minutes at equal epochs, with the larger p of these and of their seconds an epoch."""
    paces = [found.get("seconds_per_epoch") for found in values]
    if None in paces:
        return None
    whole, pace = PACES.ratio(*minutes), PACES.ratio(*paces)
    agree = (whole.value - 1) * (pace.value - 1) > 0
    return replace(whole, p=max(whole.p, pace.p) if agree else 1.0)


def _why_no_machine(first: Group, second: Group, place: int) -> str:
    """Say why the epochs of two rigs may not be pooled; "" if they may."""
    if not all(run.knows("epochs") for group in (first, second) for run in group.runs):
        return NO_EPOCHS
    differ = [name for name in COMPARABLE if len({getattr(g.runs[0].identity, name) for g in (first, second)}) > 1]
    if differ:
        return f"they differ in {', '.join(differ)}"
    pool = pool_of([group for group in (first, second) if None not in group.levels[place].epochs], place)
    if not pool.holds:
        return f"their epochs differ (F test, p = {pool.p:.2g})"
    epochs = [group.levels[place].epoch_times for group in (first, second)]
    if all(len(times) == 1 and times.all_reached for times in epochs):
        found = EPOCHS.ratio(
            *(times.seen for times in epochs), steps=[group.levels[place].step for group in (first, second)]
        )
        if found.p < ALPHA:
            return f"their epochs differ by more than those of single runs (by the spread of others, p = {found.p:.2g})"
    return ""


def _at_equal_epochs(
    first: Group, second: Group, levels: Sequence[Level], clock: str
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the minutes that each run would have taken for the epochs of both rigs' runs; None if nobody got there."""
    reached = [e for level in levels for e in level.epoch_times.reached_times]
    if not reached:
        return None
    epochs = math.exp(statistics.fmean(map(math.log, reached)))

    def minutes(group: Group) -> tuple[float, ...]:
        paces = [pace for record in group.records if (pace := record.pace(clock))]
        return tuple((startup_s + epochs * per_epoch_s) / 60 for startup_s, per_epoch_s in paces if per_epoch_s > 0)

    found = minutes(first), minutes(second)
    return found if all(found) else None


def _missing(label: str, level: Level) -> str:
    """Say how many runs did not reach a level; "" if all did."""
    runs = len(level.seconds)
    if level.reached == runs:
        return ""
    going = f", {level.unfinished} still going or interrupted" if level.unfinished else ""
    return f"{label} reached it in {level.reached} of {runs} runs{going}"


def _budget(levels: Sequence[Level]) -> tuple[float, float, float] | None:
    """Return the longest budget to which both means are known, and the means, in minutes."""
    censored_s = [t for level in levels for t, r in zip(level.times.seen, level.times.reached, strict=True) if not r]
    reached = [t for level in levels for t in level.times.reached_times]
    budget = min([t for t in censored_s if math.isfinite(t)], default=max(reached, default=0.0))
    means = [level.times.restricted_mean(budget) for level in levels]
    return None if None in means or not budget else (budget / 60, means[0] / 60, means[1] / 60)


def _effort(groups: Sequence[Group], more: int, terms: Terms) -> str:
    """Say what that many more runs of each rig take, in hours and money."""
    if not more:
        return ""
    parts = []
    for group in groups:
        hours = more * (group.minutes or 0) / 60
        known = cost_of_hours(group, hours, terms)
        paid = f", {money(known[0], known[1])}, {known[2]}" if known else ""
        parts.append(f"{group.label} {number(hours)} h{paid}")
    return f" ({'; '.join(parts)})"


def _values(group: Group, place: int, terms: Terms) -> dict[str, tuple[float, ...]]:
    """Return each quantity's value in every run, or of every error curve; without those that are not known."""
    level = group.levels[place]
    times = level.all_minutes or ()
    (cost,) = rig_costs([group], terms, level=place)
    scale = cost.cost / level.minutes if cost.cost and level.minutes else None
    found = {
        "time": times,
        "epochs": level.epoch_times.seen if level.epoch_times.all_reached else (),
        "seconds_per_epoch": [record.seconds_per_epoch for record in group.records],
        "startup": [record.startup_s for record in group.records],
        "throughput": [record.utterances_per_s for record in group.records],
        "cost": [minutes * scale for minutes in times] if scale else (),
    }
    return {name: tuple(values) for name, values in found.items() if values and all(values)}


def _ratio(
    first: Sequence[float] | None, second: Sequence[float] | None, steps: Sequence[float] = NO_STEPS
) -> Ratio | None:
    return welch(first, second, steps=steps) if first and second else None


def halves(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Split runs into two halves, alternating in the order of their seeds."""
    ordered = sorted(runs, key=lambda run: (run.identity.seed, run.identity.run))
    return ordered[::2], ordered[1::2]


def check_alike(groups: Sequence[Group]) -> None:
    """Raise JudgeError unless groups learn the same."""
    for name in unlike(groups):
        values = sorted({str(getattr(group.runs[0].identity, name)) for group in groups})
        raise JudgeError(f"{name} is {' and '.join(map(repr, values))}; expected runs that learn the same")


def at_common_levels(
    groups: list[Group], question: Question, check: Callable[[Sequence[Group]], None] = check_alike
) -> list[Group]:
    """Keep the level that is to be compared: those asked for, or else the hardest that all runs reached.

    `check` refuses groups that may not be compared.

    Raises:
        JudgeError: the groups do not learn the same, or have no level in common.
    """
    check(groups)
    if question.levels:
        return groups
    chosen = hardest_common_level(groups)
    if chosen is None:
        raise JudgeError("the runs have no level in common; name one with --level")
    return [replace(g, levels=tuple(level for level in g.levels if level.percent == chosen)) for g in groups]
