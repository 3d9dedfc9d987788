"""Shards written by the workers of a Dask cluster on this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_ports

from features import __main__ as command
from features.jobs import cluster
from features.jobs.cluster import LOCAL, ClusterError, clustered
from features.jobs.workers import WorkerKilled
from features.shards import manifest
from features.shards.extraction import extract_corpus
from features.shards.manifest import Settings

pytest.importorskip("distributed", reason="pip install '.[cluster]'")
HOUSE = Path(__file__).resolve().parents[3]


def die_once(item: tuple[int, str]) -> int:
    number, folder = item
    mark = Path(folder) / str(number)
    if number == 13 or (number == 1 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def environment_of(name: str) -> str:
    return os.environ.get(name, "")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler with one worker that is in another folder."""
    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    folder, environment = tmp_path_factory.mktemp("elsewhere"), os.environ | {"PYTHONPATH": f"{HOUSE}:{HOUSE}/tests"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": folder}
    run = [sys.executable, "-m", "distributed.cli"]
    here = [*run[:2], "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    there = [*run[:2], "distributed.cli.dask_worker", address, "--nthreads", "1", "--nworkers", "1", "--no-dashboard"]
    processes = [subprocess.Popen(words, **quiet) for words in (here, there)]
    from distributed import Client

    with Client(address, timeout=30) as client:
        client.wait_for_workers(1, timeout=60)
    yield address
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


def test_shards_of_a_cluster_are_those_of_one_process(tone_corpus, tmp_path, scheduler, monkeypatch):
    extract_corpus(tone_corpus, tmp_path / "ours", settings=Settings(shard_utterances=4), jobs=1)
    monkeypatch.chdir(tmp_path)  # names from here mean nothing to the worker
    asked = [os.path.relpath(tone_corpus), "theirs", "--shard-utterances", "4", "--scheduler", scheduler]
    assert command.main(asked) == 0
    assert manifest.load(tmp_path / "theirs") == manifest.load(tmp_path / "ours")
    for path in (tmp_path / "ours").glob("*.tfrecord"):
        assert (tmp_path / "theirs" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_what_a_lost_worker_had_in_hand_is_done_again_and_what_kills_every_worker_is_named(tmp_path):
    items = [(number, str(tmp_path)) for number in range(6)]
    assert sorted(clustered(die_once, items, address=LOCAL, jobs=2)) == list(range(6))
    with pytest.raises(WorkerKilled) as error:
        list(clustered(die_once, [(13, str(tmp_path))], address=LOCAL, jobs=1))
    assert error.value.item[0] == 13


def test_workers_keep_the_memory_that_is_freed():
    (found,) = clustered(environment_of, ["MALLOC_TRIM_THRESHOLD_"], address=LOCAL, jobs=1)
    assert found == str(2**28)


def test_workers_of_other_versions_are_refused(scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "PACKAGES", ("numpy",))
    monkeypatch.setattr(cluster.importlib.metadata, "version", lambda name: "0.1")  # in this process alone
    with pytest.raises(ClusterError, match=r"worker tcp\S+ has numpy \S+, and this process 0.1; expected the same"):
        list(clustered(len, ["x"], address=scheduler))


def test_a_scheduler_that_is_not_there_is_one_line(tone_corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    assert command.main([str(tone_corpus), str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    error = capsys.readouterr().err
    assert "--scheduler tcp://127.0.0.1:9: no scheduler answers within 1 s" in error and "--skip-bad" not in error
