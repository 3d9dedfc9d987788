"""The state of a run, and what comes next: a pure state machine over the journal's rows.

    progress = Progress.of(journal.earlier.rows, attempt=journal.attempt, window=plan.window)
    while (phase := next_phase(progress, plan)) is not Phase.DONE:
        ...
        progress = progress.after(row)

The rows alone decide what comes next, so replaying a journal resumes a run. `next_phase` has an answer for every
Progress. A Progress is updated row by row, which costs the same for the last row of a long run as for the first.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from benchmark.metrics import METRICS
from benchmark.record.columns import Row
from benchmark.record.phases import Phase, Plan


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of a run under way.

    `step` counts the batches trained, and `epoch` is the epoch of the last one. `generated_step` and `saved_step` are
    the steps at which sentences were last generated and a checkpoint was last saved, `probed_step` that of the last
    evaluation within an epoch. `swapped` says that the
    evaluation model is in memory in place of the training model. `recent` has the last `window` evaluations, one per
    epoch, and `lowest` the lowest median over `window` epochs of each metric, in percent. `earlier` has the rows of
    previous attempts until this attempt has a row, which says at which step it resumes: later work is then undone.
    """

    window: int = 3
    attempt: int = 1
    created: bool = False
    swapped: bool = False
    step: int = 0
    epoch: int = 0
    ended_s: float = 0.0
    generated_step: int = 0
    saved_step: int = 0
    probed_step: int = 0
    recent: tuple[Row, ...] = ()
    lowest: Mapping[str, float] = field(default_factory=dict)
    best_evaluation: Row | None = None  # with the lowest word error rate, the first of equals
    improved_epoch: int = 0  # the last epoch with a lower character error rate than all before
    lowest_cer: float = math.inf
    last_trained: Row | None = None
    earlier: tuple[Row, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Row] = (), *, attempt: int = 0, window: int = 3) -> Progress:
        """Return the state after the rows of a journal, as an attempt finds it (default: the last one with a row)."""
        progress = cls(window=window)
        so_far: list[Row] = []
        for row in rows:
            if row.attempt > progress.attempt:
                progress = progress._begin(row.attempt, so_far)
            progress = progress.after(row)
            so_far.append(row)
        return progress if attempt <= progress.attempt else progress._begin(attempt, so_far)

    def _begin(self, attempt: int, earlier: Iterable[Row]) -> Progress:
        return replace(self, attempt=attempt, created=False, swapped=False, earlier=tuple(earlier))

    @property
    def last_evaluation(self) -> Row | None:
        return self.recent[-1] if self.recent else None

    @property
    def evaluated_epoch(self) -> int:
        """The last epoch that has an evaluation; 0 if there is none."""
        return self.recent[-1].epoch if self.recent else 0

    def after(self, row: Row) -> Progress:
        """Return the state after one more row of this attempt."""
        if self.earlier:
            return self._undone(row).after(row)
        changes: dict[str, object] = {"ended_s": max(self.ended_s, row.ended_s)}
        if row.phase is Phase.EVALUATE:
            changes |= self._evaluated(row)
        elif row.phase is Phase.PROBE:
            changes["probed_step"] = max(self.probed_step, row.step)
        else:  # not after an evaluation: if it overlaps training, its step is an earlier one
            changes |= {"step": row.step, "epoch": row.epoch}
        if row.phase is Phase.CREATE:
            changes |= {"created": True, "swapped": False}
        elif row.phase is Phase.TRAIN:
            changes["last_trained"] = row
        elif row.phase is Phase.GENERATE:
            changes["generated_step"] = max(self.generated_step, row.step)
        elif row.phase is Phase.CHECKPOINT:
            changes["saved_step"] = max(self.saved_step, row.step)
        elif row.phase is Phase.SWAP:
            changes["swapped"] = not self.swapped
        return replace(self, **changes)  # type: ignore[arg-type]

    def _undone(self, row: Row) -> Progress:
        """Return the state without what earlier attempts did after the step of `row`, the first row of this attempt."""
        kept = row.step - (row.phase is Phase.TRAIN)
        standing: list[Row] = []
        for earlier in self.earlier:
            if standing and earlier.attempt > standing[-1].attempt:
                before = earlier.step - (earlier.phase is Phase.TRAIN)
                standing = [one for one in standing if one.step <= before]
            standing.append(earlier)
        progress = Progress(window=self.window)
        for one in standing:
            if one.step <= kept:
                progress = progress.after(one)
        return replace(progress, attempt=self.attempt, created=False, swapped=False, ended_s=self.ended_s)

    def _evaluated(self, row: Row) -> dict[str, object]:
        if row.epoch <= self.evaluated_epoch:
            return {}
        recent = (*self.recent, row)[-self.window :]
        lowest = dict(self.lowest)
        for metric in METRICS:
            if (median := median_error(recent, metric, self.window)) is not None:
                lowest[metric] = min(median, lowest.get(metric, median))
        best = self.best_evaluation
        better = best is None or (row.wer is not None and best.wer is not None and row.wer < best.wer)
        found: dict[str, object] = {"recent": recent, "lowest": lowest, "best_evaluation": row if better else best}
        if row.cer is not None and row.cer < self.lowest_cer:
            found |= {"improved_epoch": row.epoch, "lowest_cer": row.cer}
        return found


