"""What is believed of the times of several rigs to a level, and what a further probe or run would change of it.

    beliefs = believe([Evidence(name="a", batch=96, paces_s=(61.0,)), ...], reference=[...])
    beliefs.log_time(0)                         # mean and variance of the logarithm of epochs times seconds an epoch
    beliefs.shifts(Look(rig=0, what=RUN))       # by how much each rig's mean would move
    beliefs.draws(1000)                         # times of all rigs together, in seconds

A rig's time is the epochs to the level times its seconds an epoch. Logarithms are normal and add up:

    log epochs of a training = base + slope * log batch + the kind's + the rig's + the run's

Rigs of one kind (batch, replicas, precision) share all but the last two, so that one run to the level on any of them
tells of all. Epochs at a batch without runs follow from others by SLOPE, which is widely open. A kind's part has the
deviation KIND, a rig's RIG, moderated by what rigs of this kind show; a run's is that of its own rigs and of MLPerf's
(`benchmark.judge.prior`), as moderated by Smyth. Seconds an epoch are each rig's own. A variance that is known with few
degrees of freedom is taken for wider: so that the normal law has Student's 95% interval. The constants are fitted to
MLPerf's public speech runs by python -m tests.trials.choosing, which also asks whether the probabilities come true.

Sources: conditioning a normal law (Rasmussen and Williams, Gaussian Processes, appendix A.2), done one observation
after the other; correlated beliefs and what an observation shifts: P. Frazier, W. Powell, S. Dayanik, INFORMS Journal
on Computing 21 (2009), equations 9 and 10.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.judge.estimates import student_t
from benchmark.judge.prior import EPOCHS, PACES, Prior

PROBE, RUN = "probe", "run"
SLOPE = (0.35, 0.2)
"""Mean and deviation of d log epochs / d log batch: .35 from batch 512 to 6144 in MLPerf's rounds 2.0 to 3.1."""
KIND = 0.06  # deviation of what a kind has for itself beside the law of batch
RIG = Prior(0.02, 2.0)  # deviation between rigs of one kind, and how many rigs' worth it counts
OPEN = 10.0  # deviation of what is not known at all: e^10 either way
UNSEEN = 0.7
"""Deviation of log seconds an epoch of a rig that nobody has tried, about what its price suggests: a factor of 4."""
NORMAL_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen of one rig, or of reference runs of one kind, which have no paces.

    `epochs` are those to the level, one a training; `paces_s` seconds an epoch, of each run; `pace_error` is the
    standard deviation of their logarithm beside that from run to run, as of a short probe. `copies` is how many of the
    epochs are of one seed, whatever the rig: they are one training. A rig without paces is
    believed to take `guess_s`. `start_s` comes on top of every training.
    """

    name: str
    batch: int
    kind: tuple = ()
    epochs: tuple[float, ...] = ()
    copies: float = 1.0
    paces_s: tuple[float, ...] = ()
    pace_error: float = 0.0
    guess_s: float | None = None
    start_s: float = 0.0


@dataclass(frozen=True)
class Look:
    """One or several probes or runs of a rig, by its number."""

    rig: int
    what: str
    times: int = 1


Vector = list[float]


@dataclass(frozen=True)
class Beliefs:
    """Normal beliefs about rigs: `means` and `covariance` of a state of parts, and `rows`, which parts make log times.

    `epoch_rows` and `pace_rows` are of log epochs and log seconds an epoch; a row is {part: factor}. `run_variances`
    and `pace_variances` are those of what a single run shows, `starts_s` what comes on top of a time.
    """

    names: tuple[str, ...]
    starts_s: tuple[float, ...]
    means: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    epoch_rows: tuple[dict[int, float], ...]
    pace_rows: tuple[dict[int, float], ...]
    run_variances: tuple[float, ...]
    pace_variances: tuple[float, ...]

    def log_epochs(self, rig: int) -> tuple[float, float]:
        """Return mean and variance of a rig's log epochs to the level, on the average over seeds."""
        return self._of(self.epoch_rows[rig])

    def log_pace(self, rig: int) -> tuple[float, float]:
        """Return mean and variance of a rig's log seconds an epoch."""
        return self._of(self.pace_rows[rig])

    def log_time(self, rig: int) -> tuple[float, float]:
        """Return mean and variance of the logarithm of a rig's seconds to the level, without its start."""
        return self._of(self._row(rig))

    def expected_s(self, rig: int) -> float:
        """Return the mean of a rig's seconds to the level, its start too."""
        mean, variance = self.log_time(rig)
        return self.starts_s[rig] + math.exp(mean + variance / 2)

    @property
    def epochs_known(self) -> bool:
        """Return whether some training told how many epochs the level takes."""
        return all(self.log_epochs(rig)[1] < OPEN for rig in range(len(self.names)))

    def shifts(self, look: Look) -> list[Vector]:
        """Return the standard deviations by which what is seen will move each rig's mean log time.

        A list for each independent thing that is seen: seconds an epoch, and with runs the epochs.
        """
        seen = [(self.pace_rows[look.rig], self.pace_variances[look.rig])]
        if look.what == RUN:
            seen.append((self.epoch_rows[look.rig], self.run_variances[look.rig]))
        rows, found = [self._row(rig) for rig in range(len(self.names))], []
        covariance: Sequence[Sequence[float]] = self.covariance
        for row, variance in seen:
            moved, total = _moved(covariance, row, variance / look.times)
            covariance = _less(covariance, moved, total)
            found.append([_dot(each, moved) / math.sqrt(total) if total > 0 else 0.0 for each in rows])
        return found

    def draws(self, count: int, seed: int = 58) -> list[Vector]:
        """Return so many draws of all rigs' seconds to the level."""
        rows = [self._row(rig) for rig in range(len(self.names))]
        means = [_dot(row, self.means) for row in rows]
        parts = _cholesky([[self._between(one, other) for other in rows] for one in rows])
        normal, found = random.Random(seed).gauss, []
        for _ in range(count):
            z = [normal(0.0, 1.0) for _ in rows]
            logs = [m + sum(p * x for p, x in zip(part, z, strict=False)) for m, part in zip(means, parts, strict=True)]
            found.append([start + math.exp(min(log, 700.0)) for start, log in zip(self.starts_s, logs, strict=True)])
        return found

    @cached_property
    def _rows(self) -> list[dict[int, float]]:
        return [{**epochs, **paces} for epochs, paces in zip(self.epoch_rows, self.pace_rows, strict=True)]

    def _row(self, rig: int) -> dict[int, float]:
        return self._rows[rig]

    def _of(self, row: dict[int, float]) -> tuple[float, float]:
        return _dot(row, self.means), max(0.0, self._between(row, row))

    def _between(self, one: dict[int, float], other: dict[int, float]) -> float:
        return sum(a * b * self.covariance[i][j] for i, a in one.items() for j, b in other.items())


