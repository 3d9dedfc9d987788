"""The report's figures of how busy the machine was, from results/RUN/utilisation.csv.

    found = samples_of(block)                   # read once, for both
    platforms = by_platform(block, found)       # a row for each platform, on one scale
    window, whole = utilisation(block, found)   # over time, a panel for each run

benchmark/record/usage.py describes the file's columns. A sensor that could not be read is no zero: it is left out, and
the reason that run.json has for it ("unavailable") stands under the figure.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from benchmark.record import Facts, FactsError
from benchmark.record.energy import NO_POWER, Energy, percent
from benchmark.record.phases import Phase
from benchmark.record.usage import Summary, Usage, partly
from benchmark.report.by_platform import lane_depth, rows_height, rows_layout
from benchmark.report.figures import (
    COLOURS,
    DASHES,
    Block,
    Figure,
    Key,
    Shown,
    axis,
    neutral,
    rounded,
    trace,
)
from benchmark.report.panels import panel_axis, panels
from benchmark.tables import Table
from benchmark.tables import cell as styled
from benchmark.tables import number as digits
from platforms import LARGEST

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

WINDOW_S = 25.0  # at full resolution, as the paper shows it
GRACE_S = 30.0  # samples may end that much before the run
MOST_LINES = 2  # GPUs of a run: more are a band from the least to the most busy one, and the line of their mean
CPU_COLOUR, GPU_COLOUR = COLOURS[0], COLOURS[1]


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """The samples of one run: percent by name ("CPU", "GPU 0") at `seconds`; and why others are missing."""

    run: Shown
    seconds: np.ndarray
    percent: dict[str, np.ndarray] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # "GPU" -> why
    summary: tuple[str, ...] = ()  # cells of the table
    energy: str = ""  # how it was measured, and of what share of the run


def sampled(run: Shown) -> Sampled:
    """Read utilisation.csv; whatever is wrong with it becomes a reason, since a report shows what there is."""
    try:
        facts, problem = run.run.facts, ""
    except FactsError as error:
        facts, problem = None, str(error)
    reasons = facts.unavailable if facts else {}
    # Without a counter energy is that of power over time, which `energy` says.
    absent = {_sensor_name(key): why for key, why in reasons.items() if not key.endswith("_energy_j")}
    absent |= {"run.json": problem} if problem else {}
    cores = _cores(facts)
    try:
        usage = run.run.usage()
        if usage is None:
            why = reasons.get("sampler", "the run's folder has no utilisation.csv")
            return Sampled(run=run, seconds=np.empty(0), absent={**absent, "all sensors": why})
        seconds, percent = _percent(usage, cores=cores)
        summary = usage.summary()
    except (ValueError, OSError) as error:
        return Sampled(run=run, seconds=np.empty(0), absent={"all sensors": f"utilisation.csv: {error}"})
    if "CPU" in percent and cores is None:
        absent["the run's share of the CPU"] = "run.json does not say how many cores; drawn is the whole host's"
    if not any(name.startswith("GPU") for name in percent) and not any(name.startswith("GPU") for name in absent):
        absent["GPU"] = "no such column in utilisation.csv"
    until, end = (digits((s - run.record.created_s) / 60) for s in (seconds[-1], run.record.ended_s))
    if run.record.ended_s - seconds[-1] > GRACE_S:
        absent[f"what came after minute {until} of {end}"] = "the sampler ended before the run"
    for name, values in list(percent.items()):
        known_s = seconds[np.isfinite(values)]
        if not len(known_s):
            del percent[name]
            absent.setdefault(name, "never read")
        elif seconds[-1] - known_s[-1] > GRACE_S:
            last = digits((known_s[-1] - run.record.created_s) / 60)
            absent[f"{name} after minute {last} of {until}"] = "it could no longer be read"
    return Sampled(
        run=run,
        seconds=seconds,
        percent=percent,
        absent=absent,
        summary=_cells(summary),
        energy=_on_energy(summary.energy),
    )


def _sensor_name(column: str) -> str:
    names = {"gpu": "GPU", "sampler": "all sensors", "process_cpu_percent": "CPU"}
    return names.get(column, column.replace("gpu", "GPU ").replace("_", " "))


def _cores(facts: Facts | None) -> float | None:
    try:
        return facts.host.cores if facts else None
    except FactsError:
        return None


def _percent(usage: Usage, *, cores: float | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(seconds, percent by name): the process's share of all cores; the host's where the cores are not known."""
    rows = usage.samples
    rows = rows[rows["seconds"].abs() <= LARGEST].sort_values("seconds", kind="stable")
    if rows.empty:
        raise ValueError("no samples in it")
    percent = {}
    if "process_cpu_percent" in rows and cores:
        percent["CPU"] = rows["process_cpu_percent"].to_numpy() / cores
    elif "host_cpu_percent" in rows:
        percent["CPU"] = rows["host_cpu_percent"].to_numpy()
    percent |= {_sensor_name(gpu): rows[f"{gpu}_util_percent"].to_numpy() for gpu in usage.gpus}
    return rows["seconds"].to_numpy(), percent


