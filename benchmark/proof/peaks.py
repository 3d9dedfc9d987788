"""The most that a device can compute: a throughput above it is not one.

    peak = peak_of(facts)                   # Peak(tflop_per_s=989.0, of="1 x NVIDIA H100 80GB HBM3"); None if unknown

GPUs: dense tensor-core peaks in 16 bits, from the makers' data sheets, whatever the precision of the run: float32 is
slower. That of a GPU not listed is not known. CPUs: every logical core with two 512-bit units, each a multiplication
and an addition of 16 float32 a cycle, at MOST_HZ; in 16 bits a tile unit's 2,048 operations (AMX). No processor is
there yet; a bound this wide refuses what cannot be, and says nothing about what could.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from benchmark.record import Facts

TFLOP_PER_S = {
    r"GB200|B200": 2500.0,
    r"\bB100": 1800.0,
    r"GH200|H100|H200|H800": 990.0,
    r"A100|A800": 312.0,
    r"A30\b": 165.0,
    r"L40": 362.0,
    r"\bL4\b": 121.0,
    r"A40\b|A6000|A10G?\b": 155.0,
    r"RTX 6000 Ada": 364.0,
    r"5090": 420.0,
    r"4090": 331.0,
    r"3090": 160.0,
    r"V100|TITAN V": 130.0,
    r"\bT4\b": 65.0,
    r"2080 Ti|TITAN RTX|Quadro RTX": 131.0,
    r"P100": 21.2,
    r"TITAN X|1080": 14.0,
    r"K80|M60|M40": 10.0,
}
"""10^12 operations a second by what a GPU's name has in it; the first that fits."""

MOST_HZ = 6.5e9
FLOP_A_CYCLE = {"float32": 64}
TILES = 2048


@dataclass(frozen=True)
class Peak:
    """10^12 floating-point operations per second of all devices of a run together, and what they are."""

    tflop_per_s: float
    of: str


def peak_of(facts: Facts) -> Peak | None:
    """Return the bound for a run's devices; None if it is not known what they are."""
    replicas, machines = facts.devices.replicas, facts.devices.machines
    names = tuple(map(str, facts.devices.names))
    on_cpu = facts.devices.emulated or not names or all(name.upper().startswith("CPU") for name in names)
    if on_cpu:
        cores = facts.host.cores
        if cores is None:
            return None
        flop = FLOP_A_CYCLE.get(facts.platform.training.precision, TILES)
        return Peak(machines * cores * MOST_HZ * flop / 1e12, f"{machines * cores:g} logical cores")
    found = [_of(name) for name in names]
    if None in found:
        return None
    each = max(found)
    return Peak(each * replicas, f"{replicas} x {names[0]}")


def _of(name: str) -> float | None:
    return next((peak for pattern, peak in TFLOP_PER_S.items() if re.search(pattern, name)), None)
