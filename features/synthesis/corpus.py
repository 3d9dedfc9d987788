"""The embedded corpus: short English sentences spoken by espeak-ng, written as FLAC in LibriSpeech's layout.

    python -m features.synthesis OUT [--sentences 2500 | --hours H] [--seed 0] [--jobs N]

    OUT/train-synthetic/101/1/101-1.trans.txt     lines "101-1-0000 THE MOON FADED AND THE RAIN BEGAN"
    OUT/train-synthetic/101/1/101-1-0000.flac     16 kHz, mono, 16 bit
    OUT/dev-synthetic, OUT/test-synthetic         other voices, other sentences, the same words and accents
    OUT/SPEAKERS.TXT                              each speaker's voice, subset and minutes
    OUT/corpus.json                               settings and totals; where it is, the corpus is complete

A sentence comes from `features.synthesis.grammar`. One of 22 voices speaks it at a random rate and pitch; silence is
put around it, noise is mixed in (5 to 25 dB below the power of active speech), and its peak is set to a random level.
An utterance takes 2.1 s on average, none more than 8. The default corpus is 1.5 h and 120 MB; two cores take 15 s.

The bytes depend on the seed, the size and the version of espeak-ng, not on the number of processes: all that is
random about an utterance is drawn from numpy's Generator seeded by [seed, subset, utterance]. (Another processor or
numpy may round a sample the other way.) Work is handed out in chapters. A chapter's transcript is renamed into
place after its last audio file, so that a run that broke off goes on with the chapters that lack one. Memory holds
one small record a chapter, whatever the size.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

from features.jobs.files import write_whole
from features.jobs.parts import Part
from features.jobs.progress import progress
from features.jobs.workers import spawned
from features.synthesis import SENTENCES
from features.synthesis.espeak import SAMPLE_RATE_HZ, espeak_version, speak
from features.synthesis.grammar import GRAMMAR, VOCABULARY, sentence
from platforms.machine import usable_cores

SCHEMA = 1  # of corpus.json, and of the signal processing below

# Accent "+" variant. The variant makes the speaker: none is in two subsets. All accents are in train.
VOICES = {
    "train": (
        "en-us+m3",
        "en-gb-scotland+f2",
        "en+m1",
        "en-us+f1",
        "en-029+m6",
        "en-gb-x-rp+f3",
        "en-us+Andy",
        "en+f4",
        "en-gb-x-gbclan+m7",
        "en-us+steph",
        "en-gb-scotland+m2",
        "en-us+m8",
        "en-gb-x-rp+m4",
        "en-029+f5",
        "en-us+Alex",
        "en+belinda",
    ),
    "dev": ("en-us+Annie", "en-gb-scotland+m5", "en+Michael"),
    "test": ("en-us+Mario", "en-029+linda", "en-gb-x-rp+john"),
}
SUBSETS = ("train", "dev", "test")
SUBSET_OF_HASH = ("train",) * 8 + ("dev", "test")  # which subset a sentence may be in, by its hash
FIRST_SPEAKER = {"train": 101, "dev": 201, "test": 301}
RATE_WPM = (140, 200)
PITCH_PERCENT = (40, 60)  # espeak's scale: 50 is a voice's own, 40 is 0.84 and 60 is 1.2 of it
SILENCE_S = (0.1, 0.3)  # before, and again after
SNR_DB = (5.0, 25.0)
PEAK_DBFS = (-15.0, -1.0)
EVALUATION_SHARE = 0.06  # of all sentences, for dev and again for test: 150 of 2500
EVALUATION_HOURS = 5.0  # at most
MEAN_SECONDS = 2.15  # of an utterance, measured over 10,000; --hours starts from it
MAX_SECONDS = 8.0  # none is longer
UTTERANCES_PER_CHAPTER = 100  # at most
CHAPTERS_PER_WORKER = 200  # then a new process: espeak-ng leaks 2 KiB an utterance
RECIPE = (
    GRAMMAR,
    VOICES,
    SUBSET_OF_HASH,
    RATE_WPM,
    PITCH_PERCENT,
    SILENCE_S,
    SNR_DB,
    PEAK_DBFS,
    EVALUATION_SHARE,
    EVALUATION_HOURS,
    MEAN_SECONDS,
    UTTERANCES_PER_CHAPTER,
)
COMPLETE, PARTIAL = "corpus.json", "corpus.partial.json"


@dataclass(frozen=True)
class Corpus:
    """The contents of corpus.json: the settings, up to espeak_ng, then what was made."""

    schema: int
    sentences: int | None  # None where hours were asked for
    hours: float | None
    seed: int
    recipe: str  # hash of RECIPE
    espeak_ng: str  # its version
    utterances: dict[str, int]  # by subset
    vocabulary_words: int
    seconds: float


@dataclass(frozen=True)
class Chapter:
    """Utterances first..stop-1 of a subset, spoken by one voice: the unit of work."""

    root: Path
    seed: int
    subset: str
    index: int
    first: int
    stop: int

    @property
    def voice(self) -> str:
        return VOICES[self.subset][self.index % len(VOICES[self.subset])]

    @property
    def speaker(self) -> int:
        return FIRST_SPEAKER[self.subset] + VOICES[self.subset].index(self.voice)

    @property
    def name(self) -> str:
        return f"{self.speaker}-{self.index + 1}"

    @property
    def folder(self) -> Path:
        return self.root / f"{self.subset}-synthetic" / str(self.speaker) / str(self.index + 1)

    @property
    def transcript(self) -> Path:
        return self.folder / f"{self.name}.trans.txt"

    @property
    def audio(self) -> list[Path]:
        return [self.folder / f"{self.name}-{i:04d}.flac" for i in range(self.stop - self.first)]


# ---- one utterance: sentence, speech, silence, noise, level


def utterance(*, seed: int, subset: str, number: int, voice: str) -> tuple[str, np.ndarray]:
    """Return the sentence and its audio, int16 [samples]."""
    rng = np.random.default_rng([seed, SUBSETS.index(subset), number])
    text = _sentence_of(subset, rng)
    rate, pitch = (int(rng.integers(*limits, endpoint=True)) for limits in (RATE_WPM, PITCH_PERCENT))
    speech = speak(text, voice=voice, rate_wpm=rate, pitch_percent=pitch, seed=int(rng.integers(2**31)))
    return text, np.rint(recorded(speech, rng) * 32767).astype(np.int16)


def recorded(speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the speech with silence around it and noise mixed in, at a random level below full scale."""
    before, after = (int(rng.uniform(*SILENCE_S) * SAMPLE_RATE_HZ) for _ in range(2))
    noise_power = active_power(speech) / 10 ** (rng.uniform(*SNR_DB) / 10)
    audio = np.pad(speech, (before, after))
    audio += noise(len(audio), power=noise_power, rng=rng)
    return audio * 10 ** (rng.uniform(*PEAK_DBFS) / 20) / np.abs(audio).max()


