"""Our dense layer against Keras's: the same weights, outputs, gradients and dtypes."""

import numpy as np
import pytest


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_is_kerass_own_with_the_same_weights(tf, shape, options, policy):
    import keras

    from models.dense import Dense

    inputs = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    theirs, ours = (kind(7, dtype=policy, name="x", **options) for kind in (keras.layers.Dense, Dense))
    for layer in (theirs, ours):
        layer.build(shape)
    ours.set_weights(theirs.get_weights())
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]  # checkpoints go by these
    answers = []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        variables = [weight.value for weight in layer.trainable_weights]
        answers.append([outputs, *tape.gradient(total, [inputs, *variables])])
    assert answers[1][0].dtype == answers[0][0].dtype and answers[1][0].shape == (*shape[:-1], 7)
    tolerance = 1e-5 if policy == "float32" else 0.05
    for expected, found in zip(*answers, strict=True):
        np.testing.assert_allclose(tf.cast(found, tf.float32), tf.cast(expected, tf.float32), tolerance, tolerance)


def test_unknown_lengths_are_worked_out_when_it_runs(tf):
    from models.dense import Dense

    layer = Dense(7)
    layer.build((None, None, 5))
    traced = tf.function(layer.__call__, input_signature=[tf.TensorSpec([None, None, 5])])
    assert traced(tf.zeros([2, 3, 5])).shape == (2, 3, 7)
    assert traced(tf.zeros([0, 3, 5])).shape == (0, 3, 7)
