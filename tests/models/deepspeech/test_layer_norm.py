"""Layer normalisation, ReLU and dropout by LLVM: Keras's operation and TensorFlow's dropout are the oracles."""

from functools import partial

import numpy as np
import pytest

from models import llvm
from models.deepspeech import dropout, layer_norm

pytestmark = pytest.mark.skipif(llvm.lanes() < 8, reason="this processor has short vectors")

EPSILON = 1e-5


@pytest.fixture(scope="module")
def keras(tf):  # noqa: ARG001 - which is loaded first
    import keras

    return keras


def numbers(rows, columns, seed=0):
    """x, gamma and beta; and the outputs' gradient."""
    draw = np.random.default_rng(seed)
    x, dy = (draw.normal(size=(rows, 1, columns)).astype(np.float32) for _ in range(2))
    gamma, beta = (draw.normal(size=columns).astype(np.float32) for _ in range(2))
    return [3 + 2 * x, gamma, beta], dy


def by_keras(keras, tf, x, gamma, beta, *, relu, rate, seed):
    y = keras.ops.layer_normalization(x, gamma, beta, epsilon=EPSILON)
    y = tf.nn.relu(y) if relu else y
    return tf.nn.experimental.stateless_dropout(y, rate=rate, seed=seed) if rate else y


def all_of(tf, of, given, dy):
    """Outputs and the gradients of x, gamma and beta, in a graph as in training."""

    @tf.function
    def compute(dy, *given):
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = of(*given)
        return [y, *tape.gradient(y, given, output_gradients=dy)]

    return [value.numpy() for value in compute(*map(tf.constant, (dy, *given)))]


@pytest.mark.parametrize("rate", [0.0, 0.15])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("rows", "tiles"), [(1, 1), (3, 3), (66, 2), (35, 12), (18, 50), (130, 7)])
def test_outputs_and_gradients_are_those_of_keras(tf, keras, rows, tiles, relu, rate):
    """From one row to more than two blocks, and numbers of rows that are no multiple of four."""
    given, dy = numbers(rows, tiles * llvm.lanes())
    options = {"relu": relu, "rate": rate, "seed": tf.constant([7, -3])}
    found = all_of(tf, partial(layer_norm.layer_norm, epsilon=EPSILON, **options), given, dy)
    expected = all_of(tf, partial(by_keras, keras, tf, **options), given, dy)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
    np.testing.assert_array_equal(found[0] == 0, expected[0] == 0)


@pytest.mark.parametrize("rate", [0.0, 0.25])
@pytest.mark.parametrize(("rows", "tiles"), [(9, 1), (150, 5), (257, 12)])
def test_no_digit_depends_on_how_many_cores_there_are(monkeypatch, rows, tiles, rate):
    given, dy = numbers(rows, tiles * llvm.lanes())
    draws = (np.array([5], np.uint64), np.array([7, 8], np.uint64)) if rate else ()
    found = {}
    for cores in (1, 2, 3):
        monkeypatch.setattr(llvm, "cores", lambda cores=cores: cores)
        y, kept, of_rows = layer_norm._forward(*given, *draws, epsilon=EPSILON, relu=True, rate=rate)
        gradients = layer_norm._backward(dy, given[0], kept, given[1], of_rows, rate=rate)
        found[cores] = [each.tobytes() for each in (y, kept, of_rows, *gradients)]
    assert found[1] == found[2] == found[3]


def test_a_number_that_is_none_stays_so_in_its_row(tf):
    given, dy = numbers(6, llvm.lanes())
    given[0][2, 0, 3], given[0][4, 0, 5] = np.nan, np.inf
    y, dx, *_ = all_of(tf, partial(layer_norm.layer_norm, epsilon=EPSILON, relu=True, rate=0.0, seed=None), given, dy)
    for values in (y, dx):
        np.testing.assert_array_equal(np.isnan(values).all((1, 2)), [False, False, True, False, True, False])
        assert np.isfinite(values[[0, 1, 3, 5]]).all()


def test_a_model_learns_by_it_what_it_learns_by_keras(tf, monkeypatch):
    from models.deepspeech import network

    model = network.build(network.Config(filters=llvm.lanes(), units=2 * llvm.lanes(), layers=2, recipe="modern"))
    x, frames = tf.random.stateless_normal([3, 40, 93], seed=[1, 1]), tf.constant([40, 25, 0])

    def trained():
        @tf.function
        def compute():
            with tf.GradientTape() as tape:
                logits = model(x, frames, training=True, seed=tf.constant([7, 1]))
                loss = tf.reduce_sum(tf.sin(logits))
            return [logits, *tape.gradient(loss, model.trainable_variables)]

        operations = {node.op for node in compute.get_concrete_function().graph.as_graph_def().node}
        return [value.numpy() for value in compute()], operations

    found, operations = trained()
    assert "StatelessRandomUniformV2" not in operations
    monkeypatch.setattr(dropout, "fits", lambda *_: False)
    expected, operations = trained()
    assert "StatelessRandomUniformV2" in operations
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * max(1, np.abs(other).max()))
