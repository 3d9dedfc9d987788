"""Transcribe a set of utterances: forward pass on the devices, decoding in the background, error rates.

    transcriber = Transcriber(model, task)
    transcription = transcriber.transcribe("dev", pool)     # forward pass; decoding goes on in worker processes
    evaluated = transcription.result()                      # waits for the decoding
    evaluated.errors.wer, evaluated.sentences[0].hypothesis

Every utterance counts exactly once. Neither batch, padding, order nor number of replicas changes an error rate: each
utterance is decoded by itself, and sums do not depend on order. The recipe `authors` is the exception, as it
normalises by the statistics of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from benchmark.metrics import Edits, Errors
from benchmark.record.confusions import Confusions
from benchmark.record.sentences import Example, Heard
from benchmark.run.evaluate.accuracy import edits
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.devices import tf
from benchmark.run.prepare.task import Task
from features.reading.batches import Buckets, read_batches

SHOWN_UTTERANCES = 3  # of each rank: worst, median and best


class Diverged(ArithmeticError):
    """A loss or a logit is NaN or infinite; the message names the first such batch or utterance."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One utterance: its reference and the model's hypothesis."""

    id: str
    reference: str
    hypothesis: str


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The result of an evaluation: sentences sorted by id, the edits of each, and the errors of all."""

    sentences: tuple[Sentence, ...]
    edits: tuple[Edits, ...]
    errors: Errors

    @classmethod
    def of(cls, sentences: Iterable[Sentence]) -> Evaluated:
        ordered = tuple(sorted(sentences, key=lambda sentence: sentence.id))
        counted = tuple(edits(sentence.reference, sentence.hypothesis) for sentence in ordered)
        return cls(sentences=ordered, edits=counted, errors=Errors.of(counted))

    def heard(self, phase: str, epoch: int, step: int) -> Heard:
        """Return what the sentence log is given: the worst, median and best of an evaluation, else all sentences."""
        if phase != "evaluate":
            shown = tuple(Example(id=s.id, reference=s.reference, hypothesis=s.hypothesis) for s in self.sentences)
            return Heard(
                phase=phase, epoch=epoch, step=step, examples=shown, said=self.said if phase == "probe" else ()
            )
        return Heard(
            phase=phase,
            epoch=epoch,
            step=step,
            wer=self.errors.wer,
            cer=self.errors.cer,
            examples=self.examples(),
            confusions=self.confusions(),
            said=self.said,
        )

    @property
    def said(self) -> tuple[tuple[str, str, str], ...]:
        """Id, reference and hypothesis of every utterance."""
        return tuple((s.id, s.reference, s.hypothesis) for s in self.sentences)

    def confusions(self) -> Confusions:
        """Return the commonest word errors of all sentences."""
        return Confusions.of(pair for edited in self.edits for pair in edited.word_pairs)

    def examples(self) -> tuple[Example, ...]:
        """Return the worst, median and best utterances, ranked by word and then by character error rate."""
        ranked = sorted(
            zip(self.sentences, self.edits, strict=True),
            key=lambda pair: (-pair[1].word_share, -pair[1].character_share, pair[0].id),
        )
        shown = min(SHOWN_UTTERANCES, len(ranked))
        middle = (len(ranked) - shown) // 2
        chosen = {"worst": ranked[:shown], "median": ranked[middle : middle + shown], "best": ranked[-shown:][::-1]}
        return tuple(_example(rank, *pair) for rank, pairs in chosen.items() for pair in pairs)


def _example(rank: str, sentence: Sentence, edited: Edits) -> Example:
    return Example(
        rank=rank,
        id=sentence.id,
        reference=sentence.reference,
        hypothesis=sentence.hypothesis,
        word_edits=edited.word_edits,
        words=edited.words,
        character_edits=edited.character_edits,
        characters=edited.characters,
    )


class Transcription:
    """Utterances whose decoding is under way."""

    def __init__(self) -> None:
        self._parts: list[tuple[list[tuple[str, str]], Future[list[str]]]] = []
        self._others: list[Callable[[], list[Sentence]]] = []

    def add(self, utterances: list[tuple[str, str]], hypotheses: Future[list[str]]) -> None:
        """Add a few utterances as (id, reference), and the future of their hypotheses, in the same order."""
        self._parts.append((utterances, hypotheses))

    def join(self, others: Callable[[], list[Sentence]]) -> None:
        """Add sentences that another machine transcribes; `others` waits for them."""
        self._others.append(others)

    def when_decoded(self, note: Callable[[], None]) -> int:
        """Call `note` whenever some utterances are decoded, at once for those that are; return how many there are."""
        for _, hypotheses in self._parts:
            hypotheses.add_done_callback(lambda _: note())
        return sum(len(utterances) for utterances, _ in self._parts)

    def result(self, progress: Callable[[int], None] = lambda _: None) -> Evaluated:
        """Wait for all sentences and count their errors. Raises as `sentences` does."""
        return Evaluated.of(self.sentences(progress))

    def sentences(self, progress: Callable[[int], None] = lambda _: None) -> list[Sentence]:
        """Wait for all sentences; `progress` is told how many more are decoded.

        Raises:
            concurrent.futures.process.BrokenProcessPool: a decoding worker was killed.
        """
        sentences = []
        for utterances, hypotheses in self._parts:
            for (identity, reference), hypothesis in zip(utterances, hypotheses.result(), strict=True):
                sentences.append(Sentence(id=identity, reference=reference, hypothesis=hypothesis))
            progress(len(utterances))
        for others in self._others:
            sentences += (more := others())
            progress(len(more))
        return sentences


class Transcriber:
    """A model that transcribes utterances on all replicas of a task.

    `within` is the context in which it has the weights to transcribe with, if training leaves others in it.
    """

    def __init__(
        self, model: tf.keras.Model, task: Task, *, within: Callable[[], AbstractContextManager] = nullcontext
    ) -> None:
        self.model, self.task, self.within = model, task, within
        self._datasets: dict[str, tf.data.Dataset] = {}
        self._forward = tf.function(self._forward_per_replica, reduce_retracing=True)

    def transcribe(self, role_or_subset: str, pool: DecodingPool) -> Transcription:
        """Transcribe a subset, or all subsets of a role; the forward pass is over on return, decoding may not be."""
        return self.transcribe_batches(self.batches(role_or_subset), pool)

    def transcribe_batches(self, batches: Iterable[dict[str, tf.Tensor]], pool: DecodingPool) -> Transcription:
        """Transcribe batches. On a CPU, where it would slow the forward pass, decoding starts after the last batch."""
        transcription = Transcription()
        forwarded = self.logits(batches)
        with self.within():
            for utterances, logits, frames in list(forwarded) if self.task.devices.on_cpu else forwarded:
                for n, utterance in enumerate(utterances):  # one by one, which spreads the work best over the workers
                    transcription.add([utterance], pool.submit(logits[n : n + 1, : frames[n]], frames[n : n + 1]))
        return transcription

    def logits(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> Iterator[tuple[list[tuple[str, str]], np.ndarray, np.ndarray]]:
        """Yield per batch (id, reference) pairs, outputs and their numbers [B], without empty utterances.

        Outputs are logits [B, T', C] or tokens [B, L].

        Raises:
            Diverged: a logit of a valid frame is NaN or infinite.
        """
        for batch in batches:
            frames = batch["frames"].numpy()
            real = frames > 0
            utterances = [
                (identity.decode(), reference.decode())
                for identity, reference in zip(batch["id"].numpy()[real], batch["sentence"].numpy()[real], strict=True)
            ]
            outputs = self.task.learner.output_counts(frames[real])
            logits = self._logits(batch)[real]
            for (identity, _), matrix, count in zip(utterances, logits, outputs, strict=True):
                if not np.isfinite(matrix[:count]).all():
                    raise Diverged(f"the model's output for utterance {identity} is not finite: its weights diverged")
            yield utterances, logits, outputs

    def batches(self, role_or_subset: str) -> tf.data.Dataset:
        """Return batches of a role or subset, in the shapes of training if they fit, so that little is recompiled."""
        if role_or_subset not in self._datasets:  # made once: tracing takes 0.1 s
            longest = max(self.task.data.manifest.lengths(role_or_subset))
            edges = self.task.layout.boundaries + ((longest,) if longest > self.task.layout.boundaries[-1] else ())
            self._datasets[role_or_subset] = self.read(role_or_subset, Buckets(self.task.layout.batch, edges))
        return self._datasets[role_or_subset]

    def read(self, role_or_subset: str, layout: Buckets) -> tf.data.Dataset:
        return read_batches(
            self.task.data.folder,
            self.task.data.manifest,
            role_or_subset,
            layout,
            readers=self.task.platform.input.readers,
            buffer=self.task.platform.input.buffer,
            normalisation=self.task.workload.normalisation,
            chosen=self.task.data.chosen if role_or_subset == "train" else None,
            recordings=self.task.data.recordings,
            rows=self.task.devices.rows(layout.batch),
        )

    def _logits(self, batch: dict[str, tf.Tensor]) -> np.ndarray:
        """Return the outputs of a batch, or of this machine's rows of it; each replica computes a part."""
        devices = self.task.devices
        size = batch["frames"].shape[0] // devices.local_replicas

        def part(context: tf.distribute.ValueContext) -> tuple[tf.Tensor, tf.Tensor]:
            start = (context.replica_id_in_sync_group - devices.rank * devices.local_replicas) * size
            return batch["features"][start : start + size], batch["frames"][start : start + size]

        strategy = devices.strategy
        parts = strategy.experimental_local_results(
            self._forward(strategy.experimental_distribute_values_from_function(part))
        )
        return np.concatenate([part.numpy() for part in parts])

    def _forward_per_replica(self, parts):
        return self.task.devices.strategy.run(
            lambda features, frames: self.task.learner.outputs(self.model, features, frames), args=parts
        )
