"""One run from preparation to its table: python -m benchmark is this module's command line.

    status = run(Job(platform=..., workload=..., ...))

The loop asks `next_phase` what comes next, has the trainer do it, and writes it down. An overlapping evaluation is
begun like any phase, but its row is written when its figures are known: at the earliest after the phase then under
way, and with the moment at which they were known as its end.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from benchmark import tta
from benchmark.clock import Clock, Span
from benchmark.decoding import DecodingPool, load_quietly
from benchmark.journal import Identity, Journal, JournalError, Outcome, read
from benchmark.judge import Question
from benchmark.monitor import Monitor, summarise
from benchmark.phases import Phase, Plan, next_phase
from benchmark.tables import show
from benchmark.view import PlainView, view
from benchmark.workloads import Workload
from models.decoders import Decoder
from platforms import Platform

if TYPE_CHECKING:
    from benchmark.data import Data
    from benchmark.devices import Devices
    from benchmark.evaluation import Evaluated
    from benchmark.trainer import Trainer

DIVERGED, INTERRUPTED = 3, 130
NICENESS_BESIDE_GPUS = 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the command line asks for."""

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


def run(job: Job) -> int:
    """Prepare, train, judge."""
    from benchmark import data

    journal_path = job.results / f"{job.name}.csv"
    if journal_path.exists() or (job.results / job.name).exists():
        raise JournalError(f"{journal_path}: a run of this name is there already; choose another --name")
    _say(f"platform {job.platform.name}, workload {job.workload.name}, seed {job.seed}")
    prepared = data.prepare(job.workload, folder=job.data, corpus=job.corpus, skip_bad=job.skip_bad, say=_say)

    from benchmark import devices

    decoder = Decoder(
        name=job.workload.decoder,
        words=prepared.manifest.words,
        beam_width=job.workload.beam_width,
        language_model=job.language_model,
    )
    if decoder.name == "language-model":
        load_quietly(decoder)  # a file that is none is found now, not by the workers
    machine = devices.prepare(job.platform)
    if other := devices.other_gpu(job.platform, machine):
        _say(
            f"WARNING: {job.platform.name} has {job.platform.hardware.gpu}, found {other}: the times are not "
            f"{job.platform.name}'s, and its price does not apply. Describe this machine in a platform file of its own."
        )
    if machine.emulated:
        _say(_emulation_warning(job.platform, machine.describe()))
    (job.results / job.name).mkdir(parents=True)
    try:
        status = _train(job, prepared, machine, decoder, journal_path)
    except devices.tf.errors.ResourceExhaustedError as error:
        raise ValueError(_out_of_memory(job.platform, error.message)) from error
    except devices.tf.errors.OpError as error:
        raise ValueError(f"TensorFlow gave up: {error.message.splitlines()[0]}") from error
    record = read(journal_path)
    if any(row.phase is Phase.EVALUATE for row in record.rows):
        show(tta.report_parts([record], Question(), brief=True))
        _say(_report(job.results, journal_path))
    _say(_utilisation(job.results / job.name / "utilisation.csv"))
    _say(
        f"the run is in {journal_path} and {job.results / job.name}; compare runs with: "
        f"python -m benchmark.tta {job.results}/*.csv"
    )
    return status


def _train(job: Job, data: Data, machine: Devices, decoder: Decoder, journal_path: Path) -> int:
    """The run itself, with all that watches it."""
    from benchmark import devices, provenance
    from benchmark.trainer import Diverged, Trainer

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
        synthetic=job.synthetic,
    )
    plan = _plan(job.workload, trainer.batches_per_epoch)
    journal = Journal.create(journal_path, _identity(job, data, machine, decoder.label, provenance.short_code()))
    with ExitStack() as stack:
        stack.callback(journal.close)
        clock = Clock(sync=devices.synchronise)
        unavailable = {"sampler": "switched off"}
        if job.monitor_hz:
            sampler = Monitor(folder / "utilisation.csv", started_at=clock.origin, hz=job.monitor_hz)
            unavailable = stack.enter_context(sampler).unavailable
        provenance.write(
            folder,
            provenance.collect(
                platform=job.platform,
                workload=job.workload,
                plan=plan,
                data=data,
                devices=machine,
                decoder=decoder,
                seed=job.seed,
                unavailable=unavailable,
            ),
        )
        shown = stack.enter_context(view(f"{job.name}: {job.platform.label}, {machine.describe()}", plan, clock))
        log = stack.enter_context((folder / "sentences.txt").open("a", encoding="utf-8"))
        trainer.show = partial(_show, log, shown)
        trainer.progress = shown.decoded
        stack.enter_context(pool)
        try:
            play(journal, plan, trainer, clock, shown)
        except Diverged as error:
            _say(f"benchmark: {error}; the run ends as diverged")
            return DIVERGED
        except KeyboardInterrupt:
            _say("benchmark: interrupted")
            return INTERRUPTED
    return 0


@dataclass(frozen=True)
class UnderWay:
    """An evaluation whose figures are not known yet."""

    epoch: int
    started_s: float
    known: Future[tuple[Outcome, float]]


def play(journal: Journal, plan: Plan, trainer: Trainer, clock: Clock, shown: PlainView) -> None:
    """Perform phases until the plan is fulfilled, with a row in the journal for each."""
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
                with clock.span() as span:
                    outcome = trainer.perform(phase, journal.record, plan)
                shown.row(journal.append(phase, span, outcome), journal.record)
    except ArithmeticError:  # diverged; what was evaluated before it still counts
        if evaluating:
            land()
        raise
    finally:
        background.shutdown(wait=False, cancel_futures=True)


def _out_of_memory(platform: Platform, message: str) -> str:
    half = platform.replicas * max(1, platform.batch_per_replica // 2)
    return (
        f"out of memory with a batch of {platform.batch_per_replica} utterances a replica "
        f"({message.splitlines()[0][:100]}); give a smaller batch: make bench BATCH={half}"
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
    except ValueError as error:
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
