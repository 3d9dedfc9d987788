"""The guard of convergence: too few epochs are marked, honest runs are not, and another training is no reference."""

import json
import math
import statistics
from dataclasses import replace

import pytest
from journals import make_run, write
from references import errors, honest, reference_file, run_to
from scipy import stats

from benchmark.judge import Question, judge
from benchmark.judge.estimates import hochberg
from benchmark.judge.guard import AS_EXPECTED, TOO_FEW, TOO_MANY, Law, Side, doubts, held, parts, sides_of
from benchmark.judge.reference import convergence_of, settings_digest
from benchmark.record import Run, RunRecord, read_run
from benchmark.tables import Table
from benchmark.workloads import load

REFERENCE = [7.4, 7.7, 7.8, 7.9, 8.0, 8.0, 8.1, 8.2, 8.4, 8.6]


@pytest.fixture
def ten(tmp_path):
    return reference_file(tmp_path / "ten.csv", [run_to(epochs, n) for n, epochs in enumerate(REFERENCE)])


def asked(path, *levels, **changes) -> Question:
    return Question(metrics=("wer",), levels=levels or (30.0,), reference=path, **changes)


def against(runs, path, *levels):
    judgement = judge(runs, asked(path, *levels))
    (group,) = judgement
    return held(group, judgement.question)


# --- the law ---------------------------------------------------------------------------------------------------------


def test_a_run_is_held_against_the_prediction_interval_of_students_t():
    law, logs = Law((Side.of(REFERENCE, step=1 / 8),)), [math.log(value) for value in REFERENCE]
    error = statistics.stdev(logs) * math.sqrt(1 + 1 / 10)
    assert law.few([6.5]) == pytest.approx(stats.t.cdf((math.log(6.5) - statistics.fmean(logs)) / error, 9))
    low, high = stats.t.interval(0.98, 9, statistics.fmean(logs), error)
    assert (law.least(1), law.most(1)) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))


def test_the_mean_of_several_runs_is_allowed_less():
    law = Law((Side.of(REFERENCE, step=1 / 8),))
    error = statistics.stdev(map(math.log, REFERENCE)) * math.sqrt(1 / 3 + 1 / 10)
    assert law.least(3) == pytest.approx(math.exp(law.mean - stats.t.ppf(0.99, 9) * error))
    assert law.few([law.least(3)] * 3) == pytest.approx(0.01)
    assert law.least(1) < law.least(3) < law.least(5)


def test_reference_runs_that_do_not_vary_are_given_what_a_step_leaves_open():
    law = Law((Side.of([8.0] * 5, step=1 / 8),))
    error = math.sqrt(0.03 / 64 * (1 + 1 / 5))  # .17 of a step of an eighth
    assert law.least(1) == pytest.approx(8 * math.exp(-stats.t.ppf(0.99, 4) * error))


def test_luck_is_the_share_of_draws_from_the_reference_that_are_as_low():
    law = Law((Side.of([7.0, 8.0, 9.0], step=0.1),))
    assert law.luck([7.0]) == pytest.approx(1 / 3, abs=0.02)
    assert law.luck([7.0, 7.0]) == pytest.approx(1 / 9, abs=0.02)  # both draws the lowest
    assert law.luck([6.9]) == 0


def test_hochberg_rejects_all_where_all_are_small_and_is_never_under_the_p_value():
    assert hochberg([0.009, 0.008, 0.005]) == pytest.approx([0.009, 0.009, 0.009])
    # the largest as it is, the next twice, the least three times, and none more than a larger one's
    assert hochberg([0.5, 0.004, 0.001]) == pytest.approx([0.5, 0.008, 0.003])
    assert hochberg([]) == []


def test_between_two_batches_the_mean_lies_on_a_line_through_logarithms_and_is_less_certain():
    pairs = [(n, epochs, batch) for batch in (16, 64) for n, epochs in enumerate(REFERENCE)]
    runs = [convergence_of(Run(run_to(epochs * batch**0.5 / 4, n, batch=batch))) for n, epochs, batch in pairs]
    sides = sides_of(32, runs)
    assert [(batch, weight) for batch, weight, _ in sides] == [(16, 0.5), (64, 0.5)]
    law = Law(tuple(Side.of([v * f for v in REFERENCE], step=1 / (8 * f), weight=0.5) for f in (1, 2)))
    middle = statistics.fmean(map(math.log, REFERENCE)) + math.log(2) / 2
    assert law.mean == pytest.approx(middle)
    variance = statistics.variance(map(math.log, REFERENCE))
    # the sides' means count half each; the bend between is not known to half of a half of the difference
    assert law.error(1)[0] ** 2 == pytest.approx(variance * (1 + 2 * 0.25 / 10) + (0.25 * math.log(2)) ** 2)
    assert sides_of(16, runs)[0][:2] == (16, 1.0)
    assert sides_of(8, runs) == "batch 8 is outside the reference's (16, 64), and nothing is said there"
    assert "2 runs of the reference are alike; expected 3" in sides_of(16, runs[:2])


