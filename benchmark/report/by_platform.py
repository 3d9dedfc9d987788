"""The report's figures of many runs: a row, or a median and a band, for every platform.

    for figure in (ladder(block), errors(block), loss(block), throughput(block), phases(block)): ...

From about twelve runs on a line a run is a thicket. A band goes from the lowest to the highest run, the line in it is
the median; at epoch i both are of the runs that have one, as long as half of them do. Rows are in the judge's order,
the soonest first, and have their name above them, so that long names fit on a phone.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.judge.groups import Group
from benchmark.judge.question import metric_name
from benchmark.record.phases import Phase
from benchmark.report.curves import (
    LEAST_PERCENT,
    LEVEL_KEYS,
    cut_words,
    error_words,
    errors_height,
    errors_layout,
    smoothed,
)
from benchmark.report.figures import (
    COLOURS,
    GREY,
    MARKERS,
    Block,
    Figure,
    Key,
    Shown,
    axis,
    cell,
    group_keys,
    interval_table,
    level_name,
    log_axis,
    neutral,
    rounded,
    thinned,
    times_axis,
    trace,
)
from benchmark.report.panels import PHASES, phase_key
from benchmark.tables import Table
from benchmark.tables import number as digits

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

ROW, LANE = 34, 15  # pixels: of a platform's row, and of each further level in it
BAND_KEY = Key(name="from the lowest to the highest run", colour=GREY, band=True)
MEDIAN_KEY = Key(name="the median", colour=GREY, marker="circle")
TICK_KEY = Key(name="a run", colour=GREY, marker="line-ns-open")
LOSS_POINTS = 200


def rows_layout(block: Block, x_axis: dict, *, lanes: int = 1) -> dict:
    """Return a row for each platform from the top, its name above it; with `lanes`, so many lines in each."""
    names = [
        {"text": neutral(group.label), "xref": "paper", "x": 0, "y": place, "yshift": 6, "xanchor": "left",
         "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
        for place, group in enumerate(block.groups)
    ]  # fmt: skip
    hidden = {"showticklabels": False, "zeroline": False, "fixedrange": True, "tickvals": list(range(len(names)))}
    row, depth = ROW + LANE * (lanes - 1), (lanes - 1) * lane_depth(lanes)
    y_axis = {"range": [len(names) - 1 + depth + 14 / row, -30 / row], "showgrid": lanes == 1, **hidden}
    return {"xaxis": x_axis, "yaxis": y_axis, "annotations": names}


def lane_depth(lanes: int) -> float:
    """Return how far below another a lane is, as a share of a platform's row."""
    return LANE / (ROW + LANE * (lanes - 1))


def rows_height(block: Block, *, lanes: int = 1) -> int:
    return (ROW + LANE * (lanes - 1)) * len(block.groups) + 80


