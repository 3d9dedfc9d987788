"""The report's figures of what is bought with what: money with time, batch size with epochs, machines with speed.

for figure in (cost(block), batch_sizes(block), *machines(block)): ...
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmark.judge.circumstances import some
from benchmark.judge.cost import RigCost, rig_costs
from benchmark.judge.groups import Group
from benchmark.judge.scaling import scalings
from benchmark.judge.terms import Terms
from benchmark.report.figures import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    Block,
    Figure,
    Key,
    Shown,
    axis,
    cell,
    group_keys,
    level_name,
    neutral,
    rounded,
    times_axis,
    trace,
)
from benchmark.tables import Table, money
from benchmark.tables import number as digits

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np


PLOT, LETTER = (270.0, 330.0), 6.3  # pixels: a plot on a phone, and a letter of a name in it
LONGEST = 24  # letters of a name in a plot


def cost(block: Block) -> Figure:
    """Cost of a training to one level against its time, with the rigs that no other beats in both."""
    figure_id, title = f"{block.id}-cost", "Cost against time"
    if block.emulated:
        return Figure(id=figure_id, title=title, caption="Emulated runs have no cost: their times are not the rig's.")
    groups, number, terms = (*block.groups, *block.published), _priced_level(block), block.terms
    costs = rig_costs(groups, terms, level=number)
    level, table = level_name(block.groups[0].levels[number]), _cost_table(block, number, costs)
    currencies = Counter(each.currency for each in costs if each.cost is not None)
    if not currencies:
        why = {each.reason: [other.label for other in costs if other.reason == each.reason] for each in costs}
        reasons = "; ".join(f"{some(labels)}: {reason}" for reason, labels in why.items())
        caption = f"No platform here has both a price and a time to {level}. {reasons}"
        return Figure(id=figure_id, title=title, caption=caption, table=table)
    currency, keys, unit = currencies.most_common(1)[0][0], group_keys(block), block.unit
    drawn = [
        (group, each, key)
        for group, each, key in zip(groups, costs, keys, strict=True)
        if each.cost is not None and each.currency == currency
    ]
    xs, ys = [unit.of(each.minutes) for _, each, _ in drawn], [rounded(each.cost) for _, each, _ in drawn]
    front = [(group, each) for group, each, _ in drawn if each.on_front]
    traces = [_front_trace(block, front)] if len(front) > 1 else []
    for group, each, key in drawn:
        traces += _cost_traces(block, group, each, key)
    traces.append(_names_trace(block, drawn, xs, ys))
    ringed_words = " Ringed: on the Pareto front, no other platform is both faster and cheaper." if front else ""
    caption = (
        f"What one training to {level} costs{' on each platform' * (len(drawn) > 1)}, against how long it takes: "
        f"{_ways(terms)}.{ringed_words} Lower left is better."
    )
    axes = {"xaxis": times_axis(unit.name, xs), "yaxis": times_axis(f"{currency} a training", ys)}
    notes = [f"{each.label}: cost NA ({each.reason})" for each in costs if each.cost is None]
    notes += [
        f"{each.label}: in {each.currency}, which has no place on an axis of {currency}; see the table"
        for each in costs
        if each.cost is not None and each.currency != currency
    ]
    ringed = Key(name="on the Pareto front", colour=GREY, marker="circle-open", dash="dot" if len(front) > 1 else "")
    rings = [ringed] * bool(front)
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=axes, table=table,
        keys=(*(key for _, _, key in drawn), *rings), notes=tuple(notes),
    )  # fmt: skip


def _names_trace(
    block: Block, drawn: Sequence[tuple[Group, RigCost, Key]], xs: Sequence[float], ys: Sequence[float]
) -> dict:
    """The platforms' names beside their points, each at a side where it hides no other."""
    names = [each.label if len(each.label) <= LONGEST else f"{each.label[: LONGEST - 1]}…" for _, each, _ in drawn]
    runs = [run for group, _, _ in drawn for run in block.runs_of(group)]
    front = [place for place, (_, each, _) in enumerate(drawn) if each.on_front]
    return trace(
        runs, "names", mode="markers+text", x=list(xs), y=list(ys), text=[neutral(name) for name in names],
        textposition=sides(names, list(zip(_pixels(xs, PLOT[0]), _pixels(ys, PLOT[1]), strict=True)), front),
        textfont={"size": 11}, cliponaxis=False,
        marker={"size": 20, "color": "rgba(0,0,0,0)"},
    )  # fmt: skip


def _pixels(values: Sequence[float], length: float) -> list[float]:
    """Return where values stand on an axis as `times_axis` makes it, in pixels."""
    if max(values) > 20 * min(values):
        logs = [math.log(value) for value in values]
        return [length * (0.06 + 0.88 * (each - min(logs)) / (max(logs) - min(logs))) for each in logs]
    return [length * 0.95 * value / (max(values) or 1.0) for value in values]


