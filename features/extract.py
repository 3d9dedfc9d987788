"""Waveform in, 93 features a frame out: 13 MFCC, then 80 log-mel energies.

    audio = read_audio(path)                # 16 kHz mono float32, with notes of what was converted
    frames = features(audio.samples)        # float32 [T, 93], T = ceil(samples / 160)

The definition is tf.signal's: frames of 512 samples every 160 with a periodic Hann window, the end padded with
zeros; magnitude spectrum; 80 triangles that are straight in mel (HTK's scale) from 80 to 8000 Hz;
log(mel + 1e-6); DCT-II scaled by 1/sqrt(2 * 80). librosa and SciPy do the work without TensorFlow.
"""

from __future__ import annotations

import os
import re
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
MAX_FRAMES = 360_000  # an hour
STRANGE_SAMPLE = 1e6  # a float WAV may exceed 1 a little; squares of far larger ones overflow
UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's, of a FLAC that was written into a pipe
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


class TooLongError(ValueError):
    """A recording of more `frames` of 10 ms than asked for. Its header says so: nothing was decoded."""

    def __init__(self, path: Path, *, frames: int, max_frames: int) -> None:
        super().__init__(f"{path}: {frames} frames of 10 ms; expected at most {max_frames}")
        self.frames = frames


def read_audio(path: Path, *, max_frames: int = MAX_FRAMES) -> Audio:
    """Read FLAC or WAV; mix to mono and resample to 16 kHz where needed.

    The header is looked at before anything is decoded, so that no file takes more memory than `max_frames` need.

    Raises:
        TooLongError: the header promises more than `max_frames` frames of 10 ms.
        ValueError: the file cannot be decoded, is cut short, or holds no samples or strange ones.
    """
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_whole(path, file)
            if (frames := _promised_frames(file)) > max_frames:
                raise TooLongError(path, frames=frames, max_frames=max_frames)
            rate_hz, samples = file.samplerate, file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path}: cannot be decoded ({_cause(path, error)}); expected a FLAC or WAV file") from error
    if not len(samples):
        raise ValueError(f"{path}: holds no samples; expected speech")
    if not (peak := max(samples.max(), -samples.min())) < STRANGE_SAMPLE:  # NaN is not less either
        raise ValueError(f"{path}: holds a sample of {peak:g}; expected values in [-1, 1]")
    notes = []
    if samples.shape[1] > 1:
        notes.append(f"mixed from {samples.shape[1]} channels")
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if rate_hz != SAMPLE_RATE_HZ:
        notes.append(f"resampled from {rate_hz} Hz")
        mono = librosa.resample(mono, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ)
    return Audio(mono, tuple(notes))


def promised_frames(path: Path) -> int:
    """Frames of 10 ms that a recording has by its header; 0 if it cannot be read."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return _promised_frames(file) if file.frames < UNKNOWN_LENGTH else 0
    except (soundfile.SoundFileError, RuntimeError):
        return 0


def _promised_frames(file: soundfile.SoundFile) -> int:
    return -(-file.frames * SAMPLE_RATE_HZ // (file.samplerate * STEP_SAMPLES))


def _check_whole(path: Path, file: soundfile.SoundFile) -> None:
    """libsndfile reads what there is of a WAV file that was cut short, and says so only in its log."""
    if file.frames >= UNKNOWN_LENGTH:
        raise ValueError(
            f"{path}: its header does not say how long it is; expected the number of samples: encode it again, "
            f"into a file and not a pipe"
        )
    cut = re.search(r"^data : (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    # Who writes WAV into a pipe cannot know its length, and says 2 or 4 GiB.
    if cut and int(cut[2]) + 1 < int(cut[1]) < 0x7FFF0000:
        raise ValueError(
            f"{path}: its header says {int(cut[1]):,} bytes of samples and the file has {int(cut[2]):,}; "
            f"expected a whole recording"
        )
    more = re.search(r"^\*\*\* Unknown chunk marker \((\w+)\) at position (\d+)", file.extra_info, re.MULTILINE)
    if more and not int(more[1], 16).to_bytes(4, "little")[:3].isalnum():  # "ID3", "TAG": what players append
        raise ValueError(
            f"{path}: its header ends the samples at byte {int(more[2]):,}, and what follows is no chunk of a WAV "
            f"file; expected a header that says how long the recording is"
        )


def _cause(path: Path, error: Exception) -> str:
    """Why a file could not be read, without its name: the system's word if it cannot be opened at all."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
    except OSError as denied:
        return denied.strerror
    return f"{str(getattr(error, 'error_string', error)).rstrip('.')}; {size:,} bytes"


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
    low_mel, high_mel = librosa.hz_to_mel(np.array([MEL_LOW_HZ, MEL_HIGH_HZ]), htk=True)
    edges_mel = np.linspace(low_mel, high_mel, MEL_BANDS + 2)
    lower, centre, upper = edges_mel[:-2], edges_mel[1:-1], edges_mel[2:]
    triangles = np.minimum((bins_mel - lower) / (centre - lower), (upper - bins_mel) / (upper - centre))
    triangles[0] = 0.0
    return np.maximum(triangles, 0.0).astype(np.float32)
