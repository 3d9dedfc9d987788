"""Batch normalisation and dropout by LLVM: TensorFlow is the oracle, and float64 where that is less exact."""

from functools import partial

import numpy as np
import pytest

from models import llvm
from models.deepspeech import batch_norm, dropout

pytestmark = pytest.mark.skipif(llvm.lanes() < 8, reason="this processor has short vectors")

OPTIONS = {"momentum": 0.9, "epsilon": 1e-3}


@pytest.fixture(scope="module")
def network(tf):
    from models.deepspeech import network

    return network


def numbers(frames, batch, columns, *, valid_frames=None, seed=0):
    """x, valid, gamma, beta, moving mean and variance; and the outputs' gradient."""
    draw = np.random.default_rng(seed)
    x, dy = (draw.normal(size=(frames, batch, columns)).astype(np.float32) for _ in range(2))
    valid_frames = draw.integers(1, frames + 1, batch) if valid_frames is None else np.array(valid_frames)
    valid = (np.arange(frames)[:, None] < valid_frames).astype(np.float32)
    gamma, beta, mean = (draw.normal(size=columns).astype(np.float32) for _ in range(3))
    return [3 + 2 * x, valid, gamma, beta, mean, np.square(mean) + 1], dy


def by_tensorflow(network, tf, x, valid, *weights, momentum, epsilon, rate=0.0, seed=None):
    y, *found = network._normalised(x, *weights[:2], valid[:, :, None], *weights[2:], epsilon=epsilon)
    moved = [momentum * old + (1 - momentum) * new for old, new in zip(weights[2:], found, strict=True)]
    return (tf.nn.experimental.stateless_dropout(y, rate=rate, seed=seed) if rate else y), *moved


def all_of(tf, of, given, dy):
    """Outputs, moving averages, and the gradients of x, gamma and beta, in a graph as in training."""

    @tf.function
    def compute(dy, *given):
        x, _, gamma, beta, *_ = given
        with tf.GradientTape() as tape:
            tape.watch([x, gamma, beta])
            y, *moved = of(*given, **OPTIONS)
        return [y, *moved, *tape.gradient(y, [x, gamma, beta], output_gradients=dy)]

    return [value.numpy() for value in compute(*map(tf.constant, (dy, *given)))]


def both(tf, network, given, dy, **drop):
    if drop:
        drop["seed"] = tf.constant(drop["seed"], tf.int32)
    ours = partial(batch_norm.batch_norm, **{"rate": 0.0, "seed": None, **drop})
    return all_of(tf, ours, given, dy), all_of(tf, partial(by_tensorflow, network, tf, **drop), given, dy)


def assert_near(found, expected, within=1e-5):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=within * max(1, np.abs(other).max()))


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5])
@pytest.mark.parametrize(
    ("frames", "batch", "tiles"), [(1, 1, 1), (3, 1, 3), (2, 2, 1), (7, 5, 12), (65, 3, 2), (9, 2, 50), (130, 1, 7)]
)
def test_outputs_and_gradients_are_those_of_tensorflow(tf, network, frames, batch, tiles, rate):
    """From one row to more than a chunk, and numbers of rows that are no multiple of four."""
    given, dy = numbers(frames, batch, tiles * llvm.lanes())
    found, expected = both(tf, network, given, dy, **({"rate": rate, "seed": [7, -3]} if rate else {}))
    assert_near(found, expected)
    np.testing.assert_array_equal(found[0] == 0, expected[0] == 0)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_without_a_valid_row_the_moving_averages_normalise_and_stay(tf, network, rate):
    given, dy = numbers(5, 3, 2 * llvm.lanes(), valid_frames=[0, 0, 0])
    found, expected = both(tf, network, given, dy, **({"rate": rate, "seed": [1, 2]} if rate else {}))
    assert_near(found, expected, 1e-6)
    np.testing.assert_allclose(found[1:3], given[4:], rtol=1e-6)


def test_padding_changes_nothing_that_is_valid(tf):
    given, dy = numbers(6, 2, llvm.lanes(), valid_frames=[6, 6])
    padded = [np.pad(each, [(0, 80), (0, 1)] + [(0, 0)] * (each.ndim - 2), constant_values=0) for each in given[:2]]
    padded[0][padded[1] == 0] = 1e4
    dy_padded = np.pad(dy, [(0, 80), (0, 1), (0, 0)])
    of = partial(batch_norm.batch_norm, rate=0.0, seed=None)
    y, *moved, dx, dgamma, dbeta = all_of(tf, of, given, dy)
    y_padded, *moved_padded, dx_padded, dgamma_padded, dbeta_padded = all_of(tf, of, [*padded, *given[2:]], dy_padded)
    pairs = [(y_padded[:6, :2], y), (dx_padded[:6, :2], dx), (dgamma_padded, dgamma), (dbeta_padded, dbeta)]
    for found, expected in [*pairs, *zip(moved_padded, moved, strict=True)]:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert not dx_padded[6:].any() and not dx_padded[:, 2:].any()


