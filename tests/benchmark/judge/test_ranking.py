"""The answer first: what a buyer reads, and what it may not claim."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from journals import make_run, write

import platforms
from benchmark.judge import Question, judge, read_runs
from benchmark.judge.ranking import answer
from benchmark.judge.terms import Terms
from benchmark.record import RunRecord
from benchmark.record.phases import Phase
from platforms import Price
from platforms.offers import offer

AT_30 = Question(metrics=("wer",), levels=(30.0,))


def runs(platform: str, *epochs: int, train_s: float = 100.0, **identity):
    return [
        make_run(
            [90] * (count - 2) + [30, 30], train_s=train_s + n / 20, platform=platform, run=f"{platform}{n}", seed=n,
            source=f"{platform}{n}.csv", **identity,
        )
        for n, count in enumerate(epochs, start=1)
    ]  # fmt: skip


def said(*groups) -> str:
    return " ".join(answer(judge([run for group in groups for run in group], AT_30).groups, AT_30).sentences)


def test_the_soonest_is_named_with_the_gap_to_the_next_and_how_certain_it_is():
    text = said(runs("slow", 8, 9, 8, 9, train_s=190), runs("fast", 8, 9, 8, 9, train_s=90))
    assert "Soonest: fast takes 14.7 minutes to WER 30 (95%: " in text  # 30 + 8.5 * 100.1 s: the middle of 8 and 9
    assert "fast takes 49.1% less time (" in text and "at equal epochs than slow." in text


def test_rigs_that_nothing_tells_apart_are_tied_whatever_their_medians():
    text = said(runs("a", 8, 9, 10, 11), runs("b", 9, 10, 11, 12))
    assert "No rig is certain to be the soonest to WER 30: a takes" in text and "the least of 2" in text
    assert "Tied with it: b, the same within 5%." in text and "faster" not in text


def test_a_rig_whose_runs_were_lucky_is_not_called_the_faster_machine():
    text = said(runs("lucky", 6, 6, 7, 12, train_s=100), runs("fast", 6, 9, 12, 10, train_s=90))
    assert "Soonest: lucky takes" in text
    assert "fast would take" in text and "than lucky, whose runs were lucky in their epochs" in text


def test_single_runs_that_are_far_apart_are_ranked_by_the_spread_of_others_and_it_is_said():
    text = said(runs("a", 10), runs("b", 10, train_s=900), runs("c", 11, train_s=300))
    # 30 + 11 * 310.05 s over 30 + 10 * 110.05 s = 3.04: chance makes 1.153 / (1 - 310.05 / 3440.55) = 1.267 of it
    assert "Soonest: a takes 18.8 minutes to WER 30; n = 1." in text and "95%" not in text.replace("over 95%", "")
    assert (
        "c takes 3 times as long as a; by the spread of others' runs (MLPerf's) single runs differ by up to 27%: a is "
        "almost surely the soonest (over 99.9%). Further behind: b. A second run of a, c, b would give an interval"
    ) in text
    assert "What would tell" not in text


def test_single_runs_that_others_would_not_tell_apart_are_tied_and_the_way_out_is_a_second_run():
    text = said(runs("a", 10), runs("b", 11), runs("c", 10, train_s=900))
    assert "Not told from it by these runs: b." in text and "a is almost surely sooner than c (over 99.9%)" in text
    assert "What would tell: a second run at least of a, b, each with a seed of its own." in text
    text = said(runs("a", 10), runs("b", 11))
    assert "No rig is certain to be the soonest" in text and "others" not in text


def test_what_rests_on_others_spread_is_marked_in_the_table_and_has_no_interval():
    groups = judge([*runs("a", 10), *runs("b", 10, train_s=300), *runs("c", 8, 9, 10, train_s=300)], AT_30).groups
    table = answer(groups, AT_30).table()
    place = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert place["b"]["verdict"] == "slower (by others' spread)" and "to" not in place["b"]["against the first"]
    own = judge([*runs("a", 8, 9, 10), *runs("c", 8, 9, 10, train_s=300)], AT_30).groups
    assert "others" not in " ".join(answer(own, AT_30).sentences) + str(answer(own, AT_30).table())


def test_costs_of_single_runs_have_no_intervals_that_could_overlap():
    groups = judge([*runs("a", 10), *runs("b", 11)], AT_30).groups
    terms = Terms(offers=(offer("a=2/h"), offer("b=2/h")))
    text = " ".join(answer(groups, AT_30, terms=terms).sentences)
    assert "overlap" not in text and "no further apart than single runs are by the spread of others" in text
    dear = " ".join(answer(groups, AT_30, terms=Terms(offers=(offer("a=2/h"), offer("b=9/h")))).sentences)
    assert ", further apart than single runs are by the spread of others" in dear
    mixed = judge([*runs("a", 10), *runs("b", 10, 11)], AT_30).groups
    assert "apart" not in " ".join(answer(mixed, AT_30, terms=terms).sentences).split("Cheapest")[1].split(".")[1]


def test_rigs_that_did_not_reach_the_level_are_named_and_not_ranked():
    missed = [make_run([90] * 9, platform="b", run="b1", source="b.csv")]
    text = said(runs("a", 8, 9), missed)
    assert "Not ranked, as no more than half of their runs reached WER 30: b." in text


def test_a_single_evaluation_below_the_level_is_no_silence_about_it():
    """One epoch with WER 4.3, and e = 3: no median over three reached WER 50, but it is not so that nothing did."""
    short = [make_run([4.3], run="r1", platform="sys1", source="r1.csv")]
    question = Question(metrics=("wer",), levels=(50.0,))
    (sentence,) = answer(judge(short, question).groups, question).sentences
    assert "not even" not in sentence and "the lowest single evaluation has WER 4.3" in sentence
    assert sentence.endswith("have it counted by python -m benchmark.tta with --epochs 1.")


def test_of_a_run_of_less_than_an_epoch_its_evaluation_within_it_is_said():
    rows = make_run([4.3], run="r1", platform="sys1").rows
    record = RunRecord((*rows[:-1], replace(rows[-1], phase=Phase.PROBE)), "r1.csv")
    question = Question(metrics=("wer",), levels=(50.0,))
    (sentence,) = answer(judge([record], question).groups, question).sentences
    assert (
        "a median over evaluations of whole epochs, of which none was evaluated" in sentence and "WER 4.3" in sentence
    )
    assert sentence.endswith("have it counted by python -m benchmark.tta with --every-evaluation --epochs 1.")


def test_emulated_rigs_and_rigs_that_learn_otherwise_are_not_ranked():
    emulated = judge(runs("a", 8, emulated=True), AT_30).groups
    assert "not ranked" in answer(emulated, AT_30)
    other = judge(runs("a", 8) + runs("b", 8, recipe="authors"), AT_30).groups
    assert answer(other, AT_30).startswith(
        "Not ranked: these rigs do not learn the same, they differ in recipe; what of their times"
    )


@pytest.mark.parametrize("measured", [True, False])
def test_the_cheapest_is_named_in_one_currency_and_says_whether_energy_is_in_it(tmp_path, measured):
    for name, total, train_s in (("dear", 90_000.0, 40), ("cheap", 9_000.0, 100)):
        for run in runs(name, 8, 9, train_s=train_s):
            path = Path(write(tmp_path / run.source, run))
            folder = path.with_suffix("")
            folder.mkdir()
            price = Price(
                total=total, gpus=1.0, cpu=1.0, currency="USD", date="2026-01", source="a shop", storage_included=True
            )
            platform = replace(platforms.load("sys1"), price=price).to_dict()
            facts = {"schema": 3, "platform": platform, "plan": {"targets": {"wer": [30]}}}
            (folder / "run.json").write_text(json.dumps(facts))
            power = {"gpu_power_w": 300.0} if measured else {}
            (folder / "end.json").write_text(json.dumps({"status": "finished", **power}))
    groups = judge(read_runs(f"{tmp_path}/*.csv"), AT_30).groups
    ranking = answer(groups, AT_30)
    text = " ".join(ranking.sentences)
    assert (
        "Soonest: dear takes" in text
        and "Cheapest: cheap with " in text
        and ", half in use, without energy); dear follows" in text
    )
    assert ("energy kWh" in ranking.table().header) == measured


def test_a_rig_without_a_cost_beside_one_that_has_it_is_told_with_the_reason():
    groups = judge([*runs("a", 8, 9), *runs("b", 8, 9)], AT_30).groups
    text = " ".join(answer(groups, AT_30, terms=Terms(offers=(offer("a=2/h"),))).sentences)
    assert "No cost of b: b1.csv: no run.json next to it, which would have the price." in text
    both = Terms(offers=(offer("a=2/h"), offer("b=2/h EUR")))
    assert "Costs in EUR and USD are not compared: nothing is converted without a rate" in " ".join(
        answer(groups, AT_30, terms=both).sentences
    )
