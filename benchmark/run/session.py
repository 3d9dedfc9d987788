"""One run from preparation to its table: python -m benchmark is this module's command line.

    status = run(Job(platform=..., workload=..., ...))

A run that was killed or interrupted goes on when the same command is given again: its journal says where it stood,
its last good checkpoint is loaded, and a new attempt begins. A run's folder holds, beside what the command line names,
end.json (benchmark/run/resume.py), lock and alive (benchmark/record/folder.py), and a run-attempt-2.json for an attempt
that resumed.

The loop asks `next_phase` what comes next, has the trainer do it, and writes it down. An overlapping evaluation is
begun like any phase, but its row is written when its figures are known: at the earliest after the phase then under
way, and with the moment at which they were known as its end.
"""

from __future__ import annotations

import contextlib
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from benchmark import tta
from benchmark.judge.groups import Question
from benchmark.record.clocks import Clock, Span
from benchmark.record.folder import Life, claimed, signs_of_life
from benchmark.record.journal import Identity, Journal, Outcome, RunRecord, read
from benchmark.record.phases import Phase, Plan, next_phase
from benchmark.run.decoding import DecodingPool, load_quietly
from benchmark.run.interrupts import Interrupted, Interrupts
from benchmark.run.monitor import Monitor, summarise
from benchmark.run.resume import END, interrupted, open_journal, refuse_what_has_ended, write_end
from benchmark.run.view import PlainView, view
from benchmark.tables import show
from benchmark.workloads import Workload
from features import manifest
from models.decoders import Decoder
from platforms import Platform

if TYPE_CHECKING:
    from benchmark.run.data import Data
    from benchmark.run.devices import Devices, tf
    from benchmark.run.evaluation import Evaluated
    from benchmark.run.trainer import Trainer

DIVERGED, INTERRUPTED = 3, 130
GENTLY = frozenset({Phase.TRAIN, Phase.CHECKPOINT, Phase.SWAP})  # phases that a signal does not cut short
NICENESS_BESIDE_GPUS = 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the command line asks for.

    With `resume`, an interrupted run of the same command goes on in place of `name`, which is none of the user's.
    `command` is how to give it again.
    """

    platform: Platform
    workload: Workload
    corpus: Path | None
    data: Path
    results: Path
    name: str
    seed: int
    monitor_hz: float
    language_model: Path | None
    decode_jobs: int
    skip_bad: bool
    synthetic: bool = False
    deterministic: bool = False
    resume: bool = False
    command: str = "the same command"


def run(job: Job) -> int:
    """Prepare, train, judge."""
    from benchmark.run import data

    refuse_what_has_ended(job.results / job.name)
    _say(f"platform {job.platform.name}, workload {job.workload.name}, seed {job.seed}")
    prepared = data.prepare(job.workload, folder=job.data, corpus=job.corpus, skip_bad=job.skip_bad, say=_say)

    from benchmark.run import devices, provenance

    decoder = Decoder(
        name=job.workload.decoder,
        words=prepared.manifest.words,
        beam_width=job.workload.beam_width,
        language_model=job.language_model,
    )
    if decoder.name == "language-model":
        load_quietly(decoder)  # a file that is none is found now, not by the workers
    machine = devices.prepare(job.platform)
    if job.deterministic:
        devices.be_deterministic()
        _say("deterministic: the same digits every time; compare its utterances/s with a run without, the cost is that")
    if other := devices.other_gpu(job.platform, machine):
        _say(
            f"WARNING: {job.platform.name} has {job.platform.hardware.gpu}, found {other}: the times are not "
            f"{job.platform.name}'s, and its price does not apply. Describe this machine in a platform file of its own."
        )
    if machine.emulated:
        _say(_emulation_warning(job.platform, machine.describe()))
    identity = _identity(job, prepared, machine, decoder.label, provenance.short_code())
    if job.resume and (name := interrupted(job.results, identity)):
        job, identity = replace(job, name=name), replace(identity, run=name)
    folder = job.results / job.name
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder) as before:
        refuse_what_has_ended(folder)
        try:
            status = _train(job, prepared, machine, decoder, identity, before)
        except devices.tf.errors.ResourceExhaustedError as error:
            raise ValueError(_out_of_memory(job.platform, _reason(error))) from error
        except (devices.tf.errors.OpError, UnicodeDecodeError) as error:  # that, where a message quotes raw bytes
            raise ValueError(_trouble(prepared, error)) from error
    if status > 128:  # a signal: somebody waits
        return status
    record = read(job.results / f"{job.name}.csv")
    if any(row.phase is Phase.EVALUATE for row in record.rows):
        show(tta.report_parts([record], Question(), brief=True))
        _say(_report(job.results, Path(record.source)))
    _say(_utilisation(folder / "utilisation.csv"))
    _say(f"the run is in {record.source} and {folder}; compare runs with: python -m benchmark.tta {job.results}/*.csv")
    return status


def _train(job: Job, data: Data, machine: Devices, decoder: Decoder, identity: Identity, before: Life | None) -> int:
    """The run itself, with all that watches it."""
    from benchmark.run import provenance
    from benchmark.run.trainer import Diverged, Trainer

    folder = job.results / job.name
    niceness = 0 if machine.on_cpu else NICENESS_BESIDE_GPUS
    pool = DecodingPool(decoder, jobs=job.decode_jobs, niceness=niceness)
    trainer = Trainer(
        workload=job.workload,
        platform=job.platform,
        data=data,
        devices=machine,
        seed=job.seed,
        folder=folder,
        pool=pool,
        warn=lambda sentence: _say(f"WARNING: {sentence}"),
        synthetic=job.synthetic,
    )
    plan = _plan(job.workload, trainer.batches_per_epoch)
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts(stop=trainer.stop))
        journal = open_journal(job.results / f"{job.name}.csv", identity, folder, plan)
        stack.callback(journal.close)
        clock, down_s = _clock(journal.record, before)
        if journal.attempt > 1:
            _say(_resumption(job, journal.record, clock.elapsed(), down_s))
        unavailable = {"sampler": "switched off"}
        if job.monitor_hz:
            sampler = Monitor(folder / "utilisation.csv", started_at=clock.origin, hz=job.monitor_hz)
            unavailable = stack.enter_context(sampler).unavailable
        facts = provenance.collect(
            platform=job.platform,
            workload=job.workload,
            plan=plan,
            data=data,
            devices=machine,
            decoder=decoder,
            seed=job.seed,
            unavailable=unavailable,
        )
        provenance.write(folder, facts, attempt=journal.attempt)
        (folder / END).unlink(missing_ok=True)
        stack.enter_context(signs_of_life(folder, clock.elapsed))
        shown = stack.enter_context(view(f"{job.name}: {job.platform.label}, {machine.describe()}", plan, clock))
        log = stack.enter_context((folder / "sentences.txt").open("a", encoding="utf-8"))
        trainer.show = partial(_show, log, shown)
        trainer.progress = shown.decoded
        stack.enter_context(pool)
        try:
            play(journal, plan, trainer, clock, shown, interrupts=interrupts, down_s=down_s)
        except Diverged as error:
            write_end(folder, "diverged", journal.record, str(error))
            _say(f"benchmark: {error}; the run ends as diverged")
            return DIVERGED
        except KeyboardInterrupt as error:
            write_end(folder, "interrupted", journal.record, str(error))
            _say(
                f"benchmark: interrupted after batch {journal.record.step}, saved after {journal.record.saved_step}; "
                f"go on with: {job.command}"
            )
            return getattr(error, "status", INTERRUPTED)
        write_end(folder, "finished", journal.record, "")
    return 0


def _clock(record: RunRecord, before: Life | None) -> tuple[Clock, float | None]:
    """The run's clock, going on from the last sign of life, and the seconds since then, which are no part of it."""
    from benchmark.run import devices

    if not record.rows:
        return Clock(sync=devices.synchronise), None
    lived_s = before.clock_s if before else 0.0
    down_s = max(0.0, time.time() - before.at_unix_s) if before else None
    return Clock(sync=devices.synchronise, already_s=max(record.ended_s, lived_s)), down_s


