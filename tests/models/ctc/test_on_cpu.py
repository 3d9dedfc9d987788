"""Oracles: the sum over all alignments, and the variables' equations in float64. Without TensorFlow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import llvm
from models.ctc.on_cpu import loss_and_gradient
from tests.models.ctc.oracles import drawn, in_float64, over_all_paths


def compute(labels, lengths, logits, frames):
    return loss_and_gradient(np.asarray(labels), np.asarray(lengths), np.asarray(frames), np.asarray(logits))


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(2, 40),
    st.sampled_from([0.0, 1.0, 30.0, 1000.0]),
)
def test_losses_and_gradients_are_those_of_float64_for_any_size_and_scale(seed, labels, more, classes, scale):
    """Sizes cross the ends of vectors. The gradient's own rounding is of one; the logits' grows with them."""
    batch = drawn(
        np.random.default_rng(seed), batch=3, frames=2 * labels + more, classes=classes, labels=labels, scale=scale
    )
    wanted, lengths, logits, frames = batch
    losses, gradients = compute(*batch)
    for n, (count, long) in enumerate(zip(lengths, frames, strict=True)):
        loss, gradient = in_float64(wanted[n, :count], logits[n, :long])
        assert losses[n] == pytest.approx(loss, rel=1e-6, abs=1e-5)
        np.testing.assert_allclose(gradients[n, :long], gradient, atol=1e-5 + 1e-6 * scale)
        assert not np.any(gradients[n, long:])


def test_a_sentence_of_no_labels_is_blanks_alone():
    logits = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    losses, gradients = compute([[0], [0]], [0, 1], logits, [4, 3])
    assert losses == pytest.approx([over_all_paths(logits[0], []), over_all_paths(logits[1, :3], [0])], rel=1e-6)
    np.testing.assert_allclose(gradients[0], in_float64([], logits[0])[1], atol=1e-6)


def test_a_gradient_sums_to_zero_in_every_frame_as_softmax_and_paths_both_sum_to_one():
    batch = drawn(np.random.default_rng(1), batch=4, frames=500, classes=30, labels=100, scale=3.0)
    gradients = compute(*batch)[1]
    assert np.abs(gradients).max() > 0.5
    np.testing.assert_allclose(gradients.sum(2), 0, atol=1e-6)


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_digits_depend_neither_on_cores_nor_on_the_batch_and_hardly_on_vectors(monkeypatch, lanes):
    batch = drawn(np.random.default_rng(2), batch=5, frames=90, classes=30, labels=35, scale=2.0)
    expected = compute(*batch)
    monkeypatch.setattr(llvm, "lanes", lambda: lanes)
    for cores in (1, 2, 7):
        monkeypatch.setattr(llvm, "cores", lambda cores=cores: cores)
        found = compute(*batch)
        alone = [compute(*(each[n : n + 1] for each in batch)) for n in range(5)]
        for n, one in enumerate(alone):
            assert one[0].tobytes() == found[0][n].tobytes() and one[1].tobytes() == found[1][n].tobytes()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_padding_of_labels_and_of_frames_is_not_read():
    labels, lengths, logits, frames = drawn(
        np.random.default_rng(3), batch=3, frames=20, classes=5, labels=6, scale=1.0
    )
    lengths[0], frames[2] = 3, max(frames[2], 12)
    expected = compute(labels, lengths, logits, frames)
    for n in range(3):
        labels[n, lengths[n] :] = -7
        logits[n, frames[n] :] = np.nan
    for found, wanted in zip(compute(labels, lengths, logits, frames), expected, strict=True):
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("values", "wrong"), [([np.nan], 1), ([np.inf], 1), ([-np.inf] * 4, 1), ([-np.inf], 0)])
def test_logits_without_a_softmax_make_loss_and_gradient_no_number_and_others_stay(values, wrong):
    """Minus infinity alone is a class of probability 0: nothing that the labels need here."""
    logits = np.random.default_rng(4).normal(size=(2, 6, 4)).astype(np.float32)
    expected = compute([[0], [1]], [1, 1], logits, [6, 6])
    logits[1, 2, : len(values)] = values
    losses, gradients = compute([[0], [1]], [1, 1], logits, [6, 6])
    assert losses[0] == expected[0][0] and gradients[0].tobytes() == expected[1][0].tobytes()
    assert np.isnan(losses[1]) == wrong and np.isnan(gradients[1]).all() == wrong
    if not wrong:
        logits[1, 2, 0] = -1e4
        np.testing.assert_allclose(losses, compute([[0], [1]], [1, 1], logits, [6, 6])[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "lengths", "frames", "message"),
    [
        ([[0, 0, 1]], [3], [3], "3 frames for 3 labels of which 1 repeat the one before; expected 4 frames or more"),
        ([[0, 1, 2]], [3], [2], "2 frames for 3 labels of which 0 repeat"),
        ([[0, 3, 1]], [3], [9], "labels of 0 to 3; expected 0 to 2"),
        ([[0, -1, 1]], [3], [9], "labels of -1 to 1; expected 0 to 2"),
    ],
)
def test_labels_that_are_none_or_do_not_fit_are_told(labels, lengths, frames, message):
    with pytest.raises(ValueError, match=message):
        compute(labels, lengths, np.zeros([1, 9, 4], np.float32), frames)
    assert compute(labels, lengths, np.zeros([1, 9, 4], np.float32), [0])[0] == 0
