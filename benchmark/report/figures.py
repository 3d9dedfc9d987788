"""The report's figures as plain data: runs in, traces and tables out; nothing is drawn here.

    figure = time_to_accuracy(block)
    figure.traces       # for Plotly: dicts of numbers and words; each names the runs that it shows in "meta"
    figure.table        # the same in figures, for those who do not see or not trust pictures

A `Block` is what may be looked at together: the runs of one workload, real or emulated, never both. A `Shown` is a
run with its place in the picture: colour (Okabe and Ito's, which colour-blind readers tell apart), dash, marker.
Times are minutes since model creation began, unless said otherwise.

Long runs are thinned before they are drawn, so that the page stays quick: `thinned` keeps the lowest and the highest
point of every stretch, since a dip that a mean hides is what one looks for. Names come from files: `neutral` makes
Plotly, which reads <b> and %{x} in labels, show them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.judge.groups import Group, Level
from benchmark.judge.question import Question
from benchmark.judge.terms import Terms
from benchmark.record import Row, Run, RunRecord
from benchmark.tables import HOURS_FROM, Table
from benchmark.tables import cell as styled
from benchmark.tables import number as digits

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#C46A9C", "#7551FE", "#2F93CF", "#808080", "#CC3D5F", "#617644", "#4D77E6",
)  # fmt: skip
"""Three of Okabe and Ito's, and others that stay apart from them for colour-blind readers too. Each has a contrast of
3:1 at least on the card of either scheme, light and dark (WCAG 2.1, 1.4.11)."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MARKERS = (
    "circle", "square", "diamond", "triangle-up", "x", "triangle-down", "star", "cross", "pentagon", "hexagram",
)  # fmt: skip
MANY_RUNS = 12  # of a block: from more on platforms are drawn, and runs where they are asked for
POINTS = 1500  # of one curve at most; of all curves of a figure, MANY
MANY = 12_000
PLAIN = {"zeroline": False, "showgrid": False}
GREY = "#808080"


@dataclass(frozen=True)
class Unit:
    """The unit in which a block's times are drawn: minutes, or hours where runs take more than two."""

    name: str
    short: str
    seconds: float

    def of(self, minutes: float | None) -> float | None:
        """Return minutes in the unit, to be drawn."""
        return None if minutes is None else rounded(60 * minutes / self.seconds)

    @property
    def axis(self) -> str:
        return f"{self.name} since model creation"


MINUTES, HOURS = Unit("minutes", "min", 60.0), Unit("hours", "h", 3600.0)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One run and how it is drawn."""

    key: str
    name: str
    label: str  # of its group
    run: Run
    colour: str = COLOURS[0]
    dash: str = DASHES[0]
    marker: str = MARKERS[0]
    unit: Unit = MINUTES

    @property
    def record(self) -> RunRecord:
        return self.run.record

    @property
    def folder(self) -> Path | None:
        return self.run.folder

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.record.rows

    def minutes(self, seconds: float) -> float:
        return rounded((seconds - self.record.created_s) / 60)

    def time(self, seconds: float) -> float:
        """Return when something was, since model creation, in the unit of the block's figures."""
        return rounded((seconds - self.record.created_s) / self.unit.seconds)

    @property
    def line(self) -> dict:
        return {"color": self.colour, "dash": self.dash, "width": 2}


