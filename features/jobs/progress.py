"""Progress of long work: a bar on a terminal, a plain line now and then in a pipe.

    with progress("features", total=2500, unit="utterances") as advance:
        for utterance in utterances:
            ...
            advance(1)

Progress goes to standard error, so that standard output holds results only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN_LINE_EVERY_S = 5.0
_hidden = False


def hide() -> None:
    """Show no progress from now on, in this process: for commands that are asked to be quiet."""
    global _hidden
    _hidden = True


@contextmanager
def progress(label: str, *, total: int, unit: str = "") -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`; show n of `total` `unit`s. The unit "bytes" adds sizes and speed."""
    if _hidden:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(unit) as bar:
            task = bar.add_task(label, total=total)
            yield lambda n: bar.advance(task, n)
    else:
        yield _plain_lines(label, total=total, unit=unit)


def _bar(unit: str) -> Progress:
    from rich.console import Console  # here: it takes 0.1 s, which a pipe is spared
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counts = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn(), TextColumn(unit)]
    columns = [TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn()]
    return Progress(*columns, console=Console(stderr=True))


def _plain_lines(label: str, *, total: int, unit: str) -> Callable[[int], None]:
    done = 0
    started = last = time.monotonic()

    def advance(n: int) -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        finished = done >= total and now - started > 2.0
        if finished or now - last >= PLAIN_LINE_EVERY_S:
            last = now
            print(f"{label}: {done:,} of {total:,} {unit} ({now - started:.0f} s)", file=sys.stderr, flush=True)

    return advance
