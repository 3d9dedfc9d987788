"""How fast are a training step and the CTC loss beside what one would pick instead? `benchmark.speed` measures it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmark.run.trouble import OUT_OF_MEMORY
from benchmark.speed import ctc, step
from benchmark.speed.contest import ContestError
from benchmark.speed.results import Result
from benchmark.speed.sizes import SIZES, Size
from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.setting import Setting

ROUNDS = 3


def of_step(setting: Setting, findings: Findings, batch: str, precision: str) -> None:
    size = _size(setting, batch)
    findings.command(["python", "-m", "benchmark.speed", "step", *_sized(size), "--precision", precision])
    results = _measured(findings, size, lambda: step.compare(size, precision, rounds=ROUNDS))
    if results:
        _ours(findings, results[0])
    for result in results:
        _peer(findings, result)


def of_ctc(setting: Setting, findings: Findings, batch: str) -> None:
    size = _size(setting, batch)
    findings.command(["python", "-m", "benchmark.speed", "ctc", *_sized(size)])
    results = _measured(findings, size, lambda: ctc.compare(size, rounds=ROUNDS))
    for result in results[:1]:
        chosen = result.measured["ours"][0]
        said = f"{1000 * result.ours:.2f} ms: {chosen['kernel']}, {chosen['because']}"
        findings.told("ours", said, figures={"seconds": result.ours})
    for result in results:
        _peer(findings, result)


def _size(setting: Setting, batch: str) -> Size:
    return SIZES[setting.sized("paper", tiny="tiny")].of(batch=int(batch))


def _sized(size: Size) -> list[str]:
    return ["--size", size.name, "--batch", str(size.batch), "--rounds", str(ROUNDS)]


def _measured(findings: Findings, size: Size, measure: Callable[[], list[Result]]) -> Sequence[Result]:
    """Return what is measured; nothing where ours does not fit into the GPU's memory, which is told."""
    try:
        return measure()
    except ContestError as error:
        if not OUT_OF_MEMORY.search(str(error)):
            raise
        findings.left_out("all", f"no memory for a batch of {size.batch} ({error})")
        return []


def _ours(findings: Findings, result: Result) -> None:
    answers, matmul = result.measured["ours"], result.measured["matmul"]
    seconds = statistics.median(answer["seconds"] for answer in answers)
    tflop_per_s = answers[0]["flops"] / seconds / 1e12
    most = statistics.median(answer["flops_per_s"] for answer in matmul) / 1e12
    finite = all(abs(answer["loss"]) < float("inf") for answer in answers)  # NaN is not
    findings.judged("loss", f"{answers[-1]['loss']:.4g}", expected="a number", right=finite)
    findings.told("device", answers[0]["device"])
    findings.told("a step", f"{1000 * seconds:.2f} ms", figures={"seconds": seconds})
    said = f"{tflop_per_s:.3g} TFLOP/s, {result.limit_share:.1%} of the {most:.3g} of a large matrix product"
    figures = {"tflop_per_s": tflop_per_s, "matmul_tflop_per_s": most, "share": result.limit_share}
    findings.told("arithmetic", said, figures=figures)


def _peer(findings: Findings, result: Result) -> None:
    """Say how many times as fast ours is; a peer that is missing or has no memory says so in the note."""
    peer = result.part.rpartition(": ")[2]
    if result.baseline is None:
        findings.told(f"beside {peer}", result.note)
        return
    low, high = min(result.ratios), max(result.ratios)
    said = f"{result.ratio:.2f} times as fast ({low:.2f} to {high:.2f}); {peer} {1000 * result.baseline:.2f} ms"
    other = next((part for part in result.note.split("; ") if part.startswith("not the same device")), "")
    figures = {"baseline_s": result.baseline, "ratios": result.ratios}
    findings.told(f"beside {peer}", "; ".join(filter(None, (said, other))), figures=figures)