@dataclass(frozen=True, kw_only=True)
class Block:
    """The runs of one workload, all real or all emulated."""

    id: str
    workload: str
    emulated: bool
    groups: tuple[Group, ...]
    runs: tuple[Shown, ...]
    published: tuple[Group, ...] = ()  # the paper's rigs, next to real runs of its workload
    question: Question
    terms: Terms = field(default_factory=Terms)
    beside: int = 0  # runs of the page that are not in this block, which is a part of one

    def runs_of(self, group: Group) -> list[Shown]:
        members = {id(run) for run in group.runs}
        return [shown for shown in self.runs if id(shown.run) in members]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were measured, in the order of the question."""
        return tuple(dict.fromkeys(level.metric for level in self.groups[0].levels))

    @property
    def unit(self) -> Unit:
        return self.runs[0].unit

    @property
    def has_several(self) -> bool:
        """Whether there are two runs at least: then how fast and how busy they were is drawn by platform."""
        return len(self.runs) > 1

    @property
    def is_crowded(self) -> bool:
        """Whether there are enough runs for platforms to be drawn instead."""
        return len(self.runs) > MANY_RUNS and len(self.groups) > 1

    @property
    def points(self) -> int:
        """How many points a curve may have."""
        return int(np.clip(MANY // max(1, len(self.runs) + self.beside), 150, POINTS))


@dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend: a line, a marker, both, a band, or an area with a pattern."""

    name: str
    colour: str
    dash: str = ""
    marker: str = ""
    phase: str = ""
    band: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure for Plotly, the words around it, and its data as a table.

    Without traces `caption` says why, and how to get them. `panels`: keys of the runs that have a strip of their own,
    from top to bottom on axes y, y2, ...; the page packs those that are switched on.
    """

    id: str
    title: str
    caption: str
    traces: tuple[dict, ...] = ()
    layout: dict = field(default_factory=dict)
    height: int = 420  # pixels; of one panel if there are panels
    panels: tuple[str, ...] = ()
    wide: bool = False  # takes the whole width of a wide window
    keys: tuple[Key, ...] = ()
    notes: tuple[str, ...] = ()
    table: Table | None = None


def unit_for(minutes: Sequence[float]) -> Unit:
    """Return the unit for times of which these are some: as in sentences, hours from two hours on."""
    return HOURS if max(minutes, default=0.0) > HOURS_FROM else MINUTES


def neutral(text: object) -> str:
    """Write a text so that Plotly shows it to the letter."""
    shown = str(text)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("%", "&#37;")):
        shown = shown.replace(sign, entity)
    return shown


def rounded(value: float, digits: int = 6) -> float:
    """Round to 6 digits: more cannot be seen, and would fill the page; of a curve's heights 4 will do."""
    return float(f"{value:.{digits}g}")


def thinned(xs: Sequence[float], ys: Sequence[float], *, points: int = POINTS) -> tuple[list[float], list[float]]:
    """At most `points` of a curve: its ends, and the lowest and highest of each of equal stretches."""
    if len(xs) <= points:
        return list(xs), list(ys)
    values, kept = np.asarray(ys), {0, len(ys) - 1}
    for stretch in np.array_split(np.arange(len(ys)), max(1, points // 2 - 1)):
        kept |= {int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])}
    return [xs[n] for n in sorted(kept)], [ys[n] for n in sorted(kept)]


def trace(runs: Sequence[Shown], name: str = "", *, hover: str = "", **settings) -> dict:
    """A scatter trace that is shown while one of `runs` is switched on."""
    label = neutral(name or runs[0].name)
    how = {"hovertemplate": f"{hover}<extra>{label}</extra>"} if hover else {"hoverinfo": "skip"}
    return {"type": "scatter", "meta": {"runs": [run.key for run in runs]}, "name": label, **how, **settings}


def axis(title: str, **settings) -> dict:
    return {"title": {"text": neutral(title)}, **settings}


def log_axis(title: str, values: Sequence[float], **settings) -> dict:
    """Labelled at round numbers, the fewer the more powers of ten `values` span."""
    span = max(values) / min(values)
    digits_shown: tuple[float, ...] = (1, 2, 3, 5, 7) if span < 30 else (1, 3) if span < 3000 else (1,)
    if span < 4:
        digits_shown = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9) if span > 1.6 else tuple(n / 10 for n in range(10, 100))
    ticks = [digit * 10.0**power for power in range(-3, 6) for digit in digits_shown]
    return axis(title, type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks], **settings)


def cell(value: float | None, style: str = ".2f") -> str:
    """A value in a style of `format`; NA for what is not known."""
    return styled(value, style)