def _cells(found: Summary) -> tuple[str, ...]:
    """The cells of the table of means; what is not of the whole run says of how much it is."""

    def cell(value: float | None, style: str = ".0f") -> str:
        return styled(value, style)

    cores = None if found.process_cpu_percent_mean is None else found.process_cpu_percent_mean / 100
    gpus = ", ".join(cell(gpu.util_percent_mean) + gpu.partly for gpu in found.gpus) or "NA"
    memory = ", ".join(cell(gpu.memory_mib_max) for gpu in found.gpus) or "NA"
    host, energy = cell(found.host_cpu_percent_mean), cell(found.energy.wh, ".1f")
    if found.energy.wh is not None and found.energy.gap:
        energy += f" (of {percent(found.energy.share)} of the run)"
    return (cell(cores, ".2f"), host, cell(found.process_memory_mib_max), gpus, memory, energy)


def _on_energy(energy: Energy) -> str:
    """Say how energy was measured, or why it is not known; empty if no GPU told any."""
    if energy.gap == NO_POWER:
        return ""
    named = re.sub(r"\bgpu(\d+)", r"GPU \1", energy.note)
    return f"GPU energy: {named}" if energy.wh is not None else f"GPU energy NA: {named}"


def _other_hosts(run: Shown) -> Iterator[tuple[str, ...]]:
    """Yield a row for every other machine of a run; how a machine's samples look in time is the chief's figure."""
    for rank in range(1, run.run.identity.machines):
        name = f"{run.name}, host {rank}"
        try:
            usage = run.run.usage(rank)
            yield (name, *(_cells(usage.summary()) if usage else ("NA",) * 6))
        except (ValueError, OSError):
            yield (name, *("NA",) * 6)


def samples_of(block: Block) -> dict[str, Sampled]:
    """Read the samples of a block's runs, by the runs' keys."""
    return {run.key: sampled(run) for run in block.runs}


# --- by platform -----------------------------------------------------------------------------------------------------


def by_platform(block: Block, samples: Mapping[str, Sampled]) -> Figure:
    """Means over whole runs: of the GPUs, with a band over them, and of all CPU cores; a row for each platform."""
    figure_id, title = f"{block.id}-use", "Utilisation"
    traces, table, kinds = [], [], set()
    for place, group in enumerate(block.groups):
        runs = [run for run in block.runs_of(group) if samples[run.key].percent]
        means = [(name, float(np.nanmean(values))) for run in runs for name, values in samples[run.key].percent.items()]
        cells = [group.label, str(len(runs))]
        for lane, (kind, colour, symbol) in enumerate((("GPU", GPU_COLOUR, "square"), ("CPU", CPU_COLOUR, "circle"))):
            values = [value for name, value in means if name.startswith(kind)]
            cells += [f"{np.mean(values):.0f}" if values else "NA"]
            if kind == "GPU":
                cells += [f"{min(values):.0f} to {max(values):.0f}" if values else "NA"]
            if not values:
                continue
            kinds.add(kind)
            y = rounded(place + lane * lane_depth(2))
            if len(values) > 1:
                ends = [rounded(min(values)), rounded(max(values))]
                band: dict = {"line": {"color": colour, "width": 9}, "opacity": 0.4}
                traces.append(trace(runs, group.label, mode="lines", x=ends, y=[y, y], **band))
            marker = {"symbol": symbol, "size": 10, "color": colour}
            hover = f"{kind} %{{x:.0f}}%"
            traces.append(trace(runs, group.label, mode="markers", x=[rounded(float(np.mean(values)))], y=[y],
                                marker=marker, hover=hover))  # fmt: skip
        table.append(tuple(cells))
    if not traces:
        notes = _notes(list(samples.values()))
        return Figure(id=figure_id, title=title, caption="Nothing was sampled.", notes=notes)
    looks = (("GPU", "the mean of the GPUs", GPU_COLOUR, "square"), ("CPU", "of all CPU cores", CPU_COLOUR, "circle"))
    keys = [Key(name=name, colour=colour, marker=symbol) for kind, name, colour, symbol in looks if kind in kinds]
    bands = {each["line"]["color"] for each in traces if each["mode"] == "lines"}
    if GPU_COLOUR in bands:
        keys.append(Key(name="from the least to the most busy GPU", colour=GPU_COLOUR, band=True))
    if CPU_COLOUR in bands:
        keys.append(Key(name="from the lowest to the highest run", colour=CPU_COLOUR, band=True))
    header = ("platform", "runs", "GPUs %", "least to most busy", "CPU cores %")
    return Figure(
        id=figure_id, title=title, traces=tuple(traces), keys=tuple(keys), height=rows_height(block, lanes=2),
        caption="How busy the machines were: means over whole runs, evaluations inside, a row for each platform. How "
        "it went over time stands under the single runs.",
        layout=rows_layout(block, axis("% of the time", range=[0, 104]), lanes=2),
        notes=tuple(note for note in _notes(list(samples.values())) if "not sampled" in note),
        table=Table(f"{block.workload}: means over whole runs, percent", header, tuple(table)),
    )  # fmt: skip


