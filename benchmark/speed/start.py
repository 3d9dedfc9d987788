"""Part `start`: from nothing to the first trained batch, compilation included; every figure is a fresh process.

Whole process: from its start, with Python and all imports, to the end of the first trained batch and as many more as
one answer of part `step` takes (4 at mini size). Model: from model creation to the end of the first trained batch.
The batch comes from memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmark.speed.contest import Arena, Contender, ContestError, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting

PEERS = {"keras": "Keras", "torch": "PyTorch"}
TARGET_S = 20


def measure(setting: Setting) -> list[Result]:
    """Measure the start; return two Results for each peer: whole process and model."""
    size, results = setting.small, []
    options: dict[str, Any] = {"size": size.name, "batch": size.batch, "precision": setting.precisions[0]}
    with Arena() as arena:
        turns, failed = {}, {}
        for name in ("ours", *PEERS):
            entrant = contender("networks", name, **options)
            try:
                if name != "ours":
                    arena.leave(arena.enter(entrant))  # is it there at all?
                turns[name] = _starting(arena, entrant)
            except ContestError as error:
                failed[name] = str(error)
        played = play(turns, rounds=min(setting.rounds, 3), label="start")
    for what, key, note in (
        ("process", "seconds", ""),
        ("model", "created_s", f"target under {TARGET_S} s"),
    ):
        for peer, title in PEERS.items():
            there = peer in turns
            results.append(
                Result(
                    part=f"start, {size.name}, {what}: {title}",
                    unit="s",
                    ours=played.median("ours", key),
                    baseline=played.median(peer, key) if there else None,
                    ratios=played.ratios(peer, "ours", key) if there else (),
                    note=failed.get(peer, note),
                    measured={name: played.answers[name] for name in ("ours", peer) if name in turns},
                )
            )
    return results


def _starting(arena: Arena, entrant: Contender) -> Callable[[], dict]:
    def start() -> dict:
        started_s = time.monotonic()
        running = arena.enter(entrant)
        seconds = time.monotonic() - started_s
        created_s = running.ask()["created_s"]
        arena.leave(running)
        return {"seconds": seconds, "created_s": created_s}

    return start