def _sentence_of(subset: str, rng: np.random.Generator) -> str:
    # A sentence's own hash says which subset may use it: none is in two, and nothing need be remembered.
    while True:
        text = sentence(rng)
        if SUBSET_OF_HASH[zlib.crc32(text.encode()) % len(SUBSET_OF_HASH)] == subset:
            return text


def active_power(speech: np.ndarray) -> float:
    """Return the mean square of the 20 ms frames within 30 dB of the loudest: pauses and closures do not count."""
    frame = SAMPLE_RATE_HZ // 50
    powers = np.square(speech[: len(speech) // frame * frame].reshape(-1, frame)).mean(axis=1)
    return float(powers[powers >= powers.max() / 1000].mean())


def noise(samples: int, *, power: float, rng: np.random.Generator) -> np.ndarray:
    """Return white and pink noise in a random mixture, scaled to exactly this mean square."""
    white, source = rng.standard_normal((2, samples))
    pink = lfilter(_PINK_NUMERATOR, _PINK_DENOMINATOR, source)
    share = rng.uniform()
    mixed = np.sqrt(share / np.mean(white**2)) * white + np.sqrt((1 - share) / np.mean(pink**2)) * pink
    return mixed * np.sqrt(power / np.mean(mixed**2))


# Falls by 3 dB an octave from about 20 Hz up (the filter of J. O. Smith, Spectral Audio Signal Processing).
_PINK_NUMERATOR = (0.049922035, -0.095993537, 0.050612699, -0.004408786)
_PINK_DENOMINATOR = (1.0, -2.494956002, 2.017265875, -0.522189400)


# ---- one chapter, in a worker process


def _speak_chapter(chapter: Chapter) -> tuple[Chapter, float]:
    """Write the chapter unless it is there; return it with the seconds of its audio."""
    seconds = _seconds_on_disk(chapter)
    return chapter, _write_chapter(chapter) if seconds is None else seconds


def _seconds_on_disk(chapter: Chapter) -> float | None:
    if not chapter.transcript.exists():
        return None
    try:
        return sum(soundfile.info(path).frames for path in chapter.audio) / SAMPLE_RATE_HZ
    except (OSError, soundfile.SoundFileError):
        return None  # an audio file was lost since: speak them again


def _write_chapter(chapter: Chapter) -> float:
    chapter.folder.mkdir(parents=True, exist_ok=True)
    lines, samples = [], 0
    for number, path in enumerate(chapter.audio, chapter.first):
        text, audio = utterance(seed=chapter.seed, subset=chapter.subset, number=number, voice=chapter.voice)
        if len(audio) > MAX_SECONDS * SAMPLE_RATE_HZ:
            raise RuntimeError(f"{text!r} takes {len(audio) / SAMPLE_RATE_HZ:.1f} s to say; at most {MAX_SECONDS} s")
        soundfile.write(path, audio, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
        lines.append(f"{path.stem} {text.upper()}\n")
        samples += len(audio)
    write_whole(chapter.transcript, "".join(lines))
    return samples / SAMPLE_RATE_HZ


# ---- many chapters, on many processes


def _spoken(chapters: list[Chapter], *, jobs: int) -> Iterator[tuple[Chapter, float]]:
    """Yield each chapter with its seconds, as they get ready."""
    block = jobs * CHAPTERS_PER_WORKER
    for first in range(0, len(chapters), block):
        yield from spawned(_speak_chapter, chapters[first : first + block], jobs=jobs)


# ---- the whole corpus


def synthesise(
    out: str | os.PathLike,
    *,
    sentences: int = SENTENCES,
    hours: float | None = None,
    seed: int = 0,
    jobs: int | None = None,
) -> Corpus:
    """Write the corpus to `out`, or the rest of it; `hours`, if given, replaces `sentences`.

    The workers are spawned: a script that calls this needs `if __name__ == "__main__":`.
    """
    root = Path(out)
    settings = _settings(sentences=sentences, hours=hours, seed=seed)
    jobs = _checked("--jobs", usable_cores() if jobs is None else jobs, at_least=1)
    if (complete := _claim(root, settings)) is not None:
        return complete
    utterances, speaker_seconds = _speak_subsets(root, settings, jobs=jobs)
    write_whole(root / "SPEAKERS.TXT", _speakers_txt(speaker_seconds))
    corpus = Corpus(
        **settings,
        utterances=utterances,
        vocabulary_words=len(VOCABULARY),
        seconds=round(sum(speaker_seconds.values()), 3),
    )
    write_whole(root / COMPLETE, json.dumps(asdict(corpus), indent=1) + "\n")
    (root / PARTIAL).unlink()
    return corpus


def speak_part(
    out: str | os.PathLike,
    *,
    part: Part,
    sentences: int = SENTENCES,
    hours: float | None = None,
    seed: int = 0,
    jobs: int | None = None,
) -> int:
    """Speak one part of the chapters, while others speak the rest into the same folder; returns how many utterances.

    `synthesise` then finds them there, and adds what is missing: the list of speakers, the counts, and a few chapters
    where `hours` were asked for and the estimate fell short.
    """
    root = Path(out)
    settings = _settings(sentences=sentences, hours=hours, seed=seed)
    jobs = _checked("--jobs", usable_cores() if jobs is None else jobs, at_least=1)
    if (complete := _claim(root, settings)) is not None:
        return sum(complete.utterances.values())
    chapters = list(part.of(_first_chapters(root, settings)))
    for _ in _with_progress(_spoken(chapters, jobs=max(1, min(jobs, len(chapters)))), chapters):
        pass
    return sum(chapter.stop - chapter.first for chapter in chapters)


def _settings(*, sentences: int, hours: float | None, seed: int) -> dict:
    if hours is None:
        _checked("--sentences", sentences, at_least=len(SUBSETS))
    elif not 0 < hours < math.inf:
        raise ValueError(f"--hours {hours}: expected a number above 0, such as 0.5")
    return {
        "schema": SCHEMA,
        "sentences": sentences if hours is None else None,
        "hours": hours,
        "seed": _checked("--seed", seed, at_least=0),
        "recipe": hashlib.sha256(repr(RECIPE).encode()).hexdigest()[:12],
        "espeak_ng": espeak_version(),
    }


def _checked(option: str, value: int, *, at_least: int) -> int:
    if value < at_least:
        raise ValueError(f"{option} {value}: expected {at_least} or more")
    return value


def _claim(root: Path, settings: dict) -> Corpus | None:
    """Mark the folder as a corpus of these settings; return the corpus if it is complete already."""
    for name in (COMPLETE, PARTIAL):
        if (root / name).exists():
            found = json.loads((root / name).read_text())
            _check_same(root / name, found, settings)
            return Corpus(**found) if name == COMPLETE else None
    if strange := [subset for subset in SUBSETS if (root / f"{subset}-synthetic").exists()]:
        raise ValueError(
            f"{root} has a {strange[0]}-synthetic but no {COMPLETE} to say what it is; "
            "choose another folder or delete this one"
        )
    root.mkdir(parents=True, exist_ok=True)
    write_whole(root / PARTIAL, json.dumps(settings, indent=1) + "\n")
    return None


def _check_same(path: Path, found: dict, settings: dict) -> None:
    other = [
        f"{name} {found.get(name)} there, {asked} asked for"
        for name, asked in settings.items()
        if found.get(name) != asked
    ]
    if other:
        raise ValueError(
            f"{path} is of a corpus with other settings: {'; '.join(other)}; "
            "ask for the same, choose another folder or delete this one"
        )


def _speak_subsets(root: Path, settings: dict, *, jobs: int) -> tuple[dict[str, int], dict[int, float]]:
    """Write every chapter; return utterances by subset and seconds by speaker."""
    seed, wanted_s = settings["seed"], 3600 * (settings["hours"] or 0)
    utterances, chapters = _planned(settings), _first_chapters(root, settings)
    speaker_seconds: dict[int, float] = defaultdict(float)
    while chapters:
        for chapter, seconds in _with_progress(_spoken(chapters, jobs=min(jobs, len(chapters))), chapters):
            speaker_seconds[chapter.speaker] += seconds
        # MEAN_SECONDS is an estimate: where it fell short of the hours, train gets more chapters.
        spoken, index = utterances["train"], 1 + max(c.index for c in chapters if c.subset == "train")
        utterances["train"] += max(0, math.ceil((wanted_s - sum(speaker_seconds.values())) / MEAN_SECONDS))
        chapters = chapters_of(
            root, seed=seed, subset="train", first=spoken, stop=utterances["train"], first_index=index
        )
    return utterances, dict(sorted(speaker_seconds.items()))


def _planned(settings: dict) -> dict[str, int]:
    """Return how many utterances each subset is to have, as far as is known beforehand."""
    return _shares(settings["sentences"] or math.ceil(3600 * (settings["hours"] or 0) / MEAN_SECONDS))


def _first_chapters(root: Path, settings: dict) -> list[Chapter]:
    return [
        chapter
        for subset, count in _planned(settings).items()
        for chapter in chapters_of(root, seed=settings["seed"], subset=subset, first=0, stop=count)
    ]


def _with_progress(spoken: Iterable[tuple[Chapter, float]], chapters: list[Chapter]) -> Iterator[tuple[Chapter, float]]:
    total = sum(chapter.stop - chapter.first for chapter in chapters)
    with progress("synthesis", total=total, unit="utterances") as advance:
        for chapter, seconds in spoken:
            advance(chapter.stop - chapter.first)
            yield chapter, seconds


def _shares(sentences: int) -> dict[str, int]:
    most = int(EVALUATION_HOURS * 3600 / MEAN_SECONDS)
    evaluation = max(1, min(most, round(EVALUATION_SHARE * sentences)))
    return {"train": max(1, sentences - 2 * evaluation), "dev": evaluation, "test": evaluation}


def chapters_of(root: Path, *, seed: int, subset: str, first: int, stop: int, first_index: int = 0) -> list[Chapter]:
    """Divide utterances first..stop-1 of a subset evenly into chapters, and these evenly among the voices."""
    utterances, voices = stop - first, len(VOICES[subset])
    chapters = min(utterances, voices * math.ceil(utterances / (voices * UTTERANCES_PER_CHAPTER)))
    bounds = [first + utterances * i // chapters for i in range(chapters + 1)] if utterances else []
    return [
        Chapter(root, seed, subset, index, start, end)
        for index, (start, end) in enumerate(pairwise(bounds), first_index)
    ]


def _speakers_txt(speaker_seconds: dict[int, float]) -> str:
    lines = [";ID  |SUBSET          |MINUTES| NAME (espeak-ng voice)"]
    for subset, voices in VOICES.items():
        for speaker, voice in enumerate(voices, FIRST_SPEAKER[subset]):
            minutes = speaker_seconds.get(speaker, 0.0) / 60
            lines.append(f"{speaker:<5}|{subset + '-synthetic':<16}|{minutes:7.2f}| {voice}")
    return "\n".join(lines) + "\n"


# ---- command line