# --- over time -------------------------------------------------------------------------------------------------------


def utilisation(block: Block, samples: Mapping[str, Sampled] | None = None) -> tuple[Figure, Figure]:
    """(25 seconds from the middle of training, the whole run): CPU solid, GPUs dashed."""
    found = [(samples or {}).get(run.key) or sampled(run) for run in block.runs]
    header = ("run", "cores busy", "host CPU %", "memory MiB", "GPUs %", "GPU memory MiB", "GPU energy Wh")
    rows = tuple((each.run.name, *each.summary) for each in found if each.summary)
    rows += tuple(row for run in block.runs for row in _other_hosts(run))
    whole = partial(_whole, points=max(150, block.points // 2))
    figures = (
        _figure(block, found, "window", f"Utilisation over {WINDOW_S:g} seconds", _window),
        _figure(block, found, "whole", "Utilisation over the whole run", whole),
    )
    table = Table(f"{block.workload}: means over the whole run; memory at most", header, rows)
    return figures[0], replace(figures[1], table=table if rows else None)


def _figure(block: Block, found: Sequence[Sampled], ending: str, title: str, draw: Callable) -> Figure:
    figure_id, notes, there = f"{block.id}-use-{ending}", _notes(found), [each for each in found if each.percent]
    if not there:
        return Figure(id=figure_id, title=title, caption="Nothing was sampled.", notes=notes)
    names = list(dict.fromkeys(name for each in there for name in each.percent))
    traces, rows, keys = [], [], {}
    for number, each in enumerate(there):
        lines = {name: (xs, ys) for name, xs, ys in draw(each)}
        for made, key in _lines(each.run, lines, panel_axis(number)):
            traces.append(made)
            keys[key.name] = key
        rows.append((each.run.name, *(_mean(lines[name][1]) if name in lines else "" for name in names)))
    x_title, every = {"window": ("seconds, from the middle of training", "Every sample.")}.get(
        ending, (block.unit.axis, "Means over equal stretches.")
    )
    y_axes = [axis("%", range=[0, 104], tickvals=[0, 50, 100]) for _ in there]
    panel = ", a panel a run" * (len(there) > 1)
    return Figure(
        id=figure_id, title=title, traces=tuple(traces), notes=notes, height=90,
        caption=f"How busy the machine was{panel}: the share of all CPU cores solid, GPUs dashed. {every}",
        keys=tuple(keys.values()), layout=panels([each.run for each in there], x_title, y_axes),
        panels=tuple(each.run.key for each in there),
        table=Table(f"{block.workload}: means over {WINDOW_S:g} seconds, percent", ("run", *names), tuple(rows)),
    )  # fmt: skip


def _lines(
    run: Shown, lines: Mapping[str, tuple[list[float], list[float | None]]], place: str
) -> Iterator[tuple[dict, Key]]:
    """Yield a run's traces with their entries in the legend: of more than two GPUs a band, and the line of the mean."""
    gpus = [name for name in lines if name.startswith("GPU")]
    banded = len(gpus) > MOST_LINES
    for name, (xs, ys) in lines.items():
        if name in gpus and banded:
            continue
        hover, look = f"{neutral(name)} %{{y:.0f}}%<br>%{{x:.2f}}", _look(name)
        made = trace([run], name, mode="lines", x=xs, y=ys, line=look, yaxis=place, hover=hover)
        yield made, Key(name=name, colour=look["color"], dash=look["dash"])
    if not banded:
        return
    columns = [
        (x, known) for x, *ys in zip(lines[gpus[0]][0], *(lines[name][1] for name in gpus), strict=True)
        if (known := [y for y in ys if y is not None])
    ]  # fmt: skip
    xs = [x for x, _ in columns]
    low, mean, high = ([rounded(of(known), 3) for _, known in columns] for of in (min, statistics.fmean, max))
    area: dict = {"fill": "toself", "fillcolor": GPU_COLOUR, "opacity": 0.3, "line": {"width": 0, "color": GPU_COLOUR}}
    yield (
        trace([run], "GPUs", mode="lines", x=[*xs, *xs[::-1]], y=[*high, *low[::-1]], yaxis=place, **area),
        Key(name="from the least to the most busy GPU", colour=GPU_COLOUR, band=True),
    )
    line = {"color": GPU_COLOUR, "dash": "dash", "width": 1.5}
    hover = f"mean of {len(gpus)} GPUs %{{y:.0f}}%<br>%{{x:.2f}}"
    yield (
        trace([run], "GPUs", mode="lines", x=xs, y=mean, line=line, yaxis=place, hover=hover),
        Key(name="the mean of the GPUs", colour=GPU_COLOUR, dash="dash"),
    )


def _notes(found: Sequence[Sampled]) -> tuple[str, ...]:
    """Say what was not sampled, why, and in which runs."""
    notes: dict[str, list[str]] = {}
    for each in found:
        for name, why in each.absent.items():
            notes.setdefault(f"{name} not sampled: {why}", []).append(each.run.name)
        if each.energy:
            notes.setdefault(each.energy, []).append(each.run.name)
    return tuple(f"{what} ({_some(names)})" for what, names in notes.items())


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.0f}{partly(len(known) / len(values))}" if known else "NA"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} runs"


def _look(name: str) -> dict:
    if not name.startswith("GPU"):
        return {"color": COLOURS[0], "dash": "solid", "width": 1.5}
    number = int("".join(filter(str.isdigit, name)) or 0)
    return {"color": COLOURS[1 + number % 6], "dash": DASHES[1 + number % 4], "width": 1.5}


def _window(each: Sampled) -> Iterator[tuple[str, list[float], list[float | None]]]:
    """Around the middle train row."""
    rows = [row for row in each.run.rows if row.phase is Phase.TRAIN]
    middle = rows[len(rows) // 2] if rows else None
    centre_s = (middle.started_s + middle.ended_s) / 2 if middle else float(np.median(each.seconds))
    if not np.any(np.abs(each.seconds - centre_s) <= WINDOW_S / 2):  # the sampler ended before
        centre_s = float(np.median(each.seconds))
    start_s = max(centre_s - WINDOW_S / 2, float(each.seconds[0]))
    inside = (each.seconds >= start_s) & (each.seconds <= start_s + WINDOW_S)
    for name, values in each.percent.items():
        yield name, [rounded(s - start_s) for s in each.seconds[inside]], _plain(values[inside])


def _whole(each: Sampled, *, points: int) -> Iterator[tuple[str, list[float], list[float | None]]]:
    """The mean over each of equal numbers of samples: of a share of time the mean is the right summary."""
    starts = np.unique(np.linspace(0, len(each.seconds), min(points, len(each.seconds)), endpoint=False).astype(int))
    counts = np.diff([*starts, len(each.seconds)])
    times = [each.run.time(s) for s in np.add.reduceat(each.seconds, starts) / counts]
    for name, values in each.percent.items():
        known = np.add.reduceat(np.isfinite(values).astype(float), starts)
        sums = np.add.reduceat(np.nan_to_num(values), starts)
        yield name, times, _plain(np.divide(sums, known, out=np.full(len(sums), np.nan), where=known > 0))


def _plain(values: np.ndarray) -> list[float | None]:
    return [rounded(value, 3) if np.isfinite(value) else None for value in values.tolist()]
