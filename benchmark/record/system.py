"""The machine of a run by the keys of MLPerf's system description, as run.json's part `system` has them.

    facts.system.host_memory_capacity, facts.system.accelerator_host_interconnect      # None is not known

The keys, and that counts of cores are those of a node, are those of MLPerf's submission rules and of mlperf-sysinfo,
which captures such descriptions. `benchmark.export --to mlperf-system` writes them out. Each says whether runs that
differ in it are warned of (platforms/enters.py): what part `host` has is compared there already.
"""

from __future__ import annotations

from dataclasses import dataclass

from platforms.enters import Circumstance, Harmless, setting

BY_HOST = Harmless("part `host` has it, and is compared")
BY_COLUMN = Harmless("a column of the journal has it")
BY_VERSIONS = Harmless("parts `versions`, `loaded` and `host` have it, and are compared")


@dataclass(frozen=True, kw_only=True)
class System:
    """One node and its software. Accelerators are the GPUs that train; none of them on a run on CPUs."""

    number_of_nodes: int | None = setting(BY_COLUMN, None)
    host_processors_per_node: int | None = setting(BY_HOST, None)
    host_processor_model_name: str | None = setting(BY_HOST, None)
    host_processor_core_count: int | None = setting(BY_HOST, None)  # of a node
    host_processor_vcpu_count: int | None = setting(BY_HOST, None)
    host_processor_frequency: str | None = setting(Harmless("the processor's model says it"), None)
    host_processor_caches: str | None = setting(Harmless("the processor's model says it"), None)
    host_memory_capacity: str | None = setting(Circumstance(), None)  # what this process may use of it
    host_storage_type: str | None = setting(Circumstance(), None)  # of the features
    host_storage_capacity: str | None = setting(Harmless("room that is left over makes nothing faster"), None)
    accelerators_per_node: int | None = setting(BY_COLUMN, None)
    accelerator_model_name: str | None = setting(BY_HOST, None)
    accelerator_memory_capacity: str | None = setting(Circumstance(), None)
    accelerator_frequency: str | None = setting(Harmless("the GPU's model says it"), None)
    accelerator_host_interconnect: str | None = setting(Circumstance(), None)
    accelerator_interconnect: str | None = setting(Circumstance(), None)
    framework: str | None = setting(BY_VERSIONS, None)
    other_software_stack: str | None = setting(BY_VERSIONS, None)
    operating_system: str | None = setting(BY_HOST, None)
