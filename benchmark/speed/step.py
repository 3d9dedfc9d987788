"""Part `step`: a whole training step (forward, CTC, backward, AdaDelta), ours, stock Keras's and PyTorch's.

Seconds a step; limit: FLOPs of the model's matrix products / the rate of a large matrix product in the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmark.speed.contest import Arena, ContestError, Rounds, Running, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting, Size

PEERS = {"keras": "Keras", "torch": "PyTorch"}
TARGETS = {("paper", "keras"): 2.5, ("paper", "torch"): 1.25, ("mini", "torch"): 1.0}


def measure(setting: Setting) -> Iterator[Result]:
    """Measure every size, batch and precision asked for; a batch too large for the device is reported."""
    for size in setting.sizes:
        for batch in setting.batches or (size.batch,):
            for precision in setting.precisions:
                try:
                    yield from compare(size.of(batch=batch), precision, rounds=setting.rounds)
                except ContestError as error:
                    if len(setting.batches) < 2:
                        raise
                    yield Result(
                        part=_label(size.of(batch=batch), precision), unit="s/step", ours=None, note=str(error)
                    )


def compare(size: Size, precision: str, *, rounds: int) -> list[Result]:
    """Measure ours against each peer, in one run; the note of a missing or failing (out of memory) peer says so."""
    label = _label(size, precision)
    options: dict[str, Any] = {"size": size.name, "batch": size.batch, "precision": precision}
    with Arena() as arena:
        running: dict[str, Running] = {"ours": arena.enter(contender("networks", "ours", **options))}
        running["matmul"] = arena.enter(contender("limits", "matmul", precision=precision))
        failed: dict[str, str] = {}
        for peer in PEERS:
            try:
                running[peer] = arena.enter(contender("networks", peer, **options))
            except ContestError as error:
                failed[peer] = str(error)
        played = play({name: one.ask for name, one in running.items()}, rounds=rounds, label=label)
    flops = played.answers["ours"][0]["flops"]
    rates = played.values("matmul", "flops_per_s")
    share = statistics.median(flops / s / rate for s, rate in zip(played.values("ours"), rates, strict=True))
    devices = {name: played.answers[name][0].get("device") for name in ("ours", *PEERS) if name in running}
    results = []
    for peer, title in PEERS.items():
        there = peer in running
        results.append(
            Result(
                part=f"{label}: {title}",
                unit="s/step",
                ours=played.median("ours"),
                baseline=played.median(peer) if there else None,
                ratios=played.ratios(peer, "ours") if there else (),
                limit_share=share,
                note=_note(size, peer, devices, played) if there else failed[peer],
                measured={name: played.answers[name] for name in ("ours", "matmul", *([peer] if there else []))},
            )
        )
    return results


def _label(size: Size, precision: str) -> str:
    return f"step, {size.name}, {size.batch}, {precision}"


def _note(size: Size, peer: str, devices: dict[str, str], played: Rounds) -> str:
    target = TARGETS.get((size.name, peer))
    fastest = min(played.values(peer)) / min(played.values("ours"))
    parts = [f"{fastest:.2f} by each one's fastest round"]
    parts += [f"target {target:g} times as fast"] if target else []
    if devices[peer] != devices["ours"]:
        parts.append(f"not the same device: ours on {devices['ours']}, the baseline on {devices[peer]}")
    if peer == "keras":
        parts.append("with the suite's CTC kernel; with stock keras.losses.CTC Keras is slower still")
    else:
        parts.append("only an idle machine is fair to PyTorch, whose threads spin; else believe the fastest rounds")
    return "; ".join(parts)
