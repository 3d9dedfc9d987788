"""Is one rig faster than another, by how much, and is that more than chance? From the journals of both.

    python -m benchmark.compare sys1 sys2                    # platforms, from results/*.csv
    python -m benchmark.compare old='old/*.csv' new='new/*.csv' --metric wer --level 22
    python -m benchmark.compare cpu --aa                     # two halves of one platform's runs must not differ

    compared = compare(groups, ...)
    compared[0].time.value, compared[0].verdict

For every pair and quantity the ratio of geometric means with its 95% interval; for time to accuracy Welch's test on
logarithms, its p adjusted by Holm over everything that is compared in one call (the intervals are each pair's own).
At least two runs a side; the verdict says what they can tell, and if they cannot tell, how many runs more would
resolve a difference of 5%.
"""

from __future__ import annotations

import argparse
import glob
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from benchmark.judge.checks import warnings
from benchmark.judge.estimates import Ratio, holm, runs_to_resolve, welch
from benchmark.judge.groups import COMPARED, Group, JudgeError, Question, check_given_once, judge, metric_name
from benchmark.options import percent, whole_from_1
from benchmark.price import PriceError, Terms, rig_costs
from benchmark.record.journal import CLOCKS, METRICS, JournalError, RunRecord, read
from benchmark.tables import Table, show

