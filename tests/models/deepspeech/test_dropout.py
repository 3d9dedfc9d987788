"""Dropout by LLVM: TensorFlow's own stateless dropout is the oracle, and every digit agrees."""

import numpy as np
import pytest

from models.deepspeech import dropout, llvm

pytestmark = pytest.mark.skipif(llvm.lanes() < 8, reason="this processor has short vectors")


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.5, 0.999])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 4, 8), (9, 16, 48), (11, 1, 193)])
def test_outputs_and_gradients_are_those_of_tensorflow(tf, shape, rate):
    draw = np.random.default_rng(1)
    x, dy = (tf.constant(draw.normal(size=shape), tf.float32) for _ in range(2))
    for seed in ([0, 0], [7, 3], [-5, 2**31 - 1]):
        found = []
        for apply in (dropout.dropped, tf.nn.experimental.stateless_dropout):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = apply(x, rate=rate, seed=tf.constant(seed, tf.int32))
            found.append((y.numpy().tobytes(), tape.gradient(y, x, output_gradients=dy).numpy().tobytes()))
        assert found[0] == found[1]


@pytest.mark.parametrize("low", [0, 2**32 - 3, 2**64 - 2])
@pytest.mark.parametrize("high", [5, 2**64 - 1])
def test_counters_that_overflow_are_carried(tf, low, high):
    """400 numbers are of a hundred counters: 2^64 - 2 carries into the upper half, which may begin anew as well."""
    key, counter = np.array([2**63 + 11], np.uint64), np.array([low, high], np.uint64)
    drawn = tf.raw_ops.StatelessRandomUniformV2(shape=[400], key=key, counter=counter, alg=1).numpy()
    ones = np.ones(400, np.float32)
    for rate in (0.25, 0.75):
        y, _ = dropout._forward(ones, key, counter, rate=rate)
        assert ((y != 0) == (drawn >= np.float32(rate))).all()


def test_special_values_go_through_as_in_tensorflow(tf):
    """In a graph, as a step is one; its threads take numbers below the smallest normal one for zero."""
    x, seed = tf.constant([np.inf, -np.inf, np.nan, -0.0, 1e-45, 1e-39, 1.2e-38] * 40), tf.constant([1, 2])
    found = []
    for apply in (dropout.dropped, tf.nn.experimental.stateless_dropout):
        found.append(tf.function(lambda x, apply=apply: apply(x, rate=0.5, seed=seed))(x).numpy().tobytes())
    assert found[0] == found[1]


def test_it_is_for_numbers_of_32_bits(tf):
    assert dropout.fits(tf.float32) and not dropout.fits(tf.bfloat16)
