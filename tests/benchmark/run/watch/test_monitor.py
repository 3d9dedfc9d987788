"""The sampler is tested as what it is, a process; only NVML is faked, by a pynvml.py earlier on its path."""

import csv
import math
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pynvml
import pytest

from benchmark.record.usage import read_usage
from benchmark.run.watch import monitor as monitor_module
from benchmark.run.watch import sampler as sampler_module
from benchmark.run.watch.gpus import GPU_SENSORS
from benchmark.run.watch.monitor import ROOT, Monitor
from benchmark.run.watch.sampler import ProcessTree

HOST = ["seconds", "process_cpu_percent", "process_memory_mib", "host_cpu_percent", "host_memory_mib"]
SPIN = [sys.executable, "-c", "while True: pass"]

FAKE_NVML = """
    from types import SimpleNamespace

    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM = 0, 1, 2
    readings = 0

    class NVMLError(Exception): pass

    def nvmlInit(): pass
    def nvmlDeviceGetCount(): return 2
    def nvmlDeviceGetHandleByIndex(index): return index
    def nvmlDeviceGetUtilizationRates(gpu): return SimpleNamespace(gpu=70 + gpu)
    def nvmlDeviceGetMemoryInfo(gpu): return SimpleNamespace(used=(3 + gpu) * 2**30)
    def nvmlDeviceGetPowerUsage(gpu): return 250_500 + gpu
    def nvmlDeviceGetTotalEnergyConsumption(gpu): return 7_000_250 + gpu
    def nvmlDeviceGetTemperature(gpu, sensor): return {NVML_TEMPERATURE_GPU: 40 + gpu}[sensor]
    def nvmlDeviceGetClockInfo(gpu, clock): return {NVML_CLOCK_SM: 1980, NVML_CLOCK_MEM: 2619}[clock] + gpu
    def nvmlDeviceGetCurrPcieLinkGeneration(gpu): return 5 - gpu
    def nvmlDeviceGetCurrPcieLinkWidth(gpu): return 16 >> gpu
    def nvmlDeviceGetName(gpu): return b"NVIDIA V100"
    def nvmlDeviceGetPciInfo(gpu): return SimpleNamespace(busId=f"00000000:{0x3B + gpu:X}:00.0")
    def nvmlDeviceGetMigMode(gpu):
        if not gpu:
            raise NVMLError("Not Supported")
        return [1, 1]
"""


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "utilisation.csv"


@pytest.fixture
def fake_nvml(tmp_path, monkeypatch):
    """fake_nvml(changes): the sampler imports the fake above, with `changes` (Python text) at its end."""

    def install(changes: str = "") -> None:
        folder = tmp_path / "fake"
        folder.mkdir()
        (folder / "pynvml.py").write_text(textwrap.dedent(FAKE_NVML) + textwrap.dedent(changes))
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return install


@pytest.fixture
def no_gpu(fake_nvml) -> None:
    fake_nvml("def nvmlInit(): raise NVMLError('Driver Not Loaded')")


def start(output: Path, *, hz: float = 50, elapsed_s: float = 0) -> Monitor:
    return Monitor(output, started_at=time.monotonic() - elapsed_s, hz=hz)


def rows_of(output: Path) -> list[dict[str, str]]:
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def wait_until(true, *, limit_s: float) -> bool:
    end_s = time.monotonic() + limit_s
    while not true() and time.monotonic() < end_s:
        time.sleep(0.01)
    return bool(true())


def wait_for_rows(output: Path, *, more_than: int) -> None:
    assert wait_until(lambda: output.exists() and len(rows_of(output)) > more_than, limit_s=10)


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def samplers_of(pid: int) -> list[psutil.Process]:
    alive = [each for each in psutil.Process(pid).children() if not gone(each)]
    return [each for each in alive if "benchmark.run.watch.sampler" in each.cmdline()]


def sampler_of(pid: int) -> psutil.Process:
    (sampler,) = samplers_of(pid)
    return sampler


# The file


