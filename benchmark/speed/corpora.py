"""The contenders of the part `scaling`: extraction of and training on a corpus of given hours; emulated replicas."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmark.speed.extraction import peak_memory_mib
from benchmark.speed.sizes import SIZES

Ask = Callable[[str], dict]

BATCH, READ_BATCHES, TRAIN_BATCHES = 16, 60, 10


def extracted(*, folder: str, hours: float, spoken: float) -> Ask:
    """Time `features.shards.extraction.extract_corpus` of the whole corpus, which is made first if it is not there."""
    from benchmark.speed.scaling import repeat_corpus
    from features.shards.extraction import extract_corpus
    from features.synthesis import corpus as synthesis

    source, corpus, out = (Path(folder) / name for name in ("spoken", f"corpus-{hours:g}", f"features-{hours:g}"))
    synthesis.synthesise(source, hours=spoken)
    if not corpus.exists():
        repeat_corpus(source, corpus, times=round(hours / spoken))

    def ask(_: str) -> dict:
        started_s = time.monotonic()
        found = extract_corpus(corpus, out)
        seconds, utterances = time.monotonic() - started_s, found.utterances("train")
        worker_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # Linux counts in KiB
        memory = {"memory_mib": peak_memory_mib(), "worker_mib": worker_mib}
        return {"seconds": seconds / utterances, "utterances": utterances, **memory}

    return ask


def learnt(*, folder: str, hours: float, size: str) -> Ask:
    """Time the first READ_BATCHES of an epoch, or training on TRAIN_BATCHES, in seconds an utterance."""
    from benchmark.run.prepare import devices
    from benchmark.speed.synthetic import distributed, train_step
    from features.reading.batches import Buckets
    from features.shards import manifest

    tf, machine = devices.tf, devices.single_device("float32")
    features = Path(folder) / f"features-{hours:g}"
    began_s = time.monotonic()
    found = manifest.load(features)
    lengths = found.lengths("train")
    Buckets.bucketed(lengths, batch=BATCH, buckets=4).batches(lengths)
    manifest_s = time.monotonic() - began_s
    layout = Buckets.fixed(max(lengths), batch=BATCH)  # one shape: what is compared is the corpus, not compilation
    step, _ = train_step(SIZES[size], machine, "float32")
    whole = layout.batches(lengths)
    epoch = 0

    def batches(count: int):
        nonlocal epoch
        epoch += 1
        return distributed(features, found, layout, machine, epoch=epoch), count

    def read() -> float:
        given, count = batches(min(READ_BATCHES, whole))
        started_s = time.monotonic()
        for _ in range(count):
            next(given)
        return (time.monotonic() - started_s) / (count * BATCH)

    def train() -> float:
        given, count = batches(min(TRAIN_BATCHES, whole))
        next(given)  # reading has its own figure
        started_s = time.monotonic()
        float(step.segment(given, tf.constant(0), tf.constant(count - 1)).loss)
        return (time.monotonic() - started_s) / ((count - 1) * BATCH)

    def ask(what: str) -> dict:
        seconds = read() if what == "reading" else train()
        return {"seconds": seconds, "memory_mib": peak_memory_mib(), "manifest_s": manifest_s}

    ask("training")
    return ask


def replicas(*, size: str, replicas: int) -> Ask:
    """Time steps on a batch shared by logical CPUs; `loss` is after the same number of steps for any number of them."""
    import platforms
    from benchmark.run.prepare import devices
    from benchmark.speed.synthetic import train_step

    tf, shape = devices.tf, SIZES[size]
    sys1 = platforms.load("sys1")
    hardware = replace(sys1.hardware, gpus=replicas, links=sys1.hardware.links[:1] * replicas)
    rig = replace(sys1, hardware=hardware, price=None, training=replace(sys1.training, precision="float32"))
    machine = devices.prepare(rig.changed(batch=shape.batch))
    step, batches = train_step(shape, machine, "float32")
    done = 0

    def ask(_: str) -> dict:
        nonlocal done
        started_s = time.monotonic()
        loss = float(step.segment(batches, tf.constant(done), tf.constant(shape.steps)).loss)
        done += shape.steps
        return {"seconds": (time.monotonic() - started_s) / shape.steps, "loss": loss / (shape.steps * shape.batch)}

    ask("")
    return ask


CONTENDERS = {"extracted": extracted, "learnt": learnt, "replicas": replicas}
