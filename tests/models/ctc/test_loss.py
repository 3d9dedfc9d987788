"""Oracles: the sum over all alignments, TensorFlow's dense implementation, the variables' equations in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.ctc.oracles import drawn, in_float64, over_all_paths

ON_A_CPU = ["llvm", "cpu", "xla"]
XLA = pytest.param("xla", marks=pytest.mark.slow)
"""It compiles for every shape, which takes seconds; it is a GPU's."""
MOSTLY_QUICK = ["llvm", "cpu", XLA]


@pytest.fixture(scope="module")
def ctc_loss(tf):
    from models.ctc.loss import ctc_loss

    return ctc_loss


@pytest.fixture(scope="module")
def compute(tf):
    """compute(labels, lengths, logits, frames, kernel=...): losses and gradients."""
    from models.ctc.loss import loss_and_gradient

    def compute(labels, lengths, logits, frames, *, kernel):
        batch = tf.constant(labels), tf.constant(lengths), tf.constant(logits), tf.constant(frames)
        return [value.numpy() for value in loss_and_gradient(*batch, kernel=kernel)]

    return compute


@pytest.mark.parametrize("kernel", MOSTLY_QUICK)
@pytest.mark.parametrize(("labels", "frames"), [([0], 1), ([0, 1], 2), ([1, 1], 3), ([0, 1, 0], 5)])
def test_the_loss_is_the_sum_over_all_paths(compute, kernel, labels, frames):
    logits = np.random.default_rng(0).normal(size=(1, 6, 3)).astype(np.float32)
    padded = labels + [0] * (3 - len(labels))  # of one width, which XLA compiles once
    losses, _ = compute([padded], [len(labels)], logits, [frames], kernel=kernel)
    np.testing.assert_allclose(losses, [over_all_paths(logits[0, :frames], labels)], rtol=1e-5)


@pytest.mark.parametrize("kernel", ON_A_CPU)
def test_loss_and_gradient_are_tensorflows_dense_ones_padding_included(tf, compute, kernel):
    logits = tf.constant(np.random.default_rng(1).normal(size=(3, 60, 30)), tf.float32)  # as in `compare`: one shape
    labels = tf.constant([each + [0] * (20 - len(each)) for each in ([3, 15, 28, 15, 12], [1, 2], [5, 5, 5])])
    lengths, frames = tf.constant([5, 2, 3]), tf.constant([60, 9, 5])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        theirs = tf.nn.ctc_loss(labels, logits, lengths, frames, logits_time_major=False, blank_index=29)
    ours, gradient = compute(labels, lengths, logits, frames, kernel=kernel)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    np.testing.assert_allclose(gradient, tape.gradient(theirs, logits), atol=1e-4)


@pytest.mark.parametrize(("kernel", "atol"), [("xla", 3e-4), ("llvm", 3e-6)])
@pytest.mark.parametrize("scale", [0.1, 2.0, 12.0])
def test_our_kernels_are_those_of_float64_however_large_the_loss(compute, scale, kernel, atol):
    batch = drawn(np.random.default_rng(2), batch=3, frames=400, classes=30, labels=120, scale=scale)
    labels, lengths, logits, frames = batch
    losses, gradients = compute(*batch, kernel=kernel)
    for n, (count, long) in enumerate(zip(lengths, frames, strict=True)):
        loss, gradient = in_float64(labels[n, :count], logits[n, :long])
        assert losses[n] == pytest.approx(loss, rel=1e-6)
        np.testing.assert_allclose(gradients[n, :long], gradient, atol=atol)
        assert not np.any(gradients[n, long:])


