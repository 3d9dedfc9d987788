"""A probe of a run on a tiny corpus of tones, and what the command says of it."""

import json
import subprocess
from pathlib import Path

import pytest
from commands import command, in_process
from tones import write_chapter
from trained import MODELS, TINY

from benchmark import tta
from benchmark.rig.__main__ import main

SENTENCES = ["one two", "two three", "three one two", "cool one", "don't two", "three"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a tiny workload and a corpus of 24 sentences to learn and 12 to evaluate."""
    root = tmp_path_factory.mktemp("estimate")
    for speaker in range(4):
        write_chapter(root / "corpus", "train-tones", 11 + speaker, SENTENCES)
    for speaker in range(2):
        write_chapter(root / "corpus", "dev-tones", 31 + speaker, SENTENCES)
    (root / "tiny.toml").write_text(TINY.format(more='decoder = "dictionary"\nbuckets = 2\n' + MODELS["deepspeech"]))
    return root


def estimate(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    words = ["--workload", "./tiny.toml", "--corpus", "corpus", "--batch", 4, "--minutes", 1, *arguments]
    return command(folder, "benchmark.rig", "estimate", *words)


@pytest.mark.slow
def test_an_estimate_is_made_and_written_and_the_run_stands_beside_it(folder):
    done = estimate(folder, "--offer", "cpu=0.50/h")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert shown.startswith("cpu, tiny") and ", batch 4, float32: " in shown
    assert "Epochs to a level: not known: no reference run is of workload tiny" in shown
    assert "1 epochs, where the workload ends a run, would take" in shown and "USD rented" in shown
    assert "Next: python -m benchmark --workload ./tiny.toml --corpus corpus --batch 4; its table" in shown
    (path,) = (folder / "results" / "estimates").glob("*.json")  # and no scratch folder
    assert [each.name for each in (folder / "results" / "estimates").iterdir()] == [path.name]
    foretold = json.loads(path.read_text())
    measured = foretold["measured"]
    assert sum(bucket["batches"] for bucket in measured["buckets"]) == measured["batches_per_epoch"] == 6
    assert all(len(bucket["seconds"]) >= 1 for bucket in measured["buckets"]) and len(measured["buckets"]) == 2
    assert len(measured["epochs_s"]) >= 2 and "whole epochs" in shown and "opening" not in shown
    assert len(measured["open_s"]) == 1 and measured["opened_once"]
    assert measured["evaluation"]["utterances"] == 12 and measured["evaluation"]["share"] == 1
    assert measured["evaluation"]["sure_s"] > 0 and measured["checkpoint_bytes"] > 10_000
    usual = ("--workload", "./tiny.toml", "--corpus", "corpus", "--batch", 4)
    run = command(folder, "benchmark", *usual, "--max-epochs", 3, "--name", "r1")
    assert run.returncode == 0, run.stderr
    told = in_process(folder, tta.main, "results")
    assert "s an epoch were foretold, and it took" in " ".join(told.stdout.split()), told.stdout + told.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "whole"), [(60, True), (0, False)])
def test_a_step_is_traced_once_for_all_pieces_and_whole_epochs(folder, seconds, whole):
    code = f"""import argparse, tempfile, time
from pathlib import Path
from benchmark.rig.estimate import probe
from benchmark.rig.estimate.asked import job_of
from benchmark.run.prepare.asked import add_job
from benchmark.run.prepared import prepare
if __name__ == "__main__":
    parser = argparse.ArgumentParser(); add_job(parser)
    words = "--workload ./tiny.toml --corpus corpus --batch 4 --decoder greedy"
    job = job_of(parser.parse_args(words.split()))
    prepared = prepare(job, None, lambda _: None)
    with tempfile.TemporaryDirectory() as place, prepared.pool() as pool:
        one = probe.Probe(prepared, Path(place), pool, until_s=time.monotonic() + {seconds}, say=lambda _: None)
        found = one.measured(before_s=0.0, prepared_s=0.0)
        print(one.trainer.models.step.segment.experimental_get_tracing_count(), len(found.epochs_s) >= 2)
        print(min(len(bucket.seconds) for bucket in found.buckets) >= 3, len(found.stretches) >= 1)
"""
    (folder / "spoilt.py").write_text(code)
    done = command(folder, "spoilt")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", str(whole), str(not whole), "True"]


def test_librispeech_without_its_features_is_refused_before_anything_begins(tmp_path):
    done = in_process(tmp_path, main, "estimate", "--workload", "librispeech", "--data", "data")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "LibriSpeech's features are not there, and making them takes hours; expected them" in done.stderr
