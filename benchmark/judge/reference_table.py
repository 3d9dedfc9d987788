"""Shows the reference of convergence: utterances and epochs to each target, of every run and of all together.

show(target_table(read_reference(), {"mini": {"cer": (30.0,)}}))
target_rows(...)                            # a row for each run and target, for machines
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmark.judge.estimates import log_interval
from benchmark.judge.guard import LEAST_RUNS, Law, Side
from benchmark.judge.question import level_name
from benchmark.judge.reference import Convergence
from benchmark.metrics import USUAL
from benchmark.tables import Table, number

Targets = Mapping[str, Mapping[str, Sequence[float]]]
SETUP = ("workload", "variant", "recipe", "batch", "features", "settings")


def target_rows(
    runs: Sequence[Convergence], targets: Targets, *, levels: Sequence[float] = (), window: int = 3
) -> list[dict[str, object]]:
    """Return a row for each run and target: its identity, and utterances and epochs to the level; None is not reached.

    `utterances` are those at the interpolated crossing, `utterances_evaluated` those at the evaluation after it.
    """
    found = []
    for run in runs:
        for metric, level in _levels(run, targets, levels):
            crossing = run.crossing(metric, level, window=window)
            evaluated = run.reached(metric, level, window=window)
            found.append(
                {name: getattr(run, name) for name in SETUP}
                | {"replicas": run.replicas, "precision": run.precision, "seed": run.seed}
                | {"metric": metric, "level_percent": level, "window_epochs": window, "reached": crossing is not None}
                | {"utterances": crossing and crossing.utterances, "utterances_evaluated": evaluated}
                | {"epochs": crossing and run.epochs(crossing.utterances)}
                | {"epochs_evaluated": None if evaluated is None else run.epochs(evaluated)}
                | {"run": run.run, "code": run.code, "date": run.date}
            )
    return found


def _levels(run: Convergence, targets: Targets, levels: Sequence[float]) -> list[tuple[str, float]]:
    own = targets.get(run.workload, {})
    return [(m, level) for m in USUAL for level in sorted(levels or own.get(m, ()), reverse=True)]


def target_table(
    runs: Sequence[Convergence], targets: Targets, *, levels: Sequence[float] = (), window: int = 3
) -> list[Table | str]:
    """Return a table for each workload: epochs to its targets, and the fewest that one run and three are allowed."""
    setups: dict[tuple, list[Convergence]] = {}
    for run in runs:
        setups.setdefault(tuple(getattr(run, name) for name in SETUP), []).append(run)
    tables: dict[str, list[tuple[str, ...]]] = {}
    for alike in setups.values():
        for metric, level in _levels(alike[0], targets, levels):
            cells = _cells(alike, metric, level, window)
            first = (alike[0].recipe + f" ({alike[0].variant})" * bool(alike[0].variant), str(alike[0].batch))
            title = f"{alike[0].workload}, features {alike[0].features}"
            tables.setdefault(title, []).append((*first, level_name(metric, level), *cells))
    header = ("recipe", "batch", "level", "reached", "epochs", "CV", "min", "max", "one run from", "three from")
    what = f"epochs to the interpolated crossing (e = {window}), and the fewest that are allowed"
    return [Table(f"{title}: {what}", header, tuple(rows)) for title, rows in tables.items()]


def _cells(runs: Sequence[Convergence], metric: str, level: float, window: int) -> tuple[str, ...]:
    crossings = [run.crossing(metric, level, window=window) for run in runs]
    epochs = [run.epochs(c.utterances) for run, c in zip(runs, crossings, strict=True) if c is not None]
    reached = f"{len(epochs)}/{len(runs)}"
    if not epochs:
        return reached, *["NA"] * 6
    spread = f"{statistics.stdev(epochs) / statistics.fmean(epochs):.1%}" if len(epochs) > 1 else "NA"
    judged = len(epochs) == len(runs) >= LEAST_RUNS and not any(c and c.at_first for c in crossings)
    law = Law((Side.of(epochs, step=1 / statistics.fmean(epochs)),)) if judged else None
    least = [number(law.least(n)) if law else "NA" for n in (1, 3)]
    return reached, number(log_interval(epochs).value), spread, number(min(epochs)), number(max(epochs)), *least
