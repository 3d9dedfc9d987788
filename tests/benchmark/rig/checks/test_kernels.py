import json
from contextlib import nullcontext

import pytest
from commands import command

from benchmark.rig.checks import kernels
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.place import Place
from models.kernels import Choice

DOCTOR = """
import os, subprocess, sys, types
from benchmark.rig import __main__ as rig
from benchmark.rig.checks import child, run

class Forked:
    def __init__(self, command, *, stderr, **_):
        self.returncode, self.pid = None, os.fork()
        if not self.pid:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(stderr.fileno(), 2)
            os._exit(child.main(command[3:]))

    def wait(self, limit_s):
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

def begin(command, **options):
    return (subprocess.Popen if '"driver.' in command[-1] else Forked)(command, **options)

given = {"DEVNULL": subprocess.DEVNULL, "TimeoutExpired": subprocess.TimeoutExpired}
run.subprocess = types.SimpleNamespace(Popen=begin, **given)
sys.exit(rig.main(sys.argv[1:]))
"""
"""A doctor in a process that has TensorFlow loaded: its child processes are forked from it, but that of the driver."""


def test_a_kernel_that_differs_is_a_failure_where_it_would_be_used_and_a_slower_run_where_not():
    used = {"lstm": Choice("xla", "cuDNN's failed", fallen_back=True), "ctc": Choice("xla", "cuDNN's failed")}
    assert kernels.verdict(used, {}).status == WARN  # it fell back all the same
    assert kernels.verdict(used, {"lstm, cudnn": "cuDNN's failed: no such symbol"}).status == WARN
    found = kernels.verdict(used, {"ctc, xla": "XLA's losses or gradients are not the CPU's"})
    assert found.status == FAIL and "it would be used" in found.found
    well = kernels.verdict({"lstm": Choice("cudnn", "it is right")}, {})
    assert well.status == OK and well.found == "they agree; lstm by cudnn: it is right"


@pytest.mark.slow
def test_on_a_cpu_kernels_agree_and_a_sum_over_two_replicas_is_exact(tmp_path):
    names = ["kernels.float32", "kernels.bfloat16", "work.sum", "work.nccl", "driver.tensorflow"]
    (tmp_path / "spoilt.py").write_text(DOCTOR)
    done = command(tmp_path, "spoilt", "doctor", "--format", "json", "--only", *names)
    assert done.stdout, done.stderr
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
