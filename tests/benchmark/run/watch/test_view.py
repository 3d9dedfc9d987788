from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from benchmark.record.clocks import Clock
from benchmark.record.columns import Row
from benchmark.record.phases import Phase, Plan
from benchmark.record.sentences import Example
from benchmark.run.state.progress import Progress
from benchmark.run.watch.view import LiveView, PlainView, describe, view

PLAN = Plan(batches_per_epoch=10, max_epochs=4, max_seconds=100, targets={})
COMMON = {
    "run": "r",
    "platform": "cpu",
    "workload": "mini",
    "recipe": "paper",
    "seed": 1,
    "replicas": 1,
    "devices": "CPU",
    "emulated": False,
    "batch": 4,
    "precision": "float32",
    "features": "f",
    "decoder": "greedy",
    "evaluation": "resident",
    "code": "c",
}
TRAINED = Row(**COMMON, phase=Phase.TRAIN, started_s=10.0, seconds=4.0, step=5, epoch=1, utterances=20, loss=31.456)
EVALUATED = Row(
    **COMMON, phase=Phase.EVALUATE, started_s=14.0, seconds=1.0, step=5, epoch=1, utterances=7, wer=42.04, cer=12.5
)


def spoken(reference: str, hypothesis: str) -> Example:
    return Example(id="1-1-0001", reference=reference, hypothesis=hypothesis)


def test_a_row_is_one_line():
    assert "train" in describe(TRAINED) and "loss 31.46  5.0 utterances/s" in describe(TRAINED)  # 20 / 4 s
    assert "WER 42.0%  CER 12.5%" in describe(EVALUATED)


def test_a_row_in_which_the_run_stood_still_says_how_long(capsys):
    PlainView(PLAN, still=lambda row: 4.72 if row is TRAINED else 0.0).row(TRAINED, Progress())
    assert capsys.readouterr().err.rstrip().endswith("stood still 4.7 s")
    assert "still" not in describe(TRAINED)


def test_a_train_row_names_the_slow_host_and_other_rows_do_not(capsys):
    view = PlainView(PLAN, slow=lambda: "host 1 (b:2222) 1.31x in train")
    view.row(TRAINED, Progress())
    view.row(EVALUATED, Progress())
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("slow: host 1 (b:2222) 1.31x in train") and "slow" not in second


@pytest.mark.parametrize(
    ("slow", "shown"),
    [(None, None), (lambda: "", "none"), (lambda: "host 1 (b:2222) 1.31x in train", "host 1 (b:2222) 1.31x")],
)
def test_the_live_view_of_several_machines_names_the_slow_one(slow, shown):
    view = LiveView("a run", PLAN, Clock(), slow=slow)
    view.phase(Phase.TRAIN, Progress())
    view.row(TRAINED, Progress.of([TRAINED]))
    console = Console(record=True, width=140, file=StringIO())
    console.print(view)
    text = console.export_text()
    assert ("slow host" in text) is (slow is not None) and (shown is None or shown in text)


def test_the_plain_view_prints_lines_and_three_sentences(capsys):
    view = PlainView(PLAN)
    view.row(TRAINED, Progress.of([TRAINED]))
    view.sentences("generate", [spoken("one", "on")] * 5)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 + 2 * 3 and "reference   one" in err and "hypothesis  on" in err


def test_the_plain_view_tells_of_decoding_now_and_then(capsys, monkeypatch):
    now = iter([0.0, 1.0, 6.0, 6.0, 7.0, 20.0])
    monkeypatch.setattr("benchmark.run.watch.view.time.monotonic", lambda: next(now))
    view = PlainView(PLAN)  # at 0 s
    view.decoded(10, 150)  # 1 s: too soon
    view.decoded(60, 150)  # 6 s: told
    view.decoded(90, 150)  # 7 s: too soon again
    view.decoded(150, 150)  # done: the row says so
    assert capsys.readouterr().err.split("\n") == ["            decoded 60 of 150 utterances", ""]