# --- time to accuracy ------------------------------------------------------------------------------------------------


def time_to_accuracy(block: Block) -> Figure:
    """A place for every level, in it a column of points for every group: its runs, their median, the interval."""
    levels = block.groups[0].levels
    groups = (*block.groups, *block.published)
    traces = [made for place, group in enumerate(groups) for made in _group_traces(block, place, group)]
    times = [s / block.unit.seconds for group in groups for level in group.levels for s in level.seconds if s]
    time_axis = times_axis(block.unit.name, times)
    names = [neutral(level_name(level)) for level in levels]
    names = [name.replace(" ", "<br>") for name in names] if len(names) <= 8 else names  # more are turned where narrow
    layout = {
        "xaxis": {"tickvals": list(range(len(levels))), "ticktext": names, "range": [-0.5, len(levels) - 0.5], **PLAIN},
        "yaxis": time_axis,
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    }
    window = f"{block.question.window} epochs in a row" if block.question.window > 1 else "an epoch"
    caption = (
        f"{block.unit.name.capitalize()} until the median error of {window} was at most the level. "
        + "Small points are runs; where a platform has several, the large point is their geometric mean and the bar "
        "the 95% interval. "
        * block.has_several
        + "NA, or a cross at the foot: not reached. "
        + ("These are not the rigs' own times." if block.emulated else "Lower is better.")
    )
    return Figure(
        id=f"{block.id}-tta", title="Time to accuracy", caption=caption, traces=tuple(traces), layout=layout,
        wide=_crowded(block), keys=_time_keys(block), table=interval_table(block),
    )  # fmt: skip


def times_axis(title: str, values: Sequence[float]) -> dict:
    """Return an axis from 0, or a logarithmic one where values are far apart."""
    wide = bool(values) and max(values) > 20 * min(values)
    return log_axis(title, values) if wide else axis(title, rangemode="tozero")


def level_name(level: Level) -> str:
    """A level as figures have it: "WER 22%"."""
    return f"{level.name}%"


def _group_traces(block: Block, place: int, group: Group) -> Iterator[dict]:
    runs, width = block.runs_of(group), 0.8 / (len(block.groups) + len(block.published))
    xs = [rounded(n + (place + 0.5) * width - 0.4) for n in range(len(group.levels))]
    names = [neutral(level_name(level)) for level in group.levels]
    several, colour = len(runs) > 1, runs[0].colour if runs else GREY
    for number, run in enumerate(runs):
        aside = width * 0.5 * ((number + 1) / (len(runs) + 1) - 0.5) if several else 0.0
        seconds = [level.seconds[number] for level in group.levels]
        marker = {
            "color": run.colour,
            "symbol": run.marker,
            "size": 7 if several else 11,
            "opacity": 0.8 if several else 1,
        }
        yield trace(
            [run], mode="markers", x=[rounded(x + aside) for x in xs], customdata=names, marker=marker,
            y=[None if s is None else rounded(s / block.unit.seconds) for s in seconds],
            hover=f"%{{customdata}}: %{{y:.2f}} {block.unit.short}",
        )  # fmt: skip
    if group.published:
        times = [block.unit.of(level.minutes) for level in group.levels]
        marker = {"color": colour, "symbol": MARKERS[place - len(block.groups)], "size": 9}
        hover = f"%{{customdata}}: %{{y:.2f}} {block.unit.short}"
        yield trace([], group.label, mode="markers", x=xs, y=times, customdata=names, marker=marker, hover=hover)
    if several:
        yield from _summary_traces(group, runs, xs, names, block.unit)
    missed = [n for n, level in enumerate(group.levels) if level.minutes is None]
    if missed:
        reached = [f": reached by {group.levels[n].reached} of {len(runs)} runs" if runs else "" for n in missed]
        sign = "×" if _crowded(block) else "NA"
        yield trace(
            runs, group.label, mode="text", x=[xs[n] for n in missed], y=[0.01] * len(missed),
            text=[sign] * len(missed), textposition="top center", textfont={"color": colour, "size": 10}, yaxis="y2",
            customdata=[f"{names[n]}: NA{more}" for n, more in zip(missed, reached, strict=True)],
            hover="%{customdata}",
        )  # fmt: skip


