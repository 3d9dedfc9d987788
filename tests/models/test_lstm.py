"""keras.layers.LSTM is the oracle; peepholes, which it lacks, are checked against the equations written out."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def layers(tf):
    import keras

    from models.lstm import LSTM

    return keras, LSTM


def outputs_and_gradients(tf, layer, inputs):
    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.sin(outputs))
        return outputs, tape.gradient(loss, [inputs, *layer.trainable_variables])

    return compute()


@pytest.mark.parametrize(("batch", "frames"), [(1, 1), (3, 7), (5, 40)])
def test_outputs_and_gradients_are_those_of_keras(tf, layers, batch, frames):
    keras, LSTM = layers
    inputs = tf.random.stateless_normal([batch, frames, 6], seed=[1, 2])
    ours, theirs = LSTM(5), keras.layers.LSTM(5, return_sequences=True, unit_forget_bias=False)
    ours(inputs), theirs(inputs)
    weights = [np.random.default_rng(n).normal(size=w.shape, scale=0.4) for n, w in enumerate(ours.get_weights())]
    ours.set_weights(weights), theirs.set_weights(weights)
    (y, gradients), (y_keras, gradients_keras) = (outputs_and_gradients(tf, x, inputs) for x in (ours, theirs))
    np.testing.assert_allclose(y, y_keras, rtol=1e-4, atol=1e-6)
    for ours_, theirs_ in zip(gradients, gradients_keras, strict=True):
        np.testing.assert_allclose(ours_, theirs_, rtol=1e-4, atol=1e-5)


def written_out(tf, x, kernel, recurrent, bias, peephole):
    """The module's equations, frame by frame, with TensorFlow's own gradient."""
    h = c = tf.zeros([x.shape[0], recurrent.shape[0]])
    outputs = []
    for t in range(x.shape[1]):
        zi, zf, zg, zo = tf.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f = tf.sigmoid(zi + c * peephole[0]), tf.sigmoid(zf + c * peephole[1])
        c = f * c + i * tf.tanh(zg)
        h = tf.sigmoid(zo + c * peephole[2]) * tf.tanh(c)
        outputs.append(h)
    return tf.stack(outputs, 1)


def test_peepholes_follow_the_equations_and_so_do_their_gradients(tf, layers):
    _, LSTM = layers
    inputs = tf.random.stateless_normal([2, 6, 3], seed=[3, 4])
    layer = LSTM(4, peepholes=True)
    layer(inputs)
    weights = [
        tf.constant(np.random.default_rng(n).normal(size=w.shape, scale=0.5), tf.float32)
        for n, w in enumerate(layer.get_weights())
    ]
    layer.set_weights(weights)
    outputs, gradients = outputs_and_gradients(tf, layer, inputs)
    with tf.GradientTape() as tape:
        tape.watch([inputs, *weights])
        expected = written_out(tf, inputs, *weights)
        loss = tf.reduce_sum(tf.sin(expected))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(gradients, tape.gradient(loss, [inputs, *weights]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_forget_bias_is_where_it_starts(tf, layers):
    _, LSTM = layers
    layer = LSTM(2, forget_bias=1.0)
    layer(tf.zeros([1, 1, 3]))
    assert layer.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]  # i, f, g, o


def test_frames_have_no_influence_on_earlier_ones(tf, layers):
    _, LSTM = layers
    layer = LSTM(4)
    inputs = tf.random.stateless_normal([2, 9, 3], seed=[5, 6])
    np.testing.assert_allclose(layer(inputs)[:, :5], layer(inputs[:, :5]), atol=1e-6)
