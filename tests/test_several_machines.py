"""Runs on several machines: a process for each, on 127.0.0.1, beside one process with as many replicas."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from commands import begin, command, wait_for
from forked import Forked
from ports import free_ports
from trained import tiny
from whispers import folder_of

from benchmark.metrics import METRICS
from benchmark.record import journal, read_run
from benchmark.record.facts import read_facts
from benchmark.record.host_times import read_host_times
from benchmark.record.phases import Phase
from benchmark.record.slowest import slow_hosts
from benchmark.record.usage import read_usage
from benchmark.run.machines.channel import LOST, Caller
from benchmark.run.prepare.hosts import Hosts
from benchmark.run.state.progress import Progress

USUAL = ("--max-epochs", 2, "--seed", 3, "--decoder", "greedy", "--batch", 8, "--monitor-hz", 0)
PLATFORM = """
name = "{name}"
label = "some CPUs"
description = "for tests"

[hardware]
gpus = {gpus}
machines = {machines}
{parts}

[input]
batch = 8
readers = {readers}
buffer = 4

[training]
reduction = "{reduction}"
precision = "float32"
"""
PARTS = """
gpu = "RTX 2070"
gpu_memory_gib = 8
links = {links}
cpu = "some"
logical_cores = 2
ram_gib = 8
"""


def platform(folder: Path, *, machines: int, gpus: int, readers: int = 2) -> Path:
    """Write a platform; its GPUs are not there, so that CPUs stand in for them."""
    path = folder / f"m{machines}g{gpus}r{readers}.toml"
    filled = {"reduction": "ring" if machines > 1 else "first-gpu", "readers": readers}
    parts = PARTS.format(links=["x"] * gpus) if gpus else ""
    path.write_text(PLATFORM.format(name=path.stem, gpus=gpus, machines=machines, parts=parts, **filled))
    return path


def start(folder: Path, hosts: str, rank: int, *arguments: object, module: str = "benchmark") -> Forked:
    return begin(folder, *arguments, "--hosts", hosts, "--rank", rank, module=module)


def start_all(folder: Path, *arguments: object, machines: int = 2) -> list[Forked]:
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(machines))
    return [start(folder, hosts, rank, *arguments) for rank in range(machines)]


def ended(processes: list[Forked], limit_s: float = 240) -> list[str]:
    """Wait for processes; return what each said on standard error."""
    until = time.monotonic() + limit_s
    try:
        return [process.communicate(timeout=max(1.0, until - time.monotonic()))[1] for process in processes]
    finally:
        for process in processes:
            process.kill()


def figures(folder: Path, name: str) -> list[tuple]:
    """The losses and error rates of a run, in the order of its batches, whatever phases were repeated."""
    rows = journal.read(folder / "results" / f"{name}.csv").rows
    found = {}
    for row in rows:
        if row.phase.value in ("train", "evaluate"):
            found[row.phase.value, row.step] = tuple(getattr(row, each) for each in ("loss", *METRICS))
    return sorted(found.items())


def rates(folder: Path, name: str) -> list[tuple]:
    """The error rates of a run's evaluations; train rows of a run that was stopped end elsewhere."""
    return [(what, found) for what, found in figures(folder, name) if what[0] == "evaluate"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tone_corpus) -> Path:
    """Where all runs of this module are, with one that has two replicas in one process."""
    folder = tmp_path_factory.mktemp("machines")
    pair = platform(folder, machines=1, gpus=2)
    usual = ("--corpus", tone_corpus, "--workload", tiny(folder), *USUAL)
    done = command(folder, "benchmark", "--platform", pair, *usual, "--name", "pair")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def two(folder, tone_corpus) -> tuple:
    """What both hosts of a run on two machines are asked."""
    workload = ("--workload", folder / "tiny.toml")
    return ("--platform", platform(folder, machines=2, gpus=0), "--corpus", tone_corpus, *workload, *USUAL)


@pytest.mark.slow
def test_two_machines_train_to_the_digit_as_two_replicas_of_one_do(folder, two):
    processes = start_all(folder, *two, "--name", "two", "--monitor-hz", 5)
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], said
    assert figures(folder, "two") == figures(folder, "pair")
    identity = journal.read(folder / "results" / "two.csv").identity
    assert (identity.machines, identity.replicas, identity.devices) == (2, 2, "2 machines of CPU (emulated)")
    assert "hosts of this run are processes of one machine" in said[0] and said[1] == ""
    used = read_facts(folder / "results" / "two").devices
    assert (used.machines, used.reduction, len(used.hosts)) == (2, "ring", 2) and used.gathered_s < 60
    own = read_run(folder / "results" / "two.csv").host_times
    assert {row.part for row in own.rows} >= {"make", "input", "gradients", "forward"} and len(own.names) == 2
    assert not (folder / "results" / "pair" / "hosts.csv").exists()
    sampled = read_usage(folder / "results" / "two" / "utilisation-rank1.csv").samples
    assert sampled["seconds"].is_monotonic_increasing and 0 < sampled["seconds"].iloc[0] < 60  # on the run's clock


