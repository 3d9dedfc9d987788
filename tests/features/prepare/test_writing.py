import shutil
import subprocess

import librosa
import numpy as np
import pytest
import soundfile
from tones import write_tone

from features.prepare.spoken import Spoken
from features.prepare.writing import Copy, band_hz, write


def spoken(path, **more) -> Spoken:
    return Spoken(id="a", audio=path, text="one", where="train.tsv:2", **more)


def written(path, out, **more):
    return write(Copy(spoken=spoken(path, **more), path=out / "x" / "a"))


def test_flac_and_wav_are_copied_byte_for_byte(tmp_path):
    for suffix in (".flac", ".wav"):
        write_tone(tmp_path / f"a{suffix}", seconds=0.5)
        found = written(tmp_path / f"a{suffix}", tmp_path / "out")
        assert (found.suffix, found.seconds, found.problem) == (suffix, 0.5, "")
        assert (tmp_path / "out/x" / f"a{suffix}").read_bytes() == (tmp_path / f"a{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_what_libsndfile_reads_is_decoded_once(tmp_path, name):
    rate_hz = 48_000 if name == "a.opus" else 16_000
    kind = {"a.mp3": ("MP3", "MPEG_LAYER_III"), "a.ogg": ("OGG", "VORBIS"), "a.opus": ("OGG", "OPUS")}[name]
    time_s = np.arange(2 * rate_hz) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / name, tone, rate_hz, format=kind[0], subtype=kind[1])
    found = written(tmp_path / name, tmp_path / "out", seconds=2.0)
    assert found.problem == "" and found.suffix == ".flac" and found.seconds == pytest.approx(2.0, abs=0.1)
    samples, rate = soundfile.read(tmp_path / "out/x/a.flac")
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(440, abs=2)


def test_a_part_is_cut_where_it_was_asked_for(tmp_path):
    samples = (np.arange(32_000) % 30_000 - 15_000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    assert written(tmp_path / "a.wav", tmp_path / "out", start_s=0.5, end_s=1.25).seconds == 0.75
    cut, _ = soundfile.read(tmp_path / "out/x/a.flac", dtype="int16")
    np.testing.assert_array_equal(cut, samples[8000:20_000])


def test_less_than_was_promised_is_a_problem_and_leaves_no_file(tmp_path):
    write_tone(tmp_path / "a.flac", seconds=1.0)
    found = written(tmp_path / "a.flac", tmp_path / "out", seconds=1.5)
    assert found.problem == "train.tsv:2: holds 1.00 s, and 1.50 s were promised; expected a whole recording"
    assert not (tmp_path / "out/x/a.flac").exists()
    assert written(tmp_path / "a.flac", tmp_path / "out", seconds=1.08).problem == ""
    beyond = written(tmp_path / "a.flac", tmp_path / "out", start_s=0.5, end_s=2.0)
    assert "from 0.5 to 2 s, and it has 1.00 s" in beyond.problem


@pytest.mark.parametrize("content", [b"", b"ID3 no audio", b"fLaC" + bytes(40)])
def test_broken_audio_is_named_by_its_line_and_source(tmp_path, content):
    for name in ("a.mp3", "a.flac"):
        (tmp_path / name).write_bytes(content)
        found = written(tmp_path / name, tmp_path / "out")
        assert found.problem.startswith("train.tsv:2: ") and str(tmp_path / name) in found.problem, found
        assert not list((tmp_path / "out").rglob("*.*"))


def test_what_only_ffmpeg_reads(tmp_path):
    if (ffmpeg := shutil.which("ffmpeg")) is None:
        (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
        assert "this format needs ffmpeg" in written(tmp_path / "a.m4a", tmp_path / "out").problem
        return
    write_tone(tmp_path / "a.wav", seconds=1.0)
    command = [ffmpeg, "-v", "error", "-i", str(tmp_path / "a.wav"), str(tmp_path / "a.m4a")]
    subprocess.run(command, check=True)
    assert written(tmp_path / "a.m4a", tmp_path / "out").seconds == pytest.approx(1.0, abs=0.1)


def test_where_the_band_ends():
    """White noise has all of it; resampled from 8 kHz nothing above 4."""
    rng = np.random.default_rng(1)
    whole = (0.1 * rng.standard_normal(48_000)).astype(np.float32)
    narrow = librosa.resample(librosa.resample(whole, orig_sr=16_000, target_sr=8000), orig_sr=8000, target_sr=16_000)
    narrow = (narrow * 32768).round() / 32768  # what a file of 16 bits keeps
    assert band_hz(whole) > 7900
    assert 3800 < band_hz(narrow) < 4300
    assert band_hz(whole[:100]) == 0.0
