"""Waveform in, 93 features a frame out: 13 MFCC, then 80 log-mel energies.

    frames = features(read_audio(path).samples)         # float32 [T, 93], T = ceil(samples / 160)

The definition is tf.signal's: frames of 512 samples every 160 with a periodic Hann window, the end padded with
zeros; magnitude spectrum; 80 triangles that are straight in mel (HTK's scale) from 80 to 8000 Hz;
log(mel + 1e-6); DCT-II scaled by 1/sqrt(2 * 80). NumPy and SciPy do the work without TensorFlow.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.fft

from features.corpus.audio import SAMPLE_RATE_HZ, STEP_SAMPLES, frame_count
from features.frames.filters import hann, htk_mel

FRAME_SAMPLES = FFT_SIZE = 512
MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ = 80, 80.0, 8000.0
MFCCS = 13
FEATURES = MFCCS + MEL_BANDS
LOG_FLOOR = 1e-6
ABOUT = {
    "frame_samples": FRAME_SAMPLES,
    "step_samples": STEP_SAMPLES,
    "fft_size": FFT_SIZE,
    "window": "Hann, periodic",
    "frames": "ceil(samples / 160); frame n begins at sample 160 n, and zeros follow the last sample",
    "spectrum": "magnitude",
    "mel": {"bands": MEL_BANDS, "low_hz": MEL_LOW_HZ, "high_hz": MEL_HIGH_HZ,
            "scale": "HTK, triangles straight in mel, of height 1"},
    "log": f"natural, of mel + {LOG_FLOOR:g}",
    "mfcc": f"the first {MFCCS} of the DCT-II of the log-mel energies, times 1 / sqrt(2 * {MEL_BANDS})",
    "order": f"{MFCCS} MFCC, then {MEL_BANDS} log-mel energies",
}  # fmt: skip
"""The definition, for those who use a model without the suite."""
CHUNK_FRAMES = 256
"""How many frames are transformed at a time, so that memory stays small for any recording."""


def features(samples: np.ndarray) -> np.ndarray:
    """Return 13 MFCC, then 80 log-mel energies of every frame.

    Args:
        samples: float32 [S], 16 kHz mono, S >= 1.

    Returns:
        float32 [T, 93], T = ceil(S / 160).
    """
    frames = frame_count(len(samples))
    padded = np.zeros((frames - 1) * STEP_SAMPLES + FRAME_SAMPLES, np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    framed = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::STEP_SAMPLES]  # [T, 512], a view
    result = np.empty((frames, FEATURES), np.float32)
    for start in range(0, frames, CHUNK_FRAMES):
        chunk = slice(start, start + CHUNK_FRAMES)
        spectrum = np.abs(scipy.fft.rfft(framed[chunk] * window()).astype(np.complex64))
        log_mel = np.log(spectrum @ mel_weights() + np.float32(LOG_FLOOR), out=result[chunk, MFCCS:])
        np.matmul(log_mel, dct(), out=result[chunk, :MFCCS])
    return result


@cache
def window() -> np.ndarray:
    """Return the periodic Hann window, float64 [512]: in float32, rounding would drown near-silent bands."""
    return hann(FRAME_SAMPLES)


@cache
def dct() -> np.ndarray:
    """Return the matrix from log-mel energies to MFCC, float32 [80, 13]."""
    cosines = scipy.fft.dct(np.eye(MEL_BANDS), type=2, axis=1)[:, :MFCCS]
    return (cosines / np.sqrt(2.0 * MEL_BANDS)).astype(np.float32)


@cache
def mel_weights() -> np.ndarray:
    """Return the weights from spectrum bins to mel bands, float32 [257, 80].

    The triangles of librosa.filters.mel are straight in Hz; these are straight in mel, as HTK's and
    tf.signal.linear_to_mel_weight_matrix's are. The bin at 0 Hz belongs to no band.
    """
    bins_mel = htk_mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SIZE // 2 + 1))[:, None]
    low_mel, high_mel = htk_mel(np.array([MEL_LOW_HZ, MEL_HIGH_HZ]))
    edges_mel = np.linspace(low_mel, high_mel, MEL_BANDS + 2)
    lower, centre, upper = edges_mel[:-2], edges_mel[1:-1], edges_mel[2:]
    triangles = np.minimum((bins_mel - lower) / (centre - lower), (upper - bins_mel) / (upper - centre))
    triangles[0] = 0.0
    return np.maximum(triangles, 0.0).astype(np.float32)
