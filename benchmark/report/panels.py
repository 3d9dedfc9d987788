"""The report's figures with a panel for every run: throughput and phases over time.

    for figure in (throughput(block), timeline(block)): ...

Laid over each other, nobody could tell whose evaluation a dip belongs to; so every run has a strip of its own, on one
axis of time, and the page packs the strips of those runs that are switched on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.record import Row
from benchmark.record.phases import EVALUATED, Phase
from benchmark.report.figures import Block, Figure, Key, Shown, axis, neutral, rounded, thinned, trace
from benchmark.tables import Table

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

PHASES = {  # colour, and the pattern of Plotly that tells it apart without colour
    Phase.CREATE: ("#C46A9C", "-"),
    Phase.TRAIN: ("#2F93CF", ""),
    Phase.GENERATE: ("#009E73", "."),
    Phase.CHECKPOINT: ("#9A7B1C", "|"),
    Phase.SWAP: ("#808080", "x"),
    Phase.EVALUATE: ("#D55E00", "/"),
    Phase.PROBE: ("#CC3D5F", "\\"),
}
BANDS = (*EVALUATED, Phase.SWAP)
BAND_GAP = 2e-4  # of the run: bands closer than that are drawn as one
CLOCK_STEP_S = 1e-6  # of a journal's times
MANY_BANDS = 100  # have no rim, which is to show a thin one: rims would cover everything


def panel_axis(number: int) -> str:
    return f"y{number + 1 if number else ''}"


def panels(runs: Sequence[Shown], x_title: str, y_axes: Sequence[dict]) -> dict:
    """Buckets: the axis of time at the very bottom, one more axis and a title for every run."""
    layout: dict = {"xaxis": axis(x_title, rangemode="tozero", anchor="free", position=0)}
    for number, settings in enumerate(y_axes):
        layout[f"yaxis{number + 1 if number else ''}"] = {"zeroline": False, **settings}
    layout["annotations"] = [
        {"text": neutral(run.name), "xref": "paper", "x": 0, "yref": f"{panel_axis(number)} domain", "y": 1,
         "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
        for number, run in enumerate(runs)
    ]  # fmt: skip
    return layout


def throughput(block: Block) -> Figure:
    """Utterances per second of every train row; evaluations and swaps as bands."""
    figure_id, title = f"{block.id}-throughput", "Throughput"
    rates = {run.key: list(_rates(run)) for run in block.runs}
    runs = [run for run in block.runs if rates[run.key]]
    if not runs:
        return Figure(id=figure_id, title=title, caption="No run has trained a batch yet.")
    top = 1.08 * max(rate for run in runs for _, _, rate in rates[run.key])  # one scale: panels are compared
    traces, table = [], []
    for number, run in enumerate(runs):
        place = panel_axis(number)
        traces += [made for phase in BANDS for made in _bands(run, phase, top, axis=place)]
        xs, ys = _steps(rates[run.key], points=block.points)
        hover = f"%{{y:.1f}} utterances/s<br>%{{x:.2f}} {block.unit.short}"
        traces.append(
            trace([run], mode="lines", x=xs, y=ys, line={**run.line, "dash": "solid"}, yaxis=place, hover=hover)
        )
        median, values = run.record.throughputs, [rate for _, _, rate in rates[run.key]]
        steady = f"{np.median(median):.1f}" if median else "NA"
        table.append((run.name, steady, f"{min(values):.1f}", f"{max(values):.1f}", str(len(values))))
    there = {row.phase for run in runs for row in run.rows}
    caption = (
        f"Utterances a second over rows of at most 50 batches{', a panel a run, on one scale' * (len(runs) > 1)}. "
        f"Shaded: what stopped training. Higher is better."
    )  # fmt: skip
    y_axes = [axis("utt./s", range=[0, top], nticks=4) for _ in runs]
    header = ("run", "median (utterances/s)", "lowest row", "highest row", "rows")
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=panels(runs, block.unit.axis, y_axes),
        height=110, panels=tuple(run.key for run in runs), wide=True,
        keys=(*_rate_keys(block, runs), *(phase_key(phase) for phase in BANDS if phase in there)),
        table=Table(f"{block.workload}: throughput", header, tuple(table)),
    )  # fmt: skip


def _rate_keys(block: Block, runs: Sequence[Shown]) -> Iterator[Key]:
    """Yield the lines' colours: a platform's, or a run's where there is one platform."""
    for colour in dict.fromkeys(run.colour for run in runs):
        first = next(run for run in runs if run.colour == colour)
        name = first.label if len(block.groups) > 1 else first.name
        yield Key(name=f"{name}, utterances/s", colour=colour, dash="solid")