ALPHA = 0.05
RESOLVED = 1.05  # a ratio
QUANTITIES = ("time", "epochs", "seconds_per_epoch", "throughput", "cost")
WORDS = {
    "time": "time to accuracy",
    "epochs": "epochs to target",
    "seconds_per_epoch": "seconds an epoch",
    "throughput": "utterances/s",
    "cost": "cost of a training",
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two groups at one level: first over second in each of QUANTITIES; `p` is adjusted. None is not known."""

    first: str
    second: str
    metric: str
    percent: float
    ratios: dict[str, Ratio | None]
    p: float | None
    more_runs: int | None
    reason: str = ""

    @property
    def differs(self) -> bool:
        return self.p is not None and self.p < ALPHA

    @property
    def verdict(self) -> str:
        """In words."""
        level, pair, time = f"{metric_name(self.metric)} {self.percent:g}", f"{self.first} and {self.second}", self.time
        if time is None:
            return f"{pair} at {level}: no comparison: {self.reason}"
        if self.p is None:
            return (
                f"{pair} at {level}: ratio {time.value:.3f}, but single runs, or runs all alike, tell nothing of chance"
            )
        if self.differs:
            fast, slow = (self.first, self.second) if time.value < 1 else (self.second, self.first)
            ratio = time if time.value < 1 else time.inverse
            return (
                f"{fast} is faster than {slow} to {level}: {_less(ratio.value)} less time "
                f"({_less(ratio.high)} to {_less(ratio.low)}; Holm-adjusted p = {self.p:.2g})"
            )
        gap = f"ratio {time.value:.3f} ({time.low:.3f} to {time.high:.3f}; Holm-adjusted p = {self.p:.2g})"
        if self.more_runs:
            way_out = f"{self.more_runs} more runs each would resolve {RESOLVED - 1:.0%}"
        else:
            way_out = f"these runs would have shown a difference of {RESOLVED - 1:.0%} four times in five"
        return f"{pair} are not distinguishable at {level}: {gap}; {way_out}"

    @property
    def time(self) -> Ratio | None:
        return self.ratios["time"]


def _less(ratio: float) -> str:
    return f"{1 - ratio:.1%}"


def compare(groups: Sequence[Group], *, terms: Terms | None = None) -> list[Pair]:
    """Every pair of groups at every level, level by level; p values adjusted over all of them."""
    levels, couples = range(len(groups[0].levels)), list(combinations(groups, 2))
    alpha = ALPHA / max(1, len(levels) * len(couples))  # of the strictest of Holm's steps
    pairs = [_pair(a, b, number, terms or Terms(), alpha) for number in levels for a, b in couples]
    return [replace(pair, p=p) for pair, p in zip(pairs, holm([pair.p for pair in pairs]), strict=True)]


def _pair(first: Group, second: Group, number: int, terms: Terms, alpha: float) -> Pair:
    levels = first.levels[number], second.levels[number]
    values = [_values(group, number, terms) for group in (first, second)]
    ratios = {name: _ratio(values[0][name], values[1][name]) for name in QUANTITIES}
    if len({cost.currency for g in (first, second) for cost in rig_costs([g], terms, level=number)}) > 1:
        ratios["cost"] = None
    missed = [
        f"{group.label} reached it in {level.reached} of {len(level.seconds)} runs"
        for group, level in zip((first, second), levels, strict=True)
        if level.reached < len(level.seconds)
    ]
    needed = runs_to_resolve(values[0]["time"], values[1]["time"], ratio=RESOLVED, alpha=alpha)
    return Pair(
        first=first.label,
        second=second.label,
        metric=levels[0].metric,
        percent=levels[0].percent,
        ratios=ratios,
        p=ratios["time"].p if ratios["time"] else None,
        more_runs=max(0, needed - min(len(first.records), len(second.records))) if needed else None,
        reason="; ".join(missed),
    )


def _values(group: Group, number: int, terms: Terms) -> dict[str, tuple[float, ...]]:
    """Quantity -> its value in every run; empty if one is not known."""
    level = group.levels[number]
    times = level.all_minutes or ()
    (cost,) = rig_costs([group], terms, level=number)
    rates = [statistics.median(r.throughputs) if r.throughputs else None for r in group.records]
    scale = cost.cost / level.minutes if cost.cost and level.minutes else None
    found = {
        "time": times,
        "epochs": level.epochs,
        "seconds_per_epoch": [record.seconds_per_epoch for record in group.records],
        "throughput": rates,
        "cost": [minutes * scale for minutes in times] if scale else (),
    }
    return {name: tuple(values) if all(values) else () for name, values in found.items()}


def _ratio(first: tuple[float, ...], second: tuple[float, ...]) -> Ratio | None:
    return welch(first, second) if first and second else None


def halves(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """Runs in two halves, by turns in the order of their seeds."""
    ordered = sorted(records, key=lambda record: (record.rows[0].seed, record.rows[0].run))
    return ordered[::2], ordered[1::2]


def report_parts(pairs: Sequence[Pair]) -> list[str | Table]:
    """A table of ratios for every level, then the verdicts."""
    parts: list[str | Table] = []
    for metric, level in dict.fromkeys((pair.metric, pair.percent) for pair in pairs):
        block = [pair for pair in pairs if (pair.metric, pair.percent) == (metric, level)]
        rows = tuple((f"{p.first} / {p.second}", *(_cell(p.ratios[name]) for name in QUANTITIES)) for p in block)
        title = f"{metric_name(metric)} {level:g}: first over second, with 95% intervals"
        parts.append(Table(title, ("pair", *(WORDS[name] for name in QUANTITIES)), rows))
    return [*parts, "Verdicts:\n" + "\n".join(f"- {pair.verdict}" for pair in pairs)]


def _doubts(groups: Sequence[Group], options: argparse.Namespace) -> list[str]:
    question = Question(metrics=(options.metric,), window=options.epochs, clock=options.clock)
    found = warnings([record for group in groups for record in group.records], groups, question)
    return ["Warnings:\n" + "\n".join(f"- {text}" for text in found)] if found else []


def _cell(ratio: Ratio | None) -> str:
    if ratio is None:
        return "NA"
    return f"{ratio.value:.3f}" + (f" ({ratio.low:.3f} to {ratio.high:.3f})" if ratio.low is not None else "")


def groups_of(options: argparse.Namespace) -> list[Group]:
    """What the command line asks to compare, each a group of alike runs.

    Raises:
        JudgeError: no runs for a name, runs that may not be pooled, or that differ in what is being learnt.
    """
    question = Question(
        metrics=(options.metric,), levels=tuple(options.level), window=options.epochs, clock=options.clock
    )
    named = list(_named_records(options))
    if options.aa:
        ((name, records),) = named
        if len(records) < 4:
            raise JudgeError(f"{name}: {len(records)} runs; expected at least 4 for two halves")
        named = [(f"{name}, half {n}", half) for n, half in enumerate(halves(records), start=1)]
    groups = []
    for name, records in named:
        judged = judge(records, question)
        if len(judged) != 1:
            kinds = ", ".join(f"{group.label} {group.workload}" for group in judged) or "none with rows"
            raise JudgeError(f"{name}: runs of {len(judged)} kinds ({kinds}); expected one platform and workload")
        groups.append(replace(judged[0], name=name))
    check_given_once([record for _, records in named for record in records])
    return _at_common_levels(groups, question)


def _at_common_levels(groups: list[Group], question: Question) -> list[Group]:
    """Judged again at the levels that all have; by default at the hardest that all runs reached."""
    for name in COMPARED:
        values = {getattr(group.records[0].rows[0], name) for group in groups}
        if len(values) > 1:
            raise JudgeError(
                f"{name} is {' and '.join(map(repr, sorted(map(str, values))))}; expected runs that learn the same"
            )
    if question.levels:
        return groups
    common = set.intersection(*({level.percent for level in group.levels} for group in groups))
    reached = [
        asked
        for asked in common
        if all(level.reached == len(level.seconds) for g in groups for level in g.levels if level.percent == asked)
    ]
    if not (reached or common):
        raise JudgeError("the runs have no level in common; name one with --level")
    chosen = min(reached) if reached else max(common)
    return [replace(g, levels=tuple(level for level in g.levels if level.percent == chosen)) for g in groups]


def _named_records(options: argparse.Namespace) -> Iterator[tuple[str, list[RunRecord]]]:
    there = None
    for operand in options.operands:
        name, equals, pattern = operand.partition("=")
        if not equals and operand.endswith(".csv"):
            name, equals, pattern = operand, "=", operand
        if equals:
            paths = sorted(glob.glob(pattern))
            if not paths:
                raise JudgeError(f"no file matches {pattern}; expected the CSV files of runs")
            yield name, [read(path) for path in paths]
            continue
        if there is None:
            there = [read(path) for path in sorted(Path(options.results).glob("*.csv"))]
        found = [record for record in there if record.rows and record.rows[0].platform == name]
        if not found:
            names = sorted({record.rows[0].platform for record in there if record.rows})
            raise JudgeError(
                f"no runs of platform {name!r} in {options.results}; there are {', '.join(names) or 'none'}; files are "
                f"given as NAME='files*.csv'"
            )
        yield name, found


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 1 an A/A check found a difference, 2 bad input."""
    options = _parser().parse_args(argv)
    try:
        if options.aa != (len(options.operands) == 1):
            raise JudgeError("expected two platforms or more, or one with --aa")
        terms = Terms(years=options.years, duty=options.duty, kwh_price=options.kwh_price)
        groups = groups_of(options)
        pairs = compare(groups, terms=terms)
        show([*report_parts(pairs), *_doubts(groups, options)])
        return int(options.aa and any(pair.differs for pair in pairs))
    except (JournalError, JudgeError, PriceError) as error:
        print(f"benchmark.compare: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    usual = Terms()
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("operands", nargs="+", metavar="PLATFORM|NAME=FILES", help="a platform, or runs by a pattern of files")
    add("--results", default="results", metavar="DIR", help="where platforms' runs are; default: %(default)s")
    add("--aa", action="store_true", help="two halves of one platform's runs; status 1 if they differ")
    add("--metric", choices=METRICS, default="wer", help="default: %(default)s")
    add(
        "--level", type=percent, action="append", default=[], help="percent; default: the hardest that all runs reached"
    )
    add(
        "--epochs",
        type=whole_from_1,
        default=3,
        metavar="E",
        help="epochs the median is taken over; default: %(default)s",
    )
    add("--clock", choices=tuple(CLOCKS), default="wall", help="default: %(default)s")
    add("--years", type=float, default=usual.years, help="a purchase is written off over; default: %(default)g")
    add("--duty", type=float, default=usual.duty, help="share of that time in use; default: %(default)g")
    add("--kwh-price", type=float, metavar="P", help="of energy, in the platform's currency; default: energy left out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
