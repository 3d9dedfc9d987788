"""Energy to accuracy: what the boards of a rig's GPUs took until a level was reached, in watt-hours.

    for found in energies_to(groups):
        found.wh.value, found.wh.low, found.wh.high, found.ratio, found.reason

It is GPU board energy, measured by NVML within each run (`benchmark.record.energy`): of the GPUs that the run used, on
all its machines, from model creation to the end of the evaluation that reached the level, idle power inside. It is no
MLPerf power, which is of whole machines by a meter that was checked. Of several runs the geometric mean over their
error curves, with the interval of `log_interval`. A run of which power is known for less than 90% has none; a figure
that is missing is None with its reason, never 0. Where a platform states [power] pue, `facility_wh` is the board energy
times it.

Beside it stand what processor packages took by RAPL, where the kernel shows them; what a meter says of the whole
machine, if its log is given, matched by the time of day; and what the idle GPUs took before model creation, which is
subtracted from nothing: a rig that is idle is paid for as well. None of them is added to another.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.judge.circumstances import some
from benchmark.judge.estimates import Estimate, log_interval
from benchmark.judge.groups import Group, Level
from benchmark.judge.question import JudgeError
from benchmark.record import FactsError, Run
from benchmark.record.meter import Meter
from benchmark.record.run import GpuPower
from benchmark.tables import Table, cell, interval, number

WORDS = (
    "GPU board energy until the level was reached, by NVML: the boards of the GPUs that trained alone, without host, "
    "power supply and cooling; no MLPerf power. Ratio: energy counters over power over time, where both are known. "
    "Idle: before model creation, and subtracted from nothing. CPU: processor packages by RAPL. Metered: the whole "
    "machine."
)

NO_WATTS = "the sensors say 0 W, which nothing takes that computes"


@dataclass(frozen=True, kw_only=True)
class EnergyTo:
    """The energy of one group to one level in Wh; `wh` is None without it, and `reason` says why.

    `of_runs` has each run's, None for those that did not reach the level or whose power is not known. `watts` is the
    mean power meanwhile, `ratio` that of counters to power, `note` how it was measured. `packages_wh` and `metered_wh`
    are of processors and of the whole machine, with their reasons; `idle_w` is before model creation.
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
    idle_w: float | None = None
    packages_wh: Estimate | None = None
    packages_reason: str = ""
    metered_wh: Estimate | None = None
    metered_reason: str = ""

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
            "idle_w": self.idle_w,
            "cpu_packages_wh": self.packages_wh.value if self.packages_wh else None,
            "metered_wh": self.metered_wh.value if self.metered_wh else None,
            "metered_reason": self.metered_reason,
            "energy_note": self.note,
            "energy_reason": self.reason,
        }


def energies_to(groups: Sequence[Group], meters: Mapping[str, Meter] | None = None) -> list[EnergyTo]:
    """Return the energy of every real group to each of its levels; samples are read once a run.

    `meters` are logs of whole machines, by platform.
    """
    real = [group for group in groups if group.runs and not group.emulated]
    return [found for group in real for found in _of_group(group, (meters or {}).get(group.platform))]


def _of_group(group: Group, meter: Meter | None) -> list[EnergyTo]:
    ends_s = [_ends_s(run, group, n) for n, run in enumerate(group.runs)]
    powers = [run.powers_until(ends) for run, ends in zip(group.runs, ends_s, strict=True)]
    idles = [each.idle.watts for each in powers if each.idle.watts is not None]
    found = []
    for place, level in enumerate(group.levels):
        boards = _mean(group, level, [each.gpus[place] for each in powers])
        of_packages = _mean(group, level, [each.packages[place] for each in powers])
        if meter is None:
            metered = _Mean(reason="no meter's log is given")
        else:
            ends = [each[place] for each in ends_s]
            metered = _mean(
                group, level, [_metered(run, meter, end) for run, end in zip(group.runs, ends, strict=True)]
            )
        found.append(
            EnergyTo(
                group=group, level=level, of_runs=boards.of_runs, wh=boards.wh, watts=boards.watts, ratio=boards.ratio,
                pue=pue_of(group), note=boards.note, reason=boards.reason,
                idle_w=statistics.fmean(idles) if idles else None,
                packages_wh=of_packages.wh, packages_reason=of_packages.reason,
                metered_wh=metered.wh, metered_reason=metered.reason,
            )
        )  # fmt: skip
    return found


def _metered(run: Run, meter: Meter, end_s: float | None) -> GpuPower | None:
    if end_s is None:
        return None
    energy = meter.energy(run, end_s=end_s)
    return GpuPower(watts=energy.mean_w, share=energy.share, note=energy.note)


def _ends_s(run: Run, group: Group, n: int) -> list[float | None]:
    """Return the moments of a run's clock at which it reached each level; None for those that it did not."""
    created_s = run.record.created_s
    seconds = [level.wall_seconds[n] for level in group.levels]
    return [None if s is None else created_s + s for s in seconds]


