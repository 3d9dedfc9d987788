"""Exports against MLPerf's own checker, summarizer and readers, where they are installed, and against a golden log."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import journals
import pytest
from journals import write

from benchmark.export.__main__ import FORMATS, main
from benchmark.export.mllog import mllog
from benchmark.export.runs import Ask, ExportError, load
from benchmark.export.tables import dawnbench, document
from benchmark.judge import Question, judge
from benchmark.record.clocks import Span
from benchmark.record.columns import COLUMNS, Identity, Outcome
from benchmark.record.history import RunRecord
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Phase
from models.optimisers import AdaDelta
from models.table import RECIPES

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).with_name("golden.mllog")
CREATED = "2026-01-31T12:00:00+00:00"
CREATED_MS = 1769860800 * 1000  # date -u -d 2026-01-31T12:00 +%s
IDENTITY = {
    "run": "r1", "platform": "sys1", "workload": "mini", "variant": "", "recipe": "paper", "seed": 7, "machines": 1,
    "replicas": 4, "devices": "CPU",
    "emulated": False, "batch": 96, "precision": "float32", "features": "ab12", "decoder": "greedy",
    "evaluation": "resident", "code": "cd34",
}  # fmt: skip
PHASE = COLUMNS.index("phase")
WERS = (120.0, 60.0, 55.1, 50.0, 41.23, 40.0)
"""Medians of 3 from epoch 3 on: 60, 55.1, 50, 41.23. Level 55 is reached at epoch 5, level 60 at epoch 3."""


def make_run(
    folder: Path, name="r1", *, wers=WERS, train_s=100.0, targets=None, facts=True, more=(), **identity
) -> Path:
    """A run in a folder; its journal. Creation from 0.25 s to 30 s; then every epoch two train rows of 100 utterances,
    a checkpoint of 0.5 s and an evaluation of 10 s: with 100 s of training, epoch i ends at 30 + 110.5 i."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal.create(folder / f"{name}.csv", Identity(**{**IDENTITY, "run": name, **identity}))
    at_s = 0.25

    def add(phase, seconds, **outcome):
        nonlocal at_s
        journal.append(phase, Span(at_s, seconds), Outcome(**outcome))
        at_s += seconds

    add(Phase.CREATE, 29.75, step=0, epoch=0)
    for epoch, wer in enumerate(wers, start=1):
        for part in (1, 2):
            here = {"step": 4 * epoch - 4 + 2 * part, "epoch": epoch}
            add(Phase.TRAIN, train_s / 2, utterances=100, audio_s=250.0, loss=90.0 / epoch, **here)
        add(Phase.CHECKPOINT, 0.5, **here)
        rates = {"wer": wer, "cer": wer / 2, "wer_mean": wer + 5, "cer_paper": wer / 2 + 2}
        add(Phase.EVALUATE, 10.0, utterances=9, **rates, **here)
    for attempt, phase, started_s, seconds, outcome in more:
        journal.attempt = attempt
        journal.append(phase, Span(started_s, seconds), Outcome(**outcome))
    journal.close()
    if facts:
        (folder / name).mkdir()
        plan = {"targets": {"wer": [75.0, 55.0], "cer": [30.0]} if targets is None else targets}
        contents = {"schema": 2, "created": CREATED, "plan": plan, "host": {"cpu": "a CPU"}}
        (folder / name / "run.json").write_text(json.dumps(contents))
    return folder / f"{name}.csv"


def events(text: str) -> list[dict]:
    assert text.endswith("\n")
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in text.splitlines()]


def of(key: str, text: str) -> list[dict]:
    return [event for event in events(text) if event["key"] == key]


def the(key: str, text: str) -> dict:
    (event,) = of(key, text)
    return event


def seconds(event: dict) -> float:
    """By the journal's clock."""
    return (event["time_ms"] - CREATED_MS) / 1000


def passes(path: Path) -> bool:
    compliance = pytest.importorskip("mlperf_logging.compliance_checker.mlp_compliance")
    checker = compliance.make_checker("training", "3.1.0", quiet=False, werror=True)
    return compliance.main(str(path), "training_3.1.0/common.yaml", checker)[0]


