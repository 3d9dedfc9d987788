"""The report of runs on several machines: how speed grows with them, and how busy each was."""

from journals import make_run, write

from benchmark.judge.judgement import judge
from benchmark.judge.question import Question
from benchmark.record import read_run
from benchmark.report.document import _block, block_keys, report
from benchmark.report.tradeoffs import machines
from benchmark.report.usage import _other_hosts


def run_on(tmp_path, count, *, train_s):
    devices = f"{count} machines of V100" if count > 1 else "V100"
    name = f"m{count}"
    about = {"machines": count, "replicas": count, "devices": devices, "run": name, "platform": name}
    return read_run(write(tmp_path / f"{name}.csv", make_run([40, 30, 20], train_s=train_s, **about)))


def test_the_figure_has_the_measured_speed_and_what_would_be_in_proportion(tmp_path):
    runs = [run_on(tmp_path, 1, train_s=100), run_on(tmp_path, 4, train_s=40)]  # 10 and 25 utterances a second
    judgement = judge(runs)
    block = _block(0, judgement, block_keys(judgement)[0], Question())
    (figure,) = machines(block)
    ideal, measured = figure.traces
    assert (list(ideal["x"]), list(ideal["y"])) == ([1, 4], [10, 40])
    assert (list(measured["x"]), list(measured["y"])) == ([1, 4], [10, 25])
    assert "4 machines reach 62% of that" in figure.caption  # 25 / 40
    assert "More machines" in report(runs)


def test_runs_of_one_number_of_machines_have_no_such_figure(tmp_path):
    judgement = judge([run_on(tmp_path, 2, train_s=100)])
    assert list(machines(_block(0, judgement, block_keys(judgement)[0], Question()))) == []


def test_every_machine_has_a_row_among_the_means_and_one_that_was_not_sampled_says_so(tmp_path):
    run = run_on(tmp_path, 3, train_s=100)
    (tmp_path / "m3").mkdir()
    header = "seconds,process_cpu_percent,process_memory_mib,host_cpu_percent,host_memory_mib\n"
    (tmp_path / "m3" / "utilisation-rank1.csv").write_text(header + "1.0,250,900,60,4000\n2.0,150,1000,40,4000\n")
    judgement = judge([run])
    (shown,) = _block(0, judgement, block_keys(judgement)[0], Question()).runs
    first, second = _other_hosts(shown)
    assert first == ("m3, host 1", "2.00", "50", "1000", "NA", "NA", "NA")  # (250 + 150) / 2 percent are two cores
    assert second == ("m3, host 2", *("NA",) * 6)
