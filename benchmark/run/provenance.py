"""run.json: with what a run was made. Written before the first row of the journal, never overwritten.

    facts = collect(platform=..., workload=..., plan=..., data=..., devices=..., seed=1, unavailable={})
    write(folder, facts)

What cannot be found out is null; sensors that cannot be read stand under "unavailable" with the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as host
import re
import subprocess
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from benchmark.record.journal import SCHEMA
from benchmark.record.phases import Plan
from benchmark.run.data import Data
from benchmark.run.devices import Devices, tf
from benchmark.run.step import model_config
from benchmark.workloads import Workload
from models import ctc, lstm
from models.decoders import Decoder
from platforms import Platform, machine

RECORDED_PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "librosa",
    "jiwer",
    "flashlight-text",
    "pyctcdecode",
    "kenlm",
    "espeakng-loader",
)
CHECKOUT = Path(__file__).resolve().parents[2]


def collect(
    *,
    platform: Platform,
    workload: Workload,
    plan: Plan,
    data: Data,
    devices: Devices,
    decoder: Decoder,
    seed: int,
    unavailable: dict[str, str],
) -> dict[str, object]:
    """Everything about a run that is known before it starts, ready for JSON."""
    commit, dirty = code_version()
    build = tf.sysconfig.get_build_info()
    return {
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "code": {"version": machine.version("speech-tta"), "git_commit": commit, "git_dirty": dirty},
        "platform": platform.to_dict(),
        "workload": workload.to_dict(),
        "plan": asdict(plan),
        "seed": seed,
        "features": {
            "folder": str(data.folder.resolve()),
            "manifest_sha256": data.manifest.digest,
            "settings": asdict(data.manifest.settings),
            "left_out": len(data.manifest.dropped),
            "notes": data.manifest.notes,
        },
        "decoder": {
            "label": decoder.label,
            "language_model": str(decoder.language_model) if decoder.language_model else None,
            "language_model_sha256": decoder.language_model_digest,
            "lm_weight": decoder.lm_weight,
            "word_bonus": decoder.word_bonus,
        },
        "preparation_s": round(data.seconds, 3),
        "devices": {
            "names": devices.names,
            "replicas": devices.replicas,
            "emulated": devices.emulated,
            "reduction": devices.reduction,
        },
        "kernels": _kernels(workload),
        "host": {
            "cpu": machine.cpu_name(),
            "logical_cores": os.cpu_count(),
            "python": host.python_version(),
            "system": machine.system(),
            "nvidia_driver": _nvidia_driver(),
        },
        "versions": {name: machine.version(name) for name in RECORDED_PACKAGES},
        "cuda": build.get("cuda_version"),
        "cudnn": build.get("cudnn_version"),
        "unavailable": unavailable,
    }


def _kernels(workload: Workload) -> dict[str, str]:
    """What runs the model's loops on these devices."""
    config = model_config(workload)
    dtype = tf.keras.config.dtype_policy().compute_dtype
    return {
        "lstm": lstm.kernel_for(config.units, peepholes=config.as_authors, dtype=dtype),
        "ctc": ctc.kernel_for(),
    }


def write(folder: Path, facts: dict[str, object], *, attempt: int = 1) -> None:
    """Write run.json, which is never overwritten (FileExistsError), or run-attempt-2.json and so on.

    One of the same attempt is of a process that ended before its first row.
    """
    name, mode = ("run.json", "x") if attempt == 1 else (f"run-attempt-{attempt}.json", "w")
    with (folder / name).open(mode, encoding="utf-8") as file:
        json.dump(facts, file, indent=1)


def code_version() -> tuple[str | None, bool | None]:
    """Git commit of the checkout and whether it has uncommitted changes; None for an installed package."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("diff", "HEAD", "--stat")
    return commit, None if changes is None or commit is None else bool(changes)


def short_code() -> str:
    """The code's version as the journal has it: "0.1.0+1a2b3c4d", and "-dirty5e6f70", a hash, after changes to it."""
    commit, dirty = code_version()
    changes = "-dirty" + hashlib.sha256((_git("diff", "HEAD") or "").encode()).hexdigest()[:6] if dirty else ""
    return f"{machine.version('speech-tta') or 'unknown'}" + (f"+{commit[:8]}" if commit else "") + changes


def _git(*command: str) -> str | None:
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(CHECKOUT), *command], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _nvidia_driver() -> str | None:
    try:
        found = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return None
    return found.group(1) if found else None
