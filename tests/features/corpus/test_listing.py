"""Utterances as arrays: the order, what comes twice, and reading chapters again."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.corpus import listing
from features.corpus.layout import read_corpus
from features.corpus.listing import Listing, Selection, Utterance
from features.shards.extraction import plan_shards
from features.shards.manifest import Settings


def utterance(name: str, subset: str = "train-a", sentence: str = "x") -> Utterance:
    return Utterance(id=name, subset=subset, speaker="1", audio=Path(f"/c/{subset}/{name}.flac"), sentence=sentence)


def listed(chapters: dict[tuple[str, str], list[Utterance]]) -> tuple[Listing, list]:
    found = Listing(lambda subset, folder: chapters[subset, str(folder)])
    for (subset, folder), utterances in chapters.items():
        found.add(subset, Path(folder), utterances)
    return found, list(found.sort())


names = st.text(st.characters(categories=["L", "N"], include_characters="._-"), min_size=1, max_size=8)


@given(st.dictionaries(st.tuples(st.sampled_from(["train-a", "dev", "train-b"]), names), st.lists(names, max_size=6)))
def test_a_listing_is_what_sorting_objects_gives(tree):
    chapters = {place: [utterance(each, place[0]) for each in ids] for place, ids in tree.items()}
    expected, twice = {}, []
    for utterances in chapters.values():
        for each in utterances:
            twice.append(each.id) if each.id in expected else expected.update({each.id: each})
    found, repeated = listed(chapters)
    assert list(found) == sorted(expected.values(), key=lambda u: (u.subset, u.id))
    assert [spot.id for spot, _ in repeated] == twice
    assert found.subsets == sorted({each.subset for some in chapters.values() for each in some})
    assert [path.rpartition("/")[2] for path in map(found.audio, range(len(found)))] == [u.audio.name for u in found]


def test_chapters_that_are_not_kept_are_read_again_and_one_that_changed_is_noticed(tone_corpus, monkeypatch):
    kept, _ = read_corpus(tone_corpus)
    monkeypatch.setattr(listing, "KEPT", 0)
    monkeypatch.setattr(listing, "CHAPTERS_AT_HAND", 1)
    again, _ = read_corpus(tone_corpus)
    assert not again._kept and list(again) == list(kept) and len(again) == 28
    assert [again.audio(n) for n in range(28)] == [str(each.audio) for each in kept]
    again._at_hand.clear()
    again._read = lambda subset, folder: [utterance("other")]
    with pytest.raises(ValueError, match="found other utterances than when the corpus was listed"):
        list(again)


def test_shards_are_planned_alike_of_a_listing_and_of_objects(tone_corpus, tmp_path):
    found, _ = read_corpus(tone_corpus)
    settings = Settings(shard_utterances=4)
    light = list(plan_shards(found, tmp_path, settings=settings, skip_bad=False))
    heavy = list(plan_shards(list(found), tmp_path, settings=settings, skip_bad=False))
    assert all(isinstance(plan.utterances, Selection) for plan in light) and light == heavy
    for ours, theirs in zip(light, heavy, strict=True):
        assert (ours.key, ours.brief, ours.stamp) == (theirs.key, theirs.brief, theirs.stamp)
    sent = pickle.loads(pickle.dumps(light[0]))
    assert type(sent.utterances) is tuple and sent == heavy[0]


def test_the_digest_changes_with_what_is_said_by_whom_and_in_which_order():
    digests = {
        listed({("t", "a"): utterances})[0].select([0, 1]).digest
        for utterances in (
            [utterance("1"), utterance("2")],
            [utterance("1"), utterance("2", sentence="y")],
            [utterance("1"), utterance("3")],
        )
    }
    found, _ = listed({("t", "a"): [utterance("1"), utterance("2")]})
    assert len(digests | {found.select([1, 0]).digest}) == 4
