"""Two oracles: the sum over all alignments, written out, and TensorFlow's dense implementation."""

from itertools import product

import numpy as np
import pytest


@pytest.fixture(scope="module")
def ctc_loss(tf):
    from models.ctc import ctc_loss

    return ctc_loss


def over_all_paths(logits: np.ndarray, labels: list[int]) -> float:
    """-log of the summed probability of every path that collapses to the labels."""
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    frames, classes = logits.shape
    total = 0.0
    for path in product(range(classes), repeat=frames):
        merged = [c for n, c in enumerate(path) if (n == 0 or c != path[n - 1]) and c != classes - 1]
        if merged == labels:
            total += np.prod([probabilities[t, c] for t, c in enumerate(path)])
    return -np.log(total)


@pytest.mark.parametrize(("labels", "frames"), [([0], 1), ([0, 1], 2), ([1, 1], 3), ([0, 1, 0], 5)])
def test_the_loss_is_the_sum_over_all_paths(tf, ctc_loss, labels, frames):
    logits = np.random.default_rng(0).normal(size=(1, 6, 3)).astype(np.float32)
    found = ctc_loss(tf.constant([labels]), tf.constant([len(labels)]), logits, tf.constant([frames]))
    np.testing.assert_allclose(found, [over_all_paths(logits[0, :frames], labels)], rtol=1e-5)


def test_loss_and_gradient_are_tensorflows_dense_ones_padding_included(tf, ctc_loss):
    rng = np.random.default_rng(1)
    logits = tf.constant(rng.normal(size=(3, 40, 30)), tf.float32)
    labels = tf.constant([[3, 15, 28, 15, 12, 0], [1, 2, 0, 0, 0, 0], [5, 5, 5, 0, 0, 0]])
    lengths, frames = tf.constant([5, 2, 3]), tf.constant([40, 9, 5])
    results = []
    for loss in (
        lambda: ctc_loss(labels, lengths, logits, frames),
        lambda: tf.nn.ctc_loss(labels, logits, lengths, frames, logits_time_major=False, blank_index=29),
    ):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = loss()
        results.append((losses, tape.gradient(losses, logits)))
    (ours, gradient), (theirs, gradient_theirs) = results
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    np.testing.assert_allclose(gradient, gradient_theirs, atol=1e-4)


def test_it_is_finite_where_the_label_just_fits_even_for_hopeless_logits(tf, ctc_loss):
    logits = np.full((1, 830, 30), 0.0, np.float32)
    logits[..., 29] = 50.0  # certain blanks
    labels = tf.constant(np.tile([1, 2], 415)[None], tf.int32)
    assert np.isfinite(ctc_loss(labels, tf.constant([830]), logits, tf.constant([830]))).all()


def test_an_empty_utterance_has_no_loss_and_no_gradient(tf, ctc_loss):
    logits = tf.random.stateless_normal([2, 4, 30], seed=[1, 1])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = ctc_loss(tf.constant([[1, 2], [0, 0]]), tf.constant([2, 0]), logits, tf.constant([4, 0]))
    gradient = tape.gradient(losses, logits)
    assert float(losses[1]) == 0.0 and float(losses[0]) > 0
    assert not np.any(gradient[1]) and np.any(gradient[0])


def test_on_a_gpu_cudnns_kernel_gives_the_cpus_losses_and_gradients(tf, ctc_loss):
    if not tf.config.list_logical_devices("GPU"):
        pytest.skip("no GPU")
    rng = np.random.default_rng(2)
    logits = tf.constant(rng.normal(size=(4, 700, 30)), tf.float32)
    labels = tf.constant(rng.integers(0, 29, size=(4, 300)), tf.int32)
    for longest in (256, 300):  # what cuDNN takes, and what goes to the CPU
        lengths = tf.constant([longest, 3, 100, 0])
        frames = tf.constant([700, 9, 500, 0])
        results = []
        for kernel in ("cudnn", "cpu"):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                losses = ctc_loss(labels, lengths, logits, frames, kernel=kernel)
            results.append((losses, tape.gradient(losses, logits)))
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_without_a_gpu_the_kernel_is_the_cpus(tf):
    from models.ctc import kernel_for

    if tf.config.list_logical_devices("GPU"):
        pytest.skip("a GPU is there")
    assert kernel_for() == "cpu"
