"""The embedded corpus: what is spoken, by whom, how it is written, and what happens when it is asked for again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import espeakng_loader
import numpy as np
import psutil
import pytest
import soundfile

from features.jobs.parts import Part
from features.synthesis import corpus as synthesis
from features.synthesis.__main__ import main
from features.synthesis.corpus import SUBSETS, VOICES, chapters_of, speak_part, synthesise
from features.synthesis.grammar import VOCABULARY, sentence

SENTENCES = 45  # 6% of it, 3, are dev and 3 test; 39 are train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, by one worker, and only read."""
    out = tmp_path_factory.mktemp("corpus") / "out"
    synthesise(out, sentences=SENTENCES, jobs=1)
    return out


@pytest.fixture
def copy(corpus: Path, tmp_path: Path) -> Path:
    subprocess.run(["cp", "-rp", corpus, tmp_path / "out"], check=True)
    return tmp_path / "out"


def files(out: Path) -> dict[Path, bytes]:
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def lines(out: Path, subset: str = "*") -> list[tuple[Path, str, str]]:
    """(transcript, utterance, sentence) of every line."""
    return [
        (transcript, *line.split(" ", 1))
        for transcript in sorted(out.glob(f"{subset}-synthetic/*/*/*.trans.txt"))
        for line in transcript.read_text().splitlines()
    ]


def seconds(out: Path) -> float:
    return sum(soundfile.info(path).duration for path in out.rglob("*.flac"))


# ---- layout


@pytest.mark.slow
def test_parts_spoken_apart_are_the_corpus_of_one_machine(corpus, tmp_path):
    for number in (2, 1, 3):
        spoken = speak_part(tmp_path, part=Part(number, 3), sentences=SENTENCES, jobs=1)
        assert 0 < spoken < SENTENCES and not (tmp_path / "corpus.json").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    synthesise(tmp_path, sentences=SENTENCES, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")} == before  # nothing is spoken again
    for path in corpus.rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(corpus)).read_bytes() == path.read_bytes(), path.name


def test_every_line_of_a_transcript_has_its_audio_beside_it_and_every_audio_file_its_line(corpus):
    named = {transcript.parent / f"{utterance}.flac" for transcript, utterance, _ in lines(corpus)}
    assert named == set(corpus.rglob("*.flac"))
    assert Counter(path.relative_to(corpus).parts[0] for path in named) == {
        "train-synthetic": 39,
        "dev-synthetic": 3,
        "test-synthetic": 3,
    }


def test_names_are_those_of_librispeech(corpus):
    for transcript, utterance, _ in lines(corpus):
        speaker, chapter = transcript.parts[-3:-1]
        assert transcript.name == f"{speaker}-{chapter}.trans.txt"
        assert re.fullmatch(rf"{speaker}-{chapter}-\d{{4}}", utterance)


def test_sentences_are_of_capital_letters_apostrophes_and_single_spaces(corpus):
    for _, _, text in lines(corpus):
        assert re.fullmatch(r"[A-Z']+( [A-Z']+){2,8}", text)


def test_audio_is_16_khz_mono_16_bit_and_under_8_s(corpus):
    for path in corpus.rglob("*.flac"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16_000, 1, "FLAC", "PCM_16")
        assert 0.5 < info.duration < 8


def test_audio_is_never_clipped_and_its_peak_lies_between_minus_15_and_minus_1_dbfs(corpus):
    for path in corpus.rglob("*.flac"):
        peak = np.abs(soundfile.read(path)[0]).max()
        assert 10 ** (-15.01 / 20) < peak < 10 ** (-0.99 / 20)  # 0.178 .. 0.892


def test_speakers_txt_names_the_voice_of_every_speaker(corpus):
    rows = [re.split(r" *\| *", line) for line in (corpus / "SPEAKERS.TXT").read_text().splitlines()[1:]]
    assert {(subset, voice) for _, subset, _, voice in rows} == {
        (f"{subset}-synthetic", voice) for subset, voices in VOICES.items() for voice in voices
    }
    assert {path.parts[-2:] for path in corpus.glob("*/*") if path.is_dir()} <= {
        (subset, speaker) for speaker, subset, _, _ in rows
    }


def test_the_totals_are_those_of_the_files(corpus):
    told = json.loads((corpus / "corpus.json").read_text())
    assert told["utterances"] == {"train": 39, "dev": 3, "test": 3}
    assert told["seconds"] == pytest.approx(seconds(corpus), abs=0.01)


# ---- who says what


