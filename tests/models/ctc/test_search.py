import math
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.corpus import text
from models.ctc.beam import RESCORED, RESCORED_NATS
from models.ctc.lexicon import Lexicon
from models.ctc.search import likeliest, log_probability, search

NEAR_TIES = Path(__file__).parents[4] / "shared" / "data" / "near-ties"
WORDS = ("a", "aa", "ab", "b", "ba", "cab", "see", "see'd")


def plain_search(logits: np.ndarray, words: tuple[str, ...], *, beam_width: int, pruned_nats: float) -> list[str]:
    """The same search as one would write it down: a dict from text to its two scores, nothing compiled."""
    spelled = {text.spell(word): word for word in words}
    beginnings = {spelling[:n] for spelling in spelled for n in range(1, len(spelling) + 1)}
    beam = {"": (0.0, -math.inf)}

    def order(prefix: str) -> tuple[str, int]:
        return re.sub(r"(.)_\1?", r"\1\1", prefix), len(prefix)  # a separator already stands for its letter

    def last(prefix: str) -> str:
        return prefix.rpartition(" ")[2]

    for frame in logits.astype(float):
        scores = dict(zip(text.CHARACTERS + "-", frame, strict=True))
        found: dict[str, tuple[float, float]] = {}

        def add(prefix: str, blank: float, label: float, found: dict = found) -> None:
            old = found.get(prefix, (-math.inf, -math.inf))
            found[prefix] = (np.logaddexp(old[0], blank), np.logaddexp(old[1], label))

        for prefix, (blank, label) in beam.items():
            total = np.logaddexp(blank, label)
            add(prefix, total + scores["-"], -math.inf)
            if last(prefix):
                add(prefix, -math.inf, label + scores[prefix[-1]])
            else:
                add(prefix, -math.inf, total + scores[" "])
            if last(prefix) in spelled:
                add(prefix + " ", -math.inf, total + scores[" "])
            for letter in text.CHARACTERS[1:]:
                if last(prefix) + letter in beginnings:
                    add(prefix + letter, -math.inf, total + scores[letter])
        totals = {prefix: np.logaddexp(*both) for prefix, both in found.items()}
        best = max(totals.values())
        kept = [prefix for prefix in totals if totals[prefix] >= best - pruned_nats]
        kept.sort(key=lambda prefix: (-round(totals[prefix], 6), *order(prefix)))
        beam = {prefix: (found[prefix][0] - best, found[prefix][1] - best) for prefix in kept[:beam_width]}
    sentences: dict[str, float] = {}
    for prefix, both in beam.items():
        if not last(prefix) or last(prefix) in spelled:
            sentence = prefix.rstrip(" ")
            sentences[sentence] = np.logaddexp(sentences.get(sentence, -math.inf), np.logaddexp(*both))
    if not sentences:
        best = max(beam, key=lambda prefix: np.logaddexp(*beam[prefix]))
        return [spelled[part] for part in best.split()[:-1]]
    ordered = sorted(sentences, key=lambda s: (-round(sentences[s], 6), *order(s)))[:RESCORED]
    close = [
        [spelled[part] for part in s.split()] for s in ordered if sentences[s] >= sentences[ordered[0]] - RESCORED_NATS
    ]
    return max(close, key=lambda found: round(log_probability(logits, found), 6))  # the first of equal ones


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 100_000), st.integers(0, 12), st.sampled_from([1, 2, 5, 16, 64]), st.sampled_from([4.0, 13.0, 1e9])
)
def test_it_finds_what_the_search_finds_as_one_would_write_it_down(seed, frames, beam_width, pruned_nats):
    """Also where it finds nothing best: what is pruned is the same."""
    logits = np.random.default_rng(seed).normal(scale=2, size=(frames, 30)).astype(np.float32)
    expected = plain_search(logits, WORDS, beam_width=beam_width, pruned_nats=pruned_nats)
    assert search(logits, Lexicon.of(WORDS), beam_width=beam_width, pruned_nats=pruned_nats) == expected


def test_of_several_sentences_the_likeliest_is_taken_and_of_equal_ones_the_first_by_text():
    logits = np.full((1, 30), -1e9)
    logits[0, [1, 2, text.BLANK]] = 0.0, 1.0, -2.0  # "a", "b", nothing
    assert likeliest(logits, [["a"], ["b"], []]) == ["b"]
    logits[0, 1] = 1.0
    assert likeliest(logits, [["b"], ["a"]]) == likeliest(logits, [["a"], ["b"]]) == ["a"]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 8), st.sampled_from([1, 2, 5, 16]))
def test_equal_scores_are_ordered_by_text(seed, frames, beam_width):
    """Logits of 0 and 1 alone: many hypotheses have one score, to a rounding error that the texts must not feel."""
    logits = np.random.default_rng(seed).integers(0, 2, (frames, 30)).astype(np.float32)
    found = search(logits, Lexicon.of(WORDS), beam_width=beam_width)
    assert found == plain_search(logits, WORDS, beam_width=beam_width, pruned_nats=1e9)


