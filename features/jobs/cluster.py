"""Work shared among the workers of a Dask cluster, which may come and go; needs the extra `cluster`.

    for result in clustered(work, items, address="tcp://head:8786"): ...
    for result in clustered(work, items, address=LOCAL, jobs=4): ...        # workers of this machine

On one machine our own processes are faster (features/jobs/workers.py). A cluster helps where machines are many and
unlike: an idle worker gets the next item, and another worker repeats what a lost one was doing. Every worker
needs this suite, in the same versions, and the paths in the items: folders that all share, and absolute names.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from features.jobs.workers import WorkerKilled

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"
AT_ONCE = 3  # items a worker: one in work, and more on the way
RETRIES = 2  # of an item whose worker is lost
CONNECT_S = 15
PACKAGES = ("speech-tta", "numpy", "scipy", "librosa", "soundfile")
"""The packages that the bytes of a shard depend on."""
TRIM = {"MALLOC_TRIM_THRESHOLD_": str(2**28), "MALLOC_MMAP_THRESHOLD_": str(2**28)}
"""Keeps freed memory: Dask has its workers give it back at once, which costs NumPy two fifths of the time."""


class ClusterError(ValueError):
    """A cluster that cannot be used; the message says what was found and expected."""


def clustered(
    work: Callable[[Item], Result], items: Iterable[Item], *, address: str, jobs: int = 1
) -> Iterator[Result]:
    """Yield results as they get ready, from the cluster of the scheduler at `address`; LOCAL starts `jobs` workers.

    Raises:
        ClusterError: there is no scheduler, or no worker, or workers have other versions.
        WorkerKilled: an item whose workers were lost RETRIES + 1 times; or what `work` raises.
    """
    with _client(address, jobs) as client:
        _check(client, address)
        yield from _shared(client, work, iter(items))


def _shared(client: Client, work: Callable[[Item], Result], waiting: Iterator[Item]) -> Iterator[Result]:
    from distributed import KilledWorker, as_completed

    def submit(item: Item) -> Any:
        future = client.submit(work, item, retries=RETRIES, pure=False)
        asked[future.key] = item
        return future

    asked: dict[Any, Item] = {}
    width = AT_ONCE * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    under_way = as_completed([submit(item) for item in islice(waiting, width)])
    for future in under_way:
        item = asked.pop(future.key)
        try:
            result = future.result()
        except KilledWorker:
            raise WorkerKilled(item) from None
        future.release()
        yield result
        for more in islice(waiting, 1):
            under_way.add(submit(more))


@contextmanager
def _client(address: str, jobs: int) -> Iterator[Client]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ClusterError("--scheduler needs Dask, which is not here; pip install '.[cluster]'") from None
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in TRIM.items()})
    dask.config.set({"distributed.scheduler.allowed-failures": RETRIES, "distributed.logging.distributed": "error"})
    if address == LOCAL:
        alone = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
        with LocalCluster(**alone) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"--scheduler {address}: no scheduler answers within {CONNECT_S} s ({str(error)[:120]}); start one with: "
            f"dask scheduler"
        ) from None
    with client:
        yield client


def _check(client: Client, address: str) -> None:
    """Raise ClusterError if there are no workers, or if their versions would make other bytes."""
    theirs = client.run(versions)
    if not theirs:
        raise ClusterError(f"--scheduler {address}: it has no workers; start some with: dask worker {address}")
    ours = versions()
    for worker, found in theirs.items():
        for name, version in ours.items():
            if found.get(name) != version:
                raise ClusterError(
                    f"--scheduler {address}: worker {worker} has {name} {found.get(name)}, and this process {version}; "
                    f"expected the same everywhere"
                )


def versions() -> dict[str, str | None]:
    """Return the versions of what the bytes of a shard depend on; None for what is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found