def test_the_file_has_one_header_and_rows_on_the_clock_of_the_run(output, no_gpu):
    with start(output, hz=40, elapsed_s=100):
        wait_for_rows(output, more_than=10)
    rows = rows_of(output)
    seconds = [float(row["seconds"]) for row in rows]
    assert list(rows[0]) == HOST
    assert 100 < seconds[0] < 150  # the run had begun 100 s before the sampler
    # 1 / 40 Hz = 0.025 s, on a laden machine more, but never less than half of it (less 1 ms of rounding)
    assert all(after - before > 0.0115 for before, after in zip(seconds, seconds[1:], strict=False))
    assert (len(rows) - 1) / (seconds[-1] - seconds[0]) < 45
    assert all(row[column] != "" for row in rows for column in HOST)
    assert all(0 <= float(row["host_cpu_percent"]) <= 100 for row in rows)
    assert output.read_text().count("seconds") == 1


def test_host_and_process_memory_are_in_mib(output, no_gpu):
    with start(output):
        wait_for_rows(output, more_than=1)
    row = rows_of(output)[-1]
    ours = psutil.Process()
    below = ours.children(recursive=True)  # of other tests; the sampler has ended, and does not count itself
    ours_mib = sum(process.memory_info().rss for process in (ours, *below)) / 2**20
    total_mib = psutil.virtual_memory().total / 2**20
    assert float(row["process_memory_mib"]) == pytest.approx(ours_mib, rel=0.05)
    assert 0 < float(row["host_memory_mib"]) < total_mib


def test_a_resumed_run_appends_below_the_same_header(output, no_gpu):
    with start(output):
        wait_for_rows(output, more_than=2)
    first = output.read_text()
    with start(output, elapsed_s=50):
        wait_for_rows(output, more_than=first.count("\n") + 2)
    assert output.read_text().startswith(first)
    assert output.read_text().count("seconds") == 1
    assert float(rows_of(output)[-1]["seconds"]) > 50


def test_half_a_row_left_by_a_power_cut_is_cut_off(output, no_gpu):
    output.write_text(",".join(HOST) + "\n1.0,2,3,4,5\n1.1,2,3")
    with start(output, elapsed_s=2):
        wait_for_rows(output, more_than=2)
    lines = output.read_text().splitlines()
    assert lines[1] == "1.0,2,3,4,5"
    assert float(lines[2].split(",")[0]) > 2  # not "1.1,2,32.0..."
    assert {line.count(",") for line in lines} == {4}


def test_a_file_with_another_header_is_refused_by_naming_both_and_not_touched(output, no_gpu):
    output.write_text("seconds,gpu0_util_percent\n1,2\n3")
    both = r"found .*seconds,gpu0_util.*expected .*seconds,process_cpu"
    with pytest.raises(ValueError, match=both) as error, start(output):
        pass
    assert str(output) in str(error.value)
    assert output.read_text() == "seconds,gpu0_util_percent\n1,2\n3"
    assert samplers_of(os.getpid()) == []


def test_a_missing_folder_is_refused_at_the_start(tmp_path, no_gpu):
    with (
        pytest.raises(ValueError, match="No such file or directory.*results/utilisation.csv"),
        start(tmp_path / "results" / "utilisation.csv"),
    ):
        pass


@pytest.mark.parametrize("hz", [0, -1, 101, math.nan])
def test_an_impossible_rate_is_refused(output, hz):
    with pytest.raises(ValueError, match=f"hz is {hz}; expected above 0"):
        start(output, hz=hz)


# CPU of the process tree


def test_a_busy_child_raises_process_cpu_percent(output, no_gpu):
    with start(output, hz=10):
        time.sleep(0.35)
    idle = read_usage(output).summary().process_cpu_percent_mean
    child = subprocess.Popen(SPIN)
    try:
        with start(output, hz=10, elapsed_s=10):
            began_s, before = time.monotonic(), psutil.Process(child.pid).cpu_times()
            time.sleep(0.8)
            elapsed_s, after = time.monotonic() - began_s, psutil.Process(child.pid).cpu_times()
    finally:
        child.kill()
        child.wait()
    busy = read_usage(output).summary(start_s=10).process_cpu_percent_mean
    # 100 on a free core, less where the machine has other work; we sleep, and the sampler leaves itself out.
    spent_percent = 100 * (after.user + after.system - before.user - before.system) / elapsed_s
    assert idle < 15
    assert busy == pytest.approx(spent_percent, rel=0.3)


def test_a_child_that_ends_between_samples_takes_nothing_back():
    before = ProcessTree(os.getpid())
    before.cpu_percent()
    others_mib = before.memory_mib()  # helpers that other tests left, idle; a tree leaves its reader out
    child = subprocess.Popen(SPIN)
    tree = ProcessTree(os.getpid())
    time.sleep(0.3)
    tree.cpu_percent()
    time.sleep(0.1)
    child.kill()
    child.wait()
    # By sums it would be -0.3 s / 0.1 s = -300 %.
    assert 0 <= tree.cpu_percent() < 20
    assert tree.memory_mib() == pytest.approx(others_mib, abs=1)


