import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.run.evaluate.accuracy import Edits, edits, rates_of


def test_corpus_rates_sum_before_they_divide_and_means_divide_before_they_sum():
    rates = rates_of([edits("the cat sat", "the cat sad"), edits("hi", "hi you")])
    assert rates.wer == pytest.approx(100 * (1 + 1) / (3 + 1))
    assert rates.wer_mean == pytest.approx(100 * (1 / 3 + 1 / 1) / 2)
    assert rates.cer == pytest.approx(100 * (1 + 4) / (11 + 2))
    assert rates.cer_paper == pytest.approx(100 * (1 / 11 + 4 / 6) / 2)  # / max(11, 11) and max(2, 6)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "wer", "cer", "wer_mean", "cer_paper"),
    [
        ("a b", "", 100, 100, 100, 100),
        ("", "", 0, 0, 0, 0),
        ("", "a b", 200, 300, 100, 100),  # 2 words and 3 characters inserted, over at least 1
        ("a", "a b c", 200, 400, 200, 80),  # 4 edits of 5 characters
    ],
)
def test_empty_and_overlong_sentences_are_defined(reference, hypothesis, wer, cer, wer_mean, cer_paper):
    rates = rates_of([edits(reference, hypothesis)])
    assert (rates.wer, rates.cer, rates.wer_mean, rates.cer_paper) == (wer, cer, wer_mean, cer_paper)


def test_case_spaces_and_separators_do_not_count():
    assert edits("THE  Co_ol Cat", " the cool cat ").character_edits == 0


def test_the_counts_of_one_utterance():
    counted = edits("the cat sat", "the cats")  # cat -> cats, sat deleted; 11 characters: "at" deleted, " " deleted
    assert counted == Edits(word_edits=2, words=3, character_edits=3, characters=11, longest=11)
    assert (counted.word_share, counted.character_share) == (2 / 3, 3 / 11)


@given(st.permutations(range(12)))
def test_the_order_of_utterances_changes_no_digit(order):
    counted = [edits("a b c d e f g"[: n + 1], "a b x d e y z"[: 13 - n]) for n in range(12)]
    assert rates_of([counted[n] for n in order]) == rates_of(counted)


def distance(a, b) -> int:
    """Levenshtein's, from its recursion."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


sentences = st.lists(st.sampled_from(["a", "ab", "ba", "c"]), max_size=5).map(" ".join)


@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=4))
def test_rates_are_the_fewest_edits_over_the_reference(pairs):
    references, hypotheses = zip(*pairs, strict=True)
    rates = rates_of([edits(*pair) for pair in pairs])
    words = sum(len(r.split()) for r in references)
    assert rates.wer == pytest.approx(100 * sum(distance(r.split(), h.split()) for r, h in pairs) / max(words, 1))
    assert rates.cer == pytest.approx(100 * sum(distance(r, h) for r, h in pairs) / max(sum(map(len, references)), 1))
