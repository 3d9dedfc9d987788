"""The report's figure of energy to accuracy: what the boards of the GPUs took until a level, against the time it took.

energy(block)                               # a Figure; without traces its caption says why there is no energy
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.judge.circumstances import some
from benchmark.judge.energy import WORDS, EnergyTo, energies_to, energy_table
from benchmark.report.figures import (
    Block,
    Figure,
    Key,
    Shown,
    Unit,
    axis,
    group_keys,
    level_name,
    neutral,
    rounded,
    trace,
)


def energy(block: Block) -> Figure:
    """Watt-hours to the hardest level that anybody's energy is known to, against minutes: runs, means, intervals."""
    figure_id, title = f"{block.id}-energy", "GPU board energy against time"
    if block.emulated:
        return Figure(id=figure_id, title=title, caption="Emulated runs have no energy: the GPUs are not the rig's.")
    found = energies_to(block.groups)
    known = [each for each in found if each.wh is not None]
    reasons: dict[str, list[str]] = {}
    for each in found:
        if each.reason:
            reasons.setdefault(each.reason, []).append(f"{each.group.label}, {each.level.name}")
    notes = tuple(f"{some(names)}: energy NA: {why}" for why, names in reasons.items())
    if not known:
        return Figure(id=figure_id, title=title, caption="No run's GPU board energy to a level is known.", notes=notes)
    names = [level.name for level in block.groups[0].levels if level.metric == block.question.metrics[0]]
    there = [each.level.name for each in known]
    level = max((name for name in there if name in names), key=names.index, default=there[-1])
    shown = [each for each in known if each.level.name == level]
    keys = group_keys(block)
    by_label = {key.name: key for key in keys}
    traces = [made for each in shown for made in _traces(block.runs_of(each.group), each, by_label, block.unit)]
    caption = (
        f"Watt-hours until {level_name(shown[0].level)}, against {block.unit.name}; small points are runs, large ones "
        f"their mean, bars the 95% interval of the energy. Lower left is better. {WORDS}"
    )
    layout = {
        "xaxis": axis(block.unit.name, rangemode="tozero"),
        "yaxis": axis("Wh of GPU boards", rangemode="tozero"),
    }
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout, keys=keys, notes=notes,
        table=energy_table(block.workload, found),
    )  # fmt: skip


def _traces(runs: list[Shown], each: EnergyTo, keys: dict[str, Key], unit: Unit) -> Iterator[dict]:
    key = keys.get(each.group.label)
    colour, symbol = (key.colour, key.marker) if key else (runs[0].colour, runs[0].marker)
    hover = f"%{{y:.4g}} Wh<br>%{{x:.2f}} {unit.short}"
    for run, wh, seconds in zip(runs, each.of_runs, each.level.wall_seconds, strict=True):
        if wh is not None and seconds is not None:
            marker = {"color": run.colour, "symbol": run.marker, "size": 7 if len(runs) > 1 else 11}
            yield trace(
                [run], mode="markers", x=[rounded(seconds / unit.seconds)], y=[rounded(wh)], marker=marker, hover=hover
            )
    minutes = each.level.clock_minutes("wall")
    if len(runs) < 2 or each.wh is None or minutes is None:
        return
    about: dict = {}
    if each.wh.low is not None and each.wh.high is not None:
        up, down = rounded(each.wh.high - each.wh.value), rounded(each.wh.value - each.wh.low)
        about["error_y"] = {"array": [up], "arrayminus": [down], "symmetric": False, "color": colour, "width": 7}
    yield trace(
        runs, f"{neutral(each.group.label)}, geometric mean", mode="markers", x=[unit.of(minutes)],
        y=[rounded(each.wh.value)], marker={"color": colour, "symbol": symbol, "size": 13}, hover=hover, **about,
    )  # fmt: skip
