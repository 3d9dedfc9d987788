"""One attempt at a run: training with all that goes on meanwhile, until its end is written down.

    status = attempt(prepared, before, company, say)        # 0 done, 3 diverged, 130 or 143 interrupted

A run that was killed goes on in a further attempt: its journal says where it stood, its clock goes on from the last
heartbeat, and the time until then is left out.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from benchmark.record.clocks import Clock, slept_s
from benchmark.record.facts import write_facts
from benchmark.record.folder import END, WORDS, End, Heartbeat, heartbeat, write_end
from benchmark.record.host_times import NAME as HOSTS_NAME
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Plan
from benchmark.record.run import Run
from benchmark.record.sentences import Heard, SentenceLog
from benchmark.record.slowest import slow_hosts
from benchmark.record.stillness import Stretch, still_s, stood_still
from benchmark.record.usage import NAME as USAGE_NAME
from benchmark.record.usage import read_usage
from benchmark.run.company import Company
from benchmark.run.loop import Loop
from benchmark.run.prepare.job import DIVERGED, INTERRUPTED, Job, Say, plan_of
from benchmark.run.prepared import Prepared
from benchmark.run.state.progress import Progress
from benchmark.run.state.resume import open_journal
from benchmark.run.watch.busy import Busy
from benchmark.run.watch.curves import Curves
from benchmark.run.watch.host_watch import HostWatch
from benchmark.run.watch.interrupts import Interrupts
from benchmark.run.watch.monitor import Monitor
from benchmark.run.watch.standing import Standing
from benchmark.run.watch.view import PlainView, view
from features.jobs.files import write_whole
from platforms.machine import logical_cores

IDLE_S = 1.0
LARGE_OTHER_LOAD = 0.10
LARGE_STILL_SHARE = 0.01


def attempt(prepared: Prepared, before: Heartbeat | None, company: Company | None, say: Say) -> int:
    """Train, with signals, sampler, heartbeat and view in place; return the exit status."""
    from benchmark.run.machines.lead import Everywhere
    from benchmark.run.train.trainer import Trainer

    job, task, pool, screen = prepared.job, prepared.task, prepared.pool(), Screen(say)
    prepared.wake(say)
    all_hosts = {"everywhere": lambda own: Everywhere(own, company.chief)} if company else {}
    trainer = Trainer(task, folder=job.folder, pool=pool, listener=screen, **all_hosts)
    plan = plan_of(job.workload, trainer.batches_per_epoch)
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts(stop=trainer.stop))
        journal = open_journal(job.journal, prepared.identity, plan)
        stack.callback(journal.close)
        if company:
            company.chief.signal = partial(_pass_on, interrupts)
        clock, down_s = _clock(journal.earlier.ended_s if len(journal.earlier) else None, before)
        if company:
            company.chief.elapsed = clock.elapsed
            company.chief.tell({"run": job.name})
        _watch(prepared, plan, journal, clock, stack, company)
        if job.tensorboard:
            stack.enter_context(Curves(job.journal, job.tensorboard / job.name))
            say(f"curves: tensorboard --logdir {job.tensorboard}")
        hosts = _host_watch(job, trainer.host, journal.attempt, say, stack) if company else None
        title = f"{job.name}: {job.platform.label}, {prepared.devices.describe()}"
        screen.view = stack.enter_context(
            view(
                title,
                plan,
                clock,
                Standing(job.folder / USAGE_NAME).within,
                hosts.slow if hosts else None,
                busy=Busy(job.folder / USAGE_NAME),
                quiet=job.quiet,
            )
        )
        screen.log = stack.enter_context(SentenceLog(job.folder))
        stack.enter_context(pool)
        stack.enter_context(prepared.data.opened())
        written = {"written": hosts.written} if hosts else {}
        loop = Loop(journal, plan, trainer, clock, screen.view, interrupts=interrupts, down_s=down_s, **written)
        if journal.attempt > 1:
            say(_resumption(job, loop.progress, clock.elapsed(), down_s))
        return _to_the_end(job, loop, say)


def _pass_on(interrupts: Interrupts, number: int) -> None:
    """Take a signal that reached another host as this one's."""
    if interrupts.signal is None:
        os.kill(os.getpid(), number)


