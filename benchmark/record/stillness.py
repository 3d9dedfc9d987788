"""Time in which a run stood still: its process used no CPU, no GPU worked, and it did not wait for input.

    for stretch in stood_still(read_usage(path).samples, record):
        stretch.started_s, stretch.seconds, stretch.epoch       # 511.2, 16.5, 7

A machine that is paged or paused, a frozen cgroup, a stopped process and a hung network folder look so. Two things in
utilisation.csv show it: samples in a row without CPU time and GPU use, and a step between two samples that is much
longer than usual, where the sampler stood still too.

What is not said to stand still, as it may be work: creation, checkpoints and swaps, which wait for the disk; a step
that a GPU was busy in, or in which a GPU could not be read; what a train row calls waiting for input; runs on several
machines, which wait for one another. What is not seen: a process that is throttled to a part of its CPU time, as it
uses some in each step. Sleep of the whole machine is no part of a run's clock, so it is not here either (`suspended_s`
of end.json has it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from benchmark.record.history import RunRecord
from benchmark.record.phases import EVALUATED, Phase
from platforms import LARGEST

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame
else:
    from benchmark.record import arrays as np

LEAST_S = 1.5
"""A shorter stretch is not told: CPU time is counted in steps of 10 ms, and a new child is found after a second."""
IDLE_PERCENT = 1.0  # of a core; the CPU time of a process that a clock's interrupt hits by chance
LONG_STEPS = 5  # usual steps; a longer one is a gap, in which the sampler did not sample
WORKED = 0.1  # of the run's usual CPU use: from here on a process worked through a gap, and only its sampler did not
WORKING = (Phase.TRAIN, Phase.GENERATE, *EVALUATED)


@dataclass(frozen=True)
class Stretch:
    """A stretch of a run's clock, in seconds, in which it stood still, and the epoch of the row that it was in."""

    started_s: float
    seconds: float
    epoch: int


def still_s(stretches: Iterable[Stretch], *, until_s: float = float("inf")) -> float:
    """Return the seconds of stretches before a moment of the run's clock."""
    return sum(max(0.0, min(each.seconds, until_s - each.started_s)) for each in stretches)


class Samples(NamedTuple):
    """Samples of a run, float [samples] each: when they were taken, in seconds of its clock, and the percent of a core
    and of the busiest GPU that was used since the one before; NaN where that is not known."""

    ends_s: np.ndarray
    cpu_percent: np.ndarray
    gpu_percent: np.ndarray


def stood_still(samples: DataFrame, record: RunRecord) -> tuple[Stretch, ...]:
    """Return the stretches of at least LEAST_S in which a run stood still, by its samples; in order of time.

    It returns none for a run on several machines, on GPUs that were not sampled, or without samples.
    """
    if "process_cpu_percent" not in samples:
        return ()
    samples = samples[samples["seconds"].abs() <= LARGEST]
    gpus = [column for column in samples if str(column).endswith("_util_percent")]
    busiest = samples[gpus].max(axis=1, skipna=False).to_numpy(float) if gpus else np.full(len(samples), np.nan)
    ends_s, cpu = samples["seconds"].to_numpy(float), samples["process_cpu_percent"].to_numpy(float)
    return stretches_of(Samples(ends_s, cpu, busiest), record)


def stretches_of(samples: Samples, record: RunRecord) -> tuple[Stretch, ...]:
    """Return the stretches of at least LEAST_S in which the rows of a record stood still, as `stood_still` does."""
    identity, (ends_s, cpu, gpu) = record.identity, samples
    if identity is None or identity.machines > 1 or len(ends_s) < 2:
        return ()
    on_gpus = not identity.devices.startswith("CPU")
    if on_gpus and np.isnan(gpu).all():
        return ()
    no_gpu = gpu[1:] == 0 if on_gpus else np.ones(len(ends_s) - 1, bool)
    steps_s = np.diff(ends_s)
    usual_s, known = float(np.median(steps_s)), cpu[~np.isnan(cpu)]
    usual_cpu = float(np.median(known)) if np.isfinite(known).any() else 0.0
    gap = steps_s > max(LEAST_S, LONG_STEPS * usual_s)
    idle = np.where(gap, cpu[1:] <= WORKED * usual_cpu, (cpu[1:] <= IDLE_PERCENT) & no_gpu) & (steps_s > 0)
    return tuple(_told(_runs(idle, ends_s), record))


def _runs(idle: np.ndarray, ends_s: np.ndarray) -> Iterator[tuple[float, float]]:
    """Yield start and end of each run of idle steps; `idle` is bool [steps], `ends_s` [steps + 1]."""
    edges = np.diff(np.concatenate([[0], idle.astype(np.int8), [0]]))
    for first, after in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        yield float(ends_s[first]), float(ends_s[after])


def _told(stretches: Iterable[tuple[float, float]], record: RunRecord) -> Iterator[Stretch]:
    """Yield the part of each stretch in which a phase was under way that does not wait for the disk."""
    columns = record.table.columns
    starts_s, ends_s = columns["started_s"], columns["started_s"] + columns["seconds"]
    works = np.isin(columns["phase"], [phase.value for phase in WORKING])
    waited_s = np.where(columns["phase"] == Phase.TRAIN.value, np.nan_to_num(columns["input_s"]), 0.0)
    for begun_s, over_s in stretches:
        inside_s = np.minimum(ends_s, over_s) - np.maximum(starts_s, begun_s)
        mine = inside_s > 0
        others_s = float(inside_s[mine & ~works].sum())
        if not np.any(mine & works):
            continue
        longest = int(np.argmax(np.where(works, inside_s, 0.0)))
        seconds = min(over_s - begun_s - others_s, float(inside_s[mine & works].sum())) - float(waited_s[mine].sum())
        if seconds >= LEAST_S:
            yield Stretch(
                round(max(begun_s, float(starts_s[mine].min())), 3), round(seconds, 3), int(columns["epoch"][longest])
            )
