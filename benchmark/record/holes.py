"""Whether rows are missing from a journal, come twice or changed places: then every figure would be another one.

    check_whole(source, table, plan=plan, end=end)      # JournalError names the line, what was found and expected

Three things say so. The plan of a run says which row follows each; without it (a journal without its folder, or with
that of an older version) batches and epochs have to follow one another and the clock may not jump. The run's end says
where the last row stands. The rows of a process that was killed may end anywhere.

What `benchmark.run.state.progress` decides row by row is asked here of all rows of an attempt at once, since a judge
reads many journals; a test holds that both agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.record.columns import JournalError
from benchmark.record.folder import FINISHED, End
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.record.table import CHECKS, Problem, Table

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record.short import np

JUMP_S = 0.25
"""The longest time between two rows of a journal without a plan; a view and a write take some milliseconds.

A row that took less, of a journal that is judged without its folder, may be missing without a word.
"""
END_TOLERANCE_S = 0.06  # a spreadsheet program may have saved a single decimal
NOT_KNOWN = "not known"  # the features of a run that was made of another program's log
ORIGINAL = "rows are missing or came in between; take the original"
OF_FOLDER = f"{ORIGINAL}, or put the run's folder next to it"


def check_complete(source: str, table: Table) -> None:
    """Check that no rows are missing at the beginning of an attempt, or under an evaluation: the times would be others.

    Raises:
        JournalError: some are; the message names the line before which they are missing.
    """
    _refuse(source, _beginning_missing(table.columns) or _untrained(table.columns))


def check_rows(source: str, table: Table) -> None:
    """Check rows that were made by hand as those of a file are: what must hold between them, and that none is missing.

    Raises:
        JournalError: the message names the line that the row would have.
    """
    _refuse(source, min((problem for check in CHECKS if (problem := check(table.columns))), default=None))
    check_complete(source, table)


def check_whole(source: str, table: Table, *, plan: Plan | None = None, end: End | None = None) -> None:
    """Check that every row is there, once and in its place, as far as plan and end say.

    Raises:
        JournalError: the message names the line, what was found, what was expected and the way out.
    """
    check_complete(source, table)
    if table.identity is None or table.identity.features == NOT_KNOWN:
        return
    attempts = _Attempts(table)
    finished = end is not None and end.status == FINISHED
    _refuse(source, attempts.against(plan, finished=finished) if plan else attempts.among_themselves(finished=finished))
    _refuse(source, _after_the_end(attempts, plan, end) if end else None)


def check_made(source: str, table: Table, *, rows: int | None) -> None:
    """Check a run that was made of another program's log, which followed no plan; `rows` were made, if that is known.

    Raises:
        JournalError: the message names the line, what was found, what was expected and the way out.
    """
    check_complete(source, table)
    if rows is not None and len(table) != rows:
        _refuse(source, (len(table) - 1, f"the last of {len(table)} rows; expected {rows}, by run.json: {ORIGINAL}"))


def _refuse(source: str, problem: Problem) -> None:
    if problem:
        number, sentence = problem
        raise JournalError(f"{source}:{number + 2}: {sentence}")  # line 1 is the header


def _beginning_missing(columns: dict[str, np.ndarray]) -> Problem:
    """Return the first row of an attempt that is no creation: times would count from somewhere in the middle."""
    phases, attempts = columns["phase"], columns["attempt"]
    for number in np.flatnonzero(np.diff(attempts, prepend=0) != 0):
        if phases[number] != Phase.CREATE.value:
            found = f"attempt {attempts[number]} begins with phase {str(phases[number])!r}"
            return int(number), f"{found}; expected 'create': rows are missing; take the whole file"
    if len(attempts) and attempts[0] != 1:
        return 0, f"the first row is of attempt {attempts[0]}; expected 1: rows are missing; take the whole file"
    return None


def _untrained(columns: dict[str, np.ndarray]) -> Problem:
    """Return the first evaluation of an epoch that no row above trained."""
    phases, epochs = columns["phase"], columns["epoch"]
    trained = np.maximum.accumulate(np.where(phases == Phase.TRAIN.value, epochs, 0)) if len(epochs) else epochs
    evaluated = np.isin(phases, [phase.value for phase in EVALUATED])
    for number in np.flatnonzero(evaluated & (epochs > trained))[:1]:
        sentence = f"an evaluation of epoch {epochs[number]}, which no row above trains; expected whole files"
        return int(number), f"{sentence}: rows are missing; take the original"
    return None


def _after_the_end(attempts: _Attempts, plan: Plan | None, end: End) -> Problem:
    """Return the last row, if end.json says that the run stood elsewhere when it ended."""
    if not end.step and not end.clock_s:
        return None  # it does not say where
    columns, step = attempts.columns, attempts.each[-1].reached
    ended_s = float((columns["started_s"] + columns["seconds"]).max())
    last = len(columns["step"]) - 1
    if step != end.step or abs(ended_s - end.clock_s) > END_TOLERANCE_S:
        return last, (
            f"the rows end after batch {step}, at {ended_s:.1f} s; expected batch {end.step}, at {end.clock_s:.1f} s, "
            f"where the run was {end.status} by its end.json: rows are missing at the end; take the whole file"
        )
    if plan and end.status == FINISHED and (missing := attempts.undone(plan)):
        return last, f"the last row; expected one of the {missing} too, as the run has {end.status}: {ORIGINAL}"
    return None


# --- rows that follow one another ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stand:
    """Where an attempt begins: the batch that it goes on from, and what had been done by then and still holds."""

    step: int = 0
    generated: int = 0
    saved: int = 0
    probed: int = 0
    epoch: int = 0  # the last one evaluated


@dataclass(frozen=True, eq=False)
class _Attempt:
    """The rows of one attempt below its creation; `first` is the number of the first of them in the journal."""

    first: int
    stand: _Stand
    phases: np.ndarray
    steps: np.ndarray
    epochs: np.ndarray

    @cached_property
    def evaluated(self) -> np.ndarray:
        """Which rows are evaluations, bool [rows]."""
        return self._are(Phase.EVALUATE) | self._are(Phase.PROBE)

    @cached_property
    def _which(self) -> dict[Phase, np.ndarray]:
        return {phase: self.phases == phase.value for phase in Phase}

    def _are(self, phase: Phase) -> np.ndarray:
        return self._which[phase]

    def before(self, which: np.ndarray, values: np.ndarray, start: int) -> np.ndarray:
        """Return the largest value so far, `start` or of the rows in `which`, as each row finds it; int64 [rows]."""
        return np.maximum.accumulate(np.concatenate([[start], np.where(which, values, start)]))[:-1]

    @property
    def reached(self) -> int:
        """The batch after which the attempt stands."""
        return int(self.steps[~self.evaluated].max(initial=self.stand.step))

    @cached_property
    def found_at(self) -> np.ndarray:
        """The batch after which each row began; int64 [rows]."""
        return self.before(~self.evaluated, self.steps, self.stand.step)

    def problem(self, wrong: np.ndarray, sentence: Callable[[int], str]) -> Problem:
        """Return the first wrong row with its number in the journal."""
        numbers = np.flatnonzero(wrong)
        return (self.first + int(numbers[0]), sentence(int(numbers[0]))) if len(numbers) else None


class _Attempts:
    """The attempts of a journal, each with where it began."""

    def __init__(self, table: Table) -> None:
        self.columns, self.evaluation = table.columns, table.identity.evaluation
        attempts, steps = table.columns["attempt"], table.columns["step"]
        bounds = [*np.flatnonzero(np.diff(attempts, prepend=0)).tolist(), len(table)]
        self.each: list[_Attempt] = []
        self.unknown: Problem = None
        standing = np.zeros(0, np.int64)  # the numbers of the rows that still hold
        for first, after in zip(bounds, bounds[1:], strict=False):
            at = int(steps[first])
            standing = standing[steps[standing] <= at]
            stand = self._stand(standing, at)
            if at > int(steps[standing].max(initial=0)) and not self.unknown:
                sentence = f"attempt {attempts[first]} goes on from batch {at}, which no row above reaches; {ORIGINAL}"
                self.unknown = first, sentence
            rows = slice(first + 1, after)
            parts = (table.columns[name][rows] for name in ("phase", "step", "epoch"))
            self.each.append(_Attempt(first + 1, stand, *parts))
            standing = np.concatenate([standing, np.arange(first, after)])

    def _stand(self, standing: np.ndarray, at: int) -> _Stand:
        phases, steps, epochs = (self.columns[name][standing] for name in ("phase", "step", "epoch"))

        def last(phase: Phase, values: np.ndarray) -> int:
            return int(values[phases == phase.value].max(initial=0))

        return _Stand(
            step=at,
            generated=last(Phase.GENERATE, steps),
            saved=last(Phase.CHECKPOINT, steps),
            probed=last(Phase.PROBE, steps),
            epoch=last(Phase.EVALUATE, epochs),
        )

    def against(self, plan: Plan, *, finished: bool) -> Problem:
        """Return the first row that is not what the plan has next; `finished`: the last attempt did all of it."""
        found = [self.unknown]
        for each in self.each:
            if (due := _evaluation_after(each.stand, plan)) < each.stand.step:
                sentence = (
                    f"create goes on from batch {each.stand.step}; expected the evaluation after batch {due} before"
                )
                found.append((each.first - 1, f"{sentence} it: {ORIGINAL}"))
            found += [_by_plan(each, plan, ended=finished and each is self.each[-1]), _trained(each, plan)]
        return min(filter(None, found), default=None)

    def among_themselves(self, *, finished: bool) -> Problem:
        """Return the first row that does not follow the one above by batches, epochs and clock."""
        overlap = self.evaluation == "overlap"
        found = [
            self.unknown,
            self._jump(overlap=overlap, finished=finished),
            *(_by_steps(each, overlap=overlap) for each in self.each),
        ]
        return min(filter(None, found), default=None)

    def undone(self, plan: Plan) -> str:
        """Return what the last attempt had to do and has no row for, where the run was over; "" if there is nothing."""
        each = self.each[-1]
        due, written, at = _due(each, plan), int(each.evaluated.sum()), each.reached
        if written < len(due):
            return f"evaluation after batch {due[written]}"
        generated = each.steps[each._are(Phase.GENERATE)].max(initial=each.stand.generated)
        if at > generated and at % plan.generate_every == 0:
            return f"{Phase.GENERATE.value} after batch {at}"
        saved = each.steps[each._are(Phase.CHECKPOINT)].max(initial=each.stand.saved)
        is_due = at % plan.batches_per_epoch == 0 or at % plan.checkpoint_every == 0
        return f"{Phase.CHECKPOINT.value} after batch {at}" if at > saved and is_due else ""

    def _jump(self, *, overlap: bool, finished: bool) -> Problem:
        """Return the first row that begins long after all above it ended, within an attempt."""
        starts_s, attempts = self.columns["started_s"], self.columns["attempt"]
        order = np.lexsort((starts_s, attempts))
        ends_s = np.maximum.accumulate((starts_s + self.columns["seconds"])[order])
        within = np.diff(attempts[order]) == 0
        gaps_s = starts_s[order][1:] - ends_s[:-1]
        for place in np.flatnonzero(within & (gaps_s > JUMP_S)):
            number = int(order[place + 1])
            did_all = finished and attempts[number] == attempts[-1]
            if overlap and not did_all and self._is_lost(number):
                continue
            return number, (
                f"started_s is {starts_s[number]:.3f}, {gaps_s[place]:.3f} s after the rows above ended; expected "
                f"{ends_s[place]:.3f}: {OF_FOLDER}"
            )
        return None

    def _is_lost(self, number: int) -> bool:
        """Return whether an evaluation beside training began before this row and was lost with its process.

        Training goes on then with another epoch, unless the run evaluates within epochs.
        """
        steps, attempts, phases = (self.columns[name] for name in ("step", "attempt", "phase"))
        at, evaluations = steps[number - 1], np.isin(phases, [phase.value for phase in EVALUATED])
        begins = (
            phases[number] == Phase.TRAIN.value and self.columns["epoch"][number] > self.columns["epoch"][number - 1]
        )
        probed = phases[number] in (Phase.TRAIN.value, Phase.CHECKPOINT.value) and (phases == Phase.PROBE.value).any()
        known = (evaluations & (attempts == attempts[number]) & (steps >= at)).any()
        return bool(at > 0 and (begins or probed) and not known)


def _evaluation_after(stand: _Stand, plan: Plan) -> int:
    """Return the batch after which the next evaluation is due where an attempt begins; none begins later."""
    last = max(stand.epoch * plan.batches_per_epoch, stand.probed)
    limit = [plan.max_steps] * (0 < plan.max_steps > last)
    return min(
        [*limit, *((last // every + 1) * every for every in (plan.batches_per_epoch, plan.evaluate_every) if every)]
    )


def _by_plan(each: _Attempt, plan: Plan, *, ended: bool) -> Problem:
    """Return the first row of an attempt whose phase is not the one that the plan has next.

    An attempt that no signal stopped `ended` the run: only then nothing that is due may be left undone at a checkpoint.
    """
    main = ~each.evaluated
    at = each.found_at
    generated = each.before(each._are(Phase.GENERATE), each.steps, each.stand.generated)
    saved = each.before(each._are(Phase.CHECKPOINT), each.steps, each.stand.saved)
    epoch_is_over = (at > 0) & (at % plan.batches_per_epoch == 0)
    save_every = np.where(epoch_is_over, plan.batches_per_epoch, plan.checkpoint_every)
    generates = (at > generated) & (at % plan.generate_every == 0)
    saves = (at > saved) & (at % save_every == 0)
    if plan.evaluation == "overlap":
        expected = np.where(saves, Phase.CHECKPOINT.value, Phase.TRAIN.value)
    else:
        expected = np.where(saves, Phase.CHECKPOINT.value, _evaluates(each, plan, at, saved))
    expected = np.where(generates, Phase.GENERATE.value, expected)
    wrong = expected != each.phases
    if plan.evaluation == "overlap":
        wrong &= main
    later = np.cumsum(main[::-1])[::-1] - main  # rows below that move the run on
    saved_last = each._are(Phase.CHECKPOINT) & (at > saved) & (later == 0)  # before an interruption, or at the end
    wrong &= ~(saved_last & (np.isin(expected, (Phase.TRAIN.value, Phase.SWAP.value)) | (not ended)))
    wrong |= each.evaluated & (each.steps == at) & (generates | saves)
    unsteady = main & ~each._are(Phase.TRAIN) & (each.steps != at)
    wrong |= unsteady | (each.epochs != -(-each.steps // plan.batches_per_epoch))
    beside = _beside(each, plan, at) if plan.evaluation == "overlap" else None

    def sentence(number: int) -> str:
        found = f"{each.phases[number]} of batch {each.steps[number]} and epoch {each.epochs[number]}"
        return f"{found}; expected {expected[number]} after batch {at[number]}, by the plan in run.json: {ORIGINAL}"

    return min(filter(None, (each.problem(wrong, sentence), beside)), default=None)


def _evaluates(each: _Attempt, plan: Plan, at: np.ndarray, saved: np.ndarray) -> np.ndarray:
    """Return the phase that follows generation and checkpoint where evaluation halts training; text [rows]."""
    evaluated = each.before(each._are(Phase.EVALUATE), each.epochs, each.stand.epoch)
    probed = each.before(each._are(Phase.PROBE), each.steps, each.stand.probed)
    swaps = np.cumsum(np.concatenate([[0], each._are(Phase.SWAP)]))[:-1] % 2 == 1
    ends = (at > 0) & (at % plan.batches_per_epoch == 0)
    evaluates = ends & (at > evaluated * plan.batches_per_epoch)
    probes = ~ends & _probes(at, probed, plan)
    due = np.where(evaluates, Phase.EVALUATE.value, np.where(probes, Phase.PROBE.value, ""))
    if plan.evaluation != "swap":
        return np.where(due == "", Phase.TRAIN.value, due)
    swap = np.where(saved >= at, Phase.SWAP.value, Phase.CHECKPOINT.value)
    trains = np.where(swaps, Phase.SWAP.value, Phase.TRAIN.value)
    return np.where(due == "", trains, np.where(swaps, due, swap))


def _probes(at: np.ndarray, probed: np.ndarray, plan: Plan) -> np.ndarray:
    """Return whether an evaluation within an epoch is due; bool [rows]."""
    last = (at >= plan.max_steps) & (plan.max_steps > probed) if plan.max_steps else np.zeros(len(at), bool)
    every = (at > probed) & (at % plan.evaluate_every == 0) if plan.evaluate_every else np.zeros(len(at), bool)
    return last | every


def _due(each: _Attempt, plan: Plan) -> np.ndarray:
    """Return the batches after which an attempt began evaluations, in order; int64 [evaluations]."""
    reached = np.unique(np.concatenate([[each.stand.step], each.steps[each._are(Phase.TRAIN)]]))
    ends = reached % plan.batches_per_epoch == 0
    evaluates = ends & (reached > each.stand.epoch * plan.batches_per_epoch)
    probes = ~ends & _probes(reached, np.full(len(reached), each.stand.probed), plan)
    return reached[(reached > 0) & (evaluates | probes)]


def _beside(each: _Attempt, plan: Plan, at: np.ndarray) -> Problem:
    """Return the first evaluation beside training that is not the next one, or batches that would have waited for one.

    At most one is under way: its row is there before training goes on from where the next is due.
    """
    due = _due(each, plan)
    written = np.cumsum(np.concatenate([[0], each.evaluated]))[:-1]
    padded = np.concatenate([due, [0]])
    expected = padded[np.minimum(written, len(due))]
    phase = np.where(expected % plan.batches_per_epoch == 0, Phase.EVALUATE.value, Phase.PROBE.value)
    other = each.evaluated & ((each.steps != expected) | (each.phases != phase) | (each.steps > at))
    begun = np.searchsorted(due, at, side="right")
    waits = each._are(Phase.TRAIN) & (written < begun - 1)

    def sentence(number: int) -> str:
        found = f"{each.phases[number]} of batch {each.steps[number]}"
        what = f"the evaluation after batch {expected[number]}" if expected[number] else "no evaluation"
        return f"{found}; expected {what} before it, by the plan in run.json: {ORIGINAL}"

    return each.problem(other | waits, sentence)


def _trained(each: _Attempt, plan: Plan) -> Problem:
    """Return the first train row that is not of as many batches as the plan has; an attempt's last may be of fewer."""
    numbers = np.flatnonzero(each._are(Phase.TRAIN))
    at = each.found_at[numbers]
    events = (plan.generate_every, plan.checkpoint_every, plan.batches_per_epoch, plan.evaluate_every)
    most = np.full(len(at), plan.segment)
    for every in filter(None, events):
        most = np.minimum(every - at % every, most)
    if plan.max_steps:
        most = np.where(plan.max_steps > at, np.minimum(most, plan.max_steps - at), most)
    steps = each.steps[numbers]
    wrong = steps != at + most
    if len(wrong):  # a signal ends the batch under way
        wrong[-1] &= not at[-1] < steps[-1] < at[-1] + most[-1]
    for place in np.flatnonzero(wrong)[:1]:
        expected = f"expected batches {at[place] + 1} to {at[place] + most[place]}, by the plan in run.json"
        return each.first + int(numbers[place]), f"train to batch {steps[place]}; {expected}: {ORIGINAL}"
    return None


