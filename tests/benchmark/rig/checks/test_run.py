import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sick

from benchmark.rig.checks import child
from benchmark.rig.checks.check import FAIL, NVML, OK, UNKNOWN, WARN, Check, Finding, fail, ok, warn
from benchmark.rig.checks.run import outcomes
from benchmark.rig.place import Place

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def children(monkeypatch):
    """The path on which the child processes find the sick checks."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


def check(look, **changes) -> Check:
    return Check(**{"name": f"sick.{look.__name__}", "asks": "is it well?", "look": look, "limit_s": 5.0, **changes})


def found(*checks: Check, **options) -> dict[str, Finding]:
    return {each.check.look.__name__: each.finding for each in outcomes(checks, **options)}


def test_whatever_a_check_does_it_is_said_and_all_others_are_made(children):
    sick_ones = (sick.aborts, sick.is_killed, sick.leaves, sick.raises, sick.says_much)
    names = found(check(sick.hangs, limit_s=0.5), *(check(each) for each in sick_ones), check(sick.well))
    assert names["hangs"].status == FAIL and names["hangs"].found == "no answer within 0.5 s"
    assert names["aborts"].status == FAIL
    assert names["aborts"].found == "its process ended by SIGABRT: free(): invalid pointer"
    assert names["is_killed"].status == UNKNOWN and "was killed (SIGKILL)" in names["is_killed"].found
    assert names["leaves"].status == UNKNOWN and "ended with status 7" in names["leaves"].found
    assert names["raises"].status == UNKNOWN
    assert names["raises"].found == "the check itself failed: KeyError: 'of its\\nown'"
    assert names["says_much"] == names["well"] == ok("well")


def test_the_seconds_are_those_of_each(children):
    slow, fast = outcomes([check(sick.hangs, limit_s=1.0), check(sick.well)])
    assert 0.9 < slow.seconds < 4 and fast.seconds < 2


def test_what_a_check_began_ends_with_it(children, tmp_path, monkeypatch):
    monkeypatch.setenv("SICK_PID", str(tmp_path / "pids"))
    found(check(sick.hangs_with_a_child, limit_s=2.0))
    for pid in (tmp_path / "pids").read_text().split():
        assert gone(int(pid)), pid


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Tell whether a process is gone, or a zombie that nobody has waited for."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_an_end_in_between_leaves_no_child_behind(children, tmp_path, monkeypatch):
    monkeypatch.setenv("SICK_PID", str(tmp_path / "pids"))
    running = outcomes([check(sick.well), check(sick.hangs_with_a_child, level=2, limit_s=60)])
    next(running)

    def interrupt(*_):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(running)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_where_nvml_hangs_it_is_asked_once_and_files_are_asked_all_the_same(children, tmp_path, monkeypatch):
    """A driver that hangs takes every process that asks it."""
    (tmp_path / "pynvml.py").write_text("import time\nnvmlInit = lambda: time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / 'tests'}")
    checks = [check(sick.well, name=f"nvml.{n}", needs=NVML, level=n) for n in (1, 2, 2)] + [check(sick.well)]
    began = time.monotonic()
    statuses = [(each.check.name, each.finding.status) for each in outcomes(checks, start_s=1.0)]
    assert statuses == [("nvml.1", FAIL), ("nvml.2", UNKNOWN), ("nvml.2", UNKNOWN), ("sick.well", OK)]
    assert time.monotonic() - began < 10  # once 1 s, and not three times


def test_a_gpu_that_is_not_there_makes_what_needs_one_unknown():
    spec = {"name": "sick.well", "look": "sick:well", "needs": "gpu"}
    place = Place(why_no_nvml="NVML: NVML Shared Library Not Found")
    assert child._made(place, spec).found == "no GPU can be asked (NVML: NVML Shared Library Not Found)"
    assert child._made(place, {**spec, "needs": "files"}) == ok("well")


def test_a_cool_down_ends_when_boards_are_nearly_as_cool_as_before_or_its_time_is_over(monkeypatch):
    heat, waited = [90, 80, 70, 60, 50], []
    monkeypatch.setattr(child, "temperatures", lambda _: [heat[min(len(waited), 4)], 45])
    child.cool_down(Place(), [56, 45], sleep=waited.append)
    assert len(waited) == 3  # 90, 80 and 70 are more than 56 + 5; 60 is not
    waited.clear()
    child.cool_down(Place(), [20, 45], limit_s=4, sleep=waited.append)
    assert len(waited) == 4


def test_a_finding_that_is_not_good_has_a_way_out():
    with pytest.raises(ValueError, match="way out"):
        Finding(status=WARN, found="3")
    for make in (warn, fail):
        assert make("3", expected="4", way_out="add 1").way_out == "add 1"
    with pytest.raises(ValueError, match="expected a status"):
        Finding(status="good", found="3")


def test_a_child_whose_parent_is_killed_ends_too(children, tmp_path):
    pids = tmp_path / "pids"
    code = (
        "import sick\nfrom benchmark.rig.checks.check import Check\nfrom benchmark.rig.checks.run import outcomes\n"
        "list(outcomes([Check(name='a.b', asks='?', look=sick.hangs_with_a_child, limit_s=60)]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "SICK_PID": str(pids)})
    until = time.monotonic() + 20
    while not (pids.exists() and len(pids.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    own, grandchild = map(int, pids.read_text().split())
    assert gone(own)
    os.kill(grandchild, signal.SIGKILL)  # which nobody could end


def test_a_folder_with_modules_of_the_same_names_is_not_taken_for_the_suite(children, tmp_path, monkeypatch):
    for name in ("benchmark.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('of the folder')")
    monkeypatch.chdir(tmp_path)
    assert found(check(sick.well)) == {"well": ok("well")}
