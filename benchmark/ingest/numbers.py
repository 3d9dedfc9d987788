"""The epochs of a log's evaluations: which of several ways of counting them its numbers follow.

    numbered(timeline)          # Timeline, whose evaluations say how many epochs were trained when they began

An evaluation's number is one of these, whichever puts every evaluation into the epoch during or after which it stands
in the log:

    an index       the epoch that was trained last, counted as epoch_start counts
    an amount      the epochs trained so far; it may be a fraction
    a place        the number of the epoch under way, from 1, and the fraction of it that is done

An evaluation may also stand beside the training of the next epoch, or behind all training, as those of kept checkpoints
do. Where none fits, or two do and differ, the log is refused with the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark.ingest.events import IngestError
from benchmark.ingest.timeline import NEAR, Evaluation, Timeline

LATE = (
    "evaluations stand behind later epochs, and epochs are counted from 0: the numbers of the evaluations are taken as "
    "epochs trained, and could be one too low"
)


def numbered(taken: Timeline) -> Timeline:
    """Return a timeline whose evaluations say how many epochs were trained when they began.

    Raises:
        IngestError: their numbers fit no way of counting, or two ways that differ.
    """
    there = taken.evaluations
    unknown = [each for each in there if each.epochs is None]
    if unknown and len(unknown) < len(there):
        raise IngestError(
            f"{taken.source}:{unknown[0].line}: only some evaluations have an epoch number; expected it in all"
        )
    if unknown or not there:
        amounts = [taken.units[each.unit].high if each.unit >= 0 else 0.0 for each in there]
        return _with(taken, amounts)
    for beside in (False, True):
        fitting = [
            way
            for way in _ways(taken)
            if all(_fits(taken, *each, beside=beside) for each in zip(there, way, strict=True))
        ]
        if len(fitting) > 1:
            raise IngestError(
                f"{taken.source}:{there[0].line}: nothing tells whether the evaluation of epoch {there[0].epochs:g} "
                f"stands after {fitting[0][0]:g} or {fitting[1][0]:g} epochs; expected an epoch_start for each epoch"
            )
        if fitting:
            return _with(taken, fitting[0])
    return _late(taken)


def _ways(taken: Timeline) -> list[list[float]]:
    """Return the epochs trained at each evaluation by every way of counting that gives other figures."""
    given = [each.epochs for each in taken.evaluations]
    if all(each.is_whole for each in taken.evaluations):
        ways = [[number + 1 - taken.base for number in given], given]
    else:
        ways = [given, [number - taken.base for number in given]]
    return [list(way) for way in dict.fromkeys(map(tuple, ways))]


def _fits(taken: Timeline, evaluation: Evaluation, amount: float, *, beside: bool) -> bool:
    """Whether an evaluation after so many epochs may stand where it does; with `beside`, in the next one's training."""
    if evaluation.unit < 0:
        return amount == 0
    unit = taken.units[evaluation.unit]
    if evaluation.started_s >= unit.ended_s:
        return abs(amount - unit.high) < NEAR
    return unit.low < amount < unit.high + NEAR or beside and amount == unit.low > 0


def _late(taken: Timeline) -> Timeline:
    """Number evaluations that stand behind later epochs, as those of kept checkpoints do."""
    there = taken.evaluations
    most = [taken.units[each.unit].high if each.unit >= 0 else 0.0 for each in there]
    fitting = [
        way
        for way in _ways(taken)
        if all(0 < each <= high for each, high in zip(way, most, strict=True)) and way == sorted(set(way))
    ]
    if not fitting:
        each = next(
            each
            for each, amount in zip(there, _ways(taken)[0], strict=True)
            if not _fits(taken, each, amount, beside=True)
        )
        under_way = f"{taken.units[each.unit].high - 1 + taken.base:g}" if each.unit >= 0 else "none"
        raise IngestError(
            f"{taken.source}:{each.line}: an evaluation of epoch {each.epochs:g}, where the last epoch begun is "
            f"{under_way}; expected the number of an epoch that was trained, counted the same way in all lines"
        )
    notes = (*taken.notes, LATE) if len(fitting) > 1 else taken.notes
    return _with(replace(taken, notes=notes), fitting[-1])


def _with(taken: Timeline, amounts: Sequence[float]) -> Timeline:
    """Return a timeline with these epochs, rounded to whole ones where they are near, at the end of a unit."""
    changed = []
    for each, amount in zip(taken.evaluations, amounts, strict=True):
        high = taken.units[each.unit].high if each.unit >= 0 else 0.0
        changed.append(replace(each, epochs=high if abs(amount - high) < NEAR else amount))
    return replace(taken, evaluations=tuple(changed))
