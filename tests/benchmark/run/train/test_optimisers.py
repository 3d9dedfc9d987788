"""The optimisers against Keras's."""

import numpy as np
import pytest


def trained(tf, optimizer, strategy, *, steps, **settings):
    """Weights and accumulators after a few steps along gradients drawn from a fixed seed."""
    with strategy.scope():
        optimizer = optimizer(**settings)
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
    from benchmark.run.train.optimisers import FusedAdadelta

    names = [f"CPU:{n}" for n in range(replicas)]
    results = []
    for optimizer in (FusedAdadelta, tf.keras.optimizers.Adadelta):
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice(names[0]))
        results.append(trained(tf, optimizer, strategy, steps=5, learning_rate=1.0, rho=0.95, epsilon=1e-8))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("replicas", [1, 2])
def test_adamw_is_that_of_keras(tf, replicas):
    from benchmark.run.train.optimisers import FusedAdamW

    names = [f"CPU:{n}" for n in range(replicas)]
    results = []
    for optimizer in (FusedAdamW, tf.keras.optimizers.AdamW):
        strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice(names[0]))
        settings = {"learning_rate": 0.1, "weight_decay": 0.3, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-6}
        results.append(trained(tf, optimizer, strategy, steps=5, **settings))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_the_rate_of_fine_tuning_rises_to_its_peak_and_falls_to_0_after_the_last_batch(tf):
    """10 batches, of which 2 rise: 1/2, 1, then 8/9, 7/9, ... 1/9 of the peak."""
    from benchmark.run.train.optimisers import RiseAndFall

    rate = RiseAndFall(0.1, warm_up=0.2, batches=10)
    found = [float(rate(tf.constant(step))) for step in range(12)]
    expected = [0.05, 0.1, *(0.1 * n / 9 for n in range(8, 0, -1)), 0.0, 0.0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    with pytest.raises(ValueError, match="no number of batches"):
        RiseAndFall(0.1, warm_up=0.2, batches=None)


def test_the_modern_rate_rises_over_utterances_and_stays(tf):
    """10 utterances in batches of 4 are 3 batches: 1/3, 2/3, 1, 1, ..."""
    from benchmark.run.train.optimisers import build
    from models.optimisers import AveragedAdamW

    optimizer = build(AveragedAdamW(learning_rate=0.3, warm_up=10), precision="float32", batch=4)
    found = [float(optimizer._learning_rate(tf.constant(step))) for step in (0, 1, 2, 3, 10**6)]
    np.testing.assert_allclose(found, [0.1, 0.2, 0.3, 0.3, 0.3], rtol=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
def test_averaged_adamw_clips_the_sum_of_gradients_once_and_averages_what_it_trains(tf, replicas):
    """Against the formulas in NumPy: Adam with decay, gradients of norm 1 at most, averages of Shamir and Zhang."""
    from benchmark.run.train.optimisers import FusedAveragedAdamW, averages

    names = [f"CPU:{n}" for n in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice(names[0]))
    settings = {"learning_rate": 0.1, "weight_decay": 0.3, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-6}
    made = []

    def optimizer(**given):
        made.append(FusedAveragedAdamW(clip=1.0, averaging=8, **given))
        return made[-1]

    steps = 6
    found = trained(tf, optimizer, strategy, steps=steps, **settings)
    weights = [np.random.default_rng(n).normal(size=(3, 5)).astype(np.float32) for n in range(2)]
    first, second, average = ([np.zeros([3, 5])] * 2 for _ in range(3))
    for t in range(1, steps + 1):
        gradients = [replicas * tf.random.stateless_normal([3, 5], [t - 1, m]).numpy() for m in range(2)]
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        assert norm > 1  # so that clipping shows
        for n, gradient in enumerate(gradients):
            gradient = gradient / norm
            first[n] = 0.8 * first[n] + 0.2 * gradient
            second[n] = 0.9 * second[n] + 0.1 * gradient**2
            rate = 0.1 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
            weights[n] = weights[n] * (1 - 0.1 * 0.3) - rate * first[n] / (np.sqrt(second[n]) + 1e-6)
            average[n] = average[n] + 9 / (t + 8) * (weights[n] - average[n])
    for n in range(2):
        np.testing.assert_allclose(found[n], weights[n], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(averages(made[0])[n][1].numpy(), average[n], rtol=1e-4, atol=1e-6)


def test_only_an_optimiser_that_averages_has_averages(tf):
    from benchmark.run.train.optimisers import averages, build
    from models.optimisers import AdaDelta, AveragedAdamW

    variable = tf.keras.Variable([1.0, 2.0])
    for settings, precision, expected in (
        (AdaDelta(), "float32", 0),
        (AveragedAdamW(), "float32", 1),
        (AveragedAdamW(), "mixed_float16", 1),
    ):
        optimizer = build(settings, precision=precision, batch=4)
        optimizer.build([variable])
        found = averages(optimizer)
        assert len(found) == expected
        for weights, average in found:  # before the first batch, the average is what there is
            assert weights is variable and average.numpy().tolist() == [1.0, 2.0]


def test_biases_and_gains_do_not_decay(tf):
    from benchmark.run.train.optimisers import build
    from models.optimisers import AdamW

    optimizer = build(AdamW(weight_decay=0.5, peak=0.1), precision="float32", batches=10)
    dense = tf.keras.layers.Dense(2, bias_initializer="ones", kernel_initializer="ones", name="dense")
    norm = tf.keras.layers.LayerNormalization(name="norm")
    norm(dense(tf.zeros([1, 3])))
    variables = dense.trainable_variables + norm.trainable_variables
    optimizer.build(variables)
    optimizer.apply_gradients([(tf.zeros_like(v), v) for v in variables])
    kernel, bias, gamma, _ = (v.numpy() for v in variables)
    np.testing.assert_allclose(kernel, 1 - 0.5 * 0.1, rtol=1e-6)  # 1 batch of 10 rises: the first is the peak
    assert (bias == 1).all() and (gamma == 1).all()
