"""What the judge and the report say of the hosts of runs on several machines."""

import json

import pytest
from journals import make_run, write

from benchmark.judge import Question, judge, read_runs
from benchmark.judge.slow_hosts import hosts_table
from benchmark.judge.summary import report
from benchmark.record.host_times import HostLog, HostRow
from benchmark.record.phases import Phase
from benchmark.report.document import _block, block_keys
from benchmark.report.document import report as page
from benchmark.report.hosts import hosts

AT_30 = Question(metrics=("wer",), levels=(30.0,), window=1)


def run_of(tmp_path, *, gradients=(9.0, 6.0), devices="2 machines of CPU", rows=12, machines=2, write_hosts=True):
    record = make_run([60, 30, 20], machines=machines, replicas=machines, devices=devices)
    path = write(tmp_path / "r1.csv", record)
    folder = tmp_path / "r1"
    folder.mkdir()
    addresses = [f"{name}:2222" for name in "abcdefgh"[:machines]]
    about = {"replicas": machines, "machines": machines, "hosts": addresses}
    (folder / "run.json").write_text(json.dumps({"schema": 3, "devices": about, "plan": {"targets": {"wer": [30.0]}}}))
    if write_hosts:
        log = HostLog.open(folder / "hosts.csv", machines=machines)
        for row in [row for row in record.rows if row.phase is Phase.TRAIN][:rows]:
            where = {name: getattr(row, name) for name in ("phase", "epoch", "step", "started_s", "seconds")}
            log.append([HostRow(part="input", own=(0.1,) * machines, **where)])
            if gradients:
                log.append([HostRow(part="gradients", own=gradients, **where)])
        log.close()
    return path


def told(tmp_path) -> list[str]:
    found = judge(read_runs(f"{tmp_path}/*.csv"), AT_30).warnings
    return [text for text in found if "takes" in text or "hosts" in text]


def block_of(tmp_path):
    judgement = judge(read_runs(f"{tmp_path}/*.csv"), AT_30)
    return _block(0, judgement, block_keys(judgement)[0], AT_30)


def test_a_slow_host_is_a_warning_with_how_much_it_costs(tmp_path):
    path = run_of(tmp_path)
    (text,) = told(tmp_path)
    # 9.1 / 6.1 s; 3 s of rows of 10 s
    assert f"{path}: host 0 (a:2222) takes 1.49 times as long as the other in train; the difference is 30% of" in text
    assert "(longest in 12 of 12 rows): every step waits for the slowest host" in text


def test_hosts_that_are_alike_are_rows_of_a_table_and_no_warning(tmp_path):
    run_of(tmp_path, gradients=(9.0, 9.1))
    assert told(tmp_path) == []
    text = report(read_runs(f"{tmp_path}/*.csv"), AT_30)
    assert "own time of each host" in text and "9.10, 9.20" in text
    assert "slower by little" in text and "not surely slower" in text  # gradients; the wait for input


@pytest.mark.parametrize(
    ("devices", "why"), [("2 machines of V100", "not known on GPUs"), ("2 machines of CPU", "not measured")]
)
def test_where_train_is_not_known_it_is_said_why(tmp_path, devices, why):
    run_of(tmp_path, gradients=None, devices=devices)
    table = hosts_table("mini", [group for group in judge(read_runs(f"{tmp_path}/*.csv"), AT_30).groups if group.runs])
    assert [row[1] for row in table.rows] == ["reading input", "train"]
    assert table.rows[1][2:] == ("NA", "NA", why)


def test_many_hosts_are_summed_up(tmp_path):
    run_of(tmp_path, machines=6, gradients=(5.9, 5.9, 5.9, 8.9, 5.9, 6.9), devices="6 machines of CPU")
    (text,) = told(tmp_path)
    assert "host 3 (d:2222) takes 1.50 times as long as the median of the others in train" in text
    assert "6.00 to 9.00, median 6.00" in report(read_runs(f"{tmp_path}/*.csv"), AT_30)


def test_a_run_without_hosts_csv_says_nothing_and_a_broken_one_says_which_file(tmp_path):
    run_of(tmp_path, write_hosts=False)
    assert told(tmp_path) == [] and list(hosts(block_of(tmp_path))) == []
    assert "own time" not in report(read_runs(f"{tmp_path}/*.csv"), AT_30)
    (tmp_path / "r1" / "hosts.csv").write_text("seconds,host0\n")
    (text,) = told(tmp_path)
    assert f"{tmp_path}/r1/hosts.csv:1: found 'seconds,host0'" in text and "the run is judged without it" in text
    assert list(hosts(block_of(tmp_path))) == []


def test_the_figure_has_each_hosts_time_against_the_median_and_names_the_slow_one(tmp_path):
    run_of(tmp_path)
    (figure,) = hosts(block_of(tmp_path))
    first, second = figure.traces
    assert (set(first["y"]), set(second["y"])) == ({1.19737}, {0.802632})  # 9.1 and 6.1 against 7.6
    assert first["x"][0] == pytest.approx(40 / 60, abs=1e-5)  # the first train row is from 30 to 40 s
    assert len(first["x"]) == 12
    assert any("host 0 (a:2222) takes 1.49 times" in note for note in figure.notes)
    assert figure.table.rows[0] == ("r1, host 0 (a:2222)", "9.10", "0.10")
    assert ">Hosts<" in page(read_runs(f"{tmp_path}/*.csv"), AT_30)


def test_of_many_hosts_the_slowest_are_drawn(tmp_path):
    own = tuple(5.0 + rank for rank in range(8))
    run_of(tmp_path, machines=8, gradients=own, devices="8 machines of CPU")
    (figure,) = hosts(block_of(tmp_path))
    assert [key.name for key in figure.keys] == [f"host {rank}" for rank in range(2, 8)]
    assert len(figure.table.rows) == 8


def test_on_gpus_the_forward_pass_is_drawn_and_why(tmp_path):
    path = run_of(tmp_path, gradients=None, devices="2 machines of V100")
    log = HostLog.open(tmp_path / "r1" / "hosts.csv", machines=2)
    for row in [row for row in read_runs([path])[0].record.rows if row.phase is Phase.EVALUATE]:
        where = {name: getattr(row, name) for name in ("phase", "epoch", "step", "started_s", "seconds")}
        log.append([HostRow(part="forward", own=(4.0, 2.0), **where)])
    log.close()
    (figure,) = hosts(block_of(tmp_path))
    assert [set(line["y"]) for line in figure.traces] == [{1.33333}, {0.666667}]  # 4 and 2 against 3
    assert any("own time in train is not known on GPUs" in note for note in figure.notes)