def _resumption(job: Job, record: RunRecord, clock_s: float, down_s: float | None) -> str:
    down = "" if down_s is None else f", down for {down_s / 60:.1f} minutes, which do not count"
    return (
        f"{job.name} goes on: attempt {record.attempt}, {clock_s / 60:.1f} minutes on its clock, {record.step} batches "
        f"and {record.evaluated_epoch} evaluated epochs in its journal{down}. --fresh begins another run."
    )


@dataclass(frozen=True)
class UnderWay:
    """An evaluation whose figures are not known yet."""

    epoch: int
    started_s: float
    known: Future[tuple[Outcome, float]]


def play(
    journal: Journal,
    plan: Plan,
    trainer: Trainer,
    clock: Clock,
    shown: PlainView,
    *,
    interrupts: Interrupts | None = None,
    down_s: float | None = None,
) -> None:
    """Perform phases until the plan is fulfilled, with a row in the journal for each.

    Raises:
        Interrupted: by a signal, after what was trained has been saved. What else was under way is lost.
    """
    background = ThreadPoolExecutor(1)
    evaluating: UnderWay | None = None

    def land() -> None:
        nonlocal evaluating
        outcome, ended_s = evaluating.known.result()
        span = Span(evaluating.started_s, ended_s - evaluating.started_s)
        evaluating = None
        shown.row(journal.append(Phase.EVALUATE, span, outcome), journal.record)

    try:
        while True:
            if evaluating and evaluating.known.done():
                land()
            phase = next_phase(journal.record, plan, evaluating=evaluating.epoch if evaluating else 0)
            if interrupts and interrupts.signal:
                if journal.record.saved_step >= journal.record.step or journal.record.swapped:
                    raise Interrupted(interrupts.signal)
                phase = Phase.CHECKPOINT
            if phase is Phase.DONE:
                return
            shown.phase(phase, journal.record)
            if phase is Phase.EVALUATE and evaluating:
                land()
            elif phase is Phase.EVALUATE and plan.evaluation == "overlap":
                with clock.span() as span:
                    known = trainer.begin_evaluation(journal.record)
                future = background.submit(lambda known=known: (known(), clock.elapsed()))
                evaluating = UnderWay(journal.record.epoch, span.started_s, future)
            else:
                with interrupts.held() if interrupts and phase in GENTLY else contextlib.nullcontext():
                    with clock.span() as span:
                        outcome = trainer.perform(phase, journal.record, plan)
                    if phase is Phase.CREATE:
                        outcome = replace(outcome, down_s=None if down_s is None else round(down_s, 3))
                    shown.row(journal.append(phase, span, outcome), journal.record)
    except ArithmeticError:  # diverged; what was evaluated before it still counts
        if evaluating:
            land()
        raise
    finally:
        background.shutdown(wait=False, cancel_futures=True)


