"""Recordings, read as 16 kHz mono float32.

audio = read_audio(path)                # with notes of what was converted
read_header(path).frames                # of a FLAC file, without decoding it
promised_frames(path), frame_count(len(audio.samples))      # frames of 10 ms
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import librosa
import numpy as np
import soundfile

SAMPLE_RATE_HZ = 16_000
STEP_SAMPLES = 160
FRAME_STEP_S = STEP_SAMPLES / SAMPLE_RATE_HZ
MAX_FRAMES = 360_000  # an hour
STRANGE_SAMPLE = 1e6  # a float WAV may exceed 1 a little; squares of far larger ones overflow
FORMATS = ("FLAC", "WAV", "WAVEX", "RF64")  # libsndfile's names; of others nothing tells whether they are whole
UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's, of a FLAC that was written into a pipe
LEAST_LEFT_BY_MIXING = 0.01
"""The share of the channels' energy that their mean must keep; the mean of uncorrelated channels keeps half of it."""


@dataclass(frozen=True)
class Audio:
    """16 kHz mono samples in [-1, 1], and what had to be converted to get them (e.g. "resampled from 8000 Hz").

    `digest` identifies the recording: rate, channels and the MD5 of the samples as they are stored, before any
    arithmetic. So it is the same on every processor, and for the same samples in FLAC and in WAV.
    """

    samples: np.ndarray
    notes: tuple[str, ...] = ()
    digest: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def frames(self) -> int:
        return frame_count(len(self.samples))


@dataclass(frozen=True)
class Header:
    """What the header of a FLAC file says `read_audio` will return; nothing was decoded."""

    frames: int
    seconds: float
    notes: tuple[str, ...]
    digest: str


class TooLongError(ValueError):
    """A recording of more `frames` of 10 ms than asked for. Its header says so: nothing was decoded."""

    def __init__(self, path: Path, *, frames: int, max_frames: int) -> None:
        super().__init__(f"{path}: {frames} frames of 10 ms; expected at most {max_frames}")
        self.frames = frames


