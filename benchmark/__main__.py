"""Run the benchmark: python -m benchmark --platform NAME --workload NAME.

Prepares corpus and features where they are missing, trains until the workload's targets are reached or its limits,
writes results/RUN.csv (the journal) and results/RUN/ (run.json, utilisation.csv, sentences.txt, checkpoints), and
prints the time-to-accuracy table of the run.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import platforms
from benchmark import tta, workloads
from benchmark.clock import Clock
from benchmark.journal import Identity, Journal, JournalError, RunRecord, read
from benchmark.monitor import Monitor, summarise
from benchmark.phases import Phase, Plan, next_phase
from benchmark.view import PlainView, view
from benchmark.workloads import Workload
from platforms import Platform

if TYPE_CHECKING:
    from benchmark.data import Data
    from benchmark.devices import Devices
    from benchmark.trainer import Sentence
    from models.decoders import Decode

BAD_INPUT, DIVERGED, INTERRUPTED = 2, 3, 130
LOGGED_SENTENCES = 10
UNPOOLED_OPTIONS = ("augment", "padding")  # the journal has a column for what else trains differently
WORKLOAD_OPTIONS = ("recipe", "decoder", "beam_width", "augment", "padding", "sentences", "max_epochs", "max_minutes")


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
    skip_bad: bool


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 2 bad input, 3 diverged, 130 interrupted."""
    options = _parser().parse_args(argv)
    try:
        return run(_job(options))
    except (ValueError, OSError, BrokenProcessPool) as error:
        _say(f"benchmark: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        _say("\nbenchmark: interrupted")
        return INTERRUPTED


def run(job: Job) -> int:
    """Prepare, train, judge."""
    from benchmark import data

    journal_path = job.results / f"{job.name}.csv"
    if journal_path.exists() or (job.results / job.name).exists():
        raise JournalError(f"{journal_path}: a run of this name is there already; choose another --name")
    _say(f"platform {job.platform.name}, workload {job.workload.name}, seed {job.seed}")
    prepared = data.prepare(job.workload, folder=job.data, corpus=job.corpus, skip_bad=job.skip_bad, say=_say)

    from benchmark import devices
    from models import decoders

    decode = decoders.load(
        job.workload.decoder,
        words=prepared.manifest.words,
        beam_width=job.workload.beam_width,
        language_model=job.language_model,
    )
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
        status = _train(job, prepared, machine, decode, journal_path)
    except devices.tf.errors.ResourceExhaustedError as error:
        raise ValueError(_out_of_memory(job.platform, error.message)) from error
    except devices.tf.errors.OpError as error:
        raise ValueError(f"TensorFlow gave up: {error.message.splitlines()[0]}") from error
    record = read(journal_path)
    if any(row.phase is Phase.EVALUATE for row in record.rows):
        print(tta.report([record]))
    _say(_utilisation(job.results / job.name / "utilisation.csv"))
    _say(
        f"the run is in {journal_path} and {job.results / job.name}; compare runs with: "
        f"python -m benchmark.tta {job.results}/*.csv"
    )
    return status


def _train(job: Job, data: Data, machine: Devices, decode: Decode, journal_path: Path) -> int:
    """The run itself: ask what comes next, do it, write it down."""
    from benchmark import devices, provenance
    from benchmark.trainer import Diverged, Trainer

    folder = job.results / job.name
    trainer = Trainer(
        workload=job.workload,
        platform=job.platform,
        data=data,
        devices=machine,
        seed=job.seed,
        folder=folder,
        decode=decode,
    )
    plan = _plan(job.workload, trainer.batches_per_epoch)
    journal = Journal.create(journal_path, _identity(job, data, machine, provenance.short_code()))
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
                seed=job.seed,
                unavailable=unavailable,
            ),
        )
        shown = stack.enter_context(view(f"{job.name}: {job.platform.label}, {machine.describe()}", plan, clock))
        log = stack.enter_context((folder / "sentences.txt").open("a", encoding="utf-8"))
        trainer.show = lambda phase, sentences: _show(log, shown, journal.record, phase, sentences)
        try:
            while (phase := next_phase(journal.record, plan)) is not Phase.DONE:
                shown.phase(phase, journal.record)
                with clock.span() as span:
                    outcome = trainer.perform(phase, journal.record, plan)
                shown.row(journal.append(phase, span, outcome), journal.record)
        except Diverged as error:
            _say(f"benchmark: {error}; the run is closed as diverged")
            return DIVERGED
        except KeyboardInterrupt:
            _say("benchmark: interrupted")
            return INTERRUPTED
    return 0


def _out_of_memory(platform: Platform, message: str) -> str:
    half = platform.replicas * max(1, platform.batch_per_replica // 2)
    return (
        f"out of memory with a batch of {platform.batch_per_replica} utterances a replica "
        f"({message.splitlines()[0][:100]}); give a smaller batch: make bench BATCH={half}"
    )


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


def _show(log: TextIO, shown: PlainView, record: RunRecord, phase: str, sentences: Sequence[Sentence]) -> None:
    """Generated sentences to the screen, and all shown ones to sentences.txt."""
    if phase == "generate":
        shown.sentences(phase, sentences)
    for sentence in sentences[:LOGGED_SENTENCES]:
        log.write(
            f"{phase} epoch {record.epoch} batch {record.step} {sentence.id}\n"
            f"  target  {sentence.target}\n  output  {sentence.output}\n"
        )
    log.flush()


def _plan(workload: Workload, batches_per_epoch: int) -> Plan:
    return Plan(
        batches_per_epoch=batches_per_epoch,
        max_epochs=workload.max_epochs,
        targets=workload.targets,
        max_seconds=60 * workload.max_minutes,
        window=workload.window,
    )


def _identity(job: Job, data: Data, machine: Devices, code: str) -> Identity:
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
        decoder=job.workload.decoder_label,
        evaluation=job.workload.evaluation,
        code=code,
    )


