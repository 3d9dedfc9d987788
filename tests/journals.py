"""Small journals made by hand, for the tests of the judge and of what it feeds."""

import zlib
from collections.abc import Sequence
from pathlib import Path

from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome, Row
from benchmark.record.folder import End
from benchmark.record.history import RunRecord
from benchmark.record.journal import Journal
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.run.state.progress import Progress, next_evaluation, next_phase, segment_batches

IDENTITY = {
    "run": "r1", "platform": "sys1", "workload": "mini", "variant": "", "recipe": "paper", "seed": 1, "replicas": 4,
    "devices": "CPU",
    "emulated": False, "batch": 96, "precision": "float32", "features": "ab12", "decoder": "greedy",
    "evaluation": "resident", "code": "cd34",
}  # fmt: skip


def make_row(phase: Phase, started_s: float, seconds: float, **changes) -> Row:
    usual = {**IDENTITY, "step": 0, "epoch": 0}
    return Row(**{**usual, **changes}, phase=phase, started_s=started_s, seconds=seconds)


def make_run(wers, *, cers=None, train_s: float = 100.0, evaluate_s: float = 10.0, source="", **identity) -> RunRecord:
    """Creation 30 s; then every epoch 10 train rows of 100 utterances and an evaluation. Epoch i ends at 30 + 110 i."""
    rows = [make_row(Phase.CREATE, 0.0, 30.0, **identity)]
    loss = 50 + zlib.crc32(rows[0].run.encode()) / 2**32  # of each run its own: runs of one curve count as one
    for epoch, wer in enumerate(wers, start=1):
        for part in range(10):
            rows.append(
                make_row(
                    Phase.TRAIN, rows[-1].ended_s, train_s / 10, step=10 * epoch + part - 9, epoch=epoch,
                    utterances=100, loss=loss, **identity
                )
            )  # fmt: skip
        cer = cers[epoch - 1] if cers else wer / 2
        rates = {"wer": wer, "cer": cer, "wer_mean": wer + 5, "cer_paper": cer + 2}
        rows.append(
            make_row(
                Phase.EVALUATE, rows[-1].ended_s, evaluate_s, step=10 * epoch, epoch=epoch, utterances=9, **rates,
                **identity
            )
        )  # fmt: skip
    return RunRecord(tuple(rows), source)


def make_runs(*all_wers, **identity) -> list[RunRecord]:
    return [make_run(w, run=f"r{n}", seed=n, source=f"r{n}.csv", **identity) for n, w in enumerate(all_wers, start=1)]


def write(path: Path, record: RunRecord) -> str:
    """The record as a file; its path as the command line has it."""
    journal = Journal.create(path, record.identity or Identity(**IDENTITY))
    for row in record.rows:
        outcome = Outcome(**{name: getattr(row, name) for name in Outcome.__dataclass_fields__})
        journal.append(row.phase, Span(row.started_s, row.seconds), outcome)
    journal.close()
    return str(path)


def whole_run(
    plan: Plan, *, stops: Sequence[tuple[int, bool]] = (), known_after: int = 1
) -> tuple[RunRecord, End | None]:
    """A run as its plan has it, by the state machine, and its end: rows take 1 to 7 s.

    `stops` end attempts: after so many rows, and whether by a signal (the training is saved first) or by a kill. The
    errors of an overlapping evaluation are known `known_after` phases after it began.
    """
    rows: list[Row] = []
    status = ""
    for attempt, (count, signal) in enumerate([*stops, (10**6, False)], start=1):
        if rows and next_phase(Progress.of(rows, window=plan.window), plan) is Phase.DONE:
            break  # no command goes on with it
        made = _Attempt(plan, rows, attempt)
        status = made.until(count, signal=signal, known_after=known_after)
        rows = made.rows
        if status == "finished":
            break
    progress = Progress.of(rows, window=plan.window)
    end = End(status=status, step=progress.step, epoch=progress.epoch, clock_s=progress.ended_s) if status else None
    return RunRecord(rows), end


class _Attempt:
    """One process at a run of `whole_run`."""

    def __init__(self, plan: Plan, earlier: list[Row], attempt: int) -> None:
        self.plan, self.rows, self.attempt = plan, list(earlier), attempt
        self.progress = Progress.of(earlier, attempt=attempt, window=plan.window)
        self.under_way: tuple[Phase, float, int] | None = None  # an evaluation: its phase, start and batch

    def until(self, count: int, *, signal: bool, known_after: int) -> str:
        """Work until the end; return its status, "" after a kill."""
        before, wait = len(self.rows), 0
        while True:
            if self.under_way and wait <= 0:
                self.evaluated()
            evaluating = self.under_way[2] if self.under_way else 0
            phase, left = next_phase(self.progress, self.plan, evaluating=evaluating), count + before - len(self.rows)
            if phase is Phase.DONE or left <= 0 and not signal:
                return "finished" if phase is Phase.DONE else ""
            if left <= 0:
                if self.progress.saved_step >= self.progress.step or self.progress.swapped:
                    return "interrupted"
                phase = Phase.CHECKPOINT
            wait -= 1
            if phase in EVALUATED:
                if not self.under_way:
                    self.under_way, wait = (phase, self.progress.ended_s, self.progress.step), known_after
                    if self.plan.evaluation == "overlap":
                        continue
                self.evaluated()
            elif phase is Phase.TRAIN:
                batches = segment_batches(self.progress, self.plan)
                if signal and left == 1:
                    batches = max(1, batches - 1)  # the signal came within it
                self.add(phase, self.progress.step + batches, utterances=96 * batches, loss=9.0)
            else:
                self.add(phase, self.restored() if phase is Phase.CREATE else self.progress.step)

    def restored(self) -> int:
        """The batch of the newest checkpoint that is not past an evaluation that was lost."""
        saved: set[int] = set()
        for row in self.rows:
            if row.phase is Phase.CREATE:
                saved = {step for step in saved if step <= row.step}
            elif row.phase is Phase.CHECKPOINT:
                saved.add(row.step)
        return max((step for step in saved if step <= next_evaluation(self.progress, self.plan)), default=0)

    def evaluated(self) -> None:
        (phase, started_s, step), self.under_way = self.under_way, None
        self.add(phase, step, started_s, wer=90.0, cer=45.0)

    def add(self, phase: Phase, step: int, started_s: float | None = None, **outcome) -> None:
        begun_s = self.progress.ended_s
        started_s = begun_s if started_s is None else started_s
        about = {"attempt": self.attempt, "evaluation": self.plan.evaluation, "step": step}
        epoch = -(-step // self.plan.batches_per_epoch)
        seconds = begun_s - started_s + 1.0 + len(self.rows) % 7
        self.rows.append(make_row(phase, started_s, seconds, epoch=epoch, **about, **outcome))
        self.progress = self.progress.after(self.rows[-1])
