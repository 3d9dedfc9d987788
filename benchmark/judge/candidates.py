"""The rigs that one could take, by their runs and probes: what was seen of each, and what it costs.

    found = candidates_of(groups, terms, estimates=estimates)
    found[0].evidence.epochs, found[0].evidence.paces_s, found[0].money.per_hour

A run that reached the level tells epochs and seconds an epoch. Any other run with an evaluation is a probe, which tells
seconds an epoch alone; so does the newest estimate of a rig without runs. Of a single epoch what creation and the first
batches took more than the others is start-up. A rig that an offer names, and that nobody has tried, is taken to cost
what an epoch on the others does, give or take a factor of four. Emulated runs say nothing of a rig.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import platforms
from benchmark.judge.beliefs import Evidence
from benchmark.judge.choice import Candidate, Money
from benchmark.judge.cost import power_of, preparation_minutes, running_per_hour
from benchmark.judge.energy import pue_of
from benchmark.judge.factoring import epochs_of_trainings
from benchmark.judge.groups import Group
from benchmark.judge.offered import Paid, paid_for
from benchmark.judge.probes import Estimated, newest
from benchmark.judge.question import JudgeError, Question
from benchmark.judge.reference import Convergence, ConvergenceError, convergence_of, read_reference
from benchmark.judge.terms import PriceError, Terms
from benchmark.metrics import USUAL
from benchmark.record import Facts, Row, Run, RunRecord
from benchmark.record.columns import Identity
from benchmark.record.phases import Phase
from benchmark.tables import money
from platforms import PlatformError
from platforms.offers import Offer

PROBE_ERROR = 0.02
"""Deviation of log seconds an epoch that a single epoch tells, or an estimate without an interval."""
NORMAL_95 = 1.96


def candidates_of(
    groups: Sequence[Group], terms: Terms, *, estimates: Sequence[Estimated] = (), unseen: bool = True
) -> list[Candidate]:
    """Return the rigs that are known by runs, by estimates, and by offers alone; the groups have one level each.

    Raises:
        JudgeError: nothing tells the batch of an estimate, or estimates are of several trainings.
    """
    found = [_of_group(group, groups, terms) for group in groups]
    known = [(group.platform, each) for group, each in zip(groups, found, strict=True)]
    for estimate in newest(estimates, groups):
        known.append((estimate.platform, _of_estimate(estimate, found, terms)))
    if unseen:
        named = [name for name, _ in terms.offers] + list(terms.book.by_platform if terms.book else ())
        there = {name for name, _ in known}
        for name in dict.fromkeys(name for name in named if name not in there):
            if untried := _of_offer(name, [each for _, each in known], terms):
                known.append((name, untried))
    return [each for _, each in known]


def _of_group(group: Group, groups: Sequence[Group], terms: Terms) -> Candidate:
    paces = [found for run in group.runs if (found := pace_of(run.record))]
    whole = [pace for pace in paces if pace.epochs > 1]
    used = whole or paces
    if not used:
        raise JudgeError(f"{group.label}: no run of it has an evaluation; expected an epoch at least: leave it out")
    about = group.runs[0].identity
    level = group.levels[0]
    epochs = [each for each in epochs_of_trainings(group, 0) if each is not None]
    evidence = Evidence(
        name=group.label,
        batch=about.batch,
        kind=(about.replicas, about.precision),
        epochs=tuple(epochs),
        copies=_copies(group, groups),
        paces_s=tuple(pace.seconds for pace in used),
        pace_error=0.0 if whole else PROBE_ERROR,
        start_s=statistics.median(pace.start_s for pace in used),
    )
    missed = tuple(
        run.record.evaluated_epoch
        for run, seconds in zip(group.runs, level.seconds, strict=True)
        if seconds is None and run.record.evaluations
    )
    paid, why = _money_of(group, evidence, terms)
    return Candidate(evidence=evidence, platform=group.platform, money=paid, no_price=why, missed=missed)


def _copies(group: Group, groups: Sequence[Group]) -> float:
    """Return how many of the runs of a kind have one seed, on the average: they are one training."""
    about = group.runs[0].identity
    alike = [
        run.identity.seed
        for other in groups
        for run, seconds in zip(other.runs, other.levels[0].seconds, strict=True)
        if seconds is not None
        and (run.identity.batch, run.identity.replicas, run.identity.precision)
        == (about.batch, about.replicas, about.precision)
    ]
    return len(alike) / len(set(alike)) if alike else 1.0


# --- seconds an epoch ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pace:
    """A run's start-up and seconds an epoch, and the epochs that it was seen for."""

    start_s: float
    seconds: float
    epochs: float


