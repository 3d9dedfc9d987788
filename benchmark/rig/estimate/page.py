"""The answer of an estimate, in words and tables.

show(parts(foretold, measured, ...))
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence

from benchmark.judge.question import level_name
from benchmark.record.foretold import Bounds, Foretold
from benchmark.rig.estimate.costs import Costs
from benchmark.rig.estimate.measured import Epoch, Measured
from benchmark.run.prepare.job import Job
from benchmark.tables import Table, duration, interval, money, number

GIB = 2**30
KEPT = 5  # checkpoints that a run keeps at once: the last three, the best, and one that is being evaluated
FEW_ROUNDS = 5


def parts(
    foretold: Foretold, measured: Measured, epoch: Epoch, *, job: Job, costs: Costs | str, missing: Mapping[str, str]
) -> Iterator[str | Table]:
    """Yield the answer: an epoch, the levels with what they cost, what it needs, what is assumed, and what to doubt.

    `missing` says for levels without an answer why.
    """
    identity = measured.about["identity"]
    name = f"{identity['platform']}, {job.workload.label}, batch {identity['batch']}, {identity['precision']}"
    if identity["emulated"]:
        yield (
            f"EMULATED: {job.platform.label} is not here, and {identity['devices']} stand for it. These seconds are "
            f"this machine's, and say nothing of it."
        )
    within = interval(foretold.epoch_s.low, foretold.epoch_s.high)
    around = "" if within == "NA" else f" ({within})"
    yield f"{name}: {number(foretold.epoch_s.value)} s an epoch{around}, and {number(foretold.startup_s)} s to start"
    yield _epoch_table(measured, epoch)
    if foretold.levels:
        yield _levels_table(foretold, costs, measured)
    yield from (f"{level}: not known: {reason}" for level, reason in missing.items())
    if not foretold.levels:
        yield _at_most(foretold, job, costs)
    if isinstance(costs, str):
        yield f"Cost: not known: {costs}"
    yield _needs(measured)
    yield "Assumed:\n" + "\n".join(f"- {sentence}" for sentence in assumed(foretold, measured, costs, job))
    if doubts := list(doubtful(measured)):
        yield "Warnings:\n" + "\n".join(f"- {sentence}" for sentence in doubts)


def _epoch_table(measured: Measured, epoch: Epoch) -> Table:
    whole = len(measured.epochs_s)
    shapes = f"{len(measured.buckets)} shapes, {measured.batches_per_epoch} batches"
    opening = "" if whole or measured.opened_once else ", opening"
    rows = [
        ("training", number(epoch.train_s), f"{whole} whole epochs" if whole else shapes),
        ("evaluation, decoding included", number(epoch.evaluate_s), f"{measured.evaluation.utterances} utterances"),
        (f"generating, checkpoints, swaps{opening}", number(epoch.other_s), ""),
        ("once: creation", number(measured.create_s), ""),
        ("once: tracing and compilation", number(measured.first_s), ""),
    ]
    return Table("Seconds of an epoch", ("part", "seconds", "measured on"), tuple(rows))


def hours_of(minutes: float, costs: Costs, measured: Measured) -> float:
    """Return the hours that are paid for: with the preparation of features where it is billed and was measured."""
    return (minutes + costs.terms.with_preparation * measured.prepared_s / 60) / 60


def _levels_table(foretold: Foretold, costs: Costs | str, measured: Measured) -> Table:
    rows = []
    for level in foretold.levels:
        cells = [
            level_name(level.metric, level.percent),
            f"{level.epochs:.1f}",
            str(level.runs),
            number(level.minutes.value),
            interval(level.minutes.low, level.minutes.high),
        ]
        if not isinstance(costs, str):
            cells += [_money(name, level.minutes, costs, measured) for name in ("owned", "rented")]
        rows.append(tuple(cells))
    header = ("level", "epochs", "by runs", "minutes", "95% of runs")
    more = () if isinstance(costs, str) else (f"bought, {costs.currency}", f"rented, {costs.currency}")
    return Table("Minutes until a level is reached, since model creation", header + more, tuple(rows))


def _money(name: str, minutes: Bounds, costs: Costs, measured: Measured) -> str:
    amounts = [
        costs.of_hours(hours_of(each, costs, measured))[name]
        for each in (minutes.value, minutes.low, minutes.high)
        if each is not None
    ]
    if None in amounts:
        return "NA"
    value, *ends = (money(amount, "").strip() for amount in amounts)
    return f"{value} ({' to '.join(ends)})" if ends else value


def _at_most(foretold: Foretold, job: Job, costs: Costs | str) -> str:
    epochs = job.workload.max_epochs
    minutes = (foretold.startup_s + epochs * foretold.epoch_s.value) / 60
    limit = min(minutes, job.workload.max_minutes)
    words = f"{epochs} epochs, where the workload ends a run, would take {duration(minutes)}"
    if limit < minutes:
        words += f"; it ends one after {duration(limit)}"
    if not isinstance(costs, str):
        found = costs.of_hours(limit / 60)
        known = {"bought": found["owned"], "rented": found["rented"]}
        words += ", at " + " or ".join(
            f"{money(amount, costs.currency)} {name}" for name, amount in known.items() if amount is not None
        )
    return words + "."


def _needs(measured: Measured) -> str:
    disk = measured.features_bytes + KEPT * measured.checkpoint_bytes
    gpus = f", of GPUs {max(measured.gpu_bytes) / GIB:.1f} GiB each" if measured.gpu_bytes else ""
    return (
        f"Disk: {disk / GIB:.2f} GiB: features {measured.features_bytes / GIB:.2f}, at most {KEPT} checkpoints of "
        f"{measured.checkpoint_bytes / 2**20:.1f} MiB. Memory: {measured.memory_bytes / GIB:.1f} GiB seen{gpus}."
    )


def assumed(foretold: Foretold, measured: Measured, costs: Costs | str, job: Job) -> Iterator[str]:
    """Yield what an estimate takes for granted."""
    yield "the machine stays as it was in these minutes: clocks, temperature, other load"
    if foretold.levels:
        yield (
            "a run needs the epochs that reference runs of the same training needed; the interval is that of one "
            "further run, from seed to seed, and of the seconds as far as they varied in these minutes"
        )
    if measured.evaluation.sure_s is not None:
        at = "the reference runs' error rates" if foretold.levels else "the probe's, which makes it too long"
        yield (
            f"decoding takes less as a model errs less, in a straight line between {measured.evaluation.decode_s:.2f} "
            f"s at CER {measured.evaluation.cer:.0f} and {measured.evaluation.sure_s:.2f} s without doubt; it is "
            f"reckoned at {at}"
        )
    if measured.evaluation.share < 0.999:
        yield f"the whole validation set takes what {measured.evaluation.share:.0%} of its audio took, by frames"
    if job.workload.evaluation == "overlap":
        yield "an evaluation that overlaps training is reckoned as if training waited for it, which is too long"
    yield f"before the clock starts, {measured.before_s:.0f} s go by until all is loaded"
    if not isinstance(costs, str):
        took = f"{measured.prepared_s / 60:.1f} minutes, as long as it took now, where what is there already takes none"
        prepared = took if costs.terms.with_preparation else "not paid for"
        yield f"{costs.terms.use}; energy is left out; preparation of features: {prepared}"


def doubtful(measured: Measured) -> Iterator[str]:
    """Yield what to doubt about an estimate."""
    if measured.others:
        yield measured.others.replace("the times of this run", "these seconds")
    if unmet := measured.unmet:
        frames = ", ".join(str(bucket.frames) for bucket in unmet)
        yield f"no batch of {frames} frames was met in time; its seconds follow from the others: give --minutes more"
    if not measured.epochs_s and len(measured.rounds) < FEW_ROUNDS:
        yield f"every shape was timed {len(measured.rounds)} times only: give --minutes more"
    if measured.ratios and max(measured.ratios) > 1.5 * min(measured.ratios):
        low, high = min(measured.ratios), max(measured.ratios)
        yield f"stretches of a real epoch took {low:.2f} to {high:.2f} times what their batches take: it was not quiet"


def next_step(command: Sequence[str]) -> str:
    """Return what to do next."""
    words = " ".join(command) if command[0] == "make" else shlex.join(command)
    return f"Next: {words}; its table then has a line beside this estimate."


def rounded(value: float, low: float | None, high: float | None) -> Bounds:
    """Return bounds with four digits, as they are written down."""

    def four(number_: float | None) -> float | None:
        return None if number_ is None or not math.isfinite(number_) else float(f"{number_:.4g}")

    return Bounds(value=four(value) or 0.0, low=four(low), high=four(high))
