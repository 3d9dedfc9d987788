"""How much data is enough, in one sentence; and what the answer says of misses, other load and single things."""

import json

import numpy as np
import pytest
from studies import make_point, study

from benchmark.study.curves import Point, bootstrap, fit
from benchmark.study.judgement import study_parts
from benchmark.study.results import observations
from benchmark.study.sentence import sentence
from benchmark.tables import Table, count, plain, without_empty

SIZES = (100, 200, 400, 800, 1600, 3200)


def answer(error, *, noise=0.01, seeds=3) -> str:
    rng = np.random.default_rng(4)
    found = [
        Point(size=n, error=float(error(n) * np.exp(rng.normal(0, noise))), seed=s) for n in SIZES for s in range(seeds)
    ]
    return sentence((), found, fit(found), bootstrap(found, draws=60))


def test_a_power_law_is_not_enough_and_twice_the_data_is_told_in_points_and_hours(tmp_path):
    # 300 x 1,600^-0.35 = 22.68 and 300 x 3,200^-0.35 = 17.79; 1,600 utterances are 1.6 hours here
    text = study_parts(observations(study(tmp_path)))[0]
    assert text == (
        "target: Not enough: twice the data (1.6 h more) takes WER 22.7 to 17.8; no rule is reached up to 1,600 "
        "utterances."
    )


def test_where_the_curve_levels_the_rules_that_say_so_are_named_with_their_sizes():
    text = answer(lambda n: 12 + 4000 * n**-1.2)
    assert text.startswith("Enough from ") and " of 3 rules: " in text and "(from " in text
    assert "twice the data takes dev WER" not in text and "by the curve." in text


def test_a_gain_that_is_not_told_from_nothing_is_no_answer():
    text = answer(lambda n: 40 * n**-0.01, noise=0.15)
    assert text.startswith(("Not known whether it is enough: ", "Enough from ")) and "Not enough" not in text


def test_no_error_at_all_is_enough_on_this_test_set_only(tmp_path):
    for size in (100, 200, 400, 800):
        for seed in (1, 2):
            wrong = [(0 if size == 800 else 3 + seed, 100)] * 3
            make_point(tmp_path, size, seed, 0.0 if size == 800 else 300 * size**-0.35, edits=wrong)
    assert "Enough, on this test set, from 800 utterances on: no run made an error there" in str(
        study_parts(observations(tmp_path))[0]
    )


def test_dev_is_named_where_it_stands_in_for_test(tmp_path):
    text = study_parts(observations(study(tmp_path, test=False)))[0]
    assert "takes dev WER 23.6 to" in text  # 22.68 and the point that dev is above test here


def test_a_prediction_that_missed_its_interval_is_called_a_miss(tmp_path):
    for size in (100, 200, 400, 800, 1600):
        for seed in (1, 2, 3):
            error = 300 * min(size, 400) ** -0.35  # level from 400 on, where a power law goes on
            make_point(tmp_path, size, seed, error * (1 + 0.002 * (seed - 2)))
    flat = " ".join(plain(study_parts(observations(tmp_path))).split())
    assert "from sizes up to 400 alone, 2 of 2 predictions missed their intervals: 800: predicted" in flat
    assert flat.count(": a miss") == 2


def test_other_load_is_said(tmp_path):
    study(tmp_path)
    assert "other processes" not in plain(study_parts(observations(tmp_path)))
    (tmp_path / "target-100-seed1" / "end.json").write_text(json.dumps({"status": "finished", "other_load": 0.34}))
    flat = " ".join(plain(study_parts(observations(tmp_path))).split())
    assert "other processes took up to 34% of the machine's CPUs during 1 of 15 runs" in flat


def test_no_column_of_money_stands_there_unasked(tmp_path):
    tables = [part for part in study_parts(observations(study(tmp_path))) if isinstance(part, Table)]
    assert not [name for table in tables for name in table.header if "cost" in name or "CPU" in name]


@pytest.mark.parametrize(("amount", "said"), [(0, "0 runs"), (1, "1 run"), (1200, "1,200 runs")])
def test_one_is_singular(amount, said):
    assert count(amount, "run") == said


def test_columns_that_say_nothing_are_left_out():
    table = Table("t", ("a", "b", "c"), (("x", "NA", ""), ("y", "NA", "1")))
    assert without_empty(table) == Table("t", ("a", "c"), (("x", ""), ("y", "1")))
    assert without_empty(table, ("c",)) == table
