"""The recurrent layer: an LSTM that runs forward only, with or without peepholes.

    layer = LSTM(800, peepholes=False, forget_bias=0.0)
    outputs = layer(inputs)                     # [T, B, I] -> [T, B, H], time first as in all kernels

The work is cut so that matrix units stay busy: one matrix product over the inputs of all frames, a loop that carries
only the recurrent product, and after the loop one product for each weight gradient. `kernel_for` says what runs the
loop: on a CPU code made by LLVM (models/deepspeech/recurrence.py), where that does not fit, and on a GPU with
peepholes, XLA. On a GPU without peepholes cuDNN does the whole layer. Models that are exported have TensorFlow's own
operations alone, "portable".

Equations (Gers, Schraudolph and Schmidhuber 2002; gate order i, f, g, o as in keras.layers.LSTM):

    i = sigmoid(x Wi + h' Ui + bi + c' pi)      f = sigmoid(x Wf + h' Uf + bf + c' pf)
    g = tanh(x Wg + h' Ug + bg)                 c = f c' + i g
    o = sigmoid(x Wo + h' Uo + bo + c po)       h = o tanh(c)

where ' marks the frame before and the peepholes pi, pf, po are zero unless asked for.

Shapes in comments: B utterances, T frames, I inputs, H units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import keras
import numpy as np
import tensorflow as tf

from models import llvm
from models.deepspeech import recurrence
from models.kernels import Choice, apart, reason


class LSTM(keras.layers.Layer):
    """A forward LSTM over whole sequences, states zero at the start. Input [T, B, I], output [T, B, H].

    Weights: kernel [I, 4H], recurrent kernel [H, 4H], bias [4H], and [3, H] if `peepholes`. The forget gate's
    bias starts at `forget_bias`, other biases at zero. Frames past an utterance's end only affect later frames.
    `loop`, "llvm", "xla" or "cudnn", is for comparisons, and "portable" for export; None takes the fastest that fits.
    Outputs of `training=False` are the same, but have no gradient on a GPU, where they take less memory.
    """

    def __init__(
        self, units: int, *, peepholes: bool = False, forget_bias: float = 0.0, loop: str | None = None, **options
    ) -> None:
        super().__init__(**options)
        self.units, self.peepholes, self.forget_bias, self.loop = units, peepholes, forget_bias, loop

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.chosen(self.compute_dtype) == "llvm":
            llvm.prepare(recurrence.code)
        gates = 4 * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], gates), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, gates), name="recurrent", initializer="orthogonal")
        self.bias = self.add_weight(shape=(gates,), name="bias", initializer=self._initial_bias)
        self.peephole = (
            self.add_weight(shape=(3, self.units), name="peephole", initializer="zeros") if self.peepholes else None
        )

    def _initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        parts = [0.0, self.forget_bias, 0.0, 0.0]
        return tf.constant(np.repeat(parts, shape[0] // 4), dtype or "float32")

    def chosen(self, dtype: str) -> str:
        """Return the kernel that runs the loop."""
        return self.loop or kernel_for(self.units, peepholes=self.peepholes, dtype=dtype).kernel

    def call(self, inputs: tf.Tensor, training: bool = True) -> tf.Tensor:
        weights = [tf.cast(w, inputs.dtype) for w in (self.kernel, self.recurrent, self.bias)]
        loop = self.chosen(inputs.dtype.name)
        if loop == "cudnn":
            return _cudnn(inputs, *weights, training=training)
        peephole = tf.cast(self.peephole, inputs.dtype) if self.peepholes else None
        if loop == "portable":
            return _portable(inputs, *weights, peephole)
        return _lstm(inputs, *weights, peephole, **(_LLVM if loop == "llvm" else _XLA))


def kernel_for(units: int, *, peepholes: bool, dtype: str) -> Choice:
    """Choose the fastest kernel for a layer on the devices that TensorFlow may use; a GPU tries cuDNN's."""
    if not tf.config.list_logical_devices("GPU"):
        if dtype == "float32" and recurrence.fits(units):
            return Choice("llvm", "there is no GPU")
        vectors = "no float32" if dtype != "float32" else f"{units} units fill no vectors of this processor"
        return Choice("xla", f"there is no GPU, and {vectors}")
    if peepholes:
        return Choice("xla", "cuDNN has no peepholes")
    if why := _cudnn_differs(dtype):
        return Choice("xla", why, fallen_back=True)
    return Choice("cudnn", "its outputs and gradients are those of XLA on the CPU")


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
    """Compute [T, B, I] -> [T, B, H]; `forward` and `backward` do the loops over frames.

    forward(xw [T, B, 4H], recurrent, peephole) gives outputs h and cells c, [T + 1, B, H] with the zero state first,
    and the gates after their activations [T, B, 4H]; backward gives the gradients of the gates before them and of bias.
    """
    units = recurrent.shape[0]
    no_peephole = peephole is None

    @tf.custom_gradient
    def lstm(x, kernel, recurrent, bias, peephole):
        flat_x = tf.reshape(x, [-1, kernel.shape[0]])
        xw = _unflattened(tf.nn.bias_add(tf.matmul(flat_x, kernel), bias), x)
        h, gates, c = forward(xw, recurrent, peephole)

        def gradient(dh: tf.Tensor):
            dz, dbias = backward(dh, gates, c, recurrent, peephole)
            flat = tf.reshape(dz, [-1, 4 * units])
            dx = _unflattened(tf.matmul(flat, kernel, transpose_b=True), x)
            dkernel = tf.matmul(flat_x, flat, transpose_a=True)
            drecurrent = tf.matmul(tf.reshape(h[:-1], [-1, units]), flat, transpose_a=True)
            return dx, dkernel, drecurrent, dbias, None if no_peephole else _peephole_gradient(dz, c)

        return h[1:], gradient

    if no_peephole:
        peephole = tf.zeros([3, units], x.dtype)
    outputs = lstm(x, kernel, recurrent, bias, peephole)
    return tf.ensure_shape(outputs, [x.shape[0], x.shape[1], units])


