"""What a run says at its end about its own time."""

from contextlib import ExitStack, nullcontext
from types import SimpleNamespace

import pandas
import pytest
from journals import make_run, write

from benchmark.record.folder import End
from benchmark.record.host_times import HostLog, HostRow
from benchmark.record.phases import Phase
from benchmark.run import attempt


@pytest.mark.parametrize(("seconds", "said"), [(3.0, 0), (3.7, 1)])
def test_a_run_that_stood_still_for_a_percent_of_its_time_is_warned_of_at_its_end(seconds, said):
    end = End(status="finished", clock_s=360.0, still=[(200.0, seconds, 2)])  # 1% of 360 s is 3.6 s
    found: list[str] = []
    attempt._warn_of_stillness(end, found.append)
    assert len(found) == said
    assert all("3.7 s of 360 stood still (most of it from 200.0 s on, epoch 2)" in text for text in found)


def test_a_slow_host_is_named_at_the_end_of_a_run_on_several_machines(tmp_path):
    record = make_run([60, 40], machines=2, devices="2 machines of CPU")
    job = SimpleNamespace(folder=tmp_path / "r1", journal=write(tmp_path / "r1.csv", record))
    assert attempt._slow_hosts(job) == []  # of an older version, or on one machine
    job.folder.mkdir()
    log = HostLog.open(job.folder / "hosts.csv", machines=2)
    for row in [row for row in record.rows if row.phase is Phase.TRAIN]:
        where = {name: getattr(row, name) for name in ("phase", "epoch", "step", "started_s", "seconds")}
        log.append([HostRow(part=part, own=own, **where) for part, own in (("input", (0, 0)), ("gradients", (6, 9)))])
    log.close()
    (text,) = attempt._slow_hosts(job)
    assert text.startswith("host 1 takes 1.50 times as long as the other in train; the difference is 30%")  # 3 of 10 s


def test_the_stretches_of_a_run_are_those_of_its_samples(tmp_path):
    """A run of 30 s and an epoch of 110 s, sampled once a second; it stood still from 60 to 80 s."""
    path = write(tmp_path / "r1.csv", make_run([60]))
    (tmp_path / "r1").mkdir()
    job = SimpleNamespace(folder=tmp_path / "r1", journal=path)
    assert attempt._still(job) is None  # nobody sampled
    used = [0.0 if 60 < second <= 80 else 150.0 for second in range(141)]
    samples = pandas.DataFrame({"seconds": range(141), "process_cpu_percent": used})
    samples.to_csv(tmp_path / "r1" / "utilisation.csv", index=False)
    assert attempt._still(job) == [(60.0, 20.0, 1)]


@pytest.mark.parametrize(
    ("boards", "on_cpu", "number", "slept"),
    [
        ({"gpu0": {}}, False, 1, [attempt.IDLE_S]),
        ({"gpu0": {}}, False, 2, []),
        ({"gpu0": {}}, True, 1, []),
        ({}, False, 1, []),
    ],
    ids=["first attempt", "second attempt", "on CPUs", "no GPUs"],
)
def test_idle_gpus_are_sampled_before_the_model_is_created(boards, on_cpu, number, slept, monkeypatch, tmp_path):
    found: list[float] = []
    sampler = nullcontext()
    sampler.unavailable, sampler.boards = {}, boards
    monkeypatch.setattr(attempt.time, "sleep", found.append)
    monkeypatch.setattr(attempt, "Monitor", lambda *_, **__: sampler)
    monkeypatch.setattr(attempt, "write_facts", lambda *_, **__: None)
    monkeypatch.setattr(attempt, "heartbeat", lambda *_: nullcontext())
    monkeypatch.setattr("benchmark.run.prepare.provenance.collect", lambda **_: None)
    prepared = SimpleNamespace(
        job=SimpleNamespace(folder=tmp_path, monitor_hz=10, command=None, hosts=None),
        task=None, decoder=SimpleNamespace(words=None), devices=SimpleNamespace(on_cpu=on_cpu),
    )  # fmt: skip
    clock = SimpleNamespace(origin=0.0, elapsed=lambda: 0.0)
    with ExitStack() as stack:
        attempt._watch(prepared, None, SimpleNamespace(attempt=number), clock, stack, None)
    assert found == slept
