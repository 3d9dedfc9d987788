"""A cheap proxy for the benchmark: the smallest part of the data that puts the rigs in the order that all of it does.

    found = proxies([observations("studies/sys1"), observations("studies/sys2")], metric="wer")     # of one protocol
    found[0].size, found[0].tau, found[0].share_of_time

A study on each rig, of the same sizes. At every size rigs are ordered by their time to the lowest level that all of
them reach there; Kendall's tau compares that order with the one at the largest size. How often a draw of one run a rig
gives the same order says what a single run of each would have been worth.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.study.curves import StudyError
from benchmark.study.kind import RIG, worded
from benchmark.study.results import Observation, common_level
from benchmark.tables import Table, number

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

DRAWS = 2000
SURE = 0.95
SEED = 0
SLACK = 0.02
"""Times that lie closer together than this share are a tie."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """How rigs are ordered at a size. `tau` is None where no level is reached by all runs of all rigs.

    `minutes` are those of each rig to `level`, medians of its seeds; `same` is how often one run of each rig, drawn,
    gives the order of the largest size; `share_of_time` what its runs take of the time that those of the largest size
    take.
    """

    size: int
    level: float | None
    minutes: tuple[float | None, ...]
    tau: float | None
    same: float | None
    share_of_time: float


def rigs_of(studies: Sequence[Sequence[Observation]]) -> list[str]:
    """Return a name for the rig of each study: its platform; numbered where two have the same.

    Raises:
        StudyError: fewer than two studies, or one without plain points, or of several platforms.
    """
    names = []
    for number_, found in enumerate(studies, start=1):
        platforms, rigs = sorted({each.platform for each in found}), sorted({each.rig for each in found})
        if len(platforms) != 1 or len(rigs) != 1:
            several = ", ".join(platforms) if len(platforms) != 1 else "; ".join(rigs)
            raise StudyError(f"study {number_} has runs of {several or 'no platform'}; expected those of one rig")
        names.append(platforms[0])
    if len(names) < 2:
        raise StudyError("one study has one rig, and one rig no order; expected studies of several: --against DIR")
    return [f"{name} ({number_})" if names.count(name) > 1 else name for number_, name in enumerate(names, start=1)]


def proxies(studies: Sequence[Sequence[Observation]], *, metric: str = "wer") -> list[Proxy]:
    """Return what each size that all studies share says of the order of the rigs, largest last.

    Raises:
        StudyError: there are fewer than two sizes, or the largest one gives no order.
    """
    rigs_of(studies)
    plain = [[each for each in found if each.is_plain] for found in studies]
    check_alike(plain)
    sizes = sorted(set.intersection(*({each.samples for each in found} for found in plain)))
    if len(sizes) < 2:
        raise StudyError("the studies share fewer than two sizes; expected the same sizes on every rig")
    times = {size: _times(plain, size, metric) for size in sizes}
    level, reference = times[sizes[-1]]
    if level is None:
        raise StudyError(f"at {sizes[-1]:,} utterances there is no level that all runs reach: no order to compare with")
    truth = [statistics.median(each) for each in reference]
    whole = _minutes(plain, sizes[-1])
    found = []
    for size in sizes:
        level, runs = times[size]
        known = level is not None
        medians = [statistics.median(each) for each in runs] if known else []
        found.append(
            Proxy(
                size=size,
                level=level,
                minutes=tuple(each / 60 for each in medians) if known else (None,) * len(plain),
                tau=kendall(medians, truth) if known else None,
                same=_same(runs, truth) if known else None,
                share_of_time=_minutes(plain, size) / whole,
            )
        )
    return found


def check_alike(studies: Sequence[Sequence[Observation]]) -> None:
    """Check that studies are of one kind, but for what is a rig's: batch, precision and code.

    Raises:
        StudyError: they are not; the message has the study, the fields and both values.
    """
    protocols = sorted({each.protocol for found in studies for each in found})
    if len(protocols) > 1:
        raise StudyError(
            f"points of protocols {', '.join(protocols)} are in one comparison of rigs; expected one: keep each in a "
            f"folder of its own with -o"
        )
    for number_, found in enumerate(studies[1:], start=2):
        if not found or not studies[0]:
            raise StudyError(f"study {number_ if not found else 1} has no plain points; expected those of one study")
        if differing := found[0].kind.differing(studies[0][0].kind, but=RIG):
            raise StudyError(
                f"study {number_} is another one than the first: {worded(differing)}; expected the same study on every "
                f"rig: leave it out of --against, or make it again with the options of the first"
            )


def of_rigs(studies: Sequence[Sequence[Observation]]) -> str:
    """Say in which fields that are a rig's the studies differ; "" if in none."""
    first, *others = (next(each.kind for each in found if each.is_plain) for found in studies)
    differing = {d.field: d for kind in others for d in kind.differing(first)}
    if not differing:
        return ""
    words = "; ".join(f"{d.field}: {d.expected} and {d.found}" for d in differing.values())
    return f"The rigs differ in more than their speed ({words}): the order may be of that."


