"""The window and the mel scales beside librosa's, bit by bit; and what extraction does not load."""

import subprocess
import sys

import numpy as np
import pytest

from features.frames.filters import hann, htk_mel, slaney_weights


@pytest.mark.parametrize("count", [2, 3, 400, 511, 512])
def test_the_window_is_librosas(count):
    import librosa

    found, theirs = hann(count), librosa.filters.get_window("hann", count)
    assert found.dtype == theirs.dtype == np.float64 and found.tobytes() == theirs.tobytes()


def test_htks_scale_is_librosas():
    import librosa

    hertz = np.linspace(0.0, 8000.0, 257)
    assert htk_mel(hertz).tobytes() == librosa.hz_to_mel(hertz, htk=True).tobytes()


@pytest.mark.parametrize(("fft_size", "bands"), [(400, 80), (400, 128), (512, 40)])
def test_slaneys_weights_are_librosas(fft_size, bands):
    import librosa

    found, theirs = slaney_weights(fft_size, bands), librosa.filters.mel(sr=16_000, n_fft=fft_size, n_mels=bands)
    assert found.shape == (bands, fft_size // 2 + 1) and found.dtype == theirs.dtype == np.float32
    assert found.tobytes() == theirs.tobytes()


def test_front_ends_load_neither_librosas_filters_nor_what_those_load():
    """To import them takes a worker as long as ten minutes of speech."""
    code = """
import sys, numpy
from features.frames.kinds import FRONT_ENDS
for kind in FRONT_ENDS.values():
    kind.stored(numpy.zeros(16_000, numpy.float32))
print([name for name in ("librosa.filters", "scipy.signal", "scipy.stats", "numba") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
