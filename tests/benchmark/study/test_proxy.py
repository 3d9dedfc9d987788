"""Which part of the data orders rigs as all of it does: Kendall's tau by SciPy, and studies of rigs that are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from studies import study

from benchmark.saturation import main
from benchmark.study.curves import StudyError
from benchmark.study.proxy import kendall, proxies, proxy_parts, rigs_of
from benchmark.study.results import observations
from benchmark.tables import plain


class Timed:
    """A record that reaches every level after so many seconds, and whose best median error is known."""

    def __init__(self, seconds, error=33.0):
        self.seconds, self.error = seconds, error

    def best_median(self, metric):
        return self.error

    def time_to_accuracy_s(self, metric, level, clock):
        return self.seconds


@pytest.fixture
def rigs(tmp_path):
    """Three rigs; at 100 and 200 utterances start-up hides which is fastest, from 400 on it does not."""
    base = observations(study(tmp_path / "study"))
    rng = np.random.default_rng(1)

    def rig(name, speed):
        def seconds(each):
            start = {100: 900, 200: 500}.get(each.samples, 0)
            return (start * speed + 1000 / speed) * (1 + 0.01 * rng.standard_normal())

        return [
            replace(each, platform=name, record=Timed(seconds(each)), run_minutes=each.samples / 100) for each in base
        ]

    return [rig("slow", 1.0), rig("middle", 1.5), rig("fast", 3.0)]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=7))
def test_tau_is_scipys_where_times_differ_clearly_or_not_at_all(pairs):
    one, other = ([10.0**value for value in row] for row in zip(*pairs, strict=True))
    expected = kendalltau(one, other, variant="b").statistic
    assert kendall(one, other) == pytest.approx(0.0 if np.isnan(expected) else expected)


def test_times_within_two_percent_are_a_tie():
    assert kendall([100.0, 101.0], [1.0, 2.0]) == 0.0 and kendall([100.0, 103.0], [1.0, 2.0]) == 1.0


def test_the_smallest_part_that_keeps_the_order_is_found_and_what_it_costs_is_said(rigs):
    found = proxies(rigs)
    assert [each.size for each in found] == [100, 200, 400, 800, 1600]
    assert found[0].tau == -1.0 and found[-1].tau == 1.0 and found[2].same == 1.0
    assert [each.share_of_time for each in found] == pytest.approx([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])
    words = plain(proxy_parts(rigs))
    assert "400 utterances put the rigs in the order of 1,600, as do all larger parts, in 100% of draws" in words
    assert "they take 25% of the time. 3 rigs make 3 pairs: tau has few values" in " ".join(words.split())


def test_a_size_at_which_some_run_reaches_nothing_has_no_order(rigs):
    lost = [replace(each, record=Timed(1.0, error=99.0)) if each.samples == 400 else each for each in rigs[0]]
    found = proxies([lost, *rigs[1:]])
    assert found[2].tau is None and found[2].level is None
    assert "800 utterances put the rigs" in plain(proxy_parts([lost, *rigs[1:]]))
    with pytest.raises(StudyError, match="at 1,600 utterances there is no level that all runs reach"):
        proxies([[replace(each, record=Timed(1.0, error=99.0)) for each in rigs[0]], *rigs[1:]])


def test_a_batch_may_be_a_rigs_own_and_is_said(rigs):
    assert "differ in more" not in plain(proxy_parts(rigs))
    other = [replace(each, kind=replace(each.kind, batch=96)) for each in rigs[1]]
    text = " ".join(plain(proxy_parts([rigs[0], other, rigs[2]])).split())
    assert "The rigs differ in more than their speed (batch: 16 and 96): the order may be of that." in text


def test_studies_that_cannot_be_compared_are_refused(rigs, tmp_path, capsys):
    assert rigs_of([rigs[0], rigs[0], rigs[1]]) == ["slow (1)", "slow (2)", "middle"]
    for studies, said in (
        ([rigs[0]], "one rig no order"),
        ([rigs[0], [*rigs[1], *rigs[2]]], "study 2 has runs of fast, middle"),
        ([rigs[0], []], "study 2 has runs of no platform"),
        ([rigs[0], [each for each in rigs[1] if each.samples == 100]], "fewer than two sizes"),
    ):
        with pytest.raises(StudyError, match=said):
            proxies(studies)
    assert main(["--show", "-o", str(tmp_path / "study"), "--against", str(tmp_path / "none")]) == 2
    assert f"{tmp_path / 'none'}: no such folder; expected that of a study" in capsys.readouterr().err