def _trouble(data: Data, error: Exception) -> str:
    """TensorFlow names no shard that it cannot read."""
    if bad := manifest.damaged(data.folder, data.manifest):
        return bad[0] + (f" (and {len(bad) - 1} more like it)" if len(bad) > 1 else "")
    return f"TensorFlow gave up: {error if isinstance(error, UnicodeDecodeError) else _reason(error)}"


def _reason(error: tf.errors.OpError) -> str:
    """What an error in a graph says, below the lines that say where."""
    lines = [line.strip() for line in error.message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("File ", "[[", "Detected at", "Original stack"))]
    return lines[-1][:300] if lines else type(error).__name__


def _out_of_memory(platform: Platform, reason: str) -> str:
    half = platform.replicas * max(1, platform.batch_per_replica // 2)
    return (
        f"out of memory with a batch of {platform.batch_per_replica} utterances a replica "
        f"({reason[:100]}); give a smaller batch: make bench BATCH={half}"
    )


def _report(results: Path, journal_path: Path) -> str:
    """A page of all the runs there are; of this one alone where another cannot be read or judged. Where it is."""
    from benchmark.report.__main__ import write
    from benchmark.report.document import report

    for paths in (sorted(results.glob("*.csv")), [journal_path]):
        try:
            write(results / "report.html", report([read(path) for path in paths]))
            runs = f"{len(paths)} runs" if len(paths) > 1 else "the run"
            return f"report of {runs}, to look at in a browser: {results / 'report.html'}"
        except (ValueError, OSError) as error:
            problem = error
    return f"no report: {problem}"


def _utilisation(path: Path) -> str:
    """One line on how busy the machine was."""
    if not path.is_file():
        return "utilisation: not sampled"
    try:
        summary = summarise(path)
    except (ValueError, OSError) as error:
        return f"utilisation: {error}"
    if not summary.samples or summary.process_cpu_percent_mean is None:
        return "utilisation: no samples"
    gpus = ", ".join(
        f"GPU {n} {gpu.util_percent_mean:.0f}%"
        for n, gpu in enumerate(summary.gpus)
        if gpu.util_percent_mean is not None
    )
    return (
        f"utilisation: {summary.process_cpu_percent_mean / 100:.1f} cores, "
        f"{summary.process_memory_mib_max / 1024:.1f} GiB of memory at most" + (f", {gpus}" if gpus else "")
    )


def _show(log: TextIO, shown: PlainView, phase: str, epoch: int, step: int, evaluated: Evaluated) -> None:
    """Generated sentences to the screen; they and an evaluation's examples to sentences.txt."""
    heading = f"{phase} epoch {epoch} batch {step}"
    if phase == "generate":
        shown.sentences(phase, evaluated.sentences)
        lines = (f"  {s.id}\n    target  {s.target}\n    output  {s.output}\n" for s in evaluated.sentences)
        log.write(f"{heading}\n{''.join(lines)}")
    else:
        rates = evaluated.rates
        log.write(f"{heading} WER {rates.wer:.2f}% CER {rates.cer:.2f}%\n{evaluated.describe_examples()}")
    log.flush()


def _plan(workload: Workload, batches_per_epoch: int) -> Plan:
    return Plan(
        batches_per_epoch=batches_per_epoch,
        max_epochs=workload.max_epochs,
        targets=workload.targets,
        max_seconds=60 * workload.max_minutes,
        window=workload.window,
        evaluation=workload.evaluation,
    )


def _identity(job: Job, data: Data, machine: Devices, decoder: str, code: str) -> Identity:
    return Identity(
        run=job.name,
        platform=job.platform.name,
        workload=job.workload.name,
        recipe=job.workload.recipe,
        seed=job.seed,
        replicas=machine.replicas,
        devices=machine.describe(),
        emulated=machine.emulated,
        batch=job.platform.input.batch,
        precision=job.platform.training.precision,
        features=data.manifest.digest[:12],
        decoder=decoder,
        evaluation=job.workload.evaluation,
        code=code,
    )


def _emulation_warning(platform: Platform, devices: str) -> str:
    return (
        f"EMULATED: {platform.name} has {platform.hardware.gpus} x {platform.hardware.gpu}, which are not here. "
        f"Its replicas run on {devices}, with its batch of {platform.input.batch}. "
        f"The times say nothing about {platform.name} and are never ranked with real ones."
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
