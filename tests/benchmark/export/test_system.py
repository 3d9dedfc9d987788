"""The system description against MLPerf's own checker, where it is installed."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from journals import make_run, write

from benchmark.export.__main__ import main
from benchmark.export.runs import Ask, ExportError, load
from benchmark.export.system import FIELDS, STATUSES, description, unknown
from benchmark.record.system import System

DESCRIBED = System(
    number_of_nodes=1, host_processors_per_node=2, host_processor_model_name="Intel Xeon Gold 6136",
    host_processor_core_count=24, host_processor_vcpu_count=48, host_memory_capacity="192 GiB",
    host_storage_type="NVMe SSD", host_storage_capacity="900 GiB", accelerators_per_node=2,
    accelerator_model_name="Tesla V100-PCIE-32GB", accelerator_memory_capacity="32 GiB",
    accelerator_host_interconnect="PCIe 3.0 x16", framework="TensorFlow 2.21.0", other_software_stack="CUDA 12.5",
    operating_system="Debian GNU/Linux 12 (bookworm), Linux 6.1.0",
)  # fmt: skip
OLDER = {
    "host": {"cpu": "EPYC", "logical_cores": 4, "system": "Linux 6.1.0"},
    "devices": {"names": ["NVIDIA H200"] * 2, "replicas": 2, "machines": 1},
    "versions": {"tensorflow": "2.21.0"},
}
ON_CPU = {"accelerators_per_node": 0, "accelerator_model_name": None, "accelerator_memory_capacity": None,
          "accelerator_host_interconnect": None}  # fmt: skip
RULES = ("4.1.0", "5.1.0", "6.1.0")


def run_of(folder: Path, *, system=DESCRIBED, facts=OLDER, name="r1", **identity) -> Path:
    path = Path(write(folder / f"{name}.csv", make_run((30, 29, 28), run=name, **{"platform": "sys10", **identity})))
    if facts is not None:
        (folder / name).mkdir()
        content = {"schema": 4, **facts, **({"system": asdict(system)} if system else {})}
        (folder / name / "run.json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(
    ("system", "identity", "options"),
    [
        (DESCRIBED, {}, ["--submitter", "A. Body", "--status", "on-premise"]),
        (DESCRIBED, {}, []),
        (System(**{**asdict(DESCRIBED), **ON_CPU}), {"emulated": True}, []),
        (None, {}, []),  # a run of an older version
    ],
)
def test_mlperfs_checker_accepts_it(tmp_path, system, identity, options, rules):
    checker = pytest.importorskip("mlperf_logging.system_desc_checker.system_desc_checker")
    out = tmp_path / "system.json"
    assert (
        main([str(run_of(tmp_path, system=system, **identity)), "--to", "mlperf-system", "-o", str(out), *options]) == 0
    )
    valid, name, before, after = checker.check_system_desc(out, "training", rules)
    assert valid and name == "sys10"
    found = json.loads(out.read_text())
    assert tuple(found) == FIELDS and len(FIELDS) == 33
    assert all(isinstance(value, str) for value in found.values())


def test_the_checker_refuses_a_description_that_lacks_a_field_or_has_another_status(tmp_path):
    checker = pytest.importorskip("mlperf_logging.system_desc_checker.system_desc_checker")
    whole = description(load(run_of(tmp_path)), Ask())
    for wrong in ({**whole, "status": "sold out"}, {name: text for name, text in whole.items() if name != "cooling"}):
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        assert not checker.check_system_desc(tmp_path / "wrong.json", "training", "4.1.0")[0]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_that_can_be_asked_for_is_the_checkers(tmp_path, status):
    checker = pytest.importorskip("mlperf_logging.system_desc_checker.system_desc_checker")
    (tmp_path / "x.json").write_text(json.dumps(description(load(run_of(tmp_path)), Ask(status=status))))
    assert checker.check_system_desc(tmp_path / "x.json", "training", "4.1.0")[0]


def test_what_no_run_can_know_is_empty_and_named(tmp_path, capsys):
    assert main([str(run_of(tmp_path)), "--to", "mlperf-system"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    empty = [name for name, value in found.items() if not value and not name.endswith("notes")]
    assert {"submitter", "cooling", "host_networking"} <= set(empty)
    assert f"r1.csv: for the submitter to fill in: {', '.join(empty)}\n" in err
    assert found["status"] == "Research, Development, or Internal (RDI)" and "status is 'Research" in err
    assert "not part of an MLPerf submission" in found["sw_notes"] and "not part of an MLPerf submission" in err
    assert (found["host_processor_core_count"], found["accelerators_per_node"]) == ("24", "2")


def test_a_run_on_cpus_asks_for_nothing_about_accelerators(tmp_path):
    run = load(run_of(tmp_path, system=System(**{**asdict(DESCRIBED), **ON_CPU}), emulated=True))
    assert description(run, Ask())["accelerators_per_node"] == "0"
    assert not [name for name in unknown(run, Ask()) if name.startswith("accelerator")]
    assert description(run, Ask())["hw_notes"].startswith("emulated: ")


def test_an_older_run_has_what_its_other_parts_say_and_is_warned_of(tmp_path, capsys):
    path = run_of(tmp_path, system=None)
    found = description(load(path), Ask(submitter="me"))
    known = ("submitter", "accelerators_per_node", "accelerator_model_name", "host_processor_vcpu_count", "framework")
    assert [found[name] for name in known] == ["me", "2", "NVIDIA H200", "4", "TensorFlow 2.21.0"]
    assert found["host_memory_capacity"] == ""
    assert main([str(path), "--to", "mlperf-system"]) == 0
    assert "r1.csv: of a version that did not describe its machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (None, "it has no run.json; mlperf-system expects a run of this suite"),
        ({**OLDER, "log": {"format": "mllog"}}, "another program's log says nothing of its machine"),
        ({"host": 3}, "its host cannot be used"),
    ],
)
def test_what_describes_no_machine_is_refused(tmp_path, facts, said):
    with pytest.raises(ExportError, match=said):
        description(load(run_of(tmp_path, system=None, facts=facts)), Ask())


def test_options_of_one_format_mean_nothing_to_another(tmp_path, capsys):
    path = str(run_of(tmp_path))
    assert main([path, "--to", "json", "--submitter", "me"]) == 2
    assert "--submitter means nothing to json" in capsys.readouterr().err
    assert main([path, "--to", "mlperf-system", "--level", "5"]) == 2
    assert "which takes --submitter and --status" in capsys.readouterr().err