def median_error(evaluations: tuple[Row, ...], metric: str, window: int) -> float | None:
    """Return the median error in percent of `window` consecutive epochs; None if one is missing or has no error."""
    errors = [getattr(row, metric) for row in evaluations]
    if len(errors) < window or None in errors or evaluations[-1].epoch - evaluations[0].epoch != window - 1:
        return None
    return statistics.median(errors)


def next_phase(progress: Progress, plan: Plan, *, evaluating: int = 0) -> Phase:
    """Return the next phase. At the end of an epoch, generation and the checkpoint come before the evaluation.

    `evaluating` is the step whose evaluation is under way in the background, 0 if none is. EVALUATE and PROBE then mean
    to wait for it: at the end of the run, or when the next one is due.
    """
    if not progress.created:
        return Phase.CREATE
    if _due(progress.step, progress.generated_step, plan.generate_every):
        return Phase.GENERATE
    epochs = progress.step // plan.batches_per_epoch
    epoch_is_over = progress.step > 0 and progress.step % plan.batches_per_epoch == 0
    if _due(progress.step, progress.saved_step, plan.batches_per_epoch if epoch_is_over else plan.checkpoint_every):
        return Phase.CHECKPOINT
    if due := _evaluation_due(progress, plan, evaluating):
        if plan.evaluation == "swap" and not progress.swapped:  # the evaluation model is loaded from a checkpoint
            return Phase.SWAP if progress.saved_step >= progress.step else Phase.CHECKPOINT
        return due
    over = is_over(progress, plan)
    if evaluating and (epochs >= plan.max_epochs or over):
        return Phase.EVALUATE
    if over:
        return Phase.CHECKPOINT if progress.saved_step < progress.step else Phase.DONE
    return Phase.SWAP if plan.evaluation == "swap" and progress.swapped else Phase.TRAIN


def _evaluation_due(progress: Progress, plan: Plan, evaluating: int) -> Phase | None:
    """Return the evaluation that is due at this step: that of an epoch, one within it, or none."""
    if progress.step > 0 and progress.step % plan.batches_per_epoch == 0:
        evaluated = max(progress.evaluated_epoch * plan.batches_per_epoch, evaluating)
        return Phase.EVALUATE if progress.step > evaluated else None
    if plan.max_steps and progress.step >= plan.max_steps > max(progress.probed_step, evaluating):
        return Phase.PROBE  # the last batch's error rates
    probe = plan.evaluate_every and _due(progress.step, max(progress.probed_step, evaluating), plan.evaluate_every)
    return Phase.PROBE if probe else None


def next_evaluation(progress: Progress, plan: Plan) -> float:
    """Return the step at which the next evaluation is due, after those that are known."""
    last = max(progress.evaluated_epoch * plan.batches_per_epoch, progress.probed_step)
    limit = [plan.max_steps] * (0 < plan.max_steps > last)
    return min(*limit, *((last // n + 1) * n for n in (plan.batches_per_epoch, plan.evaluate_every) if n), math.inf)


def is_over(progress: Progress, plan: Plan) -> bool:
    """Return whether all targets are reached, a limit of epochs, batches or seconds, or the end of patience."""
    targets = [(metric, level) for metric, levels in plan.targets.items() for level in levels]
    reached = bool(targets) and all(progress.lowest.get(metric, float("inf")) <= level for metric, level in targets)
    waited = progress.evaluated_epoch - progress.improved_epoch
    impatient = bool(plan.patience) and progress.evaluated_epoch > 0 and waited >= plan.patience
    steps = bool(plan.max_steps) and progress.step >= plan.max_steps
    limits = progress.evaluated_epoch >= plan.max_epochs or progress.ended_s >= plan.max_seconds
    return reached or limits or steps or impatient


def segment_batches(progress: Progress, plan: Plan) -> int:
    """Return how many batches the next train row covers: up to the next event, at most `plan.segment`."""
    events = (plan.generate_every, plan.checkpoint_every, plan.batches_per_epoch, plan.evaluate_every)
    to_limit = [plan.max_steps - progress.step] * (0 < plan.max_steps > progress.step)
    return min(plan.segment, *to_limit, *(every - progress.step % every for every in events if every))


def _due(step: int, last: int, every: int) -> bool:
    return step > last and step % every == 0
