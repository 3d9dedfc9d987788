"""A run from its preparation to its end: what `python -m benchmark` does, without the command line.

    finished = run(Job(platform=..., workload=..., name="r1", ...), say=print)
    finished.status, finished.journal

On several machines each gives the same job. The chief's does all this, and `benchmark.run.machines.follow` what is left
to the others.

A run that was killed or interrupted goes on when the same job is given again: its journal says where it stood, its last
good checkpoint is loaded, and a new attempt begins. The run's folder then has a run-attempt-2.json too.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.record.clocks import Clock
from benchmark.record.columns import Identity
from benchmark.record.facts import write_facts
from benchmark.record.folder import END, End, Heartbeat, heartbeat, locked, write_end
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Plan
from benchmark.record.run import Run
from benchmark.record.sentences import Heard, SentenceLog
from benchmark.record.usage import NAME as USAGE_NAME
from benchmark.record.usage import read_usage, usage_name
from benchmark.run.decoding import DecodingPool, check_quietly
from benchmark.run.interrupts import Interrupts
from benchmark.run.job import Job, plan_of
from benchmark.run.loop import Loop
from benchmark.run.machines.channel import Caller, Chief, check_port
from benchmark.run.machines.guard import guarded
from benchmark.run.machines.hosts import Hosts, described
from benchmark.run.monitor import Monitor
from benchmark.run.neighbours import Neighbours
from benchmark.run.progress import Progress
from benchmark.run.resume import interrupted, open_journal, refuse_what_is_over
from benchmark.run.trouble import explained
from benchmark.run.view import PlainView, view
from features import account
from features.corpus import one_line
from features.files import check_name
from models.decoders import Decoder
from models.learner import Learner, learner_of
from platforms import Platform

if TYPE_CHECKING:
    from benchmark.run.data import Data
    from benchmark.run.devices import Devices
    from benchmark.run.task import Task

Say = Callable[[str], None]

DIVERGED, INTERRUPTED = 3, 130
NICENESS_BESIDE_GPUS = 10
LARGE_OTHER_LOAD = 0.10
SHARED_LIMIT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The result of a job: its exit status (0 done, 3 diverged, 130 or 143 interrupted) and where the run is.

    `follower` says that another host was the chief, which has the run.
    """

    status: int
    journal: Path
    folder: Path
    follower: bool = False


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a job needs before it trains."""

    data: Data
    decoder: Decoder
    devices: Devices


def run(job: Job, *, say: Say) -> Finished:
    """Prepare and train; `say` is called with each sentence for the user.

    Raises:
        ValueError, OSError: the job cannot be done or finished; the message says why.
        KeyboardInterrupt: a signal arrived before training began.
    """
    for folder in (job.data, job.results):
        check_name(folder)
    if job.hosts is None:
        return _run(job, None, say)
    check_port(job.hosts)
    if not job.hosts.is_chief:
        return _follow(job, job.hosts, say)
    began = time.monotonic()
    with Chief(job.hosts, limit_s=job.wait_for_hosts_s, waiting=say) as chief:
        gathered_s = time.monotonic() - began
        say(f"{job.hosts.count} hosts are here after {gathered_s:.1f} s: {described(job.hosts.addresses)}")
        try:
            finished = _run(job, Company(chief=chief, gathered_s=gathered_s), say)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            chief.end(INTERRUPTED if stopped else 2, "interrupted" if stopped else str(error))
            raise
        chief.end(finished.status)
        return finished


def _run(job: Job, company: Company | None, say: Say) -> Finished:
    refuse_what_is_over(job.folder, fresh=job.fresh)
    neighbours = Neighbours()
    say(f"platform {job.platform.name}, workload {job.workload.label}, seed {job.seed}")
    prepared = _prepare(job, company.chief if company else None, say)
    if company:
        prepared = _agreed(job, prepared, company, say)
    if prepared.devices.emulated:
        say(_emulation_warning(job.platform, prepared.devices.describe()))
    identity = _identity(job, prepared)
    if warning := neighbours.warning():
        say(f"WARNING: {one_line(warning)}")
    if job.resume and (name := interrupted(job.results, identity)):
        job = job.renamed(name)
        identity = _identity(job, prepared)
    job.folder.mkdir(parents=True, exist_ok=True)
    with locked(job.folder) as before, explained(job, prepared.data):
        refuse_what_is_over(job.folder)
        status = _train(job, prepared, identity, before, company, say)
    return Finished(status=status, journal=job.journal, folder=job.folder)


def _prepare(job: Job, others: Chief | Caller | None, say: Say) -> Prepared:
    """Make data, decoder and devices ready, on every host alike."""
    from benchmark.run import data

    found = data.prepare(
        job.workload,
        folder=job.data,
        corpus=job.corpus,
        skip_bad=job.skip_bad,
        streaming=job.platform.input.readers if job.platform.input.stream else 0,
        say=say,
    )
    importlib.import_module("benchmark.run.devices")  # loads TensorFlow, without its chatter
    learner = learner_of(job.workload.model, job.workload.to_dict())
    decoder = _decoder(job, found, learner, say)
    machine = _devices(job, others, say)
    found = found.part(job.workload, learner.encode)  # after devices are set up: it reads ids with TensorFlow
    if sentence := account.longer_than(found.manifest, job.workload.segment_s):
        say(sentence)
    return Prepared(data=found, decoder=decoder, devices=machine)


# --- several machines ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Company:
    """The other hosts of a run, as the chief sees them, and how long it waited until they were there."""

    chief: Chief
    gathered_s: float


def _agreed(job: Job, prepared: Prepared, company: Company, say: Say) -> Prepared:
    """Compare hosts. Raises ValueError if one differs from this one."""
    from benchmark.run.machines.agreement import differences, facts_of, share_a_machine

    facts = {0: facts_of(job, prepared.data, prepared.devices), **company.chief.answers()}
    if found := differences(facts, job.hosts):
        raise ValueError(found[0] + (f" (and {len(found) - 1} more differences)" if len(found) > 1 else ""))
    if share_a_machine(facts):
        say("WARNING: hosts of this run are processes of one machine: its times say nothing about several machines")
        return replace(prepared, devices=replace(prepared.devices, emulated=True))
    return prepared


def _follow(job: Job, hosts: Hosts, say: Say) -> Finished:
    """Take part in a run that another host leads."""

    def warn(sentence: str) -> None:
        if sentence.startswith("WARNING"):
            say(f"{hosts.name(hosts.rank)}: {sentence}")

    with Caller(hosts, limit_s=job.wait_for_hosts_s, waiting=say) as caller:
        try:
            from benchmark.run.machines.agreement import facts_of

            prepared = _prepare(job, caller, warn)
            caller.answer(facts_of(job, prepared.data, prepared.devices))
            if (order := caller.hear()) is not None:
                job = job.renamed(order["run"])
                with explained(job, prepared.data):
                    _take_part(job, prepared, caller)
        except BaseException as error:  # whatever it is, the chief would wait for this host
            stopped = isinstance(error, KeyboardInterrupt)
            caller.fail(INTERRUPTED if stopped else 2, "interrupted" if stopped else str(error) or type(error).__name__)
            raise
        if caller.status:
            say(f"{hosts.name(hosts.rank)}: the run ended: {caller.sentence or f'status {caller.status}'}")
    return Finished(status=caller.status, journal=job.journal, folder=job.folder, follower=True)


def _take_part(job: Job, prepared: Prepared, caller: Caller) -> None:
    from benchmark.run.checkpoints import Checkpoints
    from benchmark.run.host import Host
    from benchmark.run.machines.follow import PATIENCE_S, follow

    if not _within(SHARED_LIMIT_S, (job.folder / "pid").is_file):
        raise ValueError(
            f"{job.folder}: not there; expected the folder of the run that the chief has made: give --results a folder "
            f"that all hosts share"
        )
    task = _task(job, prepared)
    _wake(task, lambda sentence: None)
    pool = _pool(job, prepared)
    host = Host(task, Checkpoints(job.folder / "checkpoints"), pool)
    clock_s, _ = caller.clock()
    with ExitStack() as stack:
        interrupts = Interrupts(stop=lambda: None, patience_s=PATIENCE_S, raising=False)
        interrupts.stop = lambda: caller.answer({"signal": interrupts.signal})
        stack.enter_context(interrupts)
        if job.monitor_hz:
            output = job.folder / usage_name(job.hosts.rank)
            stack.enter_context(Monitor(output, started_at=time.monotonic() - clock_s, hz=job.monitor_hz))
        stack.enter_context(pool)
        stack.enter_context(prepared.data.opened())
        follow(host, caller)


def _within(limit_s: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds, as a shared folder may show a file late."""
    until = time.monotonic() + limit_s
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


