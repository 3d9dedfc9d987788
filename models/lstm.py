"""The recurrent layer: an LSTM that runs forward only, with or without peepholes.

    layer = LSTM(800, peepholes=False, forget_bias=0.0)
    outputs = layer(inputs)                     # [T, B, I] -> [T, B, H], time first as in all kernels

The work is cut so that matrix units stay busy: one matrix product over the inputs of all frames, a loop that carries
only the recurrent product, and after the loop one product for each weight gradient. `kernel_for` says what runs the
loop: on a CPU code made by LLVM (models/recurrence.py), where that does not fit, and on a GPU with peepholes, XLA.
On a GPU without peepholes cuDNN does the whole layer.

Equations (Gers, Schraudolph and Schmidhuber 2002; gate order i, f, g, o as in keras.layers.LSTM):

    i = sigmoid(x Wi + h' Ui + bi + c' pi)      f = sigmoid(x Wf + h' Uf + bf + c' pf)
    g = tanh(x Wg + h' Ug + bg)                 c = f c' + i g
    o = sigmoid(x Wo + h' Uo + bo + c po)       h = o tanh(c)

where ' marks the frame before and the peepholes pi, pf, po are zero unless asked for.

Shapes in comments: B utterances, T frames, I inputs, H units.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import keras
import tensorflow as tf

from models import recurrence

KERNELS = ("llvm", "xla", "cudnn")


class LSTM(keras.layers.Layer):
    """A forward LSTM over whole sequences, states zero at the start. Input [T, B, I], output [T, B, H].

    Weights: kernel [I, 4H], recurrent kernel [H, 4H], bias [4H], and [3, H] if `peepholes`. The forget gate's
    bias starts at `forget_bias`, other biases at zero. Frames past an utterance's end only affect later frames.
    `loop`, one of KERNELS, is for comparisons; None takes the fastest that fits.
    """

    def __init__(
        self, units: int, *, peepholes: bool = False, forget_bias: float = 0.0, loop: str | None = None, **options
    ) -> None:
        super().__init__(**options)
        self.units, self.peepholes, self.forget_bias, self.loop = units, peepholes, forget_bias, loop

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
        weights = [tf.cast(w, inputs.dtype) for w in (self.kernel, self.recurrent, self.bias)]
        loop = self.loop or kernel_for(self.units, peepholes=self.peepholes, dtype=inputs.dtype.name)
        if loop == "cudnn":
            return _cudnn(inputs, *weights)
        forward, backward = (_llvm_forward, _llvm_backward) if loop == "llvm" else (_xla_forward, _xla_backward)
        peephole = tf.cast(self.peephole, inputs.dtype) if self.peepholes else None
        return _lstm(inputs, *weights, peephole, forward=forward, backward=backward)


def kernel_for(units: int, *, peepholes: bool, dtype: str) -> str:
    """Which of KERNELS is fastest for a layer of this size and precision on the devices that TensorFlow may use."""
    if tf.config.list_logical_devices("GPU"):
        return "cudnn" if not peepholes and _cudnn_agrees(dtype) else "xla"
    return "llvm" if dtype == "float32" and recurrence.fits(units) else "xla"


def _lstm(
    x: tf.Tensor,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
    peephole: tf.Tensor | None,
    *,
    forward: Callable[..., tuple[tf.Tensor, ...]],
    backward: Callable[..., tf.Tensor],
) -> tf.Tensor:
    """[T, B, I] -> [T, B, H], the loops over frames being done by `forward` and `backward`.

    forward(xw [T, B, 4H], recurrent, peephole) gives outputs h and cells c, [T + 1, B, H] with the zero state first,
    and the gates after their activations [T, B, 4H]; backward gives the gradient of the gates before them.
    """
    units = recurrent.shape[0]

    @tf.custom_gradient
    def lstm(x, kernel, recurrent, bias, peephole):
        frames, batch, inputs = tf.unstack(tf.shape(x))
        flat_x = tf.reshape(x, [frames * batch, kernel.shape[0]])
        xw = tf.reshape(tf.nn.bias_add(tf.matmul(flat_x, kernel), bias), [frames, batch, 4 * units])
        h, gates, c = forward(xw, recurrent, peephole)

        def gradient(dh: tf.Tensor):
            dz = backward(dh, gates, c, recurrent, peephole)
            flat = tf.reshape(dz, [frames * batch, 4 * units])
            dx = tf.reshape(tf.matmul(flat, kernel, transpose_b=True), [frames, batch, inputs])
            dkernel = tf.matmul(flat_x, flat, transpose_a=True)
            drecurrent = tf.matmul(tf.reshape(h[:-1], [frames * batch, units]), flat, transpose_a=True)
            return dx, dkernel, drecurrent, tf.reduce_sum(flat, 0), _peephole_gradient(dz, c)

        return h[1:], gradient

    if peephole is None:
        peephole = tf.zeros([3, units], x.dtype)
    return tf.ensure_shape(lstm(x, kernel, recurrent, bias, peephole), [x.shape[0], x.shape[1], units])


def _peephole_gradient(dz: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
    dzi, dzf, _, dzo = tf.split(dz, 4, axis=2)
    parts = [(dzi, c[:-1]), (dzf, c[:-1]), (dzo, c[1:])]
    return tf.stack([tf.einsum("tbh,tbh->h", d, cells) for d, cells in parts])


# --- LLVM: one processor, float32 ------------------------------------------------------------------------------------


def _llvm_forward(xw, recurrent, peephole):
    h, gates, c = tf.numpy_function(recurrence.forward, [xw, recurrent, peephole], [xw.dtype] * 3, stateful=False)
    units = recurrent.shape[0]
    return tuple(tf.ensure_shape(v, [None, None, size]) for v, size in ((h, units), (gates, 4 * units), (c, units)))


def _llvm_backward(dh, gates, c, recurrent, peephole):
    dz = tf.numpy_function(recurrence.backward, [dh, gates, c, recurrent, peephole], dh.dtype, stateful=False)
    return tf.ensure_shape(dz, [None, None, 4 * recurrent.shape[0]])


# --- XLA: any device and precision, compiled once for each shape -----------------------------------------------------


@tf.function(jit_compile=True)
def _xla_forward(xw, recurrent, peephole):
    frames, batch, _ = tf.unstack(tf.shape(xw))
    units = recurrent.shape[0]
    kept = [tf.TensorArray(xw.dtype, frames, element_shape=[None, size]) for size in (units, 4 * units, units)]
    state = tf.zeros([batch, units], xw.dtype)

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
    return tf.concat([state[None], hs.stack()], 0), gates.stack(), tf.concat([state[None], cs.stack()], 0)


def _xla_backward(dh, gates, c, recurrent, peephole):
    # Transposed out here: XLA would fold the transposition into the product of every frame, at twice the time.
    return _xla_backward_loop(dh, gates, c, tf.transpose(recurrent), peephole)


@tf.function(jit_compile=True)
def _xla_backward_loop(dh, gates, c, transposed, peephole):
    frames, batch, _ = tf.unstack(tf.shape(dh))
    units = transposed.shape[1]
    kept = tf.TensorArray(dh.dtype, frames, element_shape=[None, 4 * units])
    state = tf.zeros([batch, units], dh.dtype)

    def step(t, dh_later, dc, dzs):
        i, f, g, o = tf.split(gates[t], 4, axis=1)
        tanh_c = tf.tanh(c[t + 1])
        dh_t = dh[t] + dh_later
        dzo = dh_t * tanh_c * o * (1 - o)
        dc = dc + dh_t * o * (1 - tanh_c * tanh_c) + dzo * peephole[2]
        dzi, dzf, dzg = dc * g * i * (1 - i), dc * c[t] * f * (1 - f), dc * i * (1 - g * g)
        dz = tf.concat([dzi, dzf, dzg, dzo], 1)
        dc = dc * f + dzi * peephole[0] + dzf * peephole[1]
        return t - 1, tf.matmul(dz, transposed), dc, dzs.write(t, dz)

    *_, dzs = tf.while_loop(lambda t, *_: t >= 0, step, [frames - 1, state, state, kept], maximum_iterations=frames)
    return dzs.stack()


# --- cuDNN: GPUs, no peepholes ---------------------------------------------------------------------------------------


def _cudnn(x, kernel, recurrent, bias):
    state = tf.zeros([1, tf.shape(x)[1], recurrent.shape[0]], x.dtype)
    outputs = tf.raw_ops.CudnnRNNV3(
        input=x,
        input_h=state,
        input_c=state,
        params=cudnn_parameters(kernel, recurrent, bias),
        sequence_lengths=tf.fill([tf.shape(x)[1]], tf.shape(x)[0]),
        rnn_mode="lstm",
        is_training=True,
        time_major=True,
    )[0]
    return tf.ensure_shape(outputs, [x.shape[0], x.shape[1], recurrent.shape[0]])


def cudnn_parameters(kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """All weights in one vector: the matrices of i, f, g, o transposed, inputs' before recurrent; then two biases.

    cuDNN adds a bias to either product; the first is zero.
    """
    matrices = [*tf.split(kernel, 4, axis=1), *tf.split(recurrent, 4, axis=1)]
    flat = [tf.reshape(tf.transpose(matrix), [-1]) for matrix in matrices]
    return tf.concat([*flat, tf.zeros_like(bias), bias], 0)


@cache
def _cudnn_agrees(dtype: str) -> bool:
    """Tell whether cuDNN's LSTM runs here and gives XLA's result: a library that does not fit the driver must not end
    a run, nor make it learn something else."""
    with tf.init_scope():
        random = [tf.random.stateless_normal(shape, [n, 1]) for n, shape in enumerate([(5, 2, 3), (3, 32), (8, 32)])]
        x, kernel, recurrent = (tf.cast(value, dtype) for value in random)
        bias = tf.zeros([32], x.dtype)
        try:
            found = _cudnn(x, kernel, recurrent, bias)
        except tf.errors.OpError:
            return False
        expected = _lstm(x, kernel, recurrent, bias, None, forward=_xla_forward, backward=_xla_backward)
        difference = tf.reduce_max(tf.abs(tf.cast(found, "float32") - tf.cast(expected, "float32")))
        return bool(difference < 0.05)  # tf32 and bfloat16 round
