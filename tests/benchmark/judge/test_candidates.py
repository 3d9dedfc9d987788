"""The rigs that one could take: what their runs, estimates and offers say."""

import json
from dataclasses import replace

import pytest
from journals import make_run, make_runs, write

from benchmark.choose import main
from benchmark.judge import Question, judge
from benchmark.judge.beliefs import Evidence
from benchmark.judge.candidates import candidates_of, pace_of, reference_of
from benchmark.judge.probes import estimates_in, read_estimate
from benchmark.judge.question import JudgeError
from benchmark.judge.reference import COLUMNS, rows_of
from benchmark.judge.terms import Terms
from benchmark.record.history import RunRecord
from platforms.offers import Offer, Offers

FALLING = [60, 50, 40, 30, 24, 20, 18, 16]
WER_20 = Question(metrics=("wer",), levels=(20.0,), window=3)
DATED = {"date": "2026-11-01", "source": "a cloud"}


def offered(**rents):
    return Terms(book=Offers(tuple(Offer(platform=n, rent_per_hour=r, **DATED) for n, r in rents.items())))


def named(found):
    return {each.name: each for each in found}


def test_runs_to_the_level_tell_epochs_and_others_seconds_an_epoch_alone():
    runs = make_runs(FALLING, [x + 0.1 for x in FALLING], platform="a")
    runs.append(make_run([60, 50], platform="b", run="b1", train_s=45.0, source="b1.csv"))
    found = named(candidates_of(judge(runs, WER_20), offered(a=2.0, b=3.0)))
    # the median of 24, 20, 18 is 20: epoch 7; with .1 more of 20.1, 18.1, 16.1: epoch 8
    assert found["a"].evidence.epochs == pytest.approx((7.0, 8.0)) and found["b"].evidence.epochs == ()
    assert found["a"].evidence.paces_s == (110.0, 110.0) and found["b"].evidence.paces_s == (55.0,)
    assert found["a"].evidence.start_s == 30.0 and found["b"].missed == (2,)
    assert found["b"].money.per_hour == 3.0


def test_a_probe_of_one_epoch_has_its_slow_first_batches_in_its_start():
    steady = make_run([60])  # created in 30 s; ten rows of 10 s; an evaluation of 10 s
    assert (pace_of(steady).start_s, pace_of(steady).seconds) == (30.0, 110.0)
    rows = list(steady.rows)
    late = 40.0  # the first row compiles
    slow = [rows[0], rows[1].__class__(**{**vars_of(rows[1]), "seconds": 10.0 + late})]
    slow += [row.__class__(**{**vars_of(row), "started_s": row.started_s + late}) for row in rows[2:]]
    found = pace_of(RunRecord(tuple(slow)))
    assert (found.start_s, found.seconds) == (pytest.approx(70.0), pytest.approx(110.0))


def vars_of(row):
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_two_rigs_that_trained_one_seed_have_one_training():
    runs = [make_run(FALLING, run="a", platform="a", seed=1), make_run(FALLING, run="b", platform="b", seed=1)]
    runs.append(make_run([x + 0.1 for x in FALLING], run="c", platform="b", seed=2))
    found = named(candidates_of(judge(runs, WER_20), offered(a=1.0, b=1.0)))
    assert found["a"].evidence.copies == found["b"].evidence.copies == 1.5  # three runs of two seeds


def test_an_estimate_is_read_with_its_interval_and_gives_way_to_journals(tmp_path):
    about = {
        "platform": "b",
        "seconds_per_epoch": {"value": 50.0, "low": 48.0, "high": 52.0},
        "start_s": 9,
        "batch": 96,
    }
    path = tmp_path / "estimate.json"
    path.write_text(json.dumps(about))
    estimate = read_estimate(path)
    judged = judge(make_runs(FALLING, platform="a"), WER_20)
    found = named(candidates_of(judged, offered(a=1.0, b=1.5), estimates=[estimate]))["b"]
    assert found.evidence.paces_s == (50.0,) and found.evidence.start_s == 9
    assert found.evidence.pace_error == pytest.approx(0.0204, abs=1e-4)  # log(52 / 48) / 2 / 1.96
    assert found.money.per_hour == 1.5 and found.evidence.kind == (4, "float32")
    again = make_run([60, 50], platform="b", run="b1", source="b1.csv")
    both = judge([*make_runs(FALLING, platform="a"), again], WER_20)
    assert named(candidates_of(both, Terms(), estimates=[estimate]))["b"].evidence.paces_s == (110.0,)
    write(tmp_path / "r.csv", again)
    assert estimates_in([str(tmp_path)]) == ([str(tmp_path)], [estimate])
    (tmp_path / "r.csv").unlink()
    assert estimates_in([str(tmp_path)]) == ([], [estimate])  # no runs to look for


