"""Sentences on money name what they assume, and tables leave out what nobody knows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from journals import make_run, write

import platforms
from benchmark import price, tta
from benchmark.judge import Question, answer, judge
from benchmark.judge.cost import RigCost
from benchmark.judge.prices import cost_sentences
from benchmark.judge.terms import Terms
from benchmark.record import read_run
from platforms import Price

BOUGHT = Price(total=13149.0, gpus=9e3, cpu=1e3, currency="USD", date="2026-01", source="a shop", storage_included=True)
OWNED = RigCost(
    label="own", minutes=60.0, currency="USD", total=3400.0, owned=2.0, low=1.8, high=2.2,
    owned_basis="bought for 3,400 USD, 3 years, half in use, without energy",
)  # fmt: skip
RENT = RigCost(
    label="cloud",
    minutes=10.0,
    currency="USD",
    rented=3.0,
    low=2.1,
    high=3.9,
    rented_basis="rented at 18.00 USD an hour",
)


def run_of(tmp_path, name="rig", *, wers=(30, 30, 30), recorded=None, targets=(30,), **identity) -> str:
    path = write(tmp_path / f"{name}.csv", make_run(wers, platform=name, run=name, **identity))
    platform = replace(platforms.load("sys1"), price=recorded).to_dict()
    (tmp_path / name).mkdir()
    facts = {"schema": 3, "platform": platform, "plan": {"targets": {"wer": list(targets)}}}
    (tmp_path / name / "run.json").write_text(json.dumps(facts))
    (tmp_path / name / "end.json").write_text('{"status": "finished"}')
    return path


def said(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_the_cheapest_and_the_next_say_what_they_assume():
    (sentence,) = cost_sentences([RENT, OWNED], Terms())
    assert sentence == (
        "Cheapest: own with 2.00 USD a training (95%: 1.80 to 2.20 USD; bought for 3,400 USD, 3 years, half in use, "
        "without energy); cloud follows with 3.00 USD (rented at 18.00 USD an hour), and the intervals overlap."
    )
    (alone,) = cost_sentences([OWNED], Terms(), level="WER 30")
    assert alone.startswith("A training to WER 30 costs 2.00 USD (95%: 1.80 to 2.20 USD; bought for 3,400 USD, 3 years")


def test_intervals_that_are_not_there_do_not_overlap():
    single = [replace(each, low=None, high=None) for each in (OWNED, RENT)]
    assert "overlap" not in cost_sentences(single, Terms())[0] and "95%" not in cost_sentences(single, Terms())[0]


@pytest.mark.parametrize(
    ("years", "duty", "words"),
    [(3, 0.5, "3 years, half in use"), (1, 1, "1 year, always in use"), (2.5, 0.123, "2.5 years, 12.3% in use")],
)
def test_use_is_said_in_words(years, duty, words):
    assert Terms(years=years, duty=duty).use == words


def test_a_single_rigs_answer_has_its_cost_or_says_why_not(tmp_path, capsys):
    assert tta.main([run_of(tmp_path, recorded=BOUGHT), "--metric", "wer"]) == 0
    assert "A training costs 0.10 USD (bought for 13,149 USD, 3 years, half in use, without energy) on rig." in said(
        capsys
    )
    assert tta.main([run_of(tmp_path, "bare"), "--metric", "wer"]) == 0
    assert "No cost of bare: platform bare has no [price]; name one with --offer NAME=PRICE." in said(capsys)


def test_price_begins_with_the_answer_and_has_one_table_without_empty_columns(tmp_path, capsys):
    paths = [run_of(tmp_path, name, recorded=BOUGHT, targets=(60, 30), train_s=s) for name, s in (("a", 90), ("b", 99))]
    assert price.main([*paths, "--metric", "wer"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("mini:\n- Cheapest to WER 30: a with 0.092 USD a training (bought for")  # 330 s at 1 USD
    assert text.count("mini: what a training costs") == 1 and "a, WER 60" in text and "b, WER 30" in text
    assert "owned an hour" in text and "1.00 USD" in text
    assert not any(word in text for word in ("rented ", "energy kWh", "rent an hour", "break-even h", " NA"))


def test_the_level_that_a_rig_missed_is_told_before_an_easier_one_is_answered(tmp_path, capsys):
    fast = run_of(tmp_path, "fast", wers=(60, 50, 40, 30, 29, 28), targets=(50, 30))
    slow = run_of(tmp_path, "slow", wers=(60, 50, 49, 48), targets=(50, 30))
    question = Question(metrics=("wer",))
    sentences = answer(judge([read_run(fast), read_run(slow)], question).groups, question).sentences
    assert sentences[0] == "WER 30 was missed by slow (1 of 1 runs): this is about WER 50."
    assert "to WER 50" in sentences[1]
    assert price.main([fast, slow, "--metric", "wer", "--offer", "fast=3/h", "--offer", "slow=2/h"]) == 0
    assert capsys.readouterr().out.startswith(f"mini:\n- {sentences[0]}\n- Cheapest to WER 50: ")
    reached = answer(judge([read_run(fast)], question).groups, question).sentences
    assert "missed" not in " ".join(reached)


def test_hours_are_said_where_minutes_exceed_120(tmp_path):
    runs = [
        make_run([30, 30, 30], train_s=s, platform=p, run=p, source=f"{p}.csv") for p, s in (("a", 2490.0), ("b", 2e4))
    ]
    question = Question(metrics=("wer",), levels=(30.0,))
    text = " ".join(answer(judge(runs, question).groups, question).sentences)
    assert "a takes 2.09 hours to WER 30" in text  # 30 + 3 * 2500 s are 7530
    soon = [make_run([30, 30, 30], train_s=2360.0, source="c.csv")]
    assert "takes 119 minutes to WER 30" in " ".join(answer(judge(soon, question).groups, question).sentences)


def test_p_values_stand_in_the_table_and_not_in_the_answer():
    question = Question(metrics=("wer",), levels=(30.0,))
    runs = [
        make_run([90] * n + [30, 30], train_s=s + n / 9, platform=p, run=f"{p}{n}", seed=n, source=f"{p}{n}.csv")
        for p, s in (("a", 100.0), ("b", 200.0))
        for n in (6, 7)
    ]
    ranking = answer(judge(runs, question).groups, question)
    assert "less time (" in " ".join(ranking.sentences) and "p = " not in " ".join(ranking.sentences)
    assert "p" in ranking.table().header


def test_a_file_that_has_rents_in_two_currencies_says_so_where_the_cost_would_stand(tmp_path, capsys):
    path = Path(tmp_path / "offers.toml")
    offers = "".join(
        f'[[offer]]\nplatform = "{name}"\nrent_per_hour = 2\ncurrency = "{currency}"\ndate = "2026-11"\nsource = "x"\n'
        for name, currency in (("a", "EUR"), ("b", "USD"))
    )
    path.write_text(offers)
    runs = [run_of(tmp_path, "a"), run_of(tmp_path, "b", seed=2)]
    assert tta.main([*runs, "--metric", "wer", "--offers", str(path)]) == 0
    assert "Costs in EUR and USD are not compared: nothing is converted without a rate; give one as [[rate]]" in said(
        capsys
    )
    rate = '[[rate]]\ncurrency = "EUR"\nto = "USD"\nrate = 1.25\ndate = "2026-11-02"\nsource = "a bank"\n'
    path.write_text(offers + rate)
    assert tta.main([*runs, "--metric", "wer", "--offers", str(path)]) == 0
    assert "Cheapest: b with 0.20 USD a training" in said(capsys)  # a tenth of an hour; a's are 2.50 an hour
