"""The beam search with a language model: against trying all CTC paths, and against pyctcdecode."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jiwer import wer

from benchmark.speed.decoding import logits_of, sentence_of, vocabulary
from features.corpus import text
from models.ctc import decoders, peer
from models.ctc.language_model import LanguageModel
from models.ctc.search import log_score, spoken_search
from tests.trials.bigram import arpa

pytest.importorskip("kenlm")

LN10 = math.log(10)
CLEAR, NOISY = 1.0, 2.2
"""Greedy decoding finds all of such sentences, and none."""
CLASSES = [text.SPACE, 1, 2, text.SEPARATOR_INDEX, text.BLANK]
SAID = [["a", "ab"], ["ab", "ab", "a"], ["ba"], ["b", "ba"], ["a", "a"]]  # that the bigram model was made of


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.arpa"
    path.write_text(arpa(SAID))
    return path


def letters(rows: dict[str, list[float]], frames: int) -> np.ndarray:
    """Logits [T', 30] from the probabilities of some classes, frame by frame; "-" is the blank."""
    matrix = np.full((frames, 30), 1e-12)
    for character, shares in rows.items():
        matrix[:, text.BLANK if character == "-" else text.CHARACTERS.index(character)] = np.maximum(shares, 1e-12)
    return np.log(matrix)


def exhaustive(probabilities: np.ndarray) -> dict[tuple[str, ...], float]:
    """The logarithm of every sentence's probability: all label sequences, separators being blanks."""
    totals: dict[tuple[str, ...], float] = {}
    for choice in product(range(len(CLASSES)), repeat=len(probabilities)):
        labels = [text.BLANK if CLASSES[c] == text.SEPARATOR_INDEX else CLASSES[c] for c in choice]
        merged = [c for n, c in enumerate(labels) if (n == 0 or c != labels[n - 1]) and c != text.BLANK]
        words = tuple("".join(text.CHARACTERS[label] for label in merged).split())
        totals[words] = totals.get(words, 0.0) + math.prod(probabilities[t, c] for t, c in enumerate(choice))
    return {words: math.log(total) for words, total in totals.items()}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 100_000), st.integers(1, 6), st.sampled_from([0.3, 1.0]),
    st.sampled_from([("a", "ab", "ba", "b"), ("a", "ab", "bb")]),
    st.sampled_from([(0.5, 1.5), (1.2, -0.7), (0.02, 3.0), (0.0, 0.0)]),
)  # fmt: skip
def test_it_finds_the_best_of_all_sentences_end_and_unknown_words_included(small, seed, frames, peaked, words, weights):
    model = LanguageModel.load(small, words, weight=weights[0], bonus=weights[1])
    probabilities = np.random.default_rng(seed).dirichlet([peaked] * len(CLASSES), size=frames)
    logits = np.full((frames, 30), -np.inf)
    logits[:, CLASSES] = np.log(probabilities) + 2.0  # not normalised
    totals = {found: chance + model.score(found) for found, chance in exhaustive(probabilities).items()}
    best = max(totals.values())
    found = spoken_search(logits, model, beam_width=1024)
    assert totals[tuple(found)] == pytest.approx(best, abs=1e-5)
    for sentence in [tuple(found), *list(totals)[:5]]:
        assert log_score(logits, sentence, model) == pytest.approx(totals[sentence], abs=1e-6)


def test_the_word_bonus_parts_words_and_its_lack_joins_them(small):
    """ "ab" and "a b" are equally likely, as the space and the blank are: the model and the bonus decide."""
    logits = letters({"a": [1, 0, 0], "b": [0, 0, 1], " ": [0, 0.5, 0], "-": [0, 0.5, 0]}, 3)
    for weight, bonus in ((0.0, 0.1), (0.0, -0.1), (0.5, 0.0), (0.5, 9.0)):
        model = LanguageModel.load(small, ["a", "ab", "b"], weight=weight, bonus=bonus)
        ahead = model.score(["a", "b"]) - model.score(["ab"])
        assert spoken_search(logits, model, beam_width=16) == (["a", "b"] if ahead > 0 else ["ab"])
        assert (ahead > 0) == (bonus > 0)  # one word more is a bonus more: .1, -.1; the model alone prefers one word


def test_an_unknown_word_is_found_where_the_known_ones_are_less_likely_than_its_offset(small):
    """ "abb", unknown, against "ab": the last letter against a blank. The offset is -0.5 ln 10 10 = -11.5 nats."""
    model = LanguageModel.load(small, ["a", "ab", "b"], weight=0.5, bonus=0.0)
    ahead = model.score(["abb"]) - model.score(["ab"])
    assert ahead == pytest.approx(0.5 * LN10 * -10, abs=2.5)
    for surplus, expected in ((0.5, ["abb"]), (-0.5, ["ab"])):
        logits = np.full((4, 30), -99.0)
        logits[[0, 1, 2], [1, 2, text.BLANK]] = 0.0
        logits[3, [2, text.BLANK]] = -ahead + surplus, 0.0  # "b" once more, after a blank
        assert spoken_search(logits, model, beam_width=16, pruned_nats=13.0) == expected


def test_the_end_of_the_sentence_counts(small):
    """The model was made of sentences of which two end in "a", two in "ba" and one in "ab"."""
    model = LanguageModel.load(small, ["a", "ab", "ba"], weight=1.0, bonus=0.0)
    a, ab = model.word(0, "a"), model.word(0, "ab")
    ahead = a[0] - ab[0]  # without the end
    final = ahead + model.end(a[1]) - model.end(ab[1])
    assert ahead * final < 0 or abs(final - ahead) > 0.1
    logits = np.full((2, 30), -99.0)
    logits[0, 1] = 0.0
    logits[1, [2, text.BLANK]] = (ahead + final) / 2, 0.0  # between the two: the end decides
    assert spoken_search(logits, model, beam_width=16) == (["a"] if final > ahead else ["ab"])


