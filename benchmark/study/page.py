"""A study as a page for a browser: the answer, its figures by Plotly, every table. One file that asks for nothing else.

    write_page(observations("studies/mini"), Path("studies/mini/study.html"))

Each protocol, and each of its arms, has a section of its own. Figures are data here, as in `benchmark.report.figures`;
`benchmark.report.page` draws them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.judge.question import metric_name
from benchmark.report.figures import COLOURS, Figure, Key, axis, log_axis, neutral, rounded
from benchmark.report.page import BlockSection, Page, whole
from benchmark.study.curves import Band, Curve, StudyError, bootstrap, fit, fitted_points
from benchmark.study.judgement import DRAWS, published_table, study_parts
from benchmark.study.results import FIGURES_OF_SIZE, Observation, fitted_gaps, points, without_times
from benchmark.study.saturation import detectable, gains
from benchmark.study.worth import worth_table
from benchmark.tables import Table, count, number
from features.jobs.files import write_whole

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

BLUE, GREY, RED, GREEN = COLOURS[0], "#808080", COLOURS[1], COLOURS[2]
ROLES = {"train": BLUE, "dev": GREY, "test": RED}  # the Whisper-Tiny study's
FORMULAS = ("test ", "dev ", "on linear axes", "the gap of")  # how paragraphs begin that stand below the figures
LOWEST = 0.01  # percent, of a logarithmic axis
AHEAD = 4  # how many times the largest size the curve is drawn to


def write_page(found: Sequence[Observation], path: Path, *, metric: str = "wer", published: bool = False) -> None:
    """Write the page of a study, whole or not at all. Raises StudyError if there is no point, OSError."""
    if not found:
        raise StudyError("no finished point: there is nothing to show")
    labels = list(dict.fromkeys(each.label for each in found))
    sections = [
        _section(f"s{place}", [each for each in found if each.label == label], metric)
        for place, label in enumerate(labels)
    ]
    worth, batches = worth_table(found, metric), " and ".join(map(str, sorted({each.batch for each in found})))
    tables = [*[worth] * (worth is not None), *[published_table()] * published]
    page = Page(
        title=f"How much data is enough? {path.parent.name}",
        heading="How much data is enough?",
        made=f"{count(len(found), 'run')} of {count(len({each.samples for each in found}), 'size')}, "
        f"{batches} utterances a batch",
        definition=f"Error ({metric_name(metric)}, greedily decoded) against the utterances that were trained on. "
        f"Points are runs; intervals hold 95%, over seeds and test utterances.",
        links=[(section.id, section.title) for section in sections] + [("published", "Beside it")] * bool(tables),
        switches=(),
        warnings=(),
        blocks=sections,
        published_title="Beside it",
        published_remark="",
        published=tables,
        sentences=(),
        provenance=(),
    )
    write_whole(path, whole(page))


def _section(identity: str, found: Sequence[Observation], metric: str) -> BlockSection:
    parts = study_parts(found, metric=metric)
    prefix = f"{found[0].label}: "
    words = [part.removeprefix(prefix) for part in parts if isinstance(part, str)]
    formulas = [said for said in words[1:] if said.startswith(FORMULAS)]
    return BlockSection(
        id=identity,
        title=found[0].label,
        emulated=False,
        answer=[_capital(said) for said in words if said not in formulas] or ["No curve."],
        beneath=formulas,
        ranking=next((part for part in parts if isinstance(part, Table)), None),
        tiles=(),
        figures=list(_figures(identity, without_times(found), metric)),
        singles=(),
        tables=[part for part in parts if isinstance(part, Table)][1:],
    )


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]


def _figures(identity: str, found: Sequence[Observation], metric: str) -> Iterator[Figure]:
    try:
        every = points(found, metric)
        curve, band = fit(every), bootstrap(every, draws=DRAWS)
    except StudyError as error:
        yield Figure(id=f"{identity}-curve", title="Learning curve", caption=f"None: {error}.")
    else:
        yield learning_curve(identity, found, curve, band, metric)
        yield gained(identity, found, curve, band, metric)
    yield bars(identity, found, "wer")
    yield bars(identity, found, "cer")
    yield gap(identity, found, metric)
    yield metrics(identity, found)
    yield correlations(identity, found)


# --- the curve -------------------------------------------------------------------------------------------------------


def learning_curve(identity: str, found: Sequence[Observation], curve: Curve, band: Band, metric: str) -> Figure:
    """The runs, the fit with its interval, and where it leads to, in log-log; hollow points were not fitted."""
    every = points(found, metric)
    kept = fitted_points(every)
    sizes_fitted = {point.size for point in kept}
    largest = max(sizes_fitted)
    sizes = np.geomspace(min(point.size for point in kept), AHEAD * largest, 60)
    low, high = np.quantile([each.at(sizes) for each in band.curves], [0.025, 0.975], axis=0)
    xs = _shown(sizes)
    area = {"mode": "lines", "line": {"width": 0}}
    traces = [
        _trace("95%", x=xs, y=_shown(high), **area),
        _trace("95%", x=xs, y=_shown(low), fill="tonexty", fillcolor="rgba(213,94,0,0.18)", **area),
        _trace(curve.form, x=xs, y=_shown(curve.at(sizes)), mode="lines", line={"color": RED, "width": 2}),
    ]
    for fitted, symbol in ((True, "circle"), (False, "circle-open")):
        some = [point for point in every if (point.size in sizes_fitted) == fitted]
        if some:
            traces.append(
                _trace(
                    "runs" if fitted else "not fitted",
                    x=[point.size for point in some],
                    y=_shown([max(LOWEST, point.fitted) for point in some]),
                    text=[f"{point.error:.2f}%" for point in some],
                    mode="markers",
                    marker={"color": RED, "symbol": symbol, "size": 8},
                    hovertemplate="%{x:,} utterances<br>%{text}<extra></extra>",
                )  # fmt: skip
            )
    if isinstance(curve.parameters.get("a"), float) and curve.parameters["a"] > 0:
        level = rounded(curve.parameters["a"])
        line = {"color": GREY, "dash": "dot", "width": 1}
        traces.append(_trace("asymptote", x=[xs[0], xs[-1]], y=[level, level], mode="lines", line=line))
    errors = [*high, *low, *(point.fitted for point in every)]
    return Figure(
        id=f"{identity}-curve",
        title=f"Learning curve: {metric_name(metric)} against data",
        caption=f"Both axes are logarithmic: a power law is a straight line. The curve is drawn to {AHEAD} times the "
        f"largest size; what lies beyond {largest:,.0f} utterances is a prediction. A run without an error stands "
        f"at half an edit, as 0 has no logarithm.",
        traces=tuple(traces),
        layout={
            "xaxis": _sizes_axis([*sizes, *(point.size for point in every)]),
            "yaxis": log_axis(f"{metric_name(metric)}, percent", [max(LOWEST, error) for error in errors]),
            "shapes": [_upright(largest)],
        },
        keys=tuple(_curve_keys(curve, traces)),
        wide=True,
        table=_table(found, {f"test {metric_name(metric)}": lambda each: each.error(metric)}),
    )


def _curve_keys(curve: Curve, traces: Sequence[dict]) -> Iterator[Key]:
    names = {trace["name"] for trace in traces}
    yield Key(name="runs", colour=RED, marker="circle")
    if "not fitted" in names:
        yield Key(name="not fitted", colour=RED, marker="circle-open")
    yield Key(name=f"fit: {curve.form}", colour=RED, dash="solid")
    yield Key(name="95%", colour=RED, band=True)
    yield Key(name="the largest size" + " and the asymptote" * ("asymptote" in names), colour=GREY, dash="dot")


def gained(identity: str, found: Sequence[Observation], curve: Curve, band: Band, metric: str) -> Figure:
    """What a doubling of each size gains: points an hour of speech and, where there is a price, a unit of money."""
    kept = fitted_points(points(found, metric))
    sizes = sorted({point.size for point in kept})
    shares = gains(curve, band, sizes)
    hours = [statistics.fmean(each.hours for each in found if each.samples == size) for size in sizes]
    gain = [float(curve.at(size)) * share.value for size, share in zip(sizes, shares, strict=True)]
    series: dict[str, list[float | None]] = {
        "points an hour of speech": [g / h if h else None for g, h in zip(gain, hours, strict=True)]
    }
    costs = [[each.cost for each in found if each.samples == size and each.cost is not None] for size in sizes]
    if all(costs):
        money = [statistics.fmean(each) for each in costs]
        series[f"points a {found[0].currency} of training"] = [
            g / m if m else None for g, m in zip(gain, money, strict=True)
        ]
    traces, keys = [], []
    for place, (name, values) in enumerate(series.items()):
        there = [(size, value) for size, value in zip(sizes, values, strict=True) if value and value > 0]
        look = {"color": COLOURS[place], "width": 2}
        xs, ys = [size for size, _ in there], _shown([value for _, value in there])
        hover = "doubling %{x:,}<br>%{y:.3g} points<extra></extra>"
        traces.append(_trace(name, x=xs, y=ys, mode="lines+markers", line=look, hovertemplate=hover))
        keys.append(Key(name=name, colour=COLOURS[place], dash="solid"))
    drawn = [y for each in traces for y in each["y"]]
    noise = detectable(kept)
    told = f"These seeds tell a gain of {noise:.1%} of the error from nothing." if noise else ""
    rows = tuple(
        (f"{size:,.0f}", f"{share.value:.1%}", f"{g:.2f}", number(h))
        for size, share, g, h in zip(sizes, shares, gain, hours, strict=True)
    )
    header = ("doubling of", "takes away", "points", "further hours")
    return Figure(
        id=f"{identity}-gains",
        title="What a doubling gains",
        caption=f"Points of {metric_name(metric)} that twice the data takes away, by the curve, for each further "
        f"hour of speech. {told}" if drawn else "None: by the curve no doubling gains anything.",
        traces=tuple(traces) if drawn else (),
        layout={"xaxis": _sizes_axis(sizes), "yaxis": log_axis("points", drawn)} if drawn else {},
        keys=tuple(keys),
        table=Table("What a doubling gains", header, rows),
    )  # fmt: skip


# --- errors ----------------------------------------------------------------------------------------------------------


def bars(identity: str, found: Sequence[Observation], metric: str) -> Figure:
    """Error on train, dev and test by size; whiskers are the lowest and the highest seed."""
    name = metric_name(metric)
    traces, keys = [], []
    for role, colour in ROLES.items():
        sizes, means, less, more = _means(found, partial(_error_on, role=role, metric=metric))
        if sizes:
            whiskers = {"type": "data", "symmetric": False, "array": more, "arrayminus": less, "thickness": 1}
            labels = [f"{size:,}" for size in sizes]
            made = _trace(role, x=labels, y=means, error_y=whiskers, marker={"color": colour},
                          hovertemplate="%{x} utterances<br>%{y:.2f}%<extra>" + role + "</extra>")  # fmt: skip
            traces.append({**made, "type": "bar"})
            keys.append(Key(name=role, colour=colour, marker="square"))
    return Figure(
        id=f"{identity}-bars-{metric}",
        title=f"{name} on training, dev and test",
        caption=f"Means over seeds, from the lowest to the highest. Training: {name} on a fixed sample that lies in "
        f"every part." if traces else f"No {name} was measured.",
        traces=tuple(traces),
        layout={
            "barmode": "group", "xaxis": {**axis("utterances"), "type": "category"}, "yaxis": axis(f"{name}, percent")
        },
        keys=tuple(keys),
        table=_table(found, {f"{role} {name}": partial(_error_on, role=role, metric=metric) for role in ROLES}),
    )  # fmt: skip


def gap(identity: str, found: Sequence[Observation], metric: str) -> Figure:
    """The gap between test and training error against size in log-log, with the slope of the bound, -1/2."""
    gaps = fitted_gaps(found, metric)
    figure_id, title = f"{identity}-gap", "Generalisation gap"
    if len({size for size, _ in gaps}) < 3:
        return Figure(id=figure_id, title=title, caption="None: fewer than three sizes have a gap above 0.")
    sizes, values = [float(size) for size, _ in gaps], [value for _, value in gaps]
    line = np.geomspace(min(sizes), max(sizes), 20)
    middle = float(np.exp(np.mean(np.log(np.array(values) * np.sqrt(sizes)))))
    bound = {"color": GREY, "dash": "dash", "width": 1}
    traces = (
        _trace("runs", x=sizes, y=_shown(values), mode="markers", marker={"color": GREEN, "size": 8},
               hovertemplate="%{x:,} utterances<br>%{y:.2f} points<extra></extra>"),
        _trace("slope -1/2", x=_shown(line), y=_shown(middle / np.sqrt(line)), mode="lines", line=bound),
    )  # fmt: skip
    return Figure(
        id=figure_id,
        title=title,
        caption=f"Points of {metric_name(metric)} between test and training. The bound sqrt(C / n) has a slope of "
        "-1/2.",
        traces=traces,
        layout={"xaxis": _sizes_axis(sizes), "yaxis": log_axis("points", values)},
        keys=(Key(name="runs", colour=GREEN, marker="circle"), Key(name="slope -1/2", colour=GREY, dash="dash")),
        table=_table(found, {f"gap of {metric_name(metric)}, points": lambda each: each.gap(metric)}),
    )


# --- all figures of the runs -----------------------------------------------------------------------------------------


def metrics(identity: str, found: Sequence[Observation]) -> Figure:
    """Every figure of the runs against size, in small panels."""
    there = {name: f for name, f in FIGURES_OF_SIZE.items() if any(f(each) is not None for each in found)}
    columns = 3
    rows = -(-len(there) // columns)
    traces, layout = [], {"grid": {"rows": rows, "columns": columns, "pattern": "independent", "ygap": 0.35}}
    for place, (name, value) in enumerate(there.items(), start=1):
        suffix = str(place) if place > 1 else ""
        sizes, means, _, _ = _means(found, value)
        runs = [(each.samples, rounded(v)) for each in found if (v := value(each)) is not None]
        on = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        hover = "%{x:,} utterances<br>%{y:.4g}<extra>" + neutral(name) + "</extra>"
        traces.append(_trace(name, x=sizes, y=means, mode="lines", line={"color": BLUE, "width": 1}, **on))
        marker = {"color": BLUE, "size": 5}
        xs, ys = [x for x, _ in runs], [y for _, y in runs]
        traces.append(_trace(name, x=xs, y=ys, mode="markers", marker=marker, hovertemplate=hover, **on))
        ends = sorted({min(sizes), max(sizes)})
        layout[f"xaxis{suffix}"] = {"type": "log", "tickvals": ends, "ticktext": [f"{size:,}" for size in ends]}
        layout[f"yaxis{suffix}"] = {**axis(name), "nticks": 4}
    return Figure(
        id=f"{identity}-metrics",
        title="Everything against size",
        caption="Dots are runs, lines join means. All of these move with the size, because all of them were made so.",
        traces=tuple(traces),
        layout=layout,
        height=170 * max(1, rows),
        wide=True,
        table=_table(found, there),
    )


def correlations(identity: str, found: Sequence[Observation]) -> Figure:
    """Pearson's correlations of all figures, above the diagonal, and Spearman's below it."""
    values = {"samples": [float(each.samples) for each in found]}
    for name, value in FIGURES_OF_SIZE.items():
        column = [value(each) for each in found]
        if None not in column and len(set(column)) > 1:
            values[name] = [float(v) for v in column if v is not None]
    figure_id, title = f"{identity}-correlations", "Correlations"
    if len(values) < 3 or len(found) < 4:
        return Figure(id=figure_id, title=title, caption="None: fewer than four runs, or figures that do not vary.")
    columns = np.array(list(values.values()))
    ranks = np.array([np.unique(each, return_inverse=True)[1] for each in columns], float)
    upper = np.triu(np.ones((len(columns), len(columns)), bool))
    matrix = np.where(upper, np.corrcoef(columns), np.corrcoef(ranks))
    labels = [neutral(name) for name in values]
    heat = {
        "type": "heatmap", "meta": {"runs": []}, "x": labels, "y": labels, "zmin": -1, "zmax": 1,
        "z": [[rounded(value) for value in row] for row in matrix], "colorscale": "RdBu", "reversescale": True,
        "texttemplate": "%{z:.2f}", "hovertemplate": "%{y}<br>%{x}<br>%{z:.3f}<extra></extra>", "showscale": False,
    }  # fmt: skip
    return Figure(
        id=figure_id,
        title=title,
        caption="Pearson's above the diagonal, Spearman's below it. All of these move with the size of the training "
        "set: none of them is evidence of a cause, nor of saturation.",
        traces=(heat,),
        layout={"xaxis": {"tickangle": -40}, "yaxis": {"autorange": "reversed"}},
        height=480,
        wide=True,
        table=Table("Correlations", ("", *values), tuple(
            (name, *(f"{value:.2f}" for value in row)) for name, row in zip(values, matrix, strict=True)
        )),
    )  # fmt: skip


# --- shared ----------------------------------------------------------------------------------------------------------


def _trace(name: str, **settings) -> dict:
    """A scatter trace that is always shown."""
    how = {} if "hovertemplate" in settings else {"hoverinfo": "skip"}
    return {"type": "scatter", "meta": {"runs": []}, "name": neutral(name), **how, **settings}


def _shown(values: Sequence[float] | np.ndarray) -> list[float]:
    return [rounded(float(value)) for value in values]


def _error_on(each: Observation, *, role: str, metric: str) -> float | None:
    return getattr(each, role).get(metric)


def _sizes_axis(sizes: Sequence[float]) -> dict:
    """A logarithmic axis of utterances, labelled at round numbers."""
    ticks = [digit * 10.0**power for power in range(9) for digit in (1, 2, 5)]
    there = [tick for tick in ticks if min(sizes) / 2 <= tick <= 2 * max(sizes)]
    return axis("utterances", type="log", tickvals=there, ticktext=[f"{tick:,.0f}" for tick in there])


def _upright(size: float) -> dict:
    line = {"color": GREY, "dash": "dot", "width": 1}
    return {"type": "line", "x0": size, "x1": size, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _means(
    found: Sequence[Observation], figure: Callable[[Observation], float | None]
) -> tuple[list[int], list[float], list[float], list[float]]:
    """Return sizes, the mean of a figure at each, and how far below and above it the runs lie."""
    sizes, means, less, more = [], [], [], []
    for size in sorted({each.samples for each in found}):
        values = [v for each in found if each.samples == size and (v := figure(each)) is not None]
        if values:
            mean = statistics.fmean(values)
            sizes.append(size)
            means.append(rounded(mean))
            less.append(rounded(mean - min(values)))
            more.append(rounded(max(values) - mean))
    return sizes, means, less, more


def _table(found: Sequence[Observation], figures: dict[str, Callable[[Observation], float | None]]) -> Table:
    rows = tuple(
        (f"{each.samples:,}", str(each.seed), *(_cell(figure(each)) for figure in figures.values()))
        for each in sorted(found, key=lambda each: -each.samples)
    )
    title = f"{found[0].label}: every run, the largest size first"
    return Table(title, ("utterances", "seed", *figures), rows)


def _cell(value: float | None) -> str:
    return "NA" if value is None else f"{value:.4g}"
