"""Which batch has the best time to accuracy, where reference runs at several batches say how many epochs each takes.

advice = advised(job, raced, ["results/a.csv"])
advice.batch, advice.words                  # None, and why not, where the reference does not say
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.guard import sides_of
from benchmark.judge.question import level_name
from benchmark.judge.reference import Convergence
from benchmark.rig.estimate.epochs import read_references, to_level
from benchmark.rig.tune.race import Raced
from benchmark.run.prepare.job import Job

NO_WORDS = "By how much a batch changes the epochs to a level is not known: "


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The batch of the best time to accuracy, and the reasons in words; without a batch they say why there is none."""

    batch: int | None = None
    words: str = ""


def advised(job: Job, raced: Raced, paths: Sequence[str]) -> Advice:
    """Advise a batch of those that were timed, by epochs to the hardest level over the speed."""
    workload, platform = job.workload, job.platform
    alike = [
        run
        for run in read_references(paths)
        if (run.workload, run.variant, run.recipe) == (workload.name, workload.variant, workload.recipe)
        and (run.precision, run.replicas) == (platform.training.precision, platform.replicas)
    ]
    features = {run.features for run in alike}
    batches = sorted({run.batch for run in alike})
    if len(batches) < 2 or len(features) > 1:
        there = f"at batch {', '.join(map(str, batches))} alone" if batches else "of no batch"
        return Advice(words=f"{NO_WORDS}there are reference runs {there}; --reference takes runs at others.")
    targets = [(metric, min(levels)) for metric, levels in workload.targets.items() if levels]
    for metric, percent in sorted(targets, reverse=True):
        minutes = _times(alike, raced, metric, percent, window=workload.window)
        if len(minutes) > 1:
            return _best(minutes, level_name(metric, percent))
    return Advice(words=f"{NO_WORDS}the reference runs did not all reach a target at two of the batches.")


def _times(alike: Sequence[Convergence], raced: Raced, metric: str, percent: float, *, window: int) -> dict[int, float]:
    """Return epochs to a level over the speed, up to a factor that all share, of every batch that the runs tell of."""
    found = {}
    for name in raced.speeds:
        sides = sides_of(int(name), alike)
        if isinstance(sides, str):
            continue
        epochs = to_level(sides, metric, percent, window=window, samples=alike[0].samples)
        if not isinstance(epochs, str):
            found[int(name)] = epochs.value / raced.mean(name)
    return found


def _best(times: dict[int, float], level: str) -> Advice:
    best = min(times, key=lambda batch: times[batch])
    others = [
        f"batch {batch} takes {times[batch] / times[best]:.2f} times as long"
        for batch in sorted(times)
        if batch != best
    ]
    return Advice(
        batch=best,
        words=f"By reference runs at several batches, batch {best} is soonest at {level}, evaluation left out: "
        f"{', '.join(others)}.",
    )