def test_a_last_space_a_first_one_and_none_are_one_sentence(small):
    model = LanguageModel.load(small, ["a", "ab"], weight=0.5, bonus=0.0)
    for spoken in (" a", "a ", " a  ", "-a-"):
        logits = letters({c: [float(c == each) for each in spoken] for c in {*spoken, "-"}}, len(spoken))
        assert spoken_search(logits, model, beam_width=8) == ["a"]
    assert spoken_search(letters({" ": [1, 1]}, 2), model, beam_width=8) == []
    assert spoken_search(np.zeros((0, 30)), model, beam_width=8) == []


def found(decode: decoders.Decode, matrices: list[np.ndarray]) -> list[list[str]]:
    """The words of each utterance."""
    return [decode(logits[None], np.array([len(logits)]))[0].split() for logits in matrices]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A bigram model of 300 sentences of made-up words, these words, and logits that spell some, by their noise."""
    words = vocabulary(400)
    path = tmp_path_factory.mktemp("model") / "large.arpa"
    spoken = [sentence_of(words, characters=60, seed=n) for n in range(300)]
    path.write_text(arpa([sentence.split() for sentence in spoken]))
    return (
        path,
        words,
        {
            noise: [logits_of(sentence, frames=200, seed=n, noise=noise) for n, sentence in enumerate(spoken[:12])]
            for noise in (CLEAR, NOISY)
        },
    )


@pytest.mark.parametrize(
    ("noise", "known", "equal"),
    [(CLEAR, 400, 12), (CLEAR, 250, 3), pytest.param(NOISY, 400, 0, marks=pytest.mark.slow)],
)
def test_its_sentences_are_those_of_pyctcdecode_or_better_ones_by_the_same_score(large, noise, known, equal):
    """Also where words of the sentences are not known: of these the score is another one if they are long."""
    pytest.importorskip("pyctcdecode")
    path, words, matrices = large[0], large[1], large[2][noise]
    model = LanguageModel.load(path, words[:known], weight=0.5, bonus=1.5)
    usual = {"beam_width": 64, "weight": 0.5, "bonus": 1.5}
    ours = found(decoders.with_language_model(model, beam_width=64), matrices)
    as_it_is, mended = (found(peer.load(path, words[:known], **usual, mended=mend), matrices) for mend in (False, True))
    for theirs in (as_it_is, mended):
        for logits, mine, other in zip(matrices, ours, theirs, strict=True):
            assert log_score(logits, mine, model) >= log_score(logits, other, model) - 1e-6
    assert sum(mine == other for mine, other in zip(ours, mended, strict=True)) >= equal


def test_pyctcdecode_makes_a_sentence_pay_that_ends_in_a_space_unless_it_is_mended(small):
    """Of "a" and "a " the letters say the second, 9 to 1. Both are one sentence, whose one rival is "ab", 1 to 9."""
    pytest.importorskip("pyctcdecode")
    logits = letters({"a": [1, 0], " ": [0, 0.9], "b": [0, 0.1]}, 2)
    model = LanguageModel.load(small, ["a", "ab"], weight=0.5, bonus=0.0)
    assert log_score(logits, ["a"], model) > log_score(logits, ["ab"], model)
    usual = {"beam_width": 16, "weight": 0.5, "bonus": 0.0}
    assert found(peer.load(small, ["a", "ab"], **usual), [logits]) == [["ab"]]  # "a " has paid 11.5 nats for nothing
    assert found(peer.load(small, ["a", "ab"], **usual, mended=True), [logits]) == [["a"]]
    assert found(decoders.with_language_model(model, beam_width=16), [logits]) == [["a"]]


def test_what_was_decoded_before_changes_no_sentence(large):
    path, words, matrices = large[0], large[1], large[2][NOISY]
    used = LanguageModel.load(path, words[:300], weight=0.5, bonus=1.5)
    once = [spoken_search(matrix, used, beam_width=16, pruned_nats=12.0) for matrix in matrices]
    for n in reversed(range(len(matrices))):
        fresh = LanguageModel.load(path, words[:300], weight=0.5, bonus=1.5)
        assert spoken_search(matrices[n], used, beam_width=16, pruned_nats=12.0) == once[n]
        assert spoken_search(matrices[n], fresh, beam_width=16, pruned_nats=12.0) == once[n]


def test_logits_that_are_no_numbers_are_an_error(small):
    model = LanguageModel.load(small, ["a"], weight=0.5, bonus=1.5)
    with pytest.raises(ValueError, match="frame 1 has a logit that is nan"):
        spoken_search(np.array([[0.0] * 30, [math.nan] * 30]), model, beam_width=4)


def test_words_that_are_not_known_do_not_swallow_their_neighbours(large):
    """With 250 of 400 words known many of the spoken ones are not: one long unknown word must not be the cheapest."""
    pytest.importorskip("pyctcdecode")
    path, words, matrices = large[0], large[1], large[2][CLEAR]
    known, usual = words[:250], {"weight": 0.5, "bonus": 1.5}
    spoken = [sentence_of(words, characters=60, seed=n) for n in range(len(matrices))]
    ours = found(decoders.with_language_model(LanguageModel.load(path, known, **usual), beam_width=64), matrices)
    theirs = found(peer.load(path, known, beam_width=64, **usual), matrices)
    errors = [wer(spoken, [" ".join(sentence) for sentence in sentences]) for sentences in (ours, theirs)]
    assert errors == pytest.approx([0.029, 0.204], abs=0.001)  # 3 and 21 of 103 words
