"""The report's figure of many levels: how near each platform is to the best, whatever level is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.judge.profiles import MOST, profile_of, profile_table, stability
from benchmark.report.figures import Block, Figure, axis, group_keys, rounded, trace

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

STEPS = 120


def profile(block: Block) -> Figure:
    """Draw the performance profile: the share of levels at which a platform is within a factor of the best."""
    figure_id, title = f"{block.id}-profile", "Over many levels"
    if block.emulated:
        return Figure(id=figure_id, title=title, caption="Emulated rigs are not ranked, at one level or at many.")
    found = profile_of(block.groups, block.question)
    if found is None:
        caption = "A performance profile compares two platforms or more over levels that all of them reached."
        return Figure(id=figure_id, title=title, caption=caption)
    by_label = {group.label: block.runs_of(group) for group in block.groups}
    most = min(MOST, max((r for row in found.ratios for r in row if np.isfinite(r)), default=1.0) * 1.02)
    factors = [rounded(float(f)) for f in np.linspace(1.0, max(1.01, most), STEPS)]
    shares = [found.within(factor) for factor in factors]
    traces = []
    for number, label in enumerate(found.labels):
        runs = by_label[label]
        line = {**runs[0].line, "shape": "hv"}
        ys = [rounded(100 * share[number]) for share in shares]
        hover = "within %{x:.2f} times the best at %{y:.0f}% of levels"
        traces.append(trace(runs, label, mode="lines", x=factors, y=ys, line=line, hover=hover))
    caption = (
        f"Time to one level decides ranks by chance. The share of {len(found.levels)} levels at which a platform took "
        f"at most that many times the best one's time; at 1 it is first. Upper left is better. {stability(found)}"
    )
    layout = {"xaxis": axis("times the best"), "yaxis": axis("% of levels", range=[-3, 103])}
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout, keys=group_keys(block),
        table=profile_table(found),
    )  # fmt: skip