def ladder(block: Block) -> Figure:
    """Time to accuracy: a row for each platform, in it a line for each level; ticks are runs."""
    levels, traces, unit = block.groups[0].levels, [], block.unit
    for place, group in enumerate(block.groups):
        runs = block.runs_of(group)
        for number, level in enumerate(group.levels):
            colour, name = COLOURS[number % len(COLOURS)], f"{group.label}, {level_name(level)}"
            times = [rounded(s / unit.seconds) for s in level.seconds if s is not None]
            y = rounded(place + number * lane_depth(len(levels)))
            if times:
                ticks = {"symbol": "line-ns-open", "size": 9, "color": colour, "opacity": 0.6}
                at = {"x": times, "y": [y] * len(times)}
                hover = f"%{{x:.2f}} {unit.short}"
                traces.append(trace(runs, name, mode="markers", hover=hover, marker=ticks, **at))
            if level.minutes is None:
                continue
            bar: dict = {"color": colour, "width": 5, "visible": False}
            words = ""
            if bound := level.interval_minutes:
                up, down = unit.of(bound[1] - level.minutes), unit.of(level.minutes - bound[0])
                bar |= {"visible": True, "symmetric": False, "array": [max(0.0, up)], "arrayminus": [max(0.0, down)]}
                words = f"<br>95% from {digits(unit.of(bound[0]))} to {digits(unit.of(bound[1]))}"
            marker = {"symbol": MARKERS[number % len(MARKERS)], "size": 9, "color": colour}
            traces.append(
                trace(runs, name, mode="markers", x=[unit.of(level.minutes)], y=[y], marker=marker, error_x=bar,
                      hover=f"mean %{{x:.2f}} {unit.short}{words}")
            )  # fmt: skip
    times = [s / unit.seconds for group in block.groups for level in group.levels for s in level.seconds if s]
    missed = [f"{g.label}: {level_name(level)} NA" for g in block.groups for level in g.levels if level.minutes is None]
    lanes = ", in it a line for each level" * (len(levels) > 1)
    caption = (
        f"{unit.name.capitalize()} until {error_words(block)} was at most the level, a row for each platform, the "
        f"soonest first{lanes}. Points are geometric means, bars 95% intervals, ticks single runs. "
        + ("These are not the rigs' own times." if block.emulated else "Left is better.")
    )
    keys = [Key(name=level_name(level), colour=COLOURS[n % len(COLOURS)], marker=MARKERS[n % len(MARKERS)])
            for n, level in enumerate(levels)]  # fmt: skip
    return Figure(
        id=f"{block.id}-tta", title="Time to accuracy", caption=caption, traces=tuple(traces),
        layout=rows_layout(block, times_axis(unit.name, times), lanes=len(levels)), wide=True,
        height=rows_height(block, lanes=len(levels)), keys=(*keys, TICK_KEY), notes=tuple(missed),
        table=interval_table(block),
    )  # fmt: skip


# --- curves ----------------------------------------------------------------------------------------------------------


