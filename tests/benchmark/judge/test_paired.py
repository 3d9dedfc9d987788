"""Two systems on the same utterances: arithmetic by hand, all resamples of tiny sets, and simulated coverage."""

import itertools
import math
import time

import numpy as np
import pytest

from benchmark.judge.paired import (
    Counts,
    bootstrap,
    errors_at,
    interval,
    matched_pairs,
    segments,
    share_below_zero,
    speakers_of,
)


def counts(first, second, units) -> Counts:
    return Counts(*(np.array(values, np.int64) for values in (first, second, units)))


FOUR = counts([1, 0, 3, 0], [0, 0, 1, 2], [4, 6, 5, 9])


def test_the_difference_is_that_of_edits_over_all_words():
    """(1 + 0 + 3 + 0) - (0 + 0 + 1 + 2) = 1 edit in 24 words."""
    assert FOUR.difference == pytest.approx(100 / 24)


def test_speakers_sum_their_utterances():
    by = FOUR.summed(["b", "a", "b", "a"])
    assert [values.tolist() for values in (by.first, by.second, by.units)] == [[0, 4], [2, 1], [15, 9]]


def test_draws_have_the_distribution_of_all_resamples():
    """4 utterances have 4^4 = 256 resamples, each as likely. A share p of 10^4 draws errs by sqrt(p (1 - p)) / 100."""
    every = []
    for chosen in itertools.product(range(4), repeat=4):
        edits = sum(int(FOUR.first[n] - FOUR.second[n]) for n in chosen)
        every.append(100 * edits / sum(int(FOUR.units[n]) for n in chosen))
    every, draws = np.array(every), bootstrap(FOUR)
    assert draws.min() >= every.min() and draws.max() <= every.max() and len(draws) == 10_000
    for level in np.quantile(every, np.linspace(0.02, 0.98, 13)):
        share = (every <= level + 1e-9).mean()
        assert (draws <= level + 1e-9).mean() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share)) / 100)
    better = (every < 0).mean() + (every == 0).mean() / 2
    assert share_below_zero(draws) == pytest.approx(better, abs=0.02)


def test_negative_differences_and_many_words_are_summed_without_loss():
    """Every resample of equal utterances is the same: (3 - 5) / 40,000."""
    assert set(bootstrap(counts([3] * 9, [5] * 9, [40_000] * 9), draws=50)) == {-0.005}


def test_the_same_call_gives_the_same_draws_in_well_under_a_second():
    rng = np.random.default_rng(1)
    many = counts(rng.integers(0, 3, 2600), rng.integers(0, 3, 2600), rng.integers(3, 40, 2600))
    started = time.process_time()
    first = bootstrap(many)
    assert time.process_time() - started < 2  # 0.15 s where nothing else runs
    assert (first == bootstrap(many)).all()


def test_an_interval_of_two_units_is_wider_than_the_percentiles_and_one_unit_has_none():
    """Of two units t(1) = 12.7: the bounds are the least and the greatest draw. Of 1,000 they are the percentiles."""
    draws = np.arange(10_001) / 100
    assert interval(draws, 1) is None
    assert interval(draws, 2) == pytest.approx((0, 100))
    assert interval(draws, 1000) == pytest.approx((2.5, 97.5), abs=0.05)
    # 20 units: t(19) = 2.0930, x sqrt(20 / 19) = 2.1474; Phi(-2.1474) = 0.01588
    assert interval(draws, 20) == pytest.approx((1.588, 98.412), abs=0.01)


def simulated(rng, speakers: int, each: int) -> tuple[Counts, list[str]]:
    """Utterances whose words are missed with a probability of their speaker and their own: 0.2 and 0.16 on average."""
    hard = np.repeat(rng.gamma(4, 1 / 4, speakers), each) * rng.gamma(4, 1 / 4, speakers * each)
    taste = np.repeat(rng.gamma(20, 1 / 20, speakers), each)  # how much better the second is varies from one to another
    words = rng.integers(4, 30, speakers * each)
    first = rng.poisson(0.20 * hard * words)
    return Counts(first, rng.poisson(0.16 * hard * taste * words), words), np.repeat(range(speakers), each).tolist()


