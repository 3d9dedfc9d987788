"""Runs that make features while they train, beside one that reads records; and a recording that breaks on the way."""

import shutil

import pytest
from commands import command
from trained import tiny

from benchmark.metrics import METRICS
from benchmark.record import journal
from benchmark.record.finals import read_finals

USUAL = ("--max-epochs", 2, "--seed", 3, "--decoder", "greedy", "--batch", 8, "--monitor-hz", 0)


@pytest.mark.slow
def test_a_streamed_run_has_the_losses_and_error_rates_of_one_that_reads_records(tmp_path, tone_corpus, tone_data):
    for name, more in (("records", ("--data", tone_data)), ("stream", ("--stream", "--data", "none"))):
        asked = ("--corpus", tone_corpus, "--workload", tiny(tmp_path), *USUAL, "--name", name, *more)
        done = command(tmp_path, "benchmark", *asked)
        assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "none").rglob("*.tfrecord"))
    found, recorded = (journal.read(tmp_path / "results" / f"{name}.csv") for name in ("stream", "records"))
    tells = f"{recorded.rows[0].variant}+stream"
    assert {(row.variant, row.features) for row in found.rows} == {(tells, recorded.rows[0].features)}
    for ours, theirs in zip(found.rows, recorded.rows, strict=True):
        assert [getattr(ours, name) for name in ("phase", "loss", *METRICS)] == [
            getattr(theirs, name) for name in ("phase", "loss", *METRICS)
        ]
    done = command(tmp_path, "benchmark.final", "results/stream", "--train-sample", 5, "--decoder", "greedy")
    assert done.returncode == 0, done.stderr
    counts = {(each.subset, each.row["utterances"]) for each in read_finals(tmp_path / "results" / "stream")}
    assert counts == {("dev-tones", "7"), ("train", "5")}


@pytest.mark.slow
def test_a_recording_that_breaks_a_streamed_run_is_named_with_a_way_out(tmp_path, tone_corpus):
    corpus = tmp_path / "corpus"
    shutil.copytree(tone_corpus, corpus)
    flac = next((corpus / "train-tones" / "1").rglob("*.flac"))
    flac.write_bytes(flac.read_bytes()[:-200])
    arguments = ["--corpus", corpus, "--workload", tiny(tmp_path), "--decoder", "greedy", "--stream"]
    arguments += ["--monitor-hz", 0]
    done = command(tmp_path, "benchmark", *arguments)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("benchmark:")]
    assert done.returncode == 2 and line.startswith(f"benchmark: {flac}: ") and "or give --skip-bad" in line
    done = command(tmp_path, "benchmark", *arguments, "--skip-bad")
    assert done.returncode == 0 and "20 of 21 utterances used" in done.stderr