def _band(
    runs: Sequence[Shown], label: str, xs: np.ndarray, values: np.ndarray, *, yaxis: str, hover: str
) -> Iterator[dict]:
    """Yield the area between the lowest and the highest of some runs, and the line of their medians."""
    colour, dash = runs[0].colour, runs[0].dash
    low, mid, high = (
        [rounded(float(v)) for v in part]
        for part in (np.nanmin(values, 0), np.nanmedian(values, 0), np.nanmax(values, 0))
    )
    places = [rounded(float(x)) for x in xs]
    yield trace(
        runs, label, mode="lines", x=[*places, *places[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=colour,
        opacity=0.16, line={"width": 0, "color": colour}, yaxis=yaxis,
    )  # fmt: skip
    line = {"color": colour, "dash": dash, "width": 2}
    yield trace(runs, label, mode="lines", x=places, y=mid, line=line, yaxis=yaxis, hover=hover)


def errors(block: Block) -> Figure:
    """Errors after every epoch: a median and a band for each platform, a panel for each metric."""
    traces: list[dict] = []
    table: list[tuple[str, ...]] = []
    for group in block.groups:
        runs = block.runs_of(group)
        for number, metric in enumerate(block.metrics):
            epochs, minutes, values = _by_epoch(runs, metric)
            if not len(epochs):
                continue
            hover = f"median {metric_name(metric)} %{{y:.2f}}%<br>%{{x:.2f}} {block.unit.short}"
            place = f"y{number + 1 if number else ''}"
            shown = np.maximum(values, LEAST_PERCENT)
            traces += _band(runs, group.label, np.nanmedian(minutes, 0), shown, yaxis=place, hover=hover)
            for n in range(0, len(epochs), 1 + len(epochs) // 20):
                ends = (np.nanmedian(values[:, n]), np.nanmin(values[:, n]), np.nanmax(values[:, n]))
                cells = (
                    digits(float(np.nanmedian(minutes[:, n])) * block.unit.seconds / 60),
                    *(f"{end:.2f}" for end in ends),
                )
                table.append((group.label, metric_name(metric), str(epochs[n]), *cells))
    figure_id, title = f"{block.id}-errors", " and ".join(metric_name(m) for m in block.metrics)
    if not traces:
        return Figure(id=figure_id, title=title, caption="No run has been evaluated yet.")
    caption = (
        f"Errors on the dev set after every epoch, on logarithmic axes{cut_words(block)}: the median of each "
        f"platform's runs, and a band from the lowest to the highest. Dashed lines are the levels. Lower is better."
    )
    header = ("platform", "metric", "epoch", "minutes", "median", "lowest", "highest")
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=errors_layout(block),
        height=errors_height(block), keys=(*group_keys(block, lines=True), BAND_KEY, LEVEL_KEYS[0]),
        table=Table(f"{block.workload}: errors in percent", header, tuple(table)),
    )  # fmt: skip


def _by_epoch(runs: Sequence[Shown], metric: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return epochs that half of the runs evaluated, and [runs, epochs] of times and errors, NaN without one."""
    found = [
        {row.epoch: (run.time(row.ended_s), value) for row in run.record.evaluations
         if (value := getattr(row, metric)) is not None}
        for run in runs
    ]  # fmt: skip
    every = sorted({epoch for each in found for epoch in each})
    epochs = [epoch for epoch in every if 2 * sum(epoch in each for each in found) >= len(runs)]
    missing = (np.nan, np.nan)
    both = np.array([[each.get(epoch, missing) for epoch in epochs] for each in found], float)
    both = both.reshape(len(runs), len(epochs), 2)
    return epochs, both[:, :, 0], both[:, :, 1]


def loss(block: Block) -> Figure:
    """The smoothed loss of every train row: a median and a band for each platform."""
    traces: list[dict] = []
    table: list[tuple[str, ...]] = []
    for group in block.groups:
        runs = block.runs_of(group)
        curves = [curve for run in runs if (curve := _loss_of(run))]
        if not curves:
            continue
        last = statistics.median(steps[-1] for steps, *_ in curves)
        steps = np.linspace(max(c[0][0] for c in curves), last, LOSS_POINTS)
        minutes = np.array([np.interp(steps, c[0], c[1], right=np.nan) for c in curves])
        values = np.array([np.interp(steps, c[0], c[2], right=np.nan) for c in curves])
        hover = f"median loss %{{y:.4g}}<br>%{{x:.2f}} {block.unit.short}"
        traces += _band(runs, group.label, np.nanmedian(minutes, 0), values, yaxis="y", hover=hover)
        ends = (np.nanmedian(values[:, 0]), np.nanmedian(values[:, -1]))
        table.append((group.label, str(len(curves)), *(f"{end:.2f}" for end in ends)))
    figure_id, title = f"{block.id}-loss", "CTC loss"
    if not traces:
        return Figure(id=figure_id, title=title, caption="No run has written a loss.")
    caption = (
        "Loss of the training batches, smoothed as a single run's is, over the batches that half of the runs trained: "
        "the median of each platform's runs, and a band from the lowest to the highest. Lower is better."
    )
    layout = {
        "xaxis": axis(block.unit.axis, rangemode="tozero"),
        "yaxis": log_axis("loss", [y for each in traces for y in each["y"]]),
    }
    header = ("platform", "runs", "first, median", "last, median")
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout,
        keys=(*group_keys(block, lines=True), BAND_KEY),
        table=Table(f"{block.workload}: CTC loss", header, tuple(table)),
    )  # fmt: skip


def _loss_of(run: Shown) -> tuple[list[float], list[float], list[float]] | None:
    """Return (batches, times, smoothed loss) of a run's train rows that still hold; None without a loss."""
    rows = [row for row in run.record.standing if row.phase is Phase.TRAIN and row.loss and row.loss > 0]
    if not rows:
        return None
    smooth, _ = smoothed([row.loss for row in rows])
    thin = thinned(list(range(len(rows))), smooth, points=4 * LOSS_POINTS)
    kept = [rows[int(n)] for n in thin[0]]
    return [row.step for row in kept], [run.time(row.ended_s) for row in kept], thin[1]


# --- rows ------------------------------------------------------------------------------------------------------------


def throughput(block: Block) -> Figure:
    """Utterances per second: a row for each platform; ticks are the medians of runs."""
    figure_id, title = f"{block.id}-throughput", "Throughput"
    traces, table = [], []
    for place, group in enumerate(block.groups):
        runs, rates = block.runs_of(group), _rates(group)
        if not rates:
            continue
        colour = runs[0].colour
        ticks = {"symbol": "line-ns-open", "size": 9, "color": colour, "opacity": 0.6}
        hover = "%{x:.4g} utterances/s"
        xs = [rounded(rate) for rate in rates]
        traces.append(trace(runs, group.label, mode="markers", x=xs, y=[place] * len(xs), marker=ticks, hover=hover))
        middle = statistics.median(rates)
        marker = {"symbol": "circle", "size": 11, "color": colour}
        traces.append(
            trace(runs, group.label, mode="markers", x=[rounded(middle)], y=[place], marker=marker,
                  hover=f"median {hover}")
        )  # fmt: skip
        table.append((group.label, str(len(rates)), *(digits(v) for v in (middle, min(rates), max(rates)))))
    if not traces:
        return Figure(id=figure_id, title=title, caption="No run has trained long enough to tell its throughput.")
    x_axis = times_axis("utterances/s", [x for each in traces for x in each["x"]])
    caption = (
        "Utterances a second, a row for each platform: ticks are the medians of its runs, the point is theirs. How it "
        "went over time stands under the single runs. Right is better."
    )
    header = ("platform", "runs", "median (utterances/s)", "lowest run", "highest run")
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=rows_layout(block, x_axis),
        height=rows_height(block), keys=(MEDIAN_KEY, TICK_KEY),
        table=Table(f"{block.workload}: throughput", header, tuple(table)),
    )  # fmt: skip


def _rates(group: Group) -> list[float]:
    return [rate for record in group.records if (rate := record.utterances_per_s) is not None]


def phases(block: Block) -> Figure:
    """Where the time went: a bar for each platform, the median share of every phase."""
    there = [p for p in PHASES if any(group.shares.get(p, 0) >= 0.0005 for group in block.groups)]
    traces, table = [], []
    for place, group in enumerate(block.groups):
        runs, at = block.runs_of(group), 0.0
        for phase in there:
            share = 100 * group.shares[phase]
            colour, pattern = PHASES[phase]
            fill = {"color": colour, "line": {"width": 0},
                    "pattern": {"shape": pattern, "size": 5, "solidity": 0.25, "fillmode": "overlay"}}  # fmt: skip
            traces.append(
                trace(runs, group.label, type="bar", orientation="h", width=0.34, base=[rounded(at)],
                      x=[rounded(share)], y=[place + 0.08], marker=fill, hover=f"{phase.value}: {share:.1f}%")
            )  # fmt: skip
            at += share
        table.append((group.label, cell(group.seconds_per_epoch), *(f"{group.shares[p]:.1%}" for p in there)))
    caption = (
        "The median share of the wall clock that each phase took, a bar for each platform; of evaluation what nothing "
        "else ran beside."
    )
    header = ("platform", "s an epoch", *(phase.value for phase in there))
    return Figure(
        id=f"{block.id}-phases", title="Phases", caption=caption, traces=tuple(traces),
        layout=rows_layout(block, axis("% of the time", range=[0, 100])), height=rows_height(block), wide=True,
        keys=tuple(map(phase_key, there)), table=Table(f"{block.workload}: where the time went", header, tuple(table)),
    )  # fmt: skip