def read_header(path: Path, *, max_frames: int = MAX_FRAMES) -> Header | Audio:
    """Read what `read_audio` would say of a recording, from the header of a FLAC file; other files are decoded.

    A FLAC file's header has the MD5 of its samples. Only decoding shows whether they match it and are speech.

    Raises:
        TooLongError, ValueError: as `read_audio` does, for what the header shows.
    """
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_whole(path, file)
            if (frames := _promised_frames(file)) > max_frames:
                raise TooLongError(path, frames=frames, max_frames=max_frames)
            rate_hz, channels, samples, stored = file.samplerate, file.channels, file.frames, _Stored.of(path, file)
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path}: cannot be decoded ({_cause(path, error)}); expected a FLAC or WAV file") from error
    if not stored.promised_md5 or not samples:
        return read_audio(path, max_frames=max_frames)
    digest = f"{rate_hz}-{channels}-{stored.promised_md5}"
    at_16_khz = -(-samples * SAMPLE_RATE_HZ // rate_hz)
    return Header(frames, at_16_khz / SAMPLE_RATE_HZ, _notes(channels, rate_hz), digest)


def read_audio(path: Path, *, max_frames: int = MAX_FRAMES) -> Audio:
    """Read FLAC or WAV; mix to mono and resample to 16 kHz where needed.

    The header is looked at before anything is decoded, so that no file takes more memory than `max_frames` need.

    Raises:
        TooLongError: the header promises more than `max_frames` frames of 10 ms.
        ValueError: the file cannot be decoded, holds fewer or other samples than its header promises, no samples or
            strange ones, silence, or channels that cancel one another.
    """
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_whole(path, file)
            if (frames := _promised_frames(file)) > max_frames:
                raise TooLongError(path, frames=frames, max_frames=max_frames)
            rate_hz, promised, stored = file.samplerate, file.frames, _Stored.of(path, file)
            raw = file.read(dtype=stored.dtype, always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path}: cannot be decoded ({_cause(path, error)}); expected a FLAC or WAV file") from error
    if not len(raw):
        raise ValueError(f"{path}: holds no samples; expected speech")
    if len(raw) < promised:
        raise ValueError(
            f"{path}: its header promises {promised:,} samples and it holds {len(raw):,}; expected a whole recording"
        )
    md5 = stored.md5(raw)
    if stored.promised_md5 and md5 != stored.promised_md5:
        raise ValueError(
            f"{path}: its samples are not those that its header was written for (MD5 {md5}, promised "
            f"{stored.promised_md5}): more are in it than the header says, or some are damaged; expected a whole FLAC "
            f"file: flac --test says more"
        )
    samples = stored.to_float(raw)
    mono = _mixed(path, samples)
    if rate_hz != SAMPLE_RATE_HZ:
        mono = librosa.resample(mono, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ)
    return Audio(mono, _notes(samples.shape[1], rate_hz), f"{rate_hz}-{samples.shape[1]}-{md5}")


def _notes(channels: int, rate_hz: int) -> tuple[str, ...]:
    mixed = (f"mixed from {channels} channels",) if channels > 1 else ()
    return (*mixed, f"resampled from {rate_hz} Hz") if rate_hz != SAMPLE_RATE_HZ else mixed


def _mixed(path: Path, samples: np.ndarray) -> np.ndarray:
    """Return the mean of the channels, float32 [S] of [S, C]. Raises ValueError for silence and strange samples."""
    low, high = samples.min(), samples.max()
    if not max(high, -low) < STRANGE_SAMPLE:  # NaN is not less either
        raise ValueError(f"{path}: holds a sample of {max(high, -low):g}; expected values in [-1, 1]")
    if low == high:
        raise ValueError(f"{path}: holds silence, every sample is {low:g}; expected speech")
    if samples.shape[1] == 1:
        return samples[:, 0]
    mono = samples.mean(axis=1)
    left = np.square(mono, dtype=np.float64).mean() / np.square(samples, dtype=np.float64).mean()
    if left < LEAST_LEFT_BY_MIXING:
        raise ValueError(
            f"{path}: its {samples.shape[1]} channels cancel one another: mixing them leaves {left:.2%} of their "
            f"energy; expected channels in phase: give one of them alone"
        )
    return mono


@dataclass(frozen=True)
class _Stored:
    """How samples are stored in a file: as integers of `bits` bits, or as floating-point numbers if that is 0."""

    dtype: str  # in which libsndfile gives them without loss
    bits: int
    promised_md5: str = ""  # FLAC's own

    @classmethod
    def of(cls, path: Path, file: soundfile.SoundFile) -> _Stored:
        if file.format == "FLAC":
            with path.open("rb") as opened:
                header = opened.read(42)
            if header.startswith(b"fLaC"):  # else a player's tag precedes it
                # STREAMINFO: after 20 bits of rate and 3 of channels, 5 of bits less one; at byte 26 the MD5.
                bits = ((header[20] & 1) << 4 | header[21] >> 4) + 1
                md5 = header[26:42]
                return cls("int16" if bits <= 16 else "int32", bits, md5.hex() if any(md5) else "")
        if file.subtype in ("FLOAT", "DOUBLE"):
            return cls("float32" if file.subtype == "FLOAT" else "float64", 0)
        bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_24": 24, "PCM_32": 32}.get(file.subtype, 16)
        return cls("int16" if bits <= 16 else "int32", bits)

    def md5(self, raw: np.ndarray) -> str:
        """Return the MD5 as FLAC defines it: of signed, interleaved, little-endian samples in whole bytes each."""
        width = -(-self.bits // 8)
        if self.bits:
            raw = raw >> (8 * raw.itemsize - self.bits) if self.bits < 8 * raw.itemsize else raw
            raw = raw.astype("<i2" if width == 2 else "<i4", copy=False)
        if width in (1, 3):
            raw = raw.reshape(-1, 1).view(np.uint8)[:, :width]
        return hashlib.md5(np.ascontiguousarray(raw).data, usedforsecurity=False).hexdigest()

    def to_float(self, raw: np.ndarray) -> np.ndarray:
        """Scale samples to float32 in [-1, 1], as libsndfile does."""
        if not self.bits:
            return raw.astype(np.float32, copy=False)
        return raw.astype(np.float32) * np.float32(2.0 ** (1 - 8 * raw.itemsize))


def promised_frames(path: Path) -> int:
    """Return how many frames of 10 ms a recording has by its header; 0 if it cannot be read."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return _promised_frames(file) if file.frames < UNKNOWN_LENGTH else 0
    except (soundfile.SoundFileError, RuntimeError):
        return 0


def is_flac_or_wav(path: Path) -> bool:
    """Tell whether a file is one of these by what is in it, whatever it is called; one that cannot be opened is."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return file.format in FORMATS
    except (soundfile.SoundFileError, RuntimeError):
        return True


def _promised_frames(file: soundfile.SoundFile) -> int:
    return -(-file.frames * SAMPLE_RATE_HZ // (file.samplerate * STEP_SAMPLES))


def _check_whole(path: Path, file: soundfile.SoundFile) -> None:
    """Raise ValueError for a WAV file that was cut short: libsndfile reads the rest, and says so only in its log.

    Files of other formats that are called .wav too: of those nothing tells whether they are whole.
    """
    if file.format not in FORMATS:
        raise ValueError(f"{path}: holds {file.format}; expected FLAC or WAV: python -m features.prepare converts it")
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
    """Say why a file could not be read, without its name: in the system's words if it cannot be opened."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
    except OSError as denied:
        return denied.strerror
    return f"{str(getattr(error, 'error_string', error)).rstrip('.')}; {size:,} bytes"


def frame_count(samples: int) -> int:
    """Return T, the number of frames of a waveform of `samples` samples."""
    return ceil(samples / STEP_SAMPLES)
