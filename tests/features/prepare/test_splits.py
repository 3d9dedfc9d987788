import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.prepare.splits import split


def test_speakers_are_shared_out_by_their_seconds():
    """Twenty of 10 s, 10% of 200 s each: two speakers for dev, two for test."""
    subsets = split({f"s{n}": 10.0 for n in range(20)}, dev=0.1, test=0.1, seed=1)
    assert [list(subsets.values()).count(name) for name in ("train", "dev", "test")] == [16, 2, 2]


def test_another_seed_takes_others_and_the_same_the_same():
    seconds = {f"s{n}": 10.0 for n in range(20)}
    first, again, other = (split(seconds, dev=0.1, test=0.1, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_speaker_more_moves_few():
    seconds = {f"s{n}": 10.0 for n in range(40)}
    before, after = (
        split(seconds, dev=0.1, test=0.1, seed=1),
        split({**seconds, "new": 10.0}, dev=0.1, test=0.1, seed=1),
    )
    assert sum(before[name] != after[name] for name in seconds) <= 2


@given(
    st.dictionaries(st.text("abc", min_size=1), st.floats(0.1, 1e4), min_size=3),
    st.floats(0.01, 0.4), st.sampled_from([0.0, 0.1, 0.3]), st.integers(0, 9),
)  # fmt: skip
def test_every_subset_that_is_asked_for_has_a_speaker(seconds, dev, test, seed):
    subsets = split(seconds, dev=dev, test=test, seed=seed)
    assert subsets.keys() == seconds.keys()
    assert set(subsets.values()) == {"train", "dev"} | ({"test"} if test else set())


@pytest.mark.parametrize(
    ("seconds", "shares", "why"),
    [
        ({"a": 1.0, "b": 1.0}, (0.1, 0.1), "2 speakers; expected at least 3"),
        ({"a": 1.0, "b": 1.0}, (0.6, 0.5), "together below 1"),
        ({"a": 1.0, "b": 1.0}, (0.0, 0.5), "expected dev above 0"),
    ],
)
def test_what_cannot_be_shared_is_said(seconds, shares, why):
    with pytest.raises(ValueError, match=why):
        split(seconds, dev=shares[0], test=shares[1], seed=1)