def _host_watch(job: Job, everywhere: Any, attempt: int, say: Say, stack: ExitStack) -> HostWatch:
    """Begin to write down how long each host takes by itself; `stack` ends it."""
    watch = HostWatch(
        job.folder / HOSTS_NAME,
        hosts=job.hosts.addresses,
        attempt=attempt,
        taken=everywhere.taken_everywhere,
        warn=lambda sentence: say(f"WARNING: {sentence}"),
    )
    stack.callback(watch.close)
    return watch


def _watch(
    prepared: Prepared, plan: Plan, journal: Journal, clock: Clock, stack: ExitStack, company: Company | None
) -> None:
    """Start the sampler, write down how the run is made, and start the heartbeat; `stack` ends them."""
    from benchmark.run.prepare import provenance

    job = prepared.job
    unavailable: dict[str, str] = {"sampler": "switched off"}
    boards: dict[str, dict] = {}
    if job.monitor_hz:
        sampler = Monitor(job.folder / USAGE_NAME, started_at=clock.origin, hz=job.monitor_hz)
        stack.enter_context(sampler)
        unavailable, boards = sampler.unavailable, sampler.boards
    facts = provenance.collect(
        task=prepared.task,
        plan=plan,
        decoder=prepared.decoder,
        command=job.command,
        unavailable=unavailable,
        boards=boards,
        hosts=job.hosts.addresses if job.hosts else (),
        gathered_s=round(company.gathered_s, 3) if company else None,
    )
    write_facts(job.folder, facts, attempt=journal.attempt)
    if prepared.decoder.words:
        write_whole(job.folder / WORDS, "".join(f"{word}\n" for word in prepared.decoder.words))
    (job.folder / END).unlink(missing_ok=True)
    if boards and journal.attempt == 1 and not prepared.devices.on_cpu:
        time.sleep(IDLE_S)  # what idle GPUs take is told apart; model creation, where the clocks begin, comes later
    stack.enter_context(heartbeat(job.folder, clock.elapsed))


def _to_the_end(job: Job, loop: Loop, say: Say) -> int:
    """Perform all phases and write down how the run ended; return the exit status."""
    from benchmark.run.train.trainer import Diverged

    slept_before_s = slept_s()
    try:
        loop.run_phases()
    except Diverged as error:
        write_end(job.folder, _end(job, "diverged", loop.progress, str(error)))
        say(f"benchmark: {error}; the run ends as diverged")
        return DIVERGED
    except KeyboardInterrupt as error:
        write_end(job.folder, _end(job, "interrupted", loop.progress, str(error)))
        say(
            f"benchmark: interrupted after batch {loop.progress.step}, saved after {loop.progress.saved_step}; "
            f"go on with: {job.command}"
        )
        return getattr(error, "status", INTERRUPTED)
    suspended_s = round(max(0.0, slept_s() - slept_before_s), 3)
    write_end(job.folder, end := replace(_end(job, "finished", loop.progress), suspended_s=suspended_s))
    _warn_of_stillness(end, say)
    for sentence in _slow_hosts(job):
        say(f"WARNING: {sentence}: every step waits for the slowest host")
    if (end.other_load or 0.0) >= LARGE_OTHER_LOAD:
        say(
            f"WARNING: other processes took {end.other_load:.0%} of this machine's CPUs during the run: its times are "
            f"not those of an idle machine"
        )
    return 0


