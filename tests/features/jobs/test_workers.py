from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from features.jobs import workers


class Breaking:
    """A pool whose work is done at once, and which breaks when it is given an item more than `most`."""

    def __init__(self, most: int) -> None:
        self.left = most

    def submit(self, work, item) -> Future:
        if not self.left:
            raise BrokenProcessPool("a worker was killed meanwhile")
        self.left -= 1
        done: Future = Future()
        done.set_result(work(item))
        return done


def test_a_result_that_is_there_when_the_pool_breaks_is_not_lost(monkeypatch):
    """The pool breaks as the next item is handed out in the place of one that is done: two are in hand, three come."""
    pools = iter([Breaking(2), Breaking(99)])

    @contextmanager
    def executor(_jobs):
        yield next(pools)

    monkeypatch.setattr(workers, "executor", executor)
    monkeypatch.setattr(workers, "_alone", lambda work, item: work(item))
    assert sorted(workers.spawned(abs, [-1, -2, -3, -4], jobs=1)) == [1, 2, 3, 4]