def test_a_child_found_late_does_not_bring_its_past_as_a_peak(monkeypatch):
    monkeypatch.setattr(sampler_module, "REFRESH_S", 0.1)
    monkeypatch.setattr(sampler_module, "REFRESH_SHARE", 1e9)
    tree = ProcessTree(os.getpid())
    tree.cpu_percent()
    child = subprocess.Popen(SPIN)
    try:
        time.sleep(0.2)
        assert tree.cpu_percent() == 0  # the child's 0.2 s are from before its first look
        time.sleep(0.2)
        assert tree.cpu_percent() > 0  # from now on it counts
    finally:
        child.kill()
        child.wait()


def test_a_new_child_is_looked_for_within_a_second_while_nothing_else_works(monkeypatch):
    """On a host of many processes a look comes seldom; a run that waits for its child would seem to stand still."""
    monkeypatch.setattr(sampler_module, "REFRESH_S", 0.1)
    monkeypatch.setattr(sampler_module, "REFRESH_SHARE", 1e-9)  # the next look is in years
    tree = ProcessTree(os.getpid())
    tree.cpu_percent()
    child = subprocess.Popen(SPIN)
    try:
        found = []
        for _ in range(4):
            time.sleep(0.15)
            found.append(tree.cpu_percent())
        assert found[-1] > 0
    finally:
        child.kill()
        child.wait()


def test_a_tree_whose_root_has_ended_says_so():
    child = subprocess.Popen(SPIN)
    tree = ProcessTree(child.pid)
    tree.cpu_percent()
    child.kill()
    child.wait()
    with pytest.raises(psutil.NoSuchProcess):
        tree.cpu_percent()


# GPUs


def test_nvml_values_arrive_in_their_columns_and_units(output, fake_nvml):
    fake_nvml()
    with start(output) as monitor:
        wait_for_rows(output, more_than=1)
    rows = rows_of(output)
    assert monitor.unavailable == {}
    assert list(rows[0]) == HOST + [f"gpu{i}_{name}" for i in (0, 1) for name in GPU_SENSORS]
    assert {name: float(rows[1][f"gpu0_{name}"]) for name in GPU_SENSORS} == {
        "util_percent": 70,
        "memory_mib": 3072,  # 3 x 2^30 bytes / 2^20
        "power_w": 250.5,  # 250 500 mW / 1000
        "temperature_c": 40,
        "sm_clock_mhz": 1980,
        "memory_clock_mhz": 2619,
        "pcie_gen": 5,
        "pcie_width": 16,
        "energy_j": 7000.25,  # 7 000 250 mJ / 1000
    }
    assert {name: float(rows[1][f"gpu1_{name}"]) for name in GPU_SENSORS} == {
        "util_percent": 71,
        "memory_mib": 4096,  # 4 x 2^30 bytes / 2^20
        "power_w": 250.501,  # 250 501 mW / 1000
        "temperature_c": 41,
        "sm_clock_mhz": 1981,
        "memory_clock_mhz": 2620,
        "pcie_gen": 4,
        "pcie_width": 8,
        "energy_j": 7000.251,
    }


def test_the_machines_boards_are_told_with_pci_bus_id_and_partition(output, fake_nvml):
    fake_nvml()
    with Monitor(output, started_at=time.monotonic()) as monitor:
        pass
    assert monitor.boards == {
        "gpu0": {"name": "NVIDIA V100", "pci": "0000:3b:00.0", "mig": False},
        "gpu1": {"name": "NVIDIA V100", "pci": "0000:3c:00.0", "mig": True},
    }


def test_an_absent_sensor_is_an_empty_field_with_one_reason_right_after_the_start(output, fake_nvml):
    fake_nvml("""
        def nvmlDeviceGetPowerUsage(gpu):
            if gpu == 1:
                raise NVMLError("Not Supported")
            return 0
    """)
    with start(output) as monitor:
        assert monitor.unavailable == {"gpu1_power_w": "NVMLError: Not Supported"}
        wait_for_rows(output, more_than=2)
    assert {row["gpu1_power_w"] for row in rows_of(output)} == {""}
    assert {float(row["gpu0_power_w"]) for row in rows_of(output)} == {0.0}  # a true 0 stays one
    assert {row["gpu1_util_percent"] for row in rows_of(output)} == {"71"}
    assert monitor.unavailable == {"gpu1_power_w": "NVMLError: Not Supported"}


