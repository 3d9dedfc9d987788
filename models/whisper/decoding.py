"""Greedy decoding of Whisper: one token after another, keeping keys and values of those before.

    decode = tf.function(greedy)
    tokens = decode(model, features, prefix=(50257, 50362), end=50256, longest=100)     # int64 [B, <= 100]

Utterances that have ended go on with the end token until all have ended or the longest is reached. The tokens of one do
not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from models.whisper.network import Whisper

NEVER = -1e9


@tf.autograph.experimental.do_not_convert  # no function of it branches on a tensor; rewriting them takes 1 s
def greedy(
    model: Whisper, features: tf.Tensor, *, prefix: Sequence[int], end: int, longest: int,
    suppressed: Sequence[int] = (), suppressed_first: Sequence[int] = (),
) -> tf.Tensor:  # fmt: skip
    """Transcribe features [B, T, mels]; return tokens without the prefix, int64 [B, L], padded with `end`.

    At most `longest` tokens are made, fewer if the text's positions end. Suppressed tokens never come; those of
    `suppressed_first` are not the first one.
    """
    config, decoder = model.config, model.decoder
    longest = min(longest, config.text_positions - len(prefix))
    states = model.encode(features)
    count = tf.shape(features)[0]
    crossed = tuple(block.cross.keys_values(states) for block in decoder.blocks)
    size = config.width // config.heads
    nothing = tf.zeros([count, config.heads, 0, size], states.dtype)
    kept = tuple((nothing, nothing) for _ in decoder.blocks)
    always = _penalty(suppressed, config.vocabulary)
    first = always + _penalty(suppressed_first, config.vocabulary)
    for place, token in enumerate(prefix):
        logits, kept = _step(model, tf.fill([count], tf.constant(token, tf.int64)), place, kept, crossed)
    end = tf.constant(end, tf.int64)  # a GPU computes with whole numbers of 64 bits; TensorFlow has the host do others
    token = tf.argmax(logits + first, -1)
    said, ended, place = token[:, None], tf.equal(token, end), tf.constant(len(prefix))

    def going(said: tf.Tensor, ended: tf.Tensor, *_: tf.Tensor | tuple) -> tf.Tensor:
        return ~tf.reduce_all(ended) & (tf.shape(said)[1] < longest)

    def on(said: tf.Tensor, ended: tf.Tensor, place: tf.Tensor, kept: tuple) -> tuple:
        logits, kept = _step(model, said[:, -1], place, kept, crossed)
        token = tf.where(ended, end, tf.argmax(logits + always, -1))
        return tf.concat([said, token[:, None]], 1), ended | tf.equal(token, end), place + 1, kept

    growing = tf.TensorShape([None, config.heads, None, size])
    invariants = (
        tf.TensorShape([None, None]), tf.TensorShape([None]), tf.TensorShape([]),
        tuple((growing, growing) for _ in decoder.blocks),
    )  # fmt: skip
    said, *_ = tf.while_loop(going, on, (said, ended, place, kept), shape_invariants=invariants)
    return said


def _step(
    model: Whisper, token: tf.Tensor, place: int | tf.Tensor, kept: tuple, crossed: tuple
) -> tuple[tf.Tensor, tuple]:
    """Return the logits [B, V] that follow a token [B] at a place, and keys and values with one place more."""
    x = model.decoder.embed(token[:, None], place)
    longer = []
    for block, own, cross in zip(model.decoder.blocks, kept, crossed, strict=True):
        x, grown = block.step(x, own, cross)
        longer.append(grown)
    return model.decoder.logits(x)[:, 0], tuple(longer)


def _penalty(tokens: Sequence[int], vocabulary: int) -> tf.Tensor:
    """Return penalties that keep tokens from being chosen, float32 [V]."""
    chosen = [token for token in tokens if 0 <= token < vocabulary]
    if not chosen:
        return tf.zeros([vocabulary])
    return tf.scatter_nd([[token] for token in chosen], [NEVER] * len(chosen), [vocabulary])
