"""The training step's parts against what they stand in for."""

import numpy as np
import pytest


def trained(tf, optimizer, strategy, *, steps):
    """Weights and accumulators after a few steps along gradients drawn from a fixed seed."""
    with strategy.scope():
        optimizer = optimizer(learning_rate=1.0, rho=0.95, epsilon=1e-8)
        variables = [tf.keras.Variable(np.random.default_rng(n).normal(size=(3, 5)), dtype="float32") for n in range(2)]
        optimizer.build(variables)

    @tf.function
    def step(gradients):
        def on_replica():  # where each has gradients of its own, all alike
            optimizer.apply_gradients(zip([tf.identity(g) for g in gradients], variables, strict=True))

        strategy.run(on_replica)

    for n in range(steps):
        step([tf.random.stateless_normal([3, 5], [n, m]) for m in range(2)])
    return [variable.numpy() for variable in [*variables, *optimizer.variables]]


@pytest.mark.parametrize("replicas", [1, 2])
def test_adadelta_is_that_of_keras(tf, replicas):
    from benchmark.run.step import Adadelta

    names = [f"CPU:{n}" for n in range(replicas)]
    results = []
    for optimizer in (Adadelta, tf.keras.optimizers.Adadelta):
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice(names[0]))
        results.append(trained(tf, optimizer, strategy, steps=5))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-8)


def test_shares_of_a_batch_know_how_many_utterances_all_have(tf):
    from benchmark.run.step import shares

    batch = {
        "features": tf.reshape(tf.range(4 * 2 * 3, dtype=tf.float32), [4, 2, 3]),
        "frames": tf.constant([2, 2, 1, 0]),  # the last place is empty
        "labels": tf.zeros([4, 2], tf.int32),
        "label_lengths": tf.constant([1, 1, 1, 0]),
        "id": tf.constant(["a", "b", "c", ""]),
    }
    cut = shares(batch, 2)
    assert cut["features"].shape == (2, 2, 2, 3) and "id" not in cut
    np.testing.assert_array_equal(cut["frames"], [[2, 2], [1, 0]])
    np.testing.assert_array_equal(cut["global_utterances"], [3.0, 3.0])
