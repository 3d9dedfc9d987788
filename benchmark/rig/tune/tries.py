"""Tries and contestants as child processes, and what their endings mean.

    tried = attempt(job)                        # Tried: whether its batch ran, or how it ended
    with contestant(job) as turn:               # raises TuneError if it cannot begin
        turn()                                  # audio seconds a second

A child that says that memory is full, is killed (137), aborts (134) or hangs does not fit. One that fails otherwise is
no matter of size, and ends the tuning with what it said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from benchmark.rig.estimate.child import ABORTED, DONE, HUNG, KILLED, Ending, child, scratch
from benchmark.rig.tune.search import Tried
from benchmark.run.prepare.job import Job
from platforms import Platform

MODULE = "benchmark.rig.tune.attempt"
FOLDER = "tune"  # in that of the results
SILENT_S = 900.0  # compiling a large model takes minutes; without a word for so long, it hangs
TURN_S = 4.0
FULL = re.compile(
    r"ResourceExhausted|MemoryError|bad_alloc|out of memory|\bOOM\b|Cannot allocate|can't start new thread|"
    r"failed to allocate|worker process was killed|BrokenProcessPool",
    re.IGNORECASE,
)
"""What libraries say when memory is full."""


class TuneError(ValueError):
    """A tuning that cannot go on; the message says why."""


def with_batch(job: Job, **knobs: Any) -> Job:
    """Return the job with other settings of its platform."""
    return replace(job, platform=job.platform.changed(**knobs))


def unit_of(platform: Platform) -> int:
    """Return the number whose multiple a batch must be: replicas, and pieces of each."""
    return platform.replicas * platform.input.accumulation


def attempt(job: Job, *, module: str = MODULE, silent_s: float = SILENT_S) -> Tried:
    """Try a job's batch in a child process.

    Raises:
        TuneError: it failed for another reason than its size.
    """
    batch, step = job.platform.input.batch, "the start"
    said: dict[str, Any] = {}
    with scratch(job.results / FOLDER) as place, child(module, job, "fits", place) as process:
        for message in process.messages(limit_s=silent_s):
            step = message.get("step", step)
            said |= message
        ending = process.ending or Ending(kind=HUNG)
    if "full" in said:
        return Tried(batch=batch, ran=False, ending=f"{said['full']}, at {step}")
    if ending.kind == DONE and "memory" in said:
        taken, limit = said["memory"]["taken"], said["memory"]["limit"]
        return Tried(batch=batch, ran=True, memory_bytes=taken, limit_bytes=limit, checked=said["checked"])
    if ending.kind in (KILLED, ABORTED, HUNG) or FULL.search(ending.said):
        return Tried(batch=batch, ran=False, ending=f"{ending}, at {step}")
    raise TuneError(f"a try of batch {batch} failed at {step}, which is no matter of memory: {ending}")


@contextmanager
def contestant(
    job: Job, *, module: str = MODULE, silent_s: float = SILENT_S, turn_s: float = TURN_S
) -> Iterator[Callable[[], float]]:
    """Begin a child that trains on real lengths when it is asked; yield what asks it, and returns its speed."""
    about = f"batch {job.platform.input.batch}"
    with scratch(job.results / FOLDER) as place, child(module, job, "speed", place) as process:
        messages = process.messages(limit_s=silent_s)

        def heard(wanted: str) -> Any:
            for message in messages:
                if "full" in message:
                    raise TuneError(f"{about}: training in turns ended: {message['full']}")
                if wanted in message:
                    return message[wanted]
            raise TuneError(f"{about}: training in turns ended: {process.ending}")

        def turn() -> float:
            process.ask(f"{turn_s:g}")
            return float(heard("speed"))

        heard("ready")
        yield turn
