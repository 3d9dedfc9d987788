"""A run beside the estimate that was made of it, and never beside another's."""

import json
from dataclasses import replace

import pytest
from journals import make_run, write

from benchmark import tta
from benchmark.judge.foretold import beside, estimate_of, foretold_part
from benchmark.judge.reference import settings_digest
from benchmark.record import read_run
from benchmark.record.facts import Host
from benchmark.record.foretold import (
    Bounds,
    Foretold,
    ForetoldError,
    ToLevel,
    about_of,
    foretold_in,
    read_foretold,
    write_foretold,
)
from benchmark.workloads import load
from platforms import load as platform

HOST = Host(cpu="a CPU", logical_cores=2, usable_cores=2)


@pytest.fixture
def run(tmp_path):
    """A run of 4 epochs of 110 s, with its run.json."""
    path = write(tmp_path / "r1.csv", make_run([80.0, 60.0, 40.0, 20.0]))
    (tmp_path / "r1").mkdir()
    facts = {
        "schema": 4, "created": "2026-11-29T12:00:00+00:00", "workload": load("mini").to_dict(),
        "platform": platform("sys1").to_dict(), "host": {"cpu": "a CPU", "logical_cores": 2, "usable_cores": 2},
        "plan": {"targets": {"wer": [60]}},
    }  # fmt: skip
    (tmp_path / "r1" / "run.json").write_text(json.dumps(facts))
    return read_run(path)


def foretold(run, **changes) -> Foretold:
    about = about_of(run.identity, platform("sys1"), HOST, settings_digest(load("mini")))
    level = ToLevel(metric="wer", percent=60.0, epochs=3.0, minutes=Bounds(value=5.9, low=5.0, high=7.0), runs=6)
    usual = {
        "created": "2026-11-29T11:00:00+00:00", "about": about, "epoch_s": Bounds(value=100.0, low=90.0, high=111.0),
        "startup_s": 30.0, "levels": (level,),
    }  # fmt: skip
    return Foretold(**{**usual, **changes})


def test_a_run_that_happened_stands_beside_its_estimate(run, tmp_path, capsys):
    path = write_foretold(tmp_path / "estimates", foretold(run))
    assert path.name == "sys1-mini-paper-96-20261129110000.json"
    # an epoch took 110 s, 10% more than 100; WER 60 (the median of 80, 60, 40) was there after 30 + 3 x 110 = 360 s
    sentence = "r1: 100 s an epoch were foretold, and it took 110 (+10.0%); WER 60 in 5.90 min (5.00 to 7.00), and it "
    assert foretold_part([run]) == [
        f"Beside its estimate (python -m benchmark.rig estimate):\n- {sentence}took 6.00, within"
    ]
    assert tta.main([run.source]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert sentence.strip() in shown


def test_outside_is_said_and_so_is_an_interval_that_is_not_there(run):
    level = foretold(run).levels[0]
    low = replace(level, minutes=Bounds(value=4.0, low=3.0, high=5.0))
    assert beside(run, foretold(run, levels=(low,))).endswith("took 6.00, outside")
    none = replace(level, minutes=Bounds(value=4.0))
    assert beside(run, foretold(run, levels=(none,))).endswith("WER 60 in 4.00 min, and it took 6.00, of no interval")


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", "another"), ("usable_cores", 1), ("batch", 48), ("recipe", "modern"), ("precision", "tf32"),
     ("features", "ffff"), ("readers", 9), ("settings", "00000000"), ("evaluation", "swap"), ("platform", "sys2")],
)  # fmt: skip
def test_an_estimate_of_anything_else_is_no_estimate_of_it(run, name, value):
    mine = foretold(run)
    assert estimate_of(run, [mine]) is mine
    assert name in mine.about
    assert estimate_of(run, [replace(mine, about={**mine.about, name: value})]) is None


def test_one_that_was_made_afterwards_is_none(run):
    assert estimate_of(run, [foretold(run, created="2026-11-29T12:30:00+00:00")]) is None


def test_the_newest_one_counts(run, tmp_path):
    folder = tmp_path / "estimates"
    write_foretold(folder, foretold(run))
    newer = foretold(run, created="2026-11-29T11:30:00+00:00")
    write_foretold(folder, newer)
    found = list(foretold_in(folder))
    assert [each.created for each in found] == [newer.created, foretold(run).created]
    assert estimate_of(run, found) == found[0] == read_foretold(sorted(folder.glob("*.json"))[-1])


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"schema": 9}', '{"schema": 1, "created": "x"}'])
def test_a_file_that_is_none_is_named(run, tmp_path, text):
    (tmp_path / "estimates").mkdir()
    (tmp_path / "estimates" / "a.json").write_text(text)
    with pytest.raises(ForetoldError, match=r"a\.json: no estimate"):
        list(foretold_in(tmp_path / "estimates"))
    assert "a.json: no estimate" in foretold_part([run])[0]


def test_a_run_without_its_folder_has_none(tmp_path):
    alone = read_run(write(tmp_path / "r2.csv", make_run([50.0, 40.0, 30.0], run="r2")))
    assert foretold_part([alone]) == []