def exact(probabilities: np.ndarray, classes: list[int], words: tuple[str, ...]) -> dict[str, float]:
    """Logarithm of every sentence's probability, by trying all CTC paths."""
    spelled = {text.spell(word): word for word in words}
    totals: dict[str, float] = {}
    for choice in product(range(len(classes)), repeat=len(probabilities)):
        labels = [classes[c] for c in choice]
        merged = [c for n, c in enumerate(labels) if (n == 0 or c != labels[n - 1]) and c != text.BLANK]
        parts = "".join(text.CHARACTERS[label] for label in merged).split()
        if all(part in spelled for part in parts):
            sentence = " ".join(spelled[part] for part in parts)
            weight = float(np.prod([probabilities[t, c] for t, c in enumerate(choice)]))
            totals[sentence] = totals.get(sentence, 0.0) + weight
    return {sentence: math.log(total) for sentence, total in totals.items()}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 5))
def test_the_probability_of_every_sentence_is_that_of_all_its_paths(seed, frames):
    classes = [text.SPACE, 1, 2, text.SEPARATOR_INDEX, text.BLANK]
    probabilities = np.random.default_rng(seed).dirichlet([0.5] * len(classes), size=frames)
    logits = np.full((frames, 30), -1e9)
    logits[:, classes] = np.log(probabilities) + 3.0  # not normalised
    for sentence, expected in exact(probabilities, classes, ("a", "aa", "ab", "b")).items():
        assert log_probability(logits, sentence.split()) == pytest.approx(expected, abs=1e-6)


def test_of_words_that_are_equally_likely_the_first_by_text_is_found():
    """b, c and d are equally likely; a beam of 1 keeps one of them."""
    logits = np.full((2, 30), -20.0)
    logits[0, 1] = logits[1, [2, 3, 4]] = 0.0
    for beam_width in (1, 2, 64):
        assert search(logits, Lexicon.of(["ad", "ac", "ab"]), beam_width=beam_width) == ["ab"]


def test_it_does_not_matter_whether_logits_are_normalised_how_they_lie_in_memory_or_in_what_order_words_come():
    logits = np.random.default_rng(0).normal(scale=2, size=(40, 30)).astype(np.float32)
    expected = search(logits, Lexicon.of(WORDS), beam_width=8, pruned_nats=13.0)
    assert expected
    shifted = logits.astype(float) + np.arange(40)[:, None]
    assert search(shifted, Lexicon.of(WORDS), beam_width=8, pruned_nats=13.0) == expected
    assert search(np.asfortranarray(logits), Lexicon.of(WORDS), beam_width=8, pruned_nats=13.0) == expected
    assert search(logits, Lexicon.of(reversed((*WORDS, *WORDS))), beam_width=8, pruned_nats=13.0) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_an_error(value):
    logits = np.zeros((5, 30))
    logits[3, 7] = value
    with pytest.raises(ValueError, match="frame 3 has a logit that is nan|frame 3 has a logit that is inf"):
        search(logits, Lexicon.of(WORDS), beam_width=8)


def test_labels_that_are_impossible_are_not_chosen():
    logits = np.full((3, 30), -np.inf)
    logits[[0, 1, 2], [1, text.BLANK, 2]] = 0.0
    assert search(logits, Lexicon.of(["ab", "b"]), beam_width=8) == ["ab"]
    assert search(logits, Lexicon.of(["b"]), beam_width=8) == []


def test_a_word_that_no_hypothesis_completes_is_lost():
    logits = np.full((4, 30), -50.0)
    logits[[0, 1, 2, 3], [1, text.SPACE, 3, 1]] = 0.0  # "a ca", of "cab"
    assert search(logits, Lexicon.of(["a", "cab"]), beam_width=1) == ["a"]


def test_a_dictionary_of_200_000_words_takes_16_bytes_for_each_node():
    letters = np.random.default_rng(0).integers(97, 123, (210_000, 7)).astype(np.uint8)
    words = [word.decode() for word in np.unique(letters.view("S7"))[:200_000].ravel()]
    lexicon = Lexicon.of(words)
    spellings = [text.spell(word) for word in words]
    beginnings = {spelling[:n] for spelling in spellings for n in range(1, len(spelling) + 1)}
    assert len(lexicon.tree) == 1 + len(beginnings)
    assert lexicon.tree.nbytes == 16 * len(lexicon.tree)
    assert np.count_nonzero(lexicon.tree["word"] >= 0) == len(words) == 200_000
    spoken = words[123_456]
    labels = text.encode(spoken)
    logits = np.full((2 * len(labels), 30), -9.0)
    logits[range(0, 2 * len(labels), 2), labels] = logits[1::2, text.BLANK] = 0.0
    assert search(logits, lexicon, beam_width=16) == [spoken]


def _near_ties() -> tuple[list[str], list[np.ndarray], Lexicon]:
    if not NEAR_TIES.is_dir():
        pytest.skip(f"{NEAR_TIES} is not here")
    found = np.load(NEAR_TIES / "logits.npz")
    matrices = [matrix[:count] for matrix, count in zip(found["logits"], found["frames"], strict=True)]
    return list(found["ids"]), matrices, Lexicon.of((NEAR_TIES / "words.txt").read_text().split())


def test_what_was_decoded_before_changes_no_transcript():
    """Logits on which a decoder that orders hypotheses by their addresses gives two answers."""
    ids, matrices, lexicon = _near_ties()
    once = [search(matrix, lexicon, beam_width=256, pruned_nats=13.0) for matrix in matrices]
    for seed in range(3):
        for n in np.random.default_rng(seed).permutation(len(ids)):
            assert search(matrices[n], lexicon, beam_width=256, pruned_nats=13.0) == once[n], ids[n]