@pytest.mark.parametrize("kernel", ["llvm", XLA])
def test_our_kernels_are_tensorflows_for_cpus_on_a_large_batch(compute, kernel):
    batch = drawn(np.random.default_rng(3), batch=16, frames=200, classes=30, labels=60, scale=1.0)
    (ours, gradient), (theirs, gradient_theirs) = (compute(*batch, kernel=each) for each in (kernel, "cpu"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(gradient, gradient_theirs, atol=2e-3)  # the CPU's own error; see the test above


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 4, 9]))  # XLA compiles for every width
def test_labels_past_an_utterances_own_and_their_width_change_nothing(compute, seed, more):
    rng = np.random.default_rng(seed)
    labels, *rest = drawn(rng, batch=2, frames=12, classes=5, labels=4, scale=1.0)
    wider = np.concatenate([labels, rng.integers(0, 4, (2, more)).astype(np.int32)], 1)
    for found, expected in zip(compute(wider, *rest, kernel="xla"), compute(labels, *rest, kernel="xla"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", MOSTLY_QUICK)
def test_it_is_finite_where_the_label_just_fits_even_for_hopeless_logits(compute, kernel):
    logits = np.full((1, 830, 30), 0.0, np.float32)
    logits[..., 29] = 50.0  # certain blanks
    losses, gradients = compute(np.tile([1, 2], 415)[None].astype(np.int32), [830], logits, [830], kernel=kernel)
    np.testing.assert_allclose(losses, [830 * 50.0], rtol=1e-5)  # one path, of labels alone: e^-50 a frame
    assert np.isfinite(gradients).all()


def test_on_a_cpu_labels_that_do_not_fit_are_an_error_within_a_graph(tf):
    """Of two labels that are alike in two frames TensorFlow's own says 1e30, and has a gradient for them."""
    from models.ctc.loss import ctc_loss

    run = tf.function(lambda *batch: ctc_loss(*batch, kernel="llvm"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="2 frames for 2 labels of which 1 repeat"):
        run(tf.constant([[1, 1]]), tf.constant([2]), tf.zeros([1, 2, 30]), tf.constant([2]))


@pytest.mark.parametrize("kernel", MOSTLY_QUICK)
def test_an_empty_utterance_has_no_loss_and_no_gradient_and_nothing_past_an_end_matters(compute, kernel):
    logits = np.random.default_rng(4).normal(size=(3, 6, 30)).astype(np.float32)
    logits[1, 1:] = logits[2, 4:] = np.nan
    losses, gradients = compute([[1, 2], [0, 0], [3, 3]], [2, 0, 2], logits, [6, 0, 4], kernel=kernel)
    assert losses[1] == 0.0 and losses[0] > 0
    assert not np.any(gradients[1]) and not np.any(gradients[2, 4:]) and np.any(gradients[0])
    assert np.isfinite(losses).all() and np.isfinite(gradients).all()


@pytest.mark.parametrize("kernel", ["llvm", XLA])
def test_our_kernels_repeat_themselves_to_the_last_bit(compute, kernel):
    batch = drawn(np.random.default_rng(5), batch=3, frames=400, classes=30, labels=120, scale=1.0)
    for one, again in zip(compute(*batch, kernel=kernel), compute(*batch, kernel=kernel), strict=True):
        np.testing.assert_array_equal(one, again)


def test_xla_knows_how_long_its_loop_is(tf):
    """Else a GPU hands the loop's condition to the host after every frame."""
    from models.ctc.forward_backward import loss_and_gradient

    labels, lengths = tf.zeros([2, 3], tf.int64), tf.constant([3, 1], tf.int64)
    lowered = loss_and_gradient.experimental_get_compiler_ir(labels, lengths, lengths + 5, tf.zeros([2, 11, 30]))
    assert '"known_trip_count":{"n":"11"}' in lowered(stage="optimized_hlo")


class CudnnStandIn:
    """In the place of TensorFlow's op for cuDNN: the CPU's, blank first, with `left` where cuDNN writes no gradient."""

    def __init__(self, tf, *, left=np.nan, losses=1.0, gradients=1.0):
        self.tf, self.left, self.losses, self.gradients = tf, left, losses, gradients

    def __call__(self, *, inputs, labels_indices, labels_values, sequence_length):
        tf, compute = self.tf, self.tf.raw_ops.CTCLoss
        if int(tf.reduce_max(tf.math.bincount(tf.cast(labels_indices[:, 0], tf.int32)))) > 255:
            raise tf.errors.InvalidArgumentError(None, None, "cuDNN takes fewer than 256 labels")

        @tf.custom_gradient
        def loss(inputs):
            found, gradient, *_ = compute(
                inputs=tf.roll(inputs, -1, axis=2),
                labels_indices=labels_indices,
                labels_values=labels_values - 1,
                sequence_length=sequence_length,
            )
            inside = tf.transpose(tf.sequence_mask(sequence_length, tf.shape(inputs)[0]))[:, :, None]
            gradient = tf.where(inside, self.gradients * tf.roll(gradient, 1, axis=2), self.left)
            return self.losses * found, lambda upstream: gradient * upstream[None, :, None]

        return [loss(inputs)]


@pytest.mark.parametrize("left", [np.nan, 1e3])
def test_what_cudnn_leaves_in_a_gradient_past_an_utterances_end_does_not_reach_the_model(
    tf, compute, monkeypatch, left
):
    monkeypatch.setattr(tf.raw_ops, "CTCLossV2", CudnnStandIn(tf, left=left))
    labels, lengths, logits, frames = drawn(
        np.random.default_rng(6), batch=4, frames=30, classes=30, labels=9, scale=1.0
    )
    lengths[3] = frames[3] = 0
    batch = labels, lengths, logits, frames
    for found, expected in zip(compute(*batch, kernel="cudnn"), compute(*batch, kernel="cpu"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_a_batch_with_more_labels_than_cudnn_takes_goes_to_our_kernel(tf, compute, monkeypatch):
    monkeypatch.setattr(tf.raw_ops, "CTCLossV2", CudnnStandIn(tf))
    for most in (255, 256):
        labels = np.tile(np.arange(2, dtype=np.int32), 128)[None, :most]
        batch = labels, [most], np.zeros((1, 300, 30), np.float32), [300]
        (losses, _), (expected, _) = (compute(*batch, kernel=kernel) for kernel in ("cudnn", "cpu"))
        np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_cudnn_is_found_wrong_by_its_losses_by_its_gradients_and_by_failing(tf, monkeypatch):
    from models.ctc import loss as ctc

    def found(stand_in):
        monkeypatch.setattr(tf.raw_ops, "CTCLossV2", stand_in)
        return ctc._cudnn_differs.__wrapped__()

    def fails(**_):
        raise tf.errors.InternalError(
            None, None, "Detected at node ctc\nCUDNN_STATUS_NOT_SUPPORTED\n\t [[{{node ctc}}]]"
        )

    assert found(CudnnStandIn(tf)) == ""
    assert "losses or gradients" in found(CudnnStandIn(tf, losses=1.1))
    assert "losses or gradients" in found(CudnnStandIn(tf, gradients=1.1))
    assert found(fails) == "cuDNN's failed: CUDNN_STATUS_NOT_SUPPORTED"


def test_our_kernel_agrees_with_tensorflows_and_one_that_does_not_is_told(tf, monkeypatch):
    from models.ctc import loss as ctc

    if tf.config.list_logical_devices("GPU"):
        pytest.skip("a GPU has others")
    assert ctc.compare() == {"llvm": ""}
    right = ctc._KERNELS["llvm"]
    monkeypatch.setitem(ctc._KERNELS, "llvm", lambda *batch: 1.1 * right(*batch))
    assert ctc.compare() == {"llvm": "LLVM's losses or gradients are not the CPU's"}


def test_the_faster_of_two_right_kernels_is_chosen_and_the_reason_told(tf, monkeypatch):
    from models.ctc import loss as ctc

    shape = ctc.Shape(batch=2, frames=30, labels=9)
    if not tf.config.list_logical_devices("GPU"):
        assert ctc.kernel_for(shape)[:2] == ("llvm", "there is no GPU")
    monkeypatch.setattr(ctc, "_cudnn_differs", lambda: "")
    for share, kernel in ((0.5, "cudnn"), (0.9, "xla"), (3.0, "xla")):
        monkeypatch.setattr(ctc, "_seconds", lambda name, _, share=share: share if name == "cudnn" else 1.0)
        assert ctc._tried(shape)[:2] == (kernel, f"cuDNN's takes {share:.2f} of our time")
    monkeypatch.setattr(ctc, "_cudnn_differs", lambda: "it failed")
    assert ctc._tried(shape)[:2] == ("xla", "it failed")


@pytest.mark.parametrize("kernel", MOSTLY_QUICK)
def test_a_trial_of_a_kernel_takes_time(tf, kernel):
    from models.ctc import loss as ctc

    assert 0 < ctc._seconds(kernel, ctc.Shape(batch=2, frames=30, labels=9)) < 10


def test_on_a_gpu_all_kernels_give_the_cpus_losses_and_gradients(tf, compute):
    if not tf.config.list_logical_devices("GPU"):
        pytest.skip("no GPU")
    for most in (200, 300):
        batch = drawn(np.random.default_rng(7), batch=4, frames=700, classes=30, labels=most, scale=1.0)
        expected = compute(*batch, kernel="cpu")
        for kernel in ("cudnn", "xla"):
            for found, wanted in zip(compute(*batch, kernel=kernel), expected, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=5e-3)
