"""Runs that are killed anywhere and go on: hundreds of kill points with a trainer that has no model, a few with one."""

import json
import os
import random
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from benchmark.record.clocks import Clock, Span
from benchmark.record.columns import Identity, JournalError, Outcome
from benchmark.record.folder import End, Heartbeat, heartbeat, locked, write_end
from benchmark.record.holes import check_whole
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Phase, Plan
from benchmark.run.loop import Loop
from benchmark.run.state.progress import segment_batches
from benchmark.run.state.resume import interrupted, open_journal, refuse_what_is_over
from benchmark.workloads import EVALUATIONS

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
    """Checkpoints as benchmark.run.state.checkpoints keeps them, of one number; `damaged` cannot be read."""

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

    def restore(self, step):
        from benchmark.run.state.checkpoints import CheckpointError

        text = self.path(step).read_text()
        if text == "damaged":
            raise CheckpointError("damaged")
        return int(text)


def fake_trainer(folder, plan, fate):
    from benchmark.run.state.checkpoints import restore_newest

    class Fake:
        """Learns a number, so that a batch twice or never shows in all that comes after it."""

        def __init__(self) -> None:
            self.checkpoints, self.warnings = Files(folder, fate), []

        def perform(self, phase, progress, plan):
            fate.moment()
            outcome = getattr(self, phase.value)(progress, plan)
            fate.moment()
            return outcome

        def restore(self, step):
            self.weight = self.checkpoints.restore(step)

        def create(self, progress, plan):
            self.weight, step = 1, 0
            if progress.earlier:
                step = restore_newest(self.checkpoints, progress, plan, restore=self.restore, warn=self.warnings.append)
                self.checkpoints.prune([saved for saved in self.checkpoints.steps() if saved <= step])
            return Outcome(step=step, epoch=-(-step // plan.batches_per_epoch))

        def train(self, progress, plan):
            for step in range(progress.step, progress.step + segment_batches(progress, plan)):
                self.weight = (self.weight * 31 + step) % 1009
                fate.moment()
            return Outcome(
                step=step + 1, epoch=step // plan.batches_per_epoch + 1, utterances=4, loss=self.weight + 0.5
            )

        def generate(self, progress, plan):
            return Outcome(step=progress.step, epoch=progress.epoch)

        swap = generate

        def checkpoint(self, progress, plan):
            self.checkpoints.save(progress.step, self.weight)
            return Outcome(step=progress.step, epoch=progress.epoch)

        def begin_evaluation(self, progress, phase=Phase.EVALUATE):
            rate = self.weight / 20
            outcome = Outcome(step=progress.step, epoch=progress.epoch, wer=rate, cer=rate / 2)
            return lambda *_: (time.sleep(0.0005), outcome)[1]

        def evaluate(self, progress, plan):
            return self.begin_evaluation(progress)()

        probe = evaluate

    return Fake()


def attempt(tmp_path, plan, monkeypatch, moments=None):
    """One process's life. True if the run is over."""
    fate = Fate(moments)
    identity = replace(IDENTITY, evaluation=plan.evaluation)
    journal = open_journal(tmp_path / "r.csv", identity, plan)
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
        Loop(journal, plan, trainer, Clock(already_s=journal.earlier.ended_s), SILENT).run_phases()
        return True
    except Killed:
        return False
    finally:
        journal.close()


def figures(record):
    """Epoch by epoch: error rates, and the last loss."""
    rates = [(row.phase, row.epoch, row.step, row.wer, row.cer) for row in record.finely.evaluations]
    losses = {row.step: row.loss for row in record.standing if row.phase is Phase.TRAIN}
    return rates, losses


@pytest.mark.parametrize("evaluate_every", [pytest.param(0, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize(
    "evaluation", [each if each == "resident" else pytest.param(each, marks=pytest.mark.slow) for each in EVALUATIONS]
)
def test_wherever_it_is_killed_and_however_often_a_run_ends_in_the_same_figures(
    tf, tmp_path, monkeypatch, evaluation, evaluate_every
):
    """70 runs a mode, each killed at random moments until it ends, half-written rows and checkpoints included."""
    plan = plan_of(evaluation, evaluate_every=evaluate_every)
    (tmp_path / "whole" / "r").mkdir(parents=True)
    assert attempt(tmp_path / "whole", plan, monkeypatch)
    expected = figures(read(tmp_path / "whole" / "r.csv"))
    assert len(expected[0]) == (4 if not evaluate_every else 12)  # 28 batches: 7, 14, 21, 28 and every third but 21
    chance = random.Random(evaluation)
    for number in range(70):
        folder = tmp_path / str(number)
        (folder / "r").mkdir(parents=True)
        lives = 1
        while not attempt(folder, plan, monkeypatch, moments=chance.randrange(5, 90)):
            lives += 1
        record = read(folder / "r.csv")
        assert figures(record) == expected
        for known in (plan, None):
            check_whole("r.csv", record.table, plan=known)
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
    from benchmark.run.state.checkpoints import CheckpointError

    (tmp_path / "r").mkdir()
    assert not attempt(tmp_path, plan_of(), monkeypatch, moments=45)
    (tmp_path / "r" / "ckpt-500").write_text("7")
    with pytest.raises(CheckpointError, match=r"after 500 batches, but the run's journal .* knows of \d+ only"):
        attempt(tmp_path, plan_of(), monkeypatch)


# --- the journal -----------------------------------------------------------------------------------------------------


def began(tmp_path, **identity):
    """A run of two rows, the second one cut short."""
    (tmp_path / "r").mkdir(exist_ok=True)
    journal = Journal.create(tmp_path / "r.csv", replace(IDENTITY, **identity))
    with Clock().span() as span:
        pass
    journal.append(Phase.CREATE, span, Outcome(step=0, epoch=0))
    journal.close()
    with (tmp_path / "r.csv").open("ab") as file:
        file.write(b"3,r,1,cpu,min")
    return tmp_path / "r.csv"


def test_a_half_written_row_is_cut_off_and_the_next_attempt_begins(tmp_path):
    path = began(tmp_path)
    journal = Journal.resume(path, IDENTITY)
    assert (len(journal.earlier), journal.attempt) == (1, 2)
    assert path.read_bytes().endswith(b"\n") and read(path) == journal.earlier
    journal.close()


def test_a_half_written_header_makes_a_new_journal(tmp_path):
    (tmp_path / "r.csv").write_text("schema,run,att")
    journal = Journal.resume(tmp_path / "r.csv", IDENTITY)
    assert (journal.attempt, len(journal.earlier)) == (1, 0)
    journal.close()


@pytest.mark.parametrize(("name", "value"), [("seed", 2), ("batch", 8), ("code", "d"), ("features", "g")])
def test_a_run_of_another_command_is_not_gone_on_with_and_both_values_are_named(tmp_path, name, value):
    path = began(tmp_path)
    found = getattr(IDENTITY, name)
    with pytest.raises(JournalError, match=f"its {name} is {found!r}, but this command has {value!r}"):
        open_journal(path, replace(IDENTITY, **{name: value}), plan_of())


def test_a_run_of_another_plan_is_not_gone_on_with(tmp_path):
    path = began(tmp_path)
    (tmp_path / "r" / "run.json").write_text(json.dumps({"schema": 3, "plan": asdict(plan_of())}))
    with pytest.raises(JournalError, match="the run began with max_epochs 4, this command has 9"):
        open_journal(path, IDENTITY, plan_of(max_epochs=9))
    open_journal(path, IDENTITY, plan_of()).close()


def test_checkpoints_without_their_journal_are_not_mixed_with_a_new_run(tmp_path):
    (tmp_path / "r" / "checkpoints").mkdir(parents=True)
    (tmp_path / "r" / "checkpoints" / "ckpt-5.index").write_text("")
    with pytest.raises(JournalError, match="no rows, but .*ckpt-5.index is there"):
        open_journal(tmp_path / "r.csv", IDENTITY, plan_of())


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_has_ended_is_refused_and_one_that_was_interrupted_is_not(tmp_path, status):
    (tmp_path / "r").mkdir()
    write_end(tmp_path / "r", End(status="interrupted", message="SIGTERM"))
    refuse_what_is_over(tmp_path / "r")
    write_end(tmp_path / "r", End(status=status, message="the reason"))
    with pytest.raises(JournalError, match=f"there already and has {status}: the reason; choose another --name"):
        refuse_what_is_over(tmp_path / "r")


def test_the_run_to_go_on_with_is_the_one_of_the_same_command_that_has_not_ended(tmp_path):
    began(tmp_path)
    folder = tmp_path / "r"
    other = replace(IDENTITY, run="r-20260101-000000")
    assert interrupted(tmp_path, other) is None  # no sign of life: not ours
    with heartbeat(folder, lambda: 1.0):
        pass
    assert interrupted(tmp_path, other) == "r"
    assert interrupted(tmp_path, replace(other, seed=2)) is None
    with locked(folder):
        assert interrupted(tmp_path, other) is None  # somebody works on it
    write_end(folder, End(status="finished"))
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


# --- the clock -------------------------------------------------------------------------------------------------------


def test_the_clock_goes_on_from_the_last_heartbeat_and_what_came_after_is_down_time(tf):
    from benchmark.run.attempt import _clock

    clock, down_s = _clock(50.0, Heartbeat(clock_s=58.0, at_unix_s=time.time() - 100))
    assert 58 <= clock.elapsed() < 59 and 100 <= down_s < 101  # eight seconds of lost work count
    clock, down_s = _clock(50.0, Heartbeat(clock_s=40.0, at_unix_s=time.time() + 1000))  # the day's clock was set back
    assert 50 <= clock.elapsed() < 51 and down_s == 0.0
    clock, down_s = _clock(50.0, None)
    assert 50 <= clock.elapsed() < 51 and down_s is None


def test_fresh_does_not_go_on_with_a_run_of_its_name(tmp_path):
    from benchmark.run.state.resume import refuse_what_is_over

    (tmp_path / "twin.csv").touch()
    refuse_what_is_over(tmp_path / "twin")  # without --fresh it goes on
    with pytest.raises(
        JournalError, match=r"twin.csv: a run of this name is there already \(under way, or was killed\)"
    ):
        refuse_what_is_over(tmp_path / "twin", fresh=True)
    refuse_what_is_over(tmp_path / "other", fresh=True)


def test_a_journal_from_which_rows_are_missing_does_not_go_on(tf, tmp_path, monkeypatch):
    plan = plan_of()
    (tmp_path / "r").mkdir()
    assert not attempt(tmp_path, plan, monkeypatch, moments=45)
    journal = tmp_path / "r.csv"
    lines = journal.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if ",generate," in line)
    journal.write_text("".join([*lines[:place], *lines[place + 1 :]]))
    with pytest.raises(JournalError, match=rf"r.csv:{place + 1}: .* expected generate after batch 4, by the plan"):
        attempt(tmp_path, plan, monkeypatch)
