import hashlib
import re
import subprocess
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.corpus import text
from models.ctc import decoders
from models.ctc.decoders import Decoder
from models.ctc.lexicon import Lexicon
from models.ctc.search import search


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


def exhaustive(probabilities: np.ndarray, classes: list[int], words: list[str]) -> dict[str, float]:
    """Probability of every sentence of the words, spelled with separators: the sum over all its CTC paths."""
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
    return totals


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 5), st.sampled_from([0.2, 0.5, 2.0]))
def test_the_dictionarys_sentence_is_the_likeliest_of_an_exhaustive_search(seed, frames, peaked):
    words = ["a", "ab", "ba", "aa"]  # one the beginning of two others, one with a doubled letter: "a_a"
    classes = [text.SPACE, 1, 2, text.SEPARATOR_INDEX, text.BLANK]
    probabilities = np.random.default_rng(seed).dirichlet([peaked] * len(classes), size=frames)
    totals = exhaustive(probabilities, classes, words)
    found = decode(decoders.dictionary(words, beam_width=1024), logits_of(probabilities.tolist(), " ab_-"))
    assert totals[found] == pytest.approx(max(totals.values()), rel=1e-3)  # pruning, and single precision


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 7))
def test_with_a_dictionary_of_every_string_it_agrees_with_tensorflows_beam_search(tf, seed, frames):
    """TensorFlow's also finds strings with doubled letters, which need a separator here; those are left out."""
    letters = "abc"
    words = ["".join(word) for size in range(1, frames + 1) for word in product(letters, repeat=size)]
    words = [word for word in words if text.spell(word) == word]
    probabilities = np.random.default_rng(seed).dirichlet([0.5] * 4, size=frames)
    paths, _ = tf.nn.ctc_beam_search_decoder(np.log(probabilities)[:, None], [frames], beam_width=1024, top_paths=1)
    expected = "".join(letters[label] for label in paths[0].values.numpy())
    assume(text.spell(expected) == expected)
    assert decode(decoders.dictionary(words, beam_width=1024), logits_of(probabilities.tolist(), "abc-")) == expected


