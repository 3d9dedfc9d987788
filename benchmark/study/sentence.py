"""The answer of a study in one sentence: is it enough, what twice the data would bring, and how far that was looked at.

    sentence(found, fitted, curve, band, metric="wer")
    # "Not enough: twice the data (3.6 h more) takes WER 16.0 to 13.9; no rule is reached up to 3,200 utterances."

What twice the data takes away is the curve's, from the largest size that it was fitted to. A rule is one of the three
of `benchmark.study.saturation`; enough is what any of them says, with its name, as each is about something else.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmark.judge.question import metric_name
from benchmark.study.curves import Band, Curve, Point, faultless_sizes, fitted_points, named
from benchmark.study.results import Observation
from benchmark.study.saturation import Saturation, by_asymptote, by_gain, gains, knee
from benchmark.tables import number

RULES = ("a doubling gains less than these seeds tell", "the error is near what no data goes below", "the curve bends")


def sentence(
    found: Sequence[Observation], fitted: Sequence[Point], curve: Curve, band: Band, *, metric: str = "wer"
) -> str:
    """Return the answer of one protocol; `fitted` are the points of its curve."""
    sizes = sorted({point.size for point in fitted_points(fitted)})
    largest = sizes[-1]
    if (faultless := faultless_sizes(fitted)) and min(faultless) > sizes[0]:
        return (
            f"Enough, on this test set, from {named({min(faultless)})} utterances on: no run made an error there; a "
            f"harder test would tell more."
        )
    rules = (by_gain(fitted, curve, band), by_asymptote(curve, band, fitted), knee(fitted))
    reached = [(name, rule) for name, rule in zip(RULES, rules, strict=True) if rule.size is not None]
    doubling = _doubling(found, curve, largest, metric)
    if reached:
        said = "; ".join(f"{name} (from {_from(rule)})" for name, rule in reached)
        size = min(rule.size for _, rule in reached if rule.size is not None)
        start = f"Enough from {size:,.0f} utterances on by {len(reached)} of {len(RULES)} rules: {said}"
        return f"{start}; {doubling}, by the curve."
    (gain,) = gains(curve, band, [largest])
    until = f"no rule is reached up to {largest:,.0f} utterances"
    if gain.low is not None and gain.low <= 0:
        return f"Not known whether it is enough: {doubling}, which is not told from nothing; {until}."
    return f"Not enough: {doubling}; {until}."


def _doubling(found: Sequence[Observation], curve: Curve, largest: float, metric: str) -> str:
    """Say what twice the data does to the error: "twice the data (3.6 h more) takes WER 16.0 to 13.9"."""
    here = [each for each in found if each.samples == largest]
    hours = statistics.fmean(each.hours for each in here) if here else 0.0
    more = f" ({_hours(hours)} more)" if hours else ""
    name = metric_name(metric) if all(each.test for each in found) else f"dev {metric_name(metric)}"
    now, then = (float(curve.at(size)) for size in (largest, 2 * largest))
    digits = 1 if now - then >= 0.1 else 2
    return f"twice the data{more} takes {name} {now:.{digits}f} to {then:.{digits}f}"


def _hours(hours: float) -> str:
    if hours < 1:
        return f"{number(60 * hours)} minutes"
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def _from(rule: Saturation) -> str:
    between = f", 95%: {rule.low:,.0f} to {rule.high:,.0f}" if rule.low is not None and rule.high is not None else ""
    return f"{rule.size:,.0f}{between}"
