"""The commonest word errors: counted, put in order, and read back."""

import json
from collections import Counter
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.record.confusions import HEADER, MOST, Confusions

words = st.sampled_from(["", "a", "ab", "b", "the"])
word_pairs = st.lists(st.tuples(words, words).filter(lambda pair: pair[0] != pair[1]), max_size=40)


def test_each_kind_is_counted_and_the_commonest_comes_first():
    pairs = [("a", "the"), ("", "oh"), ("b", "p"), ("a", "the"), ("cat", ""), ("a", "an"), ("cat", "")]
    assert Confusions.of(pairs) == Confusions(
        substitutions=(("a", "the", 2), ("a", "an", 1), ("b", "p", 1)),  # equals by alphabet
        deletions=(("cat", 2),),
        insertions=(("oh", 1),),
    )


def test_no_errors_are_no_rows():
    assert Confusions.of([]) == Confusions() and Confusions().rows() == ()


def test_a_table_has_the_kinds_beside_one_another():
    confused = Confusions.of([("a", "the")] * 2 + [("cat", "")] + [("dog", "")])
    assert confused.rows() == (("a", "the", "2", "cat", "1", "", ""), ("", "", "", "dog", "1", "", ""))
    assert confused.rows(most=1) == confused.rows()[:1]
    assert {len(row) for row in confused.rows()} == {len(HEADER)}


@given(word_pairs, st.permutations(range(40)))
def test_every_pair_is_counted_once_whatever_the_order(pairs, order):
    found = Confusions.of(pairs, most=100)
    assert Confusions.of([pairs[n] for n in order if n < len(pairs)], most=100) == found
    counted = Counter({(a, b): n for a, b, n in found.substitutions})
    counted.update({(word, ""): n for word, n in found.deletions})
    counted.update({("", word): n for word, n in found.insertions})
    assert counted == Counter(pairs)


def test_only_the_commonest_are_kept():
    pairs = [(f"word{n}", "x") for n in range(MOST + 1) for _ in range(n + 1)]
    assert [times for *_, times in Confusions.of(pairs).substitutions] == list(range(MOST + 1, 1, -1))


@given(word_pairs)
def test_what_is_written_as_json_is_read_back(pairs):
    confused = Confusions.of(pairs)
    assert Confusions.read(json.loads(json.dumps(asdict(confused)))) == confused


@pytest.mark.parametrize("odd", [[["a", "b"]], [["a", "b", 1.5]], [["a", 1, 1]], [["a", "b", True]], "ab", [3]])
def test_what_is_of_another_kind_is_refused(odd):
    with pytest.raises((ValueError, TypeError)):
        Confusions.read({"substitutions": odd, "deletions": [], "insertions": []})
