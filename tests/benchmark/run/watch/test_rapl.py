"""RAPL's packages by a made-up /sys/class/powercap: which zones count, wraps, and what may not be read."""

import csv
import os
import time
from pathlib import Path

import pytest

from benchmark.record.usage import read_usage
from benchmark.run.watch.monitor import Monitor
from benchmark.run.watch.rapl import rapl_sensors

RANGE_UJ = 262_143_328_850  # as many processors have it


def zone(powercap: Path, name: str, called: str, energy_uj: int | str = 1_000_000) -> Path:
    folder = powercap / name
    folder.mkdir(parents=True)
    for file, text in (("name", called), ("energy_uj", energy_uj), ("max_energy_range_uj", RANGE_UJ)):
        (folder / file).write_text(f"{text}\n")
    return folder


def test_packages_count_and_their_parts_doubles_and_the_platform_do_not(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_500_000)
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "dram")
    zone(tmp_path, "intel-rapl:2", "psys")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    sensors = rapl_sensors(tmp_path)
    assert {name: sensor() for name, sensor in sensors.items()} == {"package0_energy_j": 5.0, "package1_energy_j": 7.5}
    assert rapl_sensors(tmp_path / "none") == {}


def test_a_counter_goes_on_over_its_wraps(tmp_path):
    folder = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    sensor = rapl_sensors(tmp_path)["package0_energy_j"]
    first = sensor()
    read = []
    for energy_uj in (500_000, 2_000_000, 1_000_000):  # over the range, on, and over it again
        (folder / "energy_uj").write_text(str(energy_uj))
        read.append(sensor() - first)
    # 1 J to the range and half a J; 1.5 J more; then a whole range less 1 J
    assert read == pytest.approx([1.5, 3.0, 3.0 + RANGE_UJ / 1e6 - 1.0])


def test_a_counter_that_is_none_fails_as_a_sensor_does(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", "soon")
    with pytest.raises(OSError, match="expected microjoules"):
        rapl_sensors(tmp_path)["package0_energy_j"]()


def sampled(output: Path, powercap: Path) -> Monitor:
    with Monitor(output, started_at=time.monotonic(), hz=50, powercap=powercap) as monitor:
        end_s = time.monotonic() + 10
        while not output.exists() or output.read_text().count("\n") < 4:
            assert time.monotonic() < end_s
            time.sleep(0.01)
    return monitor


def test_packages_have_columns_and_one_that_may_not_be_read_its_reason(tmp_path):
    output, powercap = tmp_path / "utilisation.csv", tmp_path / "made"
    zone(powercap, "intel-rapl:0", "package-0", 5_000_000)
    (zone(powercap, "intel-rapl:1", "package-1") / "energy_uj").unlink()
    monitor = sampled(output, powercap)
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["package0_energy_j"] for row in rows} == {"5.0"} and {row["package1_energy_j"] for row in rows} == {""}
    assert monitor.unavailable["package1_energy_j"].startswith("FileNotFoundError")
    assert read_usage(output).packages == ["package0", "package1"]


def test_a_file_of_a_version_without_packages_goes_on_as_it_began(tmp_path):
    output, powercap = tmp_path / "utilisation.csv", tmp_path / "made"
    sampled(output, powercap)
    header = output.read_text().splitlines()[0]
    zone(powercap, "intel-rapl:0", "package-0")
    before = output.stat().st_size
    with Monitor(output, started_at=time.monotonic(), hz=50, powercap=powercap):
        end_s = time.monotonic() + 10
        while output.stat().st_size == before:
            assert time.monotonic() < end_s
            time.sleep(0.01)
    assert {len(line.split(",")) for line in output.read_text().splitlines()} == {len(header.split(","))}
    assert os.linesep.join(output.read_text().splitlines()[:1]) == header