# --- before training -------------------------------------------------------------------------------------------------


def _decoder(job: Job, data: Data, learner: Learner, say: Say) -> Decoder:
    decoder = Decoder(
        name=job.workload.decoder,
        words=data.manifest.words,
        beam_width=job.workload.beam_width,
        language_model=job.language_model,
        **learner.decoding,
    )
    if warning := check_quietly(decoder):  # now, and not in a worker; and code is compiled before the clock starts
        say(f"WARNING: {warning}")
    if decoder.name == "dictionary" and (
        sentence := account.unknown_words(data.manifest, data.validation(job.workload))
    ):
        say(sentence)
    return decoder


def _devices(job: Job, others: Chief | Caller | None, say: Say) -> Devices:
    from benchmark.run import devices

    with guarded(others.connections) if others else nullcontext():
        machine = devices.prepare(job.platform, job.hosts)
    if job.deterministic:
        devices.be_deterministic()
        say("deterministic: results are bit-identical; compare utterances/s with a run without it to see the cost")
    if other := devices.other_gpu(job.platform, machine):
        say(
            f"WARNING: {job.platform.name} has {job.platform.hardware.gpu}, found {other}: the times are not "
            f"{job.platform.name}'s, and its price does not apply. Describe this machine in a platform file of its own."
        )
    return machine


