"""Whisper's features: 80 log-mel energies a frame of 10 ms, of a segment that is padded with silence.

    frames = log_mel(samples, seconds=10)       # float32 [S] -> [1000, 80]

Frames of 400 samples every 160 with a periodic Hann window, centred, the ends mirrored; power spectrum; 80 triangles on
Slaney's mel scale, of equal area; the logarithm to base 10, no lower than 8 below the segment's highest; (x + 4) / 4.
The floor depends on the segment's loudest frame and not on the padding, which is silent.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft

from features.corpus.audio import SAMPLE_RATE_HZ
from features.frames.filters import hann, slaney_weights
from features.jobs.process import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

FFT_SIZE = 400
STEP_SAMPLES = 160
MELS = 80
LOG_FLOOR = 1e-10
RANGE = 8.0  # powers of ten below the loudest
SILENCE = (-10.0 + 4.0) / 4.0
EDGE_FRAMES = 2
"""Frames centred after the recording that still reach its end: a frame is centred, and 400 samples long."""

ABOUT = {
    "frame_samples": FFT_SIZE,
    "step_samples": STEP_SAMPLES,
    "fft_size": FFT_SIZE,
    "window": "Hann, periodic",
    "frames": "ceil(samples / 160) and 2 more; frame n is centred at sample 160 n, the ends are mirrored",
    "spectrum": "power",
    "mel": {"bands": MELS, "low_hz": 0.0, "high_hz": SAMPLE_RATE_HZ / 2, "scale": "Slaney, triangles of equal area"},
    "log": f"to base 10, of at least {LOG_FLOOR:g}, no lower than {RANGE:g} below the recording's highest; (x + 4) / 4",
    "order": f"{MELS} log-mel energies",
}
"""The definition, for those who use a model without the suite."""


def log_mel(samples: np.ndarray, *, seconds: float) -> np.ndarray:
    """Return the features of a segment of `seconds` seconds.

    Args:
        samples: float32 [S], 16 kHz mono, of at most the segment's length.

    Returns:
        float32 [100 * seconds, 80].

    Raises:
        ValueError: the recording is longer than the segment: cutting it would make its transcript wrong.
    """
    frames = round(seconds * SAMPLE_RATE_HZ / STEP_SAMPLES)
    length = frames * STEP_SAMPLES
    if len(samples) > length:
        raise ValueError(f"{len(samples) / SAMPLE_RATE_HZ:.2f} s of audio; expected at most a segment of {seconds:g} s")
    padded = np.zeros(length, np.float32)
    padded[: len(samples)] = samples
    mirrored = np.pad(padded, FFT_SIZE // 2, mode="reflect")
    framed = np.lib.stride_tricks.sliding_window_view(mirrored, FFT_SIZE)[::STEP_SAMPLES][:frames]
    spectrum = scipy.fft.rfft(framed * window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log = np.log10(np.maximum(power @ weights(), LOG_FLOOR))
    return ((np.maximum(log, log.max() - RANGE) + 4.0) / 4.0).astype(np.float32)


def open_ended(samples: np.ndarray) -> np.ndarray:
    """Return the frames that the recording reaches, float32 [T + EDGE_FRAMES, 80], T = ceil(S / 160).

    The rest of a segment of any length is silence, at the floor: `windowed` adds it.
    """
    frames = -(-len(samples) // STEP_SAMPLES) + EDGE_FRAMES
    return log_mel(samples, seconds=frames * STEP_SAMPLES / SAMPLE_RATE_HZ)


def windowed(matrix: tf.Tensor, frames: int) -> tf.Tensor:
    """Pad or cut what `open_ended` returned, [T + 2, 80], to a segment of `frames` frames, [frames, 80]."""
    tf = import_tensorflow()
    rows = matrix[:frames]
    floor = tf.maximum(tf.reduce_max(rows) - tf.cast(RANGE / 4, rows.dtype), tf.cast(SILENCE, rows.dtype))
    padded = tf.pad(rows, [[0, frames - tf.shape(rows)[0]], [0, 0]], constant_values=floor)
    return tf.ensure_shape(padded, [frames, MELS])


@cache
def window() -> np.ndarray:
    """Return the periodic Hann window, float32 [400]."""
    return hann(FFT_SIZE).astype(np.float32)


@cache
def weights() -> np.ndarray:
    """Return the weights from spectrum bins to mel bands, float32 [201, 80]."""
    return slaney_weights(FFT_SIZE, MELS).T