def _emulation_warning(platform: Platform, devices: str) -> str:
    return (
        f"EMULATED: {platform.name} has {platform.hardware.gpus} x {platform.hardware.gpu}, which are not here. "
        f"Its replicas run on {devices}, with its batch of {platform.input.batch}. "
        f"The times say nothing about {platform.name} and are never ranked with real ones."
    )


def _job(options: argparse.Namespace) -> Job:
    """The command line with its defaults filled in. Raises ValueError for what does not fit together."""
    platform = platforms.load(options.platform).with_input(
        batch=options.batch, readers=options.readers, buffer=options.buffer
    )
    if options.precision:
        platform = replace(platform, training=replace(platform.training, precision=options.precision))
    workload = workloads.load(options.workload or _default_workload(platform, options))
    changes = {name: getattr(options, name) for name in WORKLOAD_OPTIONS if getattr(options, name) is not None}
    workload = _changed(workload, changes)
    if options.recipe == "authors":
        workload = replace(workload, normalisation="frame-l2")  # theirs in most runs
    _check(options, workload)
    started = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Job(
        platform=platform,
        workload=workload,
        corpus=options.corpus,
        data=options.data,
        results=options.results,
        name=_checked_name(options.name or f"{platform.name}-{workload.name}-seed{options.seed}-{started}"),
        seed=options.seed,
        monitor_hz=options.monitor_hz,
        language_model=options.language_model,
        skip_bad=options.skip_bad,
    )


def _check(options: argparse.Namespace, workload: Workload) -> None:
    """What would be refused later, after hours of preparation."""
    if not 0 <= options.seed < 2**32:
        raise ValueError(f"seed is {options.seed}; expected 0 to {2**32 - 1}")
    if not 0 <= options.monitor_hz <= 100:
        raise ValueError(f"monitor-hz is {options.monitor_hz}; expected 0 (off) to 100 samples a second")
    if workload.decoder == "language-model" and not (options.language_model and options.language_model.is_file()):
        raise ValueError(
            f"language model {options.language_model}: no such file; give an ARPA or KenLM binary file "
            f"with --language-model"
        )


def _changed(workload: Workload, changes: dict[str, object]) -> Workload:
    """The workload with other settings; what would train differently shows in its name, so that runs do not pool."""
    marks = [
        str(changes[name]) for name in UNPOOLED_OPTIONS if name in changes and changes[name] != getattr(workload, name)
    ]
    return replace(workload, **changes, name="+".join([workload.name, *marks]))


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise ValueError(f"name {name!r} cannot name files; expected letters, digits, dots, dashes and underscores")
    return name


def _default_workload(platform: Platform, options: argparse.Namespace) -> str:
    """`speech` for a corpus of the user's, `librispeech` where its features and the GPUs are there, else `mini`."""
    if options.corpus:
        return "speech"
    if platform.hardware.gpus and (options.data / "features" / "librispeech" / "manifest.json").is_file():
        from benchmark import devices

        if devices.gpus_present() >= platform.hardware.gpus:
            return "librispeech"
    return "mini"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="workloads:\n" + "\n".join(f"  {w.name:<12} {w.description}" for w in workloads.WORKLOADS.values()),
    )
    add = parser.add_argument
    add(
        "--platform",
        default="cpu",
        metavar="NAME",
        help=f"{', '.join(platforms.names())}, or the path of a platform file; default: %(default)s",
    )
    add(
        "--workload",
        choices=list(workloads.WORKLOADS),
        help="default: speech where --corpus is given, librispeech where its features and the platform's GPUs are "
        "there, else mini",
    )
    add("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout, with train* and dev* subsets")
    add("--seed", type=int, default=1, help="of weights, order and dropout; default: %(default)s")
    add("--name", help="of the run; default: platform, workload, seed and time")
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="default: %(default)s")
    add(
        "--data",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where corpora and features are kept; default: %(default)s",
    )
    group = parser.add_argument_group("the platform's table, changed for this run")
    group.add_argument("--batch", type=int, metavar="N", help="global batch, utterances")
    group.add_argument("--readers", type=int, metavar="N", help="parallel readers")
    group.add_argument("--buffer", type=int, metavar="N", help="batches made ahead")
    group.add_argument("--precision", choices=platforms.PRECISIONS)
    group = parser.add_argument_group("the workload, changed for this run")
    group.add_argument("--recipe", choices=workloads.RECIPES)
    group.add_argument("--decoder", choices=workloads.DECODERS)
    group.add_argument("--beam-width", type=int, metavar="N")
    group.add_argument("--language-model", type=Path, metavar="FILE", help="ARPA or KenLM binary file")
    group.add_argument("--augment", choices=workloads.AUGMENTATIONS)
    group.add_argument("--padding", choices=workloads.PADDINGS)
    group.add_argument("--sentences", type=int, metavar="N", help="size of the embedded corpus")
    group.add_argument("--max-epochs", type=int, metavar="N")
    group.add_argument("--max-minutes", type=float, metavar="M")
    add("--skip-bad", action="store_true", help="leave out utterances with broken audio or transcript")
    add(
        "--monitor-hz",
        type=float,
        default=10,
        metavar="HZ",
        help="utilisation samples a second, 0 for none; default: %(default)s",
    )
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
