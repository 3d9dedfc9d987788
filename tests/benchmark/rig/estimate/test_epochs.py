"""How many epochs a level takes, by reference runs."""

import math
import statistics

import pytest

from benchmark.judge.reference import Convergence
from benchmark.rig.estimate import epochs
from benchmark.rig.estimate.__main__ import foretell
from tests.benchmark.rig.estimate.test_measured import MEASURED

CURVES = ((90, 70, 50, 30, 20), (90, 70, 50, 40, 30), (90, 70, 40, 30, 20))


def run(cer, *, seed=1, **changes) -> Convergence:
    usual = {
        "workload": "mini", "variant": "", "recipe": "paper", "batch": 16, "replicas": 1, "precision": "float32",
        "samples": 100, "features": "ab12", "decoder": "greedy", "settings": "", "evaluated": 9, "evaluated_words": 20,
        "grid": "1 epoch", "seed": seed, "run": f"r{seed}", "code": "-", "date": "",
    }  # fmt: skip
    cer = tuple(map(float, cer))
    errors = {"cer": cer, "wer": cer, "utterances": tuple(100 * n for n in range(1, len(cer) + 1))}
    return Convergence(**{**usual, **errors, **changes})


RUNS = [run(curve, seed=n) for n, curve in enumerate(CURVES)]


def test_epochs_are_whole_and_their_spread_is_that_of_one_more_run():
    sides = epochs.reference_for(run([99.0]), RUNS)
    found = epochs.to_level(sides, "cer", 40.0, window=3, samples=100)
    # medians of three: (70, 50, 30), (70, 50, 40), (70, 40, 30): the level is there after 5, 5 and 4 epochs
    logs = [math.log(5), math.log(5), math.log(4)]
    assert found.mean.log == pytest.approx(statistics.fmean(logs)) and found.runs == 3
    assert found.mean.variance == pytest.approx(statistics.variance(logs) * (1 + 1 / 3))
    assert found.mean.freedom == pytest.approx(2)
    # the mean error after epochs 1 to 5
    assert found.errors == pytest.approx((90.0, 70.0, 140 / 3, 100 / 3, 70 / 3))


def test_what_trains_otherwise_says_nothing():
    assert "differs in recipe (modern, and paper in the reference)" in epochs.reference_for(
        run([99.0], recipe="modern"), RUNS
    )
    assert "no reference run is of workload maxi" in epochs.reference_for(run([99.0], workload="maxi"), RUNS)
    assert "2 runs of the reference are alike; expected 3 or more" in epochs.reference_for(run([99.0]), RUNS[:2])
    sides = epochs.reference_for(run([99.0]), RUNS)
    missed = epochs.to_level(sides, "cer", 25.0, window=3, samples=100)
    assert missed == "3 of 3 reference runs of batch 16 did not get there"


def test_a_file_of_reference_runs_and_journals_are_read_alike(tmp_path):
    import csv

    from journals import make_run, write

    from benchmark.judge.reference import COLUMNS, rows_of

    own = len(epochs.read_references([]))
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows_of(RUNS))
    journal = write(tmp_path / "run.csv", make_run([50.0, 40.0, 30.0]))
    found = epochs.read_references([str(tmp_path / "mine.csv"), journal])[own:]
    assert [each.run for each in found] == ["r0", "r1", "r2", "r1"]


def about() -> dict:
    mine = run([99.0])
    identity = {name: getattr(mine, name) for name in (
        "workload", "variant", "recipe", "batch", "replicas", "precision", "features", "decoder", "seed", "run", "code"
    )}  # fmt: skip
    return {
        "identity": identity, "about": {"workload": "mini"}, "settings": "", "samples": 100, "evaluated": 9,
        "evaluated_words": 20,
    }  # fmt: skip


def test_time_to_a_level_is_start_up_and_epochs_times_their_seconds():
    from dataclasses import replace

    measured = replace(MEASURED, about=about())
    foretold, epoch, missing = foretell(measured, RUNS, [("cer", 40.0), ("cer", 25.0)], window=3)
    (level,) = foretold.levels
    errors = (90.0, 70.0, 140 / 3, 100 / 3, 70 / 3)
    assert epoch.total_s == pytest.approx(measured.epoch(errors[1:]).total_s)  # of the epochs after the first
    whole_s = 6.7 + 100 ** (1 / 3) * measured.epoch(errors).total_s  # of all: the first one is evaluated too
    assert level.minutes.value == pytest.approx(whole_s / 60, rel=1e-3)
    assert level.minutes.low < level.minutes.value < level.minutes.high
    assert missing == {"CER 25": "3 of 3 reference runs of batch 16 did not get there"}
    assert foretold.startup_s == pytest.approx(6.7)
    alone, slower, why = foretell(measured, [], [("cer", 40.0)], window=3)
    assert not alone.levels and "no reference run" in why["Epochs to a level"]
    assert slower.total_s == pytest.approx(measured.epoch().total_s)  # with the probe's own error rate


@pytest.mark.parametrize(
    ("argv", "make", "command"),
    [
        ([], "", "python -m benchmark"),
        (["--recipe", "modern", "--batch", "8", "--target", "wer=40"], "",
         "python -m benchmark --batch 8 --recipe modern --target wer=40"),
        (["--workload", "speech", "--corpus", "my speech", "--stream"], "1",
         "make bench WORKLOAD=speech CORPUS='my speech' ARGS=--stream"),
        (["--batch", "8", "--readers", "4"], "1", "make bench ARGS='--batch 8 --readers 4'"),
    ],
)  # fmt: skip
def test_the_command_of_the_run_is_what_was_asked_for(argv, make, command, monkeypatch):
    from benchmark.rig.estimate.__main__ import _bench, _parser
    from benchmark.rig.estimate.page import next_step

    monkeypatch.setenv("SPEECH_TTA_MAKE", make)
    found = next_step(_bench(_parser().parse_args(argv)))
    assert found == f"Next: {command}; its table then has a line beside this estimate."
