"""The mean power of a run's GPUs, by its samples or by what its end wrote down, and of what share of the run it is."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from journals import make_run, write

from benchmark.record import RunRecord, read_run
from benchmark.record.energy import COUNTERS, POWER
from benchmark.record.folder import read_end, write_end
from benchmark.record.run import SHARE_UNKNOWN, GpuPower, Run
from benchmark.run import attempt

GPUS = ("gpu0", "gpu1")


def run_of(
    tmp_path: Path, *, lost_s: float | None = None, end: dict | None = None, machines: int = 1, **devices
) -> Run:
    """A run of 360 s on two GPUs of 300 and 200 W, sampled every second; GPU 1 is lost after `lost_s`."""
    path = write(tmp_path / "r.csv", make_run([30, 30, 30], run="r", replicas=2 * machines, machines=machines))
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"schema": 3, "devices": {"sensors": GPUS, **devices}}))
    (folder / "utilisation.csv").write_text(samples(lost_s=lost_s))
    if end is not None:
        (folder / "end.json").write_text(json.dumps({"status": "finished", **end}))
    return read_run(path)


def samples(*, lost_s: float | None = None) -> str:
    rows = [f"{n},90,300,{'88,200' if lost_s is None or n <= lost_s else ','}" for n in range(361)]
    return "\n".join(["seconds,gpu0_util_percent,gpu0_power_w,gpu1_util_percent,gpu1_power_w", *rows]) + "\n"


def test_the_power_of_a_whole_run_is_that_of_its_gpus_together_and_says_how_it_was_measured(tmp_path):
    assert run_of(tmp_path).gpu_power() == GpuPower(watts=500, share=1.0, note=POWER)


@pytest.mark.parametrize(
    ("lost_s", "watts", "note"),
    [
        (38.0, None, "gpu1 was last read at 38.0 s: power is known for 11% of the run"),  # 38 / 360
        (343.0, 500, f"{POWER}; gpu1 was last read at 343.0 s: power is known for 95.2% of the run"),
    ],
)
def test_a_gpu_that_was_lost_is_named_with_the_share_of_the_run(tmp_path, lost_s, watts, note):
    found = run_of(tmp_path, lost_s=lost_s).gpu_power()
    assert (found.watts, found.note) == (watts, note)
    assert found.share == pytest.approx(lost_s / 360)


def test_a_gpu_that_was_lost_costs_nothing_where_another_one_trained(tmp_path):
    assert run_of(tmp_path, lost_s=38.0, sensors=["gpu0"]).gpu_power() == GpuPower(watts=300, share=1.0, note=POWER)


def test_a_run_on_cpus_beside_gpus_has_no_power_and_no_share_of_it(tmp_path):
    assert run_of(tmp_path, sensors=[]).gpu_power() == GpuPower()


def test_of_several_machines_the_one_that_was_measured_least_is_named(tmp_path):
    run = run_of(tmp_path, machines=2)
    assert run.gpu_power().note == "the power of its other machines was not sampled"
    (tmp_path / "r" / "utilisation-rank1.csv").write_text(samples(lost_s=343.0))
    found = run.gpu_power()
    assert found.watts == pytest.approx(1000)
    assert found.note == f"{POWER}; host 1: gpu1 was last read at 343.0 s: power is known for 95.2% of the run"
    (tmp_path / "r" / "utilisation-rank1.csv").write_text(samples(lost_s=38.0))
    assert run.gpu_power().note == "host 1: gpu1 was last read at 38.0 s: power is known for 11% of the run"


# What the end of a run writes down


@pytest.mark.parametrize(("lost_s", "watts"), [(None, 500), (343.0, 500), (38.0, None)])
def test_what_the_end_writes_down_is_what_the_samples_say(tmp_path, lost_s, watts):
    run = run_of(tmp_path, lost_s=lost_s)
    sampled = run.gpu_power()
    job = SimpleNamespace(folder=run.folder, journal=Path(run.source))
    write_end(run.folder, attempt._end(job, "finished", SimpleNamespace(step=30, epoch=3, ended_s=360.0)))
    (run.folder / "utilisation.csv").unlink()
    again = read_run(run.source)
    assert again.end.gpu_power_w == watts
    for at_once in (True, False):
        found = again.gpu_power(at_once=at_once)
        assert (found.watts, found.note) == (sampled.watts, sampled.note)
        assert found.share == pytest.approx(sampled.share, abs=1e-4)


def test_an_end_of_a_version_that_did_not_look_at_the_share_gives_way_to_the_samples(tmp_path):
    """It called the 500 W of the 38 s in which both GPUs were there the run's."""
    run = run_of(tmp_path, lost_s=38.0, end={"gpu_power_w": 500.0})
    assert run.gpu_power().watts is None
    assert run.gpu_power(at_once=True) == GpuPower(watts=500.0, note=SHARE_UNKNOWN)
    (run.folder / "utilisation.csv").unlink()
    assert run.gpu_power() == GpuPower(watts=500.0, note=SHARE_UNKNOWN)


@pytest.mark.parametrize("wrong", [{"gpu_power_share": 1.5}, {"gpu_power_share": "all"}, {"gpu_power_note": 3}])
def test_an_end_with_an_impossible_share_or_note_is_none(tmp_path, wrong):
    assert read_end(run_of(tmp_path, end=wrong).folder) is None


def test_a_counter_is_taken_from_the_first_row_of_each_attempt_to_its_last(tmp_path):
    """Two attempts of 100 s at 480 W, between which the GPU took 20 kJ and the run's clock stood still."""
    first = make_run([30], train_s=60).rows
    second = replace(first[0], attempt=2, started_s=100.0, seconds=100.0)
    lines = [f"{n},90,400,{480 * n + (n > 100) * 20_000}" for n in range(201)]
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "utilisation.csv").write_text(
        "\n".join(["seconds,gpu0_util_percent,gpu0_power_w,gpu0_energy_j", *lines])
    )
    record = RunRecord((*first, second), str(tmp_path / "r.csv"))
    assert record.spans_s == ((0.0, 100.0), (100.0, 200.0))
    energy = Run(record).usage().energy()
    # 198 steps of a second by the counter; the two at the seam, of which one holds the pause, by power
    assert energy.wh == pytest.approx((480 * 198 + 400 * 2) / 3600) and energy.share == 1.0
    assert energy.source.startswith(COUNTERS)