def phase_key(phase: Phase) -> Key:
    return Key(name=phase.value, colour=PHASES[phase][0], phase=phase.value)


def _rates(run: Shown) -> Iterator[tuple[float, float, float]]:
    """(start, end, utterances per second) of every train row, in the block's unit of time."""
    for row in run.rows:
        if row.phase is Phase.TRAIN and row.utterances and row.seconds >= CLOCK_STEP_S:
            yield run.time(row.started_s), run.time(row.ended_s), rounded(row.utterances / row.seconds, 4)


def _steps(rates: Sequence[tuple[float, float, float]], *, points: int) -> tuple[list, list]:
    """A level line for every row, interrupted where something long came between; thinned if there are many."""
    if 2 * len(rates) > points:
        return thinned([(start + end) / 2 for start, end, _ in rates], [rate for *_, rate in rates], points=points)
    xs: list[float | None] = []
    ys: list[float | None] = []
    long = rates[-1][1] / 500
    for number, (start, end, rate) in enumerate(rates):
        if number and start - rates[number - 1][1] > long:
            xs, ys = [*xs, None], [*ys, None]
        xs, ys = [*xs, start, end], [*ys, rate, rate]
    return xs, ys


def _bands(run: Shown, phase: Phase, top: float, *, axis: str) -> Iterator[dict]:
    spans = joined(
        [(run.time(row.started_s), run.time(row.ended_s)) for row in run.rows if row.phase is phase],
        gap=BAND_GAP * run.time(run.record.ended_s),
    )
    if spans:
        xs = [x for start, end in spans for x in (start, start, end, end, None)]
        ys = [y for _ in spans for y in (0, top, top, 0, None)]
        colour = PHASES[phase][0]
        yield trace(
            [run], phase.value, mode="lines", x=xs, y=ys, fill="toself", fillcolor=colour, opacity=0.4, yaxis=axis,
            line={"width": int(len(spans) <= MANY_BANDS), "color": colour},
        )  # fmt: skip


