"""What a point of an arm is worth in data of the plain runs: the size at which their curve has its error.

worth_table(found, "wer")                   # None without an arm and plain runs
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.judge.question import metric_name
from benchmark.study.curves import StudyError, fit
from benchmark.study.kind import LIMITS, worded
from benchmark.study.results import Observation, points
from benchmark.tables import Table, number

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

OF_ARM = ("workload", "variant", "features", "tested")  # in which an arm may differ from the plain runs


def worth_table(found: Sequence[Observation], metric: str) -> Table | None:
    """Return what each point of an arm is worth in clean utterances and hours; None without an arm and plain runs.

    A point is worth the size at which the curve of the plain runs has its error.
    """
    rows = []
    for arm in dict.fromkeys(each.label for each in found if each.arm):
        mine = [each for each in found if each.label == arm]
        plain = [each for each in found if each.protocol == mine[0].protocol and each.is_plain]
        try:
            curve = fit(points(plain, metric))
        except StudyError:
            continue
        hours = statistics.fmean(each.hours / each.samples for each in plain)
        sizes = np.geomspace(1, 1e4 * max(each.samples for each in plain), 20_000)
        errors = curve.at(sizes)
        plain_sizes = sorted({each.samples for each in plain})
        for size in sorted({each.samples for each in mine}):
            here = [error for each in mine if each.samples == size and (error := each.error(metric)) is not None]
            if not here:
                continue
            if unlike := mine[0].kind.differing(plain[0].kind, but=(*OF_ARM, *LIMITS)):
                measured, seeds = f"{statistics.fmean(here):.2f}", str(len(here))
                rows.append((arm, f"{size:,}", seeds, measured, "NA", "NA", "NA", f"not compared: {worded(unlike)}"))
                continue
            if not any(here):
                remark = "no run made an error: what that is worth cannot be told"
                rows.append((arm, f"{size:,}", str(len(here)), "0.00", "NA", "NA", "NA", remark))
                continue
            there = np.flatnonzero(errors <= statistics.fmean(here))
            worth = float(sizes[there[0]]) if len(there) else None
            share = "NA" if worth is None else f"x {worth / size:.2f}"
            amount = "more than any" if worth is None else f"{worth:,.0f}"
            time = "NA" if worth is None else number(worth * hours)
            inside = worth is not None and plain_sizes[0] <= worth <= plain_sizes[-1]
            remarks = [] if inside else [f"beyond the plain runs' {plain_sizes[0]:,} to {plain_sizes[-1]:,}"]
            remark = "; ".join([*remarks, *map(str, mine[0].kind.differing(plain[0].kind, but=OF_ARM))])
            measured = f"{statistics.fmean(here):.2f}"
            rows.append((arm, f"{size:,}", str(len(here)), measured, amount, time, share, remark))
    name = f"test {metric_name(metric)}"
    header = ("runs", "utterances", "seeds", name, "worth clean utterances", "hours", "factor", "remark")
    title = "What an arm is worth in data of the plain runs, by their curve"
    return Table(title, header, tuple(rows)) if rows else None
