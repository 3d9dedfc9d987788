"""The pictures of a study, as PNG and SVG for papers: drawn by Matplotlib, which only this module needs.

draw(observations("studies/mini"), Path("figures"))         # -> the files
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.study.curves import StudyError, bootstrap, fit, fitted_points
from benchmark.study.results import FIGURES_OF_SIZE, Observation, fitted_gaps, points, without_times

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
else:
    from benchmark.record import arrays as np

COLOURS = {"train": "#0072B2", "dev": "#808080", "test": "#D55E00"}  # blue, grey, red, as the Whisper-Tiny study's
DRAWS = 200


def draw(found: Sequence[Observation], folder: Path, *, metric: str = "wer") -> list[Path]:
    """Draw every figure that the points allow, each as PNG and SVG; return the files.

    Raises:
        StudyError: there are no points, or Matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise StudyError("Matplotlib is not here, and --figures needs it: pip install '.[figures]'") from None
    if not found:
        raise StudyError("no finished point: nothing to draw")
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for protocol in dict.fromkeys(each.label for each in found):
        mine = without_times([each for each in found if each.label == protocol])
        pictures = {
            "curve": _curve(mine, metric),
            "bars-wer": _bars(mine, "wer"),
            "bars-cer": _bars(mine, "cer"),
            "metrics": _metrics(mine),
            "correlations": _correlations(mine),
            "gap": _gap(mine, metric),
            "gains": _gains(mine, metric),
        }
        for name, picture in pictures.items():
            if picture is not None:
                for ending in ("png", "svg"):
                    path = folder / f"{protocol.replace(' ', '').replace('/', '-')}-{name}.{ending}"
                    picture.savefig(path, dpi=150)
                    written.append(path)
    return written


def _new(width: float = 6.0, height: float = 4.0, **more) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**more)


def _curve(found: Sequence[Observation], metric: str) -> Figure | None:
    """Draw the learning curve in log-log: runs, fit, band, and where it leads to; hollow points were not fitted."""
    every = points(found, metric)
    try:
        kept = fitted_points(every)
    except StudyError:
        return None
    curve, band, sizes_fitted = fit(every), bootstrap(every, draws=DRAWS), {p.size for p in kept}
    figure, axes = _new()
    sizes = np.geomspace(min(p.size for p in kept), 4 * max(p.size for p in kept), 100)
    low, high = np.quantile([each.at(sizes) for each in band.curves], [0.025, 0.975], axis=0)
    axes.fill_between(sizes, low, high, color="#D55E00", alpha=0.18, lw=0, label="95%")
    axes.plot(sizes, curve.at(sizes), color="#D55E00", label=f"{curve.form}")
    for fitted, fill in ((True, "#D55E00"), (False, "none")):
        some = [p for p in every if (p.size in sizes_fitted) == fitted]
        if some:
            label = "runs" if fitted else "not fitted"
            axes.scatter(
                [p.size for p in some],
                [p.fitted or np.nan for p in some],
                s=22,
                facecolor=fill,
                edgecolor="#D55E00",
                label=label,
            )
    axes.axvline(max(p.size for p in kept), color="#808080", ls=":", lw=1)
    axes.set(xscale="log", yscale="log", xlabel="utterances", ylabel=f"test {metric.upper()}, %")
    _plain_ticks(axes)
    axes.legend(frameon=False)
    return figure