def joined(spans: Sequence[tuple[float, float]], *, gap: float) -> list[tuple[float, float]]:
    """Spans in order, those with less than `gap` between them as one."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] < gap:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def timeline(block: Block) -> Figure:
    """Draw the phases over time; an evaluation that ran during training has a lane of its own."""
    figure_id, title = f"{block.id}-phases", "Phases"
    runs = [run for run in block.runs if run.record.ended_s > 0]
    if not runs:
        return Figure(id=figure_id, title=title, caption="No run has begun yet.")
    traces: list[dict] = []
    y_axes: list[dict] = []
    resolution_s = 0.0
    for number, run in enumerate(runs):
        spans, step_s = lanes(run.rows, limit=max(200, block.points // 2))
        resolution_s = max(resolution_s, step_s)
        traces += _phase_traces(run, spans, axis=panel_axis(number))
        two = any(span.lane for span in spans)
        y_axes.append({"range": [-1.5 if two else -0.5, 0.5], "showgrid": False, "fixedrange": True,
                       "tickvals": [0, -1] if two else [], "ticktext": ["", "beside"]})  # fmt: skip
    there = [phase for phase in PHASES if any(row.phase is phase for run in runs for row in run.rows)]
    beside = any(-1 in y_axis["tickvals"] for y_axis in y_axes)
    caption = "What each run was doing when." if len(runs) > 1 else "What the run was doing when."
    caption += " In the lower lane: evaluations that ran during training." if beside else ""
    caption += (
        f" Long runs are drawn in steps of {resolution_s:.3g} s, each in its longest phase." if resolution_s else ""
    )
    rows = [(run.name, *(f"{_seconds_in(run, phase):.1f}" for phase in there)) for run in runs]
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=panels(runs, block.unit.axis, y_axes),
        height=44 if beside else 30, panels=tuple(run.key for run in runs), wide=True,
        keys=tuple(phase_key(phase) for phase in there if phase.value in {trace["name"] for trace in traces}),
        table=Table(f"{block.workload}: seconds in each phase", ("run", *(p.value for p in there)), tuple(rows)),
    )  # fmt: skip


def _seconds_in(run: Shown, phase: Phase) -> float:
    return sum(row.seconds for row in run.rows if row.phase is phase)


@dataclass(frozen=True)
class Span:
    """A stretch of time in one phase, in seconds; lane 1 is beside the others."""

    phase: Phase
    started_s: float
    ended_s: float
    lane: int = 0


def lanes(rows: Sequence[Row], *, limit: int) -> tuple[list[Span], float]:
    """(what to draw, the resolution in seconds if there are more than `limit` rows, else 0)."""
    others = [row for row in rows if row.phase not in EVALUATED]
    starts, ends = (np.array([getattr(row, name) for row in others]) for name in ("started_s", "ended_s"))
    spans = []
    for row in rows:
        overlap = row.phase in EVALUATED and bool(np.any((starts < row.ended_s - 1e-3) & (ends > row.started_s + 1e-3)))
        spans.append(Span(row.phase, row.started_s, row.ended_s, int(overlap)))
    if len(spans) <= limit:
        return spans, 0.0
    first, last = min(span.started_s for span in spans), max(span.ended_s for span in spans)
    step_s = (last - first) / limit
    drawn = [made for lane in (0, 1) for made in _coarse([s for s in spans if s.lane == lane], first, step_s, limit)]
    return drawn, step_s


def _coarse(spans: Sequence[Span], first_s: float, step_s: float, steps: int) -> list[Span]:
    """Every step in the phase that took most of it; equal neighbours as one."""
    names = list(PHASES)
    spent_s = np.zeros((steps, len(names)))
    for span in spans:
        place, start_s = int((span.started_s - first_s) / step_s), span.started_s
        while start_s < span.ended_s and place < steps:
            end_s = min(span.ended_s, first_s + (place + 1) * step_s)
            spent_s[place, names.index(span.phase)] += max(0.0, end_s - start_s)
            place, start_s = place + 1, max(start_s, end_s)
    found: list[Span] = []
    for place in np.flatnonzero(spent_s.any(axis=1)).tolist():
        phase, start_s = names[int(spent_s[place].argmax())], first_s + place * step_s
        if found and found[-1].phase is phase and abs(found[-1].ended_s - start_s) < step_s / 2:
            found[-1] = Span(phase, found[-1].started_s, start_s + step_s, spans[0].lane)
        else:
            found.append(Span(phase, start_s, start_s + step_s, spans[0].lane))
    return found


def _phase_traces(run: Shown, spans: Sequence[Span], *, axis: str) -> Iterator[dict]:
    for phase, (colour, pattern) in PHASES.items():
        mine = [span for span in spans if span.phase is phase]
        if mine:
            lengths = [rounded((span.ended_s - span.started_s) / run.unit.seconds) for span in mine]
            bar = {"type": "bar", "orientation": "h", "width": 0.8, "base": [run.time(s.started_s) for s in mine]}
            fill = {
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "size": 5, "solidity": 0.25, "fillmode": "overlay"},
            }
            yield trace(
                [run], phase.value, x=lengths, y=[-span.lane for span in mine], yaxis=axis, marker=fill,
                customdata=[rounded(span.ended_s - span.started_s) for span in mine],
                hover=f"{phase.value} from %{{base:.2f}} {run.unit.short}, %{{customdata:.1f}} s", **bar,
            )  # fmt: skip