def pace_of(record: RunRecord) -> Pace | None:
    """Return a run's seconds an epoch and its start-up by the wall clock; None without an evaluation.

    Of one evaluation the batches are taken to last what they do at the median, and the rest is start-up.
    """
    seconds = record.seconds_per_epoch
    if not seconds:
        return None
    first, last = record.evaluations[0], record.evaluations[-1]
    if first is not last:
        return Pace(record.startup_s or 0.0, seconds, last.epoch)
    rows = [row for row in record.rows if row.ended_s <= first.ended_s and row.phase is not Phase.CREATE]
    batches = [row for row in rows if row.phase is Phase.TRAIN and row.utterances]
    total_s = first.ended_s - record.created_s
    if not batches:
        return Pace(0.0, total_s / first.epoch, first.epoch)
    usual = statistics.median(row.seconds / row.utterances for row in batches)
    trained_s = usual * sum(row.utterances or 0 for row in batches)
    steady_s = min(total_s, trained_s + sum(row.seconds for row in rows if row.phase is not Phase.TRAIN))
    return Pace(total_s - steady_s, steady_s / first.epoch, first.epoch)


# --- estimates and offers --------------------------------------------------------------------------------------------


def _of_estimate(estimate: Estimated, others: Sequence[Candidate], terms: Terms) -> Candidate:
    file, about = _platform(estimate.platform), estimate.about
    batch = about.get("batch") or (file.input.batch if file else None)
    likes = [each.evidence for each in others]
    if not isinstance(batch, int) or batch < 1:
        sizes = {each.batch for each in likes}
        if len(sizes) != 1:
            raise JudgeError(f"{estimate.source}: says no batch, and {estimate.platform} has no file; expected batch")
        batch = sizes.pop()
    kind = next((each.kind for each in likes if each.batch == batch), ())
    if "replicas" in about and "precision" in about:
        kind = (about["replicas"], about["precision"])
    error = PROBE_ERROR
    if estimate.low and estimate.high and estimate.low < estimate.high:
        error = math.log(estimate.high / estimate.low) / 2 / NORMAL_95
    evidence = Evidence(
        name=estimate.platform, batch=batch, kind=kind, paces_s=(estimate.seconds_per_epoch,), pace_error=error,
        start_s=estimate.start_s,
    )  # fmt: skip
    paid, why = _money_of(_planned(estimate, batch, file), evidence, terms)
    remark = "known by its estimate alone"
    return Candidate(evidence=evidence, platform=estimate.platform, money=paid, no_price=why, remark=remark)


def _of_offer(name: str, others: Sequence[Candidate], terms: Terms) -> Candidate | None:
    """Return a rig that nobody has tried; None where no other has a price to guess its speed by."""
    prices = [
        each.money.per_hour * statistics.fmean(each.evidence.paces_s)
        for each in others
        if each.money and each.evidence.paces_s
    ]
    file, group = _platform(name), _without_runs(name)
    likes = [(each.evidence.batch, each.evidence.kind) for each in others]
    if not prices:
        return None
    usual = max(likes, key=likes.count)
    batch, kind = (file.input.batch, (file.replicas, file.training.precision)) if file else usual
    evidence = Evidence(name=name, batch=batch, kind=kind, guess_s=1.0)
    paid, why = _money_of(group, evidence, terms)
    if paid is None or not paid.per_hour:
        return None
    guess_s = statistics.median(prices) / paid.per_hour
    return Candidate(
        evidence=replace(evidence, guess_s=guess_s),
        platform=name,
        money=paid,
        no_price=why,
        remark="nobody has tried it: its speed is guessed from its price",
    )


@dataclass(frozen=True, eq=False)
class _Planned(Run):
    """A run that is not made: its first row alone, and what its run.json would say of the platform."""

    platform: platforms.Platform | None

    @cached_property
    def facts(self) -> Facts | None:
        return Facts({"platform": self.platform.to_dict()}) if self.platform else None