def _warn_of_stillness(end: End, say: Say) -> None:
    stretches = [Stretch(*each) for each in end.still or ()]
    if (seconds := still_s(stretches)) >= LARGE_STILL_SHARE * end.clock_s > 0:
        longest = max(stretches, key=lambda each: each.seconds)
        say(
            f"WARNING: {seconds:.1f} s of {end.clock_s:.0f} stood still (most of it from {longest.started_s:.1f} s on, "
            f"epoch {longest.epoch}): the run used no CPU and did not wait for input; was the machine paused, or a "
            f"disk?"
        )


def _end(job: Job, status: str, progress: Progress, message: str = "") -> End:
    after_a_signal = status == "interrupted"  # somebody waits
    told = {} if after_a_signal else {"other_load": _other_load(job), "still": _still(job), **_gpu_power(job)}
    return End(
        status=status,
        message=message,
        step=progress.step,
        epoch=progress.epoch,
        clock_s=progress.ended_s,
        **told,
    )


def _gpu_power(job: Job) -> dict[str, Any]:
    """Return what end.json says about the power of the run's GPUs; {} if there is no run to read."""
    try:
        power = Run(read(job.journal)).gpu_power()
    except (OSError, ValueError):
        return {}
    return {
        "gpu_power_w": None if power.watts is None else round(power.watts, 2),
        "gpu_power_share": None if power.share is None else round(power.share, 4),
        "gpu_power_note": power.note,
    }


def _slow_hosts(job: Job) -> list[str]:
    """Return a clause for every kind of work in which one host of several was slow; none where that is not known."""
    try:
        times = Run(read(job.journal)).host_times
    except (OSError, ValueError):
        return []
    return [work.said(times.names) for work in slow_hosts(times.rows)] if times else []


def _other_load(job: Job) -> float | None:
    """Return the share of the machine's CPUs that other processes took while the run was sampled, if it was."""
    try:
        load = read_usage(job.folder / USAGE_NAME).other_load(cores=logical_cores())
    except (OSError, ValueError):
        return None
    return None if load is None else round(min(1.0, load), 4)


def _still(job: Job) -> list[tuple[float, float, int]] | None:
    """Return the stretches in which the run stood still while it was sampled, if it was, as end.json has them."""
    try:
        stretches = stood_still(read_usage(job.folder / USAGE_NAME).samples, read(job.journal))
    except (OSError, ValueError):
        return None
    return [(each.started_s, each.seconds, each.epoch) for each in stretches]


def _clock(ended_s: float | None, before: Heartbeat | None) -> tuple[Clock, float | None]:
    """Return the run's clock, which goes on from the last heartbeat, and the seconds since then, which it leaves out.

    `ended_s` is the end of the last row of earlier attempts; None if there are no rows.
    """
    from benchmark.run.prepare import devices

    if ended_s is None:
        return Clock(sync=devices.synchronise), None
    lived_s = before.clock_s if before else 0.0
    down_s = max(0.0, time.time() - before.at_unix_s) if before else None
    return Clock(sync=devices.synchronise, already_s=max(ended_s, lived_s)), down_s


def _resumption(job: Job, progress: Progress, clock_s: float, down_s: float | None) -> str:
    down = "" if down_s is None else f", down for {down_s / 60:.1f} minutes, which do not count"
    return (
        f"{job.name} goes on: attempt {progress.attempt}, {clock_s / 60:.1f} minutes on its clock, {progress.step} "
        f"batches and {progress.evaluated_epoch} evaluated epochs in its journal{down}. --fresh begins another run."
    )


class Screen:
    """A trainer's listener that passes everything on to the view, the sentence log and the user."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.view: PlainView | None = None
        self.log: SentenceLog | None = None

    def heard(self, heard: Heard) -> None:
        if self.view and heard.phase == "generate":
            self.view.sentences(heard.phase, heard.examples)
        if self.log:
            self.log.write(heard)

    def decoded(self, done: int, total: int) -> None:
        if self.view:
            self.view.decoded(done, total)

    def warn(self, sentence: str) -> None:
        self.say(f"WARNING: {sentence}")