@pytest.mark.parametrize(("speakers", "each", "by_speakers"), [(100, 1, False), (20, 10, True), (40, 10, True)])
def test_intervals_cover_the_true_difference_about_19_times_in_20(speakers, each, by_speakers):
    """4 points. 400 pairs of systems: 95% +- 3 x 1.1%; skewed errors cost some of it."""
    rng, inside = np.random.default_rng(7), 0
    for n in range(400):
        drawn, names = simulated(rng, speakers, each)
        units = drawn.summed(names) if by_speakers else drawn
        low, high = interval(bootstrap(units, draws=1000, seed=n), len(units.units))
        inside += low <= 4.0 <= high
    assert 0.915 <= inside / 400 <= 0.985


def test_utterances_of_few_speakers_are_no_independent_ones():
    """What speakers share is missing from an interval over utterances: it is too narrow."""
    rng, inside = np.random.default_rng(7), 0
    for n in range(200):
        drawn, _ = simulated(rng, 10, 50)
        low, high = interval(bootstrap(drawn, draws=500, seed=n), len(drawn.units))
        inside += low <= 4.0 <= high
    assert inside / 200 < 0.85


def test_speakers_are_known_by_ids_as_librispeech_has_them():
    assert speakers_of(["84-121123-0000", "84-121550-0003", "an-1-2"]) == ["84", "84", "an"]
    for other in ("common_voice_en_1", "84-121123", "a-b-c", "84-121123-0000-x"):
        assert speakers_of(["84-121123-0000", other]) is None


# --- matched pairs ---------------------------------------------------------------------------------------------------


def test_errors_stand_where_the_reference_has_them():
    """an: inserted before a; b taken for x; d not heard; twice an inserted word at the end."""
    assert errors_at(["a", "b", "c", "d"], ["an", "a", "x", "c", "e", "f"]) in (
        [1, 0, 0, 1, 0, 0, 0, 1, 1], [1, 0, 0, 1, 0, 0, 1, 1, 0]
    )  # fmt: skip
    assert errors_at([], ["a", "b"]) == [2] and errors_at(["a"], []) == [0, 1, 0]


@pytest.mark.parametrize(
    ("reference", "first", "second", "expected"),
    [
        ("a b c d e f", "a x c d e f", "a b c d e y", [(1, 0), (0, 1)]),  # c d e are right in both: two segments
        ("a b c d", "a x c d", "a b c y", [(1, 1)]),  # c alone is too little
        ("a b c d e", "a x c an d e", "a b c d e", [(2, 0)]),  # one right word on each side of an insertion
        ("a b c d", "a b c d", "a b c d", []),
        ("a b c", "", "a b c", [(3, 0)]),
        ("", "a", "", [(1, 0)]),
    ],
)
def test_segments_are_parted_by_two_words_that_both_hear(reference, first, second, expected):
    assert list(segments(reference.split(), first.split(), second.split())) == expected


def test_the_matched_pairs_test_is_that_of_gillick_and_cox():
    """Z = 1, 1, -1, 2: mean 3/4; squares 2 (1/4)^2 + (7/4)^2 + (5/4)^2 = 4.75, s^2 = 19/12; W = .75 sqrt(4 / s^2)."""
    found = matched_pairs([(1, 0), (2, 1), (0, 1), (2, 0)])
    w = 0.75 * math.sqrt(4 / (19 / 12))  # 1.192
    assert found.segments == 4 and found.p == pytest.approx(2 * (1 - 0.5 * (1 + math.erf(w / math.sqrt(2)))))
    assert found.p == pytest.approx(0.2332, abs=2e-4)  # of a table of the normal distribution
    assert [matched_pairs(pairs).p for pairs in ([], [(1, 0)], [(1, 0), (2, 1)])] == [None, None, None]


def test_of_two_equal_systems_one_in_twenty_differs_by_the_matched_pairs_test():
    """1,000 tests of 80 segments: 5% +- 3 x 0.7%."""
    rng = np.random.default_rng(3)
    found = [matched_pairs(list(zip(*rng.poisson(0.8, (2, 80)).tolist(), strict=True))).p for _ in range(1000)]
    assert 0.03 <= np.mean(np.array(found) < 0.05) <= 0.072