# --- groups ----------------------------------------------------------------------------------------------------------


def test_honest_runs_are_as_expected(ten):
    (found,) = against(honest(3), ten)
    assert found.verdict == AS_EXPECTED and found.luck is None
    assert found.reference == pytest.approx(statistics.geometric_mean(REFERENCE), rel=1e-3)
    assert found.least < found.epochs < found.most and found.reference_runs == 10


def test_too_few_epochs_are_marked_with_by_how_many_and_how_likely_luck_is(ten):
    (found,) = against([run_to(6.0, 50), run_to(6.2, 51)], ten)
    assert found.verdict == TOO_FEW and found.p_few < 0.01 and found.luck == 0
    assert found.epochs == pytest.approx(math.sqrt(6.0 * 6.2), rel=1e-3)
    (group,) = judge([run_to(6.0, 50), run_to(6.2, 51)], asked(ten))
    (said,) = doubts(group, asked(ten))
    less = found.least - found.epochs
    assert f"WER 30 after {found.epochs:.2f}, {less:.2f} fewer than the {found.least:.2f} allowed" in said
    assert "none of 10,000 draws from it is as low" in said and "2 runs beside 10 of the reference (batch 16)" in said


def test_a_lucky_seed_is_marked_only_where_luck_would_not_do(ten):
    assert against([run_to(7.4, 50)], ten)[0].verdict == AS_EXPECTED  # the reference has such a seed
    (found,) = against([run_to(6.8, 50)], ten)
    assert found.verdict == TOO_FEW


def test_too_many_epochs_are_a_hint_also_of_a_run_that_did_not_get_there(ten):
    (found,) = against([run_to(11.0, 50)], ten)
    assert found.verdict == TOO_MANY
    missed = run_to(20.0, 50, count=12)
    (group,) = judge([missed], asked(ten))
    (each,) = held(group, asked(ten))
    assert each.verdict == TOO_MANY and not each.all_reached
    assert (
        "a hint: more epochs" in doubts(group, asked(ten))[0] and "after more than 12.0" in doubts(group, asked(ten))[0]
    )
    (early,) = against([run_to(20.0, 50, count=5)], ten)
    assert early.verdict is None, "a run that ended early says neither"


def test_runs_of_one_curve_count_once(ten):
    once, again = run_to(6.9, 50), replace_run(run_to(6.9, 50), "again")
    assert len(against([once, again], ten)[0].utterances) == 1
    assert against([once, again], ten)[0].p_few == against([once], ten)[0].p_few


def replace_run(record, name):
    """The same training, timed again on a slower machine."""
    rows = [replace(row, run=name, started_s=row.started_s * 1.1, seconds=row.seconds * 1.1) for row in record.rows]
    return RunRecord(rows, f"{name}.csv")


def test_levels_are_judged_together_so_that_several_cost_no_more_false_alarms(ten):
    runs = [run_to(7.05, 50)]
    alone = against(runs, ten)[0].p_few
    together = {a.level.percent: a.p_few for a in against(runs, ten, 30.0, 31.0, 32.0)}
    assert alone <= together[30.0] <= 3 * alone


def test_no_run_can_be_sooner_than_a_reference_run_at_its_first_median(tmp_path):
    path = reference_file(tmp_path / "easy.csv", [run_to(epochs, n) for n, epochs in enumerate(REFERENCE)])
    (found,) = against([run_to(6.0, 50)], path, 80.0)  # all are there at epoch 3
    assert found.verdict is None and "at the first median" in found.reason


def test_a_level_that_a_reference_run_missed_has_no_reference(tmp_path):
    path = reference_file(tmp_path / "short.csv", [run_to(8.0 + n, n, count=10) for n in range(4)])
    (found,) = against([run_to(6.0, 50)], path)
    assert found.reason == "1 of 4 runs of the reference missed it (batch 16)" and found.verdict is None


# --- runs that cheat, and runs of another training -------------------------------------------------------------------


