"""Which host of a run on several machines is slower than the others, by what each took by itself.

    for work in works_of(times.rows):
        work.name, work.medians_s               # "train", (9.0, 9.1, 11.8): seconds a row, of each host
        work.slowest, work.ratio, work.share, work.is_slow      # 2, 1.30, 0.21, True

Every step waits for the slowest host, so one that takes 1.3 times as long makes the whole run take so long.

**The rule.** Of one kind of work, each row names at most one host, that which took longest in it. Were all hosts alike,
each would be named in one of H rows. A host is called slow if it is named so often that a fair draw would hardly do it,
and if it matters: in its median row it takes at least LEAST_RATIO times as long as the median of the others, and the
difference, for which they wait, is at least LEAST_SHARE of the row.

"Hardly" is an e-value, which may be looked at after every row: with k of n rows it is the mean, over all p from 1/H to
1, of p^k (1 - p)^(n - k) / ((1/H)^k (1 - 1/H)^(n - k)). By Ville's inequality it ever reaches H / ALPHA, for any of H
hosts, with a probability of at most ALPHA, if rows are independent and hosts alike.
Of two hosts one has to be slowest in 11 of 11 rows, or in 44 of 60; of four in 6 of 6, or 29 of 60. Rows that are like
the one before, as under load that comes and goes, count for less (`independent`).

**How often it is wrong**: of 4,000 simulated runs of 400 rows, in which hosts are alike and rows independent, and which
are looked at after every row, chance names a host in 0.5% (2 hosts), 0.4% (4) or 0.7% (8) before it is asked whether it
matters; of 200 runs of 200 rows with the autocorrelation 0.5 or 0.9 and a spread of 10%, the rule names none
(tests/benchmark/record/test_slowest.py).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmark.record.host_times import HostRow
from benchmark.record.phases import EVALUATED, Phase

ALPHA = 0.01
TRAIN, FORWARD = "train", "forward passes"
LEAST_RATIO = 1.05
LEAST_SHARE = 0.02
LEAST_RATIO_OF_DECODING = 1.25
"""Hosts decode other utterances, the same ones after every epoch: a smaller difference may be of what was said."""

ON_GPUS = "not known on GPUs: their work is queued, and to wait for it would slow every step"
NOT_MEASURED = "not measured: a deterministic run reads no time of day"
"""Why hosts' own time in train may be missing."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What hosts did by themselves in `rows` rows; and which of them took longest, as a rule.

    `medians_s` are each host's seconds a row, or of decoding an utterance. `ratio` is the slowest host's time over the
    median of the others', `share` the difference over the row's seconds: medians over rows, both. In `longest` rows it
    took longer than every other.
    """

    name: str
    rows: int
    medians_s: tuple[float, ...]
    slowest: int
    ratio: float
    share: float
    longest: int
    evidence: float
    least_ratio: float = LEAST_RATIO

    @property
    def is_sure(self) -> bool:
        """Whether it is more than chance that its slowest host took longest so often."""
        return self.evidence >= len(self.medians_s) / ALPHA

    @property
    def is_slow(self) -> bool:
        """Whether its slowest host is slow, by the rule above: for sure, and by enough."""
        return self.is_sure and self.ratio >= self.least_ratio and self.share >= LEAST_SHARE

    def said(self, names: Sequence[str]) -> str:
        """Return what there is to say of the slowest host, in a clause."""
        those = "the other" if len(self.medians_s) == 2 else "the median of the others"
        return (
            f"{names[self.slowest]} takes {self.ratio:.2f} times as long as {those} in {self.name}; the difference is "
            f"{self.share:.0%} of that time (longest in {self.longest} of {self.rows} rows)"
        )


@dataclass(frozen=True)
class _Kind:
    """A kind of work: its name, the phases and the parts that add up to it, and by what they are divided."""

    name: str
    phases: tuple[Phase, ...]
    parts: tuple[str, ...]
    by: str = ""
    least_ratio: float = LEAST_RATIO


KINDS = (
    _Kind(TRAIN, (Phase.TRAIN,), ("input", "gradients")),
    _Kind("reading input", (Phase.TRAIN,), ("input",)),
    _Kind(FORWARD, EVALUATED, ("forward",)),
    _Kind("decoding", EVALUATED, ("decoding",), "utterances", LEAST_RATIO_OF_DECODING),
    _Kind("swap", (Phase.SWAP,), ("swap",)),
    _Kind("restore", (Phase.CREATE,), ("restore",)),
)
"""What is judged. Not `make`, in which hosts wait for one another."""


@dataclass(frozen=True)
class Times:
    """What each host took of a kind of work in one row of the journal, in seconds; of decoding, an utterance.

    `ended_s` and `seconds` are the row's; `count` is how many utterances a host decoded, on the average, else 1.
    """

    ended_s: float
    seconds: float
    own_s: tuple[float, ...]
    count: float


def works_of(rows: Iterable[HostRow]) -> tuple[Work, ...]:
    """Return each kind of work of which all hosts' times are known in some row, in the order of KINDS."""
    together = _together(rows)
    found = (_work(kind, list(_times(kind, together))) for kind in KINDS)
    return tuple(work for work in found if work)


def times_of(name: str, rows: Iterable[HostRow]) -> list[Times]:
    """Return what hosts took of a kind of work, by its name, in each row in which all of them are known."""
    (kind,) = (kind for kind in KINDS if kind.name == name)
    return list(_times(kind, _together(rows)))


