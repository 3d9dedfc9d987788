"""The judge: runs in, a judgement out; which platform reaches a given error rate soonest.

judgement = judge(read_runs(...), Question(window=3, clock="wall"))
for group in judgement: group.label, group.levels[0].minutes
judgement.warnings                          # what to doubt about it, a sentence each
judgement.to_frame()                        # pandas: a row for each group, metric and level
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

from benchmark.judge import guard
from benchmark.judge.apart import kept_apart, said
from benchmark.judge.checks import warnings
from benchmark.judge.groups import Group, Level, judged_groups
from benchmark.judge.question import Question
from benchmark.record import CLOCKS, POOLED, Run, RunRecord

if TYPE_CHECKING:
    from pandas import DataFrame


NO_REFERENCE: dict[str, object] = dict.fromkeys(guard.FIELDS)


@dataclass(frozen=True)
class Judgement(Sequence[Group]):
    """The groups in the order in which they are shown, the question, and all runs, also those without a row.

    The question has the fields in `by` that keep runs apart which do not compare; `asked` is without them.
    """

    groups: tuple[Group, ...]
    question: Question
    runs: tuple[Run, ...]
    asked: Question | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, index: int) -> Group: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Group, ...]: ...

    def __getitem__(self, index: int | slice) -> Group | tuple[Group, ...]:
        return self.groups[index]

    @cached_property
    def warnings(self) -> list[str]:
        """Return the warnings, each a sentence that says what to doubt and what to do."""
        apart = said(self.runs, self.question, self.asked or self.question)
        return apart + warnings(self.runs, self.groups, self.question)

    def blocks(self) -> Iterator[tuple[Group, ...]]:
        """Yield the groups that may stand in one table: of one workload, real or emulated, never both."""
        keys = dict.fromkeys((group.emulated, group.workload) for group in self.groups)
        for key in keys:
            yield tuple(group for group in self.groups if (group.emulated, group.workload) == key)

    def long_rows(self) -> list[dict[str, object]]:
        """Return a row for each group, metric and level in full precision; None is not reached or not known."""
        return [
            _long_row(group, level, self.question) | beside.get((level.metric, level.percent), NO_REFERENCE)
            for group in self.groups
            for beside in [guard.by_level(group, self.question)]
            for level in group.levels
        ]

    def to_frame(self) -> DataFrame:
        """Return `long_rows` as a pandas DataFrame."""
        import pandas  # here: it takes longer to import than a judgement

        return pandas.DataFrame(self.long_rows())


def judge(runs: Iterable[Run | RunRecord], question: Question | None = None) -> Judgement:
    """Group and judge runs. Those of one platform that differ in what must agree are kept apart, with a warning.

    Raises:
        JudgeError: a run was given twice, or a run.json cannot be used.
    """
    asked = question or Question()
    given = tuple(run if isinstance(run, Run) else Run(run) for run in runs)
    question = kept_apart(given, asked)
    return Judgement(tuple(judged_groups(given, question)), question, given, asked)


def _long_row(group: Group, level: Level, question: Question) -> dict[str, object]:
    agreed = {name: group.values(name)[0] if group.runs else None for name in POOLED}
    return {
        "platform": group.platform,
        **agreed,
        "workload": group.workload,
        "emulated": group.emulated,
        "published": group.published,
        **{name: group.values(name) for name in ("seed", "run")},
        "metric": level.metric,
        "level_percent": level.percent,
        "window_epochs": question.window,
        "clock": question.clock,
        "every_evaluation": question.every_evaluation,
        "runs": len(group.runs),
        "n": level.n,
        "reached": level.reached,
        "missed": level.missed,
        "unfinished": level.unfinished,
        "tta_minutes": level.minutes,
        "interval_low_minutes": level.interval_minutes[0] if level.interval_minutes else None,
        "interval_high_minutes": level.interval_minutes[1] if level.interval_minutes else None,
        "median_minutes": level.median_minutes,
        "step": level.step,
        "cv": level.cv,
        "min_minutes": min(level.times.reached_times) / 60 if level.reached else None,
        "max_minutes": max(level.all_minutes) if level.all_minutes else None,
        "olympic_minutes": level.olympic_minutes,
        "first_crossing_minutes": level.first_minutes,
        "interpolated_minutes": level.crossing_minutes,
        **{f"{clock}_minutes": level.clock_minutes(clock) for clock in CLOCKS},
        "epochs_to_target": level.epoch,
        "best_percent": group.best.get(level.metric),
        "seconds_per_epoch": group.seconds_per_epoch,
        "startup_s": group.startup_s if group.runs else None,
        "utterances_per_s": group.utterances_per_s,
        "tflop_per_s": group.tflop_per_s,
        "input_share": group.input_share,
        "epochs": group.epochs,
        "run_minutes": group.minutes,
        "so_far": group.is_so_far,
        "evaluation_share": group.evaluation_share,
    }
