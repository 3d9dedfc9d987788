"""Runs that are terminated, killed, left by their viewer, or whose terminal is closed: processes as a user has them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from commands import ROOT, begin, command, wait_for
from trained import tiny

from benchmark.metrics import METRICS
from benchmark.record import journal
from benchmark.record.phases import Phase
from benchmark.run.state.progress import Progress


@pytest.mark.slow
def test_a_run_that_is_terminated_and_then_killed_goes_on_and_ends_as_one_that_nobody_touched(
    tone_corpus, tone_data, tmp_path
):
    arguments = ["--corpus", tone_corpus, "--workload", tiny(tmp_path), "--max-epochs", 8, "--seed", 4]
    arguments += ["--data", tone_data, "--decoder", "greedy", "--monitor-hz", 0]
    path = tmp_path / "results" / "cut.csv"

    process = begin(tmp_path, *arguments, "--name", "cut")
    wait_for(process, path, ",train,")
    process.send_signal(signal.SIGTERM)
    sent_s = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143 and time.monotonic() - sent_s < 10
    assert "interrupted after batch" in said and "go on with: python -m benchmark --corpus" in said
    assert json.loads((tmp_path / "results" / "cut" / "end.json").read_text())["status"] == "interrupted"
    record = journal.read(path)
    progress = Progress.of(record.rows)
    assert progress.saved_step == progress.step > 0

    trained = path.read_text().count(",train,")
    second = begin(tmp_path, *arguments, "--name", "cut")
    wait_for(second, path, ",train,", more_than=trained)
    second.kill()
    second.communicate()
    assert not (tmp_path / "results" / "cut" / "end.json").exists()

    assert command(tmp_path, "benchmark", *arguments, "--name", "cut").returncode == 0
    assert command(tmp_path, "benchmark", *arguments, "--name", "whole").returncode == 0
    cut, whole = (journal.read(tmp_path / "results" / f"{name}.csv") for name in ("cut", "whole"))
    assert [row.attempt for row in cut.rows][-1] == 3 and len(cut.evaluations) == 8
    for ours, theirs in zip(cut.evaluations, whole.evaluations, strict=True):
        assert all(getattr(ours, name) == getattr(theirs, name) for name in METRICS)
    created = [row for row in cut.rows if row.phase is Phase.CREATE]
    assert [row.down_s is None for row in created] == [True, False, False]

    again = command(tmp_path, "benchmark", *arguments, "--name", "cut")
    assert again.returncode == 2 and "there already and has finished; choose another --name" in again.stderr


@pytest.mark.slow
def test_a_run_outlives_its_viewer(tone_corpus, tmp_path):
    """`make bench 2>&1 | head`: the pipe closes after two lines, and the run is finished and judged all the same."""
    asked = f'--corpus "{tone_corpus}" --workload "{tiny(tmp_path)}" --decoder greedy --name seen'
    script = f'"$0" -m benchmark {asked} 2>&1 | head -n 2'
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}", sys.executable],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("\n") == 2
    assert json.loads((tmp_path / "results" / "seen" / "end.json").read_text())["status"] == "finished"
    assert (tmp_path / "results" / "report.html").is_file()


@pytest.mark.slow
def test_a_closed_terminal_ends_a_run_saved_and_under_nohup_does_not(tone_corpus, tone_data, tmp_path):
    arguments = ["--corpus", tone_corpus, "--workload", tiny(tmp_path)]
    arguments += ["--data", tone_data, "--decoder", "greedy", "--monitor-hz", 0]
    path = tmp_path / "results" / "hung.csv"
    process = begin(tmp_path, *arguments, "--name", "hung", "--max-epochs", 200)
    wait_for(process, path, ",train,")
    process.send_signal(signal.SIGHUP)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 129 and "go on with" in said
    progress = Progress.of(journal.read(path).rows)
    assert progress.saved_step == progress.step > 0

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which children inherit, as nohup's do
    try:
        process = begin(tmp_path, *arguments, "--name", "nohup", "--max-epochs", 12)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(process, tmp_path / "results" / "nohup.csv", ",train,")
    assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0
