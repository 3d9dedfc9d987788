"""The guard, beside a process that does nothing."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.run.machines import guard

SCRIPT = Path(guard.__file__)


@pytest.fixture
def guarded():
    """A process to guard, its guard, and the far end of the connection that is watched."""
    near, far = socket.socketpair()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = []

    def begin(limit_s: float = 60.0) -> subprocess.Popen:
        words = [sys.executable, "-I", "-S", SCRIPT, sleeper.pid, limit_s, json.dumps({near.fileno(): "host 1 (b:2)"})]
        pipe = subprocess.PIPE
        process = subprocess.Popen(list(map(str, words)), stdin=pipe, stderr=pipe, text=True, pass_fds=(near.fileno(),))
        started.append(process)
        near.close()
        return process

    yield sleeper, begin, far
    far.close()
    for process in (sleeper, *started):
        process.kill()
        process.communicate()


def test_a_connection_that_closes_ends_the_process(guarded):
    sleeper, begin, far = guarded
    watching = begin()
    far.sendall(b"a sign of life, which stays unread")
    time.sleep(0.3)
    assert watching.poll() is None and sleeper.poll() is None
    far.close()
    assert sleeper.wait(10) == -signal.SIGKILL
    assert "host 1 (b:2) was lost while the hosts joined; give the command again" in watching.communicate()[1]


def test_the_time_limit_and_ctrl_c_end_it_too(guarded):
    sleeper, begin, _ = guarded
    watching = begin(0.2)
    assert sleeper.wait(10) == -signal.SIGKILL
    assert "the hosts did not join within 0.2 s" in watching.communicate()[1]


def test_ctrl_c_ends_it(guarded):
    sleeper, begin, _ = guarded
    watching = begin()
    time.sleep(0.5)
    watching.send_signal(signal.SIGINT)
    assert sleeper.wait(10) == -signal.SIGKILL
    assert "interrupted while the hosts joined" in watching.communicate()[1]


def test_a_block_that_ends_is_left_alone():
    near, far = socket.socketpair()
    with near, far, guard.guarded({"host 1": near}):
        far.sendall(b"x")
    assert near.fileno() == -1  # closed by us, and this process goes on
