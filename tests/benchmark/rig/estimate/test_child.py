"""A child that is given a job, whatever becomes of it."""

import contextlib
import time

import psutil
import pytest

from benchmark.rig.estimate.child import child

STUB = """
import os, signal, sys, time
from benchmark.rig.estimate.child import begun

given, say = begun(sys.argv[1:])
say({"given": given, "more": sys.argv[2:]})
{deed}
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A module for a child, which says what it was given and then does a deed."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(deed: str) -> str:
        (tmp_path / "stub.py").write_text(STUB.replace("{deed}", deed))
        return "stub"

    return make


@pytest.mark.parametrize(
    ("deed", "kind", "status", "said"),
    [
        ("print('well')", "done", 0, ""),
        ("os.abort()", "aborted", 134, ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", 137, ""),
        ("raise MemoryError('all is full')", "failed", 1, "MemoryError: all is full"),
        ("sys.exit(7)", "failed", 7, ""),
    ],
)
def test_how_a_child_ended_is_told_and_what_it_said_is_kept(stub, deed, kind, status, said):
    with child(stub(deed), {"batch": 16}, "12") as process:
        messages = list(process.messages(limit_s=20))
    assert messages == [{"given": {"batch": 16}, "more": ["12"]}]
    assert (process.ending.kind, process.ending.status, process.ending.said) == (kind, status, said)


def test_one_that_says_nothing_hangs_and_is_ended(stub):
    began_s = time.monotonic()
    with child(stub("time.sleep(600)"), None) as process:
        assert len(list(process.messages(limit_s=1.5))) == 1
    assert process.ending.kind == "hung" and str(process.ending) == "hung: no word within 1.5 s"
    assert process.process.poll() == -9 and time.monotonic() - began_s < 15


def test_what_it_began_ends_with_it(stub, tmp_path):
    deed = "import subprocess; p = subprocess.Popen(['sleep', '600']); say({'pid': p.pid}); time.sleep(600)"
    with child(stub(deed), None) as process:
        pid = [m for m in process.messages(limit_s=1.5) if "pid" in m][0]["pid"]
    until = time.monotonic() + 5
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until
            time.sleep(0.02)