def _unflattened(flat: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Return [T B, N] as [T, B, N], with the T and B of x; shapes that are known take no operations."""
    frames, batch = x.shape[:2]
    if batch is None:
        frames, batch = tf.unstack(tf.shape(x)[:2])
    return tf.reshape(flat, [-1 if frames is None else frames, batch, flat.shape[1]])


def _peephole_gradient(dz: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
    dzi, dzf, _, dzo = tf.split(dz, 4, axis=2)
    parts = [(dzi, c[:-1]), (dzf, c[:-1]), (dzo, c[1:])]
    exact = [tf.einsum("tbh,tbh->h", *(tf.cast(each, tf.float32) for each in part)) for part in parts]
    return tf.cast(tf.stack(exact), dz.dtype)


def _summed(flat: tf.Tensor) -> tf.Tensor:
    """Sum over frames and utterances, in float32: 20,000 numbers of 16 bits, added up in 16, are 1 to 9% off."""
    return tf.cast(tf.reduce_sum(tf.cast(flat, tf.float32), 0), flat.dtype)


# --- LLVM: one processor, float32 ------------------------------------------------------------------------------------


def _llvm_forward(xw, recurrent, peephole):
    h, gates, c = tf.numpy_function(recurrence.forward, [xw, recurrent, peephole], [xw.dtype] * 3, stateful=False)
    units = recurrent.shape[0]
    for values, size in ((h, units), (gates, 4 * units), (c, units)):
        values.set_shape([None, None, size])
    return h, gates, c


def _llvm_backward(dh, gates, c, recurrent, peephole):
    given = [dh, gates, c, recurrent, peephole]
    dz, dbias = tf.numpy_function(recurrence.backward, given, [dh.dtype] * 2, stateful=False)
    dz.set_shape([None, None, 4 * recurrent.shape[0]])
    dbias.set_shape([4 * recurrent.shape[0]])
    return dz, dbias


# --- XLA: any device and precision, compiled once for each shape -----------------------------------------------------
# Only `maximum_iterations` ends the loops: XLA then knows how long they are, and a GPU asks the host after no frame.


@tf.function(jit_compile=True)
def _xla_forward(xw, recurrent, peephole):
    frames, batch, _ = tf.unstack(tf.shape(xw))
    units = recurrent.shape[0]
    kept = [tf.TensorArray(xw.dtype, frames, element_shape=[None, size]) for size in (units, 4 * units, units)]
    state = tf.zeros([batch, units], xw.dtype)

    def step(t, h, c, hs, gates, cs):
        activated, c, h = _cell(xw[t] + tf.matmul(h, recurrent), c, peephole)
        return t + 1, h, c, hs.write(t, h), gates.write(t, tf.concat(activated, 1)), cs.write(t, c)

    *_, hs, gates, cs = tf.while_loop(lambda *_: True, step, [0, state, state, *kept], maximum_iterations=frames)
    return tf.concat([state[None], hs.stack()], 0), gates.stack(), tf.concat([state[None], cs.stack()], 0)


def _cell(z, c, peephole):
    """Return the gates i, f, g, o after their activations, the cells and the outputs of a frame."""
    zi, zf, zg, zo = tf.split(z, 4, axis=1)
    i, f, g = tf.sigmoid(zi + c * peephole[0]), tf.sigmoid(zf + c * peephole[1]), tf.tanh(zg)
    c = f * c + i * g
    o = tf.sigmoid(zo + c * peephole[2])
    return (i, f, g, o), c, o * tf.tanh(c)


def _xla_backward(dh, gates, c, recurrent, peephole):
    # Transposed out here: XLA would fold the transposition into the product of every frame, at twice the time.
    dz = _xla_backward_loop(dh, gates, c, tf.transpose(recurrent), peephole)
    return dz, _summed(tf.reshape(dz, [-1, dz.shape[2]]))


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

    *_, dzs = tf.while_loop(lambda *_: True, step, [frames - 1, state, state, kept], maximum_iterations=frames)
    return dzs.stack()


# --- portable: any device, by what every TensorFlow has --------------------------------------------------------------


def _portable(x, kernel, recurrent, bias, peephole):
    """Compute [T, B, I] -> [T, B, H] by a loop that keeps the outputs alone."""
    frames, batch, _ = tf.unstack(tf.shape(x))
    units = recurrent.shape[0]
    peephole = tf.zeros([3, units], x.dtype) if peephole is None else peephole
    flat = tf.nn.bias_add(tf.matmul(tf.reshape(x, [frames * batch, kernel.shape[0]]), kernel), bias)
    xw = tf.reshape(flat, [frames, batch, 4 * units])
    state = tf.zeros([batch, units], x.dtype)

    def step(t, h, c, hs):
        _, c, h = _cell(xw[t] + tf.matmul(h, recurrent), c, peephole)
        return t + 1, h, c, hs.write(t, h)

    kept = tf.TensorArray(x.dtype, frames, element_shape=[None, units])
    *_, hs = tf.while_loop(lambda t, *_: t < frames, step, [0, state, state, kept])
    return tf.ensure_shape(hs.stack(), [x.shape[0], x.shape[1], units])


# --- cuDNN: GPUs, no peepholes ---------------------------------------------------------------------------------------


def _cudnn(x, kernel, recurrent, bias, *, training=True):
    state = tf.zeros([1, tf.shape(x)[1], recurrent.shape[0]], x.dtype)
    outputs = tf.raw_ops.CudnnRNNV3(
        input=x,
        input_h=state,
        input_c=state,
        params=cudnn_parameters(kernel, recurrent, bias),
        sequence_lengths=tf.fill([tf.shape(x)[1]], tf.shape(x)[0]),
        rnn_mode="lstm",
        is_training=training,  # keeps what the gradient needs: memory that an evaluation has no use for
        time_major=True,
    )[0]
    return tf.ensure_shape(outputs, [x.shape[0], x.shape[1], recurrent.shape[0]])


def cudnn_parameters(kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Return all weights in one vector: the matrices of i, f, g, o transposed, inputs' first; then two biases.

    cuDNN adds a bias to either product; the first is zero.
    """
    matrices = [*tf.split(kernel, 4, axis=1), *tf.split(recurrent, 4, axis=1)]
    flat = [tf.reshape(tf.transpose(matrix), [-1]) for matrix in matrices]
    return tf.concat([*flat, tf.zeros_like(bias), bias], 0)


@cache
def _cudnn_differs(dtype: str) -> str:
    """Return how cuDNN's LSTM differs from XLA's on the CPU, or fails; "" if it does neither.

    A library that does not fit the driver must not end a run, nor make it learn something else.
    """
    return apart(_difference, dtype)


def compare(dtype: str) -> dict[str, str]:
    """Return how the kernels that a type may have here differ from XLA's on the CPU in float32; "" if they do not."""
    if tf.config.list_logical_devices("GPU"):
        kernels = ("cudnn", "xla")
    else:
        kernels = ("llvm",) if dtype == "float32" and recurrence.fits(SMALL[2][0]) else ("xla",)
    return {name: apart(_difference, dtype, name, "float32") for name in kernels}


SMALL = [(40, 3, 6), (6, 64), (16, 64), (64,)]  # 40 frames, 3 utterances, 6 inputs, 16 units


def _difference(dtype: str, kernel: str = "cudnn", against: str = "") -> str:
    """Return how a kernel differs from XLA's on the CPU, `against` a type or the same."""
    layers = {"cudnn": _cudnn, **{name: partial(_lstm, peephole=None, **each) for name, each in _LOOPS.items()}}
    given = [tf.cast(0.4 * tf.random.stateless_normal(shape, [n, 1]), dtype) for n, shape in enumerate(SMALL)]
    name = {"cudnn": "cuDNN", "llvm": "LLVM", "xla": "XLA"}[kernel]
    try:
        found = _outputs_and_gradients(layers[kernel], given)
        with tf.device("CPU:0"):  # on a GPU, XLA may lack what it compiles with
            expected = _outputs_and_gradients(layers["xla"], [tf.cast(each, against or dtype) for each in given])
    except tf.errors.OpError as error:
        return f"{name}'s failed: {reason(error)}"
    alike = all(_near(a, b) for a, b in zip(found, expected, strict=True))
    return "" if alike else f"{name}'s outputs or gradients are not XLA's" + " in float32" * bool(against)


def _outputs_and_gradients(layer: Callable[..., tf.Tensor], given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    @tf.function
    def compute(*given: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = layer(*given)
            loss = tf.reduce_sum(tf.sin(tf.cast(outputs, tf.float32)))
        return [outputs, *tape.gradient(loss, given)]

    return [tf.cast(value, tf.float32) for value in compute(*given)]


def _near(found: tf.Tensor, expected: tf.Tensor) -> bool:
    """Tell whether arrays agree within 5% of the largest value, as tf32 and bfloat16 round; no if any is NaN."""
    return bool(tf.reduce_max(tf.abs(found - expected)) < 0.05 * tf.reduce_max(tf.abs(expected)))


_LLVM = {"forward": _llvm_forward, "backward": _llvm_backward}
_XLA = {"forward": _xla_forward, "backward": _xla_backward}
_LOOPS = {"llvm": _LLVM, "xla": _XLA}
