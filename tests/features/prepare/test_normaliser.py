import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.corpus.text import normalise
from features.prepare.normaliser import Normaliser, NormaliserError


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("It’s two p.m., Zoë!", "it's two pm zoe"),
        ("“Well—well,” he said; and/or so…", "well well he said and or so"),
        ("twenty-one  per cent", "twenty one per cent"),
        ("He said 'come in' twice.", "he said come in twice"),
        ("the dogs' bowl, 'tis o'clock", "the dogs' bowl 'tis o'clock"),
        ("The end.Begin again", "the end begin again"),
        ("Mr. Smith (of the U.S.A.)", "mr smith of the usa"),
        ("naïve\u00a0caf\u00e9 re\u00adsum\u00e9", "naive cafe resume"),
    ],
)
def test_sentences_as_they_are_written(said, words):
    assert Normaliser()(said) == words


@pytest.mark.parametrize(
    ("said", "named"),
    [("5 birds", "'5'"), ("at 10:30", "'10'"), ("R&B", "'&'"), ("straße", "'ß'"), ("50%", "'50'")],
)
def test_what_has_no_spelling_is_refused_by_its_name(said, named):
    with pytest.raises(ValueError, match=f"found.*{named}"):
        Normaliser()(said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("3 birds", "three birds"), ("1,200 men", "one thousand two hundred men"),
        ("2.5 miles", "two point five miles"), ("the 21st.", "the twenty first"),
        ("In 1969, 7 men.", "in one thousand nine hundred and sixty nine seven men"),
    ],
)  # fmt: skip
def test_numbers_become_words_where_they_are_asked_for(said, words):
    pytest.importorskip("num2words")
    assert Normaliser(numbers="words")(said) == words


@pytest.mark.parametrize("said", ["at 10:30", "007", "1.2.3", "5th2", "12345678901234567890", "5%"])
def test_numbers_that_are_read_in_several_ways_are_refused(said):
    pytest.importorskip("num2words")
    with pytest.raises(ValueError, match="found"):
        Normaliser(numbers="words")(said)


def test_choices_are_in_the_label():
    assert Normaliser().label == "english-1"
    assert Normaliser(accents="refuse").label == "english-1+accents-refuse"
    with pytest.raises(ValueError, match="ë"):
        Normaliser(accents="refuse")("Zoë")
    with pytest.raises(NormaliserError, match="numbers is 'x'; expected refuse or words"):
        Normaliser(numbers="x")


def test_what_was_changed_is_counted_with_examples():
    normaliser = Normaliser()
    for said in ("two birds", "Two birds.", "It’s"):
        normaliser(said)
    account = normaliser.account
    assert account.sentences == 3
    assert account.counts == {"capitals": 2, "punctuation": 1, "apostrophes and quotes": 1}
    assert account.examples == [("Two birds.", "two birds"), ("It’s", "it's")]


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_is_said_becomes_words_of_the_alphabet_or_is_refused(said):
    try:
        words = Normaliser()(said)
    except ValueError:
        return
    assert normalise(words) == words and set(words) <= set(string.ascii_lowercase + "' ")
    assert Normaliser()(words) == words or "'" in words  # quotes within quotes


@given(st.lists(st.sampled_from(["two", "birds", "it's", "o'clock"]), min_size=1))
def test_words_of_the_alphabet_stay(words):
    assert Normaliser()(" ".join(words)) == " ".join(words)