def test_a_wider_beam_finds_what_a_narrow_one_lost():
    """After its first frame a beam of 1 holds "b" (.6), of which no word goes on with "c"."""
    rows = [[0.4, 0.6, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    assert decode(decoders.dictionary(["ac", "b"], beam_width=16), logits_of(rows, "abc -")) == "ac"
    (logits,) = logits_of(rows, "abc -")
    assert search(logits, Lexicon.of(["ac", "b"]), beam_width=1) != ["ac"]


def test_decoders_are_chosen_by_name_and_an_unknown_one_lists_them():
    assert Decoder(name="greedy").load() is decoders.greedy
    with pytest.raises(ValueError, match="greedy, dictionary, language-model"):
        Decoder(name="gready")


def test_a_decoder_has_a_label_for_journals(tmp_path):
    assert Decoder(name="greedy").label == "greedy"
    assert Decoder(name="dictionary", words=("a",)).label == "dictionary-256"
    (tmp_path / "3-gram.arpa").write_text(ARPA)
    model = Decoder(name="language-model", beam_width=64, language_model=tmp_path / "3-gram.arpa")
    digest = hashlib.sha256(ARPA.encode()).hexdigest()
    assert model.language_model_digest == digest
    assert model.label == f"lm-64-3-gram-{digest[:6]}"  # two files may have one name
    assert replace(model, name="pyctcdecode").label == f"pyctcdecode-64-3-gram-{digest[:6]}"
    assert replace(model, lm_weight=0.15, word_bonus=0.05).label.endswith("-0.15-0.05")


def test_an_empty_dictionary_and_a_missing_language_model_are_errors():
    with pytest.raises(ValueError, match="dictionary is empty"):
        Decoder(name="dictionary", words=())
    with pytest.raises(ValueError, match="no such file; give an ARPA"):
        Decoder(name="language-model", words=("a",))
    with pytest.raises(ValueError, match="beam_width is 0; expected at least 1"):
        Decoder(name="dictionary", words=("a",), beam_width=0)


def test_a_file_that_is_no_language_model_is_named(tmp_path):
    pytest.importorskip("kenlm")
    (tmp_path / "x.arpa").write_text("nothing of the kind\n")
    with pytest.raises(ValueError, match=r"x\.arpa: .*expected an ARPA or KenLM binary file"):
        Decoder(name="language-model", words=("a",), language_model=tmp_path / "x.arpa").load()


def spell_words(arpa: str, spelt) -> str:
    """Spell the words of a model anew, but not its own signs, <s> and others."""
    return re.sub(r"\b(sea|see)\b", lambda word: spelt(word[0]), arpa)


@pytest.mark.parametrize(
    ("spelt", "words", "error"),
    [
        (
            str.upper,
            ("sea", "see"),
            r"model.arpa: knows none of the 2 training words, and 100% of them in capitals; expec",
        ),
        (str, ("ship", "boat"), r"knows none of the 2 training words; expected a model of their language and spelling"),
    ],
)
def test_a_language_model_that_knows_no_word_is_refused_with_the_way_out(tmp_path, spelt, words, error):
    pytest.importorskip("kenlm")
    path = tmp_path / "model.arpa"
    path.write_text(spell_words(ARPA, spelt))
    decoder = Decoder(name="language-model", words=words, language_model=path)
    for use in (decoder.load, decoder.check):
        with pytest.raises(ValueError, match=error):
            use()


def test_the_advised_command_mends_a_model_in_capitals(tmp_path):
    pytest.importorskip("kenlm")
    path = tmp_path / "model.arpa"
    path.write_text(spell_words(ARPA, str.upper))
    with pytest.raises(ValueError) as refused:
        Decoder(name="language-model", words=("sea", "see"), language_model=path).check()
    subprocess.run(str(refused.value).partition("file: ")[2], shell=True, cwd=tmp_path, check=True)
    mended = Decoder(name="language-model", words=("sea", "see"), language_model=tmp_path / "lower.arpa")
    assert mended.check() == ""


def test_a_language_model_that_knows_few_words_says_their_share(tmp_path):
    pytest.importorskip("kenlm")
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    few = Decoder(name="language-model", words=("sea", "see", "ship", "boat"), language_model=path)
    assert few.check().startswith(f"language model {path} knows 50.0% of the 4 training words")
    assert Decoder(name="language-model", words=("sea", "see"), language_model=path).check() == ""


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
    decoder = Decoder(
        name="language-model", words=("sea", "see"), beam_width=32, language_model=tmp_path / "model.arpa"
    ).load()
    # "se" then a .51 against separator + e .49: the letters say sea, the language model see.
    rows = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0.51, 0.49, 0], [0, 0.49, 0.01, 0, 0.5]]
    logits = logits_of(rows, "sea_-")
    assert decode(decoders.greedy, logits) == "sea"
    assert decode(decoder, logits) == "see"


@pytest.fixture(scope="module")
def with_model(tmp_path_factory):
    """Decodes with a language model of four words."""
    pytest.importorskip("kenlm")
    path = tmp_path_factory.mktemp("model") / "model.arpa"
    words = ("cool", "do", "don't", "one")
    lines = "".join(f"-1.0\t{word}\t-0.3\n" for word in words)
    path.write_text(
        f"\\data\\\nngram 1={len(words) + 3}\nngram 2=1\n\n"
        f"\\1-grams:\n-2.0\t<unk>\n-1.0\t<s>\t-0.3\n-1.0\t</s>\n{lines}\n"
        f"\\2-grams:\n-0.5\t<s> one\n\n\\end\\\n"
    )
    return Decoder(name="language-model", words=words, beam_width=32, language_model=path).load()


@pytest.mark.parametrize(
    ("spoken", "sentence"),
    [("co_ol", "cool"), ("don't", "don't"), ("do", "do"), ("do  don't", "do don't"), (" do ", "do"), ("", "")],
)
def test_with_a_language_model_doubled_letters_apostrophes_prefixes_and_spaces_are_right(with_model, spoken, sentence):
    assert decode(with_model, path(spoken + "-")) == sentence


def test_with_a_language_model_830_flat_frames_and_none_at_all_are_decoded(with_model):
    logits = np.random.default_rng(0).normal(size=(1, 830, 30), scale=0.01)
    assert isinstance(decode(with_model, logits), str)
    assert with_model(path("o"), np.array([0])) == [""]
    assert with_model(path("o"), np.array([1])) == ["o"]
