"""The recurrent layer: an LSTM that runs forward only, with or without peepholes.

    layer = LSTM(800, peepholes=False, forget_bias=0.0)
    outputs = layer(inputs)                     # [B, T, I] -> [B, T, H]

The work is cut so that matrix units stay busy: one matrix product over the inputs of all frames, a small loop
that carries only the recurrent product, and after the loop one product for each weight gradient. Forward and
backward are compiled by XLA, once for each shape. The gradient is written out by hand, because what the loop
keeps must leave the compiled forward pass as plain stacked tensors.

Equations (Gers, Schraudolph and Schmidhuber 2002; gate order i, f, g, o as in keras.layers.LSTM):

    i = sigmoid(x Wi + h' Ui + bi + c' pi)      f = sigmoid(x Wf + h' Uf + bf + c' pf)
    g = tanh(x Wg + h' Ug + bg)                 c = f c' + i g
    o = sigmoid(x Wo + h' Uo + bo + c po)       h = o tanh(c)

where ' marks the frame before and the peepholes pi, pf, po are zero unless asked for.

Shapes in comments: B utterances, T frames, I inputs, H units.
"""

from __future__ import annotations

import keras
import tensorflow as tf


class LSTM(keras.layers.Layer):
    """A forward LSTM over whole sequences, states zero at the start. Input [B, T, I], output [B, T, H].

    Weights: kernel [I, 4H], recurrent kernel [H, 4H], bias [4H], and [3, H] if `peepholes`. The forget gate's
    bias starts at `forget_bias`, other biases at zero. Frames past an utterance's end only affect later frames.
    """

    def __init__(self, units: int, *, peepholes: bool = False, forget_bias: float = 0.0, **options) -> None:
        super().__init__(**options)
        self.units, self.peepholes, self.forget_bias = units, peepholes, forget_bias

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        gates = 4 * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], gates), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, gates), name="recurrent", initializer="orthogonal")
        self.bias = self.add_weight(shape=(gates,), name="bias", initializer=self._initial_bias)
        self.peephole = (
            self.add_weight(shape=(3, self.units), name="peephole", initializer="zeros") if self.peepholes else None
        )

    def _initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        parts = [0.0, self.forget_bias, 0.0, 0.0]
        return tf.repeat(tf.constant(parts, dtype or "float32"), shape[0] // 4)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs_TBI = tf.transpose(inputs, [1, 0, 2])
        weights = [tf.cast(w, inputs.dtype) for w in (self.kernel, self.recurrent, self.bias)]
        if self.peepholes:
            outputs_TBH = peephole_lstm(inputs_TBI, *weights, tf.cast(self.peephole, inputs.dtype))
        else:
            outputs_TBH = lstm(inputs_TBI, *weights)
        return tf.transpose(outputs_TBH, [1, 0, 2])


@tf.custom_gradient
def lstm(x: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor):
    """[T, B, I] -> [T, B, H] without peepholes."""
    zeros = tf.zeros([3, recurrent.shape[0]], x.dtype)
    h, gates, c = _forward(x, kernel, recurrent, bias, zeros)

    def gradient(dh: tf.Tensor):
        return _backward(dh, x, h, gates, c, kernel, recurrent, zeros)[:4]

    return h, gradient


@tf.custom_gradient
def peephole_lstm(x: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor, peephole: tf.Tensor):
    """[T, B, I] -> [T, B, H] with peephole weights [3, H] from the cell to i, f and o."""
    h, gates, c = _forward(x, kernel, recurrent, bias, peephole)

    def gradient(dh: tf.Tensor):
        return _backward(dh, x, h, gates, c, kernel, recurrent, peephole)

    return h, gradient


@tf.function(jit_compile=True)
def _forward(x, kernel, recurrent, bias, peephole):
    """Outputs h [T, B, H]; for the gradient: gates after their activations [T, B, 4H] and cells c [T, B, H]."""
    frames, batch, inputs = tf.unstack(tf.shape(x))
    units = recurrent.shape[0]
    xw = tf.reshape(tf.matmul(tf.reshape(x, [frames * batch, inputs]), kernel) + bias, [frames, batch, 4 * units])
    kept = [tf.TensorArray(x.dtype, frames, element_shape=[None, size]) for size in (units, 4 * units, units)]
    state = tf.zeros([batch, units], x.dtype)

    def step(t, h, c, hs, gates, cs):
        zi, zf, zg, zo = tf.split(xw[t] + tf.matmul(h, recurrent), 4, axis=1)
        i, f, g = tf.sigmoid(zi + c * peephole[0]), tf.sigmoid(zf + c * peephole[1]), tf.tanh(zg)
        c = f * c + i * g
        o = tf.sigmoid(zo + c * peephole[2])
        h = o * tf.tanh(c)
        return t + 1, h, c, hs.write(t, h), gates.write(t, tf.concat([i, f, g, o], 1)), cs.write(t, c)

    *_, hs, gates, cs = tf.while_loop(
        lambda t, *_: t < frames, step, [0, state, state, *kept], maximum_iterations=frames
    )
    return hs.stack(), gates.stack(), cs.stack()


@tf.function(jit_compile=True)
def _backward(dh, x, h, gates, c, kernel, recurrent, peephole):
    """Gradients of x, kernel, recurrent, bias and peephole, given that of the outputs, dh [T, B, H]."""
    frames, batch, inputs = tf.unstack(tf.shape(x))
    units = recurrent.shape[0]
    before = tf.concat([tf.zeros_like(c[:1]), c[:-1]], 0)
    kept = tf.TensorArray(x.dtype, frames, element_shape=[None, 4 * units])
    state = tf.zeros([batch, units], x.dtype)

    def step(t, dh_later, dc, dzs):
        i, f, g, o = tf.split(gates[t], 4, axis=1)
        tanh_c = tf.tanh(c[t])
        dh_t = dh[t] + dh_later
        dzo = dh_t * tanh_c * o * (1 - o)
        dc = dc + dh_t * o * (1 - tanh_c * tanh_c) + dzo * peephole[2]
        dzi, dzf, dzg = dc * g * i * (1 - i), dc * before[t] * f * (1 - f), dc * i * (1 - g * g)
        dz = tf.concat([dzi, dzf, dzg, dzo], 1)
        dc = dc * f + dzi * peephole[0] + dzf * peephole[1]
        return t - 1, tf.matmul(dz, recurrent, transpose_b=True), dc, dzs.write(t, dz)

    *_, dzs = tf.while_loop(lambda t, *_: t >= 0, step, [frames - 1, state, state, kept], maximum_iterations=frames)
    dz = dzs.stack()
    flat = tf.reshape(dz, [frames * batch, 4 * units])
    h_before = tf.reshape(tf.concat([tf.zeros_like(h[:1]), h[:-1]], 0), [frames * batch, units])
    dx = tf.reshape(tf.matmul(flat, kernel, transpose_b=True), [frames, batch, inputs])
    dkernel = tf.matmul(tf.reshape(x, [frames * batch, inputs]), flat, transpose_a=True)
    drecurrent = tf.matmul(h_before, flat, transpose_a=True)
    dzi, dzf, _, dzo = tf.split(dz, 4, axis=2)
    dpeephole = tf.stack(
        [tf.reduce_sum(dzi * before, [0, 1]), tf.reduce_sum(dzf * before, [0, 1]), tf.reduce_sum(dzo * c, [0, 1])]
    )
    return dx, dkernel, drecurrent, tf.reduce_sum(flat, 0), dpeephole
