"""The child process of an estimate: makes a run ready as `benchmark` would, and times its pieces.

    python -m benchmark.rig.estimate.probe FD SCRATCH SECONDS BEGAN     # the job, pickled, on standard input

Model, optimiser, compiled step, input pipeline, evaluation and checkpoints are those of the run, by its own code
(`benchmark.run.train.trainer`). Where two epochs fit into SECONDS from when all is ready, whole epochs are timed. Else
every bucket of batches is timed in turns with the others and with stretches of a real epoch; each piece is measured a
few times at least. BEGAN, by the monotonic clock, is when the process was asked for.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from benchmark.judge.reference import settings_digest
from benchmark.record.facts import Host
from benchmark.record.foretold import about_of
from benchmark.record.phases import Phase, Plan
from benchmark.rig.estimate.child import Say, begun
from benchmark.rig.estimate.measured import Bucket, Evaluation, Measured, Stretch
from benchmark.rig.estimate.work import phases_of_an_epoch
from benchmark.run.prepare.job import Job, plan_of
from benchmark.run.prepared import Prepared, prepare
from benchmark.run.state.progress import Progress
from benchmark.run.watch.neighbours import Neighbours
from platforms import machine

PIECE_S = 0.3  # the least that a timed piece takes, so that a call's own cost is as small as in a run's segments
LOOKED_THROUGH = 40  # batches for each bucket, at most, in search of one of every shape
ROUNDS = 3  # at least
EVALUATING = 0.2  # the share of the time that is left for an evaluation
LEAST_EVALUATED = 200  # utterances, if there are so many
OPENED = 3  # epochs, at least: the first one traces functions that are there for the others
WHOLE_EPOCHS = 2  # where so many fit, epochs are timed and not pieces
ENOUGH_EPOCHS = 10
STRETCHES = 4  # at least, of as many batches as a row of the journal has, where there is time for them
SURE = 12.0  # the logit of a certain letter, against 0 of all others


class Silent:
    """Hears what a trainer says, and keeps it to itself."""

    def heard(self, heard: object) -> None: ...

    def decoded(self, done: int, total: int) -> None: ...

    def warn(self, sentence: str) -> None: ...


def main(argv: list[str]) -> None:
    job, say = begun(argv)
    measure(job, Path(argv[1]), seconds=float(argv[2]), began_s=float(argv[3]), say=say)


def measure(job: Job, scratch: Path, *, seconds: float, began_s: float, say: Say) -> None:
    """Measure, with checkpoints in a scratch folder; say {"said": sentence} and at last {"measured": ...}."""
    neighbours = Neighbours()
    prepared = prepare(job, None, lambda sentence: say({"said": sentence}))
    prepared.wake(lambda sentence: say({"said": sentence}))
    prepared_s = prepared.data.seconds
    before_s = time.monotonic() - began_s - prepared_s
    with prepared.data.opened(), prepared.pool() as pool:
        probe = Probe(prepared, scratch, pool, until_s=time.monotonic() + seconds, say=say)
        found = probe.measured(before_s=before_s, prepared_s=prepared_s)
    found = replace(found, others=neighbours.warning(), seconds=time.monotonic() - began_s)
    say({"measured": found.to_dict()})


class Probe:
    """A run made ready in a scratch folder, and the clock until which it may be timed."""

    def __init__(self, prepared: Prepared, folder: Path, pool: Any, *, until_s: float, say: Say) -> None:
        from benchmark.run.train.trainer import Trainer

        self.prepared, self.folder, self.pool, self.until_s, self.say = prepared, folder, pool, until_s, say
        self.trainer = Trainer(prepared.task, folder=folder, pool=pool, listener=Silent())
        self.source = self.trainer.source
        self.plan: Plan = plan_of(prepared.job.workload, self.trainer.batches_per_epoch)
        self.progress = Progress(window=self.plan.window)
        self.step = 0
        self._real: Iterator | None = None
        self._met: list[int] = []
        self._epoch = self._position = self._taken = 0  # the last counts the batches since reading was begun

    def measured(self, *, before_s: float, prepared_s: float) -> Measured:
        """Time everything, the evaluation last: by then the model has learnt a little."""
        create_s = self.timed(Phase.CREATE)
        counts, kept = self.look()
        edges = self.source.layout.boundaries
        pieces = {edge: self.endless(kept[edge]) for edge in edges if edge in kept}
        firsts = {edge: self.piece(pieces[edge], 1) for edge in pieces}
        usual = {edge: self.piece(pieces[edge], 1) for edge in pieces}
        generate_s = [self.timed(Phase.GENERATE) for _ in range(3)]
        checkpoint_s = [self.saved() for _ in range(2)]
        checkpoint_bytes = _bytes(self.trainer.checkpoints.folder) / len(self.trainer.checkpoints.steps())
        swap_s = self.swapped() if self.plan.evaluation == "swap" else []
        seconds: dict[int, list[float]] = {edge: [] for edge in pieces}
        stretches, open_s, epochs_s = self.rounds(pieces, usual, counts, seconds)
        evaluation = self.evaluated()
        return Measured(
            before_s=before_s,
            create_s=create_s,
            buckets=tuple(
                Bucket(
                    frames=edge, batches=counts[edge], first_s=firsts.get(edge), seconds=tuple(seconds.get(edge, ()))
                )
                for edge in edges
                if counts[edge]
            ),
            stretches=tuple(stretches),
            open_s=tuple(open_s),
            opened_once=self.source.endless,
            epochs_s=tuple(epochs_s),
            generate_s=tuple(generate_s),
            checkpoint_s=tuple(checkpoint_s),
            swap_s=tuple(swap_s),
            evaluation=evaluation,
            phases={str(phase): count for phase, count in phases_of_an_epoch(self.plan).items()},
            batches_per_epoch=self.plan.batches_per_epoch,
            prepared_s=prepared_s,
            memory_bytes=_memory_bytes(),
            gpu_bytes=tuple(_gpu_bytes(self.prepared)),
            features_bytes=_bytes(self.prepared.data.folder) if self.prepared.data.recordings is None else 0,
            checkpoint_bytes=round(checkpoint_bytes),
            about=self.about(),
        )

    def about(self) -> dict[str, Any]:
        """Return what identifies the run, and what its convergence is compared by."""
        prepared, task = self.prepared, self.prepared.task
        host = Host(
            cpu=machine.cpu_name(), logical_cores=machine.logical_cores(), usable_cores=len(machine.affinity())
        )  # fmt: skip
        digest = settings_digest(prepared.job.workload)
        manifest, subset = task.data.manifest, task.validation
        subsets = [subset] if subset in manifest.subsets else [n for n in manifest.subsets if n.startswith("dev")]
        words = [manifest.unknown.get(name, (None, None))[1] for name in subsets]
        return {
            "identity": asdict(prepared.identity),
            "about": about_of(prepared.identity, prepared.job.platform, host, digest),
            "settings": digest,
            "samples": len(task.data.lengths),
            "evaluated": manifest.utterances(subset),
            "evaluated_words": None if None in words else sum(words),
            "gpus": [name for name in prepared.devices.names if not prepared.devices.on_cpu],
        }

    # --- pieces --------------------------------------------------------------------------------------------------

    def timed(self, phase: Phase) -> float:
        """Perform a phase; return its seconds."""
        return self.clocked(lambda: self.trainer.perform(phase, self.progress, self.plan))

    def clocked(self, work: Callable[[], object]) -> float:
        """Return the seconds that work takes, until every device has done it."""
        from benchmark.run.prepare.devices import synchronise

        synchronise()
        began_s = time.monotonic()
        work()
        synchronise()
        return time.monotonic() - began_s

    def saved(self) -> float:
        self.step += 1  # a checkpoint of its own
        self.progress = replace(self.progress, step=self.step, epoch=1, saved_step=self.step)
        return self.timed(Phase.CHECKPOINT)

    def swapped(self) -> list[float]:
        """Return the seconds of a swap to the evaluation model and back, on average, twice."""
        return [(self.timed(Phase.SWAP) + self.timed(Phase.SWAP)) / 2 for _ in range(2)]

    def look(self) -> tuple[Counter[int], dict[int, list[dict]]]:
        """Return how many batches of each bucket an epoch has, and one or two of each, as they are read."""
        layout, lengths = self.source.layout, self.prepared.task.data.lengths
        utterances = Counter(layout.assign(lengths).tolist())
        counts = Counter({layout.boundaries[n]: -(-count // layout.batch) for n, count in utterances.items()})
        kept: dict[int, list[dict]] = {}
        until_s = time.monotonic() + 0.1 * (self.until_s - time.monotonic())
        for number, batch in enumerate(self.source.read(1)):
            mine = kept.setdefault(int(batch["features"].shape[1]), [])
            if len(mine) < 2:
                mine.append(batch)
            late = time.monotonic() > until_s
            whole = all(len(kept.get(edge, ())) >= min(2, counts[edge]) for edge in counts)
            if whole or number >= LOOKED_THROUGH * len(counts) or (late and len(kept) == len(counts)):
                break
        return counts, kept

    def endless(self, batches: list[dict]) -> Iterator:
        """Return the batches again and again, in the form in which an epoch's are fed, so that nothing is retraced."""
        from benchmark.run.prepare.devices import tf
        from benchmark.run.train import input as inputs

        spec = self.source.read(1).element_spec
        whole = tf.data.Dataset.from_tensors(batches[0])
        for batch in batches[1:]:
            whole = whole.concatenate(tf.data.Dataset.from_tensors(batch))

        def as_read(batch: dict) -> dict:
            return {name: tf.compat.v1.placeholder_with_default(v, spec[name].shape) for name, v in batch.items()}

        task = self.prepared.task
        return inputs.distributed(whole.cache().repeat().map(as_read).prefetch(2), task.devices, task.learner)

    def piece(self, batches: Iterator, count: int) -> float:
        """Train on so many batches; return the seconds of one."""
        return self.clocked(lambda: self.segment(batches, count)) / count

    def segment(self, batches: Iterator, count: int) -> None:
        from benchmark.run.prepare.devices import tf

        totals = self.trainer.models.step.segment(batches, tf.constant(self.step), tf.constant(count))
        if int(totals.spoilt) >= 0:
            raise ArithmeticError(f"the loss became {float(totals.loss)} at batch {int(totals.spoilt)}")
        self.step += count

    def rounds(
        self,
        pieces: dict[int, Iterator],
        usual: dict[int, float],
        batches: Counter[int],
        seconds: dict[int, list[float]],
    ) -> tuple[list[Stretch], list[float], list[float]]:
        """Time every bucket and a stretch of a real epoch in turns, until the time is over; fill `seconds`.

        Where whole epochs fit, once, and then these. Return the stretches, the openings' seconds, and the epochs'.
        """
        counts = {edge: min(self.plan.segment, max(1, round(PIECE_S / each))) for edge, each in usual.items()}
        mean_s = sum(usual.values()) / len(usual)
        fitting = round((self.until_s - time.monotonic()) / STRETCHES / mean_s / 2)
        stretch = max(1, min(self.plan.segment, max(fitting, round(PIECE_S / mean_s))))
        stretches: list[Stretch] = []
        open_s: list[float] = []
        until_s, number = self.until_s - EVALUATING * max(0.0, self.until_s - time.monotonic()), 0
        epoch_s = sum(batches[edge] * usual.get(edge, mean_s) for edge in batches)
        whole = time.monotonic() + WHOLE_EPOCHS * epoch_s < until_s
        while number < (1 if whole else ROUNDS) or (not whole and time.monotonic() < until_s):
            for edge in sorted(pieces, reverse=number % 2 == 1):
                seconds[edge].append(self.piece(pieces[edge], counts[edge]))
            found = self.stretch(stretch, open_s)
            stretches += [found] if found else []
            number += 1
            self.say({"round": number, "left_s": max(0.0, until_s - time.monotonic())})
        while len(open_s) < (1 if self.source.endless else OPENED):
            self._position = self.plan.batches_per_epoch
            self.stretch(0, open_s)
        if whole:
            self.end_epoch()
        epochs_s: list[float] = []
        while whole and len(epochs_s) < ENOUGH_EPOCHS:
            if len(epochs_s) >= WHOLE_EPOCHS and time.monotonic() + max(epochs_s) > until_s:
                break
            epochs_s.append(self.clocked(lambda: stretches.extend(self.whole_epoch())))
            self.say({"round": number + len(epochs_s), "left_s": max(0.0, until_s - time.monotonic())})
        return stretches, open_s, epochs_s

    def end_epoch(self) -> None:
        """Take what is left of an epoch whose batches the next one's follow, without training."""
        if self.source.endless:
            for _ in range(self.plan.batches_per_epoch - self._position):
                next(self._real)
                self._taken += 1

    def whole_epoch(self) -> list[Stretch]:
        """Train an epoch in segments as a run's; return them without the first, which may open it, if others follow."""
        if self.source.endless:
            self._epoch, self._position = self._epoch + 1, 0
        else:
            self.open()
        found = []
        while self._position < self.plan.batches_per_epoch:
            found += [made] if (made := self.stretch(self.plan.segment, [])) else []
        return found[1:] or found

    def stretch(self, count: int, open_s: list[float]) -> Stretch | None:
        """Train on the next batches of a real epoch; if reading begins with it, this is timed with its first batch."""
        if self._real is None or (self._position >= self.plan.batches_per_epoch and not self.source.endless):
            began_s = time.monotonic()
            self.open()
            first_s = self.piece(self._real, 1)
            took_s = time.monotonic() - began_s
            again = self.piece(self._real, 1) if self.plan.batches_per_epoch > 1 else first_s
            open_s.append(max(0.0, took_s - again))
            self._position = self._taken = min(2, self.plan.batches_per_epoch)
        elif self._position >= self.plan.batches_per_epoch:
            self._epoch, self._position = self._epoch + 1, 0
        count = min(count, self.plan.batches_per_epoch - self._position)
        if count < 1:
            return None
        real = self._real
        seconds = self.clocked(lambda: self.segment(real, count))
        met = Counter(map(str, self._met[self._taken : self._taken + count]))
        self._position += count
        self._taken += count
        return Stretch(batches=dict(met), seconds=seconds)

    def open(self) -> None:
        """Begin to read the next epoch."""
        self._epoch, self._position, self._taken, self._met = self._epoch + 1, 0, 0, []
        self._real = self.tapped(self._epoch)

    def tapped(self, epoch: int) -> Iterator:
        """Begin to read an epoch, and those that follow if a run does, with a note of every batch's frames."""
        from benchmark.run.prepare.devices import tf
        from benchmark.run.train import input as inputs

        met = self._met

        def note(frames: Any) -> Any:
            met.append(int(frames))
            return frames

        def tap(batch: dict) -> dict:
            noted = tf.numpy_function(note, [tf.shape(batch["features"])[1]], tf.int32)
            with tf.control_dependencies([noted]):
                return batch | {"frames": tf.identity(batch["frames"])}

        task = self.prepared.task
        batches = self.source.read(epoch, endless=self.source.endless)
        return inputs.distributed(batches.map(tap), task.devices, task.learner)

    # --- the evaluation ------------------------------------------------------------------------------------------

    def evaluated(self) -> Evaluation:
        """Evaluate as many batches of the validation set as there is time for, one at least."""
        task, transcriber = self.prepared.task, self.trainer.models.transcriber
        self.pool.warm_up()
        batches = transcriber.batches(task.validation)
        there = sum(1 for _ in batches) if task.data.recordings is None else 1
        first = self.transcribed(batches.take(1))
        once = self.transcribed(batches.take(1))
        left_s = self.until_s - time.monotonic()
        fitting = round(left_s / 3 / max(1e-3, once["forward_s"] + once["decode_s"]))
        count = min(there, max(fitting, -(-LEAST_EVALUATED // max(1, once["utterances"]))))
        cold = self.transcribed(batches.take(count)) if count > 1 else first
        warm = self.transcribed(batches.take(count)) if count > 1 else once
        frames, total = warm.pop("frames"), sum(task.data.manifest.lengths(task.validation))
        sure_s = self.sure_s(warm.pop("sentences"), warm.pop("outputs"))
        extra = cold["forward_s"] - warm["forward_s"] + (first["forward_s"] - once["forward_s"] if count > 1 else 0.0)
        return Evaluation(**warm, share=frames / total, sure_s=sure_s, first_s=max(0.0, extra))

    def transcribed(self, batches: Any) -> dict[str, Any]:
        """Transcribe batches; return seconds of forward pass and decoding, and what there was to hear."""
        import numpy as np

        frames: list[int] = []

        def noted() -> Iterator[dict]:
            for batch in batches:
                frames.extend(batch["frames"].numpy().tolist())
                yield batch

        began_s = time.monotonic()
        transcription = self.trainer.models.transcriber.transcribe_batches(noted(), self.pool)
        forward_s = time.monotonic() - began_s
        evaluated = transcription.result()
        decode_s = time.monotonic() - began_s - forward_s
        return {
            "utterances": len(evaluated.sentences),
            "frames": sum(frames),
            "forward_s": forward_s,
            "decode_s": decode_s,
            "cer": evaluated.errors.cer,
            "sentences": [each.reference for each in evaluated.sentences],
            "outputs": int(self.prepared.job.workload.model.output_frames(np.array(frames)).clip(0).sum()),
        }

    def sure_s(self, sentences: list[str], outputs: int) -> float | None:
        """Return the seconds of decoding outputs that are certain of these sentences, so many frames in all.

        None if the decoder does not care how certain they are.
        """
        import numpy as np

        from features.corpus import text

        if self.prepared.decoder.name == "greedy":
            return None
        spelt, made = [text.encode(sentence) for sentence in sentences], []
        for labels in spelt:
            frames = max(2 * len(labels) + 1, outputs * len(labels) // max(1, sum(map(len, spelt))))
            logits = np.zeros([1, frames, text.ALPHABET_SIZE], np.float32)
            said = np.full(frames, text.BLANK)
            said[np.linspace(0, frames - 1, len(labels)).astype(int)] = labels
            logits[0, np.arange(frames), said] = SURE
            made.append(logits)
        began_s = time.monotonic()
        futures = [self.pool.submit(logits, np.array([logits.shape[1]])) for logits in made]
        for future in futures:
            future.result()
        return time.monotonic() - began_s


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _memory_bytes() -> int:
    """Return the most memory that this process has had, with what its workers have now."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return own + sum(child.memory_info().rss for child in psutil.Process().children(recursive=True))


def _gpu_bytes(prepared: Prepared) -> Iterator[int]:
    from benchmark.run.prepare.devices import tf

    if not prepared.devices.on_cpu:
        for number in range(prepared.devices.local_replicas):
            yield int(tf.config.experimental.get_memory_info(f"GPU:{number}")["peak"])


if __name__ == "__main__":
    main(sys.argv[1:])
