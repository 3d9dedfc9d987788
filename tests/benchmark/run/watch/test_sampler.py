"""The sampler under NVML's stand-in in C (tests/standin.py): its columns and the boards that it tells, rig by rig."""

import csv
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from standin import cuda_boards, environment_of

from benchmark.record import energy
from benchmark.record.energy import BOTH
from benchmark.record.usage import read_usage
from benchmark.run.watch.gpus import GPU_SENSORS, by_gpu
from benchmark.run.watch.monitor import Monitor

RTX = "NVIDIA GeForce RTX 2070"
LOST = "NVMLError_GpuIsLost: GPU is lost"
UNSUPPORTED = "NVMLError_NotSupported: Not Supported"


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "utilisation.csv"


@pytest.fixture
def sampled(nvidia, output, monkeypatch):
    """sampled(until, STANDIN=...): the monitor of a machine, after its file has rows of which `until` is true."""

    def sample(until: Callable[[list[dict]], object] = lambda rows: len(rows) > 2, **variables: object) -> Monitor:
        for name, value in environment_of(nvidia, **variables).items():
            monkeypatch.setenv(name, value)
        with Monitor(output, started_at=time.monotonic(), hz=50) as monitor:
            end_s = time.monotonic() + 10
            while not until(rows_of(output)):
                assert time.monotonic() < end_s, output.read_text()[-2000:]
                time.sleep(0.01)
        return monitor

    return sample


def rows_of(output: Path) -> list[dict[str, str]]:
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def test_four_boards_have_their_own_columns_with_unlike_links_and_no_counter(sampled, output):
    monitor = sampled(STANDIN="four-rtx-2070")
    row = rows_of(output)[-1]
    assert [row[f"gpu{n}_pcie_gen"] + " x" + row[f"gpu{n}_pcie_width"] for n in range(4)] == [
        "3 x16", "2 x1", "2 x1", "2 x4",
    ]  # fmt: skip
    assert [float(row[f"gpu{n}_power_w"]) for n in range(4)] == [150, 151, 152, 153]  # mW / 1000
    assert {row[f"gpu{n}_energy_j"] for n in range(4)} == {""}
    assert monitor.unavailable == {f"gpu{n}_energy_j": UNSUPPORTED for n in range(4)}
    assert monitor.boards == {
        f"gpu{n}": {"name": RTX, "pci": pci, "mig": False}
        for n, pci in enumerate(["0000:01:00.0", "0000:3b:00.0", "0000:4c:00.0", "0000:af:00.0"])
    }


def test_an_energy_counter_is_a_column_in_joules(sampled, output):
    monitor = sampled(lambda rows: len(rows) > 10, STANDIN="h200")
    assert list(rows_of(output)[0])[5:] == [f"gpu0_{name}" for name in GPU_SENSORS]
    assert monitor.unavailable == {}
    first, *_, last = rows_of(output)
    seconds, joules = (float(last[name]) - float(first[name]) for name in ("seconds", "gpu0_energy_j"))
    assert float(first["gpu0_energy_j"]) > 5000  # 5,000,000 mJ since the driver was loaded
    assert joules / seconds == pytest.approx(480, rel=0.2)  # 480 W; seconds are of the row's first sensor
    assert read_usage(output).energy(["gpu0"]).mean_w == pytest.approx(480, rel=0.2)


@pytest.mark.parametrize("kind", ["wraps", "resets"])
def test_a_counter_that_wraps_or_begins_anew_loses_a_step_to_power(sampled, output, kind):
    sampled(lambda rows: len(rows) > 60, STANDIN="h200", STANDIN_COUNTER=kind)  # it falls after half a second of 1.2
    joules = [float(row["gpu0_energy_j"]) for row in rows_of(output)]
    assert min(joules) < joules[0]
    found = read_usage(output).energy(["gpu0"])
    assert (found.mean_w, found.source) == (pytest.approx(480, rel=0.05), BOTH)
    assert found.ratio is None  # a second says too little of it


