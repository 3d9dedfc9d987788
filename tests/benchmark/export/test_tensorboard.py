"""Event files, read back by TensorFlow and by our own reader; followed while a run goes on."""

import json
import threading
import time

import pytest
from journals import make_run, write

from benchmark.export import trackers
from benchmark.export.__main__ import main
from benchmark.export.moments import CLOCK, moments
from benchmark.export.runs import ExportError
from benchmark.export.tensorboard import follow, write_events
from benchmark.ingest.tensorboard import read_events_of
from benchmark.record import read_run
from benchmark.record.facts import SCHEMA
from benchmark.record.folder import End, write_end

BEGAN = "2026-01-31T12:00:00+00:00"
BEGAN_S = 1769860800.0  # date -u -d 2026-01-31T12:00:00 +%s


def run_at(folder, wers, *, status="finished"):
    """A run on disk with its run.json and its end."""
    path = folder / "r1.csv"
    write(path, make_run(wers, source=str(path)))
    (folder / "r1").mkdir()
    (folder / "r1" / "run.json").write_text(json.dumps({"schema": SCHEMA, "created": BEGAN}))
    if status:
        write_end(
            folder / "r1", End(status=status, step=10 * len(wers), epoch=len(wers), clock_s=30.0 + 110 * len(wers))
        )
    return path


def test_moments_stand_at_utterances_and_at_times_of_day(tmp_path):
    """Creation 30 s, then ten rows of 100 utterances in 10 s each, and an evaluation of 10 s: `make_run`."""
    found = list(moments(read_run(run_at(tmp_path, [50.0]))))
    assert [each.step for each in found] == [0, *range(100, 1001, 100), 1000]
    assert found[1].unix_s == BEGAN_S + 40 and found[1].values["train/utterances_per_second"] == 10.0
    assert found[-1].values["evaluate/wer"] == 50.0 and found[-1].values[CLOCK] == pytest.approx(140 / 60)


def test_tensorflow_reads_what_was_written(tmp_path, tf):
    run = read_run(run_at(tmp_path, [50.0, 40.0]))
    path = write_events(run, tmp_path / "board")
    events = list(tf.compat.v1.train.summary_iterator(str(path)))
    assert events[0].file_version == "brain.Event:2"
    text = events[1].summary.value[0]
    assert text.metadata.plugin_data.plugin_name == "text"
    assert b"| platform | sys1 |" in text.tensor.string_val[0] and list(text.tensor.tensor_shape.dim)[0].size == 1
    wers = [
        (each.step, each.wall_time, value.simple_value)
        for each in events[2:]
        for value in each.summary.value
        if value.tag == "evaluate/wer"
    ]
    assert wers == [(1000, BEGAN_S + 140, 50.0), (2000, BEGAN_S + 250, 40.0)]
    assert len(events) - 2 == len(list(moments(run)))


def test_our_own_reader_takes_it_in(tmp_path):
    path = write_events(read_run(run_at(tmp_path, [50.0, 40.0])), tmp_path / "board")
    lines = read_events_of([path], "evaluate/wer")
    assert [line.values["evaluate/wer"] for line in lines.rows] == [50.0, 40.0]


def test_writing_again_replaces_our_file_and_no_other(tmp_path):
    run = read_run(run_at(tmp_path, [50.0]))
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "events.out.tfevents.1.host").write_bytes(b"another's")
    first = write_events(run, tmp_path / "board").read_bytes()
    assert write_events(run, tmp_path / "board").read_bytes() == first
    assert len(list((tmp_path / "board").iterdir())) == 2


def test_a_run_is_followed_until_it_is_over(tmp_path):
    (tmp_path / "whole").mkdir()
    whole = run_at(tmp_path / "whole", [50.0, 40.0])
    journal = run_at(tmp_path, [50.0], status="")
    lines = whole.read_text().splitlines(keepends=True)
    counts, ended = [], threading.Event()
    thread = threading.Thread(
        target=lambda: counts.append(follow(journal, tmp_path / "board", ended.wait, every_s=0.05))
    )
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not list((tmp_path / "board").glob("*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        with journal.open("a") as file:
            file.write("".join(lines[len(journal.read_text().splitlines()) :])[:-7])  # the last row is half there
        time.sleep(0.3)
        journal.write_text("".join(lines))
    finally:
        write_end(tmp_path / "r1", End(status="finished", step=20, epoch=2, clock_s=250.0))
        ended.set()
        thread.join(20)
    expected = write_events(read_run(whole), tmp_path / "other")
    (made,) = (tmp_path / "board").iterdir()
    assert counts == [23] and made.read_bytes() == expected.read_bytes()


def test_the_command_puts_runs_into_a_place(tmp_path, capsys):
    journal = run_at(tmp_path, [50.0])
    assert main([str(journal), "--to", "tensorboard", "-o", str(tmp_path / "tb")]) == 0
    assert f"look with: tensorboard --logdir {tmp_path / 'tb'}" in capsys.readouterr().err
    assert len(list((tmp_path / "tb" / "r1").iterdir())) == 1
    assert main([str(journal), "--to", "tensorboard", "--level", "5"]) == 2
    assert "--level means nothing to tensorboard, which takes none of these" in capsys.readouterr().err
    assert main([str(journal), "--to", "tensorboard", "-o", str(journal)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_store_is_only_for_who_has_its_library(tmp_path, monkeypatch):
    run = read_run(run_at(tmp_path, [50.0]))
    for name, export in (("mlflow", trackers.to_mlflow), ("wandb", trackers.to_wandb)):
        monkeypatch.setitem(__import__("sys").modules, name, None)
        monkeypatch.setitem(__import__("sys").modules, f"{name}.entities", None)
        with pytest.raises(ExportError, match=f"{name} is not installed: pip install {name}"):
            export(run, tmp_path / "store")


def test_mlflow_keeps_curves_by_utterances(tmp_path):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    run = read_run(run_at(tmp_path, [50.0, 40.0]))
    trackers.to_mlflow(run, tmp_path / "m.db")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name == trackers.EXPERIMENT]
    (kept,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(kept.info.run_id, "evaluate/wer")
    assert [(each.step, each.value, each.timestamp) for each in history] == [
        (1000, 50.0, 1000 * (BEGAN_S + 140)), (2000, 40.0, 1000 * (BEGAN_S + 250)),
    ]  # fmt: skip
    assert kept.info.status == "FINISHED" and kept.data.params["platform"] == "sys1"
    with pytest.raises(ExportError, match="has a run 'r1' already"):
        trackers.to_mlflow(run, tmp_path / "m.db")


def test_wandb_writes_an_offline_run(tmp_path):
    pytest.importorskip("wandb")
    said = trackers.to_wandb(read_run(run_at(tmp_path, [50.0])), tmp_path / "w")
    assert said.startswith("wandb sync ") and list((tmp_path / "w").rglob("*.wandb"))


def test_two_runs_of_one_name_do_not_take_one_folder(tmp_path, capsys):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(str(write(tmp_path / folder / "r1.csv", make_run([50, 40], platform=folder))))
    assert main([*paths, "--to", "tensorboard", "-o", str(tmp_path / "tb")]) == 2
    assert "export them to folders of their own" in capsys.readouterr().err and not (tmp_path / "tb").exists()
