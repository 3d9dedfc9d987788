"""The window and the mel scales of front ends: librosa's and SciPy's, to the last bit, and without their imports.

    hann(512)                       # float64 [512], periodic: librosa.filters.get_window("hann", 512)
    htk_mel(hertz)                  # librosa.hz_to_mel(hertz, htk=True)
    slaney_weights(400, 80)         # float32 [80, 201]: librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80)

librosa.filters loads scipy.signal, scipy.stats and Numba, which takes 1.5 s of CPU time in each of the processes that
extract features, as ten minutes of speech do.
"""

from __future__ import annotations

import numpy as np

from features.corpus.audio import SAMPLE_RATE_HZ

HERTZ_A_MEL = 200 / 3
LINEAR_TO_HZ = 1000.0
LINEAR_TO_MEL = LINEAR_TO_HZ / HERTZ_A_MEL
LOG_STEP = np.log(6.4) / 27.0
"""Slaney's scale: straight up to 1000 Hz, and then 27 mel for every factor of 6.4."""


def hann(count: int) -> np.ndarray:
    """Return the periodic Hann window, float64 [count]."""
    return (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, count + 1)))[:-1]


def htk_mel(hertz: np.ndarray) -> np.ndarray:
    """Return frequencies on HTK's mel scale."""
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def slaney_weights(fft_size: int, bands: int) -> np.ndarray:
    """Return the weights from spectrum bins to bands, from 0 Hz to half the sampling rate, float32 [bands, bins].

    Their triangles are equally wide on Slaney's scale, straight in Hz and of equal area.
    """
    highest_mel = LINEAR_TO_MEL + np.log(SAMPLE_RATE_HZ / 2 / LINEAR_TO_HZ) / LOG_STEP
    mel = np.linspace(0.0, highest_mel, bands + 2)
    edges_hz = HERTZ_A_MEL * mel
    above = mel >= LINEAR_TO_MEL
    edges_hz[above] = LINEAR_TO_HZ * np.exp(LOG_STEP * (mel[above] - LINEAR_TO_MEL))
    apart_hz = np.subtract.outer(edges_hz, np.fft.rfftfreq(fft_size, 1 / SAMPLE_RATE_HZ))
    wide_hz = np.diff(edges_hz)[:, None]
    rising, falling = -apart_hz[:-2] / wide_hz[:-1], apart_hz[2:] / wide_hz[1:]
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    weights *= (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return weights
