"""Does the judge say the truth about 1,170 training runs of others, and how often would it err?

    python -m tests.trials.judging [--data docs/data/mlperf_rnnt_runs.csv] [--quick]
    python -m tests.trials.judging --journals 'results/v3.1/*.csv'      # made by benchmark.ingest: whole error curves
    python -m tests.trials.judging --journals 'results/v3.1/*.csv' --round 3.1      # their scores beside the data's

Puts the judge to MLPerf's speech runs (117 result sets of 10 on 6 rounds' machines) and to simulated ones: its
arithmetic against NumPy's and SciPy's; what factored times are worth; how often the gate of a pool objects, to alike
rigs and to mixed ones; how often it calls two halves of one system different, or two single runs of it; what tells
machines apart; how often intervals cover the truth, with misses and with three runs too, and those of a merit's parts;
what looking after every run costs. With journals it also asks what it costs to evaluate rarely. The runs take a minute;
the figures stand in docs/judging.md.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.judge import Judgement, Question, compare, factor, judge, leave_one_out, read_runs
from benchmark.judge import censored as survival
from benchmark.judge.censored import Times
from benchmark.judge.estimates import coefficient_of_variation, log_interval, welch
from benchmark.judge.factoring import POOLED_FROM
from benchmark.judge.pooling import Pool
from benchmark.judge.prior import EPOCHS, PACES, TIMES
from benchmark.judge.stopping import SETTLED, e_value, same
from benchmark.metrics import FIGURES
from benchmark.record import Run, RunRecord
from benchmark.record.columns import Identity
from benchmark.record.table import Table
from tests.trials import common

DATA = Path(__file__).resolve().parents[2] / "docs" / "data" / "mlperf_rnnt_runs.csv"
TARGET = 5.8
ERAS = {"1.0": "v1.0", "1.1": "v1.1"}  # the recipe changed after these rounds: epochs at one batch fell by an eighth
ASKED = Question(metrics=("wer",), levels=(TARGET,), window=1)


# --- runs of others --------------------------------------------------------------------------------------------------


def read_facts(path: Path) -> list[dict[str, str]]:
    """Read the runs, without the resubmissions and the two whose epochs are not known."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if not row["resubmission_of"] and row["s_per_epoch"]]


def name_of(row: dict[str, str]) -> str:
    return f"{row['round']} {row['submitter']} {row['system']}"


def runs_of(rows: Sequence[dict[str, str]]) -> list[Run]:
    """Return the runs as the judge reads them: an epoch after the other, its error made up but for the last one's.

    Where all runs of a system have the same epochs and errors they have one error curve; else each has its own.
    """
    curves: dict[str, set] = defaultdict(set)
    for row in rows:
        curves[name_of(row)].add((row["epochs_to_058"], row["best_wer"]))
    return [Run(_record(n, row, alike=len(curves[name_of(row)]) == 1)) for n, row in enumerate(rows)]


def _record(number: int, row: dict[str, str], *, alike: bool) -> RunRecord:
    per_epoch_s, reached = float(row["s_per_epoch"]), row["status"] == "success"
    total_s = 60 * float(row["minutes_to_058"] if reached else row["run_minutes"])
    epochs = int(row["epochs_to_058"]) if reached else max(1, round(total_s / per_epoch_s))
    ends_s = total_s - per_epoch_s * np.arange(epochs - 1, -1, -1.0)
    errors = 100 * (1.1 * TARGET / 100) ** (np.arange(1, epochs + 1) / epochs) + (0 if alike else number * 1e-6)
    errors[-1] = float(row["best_wer"]) if reached else errors[-1]
    phases, count = np.array(["create", *["train", "evaluate"] * epochs], dtype="U10"), 2 * epochs + 1
    begins_s = np.concatenate([[0.0], ends_s[:-1]])
    unknown = np.full(count, math.nan)
    columns = {
        "phase": phases,
        "attempt": np.ones(count, np.int64),
        "epoch": np.concatenate([[0], np.repeat(np.arange(1, epochs + 1), 2)]),
        "step": np.concatenate([[0], np.repeat(np.arange(1, epochs + 1), 2)]),
        "started_s": np.concatenate([[0.0], np.stack([begins_s, ends_s], axis=1).ravel()]),
        "seconds": np.concatenate([[0.0], np.stack([ends_s - begins_s, np.zeros(epochs)], axis=1).ravel()]),
        **dict.fromkeys(("utterances", "audio_s", "input_s", "tflop", "loss", "down_s", *FIGURES), unknown),
        "wer": np.concatenate([[math.nan], np.stack([np.full(epochs, math.nan), errors], axis=1).ravel()]),
    }
    identity = Identity(
        run=f"{name_of(row)} {row['run']}", platform=name_of(row), workload=f"rnnt-{row['batch']}",
        variant=ERAS.get(row["round"], "v2"), recipe="mlperf",
        seed=number if not row["seed"] else int(row["seed"]), replicas=1, devices=row["accelerator"], emulated=False,
        batch=int(row["batch"]), precision="-", features="-", decoder="-", evaluation="-", code="-",
    )  # fmt: skip
    return RunRecord(table=Table(identity, columns))