def test_no_variant_speaks_in_two_subsets_and_every_accent_is_trained_on():
    accents, variants = (
        {subset: {voice.split("+")[i] for voice in VOICES[subset]} for subset in SUBSETS} for i in (0, 1)
    )
    assert sum(len(names) for names in variants.values()) == len(set().union(*variants.values())) == 22
    assert accents["dev"] | accents["test"] <= accents["train"]
    assert min(len(accents["dev"]), len(accents["test"])) == 3


def test_no_two_voices_sound_the_same():
    # espeak-ng takes a variant it does not know for none at all, and says nothing.
    voices = [voice for names in VOICES.values() for voice in names] + ["en", "en-us"]
    spoken = {
        synthesis.speak("two cool apples", voice=voice, rate_wpm=170, pitch_percent=50, seed=0).tobytes()
        for voice in voices
    }
    assert len(spoken) == 24


def test_the_subsets_share_no_sentence():
    draws = {
        subset: {synthesis._sentence_of(subset, np.random.default_rng([0, i])) for i in range(1000)}
        for subset in SUBSETS
    }
    assert not draws["train"] & draws["dev"] and not draws["train"] & draws["test"] and not draws["dev"] & draws["test"]
    assert all(len(sentences) > 900 for sentences in draws.values())


def test_sentences_have_3_to_9_words_and_use_the_whole_vocabulary():
    rng = np.random.default_rng(0)
    drawn = [sentence(rng).split() for _ in range(10_000)]
    assert {len(words) for words in drawn} == set(range(3, 10))
    used = Counter(word for words in drawn for word in words)
    assert set(used) == VOCABULARY and 400 <= len(VOCABULARY) <= 700
    assert all(re.fullmatch(r"[a-z]+('[a-z]+)?", word) for word in used)
    assert {"cool", "don't", "o'clock", "twelve", "an"} <= set(used)


def test_2500_sentences_are_2200_150_and_150_and_evaluation_is_capped_at_5_hours():
    assert synthesis._shares(2500) == {"train": 2200, "dev": 150, "test": 150}  # 6% of 2500 = 150
    # 5 h / 2.15 s = 8372.1 utterances, under 6% of a million
    assert synthesis._shares(1_000_000) == {"train": 1_000_000 - 2 * 8372, "dev": 8372, "test": 8372}


def test_chapters_have_at_most_100_utterances_and_each_voice_as_many_chapters(tmp_path):
    chapters = chapters_of(tmp_path, seed=0, subset="train", first=0, stop=2200)
    assert len(chapters) == 32  # 2200 / (16 voices * 100) = 1.4, so 2 chapters a voice
    assert {chapter.stop - chapter.first for chapter in chapters} == {68, 69}  # 2200 / 32 = 68.75
    assert set(Counter(chapter.voice for chapter in chapters).values()) == {2}
    assert [n for chapter in chapters for n in range(chapter.first, chapter.stop)] == list(range(2200))


# ---- determinism


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_processes(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "CHAPTERS_PER_WORKER", 5)  # 22 chapters: 3 * 5 by three workers, 7 by others
    synthesise(tmp_path, sentences=SENTENCES, jobs=3)
    assert files(tmp_path) == files(corpus)


@pytest.mark.parametrize("voice", ["en-us+m3", "en-gb-scotland+f2"])  # f2 breathes at random
def test_an_utterance_does_not_depend_on_those_spoken_before(voice):
    def spoken() -> bytes:
        return synthesis.utterance(seed=0, subset="train", number=7, voice=voice)[1].tobytes()

    alone = spoken()
    for number in range(3):
        synthesis.utterance(seed=1, subset="dev", number=number, voice=VOICES["dev"][number])
        assert spoken() == alone


def test_another_seed_gives_other_sentences_and_other_audio():
    (text, audio), (other_text, other_audio) = (
        synthesis.utterance(seed=seed, subset="train", number=0, voice="en+m1") for seed in (0, 1)
    )
    assert text != other_text and len(audio) != len(other_audio)


# ---- noise

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)  # 1 s, power 0.5**2 / 2 = 0.125


def test_active_power_of_a_tone_is_half_its_amplitude_squared_and_silence_does_not_count():
    assert synthesis.active_power(TONE) == pytest.approx(0.125, rel=1e-3)
    assert synthesis.active_power(np.concatenate([TONE, np.zeros(16_000)])) == pytest.approx(0.125, rel=1e-3)


def test_noise_has_exactly_the_power_asked_for():
    made = synthesis.noise(30_000, power=0.02, rng=np.random.default_rng(0))
    assert np.mean(made**2) == pytest.approx(0.02)


