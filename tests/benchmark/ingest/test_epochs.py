"""The epochs of logs: counted from 0 or from 1, in fractions, in blocks, with evaluations of some or behind all."""

import pytest
from mllogs import a_log, evaluate, line, save, save_lines, train

from benchmark.ingest import IngestError, read_log
from benchmark.record import read_run
from benchmark.record.phases import EVALUATED, Phase

TRAIN, EVALUATE, PROBE = Phase.TRAIN, Phase.EVALUATE, Phase.PROBE


def epochs_of(path) -> list[tuple]:
    """Epoch and step of every evaluation; four batches are an epoch (1,000 utterances at 256)."""
    return [(phase, o.epoch, o.step) for phase, _, o in read_log(path).rows if phase in EVALUATED]


@pytest.mark.parametrize("first", [0, 1])
def test_epochs_may_be_counted_from_0_or_from_1(tmp_path, first):
    log = read_log(save(tmp_path, a_log([0.5, 0.3, 0.05], first=first)) / "result_0.txt")
    assert [(phase, outcome.epoch) for phase, _, outcome in log.rows[1:]] == [
        (TRAIN, 1), (EVALUATE, 1), (TRAIN, 2), (EVALUATE, 2), (TRAIN, 3), (EVALUATE, 3),
    ]  # fmt: skip


def test_start_up_is_what_the_first_epoch_took_longer_where_epochs_are_counted_from_0(tmp_path):
    from benchmark.ingest.__main__ import main

    save(tmp_path, a_log([0.5, 0.4, 0.3, 0.2, 0.1, 0.08, 0.05], first=0, stop_after_s=0))
    assert main([str(tmp_path), "-o", str(tmp_path / "in"), "--platform", "box"]) == 0
    record = read_run(tmp_path / "in" / "box-0.csv").record
    # The first evaluation ends at 116 s and an epoch takes 105; without it 7 epochs were 6, and the second's 221 s
    # one epoch and 116 s of start-up.
    assert len(record.evaluations) == 7 and record.seconds_per_epoch == pytest.approx(105)
    assert record.startup_s == pytest.approx(116 - 105)


def test_evaluations_may_say_the_epochs_trained_where_epochs_are_counted_from_0(tmp_path):
    log = save_lines(tmp_path, train(0, 3), evaluate(1, 110, 0.5, seconds=0), evaluate(3, 310, 0.05))
    assert epochs_of(log) == [(EVALUATE, 1, 4), (EVALUATE, 3, 12)]


@pytest.mark.parametrize("base", [0, 1])
def test_evaluations_every_third_epoch_keep_their_epochs(tmp_path, base):
    third, sixth = base + 2, base + 5  # as an index
    log = save_lines(tmp_path, train(base, 6), evaluate(third, 310, 0.5, seconds=0), evaluate(sixth, 610, 0.05))
    assert epochs_of(log) == [(EVALUATE, 3, 12), (EVALUATE, 6, 24)]


@pytest.mark.parametrize("shift", [0, 1])
def test_evaluations_within_epochs_are_probes_and_split_the_training(tmp_path, shift):
    """0.5 epochs trained: as an amount, and as a place in epoch 1, 1.5."""
    log = save_lines(
        tmp_path,
        [line("epoch_start", 10, epoch_num=1), line("epoch_stop", 115, epoch_num=1)],
        [line("epoch_start", 120, epoch_num=2), line("epoch_stop", 225, epoch_num=2)],
        evaluate(0.5 + shift, 60, 0.5),
        evaluate(1 + shift, 115, 0.4),
        evaluate(1.5 + shift, 170, 0.05),
    )
    rows = [(p, s.started_s, s.ended_s, o.epoch, o.step, o.utterances) for p, s, o in read_log(log).rows[1:]]
    assert rows == [
        (TRAIN, 10, 60, 1, 2, 500), (PROBE, 60, 65, 1, 2, 50), (TRAIN, 65, 115, 1, 4, 500),
        (EVALUATE, 115, 120, 1, 4, 50),
        (TRAIN, 120, 170, 2, 6, 500), (PROBE, 170, 175, 2, 6, 50), (TRAIN, 175, 225, 2, 8, 500),
    ]  # fmt: skip


def test_blocks_are_taken_where_a_log_has_no_epochs(tmp_path):
    block = {"key": "block", "name": "first_epoch_num", "epoch_count": 2, "each_s": 200}
    blocks = [*train(1, 1, **block), *train(3, 1, **block, at_s=215)]
    log = save_lines(tmp_path, blocks, evaluate(2, 210, 0.5), evaluate(4, 415, 0.05))
    rows = [(phase, s.started_s, s.ended_s, o.epoch, o.utterances) for phase, s, o in read_log(log).rows[1:]]
    assert rows == [
        (TRAIN, 10, 210, 2, 2000), (EVALUATE, 210, 215, 2, 50), (TRAIN, 215, 415, 4, 2000), (EVALUATE, 415, 420, 4, 50),
    ]  # fmt: skip


def test_evaluations_of_one_long_block_are_in_it(tmp_path):
    block = [line("block_start", 10, first_epoch_num=1, epoch_count=80), line("block_stop", 230, first_epoch_num=1)]
    log = save_lines(tmp_path, block, evaluate(1, 100, 0.5), evaluate(2, 205, 0.05))
    assert epochs_of(log) == [(EVALUATE, 1, 4), (EVALUATE, 2, 8)]