ABOUT = {
    "platform": "b", "workload": "mini", "variant": "", "recipe": "paper", "features": "ab12", "decoder": "greedy",
    "emulated": False, "batch": 96, "replicas": 4, "precision": "float32", "settings": "",
}  # fmt: skip


def estimate_of(folder, name, *, created="2026-11-01T10:00:00+00:00", value=50.0, **about):
    """An estimate as python -m benchmark.rig estimate writes it."""
    (folder / "estimates").mkdir(exist_ok=True)
    content = {"schema": 1, "created": created, "about": ABOUT | about, "startup_s": 12.0}
    content["epoch_s"] = {"value": value, "low": None, "high": None}
    path = folder / "estimates" / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def test_the_newest_estimate_of_the_same_training_counts(tmp_path):
    estimate_of(tmp_path, "new", created="2026-11-02T10:00:00+00:00", value=45.0)
    estimate_of(tmp_path, "old")
    estimate_of(tmp_path, "other", created="2026-11-03T10:00:00+00:00", value=1.0, recipe="modern")
    estimate_of(tmp_path, "emulated", created="2026-11-03T10:00:00+00:00", value=1.0, emulated=True)
    _, estimates = estimates_in([str(tmp_path)])
    assert len(estimates) == 4
    judged = judge(make_runs(FALLING, platform="a"), WER_20)
    found = named(candidates_of(judged, offered(a=1.0, b=1.5), estimates=estimates))
    assert found["b"].evidence.paces_s == (45.0,) and found["b"].evidence.start_s == 12.0
    another = read_estimate(estimate_of(tmp_path, "c", platform="c", recipe="modern"))
    with pytest.raises(JudgeError, match="estimates of several trainings"):
        candidates_of([], offered(b=1.5), estimates=[estimates[1], another])


def test_an_estimate_has_the_price_of_its_gpus(tmp_path):
    a100s = Offer(gpu="A100", gpus=4, rent_per_hour=8.0, **DATED)
    estimate = read_estimate(estimate_of(tmp_path, "b", devices="4 x NVIDIA A100-SXM4-40GB", machines=1))
    terms = Terms(book=Offers((a100s, Offer(gpu="H100", gpus=4, rent_per_hour=16.0, **DATED))))
    judged = judge(make_runs(FALLING, platform="a", devices="4 x NVIDIA H100 80GB HBM3"), WER_20)
    found = named(candidates_of(judged, terms, estimates=[estimate]))
    assert (found["a"].money.per_hour, found["b"].money.per_hour) == (16.0, 8.0)
    other = read_estimate(estimate_of(tmp_path, "c", devices="1 x NVIDIA T4", replicas=1))
    assert "no offer for 1 x T4" in named(candidates_of(judged, terms, estimates=[other]))["b"].no_price


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"platform": "a"}', '{"platform": "a", "seconds_per_epoch": -1}', '{"seconds_per_epoch": 1}'],
)
def test_what_is_no_estimate_is_refused(text, tmp_path):
    path = tmp_path / "estimate.json"
    path.write_text(text)
    with pytest.raises(JudgeError, match=r"estimate.json: .*expected"):
        read_estimate(path)


def test_a_rig_that_an_offer_names_is_guessed_from_its_price():
    judged = judge(make_runs(FALLING, platform="a"), WER_20)
    found = named(candidates_of(judged, offered(a=2.0, new=4.0)))["new"]
    assert found.evidence.guess_s == pytest.approx(55.0)  # 110 s at half the price
    assert "guessed from its price" in found.remark
    assert [each.name for each in candidates_of(judged, Terms())] == ["a"]


def test_a_rent_by_whole_units_costs_half_a_unit_more_on_the_average():
    terms = Terms(
        book=Offers((Offer(platform="a", rent_per_hour=6.0, billing_minutes=60, storage_per_hour=1.0, **DATED),)),
        setup_minutes=6,
    )
    (found,) = candidates_of(judge(make_runs(FALLING, platform="a"), WER_20), terms)
    assert found.money.per_hour == 7.0
    assert found.money.of(2.0) == pytest.approx((2 + 0.1 + 0.5) * 7)


