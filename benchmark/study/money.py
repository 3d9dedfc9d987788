"""What the same money buys: further hours of speech, further training, or a larger rig.

    parts = money_parts(found, curve, band, metric="wer", speech_price=60.0)

All of it from the largest size on. What further speech gains is what the curve says; what further training gains is
what the last quarter of the training gained; a larger rig gains minutes, and points only through the data that it could
train on in the same time.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

from benchmark.study.curves import Band, Curve, faultless_sizes, fitted_points
from benchmark.study.results import Observation, points
from benchmark.tables import Table, money, number, without_empty

FASTER = 2.0  # times as fast is a larger rig
LAST = 0.25  # of the training


def money_parts(
    found: Sequence[Observation], curve: Curve, band: Band, *, metric: str, speech_price: float | None = None
) -> list[str | Table]:
    """Return a table of what further speech, further training and a larger rig gain; [] where hours are not known.

    All of it from the largest size that the curve was fitted to. Where no run of the largest made an error, a sentence.

    `speech_price` is what an hour of transcribed speech costs, in the currency of the platform's price.
    """
    every = points(found, metric)
    largest = max(each.samples for each in found)
    if largest in faultless_sizes(every):
        nothing = "on this test set nothing more can be gained, by speech, training or a larger rig"
        way = "test on more speech, or on harder speech, to tell what more would bring"
        return [f"No run of {largest:,} utterances made an error: {nothing}; {way}"]
    largest = int(max(point.size for point in fitted_points(every)))
    here = [each for each in found if each.samples == largest]
    hours = statistics.fmean(each.hours for each in here)
    if not hours:
        return []
    known = [each.run_minutes for each in here if each.run_minutes is not None]
    minutes = statistics.fmean(known) if len(known) == len(here) else None
    costs = [each.cost for each in here if each.cost is not None]
    cost, currency = (statistics.fmean(costs), here[0].currency) if costs else (None, here[0].currency)
    rows = [
        _of_speech("an hour of speech", 1 / hours, largest, curve, band, hours, minutes, cost, currency, speech_price),
        _of_speech("twice the speech", 1.0, largest, curve, band, hours, minutes, cost, currency, speech_price),
        _of_training(here, metric, minutes, cost, currency),
    ]
    name = metric.upper()
    header = (
        "further",
        "points",
        "95% interval",
        "hours of speech",
        "minutes",
        "cost of speech",
        "of training",
        "known cost a point",
    )
    title = f"What more would gain, from {largest:,} utterances ({number(hours)} hours) on: points of {name}"
    doubled = float(curve.at(largest) - curve.at(FASTER * largest))
    takes = f": it takes {number(minutes / FASTER)} minutes, not {number(minutes)}" if minutes is not None else ""
    words = (
        f"A rig {FASTER:g} times as fast gains no point by itself{takes}. In the same minutes it could train on "
        f"{FASTER:g} times the data, and that is worth {doubled:.2f} points if {number((FASTER - 1) * hours)} further "
        f"hours of speech are there."
    )
    return [without_empty(Table(title, header, tuple(rows)), header[4:]), words]


def _of_speech(
    what: str, share: float, largest: int, curve: Curve, band: Band, hours: float, minutes: float | None,
    cost: float | None, currency: str, speech_price: float | None,
) -> tuple[str, ...]:  # fmt: skip
    """Return a row: what so large a share of the data gains on top of it. Training takes as much longer."""
    points = gained(curve, largest, share)
    bounds = band.of(partial(gained, size=largest, share=share))
    speech = None if speech_price is None else speech_price * share * hours
    training = None if cost is None else cost * share
    known = [amount for amount in (speech, training) if amount is not None]
    each = sum(known) / points if known and points > 0 else None
    between = f"{bounds[0]:.2f} to {bounds[1]:.2f}" if bounds else "NA"
    sums = (money(speech, currency), money(training, currency), money(each, currency))
    return (what, f"{points:.2f}", between, number(share * hours), number(_times(minutes, share)), *sums)


def _times(minutes: float | None, share: float) -> float | None:
    return None if minutes is None else share * minutes


def gained(curve: Curve, size: float, share: float) -> float:
    """Return the points that a share more of the data takes away."""
    return float(curve.at(size) - curve.at(size * (1 + share)))


def _of_training(
    here: Sequence[Observation], metric: str, minutes: float | None, cost: float | None, currency: str
) -> tuple[str, ...]:
    """Return a row: what the last part of the training gained on dev, by the best error until then."""
    values = [value for each in here if (value := _late_gain(each, metric)) is not None]
    points = statistics.fmean(values) if values else None
    between = f"{min(values):.2f} to {max(values):.2f} (runs)" if len(values) > 1 else "NA"
    training = None if cost is None else cost * LAST
    each = training / points if training is not None and points else None
    shown = "NA" if points is None else f"{points:.2f}"
    sums = ("", money(training, currency), money(each, currency))
    return (f"training: its last {LAST:.0%}", shown, between, "", number(_times(minutes, LAST)), *sums)


def _late_gain(run: Observation, metric: str) -> float | None:
    """Return by how many points the lowest dev error fell in the last part of a run's batches."""
    evaluations = run.record.evaluations if run.record else ()
    early = [
        error
        for row in evaluations
        if row.step <= (1 - LAST) * run.steps and (error := getattr(row, metric)) is not None
    ]
    late = [error for row in evaluations if (error := getattr(row, metric)) is not None]
    return min(early) - min(late) if early and late else None
