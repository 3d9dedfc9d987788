"""Whisper's features against Hugging Face's, and by hand."""

from pathlib import Path

import numpy as np
import pytest

from features.log_mel import log_mel
from tests.models.whisper.make_fixture import MEL_FRAMES, waveform

FIXTURE = Path(__file__).parents[1] / "models" / "whisper" / "hugging_face.npz"


def test_frames_are_hugging_faces():
    with np.load(FIXTURE) as file:
        expected = file["mel"]
    found = log_mel(waveform(), seconds=10)
    assert found.shape == (1000, 80) and found.dtype == np.float32
    np.testing.assert_allclose(found[list(MEL_FRAMES)], expected, atol=1e-5)


def test_silence_lies_at_the_floor_two_below_the_loudest():
    """8 powers of ten, divided by 4."""
    found = log_mel(waveform(), seconds=10)
    assert found.max() - found.min() == pytest.approx(2.0) and (found[500:] == found.min()).all()
    np.testing.assert_allclose(log_mel(np.zeros(100, np.float32), seconds=1), (-10 + 4) / 4, atol=1e-6)


def test_a_longer_segment_has_the_same_beginning():
    """The floor hangs on the loudest frame, not on the padding."""
    np.testing.assert_allclose(log_mel(waveform(), seconds=30)[:399], log_mel(waveform(), seconds=10)[:399], atol=1e-6)


def test_what_is_longer_than_the_segment_is_refused():
    assert log_mel(waveform(), seconds=4).shape == (400, 80)
    with pytest.raises(ValueError, match="4.00 s of audio; expected at most a segment of 3.9 s"):
        log_mel(waveform(), seconds=3.9)
