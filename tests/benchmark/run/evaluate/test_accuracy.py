import random

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.metrics import Errors
from benchmark.run.evaluate.accuracy import edits, errors_of
from features.synthesis.grammar import sentence


def test_corpus_rates_sum_before_they_divide_and_means_divide_before_they_sum():
    rates = errors_of(["the cat sat", "hi"], ["the cat sad", "hi you"])
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
    rates = errors_of([reference], [hypothesis])
    assert (rates.wer, rates.cer, rates.wer_mean, rates.cer_paper) == (wer, cer, wer_mean, cer_paper)


def test_case_spaces_and_separators_do_not_count():
    assert errors_of(["THE  Co_ol Cat"], [" the cool cat "]).cer == 0


def test_the_counts_of_one_utterance():
    counted = edits("the cat sat", "the cats")  # cat -> cats, sat deleted; 11 characters: "at" deleted, " " deleted
    assert counted.word_pairs in ((("cat", "cats"), ("sat", "")), (("cat", ""), ("sat", "cats")))  # both are two edits
    assert (counted.substitutions, counted.deletions, counted.insertions) == (1, 1, 0)
    assert (counted.word_edits, counted.words) == (2, 3)
    assert (counted.character_edits, counted.characters, counted.longest) == (3, 11, 11)
    assert (counted.word_share, counted.character_share) == (2 / 3, 3 / 11)


def test_words_that_only_one_side_has_are_deletions_and_insertions():
    assert edits("a b", "").word_pairs == (("a", ""), ("b", ""))
    assert edits("", "a b").word_pairs == (("", "a"), ("", "b"))
    assert edits("A  b", "a b").word_pairs == ()


@given(st.permutations(range(12)))
def test_the_order_of_utterances_changes_no_digit(order):
    counted = [edits("a b c d e f g"[: n + 1], "a b x d e y z"[: 13 - n]) for n in range(12)]
    assert Errors.of([counted[n] for n in order]) == Errors.of(counted)


def test_no_utterances_and_unequal_numbers_are_refused():
    for references, hypotheses in (([], []), (["a"], [])):
        with pytest.raises(ValueError, match="expected as many, at least 1"):
            errors_of(references, hypotheses)


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
    rates = errors_of(references, hypotheses)
    words = sum(len(r.split()) for r in references)
    assert rates.wer == pytest.approx(100 * sum(distance(r.split(), h.split()) for r, h in pairs) / max(words, 1))
    assert rates.cer == pytest.approx(100 * sum(distance(r, h) for r, h in pairs) / max(sum(map(len, references)), 1))
    edited = [distance(r.split(), h.split()) for r, h in pairs]
    assert rates.substitutions + rates.deletions + rates.insertions == sum(edited)
    assert rates.ser == pytest.approx(100 * sum(map(bool, edited)) / len(pairs))


def misheard(said: str, chance: random.Random) -> str:
    """A sentence with some of its words left out, doubled, swapped with the next, or taken from elsewhere."""
    words = said.split()
    for _ in range(chance.randrange(5)):
        place = chance.randrange(len(words) + 1)
        words[place : place + chance.randrange(3)] = chance.choice(["", "the", "a the", "of"]).split()
    return " ".join(words)


def test_the_kinds_of_errors_over_a_corpus_are_those_of_jiwer():
    """Sentences of the embedded corpus against themselves misheard; jiwer is given all of them at once."""
    chance = random.Random(1)
    references = [sentence(np.random.default_rng(n)) for n in range(500)]
    hypotheses = [misheard(each, chance) for each in references]
    ours, theirs = errors_of(references, hypotheses), jiwer.process_words(references, hypotheses)
    assert (ours.substitutions, ours.deletions, ours.insertions) == (
        theirs.substitutions, theirs.deletions, theirs.insertions
    )  # fmt: skip
    assert min(ours.substitutions, ours.deletions, ours.insertions) > 100
    assert ours.wer == pytest.approx(100 * theirs.wer)
    assert ours.cer == pytest.approx(100 * jiwer.cer(references, hypotheses))
    words = sum(len(each.split()) for each in references)
    assert ours.wer == pytest.approx(100 * (ours.substitutions + ours.deletions + ours.insertions) / words)
    wrong = sum(reference != hypothesis for reference, hypothesis in zip(references, hypotheses, strict=True))
    assert ours.ser == 100 * wrong / len(references)
