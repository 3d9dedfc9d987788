"""Logs of MLPerf's speech benchmark as runs: what becomes of each line, and figures that come back as they went out."""

import json
from pathlib import Path

import pytest
from journals import make_run, write

from benchmark import tta
from benchmark.export.__main__ import main as export
from benchmark.ingest import IngestError, read_log
from benchmark.ingest.__main__ import main
from benchmark.judge import Question, judge, read_runs
from benchmark.record import read_run
from benchmark.record.phases import Phase

BEGAN_MS = 1_700_000_000_000


def line(key: str, at_s: float, value=None, **metadata) -> str:
    content = {"namespace": "", "time_ms": BEGAN_MS + round(at_s * 1000), "key": key, "value": value}
    return f"0: :::MLLOG {json.dumps({**content, 'event_type': 'POINT_IN_TIME', 'metadata': metadata})}"


def a_log(wers, *, status="success", seed=7, benchmark="rnnt", **settings) -> str:
    """10 s of creation, 1 s more; epochs of 100 s, evaluations of 5 s. Two ranks say init_start."""
    lines = ["+ echo trial", line("init_start", 0), line("init_start", 0.002)]
    named = {"submission_benchmark": benchmark, "submission_org": "Maker", "submission_platform": "1xBox"}
    named |= {
        "seed": seed,
        "global_batch_size": 256,
        "train_samples": 1000,
        "eval_samples": 50,
        "opt_name": "lamb",
        **settings,
    }
    lines += [line(key, 1, value) for key, value in named.items()]
    lines += [line("init_stop", 10), line("run_start", 10)]
    at_s = 11.0
    for epoch, wer in enumerate(wers, start=1):
        lines.append(line("epoch_start", at_s, epoch_num=epoch))
        lines.append(line("eval_start", at_s + 100, epoch_num=epoch))  # in the same millisecond, and before it
        lines.append(line("epoch_stop", at_s + 100, epoch_num=epoch))
        lines.append(line("eval_stop", at_s + 105, epoch_num=epoch))
        lines.append(line("eval_accuracy", at_s + 105, wer, epoch_num=epoch))
        at_s += 105
    if status:
        lines.append(line("run_stop", at_s + 0.5, status=status))
    return "\n".join([*lines, ""])