def test_mean_and_variance_are_those_of_float64_where_the_mean_is_large():
    """A mean of 1000 with a deviation of 0.1: float32 has steps of 6e-5 there."""
    given, _ = numbers(900, 4, 3 * llvm.lanes())
    given[0] = (1000 + 0.05 * given[0]).astype(np.float32)
    _, _, (mean, variance), *_ = batch_norm._forward(*given, **OPTIONS, rate=0.0)
    valid = given[0][given[1] > 0].astype(np.float64)
    np.testing.assert_allclose(mean, valid.mean(0), rtol=1.2e-7)
    np.testing.assert_allclose(variance, valid.var(0), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.25])
@pytest.mark.parametrize(("rows", "tiles"), [(9, 1), (70, 5), (131, 12)])
def test_no_digit_depends_on_how_many_cores_there_are(monkeypatch, rows, tiles, rate):
    given, dy = numbers(rows, 1, tiles * llvm.lanes())
    draws = (np.array([5], np.uint64), np.array([7, 8], np.uint64)) if rate else ()
    found = {}
    for cores in (1, 2, 3):
        monkeypatch.setattr(llvm, "cores", lambda cores=cores: cores)
        y, kept, statistics, *moved = batch_norm._forward(*given, *draws, **OPTIONS, rate=rate)
        gradients = batch_norm._backward(
            dy, given[0], kept, given[1], given[2], statistics, epsilon=OPTIONS["epsilon"], rate=rate
        )
        found[cores] = [each.tobytes() for each in (y, kept, statistics, *moved, *gradients)]
    assert found[1] == found[2] == found[3]


@pytest.mark.parametrize("low", [0, 2**32 - 3, 2**64 - 2])
@pytest.mark.parametrize("high", [5, 2**64 - 1])
def test_counters_that_overflow_are_carried(tf, low, high):
    """2^64 - 2 carries into the upper half, which may begin anew as well."""
    key, counter = np.array([2**63 + 11], np.uint64), np.array([low, high], np.uint64)
    given, _ = numbers(7, 3, 2 * llvm.lanes())
    drawn = tf.raw_ops.StatelessRandomUniformV2(shape=given[0].shape, key=key, counter=counter, alg=1).numpy()
    for rate in (0.25, 0.75):
        y, *_ = batch_norm._forward(*given, key, counter, **OPTIONS, rate=rate)
        assert ((y != 0) == (drawn >= np.float32(rate))).all()


def test_numbers_that_are_none_stay_so_in_their_column(tf, network):
    """A valid NaN or infinity makes all outputs of its column NaN, as in TensorFlow; what is dropped is zero."""
    given, dy = numbers(6, 2, llvm.lanes(), valid_frames=[6, 6])
    given[0][2, 1, 3], given[0][4, 0, 5] = np.nan, np.inf
    found, expected = both(tf, network, given, dy, rate=0.5, seed=[1, 2])
    np.testing.assert_array_equal(np.isnan(found[0]), np.isnan(expected[0]))
    np.testing.assert_array_equal(np.isnan(found[0]).any((0, 1)).nonzero()[0], [3, 5])
    assert np.isnan(found[3][:, :, [3, 5]]).all()


def test_more_numbers_than_can_be_drawn_are_refused(monkeypatch):
    monkeypatch.setattr(dropout, "MOST", 100)
    with pytest.raises(ValueError, match="numbers to normalise; expected at most 100"):
        batch_norm._forward(*numbers(101, 1, llvm.lanes())[0], **OPTIONS, rate=0.0)


def test_it_is_for_numbers_of_32_bits_in_whole_vectors(tf):
    lanes = llvm.lanes()
    assert dropout.fits(3 * lanes, tf.float32)
    assert not dropout.fits(3 * lanes + 1, tf.float32) and not dropout.fits(3 * lanes, tf.bfloat16)


@pytest.mark.parametrize("recipe", ["paper", "authors"])
def test_a_model_learns_by_it_what_it_learns_by_tensorflow(tf, network, monkeypatch, recipe):
    config = network.Config(filters=llvm.lanes(), units=2 * llvm.lanes(), layers=2, recipe=recipe)
    model = network.build(config)
    x, frames = tf.random.stateless_normal([3, 40, 93], seed=[1, 1]), tf.constant([40, 25, 0])

    def trained():
        @tf.function
        def compute():
            with tf.GradientTape() as tape:
                logits = model(x, frames, training=True, seed=tf.constant([7, 1]))
                loss = tf.reduce_sum(tf.sin(logits))
            moved = [value for norm in model.batch_norms for value in norm.moved.values]
            return [logits, *moved, *tape.gradient(loss, model.trainable_variables)]

        operations = {node.op for node in compute.get_concrete_function().graph.as_graph_def().node}
        return [value.numpy() for value in compute()], operations

    found, operations = trained()
    assert "StatelessRandomUniformV2" not in operations
    monkeypatch.setattr(dropout, "fits", lambda *_: False)
    expected, operations = trained()
    assert "StatelessRandomUniformV2" in operations
    assert_near(found, expected, 1e-4)
