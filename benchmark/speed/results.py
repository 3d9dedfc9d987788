"""Results of measurements: a table with a line for each Result, and a JSON file with every value and the machine.

    show(parts([Result(part="step, mini: Keras", unit="s", ours=.31, baseline=.9, ratios=(2.9, 2.8, 3.0))], title=""))

A ratio says how many times as fast (or as small) as the baseline the suite is: above 1 the suite is ahead.
"""

from __future__ import annotations

import json
import platform as host
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmark.tables import Table
from platforms.machine import affinity, cpu_name, logical_cores, system, version

SCHEMA = 1  # of the JSON file
BUSY_LOAD = 0.5  # cores that others keep busy, on the average of the last minute
PACKAGES = (
    "speech-tta",
    "tensorflow",
    "keras",
    "torch",
    "numpy",
    "scipy",
    "librosa",
    "soundfile",
    "pyctcdecode",
    "numba",
    "pandas",
    "espeakng-loader",
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one comparison.

    `ours` and `baseline` are medians over the rounds in `unit`; `ratios` has one figure a round; `limit_share` is
    the part (0 to 1) of what the hardware, or a perfect scaling, would allow. `note` says what the baseline and the
    limit are, and the target; `measured` holds every value behind the figures, by name. None: there is none.
    """

    part: str
    unit: str
    ours: float | None
    baseline: float | None = None
    ratios: tuple[float, ...] = ()
    limit_share: float | None = None
    note: str = ""
    measured: Mapping[str, Sequence[object]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Return the median of the rounds' ratios."""
        return statistics.median(self.ratios) if self.ratios else None


def parts(results: Sequence[Result], *, title: str) -> list[str | Table]:
    """Return the table, then the notes, each once."""
    header = ("part", "unit", "ours", "baseline", "ratio (low to high)", "limit")
    rows = tuple(
        (
            result.part,
            result.unit,
            significant(result.ours),
            significant(result.baseline),
            _ratio(result),
            "" if result.limit_share is None else f"{result.limit_share:.0%}",
        )
        for result in results
    )
    notes = dict.fromkeys(f"- {result.part}: {result.note}" for result in results if result.note)
    return [Table(title, header, rows), *(["\n".join(notes)] if notes else [])]


def significant(value: float | None) -> str:
    """Format a number with three significant digits, and all of those before the point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ratio(result: Result) -> str:
    if result.ratio is None:
        return ""
    return f"{result.ratio:.2f} ({min(result.ratios):.2f} to {max(result.ratios):.2f})"


def to_json(results: Sequence[Result], command: Sequence[str], *, load_at_start: float) -> str:
    """Return all results as JSON, with the machine, the cores that others kept busy, and the command."""
    lines = [{**asdict(result), "ratio": result.ratio} for result in results]
    return json.dumps(
        {
            "schema": SCHEMA,
            "command": list(command),
            "machine": machine() | {"load_at_start": load_at_start},
            "results": lines,
        },
        indent=1,
    )


def machine() -> dict[str, Any]:
    """Return processor, GPUs and versions; None for what cannot be found out."""
    return {
        "cpu": cpu_name(),
        "logical_cores": logical_cores(),
        "usable_cores": len(affinity()),
        "gpus": _gpu_names(),
        "system": system(),
        "python": host.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def describe_machine() -> str:
    """Describe the machine in one line."""
    known = machine()
    gpus = ", ".join(known["gpus"]) or "no GPU"
    return f"{known['cpu']}, {known['usable_cores']} of {known['logical_cores']} logical cores, {gpus}"


def _gpu_names() -> list[str]:
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except pynvml.NVMLError:
        return []
