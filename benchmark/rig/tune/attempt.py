"""The child process of a tuning: tries whether a batch fits, or trains in turns when it is asked to.

    python -m benchmark.rig.tune.attempt FD fits SCRATCH        # the job, pickled, on standard input
    python -m benchmark.rig.tune.attempt FD speed SCRATCH       # then a line of seconds for every turn

A try has the worst batch first: as long as the longest bucket, every utterance with as many labels as the longest
transcript has, and a whole step of the optimiser. Then come an evaluation of the longest, a checkpoint, a batch of
every bucket, and the worst one again, as memory gets fragmented. A real run has no batch that is worse.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.record.phases import Phase
from benchmark.rig.estimate.child import Say, begun
from benchmark.rig.estimate.probe import Probe
from benchmark.run.prepared import Prepared, prepare
from features.corpus.audio import FRAME_STEP_S

READ_UP_TO = 20_000  # utterances whose sentences are read to find the longest
DECODED = 4  # utterances of the worst batch: decoding needs no more memory for more


def main(argv: list[str]) -> None:
    job, say = begun(argv)
    do = {"fits": fits, "speed": speed}[argv[1]]
    from benchmark.run.prepare.devices import tf

    prepared = prepare(job, None, lambda _: None)
    prepared.wake(lambda _: None)
    try:
        with prepared.data.opened(), prepared.pool() as pool:
            probe = Probe(prepared, Path(argv[2]), pool, until_s=time.monotonic(), say=lambda _: None)
            do(prepared, probe, say)
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        say({"full": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"})


def fits(prepared: Prepared, probe: Probe, say: Say) -> None:
    """Run all that a run does, at its worst, and say how much memory that took."""
    import numpy as np

    probe.timed(Phase.CREATE)
    labels, how = most_labels(prepared)
    say({"step": "worst"})
    worst = probe.endless([worst_batch(probe, labels)])
    probe.piece(worst, 2)
    say({"step": "evaluation"})
    transcriber = probe.trainer.models.transcriber
    for utterances, logits, frames in transcriber.logits([worst_to_evaluate(probe)]):
        count = min(DECODED, len(utterances))
        probe.pool.submit(np.asarray(logits[:count]), np.asarray(frames[:count])).result()
    say({"step": "checkpoint"})
    probe.saved()
    _, kept = probe.look()
    for edge in sorted(kept):
        say({"step": f"{edge} frames"})
        probe.piece(probe.endless(kept[edge]), 1)
    say({"step": "worst again"})
    probe.piece(worst, 1)
    longest = probe.source.layout.boundaries[-1]
    say({"memory": memory(prepared), "checked": f"{longest} frames, {labels} labels ({how}), {len(kept)} buckets"})


def speed(_: Prepared, probe: Probe, say: Say) -> None:
    """Compile everything, and then train for as long as each line says; answer with audio seconds a second."""
    from benchmark.run.prepare.devices import synchronise

    probe.timed(Phase.CREATE)
    kept = probe.look()[1]
    for edge in sorted(kept):
        probe.piece(probe.endless(kept[edge]), 1)
    host, place = probe.trainer.host, {"epoch": 1, "position": 0}
    if host.source.batches_per_epoch > 1:  # opening an epoch is no part of the first turn
        host.segment(epoch=1, skip=0, step=probe.step, count=1)
        place["position"] = 1
    say({"ready": True})
    each_s = 0.0
    for line in sys.stdin.buffer:
        wanted_s, audio_s, waited_s = float(line), 0.0, 0.0
        synchronise()
        began_s = time.monotonic()
        while (spent_s := time.monotonic() - began_s) < wanted_s or not audio_s:
            if place["position"] >= host.source.batches_per_epoch:
                place = {"epoch": place["epoch"] + 1, "position": 0}
            left = host.source.batches_per_epoch - place["position"]
            count = max(1, min(50, left, round((wanted_s - spent_s) / each_s) if each_s else 1))
            before_s = time.monotonic()
            totals = host.segment(
                epoch=place["epoch"], skip=place["position"], step=probe.step, count=count
            )  # the run's own
            audio_s += float(totals.frames) * FRAME_STEP_S
            waited_s += float(totals.input_s)
            each_s = (time.monotonic() - before_s) / count
            place["position"] += count
            probe.step += count
        synchronise()
        seconds = time.monotonic() - began_s
        say({"speed": audio_s / seconds, "seconds": seconds, "input_share": waited_s / seconds})


# --- what is worst ---------------------------------------------------------------------------------------------------


def most_labels(prepared: Prepared) -> tuple[int, str]:
    """Return how many labels the longest transcript has, and how that is known."""
    from features.corpus import text

    task = prepared.task
    room = int(prepared.job.workload.model.output_frames(_as_array(task.layout.boundaries[-1]))[0])
    if task.data.labels is not None:
        known = [len(each) for each in task.data.labels if each is not None]
        if known:
            return min(room, max(known)), "the longest"
    if len(task.data.lengths) > READ_UP_TO:
        return room, "as many as there is room for"
    encode = task.learner.encode or text.encode
    return min(room, max(len(encode(sentence)) for _, sentence in task.data.said())), "the longest transcript"


def _as_array(value: int) -> Any:
    import numpy as np

    return np.array([value])


def worst_batch(probe: Probe, labels: int) -> dict[str, Any]:
    """Return a batch of the longest bucket in which every utterance is as long, with so many labels."""
    import numpy as np

    batch = dict(next(_any(probe)))
    size, longest = probe.source.layout.batch, probe.source.layout.boundaries[-1]
    rng = np.random.default_rng(1)
    features = rng.normal(size=[1, longest, batch["features"].shape[2]]).astype(np.float32)
    said = np.tile(1 + np.arange(labels) % 2, [size, 1]).astype(batch["labels"].dtype.as_numpy_dtype)
    made = {
        "features": np.repeat(features, size, 0),
        "frames": np.full(size, longest, batch["frames"].dtype.as_numpy_dtype),
        "labels": said,
        "label_lengths": np.full(size, labels, batch["label_lengths"].dtype.as_numpy_dtype),
    }
    return {name: _tensor(made.get(name, values)) for name, values in batch.items()}


def worst_to_evaluate(probe: Probe) -> dict[str, Any]:
    """Return a batch to evaluate in which every utterance is as long as the longest of training or validation."""
    import numpy as np

    task = probe.prepared.task
    longest = max(probe.source.layout.boundaries[-1], *task.data.manifest.lengths(task.validation))
    size, batch = probe.source.layout.batch, dict(next(_any(probe)))
    features = np.random.default_rng(2).normal(size=[1, longest, batch["features"].shape[2]]).astype(np.float32)
    made = {
        "features": np.repeat(features, size, 0),
        "frames": np.full(size, longest, batch["frames"].dtype.as_numpy_dtype),
        "id": np.full(size, b"worst"),
        "sentence": np.full(size, b"one"),
    }
    return {name: _tensor(made.get(name, values)) for name, values in batch.items()}


def _any(probe: Probe) -> Iterator[dict]:
    return iter(probe.source.read(1).take(1))


def _tensor(values: Any) -> Any:
    from benchmark.run.prepare.devices import tf

    return tf.convert_to_tensor(values)


def memory(prepared: Prepared) -> dict[str, int | None]:
    """Return the most bytes that were taken, and of how many: of the fullest GPU, or of this process on CPUs."""
    import resource

    from benchmark.run.prepare.devices import tf

    if prepared.devices.on_cpu:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
        given = [each for each in limits if each != resource.RLIM_INFINITY]
        if given:  # what such a limit counts is what was asked for, resident or not
            own = max(own, _asked_for())
        return {"taken": own, "limit": min([_ram_bytes(), *given])}
    taken = [
        int(tf.config.experimental.get_memory_info(f"GPU:{number}")["peak"])
        for number in range(prepared.devices.local_replicas)
    ]
    return {"taken": max(taken), "limit": _gpu_bytes()}


def _asked_for() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


def _ram_bytes() -> int:
    import psutil

    from platforms import machine

    return min(psutil.virtual_memory().total, machine.memory_limit() or psutil.virtual_memory().total)


def _gpu_bytes() -> int | None:
    from platforms import machine

    sizes = [device.memory for device in machine.cuda_devices() if device.memory]
    return min(sizes, default=None)


if __name__ == "__main__":
    main(sys.argv[1:])
