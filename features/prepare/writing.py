"""Audio that is decoded once, checked, and written as FLAC; or copied, if it is FLAC or WAV already.

    written = write(Copy(spoken=spoken, path=out / "train/anna/0/a1.flac"))
    written.seconds, written.band_hz, written.problem

A recording that is shorter than its source promises is a problem, and so is one that the suite could not read later:
every file is read back as training will read it. `band_hz` is where the speech ends: 4,000 Hz in a file of 16 kHz was a
telephone's, and half of the bands that a model hears are empty.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from features.corpus.anyformat import decoded, unlike
from features.corpus.audio import SAMPLE_RATE_HZ, is_flac_or_wav, read_audio
from features.prepare.arrow import audio_bytes
from features.prepare.spoken import Spoken

AS_IT_IS = (".flac", ".wav")
WINDOW = 1024
BAND_DB = 65.0
"""How far below the loudest band the last one may be that still is speech; 16 bits reach 98 dB."""
FULL = 32767 / 32768
LOUD_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Copy:
    """What is to be written where; `path` has no suffix yet."""

    spoken: Spoken
    path: Path


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written: the suffix of its file, seconds, where its band ends; or what is wrong with it."""

    id: str
    suffix: str = ""
    seconds: float = 0.0
    band_hz: float = 0.0
    clipped: bool = False
    problem: str = ""


def write(copy: Copy) -> Written:
    """Write one recording; what cannot be used is a `problem`, and leaves no file. Raises OSError for a full disk."""
    spoken = copy.spoken
    try:
        suffix, clipped = _written(spoken, copy.path)
    except (ValueError, soundfile.SoundFileError, RuntimeError) as error:
        return Written(id=spoken.id, problem=f"{spoken.where}: {_one_line(error)}")
    path = Path(f"{copy.path}{suffix}")
    try:
        audio = read_audio(path)
        if problem := unlike(audio.seconds, spoken.seconds):
            raise ValueError(problem)
    except ValueError as error:
        path.unlink(missing_ok=True)
        return Written(
            id=spoken.id, problem=f"{spoken.where}: {_one_line(error).replace(str(path), str(spoken.audio))}"
        )
    return Written(id=spoken.id, suffix=suffix, seconds=audio.seconds, band_hz=band_hz(audio.samples), clipped=clipped)


def _written(spoken: Spoken, path: Path) -> tuple[str, bool]:
    """Write a recording's file; return its suffix, and whether samples were over full scale."""
    suffix = spoken.audio.suffix.lower()
    if spoken.row is None and not spoken.is_part and suffix in AS_IT_IS and is_flac_or_wav(spoken.audio):
        _moved(lambda beside: shutil.copyfile(spoken.audio, beside), Path(f"{path}{suffix}"))
        return suffix, False
    source = spoken.audio if spoken.row is None else audio_bytes(spoken.audio, spoken.row, column=spoken.column)
    samples, rate_hz = decoded(source, name=str(spoken.audio), start_s=spoken.start_s, end_s=spoken.end_s)
    loudest = float(np.abs(samples).max(initial=0.0))
    whole = (np.clip(samples, -1, FULL) * 32768).round().astype(np.int16)

    def encode(beside: Path) -> None:
        soundfile.write(str(beside), whole, rate_hz, format="FLAC", subtype="PCM_16")

    _moved(encode, Path(f"{path}.flac"))
    return ".flac", loudest > 1.0


def _moved(make: Callable[[Path], object], path: Path) -> None:
    """Make a file beside its place, then rename it: what is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def band_hz(samples: np.ndarray) -> float:
    """Return where the band of 16 kHz speech ends, in Hz: the highest frequency within `BAND_DB` of the loudest.

    By the mean power spectrum of the loudest fifth of its windows of 64 ms; 0 if it is shorter than one.
    """
    count = len(samples) // WINDOW
    if not count:
        return 0.0
    windows = samples[: count * WINDOW].reshape(count, WINDOW)
    energy = np.square(windows, dtype=np.float64).sum(1)
    loud = windows[np.argsort(energy)[-max(1, round(LOUD_SHARE * count)) :]]
    power = np.square(np.abs(np.fft.rfft(loud * np.hanning(WINDOW), axis=1))).mean(0)
    heard = np.flatnonzero(power > power.max() * 10 ** (-BAND_DB / 10))
    return float(heard[-1] * SAMPLE_RATE_HZ / WINDOW) if power.max() > 0 else 0.0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
