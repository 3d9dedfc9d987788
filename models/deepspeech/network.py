"""The network: one convolution, LSTMs, one fully connected layer.

    config = Config(filters=600, units=800)                 # the paper's size
    model = build(config)                                   # keras.Model
    logits = model(features, frames, training=False)        # [B, T, F], [B] -> [B, T', 30]; F = 93
    output_frames(1670, config) == 830

models/deepspeech/config.py says how the recipes differ. Trainable parameters at the paper's size: 25,623,030 by the
recipe `paper`, 25,635,030 by `authors`, whose LSTMs have 5 x 3 x 800 peephole weights more, and 15,373,430 by `modern`.

Shapes: B utterances, T input frames, T' output frames.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from models import llvm
from models.deepspeech import batch_norm, dropout, layer_norm
from models.deepspeech.config import Config
from models.deepspeech.lstm import LSTM
from models.dense import Dense
from models.masks import within

EPSILON = 1e-5  # of layer normalisation


def output_frames(input_frames, config: Config):
    """Return T' for T, (T - kernel) // stride + 1, or 0 if the convolution cannot take it. Ints, arrays or tensors."""
    outputs = (input_frames - config.kernel) // config.stride + 1
    return outputs * (outputs > 0) if isinstance(outputs, int) else outputs * tf.cast(outputs > 0, outputs.dtype)


def flops(config: Config, *, training: bool = True) -> float:
    """Return the model's floating-point operations per output frame, without the CTC loss and element-wise work.

    Forward, a multiplication and an addition each: 2 (k F C + sum over LSTM layers of 4H (I + H) + H A), with kernel
    k, features F, filters C, inputs I and units H of a layer, alphabet A. Training takes three
    times as many, for the gradients of inputs and of weights are a product each; the convolution's inputs need none.
    By the paper's recipe and size 51,195,600 forward and 152,359,200 in training.
    """
    convolution = 2.0 * config.kernel * config.features * config.filters
    inputs = [config.filters] + [config.units] * (config.layers - 1)
    rest = 2.0 * sum(4 * config.units * (size + config.units) for size in inputs)
    rest += 2.0 * config.units * config.alphabet
    return 2 * convolution + 3 * rest if training else convolution + rest


def build(config: Config) -> DeepSpeech:
    """Build a model with its weights, under the distribution strategy and precision policy in force."""
    model = DeepSpeech(config)
    model.build()
    return model


