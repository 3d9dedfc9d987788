"""Whisper as the trainer takes it: features of a segment, cross entropy over tokens, greedy decoding.

    found = learner(Config(weights="random"), frames=1000)
    model = found.build()                       # with the published weights, or random ones

Sentences are learnt in lower case without punctuation, as transcripts are, with the tokens of the published vocabulary.
The prefix (start, no time stamps) is given and not learnt; the end token is. The loss is the mean over tokens.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import tensorflow as tf

from models.kernels import Choice
from models.learner import Decode, Part
from models.masks import within
from models.whisper import network, places, tokens, weights
from models.whisper.config import Config
from models.whisper.decoding import greedy

TOKENS_A_SECOND = 12
"""An upper limit: fast speech has 6 words a second. Byte tokens are four times as many."""


def learner(config: Config, *, frames: int) -> WhisperLearner:
    """Make the learner for segments of `frames` frames. Raises ValueError if its weights cannot be used."""
    place = places.resolve(config.weights or places.AUTO)
    return WhisperLearner(config, weights.read(place) if place else None, seconds=frames / 100)


class WhisperLearner:
    """See `models.learner.Learner`. `start` are published weights, whose sizes count; None is random ones."""

    shuffle_files_only = False

    def __init__(self, config: Config, start: weights.Weights | None, *, seconds: float) -> None:
        self.start, self.seconds = start, seconds
        self.config = start.config if start else config
        if (most := self.config.audio_positions / 50) < seconds:
            raise ValueError(
                f"a segment of {seconds:g} s; expected at most {most:g}, which Whisper's positions are for"
            )
        self.optimiser = config.rules.optimiser

    @cached_property
    def tokens(self) -> tokens.Tokens:
        return self.start.tokens if self.start else tokens.Bytes(vocabulary=self.config.vocabulary)

    @property
    def decode(self) -> Decode:
        """Return a function that turns rows of tokens, up to the end token, into sentences of letters and spaces."""
        return tokens.spelled(self.tokens)

    @property
    def longest(self) -> int:
        """Return how many tokens are decoded at most."""
        rate = TOKENS_A_SECOND * (1 if self.start else 4)
        return min(round(rate * self.seconds), self.config.text_positions - len(self.tokens.prefix))

    def build(self) -> network.Whisper:
        model = network.build(self.config)
        if self.start:
            weights.assign(model, self.start)
        return model

    def encode(self, sentence: str) -> list[int]:
        """Return the tokens of a sentence. Raises ValueError if they are more than the positions of text."""
        found = self.tokens.encode(sentence)
        if len(found) > (most := self.config.text_positions - len(self.tokens.prefix)):
            raise ValueError(f"{len(found)} tokens in {sentence!r:.80}; expected at most {most}")
        return found

    def losses(self, model: network.Whisper, part: Part, seed: tf.Tensor) -> tf.Tensor:
        logits, targets = self._logits_and_targets(model, part)
        weight = tf.cast(within(self.units(part), tf.shape(targets)[1]), tf.float32)
        return tf.reduce_sum(weight * tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits), 1)

    def _logits_and_targets(self, model: network.Whisper, part: Part) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the logits of every token and the end token, [B, L + 1, V], and these tokens; L is the longest's."""
        prefix, end = (tf.constant(tokens, tf.int64) for tokens in (self.tokens.prefix, self.tokens.end))
        said, lengths = (tf.cast(part[name], tf.int64) for name in ("labels", "label_lengths"))
        count = tf.shape(said)[0]
        said = tf.where(within(lengths, tf.shape(said)[1]), said, end)
        given = tf.concat([tf.tile(prefix[None], [count, 1]), said], 1)
        targets = tf.concat([said, tf.fill([count, 1], end)], 1)
        return model(part["features"], given)[:, len(self.tokens.prefix) - 1 :], targets

    def label_step(self, frames: tf.Tensor) -> int:
        return 1

    def moving(self, model: network.Whisper) -> list[tf.Variable]:
        return []

    def moved(self, model: network.Whisper) -> list[tf.Tensor]:
        return []

    def units(self, part: Part) -> tf.Tensor:
        """Return how many tokens every utterance has, its end token included; 0 for empty places."""
        return tf.cast(tf.where(part["frames"] > 0, part["label_lengths"] + 1, 0), tf.float32)

    def tflop(self, part: Part) -> tf.Tensor:
        count = tf.cast(part["label_lengths"] + len(self.tokens.prefix), tf.float32)
        operations = network.flops(self.config, frames=round(100 * self.seconds), tokens=count)
        return tf.reduce_sum(tf.where(part["frames"] > 0, operations / 1e12, 0.0))

    def outputs(self, model: network.Whisper, features: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Return the tokens of every utterance, int64 [B, longest], padded with the end token."""
        held, first = (self.start.suppressed, self.start.suppressed_first) if self.start else ((), ())
        said = greedy(
            model, features, prefix=self.tokens.prefix, end=self.tokens.end, longest=self.longest, suppressed=held,
            suppressed_first=first,
        )  # fmt: skip
        count, length = tf.unstack(tf.shape(said))
        rest = tf.fill([count, self.longest - length], tf.constant(self.tokens.end, tf.int64))
        return tf.ensure_shape(tf.concat([said, rest], 1), [None, self.longest])

    def output_counts(self, frames: np.ndarray) -> np.ndarray:
        return np.full(len(frames), self.longest)

    def choose_kernels(self, *, dtype: str, batch: int, frames: int) -> dict[str, Choice]:
        products = f"TensorFlow's matrix products in {dtype}, softmax in float32"
        return {"attention": Choice(products, "there is no other")}

    def compare_kernels(self, *, dtype: str) -> dict[str, str]:  # noqa: ARG002 - there is one for each type
        return {}

    @property
    def about(self) -> dict[str, str]:
        """Return what training begins with, for run.json."""
        if not self.start:
            return {"weights": places.RANDOM}
        start = self.start
        return {
            "weights": str(start.path), "weights_sha256": start.digest, "tokens_sha256": start.tokens_digest,
        }  # fmt: skip