def _planned(estimate: Estimated, batch: int, file: platforms.Platform | None) -> Group:
    """Return a group of the run that an estimate is of: its price is by its GPUs, else by its name alone."""
    about = estimate.about
    if not isinstance(about.get("devices"), str) or not isinstance(about.get("replicas"), int):
        return _without_runs(estimate.platform)
    identity = Identity(
        run="estimate", platform=estimate.platform, workload=str(about.get("workload") or ""), variant="", recipe="",
        seed=0, machines=about.get("machines") or 1, replicas=about["replicas"], devices=about["devices"],
        emulated=False, batch=batch, precision=str(about.get("precision") or ""), features="", decoder="",
        evaluation="", code="",
    )  # fmt: skip
    row = Row(**identity.__dict__, phase=Phase.CREATE, step=0, epoch=0, started_s=0.0, seconds=0.0)
    return Group(platform=estimate.platform, workload="", runs=(_Planned(RunRecord((row,)), file),), levels=())


def _without_runs(name: str) -> Group:
    return Group(platform=name, workload="", levels=())


def _platform(name: str) -> platforms.Platform | None:
    try:
        return platforms.load(name)
    except (PlatformError, OSError):
        return None


# --- money -----------------------------------------------------------------------------------------------------------


def _money_of(group: Group, evidence: Evidence, terms: Terms) -> tuple[Money | None, str]:
    """Return what a training on a rig costs, as a sum and so much an hour, by the cheapest offer; or why not."""
    try:
        paid = paid_for(group, terms)
    except PriceError as error:
        file = None if group.runs else _platform(group.platform)
        if file is None or file.whole_price is None:
            return None, str(error)
        only = Offer.of(file.whole_price)
        paid = Paid(rents=(only,) * (only.rent_per_hour is not None), purchases=(only,) * (only.total is not None))
    rents, bought = paid.rents, min(paid.purchases, key=lambda each: each.total, default=None)
    power_w, _ = power_of(group.runs, at_once=terms.kwh_price is None)
    paid_w = None if power_w is None else power_w * (pue_of(group) or 1.0)
    hours = (evidence.start_s + 10 * statistics.fmean(evidence.paces_s or (evidence.guess_s or 1.0,))) / 3600
    preparing = (preparation_minutes(group.runs) or 0.0) / 60 * terms.with_preparation
    ways = [_rented(rent, terms, preparing) for rent in rents] if terms.tenure != "owned" else []
    if bought is not None and terms.tenure != "rented":
        if terms.kwh_price is not None and power_w is None:
            if not ways:
                return None, "what it costs if bought is not known without its power: leave --kwh-price out"
        else:
            an_hour = bought.total / terms.hours + running_per_hour(terms, paid_w)
            basis = f"bought for {money(bought.total, bought.currency)}, {terms.use}"
            ways.append(Money(0.0, an_hour, bought.currency, basis))
    if not ways:
        return None, f"no price to have it {terms.tenure}"
    return min(ways, key=lambda way: way.of(hours)), ""


def _rented(rent: Offer, terms: Terms, preparing_hours: float) -> Money:
    unit = terms.billing_minutes if rent.billing_minutes is None else rent.billing_minutes
    an_hour = (rent.rent_per_hour or 0.0) + (rent.storage_per_hour or 0.0)
    beside_hours = (terms.setup_minutes + unit / 2) / 60 + preparing_hours
    words = [f"rented at {money(rent.rent_per_hour, rent.currency)} an hour", rent.circumstances]
    network = rent.network_per_training or 0.0
    fixed, least = beside_hours * an_hour + network, unit / 60 * an_hour + network
    return Money(fixed, an_hour, rent.currency, ", ".join(filter(None, words)), least)


# --- the reference ---------------------------------------------------------------------------------------------------


def reference_of(groups: Sequence[Group], question: Question, estimates: Sequence[Estimated] = ()) -> list[Evidence]:
    """Return the reference runs that train as these do and reached the level: an evidence for each kind.

    Raises:
        JudgeError: the file of reference runs cannot be used.
    """
    metric, percent = question.metrics[0], question.levels[0]
    mine: list[Convergence] = []
    for group in groups:
        for run in group.runs:
            try:
                mine.append(convergence_of(run))
            except ConvergenceError:
                continue
    epochs: dict[tuple, list[float]] = {}
    for other in read_reference(question.reference):
        alike = any(other.workload == each.workload and not each.unlike(other) for each in mine)
        alike |= any(each.is_of(other) for each in estimates)
        reached = other.reached(metric, percent, window=question.window) if alike and metric in USUAL else None
        if reached is not None and other.run not in {each.run for each in mine}:
            epochs.setdefault((other.batch, (other.replicas, other.precision)), []).append(other.epochs(reached))
    return [
        Evidence(name=f"the reference at batch {batch}", batch=batch, kind=kind, epochs=tuple(found))
        for (batch, kind), found in epochs.items()
    ]