def test_a_dev_set_inside_the_training_set_is_found_by_its_epochs_or_by_its_size(ten):
    learnt = [[each * 0.93**n for n, each in enumerate(errors(8.0 + seed / 9))] for seed in range(3)]
    runs = [make_run(w, run=f"c{n}", seed=n, source=f"c{n}.csv", batch=16, replicas=1) for n, w in enumerate(learnt)]
    (found,) = against(runs, ten)  # errors that fall by 7% more each epoch
    assert found.verdict == TOO_FEW
    more = [replace(row, utterances=109 if row.utterances == 100 else row.utterances) for row in run_to(6.0, 1).rows]
    assert against([RunRecord(more, "m.csv")], ten) == (
        "the reference has no such training: the nearest differs in utterances of an epoch (1090, and 1000 in the "
        "reference)"
    )


def test_a_smaller_dev_set_is_another_training_and_said(ten):
    fewer = [replace(row, utterances=5 if row.utterances == 9 else row.utterances) for row in run_to(6.0, 1).rows]
    said = "the reference has no such training: the nearest differs in evaluated utterances (5, and 9 in the reference)"
    assert against([RunRecord(fewer, "f.csv")], ten) == said
    judgement = judge([RunRecord(fewer, "f.csv")], asked(ten))
    assert parts(list(judgement), judgement.question) == [
        f"mini: not held against the reference of convergence:\n- sys1: {said}"
    ]
    assert not any("reference" in text for text in judgement.warnings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variant": "normalisation-none"}, "variant (normalisation-none, and none in the reference)"),
        ({"features": "ffff"}, "features (ffff, and ab12 in the reference)"),
        ({"recipe": "modern"}, "recipe (modern, and paper in the reference)"),
        ({"precision": "tf32"}, "precision (tf32, and float32 in the reference)"),
        ({"decoder": "dictionary-256"}, "decoder (dictionary-256, and greedy in the reference)"),
    ],
)
def test_another_normalisation_features_recipe_precision_or_decoder_is_no_reference(ten, changes, words):
    assert against([run_to(6.0, 1, **changes)], ten) == (
        f"the reference has no such training: the nearest differs in {words}"
    )


def test_other_settings_of_a_run_with_its_folder_are_found_by_their_digest(ten, tmp_path):
    known = [replace(convergence_of(Run(run_to(e, n))), settings="11111111") for n, e in enumerate(REFERENCE)]
    path = reference_file(tmp_path / "known.csv", known)
    assert against([run_to(6.0, 1)], path)[0].verdict == TOO_FEW  # a journal alone does not say its settings
    workload = load("mini")
    folder = tmp_path / "r1"
    folder.mkdir()
    facts = {"schema": 4, "workload": workload.to_dict(), "plan": {"targets": {"wer": [30]}}}
    (folder / "run.json").write_text(json.dumps(facts))
    journal = write(tmp_path / "r1.csv", run_to(6.0, 1, source=str(tmp_path / "r1.csv")))
    (group,) = judge([read_run(journal)], asked(path))
    said = f"digest of settings ({settings_digest(workload)}, and 11111111 in the reference)"
    assert held(group, asked(path)) == f"the reference has no such training: the nearest differs in {said}"


def test_other_replicas_are_held_against_the_global_batch_and_said(ten):
    (group,) = judge([run_to(6.0, 1, replicas=4)], asked(ten))
    assert "(its replicas are 4, the reference's 1)" in doubts(group, asked(ten))[0]


def test_nothing_is_said_without_a_reference_of_the_workload_unless_a_file_was_named(tmp_path):
    (group,) = judge([run_to(6.0, 1, workload="own")], asked(None))
    assert held(group, asked(None)) == "" and doubts(group, asked(None)) == [] and parts([group], asked(None)) == []
    path = reference_file(tmp_path / "r.csv", honest(3))
    assert parts([group], asked(path)) == [
        f"own: not held against the reference of convergence:\n- sys1: {path} has no run of workload own"
    ]


def test_the_table_has_a_row_a_level_and_the_rows_for_machines_its_columns(ten):
    judgement = judge([run_to(6.0, 1)], asked(ten, 30.0, 40.0))
    (table,) = parts(list(judgement), judgement.question)
    assert isinstance(table, Table) and [row[1] for row in table.rows] == ["WER 40", "WER 30"]
    assert [row[-1] for row in table.rows] == [TOO_FEW, TOO_FEW]
    assert [row["reference_verdict"] for row in judgement.long_rows()] == [TOO_FEW, TOO_FEW]
    assert judgement.long_rows()[1]["crossing_epochs"] == pytest.approx(6.0, rel=1e-3)
