"""The whole path as a user takes it: a corpus folder in, a table out, on two emulated replicas; and what goes wrong."""

import csv
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import command, in_process
from trained import tiny
from transitions import AFTER

from benchmark.__main__ import main
from benchmark.judge.reference import convergence_of
from benchmark.metrics import METRICS
from benchmark.record import journal, read_run
from benchmark.record.finals import of_checkpoint, read_finals
from benchmark.record.phases import Phase
from benchmark.record.sentences import last_evaluation

TWO_GPUS = """
name = "twin"
label = "Twin"
description = "two GPUs that no machine has"
[hardware]
gpus = 2
gpu = "Imaginary 1"
gpu_memory_gib = 8
links = ["PCIe 3.0 x16", "PCIe 3.0 x16"]
cpu = "Imaginary"
logical_cores = 4
ram_gib = 16
[input]
batch = 8
readers = 2
buffer = 2
[training]
reduction = "nccl"
precision = "float32"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def run(folder, tone_corpus):
    """Two tiny epochs on two emulated replicas."""
    (folder / "twin.toml").write_text(TWO_GPUS)
    done = command(
        folder,
        "benchmark",
        "--platform",
        folder / "twin.toml",
        "--corpus",
        tone_corpus,
        "--max-epochs",
        2,
        "--name",
        "first",
        "--seed",
        3,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def last(run, folder):
    """The last checkpoint's final table, by the run's own decoder and width and by another one."""
    step = journal.read(folder / "results" / "first.csv").evaluations[-1].step
    checkpoint = folder / "results" / "first" / "checkpoints" / f"ckpt-{step}"
    asked = (checkpoint, "--beam-width", 256, "--decoder", "dictionary", "greedy", "--decode-jobs", 1)
    done = command(folder, "benchmark.final", *asked)
    assert done.returncode == 0, done.stderr
    made = of_checkpoint(read_finals(folder / "results" / "first"), f"batch {step}")
    return SimpleNamespace(asked=asked, done=done, found={each.decoder: each for each in made})


def test_it_says_loudly_that_it_emulates(run):
    assert "EMULATED: twin has 2 x Imaginary 1, which are not here" in run.stderr
    assert "Twin (emulated)" in run.stdout and "say nothing about the rig" in run.stdout


def test_the_journal_has_every_phase_in_an_order_that_the_machine_allows(run, folder):
    rows = journal.read(folder / "results" / "first.csv").rows
    for before, after in zip(
        (None, *(row.phase for row in rows)), (*(row.phase for row in rows), Phase.DONE), strict=True
    ):
        assert after in AFTER[before], (before, after)
    assert rows[0].phase is Phase.CREATE and rows[-1].phase is Phase.EVALUATE
    assert [row.epoch for row in rows if row.phase is Phase.EVALUATE] == [1, 2]
    assert {(row.emulated, row.replicas, row.batch, row.seed, row.workload) for row in rows} == {
        (True, 2, 8, 3, "speech")
    }
    for epoch in (1, 2):  # 21 utterances in batches of 8: the last ones are not full, and none is dropped
        assert sum(row.utterances for row in rows if row.phase is Phase.TRAIN and row.epoch == epoch) == 21
    assert all(row.utterances == 7 for row in rows if row.phase is Phase.EVALUATE)


def test_run_json_tells_what_it_was_made_with(run, folder):
    facts = json.loads((folder / "results" / "first" / "run.json").read_text())
    assert facts["platform"]["name"] == "twin" and facts["workload"]["name"] == "speech" and facts["seed"] == 3
    used = {"names": ["CPU", "CPU"], "replicas": 2, "emulated": True, "reduction": "first-gpu"}
    alone = {"machines": 1, "hosts": [], "gathered_s": None}
    assert facts["devices"] == {**used, **alone, "sensors": [], "partitioned": False}
    assert facts["versions"]["tensorflow"].startswith("2.") and len(facts["features"]["manifest_sha256"]) == 64
    assert "gpu" in facts["unavailable"] or facts["unavailable"] == {}
    system = facts["system"]  # by MLPerf's keys
    assert (system["number_of_nodes"], system["accelerators_per_node"]) == (1, 0)
    assert system["host_processor_vcpu_count"] == facts["host"]["logical_cores"]
    assert system["framework"] == f"TensorFlow {facts['versions']['tensorflow']}"


def test_a_run_says_how_it_converged(run, folder):
    found = convergence_of(read_run(folder / "results" / "first.csv"))
    assert (found.samples, found.utterances, found.batch, found.replicas) == (21, (21, 42), 8, 2)
    facts = json.loads((folder / "results" / "first" / "run.json").read_text())
    words = sum(subset["words"] for name, subset in facts["features"]["subsets"].items() if name.startswith("dev"))
    assert (found.evaluated, found.evaluated_words) == (7, words) and words >= 7
    assert re.fullmatch("[0-9a-f]{8}", found.settings) and found.date == facts["created"][:10]


def test_utilisation_was_sampled_and_sentences_were_kept(run, folder):
    with (folder / "results" / "first" / "utilisation.csv").open() as file:
        samples = list(csv.DictReader(file))
    assert len(samples) > 5 and max(float(sample["process_cpu_percent"]) for sample in samples) > 20
    assert "    reference   one one\n" in (folder / "results" / "first" / "sentences.txt").read_text()
    assert len(last_evaluation(folder / "results" / "first").examples) == 9  # three each: worst, median, best


def test_there_is_a_plain_line_for_every_row_and_no_chatter_of_libraries(run, folder):
    rows = journal.read(folder / "results" / "first.csv").rows
    assert sum("epoch" in line and "batch" in line for line in run.stderr.splitlines()) == len(rows)
    for chatter in ("\x1b", "UserWarning", "oneDNN", "cuda", "port.cc", "Traceback"):
        assert chatter not in run.stderr + run.stdout


def test_a_report_to_look_at_is_made_at_the_end(run, folder):
    page = (folder / "results" / "report.html").read_text()
    assert "results/report.html" in run.stderr.replace(str(folder), "") and "Plotly" in page and "twin" in page


def test_the_judge_reads_the_run_from_anywhere(run, folder, tmp_path):
    judged = command(tmp_path, "benchmark.tta", folder / "results" / "first.csv", "--format", "json")
    assert judged.returncode == 0
    assert {row["platform"] for row in json.loads(judged.stdout)} == {"twin"}


@pytest.mark.slow
def test_the_final_table_is_made_of_the_run_and_of_one_checkpoint(run, folder, last):
    whole = journal.read(folder / "results" / "first.csv").evaluations[-1]
    # The same weights, decoder and width as in the run: the same four figures, on one replica instead of two.
    for name in METRICS:
        assert float(last.found["dictionary-256"].row[name]) == getattr(whole, name)
    assert set(last.found) == {"dictionary-256", "greedy"}
    finals = folder / "results" / "first" / "final"
    before = {path.name: path.read_bytes() for path in finals.iterdir()}
    assert "worst" in next(finals.glob("*.greedy.sentences.txt")).read_text()
    same = command(folder, "benchmark.final", *last.asked)
    assert same.returncode == 0 and "decoded before, and read: " in same.stderr and "written" not in same.stderr
    assert same.stdout == last.done.stdout and {path.name: path.read_bytes() for path in finals.iterdir()} == before
    done = command(folder, "benchmark.final", "results/first.csv", "--decode-jobs", 2)
    assert done.returncode == 0, done.stderr
    assert "dev-tones" in done.stdout and "dictionary-512" in done.stdout and "Sys1$" in done.stdout
    rows = [each.row for each in read_finals(finals.parent)]
    assert {int(row["utterances"]) for row in rows} == {7} and {row["subset"] for row in rows} == {"dev-tones"}
    for each in read_finals(finals.parent):
        edits = each.utterances()
        share = sum(int(row["word_edits"]) for row in edits) / sum(int(row["words"]) for row in edits)
        assert len(edits) == 7 and 100 * share == pytest.approx(float(each.row["wer"]), abs=1e-5)
    assert before.items() < {path.name: path.read_bytes() for path in finals.iterdir()}.items()


@pytest.mark.slow
def test_recordings_are_heard_as_they_are_evaluated_and_without_their_corpus(run, folder, last, tone_corpus):
    """The same weights and decoder on the same recordings as the final table, by another way through the code."""
    of_last = last.found["greedy"]
    before = {path: path.stat().st_mtime_ns for path in (folder / "results" / "first").rglob("*")}
    features = json.loads((folder / "results/first/run.json").read_text())["features"]["folder"]
    Path(features).rename(f"{features}-gone")
    try:
        asked = ("results/first", tone_corpus / "dev-tones", "--checkpoint", "last", "--format", "json")
        greedy = command(folder, "benchmark.transcribe", *asked, "--decoder", "greedy")
        own = command(folder, "benchmark.transcribe", *asked)
    finally:
        Path(f"{features}-gone").rename(features)
    assert greedy.returncode == own.returncode == 0, greedy.stderr + own.stderr
    heard = {Path(each["name"]).stem: each["text"] for each in json.loads(greedy.stdout)["recordings"]}
    assert heard == {row["utterance"]: row["hypothesis"] for row in of_last.utterances()} and len(heard) == 7
    assert json.loads(own.stdout)["decoder"] == "dictionary-256"
    shutil.copytree(tone_corpus / "dev-tones", folder / "alone" / "test-tones")  # a corpus of test recordings alone
    asked = ("--features", "alone", "--checkpoints", "last", "--decoder", "greedy", "dictionary", "--beam-width", 256)
    asked += ("--decode-jobs", 1)
    alone = command(folder, "benchmark.final", "results/first", *asked)
    assert alone.returncode == 0, alone.stderr
    found = {each.row["decoder"]: each.row for each in read_finals(folder / "results/first")
             if each.row["subset"] == "test-tones"}  # fmt: skip
    assert [found["greedy"][name] for name in METRICS] == [of_last.row[name] for name in METRICS]
    whole = journal.read(folder / "results" / "first.csv").evaluations[-1]
    assert float(found["dictionary-256"]["wer"]) == whole.wer  # by the run's words: the folder has none to learn
    before |= {path: path.stat().st_mtime_ns for path in (folder / "results/first/final").glob("*test-tones*")}
    before[folder / "results/first/final"] = (folder / "results/first/final").stat().st_mtime_ns
    assert {path: path.stat().st_mtime_ns for path in (folder / "results" / "first").rglob("*")} == before


@pytest.mark.slow
def test_a_run_whose_evaluation_overlaps_has_the_error_rates_of_a_resident_one(run, folder, tone_corpus):
    resident = journal.read(folder / "results" / "first.csv")
    arguments = ["--platform", folder / "twin.toml", "--corpus", tone_corpus, "--max-epochs", 2, "--seed", 3]
    arguments += ["--monitor-hz", 0, "--decode-jobs", 1]  # what samples, and how many decode, changes no figure
    done = command(folder, "benchmark", *arguments, "--name", "overlap", "--evaluation", "overlap")
    assert done.returncode == 0, done.stderr
    found = journal.read(folder / "results" / "overlap.csv")
    assert found.rows[0].evaluation == "overlap"
    for ours, theirs in zip(found.evaluations, resident.evaluations, strict=True):
        assert all(getattr(ours, name) == getattr(theirs, name) for name in METRICS)


def test_a_run_is_never_overwritten(run, folder, tone_corpus):
    before = (folder / "results" / "first.csv").read_bytes()
    again = command(folder, "benchmark", "--corpus", tone_corpus, "--name", "first")
    assert again.returncode == 2 and "choose another --name" in again.stderr
    assert (folder / "results" / "first.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--platform", "sys3"], "sys1"),
        (["--platform", "absent.toml"], "absent.toml"),
        (["--corpus", "absent"], "absent: no such folder"),
        (["--workload", "speech"], "give its folder with CORPUS=folder"),
        (["--workload", "librispeech"], "python -m features.download"),
        (["--name", "../x"], "cannot name files"),
        (["--seed", "-1"], "seed is -1; expected 0 to"),
        (["--monitor-hz", "1000"], "monitor-hz is 1000.0"),
        (["--batch", "0"], "batch"),
        (["--max-epochs", "0"], "max_epochs is 0"),
        (["--platform", "sys1", "--batch", "97"], "97"),
        (["--decoder", "language-model", "--sentences", "3"], "no language model; give --language-model"),
        (
            ["--decoder", "language-model", "--language-model", "3-gram"],
            "download it with: python -m features.download",
        ),
        (["--language-model", "x.arpa"], "add --decoder language-model"),
        (["--segment", "0.1"], "segment_s is 0.1; expected 0.2 to 3600 seconds"),
        (["--accumulation", "3"], "[input] accumulation = 3; expected a divisor of the 16 utterances"),
        (["--stream", "--corpus", "absent"], "absent: no such folder"),
        (["--decode-jobs", "0"], "decode-jobs is 0; expected at least 1"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(tmp_path, arguments, said):
    done = in_process(tmp_path, main, *arguments)
    lines = [line for line in done.stderr.strip().splitlines() if line.startswith("benchmark:")]
    assert done.returncode == 2 and len(lines) == 1 and said in lines[0], done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("results/*.csv"))


FAULTS = {
    "nan": (
        "lambda losses: tf.where(step_number() == 3, float('nan'), losses)",
        3,
        "the loss became nan at batch 3 (epoch 2); the run ends as diverged",
    ),
    "memory": (
        "lambda losses: (_ for _ in ()).throw(tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating'))",
        2,
        "OOM when allocating); give a smaller batch: python -m benchmark --corpus",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_training_ends_in_a_sentence_and_a_status_and_what_was_written_stays(
    tmp_path, tone_corpus, tone_data, fault
):
    spoil, status, said = FAULTS[fault]
    script = f"""
