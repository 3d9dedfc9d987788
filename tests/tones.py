"""Tiny corpora of tones, for tests whose speech need not be real."""

from pathlib import Path

import numpy as np
import soundfile


def write_tone(path: Path, *, seconds: float, rate_hz: int = 16_000, channels: int = 1, seed: int = 0) -> None:
    """A noisy tone, as FLAC or WAV by the path's suffix."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 2000) * time_s) + 0.05 * rng.standard_normal(len(time_s))
    soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate_hz)


def write_chapter(root: Path, subset: str, speaker: int, sentences: list[str], *, seconds: float = 1.0) -> Path:
    """One chapter in LibriSpeech layout; returns its folder."""
    folder = root / subset / str(speaker) / "1"
    folder.mkdir(parents=True)
    lines = []
    for number, sentence in enumerate(sentences):
        identity = f"{speaker}-1-{number:04d}"
        write_tone(folder / f"{identity}.flac", seconds=seconds + 0.13 * (number % 5), seed=speaker * 100 + number)
        lines.append(f"{identity} {sentence.upper()}\n")
    (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))
    return folder
