"""What a model makes of a set of utterances: forward pass on the devices, decoding in the background, error rates.

    transcriber = Transcriber(model, workload=..., platform=..., data=..., devices=...)
    transcription = transcriber.transcribe("dev", pool)     # forward pass; decoding goes on in worker processes
    evaluated = transcription.result()                      # waits
    evaluated.rates.wer, evaluated.sentences[0].output

Every utterance counts exactly once. Neither batch, padding, order nor number of replicas changes a figure: an
utterance is decoded by itself, and sums do not depend on order. The recipe `authors` is the exception: it
normalises by the statistics of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from benchmark.run.accuracy import Edits, ErrorRates, edits, rates_of
from benchmark.run.data import Data
from benchmark.run.decoding import DecodingPool
from benchmark.run.devices import Devices, tf
from benchmark.workloads import Workload
from features.batches import Layout, read_batches
from models import deepspeech
from platforms import Platform

SHOWN_UTTERANCES = 3  # each of the worst, median and best


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """What was said and what the model made of it."""

    id: str
    target: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Sentences sorted by id, the edits of each, and the error rates of all."""

    sentences: tuple[Sentence, ...]
    edits: tuple[Edits, ...]
    rates: ErrorRates

    @classmethod
    def of(cls, sentences: Iterable[Sentence]) -> Evaluated:
        ordered = tuple(sorted(sentences, key=lambda sentence: sentence.id))
        counted = tuple(edits(sentence.target, sentence.output) for sentence in ordered)
        return cls(sentences=ordered, edits=counted, rates=rates_of(counted))

    def examples(self) -> dict[str, list[tuple[Sentence, Edits]]]:
        """The worst, median and best utterances, by word and then by character errors."""
        ranked = sorted(
            zip(self.sentences, self.edits, strict=True),
            key=lambda pair: (-pair[1].word_share, -pair[1].character_share, pair[0].id),
        )
        shown = min(SHOWN_UTTERANCES, len(ranked))
        middle = (len(ranked) - shown) // 2
        return {"worst": ranked[:shown], "median": ranked[middle : middle + shown], "best": ranked[-shown:][::-1]}

    def describe_examples(self) -> str:
        """Them in words, for sentences.txt."""
        return "".join(
            f"  {which} {sentence.id}: {counts.word_edits} of {counts.words} words wrong, "
            f"{counts.character_edits} of {counts.characters} characters\n"
            f"    target  {sentence.target}\n    output  {sentence.output}\n"
            for which, pairs in self.examples().items()
            for sentence, counts in pairs
        )


class Transcription:
    """Utterances being decoded."""

    def __init__(self) -> None:
        self._parts: list[tuple[list[tuple[str, str]], Future[list[str]]]] = []

    def add(self, said: list[tuple[str, str]], outputs: Future[list[str]]) -> None:
        """Identities and targets of a few utterances, and what they will have been understood as."""
        self._parts.append((said, outputs))

    def result(self, progress: Callable[[int], None] = lambda utterances: None) -> Evaluated:
        """Wait for all and count errors."""
        return Evaluated.of(self.sentences(progress))

    def sentences(self, progress: Callable[[int], None] = lambda utterances: None) -> list[Sentence]:
        """Wait for all; `progress` is told how many more are done.

        Raises:
            concurrent.futures.process.BrokenProcessPool: a decoding worker was killed.
        """
        sentences = []
        for said, outputs in self._parts:
            for (identity, target), output in zip(said, outputs.result(), strict=True):
                sentences.append(Sentence(id=identity, target=target, output=output))
            progress(len(said))
        return sentences


class Transcriber:
    """Runs a model over utterances, on all replicas."""

    def __init__(
        self, model: deepspeech.DeepSpeech, *, workload: Workload, platform: Platform, data: Data, devices: Devices
    ) -> None:
        self.model, self.workload, self.platform, self.data, self.devices = model, workload, platform, data, devices
        self.layout = data.layout(workload, platform.input.batch)
        self._datasets: dict[str, tf.data.Dataset] = {}
        self._forward = tf.function(self._forward_of_shares, reduce_retracing=True)

    def transcribe(self, role_or_subset: str, pool: DecodingPool) -> Transcription:
        """Every utterance of a subset, or of all subsets of a role: the forward pass is over on return."""
        return self.transcribe_batches(self.batches(role_or_subset), pool)

    def transcribe_batches(self, batches: Iterable[dict[str, tf.Tensor]], pool: DecodingPool) -> Transcription:
        """Decoding begins with the first batch, but on a CPU, where it would slow the forward pass, after the last."""
        transcription = Transcription()
        forwarded = self.logits(batches)
        for said, logits, frames in list(forwarded) if self.devices.on_cpu else forwarded:
            for n, utterance in enumerate(said):  # one by one: they share the workers out best
                transcription.add([utterance], pool.submit(logits[n : n + 1, : frames[n]], frames[n : n + 1]))
        return transcription

    def logits(
        self, batches: Iterable[dict[str, tf.Tensor]]
    ) -> Iterator[tuple[list[tuple[str, str]], np.ndarray, np.ndarray]]:
        """Batch by batch: identities and targets, logits [B, T', 30], valid output frames [B]; no filled-up places."""
        for batch in batches:
            frames = batch["frames"].numpy()
            real = frames > 0
            said = [
                (identity.decode(), target.decode())
                for identity, target in zip(batch["id"].numpy()[real], batch["sentence"].numpy()[real], strict=True)
            ]
            yield said, self._logits(batch)[real], deepspeech.output_frames(frames[real]).numpy()

    def batches(self, role_or_subset: str) -> tf.data.Dataset:
        """Its utterances in the training set's shapes where they fit, so that little is compiled anew."""
        if role_or_subset not in self._datasets:  # made once: its functions are traced, which takes a tenth of a second
            longest = max(self.data.manifest.lengths(role_or_subset))
            edges = self.layout.edges + ((longest,) if longest > self.layout.edges[-1] else ())
            self._datasets[role_or_subset] = self.read(role_or_subset, Layout(self.layout.batch, edges))
        return self._datasets[role_or_subset]

    def read(self, role_or_subset: str, layout: Layout) -> tf.data.Dataset:
        return read_batches(
            self.data.folder,
            self.data.manifest,
            role_or_subset,
            layout,
            readers=self.platform.input.readers,
            buffer=self.platform.input.buffer,
            normalisation=self.workload.normalisation,
        )

    def _logits(self, batch: dict[str, tf.Tensor]) -> np.ndarray:
        """[B, T', 30] of a whole batch, computed by all replicas."""
        size = batch["frames"].shape[0] // self.devices.replicas

        def share(context: tf.distribute.ValueContext) -> tuple[tf.Tensor, tf.Tensor]:
            start = context.replica_id_in_sync_group * size
            return batch["features"][start : start + size], batch["frames"][start : start + size]

        strategy = self.devices.strategy
        parts = strategy.experimental_local_results(
            self._forward(strategy.experimental_distribute_values_from_function(share))
        )
        return np.concatenate([part.numpy() for part in parts])

    def _forward_of_shares(self, shares):
        return self.devices.strategy.run(
            lambda features, frames: self.model(features, frames, training=False), args=shares
        )
