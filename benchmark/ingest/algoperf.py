"""AlgoPerf's logs of speech workloads, as runs: `eval_measurements.csv` with `meta_data_0.json` beside it.

    curve = read_trial("logs/self_tuning/lion/study_0/librispeech_deepspeech_pytorch/trial_1/eval_measurements.csv")

What they say and what becomes of it (mlcommons/algorithmic-efficiency, submission_runner.py and logger_utils.py):

    accumulated_submission_time     AlgoPerf's clock, training alone: the train rows, so the `train` clock
    accumulated_eval_time           the evaluate rows
    total_duration                  everything: the `wall` clock; what is neither of both is a checkpoint row
    global_step                     the step; the batch is not in these files: --batch
    validation/wer                  a share; its target is workload.validation_target_value
    SUBMISSION/study_N/WORKLOAD_FRAMEWORK/trial_N/      the recipe is SUBMISSION/FRAMEWORK
    gpu_count, gpu_model_name       the machine, which is the platform
    rng_seed, git_commit_hash       the seed, the code
    workload.max_allowed_runtime_sec    the budget, by AlgoPerf's clock; under self_tuning/ it is 1.5 times that

Evaluations come by time, so they are counted in place of epochs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.ingest.curves import Curve
from benchmark.ingest.events import IngestError
from benchmark.ingest.mapping import Mapped, points_of
from benchmark.ingest.points import NOT_KNOWN, Known, Said
from benchmark.ingest.tabular import read_lines

MEASUREMENTS, META = "eval_measurements.csv", "meta_data_*.json"
ERROR = "validation/wer"
COLUMNS = Mapped(
    error=ERROR,
    unit="share",
    time="total_duration",
    train_time="accumulated_submission_time",
    eval_time="accumulated_eval_time",
    step="global_step",
)
FRAMEWORKS = ("jax", "pytorch")
SELF_TUNING, SELF_TUNED_BUDGET = "self_tuning", 1.5
"""AlgoPerf's documentation 0.6.0, "Self-tuning ruleset": max_runtime is 1.5 times that of the external ruleset. Version
0.5 had 3 times; of its runs --budget says so."""


def is_speech(path: Path) -> bool:
    """Return whether a file of measurements has error rates of speech. Raises IngestError if it cannot be read."""
    return ERROR in read_lines(path).names


def read_trial(path: str | Path, said: Said = Said()) -> Curve:  # noqa: B008
    """Read one trial. Raises IngestError, which names the file and line, what was found and what was expected."""
    path = Path(path)
    lines = read_lines(path)
    meta, notes = _meta(path)
    points, more = points_of(lines, COLUMNS)
    digest = hashlib.md5(lines.digest.encode() + json.dumps(meta, sort_keys=True).encode(), usedforsecurity=False)
    return Curve(str(path), digest.hexdigest(), points, _known(path, meta), said, read_notes=(*notes, *more))


def _meta(path: Path) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    found = sorted(path.parent.glob(META))
    if not found:
        return {}, (f"no {META} beside it: target, machine and seed are not known",)
    try:
        meta = json.loads(found[0].read_bytes())
        if not isinstance(meta, dict):
            raise ValueError
    except (OSError, ValueError, RecursionError):
        raise IngestError(f"{found[0]}: cannot be read as JSON; expected AlgoPerf's object of meta data") from None
    return meta, ()


def _known(path: Path, meta: Mapping[str, Any]) -> Known:
    parts = path.resolve().parts
    submission, workload, framework = _names(parts)
    gpu, gpus = meta.get("gpu_model_name"), _whole(path, meta, "gpu_count", 0)
    devices = f"{gpus} x {gpu}" if gpu and gpus else NOT_KNOWN
    level = _number(path, meta, "workload.validation_target_value")
    budget_s = _number(path, meta, "workload.max_allowed_runtime_sec")
    if budget_s and SELF_TUNING in parts:
        budget_s *= SELF_TUNED_BUDGET
    commit = meta.get("git_commit_hash")
    return Known(
        format="algoperf",
        workload=workload,
        recipe="/".join(filter(None, (submission, framework))) or NOT_KNOWN,
        platform=devices if devices != NOT_KNOWN else "",
        stem="-".join(filter(None, (submission, framework))) or "algoperf",
        devices=devices,
        gpus=gpus or 1,
        code=str(commit)[:12] if commit else NOT_KNOWN,
        seed=_whole(path, meta, "rng_seed"),
        samples_per_epoch=_whole(path, meta, "workload.num_train_examples"),
        targets={"wer": round(100 * level, 8)} if level and meta.get("workload.target_metric_name") == "wer" else {},
        budget_s=budget_s,
        period_s=_number(path, meta, "workload.eval_period_time_sec") or 0.0,
        values={k: v for k, v in meta.items() if isinstance(v, str | int | float) and not k.startswith(VARYING)},
    )


VARYING = ("cpu.util", "mem.", "net.", "gpu.", "disk.")  # what the machine did just then


def _names(parts: tuple[str, ...]) -> tuple[str, str, str]:
    """Return submission, workload and framework by the folders; empty, and not known, where these are others'."""
    if len(parts) < 5 or not parts[-2].startswith("trial_"):
        return "", NOT_KNOWN, ""
    workload, _, framework = parts[-3].rpartition("_")
    if framework not in FRAMEWORKS:
        workload, framework = parts[-3], ""
    return (parts[-5] if parts[-4].startswith("study_") else "", workload, framework)


def _number(path: Path, meta: Mapping[str, Any], key: str) -> float | None:
    value = meta.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise IngestError(f"{path.parent}: {key} of its meta data is {value!r:.40}; expected a number")
    return value


def _whole(path: Path, meta: Mapping[str, Any], key: str, default: int | None = None) -> int | None:
    value = _number(path, meta, key)
    return default if value is None else int(value)
