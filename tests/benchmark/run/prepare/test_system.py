"""run.json's description of the machine, by MLPerf's keys."""

from dataclasses import asdict
from types import SimpleNamespace

import pytest
import trees
from standin import asked

from benchmark.record.facts import Facts
from benchmark.record.system import System
from benchmark.run.prepare import system as module

VERSIONS = {"tensorflow": "2.21.0", "keras": "3.12.0", "numpy": "2.1.0", "scipy": "1.14"}
FOUND = """
from pathlib import Path
from types import SimpleNamespace
from dataclasses import asdict
from benchmark.run.prepare.system import system_of
devices = SimpleNamespace(on_cpu=False, local_replicas=given[0], machines=1)
found = system_of(devices, Path(given[1]), {"tensorflow": "2.21.0"}, {"cuda": "12.5", "cudnn": "9.3.0"})
print(json.dumps(asdict(found)))
"""


def of_gpus(libraries, folder, replicas, **variables):
    found = asked(FOUND, libraries, replicas, str(folder), **variables)
    return {name: value for name, value in found.items() if name.startswith("accelerator")}, found


def test_a_run_on_cpus_has_the_host_and_no_accelerators(tmp_path, monkeypatch):
    files = trees.machine(sockets=2, cores=6, threads=2, name="Xeon E5-2630 v2", gib=128)
    monkeypatch.setattr(module, "ON_CPUS", trees.root(tmp_path, files))
    devices = SimpleNamespace(on_cpu=True, local_replicas=4, machines=2)
    found = module.system_of(devices, tmp_path / "data", VERSIONS, {"cuda": None, "cudnn": None})
    assert found == System(
        number_of_nodes=2,
        host_processors_per_node=2,
        host_processor_model_name="Xeon E5-2630 v2",
        host_processor_core_count=12,
        host_processor_vcpu_count=24,
        host_memory_capacity="128 GiB",
        host_storage_capacity=found.host_storage_capacity,
        accelerators_per_node=0,
        framework="TensorFlow 2.21.0",
        other_software_stack="keras 3.12.0, numpy 2.1.0",
        operating_system="Debian GNU/Linux 12 (bookworm), Linux 6.1.0-18-amd64",
    )
    assert found.host_storage_capacity.endswith(" GiB")


def test_nothing_that_is_not_known_is_made_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ON_CPUS", trees.root(tmp_path, {}))
    devices = SimpleNamespace(on_cpu=True, local_replicas=1, machines=1)
    found = asdict(module.system_of(devices, tmp_path, {}, {}))
    known = {name: value for name, value in found.items() if value is not None}
    assert set(known) == {"number_of_nodes", "host_storage_capacity", "accelerators_per_node"}


def test_the_four_boards_of_the_papers_first_rig(nvidia, tmp_path):
    found, whole = of_gpus(nvidia, tmp_path, 4)
    assert found == {
        "accelerators_per_node": 4,
        "accelerator_model_name": "NVIDIA GeForce RTX 2070",
        "accelerator_memory_capacity": "8 GiB",
        "accelerator_frequency": "1980 MHz at most",
        "accelerator_host_interconnect": "PCIe 3.0 x16, 2 x PCIe 2.0 x1, PCIe 2.0 x4",
        "accelerator_interconnect": None,
    }
    assert whole["other_software_stack"] == "CUDA 12.5, cuDNN 9.3.0, NVIDIA driver 580.95.05"


def test_a_link_that_sleeps_has_the_generation_that_it_wakes_to(nvidia, tmp_path):
    found, _ = of_gpus(nvidia, tmp_path, 4, STANDIN_IDLE=1)
    assert found["accelerator_host_interconnect"] == "PCIe 3.0 x16, 2 x PCIe 2.0 x1, PCIe 2.0 x4"


def test_only_the_gpus_that_train_are_described(nvidia, tmp_path):
    """CUDA's first is the V100; of two boards one trains."""
    found, _ = of_gpus(nvidia, tmp_path, 1, STANDIN="reversed")
    assert (found["accelerators_per_node"], found["accelerator_model_name"]) == (1, "Tesla V100-SXM2-32GB")
    assert found["accelerator_interconnect"] == "6 NVLinks"


def test_it_comes_back_from_run_json_and_an_older_one_has_none():
    described = Facts({"schema": 4, "system": {**asdict(System(host_memory_capacity="24 GiB")), "later": 1}})
    assert described.system == System(host_memory_capacity="24 GiB")
    assert Facts({"schema": 4}).system == System()


@pytest.mark.parametrize("value", [[], "x", 3, None])
def test_what_is_no_description_is_refused(value):
    from benchmark.record.facts import FactsError

    with pytest.raises(FactsError, match="its system cannot be used"):
        Facts({"schema": 4, "system": value}).system  # noqa: B018