def _identity(job: Job, prepared: Prepared) -> Identity:
    from benchmark.run import provenance

    machine = prepared.devices
    return Identity(
        run=job.name,
        platform=job.platform.name,
        workload=job.workload.name,
        variant=job.workload.variant,
        recipe=job.workload.recipe,
        seed=job.seed,
        machines=machine.machines,
        replicas=machine.replicas,
        devices=machine.describe(),
        emulated=machine.emulated,
        batch=job.platform.input.batch,
        precision=job.platform.training.precision,
        features=prepared.data.manifest.digest[:12],
        decoder=prepared.decoder.label,
        evaluation=job.workload.evaluation_label,
        code=provenance.short_code(),
    )


def _emulation_warning(platform: Platform, devices: str) -> str:
    machines, gpus = platform.hardware.machines, platform.hardware.gpus
    there = " of ".join([f"{machines} machines"] * (machines > 1) + [f"{gpus} x {platform.hardware.gpu}"] * (gpus > 0))
    return (
        f"EMULATED: {platform.name} has {there}, which are not here. "
        f"Its replicas run on {devices}, with its batch of {platform.input.batch}. "
        f"The times say nothing about {platform.name} and are never ranked with real ones."
    )


# --- training --------------------------------------------------------------------------------------------------------


def _train(
    job: Job, prepared: Prepared, identity: Identity, before: Heartbeat | None, company: Company | None, say: Say
) -> int:
    """Train, with signals, sampler, heartbeat and view in place; return the exit status."""
    from benchmark.run.machines.lead import Everywhere
    from benchmark.run.trainer import Trainer

    data, machine, decoder = prepared.data, prepared.devices, prepared.decoder
    task, pool, screen = _task(job, prepared), _pool(job, prepared), Screen(say)
    _wake(task, say)
    all_hosts = {"everywhere": lambda own: Everywhere(own, company.chief)} if company else {}
    trainer = Trainer(task, folder=job.folder, pool=pool, listener=screen, **all_hosts)
    plan = plan_of(job.workload, trainer.batches_per_epoch)
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts(stop=trainer.stop))
        journal = open_journal(job.journal, identity, plan)
        stack.callback(journal.close)
        if company:
            company.chief.signal = partial(_pass_on, interrupts)
        clock, down_s = _clock(journal.earlier.ended_s if len(journal.earlier) else None, before)
        if company:
            company.chief.elapsed = clock.elapsed
            company.chief.tell({"run": job.name})
        _watch(job, task, plan, decoder, journal, clock, stack, company)
        screen.view = stack.enter_context(view(f"{job.name}: {job.platform.label}, {machine.describe()}", plan, clock))
        screen.log = stack.enter_context(SentenceLog(job.folder))
        stack.enter_context(pool)
        stack.enter_context(data.opened())
        loop = Loop(journal, plan, trainer, clock, screen.view, interrupts=interrupts, down_s=down_s)
        if journal.attempt > 1:
            say(_resumption(job, loop.progress, clock.elapsed(), down_s))
        return _to_the_end(job, loop, say)


