"""What the runs of a study took on each machine, where it was made on several that are unlike.

    machine_parts(found, "target")              # [] of one machine; else a sentence and a table

Errors are pooled over machines; times, costs and loads are not.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmark.judge.circumstances import LARGE_OTHER_LOAD
from benchmark.study.results import Observation
from benchmark.tables import Table, cell, count, money, number


def machine_parts(found: Sequence[Observation], protocol: str) -> list[str | Table]:
    """Return what runs took on each machine, where a study has several: errors pool over machines, times do not."""
    rigs = list(dict.fromkeys(each.rig for each in found))
    if len(rigs) < 2:
        return []
    rows = []
    for size, place in sorted({(each.samples, rigs.index(each.rig)) for each in found}):
        mine = [each for each in found if each.samples == size and each.rig == rigs[place]]
        costs: dict[str, list[float]] = {}
        for each in mine:
            if each.cost is not None:
                costs.setdefault(each.currency, []).append(each.cost)
        rows.append(
            (
                f"{size:,}",
                str(place + 1),
                str(len(mine)),
                *(number(mean_of(mine, name)) for name in ("run_minutes", "seconds_a_batch", "samples_per_s")),
                *(cell(mean_of(mine, name), ".0f") for name in ("cpu_percent", "memory_mib")),
                ", ".join(money(statistics.fmean(sums), currency) for currency, sums in costs.items()) or "NA",
            )
        )
    header = ("utterances", "machine", "runs", "minutes", "s a batch", "samples/s", "CPU %", "memory MiB", "cost")
    named = "; ".join(f"{place}: {rig}" for place, rig in enumerate(rigs, start=1))
    words = (
        f"{protocol}: runs of {len(rigs)} unlike machines are here: their errors are pooled, their times, costs and "
        f"loads are not, and stand for each machine by itself ({named})"
    )
    return [words, Table(f"{protocol}: what runs took, by machine", header, tuple(rows))]


def load_parts(found: Sequence[Observation], protocol: str) -> list[str]:
    """Return a sentence on what other processes took of the machines while runs were made; [] if that was little."""
    loads = [each.other_load for each in found if each.other_load is not None]
    busy = [load for load in loads if load >= LARGE_OTHER_LOAD]
    if not busy:
        return []
    words = (
        f"{protocol}: other processes took up to {max(busy):.0%} of the machine's CPUs during {len(busy)} of "
        f"{count(len(found), 'run')}: minutes, samples a second and costs are those of a shared machine; errors are "
        f"not touched by it"
    )
    return [words]


def mean_of(found: Sequence[Observation], name: str) -> float | None:
    """Return the mean of a figure of observations, of those that have it; None if none has."""
    values = [value for each in found if (value := getattr(each, name)) is not None]
    return statistics.fmean(values) if values else None
