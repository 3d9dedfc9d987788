"""The optimisers against Keras's."""

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
    from benchmark.run.optimisers import FusedAdadelta

    names = [f"CPU:{n}" for n in range(replicas)]
    results = []
    for optimizer in (FusedAdadelta, tf.keras.optimizers.Adadelta):
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice(names[0]))
        results.append(trained(tf, optimizer, strategy, steps=5))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-8)
