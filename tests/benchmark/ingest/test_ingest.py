"""Logs of MLPerf's speech benchmark as runs: what becomes of each line, and figures that come back as they went out."""

import json
import subprocess
import sys

import pytest
from commands import ROOT
from journals import make_run, write
from mllogs import a_log, evaluate, line, save, settings

from benchmark import tta
from benchmark.export.__main__ import main as export
from benchmark.ingest import IngestError, read_log
from benchmark.ingest.__main__ import main
from benchmark.judge import Question, judge, read_runs
from benchmark.record import read_run
from benchmark.record.phases import Phase


def test_an_epoch_is_a_train_row_and_an_evaluate_row(tmp_path):
    log = read_log(save(tmp_path, a_log([0.5, 0.05])) / "result_0.txt")
    rows = [(phase, span.started_s, span.seconds, outcome.epoch, outcome.step) for phase, span, outcome in log.rows]
    assert rows == [
        (Phase.CREATE, 0, 10, 0, 0),
        (Phase.TRAIN, 10, 101, 1, 4),  # from run_start on; 1,000 utterances are 4 batches
        (Phase.EVALUATE, 111, 5, 1, 4),
        (Phase.TRAIN, 116, 100, 2, 8),
        (Phase.EVALUATE, 216, 5.5, 2, 8),  # the last, until run_stop
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
    # run_stop - run_start: from 10 s to half a second after the evaluations, which end at 221 and 326 s
    assert group.platform == "Maker box8" and group.levels[0].seconds == (211.5, 316.5)
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
        ("\n".join(settings()), "no eval_accuracy"),
        (a_log([0.05], benchmark=None), "no submission_benchmark; expected rnnt"),
        (a_log(["good"]), "eval_accuracy is 'good'; expected an error rate"),
        (a_log([-0.1]), "eval_accuracy is -0.1"),
        (a_log([float("nan")]), "eval_accuracy is nan"),
        (a_log([0.05], quality_target="5.8"), "quality_target is '5.8'; expected a WER above 0"),
        (a_log([0.05], quality_target=0), "quality_target is 0; expected a WER above 0"),
        (a_log([0.05], seed="one"), "seed is 'one'; expected a whole number"),
        (a_log([0.05], global_batch_size=2.5), "global_batch_size is 2.5; expected a whole number"),
        (a_log([0.05], status="done"), "run_stop has the status 'done'; expected success or aborted"),
        (a_log([0.05], stop_after_s=-500), "run_stop before run_start (line 13)"),
        (a_log([0.5, 0.07]), "run_stop says success, but the lowest WER before it is 7% and the target 5.8%"),
        (a_log([0.05]) + line("global_batch_size", 2, 512), "global_batch_size is 512, and 256 on line 8"),
        (a_log([50, 30, 5.7]), "eval_accuracy is 5.7 at the least, and the quality_target that rnnt has"),
        (a_log([50, 5.7], quality_target=0.058), "the quality_target that line 12 has is 0.058"),
        (a_log([0.5, 0.05], quality_target=5.8), "eval_accuracy is 0.05 at the least"),
    ],
)
def test_what_is_no_log_of_speech_is_refused_in_a_line_and_nothing_is_written(tmp_path, capsys, text, said):
    save(tmp_path, a_log([0.05]), text)
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "in").exists()


