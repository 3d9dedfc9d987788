"""Runs that are killed anywhere and go on: hundreds of kill points with a trainer that has no model, a few with one."""

import json
import os
import random
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from benchmark.record.clocks import Clock, Span
from benchmark.record.folder import Life, Taken, claimed, is_claimed, last_sign, signs_of_life
from benchmark.record.journal import Grown, Identity, Journal, JournalError, Outcome, RunRecord, read
from benchmark.record.phases import EVALUATIONS, Phase, Plan, segment_batches
from benchmark.run.resume import interrupted, open_journal, refuse_what_has_ended, write_end
from benchmark.run.session import play

IDENTITY = Identity(
    run="r", platform="cpu", workload="mini", recipe="paper", seed=1, replicas=1, devices="CPU", emulated=False,
    batch=4, precision="float32", features="f", decoder="greedy", evaluation="resident", code="c",
)  # fmt: skip
SILENT = SimpleNamespace(phase=lambda *_: None, row=lambda *_: None)


def plan_of(evaluation="resident", **changes) -> Plan:
    usual = {"batches_per_epoch": 7, "max_epochs": 4, "segment": 3, "generate_every": 4, "checkpoint_every": 5}
    return Plan(**{**usual, **changes}, max_seconds=1e9, targets={}, evaluation=evaluation)


# --- many kill points, no model --------------------------------------------------------------------------------------


class Killed(BaseException):
    """As SIGKILL: nothing is tidied up."""


