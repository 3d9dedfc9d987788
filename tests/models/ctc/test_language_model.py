"""A KenLM model's scores of words, worked out by hand from an ARPA file; and what is missing is said."""

import math
import sys

import pytest

from models.ctc import peer
from models.ctc.language_model import BEGINNING, LanguageModel

LN10 = math.log(10)
ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-2.0\t<unk>
-99\t<s>\t-0.3
-1.0\t</s>
-0.7\tsea\t-0.2
-0.9\tsee\t-0.4

\\2-grams:
-0.1\t<s> see
-0.5\tsee sea
-0.6\tsea </s>

\\end\\
"""


@pytest.fixture
def path(tmp_path):
    pytest.importorskip("kenlm")
    (tmp_path / "model.arpa").write_text(ARPA)
    return tmp_path / "model.arpa"


@pytest.mark.parametrize(
    ("sentence", "log10", "words"),
    [
        ("see sea", -0.1 - 0.5 - 0.6, 2),  # <s> see, see sea, sea </s>
        ("sea", (-0.3 - 0.7) - 0.6, 1),  # <s> sea is not there: <s> backs off by -0.3
        ("see", -0.1 + (-0.4 - 1.0), 1),  # see </s> is not there
        ("", -0.3 - 1.0, 0),
        ("ship", (-0.3 - 2.0 - 10.0) - 1.0, 1),  # <unk>, with an offset of -10, and it backs off by 0
        ("seaseasea", (-0.3 - 2.0 - 15.0) - 1.0, 1),  # 9 letters: 10 x 9 / 6
    ],
)
@pytest.mark.parametrize(("weight", "bonus"), [(1.0, 0.0), (0.5, 1.5), (0.0, -2.0)])
def test_a_sentence_has_the_score_of_its_words_its_end_and_the_bonus_of_each(
    path, sentence, log10, words, weight, bonus
):
    model = LanguageModel.load(path, ["sea", "see"], weight=weight, bonus=bonus)
    expected = weight * LN10 * log10 + bonus * words
    assert model.score(sentence.split()) == pytest.approx(expected, abs=1e-5)  # KenLM has float32


def test_a_word_that_the_model_has_is_unknown_if_it_is_not_among_those_given(path):
    few, both = (LanguageModel.load(path, words, weight=1.0, bonus=0.0) for words in (["see"], ["see", "sea"]))
    assert both.score(["sea"]) - few.score(["sea"]) == pytest.approx(10 * LN10, abs=1e-5)
    with pytest.raises(ValueError, match="no words may be known; expected those of the training transcripts"):
        LanguageModel.load(path, [], weight=1.0, bonus=0.0)


def test_its_answers_are_kept_in_a_table_that_grows_and_are_forgotten_if_they_are_many(path):
    model = LanguageModel.load(path, ["sea", "see"], weight=1.0, bonus=0.0)
    first = len(model.answers)
    numbers = [model.number(f"w{n}") for n in range(first)]
    for number in numbers:
        model.answer(BEGINNING, number)
        model.answer(BEGINNING, number)  # once is enough
    assert len(model.answers) >= 2 * first
    assert (model.answers["key"] != -1).sum() == first
    model.tidy()
    assert (model.answers["key"] != -1).sum() == first
    model.tidy(most=first - 1)
    assert (model.answers["key"] != -1).sum() == 0 and len(model.answers) == first


def test_the_share_of_known_words_is_counted(path):
    model = LanguageModel.load(path, ["see"], weight=1.0, bonus=0.0)
    assert model.known_share(["sea", "see", "ship", "boat"]) == 0.5
    assert model.known_share([]) == 1.0


def test_packages_that_are_missing_are_named_with_the_way_out(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyctcdecode", None)
    with pytest.raises(ValueError, match="not installed; expected it .pip install --no-deps pyctcdecode pygtrie."):
        peer.load(path, ["see"], beam_width=4, weight=0.5, bonus=1.5)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(ValueError, match="needs kenlm, which is compiled on installation: apt install g.. python3-dev"):
        LanguageModel.load(path, ["see"], weight=0.5, bonus=1.5)
