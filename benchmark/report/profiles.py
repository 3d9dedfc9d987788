"""The report's figure of many levels: how near each platform is to the best, whatever level is chosen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmark.judge.profiles import profile_of, profile_table, stability
from benchmark.report.figures import Block, Figure, axis, group_keys, log_axis, rounded, trace

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np


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
    most = max((r for row in found.ratios for r in row if np.isfinite(r)), default=1.0) * 1.05
    # every rig's line goes up to where all its levels are within the factor, however far behind it is
    steps = {r for row in found.ratios for r in row if np.isfinite(r)}
    factors = [rounded(float(f)) for f in sorted({1.0, *steps, max(1.01, most)})]
    shares = [found.within(factor * (1 + 1e-6)) for factor in factors]  # a factor is rounded
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
    x_axis = log_axis("times the best", factors, range=[0, math.log10(factors[-1])])
    layout = {"xaxis": x_axis, "yaxis": axis("% of levels", range=[-3, 103])}
    return Figure(
        id=figure_id, title=title, caption=caption, traces=tuple(traces), layout=layout,
        keys=group_keys(block, lines=True), table=profile_table(found),
    )  # fmt: skip
