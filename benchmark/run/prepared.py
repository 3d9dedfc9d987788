"""A job made ready: its data, decoder and devices, and what follows from them.

prepared = prepare(job, others=None, say=print)     # on every host alike
prepared.identity, prepared.task, prepared.pool()
prepared.wake(say)                                  # starts GPUs and chooses kernels, before a clock starts
"""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.record.columns import Identity
from benchmark.run.evaluate.decoding import DecodingPool, check_quietly
from benchmark.run.machines.channel import Caller, Chief
from benchmark.run.machines.guard import guarded
from benchmark.run.prepare.job import Job, Say
from features.jobs.streams import one_line
from features.shards import account
from models.ctc.decoders import Decoder
from models.learner import Learner
from platforms import Platform

if TYPE_CHECKING:
    from benchmark.run.prepare.data import Data
    from benchmark.run.prepare.devices import Devices
    from benchmark.run.prepare.task import Task

NICENESS_BESIDE_GPUS = 10


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a job needs before it trains."""

    job: Job
    data: Data
    decoder: Decoder
    devices: Devices

    @cached_property
    def identity(self) -> Identity:
        """What all rows of the journal say of the run."""
        from benchmark.run.prepare import provenance

        job, machine = self.job, self.devices
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
            features=self.data.manifest.digest[:12],
            decoder=self.decoder.label,
            evaluation=job.workload.evaluation_label,
            code=provenance.short_code(),
        )

    @cached_property
    def task(self) -> Task:
        """What TensorFlow's side of the run needs."""
        from benchmark.run.prepare.task import Task

        job = self.job
        return Task(
            workload=job.workload,
            platform=job.platform,
            data=self.data,
            devices=self.devices,
            seed=job.seed,
            synthetic=job.synthetic,
            start=(job.start.checkpoints, job.start.step) if job.start else None,
        )

    def renamed(self, name: str) -> Prepared:
        """Return the same with the job under another run's name."""
        return replace(self, job=self.job.renamed(name))

    def pool(self) -> DecodingPool:
        """Return new worker processes that decode, nicer than a training that needs the CPU only to feed GPUs."""
        niceness = 0 if self.devices.on_cpu else NICENESS_BESIDE_GPUS
        return DecodingPool(self.decoder, jobs=self.job.decode_jobs, niceness=niceness)

    def wake(self, say: Say) -> None:
        """Start the GPUs and choose the kernels, before a clock starts: loading libraries takes them seconds, once.

        What is compiled for the shapes of this model comes later, within CREATE and the first batches, and counts.
        """
        from benchmark.run.prepare import devices

        devices.wake(self.devices)
        for part, choice in self.task.kernels.items():
            if choice.fallen_back:
                say(f"WARNING: the {part} is computed by the slower kernel {choice.kernel}: {one_line(choice.why)}")
            elif not self.devices.on_cpu:
                say(f"{part}: kernel {choice.kernel}; {choice.why}")


def prepare(job: Job, others: Chief | Caller | None, say: Say) -> Prepared:
    """Make data, decoder and devices ready; `others` are the hosts that do the same meanwhile.

    Raises:
        ValueError, OSError: something is missing or bad; the message says why.
    """
    from benchmark.run.prepare import data

    found = data.prepare(
        job.workload,
        folder=job.data,
        corpus=job.corpus,
        skip_bad=job.skip_bad,
        streaming=job.platform.input.readers if job.platform.input.stream else 0,
        say=say,
    )
    importlib.import_module("benchmark.run.prepare.devices")  # loads TensorFlow, without its chatter
    learner = job.workload.learner()
    decoder = _decoder(job, found, learner, say)
    machine = _devices(job, others, say)
    found = found.part(job.workload, learner.encode)  # after devices are set up: it reads ids with TensorFlow
    if found.unfit:
        total = found.manifest.utterances("train")
        why = "too short for the model, or for their labels"
        say(f"left out: {found.unfit:,} of {total:,} training utterances, {why}")
    if sentence := account.longer_than(found.manifest, job.workload.segment_s):
        say(sentence)
    return Prepared(job=job, data=found, decoder=decoder, devices=machine)


def _decoder(job: Job, data: Data, learner: Learner, say: Say) -> Decoder:
    decoder = Decoder(
        name=job.workload.decoder,
        words=data.manifest.words,
        beam_width=job.workload.beam_width,
        language_model=job.language_model,
        own=learner.decode,
    )
    if warning := check_quietly(decoder):  # now, and not in a worker; and code is compiled before the clock starts
        say(f"WARNING: {warning}")
    if decoder.name == "dictionary" and (
        sentence := account.unknown_words(data.manifest, data.validation(job.workload))
    ):
        say(sentence)
    return decoder


def _devices(job: Job, others: Chief | Caller | None, say: Say) -> Devices:
    from benchmark.run.prepare import devices

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


def emulation_warning(platform: Platform, devices: str) -> str:
    """Say that a platform's GPUs are not here, and what stands for them."""
    machines, gpus = platform.hardware.machines, platform.hardware.gpus
    there = " of ".join([f"{machines} machines"] * (machines > 1) + [f"{gpus} x {platform.hardware.gpu}"] * (gpus > 0))
    return (
        f"EMULATED: {platform.name} has {there}, which are not here. "
        f"Its replicas run on {devices}, with its batch of {platform.input.batch}. "
        f"The times say nothing about {platform.name} and are never ranked with real ones."
    )