@pytest.mark.slow
def test_a_slow_machine_is_named_with_how_much_longer_it_takes_by_itself(folder, two):
    """Both have one core, and host 1 gives way: it works at full speed when host 0 waits for it, and not before."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    core = min(os.sched_getaffinity(0))
    arguments = (*two, "--workload", "speech", "--max-epochs", 16, "--no-targets", "--name", "slow")
    processes = [start(folder, hosts, rank, *arguments) for rank in (0, 1)]
    for process, niceness in zip(processes, (0, 12), strict=True):  # before they have threads, which inherit both
        os.sched_setaffinity(process.pid, {core})
        os.setpriority(os.PRIO_PROCESS, process.pid, niceness + os.getpriority(os.PRIO_PROCESS, 0))
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], said
    run = read_run(folder / "results" / "slow.csv")
    trained = {row.step for row in run.record.rows if row.phase is Phase.TRAIN}
    times = run.host_times
    assert {row.step for row in times.rows if row.part == "gradients"} == trained and len(trained) > 11
    assert {row.part for row in times.rows} == {"make", "input", "gradients", "forward", "decoding", "utterances"}
    assert all(None not in row.own for row in times.rows)
    slow = {work.name: work for work in slow_hosts(times.rows)}
    assert {"train", "forward passes"} <= slow.keys() and {work.slowest for work in slow.values()} == {1}
    assert 1.2 < slow["forward passes"].ratio < 4
    for row in times.rows:
        assert row.part == "utterances" or max(row.own) <= row.seconds
    name = f"host 1 ({hosts.split(',')[1]})"
    assert f"slow: {name} " in said[0] and f"WARNING: {name} takes " in said[0]


@pytest.mark.slow
def test_a_run_that_loses_machines_and_is_told_to_stop_ends_as_one_that_nobody_touched(folder, two):
    """Evaluations swap, so that all hosts load checkpoints that the chief has just written.

    By the recipe whose weights and averages change places whenever it saves, evaluates and goes on.
    """
    two = (*two, "--recipe", "modern")
    arguments = (*two, "--max-epochs", 5, "--evaluation", "swap", "--name", "cut")  # one an attempt, and one to spare
    path = folder / "results" / "cut.csv"
    processes = start_all(folder, *arguments)
    wait_for(processes[0], path, ",train,")
    processes[1].send_signal(signal.SIGTERM)  # not the chief
    said = ended(processes, limit_s=30)
    assert [process.returncode for process in processes] == [143, 143], said
    assert "interrupted after batch" in said[0] and "go on with: python -m benchmark" in said[0]
    progress = Progress.of(journal.read(path).rows)
    assert progress.saved_step == progress.step > 0
    for rank in (0, 1):
        trained = path.read_text().count(",train,")
        processes = start_all(folder, *arguments)
        wait_for(processes[0], path, ",train,", more_than=trained)
        lost_s = time.monotonic()
        processes[rank].kill()
        (said,) = ended([processes[1 - rank]], limit_s=20)
        assert time.monotonic() - lost_s < 20 and processes[1 - rank].returncode == LOST
        assert f"host {rank} (127.0.0.1:" in said and "was lost: its connection ended" in said
        assert "give the command again on all hosts" in said
        processes[rank].communicate()
    processes = start_all(folder, *arguments)
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], said
    record = journal.read(path)
    assert record.attempts == 4
    trained = {(row.attempt, row.step) for row in record.rows if row.phase is Phase.TRAIN}
    times = read_host_times(folder / "results" / "cut" / "hosts.csv")
    timed = {(row.attempt, row.step) for row in times.rows if row.part == "gradients" and None not in row.own}
    assert timed <= trained and len(trained - timed) <= 2  # a kill may come between the two files, and two were killed
    assert {row.part for row in times.rows if row.phase is Phase.SWAP} == {"swap"}
    assert {row.attempt for row in times.rows if row.part == "restore"} == {2, 3, 4}
    more = ("--max-epochs", 5, "--name", "whole")
    whole = command(folder, "benchmark", "--platform", folder / "m1g2r2.toml", *two[2:], *more)
    assert whole.returncode == 0 and rates(folder, "cut") == rates(folder, "whole")


@pytest.mark.slow
def test_two_machines_of_two_replicas_train_as_four_replicas_do(folder, tone_corpus):
    usual = ("--corpus", tone_corpus, "--workload", folder / "tiny.toml", *USUAL, "--max-epochs", 1)
    four = platform(folder, machines=1, gpus=4)
    assert command(folder, "benchmark", "--platform", four, *usual, "--name", "four").returncode == 0
    two = platform(folder, machines=2, gpus=2)
    processes = start_all(folder, "--platform", two, *usual, "--evaluation", "overlap", "--name", "2x2")
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], said
    ours, theirs = figures(folder, "2x2"), figures(folder, "four")
    assert [what for what, _ in ours] == [what for what, _ in theirs]
    values = [np.array([np.nan if v is None else v for _, found in each for v in found]) for each in (ours, theirs)]
    np.testing.assert_allclose(*values, rtol=1e-6)  # sums of four numbers, in another order


@pytest.mark.slow
def test_a_machine_with_other_data_is_refused_with_both_values(folder, two, tone_corpus, tmp_path):
    other = tmp_path / "corpus"
    shutil.copytree(tone_corpus, other)
    next(other.rglob("*.flac")).unlink()
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    theirs = [other if word == tone_corpus else word for word in two]
    processes = [
        start(folder, hosts, 0, *two, "--name", "unlike"),
        start(folder, hosts, 1, *theirs, "--name", "unlike", "--skip-bad", "--data", tmp_path / "data"),
    ]
    said = ended(processes)
    assert [process.returncode for process in processes] == [2, 2], said
    for each in said:
        assert "features is " in each and "on host 0 (127.0.0.1:" in each and "on host 1 (127.0.0.1:" in each
        assert "expected the same on all hosts" in each


@pytest.mark.slow
def test_a_machine_that_is_lost_while_all_join_is_named_though_tensorflow_holds_every_thread(folder, two):
    """The other machine is played by this test: it answers, and is gone when the chief waits for its TensorFlow."""
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
    chief = start(folder, ",".join(addresses), 0, *two, "--name", "joining")
    caller = Caller(Hosts(addresses=addresses, rank=1), limit_s=60, leave=lambda status: None).__enter__()
    while "train-tones" not in chief.stderr.readline():
        assert chief.poll() is None
    children = psutil.Process(chief.pid).children
    while not any("guard.py" in word for child in children() for word in child.cmdline()):  # begun as it joins
        assert chief.poll() is None
        time.sleep(0.05)
    time.sleep(2)  # TensorFlow waits
    assert chief.poll() is None
    caller._peer.close()
    (said,) = ended([chief], limit_s=15)
    assert chief.returncode == -signal.SIGKILL
    assert f"host 1 ({addresses[1]}) was lost while the hosts joined" in said


@pytest.fixture
def wire():
    """Two network namespaces, 10.213.7.1 and 10.213.7.2, joined by a cable; yields what cuts it."""
    names = [f"tta{os.getpid()}{side}" for side in "ab"]

    def ip(*words: str) -> bool:
        return subprocess.run(["ip", *words], capture_output=True).returncode == 0

    try:
        made = all(ip("netns", "add", name) for name in names)
    except FileNotFoundError:
        made = False
    try:
        made = made and ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
        if not made:
            pytest.skip("network namespaces cannot be made here")
        for number, name in enumerate(names, start=1):
            assert ip("link", "set", name, "netns", name)
            assert ip("-n", name, "addr", "add", f"10.213.7.{number}/24", "dev", name)
            assert ip("-n", name, "link", "set", name, "up") and ip("-n", name, "link", "set", "lo", "up")
        yield names, lambda: ip("-n", names[0], "link", "set", names[0], "down")
    finally:
        for name in names:
            ip("netns", "del", name)


ELSEWHERE = """
if __name__ == "__main__":  # worker processes import this too
    import ctypes, os, sys
    from benchmark.__main__ import main

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(os.open(f"/run/netns/{sys.argv[1]}", os.O_RDONLY), 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    sys.exit(main(sys.argv[2:]))
"""
"""A run in a network namespace, which its first word names: its threads come later, and are there too."""


@pytest.mark.slow
def test_a_cable_that_is_pulled_ends_both_sides_in_time(folder, two, wire):
    """Nothing says that the other side is gone: only its silence does."""
    names, cut = wire
    (folder / "spoilt.py").write_text(ELSEWHERE)
    arguments = (*two, "--max-epochs", 400, "--name", "pulled")
    processes = [
        start(folder, "10.213.7.1:2222,10.213.7.2:2222", rank, name, *arguments, module="spoilt")
        for rank, name in enumerate(names)
    ]
    wait_for(processes[0], folder / "results" / "pulled.csv", ",evaluate,")
    assert cut()
    cut_s = time.monotonic()
    said = ended(processes, limit_s=30)
    assert time.monotonic() - cut_s < 20
    assert [process.returncode for process in processes] == [LOST, LOST], said
    for rank, each in enumerate(said):
        assert f"host {1 - rank} (10.213.7.{2 - rank}:2222) was lost: it was silent for 12 s" in each


@pytest.mark.slow
def test_whisper_streams_and_trains_on_two_machines_as_on_two_replicas_of_one(folder, two, tmp_path):
    """Its loss is over the tokens of the whole batch, of which a machine parses its rows alone; so is its audio.

    A machine has one reader, the pair of replicas two: their number changes no digit either.
    """
    weights = folder_of(tmp_path / "tiny", positions=100)
    corpus, one_reader = two[3], platform(folder, machines=2, gpus=0, readers=1)
    usual = ("--workload", "whisper", "--weights", weights, "--corpus", corpus, "--batch", 8, "--max-epochs", 1)
    usual += ("--segment", 2, "--stream", "--no-targets", "--monitor-hz", 0)
    done = command(folder, "benchmark", "--platform", folder / "m1g2r2.toml", *usual, "--name", "w1")
    assert done.returncode == 0, done.stderr
    processes = start_all(folder, "--platform", one_reader, *usual, "--name", "w2")
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], said
    assert figures(folder, "w2") == figures(folder, "w1")
