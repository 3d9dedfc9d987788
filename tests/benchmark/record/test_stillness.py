"""Time in which a run stood still: worked out on small samples, and seen on processes that are stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
from journals import make_row

from benchmark.record import RunRecord
from benchmark.record.clocks import slept_s
from benchmark.record.phases import Phase
from benchmark.record.stillness import Stretch, still_s, stood_still
from benchmark.record.usage import read_usage

ROOT = Path(__file__).parents[3]


def record_of(*, input_s: float | None = None, phase: Phase = Phase.TRAIN, **identity) -> RunRecord:
    """Creation from 0 to 2 s, epoch 1 to 10 s, epoch 2 to 20 s; `phase` is that of epoch 2's row."""
    trained = {"utterances": 9, "loss": 1.0}
    about = {"wer": 9.0} if phase is Phase.EVALUATE else {**trained, "input_s": input_s}
    return RunRecord(
        [
            make_row(Phase.CREATE, 0.0, 2.0, **identity),
            make_row(Phase.TRAIN, 2.0, 8.0, step=1, epoch=1, **trained, **identity),
            make_row(phase, 10.0, 10.0, step=2, epoch=2, **about, **identity),
        ]
    )


def samples_of(still=(), gap=(), *, cpu: float = 150.0, gpu: float | None = None) -> pandas.DataFrame:
    """Ten samples a second for 20 s: no CPU time in the stretches of `still`, and no samples in those of `gap`."""
    seconds = [n / 10 for n in range(1, 201) if not any(begun < n / 10 < over for begun, over in gap)]
    used = [0.0 if any(begun < at <= over for begun, over in (*still, *gap)) else cpu for at in seconds]
    columns = {"seconds": seconds, "process_cpu_percent": used}
    if gpu is not None:
        columns["gpu0_util_percent"] = [gpu] * len(seconds)
    return pandas.DataFrame(columns)


def test_samples_without_cpu_time_are_a_stretch_of_their_row():
    assert stood_still(samples_of([(12.0, 15.5)]), record_of()) == (Stretch(12.0, 3.5, 2),)  # 15.5 - 12


def test_a_step_between_two_samples_in_which_the_sampler_stood_still_too_is_a_stretch():
    (found,) = stood_still(samples_of(gap=[(12.0, 15.5)]), record_of())
    assert (found.started_s, found.seconds) == (12.0, pytest.approx(3.5))


def test_a_gap_through_which_the_process_worked_is_that_of_the_sampler_alone():
    samples = samples_of(gap=[(12.0, 15.5)])
    samples["process_cpu_percent"] = 150.0
    assert stood_still(samples, record_of()) == ()


def test_two_stretches_have_their_epochs_and_a_short_one_is_not_told():
    found = stood_still(samples_of([(4.0, 6.0), (12.0, 15.0), (17.0, 18.4)]), record_of())
    assert found == (Stretch(4.0, 2.0, 1), Stretch(12.0, 3.0, 2))  # 1.4 s is under 1.5
    assert still_s(found) == 5.0
    assert still_s(found, until_s=13.0) == 3.0  # 2 + (13 - 12)


@pytest.mark.parametrize(("gpu", "expected"), [(88.0, ()), (0.0, (Stretch(12.0, 3.5, 2),)), (float("nan"), ())])
def test_a_host_that_waits_while_its_gpu_works_does_not_stand_still(gpu, expected):
    record = record_of(devices="4 x NVIDIA GeForce RTX 2070")
    assert stood_still(samples_of([(12.0, 15.5)], gpu=gpu), record) == expected


def test_of_gpus_that_were_not_sampled_and_of_several_machines_nothing_is_said():
    samples = samples_of([(12.0, 15.5)])
    assert stood_still(samples, record_of(devices="NVIDIA V100")) == ()
    assert stood_still(samples, record_of(machines=2)) == ()
    assert stood_still(samples.drop(columns="process_cpu_percent"), record_of()) == ()
    assert stood_still(samples[:1], record_of()) == ()


def test_a_wait_for_input_is_none_and_what_is_beyond_it_is():
    assert stood_still(samples_of([(12.0, 15.5)]), record_of(input_s=3.4)) == ()
    (found,) = stood_still(samples_of([(12.0, 15.5)]), record_of(input_s=1.0))
    assert found.seconds == 2.5  # 3.5 - 1


@pytest.mark.parametrize("phase", [Phase.CHECKPOINT, Phase.SWAP])
def test_phases_that_wait_for_the_disk_do_not_stand_still(phase):
    assert stood_still(samples_of([(12.0, 15.5)]), record_of(phase=phase)) == ()


def test_an_evaluation_stands_still_too():
    assert stood_still(samples_of([(12.0, 15.5)]), record_of(phase=Phase.EVALUATE)) == (Stretch(12.0, 3.5, 2),)