def _plain_ticks(axes: Any) -> None:
    """Mark logarithmic axes with 20, 50, 1,000 in place of powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())


def _means(found: Sequence[Observation], figure: Callable[[Observation], float | None]) -> tuple[list[int], list, list]:
    """Return sizes, and the mean and range of a figure at each."""
    sizes, means, ranges = [], [], []
    for size in sorted({each.samples for each in found}):
        values = [v for each in found if each.samples == size and (v := figure(each)) is not None]
        if values:
            mean = float(np.mean(values))
            sizes.append(size)
            means.append(mean)
            ranges.append((mean - min(values), max(values) - mean))
    return sizes, means, ranges


def _error_on(each: Observation, *, role: str, metric: str) -> float | None:
    return getattr(each, role).get(metric)


def _bars(found: Sequence[Observation], metric: str) -> Figure | None:
    """Draw error on train, dev and test by size; whiskers are the lowest and the highest seed."""
    figure, axes = _new()
    names = sorted({each.samples for each in found})
    drawn = 0
    for place, role in enumerate(COLOURS):
        sizes, means, ranges = _means(found, partial(_error_on, role=role, metric=metric))
        if sizes:
            xs = [names.index(size) + 0.27 * (place - 1) for size in sizes]
            axes.bar(xs, means, 0.25, yerr=np.array(ranges).T, color=COLOURS[role], capsize=2, label=role)
            drawn += 1
    axes.set_xticks(range(len(names)), [f"{size:,}" for size in names])
    axes.set(xlabel="utterances", ylabel=f"{metric.upper()}, %")
    axes.legend(frameon=False)
    return figure if drawn else None


def _metrics(found: Sequence[Observation]) -> Figure | None:
    """Draw every figure of the runs against size: points are runs, the line joins means."""
    there = {name: f for name, f in FIGURES_OF_SIZE.items() if any(f(each) is not None for each in found)}
    if not there:
        return None
    rows = -(-len(there) // 3)
    figure, axes = _new(9.0, 2.4 * rows, nrows=rows, ncols=3, squeeze=False)
    for place, (name, value) in zip(axes.flat, there.items(), strict=False):
        sizes, means, _ = _means(found, value)
        place.plot(sizes, means, color="#0072B2")
        runs = [(each.samples, v) for each in found if (v := value(each)) is not None]
        place.scatter([n for n, _ in runs], [v for _, v in runs], s=12, color="#0072B2")
        place.set(xscale="log", title=name)
    for place in list(axes.flat)[len(there) :]:
        place.set_visible(False)
    return figure


def _correlations(found: Sequence[Observation]) -> Figure | None:
    """Draw Pearson's correlations of all figures. All of them move with size: none of them is evidence of a cause."""
    values = {"samples": [float(each.samples) for each in found]}
    for name, figure_ in FIGURES_OF_SIZE.items():
        column = [figure_(each) for each in found]
        if None not in column and len(set(column)) > 1:
            values[name] = [float(v) for v in column if v is not None]
    if len(values) < 3 or len(found) < 4:
        return None
    matrix = np.corrcoef(list(values.values()))
    figure, axes = _new(7.5, 6.5)
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    labels = list(values)
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    for row in range(len(labels)):
        for column_ in range(len(labels)):
            dark = abs(matrix[row, column_]) > 0.6
            axes.text(column_, row, f"{matrix[row, column_]:.2f}", ha="center", va="center", fontsize=7,
                      color="white" if dark else "black")  # fmt: skip
    figure.colorbar(image, shrink=0.8)
    return figure


def _gap(found: Sequence[Observation], metric: str) -> Figure | None:
    """Draw the gap between test and training against size in log-log, with the slope of the bound, -1/2."""
    gaps = fitted_gaps(found, metric)
    if len({size for size, _ in gaps}) < 3:
        return None
    figure, axes = _new()
    sizes, values = np.array([n for n, _ in gaps], float), np.array([g for _, g in gaps])
    axes.scatter(sizes, values, s=22, color="#009E73", label="runs")
    line = np.geomspace(sizes.min(), sizes.max(), 50)
    middle = float(np.exp(np.mean(np.log(values * np.sqrt(sizes)))))
    axes.plot(line, middle / np.sqrt(line), color="#808080", ls="--", label="slope -1/2, the bound's")
    axes.set(xscale="log", yscale="log", xlabel="utterances", ylabel=f"gap of {metric.upper()}, points")
    _plain_ticks(axes)
    axes.legend(frameon=False)
    return figure


def _gains(found: Sequence[Observation], metric: str) -> Figure | None:
    """Draw the points that a doubling takes away, for each further hour of speech and each unit of money."""
    every = points(found, metric)
    try:
        kept, curve = fitted_points(every), fit(every)
    except StudyError:
        return None
    sizes = np.array(sorted({point.size for point in kept}))
    gained = curve.at(sizes) - curve.at(2 * sizes)
    spent = {"points an hour of speech": _means(found, lambda each: each.hours)}
    if all(each.cost is not None for each in found):
        spent[f"points a {found[0].currency} of training"] = _means(found, lambda each: each.cost)
    figure, axes = _new()
    for place, (name, (there, means, _)) in enumerate(spent.items()):
        amounts = np.array([means[there.index(int(size))] for size in sizes])
        drawn = (gained > 0) & (amounts > 0)
        style = {"color": ("#0072B2", "#D55E00")[place], "marker": "o", "ms": 4}
        axes.plot(sizes[drawn], gained[drawn] / amounts[drawn], label=name, **style)
    axes.set(xscale="log", yscale="log", xlabel="utterances before the doubling", ylabel=f"points of {metric.upper()}")
    _plain_ticks(axes)
    axes.legend(frameon=False)
    return figure