def believe(rigs: Sequence[Evidence], reference: Sequence[Evidence] = ()) -> Beliefs:
    """Return what is believed of rigs, by what was seen of them and of reference runs.

    Raises:
        ValueError: a rig has neither seconds an epoch nor a guess at them.
    """
    every = [*rigs, *reference]
    kinds = list(dict.fromkeys((each.batch, each.kind) for each in every))
    middle = statistics.fmean(math.log(batch) for batch, _ in kinds)
    of_run = _between_runs(every)
    apart = {kind: _between_rigs([each for each in every if (each.batch, each.kind) == kind]) for kind in kinds}
    names = [
        "base",
        "slope",
        *kinds,
        *(("rig", n) for n in range(len(every))),
        *(("pace", n) for n in range(len(rigs))),
    ]
    place = {name: n for n, name in enumerate(names)}
    means, variances = [0.0] * len(names), [0.0] * len(names)
    variances[0], means[1], variances[1] = OPEN**2, SLOPE[0], SLOPE[1] ** 2
    epoch_rows, pace_variances = [], []
    for each in every:
        kind = (each.batch, each.kind)
        variances[place[kind]] = KIND**2
        epoch_rows.append({0: 1.0, 1: math.log(each.batch) - middle, place[kind]: 1.0})
    for n, each in enumerate(rigs):
        own, at = place["rig", n], place["pace", n]
        epoch_rows[n][own], variances[own] = 1.0, apart[each.batch, each.kind]
        means[at], variances[at], single = _pace(each)
        pace_variances.append(single)
    covariance = [[variance if i == j else 0.0 for j in range(len(names))] for i, variance in enumerate(variances)]
    for n, (each, row) in enumerate(zip(every, epoch_rows, strict=True)):
        if each.epochs:
            seen = statistics.fmean(map(math.log, each.epochs))
            beside = (
                apart[each.batch, each.kind] if n >= len(rigs) else 0.0
            )  # a reference's rig is no part of the state
            means, covariance = _after(means, covariance, row, seen, beside + of_run * each.copies / len(each.epochs))
    return Beliefs(
        names=tuple(each.name for each in rigs),
        starts_s=tuple(each.start_s for each in rigs),
        means=tuple(means),
        covariance=tuple(map(tuple, covariance)),
        epoch_rows=tuple(epoch_rows[: len(rigs)]),
        pace_rows=tuple({place["pace", n]: 1.0} for n in range(len(rigs))),
        run_variances=(of_run,) * len(rigs),
        pace_variances=tuple(pace_variances),
    )


