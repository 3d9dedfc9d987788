"""hosts.csv: written line by line, cut by kills, gone on with, and refused where it cannot be one."""

import json

import pytest
from journals import make_row, make_run, write

from benchmark.record import Run, RunRecord, read_run
from benchmark.record.host_times import HostLog, HostRow, HostTimesError, host_name, read_host_times
from benchmark.record.phases import Phase

HEADER = "attempt,phase,part,epoch,step,started_s,seconds,host0,host1\n"


def row(part: str = "gradients", own=(9.0, 9.5), *, phase: Phase = Phase.TRAIN, attempt: int = 1, step: int = 50):
    return HostRow(
        attempt=attempt, phase=phase, part=part, epoch=1, step=step, started_s=30.5, seconds=10.0, own=tuple(own)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hosts.csv"


def written(path, *rows) -> str:
    log = HostLog.open(path, machines=2)
    log.append(rows)
    log.close()
    return path.read_text()


def test_what_was_written_is_read_back_and_what_is_not_known_is_empty(path):
    rows = (row("input", (0.25, None)), row(own=(9.0, 9.1234567)))
    text = written(path, *rows)
    assert text == HEADER + "1,train,input,1,50,30.5,10.0,0.25,\n1,train,gradients,1,50,30.5,10.0,9.0,9.123457\n"
    times = read_host_times(path, addresses=("a:2222", "b:2222"))
    assert times.rows == (rows[0], row(own=(9.0, 9.123457)))  # to the microsecond
    assert times.names == ("host 0 (a:2222)", "host 1 (b:2222)")
    assert read_host_times(path).names == ("host 0", "host 1") and host_name(2, "c:1") == "host 2 (c:1)"


def test_a_later_attempt_cuts_off_half_a_line_and_goes_on(path):
    written(path, row())
    with path.open("a") as file:
        file.write("1,train,gradients,1,100,40.5,10.0,9.")
    assert read_host_times(path).rows == (row(),)  # while it is being written, or after a kill
    written(path, row(attempt=2))
    assert read_host_times(path).rows == (row(), row(attempt=2))
    assert path.read_text().count(HEADER) == 1


@pytest.mark.parametrize("left", ["", "attempt,pha"])
def test_a_file_without_a_whole_header_is_begun_anew(path, left):
    path.write_text(left)
    assert written(path, row()).startswith(HEADER)
    assert len(read_host_times(path).rows) == 1


def test_a_file_of_another_number_of_hosts_is_not_gone_on_with(path):
    written(path, row())
    with pytest.raises(HostTimesError, match=r"hosts.csv:1: found 'attempt.*host1'; expected 'attempt.*host2': move"):
        HostLog.open(path, machines=3)
    assert read_host_times(path).rows == (row(),)  # and nothing of it is lost


def test_lines_that_cannot_be_written_leave_a_whole_file(path):
    log = HostLog.open(path, machines=2)
    log.append([row()])

    class Full:
        def __init__(self, file):
            self.file = file

        def fileno(self):
            return self.file.fileno()

        def write(self, data):
            if len(data) < 40:
                raise OSError(28, "No space left on device")
            return self.file.write(data[:-39])

    log._file = Full(log._file)
    with pytest.raises(OSError, match="No space left"):
        log.append([row(step=100)])
    assert path.read_text() == HEADER + "1,train,gradients,1,50,30.5,10.0,9.0,9.5\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: found ''; expected attempt,phase,"),
        ("seconds,process_cpu_percent\n1,2\n", ":1: found 'seconds,process"),
        (HEADER.replace(",host1", ""), ":1: found"),  # of one machine there is no such file
        (HEADER.replace("host1", "host2"), ":1: found"),
        (HEADER + "1,train,input,1,50,30.5,10.0,0.25\n", ":2: 8 fields; expected 9"),
        (HEADER + "1,eat,input,1,50,30.5,10.0,0.25,1\n", ":2: phase is 'eat'; expected create, train"),
        (HEADER + "1,train,=1+1,1,50,30.5,10.0,0.25,1\n", ":2: part is '=1+1'"),
        (HEADER + "0,train,input,1,50,30.5,10.0,0.25,1\n", ":2: attempt is '0'; expected a whole number from 1"),
        (HEADER + "1,train,input,1,5e1,30.5,10.0,0.25,1\n", ":2: step is '5e1'"),
        (HEADER + "1,train,input,1,50,30.5,10.0,0.25,nan\n", ":2: host1 is 'nan'; expected seconds, at least 0"),
        (HEADER + "1,train,input,1,50,30.5,-1,0.25,1\n", ":2: seconds is '-1'"),
    ],
)
def test_what_is_no_such_file_is_refused_by_file_and_line(path, text, said):
    path.write_text(text)
    with pytest.raises(HostTimesError) as error:
        read_host_times(path)
    assert str(error.value).startswith(f"{path}{said}") and "\n" not in str(error.value)
    assert "delete it: the run is judged without it" in str(error.value)


def run_on_two(tmp_path, *hosts: tuple[str, str]):
    """A run of two attempts; `hosts` are their addresses."""
    about = {"machines": 2, "devices": "2 machines of CPU"}
    record = make_run([40], **about)
    again = make_row(Phase.CREATE, record.ended_s, 5.0, attempt=2, step=10, epoch=1, **about)
    folder = tmp_path / "r1"
    folder.mkdir()
    for number, addresses in enumerate(hosts, start=1):
        name = "run.json" if number == 1 else f"run-attempt-{number}.json"
        facts = {"schema": 3, "devices": {"replicas": 2, "machines": 2, "hosts": addresses}}
        (folder / name).write_text(json.dumps(facts))
    written(folder / "hosts.csv", row(), row(attempt=2))
    return Run(RunRecord([*record.rows, again], str(tmp_path / "r1.csv")))


def test_attempts_on_other_hosts_are_left_out_as_a_rank_is_another_machine_there(tmp_path):
    times = run_on_two(tmp_path, ("a:2222", "b:2222"), ("a:2222", "c:2222")).host_times
    assert times.rows == (row(attempt=2),) and times.names == ("host 0 (a:2222)", "host 1 (c:2222)")


def test_attempts_on_the_same_hosts_are_all_read(tmp_path):
    times = run_on_two(tmp_path, ("a:2222", "b:2222"), ("a:2222", "b:2222")).host_times
    assert times.rows == (row(), row(attempt=2))


def test_a_run_without_the_file_or_its_folder_knows_no_times(tmp_path):
    path = write(tmp_path / "r1.csv", make_run([40, 30], machines=2))
    assert read_run(path).host_times is None
    (tmp_path / "r1").mkdir()
    assert read_run(path).host_times is None
    written(tmp_path / "r1" / "hosts.csv", row())  # without run.json hosts have no addresses
    assert read_run(path).host_times.names == ("host 0", "host 1")