class DeepSpeech(keras.Model):
    """Call with features [B, T, F] float32 and frames [B] int32 (valid frames of each); gives logits [B, T', 30].

    What lies beyond an utterance's frames has no influence on its logits, nor, in training, on the others'. With
    `training=True`, `seed` (int32 [2]) draws the dropout masks: the same seed gives the same masks.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(name="deep_speech")  # its variables' names in checkpoints
        self.config, recipe = config, config.rules
        self.convolution = keras.layers.Conv1D(
            config.filters, config.kernel, strides=config.stride, use_bias=False, name="convolution"
        )
        self.lstms = [
            LSTM(config.units, peepholes=recipe.peepholes, forget_bias=recipe.forget_bias, name=f"lstm{n}")
            for n in range(config.layers)
        ]
        self.norms = [self._norm(f"norm{n}") for n in range(config.layers + 1)]
        self.batch_norms = [] if recipe.layer_norm else self.norms
        self.output_layer = Dense(
            config.alphabet,
            dtype="float32",
            activation="relu" if recipe.relu_logits else None,
            kernel_regularizer=keras.regularizers.L2(recipe.output_l2) if recipe.output_l2 else None,
            name="output",
        )

    def _norm(self, name: str) -> BatchNorm | keras.layers.LayerNormalization:
        if self.config.rules.layer_norm:
            return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)
        always = self.config.rules.batch_statistics_at_evaluation
        return BatchNorm(self.config.norm_momentum, always_batch_statistics=always, name=name)

    def build(self, *_) -> None:
        """Make all weights in the order in which a call would; no call is traced or computed for it."""
        config, width = self.config, self.config.filters
        if self._by_llvm(self.compute_dtype, config.units):
            llvm.prepare((layer_norm if config.rules.layer_norm else batch_norm).code, config.dropout > 0)
        self.convolution.build((None, None, config.features))
        self.norms[0].build((None, None, width))
        for lstm, norm in zip(self.lstms, self.norms[1:], strict=True):
            lstm.build((None, None, width))
            width = config.units
            norm.build((None, None, width))
        self.output_layer.build((None, None, width))
        self.built = True

    def call(
        self, features: tf.Tensor, frames: tf.Tensor, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        x = tf.transpose(self.convolution(features), [1, 0, 2])  # time first until the logits
        outputs = output_frames(tf.cast(frames, tf.int64), self.config)
        valid_TB = tf.cast(tf.transpose(within(outputs, tf.shape(x)[0])), tf.float32)
        rate = self.config.dropout if training else 0.0
        for number in range(len(self.norms)):
            if number:
                x = self.lstms[number - 1](x, training=training)
            x = tf.nn.relu(x) if self.config.rules.relu else x
            drawn = seed + [0, number] if rate else None
            if training and self._by_llvm(x.dtype.name, x.shape[-1]):
                x = self._fused(x, valid_TB, number, rate=rate, seed=drawn)
            else:
                x = self._normalised(x, valid_TB, number, training=training)
                x = tf.nn.experimental.stateless_dropout(x, rate=rate, seed=drawn) if rate else x
        return tf.transpose(self.output_layer(x), [1, 0, 2])

    def _by_llvm(self, dtype: str, columns: int) -> bool:
        """Tell whether norm and dropout of so many columns are computed where the LSTMs are, by code of LLVM."""
        return dropout.fits(columns, tf.as_dtype(dtype)) and self.lstms[0].chosen(dtype) == "llvm"

    def _fused(self, x: tf.Tensor, valid_TB: tf.Tensor, number: int, **drop) -> tf.Tensor:
        """Normalise in training, and drop with `rate` and `seed`, in one call."""
        norm = self.norms[number]
        if self.config.rules.layer_norm:
            weights = norm.gamma.value, norm.beta.value
            return layer_norm.layer_norm(x, *weights, epsilon=EPSILON, relu=number == 0, **drop)
        return norm.with_dropout(x, valid_TB, **drop)

    def _normalised(self, x: tf.Tensor, valid_TB: tf.Tensor, number: int, *, training: bool) -> tf.Tensor:
        norm = self.norms[number]
        if self.config.rules.layer_norm:
            return norm(x) if number else tf.nn.relu(norm(x))
        return norm(x, valid_TB, training=training)


class Moved:
    """Holds the new values of a layer's moving averages; Keras would search a list for layers and variables."""

    values: tuple[tf.Tensor, ...] = ()


