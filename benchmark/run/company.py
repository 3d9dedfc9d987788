"""Training together: what the chief does for the others, and what the others do instead of training by themselves.

prepared = agreed(prepared, company, say)       # the chief's: are all hosts alike?
finished = follow(job, say)                     # another host's whole run
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmark.record.usage import usage_name
from benchmark.run.machines.channel import Caller, Chief
from benchmark.run.prepare.job import INTERRUPTED, Finished, Job, Say
from benchmark.run.prepared import Prepared, prepare
from benchmark.run.trouble import explained
from benchmark.run.watch.interrupts import Interrupts
from benchmark.run.watch.monitor import Monitor

SHARED_LIMIT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Company:
    """The other hosts of a run, as the chief sees them, and how long it waited until they were there."""

    chief: Chief
    gathered_s: float


def agreed(prepared: Prepared, company: Company, say: Say) -> Prepared:
    """Compare hosts, on the chief. Raises ValueError if one differs from it."""
    from benchmark.run.machines.agreement import differences, facts_of, share_a_machine

    own = facts_of(prepared.job, prepared.task, prepared.decoder, os.environ)
    facts = {0: own, **company.chief.answers()}
    if found := differences(facts, prepared.job.hosts):
        raise ValueError(found[0] + (f" (and {len(found) - 1} more differences)" if len(found) > 1 else ""))
    if share_a_machine(facts):
        say("WARNING: hosts of this run are processes of one machine: its times say nothing about several machines")
        return replace(prepared, devices=replace(prepared.devices, emulated=True))
    return prepared


def follow(job: Job, say: Say) -> Finished:
    """Take part in a run that another host leads."""
    hosts = job.hosts

    def warn(sentence: str) -> None:
        if sentence.startswith("WARNING"):
            say(f"{hosts.name(hosts.rank)}: {sentence}")

    with Caller(hosts, limit_s=job.wait_for_hosts_s, waiting=say) as caller:
        try:
            from benchmark.run.machines.agreement import facts_of

            prepared = prepare(job, caller, warn)
            caller.answer(facts_of(prepared.job, prepared.task, prepared.decoder, os.environ))
            if (order := caller.hear()) is not None:
                prepared = prepared.renamed(order["run"])
                with explained(prepared.job, prepared.data):
                    _take_part(prepared, caller)
        except BaseException as error:  # whatever it is, the chief would wait for this host
            stopped = isinstance(error, KeyboardInterrupt)
            caller.fail(INTERRUPTED if stopped else 2, "interrupted" if stopped else str(error) or type(error).__name__)
            raise
        if caller.status:
            say(f"{hosts.name(hosts.rank)}: the run ended: {caller.sentence or f'status {caller.status}'}")
    job = prepared.job
    return Finished(status=caller.status, journal=job.journal, folder=job.folder, follower=True)


def _take_part(prepared: Prepared, caller: Caller) -> None:
    from benchmark.run.machines import follow as following
    from benchmark.run.machines.timed import Timed
    from benchmark.run.state.checkpoints import Checkpoints
    from benchmark.run.train.host import Host

    job = prepared.job
    if not _within(SHARED_LIMIT_S, (job.folder / "pid").is_file):
        raise ValueError(
            f"{job.folder}: not there; expected the folder of the run that the chief has made: give --results a folder "
            f"that all hosts share"
        )
    prepared.wake(lambda _: None)
    pool = prepared.pool()
    host = Timed(Host(prepared.task, Checkpoints(job.folder / "checkpoints"), pool))
    clock_s, _ = caller.clock()
    with ExitStack() as stack:
        interrupts = Interrupts(stop=lambda: None, patience_s=following.PATIENCE_S, raising=False)
        interrupts.stop = lambda: caller.answer({"signal": interrupts.signal})
        stack.enter_context(interrupts)
        if job.monitor_hz:
            output = job.folder / usage_name(job.hosts.rank)
            stack.enter_context(Monitor(output, started_at=time.monotonic() - clock_s, hz=job.monitor_hz))
        stack.enter_context(pool)
        stack.enter_context(prepared.data.opened())
        following.follow(host, caller)


def _within(limit_s: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds, as a shared folder may show a file late."""
    until = time.monotonic() + limit_s
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.5)
    return found
