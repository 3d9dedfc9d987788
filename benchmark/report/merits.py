"""The report's waterfall: whose merit it is that one platform is sooner than another.

A bar starts where the one before it ended, on a logarithmic axis, where factors add up: steps, seconds a step,
evaluation and the rest; the last bar is the time, and begins at 1.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from benchmark.judge.circumstances import some
from benchmark.judge.common import hardest_common_level
from benchmark.judge.merit import PARTS, Merit, Part, merit_of, merit_table
from benchmark.report.figures import COLOURS, Block, Figure, Key, axis, neutral, rounded, trace

MOST = 5  # pairs drawn: the table has all
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)
WIDE_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
LINE = 12  # letters of a name on one line under its bars
TIME_COLOUR = "#808080"


def merits(block: Block) -> Figure:
    """Draw each other platform's time over the soonest one's as a product of its parts."""
    figure_id, title = f"{block.id}-merit", "Whose merit"
    if block.emulated:
        return Figure(id=figure_id, title=title, caption="Emulated rigs are not compared.")
    found = _of_block(block)
    if not found:
        caption = "A ratio of times is split into steps, seconds a step and the rest where two platforms have runs."
        return Figure(id=figure_id, title=title, caption=caption)
    drawn = [merit for merit in found if any(part.ratio for part in merit.parts.values())][:MOST]
    traces, ticks, names_of = [], [], _short([group.label for group in block.groups])
    for number, merit in enumerate(drawn):
        runs = [run for group in block.groups if group.label == merit.first for run in block.runs_of(group)]
        place = number * (len(PARTS) + 2)
        ticks.append((place + len(PARTS) / 2, _broken(names_of[merit.first])))
        traces += [
            trace(
                runs, f"{merit.first} / {merit.second}: {name}", type="bar", x=[place + n], y=[height], base=[base],
                width=[0.9], marker={"color": colour, "opacity": 0.85}, hover=neutral(f"{name}: {part.cell}"),
            )
            for n, (name, part, base, height, colour) in enumerate(_bars(merit))
        ]  # fmt: skip
    ends = [edge for t in traces for edge in (t["base"][0], t["base"][0] + t["y"][0])]
    wide = max(ends, default=0) - min(ends, default=0) > math.log10(4)
    marks = [
        tick
        for tick in (WIDE_TICKS if wide else TICKS)
        if min(ends, default=0) - 0.1 <= math.log10(tick) <= max(ends, default=0) + 0.1
    ]
    first = found[0]
    caption = (
        f"How many times as long each takes as {first.second} to {first.level}%, as a product: a bar begins where the "
        f"one before it ended. {first.sentence} Bars that are not there are open; see the table."
    )
    names = [*(first.name_of(name) for name in PARTS if name in first.parts), "time"]
    colours = [*COLOURS[: len(names) - 1], TIME_COLOUR]
    layout = {
        "xaxis": {
            "tickvals": [at for at, _ in ticks],
            "ticktext": [name for _, name in ticks],
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": axis(
            "times as long", tickvals=[rounded(math.log10(t)) for t in marks], ticktext=[f"{t:g}" for t in marks]
        ),
    }
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout,
        keys=tuple(Key(name=name, colour=colour, marker="square") for name, colour in zip(names, colours, strict=True)),
        notes=_notes(found), table=merit_table(found),
    )  # fmt: skip


def _notes(found: list[Merit]) -> tuple[str, ...]:
    """Return each remark once, after the platforms that it is about."""
    about: dict[str, list[str]] = {}
    for merit in found:
        for remark in merit.remarks:
            about.setdefault(remark, []).append(merit.first)
    return tuple(f"{some(names)}, against {found[0].second}: {remark}" for remark, names in about.items())


def _broken(name: str) -> str:
    """Return a name in lines that are narrow enough to stand beside others under an axis."""
    lines = textwrap.wrap(name, LINE, break_on_hyphens=True) or [name]
    return "<br>".join(map(neutral, lines))


def _short(labels: list[str]) -> dict[str, str]:
    """Return what tells each label from the others: its words without those that all have."""
    common = set.intersection(*(set(label.split()) for label in labels))
    return {label: " ".join(word for word in label.split() if word not in common) or label for label in labels}


def _of_block(block: Block) -> list[Merit]:
    """Return every other platform over the soonest, at the hardest level of the first metric that most reached."""
    groups, metric = block.groups, block.question.metrics[0]
    percent = hardest_common_level(groups, metric) if len(groups) > 1 else None
    if percent is None:
        return []
    place = next(n for n, level in enumerate(groups[0].levels) if (level.metric, level.percent) == (metric, percent))

    def minutes(number: int) -> float:
        found = groups[number].levels[place].minutes
        return math.inf if found is None else found

    first, *others = sorted(range(len(groups)), key=minutes)
    found = [merit_of(groups[n], groups[first], place, block.question) for n in others]
    return [merit for merit in found if merit.unit == found[0].unit]


def _bars(merit: Merit) -> Iterator[tuple[str, Part, float, float, str]]:
    """Yield (name, part, base, height, colour) of the bars that are known, on a logarithmic axis; the time last."""
    base = 0.0
    for name, colour in zip(PARTS, COLOURS, strict=False):
        part = merit.parts.get(name)
        if part and part.ratio:
            height = math.log10(part.ratio.value)
            yield merit.name_of(name), part, rounded(base), rounded(height), colour
            base += height
    if merit.time.ratio:
        yield "time", merit.time, 0.0, rounded(math.log10(merit.time.ratio.value)), TIME_COLOUR