def save(folder: Path, *logs: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n, text in enumerate(logs):
        (folder / f"result_{n}.txt").write_text(text)
    return folder


def test_an_epoch_is_a_train_row_and_an_evaluate_row(tmp_path):
    log = read_log(save(tmp_path, a_log([0.5, 0.05])) / "result_0.txt")
    rows = [(phase, span.started_s, span.seconds, outcome.epoch, outcome.step) for phase, span, outcome in log.rows]
    assert rows == [
        (Phase.CREATE, 0, 10, 0, 0),
        (Phase.TRAIN, 10, 101, 1, 4),  # from run_start on; 1,000 utterances are 4 batches
        (Phase.EVALUATE, 111, 5, 1, 4),
        (Phase.TRAIN, 116, 100, 2, 8),
        (Phase.EVALUATE, 216, 5, 2, 8),
    ]
    assert log.rows[-1][2].wer == 5.0 and log.rows[-1][2].cer is None
    assert log.platform == "Maker 1xBox" and log.target_percent == 5.8


def test_mlperfs_score_is_the_mlperf_clock_with_e_1(tmp_path, capsys):
    logs = save(tmp_path / "Maker" / "results" / "box8" / "rnnt", a_log([0.5, 0.05]), a_log([0.5, 0.3, 0.05], seed=8))
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 0
    assert "2 runs in" in capsys.readouterr().out and logs.is_dir()
    (group,) = judge(
        read_runs(f"{tmp_path}/in/*.csv"), Question(metrics=("wer",), levels=(5.8,), window=1, clock="mlperf")
    )
    # from run_start at 10 s to the ends of the evaluations at 221 and 326 s
    assert group.platform == "Maker box8" and group.levels[0].seconds == (211.0, 316.0)
    assert tta.main([*map(str, sorted((tmp_path / "in").glob("*.csv"))), "--epochs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "WER 5.8" in shown and "CER" not in shown  # what was not measured has no column


def test_an_aborted_log_never_gets_there_and_one_without_an_end_is_still_going(tmp_path):
    save(tmp_path, a_log([0.5, 0.05]), a_log([0.5, 0.9], status="aborted", seed=8), a_log([0.5], status="", seed=9))
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 0
    (group,) = judge(read_runs(f"{tmp_path}/in/*.csv"), Question(metrics=("wer",), window=1))
    assert (group.levels[0].reached, group.levels[0].missed, group.levels[0].unfinished) == (1, 1, 1)


def test_other_settings_are_another_code_and_are_not_pooled(tmp_path):
    save(tmp_path, a_log([0.05]), a_log([0.05], seed=8), a_log([0.05], seed=9, opt_base_learning_rate=0.01))
    codes = [read_log(tmp_path / f"result_{n}.txt").identity("r").code for n in range(3)]
    assert codes[0] == codes[1] != codes[2]


def test_a_log_is_taken_in_once(tmp_path, capsys):
    save(tmp_path, a_log([0.05]))
    assert main([str(tmp_path), "-o", str(tmp_path / "in"), "--platform", "box"]) == 0
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 0
    assert "0 runs in" in (shown := capsys.readouterr().out) and "1 logs were there already" in shown
    assert [path.name for path in (tmp_path / "in").glob("*.csv")] == ["box-0.csv"]
    assert read_run(tmp_path / "in" / "box-0.csv").identity.platform == "box"


def test_out_and_in_again_changes_no_figure(tmp_path):
    """Our own log has exact seconds and error rates; another's milliseconds come back as they were."""
    source = write(
        tmp_path / "own.csv", make_run([90, 51.2345678912, 40, 30.1, 29], train_s=100.1234567, cers=[9.9] * 5)
    )
    (tmp_path / "own").mkdir()
    facts = {"schema": 3, "created": "2026-01-31T12:00:00+00:00", "plan": {"targets": {"wer": [30.1]}}}
    (tmp_path / "own" / "run.json").write_text(json.dumps(facts))
    assert export([source, "--to", "mllog", "-o", str(tmp_path / "out" / "result_0.txt")]) == 0
    assert main([str(tmp_path / "out"), "-o", str(tmp_path / "in")]) == 0
    question = Question(metrics=("wer", "cer"), levels=(51.2345678912, 30.1, 9.9))
    (before,), (after,) = (judge(read_runs(str(p)), question) for p in (source, tmp_path / "in" / "*.csv"))
    for one, other in zip(before.levels, after.levels, strict=True):
        assert (one.times, one.epoch_times, one.by_clock) == (other.times, other.epoch_times, other.by_clock)

    log = save(tmp_path / "theirs", a_log([0.5, 0.30000001, 0.05])) / "result_0.txt"
    assert main([str(log), "-o", str(tmp_path / "once")]) == 0
    (first,) = (tmp_path / "once").glob("*.csv")
    assert export([str(first), "--to", "mllog", "--epochs", "1", "-o", str(tmp_path / "again" / "result_0.txt")]) == 0
    assert '"opt_name", "value": "lamb"' in (tmp_path / "again" / "result_0.txt").read_text()
    assert main([str(tmp_path / "again"), "-o", str(tmp_path / "twice")]) == 0
    (second,) = (tmp_path / "twice").glob("*.csv")
    rows = [[line.split(",")[17:] for line in path.read_text().splitlines()] for path in (first, second)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "no line with :::MLLOG"),
        (":::MLLOG {", "expected :::MLLOG and a JSON object"),
        (":::MLLOG []", "expected :::MLLOG and a JSON object"),
        (line("seed", 1, 4), "no run_start"),
        (line("run_start", 1), "no eval_accuracy"),
        (a_log([0.05], benchmark="bert"), "a log of 'bert'; expected rnnt"),
        (a_log(["good"]), "eval_accuracy is 'good'; expected an error rate"),
        (a_log([-0.1]), "eval_accuracy is -0.1"),
    ],
)
def test_what_is_no_log_of_speech_is_refused_in_a_line_and_nothing_is_written(tmp_path, capsys, text, said):
    save(tmp_path, a_log([0.05]), text)
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "in").exists()


def test_folders_without_logs_and_files_that_are_not_there_are_named(tmp_path, capsys):
    for path, said in ((tmp_path, "no result_*.txt in it"), (tmp_path / "x.txt", "cannot be read")):
        assert main([str(path), "-o", str(tmp_path / "in")]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(IngestError):
        read_log(tmp_path)
