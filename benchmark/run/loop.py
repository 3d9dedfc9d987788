"""The loop of a run: ask which phase comes next, have the trainer perform it, write its row.

    loop = Loop(journal, plan, trainer, clock, shown)
    loop.run_phases()
    loop.progress.step                          # where the run stands, also after an exception

An overlapping evaluation begins like any phase. Its row is written when its error rates are known and the phase then
under way is over; the row's end is the moment at which the rates were known.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from benchmark.record.clocks import Clock, Span
from benchmark.record.columns import Outcome, Row
from benchmark.record.journal import Journal
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.run.state.progress import Progress, next_phase
from benchmark.run.watch.interrupts import Interrupted, Interrupts, Uninterrupted
from benchmark.run.watch.view import PlainView


class Performs(Protocol):
    """The interface of what performs phases: `benchmark.run.train.trainer.Trainer`, or a stand-in in tests."""

    def perform(self, phase: Phase, progress: Progress, plan: Plan) -> Outcome: ...

    def begin_evaluation(self, progress: Progress, phase: Phase) -> Callable[[], Outcome]: ...


def nobody(row: Row) -> None:
    """Take a row that was written; a run on one machine has nothing to add to it."""


class Loop:
    """One attempt at a run: its journal, its clock, and where it stands.

    `down_s` is the time before this attempt in which no process worked on the run, in seconds. `written` is called with
    every row that is in the journal, before it is shown.
    """

    def __init__(
        self,
        journal: Journal,
        plan: Plan,
        trainer: Performs,
        clock: Clock,
        shown: PlainView,
        *,
        interrupts: Interrupts | Uninterrupted | None = None,
        down_s: float | None = None,
        written: Callable[[Row], None] = nobody,
    ) -> None:
        self.journal, self.plan, self.trainer, self.clock, self.shown = journal, plan, trainer, clock, shown
        self.interrupts, self.down_s = interrupts or Uninterrupted(), down_s
        self.written = written
        self.progress = Progress.of(journal.earlier.rows, attempt=journal.attempt, window=plan.window)
        self.evaluation = Background()

    def run_phases(self) -> None:
        """Perform phases until the plan is fulfilled, with a row in the journal for each.

        Raises:
            Interrupted: a signal arrived; the training is saved, an evaluation under way is lost.
            ArithmeticError: training diverged; the evaluation under way is finished first.
        """
        with self.evaluation:
            try:
                while (phase := self._next_phase()) is not Phase.DONE:
                    self.shown.phase(phase, self.progress)
                    if phase in EVALUATED and self.plan.evaluation == "overlap":
                        self._evaluate_beside_training(phase)
                    else:
                        self._perform(phase)
            except ArithmeticError:  # diverged: the evaluation of earlier weights still counts
                if self.evaluation.step:
                    self._write_evaluation()
                raise

    def _next_phase(self) -> Phase:
        if self.evaluation.is_known:
            self._write_evaluation()
        phase = next_phase(self.progress, self.plan, evaluating=self.evaluation.step)
        if signal := self.interrupts.signal:
            if self.progress.saved_step >= self.progress.step or self.progress.swapped:
                raise Interrupted(signal)
            return Phase.CHECKPOINT
        return phase

    def _perform(self, phase: Phase) -> None:
        with self.interrupts.deferred(phase):
            with self.clock.span() as span:
                outcome = self.trainer.perform(phase, self.progress, self.plan)
            if phase is Phase.CREATE and self.down_s is not None:
                outcome = replace(outcome, down_s=round(self.down_s, 3))
            self._write(phase, span, outcome)

    def _evaluate_beside_training(self, phase: Phase) -> None:
        """Begin an evaluation in the background; wait first for the one under way, if there is one."""
        if self.evaluation.step:
            self._write_evaluation()
            return
        with self.clock.span() as span:
            known = self.trainer.begin_evaluation(self.progress, phase)
        self.evaluation.begin(phase, self.progress.step, span.started_s, known, self.clock)

    def _write_evaluation(self) -> None:
        self._write(self.evaluation.phase, *self.evaluation.result())

    def _write(self, phase: Phase, span: Span, outcome: Outcome) -> None:
        row = self.journal.append(phase, span, outcome)
        self.progress = self.progress.after(row)
        self.written(row)
        self.shown.row(row, self.progress)


class Background(AbstractContextManager["Background"]):
    """At most one evaluation that is decoded in the background; `step` is 0 while there is none."""

    def __init__(self) -> None:
        self.phase, self.step = Phase.EVALUATE, 0
        self._thread = ThreadPoolExecutor(1)
        self._started_s = 0.0
        self._known: Future[tuple[Outcome, float]] | None = None

    def begin(self, phase: Phase, step: int, started_s: float, known: Callable[[], Outcome], clock: Clock) -> None:
        """Call `known` in a thread to wait for the outcome, and note the time at which it returns."""
        self.phase, self.step, self._started_s = phase, step, started_s
        self._known = self._thread.submit(lambda: (known(), clock.elapsed()))

    @property
    def is_known(self) -> bool:
        return self._known is not None and self._known.done()

    def result(self) -> tuple[Span, Outcome]:
        """Wait for the evaluation under way and return it; none is under way then."""
        outcome, ended_s = self._known.result()
        self.step, self._known = 0, None
        return Span(self._started_s, ended_s - self._started_s), outcome

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