def slow_hosts(rows: Iterable[HostRow]) -> tuple[Work, ...]:
    """Return the kinds of work in which a host is slow."""
    return tuple(work for work in works_of(rows) if work.is_slow)


def _together(rows: Iterable[HostRow]) -> list[dict[str, HostRow]]:
    """Return the parts of each row of the journal, by their names."""
    found: dict[tuple[int, Phase, int, int, float], dict[str, HostRow]] = {}
    for row in rows:
        found.setdefault((row.attempt, row.phase, row.epoch, row.step, row.started_s), {})[row.part] = row
    return list(found.values())


def _times(kind: _Kind, together: Iterable[dict[str, HostRow]]) -> Iterator[Times]:
    """Yield what hosts took in each row that has all parts of a kind, with all hosts."""
    for parts in together:
        there = [parts[part] for part in kind.parts if part in parts]
        if len(there) < len(kind.parts) or there[0].phase not in kind.phases or not there[0].seconds:
            continue
        times = [_sum(values) for values in zip(*(each.own for each in there), strict=True)]
        counts: Sequence[float | None] = parts[kind.by].own if kind.by in parts else [1.0] * len(times)
        if None in times or (kind.by and kind.by not in parts) or not all(counts):
            continue
        own_s = tuple(t / n for t, n in zip(times, counts, strict=True))  # type: ignore[operator]
        mean = sum(counts) / len(counts)  # type: ignore[arg-type]
        yield Times(there[0].ended_s, there[0].seconds, own_s, mean)


def _sum(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(values)  # type: ignore[arg-type]


def _work(kind: _Kind, rows: Sequence[Times]) -> Work | None:
    if not rows:
        return None
    hosts = len(rows[0].own_s)
    against = [[_against(row.own_s, host) for row in rows] for host in range(hosts)]
    ratios = [statistics.median(ratio for ratio, _ in each) for each in against]
    slowest = max(range(hosts), key=lambda host: (ratios[host], -host))
    longest = sum(row.own_s[slowest] > max(_without(row.own_s, slowest)) for row in rows)
    shares = [extra * row.count / row.seconds for (_, extra), row in zip(against[slowest], rows, strict=True)]
    return Work(
        name=kind.name,
        rows=len(rows),
        medians_s=tuple(statistics.median(row.own_s[host] for row in rows) for host in range(hosts)),
        slowest=slowest,
        ratio=ratios[slowest],
        share=statistics.median(shares),
        longest=longest,
        evidence=evidence(*independent(longest, shares), hosts),
        least_ratio=kind.least_ratio,
    )


def _against(times: Sequence[float], host: int) -> tuple[float, float]:
    """Return a host's time over the median of the others', and by how much it is longer."""
    middle = statistics.median(_without(times, host))
    ratio = times[host] / middle if middle else (math.inf if times[host] else 1.0)
    return ratio, times[host] - middle


def _without(times: Sequence[float], host: int) -> list[float]:
    return [*times[:host], *times[host + 1 :]]


def independent(longest: int, shares: Sequence[float]) -> tuple[int, int]:
    """Return (k, n) of independent rows that are worth as much as these, in `longest` of which a host took longest.

    Rows that are like the one before say less: n rows with the autocorrelation r are worth n (1 - r) / (1 + r)
    (Bayley and Hammersley, 1946, of a process of first order). `shares` are what the host took more than the others, in
    the order of rows; of them r is taken, as 0 where it is under twice its standard error 1 / sqrt(n).
    """
    n, mean = len(shares), statistics.fmean(shares)
    apart = [share - mean for share in shares]
    total = sum(each * each for each in apart)
    known = total > 1e-18 * sum(share * share for share in shares)  # else they differ by rounding alone
    r = sum(a * b for a, b in zip(apart, apart[1:], strict=False)) / total if known else 0.0
    if r < 2 / math.sqrt(n):
        return longest, n
    worth = max(1, math.floor(n * (1 - r) / (1 + r)))
    return math.floor(longest / n * worth), worth


def evidence(longest: int, rows: int, hosts: int) -> float:
    """Return the e-value of a host that took longest in so many rows, against all hosts being alike.

    The mean of the likelihood ratio over p from 1/H to 1 is, by the incomplete beta function for whole numbers,
    B(k + 1, n - k + 1) P(X <= k) / (1 - 1/H) over the likelihood at 1/H, where X is binomial with n + 1 draws at 1/H.
    It is infinite where float64 does not reach.
    """
    fair, k, n = 1 / hosts, longest, rows
    if not (below := _binomial_below(k, n + 1, fair)):
        return 0.0
    log_value = math.lgamma(k + 1) + math.lgamma(n - k + 1) - math.lgamma(n + 2) + math.log(below) - math.log1p(-fair)
    log_value -= k * math.log(fair) + (n - k) * math.log1p(-fair)
    return math.exp(log_value) if log_value < 700 else math.inf


def _binomial_below(k: int, n: int, p: float) -> float:
    """Return P(X <= k) of n draws at p: the terms from k down, until they no longer count."""
    log_term = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    log_term += k * math.log(p) + (n - k) * math.log1p(-p)
    term = total = math.exp(log_term)
    if k >= n * p:  # the terms rise from k down to the mode: sum those above k instead, which fall
        total, number = 0.0, k
        while number < n and (number == k or term > 1e-18):
            term *= (n - number) / (number + 1) * p / (1 - p)
            total, number = total + term, number + 1
        return 1.0 - total
    while k > 0 and term > total * 1e-18:
        term *= k / (n - k + 1) * (1 - p) / p
        total, k = total + term, k - 1
    return total
