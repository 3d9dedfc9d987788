"""MLPerf's system description of a run's machine: the 33 fields that its system_desc_checker asks for, as text.

What no run can know, or this one did not find out, is "": `unknown` names those fields, for the submitter to fill in.
Field by field it is run.json's part `system`, which has the same keys; an older run, without that part, has what its
parts `host`, `devices` and `versions` say. The division is open, as the model is none of MLPerf's; the status is
"Research, Development, or Internal (RDI)" unless another is asked for: it alone promises nobody a system to be had.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from benchmark.export.runs import NOTICES, Ask, ExportError, source_name
from benchmark.record import Facts, FactsError, Run

RDI = "Research, Development, or Internal (RDI)"
STATUSES = {"on-premise": "Available on-premise", "cloud": "Available cloud", "preview": "Preview", "rdi": RDI}
"""MLPerf's words for whether a system can be had, by ours."""
FIELDS = (
    "submitter",
    "division",
    "status",
    "system_name",
    "number_of_nodes",
    "host_processors_per_node",
    "host_processor_model_name",
    "host_processor_core_count",
    "host_processor_vcpu_count",
    "host_processor_frequency",
    "host_processor_caches",
    "host_processor_interconnect",
    "host_memory_capacity",
    "host_storage_type",
    "host_storage_capacity",
    "host_networking",
    "host_networking_topology",
    "host_memory_configuration",
    "accelerators_per_node",
    "accelerator_model_name",
    "accelerator_host_interconnect",
    "accelerator_frequency",
    "accelerator_on-chip_memories",
    "accelerator_memory_configuration",
    "accelerator_memory_capacity",
    "accelerator_interconnect",
    "accelerator_interconnect_topology",
    "cooling",
    "hw_notes",
    "framework",
    "other_software_stack",
    "operating_system",
    "sw_notes",
)
NOTES = ("hw_notes", "sw_notes")  # which may stay empty


def system_description(run: Run, ask: Ask) -> str:
    """Return the description as JSON.

    Raises:
        ExportError: the run has no run.json, one that cannot be used, or one of another program's log.
    """
    return json.dumps(description(run, ask), indent=2) + "\n"


def description(run: Run, ask: Ask) -> dict[str, str]:
    """Return the value of every field; "" is not known."""
    facts = run.facts
    if facts is None or facts.log is not None:
        what = "it has no run.json" if facts is None else "another program's log says nothing of its machine"
        raise ExportError(f"{run.source}: {what}; mlperf-system expects a run of this suite, with its folder")
    try:
        found = {
            **_by_host(facts),
            **{name: value for name, value in asdict(facts.system).items() if value is not None},
        }
    except FactsError as error:
        raise ExportError(str(error)) from None
    emulated = "emulated: logical CPUs stand in for the GPUs of the platform" if run.identity.emulated else ""
    found |= {
        "submitter": ask.submitter,
        "division": "open",
        "status": STATUSES[ask.status],
        "system_name": run.identity.platform,
        "hw_notes": emulated,
        "sw_notes": f"{NOTICES['mlperf-system']}; {source_name(run)}, code {run.identity.code}",
    }
    return {name: str(found.get(name, "")) for name in FIELDS}


def unknown(run: Run, ask: Ask) -> list[str]:
    """Return the fields that the submitter has to fill in."""
    found = description(run, ask)
    none = found["accelerators_per_node"] == "0"
    return [
        name
        for name, value in found.items()
        if not value and name not in NOTES and not (none and name.startswith("accelerator_"))
    ]


def _by_host(facts: Facts) -> dict[str, object]:
    """Return what an older run's other parts say."""
    host, devices, versions = facts.host, facts.devices, facts.versions
    names = [str(name) for name in devices.names]
    on_cpu = devices.emulated or set(names) <= {"CPU"}
    nodes = devices.machines if type(devices.machines) is int and devices.machines > 0 else None
    found: dict[str, object | None] = {
        "number_of_nodes": nodes,
        "host_processor_model_name": host.cpu,
        "host_processor_vcpu_count": host.logical_cores,
        "accelerators_per_node": 0 if on_cpu else devices.replicas // nodes if nodes else None,
        "accelerator_model_name": None if on_cpu else ", ".join(dict.fromkeys(names)),
        "framework": f"TensorFlow {versions['tensorflow']}" if "tensorflow" in versions else None,
        "operating_system": host.system,
    }
    return {name: value for name, value in found.items() if value is not None}