def fails(capsys, *argv: str) -> str:
    """The one line that the command says, with exit status 2 and nothing on standard output."""
    assert main([str(argument) for argument in argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("benchmark.export: ") and err.count("\n") == 1, err
    return err


# --- MLPerf's log ----------------------------------------------------------------------------------------------------


def test_the_golden_log_is_what_the_export_gives_line_by_line(tmp_path):
    text = mllog(load(make_run(tmp_path)), Ask())
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_what_ends_and_what_begins_in_one_millisecond_stay_in_order(tmp_path):
    """Rows that touch, in floating point: 0.1 + 0.2 is after 0.3, and both are 300 ms."""
    rows, at_s = [], 0.0
    for row in journal_rows([90, 80, 50, 50, 50], train_s=33.333333333):
        rows.append(replace(row, started_s=at_s))
        at_s += row.seconds
    source = Path(write(tmp_path / "r.csv", RunRecord(rows)))
    source.with_suffix("").mkdir()
    facts = {"schema": 3, "created": CREATED, "plan": {"targets": {"wer": [50]}}}
    (source.with_suffix("") / "run.json").write_text(json.dumps(facts))
    order = ["epoch_start", "epoch_stop", "eval_start", "eval_stop"]
    assert [
        e["key"] for e in events(mllog(load(source), Ask())) if e["key"] in order
    ] == order * 4  # WER 50 by the median of three


def journal_rows(wers, **how):
    return journals.make_run(wers, **how).rows


def test_the_golden_log_passes_mlperfs_compliance_checker(tmp_path):
    pytest.importorskip("mlperf_logging")
    command = "-m mlperf_logging.compliance_checker --usage training --ruleset 3.1.0 --werror"
    done = subprocess.run(
        [sys.executable, *command.split(), "--log_output", str(tmp_path / "log"), str(GOLDEN)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stderr


def test_the_checker_would_have_found_a_fault(tmp_path):
    for key in (
        "submission_org",
        "eval_samples",
        "cache_clear",
        "init_stop",
        "run_stop",
        "epoch_stop",
        "eval_accuracy",
    ):
        kept = [line for line in GOLDEN.read_text().splitlines() if f'"key": "{key}"' not in line]
        (tmp_path / key).write_text("\n".join(kept) + "\n")
        assert not passes(tmp_path / key), key


def test_the_run_stops_where_time_to_accuracy_is_read(tmp_path):
    path = make_run(tmp_path)
    text, record = mllog(load(path), Ask()), read(path)
    stop = the("run_stop", text)
    assert stop["metadata"]["status"] == "success" and stop["metadata"]["epoch_num"] == 5
    assert seconds(stop) == 30 + 5 * 110.5 == 582.5
    assert seconds(stop) - seconds(the("run_start", text)) == record.time_to_accuracy_s("wer", 55, clock="mlperf")
    assert seconds(stop) - seconds(the("init_start", text)) == record.time_to_accuracy_s("wer", 55) == 582.25
    assert [event["metadata"]["epoch_num"] for event in of("eval_accuracy", text)] == [1, 2, 3, 4, 5]  # not the sixth
    assert events(text)[-1] == stop


def test_another_level_stops_the_run_elsewhere_and_cuts_the_log_there(tmp_path):
    text = mllog(load(make_run(tmp_path)), Ask(level=60))
    assert seconds(the("run_stop", text)) == 30 + 3 * 110.5
    assert len(of("epoch_start", text)) == len(of("epoch_stop", text)) == len(of("eval_stop", text)) == 3
    assert the("quality_target", text)["value"] == 0.6


def test_the_window_of_the_median_can_be_one_epoch(tmp_path):
    text = mllog(load(make_run(tmp_path)), Ask(window=1))
    assert the("run_stop", text)["metadata"]["epoch_num"] == 4  # 50 is the first of at most 55
    assert the("quality_target", text)["metadata"]["median_over_epochs"] == 1


def test_a_level_that_was_not_reached_is_aborted_at_the_runs_end(tmp_path):
    text = mllog(load(make_run(tmp_path)), Ask(level=41.2))
    stop = the("run_stop", text)
    assert stop["metadata"]["status"] == "aborted"
    assert seconds(stop) == 30 + 6 * 110.5
    assert len(of("eval_accuracy", text)) == 6


def test_quality_is_the_error_rate_as_a_fraction_without_binary_dust(tmp_path):
    values = [event["value"] for event in of("eval_accuracy", mllog(load(make_run(tmp_path)), Ask()))]
    assert values == [1.2, 0.6, 0.551, 0.5, 0.4123]
    assert 41.23 / 100 == 0.41229999999999994  # why it is rounded


def test_every_event_says_which_line_of_the_journal_it_stands_on(tmp_path):
    path = make_run(tmp_path)
    lines = path.read_text().splitlines()
    phases = {"run_start": "train", "epoch_start": "train", "epoch_stop": "train", "eval_accuracy": "evaluate"}
    for event in events(mllog(load(path), Ask())):
        row = lines[event["metadata"]["lineno"] - 1].split(",")
        assert phases.get(event["key"], row[PHASE]) == row[PHASE], event
        if event["key"] in phases:
            assert int(row[PHASE + 1]) == event["metadata"].get("epoch_num", 1)


def test_samples_are_the_utterances_of_one_epoch_and_of_one_evaluation(tmp_path):
    text = mllog(load(make_run(tmp_path)), Ask())
    assert the("train_samples", text)["value"] == 2 * 100
    assert the("eval_samples", text)["value"] == 9


def test_every_log_says_that_it_is_no_result_of_mlperf(tmp_path, capsys):
    path = make_run(tmp_path)
    assert main([str(path), "--to", "mllog"]) == 0
    out, err = capsys.readouterr()
    words = "mllog-format log, not an MLPerf result"
    assert events(out)[0]["value"] == words
    marked = [event["key"] for event in events(out) if event["metadata"].get("notice") == words]
    submission = ("benchmark", "division", "org", "platform", "status")
    assert marked == [*(f"submission_{name}" for name in submission), "run_stop"]
    assert words in err


def test_an_emulated_run_says_so_in_its_log_and_on_standard_error(tmp_path, capsys):
    path = make_run(tmp_path, emulated=True)
    assert main([str(path), "--to", "mllog"]) == 0
    out, err = capsys.readouterr()
    assert the("submission_platform", out)["value"] == "sys1 (emulated)"
    assert events(out)[0]["metadata"]["emulated"] is True
    assert "emulated" in err


EVALUATED = {"utterances": 9, "wer": 30.0, "cer": 15.0, "epoch": 3, "step": 12}
RESUMED = [  # epoch 3 begins, is cut short, and begins again from epoch 2's checkpoint
    (1, Phase.TRAIN, 251.0, 50.0, {"step": 10, "epoch": 3, "utterances": 100}),
    (2, Phase.CREATE, 301.0, 9.0, {"step": 8, "epoch": 2}),
    (2, Phase.TRAIN, 310.0, 50.0, {"step": 10, "epoch": 3, "utterances": 100}),
    (2, Phase.TRAIN, 360.0, 50.0, {"step": 12, "epoch": 3, "utterances": 100}),
    (2, Phase.EVALUATE, 410.0, 10.0, EVALUATED),
]
OVERLAPPED = [  # epoch 3 is evaluated while epoch 4 is trained
    (1, Phase.TRAIN, 251.0, 99.0, {"step": 12, "epoch": 3, "utterances": 200}),
    (1, Phase.TRAIN, 350.0, 50.0, {"step": 14, "epoch": 4, "utterances": 100}),
    (1, Phase.EVALUATE, 350.0, 45.0, EVALUATED),
    (1, Phase.TRAIN, 400.0, 50.0, {"step": 16, "epoch": 4, "utterances": 100}),
]


def test_of_a_resumed_run_only_the_work_that_stands_is_logged_and_the_time_of_all_of_it(tmp_path):
    path = make_run(tmp_path, wers=(60, 40), more=RESUMED)
    text = mllog(load(path), Ask())
    assert [seconds(event) for event in of("epoch_start", text)] == [30, 140.5, 310]
    assert [event["metadata"]["epoch_num"] for event in of("epoch_stop", text)] == [1, 2, 3]
    assert events(text)[0]["metadata"]["attempts"] == 2
    assert seconds(the("run_stop", text)) - seconds(the("run_start", text)) == 420 - 30
    assert read(path).time_to_accuracy_s("wer", 55, clock="mlperf") == 420 - 30


def test_an_evaluation_that_overlaps_training_stops_the_run_within_the_next_epoch(tmp_path):
    text = mllog(load(make_run(tmp_path, wers=(60, 40), more=OVERLAPPED, evaluation="overlap")), Ask())
    assert seconds(the("run_stop", text)) == 395  # 60, 40, 30: median 40
    assert [event["metadata"]["epoch_num"] for event in of("epoch_start", text)] == [1, 2, 3, 4]
    assert [event["metadata"]["epoch_num"] for event in of("epoch_stop", text)] == [1, 2, 3]
    times = [event["time_ms"] for event in events(text)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"wers": (60, 40), "more": RESUMED},
        {"wers": (60, 40), "more": OVERLAPPED, "evaluation": "overlap"},
        {"wers": (99.9,)},
        {"wers": (300, 99.9, 200), "emulated": True, "platform": "\N{SNOWMAN}"},
    ],
    ids=["plain", "resumed", "overlapped", "one epoch", "emulated"],
)
def test_logs_of_all_kinds_of_runs_pass_the_compliance_checker(tmp_path, run):
    path = make_run(tmp_path, **run)
    assert main([str(path), "--to", "mllog", "-o", str(tmp_path / "out")]) == 0
    assert passes(tmp_path / "out")


def test_the_optimiser_in_the_log_is_that_of_the_recipe(tmp_path):
    optimiser = RECIPES["paper"].optimiser
    text = mllog(load(make_run(tmp_path)), Ask())
    found = {
        key: the(f"opt_{key}", text)["value"] for key in ("base_learning_rate", "adadelta_rho", "adadelta_epsilon")
    }
    assert list(found.values()) == [optimiser.learning_rate, optimiser.rho, optimiser.epsilon] == [1.0, 0.95, 1e-8]
    assert the("opt_name", text)["value"] == "adadelta" and isinstance(optimiser, AdaDelta)


def test_mlperfs_reference_checker_reads_epoch_and_batch_as_we_do(tmp_path):
    reader = pytest.importorskip("mlperf_logging.rcp_checker.rcp_checker")
    make_run(tmp_path)
    (tmp_path / "log").write_text(mllog(load(tmp_path / "r1.csv"), Ask()))
    assert reader.read_submission_file(str(tmp_path / "log"), "3.1.0", False) == (0, 5, 96, "rnnt")


# --- MLPerf's Olympic mean -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def summarizer():
    return pytest.importorskip("mlperf_logging.result_summarizer.result_summarizer")


@pytest.mark.parametrize("runs", [5, 6, 10])
def test_our_olympic_mean_is_that_of_mlperfs_summarizer_on_the_same_values(summarizer, runs):
    from benchmark.judge.estimates import olympic_mean

    values = [17.0, 3.5, 11.25, 8.0, 90.0, 4.0, 23.0, 5.5, 6.0, 12.0][:runs]
    assert olympic_mean(values) == pytest.approx(summarizer._compute_olympic_average(list(values), 0, 1), rel=1e-12)


def test_our_olympic_mean_of_five_runs_is_mlperfs_score_of_their_logs(summarizer, tmp_path):
    from benchmark.judge.estimates import olympic_mean

    paths = [make_run(tmp_path, f"r{n}", train_s=90.0 + 7 * n, seed=n) for n in range(1, 6)]
    assert main([*map(str, paths), "--to", "mllog", "-o", str(tmp_path / "out")]) == 0
    theirs, _, _ = summarizer._compute_strong_score_standalone(
        "rnnt", "sys1", False, str(tmp_path / "out"), "training", "3.1.0"
    )
    times_s = [read(path).time_to_accuracy_s("wer", 55, clock="mlperf") for path in paths]
    assert times_s == [5 * (90 + 7 * n + 10.5) for n in range(1, 6)]
    # without the fastest and the slowest 2, 3, 4 are left, of which 3 is the mean: 5 * (90 + 21 + 10.5) seconds
    assert theirs == pytest.approx(607.5 / 60, rel=1e-12)
    assert olympic_mean([time_s / 60 for time_s in times_s]) == pytest.approx(theirs, rel=1e-12)


def test_mlperfs_summarizer_counts_aborted_logs_which_is_why_there_is_a_warning(summarizer, tmp_path, capsys):
    paths = [make_run(tmp_path, f"r{n}") for n in range(1, 4)]
    assert main([*map(str, paths), "--to", "mllog", "--level", "1", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.count("run_stop says aborted") == 3
    scores = summarizer._compute_strong_score_standalone("rnnt", "", False, str(tmp_path / "out"), "training", "3.1.0")
    assert scores[0] is not None


# --- DAWNBench's table and the document ------------------------------------------------------------------------------


def test_dawnbenchs_table_has_its_header_and_a_row_an_epoch(tmp_path):
    text = dawnbench(load(make_run(tmp_path)), Ask())
    header, *rows = text.splitlines()
    assert header == "epoch\thours\ttop1Accuracy"
    assert [row.split("\t") for row in rows[:2]] == [
        ["1", "0.038958333", "0.0"],  # 140.25 / 3600; a WER of 120 leaves nothing
        ["2", "0.069652778", "40.0"],  # 250.75 / 3600
    ]
    assert [row.split("\t")[2] for row in rows[2:]] == ["44.9", "50.0", "58.77", "60.0"]


def test_the_hours_of_the_table_are_by_the_clock_asked_for(tmp_path, capsys):
    path = make_run(tmp_path)
    assert main([str(path), "--to", "dawnbench", "--clock", "train"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split("\t")[1] == str(round(200 / 3600, 9))


def test_the_document_has_identity_levels_by_three_clocks_evaluations_and_provenance(tmp_path, capsys):
    path = make_run(tmp_path)
    assert main([str(path), "--to", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["identity"] == {**IDENTITY, "run": "r1"}
    level = next(level for level in found["levels"] if (level["metric"], level["level_percent"]) == ("wer", 55))
    assert level == {
        "metric": "wer", "level_percent": 55.0, "reached": True, "epoch": 5,
        "wall_s": 582.25, "train_s": 500.0, "mlperf_s": 552.5,
    }  # fmt: skip
    cer_30 = next(level for level in found["levels"] if (level["metric"], level["level_percent"]) == ("cer", 30))
    assert cer_30["epoch"] == 3  # half of 60
    assert found["clocks"] == {"wall_s": 692.75, "train_s": 600.0, "mlperf_s": 663.0}
    assert [row["wer"] for row in found["evaluations"]] == list(WERS)
    assert found["evaluations"][0]["wall_s"] == 140.25
    assert found["provenance"] == json.loads((tmp_path / "r1" / "run.json").read_text())
    assert "not an MLPerf result" in found["notice"] and "not an MLPerf result" in err


def test_a_level_not_reached_is_null_in_the_document_not_zero(tmp_path):
    levels = document(load(make_run(tmp_path)), Ask(level=1))["levels"]
    assert levels[-1] == {
        "metric": "wer", "level_percent": 1, "reached": False, "epoch": None,
        "wall_s": None, "train_s": None, "mlperf_s": None,
    }  # fmt: skip


def test_without_its_folder_a_run_is_still_a_table_and_a_document(tmp_path):
    run = load(make_run(tmp_path, facts=False))
    assert dawnbench(run, Ask()).count("\n") == 7
    found = document(run, Ask())
    assert found["provenance"] is None
    assert {level["level_percent"] for level in found["levels"] if level["metric"] == "wer"} == {42.0}


# --- the command -----------------------------------------------------------------------------------------------------


def test_several_runs_become_a_file_each_named_as_mlperf_names_them(tmp_path):
    paths = [str(make_run(tmp_path, name)) for name in ("a", "b")]
    for form, names in (("mllog", {"result_a.txt", "result_b.txt"}), ("dawnbench", {"a.tsv", "b.tsv"})):
        assert main([*paths, "--to", form, "-o", str(tmp_path / form)]) == 0
        assert {path.name for path in (tmp_path / form).iterdir()} == names
        assert (tmp_path / form / min(names)).read_text() == FORMATS[form].text(load(paths[0]), Ask())


def test_one_run_goes_to_the_file_or_into_the_folder_named(tmp_path):
    path = str(make_run(tmp_path))
    (tmp_path / "there").mkdir()
    for out, written in (("x.json", "x.json"), ("there", "there/r1.json"), ("new/", "new/r1.json")):
        assert main([path, "--to", "json", "-o", f"{tmp_path}/{out}"]) == 0
        assert json.loads((tmp_path / written).read_text())["source"] == "r1.csv"


def test_runs_of_different_systems_or_levels_in_one_folder_are_warned_of(tmp_path, capsys):
    paths = [make_run(tmp_path, "a"), make_run(tmp_path, "b", batch=32, targets={"wer": [60]})]
    assert main([*map(str, paths), "--to", "mllog", "-o", str(tmp_path / "out")]) == 0
    err = capsys.readouterr().err
    assert "batch is 32 and 96: MLPerf's summarizer would take these for runs of one system" in err
    assert "the level is 55.0 and 60.0" in err


def test_nothing_is_written_if_one_of_the_runs_cannot_be(tmp_path, capsys):
    good, bad = make_run(tmp_path, "good"), make_run(tmp_path, "bad", wers=())
    assert "no evaluation" in fails(capsys, good, bad, "--to", "mllog", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_a_file_that_could_not_be_finished_nothing_is_left(tmp_path, capsys):
    path, out = make_run(tmp_path / "runs", wers=[50.0] * 100), tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # bytes; as a full disk does, it ends a write
        said = fails(capsys, path, "--to", "mllog", "--level", "1", "-o", f"{out}/")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "result_r1.txt: cannot be written (File too large)" in said
    assert list(out.iterdir()) == []


def test_exported_files_have_the_permissions_of_any_other_file(tmp_path):
    path = make_run(tmp_path / "runs")
    (tmp_path / "other").touch()
    assert main([str(path), "--to", "json", "-o", str(tmp_path / "out.json")]) == 0
    assert (tmp_path / "out.json").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_nothing_is_overwritten(tmp_path, capsys):
    path = make_run(tmp_path)
    before = path.read_bytes()
    said = fails(capsys, path, "--to", "dawnbench", "-o", path)
    assert "r1.csv is there already and nothing is overwritten; choose another -o" in said
    assert path.read_bytes() == before


def test_two_runs_of_one_name_do_not_become_one_file(tmp_path, capsys):
    paths = [make_run(tmp_path / "here"), make_run(tmp_path / "there")]
    assert "export them to folders of their own" in fails(capsys, *paths, "--to", "json", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--to", "json"], "no journals given; expected the CSV files of runs"),
        (["none*.csv", "--to", "json"], "no file matches none*.csv"),
        (["none.csv", "--to", "json"], "none.csv: no such file"),
        (["r1.csv", "r2.csv", "--to", "json"], "2 runs make 2 files; name a folder for them: -o exported/"),
        (["r1.csv", "r2.csv", "--to", "json", "-o", "r1.csv"], "r1.csv is a file; expected a folder"),
        (["r1.csv", "--to", "dawnbench", "--level", "9"], "--level means nothing to dawnbench, which takes --clock"),
        (["r1.csv", "--to", "mllog", "--clock", "wall"], "means nothing to mllog, which takes --level and --epochs"),
        (["r1.csv", "--to", "json", "-o", "r1.csv/out"], "r1.csv/out: cannot be written"),
    ],
)
def test_what_a_user_gets_wrong_is_said_in_one_line(tmp_path, monkeypatch, capsys, argv, words):
    make_run(tmp_path, "r1")
    make_run(tmp_path, "r2")
    monkeypatch.chdir(tmp_path)
    assert words in fails(capsys, *argv)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ("", "not JSON"),
        ('{"schema": 2, "price": 1e999}', "1e999 is not finite"),
        ('{"schema": 2, "price": NaN}', "NaN is not finite"),
        ('{"schema": 9}', "schema is '9'; expected 4"),
        ("[]", "not a JSON object"),
        ("2", "not a JSON object"),
        ('{"schema": 2}', "created is None; expected a time with its zone"),
        ('{"schema": 2, "created": "yesterday"}', "created is 'yesterday'"),
        ('{"schema": 2, "created": "2026-01-31T12:00:00"}', "expected a time with its zone"),
        (f'{{"schema": 2, "created": "{CREATED}"}}', "no levels at plan.targets.wer; name one by --level"),
        (f'{{"schema": 2, "created": "{CREATED}", "plan": {{"targets": {{"wer": []}}}}}}', "no levels at"),
        (f'{{"schema": 2, "created": "{CREATED}", "plan": {{"targets": {{"wer": ["nan"]}}}}}}', "no levels at"),
        (f'{{"schema": 2, "created": "{CREATED}", "plan": {{"targets": {{"wer": [1{"0" * 400}]}}}}}}', "no levels at"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_run_json_that_cannot_be_used_is_named_with_the_way_out(tmp_path, capsys, contents, words):
    path = make_run(tmp_path)
    (tmp_path / "r1" / "run.json").write_text(contents)
    said = fails(capsys, path, "--to", "mllog")
    assert words in said and "run.json" in said


def test_a_log_needs_the_runs_folder_and_says_so(tmp_path, capsys):
    said = fails(capsys, make_run(tmp_path, facts=False), "--to", "mllog")
    assert "run.json: no such file; mllog needs the run's folder next to its journal" in said


@pytest.mark.parametrize("form", ["mllog", "dawnbench"])
def test_a_run_without_an_evaluation_is_refused_where_the_format_needs_one(tmp_path, capsys, form):
    assert "no evaluation" in fails(capsys, make_run(tmp_path, wers=()), "--to", form)


def test_a_log_that_the_checker_would_refuse_is_refused_here(tmp_path, capsys):
    """The open rules ask for one evaluation under 1.0."""
    path = make_run(tmp_path, wers=(100.0, 130.0))
    assert "no WER under 100% (best 100.00%)" in fails(capsys, path, "--to", "mllog")
    good = '"key": "eval_accuracy", "value": 0.'
    lines = [line for line in GOLDEN.read_text().splitlines() if good not in line]
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    assert not passes(tmp_path / "log")


def test_a_journal_of_a_header_alone_is_refused(tmp_path):
    path = make_run(tmp_path)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(ExportError, match="no rows below the header"):
        load(path)


@pytest.mark.parametrize("option", [["--level", "x"], ["--level", "-1"], ["--epochs", "0"], ["--to", "pdf"]])
def test_options_that_are_no_numbers_or_formats_end_with_status_2(option):
    with pytest.raises(SystemExit) as stopped:
        main(["r1.csv", "--to", "json", *option])
    assert stopped.value.code == 2


def test_help_names_the_formats_the_checker_and_an_example(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert "mlperf_logging.compliance_checker" in out and "examples:" in out
    assert all(f"  {form} " in out for form in FORMATS)
    assert max(map(len, out.splitlines())) <= 120


def test_a_pipe_that_closes_early_is_no_error(tmp_path):
    path = make_run(tmp_path, wers=[50.0] * 400)  # more than a pipe holds
    command = f"{sys.executable} -m benchmark.export {path} --to mllog --level 1 | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr and done.stdout.count("\n") == 1


def test_neither_tensorflow_nor_mlperfs_package_is_imported():
    names = "{'tensorflow', 'mlperf_logging', 'scipy'}"
    check = f"import sys, benchmark.export.__main__; sys.exit(bool({names} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, env={**os.environ}).returncode == 0


def test_the_golden_log_names_no_folder():
    assert not {"/", "\\"} & {*GOLDEN.read_text()}


def test_with_an_overlapping_evaluation_the_train_clock_is_that_of_the_judge(tmp_path):
    """The figures of an epoch are known after later training, none of which was needed for them."""
    run = load(make_run(tmp_path, wers=(60, 40), more=OVERLAPPED, evaluation="overlap"))
    question = Question(metrics=("wer",), levels=(55.0,), window=1, clock="train")
    judged = judge([run], question)[0].levels[0].seconds[0]
    levels = document(run, Ask(level=55.0, window=1))["levels"]
    (level,) = [one for one in levels if (one["metric"], one["level_percent"]) == ("wer", 55.0)]
    assert level["train_s"] == judged
    (last,) = document(run, Ask())["evaluations"][-1:]
    assert last["train_s"] == run.record.clock_s(run.record.evaluations[-1].started_s, "train")
    assert last["train_s"] < run.record.clock_s(run.record.evaluations[-1].ended_s, "train")
