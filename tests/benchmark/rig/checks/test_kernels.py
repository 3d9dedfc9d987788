import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmark.rig.checks import kernels
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.place import Place
from models.kernels import Choice

ROOT = Path(__file__).resolve().parents[4]


def test_a_kernel_that_differs_is_a_failure_where_it_would_be_used_and_a_slower_run_where_not():
    used = {"lstm": Choice("xla", "cuDNN's failed", fallen_back=True), "ctc": Choice("xla", "cuDNN's failed")}
    assert kernels.verdict(used, {}).status == WARN  # it fell back all the same
    assert kernels.verdict(used, {"lstm, cudnn": "cuDNN's failed: no such symbol"}).status == WARN
    found = kernels.verdict(used, {"ctc, xla": "XLA's losses or gradients are not the CPU's"})
    assert found.status == FAIL and "it would be used" in found.found
    well = kernels.verdict({"lstm": Choice("cudnn", "it is right")}, {})
    assert well.status == OK and well.found == "they agree; lstm by cudnn: it is right"


@pytest.mark.slow
def test_on_a_cpu_kernels_agree_and_a_sum_over_two_replicas_is_exact():
    names = ["kernels.float32", "kernels.bfloat16", "work.sum", "work.nccl", "driver.tensorflow"]
    command = [sys.executable, "-m", "benchmark.rig", "doctor", "--format", "json", "--only", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    found = {each["name"]: (each["status"], each["found"]) for each in json.loads(done.stdout)["checks"]}
    assert found["kernels.float32"][0] == found["kernels.bfloat16"][0] == found["driver.tensorflow"][0] == "ok"
    assert found["work.sum"][1].startswith("exact; 100 MB in ") and "2 x CPU (emulated)" in found["work.sum"][1]
    assert found["work.nccl"][0] == "unknown" and done.returncode == 0


def test_the_first_work_of_a_gpu_is_right_or_told_and_long_if_the_driver_compiled(tf, monkeypatch):
    """The CPU plays the GPU."""
    from benchmark.run.prepare import devices

    monkeypatch.setenv("CUDA_CACHE_MAXSIZE", "1")
    monkeypatch.setattr(devices, "single_device", lambda _: None)
    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda _: ["GPU"])
    monkeypatch.setattr(devices.tf, "device", lambda _: nullcontext())
    place = Place(why_no_nvml="none")
    assert kernels.first(place).status == OK
    monkeypatch.setattr(kernels, "LONG_S", 0.0)
    assert kernels.first(place).status == WARN and "CUDA_CACHE_MAXSIZE" in kernels.first(place).way_out
    monkeypatch.setattr(kernels, "EXPECTED", (43008.0, 500.0))  # as if 512 were wrong
    assert kernels.first(place).status == FAIL
    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda _: [])
    assert kernels.first(place).status == UNKNOWN
