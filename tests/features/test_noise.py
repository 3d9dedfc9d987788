"""Wrong transcripts: as many as asked for, always alignable, the same everywhere, and those that are read."""

import numpy as np
import pytest

from features import manifest
from features.batches import Buckets, read_batches
from features.noise import noisy_labels
from features.subsets import said
from features.text import decode, encode

SAID = [(f"spk-{n}", "the cool dog sees a big red book and cats do not") for n in range(400)]


def test_a_share_of_words_is_replaced_by_words_that_take_as_many_labels():
    found = noisy_labels(SAID, share=0.2, seed=1)
    words = wrong = 0
    for (_, sentence), labels in zip(SAID, found, strict=True):
        assert labels is None or len(labels) == len(encode(sentence))
        own, other = sentence.split(), (decode(labels) if labels else sentence).split()
        words, wrong = words + len(own), wrong + sum(a != b for a, b in zip(own, other, strict=True))
    # "a", "do" and "cats" have no word of their length beside them: 9 of 12 can be wrong. 3 standard errors are 1.6%
    assert abs(wrong / words - 0.2 * 9 / 12) < 0.016


def test_noise_depends_on_seed_and_id_alone():
    assert noisy_labels(SAID, share=0.2, seed=1) == noisy_labels(SAID, share=0.2, seed=1)
    assert noisy_labels(SAID[::-1], share=0.2, seed=1)[::-1] == noisy_labels(SAID, share=0.2, seed=1)
    assert noisy_labels(SAID, share=0.2, seed=2) != noisy_labels(SAID, share=0.2, seed=1)
    assert set(noisy_labels(SAID, share=0.0, seed=1)) == {None}
    with pytest.raises(ValueError, match="expected a share of words"):
        noisy_labels(SAID, share=1.5, seed=1)


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
