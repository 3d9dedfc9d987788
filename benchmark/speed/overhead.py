"""Part `overhead`: what monitoring and the journal cost a run, on and off in turn.

One process trains segments of mini size. An answer is four of them, plain, watched, watched, plain: with a running
`benchmark.run.watch.monitor.Monitor` at 10 samples a second and without. What other processes do to such a pair is
several times what the monitor does, so the sampler's own CPU time is given too: all that it can take from a run. A
journal's row is appended 2,000 times, and set against the seconds of a row of 50 batches.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.speed.contest import Arena, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import SIZES, Setting
from platforms.machine import affinity

MONITOR_TARGET, JOURNAL_TARGET = 0.01, 0.005
BATCHES_A_ROW = 50
APPENDS = 2000


def measure(setting: Setting) -> list[Result]:
    """Measure the overhead; return two Results: monitor and journal."""
    size = setting.small
    with Arena() as arena:
        options: dict[str, Any] = {"size": size.name, "batches": 4 if setting.tiny else 10}
        watched = arena.enter(contender("overhead", "watched", **options))
        appended = arena.enter(contender("overhead", "appended", rows=200 if setting.tiny else APPENDS))
        played = play({"monitor": watched.ask, "journal": appended.ask}, rounds=setting.rounds, label="overhead")
    sampler_s, watched_s = (sum(played.values("monitor", key)) for key in ("sampler_s", "watched_s"))
    sampler = sampler_s / watched_s / len(affinity())
    batch_s, append_s = played.median("monitor", "plain_s"), played.median("journal")
    row_s = BATCHES_A_ROW * batch_s
    return [
        Result(
            part=f"overhead, {size.name}, monitor",
            unit="s/batch",
            ours=played.median("monitor"),
            baseline=batch_s,
            ratios=tuple(answer["plain_s"] / answer["seconds"] for answer in played.answers["monitor"]),
            note=f"with and without; the sampler's CPU time is {sampler:.2%} of the machine's {len(affinity())} cores; "
            f"target under {MONITOR_TARGET:.0%} of a run",
            measured={"monitor": played.answers["monitor"]},
        ),
        Result(
            part=f"overhead, {size.name}, journal",
            unit="ms/row",
            ours=1000 * append_s,
            baseline=1000 * row_s,
            note=f"a row appended and flushed, against the row's {BATCHES_A_ROW} batches: {append_s / row_s:.4%} "
            f"of a run; target under {JOURNAL_TARGET:.1%}",
            measured={"journal": played.answers["journal"], "share": [append_s / row_s]},
        ),
    ]


def watched(*, size: str, batches: int) -> Callable[[str], dict]:
    """Time a batch, watched and plain; `sampler_s` are the sampler's CPU seconds in `watched_s`."""
    import psutil

    from benchmark.run.prepare import devices
    from benchmark.run.watch.monitor import Monitor
    from benchmark.speed.synthetic import train_step

    tf = devices.tf
    step, given = train_step(SIZES[size], devices.single_device("float32"), "float32")
    folder = tempfile.TemporaryDirectory()

    def segment() -> float:
        started_s = time.monotonic()
        float(step.segment(given, tf.constant(0), tf.constant(batches)).loss)
        return (time.monotonic() - started_s) / batches

    def beside_a_monitor() -> dict[str, float]:
        with Monitor(Path(folder.name) / "utilisation.csv", started_at=time.monotonic()):
            sampler = psutil.Process().children()[-1]
            before, began_s = sum(sampler.cpu_times()[:2]), time.monotonic()
            seconds = [segment(), segment()]
            spent_s, watched_s = sum(sampler.cpu_times()[:2]) - before, time.monotonic() - began_s
        return {"seconds": sum(seconds) / 2, "sampler_s": spent_s, "watched_s": watched_s}

    def ask(_: str) -> dict:
        plain = [segment()]
        on = beside_a_monitor()
        plain.append(segment())
        return {**on, "plain_s": sum(plain) / 2}

    ask("")
    return ask


def appended(*, rows: int) -> Callable[[str], dict]:
    """Time appending a row, on average over a journal that grows from none to `rows`."""
    from benchmark.speed.judge import write_journal

    folder, number = tempfile.TemporaryDirectory(), 0

    def ask(_: str) -> dict:
        nonlocal number
        number += 1
        started_s = time.monotonic()
        write_journal(Path(folder.name) / f"{number}.csv", rows=rows)
        return {"seconds": (time.monotonic() - started_s) / rows}

    ask("")
    return ask


CONTENDERS = {"watched": watched, "appended": appended}
