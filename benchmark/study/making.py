"""Makes the points of a study that are missing: one run after the other, each in a process of its own.

    failed = make(points, shared=["--workload", "mini"], out=Path("studies/mini"), say=print)

Finished points are skipped, interrupted ones go on. On a terminal a bar shows how far the study is and how long it
takes; everywhere else a line follows each point. The output of a run goes into a file next to it.
"""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from benchmark.record import read_run
from benchmark.record.folder import read_end
from benchmark.study.grid import StudyPoint
from benchmark.study.results import Observation, observations, without_times
from benchmark.tables import number

LOOK_EVERY_S = 2.0
SAVES_WITHIN_S = 10.0  # after a signal; benchmark.run.watch.interrupts gives up after 8
INTERRUPTED = 130
Say = Callable[[str], None]
Advance = Callable[[str, int, float], None]  # name, points done, share of the one that is on


def missing(points: Sequence[StudyPoint], out: Path) -> list[StudyPoint]:
    """Return the points that are not finished and evaluated."""
    there = {each.name for each in observations(out)}
    return [point for point in points if point.name not in there]


def make(points: Sequence[StudyPoint], *, shared: Sequence[str], out: Path, say: Say) -> int:
    """Make points one after the other; return how many failed.

    Raises:
        KeyboardInterrupt: a signal came, or a run was ended by one; the run that was on was told to save and end.
    """
    failed = 0
    with _signals(), _bar(len(points)) as advance:
        for done, point in enumerate(points):
            started_s = time.monotonic()
            expected = expected_steps(point, observations(out))
            ok = _make(point, shared, out, say, partial(advance, point.name, done), expected)
            failed += not ok
            advance(point.name, done, 1.0)
            took = number((time.monotonic() - started_s) / 60)
            left = time_left(points[done + 1 :], observations(out))
            say(f"[{done + 1}/{len(points)}] {point.name}: {'done' if ok else 'FAILED'} in {took} min{left}")
    return failed


def expected_steps(point: StudyPoint, found: Sequence[Observation]) -> float:
    """Return how many batches a point takes: of `target` as many as its protocol's others did, if there are any."""
    alike = [each.steps for each in found if each.protocol == point.protocol]
    usual = sum(alike) / len(alike) if alike and point.protocol == "target" else math.inf
    return min(point.most_steps, usual)


def time_left(points: Sequence[StudyPoint], found: Sequence[Observation]) -> str:
    """Say how long points take, by the pace of those that are finished; "" if none is."""
    alike = [each for each in found if points and each.protocol == points[0].protocol]
    if not alike:
        return ""
    known = [(each.run_minutes, each.steps) for each in without_times(alike) if each.run_minutes is not None]
    if not known:
        return ""  # of unlike machines
    pace = sum(minutes for minutes, _ in known) / sum(steps for _, steps in known)
    return f"; about {number(pace * sum(expected_steps(point, found) for point in points))} min left"


# --- one point -------------------------------------------------------------------------------------------------------


def _make(
    point: StudyPoint, shared: Sequence[str], out: Path, say: Say, share: Callable[[float], None], expected: float
) -> bool:
    log = out / f"{point.name}.log"
    journal = out / f"{point.name}.csv"
    with log.open("ab") as file:
        if not _is_over(out / point.name):
            command = [sys.executable, "-m", "benchmark", *point.training(shared, out)]
            status = _wait(command, file, lambda: share(min(0.99, _steps(journal) / expected)))
        else:
            status = 0
        if status == 0:
            status = _wait([sys.executable, "-m", "benchmark.final", *point.final(out)], file, lambda: None)
    if status:
        say(f"benchmark.saturation: {point.name}: status {status}; what it said is in {log}")
    return status == 0


def _wait(command: Sequence[str], log: IO[bytes] | None, look: Callable[[], None]) -> int:
    """Run a command to its end, looking now and then; if a signal comes, tell it to save, and wait for that."""
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(LOOK_EVERY_S)
                break
            look()
    except KeyboardInterrupt as error:
        if not hasattr(error, "status"):  # Ctrl-C, which the run heard too
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SAVES_WITHIN_S)
        process.terminate()
        process.wait()
        raise
    if status in (INTERRUPTED, 128 + signal.SIGTERM, 128 + signal.SIGHUP):
        raise _interrupted(status)
    return status


def _steps(journal: Path) -> int:
    try:
        return read_run(journal).record.rows[-1].step
    except (OSError, ValueError, IndexError):  # not there yet, or a row is being written
        return 0


def _is_over(folder: Path) -> bool:
    end = read_end(folder)
    return end is not None and end.is_over


# --- signals and the bar ---------------------------------------------------------------------------------------------


def _interrupted(status: int) -> KeyboardInterrupt:
    error = KeyboardInterrupt()
    error.status = status  # type: ignore[attr-defined]
    return error


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a study as Ctrl-C does: the run that is on is told, and saves."""

    def raise_(number_: int, _frame: object) -> None:
        raise _interrupted(128 + number_)

    handled = [name for name in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(name) != signal.SIG_IGN]
    before = {name: signal.signal(name, raise_) for name in handled}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def _bar(points: int) -> Iterator[Advance]:
    if not sys.stderr.isatty() or not points:
        yield lambda _name, _done, _share: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=3600) as bar:
        task = bar.add_task("study", total=points)
        yield lambda name, done, share: bar.update(task, completed=done + share, description=name)