def sides(names: Sequence[str], points: Sequence[tuple[float, float]], front: Sequence[int] = ()) -> list[str]:
    """Return Plotly's position for each name next to its point so that names hide neither points nor one another.

    Places are in pixels of a plot as narrow as a phone's, from its lower left; `front` are the points that a staircase
    joins, which no name should lie on. A name that has no free side is under its point.
    """
    taken: list[Box] = [(x - 9, y - 9, x + 9, y + 9) for x, y in points]
    steps = sorted(points[place] for place in front)
    stairs: list[Box] = [(x, y - 1, further, y + 1) for (x, y), (further, _) in pairwise(steps)]
    stairs += [(x - 1, low, x + 1, high) for (_, high), (x, low) in pairwise(steps)]
    found = []
    for place, (name, (x, y)) in enumerate(zip(names, points, strict=True)):
        boxes = _boxes(x, y, LETTER * len(name))
        others = [box for number, box in enumerate(taken) if number != place]
        clear = [side for side, box in boxes.items() if _inside(box) and not any(_meet(box, each) for each in others)]
        free = [side for side in clear if not any(_meet(boxes[side], each) for each in stairs)]
        found.append((*free, *clear, "bottom center")[0])
        taken.append(boxes[found[-1]])
    return found


Box = tuple[float, float, float, float]  # left, lower, right and upper end, in pixels


def _boxes(x: float, y: float, wide: float) -> dict[str, Box]:
    """Return where a name of that width would stand, by its side of the point."""
    return {
        "middle right": (x + 11, y - 7, x + 11 + wide, y + 7),
        "middle left": (x - 11 - wide, y - 7, x - 11, y + 7),
        "top center": (x - wide / 2, y + 9, x + wide / 2, y + 23),
        "bottom center": (x - wide / 2, y - 23, x + wide / 2, y - 9),
        "top right": (x + 6, y + 6, x + 6 + wide, y + 20),
        "top left": (x - 6 - wide, y + 6, x - 6, y + 20),
        "bottom right": (x + 6, y - 20, x + 6 + wide, y - 6),
        "bottom left": (x - 6 - wide, y - 20, x - 6, y - 6),
    }


def _inside(box: Box) -> bool:
    return box[0] >= 0 and box[2] <= PLOT[0] + 10 and box[1] >= -5 and box[3] <= PLOT[1] + 15


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _ways(terms: Terms) -> str:
    """Say how a platform is paid for."""
    energy = "energy left out" if terms.kwh_price is None else f"energy at {terms.kwh_price:g} a kWh"
    owning = f"owning (the purchase written off over {terms.use}; {energy})"
    return {"owned": owning, "rented": "renting"}.get(terms.tenure, f"the lower of renting, and of {owning}")


def _cost_table(block: Block, number: int, costs: Sequence[RigCost]) -> Table:
    header = ("platform", "minutes", "owned", "rented", "on the front", "what it assumes", "remarks")
    rows = []
    for each in costs:
        remarks = "; ".join(filter(None, (each.reason, *each.notes)))
        sums = (money(each.owned, each.currency), money(each.rented, each.currency))
        rows.append((each.label, digits(each.minutes), *sums, "yes" if each.on_front else "", each.basis, remarks))
    level = level_name(block.groups[0].levels[number])
    return Table(f"{block.workload}: cost of a training to {level}", header, tuple(rows))


def _front_trace(block: Block, front: Sequence[tuple[Group, RigCost]]) -> dict:
    """A staircase through the rigs that no other beats."""
    costs = sorted((each for _, each in front), key=lambda each: each.minutes)
    runs = [run for group, _ in front for run in block.runs_of(group)]
    xs, ys = [block.unit.of(each.minutes) for each in costs], [rounded(each.cost) for each in costs]
    line = {"color": GREY, "dash": "dot", "width": 2, "shape": "hv"}
    return trace(runs, "Pareto front", mode="lines", x=xs, y=ys, line=line)


def _priced_level(block: Block) -> int:
    """The hardest level of the first metric that anybody reached; else the hardest of all."""
    levels, metric = block.groups[0].levels, block.question.metrics[0]
    reached = [n for n in range(len(levels)) if any(group.levels[n].minutes is not None for group in block.groups)]
    return max((n for n in reached if levels[n].metric == metric), default=max(reached, default=len(levels) - 1))


def _cost_traces(block: Block, group: Group, each: RigCost, key: Key) -> Iterator[dict]:
    """The point of a rig, as its legend has it."""
    runs, unit, colour, symbol = block.runs_of(group), block.unit, key.colour, key.marker
    marker = {"color": colour, "symbol": symbol, "size": 11}
    words = "<br>on the Pareto front" if each.on_front else ""
    point: dict = {"x": [unit.of(each.minutes)], "y": [rounded(each.cost)], "cliponaxis": False}
    yield trace(
        runs, each.label, mode="markers", marker=marker,
        hover=f"%{{y:.4g}} {neutral(each.currency)}<br>%{{x:.2f}} {unit.short}{words}", **point,
    )  # fmt: skip
    if each.on_front:
        ring = {"color": colour, "symbol": "circle-open", "size": 21, "line": {"width": 2}}
        yield trace(runs, f"{each.label}, on the front", mode="markers", marker=ring, **point)


