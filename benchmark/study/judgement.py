"""The answer of a study, in paragraphs and tables: the curve, what more data would bring, when it does not pay.

show(study_parts(observations("studies/mini"), metric="wer"))
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING

from benchmark.judge.estimates import Estimate, coefficient_of_variation
from benchmark.judge.published import saturation_study
from benchmark.judge.question import metric_name
from benchmark.study.curves import (
    WORST,
    Band,
    Curve,
    Point,
    StudyError,
    bootstrap,
    faultless_sizes,
    fit,
    fitted_points,
    left_out,
    named,
)
from benchmark.study.machines import load_parts, machine_parts, mean_of
from benchmark.study.money import money_parts
from benchmark.study.results import Observation, common_level, fitted_gaps, points, without_times
from benchmark.study.saturation import (
    Saturation,
    by_asymptote,
    by_gain,
    detectable,
    gains,
    has_repetitions,
    knee,
    linear_knee,
    spread_between_seeds,
)
from benchmark.study.sentence import sentence
from benchmark.study.worth import worth_table
from benchmark.tables import Table, cell, count, money, number, without_empty

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

DRAWS = 300


def study_parts(
    found: Sequence[Observation], *, metric: str = "wer", published: bool = False, speech_price: float | None = None
) -> list[str | Table]:
    """Return what a study says, protocol by protocol; with what the Whisper-Tiny study printed, if asked for.

    `speech_price` is what an hour of transcribed speech costs, in the currency of the platform's price.
    """
    theirs = [published_table()] if published else []
    if not found:
        return ["No point of a study is finished here: python -m benchmark.saturation makes them.", *theirs]
    parts: list[str | Table] = [*_told_apart(found)]
    for protocol in dict.fromkeys(each.label for each in found):
        every = [each for each in found if each.label == protocol]
        mine = without_times(every)
        measured: list[str | Table] = [points_table(mine, protocol, metric), *machine_parts(every, protocol)]
        measured += [*load_parts(every, protocol), *_confounded(mine, protocol)]
        try:
            answer, *others = _curve_parts(mine, protocol, metric, speech_price)
        except StudyError as error:
            answer, others = f"{protocol}: no curve: {error}", []
        parts += [answer, *measured, *others]
        parts += [*gap_parts(mine, protocol, metric), *times_parts(every, protocol, metric)]
    return [*parts, *(part for part in [worth_table(found, metric)] if part), *theirs]


def _told_apart(found: Sequence[Observation]) -> Iterator[str]:
    """Say which points are of other studies than that of the folder, or that the folder has several."""
    for study in dict.fromkeys(each.study for each in found):
        others = [each for each in found if each.study == study and each.apart]
        if others:
            kinds = dict.fromkeys(each.apart for each in others)
            what = ". ".join(f"{sum(each.apart == kind for each in others)}: {kind}" for kind in kinds)
            whole = len(others) == sum(each.study == study for each in found)
            start = (
                "points of several studies are here"
                if whole
                else f"{count(len(others), 'point')} {'is' if len(others) == 1 else 'are'} of another study"
            )
            yield (
                f"{study}: {start}, and fitted apart. Points and what is other in them: {what}. Make each study in "
                f"a folder of its own: python -m benchmark.saturation -o DIR"
            )


def published_table() -> Table:
    """Return the figures of the Whisper-Tiny study, for the eye: another model, corpus and rig; nothing is fitted."""
    title = (
        "The Whisper-Tiny study of 2025, as printed there (another model and corpus, pretrained: not to be compared)"
    )
    return Table(title, ("quantity", "samples", "value", "unit", "where"), tuple(saturation_study()))


def points_table(found: Sequence[Observation], protocol: str, metric: str = "wer") -> Table:
    """Return a row for each size: means over its seeds; errors on dev and training data, and the gap, in `metric`."""
    name = metric_name(metric)
    header = (
        "utterances", "hours", "seeds", "test WER", "test CER", f"dev {name}", f"train {name}", f"gap of {name}",
        "epochs", "read whole", "minutes", "s a batch", "samples/s", "CPU %", "memory MiB",
    )  # fmt: skip
    rows = []
    for size in sorted({each.samples for each in found}):
        mine = [each for each in found if each.samples == size]

        def mean(figure: Callable[[Observation], float | None], members: Sequence[Observation] = mine) -> float | None:
            values = [value for each in members if (value := figure(each)) is not None]
            return statistics.fmean(values) if values else None

        rows.append(
            (
                f"{size:,}",
                number(mean(lambda o: o.hours)),
                str(len(mine)),
                _spread(mine, "wer"),
                _spread(mine, "cer"),
                cell(mean(lambda o: o.dev.get(metric)), ".2f"),
                cell(mean(lambda o: o.train.get(metric)), ".2f"),
                cell(mean(lambda o: o.gap(metric)), ".2f"),
                cell(mean(lambda o: o.epochs), ".3g"),
                "yes" if all(each.whole for each in mine) else "no",
                number(mean(lambda o: o.run_minutes)),
                cell(mean(lambda o: o.seconds_a_batch), ".3g"),
                number(mean(lambda o: o.samples_per_s)),
                cell(mean(lambda o: o.cpu_percent), ".0f"),
                cell(mean(lambda o: o.memory_mib), ".0f"),
            )
        )
    title = f"{protocol}: means over seeds (lowest to highest); errors in percent, greedily decoded"
    return without_empty(Table(title, header, tuple(rows)), ("CPU %", "memory MiB"))


def _spread(found: Sequence[Observation], metric: str) -> str:
    values = [value for each in found if (value := each.error(metric)) is not None]
    if not values:
        return "NA"
    low_high = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{low_high}"


def _confounded(found: Sequence[Observation], protocol: str) -> Iterator[str]:
    """Say where dev stands in for test, where more data meant fewer passes, or was not read."""
    if not all(each.test for each in found):
        yield (
            f"{protocol}: runs without a test set are here: dev stands in for it and, in `target`, chose the epoch "
            f"that counts too: their errors are lower than on speech that was not looked at"
        )
    unread = sorted({each.samples for each in found if not each.whole})
    if unread:
        yield (
            f"{protocol}: runs of {', '.join(f'{n:,}' for n in unread)} utterances ended before they had read all of "
            f"them: they are no points of a learning curve, and none is fitted to them"
        )
    cut = sorted({each.samples for each in found if each.cut})
    if cut:
        yield (
            f"{protocol}: runs of {named(cut)} utterances were ended by their time limit, --max-minutes, and not by "
            f"the protocol: more training might have lowered their errors, and no curve is fitted to them; make them "
            f"in another folder with a longer one"
        )
    passes = {each.samples: each.epochs for each in found}
    if protocol == "steps" and len(passes) > 1 and max(passes.values()) > 1.05 * min(passes.values()):
        yield (
            f"{protocol}: confounded: with a fixed number of batches more data means fewer passes, from "
            f"{passes[min(passes)]:.3g} epochs at {min(passes):,} utterances to {passes[max(passes)]:.3g} at "
            f"{max(passes):,}; whatever levels off here may be training, not data"
        )


# --- the curve -------------------------------------------------------------------------------------------------------


def _curve_parts(
    found: Sequence[Observation], protocol: str, metric: str, speech_price: float | None
) -> list[str | Table]:
    fitted = points(found, metric)
    kept = fitted_points(fitted)
    curve, band = fit(fitted), bootstrap(fitted, draws=DRAWS)
    parts: list[str | Table] = [f"{protocol}: {sentence(found, fitted, curve, band, metric=metric)}"]
    parts += _extrapolation(fitted, protocol)
    parts.append(_saturation_table(fitted, curve, band, protocol))
    parts.append(_gains_table(found, fitted, curve, band, protocol))
    parts += money_parts(found, curve, band, metric=metric, speech_price=speech_price)
    parts += [_curve_words(curve, band, protocol, metric, fitted), _claims(found, metric, protocol)]
    if left := len(fitted) - len(kept):
        why = "; ".join(f"{named(sizes)}: {reason}" for reason, sizes in left_out(fitted).items())
        parts.append(f"{protocol}: {count(left, 'point')} {'was' if left == 1 else 'were'} not fitted: of {why}")
    if zeros := {point.size for point in fitted if not point.error} & {point.size for point in kept}:
        parts.append(
            f"{protocol}: of {named(zeros)} utterances some runs made no error and others did: 0 has no logarithm, and "
            f"counts as half an edit in the curve"
        )
    return parts


def _curve_words(curve: Curve, band: Band, protocol: str, metric: str, fitted: Sequence) -> str:
    p = curve.parameters
    formula = {
        "power": "{b:.4g} n^{power:.3g}",
        "asymptote": "{a:.3g} + {b:.4g} n^{power:.3g}",
        "plateau": "{b:.4g} n^{power:.3g}, level from n = {knee:.0f}",
        "exponential": "{a:.3g} + {b:.4g} exp(-n / {c:.4g})",
    }[curve.form].format(a=p.get("a", 0.0), b=p["b"], c=p["c"], power=-p["c"], knee=p.get("from", 0.0))
    exponent = band.of(lambda each: each.parameters["c"])
    bounds = (
        f"; c from {exponent[0]:.3g} to {exponent[1]:.3g} (95%)" if exponent and curve.form != "exponential" else ""
    )
    weights = ", ".join(f"{form} {share:.0%}" for form, share in curve.weights.items())
    return (
        f"{protocol}: test {metric_name(metric)} = {formula} percent of n utterances{bounds}. AICc weights: "
        f"{weights or 'too few points to compare forms'}. {_between_seeds(fitted)}"
    )


def _between_seeds(fitted: Sequence[Point]) -> str:
    kept = fitted_points(fitted)
    spread = spread_between_seeds(kept)
    if not has_repetitions(kept):
        return "No size has two seeds: how much seeds vary is not known."
    if not spread:
        return "All seeds of one size have one error: how much seeds vary is not known."
    return f"Between seeds of one size it varies by {spread:.1%}."


def _extrapolation(fitted: Sequence, protocol: str) -> Iterator[str]:
    """Fit to the smaller half of the sizes, and say how far off the larger ones are."""
    kept = fitted_points(fitted)
    sizes = sorted({point.size for point in kept})
    half = sizes[: max(3, len(sizes) // 2)]
    if len(half) < 3 or len(half) == len(sizes):
        return
    small = [point for point in kept if point.size in half]
    curve, band = fit(small), bootstrap(small, draws=DRAWS)
    words, missed = [], []
    for size in sizes[len(half) :]:
        there = [p.error for p in kept if p.size == size]
        measured, predicted = statistics.fmean(there), float(curve.at(size))
        bounds = band.of(methodcaller("error_at", size))
        between = verdict = ""
        if bounds:  # of the curve, and of a mean over so few seeds
            own = 1.96 * spread_between_seeds(small) / math.sqrt(len(there))
            low, high = (math.copysign(math.hypot(math.log(bound / predicted), own), side)
                         for bound, side in zip(bounds, (-1, 1), strict=True))  # fmt: skip
            ends = predicted * math.exp(low), predicted * math.exp(high)
            missed.append(not ends[0] <= measured <= ends[1])
            verdict = ": a miss" * missed[-1]
            between = f" ({ends[0]:.2f} to {ends[1]:.2f})"
        off = f"{predicted / measured - 1:+.1%}"
        words.append(f"{size:,.0f}: predicted {predicted:.2f}{between}, measured {measured:.2f}, {off}{verdict}")
    start = f"{protocol}: from sizes up to {half[-1]:,.0f} alone"
    if missed:
        told = f"{sum(missed)} of {count(len(missed), 'prediction')} missed {'its' if sum(missed) == 1 else 'their'}"
        start += f", {told} interval{'s' * (sum(missed) != 1)}" if any(missed) else ", every prediction held"
    yield f"{start}: " + "; ".join(words)


def _saturation_table(fitted: Sequence, curve: Curve, band: Band, protocol: str) -> Table:
    rows = tuple(
        _saturation_row(each)
        for each in (by_gain(fitted, curve, band), by_asymptote(curve, band, fitted), knee(fitted))
    )
    if faultless := faultless_sizes(fitted):
        rows += ((f"no run made an error at {named(faultless)}", f"{min(faultless):,.0f}", "NA", "of this test set"),)
    header = ("rule", "from", "95% interval", "remark")
    return Table(f"{protocol}: from how many utterances more are not worth it, three rules", header, rows)


def _saturation_row(found: Saturation) -> tuple[str, ...]:
    bounds = [("more" if bound is None else f"{bound:,.0f}") for bound in (found.low, found.high)]
    known = found.size is not None or found.low is not None
    between = f"{bounds[0]} to {bounds[1]}" if known else "NA"
    size = "not reached" if found.size is None else f"{found.size:,.0f}"
    return found.rule, size, between, found.reason


def _gains_table(found: Sequence[Observation], fitted: Sequence, curve: Curve, band: Band, protocol: str) -> Table:
    """Return what a doubling of each size gains, in points, for how many hours of speech, minutes and money."""
    kept = fitted_points(fitted)
    sizes = sorted({point.size for point in kept})
    rows = []
    for size, share in zip(sizes, gains(curve, band, sizes), strict=True):
        here = [each for each in found if each.samples == size]
        hours = statistics.fmean(each.hours for each in here)
        gained = float(curve.at(size) * share.value)
        costs = [each.cost for each in here if each.cost is not None]
        rows.append(
            (
                f"{size:,.0f}",
                _share(share),
                f"{gained:.2f}",
                number(hours),
                f"{gained / hours:.3g}" if hours else "NA",
                number(mean_of(here, "run_minutes")),
                money(statistics.fmean(costs), here[0].currency) if costs else "NA",
            )
        )
    header = (
        "doubling of",
        "takes away",
        "points",
        "further hours",
        "points an hour",
        "further minutes",
        "further cost",
    )
    for size in sorted(faultless_sizes(fitted)):
        further = number(statistics.fmean(each.hours for each in found if each.samples == size))
        rows.append((f"{size:,.0f}", "no error is left", "0.00", further, "0", "NA", "NA"))
    noise, seeds = detectable(fitted), "all seeds have one error" if has_repetitions(kept) else "one seed a size"
    told = f"these seeds tell {noise:.1%} from nothing" if noise else f"{seeds}: what is noise is not known"
    title = f"{protocol}: what twice the data gains, by the curve; {told}"
    return without_empty(Table(title, header, tuple(rows)), ("further cost",))


def _share(estimate: Estimate) -> str:
    bounds = f" ({estimate.low:.1%} to {estimate.high:.1%})" if estimate.low is not None else ""
    return f"{estimate.value:.1%}{bounds}"


def _claims(found: Sequence[Observation], metric: str, protocol: str) -> str:
    """Say what a study on linear axes would have concluded from the same points."""
    whole = [(each.samples, error) for each in found if (error := each.error(metric)) is not None and error <= WORST]
    sizes, errors = [float(n) for n, _ in whole], [error for _, error in whole]
    if len(set(sizes)) < 4:
        return f"{protocol}: under four sizes: the sources' claims cannot be put to these points"
    r = float(np.corrcoef(sizes, errors)[0, 1])
    place = linear_knee(sizes, errors)
    return (
        f"{protocol}: on linear axes two lines would bend at {place:,.0f} utterances, and samples and error would "
        f"correlate by r = {r:.2f}: a pure power law on these sizes bends at "
        f"{linear_knee(sizes, [100 * n**-0.3 for n in sizes]):,.0f} and has r = "
        f"{float(np.corrcoef(sizes, [n**-0.3 for n in sizes])[0, 1]):.2f}. Neither is evidence of saturation"
    )


# --- the gap ---------------------------------------------------------------------------------------------------------


def gap_parts(found: Sequence[Observation], protocol: str, metric: str) -> list[str | Table]:
    """Return the generalisation gap against the root of the size: k n^-d, where d = 1/2 and C = k^2 by the bound.

    Points that are not fitted, which learnt little or did not read their data, have no gap.
    """
    gaps = [(size, gap / 100) for size, gap in fitted_gaps(found, metric)]
    if len({size for size, _ in gaps}) < 3:
        return []
    x, y = np.log([size for size, _ in gaps]), np.log([gap for _, gap in gaps])
    slope, intercept = np.polyfit(x, y, 1)
    residual = y - slope * x - intercept
    error = math.sqrt(float(residual @ residual) / max(1, len(x) - 2) / float(((x - x.mean()) ** 2).sum()))
    root = statistics.fmean([gap * math.sqrt(size) for size, gap in gaps])
    spread = coefficient_of_variation([gap * math.sqrt(size) for size, gap in gaps]) or 0.0
    name = metric_name(metric)
    words = (
        f"{protocol}: the gap of {name} between test and a fixed sample of the training set "
        f"{'falls' if slope < 0 else 'grows'} as n^{slope:.2f} "
        f"(standard error {error:.2f}); the bound sqrt(C / n) says n^-0.50, with C = {root**2:.3g} here (gap times "
        f"sqrt(n) varies by {spread:.0%} over sizes and seeds)"
    )
    return [words]


# --- time to accuracy against size -----------------------------------------------------------------------------------


def times_parts(found: Sequence[Observation], protocol: str, metric: str) -> list[str | Table]:
    """Return the minutes of training to levels of dev error, by size; [] where fewer than two sizes reach one.

    [] too where the runs are of unlike machines.

    Time to accuracy with e = 3, by the training clock: what an evaluation costs weighs more, the shorter an epoch is.
    The levels are those that all seeds of a size reach, one for each size, in steps of five.
    """
    if len({each.rig for each in found}) > 1:
        return []
    sizes = sorted({each.samples for each in found})
    levels = sorted({level for size in sizes if (level := common_level(found, size, metric))}, reverse=True)
    if len(levels) < 2:
        return []
    name = metric_name(metric)
    minutes = {(size, level): _minutes(found, size, level, metric) for size in sizes for level in levels}
    rows = tuple((f"{size:,}", *(_time(minutes[size, level]) for level in levels)) for size in sizes)
    header = ("utterances", *(f"{name} {level:g}" for level in levels))
    title = (
        f"{protocol}: minutes of training to a level of dev {name} (e = 3, medians of seeds; (2/3): 2 of 3 reached it)"
    )
    words = []
    for level in levels:
        every = [size for size in sizes if None not in minutes[size, level]]
        if every:
            soonest = min(every, key=lambda size: statistics.median(_known(minutes[size, level])))
            words.append(f"{name} {level:g}: {every[0]:,} are enough, {soonest:,} reach it soonest")
    return [Table(title, header, rows), f"{protocol}: " + "; ".join(words)]


def _minutes(found: Sequence[Observation], size: int, level: float, metric: str) -> list[float | None]:
    seconds = [
        each.record.time_to_accuracy_s(metric, level, clock="train")
        for each in found
        if each.samples == size and each.record
    ]
    return [None if each is None else each / 60 for each in seconds]


def _known(minutes: Sequence[float | None]) -> list[float]:
    return [each for each in minutes if each is not None]


def _time(minutes: Sequence[float | None]) -> str:
    known = _known(minutes)
    part = f" ({len(known)}/{len(minutes)})" * (len(known) < len(minutes))
    return f"{number(statistics.median(known))}{part}" if known else "NA"
