"""Recordings: what is converted, what is refused by name, and what identifies them."""

import os
import struct
from math import ceil

import numpy as np
import pytest
import soundfile
from tones import write_tone

from features.corpus.audio import TooLongError, frame_count, promised_frames, read_audio


def test_stereo_is_mixed_and_other_rates_are_resampled_with_a_note(tmp_path):
    write_tone(tmp_path / "a.wav", seconds=1, rate_hz=8000, channels=2)
    audio = read_audio(tmp_path / "a.wav")
    assert audio.notes == ("mixed from 2 channels", "resampled from 8000 Hz")
    assert audio.samples.shape == (16_000,) and audio.seconds == 1.0


def test_flac_and_wav_at_16_khz_need_no_note(tmp_path):
    for name in ("a.wav", "a.flac"):
        write_tone(tmp_path / name, seconds=0.5)
        assert read_audio(tmp_path / name).notes == ()


@pytest.mark.parametrize("content", [b"", b"not audio", b"fLaC\0\0\0\x22"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(ValueError, match="x.flac: cannot be decoded"):
        read_audio(tmp_path / "x.flac")


def test_a_file_without_samples_is_named(tmp_path):
    write_tone(tmp_path / "x.wav", seconds=0)
    with pytest.raises(ValueError, match="x.wav: holds no samples"):
        read_audio(tmp_path / "x.wav")


def wav_saying(path, data_bytes: int) -> None:
    """Half a second, 16,000 bytes of samples, with a header that says something else."""
    write_tone(path, seconds=0.5)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"data") + 4, data_bytes)
    path.write_bytes(content)


def test_a_wav_whose_header_promises_more_than_there_is_names_both_numbers(tmp_path):
    wav_saying(tmp_path / "x.wav", 1_000_000)
    with pytest.raises(ValueError, match=r"x.wav: its header says 1,000,000 bytes of samples and the file has 16,000;"):
        read_audio(tmp_path / "x.wav")