@pytest.mark.parametrize("rows", [(), (TRAINED,), (TRAINED, EVALUATED)])
def test_the_live_view_shows_phase_clock_epoch_loss_rates_and_sentences(rows):
    now = iter(range(1000))
    view = LiveView("a run", PLAN, Clock(now=lambda: next(now)))
    progress = Progress.of(rows)
    view.phase(Phase.GENERATE, progress)
    for row in rows:
        view.row(row, progress)
    view.sentences("generate", [spoken("[bold]three", "tree")])
    console = Console(record=True, width=100, file=StringIO())
    console.print(view)
    shown = console.export_text()
    assert "a run" in shown and "generate" in shown and "of 4" in shown and "[bold]three" in shown
    done = 5 if rows else 0
    (bar,) = [line for line in shown.splitlines() if f"batch {done} of 10" in line]
    assert "train" not in bar
    view.decoded(40, 150)
    console.print(view)
    assert "decoded utterance 40 of 150" in console.export_text()
    if rows:
        assert "31.46" in shown and "5.0" in shown
    if len(rows) == 2:
        assert "42.0%" in shown and "12.5%" in shown


@pytest.mark.parametrize("width", [120, 60, 40])
def test_a_narrow_terminal_shows_every_figure(width):
    view = LiveView("r: CPU", PLAN, Clock())
    progress = Progress.of([TRAINED, EVALUATED])
    view.phase(Phase.TRAIN, progress)
    console = Console(file=StringIO(), width=width)
    console.print(view)
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= width and "\u2026" not in shown
    for figure in ("clock", "utterances/s", "5.0", "31.46", "42.0%", "12.5%", "batch 5 of 10"):
        assert figure in shown


@pytest.mark.parametrize("height", [6, 10, 14, 24, 60])
@pytest.mark.parametrize("width", [120, 80, 40])
def test_the_view_is_never_higher_than_the_terminal(width, height):
    view = LiveView("a run: CPU", replace(PLAN, targets={"wer": (40.0,)}), Clock(), busy="1.9 cores, GPU 93%")
    progress = Progress.of([TRAINED, EVALUATED])
    view.phase(Phase.TRAIN, progress)
    for _ in range(8):
        view.row(TRAINED, progress)
    view.sentences("generate", [spoken("words " * 40, "words " * 40)] * 3)
    console = Console(file=StringIO(), width=width, height=height)
    console.print(view)
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= height - 1 and max(map(len, lines)) <= width  # the cursor is in the last line
    assert lines[0].startswith("\u256d") and lines[-1].startswith("\u2570")  # the frame is whole
    if height == 60:
        assert sum("loss 31.46" in line for line in lines) == 8 or width < 120


def test_a_low_terminal_keeps_the_latest_row_and_cuts_the_sentences():
    view = LiveView("r", PLAN, Clock())
    progress = Progress.of([TRAINED])
    view.phase(Phase.TRAIN, progress)
    view.row(TRAINED, progress)
    view.sentences("generate", [spoken(f"sentence {n}", "x") for n in range(3)])
    console = Console(file=StringIO(), width=120, height=10)
    console.print(view)
    shown = console.file.getvalue()
    assert "loss 31.46" in shown and "sentence 0" in shown and "sentence 2" not in shown


def test_the_view_shows_the_target_the_time_left_and_how_busy_the_machine_is():
    plan = replace(PLAN, targets={"wer": (40.0,)}, max_seconds=3600)
    view = LiveView("r", plan, Clock(now=lambda: 0.0), busy="1.9 cores, GPU 93%")
    view.phase(Phase.TRAIN, Progress.of([TRAINED, EVALUATED]))
    console = Console(file=StringIO(), width=200, height=40)
    console.print(view)
    shown = console.file.getvalue()
    for said in ("to WER 40", "2.0 to go", "left at most", "left by trend", "busy", "1.9 cores, GPU 93%"):
        assert said in shown  # 42.04 - 40 = 2.04


def test_a_quiet_view_shows_nothing(capsys):
    with view("r", PLAN, Clock(), quiet=True) as shown:
        shown.row(TRAINED, Progress())
        shown.sentences("generate", [spoken("a", "b")])
        shown.decoded(10, 20)
    assert capsys.readouterr().err == ""