def kendall(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Kendall's tau-b of two rows of times, where times within SLACK of one another are ties; 0 if all tie.

    Tau-b is (concordant - discordant) / sqrt(pairs not tied in one x pairs not tied in the other): Kendall, "The
    treatment of ties in ranking problems", Biometrika 33 (1945).
    """
    pairs = list(itertools.combinations(range(len(one)), 2))
    a, b = (np.array([_order(values[i], values[j]) for i, j in pairs]) for values in (one, other))
    untied = math.sqrt(float(np.abs(a).sum()) * float(np.abs(b).sum()))
    return float((a * b).sum()) / untied if untied else 0.0


def _order(one: float, other: float) -> int:
    if abs(one - other) <= SLACK * max(one, other):
        return 0
    return 1 if one > other else -1


def _times(plain: Sequence[Sequence[Observation]], size: int, metric: str) -> tuple[float | None, list[list[float]]]:
    """Return the lowest level that all runs of all rigs reach at a size, and their seconds of training to it."""
    levels = [common_level(found, size, metric) for found in plain]
    known = [level for level in levels if level is not None]
    if len(known) < len(levels):
        return None, []
    level = max(known)
    seconds = [
        [each.record.time_to_accuracy_s(metric, level, clock="train") for each in found if each.samples == size]
        for found in plain
    ]
    return level, seconds


def _same(runs: Sequence[Sequence[float]], truth: Sequence[float]) -> float:
    """Return how often one run of each rig has the order of the truth."""
    rng = np.random.default_rng(SEED)
    drawn = np.stack([rng.choice(each, DRAWS) for each in runs], 1)
    return float(np.mean([kendall(row, truth) == kendall(truth, truth) for row in drawn.tolist()]))


def _minutes(plain: Sequence[Sequence[Observation]], size: int) -> float:
    return sum(statistics.fmean(e.run_minutes or 0.0 for e in found if e.samples == size) for found in plain)


def proxy_parts(studies: Sequence[Sequence[Observation]], *, metric: str = "wer") -> list[str | Table]:
    """Return the answer: a table of the sizes, and the smallest one that keeps the order."""
    found, rigs = proxies(studies, metric=metric), rigs_of(studies)
    rows = tuple(
        (
            f"{each.size:,}",
            "none" if each.level is None else f"{each.level:g}",
            *(number(minutes) for minutes in each.minutes),
            "NA" if each.tau is None else f"{each.tau:.2f}",
            "NA" if each.same is None else f"{each.same:.0%}",
            f"{each.share_of_time:.0%}",
        )
        for each in found
    )
    title = (
        f"Rigs by data size: minutes of training to the lowest {metric.upper()} that all runs reach, and how alike "
        f"their order is to that of the largest size"
    )
    header = ("utterances", "level", *rigs, "tau", "same order by one run each", "of the time")
    kept = next((n for n, _ in enumerate(found) if all((p.same or 0) >= SURE and p.tau == 1 for p in found[n:])), None)
    pairs = len(rigs) * (len(rigs) - 1) // 2
    few = f" {len(rigs)} rigs make {pairs} pair{'s' * (pairs > 1)}: tau has few values." if len(rigs) < 5 else ""
    if kept is None:
        return [
            *filter(None, [of_rigs(studies)]),
            Table(title, header, rows),
            f"No part of the data keeps the order in {SURE:.0%} of draws.{few}",
        ]
    size = found[kept]
    words = (
        f"{size.size:,} utterances put the rigs in the order of {found[-1].size:,}, as do all larger parts, in "
        f"{size.same:.0%} of draws of one run a rig; they take {size.share_of_time:.0%} of the time.{few}"
    )
    return [*filter(None, [words, of_rigs(studies)]), Table(title, header, rows)]
