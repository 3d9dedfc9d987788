"""The rigs that one could take, by their runs and probes: what was seen of each, and what it costs.

    found = candidates_of(groups, terms, estimates=[read_estimate("results/estimate.json")])
    found[0].evidence.epochs, found[0].evidence.paces_s, found[0].money.per_hour

A run that reached the level tells epochs and seconds an epoch. Any other run with an evaluation is a probe, which tells
seconds an epoch alone; so does an estimate.json. Of a single epoch what creation and the first batches took more than
the others is start-up. A rig that an offer names, and that nobody has tried, is taken to cost what an epoch on the
others does, give or take a factor of four. Emulated runs say nothing of a rig.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import platforms
from benchmark.judge.beliefs import Evidence
from benchmark.judge.choice import Candidate, Money
from benchmark.judge.cost import power_of, preparation_minutes, running_per_hour
from benchmark.judge.energy import pue_of
from benchmark.judge.factoring import epochs_of_trainings
from benchmark.judge.groups import Group
from benchmark.judge.offered import Paid, paid_for
from benchmark.judge.question import JudgeError, Question
from benchmark.judge.reference import Convergence, ConvergenceError, convergence_of, read_reference
from benchmark.judge.terms import PriceError, Terms
from benchmark.metrics import USUAL
from benchmark.record import RunRecord
from benchmark.record.phases import Phase
from benchmark.tables import money
from platforms import LARGEST, PlatformError
from platforms.offers import Offer

PROBE_ERROR = 0.02
"""Deviation of log seconds an epoch that a single epoch tells, or an estimate without an interval."""
NORMAL_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What an estimate.json says of a rig: seconds an epoch, with their 95% interval if it has one, and start-up."""

    source: str
    platform: str
    seconds_per_epoch: float
    low: float | None = None
    high: float | None = None
    start_s: float = 0.0
    batch: int | None = None
    replicas: int | None = None
    precision: str | None = None
    workload: str | None = None


def candidates_of(
    groups: Sequence[Group], terms: Terms, *, estimates: Sequence[Estimated] = (), unseen: bool = True
) -> list[Candidate]:
    """Return the rigs that are known by runs, by estimates, and by offers alone; the groups have one level each.

    Raises:
        JudgeError: nothing tells the batch of an estimate, or an estimate is of a rig that has runs of the same kind.
    """
    found = [_of_group(group, groups, terms) for group in groups]
    known = [(group.platform, each) for group, each in zip(groups, found, strict=True)]
    for estimate in estimates:
        if estimate.platform in {name for name, _ in known}:
            continue  # journals tell more
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
    return Candidate(evidence=evidence, money=paid, no_price=why, missed=missed)


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


def read_estimate(path: str | Path) -> Estimated:
    """Read an estimate.json: `platform`, `seconds_per_epoch`, and what it says of batch, start-up and interval.

    Raises:
        JudgeError: it is no such file.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise JudgeError(f"{path}: no JSON ({str(error)[:80]}); expected an estimate.json") from None
    if not isinstance(content, Mapping):
        raise JudgeError(f"{path}: {type(content).__name__}; expected an object with platform and seconds_per_epoch")
    platform, seconds = content.get("platform"), content.get("seconds_per_epoch")
    of_platform = platform if isinstance(platform, Mapping) else {}
    name = of_platform.get("name", platform)
    spread = seconds if isinstance(seconds, Mapping) else {"value": seconds}
    value, low, high = (_positive(spread.get(key)) for key in ("value", "low", "high"))
    if not isinstance(name, str) or value is None:
        raise JudgeError(
            f"{path}: platform {str(name)[:40]!r}, seconds_per_epoch {str(seconds)[:40]!r}; expected a name and a "
            f"number above 0, or an object with value, low and high"
        )
    batch = content.get("batch") or (of_platform.get("input") or {}).get("batch")
    workload = content.get("workload")
    return Estimated(
        source=str(path),
        platform=name,
        seconds_per_epoch=value,
        low=low,
        high=high,
        start_s=_positive(content.get("start_s") or content.get("startup_s")) or 0.0,
        batch=batch if isinstance(batch, int) and batch > 0 else None,
        replicas=content.get("replicas"),
        precision=content.get("precision"),
        workload=workload.get("name") if isinstance(workload, Mapping) else workload,
    )


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        return None
    return float(value)


def _of_estimate(estimate: Estimated, others: Sequence[Candidate], terms: Terms) -> Candidate:
    file = _platform(estimate.platform)
    batch = estimate.batch or (file.input.batch if file else None)
    likes = [each.evidence for each in others]
    if batch is None:
        sizes = {each.batch for each in likes}
        if len(sizes) != 1:
            raise JudgeError(f"{estimate.source}: says no batch, and {estimate.platform} has no file; expected batch")
        batch = sizes.pop()
    kind = next((each.kind for each in likes if each.batch == batch), ())
    if estimate.replicas is not None and estimate.precision is not None:
        kind = (estimate.replicas, estimate.precision)
    error = PROBE_ERROR
    if estimate.low and estimate.high and estimate.low < estimate.high:
        error = math.log(estimate.high / estimate.low) / 2 / NORMAL_95
    evidence = Evidence(
        name=estimate.platform, batch=batch, kind=kind, paces_s=(estimate.seconds_per_epoch,), pace_error=error,
        start_s=estimate.start_s,
    )  # fmt: skip
    paid, why = _money_of(_without_runs(estimate.platform), evidence, terms)
    return Candidate(evidence=evidence, money=paid, no_price=why, remark="known by its estimate alone")


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
        money=paid,
        no_price=why,
        remark="nobody has tried it: its speed is guessed from its price",
    )


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
    fixed = beside_hours * an_hour + (rent.network_per_training or 0.0)
    return Money(fixed, an_hour, rent.currency, ", ".join(filter(None, words)))


# --- the reference ---------------------------------------------------------------------------------------------------


def reference_of(groups: Sequence[Group], question: Question) -> list[Evidence]:
    """Return the reference runs that train as these groups' do and reached the level: an evidence for each kind.

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
        reached = other.reached(metric, percent, window=question.window) if alike and metric in USUAL else None
        if reached is not None and other.run not in {each.run for each in mine}:
            epochs.setdefault((other.batch, (other.replicas, other.precision)), []).append(other.epochs(reached))
    return [
        Evidence(name=f"the reference at batch {batch}", batch=batch, kind=kind, epochs=tuple(found))
        for (batch, kind), found in epochs.items()
    ]


def estimates_in(paths: Sequence[str]) -> tuple[list[str], list[Estimated]]:
    """Return the paths that are no estimates, and the estimates: files that end in .json, and those in folders."""
    journals, found = [], []
    for path in paths:
        if path.endswith(".json"):
            found.append(read_estimate(path))
            continue
        inside = sorted(Path(path).glob("**/estimate.json")) if Path(path).is_dir() else []
        found += [read_estimate(each) for each in inside]
        if not inside or any(Path(path).glob("*.csv")):
            journals.append(path)
    return journals, found