def test_a_counter_that_stands_still_is_refused_as_power_goes_on(sampled, output, monkeypatch):
    monkeypatch.setattr(energy, "CHECKED_S", 0.5)
    sampled(lambda rows: len(rows) > 60, STANDIN="h200", STANDIN_COUNTER="stands")
    found = read_usage(output).energy(["gpu0"])
    assert found.wh is None and found.ratio < 0.8
    assert "gpu0's energy counter says" in found.gap and "expected 0.8 to 1.25" in found.gap


def test_a_gpu_that_was_lost_before_the_start_hides_none_behind_it(sampled, output):
    monitor = sampled(STANDIN="four-rtx-2070", STANDIN_LOST=1)
    assert list(monitor.boards) == ["gpu0", "gpu1", "gpu2", "gpu3"]
    assert monitor.boards["gpu1"] == {"name": None, "pci": None, "mig": False, "problem": LOST}
    assert monitor.boards["gpu3"] == {"name": RTX, "pci": "0000:af:00.0", "mig": False}
    assert monitor.unavailable["gpu1"] == LOST
    assert not [column for column in monitor.unavailable if column.startswith("gpu1_")]  # one reason for all of them
    assert rows_of(output)[0]["gpu1_power_w"] == "" and float(rows_of(output)[0]["gpu3_power_w"]) == 153


def test_a_gpu_that_is_lost_meanwhile_is_one_reason_with_its_second(sampled, output, tmp_path, caplog):
    gone = tmp_path / "gone"

    def until(rows: list[dict]) -> bool:
        if len(rows) == 5:
            gone.touch()
        return len(rows) > 5 and rows[-1]["gpu2_memory_mib"] == ""

    monitor = sampled(until, STANDIN="four-rtx-2070", STANDIN_LOST=2, STANDIN_LOST_FILE=gone)
    rows = rows_of(output)
    assert rows[0]["gpu2_power_w"] == "152.0" and rows[-1]["gpu2_power_w"] == ""
    assert {row["gpu3_power_w"] for row in rows} == {"153.0"}
    assert monitor.boards["gpu2"]["name"] == RTX  # it was there
    lost = {name: why for name, why in monitor.unavailable.items() if name.startswith("gpu2") and LOST in why}
    assert all(why.startswith(f"{LOST} (first at ") for why in lost.values()) and lost
    assert "utilisation is not complete: gpu2" in caplog.text


def test_one_reason_stands_for_a_gpu_only_where_all_that_could_be_read_of_it_fails_alike():
    columns = [f"gpu{n}_{name}" for n in (0, 1, 11) for name in ("util_percent", "power_w")]
    lost = {column: LOST for column in columns if column.startswith("gpu1_")}
    assert by_gpu({**lost, "gpu0_power_w": LOST, "host_cpu_percent": LOST}, of=columns) == {
        "gpu1": LOST, "gpu0_power_w": LOST, "host_cpu_percent": LOST,
    }  # fmt: skip
    assert by_gpu({**lost, "gpu1_power_w": UNSUPPORTED}, of=columns) == {**lost, "gpu1_power_w": UNSUPPORTED}
    assert by_gpu({"gpu1_power_w": LOST}, of=["gpu1_power_w"]) == {"gpu1_power_w": LOST}


def test_a_file_of_a_version_without_counters_goes_on_as_it_began(sampled, output):
    sampled(STANDIN="h200")
    names = [name for name in rows_of(output)[0] if name != "gpu0_energy_j"]
    output.write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    sampled(STANDIN="h200")
    assert list(rows_of(output)[0]) == names and len(rows_of(output)) > 2
    assert {len(line.split(",")) for line in output.read_text().splitlines()} == {len(names)}


def test_nvml_counts_by_the_bus_where_cuda_counts_the_fastest_first(sampled, nvidia):
    monitor = sampled(STANDIN="reversed")
    assert [board["name"] for board in monitor.boards.values()] == ["NVIDIA GeForce GT 1030", "Tesla V100-SXM2-32GB"]
    assert monitor.unavailable == {"gpu0_power_w": UNSUPPORTED, "gpu0_energy_j": UNSUPPORTED}
    (order,) = cuda_boards(nvidia, {"STANDIN": "reversed"})
    assert order == tuple(board["pci"] for board in reversed(monitor.boards.values()))
