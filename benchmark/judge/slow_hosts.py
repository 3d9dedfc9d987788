"""Which host made a run on several machines wait for it, by how much and in what; from its hosts.csv.

    for sentence in of_group(group): ...        # a slow host, by the rule of benchmark.record.slowest
    table = hosts_table("mini", groups)         # each host's own seconds, by kind of work; None on one machine

Every step waits for the slowest host: a rig of which one machine is slow trains as one that is made of slow machines.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmark.judge.groups import Group
from benchmark.record import Run
from benchmark.record.host_times import HostTimes, HostTimesError
from benchmark.record.slowest import NOT_MEASURED, ON_GPUS, TRAIN, slow_hosts, works_of
from benchmark.tables import Table, number

LISTED = 4  # hosts, each with its seconds


def of_group(group: Group) -> Iterator[str]:
    """Yield what to doubt about the runs of one platform, a sentence each."""
    for run in group.runs:
        times = times_in(run)
        if isinstance(times, str):
            yield times
        elif times and (slow := slow_hosts(times.rows)):
            what = "; ".join(work.said(times.names) for work in slow)
            yield (
                f"{run.source}: {what}: every step waits for the slowest host; look at its clocks, links, cooling and "
                f"other load, or leave it out"
            )


def hosts_table(workload: str, groups: Sequence[Group]) -> Table | None:
    """Return a row for each run and kind of work: every host's median seconds, and the slowest against the others."""
    rows = []
    for run in (run for group in groups for run in group.runs):
        times = times_in(run)
        if times is None or isinstance(times, str):
            continue
        works = works_of(times.rows)
        for work in works:
            slow = "slow" if work.is_slow else "slower by little" if work.is_sure else "not surely slower"
            against = f"host {work.slowest}: {work.ratio:.2f} times, in {work.longest} of {work.rows}"
            rows.append((run.identity.run, work.name, _seconds(work.medians_s), against, slow))
        if works and not any(work.name == TRAIN for work in works):
            rows.append((run.identity.run, TRAIN, "NA", "NA", why_no_train(run).partition(":")[0]))
    header = ("run", "work", "seconds of each host", "the slowest", "it is")
    return Table(f"{workload}: own time of each host, median rows", header, tuple(rows)) if rows else None


def why_no_train(run: Run) -> str:
    """Return why the hosts' own time in train is not known."""
    return NOT_MEASURED if "CPU" in run.identity.devices else ON_GPUS


def _seconds(medians_s: Sequence[float]) -> str:
    if len(medians_s) <= LISTED:
        return ", ".join(map(number, medians_s))
    least, middle, most = min(medians_s), statistics.median(medians_s), max(medians_s)
    return f"{number(least)} to {number(most)}, median {number(middle)}"


def times_in(run: Run) -> HostTimes | str | None:
    """Return the times of a run's hosts; a sentence if they cannot be used, None if there are none."""
    try:
        return run.host_times
    except HostTimesError as error:
        return str(error)
    except OSError as error:
        return f"{run.source}: its hosts.csv cannot be read ({error.strerror})"
