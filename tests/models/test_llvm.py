"""What compiled code shares: cores that help, and claims."""

import os

import numpy as np
import pytest
from llvmlite import ir

from models import llvm
from models.llvm import I64


class Marks(llvm.Emitter):
    """Writes into marks[n], for every n that it takes, how many times it was taken."""

    def __init__(self, module):
        super().__init__(module, "marks", pointers=("taken", "marks"), counts=("size",))
        with self.claiming(self.taken, self.size) as number:
            place = self.at(self.marks, number, kind=I64)
            self.b.store(self.b.add(self.b.load(place, typ=I64), I64(1)), place)
        self.finish()


@llvm.once
def code(module: ir.Module):
    return (Marks(module),)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_everything_is_taken_once_by_any_number_of_cores(workers, size):
    marks = np.zeros(size + 1, np.int64)
    llvm.on_all_cores(code().marks, [np.zeros(1, np.int64), marks, size], [()] * workers)
    assert (marks[:size] == 1).all() and marks[size] == 0


@pytest.fixture
def fresh():
    """Threads of this test's own."""
    llvm._thread.cache_clear()
    llvm._own_cpus.cache_clear()
    yield
    llvm._thread.cache_clear()
    llvm._own_cpus.cache_clear()


def test_helpers_are_threads_of_their_own_on_cores_that_are_not_the_callers(fresh, monkeypatch):
    cpus = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(llvm, "usable_cores", lambda: len(cpus))
    monkeypatch.setattr(llvm, "_getcpu", lambda: cpus[0])
    count = 2 * len(cpus) + 1
    threads = llvm._others(count)
    assert len(set(map(id, threads))) == count, "a barrier waits for all of them at once"
    found = [thread.submit(os.sched_getaffinity, 0).result() for thread in threads]
    wanted = [{cpu} for cpu in cpus[1:]] or [set(cpus)]
    assert found == [wanted[n % len(wanted)] for n in range(count)]
    assert sorted(os.sched_getaffinity(0)) == cpus, "the caller may go where it could"


@pytest.mark.parametrize(("cores", "usable", "count"), [(4, 2, 3), (4, 4, 2), (1, 1, 2)])
def test_linux_decides_where_there_is_a_quota_or_fewer_helpers_than_cores_or_one_core(
    fresh, monkeypatch, cores, usable, count
):
    may = os.sched_getaffinity(0)
    monkeypatch.setattr(llvm, "affinity", lambda: list(range(cores)))
    monkeypatch.setattr(llvm, "usable_cores", lambda: usable)
    threads = llvm._others(count)
    assert len(set(map(id, threads))) == count
    assert [thread.submit(os.sched_getaffinity, 0).result() for thread in threads] == [may] * count
