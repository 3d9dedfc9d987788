"""utilisation.csv: how busy the machine was, usually sampled ten times a second; its columns, summary and energy.

    usage = read_usage(folder / "utilisation.csv", spans_s=record.spans_s)
    usage.summary(start_s=60).process_cpu_percent_mean, usage.energy().wh, usage.energy(["gpu3"]).mean_w
    usage.samples                               # pandas, one row per sample

The file has a header and one row per sample. A resumed run appends to the same file. Of a run on several machines it is
the chief's; each other host has a utilisation-rank1.csv, with times of the run's clock.

    seconds              since model creation began, on the run's clock
    process_cpu_percent  CPU time of the run's process and all its descendants, without the sampler; 100 = one
                         core busy. The kernel counts ticks of 10 ms, so a sample at 10 Hz moves in steps of
                         10; means do not
    process_memory_mib   resident memory of the same processes; memory that they share counts in each
    host_cpu_percent     CPU use of the whole machine, 0 to 100
    host_memory_mib      memory that a new process could not have: total less available
    gpu{i}_{sensor}      for every GPU of the machine, in NVML's order: util_percent, memory_mib, power_w,
                         temperature_c, sm_clock_mhz, memory_clock_mhz, pcie_gen, pcie_width, and energy_j: the GPU's
                         own count since its driver was loaded, which some lack, and files of older versions
    package{i}_energy_j  for every processor package that RAPL shows, which many machines do not, or to root alone:
                         its own count, over which it wraps

A value that could not be read is an empty field, never 0. `benchmark.run.watch.sampler` writes the file. pandas is
imported only where it is needed, as importing it takes time and memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.record.energy import MOST_POWER_W, WHOLE, Energy, Spans, energy_of, percent

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "utilisation.csv"
OF_RANK = "utilisation-rank{}.csv"
PACKAGE_COLUMN = re.compile(r"(package\d+)_energy_j")
GPU_COLUMN = re.compile(r"(gpu\d+)_util_percent")
MOST = {
    "util_percent": 100.0,
    "power_w": MOST_POWER_W,
    "energy_j": 1e12,  # 1,400 W for 22 years
    "memory_mib": 2.0**21,
    "temperature_c": 200.0,
    "sm_clock_mhz": 20_000.0,
    "memory_clock_mhz": 50_000.0,
    "host_cpu_percent": 100.0,
}
"""The largest plausible value of a sensor, by how its column ends; what is larger, or negative, counts as not read.

A driver that loses a GPU has been seen to give 4,294,967 W, a word of 32 bits in milliwatts.
"""


def usage_name(rank: int) -> str:
    """Return the name of a host's file; the chief, which has rank 0, is the only one on one machine."""
    return OF_RANK.format(rank) if rank else NAME


class UsageError(ValueError):
    """A utilisation.csv that cannot be used; the message names the file, what was found and what was expected."""


@dataclass(frozen=True)
class GpuSummary:
    """How busy one GPU was over a stretch of a run; a value is None if its sensor was never read.

    `share`, 0 to 1, is that of the samples in which its utilisation was read. A GPU that was lost has a mean of the
    time before: say `partly` next to it.
    """

    util_percent_mean: float | None
    memory_mib_max: float | None
    share: float = 0.0

    @property
    def partly(self) -> str:
        """What to say with a mean that is not of the whole stretch: " (of 11% of the samples)"; else empty."""
        return partly(self.share) if self.util_percent_mean is not None else ""


@dataclass(frozen=True)
class Summary:
    """How busy the machine was over a stretch of a run; a value is None if its sensor was never read.

    `energy` is that of all GPUs together.
    """

    samples: int
    process_cpu_percent_mean: float | None
    host_cpu_percent_mean: float | None
    process_memory_mib_max: float | None
    gpus: tuple[GpuSummary, ...]
    energy: Energy