def group_keys(block: Block, *, lines: bool = False) -> tuple[Key, ...]:
    """Return a legend of the platforms: their markers, or with `lines` their lines; published ones have no line."""
    firsts = [(group.label, block.runs_of(group)[0]) for group in block.groups]
    if lines:
        return tuple(Key(name=label, colour=run.colour, dash=run.dash) for label, run in firsts)
    ours = [Key(name=label, colour=run.colour, marker=run.marker) for label, run in firsts]
    return (*ours, *(Key(name=g.label, colour=GREY, marker=MARKERS[n]) for n, g in enumerate(block.published)))


def run_keys(block: Block, *, markers: bool = False) -> tuple[Key, ...]:
    """Return a legend of the runs' lines, with their markers where those are drawn."""
    return tuple(
        Key(name=run.name, colour=run.colour, dash=run.dash, marker=run.marker * markers) for run in block.runs
    )


def _time_keys(block: Block) -> tuple[Key, ...]:
    """Return the platforms, and where one alone has several runs these: each of them has a colour then."""
    keys = group_keys(block)
    if len(block.groups) > 1 or not block.has_several:
        return keys
    return (*(Key(name=run.name, colour=run.colour, marker=run.marker) for run in block.runs), *keys[1:])


def _crowded(block: Block) -> bool:
    return (len(block.groups) + len(block.published)) * len(block.groups[0].levels) > 12


def _summary_traces(group: Group, runs: list[Shown], xs: list[float], names: list[str], unit: Unit) -> Iterator[dict]:
    colour, label = runs[0].colour, f"{group.label}, geometric mean of {len(runs)} runs"
    bounds = [level.interval_minutes for level in group.levels]
    there = [n for n, bound in enumerate(bounds) if bound]
    if there:  # from the lower bound up: the mean need not lie in the middle, and hover says both ends
        lows, highs = ([60 * bounds[n][end] / unit.seconds for n in there] for end in (0, 1))
        up = [rounded(high - low) for low, high in zip(lows, highs, strict=True)]
        bar = {"array": up, "arrayminus": [0] * len(up), "symmetric": False, "color": colour, "width": 7}
        yield trace(
            runs, group.label, mode="markers", x=[xs[n] for n in there], y=[rounded(low) for low in lows], error_y=bar,
            customdata=[[names[n], rounded(high)] for n, high in zip(there, highs, strict=True)],
            marker={"color": colour, "symbol": "line-ew", "size": 1},
            hover=f"%{{customdata[0]}}: 95% from %{{y:.2f}} to %{{customdata[1]:.2f}} {unit.short}",
        )  # fmt: skip
    marker = {"color": colour, "symbol": runs[0].marker, "size": 13, "line": {"width": 1, "color": "white"}}
    yield trace(
        runs, label, mode="markers", x=xs, y=[unit.of(level.minutes) for level in group.levels], customdata=names,
        marker=marker, hover=f"%{{customdata}}: %{{y:.2f}} {unit.short}",
    )  # fmt: skip


def interval_table(block: Block) -> Table:
    header = ("platform", "level", "minutes", "95% interval", "reached", "epochs")
    rows = []
    for group in (*block.groups, *block.published):
        for level in group.levels:
            bound = level.interval_minutes
            between = "" if bound is None else f"{digits(bound[0])} to {digits(bound[1])}"
            reached = "" if group.published else f"{level.reached} of {len(level.seconds)}"
            rows.append(
                (group.label, level_name(level), digits(level.minutes), between, reached, cell(level.epoch, "g"))
            )
    return Table(f"{block.workload}: minutes to a level", header, tuple(rows))