def test_a_wav_whose_header_promises_less_than_there_is_is_refused(tmp_path):
    """44 bytes of header, 8,000 of the 16,000 of samples; then what were a chunk's name is a sample of noise."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    soundfile.write(tmp_path / "x.wav", samples, 16_000)
    whole = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(whole[:40] + struct.pack("<I", 8000) + whole[44:])
    with pytest.raises(ValueError, match=r"x.wav: its header ends the samples at byte 8,044, and what follows is no"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("tag", [b"ID3\x03" + bytes(100), b"TAGtitle", b"LIST\x04\0\0\0INFO", bytes(1000)])
def test_a_wav_with_something_behind_its_samples_is_read(tmp_path, tag):
    write_tone(tmp_path / "x.wav", seconds=0.5)
    with (tmp_path / "x.wav").open("ab") as file:
        file.write(tag)
    assert len(read_audio(tmp_path / "x.wav").samples) == 8000


def test_a_wav_cut_short_is_refused(tmp_path):
    write_tone(tmp_path / "x.wav", seconds=0.5)
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"says 16,000 bytes of samples and the file has 4,956"):  # 44 are the header
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("unknown", [0x7FFF_F000, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_from_a_pipe_whose_header_says_gigabytes_is_read(tmp_path, unknown):
    wav_saying(tmp_path / "x.wav", unknown)
    assert read_audio(tmp_path / "x.wav").seconds == 0.5


def flac_saying(path, samples: int) -> None:
    """The number of samples is 36 bits from the middle of byte 21 on."""
    write_tone(path, seconds=0.5)
    content = bytearray(path.read_bytes())
    content[21:26] = ((content[21] & 0xF0) << 32 | samples).to_bytes(5, "big")
    path.write_bytes(content)


def test_a_flac_that_does_not_say_its_length_is_named(tmp_path):
    flac_saying(tmp_path / "x.flac", 0)
    with pytest.raises(ValueError, match=r"x.flac: its header does not say how long it is"):
        read_audio(tmp_path / "x.flac")


def test_a_flac_that_promises_more_than_it_holds_is_refused(tmp_path):
    flac_saying(tmp_path / "x.flac", 8001)
    with pytest.raises(ValueError, match=r"x.flac: cannot be decoded"):
        read_audio(tmp_path / "x.flac")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_flac_cut_short_is_named_with_its_size(tmp_path, keep):
    write_tone(tmp_path / "x.flac", seconds=0.5)
    content = (tmp_path / "x.flac").read_bytes()
    content = content[: int(len(content) * keep)]
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x.flac: cannot be decoded \(.*; {len(content):,} bytes\)"):
        read_audio(tmp_path / "x.flac")


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_ten_hours_are_too_long_by_their_header_and_not_decoded(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"x{suffix}"
    if suffix == ".flac":
        flac_saying(path, 36_000 * 16_000)
    else:
        wav_saying(path, 36_000 * 32_000)
        os.truncate(path, 44 + 36_000 * 32_000)  # sparse
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(TooLongError) as error:
        read_audio(path, max_frames=1670)
    assert error.value.frames == 36_000 * 100


def test_a_rate_of_1_hz_is_an_hour_in_a_small_file_and_not_resampled(tmp_path):
    write_tone(tmp_path / "x.wav", seconds=3601, rate_hz=1)
    with pytest.raises(TooLongError, match="360100 frames of 10 ms; expected at most 360000"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_strange_samples_are_named(tmp_path, value):
    samples = np.zeros(8000, np.float32)
    samples[77] = value
    soundfile.write(tmp_path / "x.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"x.wav: holds a sample of (nan|inf|1e\+30); expected values in \[-1, 1\]"):
        read_audio(tmp_path / "x.wav")


def test_the_promised_frames_are_those_that_are_made_of_it(tmp_path):
    for rate_hz, samples in ((16_000, 1600), (16_000, 1601), (8000, 801), (44_100, 12_345)):
        soundfile.write(tmp_path / "x.wav", np.sin(np.arange(samples)), rate_hz)
        made = frame_count(len(read_audio(tmp_path / "x.wav").samples))
        assert promised_frames(tmp_path / "x.wav") == made == ceil(samples / rate_hz * 100)
    assert promised_frames(tmp_path / "absent.wav") == 0


def test_a_name_that_is_not_utf_8_is_as_good_as_any(tmp_path):
    path = tmp_path / "x\udcff.flac"
    write_tone(tmp_path / "x.flac", seconds=0.5)
    (tmp_path / "x.flac").rename(path)
    assert read_audio(path).seconds == 0.5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_audio_that_may_not_be_read_says_so(tmp_path):
    write_tone(tmp_path / "x.flac", seconds=0.5)
    (tmp_path / "x.flac").chmod(0)
    with pytest.raises(ValueError, match=r"x.flac: cannot be decoded \(Permission denied\)"):
        read_audio(tmp_path / "x.flac")


# What identifies a recording, and sound that is none


@pytest.mark.parametrize(
    ("format_", "subtype", "bits"),
    [("FLAC", "PCM_16", 16), ("FLAC", "PCM_24", 24), ("FLAC", "PCM_S8", 8), ("WAV", "PCM_16", 16),
     ("WAV", "PCM_24", 24), ("WAV", "PCM_32", 32), ("WAV", "PCM_U8", 8), ("WAV", "FLOAT", 0), ("WAV", "DOUBLE", 0)],
)  # fmt: skip
def test_samples_are_those_that_libsndfile_scales_and_flac_promises(tmp_path, format_, subtype, bits):
    path = tmp_path / f"x.{format_.lower()}"
    samples = np.random.default_rng(1).uniform(-0.9, 0.9, (1600, 2))
    soundfile.write(path, samples, 16_000, format=format_, subtype=subtype)
    audio = read_audio(path)
    np.testing.assert_array_equal(audio.samples, soundfile.read(path, dtype="float32")[0].mean(axis=1))
    if format_ == "FLAC":  # libFLAC's own MD5 of the samples, in its header
        assert audio.digest == f"16000-2-{path.read_bytes()[26:42].hex()}"


def test_the_same_samples_have_one_digest_in_flac_and_wav_and_others_another(tmp_path):
    samples = np.random.default_rng(1).integers(-9999, 9999, 1600).astype(np.int16)
    for name, content in (("a.flac", samples), ("a.wav", samples), ("b.wav", samples[::-1])):
        soundfile.write(tmp_path / name, content, 16_000)
    digests = [read_audio(tmp_path / name).digest for name in ("a.flac", "a.wav", "b.wav")]
    assert digests[0] == digests[1] != digests[2]
    soundfile.write(tmp_path / "slow.wav", samples, 8_000)  # the same samples, another sound
    assert read_audio(tmp_path / "slow.wav").digest != digests[0]


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_silence_is_refused(tmp_path, value):
    soundfile.write(tmp_path / "x.flac", np.full(1600, value), 16_000)
    with pytest.raises(ValueError, match=r"x.flac: holds silence, every sample is 0(.25)?; expected speech"):
        read_audio(tmp_path / "x.flac")


def test_channels_that_cancel_one_another_are_refused_and_others_are_mixed(tmp_path):
    sound, other = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 1600))
    path = tmp_path / "x.wav"
    soundfile.write(path, np.stack([sound, -sound], axis=1), 16_000)
    with pytest.raises(
        ValueError, match=r"its 2 channels cancel one another: mixing them leaves 0.00% of their energy"
    ):
        read_audio(path)
    for second in (other, np.zeros(1600), sound):
        soundfile.write(path, np.stack([sound, second], axis=1), 16_000)
        assert read_audio(path).notes == ("mixed from 2 channels",)


@pytest.mark.parametrize("promised", [800, 1700])
def test_a_flac_whose_header_promises_another_number_of_samples_than_it_holds_is_refused(tmp_path, promised):
    path = tmp_path / "x.flac"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, 1600), 16_000)
    content = bytearray(path.read_bytes())
    content[22:26] = promised.to_bytes(4, "big")  # the lower 32 of the header's 36 bits
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"x.flac: (its samples are not those that its header|cannot be|its header pr)"
    ):
        read_audio(path)


@pytest.mark.parametrize("kind", ["OGG", "AIFF", "AU"])
def test_what_is_called_wav_and_is_neither_that_nor_flac_is_refused(tmp_path, kind):
    """Of a file of these that was cut short nothing tells that there was more."""
    soundfile.write(tmp_path / "a", np.zeros(16_000) + 0.1, 16_000, format=kind)
    (tmp_path / "a").rename(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=f"a.wav: holds {kind}; expected FLAC or WAV: python -m features.prepare"):
        read_audio(tmp_path / "a.wav")
