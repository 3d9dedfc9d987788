"""A run's model, listening: samples of any recording in, pieces with their times out.

    listener = Listener(run, checkpoint="best", decoder=decoder_of(run, ...))
    with listener.opened(jobs=2):
        pieces = listener.heard(samples)            # float32 [S], 16 kHz

A recording that is longer than `WINDOW_S`, or than what the model was trained on, is heard in windows. A model of
letters finds the silences there, and hears the utterances between them each by itself. A model of tokens gives words
of each window, which are joined where they repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare import devices
from benchmark.run.prepare.devices import tf
from benchmark.run.prepare.trained import FinalError, Trained, check_start, chosen_checkpoints, words_of_run
from benchmark.run.state.checkpoints import Checkpoints
from benchmark.run.transcribe.pieces import Piece, words_of
from benchmark.run.transcribe.windows import Span, cuts_at_silence, joined, kept_outputs, windows
from features.corpus import text
from features.corpus.audio import FRAME_STEP_S, STEP_SAMPLES, frame_count
from features.frames.kinds import FRONT_ENDS
from features.reading.batches import normalise
from models.ctc.decoders import Decoder
from models.table import MODELS

WINDOW_S, OVERLAP_S = 15.0, 3.0
SILENCE_S, PAUSE_S = 0.2, 0.6
"""A recording that is too long to be heard at once is cut in every pause; in a silence only if it must be."""
WORDS_A_SECOND = 5
BATCH = 8  # windows in one forward pass


class Listener:
    """A run's model from one of its checkpoints ("best" or "last"), on the first GPU or the CPU.

    Raises:
        FinalError: the run has no such checkpoint, or began with other weights than are there.
    """

    def __init__(self, run: Trained, *, checkpoint: str = "best") -> None:
        self.run = run
        self._devices = devices.single_device(run.precision)
        self.learner = run.workload.learner()
        check_start(run, self.learner.about)
        checkpoints = Checkpoints(run.folder / "checkpoints")
        ((self.checkpoint, self.step),) = chosen_checkpoints(run, checkpoints.steps(), (checkpoint,)).items()
        with self._devices.strategy.scope():
            self._model = self.learner.build()
        checkpoints.restore(self.step, self._model)
        self._outputs = tf.function(self._on_device, reduce_retracing=True)
        self._kind = FRONT_ENDS[run.workload.model.front_end]
        self._normalisation = run.workload.normalisation
        self._pool: DecodingPool | None = None
        trained_s = (run.workload.segment_frames or run.workload.max_frames) * FRAME_STEP_S
        self.gives_letters = self.learner.decode is None
        self._longest = round((min(WINDOW_S, trained_s) if self.gives_letters else trained_s) / FRAME_STEP_S)
        self._overlap = round(min(OVERLAP_S, self._longest * FRAME_STEP_S / 3) / FRAME_STEP_S)

    def decoder(self, name: str | None = None, *, beam_width: int | None = None, **more) -> Decoder:
        """Return the run's decoder, or another; its words come with the run.

        Raises:
            FinalError: the model cannot be decoded so.
            ValueError: a language model is missing.
        """
        name = name or self.run.workload.decoder
        if name not in (known := MODELS[self.run.workload.model.name].decoders):
            raise FinalError(
                f"decoder {name}, but model {self.run.workload.model.name} is decoded by {', '.join(known)}"
            )
        words = words_of_run(self.run) if name != "greedy" else ()
        width = beam_width or self.run.workload.beam_width
        return Decoder(name=name, words=words, beam_width=width, own=self.learner.decode, **more)

    @contextmanager
    def opened(self, decoder: Decoder, *, jobs: int) -> Iterator[None]:
        """Within, recordings can be heard; decoding is done by `jobs` processes."""
        with DecodingPool(decoder, jobs=jobs) as pool:
            self._pool = pool
            yield

    def heard(self, samples: np.ndarray) -> tuple[Piece, ...]:
        """Return what is said in samples, float32 [S] at 16 kHz."""
        spans = windows(frame_count(len(samples)), longest=self._longest, overlap=self._overlap)
        outputs = self._forward(samples, spans)
        if not self.gives_letters:
            return self._of_tokens(spans, outputs)
        if len(spans) > 1:
            spans = self._utterances(spans, outputs)
            outputs = self._forward(samples, spans)
        return self._of_letters(spans, outputs)

    def _utterances(self, spans: Sequence[Span], outputs: Sequence[np.ndarray]) -> list[Span]:
        """Return where windows are cut into utterances: in silences, by what the model hears in them first.

        It then hears each by itself, normalised by itself and from its beginning on, as it was trained to.
        """
        kept = kept_outputs(spans, [len(each) for each in outputs])
        likeliest = [each[first:end].argmax(1) for each, (first, end) in zip(outputs, kept, strict=True)]
        quiet = np.isin(np.concatenate(likeliest), (text.BLANK, text.SPACE))
        step = spans[-1][1] / max(len(quiet), 1)  # in frames
        least, always = (max(1, round(seconds / FRAME_STEP_S / step)) for seconds in (SILENCE_S, PAUSE_S))
        cuts = cuts_at_silence(quiet, longest=int(self._longest / step), least=least, always=always)
        edges = [0, *(round(end * step) for _, end in cuts[:-1]), spans[-1][1]]
        return list(pairwise(edges))

    def _of_letters(self, spans: Sequence[Span], outputs: Sequence[np.ndarray]) -> tuple[Piece, ...]:
        pieces = []
        for (start, end), logits, sentence in zip(spans, outputs, self._decoded(outputs), strict=True):
            if not sentence:
                continue
            start_s, end_s = start * FRAME_STEP_S, end * FRAME_STEP_S
            words = words_of(logits, sentence, start_s=start_s, step_s=(end_s - start_s) / len(logits))
            if words:
                start_s, end_s = words[0].start_s, words[-1].end_s
            pieces.append(Piece(start_s=round(start_s, 2), end_s=round(end_s, 2), text=sentence, words=words))
        return tuple(pieces)

    def _of_tokens(self, spans: Sequence[Span], outputs: Sequence[np.ndarray]) -> tuple[Piece, ...]:
        said = [sentence.split() for sentence in self._decoded(outputs)]
        most = round(self._overlap * FRAME_STEP_S * WORDS_A_SECOND)
        for place in range(1, len(said)):
            said[place - 1], said[place] = joined(said[place - 1], said[place], most=most)
        times = [(start * FRAME_STEP_S, end * FRAME_STEP_S) for start, end in spans]
        return tuple(
            Piece(start_s=round(start_s, 2), end_s=round(end_s, 2), text=" ".join(words))
            for (start_s, end_s), words in zip(times, said, strict=True)
            if words
        )

    def _decoded(self, outputs: Sequence[np.ndarray]) -> list[str]:
        if self._pool is None:
            raise RuntimeError("the decoder is not open")
        futures = [self._pool.submit(each[None], np.array([len(each)])) if len(each) else None for each in outputs]
        return [" ".join(future.result()[0].split()) if future else "" for future in futures]

    def _forward(self, samples: np.ndarray, spans: Sequence[Span]) -> list[np.ndarray]:
        """Return the outputs of some spans, each [T', ...], `BATCH` of them at a time."""
        found: list[np.ndarray] = []
        for first in range(0, len(spans), BATCH):
            found += self._of_batch(samples, spans[first : first + BATCH])
        return found

    def _of_batch(self, samples: np.ndarray, spans: Sequence[Span]) -> list[np.ndarray]:
        frames = np.array([end - start for start, end in spans], np.int32)
        width = self._width(int(frames.max()))
        features = np.zeros((len(spans), width, self._kind.size), np.float32)
        for place, (start, end) in enumerate(spans):
            made = self._features(samples[start * STEP_SAMPLES : end * STEP_SAMPLES], width)
            features[place, : len(made)] = made
        found = self._outputs(tf.constant(features), tf.constant(frames)).numpy()
        return [each[:count] for each, count in zip(found, self.learner.output_counts(frames), strict=True)]

    def _width(self, frames: int) -> int:
        """Return the frames that a batch is padded to: all that a model of tokens has, else a whole second more."""
        whole = round(1 / FRAME_STEP_S)
        least = max(frames, self.run.workload.model.least_frames)
        return self._longest if not self.gives_letters else -(-least // whole) * whole

    def _features(self, samples: np.ndarray, width: int) -> np.ndarray:
        """Return what training would have read of a recording, float32 [T, F]: shards hold 16 bits."""
        stored = self._kind.stored(samples).astype(np.float16)
        found = normalise(tf.constant(stored), self._normalisation)
        if self._kind.padded:
            found = self._kind.padded(found, width)
        return tf.cast(found, tf.float32).numpy()

    def _on_device(self, features, frames):
        return self.learner.outputs(self._model, features, frames)