def test_a_bought_rig_costs_its_share_of_use():
    terms = Terms(offers=(("a", Offer(platform="a", total=13149.0, **DATED)),), years=3, duty=0.5)
    (found,) = candidates_of(judge(make_runs(FALLING, platform="a"), WER_20), terms)
    assert found.money.per_hour == pytest.approx(1.0)  # 13,149 hours: half of three years


def test_the_reference_tells_epochs_where_no_run_reached_the_level(tmp_path):
    import csv

    from benchmark.judge.reference import convergence_of
    from benchmark.record import Run

    whole = [Run(each) for each in make_runs(FALLING, [x + 0.1 for x in FALLING])]
    path = tmp_path / "reference.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows_of([convergence_of(run) for run in whole]))
    probe = make_run([60, 50], run="probe", platform="new", seed=7)
    question = Question(metrics=("wer",), levels=(20.0,), window=3, reference=str(path))
    (found,) = reference_of(judge([probe], question), question)
    assert isinstance(found, Evidence) and sorted(found.epochs) == [7.0, 8.0] and found.kind == (4, "float32")
    estimate = read_estimate(estimate_of(tmp_path, "b"))
    assert reference_of([], question, [estimate]) == [found]
    assert reference_of([], question, [read_estimate(estimate_of(tmp_path, "b", recipe="authors"))]) == []
    other = make_run([60, 50], run="probe", platform="new", seed=7, recipe="authors")
    assert reference_of(judge([other], question), question) == []


def test_the_command_says_which_rig_to_take_and_what_to_do_next(tmp_path, capsys):
    paths = [write(tmp_path / f"{run.rows[0].run}.csv", run) for run in make_runs(FALLING, FALLING[:], platform="a")]
    paths.append(write(tmp_path / "b.csv", make_run([60], run="b", platform="b", train_s=40.0)))
    given = [*paths, "--level", "wer:20", "--offer", "a=2/h", "--offer", "b=2.1/h"]
    assert main(given) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Take b for WER 20" in shown and "Another is cheaper with a probability of under 1%" in shown
    assert "Stop: " in shown and "2.10 USD an hour" in shown
    assert shown.endswith("python -m benchmark --platform b --workload mini --recipe paper --batch 96.")
    assert main([*given, "--trainings", "500", "--offer", "new=2/h"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Next probe new for an epoch" in shown and "nobody has tried it" in shown
    assert shown.endswith("--platform new --workload mini --recipe paper --batch 96 --max-epochs 1; then ask again.")
    assert main([*given, "--format", "json"]) == 0
    rows = {row["rig"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["b"]["taken"] and rows["a"]["p_cheapest"] < 0.01 and rows["b"]["cost"] < rows["a"]["cost"]


def test_what_the_command_cannot_choose_among_is_refused(tmp_path, capsys):
    probe = write(tmp_path / "b.csv", make_run([60], run="b", platform="b"))
    assert main([probe, "--level", "wer:20"]) == 2
    assert "expected one run to the level on any rig" in capsys.readouterr().err
    other = write(tmp_path / "c.csv", make_run(FALLING, run="c", platform="c", workload="speech"))
    assert main([probe, other, "--level", "wer:20"]) == 2
    assert "runs of several workloads (mini, speech)" in capsys.readouterr().err
    emulated = write(tmp_path / "d.csv", make_run(FALLING, run="d", platform="d", emulated=True))
    assert main([emulated, "--level", "wer:20"]) == 2
    assert "all runs are emulated" in capsys.readouterr().err


def test_a_bill_is_one_unit_at_least_and_half_a_unit_more_than_the_time_on_the_average():
    """As `price` bills: a started hour of 12 USD for a training of minutes is never 6.30 USD."""
    runs = make_runs(FALLING, [x + 0.1 for x in FALLING], platform="a")
    (found,) = candidates_of(judge(runs, WER_20), replace(offered(a=12.0), billing_minutes=60.0))
    assert found.money.of(1.5 / 60) == 12.0 and found.money.of(0.6) == pytest.approx(12 * 1.1)


@pytest.mark.parametrize("option", ["--failures", "--down-time"])
def test_what_a_choice_does_not_reckon_with_is_refused(tmp_path, capsys, option):
    path = write(tmp_path / "a.csv", make_run(FALLING, platform="a"))
    assert main([str(path), "--level", "wer:20", "--offer", "a=2/h", option]) == 2
    assert "are not reckoned with here" in capsys.readouterr().err
