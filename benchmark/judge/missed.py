"""Which rigs missed the hardest level, where an answer is about an easier one.

missed_sentence(groups, "wer", 30.0)   # "WER 22 was missed by slow (1 of 3 runs): this is about WER 30."
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.judge.circumstances import some
from benchmark.judge.groups import Group
from benchmark.judge.question import level_name


def missed_sentence(groups: Sequence[Group], metric: str, percent: float) -> str:
    """Say which measured rigs missed the hardest level of a metric; "" if it is the answer's, or none missed it."""
    measured = [group for group in groups if group.runs and not group.emulated]
    levels = [
        min((level for level in group.levels if level.metric == metric), key=lambda level: level.percent, default=None)
        for group in measured
    ]
    hardest = min((level.percent for level in levels if level), default=percent)
    missed = [
        f"{group.label} ({level.missed} of {len(level.seconds)} runs)"
        for group, level in zip(measured, levels, strict=True)
        if level and level.percent == hardest and level.missed
    ]
    if hardest >= percent or not missed:
        return ""
    return f"{level_name(metric, hardest)} was missed by {some(missed)}: this is about {level_name(metric, percent)}."
