"""Whisper's network: log-mel frames and tokens in, logits of the next tokens out. Published in Radford et al. 2022.

    config = Sizes()                                                # the English tiny model's
    model = build(config)                                           # keras.Model with random weights
    encoded = model.encode(features)                                # [B, T, 80] -> [B, T / 2, 384]
    logits = model(features, tokens)                                # [B, T, 80], [B, L] -> [B, L, 51864]

Two convolutions halve the frames; an encoder and a decoder of pre-norm transformer blocks follow; the output layer is
the token table. Positions of audio are fixed sinusoids, those of text are learnt. T is at most 3000, 30 s; shorter
segments use the first positions, as if the rest of the window were not there.

Shapes: B utterances, T frames, L tokens of V, S = T / 2 states of the encoder, H heads of D values.
"""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from models.dense import Dense
from models.whisper.config import Sizes

EPSILON = 1e-5  # of layer normalisation


def build(config: Sizes) -> Whisper:
    """Build a model with its weights, under the distribution strategy and precision policy in force."""
    model = Whisper(config)
    model(tf.zeros([1, 2, config.mels]), tf.zeros([1, 1], tf.int32))
    return model


def sinusoids(positions: int, width: int) -> np.ndarray:
    """Return the encoder's position vectors, float32 [positions, width]: sines, then cosines, of falling frequencies.

    Everything is computed in float32, as in the published code: in float64 values at position 1499 differ by 1e-4.
    """
    step = np.float32(math.log(10_000) / (width // 2 - 1))
    scales = np.exp(-step * np.arange(width // 2, dtype=np.float32))
    angles = np.arange(positions, dtype=np.float32)[:, None] * scales[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


class Whisper(keras.Model):
    """The network: features [B, T, mels] float32 and tokens [B, L] int32 to logits [B, L, V] float32.

    The logits at a place are those of the token that follows it, and depend on no later token.
    """

    def __init__(self, config: Sizes) -> None:
        super().__init__(name="whisper")
        self.config = config
        self.encoder = Encoder(config, name="encoder")
        self.decoder = Decoder(config, name="decoder")

    def build(self, *_: object) -> None:
        """Leave it to the first call: without this method Keras traces `call` before, within each of its layers too."""

    def encode(self, features: tf.Tensor) -> tf.Tensor:
        """Encode features [B, T, mels] to states [B, S, width]."""
        return self.encoder(features)

    def call(self, features: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        return self.decoder(tokens, self.encode(features))


class Encoder(keras.layers.Layer):
    """The encoder: frames [B, T, mels] to states [B, S, width]."""

    def __init__(self, config: Sizes, **options) -> None:
        super().__init__(**options)
        self.config = config
        self.convolutions = [
            keras.layers.Conv1D(config.width, 3, strides=strides, name=f"convolution{n}")
            for n, strides in enumerate((1, 2))
        ]
        self.blocks = [Block(config, crossing=False, name=f"block{n}") for n in range(config.encoder_layers)]
        self.norm = _norm("norm")

    def build(self, *_: object) -> None:
        self.positions = self.add_weight(
            shape=(self.config.audio_positions, self.config.width),
            initializer=lambda shape, dtype=None: tf.constant(sinusoids(*shape), dtype),
            trainable=False,
            dtype="float32",
            autocast=False,
            name="positions",
        )

    def call(self, features: tf.Tensor) -> tf.Tensor:
        x = tf.cast(features, self.compute_dtype)
        for convolution in self.convolutions:
            x = _gelu(convolution(tf.pad(x, [[0, 0], [1, 1], [0, 0]])))
        x = x + tf.cast(self.positions[: tf.shape(x)[1]], x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Decoder(keras.layers.Layer):
    """The decoder: tokens [B, L] and the encoder's states [B, S, width] to logits [B, L, V]."""

    def __init__(self, config: Sizes, **options) -> None:
        super().__init__(**options)
        self.config = config
        self.blocks = [Block(config, crossing=True, name=f"block{n}") for n in range(config.decoder_layers)]
        self.norm = _norm("norm")

    def build(self, *_: object) -> None:
        def table(name: str, rows: int):
            shape = (rows, self.config.width)
            drawn = keras.initializers.RandomNormal(stddev=0.02)
            return self.add_weight(shape=shape, initializer=drawn, dtype="float32", autocast=False, name=name)

        self.tokens = table("tokens", self.config.vocabulary)
        self.positions = table("positions", self.config.text_positions)

    def embed(self, tokens: tf.Tensor, first: int | tf.Tensor = 0) -> tf.Tensor:
        """Embed tokens [B, L] from place `first` on, [B, L, width]."""
        places = self.positions[first : first + tf.shape(tokens)[1]]
        return tf.cast(tf.gather(self.tokens, tokens) + places, self.compute_dtype)

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Turn states [B, L, width] after the last block into logits [B, L, V], float32."""
        table = tf.cast(self.tokens, x.dtype)
        return tf.cast(tf.einsum("blw,vw->blv", self.norm(x), table), tf.float32)

    def call(self, tokens: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
        x = self.embed(tokens)
        length = tf.shape(tokens)[1]
        causal = tf.linalg.band_part(tf.ones([length, length], tf.bool), -1, 0)
        for block in self.blocks:
            x = block(x, states=states, visible=causal)
        return self.logits(x)


class Block(keras.layers.Layer):
    """Attention, attention to the encoder's states if `crossing`, and two dense layers; each normalised before."""

    def __init__(self, config: Sizes, *, crossing: bool, **options) -> None:
        super().__init__(**options)
        self.own_norm, self.own = _norm("own_norm"), Attention(config, name="own")
        self.cross_norm, self.cross = (
            (_norm("cross_norm"), Attention(config, name="cross")) if crossing else (None, None)
        )
        self.dense_norm = _norm("dense_norm")
        self.wide = Dense(4 * config.width, name="wide")
        self.narrow = Dense(config.width, name="narrow")

    build = Whisper.build

    def call(self, x: tf.Tensor, states: tf.Tensor | None = None, visible: tf.Tensor | None = None) -> tf.Tensor:
        normed = self.own_norm(x)
        x = x + self.own(normed, normed, visible)
        if self.cross is not None:
            x = x + self.cross(self.cross_norm(x), states)
        return x + self.narrow(_gelu(self.wide(self.dense_norm(x))))

    def step(
        self, x: tf.Tensor, own: tuple[tf.Tensor, tf.Tensor], cross: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Take one place of the text, [B, 1, width], after those whose keys and values are `own`, [B, H, L, D] each.

        Returns its output, and `own` with one place more. `cross` are the keys and values of the encoder's states.
        """
        normed = self.own_norm(x)
        keys, values = (tf.concat([old, new], 2) for old, new in zip(own, self.own.keys_values(normed), strict=True))
        x = x + self.own.attend(normed, keys, values)
        x = x + self.cross.attend(self.cross_norm(x), *cross)
        return x + self.narrow(_gelu(self.wide(self.dense_norm(x)))), (keys, values)


class Attention(keras.layers.Layer):
    """Multi-head attention. The projection of keys has no bias, as it would cancel in the softmax."""

    def __init__(self, config: Sizes, **options) -> None:
        super().__init__(**options)
        self.heads, self.size = config.heads, config.width // config.heads
        self.query = Dense(config.width, name="query")
        self.key = Dense(config.width, use_bias=False, name="key")
        self.value = Dense(config.width, name="value")
        self.out = Dense(config.width, name="out")

    build = Whisper.build

    def keys_values(self, states: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Project [B, S, width] to keys and values, [B, H, S, D] each."""
        return self._split(self.key(states)), self._split(self.value(states))

    def call(self, x: tf.Tensor, states: tf.Tensor, visible: tf.Tensor | None = None) -> tf.Tensor:
        """Attend from [B, L, width] to [B, S, width]; `visible`, bool [L, S], says which may be seen."""
        return self.attend(x, *self.keys_values(states), visible)

    def attend(self, x: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, visible: tf.Tensor | None = None) -> tf.Tensor:
        """Attend from [B, L, width] to keys and values [B, H, S, D]; return [B, L, width].

        Scores and softmax are computed in float32: in float16 a mask of -1e9 is infinite, and its softmax NaN.
        """
        queries = self._split(self.query(x)) * tf.cast(self.size**-0.5, x.dtype)
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        if visible is not None:
            scores = tf.where(visible, scores, -1e9)
        weighted = tf.matmul(tf.cast(tf.nn.softmax(scores), values.dtype), values)
        shape = tf.shape(x)
        merged = tf.reshape(tf.transpose(weighted, [0, 2, 1, 3]), [shape[0], shape[1], self.heads * self.size])
        return self.out(merged)

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        return tf.transpose(tf.reshape(x, [shape[0], shape[1], self.heads, self.size]), [0, 2, 1, 3])


def _norm(name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)


def _gelu(x: tf.Tensor) -> tf.Tensor:
    """Return the exact GELU, by the error function."""
    return tf.nn.gelu(x, approximate=False)


def flops(config: Sizes, *, frames: int, tokens: int, training: bool = True) -> float:
    """Return the floating-point operations of one utterance of `frames` and `tokens`: matrix products, two an element.

    Training takes three times as many, as every product has two for its gradients; the first convolution's input needs
    none. Normalisations, softmax and GELU are not counted.
    """
    width, states = config.width, frames // 2
    first = 2.0 * 3 * config.mels * width * frames
    second = 2.0 * 3 * width * width * states
    dense = 2.0 * 2 * 4 * width * width
    projections = 2.0 * 4 * width * width
    encoder = config.encoder_layers * states * (projections + dense + 2 * 2.0 * states * width)
    own = tokens * (projections + dense + 2 * 2.0 * tokens * width)
    cross = tokens * (2 * 2.0 * width * width + 2 * 2.0 * states * width) + states * 2 * 2.0 * width * width
    decoder = config.decoder_layers * (own + cross) + 2.0 * tokens * width * config.vocabulary
    rest = second + encoder + decoder
    return 2 * first + 3 * rest if training else first + rest
