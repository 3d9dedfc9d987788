import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.corpus import text


def test_there_are_thirty_characters_in_the_papers_order():
    assert text.CHARACTERS[0] == " "
    assert text.CHARACTERS[1:27] == "abcdefghijklmnopqrstuvwxyz"
    assert text.CHARACTERS[27:] == "'_"
    assert text.BLANK == len(text.CHARACTERS) == text.ALPHABET_SIZE - 1 == 29


def test_the_separator_stands_between_doubled_letters():
    assert text.encode("cool") == [3, 15, 28, 15, 12]  # c o _ o l
    assert text.spell("aaa") == "a_a_a"


def test_case_is_folded_and_spaces_are_tidied():
    assert text.normalise("  DON'T \t Stop ") == "don't stop"


def test_a_character_outside_the_alphabet_is_named():
    with pytest.raises(ValueError, match="'3'"):
        text.encode("3 pigs")
    with pytest.raises(ValueError, match="'_'"):
        text.encode("a_b")


@given(st.text(alphabet="abz' ", max_size=30))
def test_decoding_undoes_encoding_and_no_two_neighbours_are_equal(sentence):
    labels = text.encode(sentence)
    assert text.decode(labels) == text.normalise(sentence)
    assert all(a != b for a, b in zip(labels, labels[1:], strict=False))
    assert all(0 <= label < text.BLANK for label in labels)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (" Stuff it, into you!", "stuff it into you"),
        ("It’s a well-known café…", "it's a well known cafe"),
        ("Enter 5.\nTwo", "enter two"),
        ("", ""),
    ],
)
def test_any_text_becomes_one_of_letters(said, expected):
    assert text.plain(said) == expected
