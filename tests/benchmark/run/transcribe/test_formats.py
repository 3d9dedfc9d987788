import json

import numpy as np
import pytest

from benchmark.run.transcribe.formats import FORMATS
from benchmark.run.transcribe.pieces import Heard, Piece, Word, words_of
from features.corpus.text import ALPHABET_SIZE, BLANK, encode


def heard(*pieces, name="a.wav"):
    return Heard(name=name, seconds=62.0, took_s=1.5, pieces=pieces)


def test_text_has_a_line_for_each_recording():
    one = heard(Piece(start_s=0, end_s=1, text="two birds"), Piece(start_s=2, end_s=3, text="it's one"))
    assert FORMATS["txt"]([one], {}) == "two birds it's one"
    assert FORMATS["txt"]([one, heard(name="b.wav")], {}) == "a.wav\ttwo birds it's one\nb.wav\t"


def test_subtitles_of_subrip():
    """Their form: numbers from 1, hours:minutes:seconds,thousandths, an empty line after each."""
    words = tuple(Word(text="seventeen", start_s=3600 + n, end_s=3600.5 + n) for n in range(10))
    long = Piece(start_s=3600, end_s=3610, text=" ".join(["seventeen"] * 10), words=words)
    text = FORMATS["srt"]([heard(Piece(start_s=0.4, end_s=61.25, text="two birds"), long)], {})
    assert text.split("\n\n")[0] == "1\n00:00:00,400 --> 00:01:01,250\ntwo birds"
    # 8 words of 9 letters and 7 spaces are 79 characters, 9 would be 89
    assert text.split("\n\n")[1] == f"2\n01:00:00,000 --> 01:00:07,500\n{' '.join(['seventeen'] * 8)}"
    assert text.split("\n\n")[2].startswith("3\n01:00:08,000 --> 01:00:09,500")
    with pytest.raises(ValueError, match="2 recordings in one file of subtitles"):
        FORMATS["srt"]([heard(), heard()], {})


def test_json_has_words_with_their_times():
    word = Word(text="two", start_s=0.4, end_s=0.6)
    found = json.loads(FORMATS["json"]([heard(Piece(start_s=0.4, end_s=0.6, text="two", words=(word,)))], {"step": 5}))
    assert found["step"] == 5 and found["recordings"][0]["text"] == "two"
    assert found["recordings"][0]["pieces"][0]["words"] == [{"text": "two", "start_s": 0.4, "end_s": 0.6}]


def test_words_are_where_their_letters_are():
    """ "it's cool" spelled with the separator, a blank after each letter, 10 ms an output."""
    labels = encode("it's cool")
    path = [each for label in labels for each in (label, BLANK)]
    logits = np.full((len(path), ALPHABET_SIZE), -20.0)
    logits[np.arange(len(path)), path] = 0.0
    first, second = words_of(logits, "it's cool", start_s=1.0, step_s=0.01)
    assert (first.text, first.start_s, first.end_s) == ("it's", 1.0, 1.07)  # outputs 0 to 6
    assert (second.text, second.start_s, second.end_s) == ("cool", 1.1, 1.19)  # c o _ o l, from output 10
    assert words_of(logits[:3], "it's cool", start_s=0, step_s=1) == ()
