"""Waveform in, 93 features a frame out: 13 MFCC, then 80 log-mel energies.

    audio = read_audio(path)                # 16 kHz mono float32, with notes of what was converted
    frames = features(audio.samples)        # float32 [T, 93], T = ceil(samples / 160)

The definition is tf.signal's: frames of 512 samples every 160 with a periodic Hann window, the end padded with
zeros; magnitude spectrum; 80 triangles that are straight in mel (HTK's scale) from 80 to 8000 Hz;
log(mel + 1e-6); DCT-II scaled by 1/sqrt(2 * 80). librosa and SciPy do the work without TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import librosa
import numpy as np
import scipy.fft
import soundfile

SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = FFT_SIZE = 512
STEP_SAMPLES = 160
FRAME_STEP_S = STEP_SAMPLES / SAMPLE_RATE_HZ
MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ = 80, 80.0, 8000.0
MFCCS = 13
FEATURES = MFCCS + MEL_BANDS
LOG_FLOOR = 1e-6
CHUNK_FRAMES = 256
"""Transformed at a time: what is in between stays small, however long the recording."""


@dataclass(frozen=True)
class Audio:
    """16 kHz mono samples in [-1, 1], and what had to be converted to get them (e.g. "resampled from 8000 Hz")."""

    samples: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


def read_audio(path: Path) -> Audio:
    """Read FLAC or WAV; mix to mono and resample to 16 kHz where needed.

    Raises:
        ValueError: the file cannot be decoded, or holds no samples.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise ValueError(f"{path}: cannot be decoded ({error}); expected a FLAC or WAV file") from error
    if not len(samples):
        raise ValueError(f"{path}: holds no samples; expected speech")
    if not np.isfinite(samples).all():
        raise ValueError(f"{path}: holds samples that are not finite; expected values in [-1, 1]")
    notes = []
    if samples.shape[1] > 1:
        notes.append(f"mixed from {samples.shape[1]} channels")
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if rate_hz != SAMPLE_RATE_HZ:
        notes.append(f"resampled from {rate_hz} Hz")
        mono = librosa.resample(mono, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ)
    return Audio(mono, tuple(notes))


def frame_count(samples: int) -> int:
    """T: the number of frames of a waveform of so many samples."""
    return ceil(samples / STEP_SAMPLES)


def features(samples: np.ndarray) -> np.ndarray:
    """13 MFCC then 80 log-mel energies of every frame.

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
        spectrum = np.abs(scipy.fft.rfft(framed[chunk] * _window()).astype(np.complex64))
        log_mel = np.log(spectrum @ mel_weights() + np.float32(LOG_FLOOR), out=result[chunk, MFCCS:])
        np.matmul(log_mel, _dct(), out=result[chunk, :MFCCS])
    return result


@cache
def _window() -> np.ndarray:
    """float64 [512]: Hann, periodic. In float32 the transform drowns near-silent bands in its rounding."""
    return librosa.filters.get_window("hann", FRAME_SAMPLES)


@cache
def _dct() -> np.ndarray:
    """float32 [80, 13]: log-mel energies to MFCC."""
    cosines = scipy.fft.dct(np.eye(MEL_BANDS), type=2, axis=1)[:, :MFCCS]
    return (cosines / np.sqrt(2.0 * MEL_BANDS)).astype(np.float32)


@cache
def mel_weights() -> np.ndarray:
    """float32 [257, 80]: spectrum bins to mel bands.

    librosa.filters.mel draws its triangles straight in Hz; these are straight in mel, as HTK's and
    tf.signal.linear_to_mel_weight_matrix's are. The bin at 0 Hz belongs to no band.
    """
    bins_mel = librosa.hz_to_mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SIZE // 2 + 1), htk=True)[:, None]
    edges_mel = np.linspace(*librosa.hz_to_mel(np.array([MEL_LOW_HZ, MEL_HIGH_HZ]), htk=True), MEL_BANDS + 2)
    lower, centre, upper = edges_mel[:-2], edges_mel[1:-1], edges_mel[2:]
    triangles = np.minimum((bins_mel - lower) / (centre - lower), (upper - bins_mel) / (upper - centre))
    triangles[0] = 0.0
    return np.maximum(triangles, 0.0).astype(np.float32)