def test_checkpoints_evaluated_behind_all_training_are_taken_as_they_are_numbered_which_is_said(tmp_path):
    """MLPerf 2.0 has ten such logs: epochs 0 to 54 and evaluations of 50 on; in one of them the last is of 55."""
    log = save_lines(tmp_path, train(0, 5), evaluate(3, 600, 0.07), evaluate(4, 610, 0.05))
    assert epochs_of(log) == [(EVALUATE, 3, 12), (EVALUATE, 4, 16)]
    assert "could be one too low" in read_log(log).notes[0]
    last = save_lines(tmp_path / "last", train(0, 5), evaluate(4, 600, 0.07), evaluate(5, 610, 0.05))
    assert epochs_of(last) == [(EVALUATE, 4, 16), (EVALUATE, 5, 20)] and read_log(last).notes == ()


@pytest.mark.parametrize("base", [0, 1])
def test_an_evaluation_beside_the_next_epochs_training_keeps_its_epoch(tmp_path, base):
    beside = [*evaluate(base, 120, 0.5), *evaluate(base + 1, 220, 0.3)]
    log = save_lines(tmp_path, train(base, 3), beside, evaluate(base + 2, 310, 0.05))
    rows = [(phase, s.started_s, outcome.epoch) for phase, s, outcome in read_log(log).rows[1:]]
    assert rows == [
        (TRAIN, 10, 1), (TRAIN, 110, 2), (EVALUATE, 120, 1), (TRAIN, 210, 3), (EVALUATE, 220, 2), (EVALUATE, 310, 3),
    ]  # fmt: skip


def test_an_evaluation_before_training_is_no_epoch(tmp_path):
    log = save_lines(tmp_path, train(1, 1, at_s=20), evaluate(0, 11, 1.0), evaluate(1, 120, 0.05))
    assert epochs_of(log) == [(PROBE, 0, 0), (EVALUATE, 1, 4)]


def test_epochs_without_numbers_are_counted(tmp_path):
    epochs = [line("epoch_start", 10), line("epoch_stop", 110), line("epoch_start", 115), line("epoch_stop", 215)]
    log = save_lines(tmp_path, epochs, evaluate(None, 110, 0.5), evaluate(None, 215, 0.05))
    assert epochs_of(log) == [(EVALUATE, 1, 4), (EVALUATE, 2, 8)]


def test_lines_that_several_ranks_write_are_one(tmp_path):
    ranks = [each for each in train(1, 1) for _ in range(2)] + evaluate(1, 110, 0.05) + evaluate(1, 110.001, 0.05)
    assert [(phase, o.epoch) for phase, _, o in read_log(save_lines(tmp_path, ranks)).rows[1:]] == [
        (TRAIN, 1),
        (EVALUATE, 1),
    ]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([train(5, 2), evaluate(6, 210, 0.05)], "the first epoch_start is of epoch 5; expected 0 or 1"),
        ([train(1, 2), train(1, 2, at_s=300), evaluate(2, 500, 0.05)], "epoch_start of epoch 1 after one of epoch 2"),
        ([train(1, 2), evaluate(4, 210, 0.05)], "an evaluation of epoch 4, where the last epoch begun is 2"),
        ([train(1, 2), evaluate("2", 210, 0.05)], "epoch_num is '2'; expected a number"),
        (
            [train(1, 1), evaluate(1, 110, 0.5), evaluate(1, 120, 0.05)],
            "eval_accuracy is 0.05, and another one on line",
        ),
        ([train(1, 2), evaluate(1, 110, 0.5, seconds=0), evaluate(None, 210, 0.05)], "only some evaluations have"),
        ([evaluate(1, 110, 0.05)], "no epoch_start and no block_start"),
        ([train(1, 1, at_s=2), evaluate(1, 110, 0.05)], "epoch_start before run_start"),
        (
            [train(1, 2), [line("eval_start", 110, epoch_num=1)], evaluate(2, 210, 0.05)],
            "eval_start without an eval_accuracy",
        ),
        (
            [[line("block_start", 10, first_epoch_num=0, epoch_count=80)], evaluate(1, 50, 0.5), evaluate(2, 99, 0.05)],
            "stands after 2 or 1 epochs",
        ),
    ],
)
def test_epochs_that_cannot_be_told_are_refused_with_the_line(tmp_path, parts, said):
    with pytest.raises(IngestError, match=r"result_0.txt") as caught:
        read_log(save_lines(tmp_path, *parts)).check()
    assert said in str(caught.value) and "expected" in str(caught.value)


def test_of_an_epoch_that_run_stop_cut_short_no_speed_is_known(tmp_path):
    parts = [train(1, 1), evaluate(1, 110, 0.5), [line("epoch_start", 115, epoch_num=2)]]
    log = read_log(save_lines(tmp_path, *parts, [line("run_stop", 125, status="aborted")]))
    assert [(phase, s.seconds, o.epoch, o.step, o.utterances) for phase, s, o in log.rows[2:]] == [
        (EVALUATE, 5, 1, 4, 50),
        (TRAIN, 10, 2, 4, None),
    ]