# --- variances -------------------------------------------------------------------------------------------------------


def _wide(variance: float, freedom: float) -> float:
    """Return the variance of the normal law whose 95% interval is Student's."""
    return variance * (student_t(freedom) / NORMAL_95) ** 2


def _moderated(prior: Prior, variance: float, freedom: int) -> tuple[float, float]:
    """Return Smyth's moderated variance and its degrees of freedom."""
    whole = prior.freedom + freedom
    return (prior.freedom * prior.deviation**2 + freedom * variance) / whole, whole


def _between_runs(every: Sequence[Evidence]) -> float:
    """Return the variance of log epochs from run to run of one rig, of all rigs here and of others."""
    several = [[math.log(e) for e in each.epochs] for each in every if len(each.epochs) > 1]
    freedom = sum(len(logs) - 1 for logs in several)
    squares = sum(statistics.variance(logs) * (len(logs) - 1) for logs in several)
    return _wide(*_moderated(EPOCHS, squares / freedom if freedom else 0.0, freedom))


def _between_rigs(alike: Sequence[Evidence]) -> float:
    """Return the variance of log epochs between rigs of one kind."""
    means = [(statistics.fmean(map(math.log, each.epochs)), len(each.epochs)) for each in alike if each.epochs]
    if len(means) < 2:
        return RIG.deviation**2
    luck = statistics.fmean(EPOCHS.deviation**2 / runs for _, runs in means)
    beyond = max(0.0, statistics.variance(mean for mean, _ in means) - luck)
    return _moderated(RIG, beyond, len(means) - 1)[0]


def _pace(rig: Evidence) -> tuple[float, float, float]:
    """Return mean and variance of a rig's log seconds an epoch, and the variance of what one look shows of it."""
    logs = [math.log(pace) for pace in rig.paces_s]
    if not logs:
        if rig.guess_s is None:
            raise ValueError(f"{rig.name}: neither seconds an epoch nor a guess at them")
        return math.log(rig.guess_s), UNSEEN**2, _wide(PACES.deviation**2, PACES.freedom)
    own = statistics.variance(logs) if len(logs) > 1 else 0.0
    single = _wide(*_moderated(PACES, own, len(logs) - 1))
    return statistics.fmean(logs), single / len(logs) + rig.pace_error**2, single


# --- a normal law and what is seen of it ------------------------------------------------------------------------------


def _dot(row: dict[int, float], vector: Sequence[float]) -> float:
    return sum(factor * vector[n] for n, factor in row.items())


def _moved(covariance: Sequence[Sequence[float]], row: dict[int, float], noise: float) -> tuple[Vector, float]:
    """Return the covariance of every part with what is seen, and the variance of what is seen."""
    moved = [_dot(row, line) for line in covariance]
    return moved, _dot(row, moved) + noise


def _less(covariance: Sequence[Sequence[float]], moved: Vector, total: float) -> list[Vector]:
    """Return the covariance after something was seen."""
    return [
        [value - moved[i] * moved[j] / total for j, value in enumerate(line)] if moved[i] else list(line)
        for i, line in enumerate(covariance)
    ]


def _after(
    means: Vector, covariance: list[Vector], row: dict[int, float], value: float, noise: float
) -> tuple[Vector, list[Vector]]:
    moved, total = _moved(covariance, row, noise)
    off = value - _dot(row, means)
    return [mean + gain / total * off for mean, gain in zip(means, moved, strict=True)], _less(covariance, moved, total)


def _cholesky(matrix: Sequence[Sequence[float]]) -> list[Vector]:
    """Return the lower triangle whose square the matrix is; a part without variance is 0."""
    lower: list[Vector] = []
    for i, line in enumerate(matrix):
        mine: Vector = []
        for j in range(i):
            rest = line[j] - sum(a * b for a, b in zip(mine, lower[j], strict=False))
            mine.append(rest / lower[j][j] if lower[j][j] > 1e-9 else 0.0)
        mine.append(math.sqrt(max(0.0, line[i] - sum(a * a for a in mine))))
        lower.append(mine)
    return lower
