"""Audio of any format, for those who cannot choose it: what libsndfile reads, and the rest by ffmpeg if it is there.

    samples, rate_hz = decoded(Path("call.m4a"))            # float32 [S, C]
    samples, rate_hz = decoded(content, name="standard input", start_s=1.5, end_s=4.0)
    mono = speech(samples, rate_hz)                         # float32 [S'], 16 kHz

Corpora are FLAC and WAV (features.corpus.audio), whose lengths are sure. Here a file is as long as it decodes to.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np
import soundfile

from features.corpus.audio import SAMPLE_RATE_HZ

SHORTER_S, SHORTER_SHARE = 0.1, 0.02
LONGER = 1.5
"""What a decoded recording may lack of its promised length: encoders pad and players trim."""
LIMIT_S = 3600.0


def decoded(
    source: Path | bytes, *, name: str = "", start_s: float = 0.0, end_s: float | None = None
) -> tuple[np.ndarray, int]:
    """Return the samples of a recording, or of a part of it, float32 [S, C], and their rate.

    Raises:
        ValueError: it cannot be decoded, is not there, or is shorter than its header or the part promises.
    """
    name = name or str(source)
    given = io.BytesIO(source) if isinstance(source, bytes) else os.fsencode(source)
    try:
        file = soundfile.SoundFile(given)
    except (soundfile.SoundFileError, RuntimeError) as error:
        if not isinstance(source, bytes) and not source.is_file():
            raise ValueError(f"{name}: not there; expected a recording") from None
        file = soundfile.SoundFile(_by_ffmpeg(source, name, str(getattr(error, "error_string", error))))
    with file:
        rate_hz, promised = file.samplerate, file.frames
        first = round(start_s * rate_hz)
        last = promised if end_s is None else round(end_s * rate_hz)
        if first and (first >= promised or last > promised + round(SHORTER_S * rate_hz)):
            raise ValueError(f"{name}: from {start_s:g} to {last / rate_hz:g} s, and it has {promised / rate_hz:.2f} s")
        try:
            if first:
                file.seek(first)
            samples = file.read(min(last, promised) - first, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
            raise ValueError(f"{name}: cannot be decoded ({str(error)[:120]})") from None
    if problem := too_short(len(samples) / rate_hz, (last - first) / rate_hz):
        raise ValueError(f"{name}: {problem}")
    if not len(samples):
        raise ValueError(f"{name}: holds no samples; expected speech")
    return samples, rate_hz


def too_short(seconds: float, promised: float | None) -> str:
    """Say that a recording is shorter than was promised; "" if it is not, but for what encoders trim."""
    if promised is None or seconds >= promised - max(SHORTER_S, SHORTER_SHARE * promised):
        return ""
    return f"holds {seconds:.2f} s, and {promised:.2f} s were promised; expected a whole recording"


def unlike(seconds: float, promised: float | None) -> str:
    """Say that a recording is shorter than was promised, or so much longer that a part of it was meant; "" if not."""
    if promised and seconds > LONGER * promised + 1:
        return f"holds {seconds:.2f} s, and {promised:.2f} s were promised; expected a recording of the sentence alone"
    return too_short(seconds, promised)


def speech(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return samples [S, C] mixed to one channel and resampled to 16 kHz, float32 [S']."""
    mono = samples.mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        mono = librosa.resample(mono, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ)
    return np.nan_to_num(mono, copy=False).astype(np.float32, copy=False)


def _by_ffmpeg(source: Path | bytes, name: str, why: str) -> io.BytesIO:
    """Decode what libsndfile does not read (M4A, AAC, WMA). Raises ValueError without ffmpeg, or if it fails too."""
    program = _ffmpeg()
    if program is None:
        raise ValueError(f"{name}: {why.rstrip('.')}; this format needs ffmpeg: install it, or convert the file")
    given, data = ("pipe:0", source) if isinstance(source, bytes) else (f"file:{source}", b"")
    command = [program, "-nostdin", "-v", "error", "-xerror", "-i", given, "-map", "0:a:0", "-f", "au", "-acodec",
               "pcm_f32be", "pipe:1"]  # fmt: skip
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{name}: ffmpeg did not end within {LIMIT_S:g} s") from None
    if done.returncode or not done.stdout:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
        raise ValueError(f"{name}: ffmpeg cannot decode it ({lines[-1][-120:]})")
    return io.BytesIO(done.stdout)


@lru_cache(maxsize=1)
def _ffmpeg() -> str | None:
    return shutil.which("ffmpeg")