def batch_sizes(block: Block) -> Figure:
    """Epochs that each level took, by the size of the batch."""
    figure_id, title = f"{block.id}-batch", "Epochs to a level against batch size"
    sizes = sorted({run.run.identity.batch for run in block.runs})
    if len(sizes) < 2:
        caption = (
            f"All runs have a batch of {sizes[0]} utterances. Make runs with other sizes to see how many more epochs a "
            f"larger batch needs: make bench BATCH=96"
        )
        return Figure(id=figure_id, title=title, caption=caption)
    traces, rows, keys = [], [], []
    for number, level in enumerate(block.groups[0].levels):
        colour, symbol, dash = (each[number % len(each)] for each in (COLOURS, MARKERS, DASHES))
        name, points = level_name(level), list(_epoch_points(block, number))
        keys.append(Key(name=name, colour=colour, dash=dash, marker=symbol))
        for run, batch, epoch in points:
            marker = {"color": colour, "symbol": symbol, "size": 9, "opacity": 0.8}
            hover = f"{neutral(name)}<br>batch %{{x}}: %{{y}} epochs"
            traces.append(trace([run], mode="markers", x=[batch], y=[epoch], marker=marker, hover=hover))
        means = {size: [epoch for _, batch, epoch in points if batch == size] for size in sizes}
        line = {"color": colour, "dash": dash, "width": 1}
        xs = [size for size in sizes if means[size]]
        ys = [rounded(float(np.median(means[size]))) for size in xs]
        traces.append(trace(block.runs, name, mode="lines", x=xs, y=ys, line=line))
        rows += [(name, str(size), str(len(means[size])), cell(_median(means[size]), "g")) for size in sizes]
    caption = "Epochs until each level was reached, by utterances a batch: points are runs, lines join their medians."
    layout = {
        "xaxis": axis("batch, utterances", type="log", tickvals=sizes, ticktext=[str(size) for size in sizes]),
        "yaxis": axis("epochs", rangemode="tozero"),
    }
    table = Table(
        f"{block.workload}: epochs to a level", ("level", "batch", "runs that reached it", "epochs"), tuple(rows)
    )
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout, keys=tuple(keys), table=table
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _epoch_points(block: Block, number: int) -> Iterator[tuple[Shown, int, float]]:
    """(run, its batch, epochs to the number-th level) of the runs that reached it."""
    for group in block.groups:
        for run, epoch in zip(block.runs_of(group), group.levels[number].epochs, strict=True):
            if epoch is not None:
                yield run, run.run.identity.batch, epoch


def machines(block: Block) -> Iterator[Figure]:
    """Yield throughput by the number of machines, for each kind of machine of which there are several numbers."""
    for number, scaling in enumerate(scalings(block.groups)):
        steps, fewest = scaling.steps, scaling.steps[0]
        runs = [run for step in steps for run in block.runs_of(step.group)]
        counts = sorted({step.machines for step in steps})
        colour, marker = COLOURS[0], {"symbol": MARKERS[0], "size": 10, "color": COLOURS[0]}
        hover = "%{x} machines: %{y:.4g} utterances/s"
        measured = {"x": [step.machines for step in steps], "y": [rounded(step.utterances_per_s) for step in steps]}
        ideal = [rounded(fewest.utterances_per_s * count / fewest.machines) for count in counts]
        line = {"color": GREY, "dash": "dot", "width": 2}
        traces = (
            trace(runs, "in proportion", mode="lines", x=counts, y=ideal, line=line),
            trace(
                runs, "measured", mode="lines+markers", marker=marker, hover=hover, line={"color": colour}, **measured
            ),
        )
        batches, last = sorted({step.batch for step in steps}), steps[-1]
        alike = len(batches) == 1
        grows = "The batch is the same for all" if alike else f"The batch goes from {batches[0]} to {batches[-1]}"
        caption = (
            f"Utterances trained a second on {counts[0]} to {counts[-1]} machines of {neutral(scaling.devices)}; "
            f"dotted, in proportion. {grows}. {last.machines} machines reach {scaling.efficiency(last):.0%} of that."
        )
        ticks = {"tickvals": counts, "ticktext": [str(count) for count in counts]}
        yield Figure(
            id=f"{block.id}-machines{number}", title="More machines", caption=caption, traces=traces,
            layout={"xaxis": axis("machines", **ticks), "yaxis": axis("utterances/s", rangemode="tozero")},
            keys=(
                Key(name="measured", colour=colour, dash="solid", marker=MARKERS[0]),
                Key(name="in proportion", colour=GREY, dash="dot"),
            ),
            table=scaling.table(block.workload),
        )  # fmt: skip
