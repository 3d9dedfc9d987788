"""Does benchmark.choose take the right rig, what does a wrong one cost, and do its probabilities come true?

    python -m tests.trials.choosing [--data docs/data/mlperf_rnnt_runs.csv] [--draws 400] [--figure docs/choosing.svg]

Eight of MLPerf's speech systems at a time are what one could take (rounds 2.0 to 3.1, one recipe, batches from 512 to
6144). An epoch of one run of each is its probe; its nine other runs are the truth. How many epochs the level takes is
known from the systems that are not among the eight, or from one run of one of the eight alone. What a run took beside
its epochs counts as its probe's start. Asked is how often the
choice is right and its regret, against taking the best throughput (a dollar) and against ten runs of all; what
following the advice to its end costs; and whether stated probabilities come true. Nobody publishes what these systems
cost: their price is made up of the medians of GPU hours in platforms/offers.csv, whatever machine they stand in.
A hundred choices of each kind take a minute; the figures stand in docs/judging.md.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.judge.beliefs import NORMAL_95, RUN, Evidence
from benchmark.judge.choice import CHEAPER, SOONER, Candidate, Choice, Money, Wish, choose
from platforms.gpus import kind
from platforms.offers import example
from tests.trials import common
from tests.trials.judging import DATA, ERAS, name_of, read_facts

RIGS, RUNS, DRAWS = 8, 10, 1000
BINS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)


@dataclass(frozen=True)
class System:
    """One system's runs: (epochs, seconds an epoch, minutes) of each that reached the level, and a made-up rent."""

    name: str
    batch: int
    runs: tuple[tuple[int, float, float], ...]
    rent_per_hour: float

    def evidence(self, *, probe: int, seen: Sequence[int] = ()) -> Evidence:
        """Return what a probe and some whole runs show of it."""
        paces_s = tuple(self.runs[n][1] for n in seen) or (self.runs[probe][1],)
        epochs, pace_s, minutes = self.runs[probe]
        return Evidence(
            name=self.name,
            batch=self.batch,
            epochs=tuple(self.runs[n][0] for n in seen),
            paces_s=paces_s,
            start_s=max(0.0, 60 * minutes - epochs * pace_s),
        )

    def hours(self, without: Sequence[int]) -> float:
        return statistics.fmean(run[2] for n, run in enumerate(self.runs) if n not in without) / 60


def systems_of(rows: Sequence[dict[str, str]]) -> list[System]:
    """Return the systems of one recipe whose GPUs have a price in the example offers."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["round"] not in ERAS and row["status"] == "success":
            found[name_of(row)].append(row)
    systems = []
    for name, mine in found.items():
        an_hour = example().usual_gpu_hour(kind(mine[0]["accelerator"]).model, "USD")
        runs = [(int(r["epochs_to_058"]), float(r["s_per_epoch"]), float(r["minutes_to_058"])) for r in mine]
        if an_hour and len({run[0] for run in runs}) > 1 and len(runs) == RUNS:
            systems.append(System(name, int(mine[0]["batch"]), tuple(runs), an_hour * int(mine[0]["accelerators"])))
    return systems


def candidate(system: System, evidence: Evidence) -> Candidate:
    return Candidate(evidence=evidence, money=Money(0.0, system.rent_per_hour))


def references(systems: Sequence[System], without: Sequence[System]) -> list[Evidence]:
    return [
        replace(system.evidence(probe=0, seen=range(len(system.runs))), paces_s=())
        for system in systems
        if system not in without
    ]


# --- questions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A choice among systems, and the truth: the hours and the cost of a training on each, by the runs not shown."""

    choice: Choice
    systems: tuple[System, ...]
    hours: tuple[float, ...]
    costs: tuple[float, ...]

    @property
    def truth(self) -> tuple[float, ...]:
        return self.costs if self.choice.wish.goal == CHEAPER else self.hours


def cases(systems: Sequence[System], goal: str, rng: random.Random, draws: int, *, published: bool) -> Iterator[Case]:
    """Yield choices among RIGS systems drawn at random, with the epochs of the others or of one run of one of them."""
    for _ in range(draws):
        drawn = rng.sample(list(systems), RIGS)
        probes = [rng.randrange(len(system.runs)) for system in drawn]
        ran = rng.randrange(RIGS)
        evidence = [
            system.evidence(probe=probe, seen=[] if published or n != ran else [probe])
            for n, (system, probe) in enumerate(zip(drawn, probes, strict=True))
        ]
        known = references(systems, drawn) if published else []
        found = choose([candidate(*pair) for pair in zip(drawn, evidence, strict=True)], known, Wish(goal=goal))
        hours = tuple(system.hours([probe]) for system, probe in zip(drawn, probes, strict=True))
        costs = tuple(h * system.rent_per_hour for h, system in zip(hours, drawn, strict=True))
        yield Case(found, tuple(drawn), hours, costs)