class BatchNorm(keras.layers.Layer):
    """Batch normalisation over the valid frames only, bool like the first two axes of x: padding changes nothing.

    At evaluation the moving averages are used, unless `always_batch_statistics`. Under a distribution strategy
    each replica normalises by its own share of the batch. `moved.values` is what the last call in training makes of
    moving_mean and moving_variance; the trainer assigns the mean over replicas, all layers' in one message.
    """

    EPSILON = 1e-3

    def __init__(self, momentum: float, *, always_batch_statistics: bool = False, **options) -> None:
        super().__init__(**options)
        self.momentum, self.always_batch_statistics = momentum, always_batch_statistics
        self.moved = Moved()

    def build(self, x_shape, *_) -> None:
        def weight(name: str, initializer: str, **options):
            return self.add_weight(
                shape=(x_shape[-1],), name=name, initializer=initializer, dtype="float32", autocast=False, **options
            )

        self.gamma, self.beta = weight("gamma", "ones"), weight("beta", "zeros")
        self.moving_mean = weight("moving_mean", "zeros", trainable=False)
        self.moving_variance = weight("moving_variance", "ones", trainable=False)

    def call(self, x: tf.Tensor, valid: tf.Tensor, training: bool = False) -> tf.Tensor:
        gamma, beta, mean, variance = (
            tf.convert_to_tensor(each) for each in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        if not (training or self.always_batch_statistics):
            scale = gamma * tf.math.rsqrt(variance + self.EPSILON)
            return x * tf.cast(scale, x.dtype) + tf.cast(beta - mean * scale, x.dtype)
        moving = (mean, variance)
        valid_TB1 = tf.expand_dims(tf.cast(valid, tf.float32), 2)
        y, *found = _normalised(x, gamma, beta, valid_TB1, *moving, epsilon=self.EPSILON)
        if training:
            keep = self.momentum
            self.moved.values = tuple(keep * old + (1 - keep) * new for old, new in zip(moving, found, strict=True))
        return y

    def with_dropout(self, x: tf.Tensor, valid: tf.Tensor, *, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
        """Return the outputs in training with a share `rate` of them dropped, in one call of code made by LLVM."""
        weights = (each.value for each in (self.gamma, self.beta, self.moving_mean, self.moving_variance))
        options = {"momentum": self.momentum, "epsilon": self.EPSILON, "rate": rate, "seed": seed}
        y, *moved = batch_norm.batch_norm(x, valid, *weights, **options)
        self.moved.values = tuple(moved)
        return y


def _normalised(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    valid: tf.Tensor,
    moving_mean: tf.Tensor,
    moving_variance: tf.Tensor,
    *,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalise x [T, B, H] by mean and variance over valid frames, float32 [T, B, 1]; return it and both [H].

    If a replica has no valid frame at all they are the moving averages. The gradient is the one that TensorFlow would
    derive, to the last digit, in half of the operations: those of broadcasts and of `valid` are not even traced. Its
    optimiser sorts the terms of a sum by name, so that names decide in which order three are added up.
    """

    @tf.custom_gradient
    def normalised(x, gamma, beta, valid, moving_mean, moving_variance):
        x32, count = tf.cast(x, tf.float32), tf.reduce_sum(valid)
        filled = count > 0
        batch_mean = tf.math.divide_no_nan(tf.reduce_sum(x32 * valid, [0, 1]), count)
        apart = x32 - batch_mean
        batch_variance = tf.math.divide_no_nan(tf.reduce_sum(tf.square(apart) * valid, [0, 1]), count)
        mean = tf.where(filled, batch_mean, moving_mean)
        variance = tf.where(filled, batch_variance, moving_variance)
        inverse = tf.math.rsqrt(variance + epsilon)
        scale = gamma * inverse
        scale_of_x = tf.cast(scale, x.dtype)

        def gradient(dy, *_):
            dshift = tf.cast(tf.reduce_sum(dy, [0, 1]), tf.float32)
            dscale = tf.cast(tf.reduce_sum(x * dy, [0, 1]), tf.float32) - mean * dshift
            dvariance = tf.raw_ops.RsqrtGrad(y=inverse, dy=gamma * dscale)
            zeros = tf.zeros_like(dvariance)
            dsquares = tf.math.divide_no_nan(tf.where(filled, dvariance, zeros), count)
            dapart = tf.multiply(dsquares * valid, 2.0 * apart, name="apart")
            dmean = tf.where(filled, -dshift * scale, zeros) - tf.reduce_sum(dapart, [0, 1])
            parts = [dapart, tf.multiply(tf.math.divide_no_nan(dmean, count), valid, name="mean")]
            if x.dtype != tf.float32:
                parts = [tf.cast(tf.add_n(parts), x.dtype)]
            dx = tf.add_n([tf.multiply(dy, scale_of_x, name="scaled"), *parts])
            return dx, dscale * inverse, dshift, None, None, None

        return (x * scale_of_x + tf.cast(beta - mean * scale, x.dtype), mean, variance), gradient

    return normalised(x, gamma, beta, valid, moving_mean, moving_variance)