@dataclass(frozen=True, eq=False)
class Usage:
    """All samples of a run, in the order of the file.

    `spans_s` are the stretches of the run's clock that its attempts took, of which energy has to be known; empty if the
    samples are all that is known of the run.
    """

    samples: DataFrame
    spans_s: Spans = ()

    @property
    def gpus(self) -> list[str]:
        """The names of the GPUs that have columns: "gpu0", "gpu1" and so on."""
        return [match[1] for column in self.samples if (match := GPU_COLUMN.fullmatch(str(column)))]

    @property
    def packages(self) -> list[str]:
        """The names of the processor packages that have columns: "package0" and so on."""
        return [match[1] for column in self.samples if (match := PACKAGE_COLUMN.fullmatch(str(column)))]

    def summary(self, *, start_s: float = 0, end_s: float | None = None) -> Summary:
        """Summarise the samples with start_s <= seconds <= end_s; without end_s, to the end of the file."""
        rows = self._between(start_s, end_s)
        return Summary(
            samples=len(rows),
            process_cpu_percent_mean=_statistic(rows, "process_cpu_percent", "mean"),
            host_cpu_percent_mean=_statistic(rows, "host_cpu_percent", "mean"),
            process_memory_mib_max=_statistic(rows, "process_memory_mib", "max"),
            gpus=tuple(_of_gpu(rows, gpu) for gpu in self.gpus),
            energy=self.energy(start_s=start_s, end_s=end_s),
        )

    def energy(self, gpus: Sequence[str] | None = None, *, start_s: float = 0, end_s: float | None = None) -> Energy:
        """Return the energy of some GPUs ("gpu3") together (default: all), and of what share of the time it is."""
        return energy_of(
            self.samples,
            self.gpus if gpus is None else gpus,
            spans_s=self.spans_s,
            start_s=start_s,
            end_s=math.inf if end_s is None else end_s,
        )

    def other_load(self, *, cores: float) -> float | None:
        """Return the share of the machine's CPUs, 0 to 1, that others than the run kept busy; None if not sampled.

        That is the host's use less the run's own, on the average; `cores` are the machine's logical cores.
        """
        rows = self.samples.reindex(columns=["host_cpu_percent", "process_cpu_percent"]).dropna()
        if rows.empty:
            return None
        others = rows["host_cpu_percent"].mean() - rows["process_cpu_percent"].mean() / cores
        return max(0.0, float(others) / 100)

    def _between(self, start_s: float, end_s: float | None) -> DataFrame:
        return self.samples[self.samples["seconds"].between(start_s, math.inf if end_s is None else end_s)]


def read_usage(path: str | Path, *, spans_s: Spans = ()) -> Usage:
    """Read a run's utilisation.csv; `spans_s` are the stretches of its clock that the run's attempts took.

    Raises:
        UsageError: it is not a table of numbers with a column "seconds".
        OSError: it cannot be read.
    """
    import pandas

    try:
        samples = pandas.read_csv(path, dtype=float)
    except ValueError as error:
        why = (str(error).strip() or "not a table").splitlines()[0][:200]
        raise UsageError(f"{path}: {why}; expected a header and rows of numbers; delete the other lines") from None
    if "seconds" not in samples:
        found = str(list(samples))[:200]
        raise UsageError(f"{path}: found the columns {found}, expected 'seconds' first; another file?")
    return Usage(_plausible(samples), spans_s)


def _plausible(samples: DataFrame) -> DataFrame:
    """Blank out impossible values: one sample must not change a mean. All columns at once: a GPU has six or more."""
    import numpy as np
    import pandas

    most = np.array([_most(str(column)) for column in samples])
    least = np.where(np.isfinite(most), 0.0, -np.inf)
    values = samples.to_numpy()
    values = np.where((least <= values) & (values <= most), values, np.nan)
    return pandas.DataFrame(values, columns=samples.columns)


def _most(column: str) -> float:
    """Return the largest value that a column may have; infinity where any is possible."""
    if column in ("host_memory_mib", "process_memory_mib"):
        return math.inf
    return next((limit for ending, limit in MOST.items() if column.endswith(ending)), math.inf)


def partly(share: float) -> str:
    """Return what to say with a mean over a share of the samples: " (of 11% of the samples)"; empty for all."""
    return "" if share >= WHOLE else f" (of {percent(share)} of the samples)"


def _of_gpu(rows: DataFrame, gpu: str) -> GpuSummary:
    return GpuSummary(
        util_percent_mean=_statistic(rows, f"{gpu}_util_percent", "mean"),
        memory_mib_max=_statistic(rows, f"{gpu}_memory_mib", "max"),
        share=_share_read(rows, f"{gpu}_util_percent"),
    )


def _share_read(rows: DataFrame, column: str) -> float:
    return float(rows[column].notna().mean()) if column in rows and len(rows) else 0.0


def _statistic(rows: DataFrame, column: str, name: str) -> float | None:
    value = rows[column].agg(name) if column in rows else math.nan  # pandas ignores empty fields
    return None if math.isnan(value) else float(value)
