"""The report's curves over time: the loss and the errors of all runs in one picture each.

for figure in (loss(block), errors(block)): ...
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.judge.groups import Level
from benchmark.judge.question import metric_name
from benchmark.record import Row
from benchmark.record.phases import Phase
from benchmark.report.figures import (
    GREY,
    Block,
    Figure,
    Key,
    Shown,
    axis,
    cell,
    level_name,
    log_axis,
    neutral,
    rounded,
    run_keys,
    thinned,
    trace,
)
from benchmark.tables import Table
from benchmark.tables import number as digits

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

SIGMA_ROWS = 10  # of the smoothing of the loss
PANEL, FOOT, LABEL = 210, 60, 12  # pixels: of a metric's panel, below them, and of a level's label
ROWS_KEY = Key(name="faint: the rows as they are", colour=GREY, dash="solid")
LEVEL_KEYS = (
    Key(name="a level", colour=GREY, dash="dash"),
    Key(name="where it counts as reached", colour=GREY, marker="circle-open"),
)
LEAST_PERCENT = 0.01  # an error of 0 has no place on a log axis


def loss(block: Block) -> Figure:
    """The CTC loss of every train row, smoothed as the paper's; the rows themselves faint behind."""
    traces, table, sigmas = [], [], set()
    for run in block.runs:
        rows = [row for row in run.rows if row.phase is Phase.TRAIN and row.loss and row.loss > 0]
        if not rows:
            continue
        xs, raw = [run.time(row.ended_s) for row in rows], [row.loss for row in rows]
        smooth, sigma = smoothed(raw)
        sigmas.add(sigma)
        faint = {"line": {**run.line, "width": 1, "dash": "solid"}, "opacity": 0.4}
        full = {"line": run.line, "hover": f"loss %{{y:.4g}}<br>%{{x:.2f}} {block.unit.short}"}
        for ys, look in ((raw, faint), (smooth, full))[bool(block.beside) :]:
            thin_x, thin_y = thinned(xs, [rounded(y, 4) for y in ys], points=block.points)
            traces.append(trace([run], mode="lines", x=thin_x, y=thin_y, **look))
        table.append((run.name, str(len(rows)), *(f"{y:.2f}" for y in (raw[0], min(raw), raw[-1], smooth[-1]))))
    figure_id, title = f"{block.id}-loss", "CTC loss"
    if not traces:
        return Figure(id=figure_id, title=title, caption="No run has trained a batch yet.")
    width = " to ".join(f"{sigma:.2g}" for sigma in sorted({min(sigmas), max(sigmas)}))
    behind = "" if block.beside else ", and faint behind it the rows as they are"
    caption = (
        f"Loss of the training batches over time, on a logarithmic axis: smoothed (Gaussian, sigma {width} rows of at "
        f"most 50 batches){behind}. Lower is better."
    )
    header = ("run", "rows", "first", "lowest", "last", "last, smoothed")
    layout = {
        "xaxis": axis(block.unit.axis, rangemode="tozero"),
        "yaxis": log_axis("loss", [y for each in traces for y in each["y"]]),
    }
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout,
        keys=(*run_keys(block), *[ROWS_KEY] * (not block.beside)),
        table=Table(f"{block.workload}: CTC loss", header, tuple(table)),
    )  # fmt: skip


def smoothed(values: Sequence[float]) -> tuple[list[float], float]:
    """(values after a Gaussian filter, its sigma): of 10 rows, less where that would iron a short run flat."""
    from scipy.ndimage import gaussian_filter1d  # here: a third of a second that `--help` need not wait

    sigma = min(float(SIGMA_ROWS), len(values) / 20)
    return gaussian_filter1d(np.asarray(values, float), sigma, mode="nearest").tolist(), sigma


def errors(block: Block) -> Figure:
    """One panel a metric; lines at the levels, rings where a level counts as reached."""
    metrics, table = block.metrics, []
    traces: list[dict] = []
    for run in block.runs:
        for number, metric in enumerate(metrics):
            traces += _error_traces(block, run, metric, axis=f"y{number + 1 if number else ''}")
        rows = list(run.record.evaluations)
        for row in rows[:: 1 + len(rows) // (10 if block.beside else 40)]:  # so many lines a run tell it
            cells = (cell(getattr(row, metric)) for metric in metrics)
            table.append((run.name, str(row.epoch), digits(run.minutes(row.ended_s)), *cells))
    figure_id, title = f"{block.id}-errors", " and ".join(metric_name(m) for m in metrics)
    if not traces:
        caption = "No run has been evaluated yet: an evaluation follows every epoch."
        return Figure(id=figure_id, title=title, caption=caption)
    caption = (
        f"Errors on the dev set after every epoch, on logarithmic axes{cut_words(block)}. Dashed lines are the levels; "
        f"a ring marks the epoch at which a level counts as reached, by {error_words(block)}. Lower is "
        f"better."
    )
    header = ("run", "epoch", "minutes", *(metric_name(metric) for metric in metrics))
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=errors_layout(block),
        height=errors_height(block), keys=(*run_keys(block, markers=True), *LEVEL_KEYS),
        table=Table(f"{block.workload}: errors in percent", header, tuple(table)),
    )  # fmt: skip


