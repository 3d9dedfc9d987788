"""Logs of times, steps and error rates as runs: AlgoPerf's, tables by --map, TensorBoard's event files."""

import gzip
import json
import struct
from pathlib import Path

import pytest

from benchmark.ingest import IngestError
from benchmark.ingest.__main__ import main
from benchmark.ingest.algoperf import read_trial
from benchmark.ingest.mapping import parse_map
from benchmark.ingest.points import Said
from benchmark.ingest.tensorboard import read_mapped
from benchmark.judge import Question, judge, read_runs
from benchmark.record.phases import Phase

HEADER = "accumulated_eval_time,accumulated_submission_time,global_step,total_duration,validation/wer"
META = {
    "workload.validation_target_value": 0.12,
    "workload.target_metric_name": "wer",
    "workload.num_train_examples": 1000,
    "workload.max_allowed_runtime_sec": 200,
    "workload.eval_period_time_sec": 100,
    "gpu_count": 4,
    "gpu_model_name": "A100",
    "rng_seed": -7,
    "git_commit_hash": "b21be29be0a1573f",
}
ALGOPERF = Path(__file__).resolve().parents[4] / "shared" / "data" / "algoperf" / "logs"


def a_trial(folder, rows, meta=META, submission="lion", study=0, framework="jax"):
    """Write a trial as AlgoPerf does; rows are (eval s, train s, step, total s, share)."""
    trial = folder / "self_tuning" / submission / f"study_{study}" / f"librispeech_deepspeech_{framework}" / "trial_1"
    trial.mkdir(parents=True)
    lines = [HEADER, *(",".join(map(str, row)) for row in rows)]
    (trial / "eval_measurements.csv").write_text("\n".join(lines) + "\n")
    (trial / "meta_data_0.json").write_text(json.dumps(meta))
    return trial / "eval_measurements.csv"


