"""What each host took, from the answers to the file and to the view."""

import pytest
from journals import make_row

from benchmark.record.host_times import HostTimesError, read_host_times
from benchmark.record.phases import Phase
from benchmark.record.slowest import slow_hosts
from benchmark.run.watch.host_watch import LATEST, HostWatch

HOSTS = ("a:2222", "b:2222")


class Taken:
    """Hosts' times of the parts that are asked for, given once, as `Everywhere` has them."""

    def __init__(self, **times):
        self.times = times

    def __call__(self, parts):
        return {part: self.times.pop(part) for part in parts if part in self.times}


@pytest.fixture
def said():
    return []


def watch_of(path, taken, said, *, attempt=1) -> HostWatch:
    return HostWatch(path, hosts=HOSTS, attempt=attempt, taken=taken, warn=said.append)


def trained(step: int, seconds: float = 10.0):
    return make_row(Phase.TRAIN, 10.0 * step, seconds, step=step, epoch=1, utterances=9, loss=1.0)


def test_a_row_is_written_with_its_own_parts_and_those_of_an_evaluation_beside_it_wait_for_theirs(tmp_path, said):
    path = tmp_path / "hosts.csv"
    taken = Taken(forward=(2.0, 2.5), input=(0.1, 0.2), gradients=(9.0, None), make=(3.0, 4.0))
    watch = watch_of(path, taken, said)
    watch.written(make_row(Phase.CREATE, 0.0, 5.0))
    watch.written(make_row(Phase.CHECKPOINT, 5.0, 1.0))
    watch.written(trained(1))
    taken.times |= {"decoding": (1.0, 1.5), "utterances": (40.0, 40.0)}
    watch.written(make_row(Phase.EVALUATE, 6.0, 12.0, step=1, epoch=1, wer=50.0))
    watch.close()
    assert path.read_text().splitlines()[1:] == [
        "1,create,make,0,0,0.0,5.0,3.0,4.0",
        "1,train,input,1,1,10.0,10.0,0.1,0.2",
        "1,train,gradients,1,1,10.0,10.0,9.0,",
        "1,evaluate,forward,1,1,6.0,12.0,2.0,2.5",
        "1,evaluate,decoding,1,1,6.0,12.0,1.0,1.5",
        "1,evaluate,utterances,1,1,6.0,12.0,40.0,40.0",
    ]
    assert not said


def test_a_host_that_becomes_slow_late_in_a_run_is_told_by_the_latest_rows(tmp_path, said):
    taken = Taken()
    watch = watch_of(tmp_path / "hosts.csv", taken, said)
    for step in range(1, 211):  # host 1 is slow in the last 60 of 210 rows
        own_s = 9.6 if step > 150 else 8.1 if step % 2 else 7.9
        taken.times = {"input": (0.0, 0.0), "gradients": (8.0, own_s)}
        watch.written(trained(step))
        assert watch.slow() == "" or step > 150
    assert watch.slow() == "host 1 (b:2222) 1.20x in train" and LATEST == 60
    assert not slow_hosts(read_host_times(tmp_path / "hosts.csv").rows)  # not in the run as a whole


def test_of_two_kinds_of_work_the_one_that_costs_more_is_told(tmp_path, said):
    taken = Taken()
    watch = watch_of(tmp_path / "hosts.csv", taken, said)
    for step in range(1, 13):
        taken.times = {"input": (2.0, 0.5), "gradients": (4.0, 9.0), "forward": (1.0, 1.0)}
        watch.written(trained(step))
    assert watch.slow() == "host 1 (b:2222) 1.58x in train"  # 9.5 / 6; host 0 waits for input 4 times as long


def test_a_full_disk_is_told_once_and_the_view_goes_on(tmp_path, said):
    taken = Taken()
    watch = watch_of(tmp_path / "hosts.csv", taken, said)

    def full(rows):
        raise OSError(28, "No space left on device")

    watch._log.append = full
    for step in range(1, 13):
        taken.times = {"input": (0.0, 0.0), "gradients": (6.0, 9.0)}
        watch.written(trained(step))
    assert said == [
        f"{tmp_path}/hosts.csv: cannot be written (No space left on device); what each host takes is lost from now"
    ]
    assert watch.slow() == "host 1 (b:2222) 1.50x in train"


def test_a_later_attempt_goes_on_with_the_file_and_judges_by_its_own_rows(tmp_path, said):
    path, taken = tmp_path / "hosts.csv", Taken()
    for attempt in (1, 2):
        watch = watch_of(path, taken, said, attempt=attempt)
        for step in range(1, 9):
            taken.times = {"input": (0.0, 0.0), "gradients": (6.0, 9.0)}
            watch.written(trained(step))
        assert watch.slow() == ""  # 8 rows of an attempt; in another a rank may be another machine
        watch.close()
    assert [row.attempt for row in read_host_times(path).rows] == [1] * 16 + [2] * 16


def test_a_file_of_other_hosts_is_refused_before_training(tmp_path, said):
    (tmp_path / "hosts.csv").write_text("something,else\n")
    with pytest.raises(HostTimesError, match="move it away"):
        watch_of(tmp_path / "hosts.csv", Taken(), said)