def errors_height(block: Block) -> int:
    return max(420, PANEL * len(block.metrics) + FOOT)


def errors_layout(block: Block) -> dict:
    """Return the axes of errors: a panel a metric, which ends at 100%, lines at the levels and their labels beside."""
    metrics, levels = block.metrics, block.groups[0].levels
    share = 1 / len(metrics)
    layout: dict = {
        "xaxis": axis(block.unit.axis, rangemode="tozero", anchor="free", position=0),
        "margin": {"l": 54, "r": 46, "t": 30, "b": 46},
        "annotations": [],
    }
    for number, metric in enumerate(metrics):
        last = number + 1 == len(metrics)
        domain = [0 if last else 1 - (number + 1) * share + 0.06, 1 - number * share]
        values = [min(100.0, value) for value in _errors_of(block, metric)]
        ends = [math.log10(0.9 * min(values)), math.log10(1.1 * max(values))]
        place = f"y{number + 1 if number else ''}"
        layout[place.replace("y", "yaxis")] = log_axis(f"{metric_name(metric)}, %", values, domain=domain, range=ends)
        pixels = (domain[1] - domain[0]) * (errors_height(block) - FOOT) / (ends[1] - ends[0])
        mine = [level.percent for level in levels if level.metric == metric]
        layout["annotations"] += _level_labels(mine, place, pixels)
    layout["shapes"] = [_level_line(level, metrics.index(level.metric)) for level in levels]
    return layout


def cut_words(block: Block) -> str:
    """Say that errors above 100% are off the axis, where some are."""
    high = max((max(_errors_of(block, metric)) for metric in block.metrics), default=0.0)
    return f", which end at 100% (the highest error is {high:.0f}%)" if high > 100 else ""


def error_words(block: Block) -> str:
    """Name the error that counts: "the median error of 3 epochs"."""
    window = block.question.window
    return "the error of an epoch" if window == 1 else f"the median error of {window} epochs"


def _errors_of(block: Block, metric: str) -> list[float]:
    """Every error that has a place on the metric's axis, and its levels."""
    rows = [row for run in block.runs for row in run.record.evaluations]
    levels = [level.percent for level in block.groups[0].levels if level.metric == metric]
    found = [value for row in rows if (value := getattr(row, metric)) is not None]
    return [max(value, LEAST_PERCENT) for value in (*found, *levels)]


def _level_line(level: Level, number: int) -> dict:
    axis = f"y{number + 1 if number else ''}"
    height = max(level.percent, LEAST_PERCENT)
    ends = {"x0": 0, "x1": 1, "y0": height, "y1": height}
    line = {"dash": "dash", "width": 1, "color": GREY}
    return {"type": "line", "xref": "paper", "yref": axis, "layer": "above", **ends, "line": line}


def _level_labels(percents: Sequence[float], axis: str, pixels: float) -> Iterator[dict]:
    """Yield the levels' labels right of the panel, where no curve is; they are moved apart where they would overlap.

    `percents` are from the highest to the lowest; a power of ten is so many `pixels` high.
    """
    below = math.inf
    for percent in percents:
        height = math.log10(max(percent, LEAST_PERCENT))  # a logarithmic axis wants its notes so
        at = min(height * pixels, below - LABEL)
        below = at
        yield {
            "text": neutral(f"{percent:g}%"), "xref": "paper", "x": 1, "xanchor": "left", "xshift": 3, "yref": axis,
            "y": rounded(height), "yanchor": "middle", "yshift": rounded(at - height * pixels), "showarrow": False,
            "font": {"size": 10},
        }  # fmt: skip


def _error_traces(block: Block, run: Shown, metric: str, *, axis: str) -> Iterator[dict]:
    rows = [row for row in run.record.finely.evaluations if getattr(row, metric) is not None]
    if not rows:
        return

    def place(row: Row) -> float:
        return rounded(max(getattr(row, metric), LEAST_PERCENT))

    xs, ys = thinned([run.time(row.ended_s) for row in rows], [place(row) for row in rows], points=block.points)
    mode, marker = "lines+markers" if len(xs) <= 100 else "lines", {"symbol": run.marker, "size": 6}
    name = metric_name(metric)
    yield trace(
        [run], mode=mode, x=xs, y=ys, line=run.line, marker=marker, yaxis=axis,
        hover=f"{name} %{{y:.2f}}%<br>%{{x:.2f}} {run.unit.short}",
    )  # fmt: skip
    levels = [level for level in block.groups[0].levels if level.metric == metric]
    reached = [(level, run.record.reached(metric, level.percent, window=block.question.window)) for level in levels]
    hits = [(level, row) for level, row in reached if row]
    if hits:
        ring = {"symbol": "circle-open", "size": 15, "color": run.colour, "line": {"width": 2}}
        yield trace(
            [run], mode="markers", x=[run.time(row.ended_s) for _, row in hits], y=[place(row) for _, row in hits],
            marker=ring, yaxis=axis, customdata=[neutral(level_name(level)) for level, _ in hits],
            hover=f"%{{customdata}} reached<br>%{{x:.2f}} {run.unit.short}",
        )  # fmt: skip
