"""Judges records: time to accuracy, which runs may be pooled, how rigs compare, what a training costs.

    from benchmark.judge import Question, judge, read_runs

    judgement = judge(read_runs("results/*.csv"), Question(metrics=("wer",), window=3))
    judgement.to_frame(), judgement.warnings
    factor(judgement).to_frame(), rig_costs(judgement).to_frame(), compare(judgement.groups).to_frame()

    question.py       what is asked, and at which levels
    apart.py          runs that do not compare: kept apart, and said
    groups.py         which runs may be pooled; what each group took to every level
    repetitions.py    which runs are repetitions: n, the number of different error curves
    estimates.py      intervals and tests of a few values
    prior.py          what is known of a single run beforehand: the spread of others' runs
    censored.py       the same where some runs did not get there: Kaplan-Meier, log-rank, intervals
    pooling.py        whether rigs' epochs may be pooled, and how many one rig takes by the pool
    factoring.py      epochs of all comparable rigs times seconds per epoch of one
    reference.py      how honest runs converged: reference.csv
    reference_table.py  the epochs to each target of the reference, for people
    guard.py          whether epochs to a level are fewer than the reference allows
    foretold.py       a run beside the estimate that was made of it
    stopping.py       how many runs are enough: a plan, equivalence, a rule for checks after each run
    checks.py         what to doubt about a judgement
    circumstances.py  how runs were made: machine, software, data, other load; what differs
    slow_hosts.py     which host of several made a run wait
    stillness.py      what runs that stood still would have taken without it
    judgement.py      the judge, and its result as a table for machines
    common.py         what compared rigs have in common: what they learn, and a level
    comparison.py     pairs of rigs: the machine, and the training as it was run
    pairs.py          what was found of two rigs, in words and tables
    merit.py          a ratio of times as steps, seconds a step, and the rest
    ranking.py        the answer first: soonest, cheapest, tied, and what would tell
    scaling.py        how speed grows with the number of machines
    profiles.py       rigs over many levels at once
    missed.py         who missed the hardest level
    terms.py          how a rig is paid for
    offered.py        which price is a rig's
    cost.py           what a training costs
    energy.py         what GPU boards took until a level was reached
    breakeven.py      from when on buying is cheaper than renting
    prices.py         costs for people
    beliefs.py        what is believed of rigs' times, and what a further probe or run would change
    choice.py         which rig to take, what to look at next, when to stop
    probes.py         estimates of runs that were not made, as probes of rigs
    candidates.py     the rigs that one could take, by their runs, estimates and offers
    choice_summary.py  a choice for people
    paired.py         statistics of two systems on the same utterances
    against.py        two runs' final evaluations, utterance by utterance
    against_summary.py  what is said of them
    published.py      the paper's tables
    summary.py        tables for people
    frames.py         results as pandas frames

It reads records, and neither trains nor needs TensorFlow.
"""

from __future__ import annotations

import glob
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.judge.comparison import at_common_levels, compare
    from benchmark.judge.cost import rig_costs
    from benchmark.judge.factoring import factor, leave_one_out
    from benchmark.judge.groups import Group, Level
    from benchmark.judge.judgement import Judgement, judge
    from benchmark.judge.merit import merits
    from benchmark.judge.profiles import profile_of
    from benchmark.judge.question import JudgeError, Question
    from benchmark.judge.ranking import answer
    from benchmark.judge.terms import PriceError, Terms
    from benchmark.record import Run

__all__ = (
    "Group",
    "JudgeError",
    "Judgement",
    "Level",
    "PriceError",
    "Question",
    "Terms",
    "answer",
    "at_common_levels",
    "compare",
    "factor",
    "judge",
    "leave_one_out",
    "merits",
    "profile_of",
    "read_runs",
    "rig_costs",
)


FROM = {
    "comparison": ("at_common_levels", "compare"),
    "cost": ("rig_costs",),
    "factoring": ("factor", "leave_one_out"),
    "groups": ("Group", "Level"),
    "judgement": ("Judgement", "judge"),
    "merit": ("merits",),
    "profiles": ("profile_of",),
    "question": ("JudgeError", "Question"),
    "ranking": ("answer",),
    "terms": ("PriceError", "Terms"),
}
"""Where the names are from. A module is loaded when it is asked for: a command waits for those alone that it needs."""


def __getattr__(name: str) -> Any:
    for module, names in FROM.items():
        if name in names:
            globals()[name] = found = getattr(importlib.import_module(f"benchmark.judge.{module}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def read_runs(paths: str | Iterable[str | Path]) -> list[Run]:
    """Read runs from their journals, by a pattern such as "results/*.csv" or one by one. Raises JournalError."""
    from benchmark.record import read_run

    found = sorted(glob.glob(paths)) if isinstance(paths, str) else paths
    return [read_run(path) for path in found]