@dataclass(frozen=True, kw_only=True)
class _Mean:
    """The energy of a group's runs until a level, by one kind of sensor."""

    of_runs: tuple[float | None, ...] = ()
    wh: Estimate | None = None
    watts: float | None = None
    ratio: float | None = None
    note: str = ""
    reason: str = ""


def _mean(group: Group, level: Level, powers: Sequence[GpuPower | None]) -> _Mean:
    """Return the energy to a level; `powers` are those of each run until then, None where it was not reached."""
    there = [(n, power) for n, power in enumerate(powers) if power is not None]
    if not there:
        return _Mean(reason=f"{level.name} was not reached")
    found: list[float | None] = [None] * len(powers)
    for n, power in there:
        seconds = level.wall_seconds[n]
        found[n] = None if not power.watts or seconds is None else power.watts * seconds / 3600
    unknown = [
        (group.runs[n].source, NO_WATTS if power.watts == 0 else power.note) for n, power in there if not power.watts
    ]
    reason = ""
    if unknown:
        why = "; ".join(dict.fromkeys(note for _, note in unknown))
        reason = why if len(unknown) == len(there) else f"{why} ({some([source for source, _ in unknown])})"
    elif len(there) < len(powers):
        reason = f"{len(there)} of {len(powers)} runs reached {level.name}: a mean of these alone would flatter"
    known = [power for _, power in there if power.watts]
    ratios = [power.ratio for power in known if power.ratio is not None]
    values = _of_curves(level, found) if not reason else []
    return _Mean(
        of_runs=tuple(found),
        wh=log_interval(values, step=level.step) if values else None,
        watts=statistics.fmean(power.watts for power in known) if values else None,
        ratio=statistics.fmean(ratios) if ratios else None,
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


def energy_by_level(
    groups: Sequence[Group], meters: Mapping[str, Meter] | None = None
) -> dict[tuple[object, ...], dict[str, object]]:
    """Return the columns for machines by label, metric, percent and workload; without energy they are None.

    Raises:
        JudgeError: a meter is of a platform that has no runs here.
    """
    _check_meters(groups, meters)
    none = dict.fromkeys(EnergyTo(group=groups[0], level=groups[0].levels[0]).fields()) if groups else {}
    found: dict[tuple[object, ...], dict[str, object]] = {
        (group.label, level.metric, level.percent, group.workload): none for group in groups for level in group.levels
    }
    for each in energies_to(groups, meters):
        found[each.group.label, each.level.metric, each.level.percent, each.group.workload] = each.fields()
    return found


def _check_meters(groups: Sequence[Group], meters: Mapping[str, Meter] | None) -> None:
    there = sorted({group.platform for group in groups if group.runs})
    if missing := [name for name in meters or {} if name not in there]:
        raise JudgeError(f"a meter of {missing[0]!r}, which has no runs here; there are {', '.join(there) or 'none'}")


def energy_parts(groups: Sequence[Group], meters: Mapping[str, Meter] | None = None) -> list[str | Table]:
    """Return a table of energy to each level for every workload, with what the figures are and are not.

    Raises:
        JudgeError: a meter is of a platform that has no runs here.
    """
    _check_meters(groups, meters)
    parts: list[str | Table] = []
    for workload in dict.fromkeys(group.workload for group in groups if group.runs and not group.emulated):
        found = energies_to([group for group in groups if group.workload == workload], meters)
        parts.append(energy_table(workload, found))
        reasons: dict[str, list[str]] = {}
        for each in found:
            whys = [f"energy NA: {each.reason}"] if each.reason else []
            whys += [f"metered NA: {each.metered_reason}"] if meters and each.metered_reason else []
            for why in whys:
                reasons.setdefault(why, []).append(f"{each.group.label}, {each.level.name}")
        parts += ["\n".join(f"- {some(names)}: {why}" for why, names in reasons.items())] if reasons else []
    return [*parts, WORDS] if parts else []


def energy_table(workload: str, found: Sequence[EnergyTo]) -> Table:
    """Return the energies to levels as a table; columns that no rig fills are left out."""
    header = (
        "platform", "level", "n", "board Wh", "95% interval", "board W", "idle W", "Wh with PUE", "CPU Wh",
        "metered Wh", "ratio", "how measured",
    )  # fmt: skip
    rows = [
        (
            each.group.label,
            each.level.name,
            str(each.level.n),
            number(each.wh.value if each.wh else None),
            "NA" if each.wh is None or each.wh.low is None else interval(each.wh.low, each.wh.high),
            cell(each.watts, ".0f"),
            cell(each.idle_w, ".0f"),
            number(each.facility_wh.value if each.facility_wh else None),
            number(each.packages_wh.value if each.packages_wh else None),
            number(each.metered_wh.value if each.metered_wh else None),
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