class Fate:
    """Kills at one of the moments at which something could be half done."""

    def __init__(self, moments: int | None) -> None:
        self.left = moments

    def moment(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


class Files:
    """Checkpoints as benchmark.run.checkpoints keeps them, of one number; `damaged` cannot be read."""

    def __init__(self, folder, fate) -> None:
        self.folder, self.fate = folder, fate
        folder.mkdir(exist_ok=True)

    def path(self, step):
        return self.folder / f"ckpt-{step}"

    def steps(self):
        return sorted(int(path.name[5:]) for path in self.folder.glob("ckpt-*"))

    def save(self, step, weight):
        beside = self.folder / "beside"
        beside.write_text("half")
        self.fate.moment()
        beside.write_text(str(weight))
        beside.replace(self.path(step))
        self.fate.moment()

    def prune(self, steps):
        for step in set(self.steps()) - set(steps):
            self.path(step).unlink()
            self.fate.moment()

    def restore(self, step, trainer, _):
        from benchmark.run.checkpoints import CheckpointError

        text = self.path(step).read_text()
        if text == "damaged":
            raise CheckpointError("damaged")
        trainer.weight = int(text)


def fake_trainer(folder, plan, fate):
    from benchmark.run.trainer import Trainer

    class Fake(Trainer):
        """Learns a number, so that a batch twice or never shows in all that comes after it."""

        def __init__(self) -> None:
            self.checkpoints, self.warnings = Files(folder, fate), []
            self.warn, self.model, self.optimizer = self.warnings.append, self, None
            self._step = None

        def _begin_anew(self):
            self.weight = 1

        def perform(self, phase, record, plan):
            fate.moment()
            outcome = getattr(self, phase.value)(record, plan)
            fate.moment()
            return outcome

        def create(self, record, plan):
            self._begin_anew()
            step = self._restore_last(record, plan) if record.rows else 0
            return Outcome(step=step, epoch=-(-step // plan.batches_per_epoch))

        def train(self, record, plan):
            for step in range(record.step, record.step + segment_batches(record, plan)):
                self.weight = (self.weight * 31 + step) % 1009
                fate.moment()
            return Outcome(
                step=step + 1, epoch=step // plan.batches_per_epoch + 1, utterances=4, loss=self.weight + 0.5
            )

        def generate(self, record, plan):
            return Outcome(step=record.step, epoch=record.epoch)

        swap = generate

        def checkpoint(self, record, plan):
            self.checkpoints.save(record.step, self.weight)
            return Outcome(step=record.step, epoch=record.epoch)

        def begin_evaluation(self, record):
            rate = self.weight / 20
            outcome = Outcome(step=record.step, epoch=record.epoch, wer=rate, cer=rate / 2)
            return lambda *_: (time.sleep(0.0005), outcome)[1]

        def evaluate(self, record, plan):
            return self.begin_evaluation(record)()

    return Fake()


def attempt(tmp_path, plan, monkeypatch, moments=None):
    """One process's life. True if the run is over."""
    fate = Fate(moments)
    identity = replace(IDENTITY, evaluation=plan.evaluation)
    journal = open_journal(tmp_path / "r.csv", identity, tmp_path / "r", plan)
    write = journal._file.write

    def torn(data):
        try:
            fate.moment()
        except Killed:
            write(data[: len(data) // 2])
            raise
        return write(data)

    journal._file = SimpleNamespace(write=torn, fileno=journal._file.fileno, close=journal._file.close)
    trainer = fake_trainer(tmp_path / "r", plan, fate)
    try:
        play(journal, plan, trainer, Clock(already_s=journal.record.ended_s), SILENT)
        return True
    except Killed:
        return False
    finally:
        journal.close()


def figures(record):
    """Epoch by epoch: error rates, and the last loss."""
    rates = [(row.epoch, row.step, row.wer, row.cer) for row in record.evaluations]
    losses = {row.step: row.loss for row in record.standing if row.phase is Phase.TRAIN}
    return rates, losses


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_wherever_it_is_killed_and_however_often_a_run_ends_in_the_same_figures(tf, tmp_path, monkeypatch, evaluation):
    """70 runs a mode, each killed at random moments until it ends, half-written rows and checkpoints included."""
    plan = plan_of(evaluation)
    (tmp_path / "whole" / "r").mkdir(parents=True)
    assert attempt(tmp_path / "whole", plan, monkeypatch)
    expected = figures(read(tmp_path / "whole" / "r.csv"))
    assert len(expected[0]) == 4
    chance = random.Random(evaluation)
    for number in range(70):
        folder = tmp_path / str(number)
        (folder / "r").mkdir(parents=True)
        lives = 1
        while not attempt(folder, plan, monkeypatch, moments=chance.randrange(5, 90)):
            lives += 1
        record = read(folder / "r.csv")
        assert figures(record) == expected
        assert record.rows[-1].attempt <= lives
        lost = set(map(repr, record.rows)) - set(map(repr, record.standing))
        assert not any(f"attempt={record.rows[-1].attempt}," in row for row in lost)


def test_the_newest_checkpoint_that_is_damaged_is_passed_over_and_without_any_all_begins_anew(
    tf, tmp_path, monkeypatch
):
    plan = plan_of()
    (tmp_path / "whole" / "r").mkdir(parents=True)
    attempt(tmp_path / "whole", plan, monkeypatch)
    for damaged, expected in ((1, 5), (9, 0)):
        folder = tmp_path / f"{damaged}"
        (folder / "r").mkdir(parents=True)
        assert not attempt(folder, plan, monkeypatch, moments=45)
        saved = sorted((folder / "r").glob("ckpt-*"), key=lambda path: int(path.name[5:]))
        assert [path.name for path in saved] == ["ckpt-5", "ckpt-7"]
        for path in saved[-damaged:]:
            path.write_text("damaged")
        assert attempt(folder, plan, monkeypatch)
        record = read(folder / "r.csv")
        (again,) = [row for row in record.rows if row.phase is Phase.CREATE and row.attempt == 2]
        assert again.step == expected
        assert figures(record) == figures(read(tmp_path / "whole" / "r.csv"))


def test_a_checkpoint_of_more_batches_than_the_journal_knows_is_refused_with_both_numbers(tf, tmp_path, monkeypatch):
    from benchmark.run.checkpoints import CheckpointError

    (tmp_path / "r").mkdir()
    assert not attempt(tmp_path, plan_of(), monkeypatch, moments=45)
    (tmp_path / "r" / "ckpt-500").write_text("7")
    with pytest.raises(CheckpointError, match=r"after 500 batches, but the run's journal .* knows of \d+ only"):
        attempt(tmp_path, plan_of(), monkeypatch)


# --- the journal -----------------------------------------------------------------------------------------------------


def test_a_record_that_grew_row_by_row_knows_what_one_read_at_once_knows(tf, tmp_path, monkeypatch):
    plan = plan_of()
    (tmp_path / "r").mkdir()
    chance = random.Random(3)
    while not attempt(tmp_path, plan, monkeypatch, moments=chance.randrange(20, 90)):
        pass
    rows = read(tmp_path / "r.csv").rows
    grown = RunRecord()
    for number, row in enumerate(rows, start=1):
        grown = grown.then(row)
        whole = RunRecord(tuple(rows[:number]))
        for name in (
            "step",
            "epoch",
            "created",
            "swapped",
            "ended_s",
            "saved_step",
            "generated_step",
            "evaluated_epoch",
        ):
            assert getattr(grown, name) == getattr(whole, name), (number, name)
        assert tuple(grown.evaluations) == tuple(whole.evaluations) and tuple(grown.standing) == tuple(whole.standing)
        for window in (1, 3):
            assert list(grown.medians("wer", window=window)) == list(whole.medians("wer", window=window))
            for level in (10.0, 25.0, 40.0):
                first = next((r for r, median in whole.medians("wer", window=window) if median <= level), None)
                assert grown.reached("wer", level, window=window) == first == whole.reached("wer", level, window=window)


def test_a_grown_tuple_leaves_those_it_grew_from_as_they_were():
    one = Grown.of((1,))
    two, other = one.plus(2), one.plus(3)
    assert (tuple(one), tuple(two), tuple(other)) == ((1,), (1, 2), (1, 3))
    assert two[-1] == 2 and two[0:] == (1, 2) and len(one) == 1
    with pytest.raises(IndexError):
        one[1]


def began(tmp_path, **identity):
    """A run of two rows, the second one cut short."""
    (tmp_path / "r").mkdir(exist_ok=True)
    journal = Journal.create(tmp_path / "r.csv", replace(IDENTITY, **identity))
    with Clock().span() as span:
        pass
    journal.append(Phase.CREATE, span, Outcome(step=0, epoch=0))
    journal.close()
    with (tmp_path / "r.csv").open("ab") as file:
        file.write(b"2,r,1,cpu,min")
    return tmp_path / "r.csv"


def test_a_half_written_row_is_cut_off_and_the_next_attempt_begins(tmp_path):
    path = began(tmp_path)
    journal = Journal.resume(path, IDENTITY)
    assert (len(journal.record.rows), journal.attempt, journal.record.created) == (1, 2, False)
    assert path.read_bytes().endswith(b"\n") and read(path) == journal.record
    journal.close()


def test_a_half_written_header_makes_a_new_journal(tmp_path):
    (tmp_path / "r.csv").write_text("schema,run,att")
    journal = Journal.resume(tmp_path / "r.csv", IDENTITY)
    assert (journal.attempt, len(journal.record.rows)) == (1, 0)
    journal.close()


@pytest.mark.parametrize(("name", "value"), [("seed", 2), ("batch", 8), ("code", "d"), ("features", "g")])
def test_a_run_of_another_command_is_not_gone_on_with_and_both_values_are_named(tmp_path, name, value):
    path = began(tmp_path)
    found = getattr(IDENTITY, name)
    with pytest.raises(JournalError, match=f"its {name} is {found!r}, that of this command {value!r}"):
        open_journal(path, replace(IDENTITY, **{name: value}), tmp_path / "r", plan_of())


def test_a_run_of_another_plan_is_not_gone_on_with(tmp_path):
    path = began(tmp_path)
    (tmp_path / "r" / "run.json").write_text(json.dumps({"plan": asdict(plan_of())}))
    with pytest.raises(JournalError, match="the run began with max_epochs 4, this command has 9"):
        open_journal(path, IDENTITY, tmp_path / "r", plan_of(max_epochs=9))
    open_journal(path, IDENTITY, tmp_path / "r", plan_of()).close()


def test_checkpoints_without_their_journal_are_not_mixed_with_a_new_run(tmp_path):
    (tmp_path / "r" / "checkpoints").mkdir(parents=True)
    (tmp_path / "r" / "checkpoints" / "ckpt-5.index").write_text("")
    with pytest.raises(JournalError, match="no rows, but .*ckpt-5.index is there"):
        open_journal(tmp_path / "r.csv", IDENTITY, tmp_path / "r", plan_of())


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_has_ended_is_refused_and_one_that_was_interrupted_is_not(tmp_path, status):
    (tmp_path / "r").mkdir()
    write_end(tmp_path / "r", "interrupted", RunRecord(), "SIGTERM")
    refuse_what_has_ended(tmp_path / "r")
    write_end(tmp_path / "r", status, RunRecord(), "the reason")
    with pytest.raises(JournalError, match=f"there already and has {status}: the reason; choose another --name"):
        refuse_what_has_ended(tmp_path / "r")


def test_the_run_to_go_on_with_is_the_one_of_the_same_command_that_has_not_ended(tmp_path):
    began(tmp_path)
    folder = tmp_path / "r"
    other = replace(IDENTITY, run="r-20260101-000000")
    assert interrupted(tmp_path, other) is None  # no sign of life: not ours
    with signs_of_life(folder, lambda: 1.0):
        pass
    assert interrupted(tmp_path, other) == "r"
    assert interrupted(tmp_path, replace(other, seed=2)) is None
    with claimed(folder):
        assert interrupted(tmp_path, other) is None  # somebody works on it
    write_end(folder, "finished", RunRecord(), "")
    assert interrupted(tmp_path, other) is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_ends_in_a_sentence_and_the_journal_stays_whole(tmp_path):
    path = began(tmp_path)
    journal = Journal.resume(path, IDENTITY)
    before = path.read_bytes()
    half = journal._file
    with open("/dev/full", "wb", buffering=0) as full:
        journal._file = SimpleNamespace(
            fileno=half.fileno, close=half.close, write=lambda data: (half.write(data[:9]), full.write(data))[1]
        )
        with pytest.raises(OSError, match=r"r.csv: cannot be written \(No space left on device\)"):
            journal.append(Phase.CREATE, Span(9.0, 1.0), Outcome(step=0, epoch=0))
    assert path.read_bytes() == before
    journal.close()


# --- claims and signs of life ----------------------------------------------------------------------------------------


def test_one_process_at_a_time_works_on_a_run(tmp_path):
    with claimed(tmp_path):
        assert is_claimed(tmp_path)
        with pytest.raises(Taken, match=f"process {os.getpid()} is working on this run"), claimed(tmp_path):
            pass
    assert not is_claimed(tmp_path)


def test_signs_of_life_say_what_the_clock_showed_and_when(tmp_path):
    clock = iter(range(100, 200))
    before = time.time()
    with signs_of_life(tmp_path, lambda: next(clock), every_s=0.01):
        first = last_sign(tmp_path)
        while last_sign(tmp_path).clock_s < first.clock_s + 3:
            time.sleep(0.01)
    last = last_sign(tmp_path)
    assert first.clock_s == 100 and last.clock_s > 103 and before - 1 < last.at_unix_s < time.time() + 1
    with claimed(tmp_path) as found:
        assert found == last


@pytest.mark.parametrize("text", ["", "[1, 2", "[1]", "{}", '["a", "b"]', "[-1, 5]", "[NaN, 1]", "[1e999, 1]"])
def test_a_sign_that_makes_no_sense_is_none(tmp_path, text):
    (tmp_path / "alive").write_text(text)
    assert last_sign(tmp_path) is None


def test_the_clock_goes_on_from_the_last_sign_of_life_and_what_came_after_is_down_time(tf):
    from benchmark.run.session import _clock

    row = SimpleNamespace(ended_s=50.0, attempt=1)
    record = SimpleNamespace(rows=(row,), ended_s=50.0)
    clock, down_s = _clock(record, Life(clock_s=58.0, at_unix_s=time.time() - 100))
    assert 58 <= clock.elapsed() < 59 and 100 <= down_s < 101  # eight seconds of lost work count
    clock, down_s = _clock(record, Life(clock_s=40.0, at_unix_s=time.time() + 1000))  # the day's clock was set back
    assert 50 <= clock.elapsed() < 51 and down_s == 0.0
    clock, down_s = _clock(record, None)
    assert 50 <= clock.elapsed() < 51 and down_s is None
