"""Warnings about a judgement: what to doubt and what to do, in plain words and with the figure.

for sentence in warnings(runs, groups, question): ...
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from benchmark.judge import circumstances, guard, slow_hosts, stillness
from benchmark.judge.estimates import coefficient_of_variation
from benchmark.judge.groups import Group, Level
from benchmark.judge.prior import TIMES
from benchmark.judge.question import CORPUS_SUM, PAPER_WORKLOAD, Question, metric_name, without_targets
from benchmark.record import Run, RunRecord
from benchmark.record.history import COMPILING_ROWS

FEW_ROWS = 5
FEW_RUNS = 3
LARGE_SHARE = 0.10
LARGE_INPUT_SHARE = 0.02
WIDE_SPREAD = 0.076  # coefficient of variation; MLPerf's 90th percentile
WIDE_MACHINE = 0.02  # of seconds an epoch, or of start-up as a share of the time; over MLPerf's 90th percentile of 1%
MUCH_OF_VARIANCE = 0.25
FINE_STEP = 0.10
LARGE_STEP = 0.75  # of the interval's width; of 117 MLPerf speech result sets 2 are over it
NOISE = (
    "from seed to seed, time to accuracy has a coefficient of variation of 3.9% at the median and 7.6% at the 90th "
    "percentile of 117 MLPerf speech result sets"
)


def warnings(runs: Iterable[Run], groups: Sequence[Group], question: Question) -> list[str]:
    """Return a sentence for each doubt, with what to do; the same sentence about several groups comes once."""
    labels: dict[str, list[str]] = {}
    for group in groups:
        for text in _checks(group, question) if group.runs else ():
            labels.setdefault(text, []).append(f"{group.label}, {group.workload}")
    for block in _blocks(groups):
        if block[0].emulated:  # never ranked, so that nothing about a difference in time is to be doubted
            continue
        for text in circumstances.between({group.label: group.runs for group in block}):
            labels.setdefault(text, []).append(block[0].workload)
    empty = [f"{run.source}: no rows yet; left out" for run in runs if not len(run.record)]
    found = empty + [f"{'; '.join(where)}: {text}" for text, where in labels.items()]
    return found + (_checks_of_published(groups, question) if question.published else [])


def _blocks(groups: Sequence[Group]) -> list[list[Group]]:
    """Return the measured groups that stand side by side: of one workload, real or emulated."""
    blocks: dict[tuple[str, bool], list[Group]] = {}
    for group in groups:
        if group.runs:
            blocks.setdefault((group.workload, group.emulated), []).append(group)
    return list(blocks.values())


def _checks(group: Group, question: Question) -> Iterator[str]:
    runs = len(group.runs)
    if group.emulated:
        yield from _checks_of_emulated(group, question)
        return
    yield from guard.doubts(group, question)
    yield from _checks_of_repetitions(group)
    yield from _checks_of_going(group)
    if not all(run.knows("epochs") for run in group.runs):
        yield (
            "a log has no ends of epochs: what is called an epoch here is an evaluation, and seconds an epoch are "
            "those from one to the next; compare steps by compare --merit"
        )
    if resumed := sum(record.resumed for record in group.records):
        yield (
            f"{resumed} of {_count(runs, 'run')} resumed (attempt > 1): the clock stands still between attempts, and "
            f"work done twice counts twice; run again without interruption before you publish"
        )
    yield from _checks_of_targets(group, question)
    yield from _checks_of_epochs(group, question)
    yield from _checks_of_levels(group, question)
    yield from _checks_of_steps(group)
    yield from _checks_of_spread(group)
    yield from _checks_of_rebounds(group, question)
    yield from _checks_of_speed(group)
    yield from circumstances.of_group(group.runs)
    yield from stillness.of_group(group)
    yield from slow_hosts.of_group(group)


def _checks_of_emulated(group: Group, question: Question) -> Iterator[str]:
    """Find what to doubt of error rates and epochs: times, and what disturbs them, mean nothing here anyway."""
    yield "emulated on CPUs: the times say nothing about the rig; run it on the rig itself"
    yield from guard.doubts(group, question)
    yield from _checks_of_going(group)
    yield from _checks_of_targets(group, question)
    yield from _checks_of_epochs(group, question)
    yield from _checks_of_levels(group, question)
    yield from _checks_of_rebounds(group, question)
    yield from circumstances.of_learning(group.runs)


def _checks_of_repetitions(group: Group) -> Iterator[str]:
    """Find too few runs, and runs that are no repetitions."""
    runs, seeds, advice = len(group.runs), len(group.values("seed")), circumstances.next_command
    if runs < FEW_RUNS:
        gap, why = _gap_of_chance(group)
        yield (
            f"only {_count(runs, 'run')}: {gap} between single runs mean nothing ({why}); make at least "
            f"{FEW_RUNS} runs, each with its own seed: {advice(group.runs)}"
        )
    if group.n < runs:
        alike = max({curve: group.curves.count(curve) for curve in group.curves}.items(), key=lambda pair: pair[1])
        names = [run.identity.run for run, curve in zip(group.runs, group.curves, strict=True) if curve == alike[0]]
        yield (
            f"{runs} runs, but n = {group.n}: {', '.join(names[:3])}{' and others' * (len(names) > 3)} have one error "
            f"curve, and are one training that was timed {len(names)} times; give each run a seed of its own: "
            f"{advice(group.runs)}"
        )
    elif runs >= FEW_RUNS and seeds < runs:
        yield f"{runs} runs with {_count(seeds, 'seed')}; give each run a seed of its own: {advice(group.runs)}"


def _gap_of_chance(group: Group) -> tuple[str, str]:
    """Return the gap between single runs that chance alone makes, and why: noise, and steps of whole epochs."""
    epochs = [level.epoch for level in group.levels if level.epoch]
    step = 1 / max(epochs) if epochs else 0.0
    gap = f"gaps under {TIMES.gap / (1 - step) - 1:.0%}" if step < 1 else "gaps of any size"
    if step <= FINE_STEP:
        return gap, NOISE
    return gap, f"the hardest level reached took {max(epochs):g} epochs, and times come in steps of one; {NOISE}"


def _checks_of_going(group: Group) -> Iterator[str]:
    """Name runs that are not over: they are censored where they stand, and are no misses."""
    going = [
        run.identity.run
        for n, run in enumerate(group.runs)
        if run.is_going and any(level.seconds[n] is None for level in group.levels)
    ]
    if going:
        verb = "is" if len(going) == 1 else "are"
        yield (
            f"{', '.join(going[:3])}{' and others' * (len(going) > 3)} {verb} still going or interrupted, and no miss: "
            f"censored at the last evaluation; wait, or give the same command again to go on"
        )


def _checks_of_targets(group: Group, question: Question) -> Iterator[str]:
    if sources := without_targets(group.runs, question):
        more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
        levels = ", ".join(level.name for level in group.levels)
        there = any(circumstances.part_of(run, lambda facts: facts.content) for run in group.runs)
        why = "made without targets"
        if not there:
            why = "no run.json in the folder next to the journal, so the targets are not known"
        if all(group.best.get(metric) is None for metric in question.metrics):
            yield (
                f"{sources[0]}{more}: {why}, and no run has a median error over e = {question.window} epochs: {levels} "
                f"only hold{'s' * (len(group.levels) == 1)} the place of a level; train on, or name levels with --level"
            )
            return
        yield (
            f"{sources[0]}{more}: {why}; judged at {levels}, the hardest whole percent that all runs reached: name "
            f"levels with --level"
        )


def _checks_of_epochs(group: Group, question: Question) -> Iterator[str]:
    runs, epochs = len(group.records), [len(record.evaluations) for record in group.records]
    if none := epochs.count(0):
        yield f"{none} of {_count(runs, 'run')} without an evaluation: no level can be reached; train for an epoch"
    if few := [count for count in epochs if 0 < count < question.window]:
        yield (
            f"{len(few)} of {_count(runs, 'run')} with fewer than e = {question.window} evaluated epochs (fewest: "
            f"{min(few)}): no level can be reached; train longer, or ask for --epochs {min(few)}"
        )


def _checks_of_levels(group: Group, question: Question) -> Iterator[str]:
    runs = len(group.records)
    if max(len(record.evaluations) for record in group.records) < question.window:
        return  # said already
    for metric in question.metrics:
        missed: dict[int, list[str]] = {}
        for level in group.levels:
            if level.metric == metric and level.missed:
                missed.setdefault(level.reached, []).append(f"{level.percent:g}%")
        for reached, percents in missed.items():
            way_out = "those that missed it count as slower than their last evaluation; train them longer"
            if not reached:
                way_out = _best_words(group, metric, question)
            levels = f"{metric_name(metric)} {', '.join(percents)}"
            yield f"{levels} reached by {reached} of {_count(runs, 'run')}; {way_out}"


def _checks_of_steps(group: Group) -> Iterator[str]:
    """Find intervals of which the step between two evaluations is a large part, however many runs there are."""
    found = []
    for level in group.levels if len(group.runs) >= FEW_RUNS else ():
        if bounds := level.interval_minutes:
            width = bounds[1] / bounds[0] - 1
            if level.step > LARGE_STEP * width:
                found.append(f"{level.name} ({level.step:.0%}; {width:.0%})")
    if found:
        yield (
            f"times come in steps of one evaluation, a large part of the interval's width at {', '.join(found)}: where "
            f"between two evaluations a level lies decides; look at the crossing, or evaluate within epochs: "
            f"--evaluate-every"
        )


def _checks_of_spread(group: Group) -> Iterator[str]:
    """Find a wide spread, and say what varies: start-up, seconds an epoch, or the epochs."""
    wide = {level.name: level.cv for level in group.levels if (level.cv or 0) > WIDE_SPREAD}
    seconds = [s for record in group.records if (s := record.seconds_per_epoch)]
    machine = coefficient_of_variation(seconds) or 0.0 if len(seconds) == len(group.records) else 0.0
    if wide:
        levels = ", ".join(f"{name} ({spread:.1%})" for name, spread in wide.items())
        hardest = next(level for level in reversed(group.levels) if level.name in wide)
        yield (
            f"wide spread: the coefficient of variation is over {WIDE_SPREAD:.1%}, the 90th percentile of MLPerf's, at "
            f"{levels}: {_what_varies(group, hardest, machine)}"
        )
        if not _machine_varies(group, hardest, machine):
            return
    elif machine > WIDE_MACHINE:
        yield (
            f"the machine varies: seconds an epoch have a coefficient of variation of {machine:.1%} (MLPerf's 90th "
            f"percentile is 1.0%); look for other load, clocks that change, or a slow disk"
        )
    if not wide and (spread := _startup_spread(group)) > WIDE_MACHINE:
        startups = sorted(r.startup_s for r in group.records if r.startup_s is not None)
        yield (
            f"start-up varies: from {startups[0]:.0f} to {startups[-1]:.0f} s, {spread:.1%} of the time to accuracy; "
            f"the first run of a machine compiles and reads what later ones find in caches"
        )


def _startup_spread(group: Group) -> float:
    """Return the standard deviation of start-ups over the shortest mean time to a level."""
    startups = [s for record in group.records if (s := record.startup_s) is not None]
    times = [level.estimate.value * 60 for level in group.levels if level.estimate]
    return statistics.stdev(startups) / max(times) if len(startups) > 1 and times else 0.0


def _parts_of_variance(group: Group, level: Level, machine: float) -> dict[str, float]:
    """Return the variance of each factor of the time to a level, over its mean squared."""
    epochs = level.epoch_times.seen if level.epoch_times.all_reached else ()
    return {
        "epochs": (coefficient_of_variation(epochs) or 0.0) ** 2 if len(epochs) > 1 else 0.0,
        "seconds": machine**2,
        "startup": _startup_spread(group) ** 2,
    }


def _machine_varies(group: Group, level: Level, machine: float) -> bool:
    parts = _parts_of_variance(group, level, machine)
    total = sum(parts.values())
    return bool(total) and (parts["seconds"] + parts["startup"]) / total > MUCH_OF_VARIANCE


def _what_varies(group: Group, level: Level, machine: float) -> str:
    parts = _parts_of_variance(group, level, machine)
    total = sum(parts.values()) or 1.0
    words = {
        "epochs": "the epochs to the level ({cv:.1%}), which is the training and not the machine: make more runs",
        "seconds": "the seconds an epoch ({cv:.1%}), which is the machine: look for other load, or clocks that change",
        "startup": "the start-up ({cv:.1%} of the time): look at caches and compilation",
    }
    found = [
        text.format(cv=math.sqrt(parts[name])) for name, text in words.items() if parts[name] / total > MUCH_OF_VARIANCE
    ]
    return "what varies are " + "; and ".join(found) if found else "make more runs"


def _checks_of_rebounds(group: Group, question: Question) -> Iterator[str]:
    """Find first crossings that did not last: e = 1 would have called the level reached."""
    for metric in question.metrics:
        found: dict[int, list[str]] = {}
        for level in group.levels:
            if level.metric == metric and (back := sum(_rebounds(record, level) for record in group.records)):
                found.setdefault(back, []).append(f"{level.percent:g}%")
        for back, percents in found.items():
            runs = _count(len(group.records), "run")
            yield (
                f"in {back} of {runs} {metric_name(metric)} rose above {', '.join(percents)} again after it first "
                f"crossed it: e = 1 would flatter; stay with e = 3"
            )


def _rebounds(record: RunRecord, level: Level) -> bool:
    errors = record.medians(level.metric, window=1)  # NaN, where one is not known, is neither above nor below
    crossed = next((n for n, error in enumerate(errors) if error <= level.percent), None)
    return crossed is not None and any(error > level.percent for error in errors[crossed + 1 :])


def _best_words(group: Group, metric: str, question: Question) -> str:
    bests = [record.best_median(metric, window=question.window) for record in group.records]
    best = min((value for value in bests if value is not None), default=None)
    if best is None:
        return "the journals do not have this error for that many epochs in a row"
    rounded = math.ceil(best * 10) / 10
    return f"the best median over e = {question.window} is {best:.2f}%: train longer, or ask for --level {rounded:g}"


def _checks_of_speed(group: Group) -> Iterator[str]:
    rows = min(len(record.throughputs) for record in group.records)
    left_out = f"the first {COMPILING_ROWS} of an attempt compile and are left out"
    if rows == 0:
        yield f"a run has no train row to tell throughput from ({left_out}); train longer"
    elif rows < FEW_ROWS:
        yield f"throughput of a run from {_count(rows, 'train row')} only ({left_out}); train longer"
    if (waiting := group.input_share or 0) > LARGE_INPUT_SHARE:
        yield (
            f"{waiting:.1%} of training waited for input (of a GPU at most: its work is queued ahead): these times "
            f"measure readers and disk too; try --readers, --buffer and a faster disk, and --synthetic for the ceiling"
        )
    share = group.evaluation_share or 0
    if share > LARGE_SHARE:
        yield (
            f"{share:.0%} of the time went to evaluation: these times measure the decoder too; a smaller dev set or "
            f"beam, or --clock train, tells training apart"
        )


def _checks_of_published(groups: Sequence[Group], question: Question) -> list[str]:
    found: list[str] = []
    if not any(group.records for group in groups):
        return found  # the paper's alone
    if not any(group.records and group.workload == PAPER_WORKLOAD for group in groups):
        found.append(f"published: the paper's runs are of workload {PAPER_WORKLOAD}; none of yours is to be compared")
    if question.window != 3 or question.clock != "wall":
        found.append("published: the paper's times are wall clock with e = 3: leave out --epochs and --clock")
    if not set(question.metrics) <= set(CORPUS_SUM):
        found.append("published: the paper's error rates are means over utterances: --paper compares like with like")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