def by_throughput(case: Case) -> int:
    """Return the system with the best throughput by its probe, a dollar where money is the goal."""
    of = [c.evidence.paces_s[0] * (c.money.per_hour if case.choice.wish.goal == CHEAPER else 1.0)
          for c in case.choice.candidates]  # fmt: skip
    return min(range(RIGS), key=of.__getitem__)


def regrets(found: Sequence[Case], goal: str, known: str) -> Iterator[str]:
    unit, factor = ("USD", 1.0) if goal == CHEAPER else ("min", 60.0)
    for name, take in (("choose", lambda case: case.choice.taken), ("best throughput", by_throughput)):
        off = [case.truth[take(case)] - min(case.truth) for case in found]
        shares = [o / min(case.truth) for o, case in zip(off, found, strict=True)]
        yield (
            f"{goal}, {known}: {name} is right in {sum(o == 0 for o in off) / len(off):.1%} of {len(off)} draws; "
            f"regret of a training {factor * statistics.fmean(off):.2f} {unit}, {statistics.fmean(shares):.2%} on the "
            f"average, {sorted(shares)[int(0.95 * len(shares))]:.1%} in the worst 20th"
        )
    stated = statistics.fmean(1 - case.choice.p_another for case in found)
    yield f"{goal}, {known}: it said that it would be right in {stated:.1%}"
    probes = statistics.fmean(
        sum(c.money.per_hour * c.evidence.paces_s[0] / 3600 for c in case.choice.candidates) for case in found
    )
    tens = statistics.fmean(10 * sum(case.costs) for case in found)
    yield f"{goal}, {known}: the probes cost {probes:.2f} USD, ten runs of all {tens:.0f} USD"


def stated(case: Case) -> tuple[list[float], list[float]]:
    """Return how probably each system is better than the one taken, and the best, on the average of the runs not shown.

    What is believed is of the average over all seeds; nine runs have their luck beside it.
    """
    rng, beliefs = random.Random(59), case.choice.beliefs
    luck = math.sqrt(beliefs.run_variances[0] / (RUNS - 1))
    rents = [s.rent_per_hour if case.choice.wish.goal == CHEAPER else 1.0 for s in case.systems]
    better, best = [0] * RIGS, [0] * RIGS
    draws = beliefs.draws(DRAWS)
    for seconds in draws:
        values = [rent * s * math.exp(rng.gauss(0.0, luck)) for rent, s in zip(rents, seconds, strict=True)]
        best[min(range(RIGS), key=values.__getitem__)] += 1
        for n, value in enumerate(values):
            better[n] += value < values[case.choice.taken]
    return [n / len(draws) for n in better], [n / len(draws) for n in best]


def told(found: Sequence[Case]) -> tuple[list[tuple[float, bool]], list[tuple[float, bool]]]:
    """Return what was said with which probability and whether it came true: another is better; it is the best."""
    pairs, bests = [], []
    for case in found:
        better, best = stated(case)
        first = min(range(RIGS), key=case.truth.__getitem__)
        taken = case.truth[case.choice.taken]
        pairs += [(better[n], case.truth[n] < taken) for n in range(RIGS) if n != case.choice.taken]
        bests += [(best[n], n == first) for n in range(RIGS)]
    return pairs, bests


def reliability(told: Sequence[tuple[float, bool]], name: str) -> Iterator[str]:
    """Say how often what was said with a probability came true, bin by bin."""
    yield f"{name}: Brier score {statistics.fmean((p - came) ** 2 for p, came in told):.4f} of {len(told)}"
    for said, share, count in binned(told):
        yield f"{name}: said {said:.1%} on the average, came true {share:.1%} of {count}"


def binned(told: Sequence[tuple[float, bool]]) -> Iterator[tuple[float, float, int]]:
    """Yield of each bin of BINS what was said on the average, the share that came true, and how many they are."""
    for low, high in zip(BINS, BINS[1:], strict=False):
        mine = [(p, came) for p, came in told if low <= p < high or (p == high == 1.0)]
        if mine:
            said, share = (statistics.fmean(pair[k] for pair in mine) for k in (0, 1))
            yield said, share, len(mine)


def coverage(found: Sequence[Case]) -> str:
    """Say how often the mean of the runs not shown is in the interval of so many runs' mean."""
    inside = []
    for case in found:
        beliefs = case.choice.beliefs
        for n, hours in enumerate(case.hours):
            mean, variance = beliefs.log_time(n)
            half = NORMAL_95 * math.sqrt(variance + beliefs.run_variances[n] / (RUNS - 1))
            inside.append(abs(math.log(max(1.0, 3600 * hours - beliefs.starts_s[n])) - mean) <= half)
    return f"{statistics.fmean(inside):.1%} of {len(inside)}"


