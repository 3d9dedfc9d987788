"""Energy to accuracy: what the boards of a rig's GPUs took until a level was reached, in watt-hours.

    for found in energies_to(groups):
        found.wh.value, found.wh.low, found.wh.high, found.ratio, found.reason

It is GPU board energy, measured by NVML within each run (`benchmark.record.energy`): of the GPUs that the run used, on
all its machines, from model creation to the end of the evaluation that reached the level, idle power inside. It is no
MLPerf power, which is of whole machines by a meter that was checked. Of several runs the geometric mean over their
error curves, with the interval of `log_interval`. A run of which power is known for less than 90% has none; a figure
that is missing is None with its reason, never 0. Where a platform states [power] pue, `facility_wh` is the board energy
times it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.circumstances import some
from benchmark.judge.estimates import Estimate, log_interval
from benchmark.judge.groups import Group, Level
from benchmark.record import FactsError, Run
from benchmark.record.run import GpuPower
from benchmark.tables import Table, cell, interval, number

WORDS = (
    "GPU board energy until the level was reached, by NVML: the boards of the GPUs that trained alone, without host, "
    "power supply and cooling; no MLPerf power. Ratio: energy counters over power over time, where both are known."
)


@dataclass(frozen=True, kw_only=True)
class EnergyTo:
    """The energy of one group to one level in Wh; `wh` is None without it, and `reason` says why.

    `of_runs` has each run's, None for those that did not reach the level or whose power is not known. `watts` is the
    mean power meanwhile, `ratio` that of counters to power, `note` how it was measured.
    """

    group: Group
    level: Level
    of_runs: tuple[float | None, ...] = ()
    wh: Estimate | None = None
    watts: float | None = None
    ratio: float | None = None
    pue: float | None = None
    note: str = ""
    reason: str = ""

    @property
    def facility_wh(self) -> Estimate | None:
        """Return the energy times the platform's power usage effectiveness; None where it states none."""
        return self.wh.times(self.pue) if self.wh and self.pue is not None else None

    def fields(self) -> dict[str, object]:
        """Return the columns of a table for machines."""
        bounds = (self.wh.value, self.wh.low, self.wh.high) if self.wh else (None, None, None)
        return {
            **dict(zip(("gpu_board_wh", "gpu_board_wh_low", "gpu_board_wh_high"), bounds, strict=True)),
            "gpu_board_w": self.watts,
            "energy_ratio": self.ratio,
            "pue": self.pue,
            "energy_note": self.note,
            "energy_reason": self.reason,
        }


def energies_to(groups: Sequence[Group]) -> list[EnergyTo]:
    """Return the energy of every real group to each of its levels; samples are read once a run."""
    return [found for group in groups if group.runs and not group.emulated for found in _of_group(group)]


def _of_group(group: Group) -> list[EnergyTo]:
    powers = [run.gpu_powers_until(_ends_s(run, group, n)) for n, run in enumerate(group.runs)]
    return [_to_level(group, level, [each[place] for each in powers]) for place, level in enumerate(group.levels)]


def _ends_s(run: Run, group: Group, n: int) -> list[float | None]:
    """Return the moments of a run's clock at which it reached each level; None for those that it did not."""
    created_s = run.record.created_s
    seconds = [level.wall_seconds[n] for level in group.levels]
    return [None if s is None else created_s + s for s in seconds]


def _to_level(group: Group, level: Level, powers: Sequence[GpuPower | None]) -> EnergyTo:
    """Return the energy to a level; `powers` are those of each run until then, None where it was not reached."""
    pue = pue_of(group)
    there = [(n, power) for n, power in enumerate(powers) if power is not None]
    if not there:
        return EnergyTo(group=group, level=level, pue=pue, reason=f"{level.name} was not reached")
    found: list[float | None] = [None] * len(powers)
    for n, power in there:
        seconds = level.wall_seconds[n]
        found[n] = None if power.watts is None or seconds is None else power.watts * seconds / 3600
    unknown = [(group.runs[n].source, power.note) for n, power in there if power.watts is None]
    reason = ""
    if unknown:
        why = "; ".join(dict.fromkeys(note for _, note in unknown))
        reason = why if len(unknown) == len(there) else f"{why} ({some([source for source, _ in unknown])})"
    elif len(there) < len(powers):
        reason = f"{len(there)} of {len(powers)} runs reached {level.name}: a mean of these alone would flatter"
    known = [power for _, power in there if power.watts is not None]
    ratios = [power.ratio for power in known if power.ratio is not None]
    values = _of_curves(level, found) if not reason else []
    return EnergyTo(
        group=group,
        level=level,
        of_runs=tuple(found),
        wh=log_interval(values, step=level.step) if values else None,
        watts=statistics.fmean(power.watts for power in known) if known and not reason else None,
        ratio=statistics.fmean(ratios) if ratios else None,
        pue=pue,
        note="; ".join(dict.fromkeys(power.note for power in known)),
        reason=reason,
    )


def _of_curves(level: Level, found: Sequence[float | None]) -> list[float]:
    """Return a value for each error curve: the geometric mean of its runs'."""
    curves = level.curves or tuple(range(len(found)))
    return [
        math.exp(statistics.fmean(math.log(wh) for wh, of in zip(found, curves, strict=True) if of == curve and wh))
        for curve in dict.fromkeys(curves)
    ]


def pue_of(group: Group) -> float | None:
    """Return the power usage effectiveness that a group's runs recorded; None without one, or with several."""
    found = set()
    for run in group.runs:
        try:
            platform = run.facts.platform if run.facts and "platform" in run.facts.content else None
        except FactsError:
            platform = None
        found.add(platform.power.pue if platform and platform.power else None)
    return found.pop() if len(found) == 1 else None


def energy_parts(groups: Sequence[Group]) -> list[str | Table]:
    """Return a table of energy to each level for every workload, with what the figures are and are not."""
    parts: list[str | Table] = []
    for workload in dict.fromkeys(group.workload for group in groups if group.runs and not group.emulated):
        found = energies_to([group for group in groups if group.workload == workload])
        parts.append(energy_table(workload, found))
        reasons: dict[str, list[str]] = {}
        for each in found:
            if each.reason:
                reasons.setdefault(each.reason, []).append(f"{each.group.label}, {each.level.name}")
        parts += ["\n".join(f"- {some(names)}: energy NA: {why}" for why, names in reasons.items())] if reasons else []
    return [*parts, WORDS] if parts else []


def energy_table(workload: str, found: Sequence[EnergyTo]) -> Table:
    """Return the energies to levels as a table; columns that no rig fills are left out."""
    header = (
        "platform", "level", "n", "board Wh", "95% interval", "board W", "Wh with PUE", "ratio", "how measured",
    )  # fmt: skip
    rows = [
        (
            each.group.label,
            each.level.name,
            str(each.level.n),
            number(each.wh.value if each.wh else None),
            "NA" if each.wh is None or each.wh.low is None else interval(each.wh.low, each.wh.high),
            cell(each.watts, ".0f"),
            number(each.facility_wh.value if each.facility_wh else None),
            cell(each.ratio, ".3f"),
            each.note if each.wh else "",
        )
        for each in found
    ]
    kept = [n for n, _ in enumerate(header) if n < 4 or any(row[n] not in ("NA", "") for row in rows)]
    return Table(
        f"{workload}: GPU board energy to a level",
        tuple(header[n] for n in kept),
        tuple(tuple(row[n] for n in kept) for row in rows),
    )
