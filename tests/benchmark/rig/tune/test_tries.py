"""Tries as child processes that end in every way there is; the children are stand-ins."""

import pytest

import platforms
from benchmark import workloads
from benchmark.rig.tune.search import NothingFits, search
from benchmark.rig.tune.tries import TuneError, attempt, contestant, unit_of, with_batch
from benchmark.run.prepare.job import Job

STUB = """
import os, signal, sys, time
from benchmark.rig.estimate.child import begun

job, say = begun(sys.argv[1:])
batch = job.platform.input.batch
open(os.path.join(sys.argv[3], "half"), "w").close()
say({"step": "worst"})
{deed}
"""
RUNS = 'say({"memory": {"taken": 100 + 10 * batch, "limit": 1000}, "checked": "all"})'
JOB = Job(platform=platforms.load("cpu"), workload=workloads.load("mini"), name="probe")


@pytest.fixture
def stub(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # where results/ is

    def make(deed: str) -> str:
        (tmp_path / "stub.py").write_text(STUB.replace("{deed}", deed))
        return "stub"

    return make


def test_one_that_runs_says_what_it_took(stub):
    tried = attempt(JOB, module=stub(RUNS))
    assert tried.ran and tried.fits and (tried.batch, tried.memory_bytes, tried.limit_bytes) == (16, 260, 1000)


@pytest.mark.parametrize(
    ("deed", "ending"),
    [
        ("os.abort()", "aborted (status 134), at worst"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed (status 137), at worst"),
        ("time.sleep(600)", "hung: no word within 1.5 s, at worst"),
        ("say({'full': 'ResourceExhaustedError: OOM'})", "ResourceExhaustedError: OOM, at worst"),
        ("raise RuntimeError('std::bad_alloc')", "failed (status 1): RuntimeError: std::bad_alloc, at worst"),
    ],
)  # fmt: skip
def test_whatever_becomes_of_it_for_want_of_memory_does_not_fit(stub, tmp_path, deed, ending):
    tried = attempt(JOB, module=stub(deed), silent_s=1.5)
    assert not tried.ran and not tried.fits and tried.ending == ending
    assert list((tmp_path / "results" / "tune").iterdir()) == []  # nor does anything of it stay behind


def test_a_fault_that_is_no_matter_of_memory_ends_the_tuning(stub):
    with pytest.raises(TuneError, match=r"batch 16 failed at worst.* KeyError: 'labels'"):
        attempt(JOB, module=stub("raise KeyError('labels')"))


def test_a_search_goes_on_after_tries_that_were_killed(stub):
    module = stub(f"{RUNS} if batch <= 48 else os.kill(os.getpid(), signal.SIGKILL)")
    found = search(lambda batch: attempt(with_batch(JOB, batch=batch), module=module), unit=8, start=8, most=4096)
    # the line says 90% of 1,000 bytes at batch 80: that is killed, and so are 64 and 56, halves of what is open
    assert [each.batch for each in found.tries if not each.ran] == [80, 64, 56][: len(found.tries) - 3]
    assert found.largest == 48
    with pytest.raises(NothingFits, match="killed"):
        kills = stub("os.kill(os.getpid(), signal.SIGKILL)")
        search(lambda batch: attempt(with_batch(JOB, batch=batch), module=kills), unit=8, start=8, most=64)


def test_a_contestant_answers_when_it_is_asked_and_says_why_it_cannot(stub):
    deed = "say({'ready': 1})\nfor line in sys.stdin.buffer: say({'speed': batch * float(line)})"
    with contestant(JOB, module=stub(deed), turn_s=2.0) as turn:
        assert [turn(), turn()] == [32.0, 32.0]
    for what, said in (("sys.exit('no corpus')", "no corpus"), ("say({'full': 'MemoryError: '})", "MemoryError")):
        why = pytest.raises(TuneError, match=f"batch 16: training in turns ended: .*{said}")
        with why, contestant(JOB, module=stub(what)):
            pass


def test_a_batch_is_a_multiple_of_replicas_and_pieces():
    assert unit_of(platforms.load("sys1")) == 4
    assert unit_of(platforms.load("sys1").changed(accumulation=3)) == 12