def test_of_a_stretch_that_began_while_a_checkpoint_was_saved_the_rest_is_told():
    record = record_of()
    saved = make_row(Phase.CHECKPOINT, 10.0, 3.0, step=1, epoch=1)
    trained = make_row(Phase.TRAIN, 13.0, 7.0, step=2, epoch=2)
    record = RunRecord([*record.rows[:2], saved, trained])
    (found,) = stood_still(samples_of([(11.0, 16.0)]), record)
    assert (found.seconds, found.epoch) == (3.0, 2)  # 16 - 13


def test_the_machine_has_slept_for_no_negative_time():
    assert -1e-3 < slept_s() <= slept_s() + 1e-3


# --- processes that are stopped --------------------------------------------------------------------------------------

BUSY = "while True: pass"
READS = """
import sys, time
def work(seconds):
    while time.process_time() < seconds: pass
work(0.3)
open(sys.argv[1]).read()
while True: pass
"""
STOPPED_S = 3.0


class Watched:
    """A process and its sampler."""

    def __init__(self, folder: Path, name: str, program: str, *arguments: str) -> None:
        self.output, self.origin_s = folder / f"{name}.csv", time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-c", program, *arguments])
        flags = [f"--pid={self.process.pid}", f"--origin={self.origin_s}", "--hz=10", f"--output={self.output}"]
        command = [sys.executable, "-m", "benchmark.run.watch.sampler", *flags]
        self.sampler = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def until_sampled(self) -> None:
        end_s = time.monotonic() + 20
        while not self.output.exists() or self.output.read_text().count("\n") < 12:
            assert time.monotonic() < end_s, "no samples"
            time.sleep(0.05)

    def found(self) -> tuple[Stretch, ...]:
        self.sampler.communicate(b"\n", timeout=20)
        over_s = time.monotonic() - self.origin_s
        record = RunRecord([make_row(Phase.CREATE, 0.0, 0.1), make_row(Phase.TRAIN, 0.1, over_s, step=1, epoch=1)])
        return stood_still(read_usage(self.output).samples, record)

    def end(self) -> None:
        for each in (self.process, self.sampler):
            each.send_signal(signal.SIGCONT)
            each.kill()
            each.wait()
        self.sampler.stdin.close()
        self.sampler.stdout.close()


@pytest.fixture(scope="module")
def stretches(tmp_path_factory) -> dict[str, tuple[Stretch, ...]]:
    """What is found of four processes, all stopped for the same STOPPED_S but the last, which only waits for them."""
    folder = tmp_path_factory.mktemp("still")
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    watched = {name: Watched(folder, name, BUSY) for name in ("stopped", "with its sampler", "neither")}
    watched["on a disk"] = Watched(folder, "on a disk", READS, str(fifo))
    try:
        for each in watched.values():
            each.until_sampled()
        both = watched["with its sampler"]
        stopped = [watched["stopped"].process, both.process, both.sampler]
        for each in stopped:
            each.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        for each in reversed(stopped):  # the sampler first: on a busy machine the process would work before it looks
            each.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        with fifo.open("w"):  # waits until the process has come to it
            pass
        time.sleep(0.5)
        return {name: each.found() for name, each in watched.items()}
    finally:
        for each in watched.values():
            each.end()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stopped", "with its sampler"])
def test_a_process_that_is_stopped_stands_still_for_as_long(stretches, name):
    (found,) = stretches[name]
    assert found.seconds == pytest.approx(STOPPED_S, abs=0.5)


@pytest.mark.slow
def test_a_process_that_reads_from_a_disk_that_hangs_stands_still(stretches):
    assert stretches["on a disk"]


@pytest.mark.slow
def test_a_process_beside_them_that_works_does_not(stretches):
    assert stretches["neither"] == ()


def test_a_process_in_a_frozen_cgroup_stands_still(tmp_path):
    try:
        own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip()
        group = Path("/sys/fs/cgroup") / own.lstrip("/") / f"still-{os.getpid()}"
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup of our own: {error}")
    if not (group / "cgroup.freeze").exists():
        group.rmdir()
        pytest.skip("no cgroup that can be frozen")
    watched = Watched(tmp_path, "frozen", BUSY)
    try:
        try:
            (group / "cgroup.procs").write_text(str(watched.process.pid))
            watched.until_sampled()
            (group / "cgroup.freeze").write_text("1")
        except OSError as error:
            pytest.skip(f"no cgroup that can be frozen: {error}")
        time.sleep(STOPPED_S)
        (group / "cgroup.freeze").write_text("0")
        time.sleep(0.5)
        (found,) = watched.found()
        assert found.seconds == pytest.approx(STOPPED_S, abs=0.5)
    finally:
        watched.end()
        group.rmdir()
