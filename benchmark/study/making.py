"""Makes the runs of a study that are missing: one after the other, each in a process of its own.

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
Share = Callable[[float], None]  # which part of the run that is on is done, 0 to 1
Advance = Callable[[str, int, float], None]  # name, points done, share of the one that is on


def missing(points: Sequence[StudyPoint], out: Path) -> list[StudyPoint]:
    """Return the points that are not finished and evaluated."""
    there = {each.name for each in observations(out)}
    return [point for point in points if point.name not in there]


def make(points: Sequence[StudyPoint], *, shared: Sequence[str], out: Path, say: Say) -> int:
    """Make points one after the other; return how many failed. Raises KeyboardInterrupt as `in_turn` does."""

    def one(number: int, share: Share) -> bool:
        return _make(points[number], shared, out, say, share, expected_steps(points[number], observations(out)))

    names = [point.name for point in points]
    return in_turn(names, one, say=say, left=lambda done: time_left(points[done:], observations(out)))


def in_turn(names: Sequence[str], one: Callable[[int, Share], bool], *, say: Say, left: Callable[[int], str]) -> int:
    """Do work by its number, one after the other, with a bar or a line each; return how many failed.

    `one` does it and returns whether it went well; `left` says how long the rest takes, after so many.

    Raises:
        KeyboardInterrupt: a signal came, or a run was ended by one; the run that was on was told to save and end.
    """
    failed = 0
    with _signals(), _bar(len(names)) as advance:
        for done, name in enumerate(names):
            started_s = time.monotonic()
            ok = one(done, partial(advance, name, done))
            failed += not ok
            advance(name, done, 1.0)
            took = number((time.monotonic() - started_s) / 60)
            say(f"[{done + 1}/{len(names)}] {name}: {'done' if ok else 'FAILED'} in {took} min{left(done + 1)}")
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


def _make(point: StudyPoint, shared: Sequence[str], out: Path, say: Say, share: Share, expected: float) -> bool:
    log = out / f"{point.name}.log"
    with log.open("ab") as file:
        status = train(point.name, point.training(shared, out), out=out, log=file, share=share, expected=expected)
        if status == 0:
            status = _wait([sys.executable, "-m", "benchmark.final", *point.final(out)], file, lambda: None)
    if status:
        say(f"benchmark.saturation: {point.name}: status {status}; what it said is in {log}")
    return status == 0


def train(name: str, words: Sequence[str], *, out: Path, log: IO[bytes], share: Share, expected: float) -> int:
    """Train a run with these arguments of python -m benchmark, or go on with it; return its exit status.

    One that is over is left alone. `share` is told which part of the `expected` batches is done, now and then.
    """
    if is_over(out / name):
        return 0
    journal = out / f"{name}.csv"
    command = [sys.executable, "-m", "benchmark", *words]
    return _wait(command, log, lambda: share(min(0.99, _steps(journal) / expected)))


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


def is_over(folder: Path) -> bool:
    """Tell whether a run has finished or diverged, by its folder."""
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
