"""What hosts compare before they train together: code, versions, data, devices and settings.

    facts = facts_of(job, data, devices)
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
from benchmark.run.prepare.data import Data
from benchmark.run.prepare.devices import Devices
from benchmark.run.prepare.hosts import Hosts
from benchmark.run.prepare.job import Job
from platforms import machine

VERSIONS = ("tensorflow", "keras", "numpy")
BOOT = "boot"
"""Which start of which machine this is: two hosts that say the same are one machine."""


def facts_of(job: Job, data: Data, devices: Devices) -> dict[str, Any]:
    """Return what must be the same on all hosts, as plain values."""
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
        "devices": list(devices.names[: devices.local_replicas]),
        "emulated": devices.emulated,
        BOOT: _boot(),
    }
    return json.loads(json.dumps(facts))


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def differences(facts: Mapping[int, Mapping[str, Any]], hosts: Hosts) -> list[str]:
    """Return a sentence for every field in which a host differs from the chief."""
    found = []
    for rank, theirs in facts.items():
        for name, value in _flat(facts[0]).items():
            if name != BOOT and (other := _flat(theirs).get(name)) != value:
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
