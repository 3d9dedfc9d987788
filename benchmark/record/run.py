"""A run on disk in one object: its record, how it was made, how it ended, how busy the machine was.

    run = read_run("results/RUN.csv")           # raises JournalError
    run.record.seconds_per_epoch, run.facts.platform.price, run.end, run.usage().energy().wh

Only the journal is read at once. The other files are read when they are asked for, and may be missing: a journal
alone can be judged.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.record.columns import Identity, JournalError
from benchmark.record.energy import BOTH, NO_POWER, Energy
from benchmark.record.facts import NAME as RUN_JSON
from benchmark.record.facts import DevicesUsed, Facts, FactsError, read_facts
from benchmark.record.folder import FINISHED, End, folder_of, read_end
from benchmark.record.history import RunRecord
from benchmark.record.holes import check_made, check_whole
from benchmark.record.host_times import NAME as HOSTS_NAME
from benchmark.record.host_times import HostTimes, read_host_times
from benchmark.record.journal import read
from benchmark.record.stillness import Stretch
from benchmark.record.usage import Usage, UsageError, read_usage, usage_name

if TYPE_CHECKING:
    from benchmark.record.sentences import Heard

UsageOf = Callable[[int], Usage | None]
"""The samples of a host, by its rank. Raises UsageError or OSError."""
NO_RAPL = "the machine showed no RAPL package, or an older version sampled"
NO_IDLE = "no power was sampled before model creation"
IDLE_SAMPLES = 5
SHARE_UNKNOWN = "of what share of the run is not known: an older version wrote it down, which did not look"


@dataclass(frozen=True, kw_only=True)
class GpuPower:
    """The mean power in watts of the GPUs that a run used, and the share of the run, 0 to 1, of which it is known.

    `note` says how it was measured, and what is missing; without `watts` it says why. `ratio` is what energy counters
    tell over what power tells, where both do.
    """

    watts: float | None = None
    share: float | None = None
    note: str = NO_POWER
    ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class Powers:
    """Mean powers of a run: of its GPUs and of the chief's processor packages (RAPL) until some moments, None for None.

    `idle` is of the chief's GPUs before model creation, TensorFlow's context open, and no part of the run: by its
    samples of power, IDLE_SAMPLES of them or more.
    """

    gpus: list[GpuPower | None]
    packages: list[GpuPower | None]
    idle: GpuPower


@dataclass(frozen=True, eq=False)
class Run:
    """One run on disk; `facts` and `end` are None if its folder does not have them."""

    record: RunRecord

    @property
    def source(self) -> str:
        """The journal's path as it was given; empty for a record that was not read from a file."""
        return self.record.source

    @property
    def identity(self) -> Identity:
        """The fields that all rows share. Raises JournalError if the run has no row yet."""
        if self.record.identity is None:
            raise JournalError(f"{self.source}: no rows below the header; expected a run that has begun: leave it out")
        return self.record.identity

    @property
    def folder(self) -> Path | None:
        """The run's folder, which may not exist; None for a record that was not read from a file."""
        return folder_of(self.source) if self.source else None

    @cached_property
    def facts(self) -> Facts | None:
        """How the run was made, from run.json; None if there is none. Raises FactsError if it cannot be used."""
        return read_facts(self.folder) if self.folder else None

    @cached_property
    def attempts(self) -> dict[int, Facts]:
        """How each attempt was made, by its number, as far as its file is there. Raises FactsError as `facts` does.

        An attempt that ended before its first row is not among them.
        """
        numbers = sorted(set(self.record.table.columns["attempt"].tolist())) if self.folder else []
        found = {number: read_facts(self.folder, attempt=number) for number in numbers}
        return {number: facts for number, facts in found.items() if facts}

    @cached_property
    def end(self) -> End | None:
        return read_end(self.folder) if self.folder else None

    @cached_property
    def is_going(self) -> bool:
        """Whether the run is under way, or was interrupted: it has a run.json, and no end.json that says it is over."""
        began = self.folder is not None and (self.folder / RUN_JSON).is_file()
        return began and not (self.end and self.end.is_over)

    def knows(self, what: str) -> bool:
        """Return whether the run says its "steps", "epochs" or "evaluation"; one made of another's log may not.

        Of evaluations that stand at no ends of epochs the number is in place of the epoch.
        """
        facts = _facts_or_none(self)
        if facts is None or facts.log is None:
            return True
        found = facts.log.get("knows")
        return bool(found.get(what, True)) if isinstance(found, Mapping) else what != "steps"

    @property
    def has_finished(self) -> bool:
        """Whether the run ended at its targets or a limit; a run that diverged did not."""
        return self.end is not None and self.end.status == FINISHED

    @property
    def stood_still(self) -> tuple[Stretch, ...]:
        """The stretches in which the run stood still, as its end wrote them down; empty if it did not look."""
        return tuple(Stretch(*each) for each in (self.end.still if self.end and self.end.still else ()))

    def usage(self, rank: int = 0) -> Usage | None:
        """Read utilisation.csv, or that of another host of the run; None if there is none.

        Raises:
            UsageError, OSError: it cannot be used.
        """
        path = self.folder / usage_name(rank) if self.folder else None
        return read_usage(path, spans_s=self.record.spans_s) if path and path.is_file() else None

    @cached_property
    def host_times(self) -> HostTimes | None:
        """hosts.csv: how long each host took by itself, in the last attempt and in those on the same hosts.

        None if there is no such file. An older version, and a run on one machine, wrote none.

        Raises:
            HostTimesError, OSError: it cannot be used.
        """
        path = self.folder / HOSTS_NAME if self.folder else None
        if path is None or not path.is_file():
            return None
        try:
            addresses = {number: facts.devices.hosts for number, facts in self.attempts.items()}
        except FactsError:
            addresses = {}
        last = addresses[max(addresses)] if addresses else ()
        times = read_host_times(path, addresses=last)
        others = {number for number, hosts in addresses.items() if hosts != last}
        return times.of_attempts({row.attempt for row in times.rows} - others)

    def powers_until(self, ends_s: Sequence[float | None]) -> Powers:
        """Return the mean powers of a run until some moments of its clock, by its samples, which are read once."""
        usage_of = cache(self.usage)  # a run of days has millions of samples
        return Powers(
            gpus=[None if end is None else self._sampled_power(end, usage_of) or GpuPower() for end in ends_s],
            packages=self._packages_until(ends_s, usage_of),
            idle=self._idle_power(usage_of),
        )

    def _packages_until(self, ends_s: Sequence[float | None], usage_of: UsageOf) -> list[GpuPower | None]:
        try:
            usage = usage_of(0)
        except (UsageError, OSError):
            usage = None
        if usage is None or not usage.packages or self.identity.machines > 1:
            why = NO_RAPL if self.identity.machines == 1 else "of several machines the GPUs alone are counted"
            return [None if end is None else GpuPower(note=why) for end in ends_s]
        found = [None if end is None else usage.energy(usage.packages, end_s=end) for end in ends_s]
        return [
            None if each is None else GpuPower(watts=each.mean_w, share=each.share, note=each.note) for each in found
        ]

    def _idle_power(self, usage_of: UsageOf) -> GpuPower:
        try:
            usage = usage_of(0)
        except (UsageError, OSError):
            return GpuPower(note=NO_IDLE)
        devices = self._devices
        sensors = devices.sensors if devices else None
        if sensors is None and usage is not None and len(usage.gpus) == self.identity.replicas:
            sensors = tuple(usage.gpus)
        columns = [f"{sensor}_power_w" for sensor in sensors or ()]
        if usage is None or not columns or not set(columns) <= set(usage.samples):
            return GpuPower(note=NO_IDLE)
        before = usage.samples[usage.samples["seconds"] < self.record.created_s][columns].dropna()
        if len(before) < IDLE_SAMPLES:
            return GpuPower(note=f"{len(before)} samples before model creation; expected {IDLE_SAMPLES}")
        return GpuPower(watts=float(before.mean().sum()), note=f"{len(before)} samples before model creation")

    def gpu_power(self, *, at_once: bool = False) -> GpuPower:
        """Return the mean power of the GPUs that the run used; `at_once` reads what its end wrote down, and no samples.

        What a version wrote that did not look at the share of the run counts only where there are no samples.
        """
        end = self.end
        if end is not None and end.gpu_power_note:
            return GpuPower(watts=end.gpu_power_w, share=end.gpu_power_share, note=end.gpu_power_note)
        sampled = None if at_once else self._sampled_power()
        if sampled is None and end is not None and end.gpu_power_w is not None:
            return GpuPower(watts=end.gpu_power_w, note=SHARE_UNKNOWN)
        return sampled or GpuPower()

    @property
    def _devices(self) -> DevicesUsed | None:
        try:
            return self.facts.devices if self.facts else None
        except FactsError:
            return None

    def _sampled_power(self, end_s: float | None = None, usage_of: UsageOf | None = None) -> GpuPower | None:
        """Return the power by the samples, of the whole run or until a moment of its clock; None if there are none."""
        usage_of = usage_of or self.usage
        devices = self._devices
        try:
            usage = usage_of(0)
        except (UsageError, OSError):
            return None
        if usage is None or not usage.gpus:
            return None
        if devices and devices.partitioned:
            return GpuPower(note="the GPU is partitioned (MIG), and its power is that of all its instances")
        sensors = devices.sensors if devices else None
        if sensors is None:  # not known; but there is only one way to use all of them
            replicas, there = self.identity.replicas, len(usage.gpus)
            if there != replicas:
                return GpuPower(note=f"which {replicas} of the machine's {there} GPUs trained is not known")
            sensors = tuple(usage.gpus)
        return self._power_of(sensors, usage_of, end_s) if sensors else GpuPower()

    @staticmethod
    def _energy_of_rank(rank: int, sensors: Sequence[str], usage_of: UsageOf, end_s: float | None) -> Energy | None:
        try:
            usage = usage_of(rank)
        except (UsageError, OSError):
            return None
        return usage.energy(sensors, end_s=end_s) if usage and usage.gpus else None

    def _power_of(self, sensors: Sequence[str], usage_of: UsageOf, end_s: float | None) -> GpuPower:
        """Return the power of these GPUs of every machine of the run, which are alike."""
        energies = []
        for rank in range(self.identity.machines):
            energy = self._energy_of_rank(rank, sensors, usage_of, end_s)
            if energy is None:
                return GpuPower(note="the power of its other machines was not sampled")
            energies.append(replace(energy, gap=energy.gap and f"host {rank}: {energy.gap}") if rank else energy)
        least = min(energies, key=lambda energy: energy.share)
        watts = [energy.mean_w for energy in energies]
        if None in watts:
            unknown = next(energy for energy in energies if energy.mean_w is None)
            return GpuPower(share=unknown.share, note=unknown.gap)
        sources = {energy.source for energy in energies}
        source = sources.pop() if len(sources) == 1 else BOTH
        ratios = [energy.ratio for energy in energies if energy.ratio is not None]
        note = replace(least, source=source).note
        return GpuPower(
            watts=sum(watts), share=least.share, note=note, ratio=statistics.fmean(ratios) if ratios else None
        )

    def heard(self) -> Heard | None:
        """Read the sentences of the last evaluation; None if there are none."""
        from benchmark.record.sentences import last_evaluation  # here, not above: a table has no sentences

        return last_evaluation(self.folder) if self.folder else None


def read_run(path: str | Path) -> Run:
    """Read a run from its journal, as it is to be judged. Raises JournalError; also if rows are missing from it."""
    run = Run(read(path))
    facts, table = _facts_or_none(run), run.record.table
    if facts and facts.log is not None:
        check_made(run.source, table, rows=facts.log.get("rows"))
    else:
        check_whole(run.source, table, plan=facts.whole_plan if facts else None, end=run.end)
    return run


def _facts_or_none(run: Run) -> Facts | None:
    """Return the content of run.json; None without a usable one, which is said where it is needed."""
    try:
        return run.facts
    except FactsError:
        return None
