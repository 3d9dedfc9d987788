"""Rows that are missing from a journal, come twice or changed places: refused with their line, or no figure changes."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import make_run, whole_run, write

from benchmark.record import JournalError, RunRecord, read_run
from benchmark.record.folder import End, write_end
from benchmark.record.holes import check_made, check_rows, check_whole
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.record.table import Table
from benchmark.workloads import EVALUATIONS

ENDLESS_S = 1e9


def plan_of(**changes) -> Plan:
    usual = {"batches_per_epoch": 7, "max_epochs": 3, "segment": 3, "generate_every": 4, "checkpoint_every": 5}
    return Plan(**{**usual, "max_seconds": ENDLESS_S, "targets": {}, **changes})


plans = st.builds(
    plan_of,
    batches_per_epoch=st.integers(1, 9), max_epochs=st.integers(1, 3), segment=st.integers(1, 4),
    generate_every=st.integers(1, 6), checkpoint_every=st.integers(1, 6), evaluation=st.sampled_from(EVALUATIONS),
    evaluate_every=st.integers(0, 5), max_steps=st.sampled_from([0, 0, 5, 11]),
    max_seconds=st.sampled_from([ENDLESS_S, 60.0]), patience=st.integers(0, 2),
    targets=st.sampled_from([{}, {"wer": (95.0,)}]), window=st.integers(1, 3),
)  # fmt: skip
stops = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=3)
runs = st.tuples(plans, stops, st.integers(0, 4)).map(
    lambda parts: (parts[0], *whole_run(parts[0], stops=parts[1], known_after=parts[2]))
)


def end_of(record: RunRecord) -> End:
    last = next(row for row in reversed(record.rows) if row.phase not in EVALUATED)
    return End(status="finished", step=last.step, epoch=last.epoch, clock_s=record.ended_s)


def is_refused(rows, plan: Plan | None, end: End | None = None) -> bool:
    table = Table.of(rows)
    try:
        check_rows("r.csv", table)
        check_whole("r.csv", table, plan=plan, end=end)
    except JournalError:
        return True
    return False


@settings(deadline=None, max_examples=60)
@given(runs)
def test_every_run_that_the_state_machine_makes_is_whole_with_its_folder_and_without(run):
    plan, record, end = run
    for known in (plan, None):
        check_whole("r.csv", record.table, plan=known, end=end)


def may_be_killed_before(record: RunRecord, gone: int, end: End | None) -> bool:
    """Whether a kill may have come before a row: no end is known of its attempt, and no other work follows in it.

    The row of an evaluation beside training may also be lost where the next attempt undid it.
    """
    rows, row = record.rows, record.rows[gone]
    if row.phase in EVALUATED and row.evaluation == "overlap" and row.attempt < record.attempts:
        return row not in record.standing
    later = [each for each in rows[gone + 1 :] if each.phase not in EVALUATED or each.attempt > row.attempt]
    return later[0].attempt > row.attempt if later else end is None


@settings(deadline=None, max_examples=60)
@given(runs, st.data())
@pytest.mark.parametrize("with_folder", [True, False])
def test_a_row_that_is_taken_out_is_refused(with_folder, run, data):
    plan, record, end = run
    gone = data.draw(st.integers(0, len(record) - 1))
    rows = [row for number, row in enumerate(record.rows) if number != gone]
    if may_be_killed_before(record, gone, end) or not rows:
        return
    if plan.evaluation == "overlap" and (_a_signal_skips(record, gone, end) or _ends_its_attempt(record, gone)):
        return
    if plan.evaluation == "overlap" and not with_folder and (_is_covered(record, gone) or _may_be_lost(record, gone)):
        return
    assert is_refused(rows, plan if with_folder else None, end)


def _may_be_lost(record: RunRecord, gone: int) -> bool:
    """Whether an attempt was cut short: an evaluation beside its training may be lost, and leaves such a gap."""
    return record.rows[gone].attempt < record.attempts


def _a_signal_skips(record: RunRecord, gone: int, end: End | None) -> bool:
    """Whether a signal may have come before a row: a checkpoint is then written at once, without sentences before it.

    The time of the row may be that of an evaluation that was lost.
    """
    rows, row = record.rows, record.rows[gone]
    after = [each.phase for each in rows[gone + 1 :] if each.attempt == row.attempt and each.phase not in EVALUATED]
    cut = row.attempt < record.attempts or end is None or end.status != "finished"
    return row.phase is Phase.GENERATE and after == [Phase.CHECKPOINT] and cut


def _ends_its_attempt(record: RunRecord, gone: int) -> bool:
    """Whether a row was the last work of its attempt, and an evaluation was under way all its time."""
    row = record.rows[gone]
    after = [each for each in record.rows[gone + 1 :] if each.attempt == row.attempt and each.phase not in EVALUATED]
    return not after and _is_covered(record, gone)


def _is_covered(record: RunRecord, gone: int) -> bool:
    """Whether other rows were under way all the time of a row: the clock then does not show that it is missing."""
    row = record.rows[gone]
    others = [other for n, other in enumerate(record.rows) if n != gone and other.attempt == row.attempt]
    reached_s = row.started_s
    for other in sorted(others, key=lambda one: one.started_s):
        if other.started_s <= reached_s + 0.25:
            reached_s = max(reached_s, other.ended_s)
    return reached_s >= row.ended_s - 0.25


@settings(deadline=None, max_examples=60)
@given(runs, st.data())
@pytest.mark.parametrize("with_folder", [True, False])
def test_a_row_that_comes_twice_is_refused(with_folder, run, data):
    plan, record, end = run
    twice = data.draw(st.integers(0, len(record) - 1))
    rows = [*record.rows[: twice + 1], *record.rows[twice:]]
    assert is_refused(rows, plan if with_folder else None, end)


@settings(deadline=None, max_examples=60)
@given(runs, st.data())
@pytest.mark.parametrize("with_folder", [True, False])
def test_two_rows_that_changed_places_are_refused_or_change_no_figure(with_folder, run, data):
    plan, record, end = run
    one = data.draw(st.integers(0, len(record) - 1))
    other = data.draw(st.integers(0, len(record) - 1))
    rows = list(record.rows)
    rows[one], rows[other] = rows[other], rows[one]
    if one != other and not is_refused(rows, plan if with_folder else None, end):
        assert figures(RunRecord(rows)) == figures(record)


def figures(record: RunRecord) -> tuple:
    reached = [(row.epoch, row.ended_s, row.wer) for row in record.evaluations]
    return reached, record.shares, record.ended_s, record.throughputs


# --- examples --------------------------------------------------------------------------------------------------------


def on_disk(tmp_path, record: RunRecord, *, plan: Plan | None = None, end: End | None = None, **parts) -> str:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "r1.csv"
    path.unlink(missing_ok=True)
    path = write(path, record)
    folder = tmp_path / "r1"
    folder.mkdir(exist_ok=True)
    facts = {"schema": 3, **({"plan": asdict(plan)} if plan else {}), **parts}
    (folder / "run.json").write_text(json.dumps(facts))
    if end:
        write_end(folder, end)
    return path


def without(record: RunRecord, gone) -> RunRecord:
    return RunRecord([row for row in record.rows if not gone(row)])


SIX = make_run([60, 50, 40, 30, 20, 10])  # epoch i ends at 30 + 110 i s, after batch 10 i


def test_a_journal_cut_at_its_end_is_refused_beside_an_end_that_goes_further(tmp_path):
    path = on_disk(tmp_path, RunRecord(SIX.rows[:25]), end=end_of(SIX))
    # creation, 2 x (10 + 1) rows: the last 2 of 25 are of epoch 3, to batch 22, which ends at 30 + 220 + 2 x 10 s
    with pytest.raises(JournalError, match=r"r1.csv:26: the rows end after batch 22, at 270.0 s; expected batch 60, "):
        read_run(path)


def test_an_evaluation_that_is_missing_is_refused_with_the_row_that_came_next(tmp_path):
    path = on_disk(tmp_path, without(SIX, lambda row: row.phase is Phase.EVALUATE and row.epoch == 5))
    # line 1 is the header, 2 creation, 3 to 46 epochs 1 to 4, 47 to 56 the train rows of epoch 5
    expected = r"r1.csv:57: (train of batch 51|started_s is 580.000, 10.000 s after)"
    with pytest.raises(JournalError, match=expected):
        read_run(path)


def test_a_pause_between_rows_is_no_missing_row_where_the_plan_is_known(tmp_path):
    plan = plan_of()
    rows = [replace(row, started_s=row.started_s + 20 * (n > 5)) for n, row in enumerate(whole_run(plan)[0].rows)]
    read_run(on_disk(tmp_path, RunRecord(rows), plan=plan))
    (tmp_path / "r1" / "run.json").unlink()
    with pytest.raises(JournalError, match="20.000 s after the rows above ended; .* put the run's folder next to it"):
        read_run(tmp_path / "r1.csv")


def test_a_run_that_a_signal_ended_is_whole_without_what_was_due(tmp_path):
    plan = plan_of(batches_per_epoch=8, generate_every=2, segment=2)
    stopped = RunRecord([row for row in whole_run(plan, stops=[(4, True)])[0].rows if row.attempt == 1])
    assert stopped.rows[-1].phase is Phase.CHECKPOINT
    assert stopped.rows[-1].step % 5  # no checkpoint was due: the signal had it saved
    last = stopped.rows[-1]
    end = End(status="interrupted", step=last.step, epoch=last.epoch, clock_s=last.ended_s)
    read_run(on_disk(tmp_path, stopped, plan=plan, end=end))
    with pytest.raises(JournalError, match="where the run was interrupted by its end.json"):
        read_run(on_disk(tmp_path, RunRecord(stopped.rows[:-1]), plan=plan, end=end))


@pytest.mark.parametrize("evaluation", ["resident", "overlap"])
def test_a_run_whose_evaluation_found_no_number_is_whole_without_its_row(tmp_path, evaluation):
    """Weights may become NaN after the last loss: the evaluation then ends the run, and has no row."""
    plan = plan_of(evaluation=evaluation, max_epochs=1)
    record = RunRecord([row for row in whole_run(plan)[0].rows if row.phase not in EVALUATED])
    last = record.rows[-1]
    end = End(status="diverged", step=last.step, epoch=last.epoch, clock_s=record.ended_s)
    read_run(on_disk(tmp_path, record, plan=plan, end=end))
    end = replace(end, status="finished")
    with pytest.raises(JournalError, match="the last row; expected one of the evaluation after batch 7 too"):
        read_run(on_disk(tmp_path, record, plan=plan, end=end))


def test_the_rows_of_a_log_are_counted_as_it_followed_no_plan(tmp_path):
    """A log of others may evaluate every second epoch, and has rows for training and evaluation alone."""
    some = without(SIX, lambda row: row.phase is Phase.EVALUATE and row.epoch % 2)  # 67 - 3 rows
    read_run(on_disk(tmp_path, some, log={"rows": 64}))
    with pytest.raises(JournalError, match="r1.csv:64: the last of 63 rows; expected 64, by run.json"):
        read_run(on_disk(tmp_path / "b", RunRecord(some.rows[:-1]), log={"rows": 64}))
    check_made("r1.csv", RunRecord(some.rows[:-1]).table, rows=None)  # of a version that did not count
