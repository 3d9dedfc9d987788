import subprocess
import sys
import time

from benchmark.run.watch import neighbours
from benchmark.run.watch.neighbours import Neighbours


def spin(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_what_this_process_and_its_children_do_is_no_other_load():
    looked = Neighbours()
    child = subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
    spin(0.3)
    assert child.returncode == 0
    first, now = looked._first, neighbours._Look.now()
    assert now.own_s - first.own_s >= 0.3
    assert child.args[0] not in " ".join(looked._compare(now)[1])


def test_what_others_do_is_and_they_are_named(monkeypatch):
    """Of two cores another process keeps one busy for a second, this one half of one: 50%, and not 75%."""
    first = neighbours._Look(0.0, 100.0, 10.0, {})
    other = neighbours.psutil.Process()
    looked = Neighbours()
    looked._first = first
    monkeypatch.setattr(neighbours, "logical_cores", lambda: 2)
    share, (named,) = looked._compare(neighbours._Look(1.0, 101.5, 10.5, {other: 1.0}))
    assert share == 0.5 and named.endswith(f"process {other.pid}")
    assert looked._compare(neighbours._Look(1.0, 100.4, 10.5, {other: 0.05})) == (0.0, [])


def test_the_warning_says_how_much_who_and_what_to_do(monkeypatch):
    looked = Neighbours()
    monkeypatch.setattr(Neighbours, "_compare", lambda self, now: (0.48, ["make, process 5"]))
    assert looked.warning().startswith("other processes keep 48% of this machine's CPUs busy (make, process 5): the")
    monkeypatch.setattr(Neighbours, "_compare", lambda self, now: (0.09, []))
    assert looked.warning() == ""