if __name__ == "__main__":  # worker processes import this too, and need no TensorFlow
    import sys
    from benchmark.__main__ import main
    from benchmark.run.prepare.devices import tf
    from benchmark.run.train.step import TrainStep

    whole = TrainStep.losses
    def losses(self, part, step, piece=0):
        step_number = lambda: step + 1
        return ({spoil})(whole(self, part, step, piece))
    TrainStep.losses = losses
    sys.exit(main(sys.argv[1:]))
"""
    (tmp_path / "spoilt.py").write_text(script)
    arguments = ["--corpus", tone_corpus, "--workload", tiny(tmp_path), "--max-epochs", 4, "--decoder", "greedy"]
    arguments += ["--data", tone_data, "--name", "r", "--deterministic"]
    done = command(tmp_path, "spoilt", *arguments)
    assert done.returncode == status and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    phases = [row.phase.value for row in journal.read(tmp_path / "results" / "r.csv").rows]
    assert phases == (["create", "train", "checkpoint", "evaluate"] if status == 3 else ["create"])
    if status == 3:
        again = command(tmp_path, "benchmark", *arguments)
        assert again.returncode == 2 and "there already and has diverged: the loss became nan" in again.stderr


@pytest.mark.slow
def test_a_shard_that_is_damaged_during_a_run_is_named(tmp_path, tone_corpus):
    """The run makes its features, and then a bit of a shard changes: when the model is made, and before it is read."""
    spoil = """
if __name__ == "__main__":  # worker processes import this too, and need no TensorFlow
    import sys
    from pathlib import Path
    from benchmark.__main__ import main
    from benchmark.run.train.trainer import Trainer

    create = Trainer.create
    def spoil_then_create(self, progress, plan):
        (path,) = Path("data/features").glob("*/train-tones-00000.tfrecord")
        whole = path.read_bytes()
        path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
        Path("spoilt").write_text(str(len(whole)))
        return create(self, progress, plan)
    Trainer.create = spoil_then_create
    sys.exit(main(sys.argv[1:]))
"""
    (tmp_path / "spoilt.py").write_text(spoil)
    asked = ("--corpus", tone_corpus, "--workload", tiny(tmp_path), "--decoder", "greedy", "--monitor-hz", 0)
    done = command(tmp_path, "spoilt", *asked)
    assert done.returncode == 2 and "train-tones-00000.tfrecord" in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr and int((tmp_path / "spoilt").read_text()) > 5001