def test_a_sensor_that_fails_in_the_middle_leaves_empty_fields_and_sampling_goes_on(output, fake_nvml, caplog):
    fake_nvml("""
        def nvmlDeviceGetTemperature(gpu, sensor):
            global readings
            readings += 1
            if 5 <= readings <= 8:
                raise NVMLError("GPU is lost")
            return 40
    """)
    with start(output) as monitor:
        assert monitor.unavailable == {}
        wait_for_rows(output, more_than=5)
    (said,) = [record.message for record in caplog.records]  # once, for both GPUs
    assert "complete: gpu0_temperature_c: NVMLError: GPU is lost (first at 0." in said
    assert said.endswith(" s), and 1 more")
    # Two GPUs: readings 1, 2 are the start's, 3, 4 row 0, 5 to 8 (failing) rows 1 and 2, 9 on rows 3 on.
    assert [row["gpu0_temperature_c"] for row in rows_of(output)][:5] == ["40", "", "", "40", "40"]
    assert "#" not in output.read_text()
    assert set(monitor.unavailable) == {"gpu0_temperature_c", "gpu1_temperature_c"}
    assert monitor.unavailable["gpu0_temperature_c"].startswith("NVMLError: GPU is lost (first at 0.")
    assert monitor.failure is None


def test_a_gpu_without_a_handle_does_not_cost_the_other_gpu_its_values(output, fake_nvml):
    fake_nvml("""
        def nvmlDeviceGetHandleByIndex(index):
            if index == 0:
                raise NVMLError("GPU is lost")
            return index
    """)
    with start(output) as monitor:
        wait_for_rows(output, more_than=1)
    assert monitor.unavailable == {"gpu0": "NVMLError: GPU is lost"}
    assert {rows_of(output)[0][f"gpu0_{name}"] for name in GPU_SENSORS} == {""}
    assert rows_of(output)[0]["gpu0_util_percent"] == ""
    assert rows_of(output)[0]["gpu1_util_percent"] == "71"


def test_sensors_that_fail_alike_are_named_apart_while_another_of_their_gpu_is_read(output, fake_nvml):
    fake_nvml("""
        def nvmlDeviceGetPowerUsage(gpu): raise NVMLError("Not Supported")
        nvmlDeviceGetTotalEnergyConsumption = nvmlDeviceGetUtilizationRates = nvmlDeviceGetPowerUsage
    """)
    with start(output) as monitor:
        pass
    columns = [f"gpu{n}_{name}" for n in (0, 1) for name in ("util_percent", "power_w", "energy_j")]
    assert monitor.unavailable == dict.fromkeys(columns, "NVMLError: Not Supported")


def test_a_board_without_a_name_keeps_its_bus_id_and_hides_none_behind_it(output, fake_nvml):
    fake_nvml("""
        def nvmlDeviceGetName(gpu):
            if gpu == 0:
                raise NVMLError("Unknown Error")
            return b"NVIDIA V100"
    """)
    with start(output) as monitor:
        pass
    assert monitor.boards == {
        "gpu0": {"name": None, "pci": "0000:3b:00.0", "mig": False, "problem": "NVMLError: Unknown Error"},
        "gpu1": {"name": "NVIDIA V100", "pci": "0000:3c:00.0", "mig": True},
    }


def test_without_a_driver_there_are_no_gpu_columns_and_one_reason(output, no_gpu):
    with start(output) as monitor:
        assert monitor.unavailable == {"gpu": "NVML: Driver Not Loaded"}
        wait_for_rows(output, more_than=1)
    assert list(rows_of(output)[0]) == HOST


def test_a_driver_without_gpus_is_a_reason_too(output, fake_nvml):
    fake_nvml("def nvmlDeviceGetCount(): return 0")
    with start(output) as monitor:
        assert monitor.unavailable == {"gpu": "NVML: the driver lists no GPU"}


def test_the_real_nvml_gives_columns_or_a_reason(output):
    with start(output) as monitor:
        wait_for_rows(output, more_than=1)
    try:
        pynvml.nvmlInit()
        gpus = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        gpus = 0
        assert monitor.unavailable == {"gpu": f"NVML: {error}"}
    assert len(rows_of(output)[0]) == len(HOST) + gpus * len(GPU_SENSORS)


