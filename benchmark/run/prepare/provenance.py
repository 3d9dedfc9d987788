"""Find out how a run is made: code, devices, kernels, host, versions. `benchmark.record.facts` writes it down.

    facts = collect(task=task, plan=plan, decoder=decoder, command=job.command, unavailable={}, boards={})
    short_code()                                # "0.1.0+1a2b3c4d", the code's version in the journal

A value that cannot be found out is None. `unavailable` has the reasons why sensors cannot be read.
"""

from __future__ import annotations

import hashlib
import platform as host
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.record.command import CommandLine
from benchmark.record.facts import Code, Cuda, DecoderFacts, DevicesUsed, Facts, Features, Host, Lost, SubsetUse
from benchmark.record.phases import Plan
from benchmark.run.prepare.devices import Devices, tf
from benchmark.run.prepare.system import system_of
from benchmark.run.prepare.task import Task
from features.corpus.audio import FRAME_STEP_S
from features.shards.manifest import Manifest
from models.ctc.decoders import Decoder
from platforms import machine, plugins
from platforms.loaded import loaded_cuda, nvidia_packages

RECORDED_PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "librosa",
    "jiwer",
    "numba",
    "pyctcdecode",
    "kenlm",
    "espeakng-loader",
)
CHECKOUT = Path(__file__).resolve().parents[3]


def collect(
    *,
    task: Task,
    plan: Plan,
    decoder: Decoder,
    command: CommandLine,
    unavailable: dict[str, str],
    boards: Mapping[str, Mapping],
    hosts: tuple[str, ...] = (),
    gathered_s: float | None = None,
) -> Facts:
    """Collect everything about a run that is known before it starts. `boards` are the machine's GPUs: see Monitor.

    `hosts` are the addresses of several machines, for which the chief waited `gathered_s` seconds.
    """
    commit, dirty = code_version()
    manifest, devices = task.data.manifest, task.devices
    versions = {name: machine.version(name) for name in RECORDED_PACKAGES} | nvidia_packages()
    loaded = _loaded(devices)
    return Facts.of(
        created=datetime.now(UTC),
        code=Code(version=machine.version("speech-tta"), git_commit=commit, git_dirty=dirty),
        platform=task.platform,
        workload=task.workload,
        plan=plan,
        seed=task.seed,
        command=command,
        features=Features(
            folder=str(task.data.folder.resolve()),
            manifest_sha256=manifest.digest,
            settings=manifest.settings.to_dict(),
            left_out=sum(each.utterances for each in manifest.left_out),
            subsets={subset: _subset(manifest, subset) for subset in manifest.subsets},
            trained=None if task.data.chosen is None else _trained(task),
            validation=task.validation,
            notes=manifest.notes,
            normaliser=manifest.normaliser or None,
        ),
        decoder=DecoderFacts(
            label=decoder.label,
            language_model=str(decoder.language_model) if decoder.language_model else None,
            language_model_sha256=decoder.language_model_digest,
            lm_weight=decoder.lm_weight,
            word_bonus=decoder.word_bonus,
        ),
        preparation_s=round(task.data.seconds, 3),
        devices=replace(_devices_used(devices, boards), hosts=hosts, gathered_s=gathered_s),
        first_weights=task.learner.about,
        kernels={part: choice.kernel for part, choice in task.kernels.items()},
        kernels_because={part: choice.why for part, choice in task.kernels.items()},
        host=Host(
            cpu=machine.cpu_name(),
            logical_cores=machine.logical_cores(),
            usable_cores=len(machine.affinity()),
            cpu_quota=machine.cpu_quota(),
            intra_op_threads=tf.config.threading.get_intra_op_parallelism_threads(),
            inter_op_threads=tf.config.threading.get_inter_op_parallelism_threads(),
            gpus=tuple(map(_name, boards.values())) if boards or "gpu" in unavailable else None,
            python=host.python_version(),
            system=machine.system(),
            nvidia_driver=_nvidia_driver(),
        ),
        system=system_of(devices, task.data.folder, versions, asdict(loaded)),
        versions=versions,
        loaded=loaded,
        built_for=_built_for(),
        unavailable=unavailable,
        plugins=plugins.used(),
    )


def _loaded(devices: Devices) -> Cuda:
    """Return the CUDA libraries that this process computes with, after `devices.wake`; none where it is on CPUs."""
    return Cuda() if devices.on_cpu else Cuda(**loaded_cuda())


def _built_for() -> Cuda:
    build = tf.sysconfig.get_build_info()
    return Cuda(cuda=build.get("cuda_version"), cudnn=build.get("cudnn_version"))


def _name(board: Mapping[str, Any]) -> str:
    return board["name"] or f"GPU that cannot be read ({board['problem']})"


def _devices_used(devices: Devices, boards: Mapping[str, Mapping]) -> DevicesUsed:
    """Match CUDA's GPUs with NVML's by PCI bus id: CUDA_VISIBLE_DEVICES renumbers the one and not the other."""
    sensors: list[str] | None = []
    if not devices.on_cpu:
        by_pci = {board["pci"]: name for name, board in boards.items()}  # None for a GPU that is lost
        used = machine.cuda_boards()[: devices.local_replicas]
        sensors = [by_pci[pci] for pci in used if pci in by_pci]
        sensors = sensors if len(sensors) == devices.local_replicas else None
    return DevicesUsed(
        names=devices.names,
        replicas=devices.replicas,
        machines=devices.machines,
        emulated=devices.emulated,
        reduction=devices.reduction,
        sensors=None if sensors is None else tuple(sensors),
        partitioned=any(boards[name]["mig"] for name in sensors or ()),
    )


def _trained(task: Task) -> dict[str, float]:
    lengths = task.data.lengths
    return {"utterances": len(lengths), "hours": round(sum(lengths) * FRAME_STEP_S / 3600, 4)}


def _subset(manifest: Manifest, subset: str) -> SubsetUse:
    unknown, words = manifest.unknown.get(subset, (None, None))
    return SubsetUse(
        utterances=manifest.utterances(subset),
        hours=round(manifest.seconds(subset) / 3600, 4),
        left_out={
            kind: Lost(utterances=count, hours=round(seconds / 3600, 4))
            for kind, (count, seconds) in manifest.lost(subset).items()
        },
        words=words,
        unknown_words=unknown,
        shared=manifest.shared[subset].to_dict() if subset in manifest.shared else {},
    )


def code_version() -> tuple[str | None, bool | None]:
    """Return the checkout's git commit, and whether it has uncommitted changes; both None for an installed package."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("diff", "HEAD", "--stat")
    return commit, None if changes is None or commit is None else bool(changes)


def short_code() -> str:
    """Return the code's version, "0.1.0+1a2b3c4d"; "-dirty5e6f70", a hash, follows if there are uncommitted changes."""
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
