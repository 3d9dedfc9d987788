"""A whole run by a worker without TensorFlow: the state machine alone decides, the tests watch what it asks for."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transitions import AFTER

from benchmark.record.columns import Row
from benchmark.record.history import RunRecord
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.run.state.progress import Progress, is_over, next_phase, segment_batches
from benchmark.workloads import EVALUATIONS

SECONDS = {  # TRAIN: 1 a batch
    Phase.CREATE: 5.0,
    Phase.GENERATE: 1.0,
    Phase.CHECKPOINT: 2.0,
    Phase.SWAP: 3.0,
    Phase.EVALUATE: 20.0,
    Phase.PROBE: 20.0,
}
ENDLESS_S = 1e9
ROOT = Path(__file__).parents[4]


def plan(**changes) -> Plan:
    usual = {"batches_per_epoch": 600, "max_epochs": 2, "max_seconds": ENDLESS_S, "targets": {"wer": (20.0,)}}
    return Plan(**{**usual, **changes})


def make_row(phase: Phase, **changes) -> Row:
    usual = {
        "run": "r", "platform": "cpu", "workload": "mini", "recipe": "paper", "seed": 1, "replicas": 1,
        "devices": "CPU", "emulated": False, "batch": 16, "precision": "float32", "features": "f", "decoder": "greedy",
        "evaluation": "resident", "code": "c", "epoch": 0, "step": 0, "started_s": 0.0, "seconds": 1.0,
    }  # fmt: skip
    errors = {"wer": 90.0, "cer": 90.0} if phase in EVALUATED else {}
    return Row(**{**usual, **errors, **changes}, phase=phase)


def perform(phase: Phase, progress: Progress, plan: Plan, wer: Callable[[int], float]) -> Row:
    """What the trainer would have written: the same steps and epochs, invented times and errors."""
    batches = segment_batches(progress, plan) if phase is Phase.TRAIN else 0
    step = progress.step + batches
    epoch = -(-step // plan.batches_per_epoch)
    attempt = progress.attempt
    errors = {"wer": wer(epoch), "cer": 50.0} if phase in EVALUATED else {}
    return make_row(
        phase, step=step, epoch=epoch, attempt=attempt, started_s=progress.ended_s,
        seconds=SECONDS.get(phase, 1.0 * batches), **errors
    )  # fmt: skip


def simulate(
    plan: Plan,
    *,
    wer: Callable[[int], float] = lambda epoch: 90.0,
    record: RunRecord | None = None,
    known_after: int = 1,
) -> RunRecord:
    """A whole run. The figures of an overlapping evaluation are known `known_after` phases after it began."""
    rows = list(record.rows) if record else []
    progress = Progress.of(rows, window=plan.window)
    evaluating, wait = None, 0
    while True:
        if evaluating and wait <= 0:
            rows.append(evaluating)
            progress, evaluating = progress.after(evaluating), None
        phase = next_phase(progress, plan, evaluating=evaluating.step if evaluating else 0)
        if phase is Phase.DONE:
            assert evaluating is None, "an evaluation is lost"
            return RunRecord(rows)
        row = perform(phase, progress, plan, wer)
        wait -= 1
        if phase in EVALUATED and evaluating:
            wait = 0
        elif phase in EVALUATED and plan.evaluation == "overlap":
            evaluating, wait = row, known_after
        else:
            rows.append(row)
            progress = progress.after(row)
        assert len(rows) < 2_500, f"the run does not end; it last did {phase}"


def last_step(record: RunRecord) -> int:
    return Progress.of(record.rows).step


def saved_step(record: RunRecord) -> int:
    return Progress.of(record.rows).saved_step


def steps(record: RunRecord, phase: Phase) -> list[int]:
    return [row.step for row in record.rows if row.phase is phase]


def test_a_run_of_two_epochs_does_what_the_papers_figure_4_shows():
    record = simulate(plan(batches_per_epoch=600, max_epochs=2))
    assert steps(record, Phase.GENERATE) == list(range(50, 1201, 50))  # every 50 batches
    assert steps(record, Phase.CHECKPOINT) == [250, 500, 600, 750, 1000, 1200]  # every 250, and each epoch
    assert steps(record, Phase.EVALUATE) == [600, 1200]  # every epoch
    assert [row.epoch for row in record.evaluations] == [1, 2]
    assert [row.phase for row in record.rows[:4]] == [Phase.CREATE, Phase.TRAIN, Phase.GENERATE, Phase.TRAIN]
    assert steps(record, Phase.CREATE) == [0]


def test_generation_and_checkpoint_come_before_the_evaluation_of_an_epoch():
    record = simulate(plan(batches_per_epoch=250, max_epochs=1))
    at_the_end = [row.phase for row in record.rows if row.step == 250]
    assert at_the_end == [Phase.TRAIN, Phase.GENERATE, Phase.CHECKPOINT, Phase.EVALUATE]


def test_swapping_stands_around_every_evaluation_but_not_after_the_last():
    record = simulate(plan(batches_per_epoch=40, max_epochs=2, evaluation="swap"))
    assert " ".join(row.phase.value for row in record.rows) == (
        "create train checkpoint swap evaluate swap train generate train checkpoint swap evaluate"
    )


def test_an_overlapping_evaluation_is_written_when_it_is_known_and_the_run_waits_for_the_last():
    record = simulate(plan(batches_per_epoch=40, max_epochs=2, evaluation="overlap"), known_after=2)
    # Begun after the first checkpoint; known after two more phases, train to 50 and generate.
    assert " ".join(row.phase.value for row in record.rows) == (
        "create train checkpoint train generate evaluate train checkpoint evaluate"
    )
    assert [(row.epoch, row.step) for row in record.evaluations] == [(1, 40), (2, 80)]
    # An epoch's end waits for the evaluation of the epoch before.
    late = simulate(plan(batches_per_epoch=40, max_epochs=2, evaluation="overlap"), known_after=99)
    assert [row.phase for row in late.rows[-2:]] == [Phase.EVALUATE] * 2


def test_evaluations_within_an_epoch_are_probes_and_its_end_is_an_evaluation():
    record = simulate(plan(batches_per_epoch=40, max_epochs=2, evaluate_every=20, generate_every=99))
    assert " ".join(row.phase.value for row in record.rows) == (
        "create train probe train checkpoint evaluate train probe train checkpoint evaluate"
    )
    swapped = simulate(
        plan(batches_per_epoch=40, max_epochs=1, evaluate_every=30, evaluation="swap", generate_every=99)
    )
    assert " ".join(row.phase.value for row in swapped.rows) == (
        "create train checkpoint swap probe swap train checkpoint swap evaluate"
    )


def test_a_run_ends_after_so_many_batches_with_an_evaluation():
    record = simulate(plan(batches_per_epoch=40, max_epochs=9, max_steps=50, generate_every=99))
    assert " ".join(row.phase.value for row in record.rows) == (
        "create train checkpoint evaluate train probe checkpoint"
    )
    assert last_step(record) == 50
    whole = simulate(plan(batches_per_epoch=25, max_epochs=9, max_steps=50, generate_every=99))
    assert steps(whole, Phase.EVALUATE) == [25, 50] and steps(whole, Phase.PROBE) == []


def test_a_run_ends_when_its_patience_does():
    rates = {1: 80.0, 2: 60.0, 3: 70.0, 4: 60.0, 5: 10.0}

    def performed(phase, progress, plan, wer):
        row = perform(phase, progress, plan, wer)
        return replace(row, cer=rates[row.epoch]) if phase is Phase.EVALUATE else row

    patient = plan(batches_per_epoch=10, max_epochs=5, patience=2)
    progress, rows = Progress(window=3), []
    while (phase := next_phase(progress, patient)) is not Phase.DONE:
        rows.append(performed(phase, progress, patient, lambda epoch: 90.0))
        progress = progress.after(rows[-1])
    assert progress.evaluated_epoch == 4  # 60 in epoch 2; epochs 3 and 4 are no lower


def test_epochs_that_fit_no_other_interval_get_shorter_segments():
    record = simulate(plan(batches_per_epoch=120, max_epochs=2))
    # 50, 100 generate; 120 evaluates; 150, 200 generate; 240 evaluates and ends
    assert steps(record, Phase.TRAIN) == [50, 100, 120, 150, 200, 240]


def test_a_run_ends_when_its_targets_are_reached_and_keeps_a_checkpoint():
    errors = {1: 30.0, 2: 19.0, 3: 25.0, 4: 18.0, 5: 10.0}
    record = simulate(plan(max_epochs=99), wer=errors.__getitem__)
    # Medians over 3 epochs: of (30, 19, 25) 25; of (19, 25, 18) 19 <= 20: epoch 4.
    assert record.evaluated_epoch == 4
    assert record.rows[-1].phase is Phase.EVALUATE
    assert saved_step(record) == last_step(record) == 4 * 600


def test_all_targets_must_be_reached():
    wants_both = plan(max_epochs=4, targets={"wer": (20.0,), "cer": (40.0,)})
    assert simulate(wants_both, wer=lambda epoch: 1.0).evaluated_epoch == 4  # cer stays at 50


def test_a_run_without_targets_goes_on_to_its_limit():
    for targets in ({}, {"wer": ()}):
        assert simulate(plan(max_epochs=3, targets=targets), wer=lambda epoch: 0.0).evaluated_epoch == 3


def test_a_run_ends_at_its_limit_of_seconds_in_the_middle_of_an_epoch():
    record = simulate(plan(max_seconds=100.0))
    # create 5, train 50, generate 1, train 50 = 106 >= 100; the generation due is done, then saved and ended
    assert [row.phase.value for row in record.rows] == [
        "create", "train", "generate", "train", "generate", "checkpoint"
    ]  # fmt: skip
    assert saved_step(record) == last_step(record) == 100
    assert record.evaluations == ()


def test_a_run_whose_time_is_over_at_creation_trains_nothing():
    record = simulate(plan(max_seconds=5.0))
    assert [row.phase for row in record.rows] == [Phase.CREATE]
    assert Phase.DONE in AFTER[Phase.CREATE]


def test_what_is_done_stays_done():
    the_plan = plan(batches_per_epoch=100, max_epochs=1)
    record = simulate(the_plan)
    progress = Progress.of(record.rows)
    assert next_phase(progress, the_plan) is Phase.DONE
    assert is_over(progress, the_plan)


plans = st.builds(
    Plan,
    batches_per_epoch=st.integers(1, 130),
    max_epochs=st.integers(1, 4),
    max_seconds=st.floats(1.0, 800.0),
    targets=st.dictionaries(st.sampled_from(["wer", "cer"]), st.lists(st.floats(0, 100), max_size=3).map(tuple)),
    window=st.integers(1, 4),
    segment=st.integers(1, 60),
    generate_every=st.integers(1, 60),
    checkpoint_every=st.integers(1, 200),
    evaluation=st.sampled_from(EVALUATIONS),
    evaluate_every=st.sampled_from([0, 0, 1, 7, 40, 200]),
    max_steps=st.sampled_from([0, 0, 0, 1, 77, 130, 300]),
    patience=st.sampled_from([0, 0, 1, 2]),
)
error_rates = st.lists(st.floats(0, 120), min_size=4, max_size=4)


@given(plans, error_rates, st.integers(1, 5))
def test_any_run_obeys_the_transition_table_and_skips_no_event(plan, errors, known_after):
    record = simulate(plan, wer=lambda epoch: errors[epoch - 1], known_after=known_after)
    phases = [None, *(row.phase for row in record.rows), Phase.DONE]
    assert all(after in AFTER[before] for before, after in pairwise(phases))
    last = last_step(record)
    assert steps(record, Phase.GENERATE) == list(range(plan.generate_every, last + 1, plan.generate_every))
    epoch_ends = list(range(plan.batches_per_epoch, last + 1, plan.batches_per_epoch))
    every = range(plan.checkpoint_every, last + 1, plan.checkpoint_every)
    probes = range(plan.evaluate_every, last + 1, plan.evaluate_every) if plan.evaluate_every else ()
    probes = {*probes, *([plan.max_steps] if 0 < plan.max_steps <= last else [])}
    within = sorted(step for step in probes if step not in epoch_ends)
    saved = within if plan.evaluation == "swap" else ()  # the evaluation model is loaded from a checkpoint
    assert steps(record, Phase.CHECKPOINT) == sorted({*every, *epoch_ends, *saved, last} - {0})
    assert steps(record, Phase.EVALUATE) == epoch_ends
    assert steps(record, Phase.PROBE) == within
    swaps, evaluated = steps(record, Phase.SWAP), sorted([*epoch_ends, *within])
    if plan.evaluation == "swap":  # there and back at every evaluation, but not back after the last
        assert swaps == [step for step in evaluated for _ in range(2)][: len(swaps)]
        assert len(swaps) >= 2 * len(evaluated) - 1
    else:
        assert swaps == []
    assert all(b - a <= plan.segment for a, b in pairwise([0, *steps(record, Phase.TRAIN)]))
    assert is_over(Progress.of(record.rows, window=plan.window), plan)


@settings(max_examples=50)
@given(plans, error_rates)
def test_replaying_any_part_of_a_journal_of_the_other_modes_asks_for_the_row_that_came_next(plan, errors):
    record = simulate(plan, wer=lambda epoch: errors[epoch - 1])
    for number, row in enumerate(record.rows if plan.evaluation != "overlap" else ()):
        assert next_phase(Progress.of(record.rows[:number], window=plan.window), plan) is row.phase


def resumed(record: RunRecord, plan: Plan) -> RunRecord:
    """The record after a second attempt has created its model from the last checkpoint."""
    step = saved_step(record)
    row = make_row(
        Phase.CREATE, attempt=2, step=step, epoch=step // plan.batches_per_epoch, started_s=record.ended_s
    )  # fmt: skip
    return RunRecord((*record.rows, row))


@given(plans, st.data())
def test_a_resumed_run_does_again_what_the_last_checkpoint_had_not_seen(plan, data):
    whole = simulate(plan)
    torn = data.draw(st.integers(1, len(whole.rows)))
    record = resumed(RunRecord(whole.rows[:torn]), plan)
    began = last_step(record)
    record = simulate(plan, record=record)
    second = RunRecord(tuple(row for row in record.rows if row.attempt == 2))
    every = plan.generate_every
    assert steps(second, Phase.GENERATE) == list(range(began // every * every + every, last_step(record) + 1, every))
    ends = range(plan.batches_per_epoch, last_step(record) + 1, plan.batches_per_epoch)
    assert [row.step for row in record.evaluations] == list(ends)
    phases = [None, *(row.phase for row in second.rows), Phase.DONE]
    assert all(after in AFTER[before] for before, after in pairwise(phases))


def test_a_resumed_run_generates_and_evaluates_again_after_its_checkpoint():
    the_plan = plan(batches_per_epoch=600, max_epochs=2)
    crashed = RunRecord(tuple(row for row in simulate(the_plan).rows if row.step < 600))  # checkpoint at 500
    record = simulate(the_plan, record=resumed(crashed, the_plan))
    second = RunRecord(tuple(row for row in record.rows if row.attempt == 2))
    assert steps(second, Phase.GENERATE)[:4] == [550, 600, 650, 700]
    assert steps(second, Phase.EVALUATE) == [600, 1200]
    assert [row.attempt for row in record.evaluations] == [2, 2]


counts = st.integers(0, 300)
rows = st.builds(
    make_row,
    st.sampled_from([phase for phase in Phase if phase is not Phase.DONE]),
    step=counts,
    epoch=counts,
    attempt=st.integers(0, 3),
    started_s=st.floats(0, 1e6),
    seconds=st.floats(0, 1e6),
)


@given(st.lists(rows, max_size=12), plans)
def test_any_record_whatever_has_a_next_phase(rows, plan):
    record, progress = RunRecord(rows), Progress.of(rows, window=plan.window)
    phase = next_phase(progress, plan)
    assert phase in (AFTER[None] if not rows else set(Phase))
    assert 1 <= segment_batches(progress, plan) <= plan.segment
    assert record.clock_s(record.ended_s, "train") <= record.ended_s + 1e-6


def test_the_table_says_for_every_phase_what_may_follow():
    assert set(AFTER) == {None, *Phase} - {Phase.DONE}
    assert set().union(*AFTER.values()) == set(Phase)
    assert all(Phase.CREATE not in after for before, after in AFTER.items() if before)


@pytest.mark.parametrize(
    "change", [{"batches_per_epoch": 0}, {"max_epochs": 0}, {"max_seconds": 0.0}, {"max_seconds": float("nan")},
               {"window": 0}, {"segment": -1}, {"generate_every": 0}, {"checkpoint_every": 0}]
)  # fmt: skip
def test_a_plan_refuses_counts_that_make_no_run(change):
    with pytest.raises(ValueError, match=r"(?s)Plan\(.*expected counts of at least 1 and a positive time limit"):
        plan(**change)


def test_the_state_machine_needs_no_tensorflow():
    code = "import sys, benchmark.run.state.progress, benchmark.run.loop; "
    code += "print({'tensorflow', 'scipy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


def test_progress_that_grew_row_by_row_knows_what_a_record_read_at_once_knows():
    """A fold over rows and figures from columns: two ways to the same numbers, over three attempts."""
    the_plan = plan(batches_per_epoch=60, max_epochs=4)
    first = simulate(the_plan, wer=lambda epoch: 90.0 - 7 * (epoch % 3))
    rows = list(first.rows[:14])
    for attempt, more in ((2, 9), (3, 99)):
        saved = Progress.of(rows).saved_step
        ended_s = RunRecord(rows).ended_s
        rows.append(make_row(Phase.CREATE, attempt=attempt, step=saved, epoch=saved // 60, started_s=ended_s))
        whole = simulate(the_plan, wer=lambda epoch: 80.0 - 5 * (epoch % 3), record=RunRecord(rows))
        rows = list(whole.rows[: len(rows) + more])
    progress = Progress(window=3)
    for number in range(1, len(rows) + 1):
        progress, record = Progress.of(rows[:number], window=3), RunRecord(rows[:number])
        standing = [row for row in record.standing if row.phase is Phase.CHECKPOINT]
        assert progress.saved_step == max((row.step for row in standing), default=0)
        assert progress.evaluated_epoch == record.evaluated_epoch
        assert progress.ended_s == record.ended_s
        assert progress.recent == record.evaluations[-3:]
        assert progress.lowest.get("wer") == record.best_median("wer", window=3)
        best = min(record.evaluations, key=lambda row: row.wer, default=None)
        assert progress.best_evaluation == best
    assert progress.attempt == 3 and next_phase(progress, the_plan) is Phase.DONE
