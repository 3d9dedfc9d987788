from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import text
from models import decoders


def logits_of(rows: list[list[float]], classes: str) -> np.ndarray:
    """[1, T', 30] from probabilities of a few classes; "-" is the blank."""
    matrix = np.full((len(rows), 30), 1e-12)
    columns = [text.BLANK if c == "-" else text.CHARACTERS.index(c) for c in classes]
    matrix[:, columns] = np.maximum(rows, 1e-12)
    return np.log(matrix)[None]


def path(characters: str) -> np.ndarray:
    """Logits in which the given class of every frame is all but certain."""
    return logits_of(
        [[float(c == k) for k in " abcdefghijklmnopqrstuvwxyz'_-"] for c in characters],
        " abcdefghijklmnopqrstuvwxyz'_-",
    )


def decode(decoder, logits):
    return decoder(logits, np.array([logits.shape[1]]))[0]


def test_greedy_merges_repeats_and_drops_blanks_and_separators():
    assert decode(decoders.greedy, path("cc-oo_oo-ll  -")) == "cool"
    assert decode(decoders.greedy, path("a-a")) == "aa"


def test_greedy_looks_at_valid_frames_only_and_takes_length_0():
    logits = np.concatenate([path("ab"), path("ab")])
    assert decoders.greedy(logits, np.array([2, 1])) == ["ab", "a"]
    assert decoders.greedy(logits[:1], np.array([0])) == [""]


def test_the_dictionary_finds_the_sentence_whose_paths_are_likeliest_together():
    # a .9 b .1 | blank | a .6 b .4: "aa" is the best path, but of the words only "ba" has doubled no letter.
    logits = logits_of([[0.9, 0.1, 0, 0], [0, 0, 0, 1], [0.6, 0.4, 0, 0]], "ab -")
    assert decode(decoders.dictionary(["a", "ba"], beam_width=16), logits) == "ba"
    assert decode(decoders.greedy, logits) == "aa"


@pytest.mark.parametrize(
    ("spoken", "sentence"),
    [("co_ol", "cool"), ("don't", "don't"), ("do", "do"), ("do  don't", "do don't"), (" do ", "do"), ("", "")],
)
def test_the_dictionary_knows_doubled_letters_apostrophes_prefixes_and_any_number_of_spaces(spoken, sentence):
    decoder = decoders.dictionary(["cool", "do", "don't"], beam_width=64)
    assert decode(decoder, path(spoken + "-")) == sentence


def test_830_flat_frames_do_not_underflow():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 830, 30), scale=0.01)
    sentence = decode(decoders.dictionary(["one", "two"], beam_width=32), logits)
    assert set(sentence.split()) <= {"one", "two"}


def test_utterances_of_no_and_one_frame_are_decoded():
    decoder = decoders.dictionary(["a", "on"], beam_width=8)
    assert decoder(path("a"), np.array([0])) == [""]
    assert decoder(path("a"), np.array([1])) == ["a"]


def exhaustive(probabilities: np.ndarray, words: list[str]) -> dict[str, float]:
    """Probability of every sentence of the words: the sum over all paths, tidied of spaces."""
    totals: dict[str, float] = {}
    classes = [text.SPACE, 1, 2, text.BLANK]  # space, a, b, blank
    for choice in product(range(4), repeat=len(probabilities)):
        labels = [classes[c] for c in choice]
        merged = [c for n, c in enumerate(labels) if (n == 0 or c != labels[n - 1]) and c != text.BLANK]
        sentence = text.decode(merged)
        if all(word in words for word in sentence.split()):
            weight = float(np.prod([probabilities[t, c] for t, c in enumerate(choice)]))
            totals[sentence] = totals.get(sentence, 0.0) + weight
    return totals


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_dictionarys_sentence_is_the_likeliest_of_an_exhaustive_search(seed, frames):
    words = ["a", "ab", "ba"]
    probabilities = np.random.default_rng(seed).dirichlet([0.4] * 4, size=frames)
    totals = exhaustive(probabilities, words)
    found = decode(decoders.dictionary(words, beam_width=512), logits_of(probabilities.tolist(), " ab-"))
    # A sentence with other spaces around it is another hypothesis to the beam, hence the tolerance.
    best = max(totals.values())
    assert totals.get(found, 0.0) >= 0.5 * best


def test_decoders_are_chosen_by_name_and_an_unknown_one_lists_them():
    assert decoders.load("greedy", words=[], beam_width=1) is decoders.greedy
    with pytest.raises(ValueError, match="greedy, dictionary, language-model"):
        decoders.load("gready", words=[], beam_width=1)


def test_an_empty_dictionary_and_a_missing_language_model_are_errors():
    with pytest.raises(ValueError, match="dictionary is empty"):
        decoders.load("dictionary", words=[], beam_width=8)
    with pytest.raises(ValueError, match="no such file; give an ARPA"):
        decoders.load("language-model", words=["a"], beam_width=8)


ARPA = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0\t<unk>
-1.0\t<s>\t-0.3
-1.0\t</s>
-2.0\tsea\t-0.3
-0.3\tsee\t-0.3

\\2-grams:
-0.1\t<s> see
-0.1\tsee sea

\\end\\
"""


def test_a_language_model_decides_between_words_that_sound_alike(tmp_path):
    pytest.importorskip("kenlm")
    (tmp_path / "model.arpa").write_text(ARPA)
    decoder = decoders.load(
        "language-model", words=["sea", "see"], beam_width=32, language_model=tmp_path / "model.arpa"
    )
    # "se" then a .51 against separator + e .49: the letters say sea, the language model see.
    rows = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0.51, 0.49, 0], [0, 0.49, 0.01, 0, 0.5]]
    logits = logits_of(rows, "sea_-")
    assert decode(decoders.greedy, logits) == "sea"
    assert decode(decoder, logits) == "see"
