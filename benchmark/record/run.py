"""A run on disk in one object: its record, how it was made, how it ended, how busy the machine was.

    run = read_run("results/RUN.csv")           # raises JournalError
    run.record.seconds_per_epoch, run.facts.platform.price, run.end, run.usage().energy().wh

Only the journal is read at once. The other files are read when they are asked for, and may be missing: a journal
alone can be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.record.columns import Identity, JournalError, check_complete
from benchmark.record.facts import NAME as RUN_JSON
from benchmark.record.facts import Facts, FactsError, read_facts
from benchmark.record.folder import FINISHED, End, folder_of, read_end
from benchmark.record.history import RunRecord
from benchmark.record.journal import read
from benchmark.record.sentences import Heard, last_evaluation
from benchmark.record.usage import Usage, UsageError, read_usage, usage_name

NO_POWER = "no power was measured"


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
    def end(self) -> End | None:
        return read_end(self.folder) if self.folder else None

    @cached_property
    def is_going(self) -> bool:
        """Whether the run is under way, or was interrupted: it has a run.json, and no end.json that says it is over."""
        began = self.folder is not None and (self.folder / RUN_JSON).is_file()
        return began and not (self.end and self.end.is_over)

    @property
    def has_finished(self) -> bool:
        """Whether the run ended at its targets or a limit; a run that diverged did not."""
        return self.end is not None and self.end.status == FINISHED

    def usage(self, rank: int = 0) -> Usage | None:
        """Read utilisation.csv, or that of another host of the run; None if there is none.

        Raises:
            UsageError, OSError: it cannot be used.
        """
        path = self.folder / usage_name(rank) if self.folder else None
        return read_usage(path) if path and path.is_file() else None

    def gpu_power_w(self, *, at_once: bool = False) -> tuple[float | None, str]:
        """Return the mean power of the GPUs that the run used, in watts, or None and why it is not known.

        `at_once` reads what the end of the run wrote down, and no samples.
        """
        if self.end is not None and self.end.gpu_power_w is not None:
            return self.end.gpu_power_w, ""
        if at_once:
            return None, NO_POWER
        try:
            devices = self.facts.devices if self.facts else None
        except FactsError:
            devices = None
        try:
            usage = self.usage()
        except (UsageError, OSError):
            return None, NO_POWER
        if usage is None or not usage.gpus:
            return None, NO_POWER
        if devices and devices.partitioned:
            return None, "the GPU is partitioned (MIG), and its power is that of all its instances"
        sensors = devices.sensors if devices else None
        if sensors is None:  # not known; but there is only one way to use all of them
            replicas, there = self.identity.replicas, len(usage.gpus)
            if there != replicas:
                return None, f"which {replicas} of the machine's {there} GPUs trained is not known"
            sensors = tuple(usage.gpus)
        own_w = usage.mean_power_w(sensors)
        others_w = [self._power_of_rank(rank, sensors) for rank in range(1, self.identity.machines)]
        if None in others_w:
            return None, "the power of its other machines was not sampled"
        return None if own_w is None else own_w + sum(filter(None, others_w)), NO_POWER

    def _power_of_rank(self, rank: int, sensors: Sequence[str]) -> float | None:
        """Return the mean power of another machine's GPUs, which has as many as this one; None if it is not known."""
        try:
            usage = self.usage(rank)
            return usage.mean_power_w(sensors) if usage else None
        except (UsageError, OSError, KeyError):
            return None

    def heard(self) -> Heard | None:
        """Read the sentences of the last evaluation; None if there are none."""
        return last_evaluation(self.folder) if self.folder else None


def read_run(path: str | Path) -> Run:
    """Read a run from its journal, as it is to be judged. Raises JournalError; also if rows are missing from it."""
    record = read(path)
    check_complete(record.source, record.table)
    return Run(record)