@pytest.mark.parametrize("snr_db", [5.0, 25.0])
def test_a_tone_at_an_snr_of_some_db_is_that_far_above_its_noise(monkeypatch, snr_db):
    monkeypatch.setattr(synthesis, "SNR_DB", (snr_db, snr_db))
    monkeypatch.setattr(synthesis, "SILENCE_S", (0.2, 0.2))  # 3200 samples
    audio = synthesis.recorded(TONE, np.random.default_rng(0))
    tone = np.pad(TONE, 3200)
    gain = audio @ tone / (tone @ tone)  # of the tone in the audio, by least squares; the rest is noise
    rest = audio - gain * tone
    assert 10 * np.log10(gain**2 * 0.125 / np.mean(rest**2)) == pytest.approx(snr_db, abs=0.1)


# ---- size, going on, refusing


@pytest.mark.slow
def test_hours_are_reached_though_the_mean_was_estimated_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "MEAN_SECONDS", 2.4)  # 72 s / 2.4 s = 30 utterances,
    made = synthesise(tmp_path, hours=0.02, jobs=1)  # about 65 s: more must follow
    assert sum(made.utterances.values()) > 30
    assert 72 <= made.seconds < 72 + 2 * 3  # two of at most 3 s too many
    assert made.seconds == pytest.approx(seconds(tmp_path), abs=0.01)


def test_a_complete_corpus_is_left_alone(corpus, monkeypatch):
    monkeypatch.setattr(synthesis, "_spoken", lambda *_, **__: pytest.fail("spoke again"))
    assert synthesise(corpus, sentences=SENTENCES).utterances["train"] == 39


def test_a_run_that_broke_off_goes_on_with_the_chapters_that_are_missing(corpus, copy):
    before = files(copy)
    (copy / "corpus.json").unlink()
    settings = {
        name: value
        for name, value in json.loads(before[Path("corpus.json")]).items()
        if name not in ("utterances", "vocabulary_words", "seconds")
    }
    (copy / "corpus.partial.json").write_text(json.dumps(settings))
    kept, untold, lost_audio, spoilt_audio = sorted(copy.glob("train-synthetic/*/*"))[:4]
    next(untold.glob("*.trans.txt")).unlink()
    next(lost_audio.glob("*.flac")).unlink()
    next(spoilt_audio.glob("*.flac")).write_bytes(b"fLaC, but broken off")
    kept_times = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    synthesise(copy, sentences=SENTENCES, jobs=1)
    assert files(copy) == before
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == kept_times


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"sentences": SENTENCES, "seed": 1}, "seed 0 there, 1 asked for"),
        ({"sentences": 50}, "sentences 45 there, 50 asked for"),
        ({"hours": 0.5}, "hours None there, 0.5 asked for"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused_and_both_named(corpus, other, named):
    with pytest.raises(ValueError, match=named):
        synthesise(corpus, **other)


def test_a_subset_of_unknown_origin_is_not_added_to(tmp_path, capsys):
    (tmp_path / "dev-synthetic").mkdir()
    assert main([str(tmp_path)]) == 2
    assert "dev-synthetic but no corpus.json" in capsys.readouterr().err


# ---- command line


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--sentences", "2"], "--sentences 2: expected 3 or more"),
        (["--hours", "nan"], "--hours nan: expected a number above 0"),
        (["--seed", "-1"], "--seed -1: expected 0 or more"),
        (["--jobs", "0"], "--jobs 0: expected 1 or more"),
    ],
)
def test_nonsense_is_one_line_and_exit_status_2(tmp_path, capsys, options, complaint):
    assert main([str(tmp_path / "out"), *options]) == 2
    assert capsys.readouterr().err.startswith(f"features.synthesis: {complaint}")
    assert not (tmp_path / "out").exists()


def test_without_the_library_the_error_names_the_package_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "none.so"))
    assert main([str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "pip install espeakng-loader" in told and told.count("\n") == 1


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_no_traceback_and_status_130(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-m", "features.synthesis", tmp_path, "--jobs", "2", "--hours", "20"],  # not done too soon
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    try:
        while not any(tmp_path.rglob("*.flac")):
            assert running.poll() is None
            time.sleep(0.02)
        workers = psutil.Process(running.pid).children(recursive=True)
        for worker in workers:  # a terminal sends it to all; the workers leave it to the parent
            worker.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=20)[1]
    finally:
        running.kill()
    assert running.returncode == 130
    assert told == "features.synthesis: interrupted; the same command goes on where this one stopped\n"
    assert len(workers) >= 2
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert len(list(tmp_path.rglob("*.trans.txt"))) <= 2  # of 4 chapters handed out: none was waited for
