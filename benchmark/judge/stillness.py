"""What runs that stood still would have taken without it, next to what they took; by what their ends wrote down.

    for sentence in of_group(group): ...        # from LARGE_SHARE of a run's clock on
    table = still_table("mini", groups)         # None if none stood still

A time to accuracy without it is never put in the place of the one measured: nobody knows what stood still with the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.judge.groups import Group
from benchmark.record import Run
from benchmark.record.stillness import still_s
from benchmark.tables import Table, duration

LARGE_SHARE = 0.01
LARGE_SUSPENDED_S = 1.0


def of_group(group: Group) -> Iterator[str]:
    """Yield what to doubt about the runs of one platform, a sentence each."""
    for place, run in enumerate(group.runs):
        seconds = still_s(run.stood_still)
        if seconds and seconds >= LARGE_SHARE * run.record.ended_s:
            without = [f"{name} took {now}, {less} without it" for name, now, less in _minutes(group, place)]
            yield (
                f"{run.source}: {_words(run)}: it used no CPU and did not wait for input, as on a machine that is "
                f"paused or a disk that hangs; {', '.join([*without, 'run again'])}"
            )
        if run.end and (run.end.suspended_s or 0.0) >= LARGE_SUSPENDED_S:
            yield (
                f"{run.source}: the machine slept for {run.end.suspended_s:.1f} s during the run, which its clock does "
                f"not count; run again on a machine that stays awake"
            )


def still_table(workload: str, groups: Sequence[Group]) -> Table | None:
    """Return a table of the runs that stood still, with the wall clock's minutes to each level; None if none did."""
    rows = [
        (run.identity.run, _words(run), *found)
        for group in groups
        for place, run in enumerate(group.runs)
        if run.stood_still
        for found in _minutes(group, place) or [("", "", "")]
    ]
    header = ("run", "time without work", "level", "minutes (wall clock)", "minutes without it")
    return Table(f"{workload}: runs that stood still", header, tuple(rows)) if rows else None


def _words(run: Run) -> str:
    epochs = sorted({each.epoch for each in run.stood_still})
    shown = ", ".join(map(str, epochs[:5])) + ", ..." * (len(epochs) > 5)
    noun = "epoch" if len(epochs) == 1 else "epochs"
    return f"{still_s(run.stood_still):.1f} s of {run.record.ended_s:.0f} stood still ({noun} {shown})"


def _minutes(group: Group, place: int) -> list[tuple[str, str, str]]:
    """Return each level that a run reached, with its time by the wall clock, and without the time it stood still."""
    run = group.runs[place]
    found = []
    for level in group.levels:
        seconds = level.wall_seconds[place]
        if seconds is not None:
            less = seconds - still_s(run.stood_still, until_s=run.record.created_s + seconds)
            found.append((level.name, duration(seconds / 60), duration(less / 60)))
    return found
