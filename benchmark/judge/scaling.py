"""How speed grows with the number of machines: groups whose machines are alike and whose number differs.

    for scaling in scalings(groups):
        scaling.table("mini")                   # machines, batch, utterances/s, s an epoch, efficiency

Efficiency is throughput a machine over that of the fewest machines there are, usually one: 100% is perfect. With one
batch for all it is strong scaling; a batch that grows with the machines is weak scaling, easier, and may need more
epochs: time to accuracy has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.judge.groups import Group
from benchmark.tables import Table, cell, number

SEVERAL = re.compile(r"^\d+ machines of ")
ALIKE = ("precision", "workload_label")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One number of machines: its group, the global batch, and its throughput in utterances a second."""

    group: Group
    machines: int
    batch: int
    utterances_per_s: float


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Groups on 1, 2, ... machines that are alike, the fewest first."""

    devices: str  # of one machine
    steps: tuple[Step, ...]

    def speedup(self, step: Step) -> float:
        """Return the throughput over that of the fewest machines."""
        return step.utterances_per_s / self.steps[0].utterances_per_s

    def efficiency(self, step: Step) -> float:
        """Return the throughput a machine over that of the fewest machines: 1 is perfect."""
        return self.speedup(step) * self.steps[0].machines / step.machines

    def table(self, workload: str) -> Table:
        fewest = self.steps[0].machines
        rows = tuple(
            (
                step.group.label,
                str(step.machines),
                str(step.batch),
                number(step.utterances_per_s),
                number(step.group.seconds_per_epoch),
                f"{self.speedup(step):.2f}",
                cell(self.efficiency(step), ".0%"),
            )
            for step in self.steps
        )
        against = f"efficiency against {fewest} machine{'s' * (fewest > 1)} of {self.devices}"
        header = ("platform", "machines", "batch", "utterances/s", "s an epoch", "times", "efficiency")
        return Table(f"{workload}: more machines; {against}", header, rows)


def scalings(groups: Sequence[Group]) -> list[Scaling]:
    """Return the groups that differ in their number of machines, by what a machine has; emulated ones say nothing."""
    found: dict[tuple[str, ...], list[Step]] = {}
    for group in groups:
        runs = [run.identity for run in group.runs]
        if not runs or group.emulated or group.utterances_per_s is None:
            continue
        if len({(run.machines, run.batch, run.devices) for run in runs}) > 1:
            continue  # kept together by --by alone: of no one number
        one = runs[0]
        devices = SEVERAL.sub("", one.devices)
        key = (devices, *(str(getattr(one, name)) for name in ALIKE))
        step = Step(group=group, machines=one.machines, batch=one.batch, utterances_per_s=float(group.utterances_per_s))
        found.setdefault(key, []).append(step)
    return [
        Scaling(devices=key[0], steps=tuple(sorted(steps, key=lambda step: (step.machines, step.batch))))
        for key, steps in found.items()
        if len({step.machines for step in steps}) > 1
    ]
