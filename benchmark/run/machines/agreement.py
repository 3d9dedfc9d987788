"""What hosts compare before they train together: code, versions, data, decoder, weights, devices and settings.

    facts = facts_of(job, task, decoder, os.environ)
    differences({0: facts, 1: theirs}, hosts)           # sentences, each with the field, both values and both hosts

Hosts that differ would wait for one another for ever, or train on other data and agree on nothing without an error.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.run.prepare import provenance
from benchmark.run.prepare.hosts import Hosts
from benchmark.run.prepare.job import Job
from benchmark.run.prepare.task import Task
from models.ctc.decoders import Decoder
from platforms import machine

VERSIONS = ("tensorflow", "keras", "numpy")
BOOT = "boot"
"""Which start of which machine this is: two hosts that say the same are one machine."""


SWITCHES = ("TF_", "XLA_", "NVIDIA_TF32_", "CUBLAS_", "CUDNN_")
"""Variables of the environment that begin so change what is computed, or in which arithmetic."""

OF_ONE_HOST = ("TF_CONFIG", "TF_CPP_", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR", "XLA_PYTHON_CLIENT_")
"""But not these: they say which host it is, what it logs, and how it takes memory."""


def facts_of(job: Job, task: Task, decoder: Decoder, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what must be the same on all hosts, as plain values."""
    data, devices = task.data, task.devices
    facts = {
        "code": provenance.short_code(),
        **{name: machine.version(name) for name in VERSIONS},
        "platform": job.platform.to_dict(),
        "workload": job.workload.to_dict(paths=False),  # the digests of what they hold are in the variant
        "seed": job.seed,
        "synthetic": job.synthetic,
        "deterministic": job.deterministic,
        "from": job.start.mark if job.start else "",
        "features": data.manifest.digest,
        "trained utterances": len(data.lengths),
        "decoder": decoder.label,
        "language model": decoder.language_model_digest,
        **{name.replace("_", " "): value for name, value in task.learner.about.items() if name.endswith("sha256")},
        "environment": switches(environ),
        "devices": list(devices.names[: devices.local_replicas]),
        "emulated": devices.emulated,
        BOOT: _boot(),
    }
    return json.loads(json.dumps(facts))


def switches(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that change figures."""
    chosen = {name: value for name, value in environ.items() if name.startswith(SWITCHES)}
    return {name: value for name, value in sorted(chosen.items()) if not name.startswith(OF_ONE_HOST)}


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def differences(facts: Mapping[int, Mapping[str, Any]], hosts: Hosts) -> list[str]:
    """Return a sentence for every field in which a host differs from the chief."""
    found = []
    for rank, theirs in facts.items():
        own, other_host = _flat(facts[0]), _flat(theirs)
        for name in dict.fromkeys((*own, *other_host)):
            value, other = own.get(name), other_host.get(name)
            if name != BOOT and other != value:
                found.append(
                    f"{name} is {_short(value)} on {hosts.name(0)}, and {_short(other)} on {hosts.name(rank)}; "
                    f"expected the same on all hosts"
                )
    return found


def share_a_machine(facts: Mapping[int, Mapping[str, Any]]) -> bool:
    """Tell whether two hosts are processes of one machine, whose times say nothing about several."""
    boots = [each.get(BOOT) for each in facts.values() if each.get(BOOT)]
    return len(set(boots)) < len(boots)


def _flat(facts: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        flat |= _flat(value, f"{before}{name} ") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
