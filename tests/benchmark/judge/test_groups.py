"""The statistics of a group of runs, worked by hand on small journals."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
from journals import make_row, make_run, make_runs, write

import platforms
from benchmark.judge import Question, judge
from benchmark.judge.checks import warnings
from benchmark.judge.repetitions import curves_of
from benchmark.judge.summary import report_parts
from benchmark.record import Run, read_run
from benchmark.record.columns import READABLE
from benchmark.record.history import RunRecord
from benchmark.record.journal import read
from benchmark.record.phases import Phase
from benchmark.tables import plain

AT_30 = Question(metrics=("wer",), levels=(30.0,))


def level(records, question=AT_30):
    (group,) = judge(records, question)
    return group.levels[0]


def test_runs_that_missed_count_as_slower_than_all_and_the_median_is_theirs_too():
    fast, slow, missed = [30, 30, 30], [40, 30, 30, 30], [90, 90, 90]
    # Epochs 3 and 3 (medians 30, 30): 30 + 3 * 110 s = 6 minutes each; one of 4 missed: the median is 6.
    assert level(make_runs(fast, slow, fast, missed)).minutes == 6.0
    assert level(make_runs(fast, slow, fast, missed, missed)).minutes == 6.0  # the third of five
    found = level(
        make_runs(fast, slow, missed, missed)
    )  # the second, and one that never comes: the median is not known
    assert found.minutes is None and found.epoch is None and (found.reached, found.missed) == (2, 2)


def test_the_estimate_lies_in_its_own_interval_and_runs_that_are_all_alike_have_one():
    """Four runs of the same 3 epochs: 360 s each, 250 s an evaluation before, so a step is 110 / 360 of the time."""
    found = level(make_runs(*[[30, 30, 30]] * 4))
    assert found.minutes == 6.0 and found.step == pytest.approx(110 / 360)
    # log half-width: t of 3 degrees 3.1824 * sqrt(0.03) * 110 / 360 / sqrt(4) = 0.0842
    low, high = found.interval_minutes
    assert (low, high) == pytest.approx((6 * math.exp(-0.0842), 6 * math.exp(0.0842)), rel=1e-4)
    mixed = level(make_runs([30, 30, 30], [30, 30, 30], [90, 30, 30, 30], [90] * 3 + [30] * 2))
    # 360, 360, 360 (90 30 30) and 580 s: the geometric mean, and not the median of 6 minutes
    assert mixed.minutes == mixed.estimate.value == pytest.approx((360**3 * 580) ** 0.25 / 60)
    assert mixed.interval_minutes[0] < mixed.minutes < mixed.interval_minutes[1] and mixed.median_minutes == 6.0


def test_one_miss_is_the_slowest_of_an_olympic_mean():
    runs = make_runs([30, 30, 30], [90, 30, 30], [90, 90, 30, 30], [90, 90, 90, 30, 30], [90] * 9)
    # epochs 3, 3, 4, 5 and none: without the fastest and the miss (360 + 470 + 580) / 3 s
    assert level(runs).olympic_minutes == pytest.approx((360 + 470 + 580) / 3 / 60)
    assert level([*runs, make_run([90] * 9, run="r6", seed=6)]).olympic_minutes is None


def test_a_run_that_goes_on_or_was_interrupted_is_no_miss_and_is_named(tmp_path):
    """Of three runs one is censored at epoch 2, before any got there: the others make the median."""
    runs = make_runs([30, 30, 30], [90, 30, 30, 30], [90, 90])
    sources = [write(tmp_path / f"r{n}.csv", run) for n, run in enumerate(runs, start=1)]
    for source in sources:
        folder = Path(source).with_suffix("")
        folder.mkdir()
        (folder / "run.json").write_text('{"schema": 3, "plan": {"targets": {"wer": [30]}}}')
    for name in ("r1", "r2"):
        (tmp_path / name / "end.json").write_text('{"status": "finished"}')
    judgement = judge([read_run(source) for source in sources], AT_30)
    found = judgement[0].levels[0]
    assert (found.reached, found.missed, found.unfinished) == (2, 0, 1)
    assert found.minutes == 6.0  # 360 and 360 s
    assert "r3 is still going or interrupted, and no miss" in "\n".join(judgement.warnings)
    (tmp_path / "r3" / "end.json").write_text('{"status": "diverged"}')
    found = judge([read_run(source) for source in sources], AT_30)[0].levels[0]
    assert (found.missed, found.unfinished, found.times.seen[-1]) == (1, 0, math.inf)
    (tmp_path / "r3" / "end.json").write_text('{"status": "finished"}')
    assert judge([read_run(source) for source in sources], AT_30)[0].levels[0].times.seen[0] == 250.0  # 30 + 2 * 110


def test_n_is_the_number_of_different_error_curves():
    """Three seeds, and errors and losses alike in all: one training, timed three times."""
    alike = [make_run([90, 30, 30], run="one", seed=n, train_s=100 + n, source=f"{n}.csv") for n in range(3)]
    (group,) = judge(alike, AT_30)
    assert (len(group.runs), group.n, group.levels[0].n) == (3, 1, 1)
    # 30 + 3 * (110 + n) s: the geometric mean of 360, 363 and 366
    assert group.levels[0].minutes == pytest.approx((360 * 363 * 366) ** (1 / 3) / 60)
    assert group.levels[0].interval_minutes is None
    assert "3 runs, but n = 1" in "\n".join(judge(alike, AT_30).warnings)
    other = make_run([90, 30, 30], run="two", seed=9, source="9.csv")  # equal errors, another loss
    assert judge([*alike, other], AT_30)[0].n == 2


def test_a_curve_whose_figures_an_older_version_measured_in_part_is_the_same_curve():
    def with_ser(percent: float | None) -> RunRecord:
        rows = make_run([90, 30, 30]).rows
        return RunRecord(tuple(replace(row, ser=percent) if row.wer else row for row in rows))

    assert curves_of([with_ser(None), with_ser(80.0)]) == (0, 0)
    assert curves_of([with_ser(80.0), with_ser(81.0)]) == (0, 1)


def test_what_varies_is_named():
    epochs = make_runs([90] * 4 + [30, 30], [90] * 8 + [30, 30], [90] * 6 + [30, 30])
    assert "what varies are the epochs to the level" in "\n".join(judge(epochs, AT_30).warnings)
    machine = [make_run([90, 30, 30], run=f"r{n}", seed=n, train_s=s) for n, s in enumerate((60, 100, 150))]
    found = "\n".join(judge(machine, AT_30).warnings)
    assert "what varies are the seconds an epoch" in found and "which is the machine" in found
    little = [make_run([90, 30, 30], run=f"r{n}", seed=n, train_s=s) for n, s in enumerate((97, 100, 104))]
    assert "the machine varies: seconds an epoch have a coefficient" in "\n".join(judge(little, AT_30).warnings)


def test_the_crossing_is_interpolated_in_the_logarithm_of_the_error():
    """Medians 40 at epoch 3 and 10 at epoch 4: 20 is half-way in logarithms, 30 + 3.5 * 110 s."""
    found = level(make_runs([90, 40, 40, 10, 10]), replace(AT_30, levels=(20.0,)))
    assert found.minutes == (30 + 5 * 110) / 60  # medians: 40, 40 (90 40 40; 40 40 10), 10 at epoch 5
    assert found.crossing_minutes == pytest.approx((30 + 4.5 * 110) / 60)
    assert level(make_runs([10, 10, 10])).crossing_minutes == 6.0  # no median before: the time itself


def test_spread_and_interval_of_times():
    # Epochs 3 and 5: windows (90 30 30) 30 and (90 90 90 30 30) with (90 30 30) at 5: 360 s and 580 s.
    found = level(make_runs([90, 30, 30], [90, 90, 90, 30, 30]))
    assert found.all_minutes == (6.0, pytest.approx(580 / 60))
    assert found.estimate.value == pytest.approx((6 * 580 / 60) ** 0.5)
    low, high = found.interval_minutes
    assert low < 6 and high > 580 / 60 and low * high == pytest.approx(found.estimate.value**2)
    assert level(make_runs([90, 30, 30])).interval_minutes is None


def probed_run() -> RunRecord:
    """Epochs of 4 batches; the errors after 2 and 4 of them, in turn: 80 60, 40 20, 20 20, in steps of 110 s a pair."""
    rows = [make_row(Phase.CREATE, 0.0, 30.0)]
    for n, wer in enumerate((80, 60, 40, 20, 20, 20), start=1):
        rows.append(make_row(Phase.TRAIN, rows[-1].ended_s, 50.0, step=2 * n, epoch=(n + 1) // 2, utterances=9))
        phase = Phase.EVALUATE if n % 2 == 0 else Phase.PROBE
        rows.append(make_row(phase, rows[-1].ended_s, 5.0, step=2 * n, epoch=(n + 1) // 2, wer=wer, cer=wer / 2))
    return RunRecord(rows)


def test_evaluations_within_epochs_count_only_where_they_are_asked_for():
    record = probed_run()
    assert [row.wer for row in record.evaluations] == [60, 20, 20]
    assert [row.wer for row in record.finely.evaluations] == [80, 60, 40, 20, 20, 20]
    one = replace(AT_30, window=1)
    whole, fine = level([record], one), level([record], replace(one, every_evaluation=True))
    # e = 1, whole epochs: 20 after 2 epochs, 30 + 4 * 55 s. All evaluations: medians over the last 4 batches, that is
    # two evaluations: (40 20) 30 after 8 batches too, but it was 50 before
    assert (whole.minutes, whole.epoch) == (250 / 60, 2)
    assert (fine.minutes, fine.epoch) == (250 / 60, 2)
    assert level([record], replace(one, levels=(60.0,))).epoch == 1  # 60 at the end of the first
    assert level([record], replace(one, levels=(60.0,), every_evaluation=True)).epoch == 1.5  # (80 60) 70, (60 40) 50
    assert level([record], replace(one, levels=(60.0,), every_evaluation=True)).minutes == 195 / 60
    assert record.shares[Phase.PROBE] == pytest.approx(15 / 360) and record.clock_s(360, "train") == 300


def test_the_first_crossing_and_the_three_clocks():
    found = level(make_runs([90, 20, 40, 30, 30]))  # medians: (90 20 40) 40; (20 40 30) 30: epoch 4
    assert found.minutes == (30 + 4 * 110) / 60
    assert found.first_minutes == (30 + 2 * 110) / 60
    assert found.clock_minutes("train") == 4 * 100 / 60
    assert found.clock_minutes("mlperf") == 4 * 110 / 60


def test_seconds_an_epoch_start_up_and_shares():
    record = make_run([90, 80, 70, 60])
    assert record.seconds_per_epoch == 110  # 10 * 10 s of training, 10 s of evaluation
    assert record.startup_s == 30
    assert record.pace() == (30, 110) and record.pace("mlperf") == (0, 110)
    assert record.pace("train") == (0, 100)  # without creation and evaluations
    assert make_run([90]).pace() == (0, 140) and RunRecord().pace() is None
    total_s = 30 + 4 * 110
    assert record.shares[Phase.CREATE] == 30 / total_s and record.shares[Phase.TRAIN] == 400 / total_s
    assert record.shares[Phase.EVALUATE] == pytest.approx(40 / total_s)
    assert RunRecord().seconds_per_epoch is None and RunRecord().startup_s is None


def test_of_an_overlapping_evaluation_the_share_is_what_nothing_ran_beside():
    rows = (
        make_row(Phase.CREATE, 0, 10),
        make_row(Phase.TRAIN, 10, 40, utterances=100, step=50, epoch=1),
        make_row(Phase.TRAIN, 55, 40, utterances=100, step=100, epoch=2),
        make_row(Phase.EVALUATE, 50, 30, step=50, epoch=1, wer=50.0, cer=20.0),  # alone from 50 to 55
    )
    record = RunRecord(rows)
    assert record.shares[Phase.EVALUATE] == pytest.approx(5 / 95)
    assert record.clock_s(80, "train") == pytest.approx(40 + 25)  # trained 10 to 50 and 55 to 80


def test_the_tables_of_statistics():
    runs = make_runs([90, 30, 30], [90, 30, 30], [90, 90, 30, 30], [90, 90, 30, 30], [90, 90, 30, 30])
    shown = plain(report_parts(judge(runs, AT_30)))
    # minutes 6, 6 and three times 470 / 60 = 7.83: Olympic mean of 6, 7.83, 7.83 is 7.22
    (spread,) = [line for line in shown.splitlines() if line.startswith("sys1") and "5/5" in line]
    assert spread.split()[-4:] == ["6.00", "7.83", "7.83", "7.22"]  # least, median, most, Olympic mean
    # Three of five runs took 470 s: 30 of creation, 400 of training, 40 of evaluation; they are the median.
    assert "sys1             110    6.4%  85.1%      8.5%   0 of 5" in shown
    assert "wide spread" in shown and "15.7%" not in shown


def test_a_rebound_after_the_first_crossing_is_told():
    records = make_runs([90, 20, 40, 30, 30])
    groups = judge(records, AT_30)
    assert "in 1 of 1 run WER rose above 30% again after it first crossed it" in "\n".join(
        warnings(groups.runs, groups, AT_30)
    )
    steady = make_runs([90, 40, 30, 30, 30])
    assert "rose above" not in "\n".join(judge(steady, AT_30).warnings)


# --- many runs --------------------------------------------------------------------------------------------------------


def test_twenty_runs_of_ten_thousand_rows_are_judged_in_a_second_of_cpu_and_some(tmp_path):
    """A hundred take 5 s: docs/judging.md. Four times that is allowed here, for machines that are slower or shared."""
    line = (
        "2,r{run},1,sys1,mini,paper,{run},4,CPU,no,96,float32,ab12,greedy,resident,cd34,{phase},{epoch},{step},"
        "{started_s:.6f},7.500001,4800,{loss},{results}\n"
    )
    for run in range(20):
        rows = (
            line.format(
                run=run,
                phase="evaluate" if n % 50 == 49 else "train",
                epoch=n // 50 + 1,
                step=n * 50,
                started_s=7.6 * n,
                loss=",,," if n % 50 == 49 else f"81234.5{n},0.01,4.5,3.25",
                results=f"{9000 / (n + 99 + run)},{5000 / (n + 99)},9.5,1.5," if n % 50 == 49 else ",,,,",
            )
            for n in range(10_000)
        )
        (tmp_path / f"{run}.csv").write_text(",".join(READABLE[2]) + "\n" + "".join(rows))
    started_s = time.process_time()  # of this process: other load of the machine does not count
    records = [read(path) for path in sorted(tmp_path.glob("*.csv"))]
    shown = plain(report_parts(judge(records)))
    assert time.process_time() - started_s < 4
    assert "20/20" in shown


# --- what tables call a platform --------------------------------------------------------------------------------------


def labelled(tmp_path, name: str, label: str, *, of: str = "", **identity) -> Run:
    """A run of a platform whose file had a label, as its run.json says."""
    path = tmp_path / f"{name}.csv"
    write(path, make_run([50.0, 40.0, 30.0], run=name, platform=name, source=str(path), **identity))
    platform = platforms.load("sys1").to_dict() | {"name": of or name, "label": label}
    (tmp_path / name).mkdir()
    (tmp_path / name / "run.json").write_text(
        json.dumps({"schema": 3, "plan": {"targets": {"wer": [30]}}, "platform": platform})
    )
    return read_run(path)


def test_tables_call_a_platform_by_the_label_of_its_file(tmp_path):
    runs = [labelled(tmp_path, "mine", "4 x 2070"), make_run([50.0, 40.0, 30.0], platform="bare", run="b")]
    assert {group.platform: group.label for group in judge(runs, AT_30)} == {"mine": "4 x 2070", "bare": "bare"}
    assert {row["platform"] for row in judge(runs, AT_30).long_rows()} == {"mine", "bare"}  # rows have names


def test_labels_that_would_mislead_are_not_used(tmp_path):
    twins = [labelled(tmp_path, "one", "rig"), labelled(tmp_path, "two", "rig")]  # a copied file, its label left alone
    assert {group.label for group in judge(twins, AT_30)} == {"one", "two"}
    named = [labelled(tmp_path, "three", "four"), labelled(tmp_path, "four", "mine")]  # the name of another
    assert {group.platform: group.label for group in judge(named, AT_30)} == {"three": "three", "four": "mine"}
    other = labelled(tmp_path, "five", "sixth", of="six")  # a run.json of another platform
    assert {group.label for group in judge([other], AT_30)} == {"five"}