# The life of the sampler


PARENT = """
    import os, sys, time
    from benchmark.run.watch.monitor import Monitor
    with Monitor(sys.argv[1], started_at=time.monotonic(), hz=10):
        if sys.argv[2] == "forks" and os.fork() == 0:
            time.sleep(30)  # inherits our end of the sampler's standard input
        print("ready", flush=True)
        time.sleep(30)
"""


@pytest.mark.parametrize("parent_kind", ["forks", "is alone"])
def test_the_sampler_is_gone_soon_after_its_parent_is_killed(output, no_gpu, parent_kind, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ['PYTHONPATH']}")
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(output), parent_kind]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"ready\n"
    family = psutil.Process(parent.pid).children()
    sampler = sampler_of(parent.pid)
    try:
        parent.send_signal(signal.SIGKILL)  # not waited for yet: a zombie, whose PID still exists
        assert wait_until(lambda: gone(sampler), limit_s=2)
    finally:
        for each in family:
            if each.is_running():
                each.kill()
        parent.communicate()


LEAVER = """
    import os, signal, sys, time
    from benchmark.run.watch.monitor import Monitor
    with Monitor(sys.argv[1], started_at=time.monotonic()) as monitor:
        if (child := os.fork()) == 0:
            time.sleep(30)  # inherits our end of the sampler's standard input
    os.kill(child, signal.SIGKILL)
    print(monitor.failure)
"""


def test_a_forked_child_of_the_run_does_not_keep_the_sampler_alive(output, no_gpu, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ['PYTHONPATH']}")
    command = [sys.executable, "-c", textwrap.dedent(LEAVER), str(output)]
    assert subprocess.check_output(command, text=True) == "None\n"