def table(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def mapped(path, how="time=t,step=step,error=wer,unit=share", **said):
    return read_mapped([path] if isinstance(path, Path) else path, parse_map(how), Said(**said))


def spans(curve):
    return [(phase.value, span.started_s, span.seconds, outcome.step) for phase, span, outcome in curve.rows]


# --- AlgoPerf ----------------------------------------------------------------------------------------------------


def test_algoperfs_clock_is_the_train_clock_and_its_total_duration_the_wall_clock(tmp_path):
    path = a_trial(tmp_path, [(10, 100, 50, 112, 0.9), (25, 200, 100, 230, 0.1)])
    assert spans(read_trial(path)) == [
        ("create", 0, 0, 0),
        ("checkpoint", 0, 2, 0),  # 112 - 100 - 10: neither training nor evaluation
        ("train", 2, 100, 50),
        ("evaluate", 102, 10, 50),
        ("checkpoint", 112, 3, 50),  # 230 - 112 - 100 - 15
        ("train", 115, 100, 100),
        ("evaluate", 215, 15, 100),
    ]
    assert main([str(tmp_path), "-o", str(tmp_path / "in"), "--batch", "8"]) == 0
    (group,) = judge(read_runs(f"{tmp_path}/in/*.csv"), Question(metrics=("wer",), window=1))
    level = group.levels[0]
    assert (level.percent, level.seconds, group.platform) == (12.0, (230.0,), "4 x A100")
    assert level.by_clock["train"].seen == (200.0,)
    identity = group.runs[0].identity
    assert (identity.recipe, identity.seed, identity.batch, identity.code) == ("lion/jax", -7, 8, "b21be29be0a1")


def test_a_miss_is_censored_at_its_budget_and_a_log_that_ends_before_it_is_open(tmp_path):
    a_trial(tmp_path, [(1, 150, 50, 160, 0.9), (2, 250, 100, 262, 0.5)])  # budget 1.5 * 200 s: the next would be late
    a_trial(tmp_path, [(1, 100, 50, 110, 0.8)], {**META, "rng_seed": 8}, study=1)
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 0
    (group,) = judge(read_runs(f"{tmp_path}/in/*.csv"), Question(metrics=("wer",), window=1))
    level = group.levels[0]
    assert (level.reached, level.missed, level.unfinished) == (0, 1, 1)
    assert level.times.seen == (110.0, 262.0) and not any(level.times.reached)


def test_evaluations_after_the_budget_asked_for_are_left_out(tmp_path):
    path = a_trial(tmp_path, [(1, 100, 50, 110, 0.9), (2, 200, 100, 215, 0.1)])
    curve = read_trial(path, Said(budget_s=150))
    assert len(curve.rows) == 4 and curve.end.status == "finished" and "after --budget" in " ".join(curve.notes)


def test_workloads_without_speech_are_passed_over(tmp_path, capsys):
    path = a_trial(tmp_path, [(1, 100, 50, 110, 0.9)])
    other = path.parent.parent.parent / "imagenet_resnet_jax" / "trial_1"
    other.mkdir(parents=True)
    (other / "eval_measurements.csv").write_text("global_step,validation/accuracy\n1,0.5\n")
    assert main([str(tmp_path), "-o", str(tmp_path / "in")]) == 0
    assert "1 runs" in (said := capsys.readouterr().out) and "1 imagenet_resnet_jax" in said


def test_clocks_that_do_not_fit_into_the_total_are_refused(tmp_path):
    path = a_trial(tmp_path, [(10, 100, 50, 90, 0.9)])
    with pytest.raises(IngestError, match="csv:2: 110 s of training and evaluation .* 90 s of everything"):
        read_trial(path).check()


@pytest.mark.skipif(not ALGOPERF.is_dir(), reason="AlgoPerf's logs are not here")
def test_algoperfs_51_runs_have_their_published_times(tmp_path):
    """mlcommons/submissions_algorithms, pull request 45: the times at which its rows first show the target."""
    assert main([str(ALGOPERF), "-o", str(tmp_path)]) == 0
    groups = judge(read_runs(f"{tmp_path}/*.csv"), Question(metrics=("wer",), window=1, clock="train", by=("recipe",)))
    reached = {g.runs[0].identity.recipe: [round(s) for s in g.levels[0].seconds if s] for g in groups}
    assert sum(len(group.runs) for group in groups) == 51
    assert {recipe: times for recipe, times in reached.items() if times} == {
        "ademamix/pytorch": [28954],
        "schedule_free_adamw/pytorch": [40463, 40478, 36135],
        "schedule_free_adamw_v2/pytorch": [41911, 43377, 36138],
    }


# --- tables ------------------------------------------------------------------------------------------------------


def test_a_table_is_read_by_its_map_and_what_it_cannot_say_is_named(tmp_path):
    curve = mapped(table(tmp_path, "t,step,wer\n60,10,0.5\n120,20,0.25\n"))
    assert spans(curve)[1:] == [
        ("train", 0, 60, 10), ("evaluate", 60, 0, 10), ("train", 60, 60, 20), ("evaluate", 120, 0, 20),
    ]  # fmt: skip
    assert [outcome.wer for phase, _, outcome in curve.rows if phase is Phase.EVALUATE] == [50.0, 25.0]
    notes = " ".join(curve.notes)
    assert "--batch, --seed, --devices" in notes and "how long evaluation took" in notes and "counted" in notes
    assert curve.knows == {"steps": True, "epochs": False, "samples": False, "evaluation": False}


@pytest.mark.parametrize(
    "text",
    [
        "t,step,wer\r\n60,10,0.5\r\n120,20,0.25\r\n",
        "\ufefft;step;wer\n60;10;0.5\n120;20;0.25\n",
        "t\tstep\twer\n60\t10\t0.5\n\n120\t20\t0.25\n",
        '{"t": 60, "step": 10, "wer": 0.5}\n{"t": 90, "loss": NaN}\n{"t": 120, "step": 20, "wer": "0.25"}\n',
    ],
    ids=["windows", "semicolons", "tabs", "json"],
)
def test_forms_of_one_table_give_one_run(tmp_path, text):
    assert spans(mapped(table(tmp_path, text)))[-1] == ("evaluate", 120, 0, 20)


def test_a_gzipped_table_is_unpacked(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"t,step,wer\n60,10,0.5\n"))
    assert spans(mapped(path))[-1] == ("evaluate", 60, 0, 10)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IngestError, match="cut or damaged"):
        mapped(path)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("t,step,wer\n60,10,.5\nt,step,wer\n120,20,.2\n", "header comes 1 times more"),
        ("t,step,wer\n60,10,.5\n120,20,.2\n180,30", "cut off"),
        ("t,step,wer\n60,10,.5\n120,20,.2\n180,30,.1", "cut off"),  # .1 may be half of .15
        ("t,step,wer\n60,10,.5\n90,15,nan\n91,16,inf\n120,20,.2\n", "2 evaluations whose wer is not finite"),
        ("t,step,wer\n60,10,.5\n60,10,.5\n120,20,.2\n", "1 evaluations stand twice"),
    ],
)
def test_what_is_passed_over_is_said(tmp_path, text, note):
    curve = mapped(table(tmp_path, text))
    assert note in " ".join(curve.notes) and spans(curve)[-1] == ("evaluate", 120, 0, 20)