def _by_steps(each: _Attempt, *, overlap: bool) -> Problem:
    """Return the first row of an attempt whose batch or epoch does not follow from those above."""
    at, trains, evaluates = each.found_at, each._are(Phase.TRAIN), each._are(Phase.EVALUATE)
    epochs = each.before(~each.evaluated, each.epochs, 0)
    epochs = np.where(np.cumsum(~each.evaluated) - ~each.evaluated > 0, epochs, each.epochs)
    evaluated = each.before(evaluates, each.epochs, each.stand.epoch)
    wrong = np.where(trains, each.steps <= at, ~each.evaluated & (each.steps != at))
    wrong |= trains & ((each.epochs > epochs + 1) | (each.epochs < epochs))
    wrong |= trains & (each.epochs > evaluated + (2 if overlap else 1))
    wrong |= evaluates & (each.epochs != evaluated + 1)
    wrong |= each.evaluated & (each.steps > at if overlap else each.steps != at)
    wrong |= each.evaluated & (each.steps <= each.before(each.evaluated, each.steps, 0))

    def sentence(number: int) -> str:
        found = f"{each.phases[number]} of batch {each.steps[number]} and epoch {each.epochs[number]}"
        above = f"batch {at[number]} of epoch {epochs[number]} and the evaluation of epoch {evaluated[number]}"
        return f"{found}, after {above}; expected rows that follow one another: {ORIGINAL}"

    return each.problem(wrong, sentence)