# --- questions -------------------------------------------------------------------------------------------------------


def arithmetic(judgement: Judgement, rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Compare the judge's figures with the published minutes, by NumPy and SciPy alone."""
    from scipy import stats

    minutes: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        minutes[name_of(row)].append(float(row["minutes_to_058"]) if row["status"] == "success" else math.inf)
    worst = 0.0
    checked = Counter()
    for group in judgement:
        level, values = group.levels[0], np.sort(minutes[group.platform])
        pairs = [(level.median_minutes, float(np.median(values)), "median")] if group.n == len(group.runs) else []
        if np.isfinite(values).all() and group.n == len(group.runs):
            logs = np.log(values)
            bounds = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
            pairs += [(level.minutes, float(stats.gmean(values)), "mean")]
            pairs += [
                (ours, float(np.exp(b)), "interval") for ours, b in zip(level.interval_minutes, bounds, strict=True)
            ]
            pairs += [(level.cv, float(stats.variation(values, ddof=1)), "CV")]
        if group.n == len(group.runs):
            pairs += [(level.olympic_minutes, float(values[1:-1].mean()), "Olympic mean")]
        for ours, theirs, what in pairs:
            checked[what] += 1
            worst = max(worst, abs(ours / theirs - 1))
    yield f"arithmetic: {dict(checked)} in {len(judgement)} result sets; largest relative difference {worst:.1e}"
    odd = [group.label for group in judgement if group.n < len(group.runs)]
    yield f"one error curve for all runs, n = 1: {', '.join(odd)}"
    missed = [g for g in judgement if g.levels[0].missed]
    words = [f"{g.label} {g.levels[0].olympic_minutes:.4g} (median {g.levels[0].median_minutes:.4g})" for g in missed]
    yield f"Olympic means of sets with one miss: {'; '.join(words)}"


def worth_of_factoring(judgement: Judgement) -> Iterator[str]:
    for workload in sorted(
        {group.workload for group in judgement}, key=lambda name: (int(name[5:].split("+")[0]), name)
    ):
        groups = [group for group in judgement if group.workload == workload]
        predictions = factor(groups)
        given = [p for p in predictions if p.estimate and p.pool_rigs > 1]
        for found in leave_one_out(groups):
            pool = next((p for p in given if not p.guest), None)
            if pool:
                guests = f", guests: {sum(p.guest for p in given)}" if any(p.guest for p in given) else ""
                yield (
                    f"{workload}: left out in turn, {found.runs} runs of {pool.pool_rigs} rigs: factored "
                    f"{found.factored:.1%}, the run itself {found.single:.1%}; p = {pool.p:.2f}, would see "
                    f"{pool.visible - 1:.0%}{guests}"
                )
        for reason, count in Counter(p.reason.split(" (")[0] for p in predictions if p.reason).items():
            yield f"{workload}: no factored time for {count} of {len(groups)} rigs: {reason}"


def gate(judgement: Judgement, rng: np.random.Generator, times: int) -> Iterator[str]:
    """Draw pools of rigs from the real epochs of alike ones, with and without a rig that is another."""
    alike = [g for g in judgement if g.workload == "rnnt-1536+v2" and g.n >= POOLED_FROM and not g.levels[0].missed]
    epochs = np.array([e for group in alike for e in group.levels[0].epochs], float)
    for runs, rigs in ((3, 2), (3, 5), (3, 10), (5, 5), (10, 5)):
        cells = []
        for apart in (1.0, 1.05, 1.1, 2.0, 10.0):
            drawn = rng.choice(epochs, (times, rigs, runs))
            drawn[:, 0] = np.round(drawn[:, 0] * apart)
            cells.append(f"x{apart:g} {np.mean([not Pool.of(pool).holds for pool in drawn]):.1%}")
        yield f"gate, {rigs} rigs of {runs} runs, one of them apart by: {', '.join(cells)} refused"
    real = {g.label: list(g.levels[0].epochs) for g in alike}
    other = next(g for g in judgement if "n192" in g.label)
    others = [e for e in other.levels[0].epochs if e]
    refused = 0
    for _ in range(20):
        chosen = rng.choice(len(real), 5, replace=False)
        pool = [list(rng.choice(list(real.values())[n], 3, replace=False)) for n in chosen]
        refused += not Pool.of([*pool, list(rng.choice(others, 3, replace=False))]).holds
    yield f"gate: of 20 pools of 5 real rigs of batch 1536 with {other.label}, 3 runs each, {refused} refused"
    pool = Pool.of(list(real.values()))
    yield f"all {pool.rigs} rigs of batch 1536: p = {pool.p:.2f}, between rigs {math.sqrt(pool.between):.2%}"


def halves_of_one(judgement: Judgement, rng: np.random.Generator, splits: int) -> Iterator[str]:
    """Compare two halves of each system's runs, drawn again and again."""
    different, tested = Counter(), 0
    for group in judgement:
        if group.n < 4 or group.levels[0].missed:
            continue
        for _ in range(splits):
            order = rng.permutation(len(group.runs))
            sides = [judge([group.runs[n] for n in half], ASKED)[0] for half in (order[::2], order[1::2])]
            (pair,) = compare([replace(side, name=f"half {n}") for n, side in enumerate(sides)])
            tested += 1
            different["either"] += pair.differs
            different["the training"] += bool(pair.training and pair.training.differs)
            different["the machine"] += bool(pair.hardware and pair.hardware.differs)
    shares = ", ".join(f"{n / tested:.1%} by {name}" for name, n in different.items())
    yield f"A/A, {splits} splits of {tested // splits} systems into two halves, called different: {shares}"


def fitted(samples: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the deviation and the degrees of freedom of the law of variances of logarithms, by Smyth's moments."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    logs = [(statistics.variance(map(math.log, values)), (len(values) - 1) / 2) for values in samples]
    shifted = [math.log(variance) - digamma(half) + math.log(half) for variance, half in logs if variance]
    beyond = statistics.variance(shifted) - statistics.fmean(polygamma(1, half) for variance, half in logs if variance)
    half = brentq(lambda x: polygamma(1, x) - beyond, 0.05, 1000.0)
    return math.exp((statistics.fmean(shifted) + digamma(half) - math.log(half)) / 2), 2 * half


def single_runs(judgement: Judgement, rng: np.random.Generator, pairs: int) -> Iterator[str]:
    """Fit the spread of single runs, and ask how often it calls two runs of one system different, and rigs rightly."""
    from scipy.special import stdtrit

    sets = [group for group in judgement if group.n > 1]
    quantities = {
        "times": (TIMES, [group.levels[0].times.reached_times for group in sets]),
        "epochs": (EPOCHS, [group.levels[0].epoch_times.reached_times for group in sets]),
        "seconds an epoch": (PACES, [[record.seconds_per_epoch for record in group.records] for group in sets]),
    }
    for name, (prior, samples) in quantities.items():
        deviation, freedom = fitted(samples)
        margin = round(prior.deviation / deviation, 2)
        alarms = []
        for left_out, values in enumerate(samples):
            apart, degrees = fitted([*samples[:left_out], *samples[left_out + 1 :]])
            gap = margin * float(stdtrit(degrees, 0.975)) * math.sqrt(2) * apart
            alarms.append(np.mean([abs(math.log(a / b)) > gap for a, b in itertools.combinations(values, 2)]))
        yield (
            f"single runs, {name} of {len(samples)} sets: deviation {deviation:.3%}, {freedom:.1f} degrees of freedom; "
            f"in the judge {prior.deviation:.3%}, {prior.freedom:g}: gap {prior.gap - 1:.1%}; each set by the law of "
            f"all others, {margin:g} times as wide: {np.mean(alarms):.1%} of pairs of its runs called different"
        )
    for several in (1, 2, 3, 5, 9):
        cells = []
        for name, (prior, samples) in quantities.items():
            drawn = [rng.permutation(v)[: several + 1] for v in samples if len(v) > several for _ in range(pairs)]
            cells.append(f"{name} {np.mean([prior.ratio(v[:1], v[1:]).p < 0.05 for v in drawn]):.1%}")
        yield f"one run beside {several} of its set, called different: {', '.join(cells)}"
    singles = {id(group): [judge([run], ASKED)[0] for run in group.runs] for group in sets}
    told, tested = Counter(), 0
    for group in sets:
        mine = [single for single in singles[id(group)] if single.levels[0].reached]
        for first, second in [rng.choice(len(mine), 2, replace=False) for _ in range(pairs)]:
            (pair,) = compare([mine[first], mine[second]])
            tested += 1
            told["either"] += pair.differs
            told["the training"] += bool(pair.training and pair.training.differs)
            told["the machine"] += bool(pair.hardware and pair.hardware.differs)
    shares = ", ".join(f"{n / tested:.1%} by {name}" for name, n in told.items())
    yield f"A/A of single runs, {pairs} pairs of each of {len(sets)} systems, called different: {shares}"
    alike = [g for g in sets if g.workload == "rnnt-1536+v2" and not g.levels[0].missed]
    by_ratio: dict[str, Counter] = defaultdict(Counter)
    for one, other in itertools.combinations(alike, 2):
        (pair,) = compare([singles[id(group)][rng.integers(len(group.runs))] for group in (one, other)])
        truth = one.levels[0].minutes / other.levels[0].minutes
        apart = max(truth, 1 / truth)
        kind = "under 1.2" if apart < 1.2 else "1.2 to 1.5" if apart < 1.5 else "over 1.5"
        by_ratio[kind]["pairs"] += 1
        by_ratio[kind]["told"] += pair.training.differs
        by_ratio[kind]["wrongly"] += pair.training.differs and (pair.training.ratio.value > 1) != (truth > 1)
    for kind, count in sorted(by_ratio.items(), reverse=True):
        yield f"rigs of batch 1536 whose ten runs differ by {kind} times, told apart by one run each: {dict(count)}"
    for spread in (0.02, 0.04, 0.08):
        drawn = np.exp(rng.normal(0, spread, (2000, 2)))
        alarms = np.mean([TIMES.ratio([a], [b]).p < 0.05 for a, b in drawn])
        yield f"single runs of equal rigs that vary by {spread:.0%}, called different: {alarms:.1%}"


def machines(judgement: Judgement) -> Iterator[str]:
    """Of pairs of rigs of one batch and about one speed: how many do time and seconds per epoch tell apart?"""
    alike = [g for g in judgement if g.workload == "rnnt-1536+v2" and not g.levels[0].missed]
    told = Counter()
    pairs = 0
    for one, other in itertools.combinations(alike, 2):
        speed = one.seconds_per_epoch / other.seconds_per_epoch
        if not 1 / 1.1 < speed < 1.1:
            continue
        pairs += 1
        (pair,) = compare([one, other])
        told["training"] += bool(pair.training and pair.training.differs)
        told["machine"] += bool(pair.hardware and pair.hardware.differs)
        told["the same within 5%"] += pair.is_same
    yield f"{pairs} pairs of rigs within 10% in seconds per epoch, told apart: {dict(told)}"


def coverage(rng: np.random.Generator, times: int) -> Iterator[str]:
    """Simulate runs as MLPerf's vary (4% in epochs, 0.2% in seconds) and count the intervals that hold the truth."""

    def drawn(runs: int) -> np.ndarray:
        return 50 * np.exp(rng.normal(0, 0.04, runs))

    for runs in (3, 5, 10):
        hit = sum((e := log_interval(drawn(runs))).low <= 50 <= e.high for _ in range(times))
        yield f"interval of a time, {runs} runs: {hit / times:.1%} cover"
        for share in (0.8, 0.6):
            budget, hit, seen = 50 * math.exp(0.04 * statistics.NormalDist().inv_cdf(share)), 0, 0
            for _ in range(times):
                times_ = Times.of([(float(min(v, budget)), bool(v <= budget)) for v in drawn(runs)])
                if not times_.all_reached and (found := survival.interval(times_)):
                    seen, hit = seen + 1, hit + (found.low <= 50 <= found.high)
            yield f"interval of a time with misses, {runs} runs, {1 - share:.0%} of which miss: {hit / seen:.1%} cover"
        hit = sum((r := welch(drawn(runs) * 1.1, drawn(runs))).low <= 1.1 <= r.high for _ in range(times))
        yield f"ratio of two rigs, {runs} runs each: {hit / times:.1%} cover"
    for rigs, runs, between in ((3, 3, 0.0), (5, 3, 0.006), (10, 3, 0.006), (5, 10, 0.006), (10, 10, 0.006)):
        hit = seen = 0
        for _ in range(times):
            shifts = rng.normal(0, between, (rigs, 1))
            pool = Pool.of(np.ceil(50 * np.exp(shifts + rng.normal(0, 0.04, (rigs, runs)))))
            if pool.holds:
                from scipy.special import stdtrit

                mean = pool.mean_of(np.exp(pool.logs[0]))
                half = float(stdtrit(mean.freedom, 0.975)) * math.sqrt(mean.variance)
                seen, hit = seen + 1, hit + (abs(mean.log - math.log(50) - 0.01 - shifts[0, 0]) <= half)
        yield (
            f"factored, {rigs} rigs of {runs} runs, {between:.1%} from rig to rig: {hit / seen:.1%} cover, "
            f"{1 - seen / times:.1%} refused"
        )


def steps(rng: np.random.Generator, times: int) -> Iterator[str]:
    """Simulate times that are read at whole epochs, wherever in an epoch the level is; the truth is their own mean."""
    for spread in (0.02, 0.04, 0.08):
        for runs in (3, 5, 10, 20):
            cells = []
            for epochs in (4, 6, 8, 12):
                hit = 0
                for place in (np.arange(times) + rng.random(times)) / times:
                    middle = math.log(epochs - 0.5 + place)
                    values, many = (np.ceil(np.exp(rng.normal(middle, spread, n))) for n in (runs, 4000))
                    found = log_interval(values, step=statistics.fmean(1 / values))
                    hit += found.low <= math.exp(np.log(many).mean()) <= found.high
                cells.append(f"{hit / times:.1%} at {epochs}")
            yield f"interval of {runs} runs that vary by {spread:.0%}, read at whole epochs: {', '.join(cells)} cover"

    for spread in (0.02, 0.04, 0.08):
        for runs in (3, 5, 10, 20):
            cells = []
            for epochs in (4, 6, 8, 12):
                alarms = 0
                for place in (np.arange(times) + rng.random(times)) / times:
                    middle = math.log(epochs - 0.5 + place)
                    sides = [np.ceil(np.exp(rng.normal(middle, spread, runs))) for _ in range(2)]
                    alarms += welch(*sides, steps=[statistics.fmean(1 / side) for side in sides]).p < 0.05
                cells.append(f"{alarms / times:.1%} at {epochs}")
            yield f"equal rigs, {runs} runs that vary by {spread:.0%}, read at whole epochs: {', '.join(cells)} alarms"


def merit(rng: np.random.Generator, times: int) -> Iterator[str]:
    """Simulate two recipes of 7 and 20 epochs, read at whole ones, and count the parts' intervals that hold the truth.

    Seconds an epoch vary by 0.2 and 0.5%, the rest by 1%. The truth is of many runs read as the few are: of those that
    miss a budget, the parts that are seen without them.
    """
    middles, paces, rests = (6.5, 19.5), ((20.0, 0.002), (30.0, 0.005)), (1.08, 1.03)

    def drawn(runs: int, spread: float, shift: float) -> list[dict[str, np.ndarray]]:
        found = []
        for middle, (pace, varies), rest in zip(middles, paces, rests, strict=True):
            amount = np.ceil(np.exp(rng.normal(math.log(middle + shift), spread, runs)))
            each = pace * np.exp(rng.normal(0, varies, runs)), rest * np.exp(rng.normal(0, 0.01, runs))
            found.append({"time": amount * each[0] * each[1], "amount": amount, "pace": each[0], "rest": each[1]})
        return found

    for spread, runs in itertools.product((0.04, 0.08), (2, 3, 5, 10)):
        hits: Counter[str] = Counter()
        for place in (np.arange(times) + rng.random(times)) / times:
            sides, many = drawn(runs, spread, place), drawn(1000, spread, place)
            steps = tuple(statistics.fmean(1 / side["amount"]) for side in sides)
            for part in sides[0]:
                read = {"steps": steps} if part in ("time", "amount") else {}
                found = welch(*(side[part] for side in sides), **read)
                truth = math.exp(np.log(many[0][part]).mean() - np.log(many[1][part]).mean())
                hits[part] += found.low <= truth <= found.high
        told = ", ".join(f"{part} {hits[part] / times:.1%}" for part in ("time", "amount", "pace", "rest"))
        yield f"parts of a merit, {runs} runs each that vary by {spread:.0%}: {told} cover"
    for runs in (3, 5, 10):
        hit = seen = 0
        for place in (np.arange(times) + rng.random(times)) / times:
            (first, second), many = drawn(runs, 0.08, place), drawn(1000, 0.08, place)
            budget = 21.0  # epochs; a third of the second's runs miss it
            missed = second["amount"] > budget
            if not missed.any():
                continue
            sides = (
                Times.of([(float(v), True) for v in first["amount"]]),
                Times.of([(float(min(v, budget)), bool(v <= budget)) for v in second["amount"]]),
            )
            steps = tuple(statistics.fmean(1 / side["amount"]) for side in (first, second))
            if found := survival.ratio(*sides, steps=steps):
                truth = math.exp(np.log(many[0]["amount"]).mean() - np.log(many[1]["amount"]).mean())
                seen, hit = seen + 1, hit + (found.low <= truth <= found.high)
        yield f"amounts of a merit with misses, {runs} runs each that vary by 8%: {hit / seen:.1%} of {seen} cover"


def stopping(rng: np.random.Generator, times: int) -> Iterator[str]:
    from scipy.special import stdtr

    for ratio in (1.0, 1.05, 1.1):
        found = Counter()
        for _ in range(times):
            values = np.exp(rng.normal(0, 0.039, (2, 20)))
            values[1] *= ratio
            looks = [(n, values[:, :n]) for n in range(3, 21)]
            found["e-value"] += any(e_value(*v) >= SETTLED for _, v in looks)
            logs = np.log(values)
            for n, _ in looks:
                a, b = logs[0, :n], logs[1, :n]
                error = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / n)
                if 2 * stdtr(2 * n - 2, -abs(a.mean() - b.mean()) / error) < 0.05:
                    found["p < .05"] += 1
                    break
            found["the same within 5%, 20 runs"] += same(*values, ratio=1.05) < 0.05
        shares = ", ".join(f"{name} {n / times:.1%}" for name, n in sorted(found.items()))
        yield f"looked at after every run from 3 to 20, ratio {ratio:g}: {shares}"


def quantised(runs: Sequence[Run], level: float) -> Iterator[str]:
    """Say how times vary within rigs where only every so-many-th epoch was evaluated, as read and interpolated."""
    rigs: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        rigs[run.identity.platform].append(run.record)
    for every in (1, 2, 4, 8, 10):
        thinned = {rig: [_every(record, every) for record in records] for rig, records in rigs.items()}
        ways = {
            "as read": lambda record: record.time_to_accuracy_s("wer", level, window=1),
            "crossing": lambda record: record.crossing_s("wer", level, window=1),
        }
        cells, epochs = [], []
        for words, way in ways.items():
            spreads = []
            for records in thinned.values():
                found = [(way(record), record.reached("wer", level, window=1)) for record in records]
                times = [seconds for seconds, _ in found if seconds]
                epochs += [row.epoch for _, row in found if row]
                if len(times) == len(records) > 2:
                    spreads.append(coefficient_of_variation(times))
            spread = math.sqrt(statistics.fmean(spread**2 for spread in spreads))
            cells.append(f"{words} {spread:.1%}")
        count = statistics.median(epochs) / every
        yield (
            f"WER {level:g}, one of {every} epochs evaluated, {count:.0f} evaluations to target: CV of "
            f"{len(rigs)} rigs (root of its mean square) {', '.join(cells)}"
        )


def _every(record: RunRecord, every: int) -> RunRecord:
    """Return a record without the evaluations of other epochs than every so-many-th."""
    columns = record.table.columns
    kept = (columns["phase"] != "evaluate") | (columns["epoch"] % every == 0)
    return RunRecord(table=Table(record.identity, {name: column[kept] for name, column in columns.items()}))


def scores(journals: str, data: Path, of_round: str) -> Iterator[str]:
    """Compare runs that benchmark.ingest made with what was read from the same round's logs otherwise."""
    with data.open(newline="", encoding="utf-8") as file:
        published = {(name_of(row), f"result_{row['run']}.txt"): row for row in csv.DictReader(file)}
    checked, other_epochs, worst_s = 0, [], 0.0
    for run in read_runs(journals):
        name = (f"{of_round} {run.identity.platform}", run.facts.content["log"]["file"])
        row, there = published.get(name), run.record.reached("wer", TARGET, window=1)
        if row is None or (row["status"] == "success") != (there is not None):
            other_epochs.append(" ".join(name))
            continue
        checked += 1
        if there is not None:
            off_s = run.record.read_s(there, "mlperf") - 60 * float(row["minutes_to_058"])
            worst_s = max(worst_s, abs(off_s))
            other_epochs += [" ".join(name)] * (there.epoch != int(row["epochs_to_058"]))
    yield f"scores of round {of_round}: {checked} runs in the data, {len(other_epochs)} with other epochs or not in it"
    yield f"largest difference of a score: {1000 * worst_s:.0f} ms (the data is rounded to 6)"


def _trial(options: argparse.Namespace) -> None:
    if options.journals:
        asked = options.round
        told = scores(options.journals, options.data, asked) if asked else quantised(read_runs(options.journals), 6.5)
        for sentence in told:
            print(f"- {sentence}")
        return
    rows = read_facts(options.data)
    judgement = judge(runs_of(rows), ASKED)
    rng, times = np.random.default_rng(58), 300 if options.quick else 2000
    print(f"{len(rows)} runs of {len(judgement)} result sets")
    parts = (
        arithmetic(judgement, rows),
        worth_of_factoring(judgement),
        gate(judgement, rng, times),
        halves_of_one(judgement, rng, 3 if options.quick else 30),
        single_runs(judgement, np.random.default_rng(60), 3 if options.quick else 20),
        machines(judgement),
        coverage(rng, times),
        steps(np.random.default_rng(59), times),
        stopping(rng, times // 2),
        merit(np.random.default_rng(61), times // 2),
    )
    for sentence in itertools.chain(*parts):
        print(f"- {sentence}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("judging", __doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="default: docs/data/mlperf_rnnt_runs.csv")
    parser.add_argument("--journals", metavar="PATTERN", help="runs that benchmark.ingest made of MLPerf's logs")
    parser.add_argument(
        "--round", metavar="R", help="compare the scores of --journals with --data of a round, such as 3.1"
    )
    parser.add_argument("--quick", action="store_true", help="simulate a seventh as much")
    return common.run("judging", parser, _trial, argv)


if __name__ == "__main__":
    raise SystemExit(main())
