"""Error rates counted again are those that an evaluation counts, which jiwer aligns."""

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from benchmark.metrics import METRICS
from benchmark.proof.at_figures import figures_of
from benchmark.run.evaluate.accuracy import errors_of

WORDS = st.lists(st.sampled_from(["a", "an", "co_ol", "Cool", "don't", "cat", ""]), max_size=6).map(" ".join)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_figures_are_those_of_an_evaluation(pairs):
    theirs = asdict(errors_of(*zip(*pairs, strict=True)))
    mine = figures_of(pairs)
    assert {name: mine[name] for name in METRICS} == {name: theirs[name] for name in METRICS}
    assert mine["longer"] == theirs["insertions"] - theirs["deletions"]


def test_one_word_of_three_is_a_third():
    assert round(figures_of([("the cat sat", "the cat sad")])["wer"], 2) == 33.33
