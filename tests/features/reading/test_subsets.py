"""Parts of the training set: nested, stable, whole speakers, and what is read of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.reading.batches import Buckets, EpochOrder, read_batches
from features.reading.subsets import SELECTIONS, chosen_of, said
from features.shards import manifest

NAMES = [f"{speaker}-{n % 3}-{n}" for n, speaker in enumerate(["ann", "bob", "cem", "dia"] * 10)]


@given(st.sampled_from(SELECTIONS), st.integers(0, 99), st.integers(1, 40), st.integers(1, 40))
def test_a_larger_part_holds_every_smaller_one(by, seed, one, other):
    small, large = (chosen_of(NAMES, utterances=n, seed=seed, by=by) for n in sorted((one, other)))
    assert not np.any(small & ~large)
    assert small.sum() == min(one, other) or by == "speakers"


def test_a_corpus_that_grows_or_is_read_in_another_order_keeps_its_order():
    before = chosen_of(NAMES, utterances=12, seed=1)
    kept = {name for name, chosen in zip(NAMES, before, strict=True) if chosen}
    turned = NAMES[::-1]
    assert {n for n, c in zip(turned, chosen_of(turned, utterances=12, seed=1), strict=True) if c} == kept
    grown = [*NAMES, "eve-0-1", "eve-0-2"]
    after = {n for n, c in zip(grown, chosen_of(grown, utterances=12, seed=1), strict=True) if c}
    assert kept - after <= kept and len(kept & after) >= 10  # at most the two that are new


def test_speakers_are_taken_whole_until_there_are_enough():
    chosen = chosen_of(NAMES, utterances=11, seed=3, by="speakers")
    speakers = {name.partition("-")[0] for name, c in zip(NAMES, chosen, strict=True) if c}
    assert chosen.sum() == 20 and len(speakers) == 2  # ten each


def test_seeds_choose_others():
    parts = {chosen_of(NAMES, utterances=12, seed=seed).tobytes() for seed in range(20)}
    assert len(parts) == 20


def test_only_what_is_chosen_is_read_and_each_once_an_epoch(tf, tone_features):
    found = manifest.load(tone_features)
    names = [name for name, _ in said(tone_features, found)]
    lengths = np.array(found.lengths("train"))
    assert len(names) == len(lengths) == found.utterances("train") and len(set(names)) == len(names)
    chosen = chosen_of(names, utterances=9, seed=2)
    layout = Buckets.bucketed(lengths[chosen].tolist(), batch=4, buckets=2)
    for order in (None, EpochOrder(seed=1, epoch=1), EpochOrder(seed=1, epoch=2)):
        batches = list(
            read_batches(tone_features, found, "train", layout, readers=2, buffer=2, order=order, chosen=chosen)
        )
        read = [name.decode() for batch in batches for name in batch["id"].numpy() if name]
        assert len(batches) == layout.batches(lengths[chosen]) == 3
        assert sorted(read) == sorted(name for name, c in zip(names, chosen, strict=True) if c)


@pytest.mark.parametrize("names", [["rec-1", "rec-2", "rec-3"], ["a1", "a2", "a3"]])
def test_speakers_are_not_selected_where_ids_do_not_tell_them(names):
    with pytest.raises(ValueError, match=r"speakers cannot be selected: .* of 3 utterances"):
        chosen_of(names, utterances=1, seed=1, by="speakers")
