"""--breakdown: where the time of a training step goes, on any platform, emulated ones included.

Nested pieces of the suite's own step run in turn, each as a loop of several batches within one tf.function under the
platform's strategy; a part is the difference of two pieces in the same round:

    host overhead   a segment of no batches: the call of a tf.function, shared out over a row's 50 batches
    forward         forward pass of a batch that is on the device already
    CTC             + the loss; its kernel computes the gradient in the same pass
    backward        + the gradients of all weights
    reduction       + their sum over the replicas
    optimiser       + the update: the whole step
    copy to device  a segment from a batch in memory, less the whole step
    input wait      a segment from shards by `read_batches` with the platform's readers and buffer, less the former

A difference of two close figures may come out below zero: it is then said to be within the noise, as is one whose
lowest and highest have different signs. Model FLOPs are those of `models.deepspeech.flops`; the peak is that of a large
matrix product in the same rounds.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import platforms
from benchmark import workloads
from benchmark.speed.contest import Arena, Rounds, contender, play
from benchmark.speed.results import Result, significant
from benchmark.speed.sizes import SIZES, Setting, Size
from benchmark.tables import Table

PIECES = ("call", "forward", "ctc", "backward", "reduction", "optimiser", "memory", "shards")
PARTS = {
    "host overhead": ("call", None),
    "forward": ("forward", None),
    "CTC": ("ctc", "forward"),
    "backward": ("backward", "ctc"),
    "reduction across replicas": ("reduction", "backward"),
    "optimiser": ("optimiser", "reduction"),
    "copy to device": ("memory", "optimiser"),
    "input wait": ("shards", "memory"),
}
"""Maps a part to the piece that has it and the piece without it."""


def measure(setting: Setting) -> list[Result]:
    """Measure the pieces; return a Result for each part, then one for the whole step."""
    platform = platforms.load(setting.platform)
    size = _size(setting, platform)
    with tempfile.TemporaryDirectory() as folder, Arena() as arena:
        options: dict[str, Any] = {"platform": _absolute(setting.platform)}
        step = arena.enter(contender("pieces", "pieces", size=size.name, batch=size.batch, folder=folder, **options))
        precision = platform.training.precision
        peak = arena.enter(contender("limits", "matmul", precision=precision))
        turns: dict[str, Callable[[], dict]] = {piece: partial(step.ask, piece) for piece in PIECES}
        turns["matmul"] = peak.ask
        played = play(turns, rounds=setting.rounds, label="breakdown")
    return [*(_part(name, played, size) for name in PARTS), _whole(played, size, setting.platform)]


def _absolute(platform: str) -> str:
    """Make the path of a platform file absolute: contenders run in another folder."""
    return platform if platform in platforms.names() else str(Path(platform).resolve())


def _size(setting: Setting, platform: platforms.Platform) -> Size:
    """Return the size asked for, or the workload's model, with --batch or the platform's batch."""
    if setting.asked_for_size:
        size = setting.sizes[0]
    else:
        parameters = workloads.load(setting.workload or "mini").model.parameters
        size = next((size for size in SIZES.values() if size.config.parameters == parameters), SIZES["mini"])
    batch = setting.batches[0] if setting.batches else platform.input.batch
    if batch % platform.replicas:
        raise ValueError(f"--batch {batch}: expected a multiple of {platform.name}'s {platform.replicas} replicas")
    return size.of(batch=batch)


def _part(name: str, played: Rounds, size: Size) -> Result:
    piece, without = PARTS[name]
    whole, seconds = whole_s(played), played.values(piece)
    if without:
        seconds = tuple(a - b for a, b in zip(seconds, played.values(without), strict=True))
    return Result(
        part=f"breakdown, {size.name}, {name}",
        unit="ms a batch",
        ours=1000 * statistics.median(seconds),
        ratios=tuple(part / all_of_it for part, all_of_it in zip(seconds, whole, strict=True)),
        note="within the noise" if within_noise(seconds) else "",
        measured={"seconds": seconds},
    )


def whole_s(played: Rounds) -> tuple[float, ...]:
    """Return the seconds of a batch that is read from shards, and its part of the call."""
    return tuple(a + b for a, b in zip(played.values("shards"), played.values("call"), strict=True))


def within_noise(seconds: tuple[float, ...]) -> bool:
    """Tell whether differences are within the noise: both signs occur, or the median is no time."""
    return statistics.median(seconds) <= 0 or min(seconds) < 0


def _whole(played: Rounds, size: Size, platform: str) -> Result:
    rates, whole = played.values("matmul", "flops_per_s"), whole_s(played)
    facts = played.answers["shards"][0]
    flops = facts["flops"]
    emulated = (
        " EMULATED: logical CPUs stand for the GPUs, the times say nothing about them." if facts["emulated"] else ""
    )
    return Result(
        part=f"breakdown, {size.name}, whole step",
        unit="ms a batch",
        ours=1000 * statistics.median(whole),
        limit_share=statistics.median(flops / s / rate for s, rate in zip(whole, rates, strict=True)),
        note=f"{platform}, {facts['devices']}: {size.batch} utterances of {size.frames} frames a batch, "
        f"{flops / 1e9:,.3g} GFLOP a step, {flops / statistics.median(whole) / 1e9:,.3g} GFLOP/s of "
        f"{statistics.median(rates) / 1e9:,.3g} that a large matrix product reaches.{emulated}",
        measured=played.answers,
    )


def table(results: list[Result]) -> list[str | Table]:
    """Return the table of the parts with their share of the step, and the FLOPs under it."""
    *found, whole = results
    rows = tuple(
        (
            result.part.rpartition(", ")[2],
            significant(result.ours),
            f"{result.ratio:.1%}",
            f"{min(result.ratios):.1%} to {max(result.ratios):.1%}",
            result.note,
        )
        for result in found
    )
    total = ("whole step", significant(whole.ours), "100.0%", "", f"{whole.limit_share:.0%} of peak FLOP/s")
    title = f"{whole.part.rpartition(', ')[0]}: where a step's time goes (medians of differences in the same round)"
    return [Table(title, ("part", "ms a batch", "share", "lowest to highest", ""), (*rows, total)), whole.note]