@pytest.mark.parametrize(
    ("text", "how", "words"),
    [
        ("t,step,wer\n60,10,50\n", "time=t,step=step,error=wer,unit=share", "50 at the least; expected shares"),
        ("t,step,wer\n60,1,.5\n70,2,.4\n", "time=t,error=wer,unit=percent", "0.5 at the most; expected percent"),
        ("t,step,wer\n60,10,.5\n", "time=clock,error=wer,unit=share", "no column 'clock' .time.; there are t, step"),
        ("t,step,wer\n60,10,.5\n", "step=step,error=wer,unit=share", "no time"),
        ("t,step,wer\n60,10\n70,20,.4\n", "time=t,error=wer,unit=share", ":2: 2 fields; expected 3"),
        ("t;step;wer\n60;10;0,5\n", "time=t,error=wer,unit=share", "decimal comma"),
        ("t,step,wer\n1764000000,10,.5\n", "time=t,error=wer,unit=share", "a date; expected seconds since"),
        ("t,step,wer\n60,10,.5\n50,20,.4\n", "time=t,step=step,error=wer,unit=share", "time falls .* --restarts"),
        ("t,step,wer\n60,10,.5\n90,20,.4\n60,10,.6\n", "time=t,step=step,error=wer,unit=share", "two runs"),
        ("t,step,wer\nnan,10,.5\n", "time=t,error=wer,unit=share", "t is nan; expected a finite"),
        ("t,step,wer\n60,10,-1\n", "time=t,error=wer,unit=share", "an error rate from 0"),
        ("t,t,wer\n60,10,.5\n", "time=t,error=wer,unit=share", "stands twice"),
        ("t,step,wer\n60,1.5,.5\n", "time=t,step=step,error=wer,unit=share", "a whole number"),
        ("", "time=t,error=wer,unit=share", "empty"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path, text, how, words):
    with pytest.raises(IngestError, match=words):
        mapped(table(tmp_path, text), how).check()


@pytest.mark.parametrize("text", ["time=t,unit=share", "error=wer,error=w,unit=share", "errors=wer", "error="])
def test_a_map_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_map(text)


def test_the_unit_is_never_guessed():
    with pytest.raises(ValueError, match="no unit; expected unit=share or percent"):
        parse_map("time=t,error=wer")


def test_a_clock_that_begins_again_is_put_after_where_it_stood(tmp_path):
    path = table(tmp_path, "t,step,wer\n60,10,.5\n120,20,.4\n30,25,.3\n90,35,.2\n")
    assert [row[1:] for row in spans(mapped(path, restarts=True)) if row[0] == "evaluate"] == [
        (60, 0, 10), (120, 0, 20), (150, 0, 25), (210, 0, 35),
    ]  # fmt: skip


def test_work_that_was_done_again_counts_as_time_and_as_no_training(tmp_path):
    path = table(tmp_path, "t,step,wer\n60,10,.5\n120,20,.4\n180,30,.35\n240,20,.4\n300,30,.3\n")
    curve = mapped(path)
    assert spans(curve)[3:6] == [
        ("checkpoint", 60, 120, 10),  # from the evaluation that stands, of step 10, to the last that does not
        ("train", 180, 60, 20),
        ("evaluate", 240, 0, 20),
    ]
    assert "did 2 evaluations again" in " ".join(curve.notes)


def test_epochs_are_the_logs_where_evaluations_stand_at_their_ends(tmp_path):
    text = "t,ep,wer\n60,1,.5\n120,2,.4\n"
    assert mapped(table(tmp_path, text), "time=t,epoch=ep,error=wer,unit=share").knows["epochs"]
    with pytest.raises(IngestError, match="epoch 0, .* --first-epoch 0 or 1"):
        mapped(table(tmp_path, "t,ep,wer\n60,0,.5\n120,1,.4\n"), "time=t,epoch=ep,error=wer,unit=share").check()
    curve = mapped(tmp_path / "log.csv", "time=t,epoch=ep,error=wer,unit=share", first_epoch=0)
    assert [outcome.epoch for phase, _, outcome in curve.rows if phase is Phase.EVALUATE] == [1, 2]


def test_an_untrained_models_evaluation_is_a_probe(tmp_path):
    curve = mapped(table(tmp_path, "t,step,wer\n5,0,1.2\n60,10,.5\n"))
    assert [(phase, outcome.epoch) for phase, _, outcome in curve.rows[1:]] == [
        (Phase.PROBE, 0), (Phase.TRAIN, 1), (Phase.EVALUATE, 1),
    ]  # fmt: skip


def test_files_of_a_table_need_a_map(tmp_path, capsys):
    assert main([str(table(tmp_path, "t,wer\n1,1\n")), "-o", str(tmp_path / "in")]) == 2
    assert "--map time=" in capsys.readouterr().err


# --- TensorBoard ---------------------------------------------------------------------------------------------------


def an_event_file(path, events):
    """Write events (wall time, step, tag, value) as TensorFlow does; its own writer is the oracle of the other test."""
    from benchmark.ingest.tensorboard import _masked

    def part(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    with path.open("wb") as file:
        for wall_s, step, tag, value in events:
            scalar = part(1, tag.encode()) + b"\x15" + struct.pack("<f", value)
            data = b"\x09" + struct.pack("<d", wall_s) + b"\x10" + bytes([step]) + part(5, part(1, scalar))
            length = struct.pack("<Q", len(data))
            file.write(length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data)))
    return path


TB = "error=eval/wer,unit=share"


def test_event_files_of_one_folder_are_one_run_without_the_time_between(tmp_path):
    first = an_event_file(tmp_path / "e.tfevents.1", [(1e9, 0, "loss", 9), (1e9 + 60, 10, "eval/wer", 0.5)])
    second = an_event_file(tmp_path / "e.tfevents.2", [(1e9 + 500, 10, "loss", 3), (1e9 + 560, 20, "eval/wer", 0.25)])
    curve = mapped([second, first], TB)
    assert spans(curve)[1:] == [
        ("train", 0, 60, 10), ("evaluate", 60, 0, 10), ("train", 60, 60, 20), ("evaluate", 120, 0, 20),
    ]  # fmt: skip
    assert "440 s between its event files left out" in " ".join(curve.notes)


def test_a_cut_event_file_is_read_up_to_there_and_a_damaged_one_refused(tmp_path):
    path = an_event_file(
        tmp_path / "e.tfevents.1", [(10, 0, "loss", 9), (70, 10, "eval/wer", 0.5), (130, 20, "eval/wer", 0.2)]
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    curve = mapped(path, TB)
    assert len(curve.points) == 1 and "cut off" in " ".join(curve.notes)
    path.write_bytes(whole.replace(b"eval/wer", b"eval/wes", 1))
    with pytest.raises(IngestError, match="wrong checksum"):
        mapped(path, TB)
    path.write_bytes(b"no event file at all")
    with pytest.raises(IngestError, match="checksum"):
        mapped(path, TB)


def test_a_folder_of_event_files_and_tables_is_taken_in_by_its_map(tmp_path, capsys):
    (tmp_path / "logs" / "a").mkdir(parents=True)
    an_event_file(tmp_path / "logs" / "a" / "e.tfevents.1", [(10, 0, "loss", 9), (70, 10, "eval/wer", 0.5)])
    assert main([str(tmp_path / "logs"), "-o", str(tmp_path / "in"), "--map", TB, "--platform", "box"]) == 0
    assert "1 runs" in capsys.readouterr().out
    (run,) = read_runs(f"{tmp_path}/in/*.csv")
    assert run.record.evaluations[0].wer == 50.0 and run.identity.platform == "box"


def test_tensorflows_own_event_files_are_read(tf, tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        for step, share in ((300, 0.5), (70_000, 0.25)):
            tf.summary.write("eval/wer", tf.constant(share), step=step)
    writer.close()
    curve = mapped(sorted(tmp_path.glob("*tfevents*")), TB)
    assert [(point.step, point.errors["wer"]) for point in curve.points] == [(300, 50.0), (70_000, 25.0)]


def test_a_log_without_a_target_is_judged_at_a_level_and_at_one_made_up(tmp_path, capsys):
    """docs/judging.md takes logs in without --target."""
    (tmp_path / "t.csv").write_text("wall,step,val_wer,val_cer\n100,10,0.5,0.3\n200,20,0.4,0.2\n300,30,0.2,0.1\n")
    asked = [str(tmp_path / "t.csv"), "-o", str(tmp_path / "in"), "--map"]
    assert main([*asked, "time=wall,step=step,error=val_wer,unit=share"]) == 0
    runs = read_runs([str(path) for path in (tmp_path / "in").glob("*.csv")])
    (group,) = judge(runs, Question(metrics=("wer",), levels=(30.0,), window=1))
    assert group.levels[0].seconds == (300.0,)
    (group,) = judge(runs, Question(metrics=("wer",), window=1))
    assert group.levels[0].percent == 20.0
    assert main([*asked, "time=wall,step=step,error=val_wer,unit=share", "--target", "30"]) == 0
    assert "0 runs in" in (said := capsys.readouterr().out) and "by the options of then: for others choose" in said
    assert main([*asked, "time=wall,step=step,error=val_cer,metric=cer,unit=share"]) == 0
    assert capsys.readouterr().out.startswith("1 runs in ")


def test_steps_counted_from_0_are_told_from_an_untrained_model(tmp_path, capsys):
    for first_s, doubted in ((600, True), (5, False)):
        path = tmp_path / f"t{first_s}.csv"
        path.write_text(f"t,s,e\n{first_s},0,0.5\n1200,1,0.3\n1800,2,0.1\n")
        assert main([str(path), "-o", str(tmp_path / "in"), "--map", "time=t,step=s,error=e,unit=share"]) == 0
        said = capsys.readouterr()
        assert ("if steps are counted from 0, add one to them (600 s had passed)" in said.out + said.err) is doubted


@pytest.mark.parametrize("value", [0.3, 0.1, 12.5, 1e-7, 0.0, -2.5, 16777217.0, 1e38])
def test_a_scalar_of_32_bits_is_the_shortest_number_that_it_is(value):
    """0.3 in 32 bits is 0.3000000119: as 30.00000119 percent it would miss a level of 30."""
    from benchmark.ingest.tensorboard import _float32

    content = struct.pack("<f", value)
    assert struct.pack("<f", _float32(content)) == content and len(repr(_float32(content))) <= len(repr(value)) + 2
    assert _float32(struct.pack("<f", 0.3)) == 0.3