def advised(systems: Sequence[System], rng: random.Random, draws: int, trainings: int) -> Iterator[str]:
    """Follow the advice until it says stop, with one run of one of eight to begin with; the last five are the truth."""
    spent, lost, lost_at_once, ran, all_runs, right, right_at_once = 0.0, 0.0, 0.0, 0, 0.0, 0, 0
    for _ in range(draws):
        drawn = rng.sample(list(systems), RIGS)
        seen: list[list[int]] = [[] for _ in drawn]
        seen[rng.randrange(RIGS)] = [0]
        truth = [system.hours(range(RUNS // 2)) * system.rent_per_hour for system in drawn]
        first = None
        while True:
            known = [candidate(s, s.evidence(probe=0, seen=mine)) for s, mine in zip(drawn, seen, strict=True)]
            found = choose(known, (), Wish(goal=CHEAPER, trainings=trainings))
            first = found.taken if first is None else first
            if found.next is None:
                break
            rig, times = found.next.look.rig, found.next.look.times if found.next.look.what == RUN else 1
            new = [n for n in range(RUNS // 2) if n not in seen[rig]][:times]
            if not new:
                break
            seen[rig] += new
            spent += sum(drawn[rig].runs[n][2] / 60 for n in new) * drawn[rig].rent_per_hour
            ran += len(new)
        lost += trainings * (truth[found.taken] - min(truth))
        lost_at_once += trainings * (truth[first] - min(truth))
        all_runs += 10 * sum(truth)
        right += truth[found.taken] == min(truth)
        right_at_once += truth[first] == min(truth)
    runs, usd, regret, at_once, tens = (each / draws for each in (ran, spent, lost, lost_at_once, all_runs))
    yield (
        f"advice for {trainings} trainings, {draws} draws: {runs:.1f} runs for {usd:.0f} USD, then right in "
        f"{right / draws:.0%} with {regret:.0f} USD of regret in all; at once right in "
        f"{right_at_once / draws:.0%} with {at_once:.0f} USD; ten runs of all cost {tens:.0f} USD"
    )


def figure(bests: Sequence[tuple[float, bool]]) -> str:
    """Return an SVG of said probabilities against how often they came true; a circle's area is how many they were."""
    size, edge = 240, 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size + 2 * edge}" height="{size + 2 * edge}" role="img">',
        '<g font-family="sans-serif" font-size="11">',
        "<title>Probabilities that were said of a system to be the best, and how often it was</title>",
        f'<rect x="{edge}" y="{edge}" width="{size}" height="{size}" fill="white" stroke="#888"/>',
        f'<path d="M{edge} {edge + size}L{edge + size} {edge}" stroke="#bbb" stroke-dasharray="4 3"/>',
    ]
    for share in (0, 0.5, 1):
        at = size * share
        parts.append(f'<text x="{edge + at:g}" y="{edge + size + 15}" text-anchor="middle">{share:.0%}</text>')
        parts.append(f'<text x="{edge - 5}" y="{edge + size - at + 4:g}" text-anchor="end">{share:.0%}</text>')
    for said, share, count in binned(bests):
        error = 1.96 * math.sqrt(max(share * (1 - share), 1 / count) / count)
        x, (low, high) = edge + size * said, (max(0.0, share - error), min(1.0, share + error))
        y, top, bottom = (edge + size * (1 - each) for each in (share, high, low))
        parts.append(f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="#2b6cb0"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{min(9, 2 + math.sqrt(count) / 4):.1f}" fill="#2b6cb0"/>')
    parts.append(f'<text x="{edge + size / 2:g}" y="{size + 2 * edge - 4}" text-anchor="middle">said</text>')
    parts.append(f'<text x="{edge}" y="{edge - 10}">came true</text></g></svg>')
    return "\n".join(parts) + "\n"


def _trial(options: argparse.Namespace) -> None:
    systems = systems_of(read_facts(options.data))
    print(f"{len(systems)} systems, {sum(len(s.runs) for s in systems)} runs")
    everything: list[tuple[float, bool]] = []
    for published, known in ((True, "epochs of other systems"), (False, "one run of one of them")):
        for goal in (CHEAPER, SOONER):
            found = list(cases(systems, goal, random.Random(58), options.draws, published=published))
            for sentence in regrets(found, goal, known):
                print(f"- {sentence}", flush=True)
            said = told(found)
            everything += said[1]
            for pairs, what in zip(said, ("another is better", "it is the best"), strict=True):
                for sentence in reliability(pairs, f"{goal}, {known}, {what}"):
                    print(f"- {sentence}")
            print(f"- {goal}, {known}: intervals of times have the mean of the nine runs in {coverage(found)}")
    if options.figure:
        options.figure.write_text(figure(everything), encoding="utf-8")
    for trainings in (10, 100, 1000):
        for sentence in advised(systems, random.Random(60), max(1, options.draws // 8), trainings):
            print(f"- {sentence}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("choosing", __doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="default: docs/data/mlperf_rnnt_runs.csv")
    parser.add_argument("--draws", type=int, default=100, help="choices of each kind; default: %(default)s")
    parser.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw what was said against what came true")
    return common.run("choosing", parser, _trial, argv)


if __name__ == "__main__":
    raise SystemExit(main())
