"""The report's table of rigs: what each platform is, how it trained, what it costs, and which driver ran it.

    table = rigs(block)             # GPUs, memory, batch, precision, price or rent, driver: a row for each platform

All of it is what the runs wrote down, or was offered; what nobody wrote is NA. Runs of one platform that differ have
each of their values in the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmark.judge.circumstances import part_of
from benchmark.judge.cost import RigCost, rig_costs
from benchmark.judge.groups import Group
from benchmark.record import Facts, Run
from benchmark.report.figures import Block
from benchmark.tables import Table, money, without_empty

UNKNOWN = "not known"  # as a log that was taken in has it
HEADER = ("platform", "file", "GPUs", "memory each", "batch", "precision", "price or rent", "driver", "TensorFlow")


def rigs(block: Block) -> Table | None:
    """Return what each platform of a block is; None where nothing is known but its batch, as of a log of others."""
    costs = rig_costs(block.groups, block.terms, level=0)
    rows = tuple(_row(group, cost) for group, cost in zip(block.groups, costs, strict=True))
    table = without_empty(Table(f"{block.workload}: the rigs", HEADER, rows))
    return table if set(table.header) - {"platform", "batch"} else None


def _row(group: Group, cost: RigCost) -> tuple[str, ...]:
    def said(read: Callable[[Facts], object]) -> str:
        return _together([part_of(run, read) for run in group.runs])

    return (
        group.label,
        group.platform if group.platform != group.rig else "NA",  # as options and files call it
        _together([_devices(run) for run in group.runs]),
        said(_memory),
        _together(group.values("batch")),
        _together(group.values("precision")),
        price_of(cost),
        said(lambda facts: facts.host.nvidia_driver),
        said(lambda facts: facts.versions.get("tensorflow")),
    )


def _devices(run: Run) -> str:
    """Return what trained, by the names that the devices gave: "8 x NVIDIA H100"; the CPU's where there is no GPU."""
    names = part_of(run, lambda facts: facts.devices.names) or ()
    if not names or all(name.upper().startswith(("CPU", "/CPU")) for name in names):
        processor = part_of(run, lambda facts: facts.host.cpu)
        return f"none; {processor}" if processor and run.identity.devices.upper().startswith("CPU") else (
            run.identity.devices
        )  # fmt: skip
    counts = dict.fromkeys(names, 0)
    for name in names:
        counts[name] += 1
    machines = run.identity.machines
    each = " + ".join(f"{count} x {name}" for name, count in counts.items())
    return f"{each}, on {machines} machines" if machines > 1 else each


def _memory(facts: Facts) -> str | None:
    gib = facts.platform.hardware.gpu_memory_gib
    return facts.system.accelerator_memory_capacity or (f"{gib:g} GiB" if gib else None)


def price_of(cost: RigCost) -> str:
    """Return what the rig was bought for, what it is rented for, or both, with the date of the price."""
    bought = [] if cost.total is None else [f"{cost.total:,.0f} {cost.currency}"]
    rented = [] if cost.rent_per_hour is None else [f"{money(cost.rent_per_hour, cost.currency)} an hour"]
    date = f" ({cost.date})" if cost.date else ""
    return f"{' or '.join([*bought, *rented])}{date}" if bought or rented else "NA"


def _together(values: Sequence[object]) -> str:
    found = list(dict.fromkeys(str(value) for value in values if value is not None and str(value) not in ("", UNKNOWN)))
    return "; ".join(found) or "NA"
