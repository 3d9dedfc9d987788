"""Logs of runs that were restarted: what stands twice, what was done again, clocks that began again.

points, notes = straightened("log.csv", points, Said(restarts=True))    # times only grow, and so do steps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark.ingest.events import IngestError
from benchmark.ingest.points import Point, Said


def straightened(source: str, points: Sequence[Point], said: Said) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Return the evaluations that stand, and notes: repeated ones once, clocks that began again put together.

    Where a run went back to an earlier step, the evaluations after it were done again and stand no more; the time that
    they took is counted, and is no training.

    Raises:
        IngestError: two runs in one file, or a clock that begins again without --restarts.
    """
    kept: list[Point] = []
    again = repeated = restarted = 0
    offset_s = last_s = 0.0
    previous: Point | None = None
    for point in points:
        if previous and replace(point, line=0) == replace(previous, line=0):
            repeated += 1
            continue
        if previous and point.time_s < previous.time_s:
            _check_restart(source, points[0], previous, point, said)
            offset_s, restarted = last_s, restarted + 1
        previous = point
        moved = replace(point, time_s=point.time_s + offset_s)
        undone = [p for p in kept if p.step is not None and point.step is not None and p.step >= point.step]
        if undone:
            again += len(undone)
            kept = kept[: -len(undone)] if kept[-len(undone) :] == undone else [p for p in kept if p not in undone]
            from_s = kept[-1].time_s if kept else 0.0
            moved = replace(moved, lost_s=max(0.0, last_s - from_s))
        last_s = moved.time_s
        kept.append(moved)
    notes = [f"{repeated} evaluations stand twice: taken once"] * bool(repeated)
    notes += [f"its clock began again {restarted} times: put together, without the time between"] * bool(restarted)
    notes += [f"it went back, and did {again} evaluations again: the time counts, as no training"] * bool(again)
    return tuple(kept), tuple(notes)


def _check_restart(source: str, first: Point, previous: Point, point: Point, said: Said) -> None:
    falls = f"{source}:{point.line}: time falls from {previous.time_s:g} (line {previous.line}) to {point.time_s:g} s"
    if point.step is not None and first.step is not None and point.step <= first.step < (previous.step or 0):
        raise IngestError(f"{falls}, and the step to {point.step}: two runs; expected one a file")
    if not said.restarts:
        raise IngestError(
            f"{falls}; expected times that grow: --restarts puts a clock that began again after where it stood"
        )
    if point.train_s is not None and previous.train_s is not None and point.train_s < previous.train_s:
        raise IngestError(f"{falls}, and so does its time of training; expected sums that go on after a restart")
