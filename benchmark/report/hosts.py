"""The report's figure of the hosts of runs on several machines: how long each took by itself, over time.

    for figure in hosts(block): ...         # none where all runs are on one machine, or of an older version

A row of the journal is as long on every host, as all wait for the slowest; drawn is what each took before it waited,
against the median of all. A host that becomes slow in the second week is seen to do so.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.judge.slow_hosts import times_in, why_no_train
from benchmark.record.host_times import HostTimes
from benchmark.record.slowest import FORWARD, TRAIN, Times, slow_hosts, times_of, works_of
from benchmark.report.figures import COLOURS, DASHES, Block, Figure, Key, Shown, axis, rounded, thinned, trace
from benchmark.report.panels import panel_axis, panels
from benchmark.tables import Table, number

DRAWN = 6  # hosts of a run, the slowest; a line of the table for each of LISTED
LISTED = 64


TIMES = "times the median"


@dataclass(frozen=True)
class _Hosts:
    """The hosts of one run, and the kind of work that is drawn: train, or the forward pass where train is not known."""

    run: Shown
    times: HostTimes
    work: str
    rows: list[Times]


def hosts(block: Block) -> Iterator[Figure]:
    """Yield how long each host took against the median of all, a panel a run; nothing if no run knows."""
    there, notes = [], []
    for run in block.runs:
        times = times_in(run.run)
        if isinstance(times, str):
            notes.append(times)
        elif times and (found := _drawn(run, times)):
            there.append(found)
            if found.work != TRAIN:
                notes.append(f"{run.name}: own time in train is {why_no_train(run.run)}; drawn are its {FORWARD}")
            notes += [f"{run.name}: {work.said(times.names)}" for work in slow_hosts(times.rows)]
    if not there:
        return
    traces = tuple(line for number, each in enumerate(there) for line in _lines(each, panel_axis(number), block.points))
    caption = (
        "How long each host took by itself, against the median of all hosts in the same row of the journal; a panel a "
        f"run. All wait for the slowest. Of more than {DRAWN} hosts the slowest are drawn. Lower is better."
    )
    ranks = sorted({rank for each in there for rank in _ranks(each)})
    yield Figure(
        id=f"{block.id}-hosts", title="Hosts", caption=caption, traces=traces, notes=tuple(notes), height=110,
        layout=panels([each.run for each in there], block.unit.axis, [axis(TIMES, nticks=4) for _ in there]),
        panels=tuple(each.run.key for each in there), wide=True,
        keys=tuple(Key(name=f"host {rank}", colour=_look(rank)["color"], dash=_look(rank)["dash"]) for rank in ranks),
        table=_table(block.workload, there),
    )  # fmt: skip


def _drawn(run: Shown, times: HostTimes) -> _Hosts | None:
    for work in (TRAIN, FORWARD):
        if rows := times_of(work, times.rows):
            return _Hosts(run, times, work, rows)
    return None


def _ranks(each: _Hosts) -> list[int]:
    """Return the hosts that are drawn: the slowest by their sums, in the order of their ranks."""
    sums = [sum(row.own_s[rank] for row in each.rows) for rank in range(len(each.times.names))]
    return sorted(sorted(range(len(sums)), key=lambda rank: -sums[rank])[:DRAWN])


def _lines(each: _Hosts, place: str, points: int) -> Iterator[dict]:
    rows = [(row, middle) for row in each.rows if (middle := statistics.median(row.own_s))]
    times = [each.run.time(row.ended_s) for row, _ in rows]
    for rank in _ranks(each) if rows else ():
        xs, ys = thinned(times, [rounded(row.own_s[rank] / middle) for row, middle in rows], points=points)
        hover = f"%{{y:.2f}} times the median<br>%{{x:.2f}} {each.run.unit.short}"
        name = f"{each.run.name}, {each.times.names[rank]}"
        yield trace([each.run], name, mode="lines", x=xs, y=ys, line=_look(rank), yaxis=place, hover=hover)


def _look(rank: int) -> dict:
    turn = rank // len(COLOURS)
    return {"color": COLOURS[rank % len(COLOURS)], "dash": DASHES[turn % len(DASHES)], "width": 2}


def _table(workload: str, there: Sequence[_Hosts]) -> Table:
    """Return each host's median seconds of every kind of work."""
    works = {each.run.key: {work.name: work for work in works_of(each.times.rows)} for each in there}
    names = list(dict.fromkeys(name for found in works.values() for name in found))
    rows = []
    for each in there:
        found = works[each.run.key]
        for rank, name in list(enumerate(each.times.names))[:LISTED]:
            medians = [found[work].medians_s[rank] if work in found else None for work in names]
            rows.append((f"{each.run.name}, {name}", *map(number, medians)))
        if left := len(each.times.names) - LISTED:
            rows += [(f"{each.run.name}, {left} more hosts", *[""] * len(names))] * (left > 0)
    header = ("run", *(f"{name} (s)" if name != "decoding" else "decoding (s an utterance)" for name in names))
    return Table(f"{workload}: own time of each host, median rows", header, tuple(rows))