def test_the_sampler_ends_when_the_process_it_watches_is_gone(output, no_gpu):
    watched = subprocess.Popen(SPIN)
    flags = [f"--pid={watched.pid}", "--origin=-1e-05", "--hz=20", f"--output={output}"]
    sampler = subprocess.Popen(
        [sys.executable, "-m", "benchmark.run.watch.sampler", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert sampler.stdout.readline()
    watched.kill()  # and not waited for: a zombie, whose PID still exists
    assert sampler.wait(timeout=2) == 0
    sampler.communicate()
    watched.wait()


def test_leaving_the_with_ends_the_sampler_within_a_second(output, no_gpu):
    with start(output, hz=0.1) as monitor:  # the next sample would be 10 s away
        sampler = sampler_of(os.getpid())
        left_s = time.monotonic()
    assert time.monotonic() - left_s < 1
    assert not sampler.is_running()
    assert monitor.failure is None


def test_an_error_of_the_run_passes_through_and_the_sampler_ends(output, no_gpu):
    with pytest.raises(ZeroDivisionError), start(output):
        sampler = sampler_of(os.getpid())
        raise ZeroDivisionError
    assert not sampler.is_running()


def test_ctrl_c_does_not_end_the_sampler_before_the_run(output, no_gpu):
    with start(output) as monitor:
        sampler_of(os.getpid()).send_signal(signal.SIGINT)
        wait_for_rows(output, more_than=5)
    assert monitor.failure is None


def test_a_killed_sampler_does_not_end_the_run_and_is_reported_in_one_line(output, no_gpu, caplog):
    with start(output) as monitor:
        wait_for_rows(output, more_than=1)
        sampler_of(os.getpid()).kill()
        monitor._sampler.wait(timeout=5)
    last_s = float(rows_of(output)[-1]["seconds"])
    assert monitor.failure == f"sampler ended (killed, last sample at {last_s:.1f} s): it left no message"
    assert [record.message for record in caplog.records] == [f"utilisation is not complete: {monitor.failure}"]
    assert read_usage(output).summary().samples == len(rows_of(output)) > 1


def test_a_sampler_that_fails_is_reported_by_its_own_last_line(output, fake_nvml):
    fake_nvml("""
        def nvmlDeviceGetPowerUsage(gpu):
            global readings
            readings += 1
            if readings > 6:
                raise RuntimeError("not a sensor's error")
            return 0
    """)
    with start(output) as monitor:
        monitor._sampler.wait(timeout=5)
    last_s = float(rows_of(output)[-1]["seconds"])
    said = f"sampler ended (status 1, last sample at {last_s:.1f} s): RuntimeError: not a sensor's error"
    assert monitor.failure == said
    assert len(rows_of(output)) == 2  # 2 GPUs: readings 1, 2 at the start, 3 to 6 in two rows


def test_on_a_full_disk_the_sampler_ends_with_whole_rows_and_the_run_says_so_once(output, no_gpu, caplog):
    with start(output) as monitor:
        wait_for_rows(output, more_than=2)
        limit = output.stat().st_size + 1000  # bytes: another twenty rows and a part of one
        resource.prlimit(monitor._sampler.pid, resource.RLIMIT_FSIZE, (limit, limit))
        assert monitor._sampler.wait(timeout=10) == 1
    last_s = float(rows_of(output)[-1]["seconds"])
    why = "utilisation.csv: File too large"
    assert monitor.failure == f"sampler ended (status 1, last sample at {last_s:.1f} s): {why}"
    assert [record.message for record in caplog.records] == [f"utilisation is not complete: {monitor.failure}"]
    assert output.read_bytes().endswith(b"\n") and 0 <= limit - output.stat().st_size < 100
    assert all(row[column] for row in rows_of(output) for column in HOST)


def test_what_a_driver_prints_is_not_taken_for_the_samplers_word(output, fake_nvml):
    fake_nvml("""
        def nvmlInit(): print("NVML: a word of the driver's", flush=True)
        def nvmlDeviceGetPowerUsage(gpu):
            print("[]\\n7\\n{", flush=True)
            return 0
    """)
    with start(output) as monitor:
        assert monitor.unavailable == {}
        wait_for_rows(output, more_than=2)
    assert monitor.unavailable == {} and monitor.failure is None


def test_a_driver_that_prints_more_than_pipes_hold_does_not_stall_the_sampler(output, fake_nvml):
    fake_nvml("""
        import os
        def nvmlDeviceGetPowerUsage(gpu):
            for stream in (1, 2):
                os.write(stream, b"a word of the driver's, in C\\n" * 10_000)
            return 0
    """)
    with start(output) as monitor:
        wait_for_rows(output, more_than=2)
    assert monitor.unavailable == {} and monitor.failure is None


def test_a_sampler_that_cannot_start_does_not_stop_the_run(output, fake_nvml):
    fake_nvml("raise RuntimeError('broken package')")
    with start(output) as monitor:
        assert monitor.unavailable["sampler"].endswith("RuntimeError: broken package")
        assert "(status 1, no sample)" in monitor.unavailable["sampler"]
    assert monitor.failure == monitor.unavailable["sampler"]


def test_a_driver_that_hangs_at_the_start_does_not_hang_the_run(output, fake_nvml, monkeypatch):
    fake_nvml("def nvmlInit(): import time; time.sleep(60)")
    monkeypatch.setattr(monitor_module, "START_LIMIT_S", 0.3)
    monkeypatch.setattr(monitor_module, "END_LIMIT_S", 0.2)
    began_s = time.monotonic()
    with start(output) as monitor:
        assert "killed" in monitor.unavailable["sampler"]
    assert time.monotonic() - began_s < 2


def test_a_stopped_sampler_does_not_hang_the_run_at_its_end(output, no_gpu, monkeypatch):
    monkeypatch.setattr(monitor_module, "END_LIMIT_S", 0.3)
    with start(output) as monitor:
        sampler = sampler_of(os.getpid())
        sampler.send_signal(signal.SIGSTOP)
        left_s = time.monotonic()
    assert time.monotonic() - left_s < 1  # 0.3 s, then SIGKILL
    assert "killed" in monitor.failure
    assert wait_until(lambda: gone(sampler), limit_s=1)


def test_another_benchmark_where_the_user_stands_is_not_taken_for_ours(output, no_gpu, tmp_path, monkeypatch):
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    with Monitor("utilisation.csv", started_at=time.monotonic()) as monitor:
        assert "sampler" not in monitor.unavailable
    assert output.exists()  # a relative path is the user's, not the sampler's


def test_the_sampler_is_found_where_python_leaves_the_working_folder_out(output, no_gpu, monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with start(output) as monitor:
        assert "sampler" not in monitor.unavailable


def test_the_sampler_imports_nothing_heavy():
    code = "import sys, benchmark.run.watch.sampler; print({'tensorflow', 'numpy', 'pandas'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"


# The summary