def _pass_on(interrupts: Interrupts, number: int) -> None:
    """Take a signal that reached another host as this one's."""
    if interrupts.signal is None:
        os.kill(os.getpid(), number)


def _task(job: Job, prepared: Prepared) -> Task:
    from benchmark.run.task import Task

    return Task(
        workload=job.workload,
        platform=job.platform,
        data=prepared.data,
        devices=prepared.devices,
        seed=job.seed,
        synthetic=job.synthetic,
        start=(job.start.checkpoints, job.start.step) if job.start else None,
    )


def _wake(task: Task, say: Say) -> None:
    """Start the GPUs and choose the kernels, before a clock starts: loading libraries takes them seconds, once.

    What is compiled for the shapes of this model comes later, within CREATE and the first batches, and counts.
    """
    from benchmark.run import devices

    devices.wake(task.devices)
    for part, choice in task.kernels.items():
        if choice.fallen_back:
            say(f"WARNING: the {part} is computed by the slower kernel {choice.kernel}: {one_line(choice.why)}")
        elif not task.devices.on_cpu:
            say(f"{part}: kernel {choice.kernel}; {choice.why}")


def _pool(job: Job, prepared: Prepared) -> DecodingPool:
    niceness = 0 if prepared.devices.on_cpu else NICENESS_BESIDE_GPUS
    return DecodingPool(prepared.decoder, jobs=job.decode_jobs, niceness=niceness)


def _watch(
    job: Job,
    task: Task,
    plan: Plan,
    decoder: Decoder,
    journal: Journal,
    clock: Clock,
    stack: ExitStack,
    company: Company | None,
) -> None:
    """Start the sampler, write down how the run is made, and start the heartbeat; `stack` ends them."""
    from benchmark.run import provenance

    unavailable: dict[str, str] = {"sampler": "switched off"}
    boards: dict[str, dict] = {}
    if job.monitor_hz:
        sampler = Monitor(job.folder / USAGE_NAME, started_at=clock.origin, hz=job.monitor_hz)
        stack.enter_context(sampler)
        unavailable, boards = sampler.unavailable, sampler.boards
    facts = provenance.collect(
        task=task,
        plan=plan,
        decoder=decoder,
        command=job.command,
        unavailable=unavailable,
        boards=boards,
        hosts=job.hosts.addresses if job.hosts else (),
        gathered_s=round(company.gathered_s, 3) if company else None,
    )
    write_facts(job.folder, facts, attempt=journal.attempt)
    (job.folder / END).unlink(missing_ok=True)
    stack.enter_context(heartbeat(job.folder, clock.elapsed))


def _to_the_end(job: Job, loop: Loop, say: Say) -> int:
    """Perform all phases and write down how the run ended; return the exit status."""
    from benchmark.run.trainer import Diverged

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
    write_end(job.folder, end := _end(job, "finished", loop.progress))
    if (end.other_load or 0.0) >= LARGE_OTHER_LOAD:
        say(
            f"WARNING: other processes took {end.other_load:.0%} of this machine's CPUs during the run: its times are "
            f"not those of an idle machine"
        )
    return 0


def _end(job: Job, status: str, progress: Progress, message: str = "") -> End:
    after_a_signal = status == "interrupted"  # somebody waits
    told = {} if after_a_signal else {"other_load": _other_load(job), **_gpu_power(job)}
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


def _other_load(job: Job) -> float | None:
    """Return the share of the machine's CPUs that other processes took while the run was sampled, if it was."""
    try:
        load = read_usage(job.folder / USAGE_NAME).other_load(cores=os.cpu_count() or 1)
    except (OSError, ValueError):
        return None
    return None if load is None else round(min(1.0, load), 4)


def _clock(ended_s: float | None, before: Heartbeat | None) -> tuple[Clock, float | None]:
    """Return the run's clock, which goes on from the last heartbeat, and the seconds since then, which it leaves out.

    `ended_s` is the end of the last row of earlier attempts; None if there are no rows.
    """
    from benchmark.run import devices

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
