"""How a study makes its points: what it skips, how it ends, what it says of the time left."""

import os
import signal
import subprocess
import sys
import time

import pytest
from studies import make_point, study

from benchmark.study import making
from benchmark.study.grid import Grid
from benchmark.study.results import observations


def grid(**changes) -> Grid:
    usual = {"protocol": "target", "sizes": (100, 400), "seeds": (1,), "available": 400, "batch": 16}
    return Grid(**{**usual, **changes})


def test_finished_points_are_skipped(tmp_path):
    make_point(tmp_path, 400, 1, 40.0)
    assert [point.name for point in making.missing(grid().points, tmp_path)] == ["target-100-seed1"]


def test_a_point_of_target_takes_as_long_as_those_before_and_others_as_long_as_they_say(tmp_path):
    found = observations(study(tmp_path))  # every run: 3 epochs, 6 minutes
    steps = found[0].steps
    (largest, smallest) = grid().points
    assert making.expected_steps(largest, []) == largest.most_steps == 2500
    assert making.expected_steps(largest, found) == steps
    assert making.time_left([largest, smallest], found) == "; about 12.0 min left"
    assert making.time_left([largest], []) == "" and making.time_left([], found) == ""
    (epochs, _) = grid(protocol="epochs").points
    assert making.expected_steps(epochs, found) == 12 * 25


def test_a_point_that_fails_is_named_and_the_others_are_made(tmp_path, monkeypatch):
    statuses = iter([2, 0, 0])
    commands, said = [], []

    def wait(command, log, look):
        commands.append(command[2])
        look()
        return next(statuses)

    monkeypatch.setattr(making, "_wait", wait)
    assert making.make(grid().points, shared=[], out=tmp_path, say=said.append) == 1
    assert commands == ["benchmark", "benchmark", "benchmark.final"], "what failed is not evaluated"
    assert "target-400-seed1: status 2; what it said is in" in said[0] and "FAILED" in said[1]
    assert said[2].startswith("[2/2] target-100-seed1: done")


STUDY = """
import subprocess, sys
from benchmark.study import making
child = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print(1, flush=True)"
with making._signals():
    making._wait([sys.executable, "-c", child + "; time.sleep(60)"], sys.stdout, lambda: None)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_study_ends_the_run_that_is_on_first(number):
    process = subprocess.Popen([sys.executable, "-c", STUDY], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    began_s = time.monotonic()
    os.kill(process.pid, number)
    out, error = process.communicate(timeout=30)
    assert time.monotonic() - began_s < 20 and b"KeyboardInterrupt" in error
    assert out == b"", "the pipe came to its end, so that no child holds it"


def test_a_run_that_was_interrupted_interrupts_the_study(tmp_path):
    with pytest.raises(KeyboardInterrupt) as raised:
        making._wait([sys.executable, "-c", "import sys; sys.exit(143)"], None, lambda: None)
    assert raised.value.status == 143
    assert making._wait([sys.executable, "-c", "import sys; sys.exit(2)"], None, lambda: None) == 2