def test_folders_without_logs_and_files_that_are_not_there_are_named(tmp_path, capsys):
    for path, said in (
        (tmp_path, "no result_*.txt and no eval_measurements.csv in it"),
        (tmp_path / "x.txt", "cannot be read"),
    ):
        assert main([str(path), "-o", str(tmp_path / "in")]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(IngestError):
        read_log(tmp_path)


# --- figures that would mislead --------------------------------------------------------------------------------------


def figures(tmp_path, *logs: str) -> tuple:
    """Return what the judge says of logs at their target: seconds by MLPerf's clock, and epochs."""
    save(tmp_path / "logs", *logs)
    assert main([str(tmp_path / "logs"), "-o", str(tmp_path / "in")]) == 0
    (group,) = judge(read_runs(f"{tmp_path}/in/*.csv"), Question(metrics=("wer",), window=1, clock="mlperf"))
    return group.levels[0].percent, group.levels[0].seconds, group.levels[0].epochs


def test_several_runs_in_one_file_are_refused_with_their_lines(tmp_path, capsys):
    """Taken for one they would be a run of 740 s (as the next test has it) that lasts since the first one's start."""
    first, second = a_log([0.5, 0.4], status="aborted"), a_log([0.5, 0.05])
    log = save(tmp_path, first + second) / "result_0.txt"
    starts = [n for n, text in enumerate(log.read_text().splitlines(), start=1) if '"run_start"' in text]
    assert main([str(log), "-o", str(tmp_path / "in")]) == 2
    said = capsys.readouterr().err
    assert f"run_start on lines {starts[0]}, {starts[1]}; expected one run a file" in said
    assert said.count("\n") == 1 and not (tmp_path / "in").exists()
    killed = save(tmp_path / "killed", a_log([0.5], status="") + second) / "result_0.txt"
    assert main([str(killed), "-o", str(tmp_path / "in")]) == 2 and "run_start on lines" in capsys.readouterr().err


def test_a_target_over_1_is_in_percent_if_all_error_rates_are_over_1_too(tmp_path):
    # the last evaluation ends at 11 + 2 x 105 = 221 s, run_stop is at 221.5 s and run_start at 10 s
    assert figures(tmp_path, a_log([50.0, 5.7], quality_target=5.8)) == (5.8, (211.5,), (2,))
    save(tmp_path, a_log([50.0, 5.7], quality_target=5.8))
    assert [outcome.wer for _, _, outcome in read_log(tmp_path / "result_0.txt").rows[2::2]] == [50.0, 5.7]


def test_a_fraction_may_be_over_1_where_little_was_learnt(tmp_path):
    """An MLPerf run's first evaluation: 8.354 words wrong for each that was said."""
    log = read_log(save(tmp_path, a_log([8.354, 1.0, 0.05])) / "result_0.txt")
    assert [outcome.wer for _, _, outcome in log.rows[2::2]] == [835.4, 100.0, 5.0]


@pytest.mark.parametrize("stop_after_s", [-4, 0.5, 3600])
def test_mlperfs_clock_ends_at_run_stop(tmp_path, stop_after_s):
    """Before the evaluation says that it ended, or after: run_stop - run_start = 221 + stop_after_s - 10."""
    text = a_log([0.5, 0.05], stop_after_s=stop_after_s)
    assert figures(tmp_path, text) == (5.8, (211.0 + stop_after_s,), (2,))
    (path,) = (tmp_path / "in").glob("*.csv")
    run = read_run(path)
    assert run.record.time_to_accuracy_s("wer", 60, window=1, clock="mlperf") == 106  # the first evaluation's end
    assert run.end.clock_s == 221 + stop_after_s


def test_an_evaluation_after_run_stop_is_no_part_of_the_run_which_is_said(tmp_path, capsys):
    """As five of MLPerf's aborted logs have: the last model is evaluated once more."""
    text = a_log([0.5, 0.06], status="aborted", stop_after_s=0)
    again = [line("eval_start", 221, epoch_num=2), line("eval_accuracy", 300, 0.05, epoch_num=2)]
    save(tmp_path, "\n".join([text, *again]))
    assert main([str(tmp_path), "-o", str(tmp_path / "in"), "--platform", "box"]) == 0
    assert "evaluations after run_stop" in capsys.readouterr().err
    record = read_run(tmp_path / "in" / "box-0.csv").record
    assert [row.wer for row in record.evaluations] == [50.0, 6.0] and record.ended_s == 221


def test_a_target_that_is_reached_within_an_epoch_is_reached_there_and_the_epochs_are_rounded_up(tmp_path, capsys):
    """Evaluations after 0.5, 1 and 1.5 epochs, the last at 160 s; run_stop at 165.25 s, and run_start at 10 s."""
    lines = [*settings(), *evaluate(0.5, 60, 0.6), *evaluate(1, 110, 0.5, seconds=2), *evaluate(1.5, 160, 0.05)]
    lines += [line("epoch_start", 10, epoch_num=1), line("epoch_stop", 110, epoch_num=1)]
    lines += [line("epoch_start", 112, epoch_num=2), line("run_stop", 165.25, status="success")]
    assert figures(tmp_path, "\n".join(lines)) == (5.8, (155.25,), (2,))
    said = capsys.readouterr().err
    assert "evaluations within epochs count with --every-evaluation only" in said and "epochs are rounded up" in said


# --- folders ---------------------------------------------------------------------------------------------------------


def test_logs_of_other_benchmarks_are_passed_over_in_a_folder_and_refused_by_name(tmp_path, capsys):
    """The layout of MLCommons' results: ORG/results/SYSTEM/{bert,rnnt}/result_0.txt."""
    system = tmp_path / "training_results" / "Maker" / "results" / "box8"
    save(system / "bert", *[a_log([0.7], benchmark="bert")] * 3)
    save(system / "ssd", a_log([0.2], benchmark="ssd"))
    save(system / "rnnt", a_log([0.5, 0.05]))
    assert main([str(tmp_path / "training_results"), "-o", str(tmp_path / "in")]) == 0
    said = capsys.readouterr().out
    assert "1 runs in" in said and "passed over 4 logs of other benchmarks (3 bert, 1 ssd)" in said
    assert [path.name for path in (tmp_path / "in").glob("*.csv")] == ["Maker-box8-0.csv"]

    assert main([str(system / "bert" / "result_0.txt"), "-o", str(tmp_path / "no")]) == 2
    assert "a log of 'bert'; expected rnnt" in capsys.readouterr().err
    assert main([str(system / "bert"), "-o", str(tmp_path / "no")]) == 2
    assert "only 3 logs of other benchmarks (3 bert); expected" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_run_that_cannot_be_written_whole_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    save(tmp_path / "logs", a_log([0.05]))
    monkeypatch.setattr("benchmark.ingest.__main__.write_whole", full)
    assert main([str(tmp_path / "logs"), "-o", str(tmp_path / "in")]) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert list((tmp_path / "in").iterdir()) == []
    monkeypatch.undo()
    assert main([str(tmp_path / "logs"), "-o", str(tmp_path / "in")]) == 0
    assert "1 runs in" in capsys.readouterr().out


def test_a_killed_ingest_is_not_taken_for_a_run_that_is_there(tmp_path, capsys):
    """Its folder has run.json, and no journal beside it."""
    save(tmp_path / "logs", a_log([0.05]))
    arguments = [str(tmp_path / "logs"), "-o", str(tmp_path / "in"), "--platform", "box"]
    assert main(arguments) == 0
    (tmp_path / "in" / "box-0.csv").unlink()
    assert main(arguments) == 0 and "1 runs in" in capsys.readouterr().out.splitlines()[-2]
    assert [path.name for path in (tmp_path / "in").glob("*.csv")] == ["box-1.csv"]


def test_python_without_assertions_refuses_as_well(tmp_path):
    text = a_log(["good"])
    save(tmp_path, a_log([0.05]), text)
    command = [sys.executable, "-O", "-m", "benchmark.ingest", str(tmp_path), "-o", str(tmp_path / "in")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "eval_accuracy is 'good'" in done.stderr
    assert not (tmp_path / "in").exists()
