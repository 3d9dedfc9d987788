"""The figures that a bundle claims, which follow from its rows: times to accuracy, error rates, throughput.

claims = claims_of(run)             # plain values, rounded to 6 digits; sealed in seal.json
unlike(claims, sealed)              # what differs: ("tta_s.wer.22", 61.2, 57.0); None where nothing does
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from benchmark.metrics import USUAL
from benchmark.record import Run

WINDOW = 3  # epochs: the e of TTA(a, e)
DIGITS = 6
TOLERANCE = 2e-6  # of a value: sums in another order, rounded


def claims_of(run: Run) -> dict[str, Any]:
    """Return what a run's rows say, by the run's own targets; None is not reached, or not known."""
    record = run.record
    targets = run.facts.targets if run.facts else {}
    return {
        "epochs": record.evaluated_epoch,
        "wall_s": _rounded(record.ended_s - record.created_s),
        "lowest_median": {metric: _rounded(record.best_median(metric, window=WINDOW)) for metric in USUAL},
        "tta_s": {
            metric: {
                f"{level:g}": _rounded(record.time_to_accuracy_s(metric, level, window=WINDOW)) for level in levels
            }
            for metric, levels in sorted(targets.items())
        },
        "utterances_per_s": _rounded(record.utterances_per_s),
        "tflop_per_s": _rounded(record.tflop_per_s),
    }


def unlike(found: Mapping[str, Any], sealed: Any) -> tuple[str, Any, Any] | None:
    """Return the first figure that is claimed otherwise than it follows from the rows: its name, found, claimed."""
    mine, theirs = dict(_flat(found)), dict(_flat(sealed))
    for name in (*mine, *(name for name in theirs if name not in mine)):
        if not _alike(mine.get(name), theirs.get(name)):
            return name, mine.get(name), theirs.get(name)
    return None


def _alike(one: Any, other: Any) -> bool:
    if any(value is None or isinstance(value, bool | str) for value in (one, other)):
        return one is None and other is None
    try:
        return math.isclose(one, other, rel_tol=TOLERANCE)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}".lstrip("."))
    else:
        yield name, value if value is None or isinstance(value, bool | str | int | float) else str(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(f"{value:.{DIGITS}g}")
