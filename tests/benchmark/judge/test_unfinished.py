"""Runs that are under way or were interrupted, beside runs that are over: no figure is drawn down by them."""

from dataclasses import replace
from pathlib import Path

from journals import make_run, write

from benchmark.judge import Question, judge
from benchmark.judge.repetitions import curves_of
from benchmark.judge.summary import report_parts
from benchmark.record import Run, read_run
from benchmark.record.history import RunRecord
from benchmark.record.phases import Phase
from benchmark.report import report
from benchmark.tables import plain

QUESTION = Question(metrics=("wer",), levels=(60.0, 30.0))


def on_disk(path: Path, record: RunRecord, *, over: bool, targets: str = '{"wer": [30]}') -> Run:
    source = write(path, record)
    path.with_suffix("").mkdir()
    (path.with_suffix("") / "run.json").write_text(f'{{"schema": 3, "plan": {{"targets": {targets}}}}}')
    if over:
        (path.with_suffix("") / "end.json").write_text('{"status": "finished"}')
    return read_run(source)


def begun(record: RunRecord, rows: int) -> RunRecord:
    """The first rows of a run: model creation, then 10 train rows and an evaluation an epoch."""
    return RunRecord(record.rows[:rows], record.source)


def test_errors_epochs_and_minutes_are_those_of_runs_that_are_over(tmp_path):
    whole = on_disk(tmp_path / "a.csv", make_run([90, 60, 50, 30, 30, 20], run="a", seed=1), over=True)
    part = on_disk(tmp_path / "b.csv", make_run([95, 94, 93], run="b", seed=2), over=False)
    (group,) = judge([whole, part], QUESTION)
    assert (
        group.best == {"wer": 30.0} and group.epochs == 6
    )  # median of 30, 30, 20; the middle with b were 61.5 and 4.5
    assert group.minutes == (30 + 6 * 110) / 60 and not group.is_so_far
    (alone,) = found = judge([part], QUESTION)
    assert alone.is_so_far and (alone.best, alone.epochs) == ({"wer": 94.0}, 3)
    assert "3 so far" in plain(report_parts(found)) and found.long_rows()[0]["so_far"] is True


def test_no_tile_of_the_report_is_of_a_run_that_is_not_over(tmp_path):
    part = on_disk(tmp_path / "b.csv", make_run([95, 94, 25, 24, 23], run="b", seed=2, platform="sys2"), over=False)
    whole = on_disk(tmp_path / "a.csv", make_run([90, 60, 50, 30, 30], run="a", seed=1), over=True)
    text = report([part, whole], QUESTION)
    shown = text[text.index('class="tiles"') :]
    shown = shown[: shown.index("</ul>")]
    assert "to WER 30%" in shown and "24.00" not in shown  # times to levels: the lowest error so far is no figure


def test_the_beginning_of_a_run_is_no_curve_of_its_own():
    """It was cut off after two epochs, after one, within the first, and before the first batch."""
    whole = make_run([90, 60, 30, 30, 30])
    for rows in (23, 12, 5, 1):
        assert curves_of([whole, begun(whole, rows)]) == (0, 0)
        assert curves_of([begun(whole, rows), whole]) == (0, 0)
    other = make_run([90, 60, 30, 30, 30], run="other", seed=2)
    for rows in (23, 12, 5, 1):
        assert curves_of([whole, begun(other, rows)]) == (0, 1)


def test_a_train_row_of_fewer_batches_does_not_contradict_a_whole_one():
    """A row after a resumption, or before an interruption, has the mean loss of its own batches."""
    whole = make_run([90, 60, 30])
    rows = [replace(r, utterances=60, loss=7.0) if (r.phase, r.step) == (Phase.TRAIN, 14) else r for r in whole.rows]
    assert curves_of([whole, RunRecord(rows)]) == (0, 0)
    rows = [replace(r, loss=7.0) if (r.phase, r.step) == (Phase.TRAIN, 14) else r for r in whole.rows]
    assert curves_of([whole, RunRecord(rows)]) == (0, 1)


def test_an_interrupted_twin_leaves_the_easy_level_known(tmp_path):
    whole = make_run([60, 60, 60, 30, 30, 30], run="a")
    twin = begun(make_run([60, 60, 60, 30, 30, 30], run="a"), 1 + 4 * 11)
    runs = [on_disk(tmp_path / "a.csv", whole, over=True)]
    slower = [replace(row, run="b", started_s=row.started_s * 1.5, seconds=row.seconds * 1.5) for row in twin.rows]
    runs.append(on_disk(tmp_path / "b.csv", RunRecord(slower), over=False))
    (group,) = judge(runs, QUESTION)
    assert group.n == 1
    assert group.levels[1].minutes == (30 + 5 * 110) / 60  # the whole run's alone, where the twin did not get


def test_a_hard_level_is_not_known_where_an_easy_one_is_open(tmp_path):
    """r1 reaches 60 at 360 s and 30 at 910 s; r2 was last seen at 470 s, without 60: half may be there, or later."""
    runs = [
        on_disk(tmp_path / "a.csv", make_run([60, 60, 60, 60, 60, 60, 30, 30], run="a"), over=True),
        on_disk(tmp_path / "b.csv", make_run([90, 90, 90, 90], run="b", seed=2), over=False),
    ]
    easy, hard = judge(runs, QUESTION)[0].levels
    assert (easy.minutes, hard.minutes) == (None, None) and (easy.reached, hard.reached) == (1, 1)
    assert hard.epoch is None and hard.estimate is None and hard.crossing_minutes is None


def test_without_targets_and_without_a_median_a_level_is_said_to_hold_a_place(tmp_path):
    runs = [on_disk(tmp_path / "a.csv", make_run([90, 80], run="a"), over=True, targets="{}")]
    said = " ".join(judge(runs, Question(metrics=("wer",))).warnings)
    assert "no run.json" not in said and "made without targets, and no run has a median error over e = 3 epochs" in said
    assert "WER 100 only holds the place of a level" in said and "all runs reached" not in said


def test_the_level_of_runs_without_targets_is_that_of_runs_that_are_over(tmp_path):
    whole = on_disk(tmp_path / "a.csv", make_run([90, 60, 50, 40, 40], run="a"), over=True, targets="{}")
    part = on_disk(tmp_path / "b.csv", make_run([95, 94, 93], run="b", seed=2), over=False, targets="{}")
    assert [level.name for level in judge([whole, part], Question(metrics=("wer",)))[0].levels] == ["WER 40"]
