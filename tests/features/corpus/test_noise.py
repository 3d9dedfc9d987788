"""Wrong transcripts and noisy audio: as much as asked for, the same everywhere, and what is read."""

import numpy as np
import pytest

from features.corpus.noise import noisy_audio, noisy_sentences
from features.corpus.text import encode
from features.reading.batches import Buckets, read_batches
from features.reading.subsets import said
from features.shards import manifest
from features.shards.extraction import extract_corpus
from features.shards.manifest import Settings

SAID = [(f"spk-{n}", "the cool dog sees a big red book and cats do not") for n in range(400)]


def test_a_share_of_words_is_replaced_by_words_that_take_as_many_labels():
    found = noisy_sentences(SAID, share=0.2, seed=1)
    words = wrong = 0
    for (_, sentence), noisy in zip(SAID, found, strict=True):
        assert len(encode(noisy)) == len(encode(sentence))
        own, other = sentence.split(), noisy.split()
        words, wrong = words + len(own), wrong + sum(a != b for a, b in zip(own, other, strict=True))
    # "a", "do" and "cats" have no word of their length beside them: 9 of 12 can be wrong. 3 standard errors are 1.6%
    assert abs(wrong / words - 0.2 * 9 / 12) < 0.016


def test_noise_depends_on_seed_and_id_alone():
    assert noisy_sentences(SAID, share=0.2, seed=1) == noisy_sentences(SAID, share=0.2, seed=1)
    assert noisy_sentences(SAID[::-1], share=0.2, seed=1)[::-1] == noisy_sentences(SAID, share=0.2, seed=1)
    assert noisy_sentences(SAID, share=0.2, seed=2) != noisy_sentences(SAID, share=0.2, seed=1)
    assert noisy_sentences(SAID, share=0.0, seed=1) == [sentence for _, sentence in SAID]
    with pytest.raises(ValueError, match="expected a share of words"):
        noisy_sentences(SAID, share=1.5, seed=1)


def test_the_wrong_labels_are_those_that_are_read(tf, tone_features):
    found = manifest.load(tone_features)
    spoken = said(tone_features, found)
    labels = [encode("ab") if n % 2 else None for n in range(len(spoken))]
    layout = Buckets.bucketed(found.lengths("train"), batch=4, buckets=2)
    number = {name: n for n, (name, _) in enumerate(spoken)}
    for batch in read_batches(tone_features, found, "train", layout, readers=2, buffer=2, labels=labels):
        for name, row, length in zip(
            batch["id"].numpy(), batch["labels"].numpy(), batch["label_lengths"].numpy(), strict=True
        ):
            if name:
                place = number[name.decode()]
                assert row[:length].tolist() == (labels[place] or encode(spoken[place][1]))
    assert np.all([len(row) for row in spoken])


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_noise_has_the_power_that_was_asked_for_and_the_spectrum_of_the_speech(snr_db):
    rng = np.random.default_rng(1)
    time_s = np.arange(16_000) / 16_000
    speech = 0.3 * np.sin(2 * np.pi * 440 * time_s) * (time_s < 0.5) + 0.01 * rng.standard_normal(16_000) + 0.1
    speech = speech.astype(np.float32)
    noise = noisy_audio(speech, name="a-1", snr_db=snr_db).astype(np.float64) - speech
    power = 10 * np.log10(np.square(speech, dtype=np.float64).sum() / np.square(noise).sum())
    assert power == pytest.approx(snr_db, abs=1e-3)
    ours, theirs = np.abs(np.fft.rfft(noise)), np.abs(np.fft.rfft(speech))
    assert ours[0] < 1e-2  # no offset
    np.testing.assert_allclose(ours[1:-1] / ours[440], theirs[1:-1] / theirs[440], atol=1e-3)
    assert np.square(noise[8000:]).sum() > 0.4 * np.square(noise).sum()  # also where nobody speaks


def test_audio_noise_depends_on_the_id_alone():
    speech = np.random.default_rng(2).standard_normal(999).astype(np.float32)
    np.testing.assert_array_equal(noisy_audio(speech, name="a", snr_db=5), noisy_audio(speech, name="a", snr_db=5))
    assert not np.allclose(noisy_audio(speech, name="a", snr_db=5), noisy_audio(speech, name="b", snr_db=5))
    assert noisy_audio(speech, name="a", snr_db=5).dtype == np.float32
    assert not noisy_audio(np.zeros(99, np.float32), name="a", snr_db=5).any()


def test_training_audio_is_noisy_and_what_is_evaluated_is_not(tf, tone_corpus, tone_features, tmp_path):
    noisy = extract_corpus(tone_corpus, tmp_path, settings=Settings(shard_utterances=8, snr_db=5.0), jobs=1)
    clean = manifest.load(tone_features)
    assert noisy.digest != clean.digest and manifest.load(tmp_path).settings.snr_db == 5.0
    for role, differs in (("train", True), ("dev", False)):
        layout = Buckets.fixed(200, batch=4)
        pairs = zip(
            read_batches(tmp_path, noisy, role, layout, readers=1, buffer=1),
            read_batches(tone_features, clean, role, layout, readers=1, buffer=1),
            strict=True,
        )
        for one, other in pairs:
            assert list(one["id"].numpy()) == list(other["id"].numpy())
            assert np.allclose(one["features"], other["features"]) != differs


def test_settings_that_are_off_leave_digests_as_they_were():
    """Features made before the setting was there stay good."""
    assert Settings().identity == {
        "dtype": "float16", "compression": "none", "max_frames": 1670, "shard_utterances": 256, "features": 93,
    }  # fmt: skip
    with pytest.raises(ValueError, match="snr_db is nan; expected -30 to 100 dB"):
        Settings(snr_db=float("nan"))
